//! Postfix and Dovecot: started in folders of their own by the configurations that `peers.sh` writes, stopped by their pids.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use crate::{
    Fallible,
    load::{free_address, wait_for_server},
    machine::{run, text, wait_for},
    process,
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/peers.sh");

/// How long Postfix may take to deliver what it has accepted.
const DRAIN: Duration = Duration::from_mins(2);

/// Installs what is missing.
pub fn install() -> Fallible<()> {
    let status = Command::new(SCRIPT).arg("install").status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{SCRIPT} install` failed: it needs root and Debian's apt-get").into())
    }
}

/// Postfix, started.
pub struct Postfix {
    folder: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Postfix {
    /// Starts it in `folder`, queue and Maildir included.
    pub fn start(folder: &Path) -> Fallible<Self> {
        let address = free_address()?;
        run(SCRIPT, &["postfix", text(folder)?, &address.port().to_string()])?;
        let postfix = Self { folder: folder.to_owned(), address };
        run("/usr/sbin/postfix", &["-c", text(&folder.join("etc"))?, "start"])?;
        wait_for_server(address)?;
        Ok(postfix)
    }

    /// Its master process, ancestor of all others.
    pub fn pid(&self) -> Fallible<u32> {
        process::from_pid_file(&self.folder.join("queue/pid/master.pid"))
    }

    /// Waits until all mail is in the Maildir.
    pub fn drain(&self) -> Fallible<()> {
        wait_for("Postfix's queue to drain", DRAIN, || {
            for queue in ["maildrop", "incoming", "active"] {
                if fs::read_dir(self.folder.join("queue").join(queue))?.next().is_some() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// How many messages have been delivered.
    pub fn delivered(&self) -> Fallible<usize> {
        Ok(fs::read_dir(self.folder.join("mail/user2/new"))?.count())
    }

    /// Stops it.
    pub fn stop(self) -> Fallible<()> {
        run("/usr/sbin/postfix", &["-c", text(&self.folder.join("etc"))?, "stop"])
    }
}

/// How Dovecot is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// One long-lived process for all sessions, every documented short cut.
    Tuned,
    /// As Debian delivers it.
    Default,
}

/// Dovecot, started.
pub struct Dovecot {
    child: Child,
    /// Where it listens for POP3.
    pub address: SocketAddr,
    /// Where it listens for IMAP.
    pub imap: SocketAddr,
}

impl Dovecot {
    /// Starts it in `folder`; `folder/mail/USER` are the Maildirs.
    pub fn start(folder: &Path, tuning: Tuning) -> Fallible<Self> {
        let (address, imap) = (free_address()?, free_address()?);
        let kind = match tuning {
            Tuning::Tuned => "tuned",
            Tuning::Default => "default",
        };
        let (pop3_port, imap_port) = (address.port().to_string(), imap.port().to_string());
        run(SCRIPT, &["dovecot", text(folder)?, &pop3_port, kind, &imap_port])?;
        let child = Command::new("/usr/sbin/dovecot").arg("-F").arg("-c").arg(folder.join("dovecot.conf")).spawn()?;
        wait_for_server(address)?;
        wait_for_server(imap)?;
        Ok(Self { child, address, imap })
    }

    /// Its master process, ancestor of all others.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it and waits for its end.
    pub fn stop(mut self) -> Fallible<()> {
        run("kill", &["-TERM", &self.child.id().to_string()])?;
        self.child.wait()?;
        Ok(())
    }
}

/// Writes `messages` (with CRLF line ends) as a Maildir, the way Dovecot's own delivery names and stores them.
pub fn maildir(folder: &Path, messages: &[Vec<u8>]) -> Fallible<()> {
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(part))?;
    }
    for (number, message) in messages.iter().enumerate() {
        let stored: Vec<u8> = message.iter().copied().filter(|octet| *octet != b'\r').collect();
        let name = format!("{}.M{number}P1.bench,S={},W={}:2,", 1_700_000_000 + number, stored.len(), message.len());
        fs::write(folder.join("cur").join(name), stored)?;
    }
    run("chown", &["-R", "nobody:nogroup", text(folder)?])
}
