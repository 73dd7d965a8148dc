//! Exercises, their checks and their reference solutions, as values. A step reads like the transcript it matches:
//! `RCPT *user2* -> 250`. Parsing lives here because the text *is* the value; judging is `crate::marking`.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::{
    ExerciseId, FaultId, MailId, Protocol, Service, Text,
    witness::{CarriedCheck, QueryCheck},
};
use crate::evidence::TlsVersion;

/// The most steps of one conversation check: the marker keeps its state in the bits of a `u64`.
pub const MAX_STEPS: usize = 60;

/// An exercise: all its checks must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Exercise {
    /// Its number.
    pub id: ExerciseId,
    /// What it is called.
    pub title: Text,
    /// What helps a student who is stuck.
    pub hint: Text,
    /// The session of the practical it belongs to (1 is the first).
    pub session: u32,
    /// What it is worth.
    pub points: Points,
    /// Whether part of the checks gives part of the points.
    pub partial: bool,
    /// Exercises that must be done for this one to count.
    pub after: Vec<ExerciseId>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// The checks, by place, that count only after the one before them held.
    pub then: BTreeSet<usize>,
    /// Connections that solve it, in order; empty where the lab has none.
    pub solution: Vec<Script>,
}

/// Points in hundredths, so that sums are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Points(pub u32);

impl Points {
    /// As a number with at most two decimals.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Points {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        let text = match rest {
            0 => format!("{whole}"),
            _ if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
            _ => format!("{whole}.{rest:02}"),
        };
        out.pad(&text)
    }
}

/// One thing that must hold for one student.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// One connection of the student with these steps in this order.
    Conversation(Conversation),
    /// The student delivered a message like this.
    Message(MessageCheck),
    /// The student retrieved a message like this.
    Retrieved(Touched),
    /// The student deleted a message like this, and the deletion was carried out.
    Deleted(Touched),
    /// A mailbox of the group is (or once was) like this.
    Mailbox(MailboxCheck),
    /// The student asked the group's server for a name.
    Query(QueryCheck),
    /// This became of a message that the student handed in for another server.
    Carried(CarriedCheck),
}

/// One connection of the student with these steps in this order; other commands may come between.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// The protocol of the connection.
    pub protocol: Protocol,
    /// The steps, at least one of them not a forbidding one, at most [`MAX_STEPS`].
    pub steps: Vec<Step>,
    /// How many different connections must show it (1 by default).
    pub times: u32,
    /// The fault that the student must have met before the first step.
    pub fault: Option<FaultId>,
    /// Whether it must have been met in this very connection.
    pub during: bool,
    /// What the connection must be like when it has shown the last step.
    pub terms: Terms,
}

/// What a connection must be like; what is none may be any way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// How it is secured.
    pub tls: Option<TlsMode>,
    /// The version of TLS.
    pub version: Option<TlsVersion>,
    /// The mechanism of its last login as events spell it: `PLAIN`, `PASS` …
    pub auth: Option<String>,
}

/// How a connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// It is not.
    Clear,
    /// By STARTTLS or STLS.
    Starttls,
    /// From its first octet.
    Implicit,
}

/// One step: `[!] VERB[|VERB] [ARGUMENT] [-> REPLY]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `!`: what must not come between the steps before and after this one (or before the start, or until the end of the connection).
    pub forbidden: bool,
    /// The verbs, upper case; `*` is any; `<message>` is the end of the data; `<response>` a line inside AUTH; `<connect>` the greeting.
    pub verbs: Vec<String>,
    /// A pattern for what follows the verb; a template.
    pub argument: Option<Pattern>,
    /// What the server answered; none: anything.
    pub reply: Option<ReplyPattern>,
    /// The step as written.
    pub text: String,
}

/// `250`, `2xx`, `250|251`, `+OK`, `-ERR`, each alternative optionally with a pattern for the text after the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyPattern {
    /// The codes; `x` is any digit.
    pub codes: Vec<String>,
    /// A pattern for the text.
    pub text: Option<Pattern>,
}

