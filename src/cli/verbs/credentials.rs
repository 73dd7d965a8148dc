//! `labctl credentials`: where each student connects, and the passwords. For the instructor to give away.

mod card;
pub mod table;

use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, SocketAddr},
};

use serde::Serialize;

use self::card::Cards;
use super::runtime;
use crate::{
    cli::{
        args::Credentials,
        error::Error,
        exit::Exit,
        naming::{Opened, Shell},
    },
    engine::docker::DockerError,
    lab::{
        EngineKind, INSTRUCTOR, ServerConfig, Service,
        server::{Account, Endpoint},
    },
    names::order::natural,
    plan::{
        self,
        docker::{self, Images},
    },
};

/// What `--json` prints; its shape is promised.
#[derive(Debug, Serialize)]
struct All {
    version: u32,
    students: Vec<Student>,
}

/// One student's way in.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Student {
    /// The group.
    pub group: String,
    /// The mail domain.
    pub domain: String,
    /// The login.
    pub login: String,
    /// The password of the own mailbox.
    pub password: String,
    /// `host:port` by service.
    pub endpoints: BTreeMap<Service, String>,
    /// The same from outside, where the lab publishes ports of the host.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub published: BTreeMap<Service, String>,
    /// The mailboxes the student may open: the own one first, then the group's.
    pub mailboxes: Vec<Mailbox>,
}

impl Student {
    /// Where the student connects who does not sit in a container, which has names for its server.
    fn outside(&self) -> &BTreeMap<Service, String> {
        if self.published.is_empty() { &self.endpoints } else { &self.published }
    }
}

/// A mailbox and its password.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Mailbox {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
    /// What XOAUTH2 and OAUTHBEARER take instead.
    pub token: String,
}

/// Prints them.
pub fn run(shell: &Shell, args: &Credentials) -> Result<Exit, Error> {
    let (opened, whom) = shell.open_for(&args.whose)?;
    if args.ca {
        shell.out.data(&ca(&opened)?)?;
        return Ok(Exit::Done);
    }
    let mut students = current(shell, &opened)?;
    students.retain(|student| whom.as_ref().is_none_or(|whom| whom.includes(&student.group, &student.login)));
    if args.json {
        shell.out.json(&All { version: 1, students })?;
    } else if args.csv {
        shell.out.data(&csv(&students))?;
    } else if args.cards {
        let words = shell.out.words_for(&opened.lab);
        let cards = Cards::new(&opened.lab, words, opened.record.engine == EngineKind::Docker);
        let cards: Vec<String> = students.iter().map(|student| cards.card(student)).collect();
        shell.out.data(&cards.join("\n"))?;
    } else if shell.out.is_terminal() {
        let (head, rows, notes) = table::brief(&students);
        shell.out.table(&head, &rows)?;
        for note in &notes {
            shell.out.sentence(note);
        }
    } else {
        let rows: Vec<_> = students.iter().map(table::full).collect();
        shell.out.table(&table::head(&students), &rows)?;
    }
    Ok(Exit::Done)
}

/// The certificate of the lab's authority.
fn ca(opened: &Opened) -> Result<String, Error> {
    let path = opened.dir.ca();
    match fs::read_to_string(&path) {
        Ok(certificate) => Ok(certificate),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Err(Error::NoAuthority(opened.lab.name.clone())),
        Err(problem) => Err(Error::file("read", path)(problem)),
    }
}

/// The credentials that work: those of the process while the lab is up, whatever its file says meanwhile.
fn current(shell: &Shell, opened: &Opened) -> Result<Vec<Student>, Error> {
    let wanted = servers(opened)?;
    let publish = opened.lab.docker.publish;
    let status = match runtime()?.block_on(async { opened.engine().await?.status().await }) {
        Ok(status) => status,
        Err(problem) => {
            shell.out.warn(format_args!("these are the lab file's: {problem}"));
            None
        }
    };
    let Some(status) = status.filter(|status| !status.stopping) else {
        return Ok(wanted.iter().flat_map(|config| of_server(config, publish)).collect());
    };
    let running: BTreeMap<_, _> =
        status.servers.into_iter().map(|server| (server.config.group.clone(), server.config)).collect();
    let differs = |wanted: &ServerConfig, running: &ServerConfig| {
        *running != ServerConfig { identity: running.identity.clone(), ..wanted.clone() }
    };
    if wanted.iter().any(|config| running.get(&config.group).is_some_and(|running| differs(config, running)))
        || running.keys().any(|group| opened.lab.group(group.as_str()).is_none())
    {
        let name = &opened.lab.name;
        shell.out.warn(format_args!("the lab's files changed since `up`; these hold until `labctl up {name}`"));
    }
    let stopped = wanted.iter().filter(|config| !running.contains_key(&config.group));
    let all: BTreeMap<_, _> = running.values().chain(stopped).map(|config| (&config.group, config)).collect();
    Ok(all.into_values().flat_map(|config| of_server(config, publish)).collect())
}

