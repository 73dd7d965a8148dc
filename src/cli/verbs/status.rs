//! `labctl status`: what runs, where, and who is connected.

mod containers;

use std::collections::BTreeMap;

use serde::Serialize;

use self::containers::{Containers, Server};

use crate::{
    cli::{
        args::Status as Args,
        error::{Error, count},
        exit::Exit,
        labfile,
        naming::Shell,
        verbs::{credentials::table, interrupted},
        whom::Whom,
    },
    control::{ServerStatus, Status},
    engine::{Engine, LabDir, Record, docker::DockerError, embedded::EngineError},
    evidence::Interruption,
    lab::{
        EngineKind, INSTRUCTOR, Login, Service,
        containers::Start,
        server::{Account, Endpoint},
    },
    names::order::natural,
    server::{Descriptors, Session},
    store::Trouble,
};

/// Groups without a server that are named; of more, that there are.
const SHOWN: usize = 3;

/// Open mailboxes that are named.
const HELD: usize = 10;

/// What `--json` prints.
#[derive(Serialize)]
struct Labs {
    version: u32,
    labs: Vec<Shown>,
}

#[derive(Default, Serialize)]
struct Shown {
    name: String,
    source: String,
    engine: &'static str,
    up: bool,
    stopping: bool,
    process: Option<u32>,
    /// The process's descriptors; on Docker each server has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptors: Option<Descriptors>,
    not_running: Vec<String>,
    /// Why it could not be asked; then only what labctl remembers is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    /// Groups with a server; on Docker others are known by their containers.
    #[serde(skip)]
    runs: usize,
    groups: Vec<Group>,
}

#[derive(Default, Serialize)]
struct Group {
    name: String,
    domain: String,
    /// Docker: the server's container.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
    /// How the server before the one that runs ended, where it was not stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Interruption>,
    /// Why its store cannot be written, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<Trouble>,
    /// The sessions that are open now.
    sessions: Vec<Session>,
    /// Sessions that are open now, also of nobody known.
    #[serde(skip)]
    connected: usize,
    students: Vec<Student>,
    shared: Vec<Shared>,
}

/// A mailbox of the whole group.
#[derive(Serialize)]
struct Shared {
    mailbox: String,
    messages: u64,
}

#[derive(Default, Serialize)]
struct Student {
    login: String,
    /// The first of the services to send by and to read by, kept for scripts; empty where there is none.
    smtp: String,
    pop3: String,
    /// `host:port` by service.
    endpoints: BTreeMap<Service, String>,
    /// Docker: where the student's container is.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    messages: u64,
    connected: usize,
    /// Docker: how the container is.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'static str>,
    /// Docker: the octets of memory that it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
}

/// Shows one lab, or without a name all of them.
pub fn run(shell: &Shell, args: &Args) -> Result<Exit, Error> {
    let (lab, who) = shell.whose(&args.whose)?;
    let whom = shell.find(lab, who)?;
    let wanted = match (lab, shell.known(None)) {
        (Some(lab), _) => vec![shell.known(Some(lab))?],
        (None, Ok(one)) => vec![one],
        (None, Err(Error::WhichLab { .. } | Error::NeverUp { .. })) => shell.state.known()?,
        (None, Err(problem)) => return Err(problem),
    };
    let runtime = super::runtime()?;
    let mut labs = Vec::new();
    let mut exit = Exit::Done;
    let alone = wanted.len() == 1;
    for (dir, record) in wanted {
        match runtime.block_on(shown(&dir, &record)) {
            Ok(lab) => labs.push(lab),
            // Its containers went when it was taken down, while an Engine was there.
            Err(Error::Engine(EngineError::Docker(
                DockerError::Unreachable { .. } | DockerError::Elsewhere { .. },
            ))) if !record.up => {
                labs.push(remembered(&dir, &record));
            }
            Err(problem) if alone => return Err(problem),
            // The other labs are worth seeing without this one.
            Err(problem) => {
                shell.out.problem(format_args!("lab `{}`: {problem}", dir.name()), problem.hint().as_deref());
                labs.push(Shown { unknown: Some(problem.to_string()), ..remembered(&dir, &record) });
                exit = Exit::Partly;
            }
        }
    }
    if let Some(whom) = &whom {
        for lab in &mut labs {
            keep(lab, whom);
        }
    }
    if args.json {
        shell.out.json(&Labs { version: 1, labs })?;
        return Ok(exit);
    }
    match labs.as_slice() {
        [] => shell.out.note("labctl knows no lab yet"),
        [lab] => one(shell, lab)?,
        several => {
            let row = |lab: &Shown| vec![lab.name.clone(), state(lab), lab.source.clone()];
            shell.out.table(&["LAB", "STATE", "FILE"], &several.iter().map(row).collect::<Vec<_>>())?;
        }
    }
    Ok(exit)
}

