//! The house's own rules, held by reading the source: who may import whom, who may print, how a file begins and how long it gets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The table of `src/lib.rs`, from the values down to the shell.
const LAYERS: [&[&str]; 4] = [
    &["names", "mail", "lab", "evidence"],
    &["reading", "plan", "protocol", "marking", "report", "trace"],
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

/// The program of a file, without comments and without its tests, which stand last.
fn code(text: &str) -> String {
    let tests = text.find("\n#[cfg(test)]\nmod ").unwrap_or(text.len());
    let lines = text[..tests].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Whether the file itself is a test or only there for tests.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
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
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for used in imports(&lines.join("\n")) {
            if layer(&used).is_some_and(|layer| layer > at) {
                wrong.push(format!("{} uses crate::{used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports from below:\n{}", wrong.join("\n"));
}

/// Which rooms each room imports from, with the files that do.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<PathBuf>>>;

/// A circle of rooms, if there is one: each imports from the next, the last from the first.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    fn walk(graph: &Graph, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let room = way.last().cloned().expect("the way has begun");
        for next in graph.get(&room).into_iter().flat_map(BTreeMap::keys) {
            if let Some(start) = way.iter().position(|passed| passed == next) {
                way.drain(..start);
                return true;
            }
            if done.contains(next) {
                continue;
            }
            way.push(next.clone());
            if walk(graph, way, done) {
                return true;
            }
            way.pop();
        }
        done.insert(room);
        false
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|room| {
        let mut way = vec![room.clone()];
        (!done.contains(room) && walk(graph, &mut way, &mut done)).then_some(way)
    })
}

#[test]
fn rooms_import_each_other_in_no_circle() {
    let mut graph = Graph::new();
    for (path, text) in sources() {
        let own = module(&path);
        if is_test(&path) || layer(&own).is_none() {
            continue;
        }
        for used in imports(&code(&text)) {
            if used != own && layer(&used).is_some() {
                graph.entry(own.clone()).or_default().entry(used).or_default().insert(path.clone());
            }
        }
    }
    if let Some(rooms) = circle(&graph) {
        let next = rooms.iter().cycle().skip(1);
        let because = |(room, next): (&String, &String)| format!("{room} uses {next} in {:?}", graph[room][next]);
        panic!("a circle:\n{}", rooms.iter().zip(next).map(because).collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn a_circle_is_found_wherever_it_begins() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned(), BTreeSet::new());
        }
        graph
    };
    assert_eq!(circle(&graph(&[("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")])), None);
    let three = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")];
    assert_eq!(circle(&graph(&three)), Some(vec!["b".to_owned(), "c".to_owned(), "d".to_owned()]));
    assert_eq!(circle(&graph(&[("a", "b"), ("c", "d"), ("d", "c")])), Some(vec!["c".to_owned(), "d".to_owned()]));
}

#[test]
fn the_import_reader_sees_groups() {
    let text = "use crate::{\n    lab::{Lab, names},\n    mail,\n};\nlet a = crate::store::open();";
    assert_eq!(imports(text), ["lab", "mail", "store"]);
}

/// The paths that `use` lines name, with groups written out: `use std::{fs, net::TcpStream}` is two.
fn used(code: &str) -> Vec<String> {
    fn spread(prefix: &str, tree: &str, found: &mut Vec<String>) {
        let tree = tree.trim();
        let Some((head, group)) = tree.split_once('{') else {
            found.push(format!("{prefix}{tree}"));
            return;
        };
        let (mut depth, mut start) = (0, 0);
        let group = group.strip_suffix('}').unwrap_or(group);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    spread(&format!("{prefix}{head}"), &group[start..at], found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        if !group[start..].trim().is_empty() {
            spread(&format!("{prefix}{head}"), &group[start..], found);
        }
    }
    let mut found = Vec::new();
    for statement in code.split("use ").skip(1) {
        let tree = statement.split(';').next().unwrap_or_default();
        spread("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut found);
    }
    found
}

#[test]
fn groups_of_imports_are_written_out() {
    let code = "use std::{\n    fs,\n    net::{IpAddr, TcpStream},\n};\nuse tokio::time;\n";
    assert_eq!(used(code), ["std::fs", "std::net::IpAddr", "std::net::TcpStream", "tokio::time"]);
}

#[test]
fn values_and_logic_do_no_input_or_output() {
    let edges = [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "std::process",
        "std::env",
        "std::thread",
        "std::time::SystemTime",
        "tokio::",
        "SystemTime::now",
        "Instant::now",
        "rusqlite",
        "getrandom",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if is_test(&path) || layer(&module(&path)).is_none_or(|layer| layer > 1) {
            continue;
        }
        let code = code(&text);
        let imports = used(&code);
        for edge in edges {
            if code.contains(edge) || imports.iter().any(|import| import.starts_with(edge)) {
                wrong.push(format!("{} uses {edge}", path.display()));
            }
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
        let code = code(&text);
        let prints =
            |line: &&str| ["println!", "eprintln!", "print!(", "dbg!", "stdout()"].iter().any(|w| line.contains(w));
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
