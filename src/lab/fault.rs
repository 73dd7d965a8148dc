//! Faults: what a server does wrong on purpose, as values. A fault reads like the sentence it is: at `RCPT *user2*` do
//! `unknown`, 2 times. Parsing lives here because the text *is* the value; when one strikes is `crate::protocol::fault`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{FaultId, Protocol, exercise::Step};

/// The most faults of a lab, and of one student besides.
pub const MAX_FAULTS: usize = 100;

/// The most times that a fault strikes a student, and the most connections in which it does.
pub const MAX_STRIKES: u32 = 1_000;

/// The longest pause or period of a fault, in seconds.
pub const MAX_SECS: u32 = 600;

/// The furthest octet of a reply that a fault may split or cut at.
pub const MAX_OCTET: u32 = 65_536;

/// The longest text that a fault answers with, in octets (RFC 5321 4.5.3.1.5: 512 with CRLF).
pub const MAX_ANSWER: usize = 510;

/// What a server does wrong on purpose, for a count, to one student at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Fault {
    /// Its name in checks and events.
    pub id: FaultId,
    /// The protocol whose connections it strikes.
    pub protocol: Protocol,
    /// Where: a step without a reply; `*` is every reply, the greeting's included.
    pub at: Step,
    /// What it does there.
    pub act: Act,
    /// How often.
    pub count: Count,
    /// The steps that a connection of the student must have shown before; none: it is armed from the start.
    pub after: Vec<Step>,
    /// Whether it is armed anew each time that a connection shows those steps, or only the first time.
    pub again: bool,
}

/// How often a fault strikes each student, from when it is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Count {
    /// So many times.
    Times(u32),
    /// Every time, in so many connections.
    Connections(u32),
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// `refuse 421`: instead of the greeting a refusal, and the end of the connection (RFC 5321 3.1, 3.8).
    Refuse(Refusal),
    /// `cut`: the end of the connection instead of an answer; nothing was carried out.
    Cut,
    /// `cut 12`: carried out, but only so many octets of the reply are sent before the end of the connection.
    CutAfter(u32),
    /// `silent`: no answer to this nor to anything after it; the connection stays open. Nothing was carried out.
    Silent,
    /// `answer 451 4.3.0 try later`: this line instead of carrying it out.
    Answer(String),
    /// `unknown`: the recipient is refused as unknown, in the dialect's words.
    Unknown,
    /// `full`: the recipient's mailbox is full, in the dialect's words (452, RFC 5321 4.2.3).
    Full,
    /// `rate 2 in 60s`: refused where it came more often than that (450).
    Rate {
        /// So often it is carried out.
        most: u32,
        /// In so many seconds.
        secs: u32,
    },
    /// `greylist 10s`: a recipient is refused until so many seconds after the first attempt (450).
    Greylist(u32),
    /// `delay 5s`: the reply comes so many seconds later.
    Delay(u32),
    /// `drip`: the reply comes one octet at a time.
    Drip,
    /// `split 3`: the reply comes in two pieces, the first of so many octets.
    Split(u32),
    /// `lines`: the reply has one line more than usual in front (RFC 5321 4.2.1).
    Lines,
    /// `code 251`: carried out, but the reply begins with another code.
    Code(String),
    /// `bare-lf`: the reply's lines end in LF alone.
    BareLf,
}

/// How a greeting is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 421: not now.
    Busy,
    /// 554: no service here.
    Never,
}

/// A fault as the lab file, the command line and the record write it.
#[derive(Serialize, Deserialize)]
struct Written {
    id: FaultId,
    protocol: Protocol,
    at: String,
    #[serde(rename = "do")]
    act: String,
    count: Count,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    after: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    again: bool,
}

impl TryFrom<Written> for Fault {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { id, protocol, at, act, count, after, again } = written;
        let act: Act = act.parse()?;
        let at = place(&at)?;
        act.may_stand(protocol, &at)?;
        let after = after.iter().map(|step| step.parse()).collect::<Result<_, _>>()?;
        Ok(Self { id, protocol, at, act, count, after, again })
    }
}

impl From<Fault> for Written {
    fn from(fault: Fault) -> Self {
        let Fault { id, protocol, at, act, count, after, again } = fault;
        let after = after.into_iter().map(|step| step.text).collect();
        Self { id, protocol, at: at.text, act: act.to_string(), count, after, again }
    }
}

/// Where a fault strikes: a step without `!` and without a reply.
pub fn place(text: &str) -> Result<Step, String> {
    let step: Step = text.parse()?;
    if step.forbidden || step.reply.is_some() {
        return Err(format!(
            "`{text}` is no place for a fault: write a verb and what follows it, without `!` and `->`"
        ));
    }
    Ok(step)
}