/// What is not of whom is meant is not there.
fn keep(lab: &mut Shown, whom: &Whom) {
    for group in &mut lab.groups {
        group.students.retain(|student| whom.includes(&group.name, &student.login));
        if let Some(login) = whom.student() {
            let of =
                |session: &Session| [&session.student, &session.holds].into_iter().flatten().any(|one| one == login);
            group.sessions.retain(of);
        }
    }
    lab.groups.retain(|group| whom.is_in(&group.name));
}

fn one(shell: &Shell, lab: &Shown) -> Result<(), Error> {
    shell.out.note(format_args!("lab `{}` is {} (`{}`)", lab.name, state(lab), lab.source));
    if lab.groups.is_empty() {
        return Ok(());
    }
    let containers = lab.engine == EngineKind::Docker.as_str();
    let students = || lab.groups.iter().flat_map(|group| &group.students);
    let endpoints: Vec<_> = students().map(|student| &student.endpoints).collect();
    // In its container a student has the server's name; there is more to say that needs the room.
    let (places, mut cells, note) = match (shell.out.is_terminal(), containers) {
        (true, true) => (Vec::new(), vec![Vec::new(); endpoints.len()], None),
        (true, false) => table::places(&endpoints),
        (false, _) => {
            let heads = table::shown(endpoints.first().copied()).into_iter().flatten();
            let whole = endpoints.iter().map(|endpoints| table::whole(endpoints).to_vec()).collect();
            (heads.map(|service| service.as_str().to_uppercase()).collect(), whole, None)
        }
    };
    let mut cells = cells.drain(..);
    let rows: Vec<Vec<String>> =
        lab.groups.iter().flat_map(|group| rows(group, containers, places.len(), &mut cells)).collect();
    let mut head: Vec<String> = ["GROUP", "STUDENT"].map(str::to_owned).into_iter().chain(places).collect();
    head.extend(["ADDRESS", "CONTAINER", "MEMORY"].into_iter().filter(|_| containers).map(str::to_owned));
    head.extend(["MESSAGES", "CONNECTED"].map(str::to_owned));
    shell.out.table(&head, &rows)?;
    if let Some(note) = note {
        shell.out.sentence(&note);
    }
    let cuts = lab.groups.iter().filter_map(|group| Some((group.name.as_str(), group.after.as_ref()?)));
    interrupted::warn(shell.out, cuts);
    for group in &lab.groups {
        if let Some(trouble) = &group.trouble {
            interrupted::tell(shell.out, &group.name, Some(trouble));
            let disk = if containers { "the Engine" } else { "labctl's state directory" };
            shell.out.hint(format_args!("free space on the disk of {disk}; the server then writes again by itself"));
        }
    }
    held(shell, lab);
    if let Some(Descriptors { open, limit }) = lab.descriptors.filter(|descriptors| descriptors.is_exhausted()) {
        shell.out.warn(format_args!(
            "the process has {open} of {limit} file descriptors open: new connections are turned away until some end"
        ));
        shell.out.hint("`labctl disconnect STUDENT` ends a student's; a higher `ulimit -Hn` before `up` allows more");
    }
    for group in &lab.groups {
        if let Some(cause) = group.server.as_ref().and_then(|server| server.ended.as_ref()) {
            shell.out.warn(format_args!("server `{}` does not run: {cause}", group.name));
            shell.out.hint(format_args!("`labctl logs {}` says more; `labctl up {}` starts it", group.name, lab.name));
        }
    }
    for group in lab.groups.iter().filter(|group| !group.shared.is_empty()) {
        let mailboxes: Vec<String> =
            group.shared.iter().map(|shared| format!("{} {}", shared.mailbox, shared.messages)).collect();
        shell.out.note(format_args!("messages in shared mailboxes of `{}`: {}", group.name, mailboxes.join(", ")));
    }
    Ok(())
}

