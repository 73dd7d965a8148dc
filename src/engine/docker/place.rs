//! Where the Engine is, as Docker's own program finds it: `DOCKER_HOST`, else the context that `DOCKER_CONTEXT` or Docker's
//! configuration file names, else this machine's socket. Nothing is connected to here; variables and files are arguments.

use std::{
    fmt,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The socket of this machine's Engine.
const SOCKET: &str = "/var/run/docker.sock";

/// Ports of an Engine, without and with TLS.
const PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// The context that stands for no context.
const NO_CONTEXT: &str = "default";

/// How an Engine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// By a socket of this machine.
    Unix(PathBuf),
    /// By TCP, in the clear.
    Tcp(Address),
    /// By TCP with TLS; both sides show certificates.
    Tls(Address, Certificates),
    /// By a program on another machine, started through ssh.
    Ssh(Ssh),
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, an IPv6 one without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The folder with `ca.pem`, `cert.pem` and `key.pem`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates(pub PathBuf);

/// Where ssh goes, and the Engine's socket there where it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The host as ssh knows it, possibly from its own configuration.
    pub host: String,
    /// As whom; else as ssh's configuration says.
    pub user: Option<String>,
    /// The port of the ssh server; else as ssh's configuration says.
    pub port: Option<u16>,
    /// The Engine's socket over there.
    pub socket: Option<String>,
}

/// An Engine's place, and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// How it is reached.
    pub endpoint: Endpoint,
    /// Who said so.
    pub origin: Origin,
}

/// Who said where the Engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is where Engines are.
    Usual,
    /// The variable `DOCKER_HOST`.
    Variable,
    /// A context of Docker's, by its name.
    Context(String),
}

/// Why it is not known where the Engine is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// What names the host is none.
    #[error("`{host}`{origin} is no place of an Engine: {why}")]
    Host {
        /// What was written.
        host: String,
        /// Where.
        origin: Origin,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The context is not there.
    #[error("docker context `{name}`, which {by} names, is not there: {why}")]
    Context {
        /// Its name.
        name: String,
        /// Who named it.
        by: String,
        /// What was looked for.
        why: String,
    },
    /// A file of Docker's does not read.
    #[error("`{}` does not read: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Docker's configuration file, the part that is of interest.
#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

/// A context's `meta.json`.
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints")]
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Docker,
}

#[derive(Deserialize)]
struct Docker {
    #[serde(rename = "Host")]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

/// Finds the place with the variables and files that there are; a file that is not there is `NotFound`.
pub fn find(
    variable: impl Fn(&str) -> Option<String>,
    read: impl Fn(&Path) -> io::Result<String>,
) -> Result<Place, PlaceError> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker"))).unwrap_or_default();
    if let Some(host) = variable("DOCKER_HOST") {
        let own = variable("DOCKER_CERT_PATH").map_or_else(|| folder.clone(), PathBuf::from);
        let certificates = variable("DOCKER_TLS_VERIFY").map(|_| Certificates(own));
        return place(&host, Origin::Variable, certificates);
    }
    let file = folder.join("config.json");
    let (name, by) = match variable("DOCKER_CONTEXT") {
        Some(name) => (name, "`DOCKER_CONTEXT`".to_owned()),
        None => (current_context(&file, &read)?, format!("`{}`", file.display())),
    };
    if name.is_empty() || name == NO_CONTEXT {
        return Ok(Place { endpoint: Endpoint::Unix(SOCKET.into()), origin: Origin::Usual });
    }
    context(&folder, name, by, &read)
}

fn current_context(file: &Path, read: &impl Fn(&Path) -> io::Result<String>) -> Result<String, PlaceError> {
    let wrong = |why: String| PlaceError::File { path: file.to_owned(), why };
    match read(file) {
        Ok(text) => serde_json::from_str(&text)
            .map(|configuration: Configuration| configuration.current_context)
            .map_err(|problem| wrong(problem.to_string())),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(problem) => Err(wrong(problem.to_string())),
    }
}

