//! A notice as a program that is not ours reads it: Python's email package.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::two::Two;

/// What Python makes of a report: its kind, and its parts with their fields.
const READ: &str = r#"
import email, email.policy, json, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = list(message.iter_parts())
assert not any(part.defects for part in message.walk()), [part.defects for part in message.walk()]
fields = [dict(block.items()) for block in parts[1].get_payload()]
returned = parts[2]
inner = returned.get_payload()[0] if returned.get_content_type() == "message/rfc822" else None
print(json.dumps({
    "type": message.get_content_type(), "report": message.get_param("report-type"),
    "parts": [part.get_content_type() for part in parts],
    "from": message["From"], "to": message["To"], "auto": message["Auto-Submitted"],
    "date": message["Date"].datetime is not None, "id": message["Message-ID"],
    "fields": fields, "words": parts[0].get_content(),
    "returned": inner["Subject"] if inner else None, "text": inner.get_content() if inner else None,
}))
"#;

fn read(message: &str) -> Value {
    let mut python = Command::new("python3");
    python.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut python = python.spawn().expect("python3");
    python.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{message}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_notice_reads_as_rfc_3464_has_it() {
    let two = Two::new();
    two.send(&["nobody@g2.lab"], "returned to sender");
    let notice = two.arrived(1, "ana", 1).remove(0);
    assert!(notice.starts_with("Return-Path: <>\r\nReceived: by mail.g1.lab"), "{notice}");
    let read = read(&notice);
    assert_eq!(read["type"], "multipart/report");
    assert_eq!(read["report"], "delivery-status");
    assert_eq!(read["parts"], json!(["text/plain", "message/delivery-status", "message/rfc822"]));
    assert_eq!((&read["to"], &read["auto"]), (&json!("ana@g1.lab"), &json!("auto-replied")));
    assert_eq!(read["fields"][0]["Reporting-MTA"], "dns; mail.g1.lab");
    let recipient = &read["fields"][1];
    assert_eq!(recipient["Final-Recipient"], "rfc822; nobody@g2.lab");
    assert_eq!((&recipient["Action"], &recipient["Status"]), (&json!("failed"), &json!("5.1.1")));
    assert_eq!(recipient["Remote-MTA"], "dns; mail.g2.lab");
    assert!(recipient["Diagnostic-Code"].as_str().unwrap().starts_with("smtp; 550 5.1.1 no mailbox"), "{recipient}");
    assert!(read["words"].as_str().unwrap().contains("<nobody@g2.lab>"), "{read}");
    assert_eq!((&read["returned"], &read["date"]), (&json!("returned to sender"), &json!(true)));
    assert!(read["text"].as_str().unwrap().starts_with("returned to sender"), "{read}");
}

#[test]
fn a_message_with_a_dot_and_letters_beyond_ascii_comes_through_whole() {
    let two = Two::new();
    let text = ".\u{f1}and\u{fa}\r\n..two dots\r\n.";
    let mut client = two.student(1);
    client.holds(&[
        ("EHLO ana", "250"),
        ("MAIL FROM:<ana@g1.lab> BODY=8BITMIME", "250"),
        ("RCPT TO:<ben@g2.lab>", "250"),
    ]);
    client.holds(&[("DATA", "354")]);
    let stuffed = text.replace("\r\n.", "\r\n..");
    assert!(client.say(&format!("Subject: x\r\n\r\n.{stuffed}\r\n.")).starts_with("250"));
    let found = two.arrived(2, "ben", 1).remove(0);
    assert!(found.ends_with(&format!("Subject: x\r\n\r\n{text}\r\n")), "{found}");
}

/// Ana asks to be told of the delivery to these recipients.
fn ask_for_success(two: &Two, recipients: &[&str]) {
    let mut client = two.student(1);
    client.holds(&[("EHLO ana", "250"), ("MAIL FROM:<ana@g1.lab> RET=HDRS ENVID=QQ+2B1", "250")]);
    for recipient in recipients {
        let rcpt = format!("RCPT TO:<{recipient}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first+2B{recipient}");
        client.holds(&[(&rcpt, "250")]);
    }
    client.holds(&[("DATA", "354"), ("Subject: asked\r\n\r\ntext\r\n.", "250")]);
}

/// What a notice says of its recipients: who, what became of it, and who told.
fn told(notice: &str) -> (String, Vec<Value>) {
    let read = read(notice);
    assert_eq!(read["fields"][0]["Original-Envelope-Id"], "QQ+1");
    let reporter = read["fields"][0]["Reporting-MTA"].as_str().unwrap().to_owned();
    assert_eq!(read["parts"][2], "text/rfc822-headers", "RET=HDRS, and nothing failed");
    let recipients = read["fields"].as_array().unwrap()[1..].iter().map(|recipient| {
        json!([recipient["Original-Recipient"], recipient["Final-Recipient"], recipient["Action"], recipient["Status"]])
    });
    (reporter, recipients.collect())
}

#[test]
fn who_asks_hears_of_success_from_the_server_that_has_the_mailbox() {
    let two = Two::new();
    ask_for_success(&two, &["ana@g1.lab", "ben@g2.lab"]);
    // Her own message, the notice of it from here, and that of the other one from there.
    let found = two.arrived(1, "ana", 3);
    let notices: Vec<_> =
        found.iter().filter(|message| message.contains("multipart/report")).map(|n| told(n)).collect();
    let recipient =
        |name: &str| json!([format!("rfc822; first+{name}"), format!("rfc822; {name}"), "delivered", "2.0.0"]);
    assert_eq!(
        notices,
        [
            ("dns; mail.g1.lab".to_owned(), vec![recipient("ana@g1.lab")]),
            ("dns; mail.g2.lab".to_owned(), vec![recipient("ben@g2.lab")]),
        ]
    );
    assert_eq!(two.mailbox(2, "ben").len(), 1);
}

#[test]
fn who_asks_is_told_where_nobody_can_tell_more() {
    // ArGoSoft's server knows no DSN.
    let two = Two::with(|[_, other]| other.dialect = "argosoft".to_owned());
    ask_for_success(&two, &["ben@g2.lab"]);
    let (reporter, recipients) = told(&two.arrived(1, "ana", 1).remove(0));
    assert_eq!(reporter, "dns; mail.g1.lab");
    assert_eq!(recipients.len(), 1);
    assert_eq!((&recipients[0][1], &recipients[0][2]), (&json!("rfc822; ben@g2.lab"), &json!("relayed")));
    assert_eq!(two.arrived(2, "ben", 1).len(), 1);
}
