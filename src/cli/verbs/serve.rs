//! `labctl serve`: the process that serves a lab, and the one that watches over it. `up` starts it in the background; engines
//! start it in a container.

mod watch;

use std::{fs, num::NonZero, os::unix::fs::PermissionsExt as _, panic, path::Path, sync::Arc, thread};

use serde::Deserialize;
use tokio::{net::UnixListener, runtime::Builder};

use crate::{
    cli::{args::Serve, error::Error, exit::Exit, output},
    control::host::Host,
    engine::LabDir,
    lab::ServerConfig,
};

/// The version of the configuration file's shape.
const VERSION: u32 = 1;

/// What `--config` holds.
#[derive(Deserialize)]
struct Configuration {
    version: u32,
    servers: Vec<ServerConfig>,
}

/// Serves until it is told to end.
pub fn run(args: &Serve) -> Result<Exit, Error> {
    let dir = LabDir::at(&args.dir)?;
    dir.make()?;
    match args.watched_by {
        None => return watch::run(args, &dir),
        Some(watcher) => stay_with(watcher)?,
    }
    write_panics_down(&dir);
    let Some(_lock) = dir.serve_lock()? else {
        return Err(Error::Served { dir: args.dir.clone(), pid: dir.process()?.unwrap_or(0) });
    };
    let servers = args.config.as_deref().map(configuration).transpose()?.unwrap_or_default();
    // A socket per student and protocol, and a connection per session: the soft limit is for programs with less to do.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // Half of the cores for the sessions, the rest for the stores' writers: with a worker on every core of a small machine
    // they take turns with the thread that every session waits for.
    let workers = (thread::available_parallelism().map_or(2, NonZero::get) / 2).max(1);
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(async {
        let log = Arc::new(|line: &str| output::log(line));
        let host = Host::new(dir.stores(), args.beyond_loopback).telling(dir.ended(), log);
        for config in servers {
            dir.take_seed(&config.group)?;
            host.put(config).await.map_err(crate::control::ClientError::Refused)?;
        }
        let socket = dir.socket()?;
        let listener = listen(socket.as_path())?;
        host.run(listener).await.map_err(Error::file("answer at", socket.as_path()))?;
        Ok(Exit::Done)
    })
}

/// Ends this process together with the one that watches over it: what is left of a lab after `kill -9` is nothing.
fn stay_with(watcher: u32) -> Result<(), Error> {
    #[cfg(target_os = "linux")]
    {
        let failed = |problem: rustix::io::Errno| Error::Runtime(problem.into());
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).map_err(failed)?;
    }
    // It may have gone already.
    let parent = rustix::process::getppid().map_or(0, |parent| parent.as_raw_nonzero().get());
    if i64::from(parent) == i64::from(watcher) { Ok(()) } else { Err(Error::Unwatched { watcher }) }
}

/// Whoever watches says what a panic said that ends the process.
fn write_panics_down(dir: &LabDir) {
    let (place, usual) = (dir.panic(), panic::take_hook());
    panic::set_hook(Box::new(move |what| {
        usual(what);
        // Where it cannot be written, the log still has it.
        let _ = fs::write(&place, what.to_string());
    }));
}

/// Listens where only the owner can connect. A socket that a process left behind is taken away: we hold its lock.
fn listen(path: &Path) -> Result<UnixListener, Error> {
    let _ = fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(Error::file("listen at", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(Error::file("protect", path))?;
    Ok(listener)
}

fn configuration(path: &Path) -> Result<Vec<ServerConfig>, Error> {
    let text = fs::read(path).map_err(Error::file("read", path))?;
    let wrong = |why: String| Error::Configuration { path: path.to_owned(), why };
    let read: Configuration = serde_json::from_slice(&text).map_err(|problem| wrong(problem.to_string()))?;
    if read.version != VERSION {
        return Err(wrong(format!("its version is {} and this labctl reads {VERSION}", read.version)));
    }
    Ok(read.servers)
}
