//! The command line of `fault`.

use clap::{Args as ArgGroup, Subcommand};

use super::LAB;
use crate::lab::{
    FaultId, Protocol,
    exercise::Step,
    fault::{Act, MAX_STRIKES, place},
};

/// `fault`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "Examples:\n  labctl fault set ana \"refuse 421\" --times 2\n  labctl fault list\n  labctl fault clear ana"
)]
pub struct Fault {
    /// What to do
    #[command(subcommand)]
    pub what: FaultVerb,
}

/// The verbs of `fault`.
#[derive(Debug, Subcommand)]
pub enum FaultVerb {
    /// Let a server do something wrong, for one student or each of a group
    Set(FaultSet),
    /// Show which faults students meet, and how often they did
    List(FaultList),
    /// Take faults away
    Clear(FaultClear),
}

/// `fault set`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "What a server can do wrong: \"refuse 421\", \"refuse 554\", cut, \"cut 12\", silent, \"answer 451 4.3.0 try later\",\n\
                  unknown, full, \"rate 2 in 60s\", \"greylist 10s\", \"delay 5s\", drip, \"split 3\", lines, \"code 251\", bare-lf\n\n\
                  Examples:\n  labctl fault set ana \"refuse 421\" --times 2\n  labctl fault set g05 cut --at DATA\n  \
                  labctl fault set ana drip --protocol pop3 --connections 1"
)]
pub struct FaultSet {
    /// Who meets it
    #[arg(value_name = "STUDENT|GROUP")]
    pub who: String,
    /// What the server does wrong
    #[arg(value_name = "WHAT")]
    pub act: Act,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Where: a verb and perhaps a pattern for what follows it, `<connect>`, `<message>` or `*` [default: what is usual]
    #[arg(long, value_name = "STEP", value_parser = step)]
    pub at: Option<Step>,
    /// The protocol
    #[arg(long, value_name = "PROTOCOL", default_value = "smtp", value_parser = protocol)]
    pub protocol: Protocol,
    /// How often it strikes [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STRIKES)))]
    pub times: Option<u32>,
    /// Instead: in how many connections it strikes, there every time
    #[arg(long, value_name = "N", conflicts_with = "times", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STRIKES)))]
    pub connections: Option<u32>,
    /// Its name: one that the student meets already is replaced [default: its first word]
    #[arg(long, value_name = "NAME")]
    pub id: Option<FaultId>,
}

/// `fault list`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl fault list\n  labctl fault list ana --json")]
pub struct FaultList {
    /// A student or a group [default: everybody]
    #[arg(value_name = "STUDENT|GROUP")]
    pub who: Option<String>,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `fault clear`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl fault clear ana\n  labctl fault clear g05 busy")]
pub struct FaultClear {
    /// Who meets it no more
    #[arg(value_name = "STUDENT|GROUP")]
    pub who: String,
    /// The fault's name [default: all faults, the lab's as well]
    #[arg(value_name = "NAME")]
    pub id: Option<FaultId>,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
}

fn step(text: &str) -> Result<Step, String> {
    let step = place(text)?;
    if text.contains(['{', '}']) {
        return Err("a placeholder cannot stand in a fault: write `*`".to_owned());
    }
    Ok(step)
}

fn protocol(text: &str) -> Result<Protocol, String> {
    let known = Protocol::CHECKED.map(Protocol::as_str).join("`, `");
    text.parse().ok().filter(|found| Protocol::CHECKED.contains(found)).ok_or(format!("there are `{known}`"))
}
