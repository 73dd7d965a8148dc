//! Programs in containers: `labctl dial` in a server, so that its control socket is reached without a port; a student's
//! shell or command in a client.
//!
//! An Engine lets a program go on when whoever started it is gone, and a terminal's end is not told it at all. So beside a
//! session runs a second program, which has nothing to do but to wait for the end of its input: that comes with the end of
//! this process, however it ends, and then what the session started is ended.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    time::{Duration, Instant},
};

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
    models::ExecInspectResponse,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream, copy, duplex},
    time::sleep,
};
use tokio_stream::{Stream, StreamExt as _};

use super::{
    Docker, DockerError, failed,
    make::{CLIENT_USER, SERVER_DIR},
    plain,
};
use crate::{
    control::{Dial, Dialing, Wire},
    lab::{GroupName, Login},
};

/// How long `dial` waits in the container for a server that is starting, in seconds.
const WAIT_SECS: u64 = 15;

/// The variable that marks what a session started.
const MARK: &str = "LABCTL_SESSION";

/// Waits for a line, which says that the session came to its own end, or for the end of its input, and ends all processes
/// that have the session's mark (`$0`) or are of a session (setsid(2)) with one that has: a hangup first, as at the end of a
/// terminal, then what cannot be refused. The program may have been about to start, so it looks more than once.
const WATCH: &str = r#"
    read -r over && exit
    session() { stat=$(cat "$1/stat" 2>/dev/null) && set -- ${stat##*) } && echo "$4"; }
    ours=" "
    for signal in HUP KILL KILL; do
        for process in /proc/[0-9]*; do
            grep -qs "$0" "$process/environ" && ours="$ours$(session "$process") "
        done
        for process in /proc/[0-9]*; do
            case "$ours" in
            *" $(session "$process") "*)
                kill -s $signal "${process#/proc/}" 2>/dev/null
                [ $signal = KILL ] || kill -s CONT "${process#/proc/}" 2>/dev/null
                ;;
            esac
        done
        sleep 1
    done"#;

/// What it is told at the session's own end.
const OVER: &[u8] = b"over\n";

/// Starts the program, or says in few words that there is none, as a shell would.
const START: &str = r#"command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || {
        printf 'error: there is no program `%s` in the container\n' "$1" >&2; exit 127; }
    exec "$@""#;

/// How an Engine begins where it says, in a program's place, that it could not start it.
const NOT_STARTED: &[u8] = b"OCI runtime exec failed";

/// How it says that a program ended, then: as a shell says that it cannot be started or that there is none.
const CANNOT_START: [u8; 3] = [126, 127, 128];

/// How long an Engine may take to note that a program whose stream is over has ended.
const NOTED: Duration = Duration::from_secs(1);

/// How often it is asked meanwhile.
const AGAIN: Duration = Duration::from_millis(20);

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
    /// Ends what the program started, if we are gone before it.
    watch: Option<Box<Running>>,
}

impl Docker {
    /// Starts a program as the student, with a terminal where there is one. What it starts ends with us.
    pub async fn session(
        &self,
        group: &GroupName,
        login: &Login,
        command: Vec<String>,
        terminal: Option<String>,
    ) -> Result<Running, DockerError> {
        let container = self.needed(group, login).await?;
        let what = format!("run a program in client `{group}/{login}`");
        let mut mark = [0; 16];
        getrandom::fill(&mut mark)
            .map_err(|problem| DockerError::Session { what: what.clone(), why: problem.to_string() })?;
        let mark = format!("{MARK}={:032x}", u128::from_ne_bytes(mark));
        let watch = ["sh", "-c", WATCH, &mark].map(str::to_owned).to_vec();
        let command = ["sh", "-c", START, "labctl"].map(str::to_owned).into_iter().chain(command).collect();
        let tty = terminal.is_some();
        let env = [mark].into_iter().chain(terminal.map(|kind| format!("TERM={kind}"))).collect();
        let watch = self.start_in(&container, &what, watch, Vec::new(), false);
        let program = self.start_in(&container, &what, command, env, tty);
        let (watch, program) = tokio::try_join!(watch, program)?;
        Ok(Running { watch: Some(Box::new(watch)), ..program })
    }

    /// Starts a program as the student that ends with its input.
    pub async fn exec(&self, group: &GroupName, login: &Login, command: Vec<String>) -> Result<Running, DockerError> {
        let container = self.needed(group, login).await?;
        let what = format!("run a program in client `{group}/{login}`");
        self.start_in(&container, &what, command, Vec::new(), false).await
    }

    async fn start_in(
        &self,
        container: &str,
        what: &str,
        command: Vec<String>,
        env: Vec<String>,
        tty: bool,
    ) -> Result<Running, DockerError> {
        let user = Some(CLIENT_USER.to_owned());
        let options = CreateExecOptions { cmd: Some(command), tty: Some(tty), env: Some(env), user, ..attached() };
        let id = self.api.create_exec(container, options).await.map_err(failed(what))?.id;
        let options = StartExecOptions { tty, ..Default::default() };
        match self.api.start_exec(&id, Some(options)).await.map_err(failed(what))? {
            StartExecResults::Attached { output, input } => {
                Ok(Running { api: self.api.clone(), id, output, input, watch: None })
            }
            StartExecResults::Detached => Err(DockerError::NotRunning { object: what.to_owned() }),
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
        let mut refusal = None;
        let mut is_read = true;
        while let Some(Ok(said)) = self.output.next().await {
            if refusal.is_none() && said.as_ref().starts_with(NOT_STARTED) {
                refusal = Some(String::from_utf8_lossy(said.as_ref()).into_owned());
                continue;
            }
            let written = match said {
                LogOutput::StdErr { message } => err.write_all(&message).await.and(err.flush().await),
                LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                    out.write_all(&message).await.and(out.flush().await)
                }
            };
            if written.is_err() {
                is_read = false;
                break;
            }
        }
        up.abort();
        let ended = ended(&self.api, &self.id).await?;
        // Where whoever read us is gone, or a terminal that was closed took the stream with it before the hangup reached us, the
        // program is ended as if we were.
        if let Some(watch) = self.watch.as_mut().filter(|_| is_read && ended.running != Some(true)) {
            let _ = watch.input.write_all(OVER).await;
            let _ = watch.input.shutdown().await;
        }
        let code = ended.exit_code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        match refusal {
            Some(why) if CANNOT_START.contains(&code) => {
                Err(DockerError::Session { what: "run a program in the container".into(), why: plain(&why) })
            }
            // A program that talks like an Engine.
            Some(said) => {
                let _ = out.write_all(said.as_bytes()).await.and(out.flush().await);
                Ok(code)
            }
            None => Ok(code),
        }
    }
}

/// How the program ended; that it runs where it outlives its stream. The Engine may close the stream a moment before it has
/// noted the end.
async fn ended(api: &bollard::Docker, id: &str) -> Result<ExecInspectResponse, DockerError> {
    let deadline = Instant::now() + NOTED;
    loop {
        let inspected = api.inspect_exec(id).await;
        let found = inspected.map_err(failed("look how the program ended"))?;
        if found.running != Some(true) || Instant::now() >= deadline {
            return Ok(found);
        }
        sleep(AGAIN).await;
    }
}