/// A text with `*` for any characters; letters match in either case. It may hold placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether it must be filled in for each student.
    pub fn is_template(&self) -> bool {
        self.0.contains(['{', '}'])
    }
}

/// A message that the student delivered (injected mail never counts).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessageCheck {
    /// The mailbox it arrived in; a template (`{login}` is the student's own).
    pub mailbox: Option<String>,
    /// A pattern for the reverse-path.
    pub from: Option<Pattern>,
    /// A pattern for one of the recipients as given.
    pub to: Option<Pattern>,
    /// Header fields that must be there, with a pattern each.
    pub headers: Vec<(String, Pattern)>,
    /// A pattern for the body (line ends count as `\n`).
    pub body: Option<Pattern>,
    /// Patterns for media types: parts that are no multipart themselves, in this order; others may come between.
    pub parts: Vec<Pattern>,
    /// A bound on the octets of the message as sent.
    pub size: Option<Bound>,
    /// The SHA-256 of the body as sent, in hexadecimal, after dot-unstuffing; a template.
    pub hash: Option<String>,
    /// The body holds the whole text that the student was given in this injected mail.
    pub text: Option<MailId>,
    /// The body holds the student's secret of this injected mail.
    pub secret: Option<MailId>,
    /// How many such messages there must be (1 by default).
    pub times: u32,
    /// Whether the messages must have come over one connection (with `times` above 1).
    pub one_connection: bool,
}

/// A message that the student retrieved or deleted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Touched {
    /// Which message.
    pub what: Which,
    /// The mailbox it was in; a template (`{login}` is the student's own).
    pub mailbox: Option<String>,
    /// The protocol.
    pub via: Option<Protocol>,
}

/// Which message a check speaks of.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Which {
    /// Any message at all.
    #[default]
    Any,
    /// A message that this student delivered (`own = true`).
    Own,
    /// The student's copy of an injected mail (`mail = "welcome"`).
    Injected(MailId),
}

/// The state of a mailbox.
#[derive(Debug, Clone, PartialEq)]
pub struct MailboxCheck {
    /// The mailbox; a template (`{login}` is the student's own).
    pub mailbox: String,
    /// A bound on the number of messages.
    pub count: Bound,
    /// True: at the end of the record. False: at any time after the lab's mail was injected.
    pub now: bool,
}

/// A bound on a number: `>= 64 KiB`, `= 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The comparison.
    pub than: Comparison,
    /// The number, in octets or pieces.
    pub value: u64,
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    More,
}

/// One connection of a reference solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The service that it connects to.
    pub service: Service,
    /// What is sent, in order.
    pub lines: Vec<ScriptLine>,
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptLine {
    /// `C: …`: what the client sends, without its CRLF; a template.
    Client(String),
    /// `B: …`: the same in base64 (RFC 4648 4), for AUTH; a template.
    Base64(String),
    /// `S: …`: what the reply must start with; a template.
    Server(String),
    /// `X: close`: the client cuts the connection without QUIT.
    Close,
    /// `X: hold`: the connection stays open, as it is, while the scripts after it run.
    Hold,
    /// `X: cut`: the server ends the connection here, without another whole reply.
    Cut,
    /// `X: tls`: the handshake, after STARTTLS or STLS.
    Tls,
    /// `X: silence`: the server says nothing to the last line; then the client gives up.
    Silence,
}

impl Bound {
    /// Whether `number` keeps the bound.
    pub fn holds(self, number: u64) -> bool {
        match self.than {
            Comparison::Less => number < self.value,
            Comparison::AtMost => number <= self.value,
            Comparison::Equal => number == self.value,
            Comparison::AtLeast => number >= self.value,
            Comparison::More => number > self.value,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.than {
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Equal => "=",
            Comparison::AtLeast => ">=",
            Comparison::More => ">",
        };
        write!(out, "{sign} {}", self.value)
    }
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let signs = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Less),
            (">", Comparison::More),
            ("=", Comparison::Equal),
        ];
        let found = signs.iter().find_map(|(sign, than)| text.strip_prefix(sign).map(|rest| (*than, rest)));
        let (than, rest) = found.unwrap_or((Comparison::Equal, text));
        Ok(Self { than, value: octets(rest)? })
    }
}

