//! The folder of one lab in the state directory: key, record, locks, and where the rest is.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Kept, Lock, Record, SocketPath, StateDir, StateError, draw,
    files::{failed, make_folder, open_lock, read, read_text, replace},
    record::RECORD_VERSION,
    to_hex,
};
use crate::{
    evidence::{Cause, Timestamp},
    lab::{GroupName, Key, LabName},
};

/// How long a command that only looks whether a process lives may hold the process's lock, and how often it is waited for.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 40;

/// The file that says how a process ended that nobody had told to.
const ENDED: &str = "ended.json";

/// The folder of one lab in the state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabDir {
    root: PathBuf,
    name: LabName,
}

impl LabDir {
    pub(super) fn new(root: PathBuf, name: LabName) -> Self {
        Self { root, name }
    }

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
        let Some(text) = read_text(&path)? else { return Ok(None) };
        let damaged = |why: String| StateError::Damaged { path: path.clone(), why };
        let record: Record = serde_json::from_str(&text).map_err(|problem| damaged(problem.to_string()))?;
        if record.version != RECORD_VERSION {
            return Err(damaged(format!("its version is {} and this labctl reads {RECORD_VERSION}", record.version)));
        }
        Ok(Some(record))
    }

    /// The state directory that it is in.
    pub fn state(&self) -> StateDir {
        StateDir::new(self.root.ancestors().nth(2).unwrap_or(&self.root).to_owned())
    }

    /// Remembers: whole or not at all.
    pub fn write_record(&self, record: &Record) -> Result<(), StateError> {
        let mut text = serde_json::to_vec_pretty(record).expect("a record has only names, numbers and texts");
        text.push(b'\n');
        self.make()?;
        replace(&self.root.join("lab.json"), &text)
    }

    /// The lab's files as they were when it was last brought up; none where nothing was kept.
    pub fn kept(&self) -> Result<Option<Kept>, StateError> {
        Ok(self.record()?.and_then(|record| record.kept))
    }

    /// The lab's key; none where it never was up.
    pub fn key(&self) -> Result<Option<Key>, StateError> {
        let path = self.root.join("key");
        let Some(text) = read_text(&path)? else { return Ok(None) };
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
        let octets = draw::<32>()?;
        self.make()?;
        replace(&path, format!("{}\n", to_hex(&octets)).as_bytes())?;
        Ok(Key(octets))
    }

    /// The lab's certificates and their keys.
    pub fn certificates(&self) -> PathBuf {
        self.root.join("certificates.json")
    }

    /// The certificate of the lab's authority, for students.
    pub fn ca(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    /// What [`LabDir::keep_certificates`] kept.
    pub fn read_certificates(&self) -> Result<Option<Vec<u8>>, StateError> {
        read(&self.certificates())
    }

    /// Keeps the lab's certificates, and that of its authority once more by itself.
    pub fn keep_certificates(&self, all: &[u8], ca: &[u8]) -> Result<(), StateError> {
        self.make()?;
        replace(&self.certificates(), all)?;
        replace(&self.ca(), ca)
    }

    /// The store of one group.
    pub fn store(&self, group: &GroupName) -> PathBuf {
        self.stores().join(format!("{group}.sqlite"))
    }

    /// The folder of the stores.
    pub fn stores(&self) -> PathBuf {
        self.root.join("stores")
    }

    /// Whether the lab has mail or evidence here.
    pub fn has_stores(&self) -> bool {
        fs::read_dir(self.stores()).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Where the process writes what it has to say.
    pub fn log(&self) -> PathBuf {
        self.root.join("serve.log")
    }

    /// What the process said when it panicked last.
    pub fn panic(&self) -> PathBuf {
        self.root.join("panic.txt")
    }

    /// Writes down when and why the process ended, which nobody had told to.
    pub fn write_ended(&self, ended: &(Timestamp, Cause)) -> Result<(), StateError> {
        let text = serde_json::to_vec(ended).expect("a time and a cause are plain data");
        replace(&self.root.join(ENDED), &text)
    }

    /// When and why the process ended the last time that nobody had told it to, where somebody saw it.
    pub fn ended(&self) -> Option<(Timestamp, Cause)> {
        let text = read(&self.root.join(ENDED)).ok().flatten()?;
        serde_json::from_slice(&text).ok()
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
        let locks = self.state().root.join("locks");
        make_folder(&locks)?;
        let path = locks.join(self.name.as_str());
        Self::lock_file(open_lock(&path)?, &path, wait)
    }

    /// The same where nothing can be written: what an `up` left to lock is locked, and where nothing is, nobody can have
    /// changed the lab either.
    pub fn lock_unwritten(&self, wait: impl FnOnce()) -> Result<Option<Lock>, StateError> {
        let path = self.state().root.join("locks").join(self.name.as_str());
        match File::open(&path) {
            Ok(file) => Self::lock_file(file, &path, wait).map(Some),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(problem) => Err(failed("open", &path)(problem)),
        }
    }

    fn lock_file(file: File, path: &Path, wait: impl FnOnce()) -> Result<Lock, StateError> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                wait();
                file.lock().map_err(failed("lock", path))?;
            }
            Err(TryLockError::Error(problem)) => return Err(failed("lock", path)(problem)),
        }
        Ok(Lock::new(file))
    }

    /// Makes this process the one that watches over the lab's, once the one before it has written down what it saw; none where
    /// that one goes on.
    pub fn watch_lock(&self) -> Result<Option<Lock>, StateError> {
        let path = self.root.join("watch.lock");
        let file = open_lock(&path)?;
        Ok(obtained(&file, &path)?.then(|| Lock::new(file)))
    }

    /// Makes this process the one that serves the lab; none where another one is, whose number [`LabDir::process`] has.
    pub fn serve_lock(&self) -> Result<Option<Lock>, StateError> {
        let path = self.root.join("serve.lock");
        let file = open_lock(&path)?;
        if !obtained(&file, &path)? {
            return Ok(None);
        }
        file.set_len(0).map_err(failed("write", &path))?;
        writeln!(&file, "{}", std::process::id()).map_err(failed("write", &path))?;
        Ok(Some(Lock::new(file)))
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

/// Whether a lock is ours that others hold for a moment only, unless somebody keeps it.
fn obtained(file: &File, path: &Path) -> Result<bool, StateError> {
    for look in 0..=LOOKS {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if look == LOOKS => {}
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            Err(TryLockError::Error(problem)) => return Err(failed("lock", path)(problem)),
        }
    }
    Ok(false)
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
    use crate::engine::StateDir;

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path().join("state"));
        (folder, state)
    }

    fn lab(state: &StateDir, name: &str) -> LabDir {
        state.lab(&name.parse().expect("a name"))
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
}
