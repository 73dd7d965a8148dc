//! The client of the control API: a function per route. A connection per request: over a Unix socket that costs microseconds.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    task::JoinSet,
    time::timeout,
};

use super::{
    reach::{Dial, Wire},
    values::{Delivered, Disconnect, Disconnected, FaultChanges, Letters, Problem, Queue, Reset, Status, Tried},
};
use crate::{
    evidence::{Event, MessageId, Seq},
    lab::{GroupName, ServerConfig},
    protocol::fault::Standing,
    store::Trouble,
};

/// The longest answer that is read whole: the status of the largest lab is a tenth of it.
const MAX_ANSWER: usize = 64 << 20;

/// The longest line of an NDJSON stream: an event keeps at most a few KiB, a message's list of recipients a few more.
const MAX_EVENT_LINE: usize = 4 << 20;

/// Containers that are asked at once: each costs a process there.
const AT_ONCE: usize = 16;

/// How long an answer may take; starting a server waits for the disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a batch of letters may take: a store on a slow disk syncs each.
const DELIVERY: Duration = Duration::from_mins(2);

/// Why the process did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error("nobody answers at `{place}`: {source}")]
    Connect {
        /// The socket, or whose it is.
        place: String,
        /// Why not.
        source: io::Error,
    },
    /// The connection broke, or what came is no answer.
    #[error("{what}: {why}")]
    Broken {
        /// What was asked.
        what: String,
        /// What happened.
        why: String,
    },
    /// The process refused.
    #[error("{}", .0.error)]
    Refused(Problem),
    /// The process took too long.
    #[error("it did not answer within {} seconds", patience.as_secs())]
    Slow {
        /// How long was waited.
        patience: Duration,
    },
}

/// A client of the process, or of the processes, that serve a lab.
#[derive(Debug, Clone)]
pub struct Client {
    reach: Arc<dyn Dial>,
}

impl Client {
    /// A client of whatever is reached so. Connects when something is asked.
    pub fn new(reach: Arc<dyn Dial>) -> Self {
        Self { reach }
    }

    /// The process and its servers; with `injected` also what each was sent for the lab, which is asked of the disk. Of
    /// several processes it is the first one's, with the servers of all.
    pub async fn status(&self, injected: bool) -> Result<Status, ClientError> {
        let ask = move || Ask::new(Method::GET, format!("/v1/status?injected={injected}"));
        let asked = self.of_each(move |client, group| async move { client.json(ask().of(group)).await }).await;
        let (mut whole, mut problem): (Option<Status>, _) = (None, None);
        for answer in asked {
            match (answer, &mut whole) {
                (Ok(status), None) => whole = Some(status),
                (Ok(status), Some(whole)) => {
                    // The lab ends when all of them do.
                    whole.stopping &= status.stopping;
                    if status.descriptors.is_exhausted() {
                        whole.descriptors = status.descriptors;
                    }
                    whole.servers.extend(status.servers);
                }
                // The others' answers are worth having without it.
                (Err(silent), _) => problem = Some(silent),
            }
        }
        whole.ok_or_else(|| problem.unwrap_or_else(nobody))
    }

    /// Starts the group's server or gives it its new configuration.
    pub async fn put_server(&self, config: &ServerConfig) -> Result<(), ClientError> {
        let body = serde_json::to_vec(config).expect("a configuration has only names and numbers");
        self.done(
            Ask::new(Method::PUT, format!("/v1/servers/{}", config.group)).with(body).of(Some(config.group.clone())),
        )
        .await
    }

    /// Stops the group's server; its store stays.
    pub async fn delete_server(&self, group: &GroupName) -> Result<(), ClientError> {
        self.done(Ask::new(Method::DELETE, format!("/v1/servers/{group}")).of(Some(group.clone()))).await
    }

    /// Ends sessions of a student of a group; how many they were.
    pub async fn disconnect(&self, group: &GroupName, wanted: &Disconnect) -> Result<Disconnected, ClientError> {
        let body = serde_json::to_vec(wanted).expect("a name and a number");
        let ask = Ask::new(Method::POST, format!("/v1/servers/{group}/disconnect"));
        self.json(ask.with(body).of(Some(group.clone()))).await
    }

