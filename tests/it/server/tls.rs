//! TLS on real sockets: openssl as practical C types it, curl, Python, and clients with bad intentions.

use std::{
    io::{BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use labctl::{
    engine::Authority,
    evidence::{Ending, Event, EventKind, TlsVersion},
    lab::{Limits, ServerConfig, Service, Tls},
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use super::{
    client::Client,
    running::{Running, config, endpoint},
};

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(20);

const SERVICES: [Service; 4] = [Service::Smtp, Service::Submissions, Service::Pop3, Service::Pop3s];

/// A server with a certificate of an authority of its own.
struct Secure {
    running: Running,
    ca: String,
}

impl Secure {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(mut config: ServerConfig) -> Self {
        config.endpoints = SERVICES.map(|service| endpoint(service, Some("ana"))).to_vec();
        let mut authority = Authority::passing(&config.lab).unwrap();
        config.identity = authority.identify(&config, None).unwrap();
        let ca = authority.certificate().to_owned();
        let running = Running::new(config);
        std::fs::write(running.folder.path().join("ca.pem"), &ca).unwrap();
        Self { running, ca }
    }

    fn host(&self, service: Service) -> String {
        self.running.address(service).to_string()
    }

    fn ca_file(&self) -> String {
        self.running.folder.path().join("ca.pem").display().to_string()
    }

    /// Runs `openssl s_client` with these words and types the lines, each when the one before was sent; to the end of the
    /// connection.
    fn openssl(&self, words: &str, service: Service, lines: &[&str]) -> Output {
        let mut openssl = Command::new("openssl");
        openssl.arg("s_client").args(words.split_ascii_whitespace()).args(["-connect", &self.host(service)]);
        let mut openssl = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Held open: at its end openssl would hang up without waiting for answers.
        let mut stdin = openssl.stdin.take().unwrap();
        // Whoever was refused has gone already.
        let _ = stdin.write_all((lines.join("\n") + "\n").as_bytes());
        openssl.wait_with_output().unwrap()
    }

    /// A connection in the clear, after the greeting.
    fn clear(&self, service: Service) -> TcpStream {
        let stream = TcpStream::connect(self.running.address(service)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The client's end of a handshake on a connection.
    fn secured(&self, stream: TcpStream) -> BufReader<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config.with_no_client_auth()), name).unwrap();
        BufReader::new(StreamOwned::new(connection, stream))
    }

    fn events(self) -> Vec<EventKind> {
        self.running.all_gone();
        self.running.stopped().into_iter().map(|event: Event| event.kind).collect()
    }
}

/// What a command printed, where it must succeed.
fn printed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn line(stream: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line
}

fn versions(events: &[EventKind]) -> Vec<TlsVersion> {
    let version = |event: &EventKind| match event {
        EventKind::Secured { version, .. } => Some(*version),
        _ => None,
    };
    events.iter().filter_map(version).collect()
}

fn failures(events: &[EventKind]) -> Vec<&str> {
    let mut failures = Vec::new();
    for event in events {
        if let EventKind::HandshakeFailed { why } = event {
            failures.push(why.as_str());
        }
    }
    failures
}

fn endings(events: &[EventKind]) -> Vec<Ending> {
    let how = |event: &EventKind| match event {
        EventKind::Disconnected { how } => Some(*how),
        _ => None,
    };
    events.iter().filter_map(how).collect()
}

#[test]
fn openssl_speaks_as_practical_c_types_it() {
    let secure = Secure::new();
    let trusting =
        |words: &str| format!("{words} -CAfile {} -verify_return_error -verify_ip 127.0.0.1", secure.ca_file());
    // `ana` and `Ana` in base64, as `AUTH LOGIN` wants them.
    let smtp = [
        "ehlo usuario",
        "auth login",
        "YW5h",
        "QW5h",
        "mail from:<ana@g1.lab>",
        "rcpt to:<ben@g1.lab>",
        "data",
        "Subject: s",
        "",
        ".",
        "quit",
    ];
    for (words, service) in [("-starttls smtp -crlf", Service::Smtp), ("-crlf", Service::Submissions)] {
        let said = printed(&secure.openssl(&trusting(words), service, &smtp));
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains("334 UGFzc3dvcmQ6") && said.contains("235 2.7.0"), "{said}");
        assert!(said.contains("250 2.0.0 message accepted") && said.contains("221 2.0.0"), "{said}");
    }
    let pop3 = ["user ben", "pass Ben", "list", "top 1 0", "retr 1", "noop", "rset", "quit"];
    for (words, service) in [("-starttls pop3 -crlf", Service::Pop3), ("-crlf", Service::Pop3s)] {
        let said = printed(&secure.openssl(&trusting(words), service, &pop3));
        assert!(said.contains("+OK logged in as ben: 2 messages") && said.contains("+OK goodbye"), "{said}");
    }
    let events = secure.events();
    assert_eq!(versions(&events), [TlsVersion::V13; 4]);
    assert_eq!(endings(&events), [Ending::Quit; 4]);
}

#[test]
fn only_who_knows_the_authority_trusts_the_server() {
    let secure = Secure::new();
    let stranger = secure.openssl("-verify_return_error -crlf", Service::Pop3s, &["quit"]);
    assert!(!stranger.status.success());
    let elsewhere = format!("-crlf -CAfile {} -verify_return_error -verify_hostname mail.other.lab", secure.ca_file());
    assert!(!secure.openssl(&elsewhere, Service::Pop3s, &["quit"]).status.success());
    for name in ["mail.g1.lab", "g1.lab", "localhost"] {
        let here = format!("-crlf -CAfile {} -verify_return_error -verify_hostname {name}", secure.ca_file());
        printed(&secure.openssl(&here, Service::Pop3s, &["quit"]));
    }
    let events = secure.events();
    let failures = failures(&events);
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].starts_with("the client does not trust the server's certificate (UnknownCA)"), "{failures:?}");
}

