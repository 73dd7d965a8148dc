//! What a student chooses does not act on the terminal that it is shown on, whatever verb shows it: a clear screen, text for
//! the clipboard (OSC 52), C1 controls, marks that turn the direction of text round.

use labctl::{lab::Service, trace::is_harmful};

use super::{LAB, Test, talk};

/// What is sent in every place that takes it.
const EVIL: &str = "\x1b[2J\x1b]52;c;ZXZpbA==\x07\u{9b}31m\u{202e}evil";

/// Two students whose marks quote what they said.
const EXERCISES: &str = r#"
[[exercise]]
id = "1"
check = [
    { protocol = "smtp", steps = ["EHLO -> 250", "MAIL *nobody* -> 250"] },
    { message = { in = "user2", headers = { Subject = "hola" } } },
    { filed = { folder = "Nowhere", has = ["\\Flagged"] } },
    { query = { name = "nowhere.lib.lab", record = "MX" } },
]
"#;

#[test]
fn nothing_of_a_students_acts_on_a_terminal() {
    let test = Test::with(&format!("{LAB}{EXERCISES}"));
    test.done(&["up", "class"]);
    said_by_the_student(&test);

    // It did arrive: programs that read JSON have it as it was.
    let events = test.done(&["trace", "user1", "--json"]);
    let heard = events.lines().filter(|line| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        event.to_string().contains("\\u001b[2J") && event.to_string().contains('\u{202e}')
    });
    assert!(heard.count() >= 5, "{events}");

    let verbs: &[&[&str]] = &[
        &["status"],
        &["status", "--json"],
        &["credentials", "class"],
        &["report"],
        &["report", "--student", "user1"],
        &["report", "--student", "user1", "--lang", "es"],
        &["report", "--csv"],
        &["report", "--json"],
        &["trace", "user1"],
        &["trace", "--format", "states"],
        &["trace", "--json"],
        &["queue"],
        &["queue", "--json"],
        &["logs"],
        &["fault", "list"],
        &["reset", "user1", "--yes"],
        &["check", "class"],
        // A name that somebody copied out of such a text.
        &["trace", EVIL],
        &["exec", EVIL, "--", "true"],
        &["exec", "user1", "--", EVIL],
        &["shell", EVIL],
        &["logs", EVIL],
        &["cp", &format!("{EVIL}:a"), "."],
        &["cp", &format!("user1:{EVIL}"), "."],
        &["cp", EVIL, "user1:"],
        &["report", "--student", EVIL],
        &["report", EVIL],
        &["restart", EVIL],
        &["freeze", EVIL],
        &["inject", EVIL],
        &["check", EVIL],
        &["new", EVIL, "--template", EVIL],
        &["down", EVIL],
        &["archive", EVIL],
        &["up", EVIL],
        &["images", EVIL],
        &[EVIL],
    ];
    for verb in verbs {
        for color in ["never", "always"] {
            let ran = test.command(&[verb, &["--color", color][..]].concat()).output().expect("labctl starts");
            let shown = String::from_utf8(ran.stdout).expect("text") + &String::from_utf8_lossy(&ran.stderr);
            let found = acting(&shown);
            assert!(found.is_empty(), "{verb:?} --color {color}: {found:?} in {shown}");
        }
    }
    test.done(&["down", "class", "--purge", "--yes"]);
}

/// Says it wherever it is taken.
fn said_by_the_student(test: &Test) {
    let evil = |line: &str| line.replace("EVIL", EVIL);
    let lines = [
        "EHLO EVIL",
        "VRFY EVIL",
        "MAIL FROM:<\"EVIL\"@lib.lab>",
        "RCPT TO:<EVIL@lib.lab>",
        "RCPT TO:<user2@lib.lab>",
        "DATA",
        "Subject: EVIL\r\nFrom: EVIL\r\n\r\nEVIL\r\n.",
        "HELO me",
        "MAIL FROM:<user1@lib.lab>",
        "RCPT TO:<user2@lib.lab>",
        "DATA",
        "Subject: EVIL\r\nX-EVIL: EVIL\r\nContent-Type: text/EVIL; name=\"EVIL\"\r\n\r\nEVIL\r\n.",
        "EVIL",
        "QUIT",
    ]
    .map(evil);
    test.smtp(1, &lines.each_ref().map(String::as_str));
    let lines = ["USER EVIL", "PASS EVIL", "APOP EVIL EVIL", "EVIL", "QUIT"].map(evil);
    test.pop3(1, &lines.each_ref().map(String::as_str));
    let lines = ["a LOGIN \"EVIL\" \"EVIL\"", "EVIL", "a EVIL", "a LOGOUT"].map(evil);
    talk(1, test.ports[&Service::Imap], &lines.each_ref().map(String::as_str));
}

/// What would act on a terminal; colours and weights are ours.
fn acting(shown: &str) -> Vec<char> {
    let mut text = shown.replace("\r\n", "\n");
    while let Some(at) = text.find("\x1b[") {
        let parameters = text[at + 2..].chars().take_while(|letter| letter.is_ascii_digit() || *letter == ';').count();
        if !text[at + 2 + parameters..].starts_with('m') {
            break;
        }
        text.replace_range(at..at + parameters + 3, "");
    }
    text.chars().filter(|letter| is_harmful(*letter) && !"\n\t".contains(*letter)).collect()
}
