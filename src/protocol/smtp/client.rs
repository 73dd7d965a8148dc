//! SMTP as a client speaks it (RFC 5321 4.1, 4.5.3.2), as a machine without I/O: replies in, octets out. It carries one
//! message after the other over one connection and says for each recipient what became of it. Whom it speaks to, when, and
//! what follows from an answer is its caller's business.
//!
//! ```text
//!            220           250                 220          handshake
//!  greeting ─────▶ hello ───────▶ ready ◀─┐   ─────▶ starttls ─────▶ hello (again: what was learnt in the clear is forgotten)
//!                   │ 5xx          │ send │
//!                   ▼ HELO         ▼      │ a verdict for each recipient
//!                  hello        underway ─┘
//!
//!  421 everywhere, and whatever is no SMTP: over
//! ```

use std::{collections::VecDeque, io::Write as _};

use crate::mail::{
    self, Body, Wishes,
    dsn::{Notice, Notify, xtext},
};

use super::hearing::Reply;

/// Recipients of one transaction: every server takes so many (RFC 5321 4.5.3.1.8).
pub const MAX_RECIPIENTS: usize = 100;

/// A message on its way to one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    /// The reverse-path without brackets.
    pub sender: String,
    /// Who it is for, at most [`MAX_RECIPIENTS`].
    pub recipients: Vec<Addressee>,
    /// What the sender said of it.
    pub wishes: Wishes,
    /// The message, every line with CRLF, without dot-stuffing.
    pub content: Vec<u8>,
}

/// A recipient of a letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addressee {
    /// The forward-path without brackets.
    pub address: String,
    /// What the sender wants to be told of it.
    pub notice: Notice,
}

/// What became of a letter for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server took it.
    Taken {
        /// What it answered to the message.
        reply: Reply,
        /// Whether it knows what the sender wants to hear (RFC 3461 5.2.1); else that is over here.
        told: bool,
    },
    /// Not now.
    Later(Reply),
    /// Never.
    Never(Reply),
}

impl Verdict {
    /// What a reply that does not agree means.
    pub fn refused(reply: Reply) -> Self {
        if reply.is_final() { Self::Never(reply) } else { Self::Later(reply) }
    }
}

/// What the client wants next, after what it wrote is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// A reply.
    Listen,
    /// A TLS handshake, then [`Client::secured`].
    StartTls,
    /// A letter, or the end.
    Ready,
    /// The verdicts for the letter, in the order of its recipients; after them as [`Turn::Ready`].
    Done(Vec<Verdict>),
    /// The server is not to be spoken to (any more): the verdicts for the letter under way, none where there is no letter, and
    /// what the server said.
    Over(Vec<Verdict>, Reply),
}

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    /// What it calls itself.
    host: String,
    /// Whether it goes over to TLS where that is offered.
    wants_tls: bool,
    secured: bool,
    offers: Offers,
    stage: Stage,
    /// The last transaction may be open at the server.
    unfinished: bool,
}

/// What the server's EHLO listed.
#[derive(Debug, Default, Clone, Copy)]
struct Offers {
    pipelining: bool,
    starttls: bool,
    eight_bit: bool,
    utf8: bool,
    dsn: bool,
    /// SIZE, and the limit if it told one.
    size: Option<u64>,
}

/// Where the connection is.
#[derive(Debug)]
enum Stage {
    /// Before the greeting.
    Greeting,
    /// After EHLO.
    Extended,
    /// After HELO.
    Plain,
    /// After STARTTLS.
    StartTls,
    /// Between letters.
    Ready,
    /// A letter is under way.
    Underway(Box<Underway>),
    /// Nothing more is said.
    Over,
}

#[derive(Debug)]
struct Underway {
    letter: Letter,
    /// What is asked and not answered, in order.
    asked: VecDeque<Asked>,
    /// What is not asked yet: without PIPELINING one thing after the other.
    unasked: VecDeque<Asked>,
    /// The recipients' fates so far; none: accepted, or not answered.
    verdicts: Vec<Option<Verdict>>,
    /// Why MAIL or DATA was refused.
    refusal: Option<Reply>,
    /// Whether a recipient was accepted.
    accepted: bool,
}

/// A command whose reply is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Reset,
    Mail,
    Recipient(usize),
    Data,
    End,
}

impl Client {
    /// A client that waits for the greeting.
    pub fn new(host: &str, wants_tls: bool) -> Self {
        Self {
            host: host.to_owned(),
            wants_tls,
            secured: false,
            offers: Offers::default(),
            stage: Stage::Greeting,
            unfinished: false,
        }
    }

