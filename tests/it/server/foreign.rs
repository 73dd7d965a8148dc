//! Programs that we did not write log in: swaks, curl, GNU SASL and Python, with every mechanism that each of them has.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    process::{Command, Stdio},
};

use labctl::{
    evidence::{Event, EventKind},
    lab::{ServerConfig, Service},
};

use super::running::{Running, config};

/// What no record may hold: the password, the token, and both as PLAIN, LOGIN and XOAUTH2 write them in base64.
const SECRETS: [&str; 6] =
    ["sesamo-ana", "c2VzYW1vLWFuYQ==", "AGFuYQBzZXNhbW8tYW5h", "ficha-de-ana", "ZmljaGEtZGUtYW5h", "dXNlcj1hbmEB"];

/// A server whose student ana has a password and a token that nothing else looks like.
fn lab() -> ServerConfig {
    let mut config = config();
    config.auth_before_tls = true;
    let ana = config.accounts.get_mut("ana").expect("a student");
    (ana.password, ana.token) = ("sesamo-ana".to_owned(), "ficha-de-ana".to_owned());
    config
}

/// Runs a program to its end: its exit code, and what it printed.
fn run(program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|problem| panic!("{program}: {problem}; `make test` installs it"));
    let text = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn port(address: SocketAddr) -> String {
    address.port().to_string()
}

/// Which mechanisms succeeded and failed, and how many messages came in; no secret is in any event.
fn record(running: Running) -> (BTreeSet<String>, BTreeSet<String>, usize) {
    let events = running.stopped();
    let (mut right, mut wrong, mut accepted) = (BTreeSet::new(), BTreeSet::new(), 0);
    for Event { kind, .. } in &events {
        match kind {
            EventKind::LoggedIn { mechanism, .. } => _ = right.insert(mechanism.clone()),
            EventKind::LoginFailed { mechanism, .. } => _ = wrong.insert(mechanism.clone()),
            EventKind::Accepted { .. } => accepted += 1,
            _ => {}
        }
    }
    let written = serde_json::to_string(&events).expect("JSON");
    for secret in SECRETS {
        assert!(!written.contains(secret), "{secret} is on record");
    }
    (right, wrong, accepted)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn swaks_logs_in_with_every_type_that_it_shares_with_us() {
    let running = Running::new(lab());
    let port = port(running.address(Service::Smtp));
    let swaks = |kind: &str, password: &str| {
        let to = [
            "--server",
            "127.0.0.1",
            "--port",
            &port,
            "--helo",
            "me.lab",
            "--from",
            "ana@g1.lab",
            "--to",
            "user2@g1.lab",
        ];
        let login = ["--auth", kind, "--auth-user", "ana", "--auth-password", password];
        run("swaks", &[to.as_slice(), &login].concat())
    };
    for kind in ["PLAIN", "LOGIN", "CRAM-MD5"] {
        let (code, text) = swaks(kind, "sesamo-ana");
        assert!(code == Some(0) && text.contains("235 2.7.0"), "{kind}: {text}");
        let (code, text) = swaks(kind, "falso");
        assert!(code == Some(28) && text.contains("535 5.7.8"), "{kind}: {text}");
    }
    for kind in ["DIGEST-MD5", "CRAM-SHA1", "NTLM"] {
        let (code, text) = swaks(kind, "sesamo-ana");
        assert!(code != Some(0) && !text.contains("235 "), "{kind}: {text}");
    }
    let all = set(&["CRAM-MD5", "LOGIN", "PLAIN"]);
    assert_eq!(record(running), (all.clone(), all, 3));
}

#[test]
fn curl_logs_in_to_smtp_and_pop3() {
    let running = Running::new(lab());
    let mail = running.folder.path().join("mail.txt");
    std::fs::write(&mail, "Subject: hola\r\n\r\nhola\r\n").expect("a file");
    let smtp = format!("smtp://127.0.0.1:{}/me.lab", port(running.address(Service::Smtp)));
    let pop3 = format!("pop3://127.0.0.1:{}/", port(running.address(Service::Pop3)));
    let curl = |url: &str, mechanism: &str, login: &[&str]| {
        let option = format!("AUTH={mechanism}");
        let mut arguments = vec!["-sS", "--max-time", "20", "--url", url, "--login-options", &option];
        arguments.extend(login);
        if url.starts_with("smtp") {
            arguments.extend([
                "--mail-from",
                "ana@g1.lab",
                "--mail-rcpt",
                "user2@g1.lab",
                "-T",
                mail.to_str().unwrap(),
            ]);
        }
        run("curl", &arguments).0
    };
    for url in [&smtp, &pop3] {
        for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5"] {
            assert_eq!(curl(url, mechanism, &["--user", "ana:sesamo-ana"]), Some(0), "{url} {mechanism}");
            assert_eq!(curl(url, mechanism, &["--sasl-ir", "--user", "ana:sesamo-ana"]), Some(0), "{url} {mechanism}");
            assert_eq!(curl(url, mechanism, &["--user", "ana:falso"]), Some(67), "{url} {mechanism}");
        }
        assert_eq!(curl(url, "OAUTHBEARER", &["--user", "ana", "--oauth2-bearer", "ficha-de-ana"]), Some(0), "{url}");
        assert_eq!(curl(url, "OAUTHBEARER", &["--user", "ana", "--oauth2-bearer", "falsa"]), Some(67), "{url}");
        assert_eq!(curl(url, "NTLM", &["--user", "ana:sesamo-ana"]), Some(67), "{url}: not offered");
    }
    assert_eq!(curl(&pop3, "+APOP", &["--user", "ana:sesamo-ana"]), Some(0));
    let (right, wrong, accepted) = record(running);
    assert_eq!(right, set(&["APOP", "CRAM-MD5", "LOGIN", "OAUTHBEARER", "PLAIN"]));
    assert_eq!(wrong, set(&["CRAM-MD5", "LOGIN", "OAUTHBEARER", "PLAIN"]));
    assert_eq!(accepted, 7);
}

