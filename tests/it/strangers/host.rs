//! The lab that the programs meet, and what is asked of it behind their backs.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::cli::{free_ports, ports_line};

const LAB: &str = r#"
name = "strangers"
domain = "lib.simulacion"
users = [{ name = "user2", password = "Usuario2" }]
students = [{ login = "ana", group = "g1", password = "Secreta1" }]
relay = false
"#;

/// A lab that is up; it is taken down when the test ends.
pub struct Host {
    folder: tempfile::TempDir,
    endpoints: BTreeMap<String, String>,
}

impl Host {
    /// Brings the lab up and keeps its authority's certificate as `ca.pem`.
    pub fn up() -> Self {
        let mut host = Self { folder: tempfile::tempdir().expect("a temporary folder"), endpoints: BTreeMap::new() };
        fs::create_dir(host.path("lab")).expect("a folder");
        fs::write(host.path("lab/lab.toml"), ports_line(&free_ports()) + LAB).expect("a file");
        host.labctl(&["up", "lab", "--engine", "embedded"]);
        fs::write(host.path("ca.pem"), host.labctl(&["credentials", "--ca"])).expect("a file");
        let all: Value = serde_json::from_str(&host.labctl(&["credentials", "--json"])).expect("JSON");
        let endpoints = all["students"][0]["endpoints"].as_object().expect("endpoints");
        let text = |value: &Value| value.as_str().expect("an address").to_owned();
        host.endpoints = endpoints.iter().map(|(service, address)| (service.clone(), text(address))).collect();
        host
    }

    /// A file or folder of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only its owner may read, as clients ask of what holds a password.
    pub fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        fs::write(&path, self.filled(text)).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    /// `text` with `{SERVICE.host}`, `{SERVICE.port}`, `{ca}` and `{dir}` filled in.
    pub fn filled(&self, text: &str) -> String {
        let mut text = text.replace("{dir}", &self.folder.path().display().to_string());
        text = text.replace("{ca}", &self.path("ca.pem").display().to_string());
        for (service, address) in &self.endpoints {
            let (host, port) = address.rsplit_once(':').expect("host:port");
            text = text.replace(&format!("{{{service}.host}}"), host).replace(&format!("{{{service}.port}}"), port);
        }
        text
    }

    /// Runs a program in the test's folder, its words filled in; it must succeed. Gives what it printed.
    pub fn run(&self, line: &str, input: &str) -> String {
        let output = self.ran(line, input);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "`{line}`: {}\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// Runs a program in the test's folder, its words filled in.
    pub fn ran(&self, line: &str, input: &str) -> Output {
        let mut shell = Command::new("timeout");
        shell.args(["120", "sh", "-c", &self.filled(line)]).current_dir(self.folder.path());
        shell.env("HOME", self.folder.path()).env("LC_ALL", "C.UTF-8").env("TERM", "xterm");
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh");
        // Whoever does not read its input has left.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    /// Runs labctl, which must succeed.
    pub fn labctl(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_labctl"))
            .args(args)
            .current_dir(self.folder.path())
            .env("LABCTL_STATE_DIR", self.path("state"))
            .env("LC_ALL", "C")
            .output()
            .expect("labctl runs");
        assert!(output.status.success(), "labctl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The record's events of this kind, oldest first.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let all = self.labctl(&["trace", "--json"]);
        let events = all.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
        events.filter(|event| event["event"] == kind).collect()
    }

    /// Puts a message into a mailbox of the lab, over plain SMTP.
    pub fn mail(&self, to: &str, subject: &str, body: &str) {
        let message = format!("From: profesor@lib.simulacion\nTo: {to}\nSubject: {subject}\n\n{body}\n");
        let line = format!(
            "curl -sS --url smtp://{{smtp.host}}:{{smtp.port}} --mail-from profesor@lib.simulacion \
             --mail-rcpt {to}@lib.simulacion --crlf -T -"
        );
        self.run(&line, &message);
    }

    /// The text of a file that the test's programs wrote.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|problem| panic!("{name}: {problem}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let mut down = Command::new(env!("CARGO_BIN_EXE_labctl"));
        down.args(["down", "--purge", "--yes"]).env("LABCTL_STATE_DIR", self.path("state"));
        let _ = down.current_dir(self.folder.path()).output();
    }
}
