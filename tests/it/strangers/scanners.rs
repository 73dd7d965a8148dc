//! Programs that look a server over: nmap's scripts, testssl.sh.

use std::thread;

use serde_json::Value;

use super::host::Host;

#[test]
fn nmap_finds_what_is_offered_and_no_open_relay() {
    let host = Host::up();
    let scan = |script: &str, service: &str| {
        let line = format!(
            "nmap -n -Pn -sT -p {{{service}.port}} --script +{script} --script-args smtp.domain=me {{{service}.host}}"
        );
        host.run(&line, "")
    };
    let commands = scan("smtp-commands", "smtp");
    for word in ["STARTTLS", "PIPELINING", "SIZE", "8BITMIME", "DSN", "CHUNKING", "SMTPUTF8", "ENHANCEDSTATUSCODES"] {
        assert!(commands.contains(word), "{word}: {commands}");
    }
    let relay = scan("smtp-open-relay", "smtp");
    assert!(relay.contains("Server doesn't seem to be an open relay"), "{relay}");
    let pop3 = scan("pop3-capabilities", "pop3");
    for word in ["UIDL", "TOP", "USER", "STLS", "PIPELINING"] {
        assert!(pop3.contains(word), "{word}: {pop3}");
    }
    let imap = scan("imap-capabilities", "imap");
    for word in ["IMAP4rev1", "IMAP4rev2", "IDLE", "UIDPLUS", "MOVE", "CONDSTORE", "STARTTLS", "LITERAL+"] {
        assert!(imap.contains(word), "{word}: {imap}");
    }
}

/// Whatever has TLS, and what is asked of it. Where it begins in the clear, the known attacks would be the same once more.
const TLS: [(&str, &str); 7] = [
    ("submissions", "--vulnerable"),
    ("pop3s", "--vulnerable"),
    ("imaps", "--vulnerable"),
    ("smtp", "--starttls smtp"),
    ("submission", "--starttls smtp"),
    ("pop3", "--starttls pop3"),
    ("imap", "--starttls imap"),
];

/// Protocols, categories of ciphers and the known attacks: what a server is judged by. The certificate is not: an authority that a
/// lab has made for itself is what it is meant to be, and the clients here verify it.
#[test]
fn testssl_finds_nothing_wrong_with_any_service() {
    let host = Host::up();
    let scan = |service: &str, more: &str| {
        let line = format!(
            "testssl --quiet --color 0 --warnings off --nodns none --protocols --std --jsonfile {service}.json {more} \
             {{{service}.host}}:{{{service}.port}}"
        );
        // Its exit status counts what it has to say; that is read from its report.
        let said = String::from_utf8_lossy(&host.ran(&line, "").stdout).into_owned();
        let found: Vec<Value> = serde_json::from_str(&host.read(&format!("{service}.json"))).expect(&said);
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let offered = |id: &str| found.iter().any(|one| one["id"] == id && text(one, "finding").starts_with("offered"));
        let attacks = found.iter().any(|one| one["id"] == "ROBOT") || more != "--vulnerable";
        assert!(offered("TLS1_2") && offered("TLS1_3") && attacks, "{service}: {said}");
        let bad: Vec<String> = found
            .iter()
            .filter(|one| ["WARN", "LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"].contains(&&*text(one, "severity")))
            // What it says of the openssl that it was given is not about us.
            .filter(|one| one["id"] != "engine_problem")
            .map(|one| format!("{service}: {} {} {}", text(one, "severity"), text(one, "id"), text(one, "finding")))
            .collect();
        bad
    };
    let bad: Vec<String> = thread::scope(|scope| {
        let scans = TLS.map(|(service, more)| scope.spawn(move || scan(service, more)));
        scans.into_iter().flat_map(|scan| scan.join().expect("a scan")).collect()
    });
    assert_eq!(bad, [""; 0]);
}