#[test]
fn gnu_sasl_logs_in_and_believes_our_own_proof() {
    let running = Running::new(lab());
    let server = format!("--connect=127.0.0.1:{}", port(running.address(Service::Smtp)));
    let mechanisms = ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"];
    let gsasl = |mechanism: &str, password: &str| {
        run("gsasl", &["--smtp", &server, "-m", mechanism, "-a", "ana", "-p", password, "--no-cb"])
    };
    for mechanism in mechanisms {
        let (code, text) = gsasl(mechanism, "sesamo-ana");
        assert!(code == Some(0) && text.contains("235 2.7.0"), "{mechanism}: {text}");
        let (code, text) = gsasl(mechanism, "falso");
        assert!(code != Some(0) && text.contains("535 5.7.8"), "{mechanism}: {text}");
    }
    assert_eq!(record(running), (set(&mechanisms), set(&mechanisms), 0));
}

/// smtplib and poplib; XOAUTH2 by hand, as scripts do it with them. DSN's parameters and BDAT go over the same connection.
const PYTHON: &str = r#"
import poplib, smtplib, sys
smtp_port, pop3_port = int(sys.argv[1]), int(sys.argv[2])
password, token = "sesamo-ana", "ficha-de-ana"
xoauth2 = "user=ana\x01auth=Bearer %s\x01\x01"

for mechanism in ("PLAIN", "LOGIN", "CRAM_MD5"):
    for initial in (True, False):
        smtp = smtplib.SMTP("127.0.0.1", smtp_port, "me.lab")
        smtp.ehlo()
        smtp.user, smtp.password = "ana", password
        code, _ = smtp.auth(mechanism.replace("_", "-"), getattr(smtp, "auth_" + mechanism.lower()), initial_response_ok=initial)
        assert code == 235, code
        smtp.quit()

smtp = smtplib.SMTP("127.0.0.1", smtp_port, "me.lab")
smtp.ehlo()
try:
    smtp.auth("XOAUTH2", lambda challenge=None: xoauth2 % "falsa" if challenge is None else "")
    raise SystemExit("a wrong token was taken")
except smtplib.SMTPAuthenticationError as refused:
    assert refused.smtp_code == 535, refused
assert smtp.auth("XOAUTH2", lambda challenge=None: xoauth2 % token)[0] == 235
assert {"dsn", "chunking", "auth", "size", "8bitmime", "smtputf8", "pipelining"} <= set(smtp.esmtp_features), smtp.esmtp_features
smtp.sendmail("ana@g1.lab", ["user2@g1.lab"], "Subject: dsn\r\n\r\nhola\r\n", ["RET=HDRS", "ENVID=1"], ["NOTIFY=SUCCESS,FAILURE"])
smtp.mail("ana@g1.lab"), smtp.rcpt("user2@g1.lab")
body = b"Subject: trozos\r\n\r\n.\r\nhola\r\n"
smtp.send(b"BDAT 10\r\n" + body[:10] + b"BDAT %d LAST\r\n" % len(body[10:]) + body[10:])
assert [smtp.getreply()[0], smtp.getreply()[0]] == [250, 250]
smtp.quit()

smtp = smtplib.SMTP("127.0.0.1", smtp_port, "me.lab")
smtp.login("ana", password)
smtp.quit()

pop3 = poplib.POP3("127.0.0.1", pop3_port)
assert "SCRAM-SHA-256" in pop3.capa()["SASL"], pop3.capa()
pop3.user("user2"), pop3.pass_("Usuario2")
lines = pop3.retr(2)[1]
assert lines[-3:] == [b"", b".", b"hola"], lines
pop3.quit()
pop3 = poplib.POP3("127.0.0.1", pop3_port)
pop3.apop("ana", password)
pop3.quit()
"#;

#[test]
fn python_logs_in_asks_for_notices_and_sends_in_chunks() {
    let running = Running::new(lab());
    let ports = [port(running.address(Service::Smtp)), port(running.address(Service::Pop3))];
    let (code, text) = run("python3", &["-c", PYTHON, &ports[0], &ports[1]]);
    assert_eq!(code, Some(0), "{text}");
    let (right, wrong, accepted) = record(running);
    assert_eq!(right, set(&["APOP", "CRAM-MD5", "LOGIN", "PASS", "PLAIN", "XOAUTH2"]));
    // Two messages, and the notice of delivery that one of them asked for.
    assert_eq!((wrong, accepted), (set(&["XOAUTH2"]), 3));
}
