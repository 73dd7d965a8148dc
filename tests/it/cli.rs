//! The program as people use it: real processes, real sockets, exact words. Each test has a state directory, a lab folder and
//! ports of its own.

mod engine;
mod faults;
mod hostile;
mod life;
mod naming;
mod soak;
mod tending;
mod trouble;
mod words;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use labctl::lab::Service;
use serde_json::Value;

/// How long an answer on a socket may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where no Docker Engine is: these tests are about labctl alone, and start no containers by accident.
const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

/// A folder with a lab in it, and a state directory.
struct Test {
    folder: tempfile::TempDir,
    smtp: u16,
    pop3: u16,
    ports: BTreeMap<Service, u16>,
}

/// Ports that are free on every address when they are chosen.
pub fn free_ports() -> BTreeMap<Service, u16> {
    let listeners = Service::ALL.map(|service| (service, TcpListener::bind("0.0.0.0:0").expect("a free port")));
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    listeners.iter().map(|(service, listener)| (*service, port(listener))).collect()
}

/// The line of a lab file with these ports.
pub fn ports_line(ports: &BTreeMap<Service, u16>) -> String {
    let ports: Vec<String> = ports.iter().map(|(service, port)| format!("{service} = {port}")).collect();
    format!("ports = {{ {} }}\n", ports.join(", "))
}

/// What a command did.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Test {
    /// A place where nothing has happened yet. The ports are free on every address when they are chosen.
    fn new() -> Self {
        let ports = free_ports();
        let (smtp, pop3) = (ports[&Service::Smtp], ports[&Service::Pop3]);
        Self { folder: tempfile::tempdir().expect("a temporary folder"), smtp, pop3, ports }
    }

    /// With a lab `class` of `text`, on the test's ports.
    fn with(text: &str) -> Self {
        let test = Self::new();
        test.write(text);
        test
    }

    /// Writes the lab file.
    fn write(&self, text: &str) {
        let folder = self.path("class");
        fs::create_dir_all(&folder).expect("a folder");
        let lab = format!("{}{text}", ports_line(&self.ports));
        fs::write(folder.join("lab.toml"), lab).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command; an `up` is meant for the embedded engine unless it says otherwise, whatever answers on this machine.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_labctl"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        if args.first() == Some(&"up") && !args.contains(&"--engine") {
            command.args(["--engine", "embedded"]);
        }
        command.env("DOCKER_HOST", NO_ENGINE);
        command.env("LABCTL_STATE_DIR", self.path("state")).env("LC_ALL", "C").env_remove("LANG");
        command
    }

    /// Runs a command to its end; what differs from run to run is replaced by names.
    fn run(&self, args: &[&str]) -> Ran {
        self.ran(&self.command(args).output().expect("labctl starts"))
    }

    fn ran(&self, output: &Output) -> Ran {
        let text = |octets: &[u8]| self.named(&String::from_utf8_lossy(octets));
        let code = output.status.code().expect("labctl ends by itself");
        Ran { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn named(&self, text: &str) -> String {
        let text = text.replace(&self.folder.path().canonicalize().expect("it exists").display().to_string(), "$DIR");
        let text = text.replace(&self.folder.path().display().to_string(), "$DIR");
        let text = text.replace(env!("CARGO_BIN_EXE_labctl"), "labctl");
        let named = |text: String, (service, port): (&Service, &u16)| {
            text.replace(&port.to_string(), &format!("${}", service.as_str().to_uppercase()))
        };
        self.ports.iter().fold(text, named)
    }

    /// Runs a command that must do all it was told, and gives its data.
    fn done(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}{}", ran.out, ran.err);
        ran.out
    }

    /// The same, as JSON.
    fn json(&self, args: &[&str]) -> Value {
        let output = self.command(args).output().expect("labctl starts");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Starts a command whose data is read while it runs.
    fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("labctl starts")
    }

    /// The process that serves the lab.
    fn process(&self) -> String {
        let path = self.path("state/labs/class/serve.lock");
        fs::read_to_string(path).expect("a process was started").trim().to_owned()
    }

    /// A session with the server of student number `student` of group number 1, in which each line gets its reply.
    fn smtp(&self, student: u8, lines: &[&str]) -> Vec<String> {
        talk(student, self.smtp, lines)
    }

    /// A session that has been greeted, and stays.
    fn connect(&self, student: u8) -> TcpStream {
        let mut stream = BufReader::new(connected(student, self.smtp));
        reply(&mut stream);
        stream.into_inner()
    }

    fn pop3(&self, student: u8, lines: &[&str]) -> Vec<String> {
        talk(student, self.pop3, lines)
    }

    /// Sends a mail from user1 to user2.
    fn send_mail(&self) {
        let replies = self.smtp(
            1,
            &[
                "HELO me",
                "MAIL FROM:<user1@lib.lab>",
                "RCPT TO:<user2@lib.lab>",
                "DATA",
                "Subject: x\r\n\r\nhi\r\n.",
                "QUIT",
            ],
        );
        let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
        assert_eq!(codes, ["220", "250", "250", "250", "354", "250", "221"], "{replies:?}");
    }

    /// How many messages a mailbox of the lab has, by POP3 with the fixed passwords.
    fn count(&self, user: &str) -> String {
        let replies = self.pop3(1, &[&format!("USER {user}"), &format!("PASS {user}pass"), "STAT", "QUIT"]);
        replies[3].split(' ').nth(1).unwrap_or("?").to_owned()
    }
}

/// A lab process outlives a test that fails; it must not outlive the test run.
impl Drop for Test {
    fn drop(&mut self) {
        let labs = fs::read_dir(self.path("state/labs")).into_iter().flatten().flatten();
        for lab in labs {
            let name = lab.file_name().to_string_lossy().into_owned();
            let _ = self.command(&["down", &name]).output();
        }
    }
}

/// The first line of each reply, the greeting first.
fn talk(student: u8, port: u16, lines: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(connected(student, port));
    let mut replies = vec![reply(&mut stream)];
    for line in lines {
        stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
        replies.push(reply(&mut stream));
    }
    replies
}

fn connected(student: u8, port: u16) -> TcpStream {
    let stream = TcpStream::connect(SocketAddr::from(([127, 77, 1, student], port))).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

fn reply(stream: &mut BufReader<TcpStream>) -> String {
    let mut first = String::new();
    stream.read_line(&mut first).expect("the server answers");
    let mut line = first.clone();
    while line.as_bytes().get(3) == Some(&b'-') && !line.starts_with("-ERR") {
        line.clear();
        stream.read_line(&mut line).expect("the reply goes on");
    }
    first.trim_end().to_owned()
}

/// One group, two students with fixed passwords, an exercise that a mail from user1 to user2 solves.
const LAB: &str = r#"
domain = "lib.lab"
users = [{ name = "user1", password = "user1pass" }, { name = "user2", password = "user2pass" }]
relay = false

[[exercise]]
id = "1.1"
title = "Send a message"
points = 2
[[exercise.check]]
message = { in = "user2", from = "user1*" }
"#;

/// The same with a mail that each student gets.
fn lab_with_mail() -> String {
    format!(
        "{LAB}\n[[mail]]\nid = \"welcome\"\nto = \"{{login}}\"\nfrom = \"profesor\"\nsubject = \"hola\"\nbody = \"Tu palabra: {{secret}}\"\n"
    )
}

fn exists(path: &Path) -> bool {
    path.exists()
}
