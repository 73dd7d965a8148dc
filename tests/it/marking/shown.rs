//! What a person or a program is shown: reports and traces, to the letter (`tests/marking/shown`).

use labctl::{
    evidence::{Event, EventKind, State, Timestamp},
    lab::{Text, exercise::Points},
    marking::MAX_CONTRADICTIONS,
    report::{Report, TableOptions, csv, json, table, words},
    trace::{Filter, Format, HEADER_LINES, HEADER_WIDTH, Look, MAX_WAITING, Renderer},
    words::{Lang, Words},
};

use super::{golden, notation::Table};

const LAB: &str = "\
lab domain=lib.simulacion users=user1,user2 students=ana,ben,carla mails=welcome>{login}
exercise 1.1 points=2
  smtp: HELO|EHLO -> 250; MAIL -> 250; RCPT *user2* -> 250
exercise 1.2 points=3 after=1.1 partial
  smtp: NOOP -> 250
  message: in=user2, header=Subject:*, secret=welcome
  retrieved: mail=welcome
";

const EVENTS: &str = "\
ana 1 + smtp 220 mailhog.example ESMTP MailHog
ana 1 HELO localhost -> 250 Hello localhost
ana 1 MAIL FROM:<ana> -> 250 ok
ben 2 + smtp 220 mailhog.example ESMTP MailHog
ben 2 EHLO \x1b[2Jb\u{202e}en -> 501 5.5.4 \x1b]0;x\x07
ana 1 RCPT TO:<user2> -> 250-first\\r\\n250 ok
ana 1 DATA -> 354 go
ana 1 <message> -> 250 queued
ana 1 accepted 5 ana > user2: Subject: hi\\r\\n\\r\\nno secret
ana 1 NOOP -> 250 ok
ana 1 - quit
ben 2 - failed
? 3 + pop3 +OK ready
? 3 USER ana -> +OK
ana! 3 PASS *** -> +OK
ana! 3 retrieved 5 user2 top
labctl 0 started
";

fn played() -> (Table, Report, Vec<Event>) {
    let mut table = Table::read(LAB);
    for exercise in &mut table.lab.exercises {
        exercise.title = Text([("en", "Send"), ("es", "Enviar")].map(|(l, t)| (l.to_owned(), t.to_owned())).into());
        exercise.hint = Text(
            [("en", "Read RFC 5321"), ("es", "Lee el RFC 5321")].map(|(l, t)| (l.to_owned(), t.to_owned())).into(),
        );
    }
    table.lab.groups[0].students[0].name = Some("Ana \"la jefa\" García, 1ª".into());
    table.lab.groups[0].students[1].name = Some("=cmd|' /C calc'!A0".into());
    let mut marker = table.marker();
    let mut events = Vec::new();
    for line in EVENTS.lines() {
        let event = table.event(line).unwrap();
        table.take(&mut marker, &event);
        events.push(event);
    }
    let report = Report::new(&table.lab, marker.marks());
    (table, report, events)
}

/// The report of many students and exercises: the first exercises of each copied.
fn large(exercises: usize, students: usize) -> Report {
    let (_, mut report, _) = played();
    let three = report.students.clone();
    report.students = three.into_iter().cycle().take(students).collect();
    for (place, student) in report.students.iter_mut().enumerate() {
        student.login = format!("student{place:02}").parse().unwrap();
        let two = student.exercises.clone();
        student.exercises = two.into_iter().cycle().take(exercises).collect();
        for (number, mark) in student.exercises.iter_mut().enumerate() {
            let mut exercise = (*mark.exercise).clone();
            exercise.id = format!("{}.{}", number / 7 + 1, number % 7 + 1).parse().unwrap();
            exercise.session = u32::try_from(number / 7 + 1).unwrap();
            exercise.points = Points(250);
            mark.exercise = exercise.into();
        }
    }
    report
}