/// A number of octets: `4096`, `64 KiB`, `10 MiB`, `1 kB`.
pub fn octets(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let cut = text.find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
    let (digits, unit) = (text[..cut].replace('_', ""), text[cut..].trim());
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no size"))?;
    let scale = match unit {
        "" | "B" => 1,
        "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => {
            return Err(format!("`{other}` is no unit: use B, kB, KiB, MB, MiB or GiB"));
        }
    };
    number.checked_mul(scale).ok_or_else(|| format!("`{text}` is too large"))
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = text.trim();
        let (forbidden, rest) = whole.strip_prefix('!').map_or((false, whole), |rest| (true, rest.trim_start()));
        let (command, reply) = match rest.split_once("->") {
            Some((command, reply)) => (command.trim(), Some(reply.trim())),
            None => (rest.trim(), None),
        };
        if command.is_empty() {
            return Err("a step starts with a verb: `MAIL -> 250`".into());
        }
        let (verbs, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let verbs: Vec<String> = verbs.split('|').map(str::to_ascii_uppercase).collect();
        for verb in &verbs {
            let special = matches!(verb.as_str(), "*" | "<MESSAGE>" | "<CONNECT>" | "<RESPONSE>");
            if !special && (verb.is_empty() || !verb.chars().all(|c| c.is_ascii_alphanumeric())) {
                return Err(format!("`{verb}` is no verb: use letters, `*`, `<message>`, `<response>` or `<connect>`"));
            }
        }
        let argument = argument.trim();
        Ok(Self {
            forbidden,
            verbs,
            argument: (!argument.is_empty()).then(|| Pattern(argument.to_owned())),
            reply: reply.map(str::parse).transpose()?,
            text: whole.to_owned(),
        })
    }
}

impl FromStr for ReplyPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (codes, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let codes: Vec<String> = codes.split('|').map(str::to_owned).collect();
        for code in &codes {
            let digits = code.len() == 3 && code.bytes().all(|octet| octet.is_ascii_digit() || octet == b'x');
            if !(digits || matches!(code.as_str(), "+OK" | "-ERR" | "*")) {
                return Err(format!(
                    "`{code}` is no reply: write three digits such as `250` or `2xx`, `+OK`, `-ERR` or `*`"
                ));
            }
        }
        let rest = rest.trim();
        Ok(Self { codes, text: (!rest.is_empty()).then(|| Pattern(rest.to_owned())) })
    }
}

impl Script {
    /// Reads the lines of a script; an error names the line, as a fragment.
    pub fn parse(service: Service, text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (who, said) = line.split_at_checked(2).unwrap_or((line, ""));
            let said = said.strip_prefix(' ').unwrap_or(said);
            lines.push(match who {
                "C:" => ScriptLine::Client(said.to_owned()),
                "B:" => ScriptLine::Base64(said.to_owned()),
                "S:" => ScriptLine::Server(said.to_owned()),
                "X:" if said.trim() == "close" => ScriptLine::Close,
                "X:" if said.trim() == "hold" => ScriptLine::Hold,
                "X:" if said.trim() == "cut" => ScriptLine::Cut,
                "X:" if said.trim() == "tls" => ScriptLine::Tls,
                "X:" if said.trim() == "silence" => ScriptLine::Silence,
                _ => {
                    return Err(format!(
                        "line {} of the script: start it with `C: `, `B: ` or `S: `, or write `X: close`, `X: hold`, `X: cut`, `X: tls` or `X: silence`",
                        number + 1
                    ));
                }
            });
        }
        if service == Service::Domain {
            questions(&lines)?;
        }
        // A connection that the server refuses has nothing to send.
        let does = |line: &ScriptLine| matches!(line, ScriptLine::Client(_) | ScriptLine::Cut | ScriptLine::Silence);
        if !lines.iter().any(does) {
            return Err("the script sends nothing: write lines that start with `C: `".into());
        }
        Ok(Self { service, lines })
    }
}

