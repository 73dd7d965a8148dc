//! Labs in, diagnostics out: `tests/reading/NAME.toml` reads as `NAME.txt` beside it says. `UPDATE=1` rewrites the latter.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::Path,
};

use labctl::{
    lab::{
        Lab, MAX_EXERCISES, MAX_GROUP, MAX_GROUPS, MAX_MAILS, MAX_STUDENTS,
        exercise::MAX_STEPS,
        fault::{MAX_FAULTS, MAX_STRIKES},
    },
    marking::checks::Check,
    reading::{Code, Reading, keys, read, render, templates, to_json},
};
use proptest::prelude::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reading");
const REFERENCE: &str = include_str!("../../src/reading/reference.md");

fn read_fixture(name: &str) -> Reading {
    let octets = fs::read(Path::new(FOLDER).join(name)).expect(name);
    read(octets, Path::new(name), &mut |path| match fs::read(Path::new(FOLDER).join(path)) {
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Err(io::Error::other("it does not exist")),
        other => other,
    })
}

/// Reads a lab with a roster from memory.
fn read_text(lab: &str, roster: impl AsRef<[u8]>) -> Reading {
    read(lab, Path::new("/labs/test/lab.toml"), &mut |_| Ok(roster.as_ref().to_vec()))
}

fn codes(reading: &Reading) -> Vec<&'static str> {
    reading.diagnostics.iter().map(|problem| problem.code.as_str()).collect()
}

fn fixtures() -> Vec<String> {
    let names = fs::read_dir(FOLDER).expect(FOLDER).map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names.collect();
    names.into_iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "toml")).collect()
}

/// What people would ask about a lab: who is where.
fn people(lab: &Lab) -> String {
    let mut text = format!("lab {}, catch-all {:?}\n", lab.name, lab.settings.catch_all);
    for group in &lab.groups {
        let users: Vec<String> = group.users.iter().map(|user| user.name.to_string()).collect();
        writeln!(text, "  {} {} {} [{}]", group.name, group.domain, group.host, users.join(" ")).unwrap();
        for student in &group.students {
            let parts = [&student.name, &student.email, &student.password].map(|part| part.as_deref().unwrap_or("-"));
            writeln!(text, "    {} | {}", student.login, parts.join(" | ")).unwrap();
        }
    }
    text
}

