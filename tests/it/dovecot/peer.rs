//! Dovecot in a folder of its own, on a free port, and a client that talks to either server.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::tree::{self, Node};

/// How long Dovecot may take to listen, and either server to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Debian's Dovecot.
const DOVECOT: &str = "/usr/sbin/dovecot";

/// A Dovecot that runs.
pub struct Dovecot {
    child: Child,
    folder: tempfile::TempDir,
    pub address: SocketAddr,
}

impl Dovecot {
    pub fn start() -> Self {
        assert!(Path::new("/usr/lib/dovecot/imap").exists(), "dovecot-imapd is missing: run tests/install.sh");
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let dir = folder.path().to_str().unwrap();
        let run = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).output().unwrap();
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let root = run("id", &["-u"]) == "0";
        let (user, group) =
            if root { ("nobody".to_owned(), "nogroup".to_owned()) } else { (run("id", &["-un"]), run("id", &["-gn"])) };
        fs::create_dir(folder.path().join("mail")).unwrap();
        fs::write(folder.path().join("users"), "user1:{PLAIN}Usuario1\n").unwrap();
        // Without root every one of Dovecot's processes runs as whoever runs the tests.
        let own =
            format!("default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n");
        fs::write(folder.path().join("dovecot.conf"), format!(
            "base_dir = {dir}/run\nstate_dir = {dir}/state\nlog_path = {dir}/log\nprotocols = imap\nlisten = 127.0.0.1\nssl = no\n\
             disable_plaintext_auth = no\nmail_location = maildir:{dir}/mail/%u:LAYOUT=fs\nfirst_valid_uid = 1\n{}\
             passdb {{\n driver = passwd-file\n args = {dir}/users\n}}\n\
             userdb {{\n driver = static\n args = uid={user} gid={group} home={dir}/mail/%u\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = /\n\
             mailbox Drafts {{\n special_use = \\Drafts\n auto = subscribe\n }}\n mailbox Junk {{\n special_use = \\Junk\n auto = subscribe\n }}\n\
             mailbox Sent {{\n special_use = \\Sent\n auto = subscribe\n }}\n mailbox Trash {{\n special_use = \\Trash\n auto = subscribe\n }}\n}}\n\
             service imap-login {{\n inet_listener imap {{\n port = {}\n }}\n inet_listener imaps {{\n port = 0\n }}\n}}\n",
            if root { "" } else { &own }, address.port(),
        )).unwrap();
        if root {
            run("chown", &["-R", &format!("{user}:{group}"), &format!("{dir}/mail")]);
            run("chmod", &["755", dir]);
        }
        let config = folder.path().join("dovecot.conf");
        // Days are counted in the server's time zone, and dates shown in it: the same for both.
        let child = Command::new(DOVECOT).arg("-F").arg("-c").arg(config).stdout(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                started.elapsed() < PATIENCE,
                "{}",
                fs::read_to_string(folder.path().join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, folder, address }
    }

    /// Ends it, by its pid.
    pub fn stop(mut self) {
        let ended = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(ended.success());
        self.child.wait().unwrap();
        drop(self.folder);
    }
}

/// A session with either server.
pub struct Talk {
    reader: BufReader<TcpStream>,
    number: u32,
}

/// What a command was answered.
#[derive(Debug)]
pub struct Answer {
    /// Untagged answers, taken apart.
    pub untagged: Vec<Vec<Node>>,
    /// OK, NO or BAD.
    pub status: String,
}

impl Answer {
    /// What is compared: the answers that tell something, in a form that has one way to say it, and the status.
    pub fn normal(&self) -> Vec<Node> {
        let mut told: Vec<Node> = self.untagged.iter().filter_map(|answer| tree::normal(answer)).collect();
        // Names may be listed in any order.
        if told.iter().all(tree::is_listing) {
            told.sort();
        }
        told.into_iter().chain([Node::Text(self.status.clone())]).collect()
    }
}

impl Talk {
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut talk = Self { reader: BufReader::new(stream), number: 0 };
        talk.read();
        talk
    }

    /// Sends a command and takes its answers.
    pub fn ask(&mut self, command: &str) -> Answer {
        self.number += 1;
        let tag = format!("t{}", self.number);
        // Texts beyond ASCII go as literals, which both take in every position.
        let mut sent = format!("{tag} ");
        for (place, piece) in command.split('"').enumerate() {
            if place % 2 == 0 {
                sent.push_str(piece);
            } else if piece.is_ascii() {
                let _ = write!(sent, "\"{piece}\"");
            } else {
                let _ = write!(sent, "{{{}+}}\r\n{piece}", piece.len());
            }
        }
        self.send(format!("{sent}\r\n").as_bytes());
        self.answer(&tag)
    }

    pub fn append(&mut self, what: &str, message: &[u8]) -> String {
        self.number += 1;
        let tag = format!("t{}", self.number);
        self.send(format!("{tag} APPEND {what} {{{}+}}\r\n", message.len()).as_bytes());
        self.send(message);
        self.send(b"\r\n");
        self.answer(&tag).status
    }

    fn send(&mut self, octets: &[u8]) {
        self.reader.get_mut().write_all(octets).unwrap();
    }

    fn answer(&mut self, tag: &str) -> Answer {
        let mut untagged = Vec::new();
        loop {
            let line = self.read();
            let nodes = tree::parse(&line);
            match nodes.first() {
                Some(Node::Text(first)) if first == tag => {
                    let Some(Node::Text(status)) = nodes.get(1) else { panic!("no status: {nodes:?}") };
                    return Answer { untagged, status: status.clone() };
                }
                _ => untagged.push(nodes),
            }
        }
    }

    /// A whole answer, literals included.
    fn read(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        loop {
            let start = answer.len();
            assert!(
                self.reader.read_until(b'\n', &mut answer).unwrap() > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&answer)
            );
            let line = answer[start..].strip_suffix(b"\r\n").expect("CRLF");
            let Some(length) = literal(line) else { return answer };
            let from = answer.len();
            answer.resize(from + length, 0);
            self.reader.read_exact(&mut answer[from..]).unwrap();
        }
    }
}

fn literal(line: &[u8]) -> Option<usize> {
    let inside = line.strip_suffix(b"}")?;
    let open = inside.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&inside[open + 1..]).ok()?.parse().ok()
}
