//! The state directory: what labctl remembers of each lab, and the locks that keep two commands apart. Everything in it is
//! for its owner only (folders 0700, files 0600), because keys and passwords are in it.
//!
//! ```text
//!  lock              held while a lab chooses its block of addresses
//!  locks/NAME        held by up, down and reset: two at once wait for each other; never deleted, so that nobody waits in vain
//!  labs/NAME/key             32 random octets in hexadecimal; passwords and secrets are drawn from it
//!  labs/NAME/lab.json        the lab file, whether it is up, its addresses
//!  labs/NAME/serve.lock      held by the serving process as long as it lives; holds its process number
//!  labs/NAME/serve.log       what it had to say
//!  labs/NAME/control.sock    where it answers
//!  labs/NAME/stores/GROUP.sqlite   mail and evidence
//! ```

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    net::IpAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    lab::{GroupName, Key, LabName},
    plan::{Addressing, Numbers},
};

/// The version of `lab.json` that this labctl writes and the only one it reads.
const RECORD_VERSION: u32 = 1;

/// The longest path of a Unix socket, in octets (`sun_path` without its final NUL).
pub const MAX_SOCKET_PATH: usize = 107;

/// How long a command that only looks whether a process lives may hold the process's lock, and how often it is waited for.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 40;

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
    /// Every block of addresses belongs to a lab that is up.
    #[error("every block of addresses belongs to a lab that is up")]
    NoBlock,
    /// The control socket's path is too long for the system.
    #[error("the path of the control socket `{}` has more than {MAX_SOCKET_PATH} octets", .0.display())]
    SocketPath(PathBuf),
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |source| StateError::File { what, path: path.to_owned(), source }
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
        LabDir { root: self.labs().join(name.as_str()), name: name.clone() }
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

    /// Marks the lab as up with a block of addresses that no other lab that is up has, the old one if it still can be,
    /// and writes its record. One lab at a time chooses, so two never get the same.
    pub fn claim(&self, lab: &LabDir, mut record: Record) -> Result<Record, StateError> {
        make_folder(&self.labs())?;
        let path = self.root.join("lock");
        let lock = open_lock(&path)?;
        lock.lock().map_err(failed("lock", &path))?;
        let taken: BTreeSet<u8> = self
            .known()?
            .into_iter()
            .filter(|(other, record)| other.name != lab.name && record.up)
            .map(|(_, record)| record.block)
            .collect();
        if taken.contains(&record.block) {
            let free = (0..=u8::MAX).find(|block| !taken.contains(block) && record.addressing_in(*block).is_some());
            record.block = free.ok_or(StateError::NoBlock)?;
        }
        record.up = true;
        lab.write_record(&record)?;
        Ok(record)
    }

    fn labs(&self) -> PathBuf {
        self.root.join("labs")
    }
}

/// What labctl remembers of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this file's shape.
    pub version: u32,
    /// The lab file, absolute.
    pub source: PathBuf,
    /// Whether it should be up.
    pub up: bool,
    /// Its block of addresses or ports.
    pub block: u8,
    /// The address beyond loopback that it listens on, where the instructor said so.
    pub listen: Option<IpAddr>,
    /// The numbers of its groups and students.
    pub numbers: Numbers,
}

impl Record {
    /// The record of a lab that was never up.
    pub fn new(source: PathBuf) -> Self {
        Self { version: RECORD_VERSION, source, up: false, block: 0, listen: None, numbers: Numbers::default() }
    }

    /// How its endpoints get their addresses; none where its block does not exist.
    pub fn addressing(&self) -> Option<Addressing> {
        self.addressing_in(self.block)
    }

    fn addressing_in(&self, block: u8) -> Option<Addressing> {
        match self.listen {
            Some(address) => Addressing::ports(address, block),
            None if cfg!(target_os = "linux") => Addressing::loopback(block),
            None => Addressing::ports(IpAddr::from([127, 0, 0, 1]), block),
        }
    }
}

/// The folder of one lab in the state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabDir {
    root: PathBuf,
    name: LabName,
}

impl LabDir {
    /// The folder `root`, for a process that was told nothing else: the lab is called as its folder is.
    pub fn at(root: &Path) -> Result<Self, StateError> {
        let name = root.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let name = name.ok_or_else(|| StateError::Damaged {
            path: root.to_owned(),
            why: "the folder of a lab is called as the lab is".into(),
        })?;
        Ok(Self { root: root.to_owned(), name })
    }