#[test]
fn tls_1_2_and_1_3_and_nothing_older() {
    let secure = Secure::new();
    for words in ["-tls1_2 -crlf", "-tls1_3 -crlf"] {
        printed(&secure.openssl(words, Service::Pop3s, &["quit"]));
    }
    let old = secure.openssl("-tls1_1 -cipher DEFAULT@SECLEVEL=0 -crlf", Service::Pop3s, &["quit"]);
    assert!(!old.status.success());
    let events = secure.events();
    assert_eq!(versions(&events), [TlsVersion::V12, TlsVersion::V13]);
    assert!(failures(&events)[0].contains("speaks TLS 1.2 and 1.3"), "{:?}", failures(&events));
}

/// A line that begins with `R`, such as RCPT or RETR, has openssl ask for it; without an answer both would wait.
#[test]
fn who_wants_to_negotiate_anew_is_told_no() {
    let secure = Secure::new();
    for service in [Service::Submissions, Service::Pop3s] {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-tls1_2", "-crlf", "-connect", &secure.host(service)]);
        let mut openssl = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Typed after the greeting: what comes in the middle of a new handshake is an error of another kind.
        let mut said = BufReader::new(openssl.stdout.take().unwrap());
        while !line(&mut said).contains(if service == Service::Pop3s { "+OK" } else { "220 " }) {}
        let mut stdin = openssl.stdin.take().unwrap();
        stdin.write_all(b"RSET\n").unwrap();
        let mut problem = String::new();
        openssl.stderr.take().unwrap().read_to_string(&mut problem).unwrap();
        assert!(problem.contains("RENEGOTIATING") && problem.contains("no renegotiation"), "{problem}");
        openssl.wait().unwrap();
    }
    secure.running.all_gone();
}

