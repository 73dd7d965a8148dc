//! A transcript file as values: the settings of the server, and the steps with the text to write back.

use std::{collections::BTreeMap, net::SocketAddr};

use labctl::{
    evidence::{By, Who},
    lab::{
        Leniency, Limits, Login, LoneNewline, Relaying, ServerConfig, Service, Tls,
        server::{Account, Identity},
    },
    protocol::Now,
};

/// A whole file.
pub struct Script {
    pub settings: Settings,
    pub lines: Vec<Line>,
}

/// One line of a file.
pub enum Line {
    /// A comment, a setting, an empty line.
    Note(String),
    /// Something that happens, with the line as written.
    Step(String, Step),
}

/// Something that happens.
pub enum Step {
    /// The client sends octets.
    Send(Vec<u8>),
    /// Seconds go by.
    Later(u64),
    /// The TLS handshake that STARTTLS asked for.
    Secured,
    /// The client closes the connection.
    Close,
    /// The server shuts down.
    Shutdown,
    /// From now on the store works, or does not.
    Store(bool),
    /// Another IMAP session of the mailbox sends octets.
    Other(Vec<u8>),
    /// Mail comes in.
    Mail(Login, Vec<u8>),
    /// A POP3 session takes the maildrop; none gives it back.
    Pop3(Option<Login>),
}

/// The server that a file is played against.
pub struct Settings {
    pub config: ServerConfig,
    /// The service that was connected to; none for the protocol's own in the clear.
    pub service: Option<Service>,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// The client's name in the DNS.
    pub name: Option<String>,
    pub who: Who,
    pub seed: u64,
    pub now: Now,
    /// Messages that are there already.
    pub mail: Vec<(Login, Vec<u8>)>,
    /// How many recipients wait for other servers, by domain.
    pub queued: BTreeMap<String, usize>,
    /// Mailboxes that another session has open.
    pub locked: Vec<Login>,
    /// Whether stored messages are shown.
    pub show_mail: bool,
    /// The greeting refuses: `student` or `server`.
    pub refuse: Option<String>,
}

impl Script {
    /// Reads a file; an error names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self { settings: Settings::default(), lines: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            script.line(line).map_err(|problem| format!("line {}: {problem}", number + 1))?;
        }
        Ok(script)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            self.lines.push(Line::Note(line.to_owned()));
            return Ok(());
        }
        let (what, rest) = line.split_once(':').ok_or("no `:`")?;
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let step = match what {
            "S" | "E" | "M" => return Ok(()),
            "C" => Step::Send([rest.as_bytes(), b"\r\n"].concat()),
            "R" => Step::Send(octets(rest)?),
            "O" => Step::Other([rest.as_bytes(), b"\r\n"].concat()),
            "T" => Step::Later(seconds(rest)?),
            "X" => match rest {
                "secured" => Step::Secured,
                "close" => Step::Close,
                "shutdown" => Step::Shutdown,
                "store fails" => Step::Store(false),
                "store works" => Step::Store(true),
                "pop3 closes" => Step::Pop3(None),
                _ => happening(rest)?,
            },
            _ => {
                self.settings.read(what, rest)?;
                self.lines.push(Line::Note(line.to_owned()));
                return Ok(());
            }
        };
        self.lines.push(Line::Step(line.to_owned(), step));
        Ok(())
    }

    /// Octets from somebody who means no good, to a server whose limits are near.
    pub fn hostile(octets: &[u8], dialect: &str, strict: bool) -> Self {
        let mut settings = Settings::default();
        dialect.clone_into(&mut settings.config.dialect);
        settings.config.limits.line = 60;
        settings.config.limits.text_line = 50;
        settings.config.limits.message = 100;
        settings.config.limits.errors = 8;
        settings.show_mail = true;
        if strict {
            settings.config.leniency = Leniency::STRICT;
        }
        let account = Account { password: "secret".to_owned(), token: "token-ana".to_owned(), student: true };
        settings.config.accounts.insert("ana".parse().expect("a login"), account);
        let mail = [b".dot\r\n\r\n.text\r\n".to_vec(), b"Subject: x\r\n\r\n1\r\n2\r\n3\r\n4\r\n".to_vec()];
        settings.mail = mail.map(|message| ("ana".parse().expect("a login"), message)).to_vec();
        Self { settings, lines: vec![Line::Step(String::new(), Step::Send(octets.to_vec()))] }
    }

    /// The file with what was seen: first at the greeting, then after each step.
    pub fn with_seen(&self, seen: &[Vec<String>]) -> String {
        let mut seen = seen.iter();
        let mut text = String::new();
        let add = |lines: Option<&Vec<String>>, text: &mut String| {
            for line in lines.into_iter().flatten() {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        };
        let settings = self.lines.iter().take_while(|line| matches!(line, Line::Note(_))).count();
        for (at, line) in self.lines.iter().enumerate() {
            if at == settings {
                add(seen.next(), &mut text);
            }
            let (Line::Note(written) | Line::Step(written, _)) = line;
            text.push_str(written);
            text.push('\n');
            if matches!(line, Line::Step(..)) {
                add(seen.next(), &mut text);
            }
        }
        add(seen.next(), &mut text);
        text
    }
}

