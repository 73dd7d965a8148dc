//! The streams on which the Engine's API is spoken: a Unix socket, TCP, TLS, or a program on another machine that ssh starts
//! and that passes everything on (`docker system dial-stdio`). What is spoken on them is the library's.

use std::{
    error::Error,
    fmt, fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, BollardRequest, errors::Error as Answer, models::SystemVersion};
use hyper::{Uri, http::uri::PathAndQuery};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    process::Command,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::place::{Address, Certificates, Endpoint, Place, Ssh};

/// How long an Engine may take to answer a request, in seconds: creating containers waits for its disk.
const REQUEST_SECS: u64 = 120;

/// How long a machine may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The same for ssh, in seconds.
const SSH_CONNECT_SECS: u32 = 10;

/// How long an ssh connection is kept for the next command, in seconds: setting one up takes most of a second.
const SSH_KEEP_SECS: u32 = 30;

/// How much of what ssh has to say is kept for an error message, in octets.
const SSH_WORDS: usize = 2_048;

/// The longest path that ssh takes for its socket: it appends 17 characters before it renames it.
const SSH_SOCKET: usize = 80;

/// The API on a place's streams. Nothing is connected yet; what ssh will have to say is in the second value, and the third
/// says which version is spoken.
pub(super) fn api(place: &Place) -> Result<(bollard::Docker, Words, Spoken), io::Error> {
    let (words, spoken) = (Words::default(), Spoken::default());
    let dial = Dial::new(place, words.clone())?;
    let client = Client::builder(TokioExecutor::new()).build(dial);
    let version = spoken.clone();
    let transport = move |mut request: BollardRequest| {
        let client = client.clone();
        version.put_before(request.uri_mut());
        async move { client.request(request).await.map_err(|problem| Answer::from(innermost(&problem))) }
    };
    let api = bollard::Docker::connect_with_custom_transport(
        transport,
        Some("http://docker"),
        REQUEST_SECS,
        API_DEFAULT_VERSION,
    );
    Ok((api.map_err(io::Error::other)?, words, spoken))
}

/// The version of the API that is spoken: without one in its path a request means whatever the Engine speaks by default, which
/// changes with each Engine. The library leaves it out.
#[derive(Debug, Clone, Default)]
pub(super) struct Spoken(Arc<OnceLock<String>>);

impl Spoken {
    /// From now on the newest version that both sides speak.
    pub fn settle(&self, engine: &SystemVersion) {
        let ours = version(&format!("{}.{}", API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version));
        let theirs = engine.api_version.as_deref().and_then(version);
        if let Some((major, minor)) = theirs.min(ours).or(ours) {
            let _ = self.0.set(format!("/v{major}.{minor}"));
        }
    }

    fn put_before(&self, uri: &mut Uri) {
        let (Some(version), Some(path)) = (self.0.get(), uri.path_and_query()) else { return };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(format!("{version}{path}")).ok();
        if let Ok(versioned) = Uri::from_parts(parts) {
            *uri = versioned;
        }
    }
}

fn version(text: &str) -> Option<(usize, usize)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What happened, without the libraries' words around it.
fn innermost(problem: &dyn Error) -> io::Error {
    match problem.source() {
        Some(source) => innermost(source),
        None => io::Error::other(problem.to_string()),
    }
}

/// What ssh had to say: why it could not, mostly.
#[derive(Debug, Clone, Default)]
pub(super) struct Words(Arc<Mutex<Vec<u8>>>);

impl Words {
    /// Its last line; none where it said nothing.
    pub fn last(&self) -> Option<String> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&said);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
    }

    fn add(&self, more: &[u8]) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(more);
        let over = said.len().saturating_sub(SSH_WORDS);
        said.drain(..over);
    }
}

/// Makes streams to one Engine.
#[derive(Clone)]
struct Dial(Arc<To>);

enum To {
    Unix(PathBuf),
    Tcp(Address),
    Tls(Address, ServerName<'static>, TlsConnector),
    Ssh { to: Ssh, folder: Option<tempfile::TempDir>, words: Words },
}

impl Dial {
    fn new(place: &Place, words: Words) -> io::Result<Self> {
        Ok(Self(Arc::new(match &place.endpoint {
            Endpoint::Unix(path) => To::Unix(path.clone()),
            Endpoint::Tcp(address) => To::Tcp(address.clone()),
            Endpoint::Tls(address, certificates) => {
                let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
                To::Tls(address.clone(), name, connector(certificates)?)
            }
            // Nobody else may write where ssh has its socket.
            Endpoint::Ssh(ssh) => {
                let folder = tempfile::Builder::new().prefix("labctl-ssh-").tempdir()?;
                let folder = Some(folder).filter(|folder| folder.path().as_os_str().len() <= SSH_SOCKET);
                To::Ssh { to: ssh.clone(), folder, words }
            }
        })))
    }

    async fn dial(&self) -> io::Result<Wire> {
        match self.0.as_ref() {
            To::Unix(path) => UnixStream::connect(path).await.map(Wire::new),
            To::Tcp(address) => tcp(address).await.map(Wire::new),
            To::Tls(address, name, tls) => tls.connect(name.clone(), tcp(address).await?).await.map(Wire::new),
            To::Ssh { to, folder, words } => {
                ssh(to, folder.as_ref().map(tempfile::TempDir::path), words).map(Wire::new)
            }
        }
    }
}

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move { dial.dial().await.map(TokioIo::new) })
    }
}

