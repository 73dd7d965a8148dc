//! The state directory: what labctl remembers of each lab, and the locks that keep two commands apart. Everything in it is
//! for its owner only (folders 0700, files 0600), because keys and passwords are in it.
//!
//! ```text
//!  lock              held while a lab chooses its block of addresses, and while the owner's id is drawn
//!  owner             a random id: the label of what is ours on a Docker Engine, whatever this machine is called
//!  locks/NAME        held by up, down and reset: two at once wait for each other; never deleted, so that nobody waits in vain
//!  labs/NAME/key             32 random octets in hexadecimal; passwords and secrets are drawn from it
//!  labs/NAME/certificates.json  the lab's certificate authority and what it gave to servers, with keys; ca.pem: what students may have
//!  labs/NAME/lab.json        one generation: the lab file and its roster as they were last brought up, where it runs, its addresses
//!  labs/NAME/serve.lock      held by the serving process as long as it lives; holds its process number
//!  labs/NAME/serve.log       what it had to say
//!  labs/NAME/control.sock    where it answers
//!  labs/NAME/stores/GROUP.sqlite   mail and evidence
//! ```

mod delivered;
mod files;
mod labdir;
mod octets;
mod owner;
mod record;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

pub use delivered::Delivered;
pub use files::{Lock, MAX_SOCKET_PATH, SocketPath};
pub use labdir::LabDir;
pub use record::{DockerChoices, Home, Kept, Record, RosterFile};

use self::files::{failed, make_folder, open_lock};
use crate::{
    lab::{EngineKind, LabName},
    plan::Addressing,
};

/// What can be wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Neither `XDG_STATE_HOME` nor `HOME` says where it is.
    #[error("neither `XDG_STATE_HOME` nor `HOME` is set")]
    NoHome,
    /// The system refused.
    #[error("{what} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that labctl wrote and cannot read any more.
    #[error("`{}` is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate could not be made.
    #[error("make a certificate: {0}")]
    Certificate(rcgen::Error),
    /// The system gives no random octets.
    #[error("draw random octets: {0}")]
    Random(String),
    /// Every block of addresses belongs to a lab that is up.
    #[error("every block of addresses belongs to a lab that is up")]
    NoBlock,
    /// The control socket's path is too long for the system.
    #[error("the path of the control socket `{}` has more than {MAX_SOCKET_PATH} octets", .0.display())]
    SocketPath(PathBuf),
}

/// The directory in which labctl keeps what it must remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// The directory `root`, which need not exist yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where the XDG base directories put it, given the two variables.
    pub fn from_environment(xdg_state_home: Option<&Path>, home: Option<&Path>) -> Result<Self, StateError> {
        let base = match (xdg_state_home.filter(|path| path.is_absolute()), home) {
            (Some(path), _) => path.to_owned(),
            (None, Some(home)) => home.join(".local/state"),
            (None, None) => return Err(StateError::NoHome),
        };
        Ok(Self::new(base.join("labctl")))
    }

    /// The folder of one lab, which need not exist yet.
    pub fn lab(&self, name: &LabName) -> LabDir {
        LabDir::new(self.labs().join(name.as_str()), name.clone())
    }

    /// Keeps other commands of this state directory from making images until the guard is gone; none where one makes them.
    pub fn images_lock(&self) -> Result<Option<Lock>, StateError> {
        let locks = self.root.join("locks");
        make_folder(&locks)?;
        // No lab is called so.
        let path = locks.join(".images");
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock::new(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(problem)) => Err(failed("lock", &path)(problem)),
        }
    }

    /// Every lab that has a record, in the order of their names.
    pub fn known(&self) -> Result<Vec<(LabDir, Record)>, StateError> {
        let path = self.labs();
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(problem) => return Err(failed("read the folder", &path)(problem)),
        };
        let mut names = BTreeSet::new();
        for entry in entries {
            let entry = entry.map_err(failed("read the folder", &path))?;
            if !entry.path().is_dir() {
                continue;
            }
            if let Some(name) = entry.file_name().to_str().and_then(|name| name.parse::<LabName>().ok()) {
                names.insert(name);
            }
        }
        let mut known = Vec::new();
        for name in names {
            let lab = self.lab(&name);
            if let Some(record) = lab.record()? {
                known.push((lab, record));
            }
        }
        Ok(known)
    }

    /// Marks the lab as up with a block of addresses that no other lab that is up has, and writes its record: its own block if
    /// it was up before, because cards with its addresses were given away; else one that no lab has; where none is left, that
    /// of a lab that is down. One lab at a time chooses, so two never get the same; `elsewhere` tells of labs in other
    /// state directories. Where every block is theirs the lab keeps its own: listening there will say who has it.
    pub fn claim(
        &self,
        lab: &LabDir,
        mut record: Record,
        elsewhere: impl Fn(&Record, Addressing) -> bool,
    ) -> Result<Record, StateError> {
        make_folder(&self.labs())?;
        let path = self.root.join("lock");
        let lock = open_lock(&path)?;
        lock.lock().map_err(failed("lock", &path))?;
        let others: Vec<Record> = self
            .known()?
            .into_iter()
            // The others have no addresses here.
            .filter(|(other, record)| other.name() != lab.name() && record.engine == EngineKind::Embedded)
            .map(|(_, record)| record)
            .collect();
        let taken: BTreeSet<u8> = others.iter().filter(|other| other.up).flat_map(Record::blocks).collect();
        let kept: BTreeSet<u8> = others.iter().flat_map(Record::blocks).collect();
        let overlap = |block: u8, others: &BTreeSet<u8>| record.blocks_from(block).any(|block| others.contains(&block));
        let own = lab.record()?.filter(|before| before.engine == EngineKind::Embedded).map(|before| before.block);
        let blocks = own.into_iter().chain((0..=u8::MAX).filter(|block| !overlap(*block, &kept))).chain(0..=u8::MAX);
        let mut free = blocks
            .filter(|block| !overlap(*block, &taken))
            .filter_map(|block| record.addressing_in(block).map(|addressing| (block, addressing)))
            .peekable();
        let first = free.peek().map(|(block, _)| *block).ok_or(StateError::NoBlock)?;
        record.block = free.find(|(_, addressing)| !elsewhere(&record, *addressing)).map_or(first, |(block, _)| block);
        record.up = true;
        lab.write_record(&record)?;
        Ok(record)
    }

    fn labs(&self) -> PathBuf {
        self.root.join("labs")
    }
}