    /// Takes a reply. What is to be sent is appended to `out`.
    pub fn hear(&mut self, reply: Reply, out: &mut Vec<u8>) -> Turn {
        if reply.code == 421 {
            return self.lost(reply);
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Greeting if reply.is_good() => self.hello(out),
            Stage::Extended if reply.is_good() => self.offered(&reply, out),
            Stage::Extended if reply.is_final() => {
                self.stage = Stage::Plain;
                say(out, format_args!("HELO {}", self.host));
                Turn::Listen
            }
            Stage::Plain if reply.is_good() => {
                self.stage = Stage::Ready;
                Turn::Ready
            }
            Stage::StartTls if reply.is_good() => Turn::StartTls,
            // Where STARTTLS is refused, it was not to be had: opportunistic means in the clear then (RFC 7435).
            Stage::StartTls => {
                self.stage = Stage::Ready;
                Turn::Ready
            }
            Stage::Underway(underway) => self.underway(underway, reply, out),
            Stage::Greeting | Stage::Extended | Stage::Plain | Stage::Ready | Stage::Over => {
                Turn::Over(Vec::new(), reply)
            }
        }
    }

    /// The handshake is done: what was learnt in the clear is forgotten (RFC 3207 4.2).
    pub fn secured(&mut self, out: &mut Vec<u8>) -> Turn {
        self.secured = true;
        self.offers = Offers::default();
        self.hello(out)
    }

    /// Sends a letter; the client is ready.
    pub fn send(&mut self, letter: Letter, out: &mut Vec<u8>) -> Turn {
        debug_assert!(matches!(self.stage, Stage::Ready) && letter.recipients.len() <= MAX_RECIPIENTS);
        if let Some(reply) = self.impossible(&letter) {
            return Turn::Done(vec![Verdict::Never(reply); letter.recipients.len()]);
        }
        let recipients = (0..letter.recipients.len()).map(Asked::Recipient);
        let reset = std::mem::take(&mut self.unfinished).then_some(Asked::Reset);
        let unasked = reset.into_iter().chain([Asked::Mail]).chain(recipients).chain([Asked::Data]).collect();
        let verdicts = vec![None; letter.recipients.len()];
        let mut underway =
            Underway { letter, asked: VecDeque::new(), unasked, verdicts, refusal: None, accepted: false };
        self.ask(&mut underway, out);
        self.stage = Stage::Underway(Box::new(underway));
        Turn::Listen
    }

    /// Says goodbye.
    pub fn quit(&mut self, out: &mut Vec<u8>) {
        self.stage = Stage::Over;
        say(out, format_args!("QUIT"));
    }

