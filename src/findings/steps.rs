//! The steps of a conversation: each parses, and waits for what its protocol has.

use super::{
    diagnostic::{Code, Findings, closest},
    fields::Field,
    known::{Known, Scope},
};
use crate::lab::{
    Protocol,
    exercise::{Pattern, ReplyPattern, Step},
};

/// Verbs of SMTP: RFC 5321, those of its extensions, and those that older servers list.
const SMTP: &[&str] = &[
    "<CONNECT>",
    "<RESPONSE>",
    "<MESSAGE>",
    "*",
    "HELO",
    "EHLO",
    "MAIL",
    "RCPT",
    "DATA",
    "RSET",
    "NOOP",
    "QUIT",
    "VRFY",
    "EXPN",
    "HELP",
    "AUTH",
    "STARTTLS",
    "BDAT",
    "ETRN",
    "ATRN",
    "TURN",
    "SEND",
    "SOML",
    "SAML",
    "VERB",
    "ONEX",
];

/// Verbs of POP3: RFC 1939, those of its extensions, and those that older servers list.
const POP3: &[&str] = &[
    "<CONNECT>",
    "<RESPONSE>",
    "*",
    "USER",
    "PASS",
    "APOP",
    "STAT",
    "LIST",
    "UIDL",
    "RETR",
    "TOP",
    "DELE",
    "NOOP",
    "RSET",
    "QUIT",
    "CAPA",
    "AUTH",
    "STLS",
    "LAST",
    "RPOP",
    "UTF8",
    "LANG",
];

/// Verbs of IMAP: RFC 9051 and RFC 3501, and those of the extensions that the server knows.
const IMAP: &[&str] = &[
    "<CONNECT>",
    "<RESPONSE>",
    "*",
    "CAPABILITY",
    "NOOP",
    "LOGOUT",
    "ID",
    "STARTTLS",
    "AUTHENTICATE",
    "LOGIN",
    "ENABLE",
    "SELECT",
    "EXAMINE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "LIST",
    "LSUB",
    "NAMESPACE",
    "STATUS",
    "APPEND",
    "IDLE",
    "CHECK",
    "CLOSE",
    "UNSELECT",
    "EXPUNGE",
    "UID EXPUNGE",
    "SEARCH",
    "UID SEARCH",
    "FETCH",
    "UID FETCH",
    "STORE",
    "UID STORE",
    "COPY",
    "UID COPY",
    "MOVE",
    "UID MOVE",
];

/// Reads a step. A verb that no server knows is worth a warning only: nonsense may be sent on purpose.
pub fn step(
    entry: &Field<'_>,
    protocol: Option<Protocol>,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Option<Step> {
    let text = entry.text(findings)?;
    let step: Step = match text.parse() {
        Ok(step) => step,
        Err(problem) => {
            let word = problem.split_once("` is no verb").map(|(word, _)| word.trim_start_matches('`'));
            let meant = word.and_then(|word| closest(word, verbs(protocol?).iter().copied())).map(shown);
            let problem = findings.within(Code::BadStep, &entry.span, problem);
            problem.help(match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "a step reads like `RCPT *user2* -> 250`".to_owned(),
            });
            return None;
        }
    };
    let reply = step.reply.as_ref().and_then(|reply| reply.text.as_ref());
    for Pattern(pattern) in step.argument.iter().chain(reply) {
        known.template(pattern, &entry.span, Scope::Check, findings);
    }
    if let Some(protocol) = protocol {
        expect(&step, protocol, entry, findings);
    }
    Some(step)
}

fn expect(step: &Step, protocol: Protocol, entry: &Field<'_>, findings: &mut Findings<'_>) {
    for verb in step.verbs.iter().filter(|verb| !verbs(protocol).contains(&verb.as_str())) {
        let message = format!("`{}` is no verb of `{protocol}`", shown(verb));
        findings
            .within(Code::UnknownVerb, &entry.span, message)
            .help(tag(step, protocol).unwrap_or_else(|| way_out(verb, protocol)));
    }
    let codes = step.reply.iter().flat_map(|reply| &reply.codes);
    let foreign = |code: &&String| match protocol {
        Protocol::Smtp => ReplyPattern::WORDS.contains(&code.as_str()),
        Protocol::Pop3 => !code.starts_with(['+', '-', '*']),
        Protocol::Imap => code.as_str() != "*" && !ReplyPattern::WORDS[2..].contains(&code.as_str()),
        Protocol::Dns => false,
    };
    for code in codes.filter(foreign) {
        let problem = findings.within(Code::ForeignReply, &entry.span, format!("`{code}` is no reply of `{protocol}`"));
        problem.help(match protocol {
            Protocol::Smtp => "replies of SMTP are three digits: `250`, `5xx`",
            Protocol::Pop3 => "replies of POP3 are `+OK` and `-ERR`",
            Protocol::Imap => {
                "replies of IMAP are `OK`, `NO` and `BAD`, to the greeting also `BYE`, and `+` where it goes on"
            }
            Protocol::Dns => "it has replies of its own",
        });
    }
}

fn verbs(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Smtp => SMTP,
        Protocol::Pop3 => POP3,
        Protocol::Imap => IMAP,
        Protocol::Dns => &[],
    }
}

/// What to do about a tag of IMAP, which stands where the verb should.
fn tag(step: &Step, protocol: Protocol) -> Option<String> {
    let Pattern(argument) = step.argument.as_ref().filter(|_| protocol == Protocol::Imap && step.verbs.len() == 1)?;
    let word = argument.split_ascii_whitespace().next()?.to_ascii_uppercase();
    let verb = verbs(protocol).contains(&word.as_str()) || word == "UID";
    verb.then(|| format!("a step of IMAP has no tag: begin with `{word}`"))
}

/// A verb as it is written in a lab.
fn shown(verb: &str) -> String {
    if verb.starts_with('<') { verb.to_ascii_lowercase() } else { verb.to_owned() }
}

/// What to do about a verb that the protocol does not have: the verb of another one, nearly one, or one with more behind it.
fn way_out(verb: &str, protocol: Protocol) -> String {
    let others = Protocol::CHECKED.into_iter().filter(|other| *other != protocol);
    if let Some(other) = others.into_iter().find(|other| verbs(*other).contains(&verb)) {
        return format!(
            "it is one of `{other}`: change `protocol`, or leave it where students are to send it on purpose"
        );
    }
    let known = verbs(protocol);
    let meant = closest(verb, known.iter().copied());
    match meant.or_else(|| known.iter().copied().find(|known| verb.starts_with(known))) {
        Some(meant) => format!("did you mean `{}`?", shown(meant)),
        None => "leave it where students are to send it on purpose".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_that_the_imap_server_knows_may_stand_in_a_step() {
        let known = crate::protocol::imap::verbs();
        let mut listed: Vec<String> = IMAP.iter().skip(3).map(|verb| (*verb).to_owned()).collect();
        let mut known: Vec<String> = known.collect();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }
}
