//! Every template passes its own rehearsal, and a lab whose checks are too lax does not.

mod beyond;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use labctl::reading::{read, templates};

fn rehearse(lab: &Path) -> (bool, String) {
    let state = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_labctl"))
        .env("LABCTL_STATE_DIR", state.path())
        .args(["rehearse", lab.to_str().expect("UTF-8"), "--lang", "en"])
        .output()
        .expect("labctl runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn every_template_with_exercises_passes() {
    let mut rehearsed = 0;
    for template in templates() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in template.files {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let file = folder.path().join(template.files[0].0);
        let lab = read(template.files[0].1, &file, &mut |path| fs::read(path)).lab.expect("a lab");
        if lab.exercises.is_empty() {
            continue;
        }
        let (passed, said) = rehearse(&file);
        assert!(passed, "{}:\n{said}", template.name);
        rehearsed += 1;
    }
    assert!(rehearsed >= 7, "a class, and practicals A to E, B without and with relay");
}

/// Writes a lab of one exercise with this check and solution, and rehearses it.
fn with_exercise(check: &str, solution: &str) -> (bool, String) {
    over("", "smtp", check, solution)
}

/// The same over another service, in a lab with these settings too.
fn over(settings: &str, service: &str, check: &str, solution: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lab = format!(
        "domain = \"r.lab\"\nusers = [\"ana\", \"ben\"]\nrelay = false\n{settings}\n[[exercise]]\nid = \"1\"\nweak = \"what is sent does not matter here\"\ncheck = [{check}]\n\
         solution = {{ {service} = \"\"\"\n{solution}\"\"\" }}\n"
    );
    let file = folder.path().join("lab.toml");
    fs::write(&file, lab).expect("written");
    rehearse(&file)
}

#[test]
fn a_check_that_asks_less_than_the_solution_does_is_found() {
    let (passed, said) = with_exercise(r#"{ protocol = "smtp", steps = ["EHLO -> 250"] }"#, "C: EHLO me\nC: NOOP\n");
    assert!(!passed && said.contains("NOOP"), "{said}");
}

#[test]
fn a_solution_that_does_not_solve_is_found_with_the_reason() {
    let (passed, said) = with_exercise(r#"{ protocol = "smtp", steps = ["VRFY -> 250"] }"#, "C: VRFY ana\n");
    assert!(!passed && said.contains("252"), "{said}");
}

/// A lab of two students whose exercises are these.
fn class(exercises: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lab = format!(
        "domain = \"r.lab\"\nusers = [\"user2\"]\nrelay = false\ngroups = [\"g1\"]\nstudents = [\"ana\", \"ben\"]\n\
         [[mail]]\nid = \"shared\"\nto = \"user2\"\n{exercises}"
    );
    let file = folder.path().join("lab.toml");
    fs::write(&file, lab).expect("written");
    rehearse(&file)
}

#[test]
fn what_a_message_need_not_be_is_listed_and_a_lab_may_say_why() {
    let mail = "C: EHLO me\nC: MAIL FROM:<{login}@{domain}>\nC: RCPT TO:<user2@{domain}>\nC: DATA\nC: Subject: a\nC: To: b\nC:\nC: text\nC: .\n";
    let exercise = |weak: &str, check: &str| {
        format!("[[exercise]]\nid = \"1\"\n{weak}check = [{check}]\nsolution = {{ smtp = \"\"\"\n{mail}\"\"\" }}\n")
    };
    let (passed, said) = class(&exercise("", r#"{ message = { in = "user2", headers = { Subject = "*" } } }"#));
    assert!(!passed && said.contains("without the sender") && said.contains("without the line `To: b`"), "{said}");
    assert!(
        said.contains("what `Subject` says") && !said.contains("line `Subject: a`") && !said.contains("recipients"),
        "{said}"
    );
    let whole =
        r#"{ message = { in = "user2", from = "{login}", headers = { Subject = "a", To = "b" }, body = "text" } }"#;
    let (passed, said) = class(&exercise("", whole));
    assert!(passed, "{said}");
    let (passed, said) = class(&exercise("weak = \"anything goes\"\n", r#"{ message = { in = "user2" } }"#));
    assert!(passed && said.contains("as it says"), "{said}");
}

#[test]
fn what_another_exercise_gives_and_what_may_come_in_another_order_is_found() {
    let exercise = |id: &str, check: &str, scripts: &[&str]| {
        let scripts = scripts.iter().map(|lines| format!("[[exercise.solution]]\npop3 = \"\"\"\n{lines}\"\"\"\n"));
        format!("[[exercise]]\nid = \"{id}\"\ncheck = [{check}]\n{}", scripts.collect::<String>())
    };
    let look = exercise("1", r#"{ protocol = "pop3", steps = ["CAPA -> +OK"] }"#, &["C: CAPA\n"]);
    let both =
        exercise("2", r#"{ protocol = "pop3", steps = ["CAPA -> +OK", "QUIT -> +OK"] }"#, &["C: CAPA\nC: QUIT\n"]);
    let (passed, said) = class(&(look + &both));
    assert!(!passed && said.contains("any of its solution, to whoever solves `2`"), "{said}");
    let user = |verb: &str| format!("C: USER {{login}}\nC: PASS {{password}}\nC: {verb}\n");
    let step = |verb: &str| format!(r#"protocol = "pop3", steps = ["USER {{login}}", "PASS -> +OK", "{verb} -> +OK"]"#);
    let checks = format!("{{ {} }}, {{ {} }}", step("STAT"), step("NOOP"));
    let (passed, said) = class(&exercise("1", &checks, &[&user("STAT"), &user("NOOP")]));
    assert!(!passed && said.contains("the order of connections 1 and 2"), "{said}");
    let then = format!("{{ {} }}, {{ then = true, {} }}", step("STAT"), step("NOOP"));
    let (passed, said) = class(&exercise("1", &then, &[&user("STAT"), &user("NOOP")]));
    assert!(passed, "{said}");
}

#[test]
fn a_second_student_must_be_able_to_do_what_the_first_one_did() {
    let solution =
        "solution = { pop3 = \"\"\"\nC: USER user2\nC: PASS {password:user2}\nC: DELE 1\nC: QUIT\n\"\"\" }\n";
    let check = r#"check = [{ deleted = { mail = "shared", via = "pop3" } }]"#;
    let (passed, said) = class(&format!("[[exercise]]\nid = \"1\"\n{check}\n{solution}"));
    assert!(!passed && said.contains("only the first student can delete it"), "{said}");
    assert!(said.contains("a second student of the group does not get it after the first"), "{said}");
}

#[test]
fn a_check_that_an_idle_student_meets_is_found() {
    let (passed, said) = with_exercise(r#"{ mailbox = { of = "{login}", count = 0, now = true } }"#, "C: NOOP\n");
    assert!(!passed && said.contains("idle"), "{said}");
}

#[test]
fn a_solution_goes_over_to_tls_and_a_check_that_does_not_ask_for_it_is_found() {
    let solution = "C: EHLO me\nC: STARTTLS\nX: tls\nC: EHLO me\nC: VRFY ana\nS: 252\n";
    let check = |tls: &str| format!(r#"{{ protocol = "smtp"{tls}, steps = ["EHLO", "EHLO -> 250", "VRFY -> 252"] }}"#);
    let (passed, said) = with_exercise(&check(r#", tls = "starttls", tls_version = "TLSv1.3""#), solution);
    assert!(passed, "{said}");
    let (passed, said) = with_exercise(&check(""), solution);
    assert!(!passed && said.contains("`STARTTLS`"), "{said}");
    let (passed, said) = with_exercise(&check(r#", tls = "implicit""#), solution);
    assert!(!passed && said.contains("; but it was "), "{said}");
}

#[test]
fn a_solution_over_pop3s_is_secured_before_its_greeting() {
    let check = r#"{ protocol = "pop3", tls = "implicit", steps = ["<connect> -> +OK", "CAPA -> +OK"] }"#;
    let (passed, said) = over("", "pop3s", check, "S: +OK\nC: CAPA\n");
    assert!(passed, "{said}");
}

#[test]
fn a_handshake_that_nobody_asked_for_is_found() {
    let check = r#"{ protocol = "smtp", steps = ["EHLO -> 250"] }"#;
    let (passed, said) = with_exercise(check, "C: EHLO me\nX: tls\n");
    assert!(!passed && said.contains("STARTTLS"), "{said}");
}

#[test]
fn a_service_that_the_lab_does_not_have_is_named() {
    let check = r#"{ protocol = "pop3", steps = ["CAPA -> +OK"] }"#;
    let (passed, said) = over("tls = \"off\"\n", "pop3s", check, "C: CAPA\n");
    assert!(!passed && said.contains("pop3s") && said.contains("add it to `services`"), "{said}");
}

#[test]
fn a_rehearsal_that_is_stopped_leaves_nothing_behind_that_others_could_read() {
    let places = tempfile::tempdir().expect("a temporary folder");
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("labs/practica2");
    let mut child = Command::new(env!("CARGO_BIN_EXE_labctl"))
        .env("TMPDIR", places.path())
        .env("LABCTL_STATE_DIR", places.path().join("state"))
        .arg("rehearse")
        .arg(lab)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("labctl runs");
    let folder = loop {
        let mut entries = fs::read_dir(places.path()).expect("readable").map(|entry| entry.expect("an entry").path());
        // Its first store is there once it plays, and by then it listens to signals.
        if let Some(folder) = entries.find(|path| path.join("0.sqlite").exists()) {
            break folder;
        }
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it played");
        std::thread::yield_now();
    };
    assert_eq!(fs::metadata(&folder).expect("the folder").permissions().mode() & 0o777, 0o700);
    let killed = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
    assert!(killed.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert!(!folder.exists());
}

#[test]
fn a_solution_by_imap_waits_for_tags_literals_and_leave_to_go_on() {
    let check = r#"
        { protocol = "imap", auth = "PLAIN", steps = ["AUTHENTICATE PLAIN -> +", "<response> -> OK", "APPEND Drafts * -> OK",
          "SELECT Drafts -> OK *READ-WRITE*", "FETCH 1 BODY[] -> OK", "IDLE -> OK", "LOGOUT -> OK"] },
        { filed = { own = true, folder = "Drafts", has = ['\Draft'], lacks = ['\Flagged'], now = true } },
        { retrieved = { own = true, in = "{login}", folder = "Drafts", via = "imap" } },
    "#;
    // What is fetched holds a line that looks like the end of the reply.
    let solution = r"
        S: * OK
        C: a AUTHENTICATE PLAIN
        S: +
        B: \u0000{login}\u0000{password}
        S: a OK
        C: b APPEND Drafts (\\Draft) {{25}}
        S: + send
        C: Subject: x
        C:
        C: d NO trap
        C:
        S: OK
        C: c SELECT Drafts
        C: d FETCH 1 BODY[]
        S: d OK
        C: e IDLE
        S: +
        C: DONE
        S: e OK
        C: f LOGOUT
        S: OK
    ";
    let settings = "auth_before_tls = true\n";
    let (passed, said) = over(settings, "imap", check, solution);
    assert!(passed, "{said}");
    let (passed, said) = over(settings, "imap", check, &solution.replace("S: e OK", "S: e NO"));
    assert!(!passed && said.contains("`DONE` was answered `e OK IDLE completed`"), "{said}");
    let (passed, said) = over(settings, "imap", &check.replace(r#""IDLE -> OK", "#, ""), solution);
    assert!(!passed && said.contains("without the step `e IDLE`"), "{said}");
}

#[test]
fn a_solution_sends_at_once_what_must_not_wait() {
    let check = r#"{ protocol = "smtp", pipelined = true, steps = ["NOOP -> 250", "NOOP -> 250", "VRFY -> 252"] }"#;
    let (passed, said) = with_exercise(check, "P: NOOP\nP: NOOP\nC: VRFY ana\nS: 252\n");
    assert!(passed, "{said}");
    let (passed, said) = with_exercise(check, "P: NOOP\nC: NOOP\nC: VRFY ana\nS: 252\n");
    assert!(!passed && said.contains("`VRFY` came only after the reply"), "{said}");
}

#[test]
fn a_solution_by_imap_goes_over_to_tls() {
    let check = r#"{ protocol = "imap", tls = "starttls", auth = "LOGIN", steps = ["STARTTLS -> OK", "LOGIN {login} * -> OK"] }"#;
    let solution = "C: a STARTTLS\nS: a OK\nX: tls\nC: b LOGIN {login} {password}\nS: OK\n";
    let (passed, said) = over("", "imap", check, solution);
    assert!(passed, "{said}");
    let (passed, said) = over("", "imap", &check.replace("starttls", "implicit"), solution);
    assert!(!passed && said.contains("; but it was "), "{said}");
}

#[test]
fn a_fault_of_imap_is_met_and_survived() {
    let fault =
        "[[fault]]\nid = \"busy\"\nprotocol = \"imap\"\nat = \"UID FETCH\"\ndo = \"answer NO [UNAVAILABLE] busy\"\n";
    let check = r#"{ protocol = "imap", fault = "busy", during = true, steps = ["UID FETCH 1:* FLAGS -> OK", "LOGOUT -> OK"] }"#;
    let solution = "C: a LOGIN {login} {password}\nC: b SELECT INBOX\nC: c UID FETCH 1:* FLAGS\nS: c NO [UNAVAILABLE]\n\
                    C: d UID FETCH 1:* FLAGS\nS: OK\nC: e LOGOUT\n";
    let (passed, said) = over(fault, "imap", check, solution);
    assert!(passed, "{said}");
    let (passed, said) =
        over(&fault.replace("UID FETCH", "FETCH"), "imap", check, &solution.replace("S: c NO [UNAVAILABLE]\n", ""));
    assert!(!passed && said.contains("you have not met the fault `busy` yet"), "{said}");
}
