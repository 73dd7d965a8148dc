//! Marks in words, English and Spanish: every phrase that explains a verdict is here or, where a lab's notation is put into words,
//! in `phrases`; folders and flags, and queries and mail for other servers, have files of their own. What students sent is quoted with
//! its control characters made visible.

mod folders;
mod witnessed;

use super::{
    marks::{
        Attempt, Cause, CheckMark, Closest, Condition, Contradiction, Failing, Instead, Mark, MessageAttempt, Proof,
        Shown, Verdict, Wanted, WantedStep, WantedTalk,
    },
    phrases,
};
use crate::{
    evidence::{Ending, Timestamp},
    lab::{
        FaultId, Protocol,
        exercise::{Terms, TlsMode},
    },
    trace::visible,
};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const MESES: [&str; 12] = ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"];

/// A language that labctl speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// English.
    #[default]
    English,
    /// Spanish.
    Spanish,
}

impl Lang {
    /// The language of `es`, `es_ES.UTF-8` and the like; English for what labctl does not speak.
    pub fn from_code(code: &str) -> Self {
        let language = code.split(['_', '-', '.', '@']).next().unwrap_or("");
        if language.eq_ignore_ascii_case("es") { Self::Spanish } else { Self::English }
    }

    /// Its code in the lab's texts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    /// The phrase in this language.
    pub const fn pick<'a>(self, english: &'a str, spanish: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Spanish => spanish,
        }
    }
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Words {
    /// The language.
    pub lang: Lang,
    /// Seconds east of UTC, for times of day.
    pub utc_offset_secs: i32,
}

impl Words {
    /// Why the verdict is what it is, in one line.
    pub fn why(self, mark: &Mark) -> String {
        let say = |wanted| {
            let checks = mark.checks.iter().filter(move |check| check.verdict == wanted);
            checks.map(|check| self.check(check)).collect::<Vec<_>>().join("; ")
        };
        let rest = match mark.verdict {
            Verdict::Done => say(Verdict::Done),
            Verdict::Missing if mark.after_missing.is_empty() || mark.held() < mark.checks.len() => {
                say(Verdict::Missing)
            }
            Verdict::Missing | Verdict::Unclear if mark.held() == mark.checks.len() => {
                self.lang.pick("its own checks hold", "sus comprobaciones se cumplen").to_owned()
            }
            Verdict::Missing | Verdict::Unclear => say(Verdict::Unclear),
        };
        match self.after(mark) {
            Some(after) if rest.is_empty() => after,
            Some(after) => format!("{after}; {rest}"),
            None => rest,
        }
    }

    /// What must be done first, if anything.
    pub fn after(self, mark: &Mark) -> Option<String> {
        let first: Vec<String> = mark.after_missing.iter().map(|id| format!("`{id}`")).collect();
        let first = first.join(", ");
        (!first.is_empty()).then(|| match self.lang {
            Lang::English => format!("do {first} first"),
            Lang::Spanish => format!("haz antes {first}"),
        })
    }

    /// What proves a check, or what is missing and the closest attempt.
    pub fn check(self, check: &CheckMark) -> String {
        if check.verdict == Verdict::Done {
            return self.proofs(check);
        }
        let mut parts = vec![self.wanted(check)];
        parts.extend(check.unmet.as_ref().map(|fault| self.unmet(fault)));
        parts.extend(check.cause.as_ref().map(|cause| self.cause(cause)));
        parts.extend(self.attempted(check));
        parts.join("; ")
    }

    /// The closest attempt or, where none was ever made, just that.
    pub fn attempted(self, check: &CheckMark) -> Option<String> {
        // Of what comes after something else, nobody says what there was before.
        let none = check.proofs.is_empty() && check.cause.is_none() && !check.then;
        let none = || self.none_of(&check.wanted).filter(|_| none).map(str::to_owned);
        check.closest.as_ref().map(|closest| self.closest(check, closest)).or_else(none)
    }

    /// What proves a check.
    pub fn proofs(self, check: &CheckMark) -> String {
        check.proofs.iter().map(|proof| self.proof(proof)).collect::<Vec<_>>().join("; ")
    }

