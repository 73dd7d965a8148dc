//! Where plays are performed: one made-up group with a server of its own for each play.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Zoned;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use super::{
    Change, Play, Played, asking,
    containers::{self, Containers},
    player::{self, PlayError, Step, Trust, Wire},
    servers::Servers,
};
use crate::{
    engine::{
        StateError,
        docker::{DockerError, Failure},
    },
    evidence::Seq,
    inject::{self, Undelivered, compose, dialogue},
    lab::{Exercise, Group, Key, Lab, Service, Student, template::Person},
    marking::{Marker, StudentMarks},
    server::{Server, ServerError},
    store::{Reader, StoreError},
};

/// Octets of the pipe between labctl and its own server.
const PIPE: usize = 64 << 10;

/// Why a rehearsal could not be carried out; a lab that is marked wrongly is no error.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The lab has nobody to play.
    #[error("lab `{0}` has no students: a rehearsal plays the first one of its class")]
    NoStudent(String),
    /// A server did not start.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server has no certificate.
    #[error(transparent)]
    Certificate(#[from] StateError),
    /// The certificate of the lab's authority is none.
    #[error("the certificate of the lab's authority: {0}")]
    Authority(String),
    /// A store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lab's mail could not be injected.
    #[error(transparent)]
    Inject(#[from] Undelivered),
    /// The Engine that the containers run on.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// Some of the containers did not come up.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Containers(Vec<Failure>),
    /// Somebody stopped it.
    #[error("stopped before it was done")]
    Stopped,
    /// A play came to no end.
    #[error("a play failed: {0}")]
    Play(String),
}

/// What every play shares.
pub(super) struct Stage {
    lab: Lab,
    key: Key,
    folder: PathBuf,
}

impl Stage {
    /// A stage for the first group of the lab that has students.
    pub(super) fn new(lab: &Lab, key: &Key, folder: &Path) -> Result<Self, StageError> {
        let group = lab.groups.iter().find(|group| !group.students.is_empty());
        let group = group.ok_or_else(|| StageError::NoStudent(lab.name.to_string()))?;
        Ok(Self::of(lab, group, key, folder))
    }

    /// A stage for this group of the lab; the next one is there as well, as somebody to write to.
    pub(super) fn of(lab: &Lab, group: &Group, key: &Key, folder: &Path) -> Self {
        let beside = lab.neighbour(&group.name);
        let groups = [Some(group), beside].into_iter().flatten().cloned().collect();
        let mut lab = Lab { groups, ..lab.clone() };
        // Solutions may be played in the clear, also where students are to have TLS only.
        lab.settings.services.extend([Service::Smtp, Service::Pop3]);
        Self { lab, key: key.clone(), folder: folder.to_owned() }
    }

    pub(super) fn lab(&self) -> &Lab {
        &self.lab
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The first command of a script, in a few words.
    pub(super) fn label(&self, exercise: usize, script: usize) -> String {
        let steps =
            self.steps(&self.lab.exercises[exercise], self.student()).into_iter().nth(script).unwrap_or_default();
        steps.iter().find(|step| step.can_be_left_out()).map_or_else(|| "nothing".into(), Step::label)
    }

    pub(super) fn group(&self) -> &Group {
        &self.lab.groups[0]
    }

    pub(super) fn student(&self) -> &Student {
        &self.group().students[0]
    }

    /// The steps of each script of an exercise's solution, filled in for the student.
    pub(super) fn steps(&self, exercise: &Exercise, student: &Student) -> Vec<Vec<Step>> {
        let person = Person { lab: &self.lab, group: self.group(), student: Some(student), key: &self.key, mail: None };
        exercise.solution.iter().map(|script| player::steps(script, &|template| person.fill(template))).collect()
    }

    /// The store of a play.
    pub(super) fn store(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number}.sqlite"))
    }

    /// Performs one play from the injected mail to the marks.
    pub(super) async fn perform(&self, number: usize, play: &Play) -> Result<Played, StageError> {
        let store = self.store(number);
        let servers = Servers::start(&self.lab, &self.key, &store).await?;
        let connector = connector(&servers.authority)?;
        self.inject(servers.own()).await?;

        let door = Door::Servers(&servers, connector);
        let mut otherwise = BTreeMap::new();
        for index in &play.exercises {
            let last = play.exercises.last() == Some(index);
            let change = if last { play.change } else { Change::None };
            if let Err(problem) = self.exercise(&door, *index, change, self.student()).await {
                otherwise.insert(*index, problem.to_string());
            }
        }
        // The second one comes after the first, and the marks are the second one's.
        let second = self.group().students.get(1).filter(|_| play.change == Change::Second);
        for index in play.exercises.iter().filter(|_| second.is_some()) {
            let _ = self.exercise(&door, *index, Change::Second, second.unwrap_or(self.student())).await;
        }
        servers.stop().await?;
        Ok((self.mark(&store, second.unwrap_or(self.student()))?, otherwise))
    }

    /// Injects the lab's mail as `up` does, one copy after the other, so that the messages' numbers are the lab's order.
    async fn inject(&self, server: &Server) -> Result<(), StageError> {
        for due in inject::due(&self.lab, self.group(), &BTreeSet::new()) {
            let Some(letter) = compose::letter(&self.lab, &self.key, &due, &Zoned::now()) else { continue };
            let (ours, theirs) = tokio::io::duplex(PIPE);
            let (_, sent) = tokio::join!(server.inject(theirs, due.injected.clone()), dialogue::send(ours, &letter));
            sent.map_err(|problem| Undelivered { due, problem })?;
        }
        Ok(())
    }

    /// The marks that the record of one play gives the student.
    pub(super) fn mark(&self, store: &Path, student: &Student) -> Result<StudentMarks, StageError> {
        let reader = Reader::open(store)?;
        let mut marker = Marker::new(&self.lab, self.group(), &self.key);
        let mut content =
            |id| reader.message(id).ok().flatten().map(|message| message.octets[message.trace_octets..].to_vec());
        marker.read(|marker| {
            let read = reader.events(Seq(0), &mut |event| {
                marker.take(&event, &mut content);
                ControlFlow::Continue(())
            });
            read.map(drop)
        })?;
        let marks = marker.marks().into_iter().find(|marks| marks.login == student.login);
        marks.ok_or_else(|| StageError::NoStudent(self.lab.name.to_string()))
    }

    /// Plays one exercise's solution; connections that a script holds stay open until its end. Mail that a connection sent is where
    /// it goes before the next one begins.
    pub(super) async fn exercise(
        &self,
        door: &Door<'_>,
        index: usize,
        change: Change,
        student: &Student,
    ) -> Result<(), PlayError> {
        let exercise = &self.lab.exercises[index];
        let mut held = Vec::new();
        let mut scripts: Vec<_> = exercise.solution.iter().zip(self.steps(exercise, student)).enumerate().collect();
        if let Change::Swap(first) = change {
            scripts.swap(first, first + 1);
        }
        for (index, (script, steps)) in scripts {
            if change == Change::LeaveConnection(index) {
                continue;
            }
            let (address, wire, trust) = self.open(door, script.service, student).await?;
            let without = match change {
                Change::LeaveOut(script, step) => (script == index).then_some(step),
                Change::None | Change::Swap(_) | Change::LeaveConnection(_) | Change::Second => None,
            };
            let judged = change == Change::None;
            if script.service == Service::Domain {
                asking::play(&address, wire, &steps, without, judged).await?;
            } else {
                held.extend(player::play(script.service, &address, wire, &trust, &steps, without, judged).await?);
            }
            if self.lab.settings.relay {
                door.settle().await.map_err(PlayError::Queue)?;
            }
        }
        Ok(())
    }

    /// A connection to the service, what it is called, and whom to believe there.
    async fn open(
        &self,
        door: &Door<'_>,
        service: Service,
        student: &Student,
    ) -> Result<(String, Wire, Trust), PlayError> {
        let broken = |address: &str, problem: &std::io::Error| PlayError::Connection {
            address: address.to_owned(),
            why: problem.to_string(),
        };
        match door {
            Door::Servers(servers, connector) => {
                let missing = std::io::Error::other("the lab has no such service: add it to `services`");
                let address =
                    endpoint(servers.own(), service, student).ok_or_else(|| broken(service.as_str(), &missing))?;
                let stream = TcpStream::connect(address).await;
                let stream = stream.map_err(|problem| broken(&address.to_string(), &problem))?;
                let trust = Trust { connector: connector.clone(), server: ServerName::from(address.ip()) };
                Ok((address.to_string(), Box::pin(stream), trust))
            }
            Door::Client(containers, connector) => {
                let stream = containers.connect(self, service).await;
                let address = format!("{} of the client's group", service.as_str());
                let stream = stream.map_err(|problem| broken(&address, &std::io::Error::other(problem)))?;
                let server = ServerName::try_from(containers::SERVER).expect("a host's name");
                Ok((address, stream, Trust { connector: connector.clone(), server }))
            }
        }
    }
}

fn endpoint(server: &Server, service: Service, student: &Student) -> Option<SocketAddr> {
    let own = |endpoint: &crate::lab::server::Endpoint| {
        endpoint.service == service && endpoint.student.as_ref() == Some(&student.login)
    };
    server.endpoints().into_iter().find(own).map(|endpoint| endpoint.address)
}

/// From where a play's connections are made.
pub(super) enum Door<'a> {
    /// From this process to a server in it.
    Servers(&'a Servers, TlsConnector),
    /// From inside the student's container.
    Client(&'a Containers, TlsConnector),
}

impl Door<'_> {
    /// Returns when mail for other servers is where it goes.
    async fn settle(&self) -> Result<(), String> {
        match self {
            Self::Servers(servers, _) => servers.settle().await,
            Self::Client(containers, _) => containers.settle().await,
        }
    }
}

/// A client of TLS that believes this authority and nobody else.
pub(super) fn connector(authority: &str) -> Result<TlsConnector, StageError> {
    let wrong = |problem: &dyn std::fmt::Display| StageError::Authority(problem.to_string());
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|problem| wrong(&problem))?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(|problem| wrong(&problem))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|problem| wrong(&problem))?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}