/// The place that a context names; Docker keeps contexts in folders that are called by the digest of their names.
fn context(
    folder: &Path,
    name: String,
    by: String,
    read: &impl Fn(&Path) -> io::Result<String>,
) -> Result<Place, PlaceError> {
    let mut id = String::new();
    for octet in Sha256::digest(&name) {
        let _ = write!(id, "{octet:02x}");
    }
    let path = folder.join("contexts/meta").join(&id).join("meta.json");
    let text = match read(&path) {
        Ok(text) => text,
        Err(problem) => {
            return Err(PlaceError::Context { name, by, why: format!("`{}`: {problem}", path.display()) });
        }
    };
    let wrong = |why: String| PlaceError::File { path: path.clone(), why };
    let meta: Meta = serde_json::from_str(&text).map_err(|problem| wrong(problem.to_string()))?;
    let certificates = folder.join("contexts/tls").join(&id).join("docker");
    let has_certificates = read(&certificates.join("cert.pem")).is_ok();
    if has_certificates && meta.endpoints.docker.skip_tls_verify {
        return Err(wrong("labctl always verifies an Engine that it talks TLS to, and `SkipTLSVerify` is on".into()));
    }
    let certificates = has_certificates.then_some(Certificates(certificates));
    place(&meta.endpoints.docker.host, Origin::Context(name), certificates)
}

fn place(host: &str, origin: Origin, certificates: Option<Certificates>) -> Result<Place, PlaceError> {
    let endpoint = endpoint(host, certificates);
    let wrong = |why| PlaceError::Host { host: host.to_owned(), origin: origin.clone(), why };
    Ok(Place { endpoint: endpoint.map_err(wrong)?, origin })
}

fn endpoint(host: &str, certificates: Option<Certificates>) -> Result<Endpoint, &'static str> {
    let (scheme, rest) = host.split_once("://").unwrap_or(("tcp", host));
    match (scheme, certificates) {
        ("unix", _) if rest.starts_with('/') => Ok(Endpoint::Unix(rest.into())),
        ("unix", _) => Err("a socket's path begins with `/`, so there are three: `unix:///run/docker.sock`"),
        ("tcp" | "https", Some(certificates)) => address(rest, TLS_PORT).map(|to| Endpoint::Tls(to, certificates)),
        ("https", None) => Err("set `DOCKER_TLS_VERIFY=1` and `DOCKER_CERT_PATH` to the folder of the certificates"),
        ("tcp" | "http", _) => address(rest, PORT).map(Endpoint::Tcp),
        ("ssh", _) => ssh(rest).map(Endpoint::Ssh),
        _ => Err("write `unix:///PATH`, `tcp://HOST:PORT` or `ssh://USER@HOST`"),
    }
}

fn address(text: &str, usual: u16) -> Result<Address, &'static str> {
    let (host, port) = host_and_port(text.trim_end_matches('/'))?;
    Ok(Address { host: host.to_owned(), port: port.unwrap_or(usual) })
}

fn ssh(text: &str) -> Result<Ssh, &'static str> {
    let (authority, path) = text.split_once('/').map_or((text, ""), |(authority, path)| (authority, path));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (host, port) = host_and_port(host)?;
    // ssh would take such a word for an option.
    if host.starts_with('-') || user.is_some_and(|user| user.starts_with('-') || user.is_empty()) {
        return Err("a user or a host does not begin with `-`");
    }
    if user.is_some_and(|user| user.contains(':')) {
        return Err("leave the password out: ssh asks for it, or has a key");
    }
    let socket = (!path.is_empty()).then(|| format!("/{path}"));
    Ok(Ssh { host: host.to_owned(), user: user.map(str::to_owned), port, socket })
}

