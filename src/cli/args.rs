//! The command line, defined once: parsing, `--help` and completions come from here.

mod fault;
mod tend;

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use clap::{
    Args as ArgGroup, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

pub use fault::{Fault, FaultClear, FaultList, FaultSet, FaultVerb};
pub use tend::{Cp, Disconnect, Exec, Freeze, Logs, Restart, ShellArgs, Start, Thaw};

use super::exit::EXIT_CODES;
use crate::{
    lab::{EngineKind, Subnet, subnet::pool},
    reading::{self, Template},
    words::Lang,
};

/// A lab for e-mail protocols: mail servers for a class, and marks from what went over the wire.
#[derive(Debug, Parser)]
#[command(name = "labctl", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Args {
    /// What holds for every verb.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Debug, ArgGroup)]
pub struct Global {
    /// Where labctl keeps keys, mail and evidence [default: $LABCTL_STATE_DIR, else $XDG_STATE_HOME/labctl]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// The language of titles, hints and verdicts [default: from LANG]
    #[arg(long, global = true, value_name = "CODE", value_parser = language())]
    pub lang: Option<Lang>,
    /// Colour in what is printed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// The languages that there is a catalogue of.
fn language() -> impl TypedValueParser<Value = Lang> {
    PossibleValuesParser::new(Lang::all().map(Lang::code)).map(|code| Lang::from_code(&code))
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a new lab from a template
    New(New),
    /// Validate a lab: every problem at once, nothing is started
    Check(Check),
    /// Bring a lab up, or change what its file changed
    Up(Up),
    /// Show what runs, and who is connected
    Status(Status),
    /// Show where each student connects, and the passwords
    Credentials(Credentials),
    /// Send the lab's mail to whoever has not got it yet
    Inject(Inject),
    /// Show what went over the wire
    Trace(Trace),
    /// Print a message of a group's server as it came
    Show(Show),
    /// Mark what the students did
    Report(Report),
    /// Try a lab out: solutions must give all points, an idle student none
    Rehearse(Rehearse),
    /// Show the mail that waits for other servers, or try it now
    Queue(Queue),
    /// Let servers do something wrong on purpose, student by student
    Fault(Fault),
    /// Let a student or a group start again; old evidence is kept and never counted
    Reset(Reset),
    /// Open a terminal in a student's container
    Shell(ShellArgs),
    /// Run a program in a student's container
    Exec(Exec),
    /// Copy files into or out of a student's home
    Cp(Cp),
    /// Show what a server, or a student's container, had to say
    Logs(Logs),
    /// Start students' containers that wait or are stopped
    Start(Start),
    /// Start a group's server and containers, or a student's container, again; mail and homes stay
    Restart(Restart),
    /// End a student's sessions with the server, for example one that keeps a mailbox from the others
    Disconnect(Disconnect),
    /// Hold students' containers, for example at the end of an exam; marks stand
    Freeze(Freeze),
    /// Let frozen containers go on
    Thaw(Thaw),
    /// Copy mail, evidence and marks into a folder
    Archive(Archive),
    /// Docker: list, build or remove the images that labctl makes
    Images(Images),
    /// Stop a lab; mail and evidence stay unless --purge
    Down(Down),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man(Man),
    /// Serve a lab (labctl starts this itself)
    #[command(hide = true)]
    Serve(Serve),
    /// Join standard input and output to a control socket (engines start this themselves)
    #[command(hide = true)]
    Dial(Dial),
}

/// The lab's name in help texts.
const LAB: &str = "The lab's file, its folder, or its name [default: ./lab.toml, else the only lab that is up]";

/// Whom a verb is about, and of which lab.
#[derive(Debug, Clone, Default, ArgGroup)]
pub struct Whose {
    /// A student or a group [default: everybody]; a name that is neither is the lab's
    #[arg(value_name = "WHO")]
    pub who: Option<String>,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
}

/// `status`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl status\n  labctl status g05\n  labctl status practica2 --json")]
pub struct Status {
    /// Whom it is about.
    #[command(flatten)]
    pub whose: Whose,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `rehearse`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl rehearse labs/practica2\n  labctl rehearse labs/practica2 --engine docker")]
pub struct Rehearse {
    #[arg(help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Where solutions and the idle student are played: in this process, or from inside containers, which are gone afterwards
    #[arg(long, value_name = "ENGINE", default_value = "embedded")]
    pub engine: Engine,
    /// Docker: an image for the clients that is there already, instead of building one
    #[arg(long, value_name = "IMAGE")]
    pub client_image: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `new`
#[derive(Debug, ArgGroup)]
#[command(after_help = templates())]
pub struct New {
    /// The folder to make; its name is the lab's name
    pub folder: PathBuf,
    /// The template
    #[arg(long, value_name = "NAME", default_value = "class")]
    pub template: String,
}

/// What `new` can start from.
fn templates() -> String {
    let line = |template: &Template| format!("  {:<16} {}\n", template.name, template.about);
    let lines: String = reading::templates().iter().map(line).collect();
    format!("Templates:\n{lines}\nExample:\n  labctl new my-lab --template minimal && labctl up my-lab")
}

/// `check`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Example:\n  labctl check labs/practica2")]
pub struct Check {
    #[arg(help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `up`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl up labs/practica2\n  labctl up --dry-run")]
pub struct Up {
    #[arg(help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Show what would be done, and why, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where the lab runs [default: what the lab says, else where it is, else docker where an Engine answers, else embedded]
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<Engine>,
    /// Docker: the addresses of which each group gets a small subnet [default: as before, else what the lab says, else 10.77.0.0/16]
    #[arg(long, value_name = "SUBNET", value_parser = pool)]
    pub pool: Option<Subnet>,
    /// Docker: the image that the clients' is built on [default: as before, else one that is there, pulled, or made]
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Docker: an image for the clients that is there already, instead of building one
    #[arg(long, value_name = "IMAGE", conflicts_with = "base")]
    pub client_image: Option<String>,
    /// Docker: the program of the servers, for an Engine that this one cannot run on; static, for Linux [default: as before, else
    /// this one]
    #[arg(long, value_name = "FILE")]
    pub server_binary: Option<PathBuf>,
    /// Listen on this address instead of loopback, for students on their own machines: a port per student and protocol
    /// (`ports` in the lab file do not hold), without TLS, reachable by everybody who reaches the address; remembered until
    /// `--listen loopback`
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<Listen>,
    /// Docker: go on here, from the copies of the stores, though another Engine held the lab
    #[arg(long)]
    pub engine_changed: bool,
    /// Do not send the lab's mail
    #[arg(long)]
    pub no_inject: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Where a lab listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// On this machine only.
    Loopback,
    /// On one of the machine's addresses.
    Address(IpAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "loopback" {
            return Ok(Self::Loopback);
        }
        text.parse().map(Self::Address).map_err(|_| "write an IP address of this machine, or `loopback`".to_owned())
    }
}

/// Where a lab can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// One background process on this machine
    Embedded,
    /// Containers and isolated networks of a Docker Engine
    Docker,
}

impl From<Engine> for EngineKind {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Embedded => Self::Embedded,
            Engine::Docker => Self::Docker,
        }
    }
}

/// `credentials`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "Examples:\n  labctl credentials\n  labctl credentials --cards > cards.txt\n  labctl credentials ana --cards\n  labctl credentials --json"
)]
pub struct Credentials {
    /// Whom it is about.
    #[command(flatten)]
    pub whose: Whose,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["csv", "cards"])]
    pub json: bool,
    /// Print CSV
    #[arg(long, conflicts_with = "cards")]
    pub csv: bool,
    /// Print a card for each student, to cut out and give away
    #[arg(long)]
    pub cards: bool,
    /// Print the certificate that makes mail programs trust the lab's servers (PEM)
    #[arg(long, conflicts_with_all = ["json", "csv", "cards"])]
    pub ca: bool,
}

