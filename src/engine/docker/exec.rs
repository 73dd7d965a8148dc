//! Programs in containers: `labctl dial` in a server, so that its control socket is reached without a port; a student's
//! shell or command in a client.

use std::{collections::BTreeMap, io, pin::Pin};

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream, copy, duplex};
use tokio_stream::{Stream, StreamExt as _};

use super::{
    Docker, DockerError, failed,
    make::{CLIENT_USER, SERVER_DIR},
};
use crate::{
    control::{Dial, Dialing, Wire},
    lab::{GroupName, Login},
};

/// How long `dial` waits in the container for a server that is starting, in seconds.
const WAIT_SECS: u64 = 15;

/// Octets on their way between a container and us.
const BUFFER: usize = 64 << 10;

/// What a container's program says.
type Said = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// Reaches the control sockets of servers in containers.
#[derive(Debug, Clone)]
pub struct Dialer {
    api: bollard::Docker,
    servers: BTreeMap<GroupName, String>,
}

impl Dialer {
    pub(super) fn new(api: bollard::Docker, servers: BTreeMap<GroupName, String>) -> Self {
        Self { api, servers }
    }

    async fn dial_server(&self, group: &GroupName) -> io::Result<DuplexStream> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no server of group `{group}` runs"));
        let id = self.servers.get(group).ok_or_else(missing)?;
        let wait = WAIT_SECS.to_string();
        let command = ["/labctl", "dial", "--dir", SERVER_DIR, "--wait", &wait].map(str::to_owned).to_vec();
        let options = CreateExecOptions { cmd: Some(command), tty: Some(false), ..attached() };
        let exec = self.api.create_exec(id, options).await.map_err(io::Error::other)?;
        let StartExecResults::Attached { output, input } =
            self.api.start_exec(&exec.id, None).await.map_err(io::Error::other)?
        else {
            return Err(io::Error::other("the Engine did not attach"));
        };
        let (ours, theirs) = duplex(BUFFER);
        tokio::spawn(join(theirs, output, input));
        Ok(ours)
    }
}

impl Dial for Dialer {
    fn groups(&self) -> Option<Vec<GroupName>> {
        Some(self.servers.keys().cloned().collect())
    }

    fn place(&self, group: Option<&GroupName>) -> String {
        group.map_or_else(|| "the lab's servers".to_owned(), |group| format!("server `{group}`"))
    }

    fn dial<'a>(&'a self, group: Option<&'a GroupName>) -> Dialing<'a> {
        Box::pin(async move {
            let group = group.ok_or(io::ErrorKind::NotFound)?;
            self.dial_server(group).await.map(|stream| Box::new(stream) as Box<dyn Wire>)
        })
    }
}

/// Joins a stream to a program's input and output. Its complaints are dropped: a stream that breaks off says enough.
async fn join(stream: DuplexStream, mut output: Said, mut input: Pin<Box<dyn AsyncWrite + Send>>) {
    let (mut from_us, mut to_us) = tokio::io::split(stream);
    let up = tokio::spawn(async move {
        let _ = copy(&mut from_us, &mut input).await;
        let _ = input.shutdown().await;
    });
    while let Some(Ok(said)) = output.next().await {
        if let LogOutput::StdOut { message } = said
            && to_us.write_all(&message).await.is_err()
        {
            break;
        }
    }
    let _ = to_us.shutdown().await;
    up.abort();
}

fn attached<T: Into<String> + serde::Serialize + Default>() -> CreateExecOptions<T> {
    CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..Default::default()
    }
}

/// A program in a student's container.
pub struct Running {
    api: bollard::Docker,
    id: String,
    output: Said,
    input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Docker {
    /// Starts a program as the student, with a terminal where there is one.
    pub async fn exec(
        &self,
        group: &GroupName,
        login: &Login,
        command: Vec<String>,
        terminal: Option<String>,
    ) -> Result<Running, DockerError> {
        let container = self.needed(group, login).await?;
        let what = || format!("run a program in client `{group}/{login}`");
        let tty = terminal.is_some();
        let env = terminal.map(|kind| vec![format!("TERM={kind}")]);
        let user = Some(CLIENT_USER.to_owned());
        let options = CreateExecOptions { cmd: Some(command), tty: Some(tty), env, user, ..attached() };
        let id = self.api.create_exec(&container, options).await.map_err(failed(what()))?.id;
        let options = StartExecOptions { tty, ..Default::default() };
        match self.api.start_exec(&id, Some(options)).await.map_err(failed(what()))? {
            StartExecResults::Attached { output, input } => Ok(Running { api: self.api.clone(), id, output, input }),
            StartExecResults::Detached => Err(DockerError::NotRunning { object: what() }),
        }
    }
}

impl Running {
    /// The program's input and output as one stream. What it complains of is dropped.
    pub fn stream(self) -> DuplexStream {
        let (ours, theirs) = duplex(BUFFER);
        tokio::spawn(join(theirs, self.output, self.input));
        ours
    }

    /// Tells the program how large its terminal is.
    pub fn resizer(&self) -> impl Fn(u16, u16) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static {
        let (api, id) = (self.api.clone(), self.id.clone());
        move |columns, rows| {
            let (api, id) = (api.clone(), id.clone());
            Box::pin(async move {
                let options = ResizeExecOptions { height: rows, width: columns };
                // A program that has just ended has no terminal any more.
                let _ = api.resize_exec(&id, options).await;
            })
        }
    }

    /// Passes our input to it and what it says to us until it has ended; its exit status.
    pub async fn join(
        mut self,
        mut input: impl AsyncRead + Send + Unpin + 'static,
        mut out: impl AsyncWrite + Unpin,
        mut err: impl AsyncWrite + Unpin,
    ) -> Result<u8, DockerError> {
        let mut to_program = self.input;
        let up = tokio::spawn(async move {
            let _ = copy(&mut input, &mut to_program).await;
            let _ = to_program.shutdown().await;
        });
        while let Some(Ok(said)) = self.output.next().await {
            // Whoever read us is gone: the program learns it from its own next write.
            let written = match said {
                LogOutput::StdErr { message } => err.write_all(&message).await,
                LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                    out.write_all(&message).await.and(out.flush().await)
                }
            };
            if written.is_err() {
                break;
            }
        }
        up.abort();
        let ended = self.api.inspect_exec(&self.id).await.map_err(failed("look how the program ended"))?;
        Ok(ended.exit_code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}
