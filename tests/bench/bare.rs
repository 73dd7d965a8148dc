//! A ruler for the disk: the least program that may answer 250 after DATA. A thread per connection, no mailboxes and no
//! evidence; one writer appends what all sessions have sent and pays one fdatasync for all of them (group commit).

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitCode},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::{
    Fallible,
    load::{free_address, wait_for_server},
};

/// The process, started.
pub struct Bare {
    /// It.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Bare {
    /// Starts it on a file in `folder`.
    pub fn start(folder: &std::path::Path) -> Fallible<Self> {
        let address = free_address()?;
        let file = folder.join("bare");
        let child = Command::new(std::env::current_exe()?).arg("--bare").arg(address.to_string()).arg(file).spawn()?;
        wait_for_server(address)?;
        Ok(Self { child, address })
    }

    /// Ends it.
    pub fn stop(mut self) -> Fallible<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// What waits for the disk.
#[derive(Default)]
struct Pending {
    octets: Vec<u8>,
    /// The batch that is being filled.
    filling: u64,
    /// The last batch that is on the disk.
    durable: u64,
}

type Shared = Arc<(Mutex<Pending>, Condvar)>;

/// Serves `ADDRESS FILE` until it is killed.
pub fn serve(words: &[String]) -> Fallible<ExitCode> {
    let [address, file] = words else { return Err("--bare wants ADDRESS FILE".into()) };
    let listener = TcpListener::bind(address.parse::<SocketAddr>()?)?;
    let shared = Shared::default();
    shared.0.lock().expect("no thread panics with the lock").filling = 1;
    let mut file = File::create(file)?;
    let writer = shared.clone();
    thread::spawn(move || commit(&writer, &mut file));
    for stream in listener.incoming() {
        let (stream, shared) = (stream?, shared.clone());
        thread::Builder::new().stack_size(128 << 10).spawn(move || session(&stream, &shared))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn commit(shared: &Shared, file: &mut File) -> io::Result<()> {
    let (lock, changed) = &**shared;
    let mut batch = Vec::new();
    loop {
        let mut pending =
            changed.wait_while(lock.lock().expect("no panic"), |now| now.octets.is_empty()).expect("no panic");
        batch.clear();
        std::mem::swap(&mut batch, &mut pending.octets);
        let number = pending.filling;
        pending.filling += 1;
        drop(pending);
        file.write_all(&batch)?;
        file.sync_data()?;
        lock.lock().expect("no panic").durable = number;
        changed.notify_all();
    }
}

fn session(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream;
    let mut input = BufReader::with_capacity(8 << 10, stream);
    let (mut line, mut message) = (Vec::new(), Vec::new());
    out.write_all(b"220 bare ESMTP\r\n")?;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match line.first_chunk::<4>() {
            Some(b"DATA") => {
                out.write_all(b"354 go on\r\n")?;
                message.clear();
                while !message.ends_with(b"\r\n.\r\n") {
                    if input.read_until(b'\n', &mut message)? == 0 {
                        return Ok(());
                    }
                }
                keep(&message, shared);
                out.write_all(b"250 kept\r\n")?;
            }
            Some(b"QUIT") => return out.write_all(b"221 bye\r\n"),
            _ => out.write_all(b"250 fine\r\n")?,
        }
    }
}

/// Returns when the message is on the disk.
fn keep(message: &[u8], shared: &Shared) {
    let (lock, changed) = &**shared;
    let mut pending = lock.lock().expect("no panic");
    pending.octets.extend_from_slice(message);
    let number = pending.filling;
    changed.notify_all();
    drop(changed.wait_while(pending, |now| now.durable < number).expect("no panic"));
}