/// `inject`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl inject\n  labctl inject practica2 --mail welcome --again")]
pub struct Inject {
    #[arg(help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Only this mail
    #[arg(long, value_name = "ID")]
    pub mail: Option<String>,
    /// Also what was sent before
    #[arg(long)]
    pub again: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `trace`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "Examples:\n  labctl trace ana\n  labctl trace g05 --follow\n  labctl trace ana --format states"
)]
pub struct Trace {
    /// Whom it is about.
    #[command(flatten)]
    pub whose: Whose,
    /// Only this connection of a group's server
    #[arg(long, value_name = "N", conflicts_with_all = ["event", "follow"])]
    pub conn: Option<u64>,
    /// Only this event, with the connection it belongs to
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    pub event: Option<u64>,
    /// Stay and show what comes
    #[arg(long, short)]
    pub follow: bool,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "transcript")]
    pub format: TraceFormat,
    /// Print events as NDJSON, the same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// `show`
#[derive(Debug, ArgGroup)]
pub struct Show {
    /// A student or a group
    #[arg(value_name = "STUDENT|GROUP")]
    pub who: String,
    /// The number of the message, as `trace` and `report` tell it
    #[arg(value_name = "MESSAGE")]
    pub message: u64,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
}

/// How `trace` shows events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    /// What client and server said, line by line
    Transcript,
    /// What the server did at each step, as MailHog logs it
    States,
    /// The events themselves, one JSON object a line
    Json,
}