    /// Lets students start their next run.
    pub async fn reset(&self, group: &GroupName, reset: &Reset) -> Result<(), ClientError> {
        let body = serde_json::to_vec(reset).expect("a reset has only names");
        self.done(Ask::new(Method::POST, format!("/v1/servers/{group}/reset")).with(body).of(Some(group.clone()))).await
    }

    /// The mail of the group's server that waits for others.
    pub async fn queue(&self, group: &GroupName) -> Result<Queue, ClientError> {
        self.json(Ask::new(Method::GET, format!("/v1/servers/{group}/queue")).of(Some(group.clone()))).await
    }

    /// Has the group's server try it now.
    pub async fn try_queue(&self, group: &GroupName) -> Result<Tried, ClientError> {
        self.json(Ask::new(Method::POST, format!("/v1/servers/{group}/queue")).of(Some(group.clone()))).await
    }

    /// The faults that each student of a group meets.
    pub async fn faults(&self, group: &GroupName) -> Result<Vec<Standing>, ClientError> {
        self.json(Ask::new(Method::GET, format!("/v1/servers/{group}/faults")).of(Some(group.clone()))).await
    }

    /// Sets and clears faults of students of a group.
    pub async fn change_faults(&self, group: &GroupName, changes: &FaultChanges) -> Result<(), ClientError> {
        let body = serde_json::to_vec(changes).expect("changes have only names, texts and numbers");
        let ask = Ask::new(Method::POST, format!("/v1/servers/{group}/faults"));
        self.done(ask.with(body).of(Some(group.clone()))).await
    }

    /// Returns when everything that the servers have seen is committed.
    pub async fn flush(&self) -> Result<(), ClientError> {
        let flush =
            |client: Self, group| async move { client.done(Ask::new(Method::POST, "/v1/flush").of(group)).await };
        self.of_each(flush).await.into_iter().collect()
    }

    /// Tells the process to end; it does after its sessions and commits.
    pub async fn stop(&self) -> Result<(), ClientError> {
        let stop = |client: Self, group| async move { client.done(Ask::new(Method::POST, "/v1/stop").of(group)).await };
        self.of_each(stop).await.into_iter().collect()
    }

    /// Writes a copy of the group's store, as of one moment that holds all that was seen until now.
    pub async fn store(&self, group: &GroupName, copy: &mut (impl AsyncWrite + Unpin)) -> Result<(), ClientError> {
        let ask = Ask::new(Method::GET, format!("/v1/servers/{group}/store")).of(Some(group.clone()));
        let what = ask.what();
        let mut body = refused(self.send(ask).await?).await?.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|problem| broken(&what, &problem))?;
            if let Some(data) = frame.data_ref() {
                copy.write_all(data).await.map_err(|problem| broken(&what, &problem))?;
            }
        }
        copy.flush().await.map_err(|problem| broken(&what, &problem))
    }

    /// A message of the group's server as it is stored, what the server put in front first; none where there is none.
    pub async fn message(&self, group: &GroupName, id: MessageId) -> Result<Option<Vec<u8>>, ClientError> {
        let ask = Ask::new(Method::GET, format!("/v1/servers/{group}/messages/{}", id.0)).of(Some(group.clone()));
        let what = ask.what();
        let answer = refused(self.send(ask).await?).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        whole(answer).await.map(Some).map_err(|why| ClientError::Broken { what, why })
    }

    /// The group's events after a number that there are now.
    pub async fn events(&self, group: &GroupName, after: Seq) -> Result<Events, ClientError> {
        self.events_after(group, after, false).await
    }

    /// The group's events after a number, also those to come.
    pub async fn follow(&self, group: &GroupName, after: Seq) -> Result<Events, ClientError> {
        self.events_after(group, after, true).await
    }

    async fn events_after(&self, group: &GroupName, after: Seq, follow: bool) -> Result<Events, ClientError> {
        let path = format!("/v1/servers/{group}/events?after={}&follow={follow}", after.0);
        let ask = Ask::new(Method::GET, path);
        let ask = ask.of(Some(group.clone()));
        let what = ask.what();
        let answer = self.send(ask).await?;
        let body = refused(answer).await?.into_body();
        Ok(Events { body, buffer: Vec::new(), what })
    }

    /// Delivers letters to the group's server as any client would.
    pub async fn deliver(&self, group: &GroupName, letters: &Letters) -> Result<Delivered, ClientError> {
        let body = serde_json::to_vec(letters).expect("letters have only texts");
        let ask = Ask::new(Method::POST, format!("/v1/servers/{group}/letters")).with(body).of(Some(group.clone()));
        self.json_within(DELIVERY, ask).await
    }

    async fn done(&self, ask: Ask) -> Result<(), ClientError> {
        let slow = Err(ClientError::Slow { patience: PATIENCE });
        let answer = timeout(PATIENCE, self.send(ask)).await.unwrap_or(slow)?;
        refused(answer).await.map(drop)
    }

    async fn json<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, ClientError> {
        self.json_within(PATIENCE, ask).await
    }

    async fn json_within<T: DeserializeOwned>(&self, patience: Duration, ask: Ask) -> Result<T, ClientError> {
        let what = ask.what();
        let asked = async {
            let answer = refused(self.send(ask).await?).await?;
            whole(answer).await.map_err(|why| ClientError::Broken { what: what.clone(), why })
        };
        let body = timeout(patience, asked).await.unwrap_or(Err(ClientError::Slow { patience }))?;
        serde_json::from_slice(&body).map_err(|problem| broken(&what, &problem))
    }

    async fn send(&self, ask: Ask) -> Result<Response<Incoming>, ClientError> {
        let what = ask.what();
        let stream = self.connect(ask.group.as_ref()).await?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|problem| broken(&what, &problem))?;
        tokio::spawn(connection);
        let request = ask.request().map_err(|problem| broken(&what, &problem))?;
        sender.send_request(request).await.map_err(|problem| broken(&what, &problem))
    }
}

