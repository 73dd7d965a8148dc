//! Programs that look a server over: nmap's scripts.

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
