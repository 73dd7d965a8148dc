//! The base of the clients' image: pulled where a registry answers, else made from Debian's packages with mmdebstrap. Where
//! neither can be, the error says why not, and which three ways there are.

use std::{process::Stdio, time::Duration};

use bollard::{
    body_try_stream,
    query_parameters::{CreateImageOptions, CreateImageOptionsBuilder},
};
use hyper::body::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use super::{DockerError, Host, labels::VERSION, told};
use crate::plan::docker::digest;

/// What is pulled where a registry answers; the tools come from Debian's packages then.
pub(super) const DEBIAN: &str = "debian:bookworm-slim";

/// How the base is made where nothing can be pulled.
const SCRIPT: &str = include_str!("../../../images/base.sh");

/// How long a registry may be silent. One that is not there is noticed at once, one that a firewall hides is not.
const SILENCE: Duration = Duration::from_secs(20);

/// Pieces of the archive on their way to the Engine, and how large they are in octets.
const PIECES: usize = 16;
const PIECE: usize = 256 << 10;

/// The base that labctl makes, by the content of its script.
pub(super) fn own() -> String {
    format!("labctl-base:{}", digest([SCRIPT.as_bytes()]))
}

impl Host {
    /// Pulls an image; or why not.
    pub(super) async fn pull(&self, image: &str) -> Result<(), String> {
        let (name, tag) = match image.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image, "latest"),
        };
        let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
        let mut steps = std::pin::pin!(self.api.create_image(Some(options), None, None));
        loop {
            match timeout(SILENCE, steps.next()).await {
                Err(_elapsed) => return Err(format!("the registry said nothing for {} seconds", SILENCE.as_secs())),
                Ok(None) => return Ok(()),
                Ok(Some(Err(answer))) => return Err(told(&answer)),
                Ok(Some(Ok(step))) => {
                    if let Some(problem) = step.error_detail.and_then(|detail| detail.message) {
                        return Err(problem);
                    }
                }
            }
        }
    }

    /// Makes labctl's own base from Debian's packages; or why not. This takes minutes.
    pub(super) async fn debootstrap(&self, image: &str) -> Result<(), String> {
        let mut shell = Command::new("sh");
        shell.args(["-s"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut making = shell.spawn().map_err(|problem| format!("start `sh`: {problem}"))?;
        let mut script = making.stdin.take().ok_or("`sh` has no input")?;
        script.write_all(SCRIPT.as_bytes()).await.map_err(|problem| problem.to_string())?;
        drop(script);
        let (send, archive) = mpsc::channel(PIECES);
        let said = tokio::spawn(pump(making, send));
        // The first piece says whether there will be an archive at all.
        let mut archive = ReceiverStream::new(archive);
        let Some(first) = archive.next().await else {
            return Err(said.await.unwrap_or_default().unwrap_or_else(|| "it made nothing".into()));
        };
        let imported = self.import(image, tokio_stream::once(first).chain(archive)).await;
        match said.await.unwrap_or_default() {
            Some(why) => Err(why),
            None => imported,
        }
    }

    async fn import(
        &self,
        image: &str,
        archive: impl tokio_stream::Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), String> {
        let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let version = env!("CARGO_PKG_VERSION");
        let changes = vec![format!("LABEL {VERSION}={version}"), r#"CMD ["/bin/sh"]"#.to_owned()];
        let options = CreateImageOptions {
            from_src: Some("-".into()),
            repo: Some(name.into()),
            tag: Some(tag.into()),
            changes,
            ..Default::default()
        };
        let mut steps = std::pin::pin!(self.api.create_image(Some(options), Some(body_try_stream(archive)), None));
        while let Some(step) = steps.next().await {
            let step = step.map_err(|answer| told(&answer))?;
            if let Some(problem) = step.error_detail.and_then(|detail| detail.message) {
                return Err(problem);
            }
        }
        Ok(())
    }
}

/// Passes on what a program writes; what it complained of last where it failed. A failure also breaks the archive off, so
/// that the Engine keeps no half of it.
async fn pump(mut making: Child, archive: mpsc::Sender<std::io::Result<Bytes>>) -> Option<String> {
    let (mut out, mut err) = (making.stdout.take()?, making.stderr.take()?);
    let complaints = tokio::spawn(async move {
        let mut said = Vec::new();
        let _ = err.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    });
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        match (&mut out).take(PIECE as u64).read_to_end(&mut piece).await {
            Ok(1..) if archive.send(Ok(piece.into())).await.is_ok() => {}
            Ok(_) | Err(_) => break,
        }
    }
    let ended = making.wait().await;
    if ended.is_ok_and(|status| status.success()) {
        return None;
    }
    let _ = archive.send(Err(std::io::ErrorKind::BrokenPipe.into())).await;
    let said = complaints.await.unwrap_or_default();
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    Some(last.map_or_else(|| "it failed and did not say why".to_owned(), str::to_owned))
}

/// What is said where there is no base and none can be made.
pub(super) fn none(pulled: &str, made: &str) -> DockerError {
    DockerError::Image {
        image: own(),
        why: format!(
            "the students' image needs a base, and there is none\n  \
             pull `{DEBIAN}`: {pulled}\n  \
             make it from Debian's packages: {made}"
        ),
        hint: Some(
            "one of three: let the Engine reach a registry; `apt-get install mmdebstrap` and run this as root; or name a \
             Debian image that is there with `--base IMAGE`. `--engine embedded` needs none"
                .into(),
        ),
    }
}