#[test]
fn what_is_pipelined_behind_starttls_is_thrown_away_and_recorded() {
    let secure = Secure::new();
    let injected = "MAIL FROM:<evil@g1.lab>\r\nRCPT TO:<ben@g1.lab>\r\nDATA\r\nSubject: evil\r\n\r\n.\r\n";
    let mut smtp = BufReader::new(secure.clear(Service::Smtp));
    assert!(line(&mut smtp).starts_with("220 "));
    smtp.get_mut().write_all(format!("EHLO ana\r\nSTARTTLS\r\n{injected}").as_bytes()).unwrap();
    while !line(&mut smtp).starts_with("220 ") {}
    assert!(smtp.buffer().is_empty(), "nothing in the clear after 220");
    let mut smtp = secure.secured(smtp.into_inner());
    smtp.get_mut().write_all(b"RCPT TO:<ben@g1.lab>\r\nQUIT\r\n").unwrap();
    assert_eq!(line(&mut smtp), "503 5.5.1 send HELO or EHLO first\r\n");
    assert!(line(&mut smtp).starts_with("221 "));

    let login = "USER ben\r\nPASS Ben\r\nDELE 1\r\n";
    let mut pop3 = BufReader::new(secure.clear(Service::Pop3));
    line(&mut pop3);
    pop3.get_mut().write_all(format!("STLS\r\n{login}").as_bytes()).unwrap();
    assert!(line(&mut pop3).starts_with("+OK "));
    let mut pop3 = secure.secured(pop3.into_inner());
    pop3.get_mut().write_all(b"STAT\r\nQUIT\r\n").unwrap();
    assert!(line(&mut pop3).starts_with("-ERR STAT comes after the login"));
    drop(pop3);

    let events = secure.events();
    let discarded: Vec<_> = events.iter().filter(|event| matches!(event, EventKind::Discarded { .. })).collect();
    let octets = |text: &str| EventKind::Discarded { octets: text.len() as u64 };
    assert_eq!(discarded, [&octets(injected), &octets(login)]);
    assert!(!events.iter().any(|event| matches!(event, EventKind::Accepted { .. } | EventKind::LoggedIn { .. })));
}

#[test]
fn an_end_of_the_connection_is_an_end_of_tls() {
    let secure = Secure::new();
    let mut pop3 = secure.secured(secure.clear(Service::Pop3s));
    pop3.get_mut().write_all(b"QUIT\r\n").unwrap();
    let mut said = String::new();
    // Without close_notify this would be an error: somebody could have cut the reply short.
    pop3.read_to_string(&mut said).unwrap();
    assert!(said.ends_with("+OK goodbye\r\n"), "{said}");
    drop(pop3);
    secure.events();
}

#[test]
fn octets_that_are_no_tls_are_told_apart_from_a_client_that_waits() {
    let mut slow = config();
    slow.limits = Limits { handshake_secs: 1, ..Limits::default() };
    let secure = Secure::with(slow);
    let mut telnet = secure.clear(Service::Submissions);
    telnet.write_all(b"EHLO ana\r\n").unwrap();
    let mut said = Vec::new();
    // An alert at most, and no greeting.
    let _ = telnet.read_to_end(&mut said);
    assert!(said.len() <= 7, "{said:?}");
    let mut silent = secure.clear(Service::Submissions);
    assert_eq!(silent.read(&mut [0; 100]).unwrap(), 0, "cut after a second");
    let mut stubborn = BufReader::new(secure.clear(Service::Smtp));
    stubborn.get_mut().write_all(b"EHLO ana\r\nSTARTTLS\r\n").unwrap();
    while !line(&mut stubborn).starts_with("220 2.0.0") {}
    stubborn.get_mut().write_all(b"MAIL FROM:<ana@g1.lab>\r\n").unwrap();
    let _ = stubborn.read_to_end(&mut said);
    drop(secure.clear(Service::Pop3s));
    let events = secure.events();
    let failures = failures(&events);
    assert!(failures[0].starts_with("what came is no TLS handshake"), "{failures:?}");
    assert!(failures[1].starts_with("it was not complete within 1 seconds"), "{failures:?}");
    assert!(failures[2].starts_with("what came is no TLS handshake"), "{failures:?}");
    assert!(failures[3].starts_with("the client closed the connection"), "{failures:?}");
    assert_eq!(endings(&events), [Ending::Refused, Ending::Idle, Ending::Refused, Ending::Dropped]);
    let connected = events.iter().filter(|event| matches!(event, EventKind::Connected { .. })).count();
    assert_eq!(connected, 4, "each has its beginning on record");
}