impl Client {
    /// A stream to the process that serves the group.
    async fn connect(&self, group: Option<&GroupName>) -> Result<Box<dyn Wire>, ClientError> {
        let unreached = |source| ClientError::Connect { place: self.reach.place(group), source };
        self.reach.dial(group).await.map_err(unreached)
    }

    /// Asks every process, all at once; their answers in the order of the groups.
    async fn of_each<T: Send + 'static, Asked>(
        &self,
        ask: impl Fn(Self, Option<GroupName>) -> Asked,
    ) -> Vec<Result<T, ClientError>>
    where
        Asked: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        let Some(groups) = self.reach.groups() else {
            return vec![ask(self.clone(), None).await];
        };
        let mut asking: JoinSet<(GroupName, Result<T, ClientError>)> = JoinSet::new();
        let mut answers = BTreeMap::new();
        for group in groups {
            if asking.len() == AT_ONCE {
                answers.extend(asking.join_next().await.and_then(Result::ok));
            }
            let asked = ask(self.clone(), Some(group.clone()));
            asking.spawn(async move { (group, asked.await) });
        }
        while let Some(answered) = asking.join_next().await {
            answers.extend(answered.ok());
        }
        answers.into_values().collect()
    }
}

/// A request before it is sent.
struct Ask {
    group: Option<GroupName>,
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
}

impl Ask {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { group: None, method, path: path.into(), body: None }
    }

    /// Of the process that serves this group; without one, of the only process.
    fn of(mut self, group: Option<GroupName>) -> Self {
        self.group = group;
        self
    }

    fn with(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn request(self) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::builder().method(self.method).uri(self.path).header(header::HOST, "labctl");
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(Bytes::from(self.body.unwrap_or_default())))
    }
}

/// What whoever follows a server hears.
#[derive(Debug, PartialEq, Eq)]
pub enum Followed {
    /// Its store cannot be written; none: it can again.
    Trouble(Option<Trouble>),
    /// An event.
    Event(Box<Event>),
}

fn followed(line: &[u8]) -> serde_json::Result<Followed> {
    #[derive(Deserialize)]
    struct Health {
        trouble: Option<Trouble>,
    }
    if line.starts_with(b"{\"trouble\":") {
        return serde_json::from_slice::<Health>(line).map(|health| Followed::Trouble(health.trouble));
    }
    serde_json::from_slice(line).map(|event| Followed::Event(Box::new(event)))
}

/// The events of one server as they come.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    buffer: Vec<u8>,
    what: String,
}