fn options(width: usize) -> TableOptions {
    TableOptions { lang: Lang::ENGLISH, colour: false, width, session: None }
}

#[test]
fn a_table_of_twenty_exercises_fits_80_columns_and_uses_200() {
    let report = large(20, 6);
    golden("shown/table_80.out", |_| table(&report, options(80)));
    golden("shown/table_200.out", |_| table(&report, options(200)));
    for width in [80, 200] {
        let widest = table(&report, options(width)).lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width), "{widest:?}");
    }
}

#[test]
fn ids_stay_whole_as_long_as_they_fit() {
    golden("shown/table_whole_ids.out", |_| table(&large(11, 3), options(80)) + &table(&large(11, 3), options(62)));
}

#[test]
fn a_transcript_has_a_line_for_each_day() {
    let (table, _, mut events) = played();
    for event in events.iter_mut().skip(3) {
        event.time.0 += 86_400_000_000;
    }
    let mut renderer = Renderer::new(Format::Transcript, Filter::default(), Look { utc_offset_secs: 0, colour: false });
    let text: String = events.iter().map(|event| renderer.render(&table.lab.groups[0].name, event)).collect();
    let days: Vec<&str> = text.lines().filter(|line| line.contains("1970")).collect();
    assert_eq!(days, ["── 1970-01-01", "── 1970-01-02"]);
}

#[test]
fn a_table_too_wide_is_split_by_session() {
    let report = large(40, 4);
    golden("shown/table_split.out", |_| table(&report, options(60)));
    let spanish = TableOptions { lang: Lang::SPANISH, session: Some(2), colour: true, ..options(60) };
    golden("shown/table_session.out", |_| table(&report, spanish));
    assert_eq!(table(&Report { students: Vec::new(), ..report }, options(80)), "no students\n");
}

#[test]
fn a_report_is_csv_json_and_words() {
    let (_, report, _) = played();
    golden("shown/report.csv", |_| csv(&report));
    golden("shown/report.json", |_| {
        let value: serde_json::Value = serde_json::from_str(&json(&report, Words::default())).unwrap();
        serde_json::to_string_pretty(&value).unwrap() + "\n"
    });
    let spanish = Words { lang: Lang::SPANISH, utc_offset_secs: 3_600 };
    golden("shown/words_en.out", |_| {
        report.students.iter().map(|own| words(own, Words::default(), false, None) + "\n").collect()
    });
    golden("shown/words_es.out", |_| {
        report.students.iter().map(|own| words(own, spanish, true, None) + "\n").collect()
    });
}

#[test]
fn folders_and_flags_are_put_into_words_of_both_languages() {
    let mut table = Table::read(
        "lab users=user2 students=ana mails=welcome>{login}\n\
         exercise 1.1\n  filed: mail=welcome, folder=Archive, has=\\Seen k, lacks=\\Deleted\n\
         exercise 1.2\n  filed: own, lacks=\\Seen, now\n  filed: mail=welcome, has=\\Seen, now\n\
         exercise 1.3\n  mailbox: {login}/Archive\n  mailbox: {login}/Archive >= 2, now\n  mailbox: {login}/Old\n\
         exercise 1.4\n  retrieved: mail=welcome, folder=Archive, via=imap\n  deleted: any, in=ana, via=imap\n\
         exercise 1.5\n  imap: pipelined; LOGIN -> OK; NOOP -> OK\n",
    );
    let mut marker = table.marker();
    let rows = "labctl 1 injected 1 welcome/ana > ana\nana 2 + imap * OK hello\nana 2 imap a LOGIN ana *** -> a OK in\n\
                ana 2 imap b NOOP -> b OK\nana 2 folder ana/Archive created\nana 2 retrieved 1 ana\n\
                ana 2 flagged ana/INBOX 1 + \\Seen\nana 2 copied 1 1>1 ana/INBOX > Archive\nana 2 - quit";
    for line in rows.lines() {
        marker.take(&table.event(line).unwrap(), &mut |_| None);
    }
    let marks = marker.marks().remove(0);
    golden("shown/folders.out", |_| {
        let all =
            [Lang::ENGLISH, Lang::SPANISH].map(|lang| words(&marks, Words { lang, utc_offset_secs: 0 }, false, None));
        all.join("\n")
    });
}