/// Who has a mailbox that others may want, and how to end that.
fn held(shell: &Shell, lab: &Shown) {
    let sessions = lab.groups.iter().flat_map(|group| group.sessions.iter().map(move |session| (group, session)));
    let held: Vec<(&Group, &Session, &Login)> =
        sessions.filter_map(|(group, session)| Some((group, session, session.holds.as_ref()?))).collect();
    for (group, Session { conn, student, since, .. }, mailbox) in held.iter().take(HELD) {
        let whose = student.as_ref().map_or("somebody".to_owned(), |login| format!("`{login}`"));
        let since = since.of_day(shell.out.words().utc_offset_secs);
        let what = format!("mailbox `{mailbox}` of `{}` is open by POP3", group.name);
        shell.out.note(format_args!("{what}: {whose}, connection {}, since {since}", conn.0));
    }
    if held.len() > HELD {
        shell.out.note(format_args!("and {}: see `--json`", format_args!("{} more", held.len() - HELD)));
    }
    // A student's own mailbox is nobody else's business.
    let blocks = |(_, session, mailbox): &&(&Group, &Session, &Login)| session.student.as_ref() != Some(*mailbox);
    if let Some((_, Session { conn, student: Some(student), .. }, _)) = held.iter().find(blocks) {
        shell.out.hint(format_args!("`labctl disconnect {student} --conn {}` ends such a session", conn.0));
    }
}

/// A row for each student, and before them one for the server where it has a container; `places` cells of each say where
/// the student connects.
fn rows(
    group: &Group,
    containers: bool,
    places: usize,
    cells: &mut dyn Iterator<Item = Vec<String>>,
) -> Vec<Vec<String>> {
    let memory =
        |octets: Option<u64>| octets.map(|octets| format!("{} MiB", octets.div_ceil(1 << 20))).unwrap_or_default();
    let server = group.server.as_ref().filter(|_| containers).map(|server| {
        let none = vec![String::new(); places];
        let first = [group.name.clone(), "(server)".to_owned()].into_iter().chain(none);
        let first = first.chain([server.address.clone(), server.state.to_owned()]);
        first.chain([memory(server.memory), String::new(), server.connected.to_string()]).collect()
    });
    let student = |student: &Student| {
        let mut row = vec![group.name.clone(), student.login.clone()];
        let mut cells = cells.next().unwrap_or_default();
        cells.resize(places, String::new());
        row.append(&mut cells);
        if containers {
            row.push(student.address.clone().unwrap_or_default());
            row.push(student.container.unwrap_or("none").to_owned());
            row.push(memory(student.memory));
        }
        row.extend([student.messages.to_string(), student.connected.to_string()]);
        row
    };
    server.into_iter().chain(group.students.iter().map(student)).collect()
}

fn state(lab: &Shown) -> String {
    let missing = lab.not_running.len();
    if lab.process.is_some() && !lab.stopping && missing > 0 {
        let names: Vec<String> = lab.not_running.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        let more = if missing > SHOWN { ", …" } else { "" };
        let (runs, all) = (lab.runs, lab.runs + missing);
        let verb = if missing == 1 { "does" } else { "do" };
        return format!("up, {runs} of {}: {}{more} {verb} not run", count(all, "server"), names.join(", "));
    }
    state_of_process(lab)
}

fn state_of_process(lab: &Shown) -> String {
    match (lab.up, lab.process) {
        _ if lab.unknown.is_some() => "unknown: it cannot be asked".to_owned(),
        (_, Some(_)) if lab.stopping => "stopping".to_owned(),
        (_, Some(_)) => "up".to_owned(),
        (true, None) => format!("not running, though it should be: run `labctl up {}`", lab.name),
        (false, None) => "down".to_owned(),
    }
}