#[test]
fn a_client_that_never_finishes_its_handshake_has_a_seat() {
    let mut few = config();
    few.limits = Limits { sessions_per_student: 2, ..Limits::default() };
    let secure = Secure::with(few);
    let waiting = [secure.clear(Service::Pop3s), secure.clear(Service::Submissions)];
    while secure.running.server.status().unwrap().connections < waiting.len() {
        std::thread::yield_now();
    }
    let mut third = secure.clear(Service::Pop3s);
    assert_eq!(third.read(&mut [0; 100]).unwrap(), 0, "one too many is not worth a handshake");
    let (_, refused) = Client::greeted(secure.running.address(Service::Smtp));
    assert!(refused.starts_with("421 "), "{refused}");
    drop(waiting);
    let events = secure.events();
    assert!(failures(&events).iter().any(|why| why.starts_with("too many connections")), "{events:?}");
}

#[test]
fn a_handshake_may_come_an_octet_at_a_time() {
    let secure = Secure::new();
    let mut pop3 = secure.secured(secure.clear(Service::Pop3s));
    let StreamOwned { conn, sock } = pop3.get_mut();
    sock.set_nodelay(true).unwrap();
    while conn.is_handshaking() {
        let mut hello = Vec::new();
        while conn.wants_write() {
            conn.write_tls(&mut hello).unwrap();
        }
        for octet in hello {
            sock.write_all(&[octet]).unwrap();
        }
        if conn.is_handshaking() {
            conn.read_tls(sock).unwrap();
            conn.process_new_packets().unwrap();
        }
    }
    assert!(line(&mut pop3).starts_with("+OK "));
    drop(pop3);
    assert_eq!(endings(&secure.events()), [Ending::Dropped]);
}

#[test]
fn tls_may_be_required_or_off() {
    let mut required = config();
    required.tls = Tls::Required;
    let secure = Secure::with(required);
    let mut client = Client::new(secure.running.address(Service::Smtp));
    client.say("EHLO ana");
    assert!(client.say("MAIL FROM:<ana@g1.lab>").starts_with("530 5.7.0 "));
    drop(client);
    let mut off = config();
    off.tls = Tls::Off;
    let running = Running::new(off);
    let mut client = running.smtp();
    assert!(!client.say("EHLO ana").contains("STARTTLS"));
    assert!(client.say("STARTTLS").starts_with("502 "));
}

#[test]
fn mail_that_comes_faster_than_it_is_read_holds_nobody_up() {
    let secure = Secure::new();
    let stream = secure.clear(Service::Submissions);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut client = secure.secured(stream);
    assert!(line(&mut client).starts_with("220"));
    client.get_mut().conn.set_buffer_limit(None);
    let mut say = |text: &[u8], last: &str| {
        // All of it is encrypted before any of it is sent: the server is never the one who waits.
        let StreamOwned { conn, sock } = client.get_mut();
        conn.writer().write_all(text).unwrap();
        let mut records = Vec::new();
        while conn.wants_write() {
            conn.write_tls(&mut records).unwrap();
        }
        sock.write_all(&records).unwrap();
        loop {
            let said = line(&mut client);
            if said.starts_with(last) {
                return;
            }
            assert!(said.starts_with(&last.replace(' ', "-")), "{said}");
        }
    };
    say(b"EHLO me\r\n", "250 ");
    say(b"AUTH PLAIN AGFuYQBBbmE=\r\n", "235 ");
    for text in ["MAIL FROM:<ana@g1.lab>\r\n", "RCPT TO:<ben@g1.lab>\r\n"] {
        say(text.as_bytes(), "250 ");
    }
    say(b"DATA\r\n", "354 ");
    // Below the limit of a message, and far beyond what a task may read before it must give way to others.
    let mut mail = b"Subject: large\r\n\r\n".to_vec();
    mail.extend([b'x'; 998].iter().chain(b"\r\n").copied().cycle().take(9 * 1_000_000));
    mail.extend(b".\r\n");
    say(&mail, "250 ");
}

