//! What can go wrong with a command: one enum, which knows its exit code and the way out. Printing is `super::output`.

use std::{collections::BTreeSet, io, net::IpAddr, path::PathBuf};

use super::exit::Exit;
use crate::{
    control::ClientError,
    engine::{StateError, docker::DockerError, embedded::EngineError},
    lab::{EngineKind, FaultId, GroupName, LabName, Login},
    rehearse::StageError,
    store::StoreError,
};

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard output or standard error is gone.
    #[error("print: {0}")]
    Output(io::Error),
    /// There is nobody to ask.
    #[error("`{question}` cannot be asked: standard input is no terminal")]
    CannotAsk {
        /// The question.
        question: String,
    },
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The process that serves the lab.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The control API.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rehearsal could not be carried out.
    #[error(transparent)]
    Rehearsal(#[from] StageError),
    /// A file or folder of the user's.
    #[error("{what} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody stopped it.
    #[error("stopped before it was done")]
    Interrupted,
    /// The runtime for sockets could not be made.
    #[error("start the runtime: {0}")]
    Runtime(io::Error),
    /// No lab was named and none is the obvious one.
    #[error("which lab? there is no `lab.toml` here, and {}", labs(known))]
    WhichLab {
        /// The labs that labctl knows, with whether they are up.
        known: Vec<(LabName, bool)>,
    },
    /// The folder that was named has no lab file.
    #[error("folder `{}` has no `lab.toml`", .0.display())]
    NoLabFile(PathBuf),
    /// No lab is called so.
    #[error("there is no lab `{name}`: no such file, no folder with a `lab.toml`, and {}", labs(known))]
    UnknownLab {
        /// What was written.
        name: String,
        /// The labs that labctl knows, with whether they are up.
        known: Vec<(LabName, bool)>,
        /// The one that may have been meant.
        near: Option<String>,
    },
    /// The lab is somebody else's.
    #[error("no lab `{name}` is yours; the Engine has one of {}", names(owners.iter()))]
    NotYours {
        /// The lab.
        name: LabName,
        /// Whose labs of this name there are.
        owners: BTreeSet<String>,
    },
    /// Nobody is called so who has such a lab.
    #[error("the Engine has no lab `{lab}` of `{owner}`")]
    UnknownOwner {
        /// The lab.
        lab: String,
        /// The owner.
        owner: String,
    },
    /// The lab has errors, which were shown.
    #[error("{} in lab `{}`", count(*errors, "error"), path.display())]
    WrongLab {
        /// The lab file.
        path: PathBuf,
        /// How many.
        errors: usize,
    },
    /// Another lab file has this name.
    #[error("lab `{name}` is another one: labctl knows it from `{}`", source_file.display())]
    OtherLab {
        /// The name.
        name: LabName,
        /// The file it was brought up from.
        source_file: PathBuf,
    },
    /// The lab runs, or has mail and evidence, on another engine.
    #[error("lab `{name}` has its mail and evidence on engine `{}`", engine.as_str())]
    OtherEngine {
        /// The lab.
        name: LabName,
        /// Where it was brought up.
        engine: EngineKind,
    },
    /// The verb is about containers, and the lab has none.
    #[error("lab `{name}` runs on the embedded engine, where students have no containers")]
    NoContainers {
        /// The lab.
        name: LabName,
    },
    /// The verb is about containers, and the lab has none; there may be something else that does it.
    #[error("`{verb}` is for containers, and lab `{name}` runs on the embedded engine")]
    OnlyContainers {
        /// The lab.
        name: LabName,
        /// The verb.
        verb: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// Neither or both of the places of `cp` are a student's.
    #[error("one of `{from}` and `{to}` must be a student's, written `STUDENT:PATH`, and only one")]
    Sides {
        /// From where.
        from: String,
        /// Where to.
        to: String,
    },
    /// A path in a student's home is none.
    #[error("`{path}`: {why}")]
    HomePath {
        /// What was written.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The lab that was named is up from a file that is another lab now.
    #[error("`{}` was lab `{name}` and is lab `{now}` now", source_file.display())]
    Renamed {
        /// The lab that was named.
        name: LabName,
        /// What its file says.
        now: LabName,
        /// The file.
        source_file: PathBuf,
    },
    /// The lab was never up.
    #[error("lab `{name}` was never up")]
    NeverUp {
        /// The lab.
        name: String,
    },
    /// Nobody gave the lab's servers certificates.
    #[error("the servers of lab `{0}` have no certificates")]
    NoAuthority(LabName),
    /// The lab is not up.
    #[error("lab `{name}` is not up")]
    NotUp {
        /// The lab.
        name: LabName,
    },
    /// An address that stands for all addresses was given.
    #[error("`{address}` stands for every address of this machine, and students need one to connect to")]
    Wildcard {
        /// What was given.
        address: IpAddr,
        /// The one that students are likely to reach.
        own: Option<IpAddr>,
    },
    /// Nobody in the lab is called so.
    #[error("lab `{lab}` has no student or group `{who}`")]
    Nobody {
        /// The lab.
        lab: LabName,
        /// What was written.
        who: String,
        /// The one that may have been meant.
        near: Option<String>,
    },
    /// A student is wanted, and a group was named.
    #[error("`{group}` is a group")]
    GroupNotStudent {
        /// The group.
        group: GroupName,
        /// Its students.
        students: Vec<String>,
    },
    /// No lab is called so, and no lab is the obvious one in which somebody could be.
    #[error("there is no lab `{name}`, and whose student or group it is was not said: {}", labs(known))]
    NobodyOrLab {
        /// What was written.
        name: String,
        /// The labs that labctl knows, with whether they are up.
        known: Vec<(LabName, bool)>,
        /// The lab that may have been meant.
        near: Option<String>,
    },
    /// The lab was never up, and one that is up has lost its file: the folder was renamed.
    #[error("lab `{here}` was never up; lab `{name}` is up, and its file `{}` is gone", source_file.display())]
    FileGone {
        /// The lab at hand.
        here: LabName,
        /// The one that is up.
        name: LabName,
        /// Where its file was.
        source_file: PathBuf,
    },
    /// The lab has no such mail.
    #[error("lab `{lab}` has no mail `{mail}`")]
    UnknownMail {
        /// The lab.
        lab: LabName,
        /// What was written.
        mail: String,
        /// The ones it has.
        known: Vec<String>,
    },
    /// The lab has no such session.
    #[error("lab `{lab}` has no exercise in session {session}")]
    UnknownSession {
        /// The lab.
        lab: LabName,
        /// What was written.
        session: u32,
    },
    /// No server has this number.
    #[error("{place} has no {what} {number}")]
    NoNumber {
        /// A connection, an event or a message.
        what: &'static str,
        /// Its number.
        number: u64,
        /// Where it was looked for.
        place: String,
    },
    /// Several servers have this number.
    #[error("which {what} {number}? groups `{}` have one each", groups.join("`, `"))]
    SeveralNumbers {
        /// A connection or an event.
        what: &'static str,
        /// Its number.
        number: u64,
        /// The groups.
        groups: Vec<String>,
    },
    /// What the command line says does not fit together.
    #[error("{why}")]
    Usage {
        /// What is wrong.
        why: String,
    },
    /// Whoever is meant meets no such fault.
    #[error("`{who}` meets no fault `{fault}`")]
    UnknownFault {
        /// Who was meant.
        who: String,
        /// What was written.
        fault: FaultId,
    },
    /// There is no such template.
    #[error("there is no template `{name}`")]
    UnknownTemplate {
        /// What was written.
        name: String,
        /// The ones there are.
        known: Vec<String>,
    },
    /// What would be made is there already.
    #[error("`{}` is there already", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A configuration for `serve` does not read.
    #[error("configuration `{}`: {why}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The student has no such connection open.
    #[error("`{student}` has no connection {conn} open")]
    NoSession {
        /// The student.
        student: Login,
        /// The connection's number.
        conn: u64,
    },
    /// The process that watches over this one has gone.
    #[error("process {watcher} has gone, which watches over this one")]
    Unwatched {
        /// Which.
        watcher: u32,
    },
    /// Another process serves the lab.
    #[error("process {pid} serves `{}` already", dir.display())]
    Served {
        /// The lab's folder.
        dir: PathBuf,
        /// The process.
        pid: u32,
    },
}

impl Error {
    /// The error of a file or folder of the user's.
    pub fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    /// The exit code. A reader that has seen enough (`| head`) is no failure.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Output(problem) if problem.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Engine(EngineError::Docker(DockerError::Left { .. })) => Exit::Partly,
            Self::Output(_)
            | Self::State(_)
            | Self::Engine(_)
            | Self::Client(_)
            | Self::Store(_)
            | Self::Rehearsal(_)
            | Self::File { .. }
            | Self::Runtime(_)
            | Self::Interrupted
            | Self::OtherLab { .. }
            | Self::OtherEngine { .. }
            | Self::NoContainers { .. }
            | Self::OnlyContainers { .. }
            | Self::Renamed { .. }
            | Self::Exists { .. }
            | Self::Configuration { .. }
            | Self::Unwatched { .. }
            | Self::Served { .. } => Exit::Failed,
            Self::CannotAsk { .. }
            | Self::UnknownTemplate { .. }
            | Self::Usage { .. }
            | Self::Wildcard { .. }
            | Self::Sides { .. }
            | Self::HomePath { .. } => Exit::Usage,
            Self::WrongLab { .. } => Exit::WrongLab,
            Self::WhichLab { .. }
            | Self::UnknownLab { .. }
            | Self::NotYours { .. }
            | Self::UnknownOwner { .. }
            | Self::NoLabFile(_)
            | Self::NeverUp { .. }
            | Self::NotUp { .. }
            | Self::NoAuthority(_)
            | Self::Nobody { .. }
            | Self::GroupNotStudent { .. }
            | Self::NobodyOrLab { .. }
            | Self::FileGone { .. }
            | Self::UnknownMail { .. }
            | Self::UnknownFault { .. }
            | Self::NoSession { .. }
            | Self::UnknownSession { .. }
            | Self::NoNumber { .. }
            | Self::SeveralNumbers { .. } => Exit::Unknown,
        }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::SeveralNumbers { groups, .. } => {
                Some(format!("name the group: `labctl trace {}`", groups.first().map_or("GROUP", String::as_str)))
            }
            Self::CannotAsk { .. } => Some("pass `--yes` if the answer is yes".into()),
            Self::Engine(problem) => problem.hint(),
            Self::File { what: "read the lab", source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("if it moved, say where it is now: `labctl up NEW/PLACE`".into())
            }
            Self::File { source, path, .. } | Self::State(StateError::File { source, path, .. })
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                Some(format!("free space on the disk of `{}`", path.display()))
            }
            Self::State(StateError::NoHome) => Some("name a folder with `--state-dir`".into()),
            Self::State(StateError::SocketPath(_)) => Some("choose a shorter folder with `--state-dir`".into()),
            Self::State(StateError::NoBlock) => Some("stop a lab with `labctl down NAME`; `labctl status` lists them".into()),
            Self::NoSession { .. } => Some("`labctl status --json` lists the connections under `sessions`".into()),
            Self::UnknownFault { who, .. } => Some(format!("see `labctl fault list {who}`")),
            Self::WhichLab { known } => known.first().map_or_else(
                || Some("make one with `labctl new my-lab`".to_owned()),
                |(name, _)| Some(format!("name it, for example `{name}`")),
            ),
            Self::UnknownLab { near, .. } | Self::Nobody { near, .. } => {
                near.as_ref().map(|near| format!("did you mean `{near}`?"))
            }
            Self::GroupNotStudent { students, .. } if students.is_empty() => Some("it has no students".into()),
            Self::GroupNotStudent { students, .. } => {
                let shown = names(students.iter().take(NAMED));
                let more = if students.len() > NAMED { ", …" } else { "" };
                Some(format!("name one of its students: {shown}{more}"))
            }
            Self::NobodyOrLab { near: Some(near), .. } => Some(format!("did you mean lab `{near}`?")),
            Self::NobodyOrLab { known, .. } => {
                known.first().map(|(lab, _)| format!("name the lab as well, for example `--lab {lab}`"))
            }
            Self::FileGone { name, .. } => Some(format!(
                "if its folder was renamed, write `name = \"{name}\"` as the first line of `lab.toml` here; \
                 `labctl report {name}` has its marks"
            )),
            Self::NotYours { name, owners } => {
                let owner = owners.first().filter(|_| owners.len() == 1).map_or("OWNER", String::as_str);
                let way = format!("if nobody needs it: `labctl down {name} --owner {owner}`");
                Some(format!("another state directory or machine brought it up; {way}"))
            }
            Self::UnknownOwner { .. } => Some(
                "name the lab and its owner; `docker ps --all --filter label=labctl.lab` with `--format '{{.Labels}}'` \
                 shows both"
                    .into(),
            ),
            Self::OtherLab { name, .. } => Some(format!(
                "give this lab another `name`, or delete the other one's mail and evidence with `labctl down {name} --purge`"
            )),
            Self::OtherEngine { name, engine } => Some(format!(
                "go on there with `labctl up {name} --engine {}`, or delete them with `labctl down {name} --purge`",
                engine.as_str()
            )),
            Self::OnlyContainers { instead, .. } => Some((*instead).to_owned()),
            Self::Sides { .. } => {
                Some("for example `labctl cp ana:client.c .`; write `./a:b` for a file of that name".into())
            }
            Self::NoContainers { name } => Some(format!("`labctl credentials --lab {name}` says where its students connect")),
            Self::Renamed { name, source_file, .. } => Some(format!(
                "write `name = \"{name}\"` in the file again, or `labctl down {name}` and `labctl up {}`",
                shell_word(&source_file.display().to_string())
            )),
            Self::NoLabFile(folder) => {
                Some(format!("make one with `labctl new {}`", shell_word(&folder.display().to_string())))
            }
            Self::NeverUp { name } => Some(format!("bring it up with `labctl up {name}`")),
            Self::NoAuthority(name) => {
                Some(format!("`labctl up {name}` makes them where the lab does not say `tls = \"off\"`"))
            }
            Self::NotUp { name } => Some(format!("bring it up with `labctl up {name}`")),
            Self::Wildcard { own: Some(own), .. } => {
                Some(format!("name the one they reach, for example `--listen {own}`"))
            }
            Self::Wildcard { own: None, .. } => Some("name the one they reach; `hostname -I` lists them".into()),
            Self::UnknownMail { known, .. } | Self::UnknownTemplate { known, .. } => {
                Some(format!("there is {}", names(known.iter())))
            }
            Self::State(_)
            | Self::Output(_)
            | Self::Client(_)
            | Self::Store(_)
            | Self::Rehearsal(_)
            | Self::File { .. }
            | Self::Runtime(_)
            | Self::Interrupted
            | Self::WrongLab { .. }
            | Self::HomePath { .. }
            | Self::UnknownSession { .. }
            | Self::Usage { .. }
            | Self::NoNumber { .. }
            | Self::Exists { .. }
            | Self::Configuration { .. }
            | Self::Unwatched { .. }
            | Self::Served { .. } => None,
        }
    }
}