fn host_and_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let port = |text: &str| text.parse().map_err(|_| "a port is a number up to 65535");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(port(rest.strip_prefix(':').ok_or("only a port follows `]`")?)?)),
            None => return Err("the `]` of an IPv6 address is missing"),
        },
        None => match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => return Err("an IPv6 address stands in `[` and `]`"),
            Some((host, digits)) => (host, Some(port(digits)?)),
            None => (text, None),
        },
    };
    let plain = |letter: char| !letter.is_control() && !letter.is_whitespace() && !"/?#@'\"\\".contains(letter);
    if host.is_empty() || !host.chars().all(plain) {
        return Err("the name of the host is missing or wrong");
    }
    Ok((host, port))
}

impl Place {
    /// Whether the Engine runs on this machine, so that this machine's routes are its routes.
    pub fn is_local(&self) -> bool {
        matches!(self.endpoint, Endpoint::Unix(_))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(out, "[{host}]:{port}") } else { write!(out, "{host}:{port}") }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix://{}", path.display()),
            Self::Tcp(address) => write!(out, "tcp://{address}"),
            Self::Tls(address, _) => write!(out, "tcp://{address} with TLS"),
            Self::Ssh(Ssh { host, user, port, socket }) => {
                out.write_str("ssh://")?;
                user.iter().try_for_each(|user| write!(out, "{user}@"))?;
                if host.contains(':') { write!(out, "[{host}]") } else { out.write_str(host) }?;
                port.iter().try_for_each(|port| write!(out, ":{port}"))?;
                socket.iter().try_for_each(|socket| out.write_str(socket))
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => Ok(()),
            Self::Variable => out.write_str(" (from `DOCKER_HOST`)"),
            Self::Context(name) => write!(out, " (docker context `{name}`)"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}`{}", self.endpoint, self.origin)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The place with these variables and files, in words.
    fn found(variables: &[(&str, &str)], files: &[(&str, &str)]) -> String {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().chain([("HOME", "/home/ana")]).collect();
        let files: BTreeMap<&Path, &str> = files.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
        let found = find(
            |name| variables.get(name).map(|value| (*value).to_owned()),
            |path| files.get(path).map(|text| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into()),
        );
        match found {
            Ok(Place { endpoint: Endpoint::Tls(address, Certificates(folder)), origin }) => {
                format!("tls {address} {}{origin}", folder.display())
            }
            Ok(place) => place.to_string(),
            Err(problem) => problem.to_string(),
        }
    }

    fn host(host: &str) -> String {
        found(&[("DOCKER_HOST", host)], &[])
    }

    #[test]
    fn without_variables_and_files_it_is_this_machines_socket() {
        assert_eq!(found(&[], &[]), "`unix:///var/run/docker.sock`");
        assert_eq!(found(&[("DOCKER_HOST", "")], &[]), "`unix:///var/run/docker.sock`");
        let unnamed = [("/home/ana/.docker/config.json", r#"{"auths":{}}"#)];
        assert_eq!(found(&[], &unnamed), "`unix:///var/run/docker.sock`");
        assert_eq!(found(&[("DOCKER_CONTEXT", "default")], &[]), "`unix:///var/run/docker.sock`");
    }

    #[test]
    fn hosts_of_each_kind_are_read() {
        assert_eq!(host("unix:///run/podman.sock"), "`unix:///run/podman.sock` (from `DOCKER_HOST`)");
        assert_eq!(host("tcp://10.0.0.1"), "`tcp://10.0.0.1:2375` (from `DOCKER_HOST`)");
        assert_eq!(host("tcp://[fd00::1]:2000/"), "`tcp://[fd00::1]:2000` (from `DOCKER_HOST`)");
        assert_eq!(host("lab:2000"), "`tcp://lab:2000` (from `DOCKER_HOST`)");
        assert_eq!(host("ssh://ana@lab"), "`ssh://ana@lab` (from `DOCKER_HOST`)");
        assert_eq!(host("ssh://lab:2222/run/d.sock"), "`ssh://lab:2222/run/d.sock` (from `DOCKER_HOST`)");
    }

    #[test]
    fn tls_needs_the_variable_and_finds_its_certificates() {
        let tls = |path: &[(&'static str, &'static str)]| {
            let variables = [("DOCKER_HOST", "tcp://lab"), ("DOCKER_TLS_VERIFY", "1")];
            found(&[&variables, path].concat(), &[])
        };
        assert_eq!(tls(&[]), "tls lab:2376 /home/ana/.docker (from `DOCKER_HOST`)");
        assert_eq!(tls(&[("DOCKER_CERT_PATH", "/certs")]), "tls lab:2376 /certs (from `DOCKER_HOST`)");
        assert!(host("https://lab").contains("set `DOCKER_TLS_VERIFY=1`"));
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_origin_and_the_way_out() {
        for (wrong, why) in [
            ("unix://run/docker.sock", "begins with `/`"),
            ("npipe:////./pipe/docker", "write `unix:///PATH`"),
            ("tcp://lab:70000", "a number up to 65535"),
            ("tcp://fd00::1", "`[` and `]`"),
            ("tcp://[fd00::1", "missing"),
            ("tcp://", "missing or wrong"),
            ("ssh://-oProxyCommand=x", "does not begin with `-`"),
            ("ssh://-l@lab", "does not begin with `-`"),
            ("ssh://ana:secret@lab", "leave the password out"),
            ("ssh://a b", "missing or wrong"),
        ] {
            let said = host(wrong);
            assert!(said.contains(why) && said.contains("(from `DOCKER_HOST`)"), "{wrong}: {said}");
        }
    }

    /// `printf lab | sha256sum`
    const LAB: &str = "a51146d38077ff992eba84cf1d5e9b249073503eb74868699016153b031a38f7";

    #[test]
    fn the_current_context_is_followed_and_the_variable_wins() {
        let meta = |id: &str| format!("/home/ana/.docker/contexts/meta/{id}/meta.json");
        let (lab, over_tls) = (meta(LAB), format!("/home/ana/.docker/contexts/tls/{LAB}/docker/cert.pem"));
        let config = ("/home/ana/.docker/config.json", r#"{"currentContext":"lab"}"#);
        let ssh = (lab.as_str(), r#"{"Name":"lab","Endpoints":{"docker":{"Host":"ssh://lab","SkipTLSVerify":false}}}"#);
        assert_eq!(found(&[], &[config, ssh]), "`ssh://lab` (docker context `lab`)");
        assert_eq!(found(&[("DOCKER_CONTEXT", "default")], &[config, ssh]), "`unix:///var/run/docker.sock`");
        let variable = [("DOCKER_HOST", "tcp://x"), ("DOCKER_CONTEXT", "lab")];
        assert_eq!(found(&variable, &[config, ssh]), "`tcp://x:2375` (from `DOCKER_HOST`)");
        let tcp = (lab.as_str(), r#"{"Endpoints":{"docker":{"Host":"tcp://lab"}}}"#);
        let folder = over_tls.trim_end_matches("/cert.pem");
        let certificate = (over_tls.as_str(), "");
        let expected = format!("tls lab:2376 {folder} (docker context `lab`)");
        assert_eq!(found(&[], &[config, tcp, certificate]), expected);
        let unverified = (lab.as_str(), r#"{"Endpoints":{"docker":{"Host":"tcp://lab","SkipTLSVerify":true}}}"#);
        assert!(found(&[], &[config, unverified, certificate]).contains("`SkipTLSVerify` is on"));
    }

    #[test]
    fn a_context_that_is_not_there_and_files_that_do_not_read_are_named() {
        let gone = found(&[("DOCKER_CONTEXT", "lab")], &[]);
        assert!(gone.starts_with("docker context `lab`, which `DOCKER_CONTEXT` names, is not there"), "{gone}");
        let torn = found(&[], &[("/home/ana/.docker/config.json", "{")]);
        assert!(torn.starts_with("`/home/ana/.docker/config.json` does not read"), "{torn}");
    }
}
