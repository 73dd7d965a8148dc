//! Where plays are performed: one made-up group with a server of its own for each play.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Zoned;

use tokio::net::TcpStream;

use super::{
    Play, Played,
    containers::Containers,
    player::{self, PlayError, Step, Wire},
};
use crate::{
    engine::{
        Authority, StateError,
        docker::{DockerError, Failure},
    },
    evidence::Seq,
    inject::{self, Undelivered, compose, dialogue},
    lab::{Exercise, Group, Key, Lab, Protocol, Service, Student, template::Person},
    marking::{Marker, StudentMarks},
    plan::{
        address::{Addressing, Numbers},
        resolve,
    },
    server::{Server, ServerError},
    store::{Reader, StoreError},
};

/// How long a server may take to end after a play: nothing is under way then but what a left-out step left hanging.
const DRAIN: Duration = Duration::from_millis(500);

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
        let group = group.ok_or_else(|| StageError::NoStudent(lab.name.to_string()))?.clone();
        let mut lab = Lab { groups: vec![group], ..lab.clone() };
        // Solutions are played in the clear, also where students are to have TLS only.
        lab.settings.services.extend([Service::Smtp, Service::Pop3]);
        Ok(Self { lab, key: key.clone(), folder: folder.to_owned() })
    }

    pub(super) fn group(&self) -> &Group {
        &self.lab.groups[0]
    }

    pub(super) fn student(&self) -> &Student {
        &self.group().students[0]
    }

    /// The steps of each script of an exercise's solution, filled in for the student.
    pub(super) fn steps(&self, exercise: &Exercise) -> Vec<Vec<Step>> {
        let person =
            Person { lab: &self.lab, group: self.group(), student: Some(self.student()), key: &self.key, mail: None };
        exercise.solution.iter().map(|script| player::steps(script, &|template| person.fill(template))).collect()
    }

    /// Performs one play from the injected mail to the marks.
    pub(super) async fn perform(&self, number: usize, play: &Play) -> Result<Played, StageError> {
        let mut numbers = Numbers::default();
        numbers.assign(&self.lab);
        let mut config = resolve::servers(&self.lab, &self.key, Addressing::Ephemeral, &numbers).remove(0);
        config.identity = Authority::passing(&self.lab.name)?.identify(&config, None)?;
        let store = self.folder.join(format!("{number}.sqlite"));
        let server = Server::start(config, &store).await?;
        self.inject(&server).await?;

        let mut otherwise = BTreeMap::new();
        for index in &play.exercises {
            let last = play.exercises.last() == Some(index);
            let left_out = play.left_out.filter(|_| last);
            if let Err(problem) = self.exercise(&Door::Server(&server), *index, left_out).await {
                otherwise.insert(*index, problem.to_string());
            }
        }
        server.stop(DRAIN).await?;
        Ok((self.mark(&store)?, otherwise))
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
    pub(super) fn mark(&self, store: &Path) -> Result<StudentMarks, StageError> {
        let reader = Reader::open(store)?;
        let mut marker = Marker::new(&self.lab, self.group(), &self.key);
        let mut content =
            |id| reader.message(id).ok().flatten().map(|message| message.octets[message.trace_octets..].to_vec());
        reader.events(Seq(0), &mut |event| {
            marker.take(&event, &mut content);
            ControlFlow::Continue(())
        })?;
        let marks = marker.marks().into_iter().find(|marks| marks.login == self.student().login);
        marks.ok_or_else(|| StageError::NoStudent(self.lab.name.to_string()))
    }

    /// Plays one exercise's solution; connections that a script holds stay open until its end.
    pub(super) async fn exercise(
        &self,
        door: &Door<'_>,
        index: usize,
        left_out: Option<(usize, usize)>,
    ) -> Result<(), PlayError> {
        let exercise = &self.lab.exercises[index];
        let mut held = Vec::new();
        for (index, (script, steps)) in exercise.solution.iter().zip(self.steps(exercise)).enumerate() {
            let (address, wire) = self.open(door, service(script.protocol)).await?;
            let without = left_out.filter(|(script, _)| *script == index).map(|(_, step)| step);
            let judged = left_out.is_none();
            held.extend(player::play(script.protocol, &address, wire, &steps, without, judged).await?);
        }
        Ok(())
    }

    /// A connection to the service, and what it is called.
    async fn open(&self, door: &Door<'_>, service: Service) -> Result<(String, Wire), PlayError> {
        let broken = |address: &str, problem: &std::io::Error| PlayError::Connection {
            address: address.to_owned(),
            why: problem.to_string(),
        };
        match door {
            Door::Server(server) => {
                let address = self.endpoint(server, service);
                let stream = TcpStream::connect(address).await;
                let stream = stream.map_err(|problem| broken(&address.to_string(), &problem))?;
                Ok((address.to_string(), Box::pin(stream)))
            }
            Door::Client(containers) => {
                let stream = containers.connect(self, service).await;
                let address = format!("{} of the client's group", service.as_str());
                let stream = stream.map_err(|problem| broken(&address, &std::io::Error::other(problem)))?;
                Ok((address, stream))
            }
        }
    }

    fn endpoint(&self, server: &Server, service: Service) -> SocketAddr {
        let own = |endpoint: &crate::lab::server::Endpoint| {
            endpoint.service == service && endpoint.student.as_ref() == Some(&self.student().login)
        };
        let endpoints = server.endpoints();
        endpoints.into_iter().find(own).expect("every student has an endpoint for every service").address
    }
}

/// From where a play's connections are made.
pub(super) enum Door<'a> {
    /// From this process to a server in it.
    Server(&'a Server),
    /// From inside the student's container.
    Client(&'a Containers),
}

/// Where a protocol is spoken in the clear, as a person with telnet does.
const fn service(protocol: Protocol) -> Service {
    match protocol {
        Protocol::Smtp => Service::Smtp,
        Protocol::Pop3 => Service::Pop3,
        Protocol::Imap => Service::Imap,
        Protocol::Dns => Service::Domain,
    }
}