fn traced(format: Format, student: Option<&str>) -> String {
    let (table, _, events) = played();
    let filter = Filter { group: None, student: student.map(|login| login.parse().unwrap()), only: None };
    let mut renderer = Renderer::new(format, filter, Look { utc_offset_secs: 0, colour: false });
    events.iter().map(|event| renderer.render(&table.lab.groups[0].name, event)).collect()
}

#[test]
fn a_trace_is_a_transcript_states_or_ndjson() {
    golden("shown/transcript.out", |_| traced(Format::Transcript, None));
    golden("shown/transcript_ana.out", |_| traced(Format::Transcript, Some("ana")));
    golden("shown/states.out", |_| traced(Format::States, None));
    golden("shown/trace.ndjson", |_| traced(Format::Ndjson, None));
    for format in [Format::Transcript, Format::States, Format::Ndjson] {
        let text = traced(format, None);
        assert!(!text.contains(['\x1b', '\u{202e}', '\x07', '\r']), "{text}");
    }
}

#[test]
fn a_transcript_shows_the_header_of_what_was_mailed() {
    let mut table = Table::read("lab users=user2 students=ana\n");
    let look = Look { utc_offset_secs: 0, colour: false };
    let mut renderer = Renderer::new(Format::Transcript, Filter::default(), look);
    let long = format!("Subject: {}", "x".repeat(HEADER_WIDTH));
    let many = |count: usize| format!("{}\\r\\nbody: no", vec!["X: y"; count].join("\\r\\n") + "\\r\\n");
    let mails = [
        "From: ana\\r\\n\\tfolded \x1b[2J\\r\\nSubject: hi\\r\\n\\r\\nTo: body",
        "hola",
        &long,
        &many(HEADER_LINES),
        &many(HEADER_LINES + 1),
        "LOST",
    ];
    let mut text = String::new();
    for (number, mail) in mails.into_iter().enumerate() {
        let event = table.event(&format!("ana 1 accepted {number} ana > user2: {mail}")).unwrap();
        // The store has the server's fields in front.
        let mut content = |id| table.content(id).map(|sent| [b"Received: from x\r\n".as_slice(), &sent].concat());
        text += &renderer.render_with(&table.lab.groups[0].name, &event, &mut content);
    }
    golden("shown/headers.out", |_| text.clone());
    assert!(!text.contains("Received") && !text.contains("body"));
}

#[test]
fn a_connection_that_counts_for_neither_is_told_in_words() {
    let mut table = Table::read("lab users=user2 students=ana,ben\nexercise 1.1\n  retrieved: any\n");
    let look = Look { utc_offset_secs: 0, colour: false };
    let mut renderer = Renderer::new(Format::Transcript, Filter::default(), look).knowing(&table.lab);
    let only = Filter { group: None, student: Some("ben".parse().unwrap()), only: None };
    let mut of_ben = Renderer::new(Format::Transcript, only, look).knowing(&table.lab);
    let (mut marker, mut traced, mut traced_ben) = (table.marker(), String::new(), String::new());
    for line in ["ana 1 + pop3 +OK hello", "ana 1 PASS *** -> +OK", "ana 1 logged_in ben", "ana 2 logged_in user2"] {
        let event = table.event(line).unwrap();
        marker.take(&event, &mut |_| None);
        traced += &renderer.render(&table.lab.groups[0].name, &event);
        traced_ben += &of_ben.render(&table.lab.groups[0].name, &event);
    }
    golden("shown/neither.out", |_| {
        let marks = marker.marks();
        let said = marks.iter().map(|own| words(own, Words::default(), false, None) + "\n");
        said.chain([traced.clone(), "\n".to_owned(), traced_ben.clone()]).collect()
    });
    let value: serde_json::Value =
        serde_json::from_str(&json(&Report::new(&table.lab, marker.marks()), Words::default())).unwrap();
    assert!(value["students"][1]["notes"][0].as_str().unwrap().ends_with("it counts for neither"));
}