    /// The connection is gone, or is not worth going on with: the verdicts for the letter under way. A message whose end was
    /// sent may have arrived; it is sent again, because a duplicate is better than a loss (RFC 5321 4.5.3.2.6).
    pub fn lost(&mut self, reply: Reply) -> Turn {
        let verdicts = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Underway(underway) => underway.all(&Verdict::Later(reply.clone())),
            Stage::Greeting | Stage::Extended | Stage::Plain | Stage::StartTls | Stage::Ready | Stage::Over => {
                Vec::new()
            }
        };
        Turn::Over(verdicts, reply)
    }

    fn hello(&mut self, out: &mut Vec<u8>) -> Turn {
        self.stage = Stage::Extended;
        say(out, format_args!("EHLO {}", self.host));
        Turn::Listen
    }

    fn offered(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Turn {
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let name = words.next().unwrap_or_default().to_ascii_uppercase();
            match name.as_str() {
                "PIPELINING" => self.offers.pipelining = true,
                "STARTTLS" => self.offers.starttls = true,
                "8BITMIME" => self.offers.eight_bit = true,
                "SMTPUTF8" => self.offers.utf8 = true,
                "DSN" => self.offers.dsn = true,
                "SIZE" => self.offers.size = Some(words.next().and_then(|limit| limit.parse().ok()).unwrap_or(0)),
                _ => {}
            }
        }
        if self.offers.starttls && self.wants_tls && !self.secured {
            self.stage = Stage::StartTls;
            say(out, format_args!("STARTTLS"));
            return Turn::Listen;
        }
        self.stage = Stage::Ready;
        Turn::Ready
    }

    /// Why this server cannot take the letter at all.
    fn impossible(&self, letter: &Letter) -> Option<Reply> {
        let limit = self.offers.size.filter(|limit| *limit > 0);
        if limit.is_some_and(|limit| letter.content.len() as u64 > limit) {
            return Some(Reply::own(552, "5.3.4 message too large for the next server"));
        }
        // What came as 8BITMIME stays that, or stays here: we do not recode it (RFC 6152 3). What was not announced goes as it is.
        if letter.wishes.body == Body::EightBit && !letter.content.is_ascii() && !self.offers.eight_bit {
            return Some(Reply::own(554, "5.6.3 the next server takes no message with 8 bits"));
        }
        let ascii = letter.sender.is_ascii() && letter.recipients.iter().all(|to| to.address.is_ascii());
        if !(ascii || self.offers.utf8) {
            return Some(Reply::own(553, "5.6.7 the next server takes no addresses beyond ASCII"));
        }
        None
    }

    /// Asks what may be asked now.
    fn ask(&self, underway: &mut Underway, out: &mut Vec<u8>) {
        while let Some(next) = underway.unasked.pop_front() {
            match next {
                Asked::Reset => say(out, format_args!("RSET")),
                Asked::Mail => self.mail(&underway.letter, out),
                Asked::Recipient(number) => self.recipient(&underway.letter.recipients[number], out),
                Asked::Data => say(out, format_args!("DATA")),
                Asked::End => {
                    // What is behind DATA although nobody was accepted is the end of nothing (RFC 2920 3.1).
                    if underway.accepted && underway.refusal.is_none() {
                        mail::dot_stuff(&underway.letter.content, out);
                        if !underway.letter.content.ends_with(b"\r\n") {
                            out.extend_from_slice(b"\r\n");
                        }
                    }
                    out.extend_from_slice(b".\r\n");
                }
            }
            underway.asked.push_back(next);
            if !self.offers.pipelining {
                return;
            }
        }
    }

    fn mail(&self, letter: &Letter, out: &mut Vec<u8>) {
        put(out, format_args!("MAIL FROM:<{}>", letter.sender));
        if self.offers.size.is_some() {
            put(out, format_args!(" SIZE={}", letter.content.len()));
        }
        if self.offers.eight_bit && !letter.content.is_ascii() {
            put(out, format_args!(" BODY=8BITMIME"));
        }
        if self.offers.utf8 && letter.wishes.utf8 {
            put(out, format_args!(" SMTPUTF8"));
        }
        if self.offers.dsn {
            if let Some(ret) = letter.wishes.ret {
                put(out, format_args!(" RET={}", ret.as_str()));
            }
            if let Some(envid) = &letter.wishes.envid {
                put(out, format_args!(" ENVID={}", xtext(envid)));
            }
        }
        say(out, format_args!(""));
    }

    fn recipient(&self, to: &Addressee, out: &mut Vec<u8>) {
        put(out, format_args!("RCPT TO:<{}>", to.address));
        if self.offers.dsn {
            if to.notice.notify != Notify::Unsaid {
                put(out, format_args!(" NOTIFY={}", to.notice.notify));
            }
            if let Some(original) = &to.notice.original {
                put(out, format_args!(" ORCPT={};{}", original.kind, xtext(&original.address)));
            }
        }
        say(out, format_args!(""));
    }

    fn underway(&mut self, mut underway: Box<Underway>, reply: Reply, out: &mut Vec<u8>) -> Turn {
        match underway.asked.pop_front() {
            Some(Asked::Reset) | None => {}
            Some(Asked::Mail) => {
                if reply.is_good() {
                    self.unfinished = true;
                } else {
                    underway.refusal = Some(reply);
                }
            }
            Some(Asked::Recipient(number)) => {
                if reply.is_good() {
                    underway.accepted = true;
                } else if underway.refusal.is_none() {
                    // Behind a MAIL that was refused, the answers to RCPT say nothing of the recipients.
                    underway.verdicts[number] = Some(Verdict::refused(reply));
                }
            }
            Some(Asked::Data) if reply.code == 354 => underway.unasked.push_back(Asked::End),
            Some(Asked::Data) => underway.refusal = Some(underway.refusal.take().unwrap_or(reply)),
            Some(Asked::End) => {
                self.unfinished = false;
                self.stage = Stage::Ready;
                let told = self.offers.dsn;
                let fate = match underway.refusal.take() {
                    Some(refusal) => Verdict::refused(refusal),
                    None if reply.is_good() => Verdict::Taken { reply, told },
                    None => Verdict::refused(reply),
                };
                return Turn::Done(underway.all(&fate));
            }
        }
        Self::skip(&mut underway);
        self.ask(&mut underway, out);
        if underway.asked.is_empty() {
            self.stage = Stage::Ready;
            let refusal = underway.refusal.take().unwrap_or_else(|| Reply::own(451, "4.5.0 no answer to DATA"));
            return Turn::Done(underway.all(&Verdict::refused(refusal)));
        }
        self.stage = Stage::Underway(underway);
        Turn::Listen
    }

    /// Takes back what need not be asked any more: recipients of a sender that was refused, DATA for nobody.
    fn skip(underway: &mut Underway) {
        if !underway.asked.is_empty() || underway.unasked.front() == Some(&Asked::End) {
            return;
        }
        let nobody = underway.unasked.front() == Some(&Asked::Data) && !underway.accepted;
        if underway.refusal.is_some() || nobody {
            underway.unasked.clear();
        }
    }
}

impl Underway {
    /// The verdicts where those without one of their own get this one.
    fn all(self: Box<Self>, fate: &Verdict) -> Vec<Verdict> {
        self.verdicts.into_iter().map(|own| own.unwrap_or_else(|| fate.clone())).collect()
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes everything");
}

fn say(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    put(out, text);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
