//! The Engine itself goes away in the middle of an `up`: a second one, of this test's own, is stopped and started. The
//! machine's is left alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{convergence::LAB, world::World};

/// How long an Engine may take to come or to go.
const PATIENCE: Duration = Duration::from_mins(1);

/// An Engine whose files are all in one folder.
pub struct Engine {
    folder: PathBuf,
    process: Child,
}

impl Engine {
    pub fn start(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name).display().to_string();
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).expect("a log");
        // In a network namespace of its own: without a bridge it would take away the machine's `docker0`.
        let mut command = Command::new("unshare");
        command.args(["--net", "dockerd"]);
        command.args(["--bridge=none", "--iptables=false", "--ip-forward=false", "--storage-driver=vfs"]);
        command.args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")]);
        // The machine's own file has its own places.
        fs::write(folder.join("daemon.json"), "{}").expect("a file");
        command.args(["--host", &Self::host(folder), "--config-file", &path("daemon.json")]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("dockerd starts");
        let engine = Self { folder: folder.to_owned(), process };
        let started = Instant::now();
        let answers = || Command::new("docker").args(["--host", &Self::host(folder), "version"]).output();
        while !answers().is_ok_and(|output| output.status.success()) {
            let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "the second Engine does not answer: {}", log());
            thread::sleep(Duration::from_millis(100));
        }
        engine
    }

    pub fn host(folder: &Path) -> String {
        format!("unix://{}", folder.join("engine.sock").display())
    }

    /// Ends it, and its containers with it.
    fn stop(&mut self) {
        // One that has ended has no number any more.
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        }
        let started = Instant::now();
        while self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if started.elapsed() > PATIENCE {
                let _ = self.process.kill();
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
        // What a container that could not be ended left mounted would keep the folder.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounted = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for path in mounted.filter(|path| Path::new(path).starts_with(&self.folder)) {
            let _ = Command::new("umount").args(["--lazy", path]).status();
        }
    }
}

#[test]
fn an_up_whose_engine_restarts_says_so_and_the_next_one_goes_on() {
    let Some(first) = World::new(LAB) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut engine = Engine::start(folder.path());
    let world = first.on(&Engine::host(folder.path()), LAB);
    let (code, said) = world.up_interrupted(4, || engine.stop());
    assert!(matches!(code, Some(1 | 5)), "{code:?}: {said}");
    assert!(said.contains("error: "), "{said}");
    let mut engine = Engine::start(folder.path());
    world.up(&[]);
    let end = world.snapshot();
    assert_eq!(end.len(), 6, "{end:?}");
    engine.stop();
    let _engine = Engine::start(folder.path());
    // Containers come up with their Engine; what did not is started.
    world.up(&[]);
    assert_eq!(world.snapshot(), end);
    assert_eq!(world.up(&[])["steps"], json!([]));
    world.done(&["down", "--purge", "--yes"]);
    assert_eq!(world.left(), Vec::<String>::new());
}