    /// The lab.
    pub fn name(&self) -> &LabName {
        &self.name
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// What labctl remembers of the lab; none where it never was up.
    pub fn record(&self) -> Result<Option<Record>, StateError> {
        let path = self.root.join("lab.json");
        let Some(text) = read(&path)? else { return Ok(None) };
        let damaged = |why: String| StateError::Damaged { path: path.clone(), why };
        let record: Record = serde_json::from_str(&text).map_err(|problem| damaged(problem.to_string()))?;
        if record.version != RECORD_VERSION {
            return Err(damaged(format!("its version is {} and this labctl reads {RECORD_VERSION}", record.version)));
        }
        Ok(Some(record))
    }

    /// Remembers.
    pub fn write_record(&self, record: &Record) -> Result<(), StateError> {
        let mut text = serde_json::to_vec_pretty(record).expect("a record has only names and numbers");
        text.push(b'\n');
        self.make()?;
        replace(&self.root.join("lab.json"), &text)
    }

    /// The lab's key; none where it never was up.
    pub fn key(&self) -> Result<Option<Key>, StateError> {
        let path = self.root.join("key");
        let Some(text) = read(&path)? else { return Ok(None) };
        let octets = from_hex(text.trim()).ok_or_else(|| StateError::Damaged {
            path,
            why: "a key is 64 hexadecimal digits; passwords and secrets cannot be drawn without it".into(),
        })?;
        Ok(Some(Key(octets)))
    }

    /// The lab's key, drawn now if there was none.
    pub fn key_or_new(&self) -> Result<Key, StateError> {
        if let Some(key) = self.key()? {
            return Ok(key);
        }
        let path = self.root.join("key");
        let mut octets = [0; 32];
        getrandom::fill(&mut octets).map_err(|problem| failed("draw", &path)(io::Error::other(problem)))?;
        self.make()?;
        replace(&path, format!("{}\n", to_hex(&octets)).as_bytes())?;
        Ok(Key(octets))
    }

    /// The store of one group.
    pub fn store(&self, group: &GroupName) -> PathBuf {
        self.stores().join(format!("{group}.sqlite"))
    }

    /// The folder of the stores.
    pub fn stores(&self) -> PathBuf {
        self.root.join("stores")
    }

    /// Where the process writes what it has to say.
    pub fn log(&self) -> PathBuf {
        self.root.join("serve.log")
    }

    /// Where the process answers.
    pub fn socket(&self) -> Result<SocketPath, StateError> {
        SocketPath::new(&self.root, "control.sock")
    }

    /// Makes the folders.
    pub fn make(&self) -> Result<(), StateError> {
        make_folder(&self.root)?;
        make_folder(&self.stores())
    }

    /// Keeps other commands that change this lab out until the guard is gone; `wait` is called where one is at work.
    pub fn lock(&self, wait: impl FnOnce()) -> Result<Lock, StateError> {
        let state = self.root.ancestors().nth(2).unwrap_or(&self.root);
        let locks = state.join("locks");
        make_folder(&locks)?;
        let path = locks.join(self.name.as_str());
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                wait();
                file.lock().map_err(failed("lock", &path))?;
            }
            Err(TryLockError::Error(problem)) => return Err(failed("lock", &path)(problem)),
        }
        Ok(Lock { _file: file })
    }

    /// Makes this process the one that serves the lab; none where another one is, whose number [`LabDir::process`] has.
    pub fn serve_lock(&self) -> Result<Option<Lock>, StateError> {
        let path = self.root.join("serve.lock");
        let file = open_lock(&path)?;
        for look in 0..=LOOKS {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if look == LOOKS => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
                Err(TryLockError::Error(problem)) => return Err(failed("lock", &path)(problem)),
            }
        }
        file.set_len(0).map_err(failed("write", &path))?;
        writeln!(&file, "{}", std::process::id()).map_err(failed("write", &path))?;
        Ok(Some(Lock { _file: file }))
    }

    /// The number of the process that serves the lab; none where none lives, however the last one ended. A process that
    /// lives and has not written its number yet is 0.
    pub fn process(&self) -> Result<Option<u32>, StateError> {
        let path = self.root.join("serve.lock");
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(problem) => return Err(failed("open", &path)(problem)),
        };
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(problem)) => return Err(failed("lock", &path)(problem)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed("read", &path))?;
        Ok(Some(text.trim().parse().unwrap_or(0)))
    }

    /// Deletes all that is remembered of the lab: key, mail and evidence.
    pub fn delete(&self) -> Result<(), StateError> {
        match fs::remove_dir_all(&self.root) {
            Err(problem) if problem.kind() != io::ErrorKind::NotFound => {
                Err(failed("delete the folder", &self.root)(problem))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Held as long as it lives; the system releases it when the process ends, however that happens.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The path of a Unix socket, as short as the system wants it. On Linux a folder whose name is too long is reached through
/// its descriptor, so every state directory works.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl SocketPath {
    fn new(folder: &Path, name: &str) -> Result<Self, StateError> {
        let path = folder.join(name);
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(Self { path, _folder: None });
        }
        if !cfg!(target_os = "linux") {
            return Err(StateError::SocketPath(path));
        }
        let open = File::open(folder).map_err(failed("open", folder))?;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&open);
        Ok(Self { path: PathBuf::from(format!("/proc/self/fd/{descriptor}/{name}")), _folder: Some(open) })
    }

    /// The path, good as long as this value lives.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

fn make_folder(path: &Path) -> Result<(), StateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the folder", path))
}