impl Act {
    /// The place of this act where the lab names none; none where it must.
    pub const fn usual_place(&self) -> Option<&'static str> {
        match self {
            Self::Refuse(_) => Some("<connect>"),
            Self::Unknown | Self::Full | Self::Greylist(_) => Some("RCPT"),
            Self::Rate { .. } => Some("MAIL"),
            Self::Delay(_) | Self::Drip | Self::Split(_) | Self::Lines | Self::BareLf => Some("*"),
            Self::Cut | Self::CutAfter(_) | Self::Silent | Self::Answer(_) | Self::Code(_) => None,
        }
    }

    /// The act's first word: its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Refuse(_) => "refuse",
            Self::Cut | Self::CutAfter(_) => "cut",
            Self::Silent => "silent",
            Self::Answer(_) => "answer",
            Self::Unknown => "unknown",
            Self::Full => "full",
            Self::Rate { .. } => "rate",
            Self::Greylist(_) => "greylist",
            Self::Delay(_) => "delay",
            Self::Drip => "drip",
            Self::Split(_) => "split",
            Self::Lines => "lines",
            Self::Code(_) => "code",
            Self::BareLf => "bare-lf",
        }
    }

    /// Whether it makes sense at this place; an error says where it does.
    pub fn may_stand(&self, protocol: Protocol, at: &Step) -> Result<(), String> {
        let only = |verb: &str| at.verbs.iter().all(|own| own == verb);
        let (kind, greets) = (self.kind(), at.verbs.iter().any(|verb| verb == "<CONNECT>"));
        match self {
            Self::Refuse(_) if !only("<CONNECT>") => {
                Err(format!("`{kind}` is a greeting: it can only stand at `<connect>`"))
            }
            Self::Unknown | Self::Full | Self::Greylist(_) if protocol != Protocol::Smtp || !only("RCPT") => {
                Err(format!("`{kind}` is about a recipient: it can only stand at `RCPT` of `smtp`"))
            }
            Self::Lines if protocol != Protocol::Smtp => Err(format!("`{kind}` is only for `smtp`")),
            Self::Rate { .. } if greets => Err(format!("`{kind}` counts commands: it cannot stand at `<connect>`")),
            Self::Refuse(_)
            | Self::Cut
            | Self::CutAfter(_)
            | Self::Silent
            | Self::Answer(_)
            | Self::Unknown
            | Self::Full
            | Self::Rate { .. }
            | Self::Greylist(_)
            | Self::Delay(_)
            | Self::Drip
            | Self::Split(_)
            | Self::Lines
            | Self::Code(_)
            | Self::BareLf => Ok(()),
        }
    }
}

/// The acts as they are written, for whoever wrote another one.
pub const ACTS: [&str; 15] = [
    "refuse 421",
    "refuse 554",
    "cut",
    "cut 12",
    "silent",
    "answer 451 4.3.0 try later",
    "unknown",
    "full",
    "rate 2 in 60s",
    "greylist 10s",
    "delay 5s",
    "drip",
    "split 3",
    "lines",
    "code 251",
];

impl fmt::Display for Act {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Refuse(Refusal::Busy) => write!(out, "{kind} 421"),
            Self::Refuse(Refusal::Never) => write!(out, "{kind} 554"),
            Self::CutAfter(octets) | Self::Split(octets) => write!(out, "{kind} {octets}"),
            Self::Answer(text) | Self::Code(text) => write!(out, "{kind} {text}"),
            Self::Rate { most, secs } => write!(out, "{kind} {most} in {secs}s"),
            Self::Greylist(secs) | Self::Delay(secs) => write!(out, "{kind} {secs}s"),
            Self::Cut | Self::Silent | Self::Unknown | Self::Full | Self::Drip | Self::Lines | Self::BareLf => {
                out.pad(kind)
            }
        }
    }
}