    fn proof(self, proof: &Proof) -> String {
        match &proof.shows {
            Shown::Conversation(verbs) => {
                let verbs: Vec<&str> = verbs.iter().map(|verb| self.verb(verb)).collect();
                format!("{} {}: {}", self.connection(), proof.conn.0, verbs.join(", "))
            }
            Shown::Message(id, mailboxes) => {
                let names: Vec<String> = mailboxes.iter().map(|name| format!("`{name}`")).collect();
                let joined = self.lang.pick(" in ", " en ").to_owned() + &names.join(", ");
                format!("{} {}{}", self.message(), id.0, if names.is_empty() { "" } else { &joined })
            }
            Shown::Retrieved(id, place) => {
                let done = self.lang.pick("retrieved from", "leído de");
                format!("{} {} {done} {}", self.message(), id.0, self.place(place))
            }
            Shown::Deleted(id, place) => {
                let done = self.lang.pick("deleted from", "borrado de");
                format!("{} {} {done} {}", self.message(), id.0, self.place(place))
            }
            Shown::Mailbox(place, count) => {
                format!("{} {}: {count}", self.lang.pick("messages in", "mensajes en"), self.place(place))
            }
            Shown::Filed(id, place, flags) => self.filed_proof(id.0, place, flags),
            Shown::Query(name, record, answer) => self.asked(name, record, answer),
            Shown::Carried(id, carriage) => self.carriage(*id, carriage),
        }
    }

    /// What a check wants.
    pub fn wanted(self, check: &CheckMark) -> String {
        let mut text = match &*check.wanted {
            Wanted::Conversation(talk) => self.talk(talk),
            Wanted::Message(conditions, _) => {
                let all: Vec<String> = conditions.iter().map(|(what, value)| self.condition(what, value)).collect();
                let all = if all.is_empty() { String::new() } else { format!(": {}", all.join(", ")) };
                format!("{}{all}", self.lang.pick("wanted: a message you send", "falta: un mensaje que envíes"))
            }
            Wanted::Retrieved(touched) => {
                format!("{} {}", self.to_retrieve(touched.via), self.touched(touched))
            }
            Wanted::Deleted(touched) => format!("{} {}", self.to_delete(touched.via), self.touched(touched)),
            Wanted::Mailbox(place, count) => self.mailbox(place, *count),
            Wanted::Filed(filed) => self.filed(filed),
            Wanted::Query(wanted) => self.wanted_query(wanted),
            Wanted::Carried(wanted) => self.wanted_carried(wanted),
        };
        if check.then {
            text += self.lang.pick(
                " (it counts only after what is asked for before it)",
                " (solo cuenta después de lo que se pide antes)",
            );
        }
        if check.times > 1 {
            text += &self.times(check);
        }
        text
    }

    fn talk(self, talk: &WantedTalk) -> String {
        let (name, steps) = (talk.protocol.as_str().to_ascii_uppercase(), phrases::steps(&talk.steps, self.lang));
        let after = talk.fault.as_ref().map(|fault| {
            let when = if talk.during {
                self.lang.pick("in the connection with the fault", "en la conexión con el fallo")
            } else {
                self.lang.pick("after the fault", "después del fallo")
            };
            format!(", {when} `{fault}`")
        });
        let at_once = self.lang.pick(", without waiting for replies", ", sin esperar las respuestas");
        let at_once = if talk.pipelined { at_once } else { "" };
        let after = after.unwrap_or_default() + &self.terms(&talk.terms) + at_once;
        match self.lang {
            Lang::English => format!("wanted{after}: one {name} connection with {steps}"),
            Lang::Spanish => format!("falta{after}: una conexión {name} con {steps}"),
        }
    }

    fn terms(self, terms: &Terms) -> String {
        let mode = terms.tls.map(|mode| match mode {
            TlsMode::Clear => self.lang.pick("without TLS", "sin TLS"),
            TlsMode::Starttls => self.lang.pick("secured by STARTTLS or STLS", "protegida con STARTTLS o STLS"),
            TlsMode::Implicit => self.lang.pick("with TLS from the start", "con TLS desde el principio"),
        });
        let auth =
            terms.auth.as_ref().map(|auth| format!("{} {auth}", self.lang.pick("logged in by", "identificada con")));
        let version = terms.version.map(|version| version.to_string());
        let all = [mode.map(str::to_owned), version, auth];
        all.into_iter().flatten().fold(String::new(), |said, term| said + ", " + &term)
    }