impl From<DockerError> for Error {
    fn from(problem: DockerError) -> Self {
        Self::Engine(problem.into())
    }
}

/// Students of a group that a hint names.
const NAMED: usize = 5;

/// `1 error`, `2 errors`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The text as one word of a shell's command line.
pub fn shell_word(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%~".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn labs(known: &[(LabName, bool)]) -> String {
    if known.is_empty() {
        return "labctl knows no lab yet".into();
    }
    let shown = known.iter().map(|(name, up)| format!("{name}{}", if *up { " (up)" } else { "" }));
    format!("labctl knows {}", names(shown))
}

fn names(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{}`", name.as_ref())).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        let problem = Error::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(problem.exit(), Exit::Done);
        assert_eq!(Error::Output(io::ErrorKind::StorageFull.into()).exit(), Exit::Failed);
    }

    #[test]
    fn a_full_disk_has_a_way_out() {
        let problem = Error::file("write", "marks.csv")(io::ErrorKind::StorageFull.into());
        assert_eq!(problem.hint().as_deref(), Some("free space on the disk of `marks.csv`"));
        assert_eq!(Error::file("write", "marks.csv")(io::ErrorKind::NotFound.into()).hint(), None);
    }

    #[test]
    fn a_path_can_be_pasted_into_a_shell() {
        assert_eq!(shell_word("labs/práctica-2"), "labs/práctica-2");
        assert_eq!(shell_word("bar baz"), "'bar baz'");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn an_unknown_lab_names_those_there_are_and_the_one_meant() {
        let known = vec![("practica2".parse().unwrap(), true), ("argosoft".parse().unwrap(), false)];
        let near = Some("practica2".to_owned());
        let problem = Error::UnknownLab { name: "practcia2".into(), known, near };
        assert_eq!(
            problem.to_string(),
            "there is no lab `practcia2`: no such file, no folder with a `lab.toml`, and labctl knows `practica2 (up)`, `argosoft`"
        );
        assert_eq!(problem.hint().as_deref(), Some("did you mean `practica2`?"));
    }
}