impl Default for Settings {
    fn default() -> Self {
        let account = |password: &str| Account {
            password: password.to_owned(),
            token: format!("token-{password}"),
            student: false,
        };
        Self {
            config: ServerConfig {
                lab: "transcripts".parse().expect("a name"),
                group: "g1".parse().expect("a name"),
                domain: "lib.simulacion".parse().expect("a domain"),
                host: "mail.lib.simulacion".to_owned(),
                dialect: "labctl".to_owned(),
                leniency: Leniency::LENIENT,
                lone_newline: LoneNewline::Refuse,
                tls: Tls::default(),
                identity: None,
                relay: false,
                auth_before_tls: false,
                vrfy: false,
                catch_all: None,
                limits: Limits::default(),
                accounts: BTreeMap::from([
                    ("user1".parse().expect("a login"), account("Usuario1")),
                    ("user2".parse().expect("a login"), account("Usuario2")),
                ]),
                endpoints: Vec::new(),
                faults: Vec::new(),
                clients: BTreeMap::new(),
                clients_only: None,
                relaying: Relaying::default(),
            },
            service: None,
            peer: ([127, 0, 0, 1], 53_040).into(),
            local: ([127, 0, 0, 1], 25).into(),
            name: None,
            who: Who::Unknown,
            seed: 1,
            now: clock("2017-11-03T12:01:03+01:00").expect("a time"),
            mail: Vec::new(),
            queued: BTreeMap::new(),
            locked: Vec::new(),
            show_mail: false,
            refuse: None,
        }
    }
}

