//! Between labctl and an Engine: everything passes, but for what a test has answered otherwise, as by an Engine that is not
//! here. Without an Engine behind it, it is a made-up one.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
};

/// The Engine of this machine.
const ENGINE: &str = "/var/run/docker.sock";

/// What is answered otherwise.
#[derive(Clone)]
pub enum Otherwise {
    /// To requests whose method and path contain these: this status and this JSON.
    Answer(&'static str, &'static str, u16, String),
    /// In answers to those: a text for another.
    Replace(&'static str, &'static str, &'static str, &'static str),
}

pub struct Between {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Between {
    /// In front of this machine's Engine, if `real`.
    pub fn new(real: bool, otherwise: Vec<Otherwise>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join("docker.sock")).expect("a socket");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (otherwise, asked) = (otherwise.clone(), Arc::clone(&all));
                thread::spawn(move || pass(stream, real, &otherwise, &asked));
            }
        });
        Self { folder, asked }
    }

    /// Where it is, as `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }

    /// The requests so far: method and path.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test fails in between").clone()
    }
}

/// One request of a connection, which ends with its answer.
fn pass(client: UnixStream, real: bool, otherwise: &[Otherwise], asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut from_client = BufReader::new(client.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from_client.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let request = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
    asked.lock().ok()?.push(request.clone());
    let is = |method: &str, path: &str| request.starts_with(method) && request.contains(path);
    let mut client = client;
    for other in otherwise {
        let Otherwise::Answer(method, path, status, body) = other else { continue };
        if is(method, path) {
            return answer(&mut client, *status, body);
        }
    }
    if !real {
        return answer(&mut client, 500, r#"{"message":"there is no such Engine"}"#);
    }
    let mut engine = UnixStream::connect(ENGINE).ok()?;
    let upgrades = head.to_lowercase().contains("\r\nconnection: upgrade");
    let head = if upgrades { head } else { head.replacen("\r\n", "\r\nConnection: close\r\n", 1) };
    engine.write_all(head.as_bytes()).ok()?;
    let mut to_engine = engine.try_clone().ok()?;
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_engine);
        let _ = to_engine.shutdown(Shutdown::Write);
    });
    let replaced = otherwise.iter().find_map(|other| match other {
        Otherwise::Replace(method, path, from, to) if is(method, path) => Some((from, to)),
        Otherwise::Replace(..) | Otherwise::Answer(..) => None,
    });
    if let Some((from, to)) = replaced {
        let mut text = String::new();
        engine.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        return answer(&mut client, status, &body.replace(from, to));
    }
    let _ = std::io::copy(&mut engine, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    Some(())
}

fn answer(client: &mut UnixStream, status: u16, body: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nConnection: close\r\n");
    let whole = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    client.write_all(whole.as_bytes()).ok()?;
    client.shutdown(Shutdown::Both).ok()
}
