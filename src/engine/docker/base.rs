//! The base of the clients' image: pulled where a registry answers, else made from Debian's packages with mmdebstrap. Where
//! neither can be, the error says why not, and which three ways there are.

use std::{process::Stdio, time::Duration};

use bollard::{
    body_try_stream,
    query_parameters::{CreateImageOptions, CreateImageOptionsBuilder},
};
use hyper::body::Bytes;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
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

/// Runs it (`$0`) with a temporary folder of its own, until it is done or our end of its input is closed: also where we are
/// killed nothing of it is left.
const APART: &str = r#"
    folder=$(mktemp -d "${TMPDIR:-/tmp}/labctl-base-XXXXXXXX") && chmod 755 "$folder" || exit
    exec 3<&0
    TMPDIR=$folder setsid sh -c "$0" </dev/null 3<&- &
    making=$!
    (
        cat <&3 >/dev/null
        kill -s TERM -- "-$making" 2>/dev/null && sleep 20 && kill -s KILL -- "-$making"
    ) >/dev/null 2>&1 &
    watching=$!
    wait "$making"
    ended=$?
    kill "$watching" 2>/dev/null
    rm -rf "$folder" 2>/dev/null || mmdebstrap --unshare-helper rm -rf "$folder"
    exit $ended"#;

/// How mmdebstrap begins a line that says what it does.
const STEP: &str = "I: ";

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

    /// Makes labctl's own base from Debian's packages; or why not. This takes minutes, in which `say` hears how far it is.
    pub(super) async fn debootstrap(&self, image: &str, say: &dyn Fn(&str)) -> Result<(), String> {
        let mut shell = Command::new("sh");
        // In a group of its own: Ctrl-C is ours, and it ends when we do.
        shell.args(["-c", APART, SCRIPT]).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut making = shell.spawn().map_err(|problem| format!("start `sh`: {problem}"))?;
        let _ours = making.stdin.take().ok_or("`sh` has no input")?;
        let (send, archive) = mpsc::channel(PIECES);
        let (tell, mut told) = mpsc::channel(PIECES);
        let said = tokio::spawn(pump(making, send, tell));
        let imported = async {
            // The first piece says whether there will be an archive at all.
            let mut archive = ReceiverStream::new(archive);
            match archive.next().await {
                Some(first) => self.import(image, tokio_stream::once(first).chain(archive)).await,
                None => Err("it made nothing".into()),
            }
        };
        let mut imported = std::pin::pin!(imported);
        let imported = loop {
            tokio::select! {
                Some(step) = told.recv() => say(&step),
                imported = &mut imported => break imported,
            }
        };
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
async fn pump(
    mut making: Child,
    archive: mpsc::Sender<std::io::Result<Bytes>>,
    steps: mpsc::Sender<String>,
) -> Option<String> {
    let (mut out, err) = (making.stdout.take()?, making.stderr.take()?);
    let complaints = tokio::spawn(async move {
        let (mut lines, mut last) = (BufReader::new(err).split(b'\n'), None);
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            match line.strip_prefix(STEP) {
                // Who does not listen any more needs no news.
                Some(step) => drop(steps.send(format!("  {step}")).await),
                None if line.is_empty() => {}
                None => last = Some(line),
            }
        }
        last
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
    let last = complaints.await.unwrap_or_default();
    Some(last.unwrap_or_else(|| "it failed and did not say why".to_owned()))
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
            "one of three: let the Engine reach a registry; `apt-get install mmdebstrap` (it needs no root where the user has \
             lines in /etc/subuid and /etc/subgid, and the package uidmap is there); or name a Debian image that is there \
             with `--base IMAGE`. `--engine embedded` needs none"
                .into(),
        ),
    }
}