impl FromStr for Act {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (kind, rest) = text.split_once(' ').map_or((text, ""), |(kind, rest)| (kind, rest.trim()));
        Ok(match (kind, rest) {
            ("refuse", "" | "421") => Self::Refuse(Refusal::Busy),
            ("refuse", "554") => Self::Refuse(Refusal::Never),
            ("refuse", _) => return Err("a greeting is refused with 421 or 554: `refuse 421`".to_owned()),
            ("cut", "") => Self::Cut,
            ("cut", octets) => Self::CutAfter(number(octets, "octets", MAX_OCTET, 0)?),
            ("silent", "") => Self::Silent,
            ("answer", answer) => Self::Answer(answered(answer)?),
            ("unknown", "") => Self::Unknown,
            ("full", "") => Self::Full,
            ("rate", rate) => {
                let (most, secs) = rate.split_once(" in ").ok_or("a rate is written `rate 2 in 60s`")?;
                Self::Rate { most: number(most.trim(), "times", MAX_STRIKES, 1)?, secs: secs_of(secs.trim())? }
            }
            ("greylist", secs) => Self::Greylist(secs_of(secs)?),
            ("delay", secs) => Self::Delay(secs_of(secs)?),
            ("drip", "") => Self::Drip,
            ("split", octets) => Self::Split(number(octets, "octets", MAX_OCTET, 1)?),
            ("lines", "") => Self::Lines,
            ("code", code) => Self::Code(coded(code)?),
            ("bare-lf", "") => Self::BareLf,
            ("silent" | "unknown" | "full" | "drip" | "lines" | "bare-lf", more) => {
                return Err(format!("`{kind}` takes nothing more: leave `{more}` out"));
            }
            _ => return Err(format!("`{kind}` is no fault: there are `{}` and `bare-lf`", ACTS.join("`, `"))),
        })
    }
}

fn number(text: &str, what: &str, most: u32, least: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{text}` is no number of {what}: write {least} to {most}"))
}

fn secs_of(text: &str) -> Result<u32, String> {
    number(text.strip_suffix('s').unwrap_or(text).trim(), "seconds", MAX_SECS, 1)
}

fn answered(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_ANSWER || !text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return Err(format!("an answer is a line of 1 to {MAX_ANSWER} printable ASCII characters"));
    }
    Ok(text.to_owned())
}

fn coded(text: &str) -> Result<String, String> {
    let digits = text.len() == 3 && text.bytes().all(|octet| octet.is_ascii_digit());
    if digits || matches!(text, "+OK" | "-ERR" | "OK" | "NO" | "BAD") {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is no reply code: write three digits, `+OK`, `-ERR`, `OK`, `NO` or `BAD`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_reads_as_it_is_written() {
        for text in ACTS.into_iter().chain(["bare-lf", "cut 0"]) {
            assert_eq!(text.parse::<Act>().unwrap().to_string(), text);
        }
        assert_eq!("refuse".parse::<Act>(), Ok(Act::Refuse(Refusal::Busy)));
        assert_eq!("greylist 9".parse::<Act>(), Ok(Act::Greylist(9)));
        for bad in
            ["", "explode", "refuse 250", "cut x", "split 0", "drip 3", "rate 2", "delay 0s", "code ok", "answer"]
        {
            assert!(bad.parse::<Act>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_of_an_act_are_bounded() {
        assert!(format!("split {MAX_OCTET}").parse::<Act>().is_ok());
        assert!(format!("split {}", MAX_OCTET + 1).parse::<Act>().is_err());
        assert!(format!("delay {MAX_SECS}s").parse::<Act>().is_ok());
        assert!(format!("delay {}s", MAX_SECS + 1).parse::<Act>().is_err());
        assert!(format!("rate {MAX_STRIKES} in 1s").parse::<Act>().is_ok());
        assert!(format!("rate {} in 1s", MAX_STRIKES + 1).parse::<Act>().is_err());
        assert!(format!("answer {}", "x".repeat(MAX_ANSWER)).parse::<Act>().is_ok());
        assert!(format!("answer {}", "x".repeat(MAX_ANSWER + 1)).parse::<Act>().is_err());
    }

    #[test]
    fn an_act_stands_only_where_it_means_something() {
        let may = |act: &str, protocol, at: &str| act.parse::<Act>().unwrap().may_stand(protocol, &place(at).unwrap());
        assert!(may("refuse 421", Protocol::Pop3, "<connect>").is_ok());
        assert!(may("refuse 421", Protocol::Smtp, "MAIL").is_err());
        assert!(may("unknown", Protocol::Smtp, "RCPT *user2*").is_ok());
        assert!(may("unknown", Protocol::Smtp, "*").is_err() && may("full", Protocol::Pop3, "RETR").is_err());
        assert!(
            may("lines", Protocol::Pop3, "*").is_err() && may("rate 1 in 1s", Protocol::Smtp, "<connect>").is_err()
        );
        assert!(place("RCPT -> 250").is_err() && place("! RCPT").is_err());
    }

    #[test]
    fn a_fault_survives_the_record() {
        let json = r#"{"id":"ocupado","protocol":"smtp","at":"<connect>","do":"refuse 421","count":{"times":2},"after":["VRFY ocupado"],"again":true}"#;
        let fault: Fault = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&fault).unwrap(), json);
        assert!(serde_json::from_str::<Fault>(&json.replace("<connect>", "MAIL")).is_err());
    }
}