/// `report`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "Examples:\n  labctl report\n  labctl report ana\n  labctl report g05 --lab practica2\n  labctl report --csv --output marks.csv"
)]
pub struct Report {
    /// Whom it is about.
    #[command(flatten)]
    pub whose: Whose,
    /// Explain every verdict for this student, the same as `report LOGIN`
    #[arg(long, value_name = "LOGIN")]
    pub student: Option<String>,
    /// Print the connections that prove this student's marks, too
    #[arg(long, conflicts_with_all = ["csv", "json", "follow"])]
    pub proof: bool,
    /// Only the exercises of this session
    #[arg(long, value_name = "N")]
    pub session: Option<u32>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Stay and show each change
    #[arg(long, short, conflicts_with = "output")]
    pub follow: bool,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `queue`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl queue\n  labctl queue run --group g05")]
pub struct Queue {
    /// What to do [default: show]
    #[arg(value_name = "ACTION")]
    pub action: Option<QueueAction>,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Only this group's server
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `queue` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueueAction {
    /// Show it
    Show,
    /// Try everything now
    #[value(alias = "flush")]
    Run,
}

/// `reset`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl reset ana\n  labctl reset g05 --yes")]
pub struct Reset {
    /// A student or a group
    #[arg(value_name = "STUDENT|GROUP")]
    pub who: String,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// `archive`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "The archive is for its owner only: it has the students' mail, and lab.toml with the passwords that it fixes.\n\n\
                  Example:\n  labctl archive practica2 --output ~/archive"
)]
pub struct Archive {
    #[arg(help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// The folder in which the archive's folder is made [default: the current one]
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Also copy the key that passwords and secrets are drawn from: without it marks cannot be computed again, with it the
    /// archive must be kept from students
    #[arg(long)]
    pub with_key: bool,
}

/// `down`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl down\n  labctl down practica2 --purge")]
pub struct Down {
    #[arg(help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Delete mail, evidence and key as well, and on Docker the students' homes
    #[arg(long)]
    pub purge: bool,
    /// Of the docker engine: remove the lab of this name that another state directory or machine left behind, not yours
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,
    /// Of the docker engine: take away what this Engine has though another one holds the lab; where this one has nothing, forget the
    /// lab and leave what the other has
    #[arg(long, conflicts_with = "owner")]
    pub engine_changed: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// `images`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "Examples:\n  labctl images\n  labctl images build\n  labctl images build --base debian:12\n  labctl images prune"
)]
pub struct Images {
    /// What to do [default: list them]
    #[command(subcommand)]
    pub verb: Option<ImagesVerb>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `images` does.
#[derive(Debug, Subcommand)]
pub enum ImagesVerb {
    /// List them: what for, how large, how old, used by which labs
    List,
    /// Make what `up` would need, ahead of a class
    Build {
        /// The Debian image that the students' is built on [default: one that is there, else pulled, else made with mmdebstrap]
        #[arg(long, value_name = "IMAGE")]
        base: Option<String>,
        /// The program of the servers, for an Engine that this one cannot run on [default: this one]
        #[arg(long, value_name = "FILE")]
        server_binary: Option<PathBuf>,
    },
    /// Remove what is older than an hour and used by no container; bases and what this labctl would use stay
    Prune {
        /// Remove everything that no container uses, also bases
        #[arg(long)]
        all: bool,
    },
}

/// `completions`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Example:\n  labctl completions bash > ~/.local/share/bash-completion/completions/labctl")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `man`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Example:\n  labctl man ~/.local/share/man/man1")]
pub struct Man {
    /// Where to; it is made where it is not there
    #[arg(value_name = "FOLDER")]
    pub to: PathBuf,
}

/// `serve`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Example:\n  labctl serve --dir ~/.local/state/labctl/labs/practica2")]
pub struct Serve {
    /// The lab's folder in the state directory: its lock, its control socket, its stores
    #[arg(long, value_name = "FOLDER")]
    pub dir: PathBuf,
    /// Configurations to serve from the start: `{"version":1,"servers":[…]}`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Accept configurations that listen on a network
    #[arg(long)]
    pub beyond_loopback: bool,
    /// The process that watches over this one; without, this one starts another and watches over it
    #[arg(long, value_name = "PID")]
    pub watched_by: Option<u32>,
}

/// `dial`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Example:\n  labctl dial --dir ~/.local/state/labctl/labs/practica2")]
pub struct Dial {
    /// The lab's folder in the state directory
    #[arg(long, value_name = "FOLDER")]
    pub dir: PathBuf,
    /// How long to wait for a process that is starting
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait: u64,
}