async fn tcp(address: &Address) -> io::Result<TcpStream> {
    let connected = timeout(CONNECT, TcpStream::connect((address.host.as_str(), address.port))).await;
    let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Trusts the certificate authority of the folder and nobody else, and shows the folder's own certificate.
fn connector(Certificates(folder): &Certificates) -> io::Result<TlsConnector> {
    let path = |name: &str| folder.join(name);
    let wrong = |name: &str, why: &dyn fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {why}", path(name).display()))
    };
    let read = |name: &str| fs::read(path(name)).map_err(|problem| wrong(name, &problem));
    let certificates = |name: &str| -> io::Result<Vec<CertificateDer<'static>>> {
        let octets = read(name)?;
        CertificateDer::pem_slice_iter(&octets).collect::<Result<_, _>>().map_err(|problem| wrong(name, &problem))
    };
    let mut roots = rustls::RootCertStore::empty();
    for authority in certificates("ca.pem")? {
        roots.add(authority).map_err(|problem| wrong("ca.pem", &problem))?;
    }
    let key = PrivateKeyDer::from_pem_slice(&read("key.pem")?).map_err(|problem| wrong("key.pem", &problem))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates("cert.pem")?, key)
        .map_err(|problem| wrong("cert.pem", &problem))?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A program over there whose input and output are a socket pair, so that either side can say that it is done. The first ssh
/// stays for those after it, also of this process's children, and goes when nobody has used it for a while.
fn ssh(to: &Ssh, folder: Option<&Path>, words: &Words) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = OwnedFd::from(theirs.into_std()?);
    let mut command = Command::new("ssh");
    for (flag, value) in [("-l", to.user.clone()), ("-p", to.port.map(|port| port.to_string()))] {
        if let Some(value) = value {
            command.args([flag, &value]);
        }
    }
    command.args(["-T", "-o", &format!("ConnectTimeout={SSH_CONNECT_SECS}")]);
    if let Some(folder) = folder {
        command.args(["-o", "ControlMaster=auto", "-o", &format!("ControlPersist={SSH_KEEP_SECS}")]);
        command.args(["-o", &format!("ControlPath={}", folder.join("s").display())]);
    }
    command.args(["--", &to.host, "docker"]);
    if let Some(socket) = &to.socket {
        command.args(["--host", &quoted(&format!("unix://{socket}"))]);
    }
    command.args(["system", "dial-stdio"]);
    std_blocking(&theirs)?;
    command.stdin(Stdio::from(theirs.try_clone()?)).stdout(Stdio::from(theirs)).stderr(Stdio::piped());
    let mut child = command
        .kill_on_drop(true)
        .spawn()
        .map_err(|problem| io::Error::new(problem.kind(), format!("start `ssh`: {problem}")))?;
    // The command holds the other end of the pair, whose end is how we learn that ssh has ended.
    drop(command);
    let (mut errors, words) = (child.stderr.take(), words.clone());
    tokio::spawn(async move {
        let mut said = [0; 512];
        if let Some(errors) = &mut errors {
            while let Ok(octets @ 1..) = errors.read(&mut said).await {
                words.add(&said[..octets]);
            }
        }
        let _ = child.wait().await;
    });
    Ok(ours)
}

/// ssh expects its input and output to block.
fn std_blocking(descriptor: &OwnedFd) -> io::Result<()> {
    rustix::io::ioctl_fionbio(descriptor, false).map_err(io::Error::from)
}

/// A word for the shell over there.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A stream of any kind.
struct Wire(Pin<Box<dyn Stream>>);

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

impl Wire {
    fn new(stream: impl Stream + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_both_speak_is_in_every_path() {
        let spoken = |theirs: &str| {
            let spoken = Spoken::default();
            let mut uri: Uri = "http://docker/containers/json?all=true".parse().unwrap();
            spoken.put_before(&mut uri);
            assert_eq!(uri.path(), "/containers/json", "nothing is known yet");
            spoken.settle(&SystemVersion { api_version: Some(theirs.to_owned()), ..Default::default() });
            spoken.put_before(&mut uri);
            uri.to_string()
        };
        assert_eq!(spoken("1.41"), "http://docker/v1.41/containers/json?all=true");
        assert_eq!(spoken("1.9"), "http://docker/v1.9/containers/json?all=true");
        let own = format!("v{}.{}/", API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
        assert!(["1.999", "nonsense"].map(spoken).iter().all(|uri| uri.contains(&own)));
    }

    #[test]
    fn a_socket_over_there_is_one_word_of_its_shell() {
        assert_eq!(quoted("unix:///run/a b's"), r"'unix:///run/a b'\''s'");
    }

    #[test]
    fn of_what_ssh_says_the_last_line_is_kept() {
        let words = Words::default();
        assert_eq!(words.last(), None);
        words.add(&[b'x'; SSH_WORDS]);
        words.add(b"\nPermission denied\r\n\n");
        assert_eq!(words.last().as_deref(), Some("Permission denied"));
        assert_eq!(words.0.lock().unwrap().len(), SSH_WORDS);
    }
}