/// A script of DNS asks one question after the other, and that is all.
fn questions(lines: &[ScriptLine]) -> Result<(), String> {
    for line in lines {
        match line {
            ScriptLine::Client(text) if text.split(' ').filter(|word| !word.is_empty()).count() != 2 => {
                return Err(format!("`{text}` is no question: write for example `C: MX {{domain}}`"));
            }
            ScriptLine::Client(_) | ScriptLine::Server(_) => {}
            ScriptLine::Base64(_)
            | ScriptLine::Close
            | ScriptLine::Hold
            | ScriptLine::Cut
            | ScriptLine::Tls
            | ScriptLine::Silence => return Err("a script of `domain` has only lines with `C: ` and `S: `".into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_reads_like_the_transcript_it_matches() {
        let step: Step = "HELO|ehlo -> 250".parse().unwrap();
        assert_eq!(step.verbs, ["HELO", "EHLO"]);
        assert_eq!(step.reply.unwrap().codes, ["250"]);
        let step: Step = "RCPT *user2* -> 2xx *ok*".parse().unwrap();
        assert_eq!(step.argument, Some(Pattern("*user2*".into())));
        assert_eq!(step.reply.unwrap().text, Some(Pattern("*ok*".into())));
        assert!("! RSET".parse::<Step>().unwrap().forbidden);
        assert_eq!("<message> -> 250".parse::<Step>().unwrap().verbs, ["<MESSAGE>"]);
        for bad in ["", "-> 250", "MA!L -> 250", "MAIL -> 25", "MAIL -> ok", "! "] {
            assert!(bad.parse::<Step>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bound_reads_units_and_signs() {
        let bound: Bound = ">= 64 KiB".parse().unwrap();
        assert!(bound.holds(65_536) && !bound.holds(65_535));
        assert!("0".parse::<Bound>().unwrap().holds(0));
        assert!("< 1 parsec".parse::<Bound>().is_err());
        assert!("99999999999999999999".parse::<Bound>().is_err());
        assert!("20000000000 GiB".parse::<Bound>().is_err());
    }

    #[test]
    fn points_show_what_is_needed() {
        assert_eq!([200, 250, 225, 5].map(|p| Points(p).to_string()), ["2", "2.5", "2.25", "0.05"]);
    }

    #[test]
    fn a_script_says_which_line_is_wrong() {
        let script = Script::parse(Service::Smtp, "C: HELO me\n# why\nS: 250\nX: close\n").unwrap();
        assert_eq!(script.lines.len(), 3);
        assert!(Script::parse(Service::Smtp, "C: a\nX: wait").is_err());
        assert!(Script::parse(Service::Smtp, "C: a\nhello").unwrap_err().contains("line 2"));
        assert!(Script::parse(Service::Smtp, "S: 220").is_err());
        let script = Script::parse(Service::Pop3, "C: USER a\nX: hold").unwrap();
        assert_eq!(script.lines[1], ScriptLine::Hold);
        assert_eq!(Script::parse(Service::Domain, "C: MX {domain}\nS: NOERROR").unwrap().lines.len(), 2);
        for bad in ["C: MX", "C: MX a b", "C: MX a\nX: close", "S: NOERROR"] {
            assert!(Script::parse(Service::Domain, bad).is_err(), "{bad}");
        }
        let script = Script::parse(Service::Submission, "C: STARTTLS\nX: tls\nB: ana").unwrap();
        assert_eq!(script.lines[1..], [ScriptLine::Tls, ScriptLine::Base64("ana".into())]);
    }
}
