//! The docker engine: a network, a server and a client per student for every group of a lab, on a Docker Engine. Here it is
//! connected to, observed and performed on; what should be is decided in `crate::plan::docker`.
//!
//! Objects are found by their labels alone, never by guessing names. The Engine's "not modified", "not found" and
//! "conflict" are answers that a second attempt expects.

mod about;
mod base;
pub mod copy;
pub mod ended;
pub mod exec;
mod home;
mod host;
mod image;
pub mod images;
mod labels;
pub mod logs;
mod make;
mod observe;
mod perform;
pub mod place;
mod program;
mod remove;
mod seccomp;
mod seed;
mod settle;
mod tend;
mod transport;
mod usage;
mod volume;

use std::sync::Arc;

use bollard::errors::Error as Answer;

pub use about::About;
pub use exec::{Dialer, Running};
pub use host::Host;
pub use image::Making;
pub use labels::Owner;
pub use perform::{Failure, Outcome, Progress, Work};
pub use remove::{Remains, Removal};
pub use tend::{Care, Tended};

use super::state::{CopyError, Home, LabDir, StateError};
use crate::{
    control::ClientError,
    lab::{GroupName, LabName, Subnet},
    plan::docker::NoRoom,
};

use self::place::{Endpoint, Place, PlaceError};

/// What can go wrong with an Engine.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// No Engine answers.
    #[error("no Docker Engine answers at {place}: {why}")]
    Unreachable {
        /// Where it was looked for.
        place: Place,
        /// Why not.
        why: String,
    },
    /// Another Engine than this one has the lab.
    #[error("lab `{lab}` is on the Engine at {}, and another one answers at {here}", home.place)]
    Elsewhere {
        /// The lab.
        lab: LabName,
        /// Where it is.
        home: Home,
        /// Which was asked.
        here: Place,
    },
    /// It is not known where the Engine is.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The Engine refused or failed.
    #[error("{what}: {}", told(source))]
    Engine {
        /// What was asked, with the object's name.
        what: String,
        /// Its answer.
        source: Answer,
    },
    /// An image could not be made.
    #[error("image `{image}`: {why}")]
    Image {
        /// Which.
        image: String,
        /// Why not.
        why: String,
        /// The way out.
        hint: Option<String>,
    },
    /// The servers' program cannot run there.
    #[error("`{}` is {target}, and the Engine at {place} runs {engine}: its servers would not start", program.display())]
    Foreign {
        /// The program.
        program: std::path::PathBuf,
        /// What it is for.
        target: String,
        /// The Engine.
        place: Box<Place>,
        /// What it runs on.
        engine: String,
        /// What is to be built, where that is known.
        triple: Option<&'static str>,
    },
    /// The pool has no addresses left.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// Somebody else was faster.
    #[error("somebody else took the subnet `{subnet}` meanwhile")]
    Overlap {
        /// Which.
        subnet: Subnet,
    },
    /// It was made, and the Engine says that it is not as it should be.
    #[error("it was made and is not as it should be: {why}")]
    Unstable {
        /// Why another plan would touch it.
        why: String,
    },
    /// A server could not be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// A copy of a store could not be put into its place.
    #[error(transparent)]
    Placing(#[from] CopyError),
    /// A copy of a store could not be written.
    #[error("copy the store of group `{group}`: {source}")]
    Copy {
        /// The group.
        group: String,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no container of that student that runs.
    #[error("{object} does not run")]
    NotRunning {
        /// Which.
        object: String,
    },
    /// An instructor froze it.
    #[error("{object} is frozen")]
    Frozen {
        /// Which.
        object: String,
    },
    /// Containers that are not the lab's are on one of its networks.
    #[error("{} on it", in_use(users))]
    InUse {
        /// Their names.
        users: Vec<String>,
    },
    /// A container stays though the Engine says that it goes.
    #[error("the Engine says that it is being removed, and it is still there")]
    Going,
    /// A program could not be started in a container.
    #[error("{what}: {why}")]
    Session {
        /// Which.
        what: String,
        /// Why not.
        why: String,
    },
    /// Files of a student could not be copied.
    #[error("copy `{whose}`: {source}")]
    Copying {
        /// Whose, and which.
        whose: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Files of a student were not copied, because something is there already.
    #[error("nothing of `{whose}` was copied: {}", in_the_way(blocked))]
    Blocked {
        /// Whose, and which.
        whose: String,
        /// What is there.
        blocked: copy::Blocked,
    },
    /// Somebody stopped it.
    #[error("stopped before it was done")]
    Stopped,
    /// Something of the lab is still there.
    #[error("still there: {}", left.join(", "))]
    Left {
        /// What.
        left: Vec<String>,
    },
}

impl DockerError {
    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { place, .. } => Some(way_in(place)),
            Self::Elsewhere { lab, .. } => Some(format!(
                "have `DOCKER_HOST` name that one; where it is gone, `labctl up {lab} --engine-changed` goes on here, from the \
                 copies of the stores, and `labctl down {lab} --engine-changed` forgets what was there"
            )),
            Self::Place(PlaceError::Context { .. }) => Some("`docker context ls` lists those there are".into()),
            Self::Place(_) => Some("`--engine embedded` needs no Engine".into()),
            Self::Image { hint, .. } => hint.clone(),
            Self::Foreign { triple, .. } => {
                let target = triple.unwrap_or("TARGET");
                Some(format!(
                    "name a program for that Engine with `--server-binary FILE`; `make dist TARGET={target}` builds one where \
                     that target's standard library is installed"
                ))
            }
            Self::NoRoom(NoRoom::Addresses { .. }) => Some(
                "choose another pool: `--pool 10.99.0.0/16`, or `pool = \"10.99.0.0/16\"` under `[docker]` in the lab file"
                    .into(),
            ),
            Self::NoRoom(NoRoom::Ports { .. }) => Some("make several labs of the class, or do without `publish`".into()),
            Self::Engine { source, .. } if has_port(source) => {
                Some("somebody else has that port of the host: `labctl up` again chooses another".into())
            }
            Self::NotRunning { .. } => Some("run `labctl up`".into()),
            Self::Frozen { .. } => Some("let it go on with `labctl thaw`".into()),
            Self::Blocked { blocked, .. } if blocked.forcible => {
                Some("copy to a new folder, or overwrite files with `--force`".into())
            }
            Self::Blocked { .. } => Some("copy to a new folder: `--force` overwrites files only, and follows no link".into()),
            Self::Left { .. } => Some("run `labctl down` again".into()),
            Self::InUse { .. } => Some("take it off with `docker network disconnect`, then run the same again".into()),
            Self::Going => Some("restart the Engine, then run the same again".into()),
            Self::Overlap { .. } => Some("run `labctl up` again".into()),
            Self::Session { .. } => Some("`labctl restart STUDENT` ends all that runs in a student's container".into()),
            Self::Unstable { .. }
            | Self::Engine { .. }
            | Self::Client(_)
            | Self::State(_)
            | Self::Copy { .. }
            | Self::Placing(_)
            | Self::Copying { .. }
            | Self::Stopped => None,
        }
    }
}

