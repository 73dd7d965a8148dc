//! The process that watches over the one that serves. It does nothing but wait: the other one may be killed at any moment, and
//! only somebody else can then say when and why. When it goes, the one that serves goes with it.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

use crate::{
    cli::{args::Serve, error::Error, exit::Exit},
    engine::LabDir,
    evidence::{Cause, Timestamp},
};

/// What is added to the number of a signal, as shells do.
const SIGNALLED: i32 = 128;

/// What a Rust program that panicked ends with.
const PANICKED: i32 = 101;

/// Starts the process that serves, passes on what it is told, and writes down how it ends.
pub fn run(args: &Serve, dir: &LabDir) -> Result<Exit, Error> {
    let _lock = dir.watch_lock()?;
    crate::cli::verbs::runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Runtime)?;
        let _hangup = signal(SignalKind::hangup()).map_err(Error::Runtime)?;
        let _ = fs::remove_file(dir.panic());
        let killed_before = killed_for_memory();
        let program = std::env::current_exe().map_err(Error::Runtime)?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--dir").arg(&args.dir).arg("--watched-by").arg(std::process::id().to_string());
        if let Some(config) = &args.config {
            command.arg("--config").arg(config);
        }
        if args.beyond_loopback {
            command.arg("--beyond-loopback");
        }
        let mut child = command.spawn().map_err(Error::Runtime)?;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status.map_err(Error::Runtime)?,
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            // One that has ended meanwhile needs no telling.
            let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        };
        if let Some(cause) = cause(status, killed_for_memory() > killed_before, &dir.panic()) {
            dir.write_ended(&(now(), cause))?;
        }
        let code = status.code().or(status.signal().map(|signal| SIGNALLED + signal));
        Ok(Exit::Program(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)))
    })
}

/// Why a process ended that was not told to; none where it was, or said itself why it could not go on.
fn cause(status: ExitStatus, out_of_memory: bool, panic: &Path) -> Option<Cause> {
    match (status.code(), status.signal()) {
        (Some(code), _) if code == i32::from(Exit::Done.code()) || code == i32::from(Exit::Failed.code()) => None,
        (Some(PANICKED), _) => {
            let message = fs::read_to_string(panic).unwrap_or_default();
            Some(Cause::Panic { message: message.split_whitespace().collect::<Vec<_>>().join(" ") })
        }
        (Some(code), _) => Some(Cause::Exit { code }),
        (None, Some(signal)) if signal == Signal::KILL.as_raw() && out_of_memory => Some(Cause::OutOfMemory),
        (None, Some(signal)) => Some(Cause::Signal { signal }),
        (None, None) => Some(Cause::Unseen),
    }
}

/// How many processes of our own control group the kernel has killed for want of memory (cgroups(7): `oom_kill` of
/// `memory.events`, in the first version of `memory.oom_control`); 0 where it does not tell.
fn killed_for_memory() -> u64 {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let told = places(&own).into_iter().find_map(|place| fs::read_to_string(place).ok()).unwrap_or_default();
    oom_kills(&told)
}

/// Where the kernel may tell it: inside a container the group is the root of what is mounted.
fn places(own: &str) -> Vec<PathBuf> {
    let group = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let path = path.trim_start_matches('/');
        match controllers {
            "" => Some(Path::new("/sys/fs/cgroup").join(path).join("memory.events")),
            _ if controllers.split(',').any(|name| name == "memory") => {
                Some(Path::new("/sys/fs/cgroup/memory").join(path).join("memory.oom_control"))
            }
            _ => None,
        }
    };
    let roots = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];
    own.lines().filter_map(group).chain(roots.into_iter().map(PathBuf::from)).collect()
}

fn oom_kills(told: &str) -> u64 {
    told.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As wait(2) gives it.
    fn ended(code: i32, signal: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8 | signal)
    }

    #[test]
    fn each_end_has_its_cause() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let panic = folder.path().join("panic");
        fs::write(&panic, "panicked at src/a.rs:1:\nboom\n").unwrap();
        let of = |status, out_of_memory| cause(status, out_of_memory, &panic);
        assert_eq!(of(ended(0, 0), true), None);
        assert_eq!(of(ended(1, 0), false), None, "it said itself why");
        assert_eq!(of(ended(7, 0), false), Some(Cause::Exit { code: 7 }));
        assert_eq!(of(ended(0, 9), true), Some(Cause::OutOfMemory));
        assert_eq!(of(ended(0, 9), false), Some(Cause::Signal { signal: 9 }));
        assert_eq!(of(ended(0, 6), true), Some(Cause::Signal { signal: 6 }));
        let message = "panicked at src/a.rs:1: boom".to_owned();
        assert_eq!(of(ended(101, 0), false), Some(Cause::Panic { message }));
    }

    #[test]
    fn the_kernel_tells_it_in_one_of_two_ways() {
        let shown = |own: &str| places(own).first().map(|place| place.display().to_string());
        assert_eq!(shown("0::/user.slice/a\n").as_deref(), Some("/sys/fs/cgroup/user.slice/a/memory.events"));
        let first = "9:cpu,cpuacct:/x\n4:memory:/docker/1\n";
        assert_eq!(shown(first).as_deref(), Some("/sys/fs/cgroup/memory/docker/1/memory.oom_control"));
        assert_eq!(oom_kills("low 0\noom 3\noom_kill 2\n"), 2);
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1);
        assert_eq!(oom_kills(""), 0);
    }
}