impl Settings {
    fn read(&mut self, what: &str, rest: &str) -> Result<(), String> {
        match what {
            "lab" => rest.split_ascii_whitespace().try_for_each(|pair| {
                let (key, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` has no `=`"))?;
                self.set(key, value).map_err(|problem| format!("`{pair}`: {problem}"))
            }),
            "clock" => clock(rest).map(|now| self.now = now),
            "mail" => {
                let (mailbox, message) = rest.split_once(' ').ok_or("`mail: MAILBOX MESSAGE`")?;
                self.mail.push((login(mailbox)?, octets(message)?));
                Ok(())
            }
            _ => Err(format!("`{what}:` is no line of a transcript")),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let config = &mut self.config;
        match key {
            "dialect" => value.clone_into(&mut config.dialect),
            "host" => value.clone_into(&mut config.host),
            "domain" => config.domain = value.parse().map_err(|problem| format!("{problem}"))?,
            "strict" if number::<String>(value)? == "true" => config.leniency = Leniency::STRICT,
            "relay" => config.relay = number(value)?,
            "auth_before_tls" => config.auth_before_tls = number(value)?,
            "vrfy" => config.vrfy = number(value)?,
            "queue" => config.relaying.patience.recipients = number(value)?,
            "catch_all" => config.catch_all = Some(login(value)?),
            "lone_newline" => config.lone_newline = lone_newline(value)?,
            "users" => {
                config.accounts.retain(|_, account| account.student);
                self.accounts(value, false)?;
            }
            "students" => self.accounts(value, true)?,
            "peer" => self.peer = number(value)?,
            "local" => self.local = number(value)?,
            "name" => self.name = Some(value.to_owned()),
            "who" => self.who = Who::Student { login: login(value)?, by: By::Endpoint },
            // Sessions never look into a certificate.
            "tls" => {
                config.identity =
                    Some(Identity { certificate: String::new(), key: String::new(), authority: String::new() });
                config.tls = match value {
                    "off" => Tls::Off,
                    "offered" => Tls::Offered,
                    "required" => Tls::Required,
                    _ => return Err("off, offered or required".into()),
                };
            }
            "service" => self.service = Some(value.parse().map_err(|()| "no such service".to_owned())?),
            "seed" => self.seed = number(value)?,
            "waiting" => {
                let (domain, count) = value.split_once(':').ok_or("write `domain:count`")?;
                self.queued.insert(domain.to_owned(), number(count)?);
            }
            "locked" => self.locked.push(login(value)?),
            "mail" => self.show_mail = value == "shown",
            "refuse" => self.refuse = Some(value.to_owned()),
            _ => return self.limit(key, value),
        }
        Ok(())
    }

    fn limit(&mut self, key: &str, value: &str) -> Result<(), String> {
        let (limits, leniency) = (&mut self.config.limits, &mut self.config.leniency);
        match key {
            "line" => limits.line = number(value)?,
            "text_line" => limits.text_line = number(value)?,
            "recipients" => limits.recipients = number(value)?,
            "message" => limits.message = number(value)?,
            "mailbox" => limits.mailbox = number(value)?,
            "hops" => limits.hops = number(value)?,
            "errors" => limits.errors = number(value)?,
            "greeting_argument" => leniency.greeting_argument = number(value)?,
            "bare_path" => leniency.bare_path = number(value)?,
            "space_after_colon" => leniency.space_after_colon = number(value)?,
            "local_part" => leniency.local_part = number(value)?,
            "no_greeting" => leniency.no_greeting = number(value)?,
            "line_feed" => leniency.line_feed = number(value)?,
            "pop3_blanks" => leniency.pop3_blanks = number(value)?,
            _ => return Err("no such setting".into()),
        }
        Ok(())
    }

    fn accounts(&mut self, list: &str, student: bool) -> Result<(), String> {
        for account in list.split(',') {
            let (name, password) = account.split_once(':').ok_or("write `name:password,name:password`")?;
            let (password, token) = (password.to_owned(), format!("token-{password}"));
            self.config.accounts.insert(login(name)?, Account { password, token, student });
        }
        Ok(())
    }
}

fn login(text: &str) -> Result<Login, String> {
    text.parse().map_err(|problem| format!("{problem}"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "does not parse".to_owned())
}

fn lone_newline(text: &str) -> Result<LoneNewline, String> {
    match text {
        "refuse" => Ok(LoneNewline::Refuse),
        "convert" => Ok(LoneNewline::Convert),
        "keep" => Ok(LoneNewline::Keep),
        _ => Err("refuse, convert or keep".into()),
    }
}

fn clock(text: &str) -> Result<Now, String> {
    let time: jiff::Timestamp = text.parse().map_err(|problem| format!("{problem}"))?;
    let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(|problem| format!("{problem}"))?;
    let offset = pieces.to_numeric_offset().map_or(0, jiff::tz::Offset::seconds);
    Ok(Now { micros: time.as_microsecond(), steady_micros: time.as_microsecond(), utc_offset_secs: offset })
}

fn seconds(text: &str) -> Result<u64, String> {
    let text = text.strip_prefix('+').ok_or("write `T: +5m`")?;
    let (number, scale) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    Ok(self::number::<u64>(number)? * scale)
}

/// `mail MAILBOX MESSAGE` or `pop3 MAILBOX`.
fn happening(text: &str) -> Result<Step, String> {
    match text.split_once(' ') {
        Some(("mail", rest)) => {
            let (mailbox, message) = rest.split_once(' ').ok_or("`X: mail MAILBOX MESSAGE`")?;
            Ok(Step::Mail(login(mailbox)?, octets(message)?))
        }
        Some(("pop3", mailbox)) => Ok(Step::Pop3(Some(login(mailbox)?))),
        _ => Err(format!("`{text}` cannot happen")),
    }
}

/// Octets as a file writes them.
fn octets(text: &str) -> Result<Vec<u8>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((word, times, after)) = repeated(rest) {
            found.extend(octets(word)?.repeat(times));
            rest = after;
            continue;
        }
        rest = &rest[first.len_utf8()..];
        if first != '\\' {
            found.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.chars().next().ok_or("a `\\` at the end")?;
        rest = &rest[escape.len_utf8()..];
        match escape {
            'r' => found.push(b'\r'),
            'n' => found.push(b'\n'),
            't' => found.push(b'\t'),
            '0' => found.push(0),
            '\\' => found.push(b'\\'),
            'x' => {
                let digits = rest.get(..2).ok_or("`\\x` wants two digits")?;
                found.push(u8::from_str_radix(digits, 16).map_err(|_| "`\\x` wants two digits")?);
                rest = &rest[2..];
            }
            other => return Err(format!("`\\{other}` is no escape")),
        }
    }
    Ok(found)
}

/// `{word*3}` at the start of `text`.
fn repeated(text: &str) -> Option<(&str, usize, &str)> {
    let (inner, after) = text.strip_prefix('{')?.split_once('}')?;
    let (word, times) = inner.rsplit_once('*')?;
    Some((word, times.parse().ok()?, after))
}