#[test]
fn marks_tell_of_so_many_contradictions_and_no_more() {
    for (count, told) in [(MAX_CONTRADICTIONS, 1_u64), (MAX_CONTRADICTIONS + 1, 2)] {
        let mut table = Table::read("lab students=ana,ben\n");
        let mut marker = table.marker();
        for conn in 1..=count {
            marker.take(&table.event(&format!("ana {conn} logged_in ben")).unwrap(), &mut |_| None);
        }
        let marks = marker.marks();
        for own in &marks {
            let first = Words::default().say(&own.notes[0]);
            assert_eq!((own.notes.len(), first.contains(&format!("connection {told} "))), (MAX_CONTRADICTIONS, true));
        }
    }
}

#[test]
fn a_group_can_be_left_out() {
    let (table, _, events) = played();
    let filter = Filter { group: Some("g06".parse().unwrap()), student: None, only: None };
    let mut renderer = Renderer::new(Format::Ndjson, filter, Look { utc_offset_secs: 0, colour: false });
    assert!(events.iter().all(|event| renderer.render(&table.lab.groups[0].name, event).is_empty()));
}

#[test]
fn state_lines_are_mailhogs_to_the_letter() {
    let (table, _, events) = played();
    let group = &table.lab.groups[0].name;
    let mut renderer = Renderer::new(Format::States, Filter::default(), Look { utc_offset_secs: 0, colour: false });
    let mut first = events[0].clone();
    if let EventKind::Connected { peer, .. } = &mut first.kind {
        *peer = Some("127.0.0.1:53040".parse().unwrap());
    }
    let mut second = events[1].clone();
    if let EventKind::Command { before, .. } = &mut second.kind {
        *before = State::Connect;
    }
    let lines = "\
[SMTP 127.0.0.1:53040] Starting session
[SMTP 127.0.0.1:53040] Started session, switching to ESTABLISH state
[SMTP 127.0.0.1:53040] Sent 35 bytes: '220 mailhog.example ESMTP MailHog\\r\\n'
[SMTP 127.0.0.1:53040] Received 16 bytes: 'HELO localhost\\r\\n'
[SMTP 127.0.0.1:53040] In state 1, got command 'HELO', args 'localhost'
[SMTP 127.0.0.1:53040] Got HELO command, switching to MAIL state
[SMTP 127.0.0.1:53040] Sent 21 bytes: '250 Hello localhost\\r\\n'
";
    assert_eq!(renderer.render(group, &first) + &renderer.render(group, &second), lines);
}

#[test]
fn what_waits_for_a_student_is_bounded() {
    for (count, shown) in [(MAX_WAITING, MAX_WAITING + 1), (MAX_WAITING + 1, MAX_WAITING + 1)] {
        let mut table = Table::read("lab students=ana\n");
        let filter = Filter { group: None, student: Some("ana".parse().unwrap()), only: None };
        let mut renderer = Renderer::new(Format::Ndjson, filter, Look { utc_offset_secs: 0, colour: false });
        let group = table.lab.groups[0].name.clone();
        for _ in 0..count {
            let event = table.event("? 1 NOOP -> 250 ok").unwrap();
            assert_eq!((renderer.render(&group, &event).as_str(), event.time > Timestamp(0)), ("", true));
        }
        let known = table.event("ana? 1 NOOP -> 250 ok").unwrap();
        assert_eq!(renderer.render(&group, &known).lines().count(), shown);
    }
}