fn open_lock(path: &Path) -> Result<File, StateError> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    open.map_err(failed("open", path))
}

fn read(path: &Path) -> Result<Option<String>, StateError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(problem) => Err(failed("read", path)(problem)),
    }
}

/// Writes the file whole or not at all, whenever the power goes.
fn replace(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(failed("write", path))
}

fn to_hex(octets: &[u8; 32]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    if text.len() != 2 * octets.len() || !text.is_ascii() {
        return None;
    }
    for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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
    fn two_labs_that_are_up_have_different_blocks_and_a_lab_keeps_its_own() {
        let (_folder, state) = state();
        let (a, b) = (lab(&state, "a"), lab(&state, "b"));
        let first = state.claim(&a, Record::new("/a.toml".into())).unwrap();
        let second = state.claim(&b, Record::new("/b.toml".into())).unwrap();
        assert_eq!((first.block, second.block), (0, 1));
        let mut down = first;
        down.up = false;
        a.write_record(&down).unwrap();
        assert_eq!(state.claim(&b, second).unwrap().block, 1);
        assert_eq!(state.claim(&a, down).unwrap().block, 0);
        let names: Vec<String> = state.known().unwrap().iter().map(|(lab, _)| lab.name().to_string()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_key_is_drawn_once_and_only_its_owner_can_read_it() {
        let (_folder, state) = state();
        let lab = lab(&state, "a");
        assert!(lab.key().unwrap().is_none());
        let key = lab.key_or_new().unwrap();
        assert_eq!(lab.key_or_new().unwrap(), key);
        assert_eq!(lab.key().unwrap(), Some(key));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&lab.root.join("key")), 0o600);
        assert_eq!(mode(&lab.root), 0o700);
        fs::write(lab.root.join("key"), "rubbish").unwrap();
        assert!(lab.key_or_new().unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn a_damaged_record_is_an_error_that_names_the_file() {
        let (_folder, state) = state();
        let lab = lab(&state, "a");
        lab.make().unwrap();
        fs::write(lab.root.join("lab.json"), "{").unwrap();
        assert!(state.known().unwrap_err().to_string().contains("lab.json` is damaged"));
    }

    #[test]
    fn one_process_serves_a_lab_and_its_number_is_known_while_it_lives() {
        let (_folder, state) = state();
        let lab = lab(&state, "a");
        assert_eq!(lab.process().unwrap(), None);
        lab.make().unwrap();
        let lock = lab.serve_lock().unwrap().expect("nobody has it");
        assert_eq!(lab.process().unwrap(), Some(std::process::id()));
        assert!(lab.serve_lock().unwrap().is_none());
        drop(lock);
        assert_eq!(lab.process().unwrap(), None);
    }

    #[test]
    fn a_socket_path_is_short_enough_whatever_the_folder_is_called() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let base = folder.path().as_os_str().len() + 1;
        let name = "s";
        for length in [MAX_SOCKET_PATH, MAX_SOCKET_PATH + 1, 200] {
            let deep = folder.path().join("x".repeat(length - base - 2));
            fs::create_dir(&deep).unwrap();
            let socket = SocketPath::new(&deep, name).unwrap();
            assert!(socket.as_path().as_os_str().len() <= MAX_SOCKET_PATH);
            std::os::unix::net::UnixListener::bind(socket.as_path()).unwrap();
            assert!(deep.join(name).exists());
        }
    }
}
