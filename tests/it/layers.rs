//! The house's own rules, held by reading the source: who may import whom, who may print, how a file begins and how long it gets.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The table of `src/lib.rs`, from the values down to the shell.
const LAYERS: [&[&str]; 4] = [
    &["lab", "evidence", "mail"],
    &["pattern", "findings", "reading", "words", "plan", "protocol", "marking", "report", "trace"],
    &["store", "server", "control", "engine", "inject", "rehearse"],
    &["cli"],
];

/// The most lines of one file: over this it holds more than one thing.
const MAX_FILE_LINES: usize = 600;

fn sources() -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("source is UTF-8");
                found.insert(path, text);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 20, "the walk found the house");
    found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// The module that a file belongs to: the first part of its path below `src`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("below src");
    let first = below.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a line names behind `crate::`, also in a group: `use crate::{lab::Lab, mail}`.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let word =
            |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (index, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && !c.is_whitespace() => {
                        found.push(word(&group[index..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            found.push(word(rest));
        }
    }
    found
}

#[test]
fn a_file_imports_from_its_own_layer_or_above() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let own = module(&path);
        let Some(at) = layer(&own) else {
            assert!(["lib", "main"].contains(&own.as_str()), "`{own}` stands in no layer: add it to the table");
            continue;
        };
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for used in imports(&code.join("\n")) {
            if layer(&used).is_some_and(|layer| layer > at) {
                wrong.push(format!("{} uses crate::{used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports from below:\n{}", wrong.join("\n"));
}

#[test]
fn the_import_reader_sees_groups() {
    let text = "use crate::{\n    lab::{Lab, names},\n    mail,\n};\nlet a = crate::store::open();";
    assert_eq!(imports(text), ["lab", "mail", "store"]);
}

#[test]
fn values_and_logic_do_no_input_or_output() {
    let edges =
        ["std::fs", "std::net::Tcp", "tokio::", "SystemTime", "Instant::now", "std::thread", "rusqlite", "getrandom"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if layer(&module(&path)).is_some_and(|layer| layer <= 1) {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let hits = edges
                .iter()
                .filter(|edge| code.lines().any(|l| l.contains(**edge) && !l.trim_start().starts_with("//")));
            wrong.extend(hits.map(|edge| format!("{} uses {edge}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "edges in pure code:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_output_module_prints() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        // `dial` is a pipe: what it passes on is the control API's, not labctl's words.
        if path.ends_with("cli/output.rs") || path.ends_with("control/dial.rs") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let prints = |line: &&str| {
            let line = line.trim_start();
            !line.starts_with("//")
                && ["println!", "eprintln!", "print!(", "dbg!", "stdout()"].iter().any(|w| line.contains(w))
        };
        wrong.extend(code.lines().filter(prints).map(|line| format!("{}: {}", path.display(), line.trim())));
    }
    assert!(wrong.is_empty(), "printing outside cli/output.rs:\n{}", wrong.join("\n"));
}

#[test]
fn a_file_says_what_lives_in_it_and_keeps_to_one_thing() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!") || text.starts_with("#![doc"), "{}: begin with `//!`", path.display());
        let lines = text.lines().count();
        assert!(lines <= MAX_FILE_LINES, "{}: {lines} lines, split it", path.display());
    }
}