/// An id that nothing else has.
pub fn random_id() -> Result<String, StateError> {
    draw::<16>().map(|octets| to_hex(&octets))
}

fn draw<const OCTETS: usize>() -> Result<[u8; OCTETS], StateError> {
    let mut octets = [0; OCTETS];
    getrandom::fill(&mut octets).map_err(|problem| StateError::Random(problem.to_string()))?;
    Ok(octets)
}

fn to_hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path().join("state"));
        (folder, state)
    }

    fn lab(state: &StateDir, name: &str) -> LabDir {
        state.lab(&name.parse().expect("a name"))
    }

    #[test]
    fn the_xdg_directory_wins_and_a_relative_one_does_not_count() {
        let of = |xdg: Option<&str>, home: Option<&str>| {
            StateDir::from_environment(xdg.map(Path::new), home.map(Path::new)).map(|state| state.root)
        };
        assert_eq!(of(Some("/x"), Some("/home/ana")).unwrap(), Path::new("/x/labctl"));
        assert_eq!(of(Some("x"), Some("/home/ana")).unwrap(), Path::new("/home/ana/.local/state/labctl"));
        assert!(matches!(of(None, None), Err(StateError::NoHome)));
    }

    #[test]
    fn a_lab_that_is_down_keeps_its_block_until_no_other_is_left() {
        let (_folder, state) = state();
        let claim = |name: &str| {
            let lab = lab(&state, name);
            let record = lab.record().unwrap().unwrap_or_else(|| Record::new(format!("/{name}.toml").into()));
            state.claim(&lab, record, |_, _| false).map(|record| record.block)
        };
        let blocks = (0..=u8::MAX).take_while(|block| Addressing::loopback(*block).is_some()).last().unwrap();
        assert_eq!(claim("first").unwrap(), 0);
        let first = lab(&state, "first");
        first.write_record(&Record { up: false, ..first.record().unwrap().unwrap() }).unwrap();
        for number in 1..=blocks {
            assert_eq!(claim(&format!("lab{number}")).unwrap(), number);
        }
        assert_eq!(claim("last").unwrap(), 0, "only that of a lab that is down is left");
        assert!(matches!(claim("first"), Err(StateError::NoBlock)));
        lab(&state, "lab7").delete().unwrap();
        assert_eq!(claim("first").unwrap(), 7);
    }

    #[test]
    fn two_labs_that_are_up_have_different_blocks_and_a_lab_keeps_its_own() {
        let (_folder, state) = state();
        let (a, b) = (lab(&state, "a"), lab(&state, "b"));
        let first = state.claim(&a, Record::new("/a.toml".into()), |_, _| false).unwrap();
        let second = state.claim(&b, Record::new("/b.toml".into()), |_, _| false).unwrap();
        assert_eq!((first.block, second.block), (0, 1));
        let mut down = first;
        down.up = false;
        a.write_record(&down).unwrap();
        assert_eq!(state.claim(&b, second, |_, _| false).unwrap().block, 1);
        assert_eq!(state.claim(&a, down, |_, _| false).unwrap().block, 0);
        let mut moved = a.record().unwrap().unwrap();
        moved = state.claim(&a, moved, |_, addressing| addressing == Addressing::loopback(0).unwrap()).unwrap();
        assert_eq!(moved.block, 2, "its own is taken elsewhere, and lab `b` has the next");
        assert_eq!(state.claim(&a, moved, |_, _| true).unwrap().block, 2, "all are taken elsewhere");
        let names: Vec<String> = state.known().unwrap().iter().map(|(lab, _)| lab.name().to_string()).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