    fn unmet(self, fault: &FaultId) -> String {
        match self.lang {
            Lang::English => format!("you have not met the fault `{fault}` yet"),
            Lang::Spanish => format!("todavía no has encontrado el fallo `{fault}`"),
        }
    }

    fn times(self, check: &CheckMark) -> String {
        let one = matches!(&*check.wanted, Wanted::Message(_, true));
        let over = if one { self.lang.pick(", over one connection", ", por una sola conexión") } else { "" };
        let on = |conn| check.proofs.iter().filter(|proof| proof.conn == conn).count();
        let most = check.proofs.iter().map(|proof| on(proof.conn)).max().unwrap_or(0);
        let (have, all) = (if one { most } else { check.proofs.len() }, check.times);
        match self.lang {
            Lang::English => format!(" ({have} of {all} so far{over})"),
            Lang::Spanish => format!(" ({have} de {all} hasta ahora{over})"),
        }
    }

    fn condition(self, what: &Condition, value: &str) -> String {
        let name = self.condition_name(what);
        match what {
            Condition::Size => self.size(value),
            Condition::Parts => format!("{name} {}", self.listed(value)),
            Condition::Body => phrases::body(value, self.lang),
            Condition::Header(_) if value == "*" => name,
            Condition::Mailbox
            | Condition::From
            | Condition::To
            | Condition::Header(_)
            | Condition::Hash
            | Condition::Text
            | Condition::Secret => format!("{name} {}", self.quoted(value)),
        }
    }

    /// A bound on octets, as a condition has it.
    fn size(self, bound: &str) -> String {
        bound.parse().map_or_else(|_| bound.to_owned(), |bound| phrases::bound(bound, true, self.lang))
    }

    fn condition_name(self, what: &Condition) -> String {
        let (english, spanish) = match what {
            Condition::Mailbox => ("in mailbox", "en el buzón"),
            Condition::From => ("MAIL FROM", "MAIL FROM"),
            Condition::To => ("RCPT TO", "RCPT TO"),
            Condition::Size => ("octets", "octetos"),
            Condition::Header(name) => {
                return format!("{} `{name}`", self.lang.pick("header", "cabecera"));
            }
            Condition::Body => ("body", "cuerpo"),
            Condition::Parts => ("MIME parts", "partes MIME"),
            Condition::Hash => ("body with SHA-256", "cuerpo con SHA-256"),
            Condition::Text => ("the whole text given in mail", "el texto completo del correo"),
            Condition::Secret => ("your secret from mail", "tu secreto del correo"),
        };
        self.lang.pick(english, spanish).to_owned()
    }

    /// Why a check is unclear.
    pub fn cause(self, cause: &Cause) -> String {
        let es = self.lang == Lang::Spanish;
        match cause {
            Cause::Damaged { seq, why } if es => format!("el registro está dañado en el suceso {}: {why}", seq.0),
            Cause::Damaged { seq, why } => format!("the record is damaged at event {}: {why}", seq.0),
            Cause::Failed { conn, at } if es => {
                format!("el servidor falló en la conexión {} ({}); no es culpa tuya: repítelo", conn.0, self.time(*at))
            }
            Cause::Failed { conn, at } => {
                format!("the server failed in connection {} ({}); not your fault: try again", conn.0, self.time(*at))
            }
            Cause::ContentLost(id) if es => format!("el contenido del mensaje {} se ha perdido", id.0),
            Cause::ContentLost(id) => format!("the content of message {} is lost", id.0),
        }
    }

    /// Why a connection counts for neither of two students.
    pub fn contradiction(self, found: &Contradiction) -> String {
        let (conn, at, address, login) = (found.conn.0, self.time(found.at), &found.address, &found.login);
        match self.lang {
            Lang::English => format!(
                "connection {conn} ({at}) came to `{address}`'s address but logged in as `{login}`: it counts for neither"
            ),
            Lang::Spanish => format!(
                "la conexión {conn} ({at}) llegó a la dirección de `{address}` pero entró como `{login}`: no cuenta para ninguno"
            ),
        }
    }