#[test]
fn labs_read_as_expected() {
    let mut wrong = Vec::new();
    for name in fixtures() {
        let reading = read_fixture(&name);
        let mut text = render(&reading.diagnostics, &reading.sources, false);
        text.push_str(&reading.lab.as_ref().map_or("no lab\n".to_owned(), people));
        let file = Path::new(FOLDER).join(&name).with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if text != expected {
            wrong.push(format!("{name}\n--- expected\n{expected}\n--- found\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_is_in_some_fixture() {
    let seen: BTreeSet<Code> =
        fixtures().iter().flat_map(|name| read_fixture(name).diagnostics).map(|problem| problem.code).collect();
    // What takes eight mebibytes to show is shown where files are decoded.
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !seen.contains(code) && **code != Code::TooLarge)
        .map(|code| code.as_str())
        .collect();
    assert!(missing.is_empty(), "no fixture has {missing:?}");
}

#[test]
fn a_lab_is_there_exactly_without_errors() {
    for name in fixtures() {
        let reading = read_fixture(&name);
        assert_eq!(reading.lab.is_some(), reading.errors() == 0, "{name}");
    }
}

#[test]
fn the_reference_names_every_key_and_every_code() {
    for section in keys::SECTIONS.iter() {
        let heading = format!("### {}\n", section.name);
        let text = REFERENCE.split(&heading).nth(1).unwrap_or_else(|| panic!("no heading `{}`", section.name));
        let table =
            text.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| !line.is_empty());
        let named: Vec<&str> = table.filter_map(|row| row.split('`').nth(1)).collect();
        assert_eq!(named, section.keys, "{}", section.name);
    }
    for code in Code::ALL {
        let row = format!("| `{}` | {} | {} |", code.as_str(), code.severity().as_str(), code.about());
        assert!(REFERENCE.contains(&row), "the reference lacks: {row}");
    }
    for (placeholder, about) in labctl::lab::template::PLACEHOLDERS {
        assert!(REFERENCE.contains(&format!("| `{{{placeholder}}}` | {about} |")), "{placeholder}");
    }
}

#[test]
fn the_labs_of_the_reference_read() {
    let blocks: Vec<&str> =
        REFERENCE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 3);
    for block in blocks {
        let whole = if block.lines().any(|line| line.starts_with("domain")) {
            block.to_owned()
        } else {
            format!("{REFERENCE_LAB}{block}")
        };
        let reading = read_text(&whole, "group,login\ng01,ana\ng02,ben\n");
        let text = render(&reading.diagnostics, &reading.sources, false);
        assert!(reading.lab.is_some(), "{block}\n{text}");
    }
}

/// What the pieces of labs in the reference stand in.
const REFERENCE_LAB: &str = "domain = \"{group}.lab\"\nusers = [\"user1\", \"user2\"]\nroster = \"roster.csv\"\n";

#[test]
fn json_has_a_place_and_a_way_out() {
    let reading = read_text("domain = \"lib.simulacion\"\nusers = [\"ñ\", \"a\"]\nrelai = false\n", "");
    let json = to_json(&reading.diagnostics, &reading.sources);
    let expected = serde_json::json!({
        "version": 1,
        "diagnostics": [
            {
                "code": "bad-name",
                "severity": "error",
                "message": "`ñ` is no name for a mailbox",
                "file": "/labs/test/lab.toml",
                "line": 2,
                "column": 10,
                "help": null,
            },
            {
                "code": "unknown-key",
                "severity": "error",
                "message": "there is no key `relai` in the lab",
                "file": "/labs/test/lab.toml",
                "line": 3,
                "column": 1,
                "help": "did you mean `relay`?",
            },
        ],
    });
    assert_eq!(json, expected);
}

#[test]
fn colour_is_only_there_where_it_is_asked_for() {
    let reading = read_text("relai = false", "");
    assert!(!render(&reading.diagnostics, &reading.sources, false).contains('\x1b'));
    assert!(render(&reading.diagnostics, &reading.sources, true).contains('\x1b'));
}

#[test]
fn a_lab_gets_its_name_from_its_folder_or_its_file() {
    let name = |path: &str| {
        let reading = read("domain = \"a.lab\"\nusers = [\"u\"]", Path::new(path), &mut |_| unreachable!());
        reading.lab.unwrap().name.to_string()
    };
    assert_eq!(name("/labs/practica2/lab.toml"), "practica2");
    assert_eq!(name("/labs/Práctica 2/lab.toml"), "practica-2");
    assert_eq!(name("/labs/argosoft.toml"), "argosoft");
    assert_eq!(name("lab.toml"), "lab");
    assert_eq!(name(""), "lab");
}

/// A roster of this many students, `size` to a group.
fn roster(students: usize, size: usize) -> String {
    let row = |number: usize| format!("g{},s{number},Ana,ana@example.edu\n", number / size);
    std::iter::once("group,login,name,email\n".to_owned()).chain((0..students).map(row)).collect()
}

const CLASS: &str = "domain = \"{group}.lab\"\nroster = \"roster.csv\"\n";

#[test]
fn limits_of_people_hold_at_n_and_not_at_n_plus_1() {
    for (students, size, most) in
        [(MAX_STUDENTS, 100, "students"), (MAX_GROUPS, 1, "groups"), (MAX_GROUP, MAX_GROUP + 1, "one group")]
    {
        let reading = read_text(CLASS, roster(students, size));
        assert_eq!(codes(&reading), [""; 0], "{most}");
        let reading = read_text(CLASS, roster(students + 1, size));
        assert_eq!(codes(&reading), ["too-many"], "{most}");
    }
}

#[test]
fn ten_thousand_students_are_answered_at_once() {
    let reading = read_text(CLASS, roster(10_000, 2));
    let text = render(&reading.diagnostics, &reading.sources, false);
    assert!(text.contains("there are 10000 students, but a lab has at most 4096"), "{text}");
    let same: String = "group,login\n".to_owned() + &"g01,ana\n".repeat(10_000);
    let reading = read_text(CLASS, same);
    assert!(render(&reading.diagnostics, &reading.sources, false).contains("more like this"));
}

#[test]
fn limits_of_lists_hold_at_n_and_not_at_n_plus_1() {
    let smallest = "domain = \"a.lab\"\nusers = [\"u\"]\n";
    let many = |before: &str, item: &dyn Fn(usize) -> String, count: usize, after: &str| {
        let items: String = (0..count).map(item).collect();
        format!("{before}{items}{after}\n")
    };
    let exercise = "[[exercise]]\nid = \"1\"\n";
    let checked = format!("{smallest}{exercise}check = [{{ deleted = {{}} }}]\n");
    let steps = format!("{smallest}{exercise}check = [{{ protocol = \"smtp\", steps = [");
    let checks = format!("{smallest}{exercise}check = [");
    let headers = format!("{smallest}[[mail]]\nid = \"m\"\nheaders = {{ X = \"\"");
    let another =
        |n: usize| format!("[[exercise]]\nid = \"{n}\"\ncheck = [{{ mailbox = {{ of = \"u\", count = 1 }} }}]\n");
    let routes = format!("{smallest}relay = true\n");
    let tables: [(_, _, _, &dyn Fn(usize) -> String, _); 9] = [
        ("users", 200, "domain = \"a.lab\"\nusers = [", &|n| format!("\"u{n}\", "), "]"),
        ("routes", 100, &routes, &|n| format!("[[route]]\ndomain = \"d{n}.lab\"\nhost = \"h.lab\"\n"), ""),
        ("faults", MAX_FAULTS, smallest, &|n| format!("[[fault]]\nid = \"f{n}\"\ndo = \"refuse 421\"\n"), ""),
        ("exercises", MAX_EXERCISES, smallest, &another, ""),
        ("mails", MAX_MAILS, smallest, &|n| format!("[[mail]]\nid = \"{n}\"\n"), ""),
        ("steps", MAX_STEPS, &steps, &|_| "\"NOOP -> 250\", ".to_owned(), "] }]"),
        ("checks", 50, &checks, &|_| "{ message = {} }, ".to_owned(), "]"),
        ("connections", 50, &checked, &|_| "[[exercise.solution]]\nsmtp = \"C: QUIT\"\n".to_owned(), ""),
        ("header fields", 49, &headers, &|n| format!(", X{n} = \"\""), " }"),
    ];
    for (what, most, before, item, after) in tables {
        assert_eq!(codes(&read_text(&many(before, item, most, after), "")), [""; 0], "{what}");
        assert_eq!(codes(&read_text(&many(before, item, most + 1, after), "")), ["too-many"], "{what}");
    }
}

#[test]
fn a_body_is_limited() {
    let errors = |length: usize| {
        let body = "x\\n".repeat(length / 2) + &"x".repeat(length % 2);
        read_text(&format!("domain = \"a.lab\"\nusers = [\"u\"]\n[[mail]]\nid = \"m\"\nbody = \"{body}\"\n"), "")
            .errors()
    };
    assert_eq!([1 << 20, (1 << 20) + 1].map(errors), [0, 1]);
}

#[test]
fn numbers_hold_at_their_ends_and_not_beyond() {
    let table = [
        ("[limits]\nline = ", 64, 65_536),
        ("[limits]\nsessions = ", 1, 100_000),
        ("[limits]\npop3_idle_secs = ", 1, 86_400),
        ("[limits]\nqueries_per_second = ", 1, 1_000_000),
        ("[limits]\nhandshake_secs = ", 1, 3_600),
        ("[limits]\nimap_idle_secs = ", 1, 86_400),
        ("[ports]\nsmtp = ", 1, 65_535),
        ("[[mail]]\nid = \"m\"\ntext = ", 3, 1 << 20),
        ("[[exercise]]\nid = \"1\"\ncheck = [{ deleted = {} }]\nsession = ", 1, 100),
        ("[[fault]]\nid = \"f\"\ndo = \"refuse 421\"\ntimes = ", 1, i64::from(MAX_STRIKES)),
        ("[[fault]]\nid = \"f\"\ndo = \"refuse 421\"\nconnections = ", 1, i64::from(MAX_STRIKES)),
        ("[[exercise]]\nid = \"1\"\n[[exercise.check]]\nmessage.times = ", 1, 1_000),
        ("[[exercise]]\nid = \"1\"\n[[exercise.check]]\nprotocol = \"smtp\"\nsteps = [\"NOOP\"]\ntimes = ", 1, 1_000),
        ("[[exercise]]\nid = \"1\"\ncheck = [{ deleted = {} }]\npoints = ", 0, 1_000),
        ("group_size = ", 1, 200),
        ("[docker.client]\nmemory = ", 16 << 20, 1 << 40),
        ("[docker.client]\nprocesses = ", 16, 32_768),
        ("[docker.server]\nfiles = ", 64, 1_048_576),
        ("[docker.server]\ndisk = ", 16 << 20, 1 << 44),
        ("[docker.server]\ncpus = ", 1, 256),
    ];
    for (key, least, most) in table {
        let errors =
            |number: i64| read_text(&format!("domain = \"a.lab\"\nusers = [\"u\"]\n{key}{number}\n"), "").errors();
        assert_eq!([least - 1, least, most, most + 1].map(errors), [1, 0, 0, 1], "{key}");
    }
}

#[test]
fn processors_are_counted_in_thousandths() {
    let lab = |cpus: &str| format!("domain = \"a.lab\"\nusers = [\"u\"]\n[docker.client]\ncpus = {cpus}\n");
    let read = |cpus: &str| read_text(&lab(cpus), "").lab.map(|lab| lab.docker.client.millicpus);
    let expected =
        [("0.05", Some(50)), ("0.049", None), ("1.25", Some(1_250)), ("256.0", Some(256_000)), ("256.001", None)];
    for (cpus, millicpus) in expected.into_iter().chain([("0.0625", None), ("1e1", None), ("-1", None)]) {
        assert_eq!(read(cpus), millicpus, "{cpus}");
    }
}

/// The files of a folder with their texts.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let file = |entry: io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a text"))
    };
    fs::read_dir(folder).expect("a folder").map(file).collect()
}