/// The servers of the lab as its file says, where it is or last was up.
fn servers(opened: &Opened) -> Result<Vec<ServerConfig>, Error> {
    let mut numbers = opened.record.numbers.clone();
    numbers.assign(&opened.lab);
    if opened.record.engine == EngineKind::Docker {
        return runtime()?.block_on(in_containers(opened));
    }
    let addressing = opened.record.addressing().ok_or(crate::engine::StateError::NoBlock)?;
    Ok(plan::servers(&opened.lab, &opened.key, addressing, &numbers))
}

/// The same where the Engine knows the addresses.
async fn in_containers(opened: &Opened) -> Result<Vec<ServerConfig>, Error> {
    let observed = super::exec::docker(opened).await?.observe().await?;
    let layouts = docker::layouts(&opened.lab, &observed, opened.record.docker.pool(opened.lab.docker.pool))
        .map_err(DockerError::from)?;
    let images = Images { server: String::new(), client: String::new() };
    // Passwords and addresses are asked for, and certificates are none of either.
    let none = |_: &ServerConfig| Ok::<_, Error>(None);
    let desired = docker::desired(&opened.lab, &opened.key, &layouts, &images, none)?;
    Ok(super::up::docker::servers(&desired).cloned().collect())
}

/// The credentials of every student of one server; `publish` is the address of the host that leads to it, where it runs in
/// a container.
pub fn of_server(config: &ServerConfig, publish: Option<IpAddr>) -> Vec<Student> {
    // The instructor's own mailbox is no student's business.
    let shared = config.accounts.iter().filter(|(name, account)| !account.student && name.as_str() != INSTRUCTOR);
    let shared: Vec<_> = shared.collect();
    let students = config.accounts.iter().filter(|(_, account)| account.student);
    let mailbox = |name: &str, account: &Account| {
        let (password, token) = (account.password.clone(), account.token.clone());
        Mailbox { user: name.to_owned(), password, token }
    };
    let one = |(login, account): (&crate::lab::Login, &Account)| {
        // An endpoint that is nobody's own is everybody's.
        let own = config.endpoints.iter().filter(|endpoint| endpoint.student.as_ref().is_none_or(|own| own == login));
        let mut endpoints = BTreeMap::new();
        for endpoint in own.clone() {
            // The first one of a service is in the student's own network.
            endpoints.entry(endpoint.service).or_insert_with(|| endpoint.address.to_string());
        }
        let outside = own.filter(|endpoint| endpoint.student.is_some() && !config.clients.is_empty());
        let at_host = |endpoint: &Endpoint| {
            Some((endpoint.service, SocketAddr::from((publish?, endpoint.address.port())).to_string()))
        };
        let others = shared.iter().map(|(name, account)| mailbox(name.as_str(), account));
        Student {
            group: config.group.to_string(),
            domain: config.domain.to_string(),
            login: login.to_string(),
            password: account.password.clone(),
            endpoints,
            published: outside.filter_map(at_host).collect(),
            mailboxes: std::iter::once(mailbox(login.as_str(), account)).chain(others).collect(),
        }
    };
    let mut students: Vec<Student> = students.map(one).collect();
    students.sort_by(|a, b| natural(&a.login, &b.login));
    students
}

fn csv(students: &[Student]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // What came later than the first columns comes after them: whoever counts columns finds the old ones where they were.
    let later: Vec<Service> =
        Service::ALL.into_iter().filter(|service| !matches!(service, Service::Smtp | Service::Pop3)).collect();
    let head = ["group", "domain", "login", "password", "smtp", "pop3", "shared_mailboxes"];
    let head = head.into_iter().chain(later.iter().map(|service| service.as_str())).map(str::to_owned).collect();
    let row = |student: &Student| {
        let endpoint = |service: &Service| student.endpoints.get(service).cloned().unwrap_or_default();
        table::full(student).into_iter().chain(later.iter().map(endpoint)).collect::<Vec<_>>()
    };
    for row in std::iter::once(head).chain(students.iter().map(row)) {
        writer.write_record(&row).expect("a list of octets takes every record");
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).expect("CSV of text is text")
}