    /// The closest attempt.
    pub fn closest(self, check: &CheckMark, closest: &Closest) -> String {
        let text = match closest {
            Closest::Conversation(attempt) => self.attempt(&check.wanted, attempt),
            Closest::Message(attempt) => self.message_attempt(attempt),
            Closest::Touched(attempt) => self.touched_attempt(attempt),
            Closest::Query(attempt) => self.query_attempt(attempt),
            Closest::Carried(attempt) => self.carried_attempt(attempt),
            Closest::Filed(attempt) => self.filed_attempt(attempt),
            Closest::Mailbox(Some(count)) => {
                return format!("{} {count}", self.lang.pick("it holds", "ahora hay"));
            }
            Closest::Mailbox(None) => {
                return self.lang.pick("there is no such folder", "no hay tal carpeta").to_owned();
            }
        };
        format!("{} {text}", self.lang.pick("closest:", "lo más cerca:"))
    }

    fn attempt(self, wanted: &Wanted, attempt: &Attempt) -> String {
        let began = format!("{} {} ({})", self.connection(), attempt.conn.0, self.time(attempt.at));
        let Wanted::Conversation(talk) = wanted else { return began };
        let steps: Vec<&WantedStep> = talk.steps.iter().filter(|step| !step.forbidden).collect();
        let last = attempt.reached.checked_sub(1).and_then(|last| steps.get(last));
        let last =
            last.map(|last| format!(" {} {}", self.lang.pick("got as far as", "llegó hasta"), self.quoted(&last.text)));
        let then = self.then(attempt, steps.get(attempt.reached).copied());
        let ended = attempt.ended.map(|how| self.ending(how, talk.protocol)).unwrap_or_default();
        format!("{began}{}{then}{ended}", last.unwrap_or_default())
    }

    /// What came in place of the next step, or what comes next.
    fn then(self, attempt: &Attempt, next: Option<&WantedStep>) -> String {
        let (verb, said) = (self.verb(&visible(&attempt.verb)).to_owned(), visible(&attempt.said));
        match (attempt.instead, next, self.lang) {
            (Some(Instead::Terms), _, Lang::English) => "; but it was secured or logged in otherwise".to_owned(),
            (Some(Instead::Terms), _, Lang::Spanish) => {
                "; pero estaba protegida o identificada de otra forma".to_owned()
            }
            (Some(Instead::Waited), _, Lang::English) => {
                format!("; then `{verb}` came only after the reply: send them all at once")
            }
            (Some(Instead::Waited), _, Lang::Spanish) => {
                format!("; entonces `{verb}` no llegó hasta después de la respuesta: envíalas todas juntas")
            }
            (Some(Instead::Forbidden), _, Lang::English) => format!("; then `{verb}` came, which must not come there"),
            (Some(Instead::Forbidden), _, Lang::Spanish) => format!("; entonces llegó `{verb}`, que ahí no debe"),
            (Some(Instead::Reply), Some(next), Lang::English) => {
                format!("; then `{verb}` was answered `{said}`, wanted {}", self.quoted(&next.reply))
            }
            (Some(Instead::Reply), Some(next), Lang::Spanish) => {
                format!("; entonces `{verb}` recibió `{said}`, se esperaba {}", self.quoted(&next.reply))
            }
            (Some(Instead::Argument), Some(next), Lang::English) => {
                format!("; then `{verb}` came with `{said}`, wanted {}", self.quoted(&next.argument))
            }
            (Some(Instead::Argument), Some(next), Lang::Spanish) => {
                format!("; entonces `{verb}` llegó con `{said}`, se esperaba {}", self.quoted(&next.argument))
            }
            (None, Some(next), _) => {
                format!("; {} {}", self.lang.pick("next comes", "ahora toca"), self.quoted(&next.text))
            }
            (None | Some(Instead::Reply | Instead::Argument), None, _) => {
                let end = self.lang.pick("; now end the connection", "; ahora cierra la conexión");
                attempt.ended.map_or(end, |_| "").to_owned()
            }
        }
    }

    /// Words between commas, each in backticks.
    fn listed(self, words: &str) -> String {
        words.split(", ").map(|word| self.quoted(word)).collect::<Vec<_>>().join(", ")
    }

    fn quoted(self, pattern: &str) -> String {
        phrases::quoted(pattern, self.lang)
    }

