//! Postfix as the other domain's server: our queue delivers to it, it delivers to us, and what it refuses comes back.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use labctl::{
    engine::Authority,
    evidence::EventKind,
    lab::{ServerConfig, Service, server::Endpoint},
    server::Server,
};

use super::two::{Two, config, free, route, wait};
use crate::server::client::Client;

/// What writes Postfix's configuration for the benchmark serves here too.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/peers.sh");

/// Ports that Postfix is started on until one is free.
const TRIES: usize = 5;

/// Postfix, started in a folder of its own as the server of `postfix.test`, with the mailbox `user2`.
struct Postfix {
    folder: PathBuf,
    address: SocketAddr,
    /// Its master process, ancestor of all others.
    master: Option<String>,
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap_or_else(|problem| panic!("`{program}`: {problem}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "`{program} {}`: {}", words.join(" "), String::from_utf8_lossy(&said));
}

impl Postfix {
    fn start(folder: &Path, settings: &[String]) -> Self {
        // Its processes are not root's, and must find their way.
        for path in [folder.parent().unwrap(), folder] {
            fs::create_dir_all(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut postfix = Self { folder: folder.to_owned(), address: free(), master: None };
        let mut tries = 1..=TRIES;
        loop {
            // The script knows the port only.
            postfix.address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            run(SCRIPT, &["postfix", folder.to_str().unwrap(), &postfix.address.port().to_string()]);
            let etc = postfix.etc();
            let mut words = vec!["-c", &etc, "-e", "mydestination=postfix.test", "myhostname=mail.postfix.test"];
            words.extend(settings.iter().map(String::as_str));
            run("/usr/sbin/postconf", &words);
            let output = Command::new("/usr/sbin/postfix").args(["-c", &etc, "start"]).output().expect("Postfix");
            if output.status.success() {
                break;
            }
            // Between our look and its start another test's connection may have got the port.
            assert!(tries.next().is_some(), "Postfix does not start: {output:?}");
        }
        let pid = folder.join("queue/pid/master.pid");
        postfix.master = Some(wait("Postfix's pid", || fs::read_to_string(&pid).ok()).trim().to_owned());
        wait("Postfix", || std::net::TcpStream::connect(postfix.address).ok());
        postfix
    }

    fn etc(&self) -> String {
        self.folder.join("etc").to_str().unwrap().to_owned()
    }

    /// The messages that it has delivered.
    fn mailbox(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.join("mail/user2/new")).into_iter().flatten();
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Postfix {
    /// A test that fails must not leave it behind. By its pid: the folder may be gone by then.
    fn drop(&mut self) {
        if let Some(master) = &self.master {
            let _ = Command::new("kill").args(["-TERM", master]).output();
        }
    }
}

#[test]
fn postfix_and_we_deliver_to_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (meet, mut own) = (free(), config(1, &["ana"]));
    let way = format!("transport_maps=inline:{{g1.lab=smtp:[{}]:{}}}", meet.ip(), meet.port());
    let (place, certificate) = (folder.path().join("postfix"), folder.path().join("postfix.pem"));
    let endpoint = |address| Endpoint { service: Service::Smtp, address, student: None };
    own.endpoints.push(endpoint(meet));
    // Both have a certificate of the lab's authority, and Postfix delivers to nobody whose name it cannot verify.
    let mut authority = Authority::passing(&own.lab).unwrap();
    own.identity = authority.identify(&own, None).unwrap();
    let theirs = ServerConfig {
        group: "postfix".parse().unwrap(),
        domain: "postfix.test".parse().unwrap(),
        host: "mail.postfix.test".to_owned(),
        endpoints: vec![endpoint(([127, 0, 0, 1], 25).into())],
        ..own.clone()
    };
    let theirs = authority.identify(&theirs, None).unwrap().unwrap();
    let trusted = folder.path().join("ca.pem");
    fs::write(&certificate, theirs.key + &theirs.certificate).unwrap();
    fs::write(&trusted, authority.certificate()).unwrap();
    let tls = ["smtpd_tls_security_level=may", "smtpd_tls_received_header=yes", "smtp_tls_security_level=verify"];
    let files = [("smtpd_tls_chain_files", &certificate), ("smtp_tls_CAfile", &trusted)];
    let files = files.map(|(setting, file)| format!("{setting}={}", file.display()));
    let matched = format!("smtp_tls_verify_cert_match={}", own.host);
    let settings = [&tls.map(str::to_owned)[..], &files, &[way, matched]].concat();
    let postfix = Postfix::start(&place, &settings);
    own.relaying.routes = vec![route("postfix.test", postfix.address)];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = folder.path().join("g1.db");
    let one = runtime.block_on(Server::start(own.clone(), &path)).unwrap();
    let two = Two { runtime, folder, one, other: None, meet: [meet, meet], configs: [own.clone(), own] };

    // Ours to it, to one who is there and one who is not, in one transaction.
    two.send(&["user2@postfix.test", "stranger@postfix.test"], "to postfix");
    let found = wait("mail in Postfix's mailbox", || postfix.mailbox().pop());
    assert!(found.contains("Subject: to postfix\n") && found.contains("by mail.g1.lab with ESMTP"), "{found}");
    assert!(found.contains("(using TLSv1.3 with cipher"), "Postfix says that it was encrypted: {found}");
    let relayed = two.events(1).into_iter().find_map(|event| match event.kind {
        EventKind::Relayed { tls, .. } => tls,
        _ => None,
    });
    assert_eq!(relayed.as_deref(), Some("TLSv1.3 verified"));
    let notice = two.arrived(1, "ana", 1).remove(0);
    for line in ["Final-Recipient: rfc822; stranger@postfix.test", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1"]
    {
        assert!(notice.contains(line), "{line}: {notice}");
    }

    // Its to us, and its notice for somebody whom we do not have.
    let mut client = Client::new(postfix.address);
    client.holds(&[("EHLO x", "250"), ("MAIL FROM:<user2@postfix.test>", "250"), ("RCPT TO:<ana@g1.lab>", "250")]);
    client.holds(&[
        ("RCPT TO:<nobody@g1.lab>", "250"),
        ("DATA", "354"),
        ("Subject: from postfix\r\n\r\n.dot\r\n.", "250"),
    ]);
    let found = two.arrived(1, "ana", 2).remove(1);
    assert!(found.contains("Subject: from postfix\r\n") && found.contains("mail.postfix.test"), "{found}");
    assert!(found.contains("by mail.g1.lab with ESMTPS id "), "{found}");
    let notice = wait("Postfix's notice", || {
        postfix.mailbox().into_iter().find(|text| text.contains("Undelivered Mail Returned to Sender"))
    });
    assert!(notice.contains("550 5.1.1 no mailbox for <nobody@g1.lab>"), "{notice}");
}