/// What can be done where nobody answers.
fn way_in(place: &Place) -> String {
    let said = match &place.endpoint {
        Endpoint::Unix(_) => {
            "start it (`systemctl start docker`), join the group `docker`, or say where it is with `DOCKER_HOST`"
        }
        Endpoint::Tcp(_) | Endpoint::Tls(..) => "look whether it runs, listens there, and is meant to talk TLS",
        Endpoint::Ssh(_) => "try `ssh HOST docker version`: it must work without a question, as the same user",
    };
    format!("{said}; `--engine embedded` needs none")
}

/// What the Engine said, without the library's words around it.
fn told(answer: &Answer) -> String {
    match answer {
        Answer::DockerResponseServerError { message, .. } => plain(message),
        other => other.to_string(),
    }
}

/// What an Engine said, without the names of its parts that passed it on, and without the numbers of containers, which mean
/// nothing to anybody.
fn plain(message: &str) -> String {
    const PARTS: [&str; 12] = [
        "Error response from daemon:",
        "OCI runtime exec failed:",
        "OCI runtime create failed:",
        "OCI runtime error:",
        "failed to create task for container:",
        "failed to create shim task:",
        "failed to create shim:",
        "runc create failed:",
        "runc:",
        "exec failed:",
        "container_linux.go:380:",
        "unable to start container process:",
    ];
    let mut rest = message.trim().trim_end_matches(": unknown").trim();
    while let Some(inner) = PARTS.iter().find_map(|part| rest.strip_prefix(part)) {
        rest = inner.trim_start();
    }
    let is_number = |word: &str| {
        let word = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        word.len() == 64 && word.bytes().all(|octet| octet.is_ascii_hexdigit())
    };
    let line = |line: &str| line.split(' ').filter(|word| !is_number(word)).collect::<Vec<_>>().join(" ");
    rest.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn in_the_way(blocked: &copy::Blocked) -> String {
    let more = if blocked.more > 0 { format!(", and {} more", blocked.more) } else { String::new() };
    blocked.places.join(", ") + &more
}

fn in_use(users: &[String]) -> String {
    let names: Vec<String> = users.iter().map(|name| format!("`{name}`")).collect();
    let is = if names.len() == 1 { "container" } else { "containers" };
    format!("{is} {} of somebody else {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

fn failed(what: impl Into<String>) -> impl FnOnce(Answer) -> DockerError {
    let what = what.into();
    move |source| DockerError::Engine { what, source }
}

/// Whether somebody else has a port that is to be published.
fn has_port(answer: &Answer) -> bool {
    let told = told(answer);
    ["port is already allocated", "address already in use"].iter().any(|why| told.contains(why))
}

/// The status of an answer; none where there was no answer.
fn status(answer: &Answer) -> Option<u16> {
    match answer {
        Answer::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// An answer whose status means that it is as it should be.
fn expected<T: Default>(answer: Result<T, Answer>, statuses: &[u16]) -> Result<T, Answer> {
    match answer {
        Err(answer) if status(&answer).is_some_and(|status| statuses.contains(&status)) => Ok(T::default()),
        other => other,
    }
}

/// A lab on a Docker Engine.
#[derive(Debug, Clone)]
pub struct Docker {
    api: bollard::Docker,
    place: Place,
    lab: LabName,
    owner: Owner,
    dir: LabDir,
    sizes: volume::Sizes,
    seeded: seed::Seeded,
    about: About,
    known: about::Known,
}

impl Docker {
    /// Connects to the Engine that the environment names, else to the one of this machine; an error where another one has
    /// the lab.
    pub async fn connect(dir: LabDir) -> Result<Self, DockerError> {
        let docker = Self::connect_anywhere(dir).await?;
        match docker.not_home().await? {
            Some(home) => Err(DockerError::Elsewhere { lab: docker.lab, home, here: docker.place }),
            None => Ok(docker),
        }
    }

    /// The same, whichever Engine has the lab.
    pub async fn connect_anywhere(dir: LabDir) -> Result<Self, DockerError> {
        let Host { api, place, about } = Host::connect().await?;
        let state = dir.state();
        let owner = Owner { id: state.owner()?.unwrap_or_default(), called: state.called() };
        let (lab, sizes, seeded) = (dir.name().clone(), volume::Sizes::default(), seed::Seeded::default());
        Ok(Self { api, place, lab, owner, dir, sizes, seeded, about, known: about::Known::default() })
    }

    /// The Engine.
    pub fn machine(&self) -> Host {
        Host { api: self.api.clone(), place: self.place.clone(), about: self.about.clone() }
    }

    /// The lab of the same name that is somebody else's: another state directory's, or another machine's.
    #[must_use]
    pub fn of_owner(self, owner: String) -> Self {
        Self { owner: Owner { id: owner, ..self.owner }, ..self }
    }

    /// The Engine's API, for who wants no lab of it.
    pub fn api(&self) -> &bollard::Docker {
        &self.api
    }

    /// What is kept of the lab here.
    pub fn dir(&self) -> &LabDir {
        &self.dir
    }

    /// A client of the server in this container.
    pub fn server_client(&self, group: &GroupName, server: &str) -> crate::control::Client {
        let servers = [(group.clone(), server.to_owned())].into();
        crate::control::Client::new(Arc::new(Dialer::new(self.api.clone(), servers)))
    }

    /// The lab's objects with their servers' control sockets in reach.
    pub async fn client(&self) -> Result<crate::control::Client, DockerError> {
        let servers = self.running_servers().await?;
        Ok(crate::control::Client::new(Arc::new(Dialer::new(self.api.clone(), servers))))
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engines_parts_and_numbers_are_nobodys_business() {
        let id = "0123456789abcdef".repeat(4);
        for (said, shown) in [
            (format!("Container {id} is not running\n"), "Container is not running"),
            (format!("Cannot pause container {id}: it is broken"), "Cannot pause container it is broken"),
            (
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \"x\": executable file not \
                 found in $PATH: unknown"
                    .to_owned(),
                "exec: \"x\": executable file not found in $PATH",
            ),
            ("a\n b".to_owned(), "a\n b"),
        ] {
            assert_eq!(plain(&said), shown);
        }
    }
}