async fn shown(dir: &LabDir, record: &Record) -> Result<Shown, Error> {
    let engine = Engine::of(dir, record.engine).await?;
    let status = engine.status().await?;
    let running: Vec<&str> =
        status.iter().flat_map(|status| &status.servers).map(|server| server.config.group.as_str()).collect();
    let kept = labfile::kept(dir, &record.source)?.map(|(lab, _)| lab);
    let not_running =
        kept.iter().flat_map(|lab| &lab.groups).map(|group| group.name.as_str()).filter(|name| !running.contains(name));
    let not_running = not_running.map(str::to_owned).collect();
    let runs = running.len();
    let mut groups = status.as_ref().map(groups).unwrap_or_default();
    if let Engine::Docker(docker) = &engine {
        let observed = docker.observe().await?;
        let memory = docker.memory(&observed).await;
        let on_demand = kept.is_some_and(|lab| lab.docker.clients == Start::OnDemand);
        let ended = docker.ended(&observed).await;
        Containers { observed, memory, ended, on_demand }.add_to(&mut groups);
    }
    Ok(Shown {
        stopping: status.as_ref().is_some_and(|status| status.stopping),
        process: status.as_ref().map(|status| status.pid),
        descriptors: status.as_ref().map(|status| status.descriptors),
        not_running,
        runs,
        groups,
        ..remembered(dir, record)
    })
}

/// What labctl knows of a lab without asking it.
fn remembered(dir: &LabDir, record: &Record) -> Shown {
    Shown {
        engine: record.engine.as_str(),
        name: dir.name().to_string(),
        source: record.source.display().to_string(),
        up: record.up,
        ..Shown::default()
    }
}

fn groups(status: &Status) -> Vec<Group> {
    let group = |server: &ServerStatus| Group {
        name: server.config.group.to_string(),
        domain: server.config.domain.to_string(),
        server: None,
        after: server.after.clone(),
        trouble: server.trouble.clone(),
        sessions: server.sessions.clone(),
        connected: server.connected.iter().map(|connected| connected.sessions).sum(),
        students: students(server),
        shared: shared(server),
    };
    status.servers.iter().map(group).collect()
}

fn students(server: &ServerStatus) -> Vec<Student> {
    let own = server.config.accounts.iter().filter(|(_, account)| account.student);
    let mut students: Vec<Student> = own.map(|(login, _)| student(server, login)).collect();
    students.sort_by(|a, b| natural(&a.login, &b.login));
    students
}

fn shared(server: &ServerStatus) -> Vec<Shared> {
    let shared = |(name, account): &(&Login, &Account)| !account.student && name.as_str() != INSTRUCTOR;
    let names = server.config.accounts.iter().filter(shared).map(|(name, _)| name);
    names.map(|name| Shared { mailbox: name.to_string(), messages: messages(server, name) }).collect()
}

fn messages(server: &ServerStatus, name: &Login) -> u64 {
    server.mailboxes.iter().find(|mailbox| mailbox.name == *name).map_or(0, |mailbox| mailbox.messages)
}

fn student(server: &ServerStatus, login: &Login) -> Student {
    let is_own = |endpoint: &&Endpoint| endpoint.student.as_ref().is_none_or(|own| own == login);
    let mut endpoints = BTreeMap::new();
    for endpoint in server.config.endpoints.iter().filter(is_own) {
        endpoints.entry(endpoint.service).or_insert_with(|| endpoint.address.to_string());
    }
    let of = |service| endpoints.get(&service).cloned().unwrap_or_default();
    let connected = server.connected.iter().find(|connected| connected.student.as_ref() == Some(login));
    Student {
        login: login.to_string(),
        smtp: of(Service::Smtp),
        pop3: of(Service::Pop3),
        endpoints,
        messages: messages(server, login),
        connected: connected.map_or(0, |connected| connected.sessions),
        ..Student::default()
    }
}