impl Events {
    /// What comes next; none when the server has ended.
    pub async fn next(&mut self) -> Result<Option<Followed>, ClientError> {
        loop {
            let end = memchr::memchr(b'\n', &self.buffer);
            if end.unwrap_or(self.buffer.len()) > MAX_EVENT_LINE {
                let why = format!("an event has more than {MAX_EVENT_LINE} octets");
                return Err(ClientError::Broken { what: self.what.clone(), why });
            }
            if let Some(end) = end {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return followed(&line).map(Some).map_err(|problem| broken(&self.what, &problem));
            }
            // The stream of a process that was killed breaks off; for who follows, that is its end.
            let Some(Ok(frame)) = self.body.frame().await else { return Ok(None) };
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}

/// The answer, if it is a good one.
async fn refused(answer: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
    let status = answer.status();
    if !status.is_client_error() && !status.is_server_error() {
        return Ok(answer);
    }
    let body = whole(answer).await.unwrap_or_default();
    let problem = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Problem::new(format!("the process answered {status}: {}", String::from_utf8_lossy(&body))));
    Err(ClientError::Refused(problem))
}

async fn whole<B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send>(
    answer: Response<B>,
) -> Result<Vec<u8>, String> {
    let limited = http_body_util::Limited::new(answer.into_body(), MAX_ANSWER);
    limited.collect().await.map(|body| body.to_bytes().to_vec()).map_err(|problem| problem.to_string())
}

fn broken(what: &str, problem: &dyn std::error::Error) -> ClientError {
    ClientError::Broken { what: what.to_owned(), why: problem.to_string() }
}

fn nobody() -> ClientError {
    ClientError::Connect { place: "the lab's servers".into(), source: io::ErrorKind::NotFound.into() }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    use super::{super::Dialing, *};
    use crate::evidence::{Conn, EventKind, Timestamp, Who};

    /// A process at the other end of a pipe, for one connection.
    #[derive(Debug)]
    struct Pipe(std::sync::Mutex<Option<DuplexStream>>);

    impl Dial for Pipe {
        fn groups(&self) -> Option<Vec<GroupName>> {
            None
        }

        fn place(&self, _: Option<&GroupName>) -> String {
            "the pipe".into()
        }

        fn dial<'a>(&'a self, _: Option<&'a GroupName>) -> Dialing<'a> {
            let stream = self.0.lock().unwrap().take().ok_or(io::ErrorKind::NotFound.into());
            Box::pin(async move { stream.map(|stream| Box::new(stream) as Box<dyn Wire>) })
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_whole_up_to_a_limit() {
        let read = |octets: usize| whole(Response::new(Full::new(Bytes::from(vec![b' '; octets]))));
        assert_eq!(read(MAX_ANSWER).await.map(|body| body.len()), Ok(MAX_ANSWER));
        assert!(read(MAX_ANSWER + 1).await.is_err());
    }

    #[test]
    fn what_is_no_event_tells_of_the_store() {
        assert_eq!(followed(b"{\"trouble\":null}\n").unwrap(), Followed::Trouble(None));
        let line = br#"{"trouble":{"since":7,"why":"disk full","events":2}}"#;
        let trouble = Trouble { since: Timestamp(7), why: "disk full".into(), events: 2 };
        assert_eq!(followed(line).unwrap(), Followed::Trouble(Some(trouble)));
    }

    #[tokio::test]
    async fn an_event_has_a_limit() {
        let event = Event {
            seq: Seq(1),
            time: Timestamp(1),
            run: 1,
            conn: Conn(1),
            who: Who::Unknown,
            kind: EventKind::Started { version: "1".into(), after: None },
        };
        let line = serde_json::to_string(&event).unwrap();
        for octets in [MAX_EVENT_LINE, MAX_EVENT_LINE + 1] {
            let (ours, mut stream) = duplex(64 << 10);
            let padded = format!("{line}{}\n", " ".repeat(octets - line.len()));
            let answering = tokio::spawn(async move {
                let mut asked = [0; 1_024];
                let _ = stream.read(&mut asked).await.unwrap();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", padded.len());
                // Who does not want the rest hangs up.
                let _ = stream.write_all((head + &padded).as_bytes()).await;
            });
            let client = Client::new(Arc::new(Pipe(Some(ours).into())));
            let mut events = client.follow(&"g01".parse().unwrap(), Seq(0)).await.unwrap();
            let read = events.next().await;
            if octets == MAX_EVENT_LINE {
                assert_eq!(read.unwrap(), Some(Followed::Event(Box::new(event.clone()))));
            } else {
                assert!(read.unwrap_err().to_string().ends_with("an event has more than 4194304 octets"));
            }
            drop(events);
            answering.await.unwrap();
        }
    }
}