#[test]
fn every_bundled_lab_is_a_template() {
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("labs");
    let mut bundled = 0;
    for entry in fs::read_dir(labs).expect("labs") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let template = templates().iter().find(|template| template.name == name);
        let template = template.unwrap_or_else(|| panic!("`labctl new --template {name}` is missing"));
        let written: BTreeMap<String, String> =
            template.files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(written, files(&folder), "{name}");
        bundled += 1;
    }
    assert!(bundled >= 3, "practicals A, B and D are bundled");
}

#[test]
fn the_documents_link_to_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CHANGELOG.md"), root.join("CONTRIBUTING.md")];
    pages.extend(fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("an entry").path()));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    assert!(pages.len() > 6, "{pages:?}");
    for page in pages {
        let (text, folder) = (fs::read_to_string(&page).expect("text"), page.parent().expect("a folder"));
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains(':')) {
            let file = link.split('#').next().unwrap_or(link);
            assert!(folder.join(file).exists(), "{} links to {link}", page.display());
        }
    }
}

#[test]
fn the_class_template_reads_into_its_values() {
    let class = templates().iter().find(|template| template.name == "class").unwrap();
    let lab = read_text(class.files[0].1, class.files[1].1).lab.unwrap();
    assert_eq!(lab.groups.len(), 2);
    assert!(lab.mails[0].per_student);
    let kinds = lab.exercises.iter().flat_map(|exercise| &exercise.checks).map(|asked| match asked.check::<Check>() {
        Check::Conversation(found) => found.steps.len(),
        Check::Message(found) => usize::try_from(found.times).unwrap(),
        Check::Touched(_) | Check::Mailbox(_) | Check::Filed(_) | Check::Query(_) | Check::Carried(_) => 0,
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [6, 1, 4, 0, 1]);
    assert_eq!(lab.exercises.iter().map(|exercise| exercise.points.to_string()).collect::<Vec<_>>(), ["2", "1", "1.5"]);
    assert_eq!(lab.exercises[1].after[0].as_str(), "1.1");
}

#[test]
fn a_mail_is_one_per_student_where_it_speaks_of_one() {
    let mail = |id: &str, rest: &str| format!("[[mail]]\nid = \"{id}\"\nto = \"user1\"\n{rest}\n");
    let mails = [
        mail("shared", "body = \"{secret} {group} {password:user1}\""),
        mail("named", "subject = \"{name}\""),
        mail("given", "body = \"{secret:named}\""),
        mail("twice", "body = \"{secret:given}\""),
        mail("other", "body = \"{secret:shared}\""),
    ];
    let lab = read_text(&format!("{REFERENCE_LAB}{}", mails.concat()), "group,login\ng1,a\ng2,b\n").lab.unwrap();
    let found: Vec<(&str, bool)> = lab.mails.iter().map(|mail| (mail.id.as_str(), mail.per_student)).collect();
    assert_eq!(found, [("shared", false), ("named", true), ("given", true), ("twice", true), ("other", false)]);
}

#[test]
fn a_neighbour_is_the_next_group_and_the_last_one_s_is_the_first() {
    let neighbours = |roster: &str| {
        let lab = read_text(CLASS, roster).lab.unwrap();
        let name = |group: &labctl::lab::Group| lab.neighbour(&group.name).map(|other| other.name.to_string());
        lab.groups.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(neighbours("group,login\ng1,a\ng3,c\ng2,b\n"), ["g2", "g3", "g1"].map(|name| Some(name.to_owned())));
    assert_eq!(neighbours("group,login\ng1,a\n"), [None]);
}

#[test]
fn strict_turns_every_point_off_and_single_points_come_back() {
    let leniency = |text: &str| {
        let lab = format!("domain = \"a.lab\"\nusers = [\"u\"]\n{text}");
        read_text(&lab, "").lab.unwrap().settings.leniency
    };
    for key in keys::LENIENT.keys {
        let on = leniency(&format!("strict = true\n[lenient]\n{key} = true"));
        let mut off = leniency("strict = true");
        assert_ne!(on, off, "{key}");
        off = leniency(&format!("[lenient]\n{key} = false"));
        assert_eq!(off == leniency(""), *key == "no_greeting", "{key}");
    }
}

#[test]
fn sendmail_is_also_called_by_both_of_its_servers() {
    let dialect = |name: &str| {
        let lab = format!("domain = \"a.lab\"\nusers = [\"u\"]\ndialect = \"{name}\"\n");
        read_text(&lab, "").lab.map(|lab| lab.settings.dialect)
    };
    assert_eq!(dialect("sendmail+qpopper").as_deref(), Some("sendmail"));
    assert_eq!(dialect("sendmail+"), None);
}

#[test]
fn a_title_in_another_language_is_better_than_none() {
    let lab = "domain = \"a.lab\"\nusers = [\"u\"]\ntitle = { fr = \"Courrier\" }\n";
    let title = read_text(lab, "").lab.unwrap().title;
    assert_eq!(["es", "en", "fr"].map(|lang| title.in_language(lang)), ["Courrier"; 3]);
}

#[test]
fn solutions_keep_the_order_written() {
    let lab = "domain = \"a.lab\"\nusers = [\"u\"]\n[[exercise]]\nid = \"1\"\ncheck = [{ deleted = {} }]\n\
               [[exercise.solution]]\npop3 = \"C: STAT\"\nsmtp = \"C: NOOP\"\n[[exercise.solution]]\nsmtp = \"C: QUIT\"\n";
    let lab = read_text(lab, "").lab.unwrap();
    let order: Vec<&str> = lab.exercises[0].solution.iter().map(|script| script.service.as_str()).collect();
    assert_eq!(order, ["pop3", "smtp", "smtp"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_are_read(lab in proptest::collection::vec(any::<u8>(), 0..200), roster in any::<Vec<u8>>()) {
        let reading = read(&lab, Path::new("lab.toml"), &mut |_| Ok(roster.clone()));
        render(&reading.diagnostics, &reading.sources, true);
        to_json(&reading.diagnostics, &reading.sources);
    }

    #[test]
    fn any_roster_is_read(roster in "([a-zñÑ@,;\t\"\n\r .]|group|login|Student|Section|First name| and ){0,60}") {
        let reading = read_text(CLASS, &roster);
        render(&reading.diagnostics, &reading.sources, false);
        prop_assert_eq!(reading.lab.is_some(), reading.errors() == 0);
    }

    #[test]
    fn a_damaged_lab_is_read(cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..30, "[a-z0-9=\"\\[\\]{}'#\n,. ñ]{0,6}"), 1..5)) {
        let class = templates()[1].files;
        let mut text = class[0].1.to_owned();
        for (at, length, new) in cuts {
            let fit = |mut at: usize| { while !text.is_char_boundary(at) { at -= 1; } at };
            let start = at.index(text.len().max(1));
            let (start, end) = (fit(start.min(text.len())), fit((start + length).min(text.len())));
            text.replace_range(start..end, &new);
        }
        let reading = read_text(&text, class[1].1);
        render(&reading.diagnostics, &reading.sources, false);
        prop_assert_eq!(reading.lab.is_some(), reading.errors() == 0);
    }
}
