//! The steps of a conversation: each reads like the transcript it matches. Judging is `crate::marking`.

use std::str::FromStr;

/// One step: `[!] VERB[|VERB] [ARGUMENT] [-> REPLY]`. A verb of IMAP may have `UID` before it, and is another one then.
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

/// `250`, `2xx`, `250|251`, `+OK`, `-ERR`, `OK`, `NO`, `BAD`, each alternative optionally with a pattern for the text after the code.
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
        let (verbs, argument) = verbs(command);
        for verb in &verbs {
            let special = matches!(verb.as_str(), "*" | "<MESSAGE>" | "<CONNECT>" | "<RESPONSE>");
            let word = verb.strip_prefix("UID ").unwrap_or(verb);
            if !special && (word.is_empty() || !word.chars().all(|c| c.is_ascii_alphanumeric())) {
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

/// The verbs that a step begins with, in upper case, and the rest. `UID` belongs to the verb after it (RFC 9051 6.4.9):
/// `FETCH|UID FETCH 1:*` is `FETCH 1:*` or `UID FETCH 1:*`.
fn verbs(command: &str) -> (Vec<String>, &str) {
    let mut rest = command;
    let mut verbs: Vec<String> = Vec::new();
    loop {
        let (words, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let mut words = words.split('|').map(str::to_ascii_uppercase);
        if let Some(uid) = verbs.last_mut() {
            // Only after UID there is another round.
            *uid = format!("UID {}", words.next().unwrap_or_default());
        }
        verbs.extend(words);
        rest = after.trim_start();
        if rest.is_empty() || verbs.last().is_none_or(|last| last != "UID") {
            return (verbs, rest);
        }
    }
}

impl ReplyPattern {
    /// The words that stand where SMTP has digits: the statuses of POP3 and IMAP (RFC 1939 3, RFC 9051 7.1), IMAP's continuation.
    pub const WORDS: [&str; 8] = ["+OK", "-ERR", "OK", "NO", "BAD", "BYE", "PREAUTH", "+"];
}

impl FromStr for ReplyPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (codes, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let codes: Vec<String> = codes.split('|').map(str::to_owned).collect();
        for code in &codes {
            let digits = code.len() == 3 && code.bytes().all(|octet| octet.is_ascii_digit() || octet == b'x');
            if !(digits || code == "*" || Self::WORDS.contains(&code.as_str())) {
                return Err(format!(
                    "`{code}` is no reply: write three digits such as `250` or `2xx`, `+OK`, `-ERR`, `OK`, `NO`, `BAD` or `*`"
                ));
            }
        }
        let rest = rest.trim();
        Ok(Self { codes, text: (!rest.is_empty()).then(|| Pattern(rest.to_owned())) })
    }
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
        let step: Step = "FETCH|uid fetch|UID STORE 1:* -> OK|NO".parse().unwrap();
        assert_eq!(
            (step.verbs, step.argument),
            (["FETCH", "UID FETCH", "UID STORE"].map(str::to_owned).to_vec(), Some(Pattern("1:*".into())))
        );
        assert_eq!("UID SEARCH -> BAD".parse::<Step>().unwrap().verbs, ["UID SEARCH"]);
        for bad in ["UID F!", "", "-> 250", "MA!L -> 250", "MAIL -> 25", "MAIL -> ok", "! "] {
            assert!(bad.parse::<Step>().is_err(), "{bad}");
        }
    }
}
