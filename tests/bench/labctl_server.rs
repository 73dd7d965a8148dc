//! labctl's own server, started and asked as a user does it: `labctl up`, `labctl credentials --json`, `labctl down`.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, PoisonError},
    thread,
};

use labctl::lab::Service;
use serde_json::Value;

use crate::{Fallible, load::free_address, process, smtp_client};

/// The program under test, built with the benchmark.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_labctl");

/// The password of every mailbox.
pub const PASSWORD: &str = "password";

/// Sessions that fill a mailbox: they share commits.
const FILLERS: usize = 16;

/// A class.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// Groups; one alone has the domain `bench.lab`, several have one each.
    pub groups: usize,
    /// Students of each group.
    pub students: usize,
}

/// One group of two, as most figures want it.
pub const ONE_GROUP: Class = Class { groups: 1, students: 2 };

/// A student, as `credentials --json` has it.
#[derive(Debug, Clone)]
pub struct Student {
    /// The login and the own mailbox.
    pub login: String,
    /// Where the student's SMTP server is.
    pub smtp: SocketAddr,
    /// Where the student's POP3 server is.
    pub pop3: SocketAddr,
    /// Where the student's IMAP server is.
    pub imap: SocketAddr,
    /// Where the student's names are.
    pub dns: SocketAddr,
}

/// A lab that is up.
pub struct Labctl {
    state: PathBuf,
    lab: PathBuf,
    /// The process that serves it.
    pub pid: u32,
    /// The SMTP server of the first student.
    pub smtp: SocketAddr,
    /// The POP3 server of the first student.
    pub pop3: SocketAddr,
    /// The IMAP server of the first student.
    pub imap: SocketAddr,
    /// The DNS server of the first student.
    pub dns: SocketAddr,
}

impl Labctl {
    /// Brings up a lab of one group whose state is in `folder`.
    pub fn start(folder: &Path) -> Fallible<Self> {
        Self::start_class(folder, ONE_GROUP)
    }

    /// Brings up a lab whose state is in `folder`.
    pub fn start_class(folder: &Path, class: Class) -> Fallible<Self> {
        Self::start_with(folder, class, "")
    }

    /// Brings up a lab with these exercises.
    pub fn start_with(folder: &Path, class: Class, exercises: &str) -> Fallible<Self> {
        Self::start_lab(folder, &format!("{}{exercises}", lab_file(class)?))
    }

    /// Brings up a lab of two groups with a student each, `user1@g001.lab` and `user2@g002.lab`, who can write to each other.
    pub fn start_relaying(folder: &Path) -> Fallible<Self> {
        let lab = lab_file(Class { groups: 2, students: 1 })?.replace("relay = false", "relay = true");
        Self::start_lab(folder, &format!("{lab}[queue]\nrecipients = 1000000\n"))
    }

    fn start_lab(folder: &Path, text: &str) -> Fallible<Self> {
        let lab = folder.join("bench.toml");
        fs::write(&lab, text)?;
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { state: folder.join("state"), lab, pid: 0, smtp: any, pop3: any, imap: any, dns: any };
        server.labctl("up")?;
        let first = server.students()?.into_iter().next().ok_or("the lab has no student")?;
        (server.smtp, server.pop3, server.imap, server.dns) = (first.smtp, first.pop3, first.imap, first.dns);
        server.pid = process::from_pid_file(&server.state.join("labctl/labs/bench/serve.lock"))?;
        Ok(server)
    }

