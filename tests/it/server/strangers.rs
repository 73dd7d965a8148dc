//! Clients that are not ours.

use std::process::{Command, Stdio};

use labctl::lab::Service;
use lettre::{Message, SmtpTransport, Transport as _};

use super::running::{Running, config};

#[test]
fn lettre_delivers() {
    let running = Running::new(config());
    let message = Message::builder()
        .from("Ana <ana@g1.lab>".parse().unwrap())
        .to("ben@g1.lab".parse().unwrap())
        .to("user2@g1.lab".parse().unwrap())
        .subject("¡Hola!")
        .body("first\r\n.second\r\n".to_owned())
        .unwrap();
    let address = running.address(Service::Smtp);
    let mailer = SmtpTransport::builder_dangerous(address.ip().to_string()).port(address.port()).build();
    mailer.send(&message).unwrap();
    let mut client = running.pop3("user2", "Usuario2");
    client.holds(&[("RETR 1", "+OK")]);
    let lines = client.lines();
    assert_eq!(lines[lines.len() - 3..], ["first", "..second", ""]);
}

#[test]
fn pythons_smtplib_and_poplib_deliver_and_read() {
    let running = Running::new(config());
    let program = r#"
import poplib, smtplib, sys
smtp = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=20)
smtp.sendmail("ana@g1.lab", ["ben@g1.lab"], "Subject: s\r\n\r\n.dot\r\n" + "x" * 70 + "\r\n")
try:
    smtp.sendmail("ana@g1.lab", ["nobody@g1.lab"], "Subject: s\r\n\r\n")
    sys.exit("accepted for nobody")
except smtplib.SMTPRecipientsRefused:
    pass
smtp.quit()
pop = poplib.POP3("127.0.0.1", int(sys.argv[2]), timeout=20)
pop.user("ben"); pop.pass_("Ben")
count, octets = pop.stat()
_, lines, _ = pop.retr(1)
assert sum(len(line) + 2 for line in lines) == octets, (lines, octets)
assert lines[-2:] == [b".dot", b"x" * 70], lines
assert len(pop.uidl()[1]) == count == 1
pop.dele(1); pop.quit()
pop = poplib.POP3("127.0.0.1", int(sys.argv[2]), timeout=20)
pop.apop("ben", "Ben") if b"<" in pop.getwelcome() else (pop.user("ben"), pop.pass_("Ben"))
assert pop.stat()[0] == 0
pop.quit()
"#;
    let mut python = Command::new("python3");
    python.args(["-c", program]);
    for service in [Service::Smtp, Service::Pop3] {
        python.arg(running.address(service).port().to_string());
    }
    let output = python.stdin(Stdio::null()).output().expect("python3 is needed for this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
