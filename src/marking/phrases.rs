//! A lab's notation put into words for students: steps, bounds and patterns, in each language. What a lab writes in
//! backticks stays as it is; only what nobody can read without the reference is said in other words.

use super::{marks::WantedStep, words::Lang};
use crate::{
    lab::{
        exercise::{Bound, Comparison},
        template::{Piece, pieces},
    },
    trace::visible,
};

/// The steps in order. A step that forbids everything says that its neighbours follow each other directly.
pub fn steps(steps: &[WantedStep], lang: Lang) -> String {
    let nothing = |step: &WantedStep| step.forbidden && step.text == "*";
    let mut said: Vec<String> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let text = quoted(&step.text, lang);
        if nothing(step) {
            if place + 1 == steps.len() {
                said.push(lang.pick("and nothing else", "y nada más").to_owned());
            }
        } else if step.forbidden {
            said.push(format!("{} {text}", lang.pick("no", "ningún")));
        } else if place == 1 && nothing(&steps[0]) {
            said.push(format!("{} {text}", lang.pick("first of all", "lo primero")));
        } else if place > 0 && nothing(&steps[place - 1]) {
            said.push(format!("{} {text}", lang.pick("directly after it", "justo después")));
        } else {
            said.push(text);
        }
    }
    said.join(", ")
}

/// `at least 3`, and in octets where the number is round `at least 64 KiB`.
pub fn bound(bound: Bound, octets: bool, lang: Lang) -> String {
    let than = match bound.than {
        Comparison::Less => lang.pick("fewer than ", "menos de "),
        Comparison::AtMost => lang.pick("at most ", "como mucho "),
        Comparison::Equal => "",
        Comparison::AtLeast => lang.pick("at least ", "al menos "),
        Comparison::More => lang.pick("more than ", "más de "),
    };
    let value = bound.value;
    match value {
        _ if !octets => format!("{than}{value}"),
        1.. if value.is_multiple_of(1 << 20) => format!("{than}{} MiB", value >> 20),
        1.. if value.is_multiple_of(1 << 10) => format!("{than}{} KiB", value >> 10),
        _ => format!("{than}{value} {}", lang.pick("octets", "octetos")),
    }
}

/// A body pattern: `*text*` holds a text, and where line ends stand round it a whole line.
pub fn body(pattern: &str, lang: Lang) -> String {
    let inner = |before: &str, after: &str| {
        let inner = pattern.strip_prefix(before)?.strip_suffix(after)?;
        (!inner.is_empty() && !inner.contains(['*', '\n'])).then(|| quoted(inner, lang))
    };
    if let Some(line) = inner("*\n", "\n*") {
        return format!("{} {line}", lang.pick("body with the line", "cuerpo con la línea"));
    }
    match inner("*", "*") {
        Some(text) => format!("{} {text}", lang.pick("body with", "cuerpo con")),
        None => format!("{} {}", lang.pick("body", "cuerpo"), quoted(pattern, lang)),
    }
}

/// A pattern in backticks, on one line; what only the student can know is named instead of shown.
pub fn quoted(pattern: &str, lang: Lang) -> String {
    let Ok(pieces) = pieces(pattern) else { return format!("`{}`", visible(pattern)) };
    let said = pieces.into_iter().map(|piece| match piece {
        Piece::Text(text) => visible(text),
        Piece::Value { name: "secret", of: Some(mail) } => {
            format!("‹{} {mail}›", lang.pick("your secret from mail", "tu secreto del correo"))
        }
        Piece::Value { name: "text", of: Some(mail) } => {
            format!("‹{} {mail}›", lang.pick("your text from mail", "tu texto del correo"))
        }
        Piece::Value { name: "password", of: None } => format!("‹{}›", lang.pick("your password", "tu contraseña")),
        Piece::Value { name: "password", of: Some(user) } => {
            format!("‹{} {user}›", lang.pick("the password of", "la contraseña de"))
        }
        Piece::Value { name, of } => of.map_or_else(|| format!("{{{name}}}"), |of| format!("{{{name}:{of}}}")),
    });
    format!("`{}`", said.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(steps: &[&str]) -> Vec<WantedStep> {
        let step = |text: &&str| WantedStep {
            forbidden: text.starts_with('!'),
            text: text.trim_start_matches(['!', ' ']).to_owned(),
            argument: String::new(),
            reply: String::new(),
        };
        steps.iter().map(step).collect()
    }

    #[test]
    fn a_step_that_forbids_everything_is_said_as_an_order() {
        let said = |all: &[&str]| steps(&written(all), Lang::English);
        assert_eq!(said(&["! *", "HELO|EHLO -> 250", "! *"]), "first of all `HELO|EHLO -> 250`, and nothing else");
        assert_eq!(said(&["<connect>", "! *", "HELO", "QUIT"]), "`<connect>`, directly after it `HELO`, `QUIT`");
        assert_eq!(said(&["! RSET", "HELO", "! RSET|MAIL"]), "no `RSET`, `HELO`, no `RSET|MAIL`");
        assert_eq!(steps(&written(&["! *", "NOOP"]), Lang::Spanish), "lo primero `NOOP`");
    }

    #[test]
    fn a_bound_is_said_and_not_written() {
        let said = |text: &str, octets| bound(text.parse().unwrap(), octets, Lang::English);
        assert_eq!(said(">= 64 KiB", true), "at least 64 KiB");
        assert_eq!(said("< 2 MiB", true), "fewer than 2 MiB");
        assert_eq!(said("<= 1000", true), "at most 1000 octets");
        assert_eq!(said("= 0", true), "0 octets");
        assert_eq!(said("> 1024", false), "more than 1024");
    }

    #[test]
    fn a_body_pattern_is_one_line_without_secrets_or_notation() {
        assert_eq!(body("*\n.{secret:punto}\n*", Lang::English), "body with the line `.‹your secret from mail punto›`");
        assert_eq!(body("*hola*", Lang::Spanish), "cuerpo con `hola`");
        assert_eq!(body("a*\nb", Lang::English), "body `a*\\nb`");
        assert_eq!(body("*", Lang::English), "body `*`");
    }
}