    fn ending(self, how: Ending, protocol: Protocol) -> String {
        let verb = if protocol == Protocol::Imap { "LOGOUT" } else { "QUIT" };
        let (english, spanish) = match how {
            Ending::Quit => return format!(" ({} {verb})", self.lang.pick("it ended with", "terminó con")),
            Ending::Dropped => return format!(" ({} {verb})", self.lang.pick("it was cut without", "se cortó sin")),
            Ending::Idle => (" (it was idle too long)", " (estuvo inactiva demasiado tiempo)"),
            Ending::Refused => (" (the server ended it)", " (la cerró el servidor)"),
            Ending::Shutdown => (" (the server was shutting down)", " (el servidor se apagaba)"),
            Ending::Instructor => (" (the instructor ended it)", " (la terminó el docente)"),
            Ending::Fault => (" (the server cut it on purpose)", " (el servidor la cortó a propósito)"),
            Ending::Failed => (" (the server failed)", " (falló el servidor)"),
        };
        self.lang.pick(english, spanish).to_owned()
    }

    fn message_attempt(self, attempt: &MessageAttempt) -> String {
        let failings: Vec<String> = attempt.failings.iter().map(|failing| self.failing(failing)).collect();
        format!("{} {} ({}): {}", self.message(), attempt.message.0, self.time(attempt.at), failings.join(", "))
    }

    fn failing(self, failing: &Failing) -> String {
        let (condition, wanted) = (&failing.condition, &failing.wanted);
        let what = match condition {
            Condition::Mailbox => self.lang.pick("mailbox", "buzón").to_owned(),
            Condition::Hash => self.lang.pick("SHA-256 of the body", "SHA-256 del cuerpo").to_owned(),
            Condition::From
            | Condition::To
            | Condition::Size
            | Condition::Header(_)
            | Condition::Body
            | Condition::Parts
            | Condition::Text
            | Condition::Secret => self.condition_name(condition),
        };
        let found = failing.found.as_deref().map(|found| visible(crop(found)));
        match (condition, found) {
            (Condition::Text, Some(lines)) => {
                let tail = self.lang.pick("lines in one piece", "líneas seguidas");
                format!("{what} `{wanted}`: {lines} {tail}")
            }
            (Condition::Text | Condition::Secret, _) => {
                format!("{what} `{wanted}` {}", self.lang.pick("is not in it", "no está"))
            }
            (Condition::Size, Some(octets)) => match self.lang {
                Lang::English => format!("it has {octets} octets, wanted {}", self.size(wanted)),
                Lang::Spanish => format!("tiene {octets} octetos, se esperaba {}", self.size(wanted)),
            },
            (Condition::Body, found) => {
                let found = found.map(|found| format!(" `{found}`")).unwrap_or_default();
                let wants = phrases::body(wanted, self.lang);
                format!("{what}{found}, {} {wants}", self.lang.pick("wanted", "se esperaba"))
            }
            (Condition::Parts, Some(found)) => {
                format!("{what} `{found}`, {} {}", self.lang.pick("wanted", "se esperaba"), self.listed(wanted))
            }
            (_, None) => format!("{what} {}", self.lang.pick("is missing", "falta")),
            (_, Some(found)) => {
                format!("{what} `{found}`, {} {}", self.lang.pick("wanted", "se esperaba"), self.quoted(wanted))
            }
        }
    }

    fn verb(self, verb: &str) -> &str {
        match verb {
            "<message>" => self.lang.pick("message", "mensaje"),
            "<connect>" => self.lang.pick("greeting", "saludo"),
            "*" => "…",
            other => other,
        }
    }

    const fn connection(self) -> &'static str {
        self.lang.pick("connection", "conexión")
    }

    const fn message(self) -> &'static str {
        self.lang.pick("message", "mensaje")
    }

    /// Day and time: a practical runs over weeks.
    pub fn time(self, at: Timestamp) -> String {
        let day = crate::trace::date(at, self.utc_offset_secs);
        let month = usize::from(day.month().unsigned_abs()) - 1;
        let month = match self.lang {
            Lang::English => MONTHS[month],
            Lang::Spanish => MESES[month],
        };
        let time = crate::trace::time_of_day(at, self.utc_offset_secs);
        format!("{} {month} {}", day.day(), &time[..5])
    }
}

/// What of a header or body an explanation shows.
fn crop(text: &str) -> &str {
    &text[..text.floor_char_boundary(super::NEAR_KEPT)]
}