    /// All students.
    pub fn students(&self) -> Fallible<Vec<Student>> {
        let output = self.labctl("credentials")?;
        let json: Value = serde_json::from_slice(&output.stdout)?;
        let students = json["students"].as_array().ok_or("credentials without students")?;
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| format!("`{value}` is no text"));
        let student = |student: &Value| {
            let endpoint =
                |protocol: &str| Ok::<_, Box<dyn std::error::Error>>(text(&student["endpoints"][protocol])?.parse()?);
            Ok(Student {
                login: text(&student["login"])?,
                smtp: endpoint("smtp")?,
                pop3: endpoint("pop3")?,
                imap: endpoint("imap")?,
                dns: endpoint("domain")?,
            })
        };
        students.iter().map(student).collect()
    }

    /// Messages in the mailboxes of a group's students.
    pub fn messages(&self, group: &str) -> Fallible<usize> {
        let json: Value = serde_json::from_slice(&self.labctl("status")?.stdout)?;
        let groups = json["labs"][0]["groups"].as_array().ok_or("status without groups")?;
        let found = groups.iter().find(|known| known["name"] == group).ok_or("status without the group")?;
        let students = found["students"].as_array().ok_or("a group without students")?;
        let count = students.iter().filter_map(|student| student["messages"].as_u64()).sum::<u64>();
        Ok(usize::try_from(count)?)
    }

    /// Delivers messages to the mailbox `user2` by SMTP, in no particular order.
    pub fn deliver(&self, messages: impl Iterator<Item = Vec<u8>>) -> Fallible<()> {
        let queue = Mutex::new(messages.collect::<VecDeque<_>>());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let fill = || smtp_client::fill(self.smtp, next).map_err(|error| error.to_string());
        thread::scope(|scope| {
            let fillers: Vec<_> = (0..FILLERS).map(|_| scope.spawn(fill)).collect();
            fillers.into_iter().try_for_each(|filler| filler.join().expect("a filler does not panic"))
        })?;
        Ok(())
    }

    /// What `labctl report --json` prints.
    pub fn report(&self) -> Fallible<Vec<u8>> {
        Ok(self.labctl("report")?.stdout)
    }

    /// The store of a group, counted from 0.
    pub fn store(&self, group: usize) -> PathBuf {
        self.state.join(format!("labctl/labs/bench/stores/{}.sqlite", group_name(group)))
    }

    /// Takes the process down and keeps the lab.
    pub fn pause(&self) -> Fallible<()> {
        self.labctl("down").map(drop)
    }

    /// Takes the lab down; its state stays, because nothing is deleted between runs.
    pub fn stop(self) -> Fallible<()> {
        self.pause()
    }

    fn labctl(&self, verb: &str) -> Fallible<Output> {
        let mut command = Command::new(PROGRAM);
        command.arg(verb).env("XDG_STATE_HOME", &self.state).env("LANG", "C").env_remove("LABCTL_STATE_DIR");
        match verb {
            "up" => command.arg(&self.lab).args(["--engine", "embedded"]),
            "down" => command.arg("bench"),
            _ => command.args(["bench", "--json"]),
        };
        let output = command.output()?;
        if output.status.success() {
            return Ok(output);
        }
        Err(format!("`labctl {verb}` failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

fn group_name(group: usize) -> String {
    format!("g{:03}", group + 1)
}

/// A lab file with ports of its own and limits that no measurement reaches.
pub fn lab_file(class: Class) -> Fallible<String> {
    let ports = Service::ALL
        .map(|service| Ok::<_, Box<dyn std::error::Error>>(format!("{service} = {}", free_address()?.port())));
    let ports = ports.into_iter().collect::<Result<Vec<_>, _>>()?.join(", ");
    let domain = if class.groups == 1 { "bench.lab" } else { "{group}.lab" };
    let mut text =
        format!("name = \"bench\"\ndomain = \"{domain}\"\nrelay = false\nports = {{ {ports} }}\nstudents = [\n");
    for number in 0..class.groups * class.students {
        let (login, group) = (number + 1, group_name(number / class.students));
        let _ = writeln!(text, "  {{ login = \"user{login}\", group = \"{group}\", password = \"{PASSWORD}\" }},");
    }
    text.push_str(
        "]\n[limits]\nmailbox = \"64 GiB\"\nsessions_per_student = 1000\nsessions = 10000\nevidence = \"1024 GiB\"\n",
    );
    Ok(text)
}
