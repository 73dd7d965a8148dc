//! Commands in what is said to a person, so that they can be typed as they stand: they name the lab and the state directory
//! that the command line named. Without either they mean the same as what was typed.

use std::sync::OnceLock;

/// Verbs whose lab stands behind them.
const LAB_BEHIND: [&str; 8] = ["up", "down", "check", "inject", "archive", "report", "status", "credentials"];

/// Verbs that know their lab by `--lab`.
const LAB_BY_OPTION: [&str; 14] = [
    "trace", "logs", "reset", "restart", "start", "freeze", "thaw", "shell", "exec", "cp", "queue", "fault", "set",
    "list",
];

static STATE_DIR: OnceLock<String> = OnceLock::new();

static LAB: OnceLock<String> = OnceLock::new();

/// Remembers where labctl was told to keep things.
pub fn state_dir(folder: &str) {
    // The first one holds: there is one command line.
    let _ = STATE_DIR.set(super::shell_word(folder));
}

/// Remembers how the lab was named.
pub fn lab(named: &str) {
    let _ = LAB.set(super::shell_word(named));
}

/// The text with its commands completed.
pub fn completed(text: &str) -> String {
    complete(text, STATE_DIR.get().map(String::as_str), LAB.get().map(String::as_str))
}

fn complete(text: &str, state_dir: Option<&str>, lab: Option<&str>) -> String {
    if state_dir.is_none() && lab.is_none() {
        return text.to_owned();
    }
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(number, part)| match part.strip_prefix("labctl ") {
        Some(command) if number % 2 == 1 => with(command, state_dir, lab),
        Some(_) | None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

fn with(command: &str, state_dir: Option<&str>, lab: Option<&str>) -> String {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    let says_lab = rest.contains("--lab ");
    let says_where = rest.split(' ').next().is_some_and(|word| !word.is_empty() && !word.starts_with('-'));
    let mut words: Vec<&str> = vec!["labctl"];
    if let Some(folder) = state_dir {
        words.extend(["--state-dir", folder]);
    }
    words.push(verb);
    words.extend(lab.filter(|_| LAB_BEHIND.contains(&verb) && !says_lab && !says_where));
    words.extend(Some(rest).filter(|rest| !rest.is_empty()));
    if let Some(lab) = lab.filter(|_| LAB_BY_OPTION.contains(&verb) && !says_lab) {
        words.extend(["--lab", lab]);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Args;

    #[test]
    fn a_command_names_what_the_command_line_named() {
        let text = "go on with `labctl thaw`, `labctl down --purge` or `labctl report ana`; `rm` is no command of ours";
        assert_eq!(complete(text, None, None), text);
        assert_eq!(
            complete(text, Some("/tmp/s"), Some("p2")),
            "go on with `labctl --state-dir /tmp/s thaw --lab p2`, `labctl --state-dir /tmp/s down p2 --purge` or \
             `labctl --state-dir /tmp/s report ana`; `rm` is no command of ours"
        );
        assert_eq!(complete("`labctl up other`", None, Some("p2")), "`labctl up other`");
        assert_eq!(complete("`labctl thaw --lab other`", None, Some("p2")), "`labctl thaw --lab other`");
    }

    /// Every command between backticks in a string of the sources, with a word for each value.
    fn commands(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                commands(&entry, found);
            } else if entry.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&entry).expect("a file");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code = code.map(|line| line.trim_end_matches('\\')).collect::<Vec<_>>().join("\n");
                let code = code.split("#[cfg(test)]").next().unwrap_or_default().replace("{}", "{x}");
                for command in
                    code.split('`').skip(1).filter(|part| part.starts_with("labctl ") && !part.contains('\n'))
                {
                    found.push((entry.display().to_string(), filled(command)));
                }
            }
        }
    }

    /// `{name}` and `STUDENT` stand for something.
    fn filled(command: &str) -> String {
        let mut text = String::new();
        for (number, part) in command.split(['{', '}']).enumerate() {
            text.push_str(if number % 2 == 1 { "g01" } else { part });
        }
        text.replace("--engine g01", "--engine docker").replace("--conn g01", "--conn 7")
    }

    #[test]
    fn every_command_that_is_said_is_one() {
        let mut found = Vec::new();
        commands(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.len() > 30, "{found:?}");
        for (file, command) in &found {
            for command in
                [command.clone(), complete(&format!("`{command}`"), Some("/tmp/s"), Some("p2")).replace('`', "")]
            {
                let parsed = Args::try_parse_from(command.split_whitespace());
                assert!(parsed.is_ok(), "{file}: `{command}`: {}", parsed.unwrap_err());
            }
        }
    }
}