#[test]
fn curl_sends_and_reads_over_tls() {
    let secure = Secure::new();
    let curl = |words: &[&str], input: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "--cacert", &secure.ca_file()]).args(words);
        let mut curl = curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        curl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        printed(&curl.wait_with_output().unwrap())
    };
    let mail = ["--mail-from", "ana@g1.lab", "--mail-rcpt", "ben@g1.lab", "-T", "-"];
    let (smtp, smtps) = (secure.host(Service::Smtp), secure.host(Service::Submissions));
    curl(&[&["--ssl-reqd", &format!("smtp://{smtp}")][..], &mail].concat(), "Subject: one\r\n\r\n1\r\n");
    curl(&[&["-u", "ana:Ana", &format!("smtps://{smtps}")][..], &mail].concat(), "Subject: two\r\n\r\n2\r\n");
    let (pop3, pop3s) = (secure.host(Service::Pop3), secure.host(Service::Pop3s));
    let one = curl(&["--ssl-reqd", "-u", "ben:Ben", &format!("pop3://{pop3}/1")], "");
    let two = curl(&["-u", "ben:Ben", &format!("pop3s://{pop3s}/2")], "");
    assert!(one.contains("Subject: one\r\n") && one.contains("with ESMTPS id "), "{one}");
    assert!(two.contains("Subject: two\r\n") && two.ends_with("\r\n2\r\n"), "{two}");
    let events = secure.events();
    assert_eq!((versions(&events).len(), failures(&events).len()), (4, 0));
}

#[test]
fn pythons_smtplib_and_poplib_deliver_and_read_over_tls() {
    let secure = Secure::new();
    let program = r#"
import poplib, smtplib, ssl, sys
smtp, smtps, pop3, pop3s = map(int, sys.argv[2:])
context = ssl.create_default_context(cafile=sys.argv[1])
with smtplib.SMTP("127.0.0.1", smtp, timeout=20) as client:
    client.ehlo()
    assert client.has_extn("starttls")
    client.starttls(context=context)
    client.ehlo()
    assert not client.has_extn("starttls")
    client.sendmail("ana@g1.lab", ["ben@g1.lab"], "Subject: one\r\n\r\n" + ("x" * 70 + "\r\n") * 5000)
with smtplib.SMTP_SSL("127.0.0.1", smtps, timeout=20, context=context) as client:
    client.login("ana", "Ana")
    client.sendmail("ana@g1.lab", ["ben@g1.lab"], "Subject: two\r\n\r\n2\r\n")
pop = poplib.POP3("127.0.0.1", pop3, timeout=20)
assert "STLS" in pop.capa()
pop.stls(context=context)
assert "STLS" not in pop.capa()
pop.user("ben"); pop.pass_("Ben")
_, lines, _ = pop.retr(1)
assert lines.count(b"x" * 70) == 5000
pop.quit()
pop = poplib.POP3_SSL("127.0.0.1", pop3s, timeout=20, context=context)
pop.user("ben"); pop.pass_("Ben")
assert pop.stat()[0] == 2
pop.dele(1); pop.quit()
"#;
    let mut python = Command::new("python3");
    python.args(["-c", program, &secure.ca_file()]);
    for service in SERVICES {
        python.arg(secure.running.address(service).port().to_string());
    }
    printed(&python.stdin(Stdio::null()).output().unwrap());
    let events = secure.events();
    assert_eq!((versions(&events).len(), failures(&events).len()), (4, 0));
}
