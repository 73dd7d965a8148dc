//! IMAP over real sockets, with programs that are not ours: Python's imaplib, and curl.

use std::{io::Write as _, process::Command};

use labctl::{evidence::EventKind, lab::Service};

use super::running::{Running, config, endpoint};

fn running() -> Running {
    let mut config = config();
    config.endpoints.push(endpoint(Service::Imap, None));
    Running::new(config)
}

fn deliver(running: &Running, subject: &str) {
    let mut smtp = running.smtp();
    smtp.holds(&[
        ("EHLO me", "250"),
        ("MAIL FROM:<ana@g1.lab>", "250"),
        ("RCPT TO:<ben@g1.lab>", "250"),
        ("DATA", "354"),
    ]);
    smtp.holds(&[(&format!("Subject: {subject}\r\n\r\ntext of {subject}\r\n."), "250"), ("QUIT", "221")]);
}

/// Runs a Python program with HOST and PORT set; what it prints.
fn python(running: &Running, program: &str) -> String {
    let address = running.address(Service::Imap);
    let program = format!("import imaplib\nHOST, PORT = '{}', {}\n{program}", address.ip(), address.port());
    let output = Command::new("python3").args(["-c", &program]).output().expect("python3: run tests/install.sh");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn pythons_imaplib_does_a_days_mail() {
    let running = running();
    deliver(&running, "one");
    deliver(&running, "two");
    let printed = python(
        &running,
        r#"
import time
box = imaplib.IMAP4(HOST, PORT)
box.login('ben', 'Ben')
print(box.select('INBOX')[1])
print(box.search(None, 'SUBJECT', 'two')[1])
print(box.fetch('2', '(BODY.PEEK[TEXT])')[1][0][1])
box.create('lab/one')
print(box.copy('1:2', 'lab/one')[0])
print(box.store('1', '+FLAGS', '\\Deleted')[1])
print(box.expunge()[1])
when = imaplib.Time2Internaldate(time.time())
print(box.append('Sent', '\\Seen', when, b'Subject: sent\r\n\r\nx\r\n')[0])
print(box.status('Sent', '(MESSAGES UNSEEN)')[1])
print(box.list('""', 'lab*')[1])
print(box.namespace()[1])
print(box.uid('FETCH', '1:*', '(FLAGS)')[1])
print(box.close()[0], box.logout()[0])
"#,
    );
    let expected = r"[b'2']
[b'2']
b'text of two\r\n'
OK
[b'1 (FLAGS (\\Deleted \\Recent))']
[b'1']
OK
[b'Sent (MESSAGES 1 UNSEEN 0)']
[b'(\\HasChildren) \x22/\x22 lab', b'(\\Marked \\HasNoChildren) \x22/\x22 lab/one']
[b'((\x22\x22 \x22/\x22)) NIL NIL']
[b'1 (UID 2 FLAGS (\\Recent))']
OK BYE
";
    assert_eq!(printed.replace('"', "\\x22"), expected);
    let events = running.stopped();
    let count = |wanted: fn(&EventKind) -> bool| events.iter().filter(|event| wanted(&event.kind)).count();
    assert_eq!(count(|kind| matches!(kind, EventKind::Deleted { .. })), 1);
    assert_eq!(count(|kind| matches!(kind, EventKind::Appended { .. })), 1);
    assert_eq!(count(|kind| matches!(kind, EventKind::Copied { moved: false, .. })), 1);
    assert!(events.iter().all(|event| !format!("{event:?}").contains("\"Ben\"")), "no password is kept");
}

#[test]
fn curl_reads_searches_and_appends() {
    let running = running();
    deliver(&running, "one");
    let address = running.address(Service::Imap);
    let curl = |path: &str, more: &[&str]| {
        let url = format!("imap://{address}/{path}");
        let mut command = Command::new("curl");
        let output =
            command.args(["-sS", "-u", "ben:Ben", &url]).args(more).output().expect("curl: run tests/install.sh");
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(curl("INBOX;UID=1", &[]).ends_with("text of one\r\n"));
    assert_eq!(curl("INBOX?SUBJECT%20one", &[]), "* SEARCH 1\r\n");
    assert!(curl("", &[]).contains("* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n"));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"Subject: appended\r\n\r\nby curl\r\n").unwrap();
    curl("Drafts", &["-T", file.path().to_str().unwrap()]);
    assert!(curl("Drafts;UID=1", &[]).ends_with("by curl\r\n"));
    assert!(curl("INBOX", &["-X", "STORE 1 +FLAGS (\\Seen)"]).contains("\\Seen"));
}

#[test]
fn pop3_and_imap_share_the_inbox() {
    let running = running();
    for subject in ["one", "two", "three"] {
        deliver(&running, subject);
    }
    let address = running.address(Service::Imap);
    let mut imap = super::client::Client::new(address);
    imap.holds(&[("a LOGIN ben Ben", "a OK"), ("b SELECT INBOX", "*")]);
    let mut pop3 = running.pop3("ben", "Ben");
    pop3.holds(&[("DELE 1", "+OK"), ("QUIT", "+OK")]);
    let program = r"
box = imaplib.IMAP4(HOST, PORT)
box.login('ben', 'Ben')
print(box.select('INBOX')[1])
print(box.fetch('1:*', '(UID)')[1])
box.store('2', '+FLAGS', '\\Deleted')
print(box.expunge()[1])
box.logout()
";
    assert_eq!(python(&running, program), "[b'2']\n[b'1 (UID 2)', b'2 (UID 3)']\n[b'2']\n");
    let mut pop3 = running.pop3("ben", "Ben");
    pop3.holds(&[("STAT", "+OK 1 "), ("QUIT", "+OK")]);
}

#[test]
fn idle_tells_of_mail_as_it_comes() {
    let running = running();
    let address = running.address(Service::Imap);
    let program = r"
import threading, smtplib
box = imaplib.IMAP4(HOST, PORT)
box.login('ben', 'Ben')
box.select('INBOX')
box.send(b'i IDLE\r\n')
print(box.readline())
smtp = smtplib.SMTP(HOST, SMTP)
smtp.sendmail('ana@g1.lab', ['ben@g1.lab'], 'Subject: x\r\n\r\ny\r\n')
print(box.readline())
print(box.readline())
box.send(b'DONE\r\n')
print(box.readline())
";
    let smtp = running.address(Service::Smtp).port();
    let printed = python(&running, &format!("SMTP = {smtp}\n{program}"));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[1..3], ["b'* 1 EXISTS\\r\\n'", "b'* 1 RECENT\\r\\n'"], "{printed} from {address}");
    assert!(lines[3].starts_with("b'i OK"), "{printed}");
}
