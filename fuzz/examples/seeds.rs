//! Writes the corpora to begin with: what the client sends in each transcript, for the first dialect and the transcript's own.

use std::{fs, path::Path};

use labctl::protocol::dialect;
use labctl_fuzz::script::{Line, Script, Step};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (protocol, targets) in
        [("smtp", ["smtp", "line"].as_slice()), ("pop3", &["pop3", "line"]), ("imap", &["imap", "line"])]
    {
        let mut count = 0;
        walk(&root.join("../tests/transcripts").join(protocol), &mut |file| {
            let text = fs::read_to_string(file).expect("a transcript");
            let script = Script::parse(&text).expect("a transcript that parses");
            let sent: Vec<u8> = script.lines.iter().filter_map(octets).flatten().copied().collect();
            let own = dialect::names().position(|name| name == script.settings.config.dialect).unwrap_or(0);
            let server = u8::try_from(own * 2).expect("few dialects");
            for target in targets {
                let folder = root.join("corpus").join(target);
                fs::create_dir_all(&folder).expect("a folder");
                let seed = [[server, 0].as_slice(), &sent].concat();
                fs::write(folder.join(format!("{protocol}-{count:03}")), seed).expect("a file");
            }
            count += 1;
        });
        println!("{count} seeds from the transcripts of {protocol}");
    }
}

fn octets(line: &Line) -> Option<&Vec<u8>> {
    match line {
        Line::Step(_, Step::Send(octets)) => Some(octets),
        Line::Step(..) | Line::Note(_) => None,
    }
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            walk(&entry, visit);
        } else {
            visit(&entry);
        }
    }
}
