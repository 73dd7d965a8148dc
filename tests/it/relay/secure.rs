//! TLS between servers: over it where the other one offers it, known by the lab's authority where it is one of ours, and in the
//! clear where it cannot be had.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    thread::{self, JoinHandle},
};

use labctl::{
    engine::Authority,
    evidence::{EventKind, TlsVersion},
    lab::{LabName, ServerConfig, Tls},
};

use super::two::{Two, wait};

/// How the first group's server says it passed its mail on.
fn relayed(two: &Two) -> Vec<Option<String>> {
    let tls = |event: labctl::evidence::Event| match event.kind {
        EventKind::Relayed { tls, .. } => Some(tls),
        _ => None,
    };
    two.events(1).into_iter().filter_map(tls).collect()
}

/// Gives the servers their certificates.
fn identify(configs: &mut [ServerConfig; 2], authorities: [&mut Authority; 2]) {
    for (config, authority) in configs.iter_mut().zip(authorities) {
        config.identity = authority.identify(config, None).unwrap();
    }
}

fn authority(lab: &LabName) -> Authority {
    Authority::passing(lab).unwrap()
}

/// What the second group's server saw of TLS.
fn secured(two: &Two) -> usize {
    let secured =
        |event: &labctl::evidence::Event| matches!(event.kind, EventKind::Secured { version: TlsVersion::V13, .. });
    two.events(2).iter().filter(|event| secured(event)).count()
}

#[test]
fn a_server_of_the_lab_is_known_by_its_certificate() {
    let two = Two::with(|configs| {
        let mut ours = authority(&configs[0].lab);
        configs[0].identity = ours.identify(&configs[0], None).unwrap();
        configs[1].identity = ours.identify(&configs[1], None).unwrap();
    });
    two.send(&["ben@g2.lab"], "hola");
    let found = two.arrived(2, "ben", 1).remove(0);
    assert!(found.contains("with ESMTPS id"), "{found}");
    two.emptied();
    assert_eq!((relayed(&two), secured(&two)), (vec![Some("TLSv1.3 verified".to_owned())], 1));
}

#[test]
fn who_has_another_certificate_gets_the_mail_and_the_record_says_so() {
    // Another authority, and ours for another name.
    let changes: [fn(&mut [ServerConfig; 2]); 2] = [
        |configs| {
            let (mut ours, mut theirs) = (authority(&configs[0].lab), authority(&configs[0].lab));
            identify(configs, [&mut ours, &mut theirs]);
        },
        |configs| {
            let mut ours = authority(&configs[0].lab);
            configs[0].identity = ours.identify(&configs[0], None).unwrap();
            let mut other = configs[1].clone();
            other.host = "mail.g3.lab".to_owned();
            other.domain = "g3.lab".parse().unwrap();
            configs[1].identity = ours.identify(&other, None).unwrap();
        },
    ];
    for change in changes {
        let two = Two::with(change);
        two.send(&["ben@g2.lab"], "hola");
        two.arrived(2, "ben", 1);
        two.emptied();
        assert_eq!((relayed(&two), secured(&two)), (vec![Some("TLSv1.3 unverified".to_owned())], 1));
    }
}

#[test]
fn mail_goes_in_the_clear_where_there_is_no_starttls() {
    let two = Two::with(|configs| {
        let mut ours = authority(&configs[0].lab);
        configs[0].identity = ours.identify(&configs[0], None).unwrap();
        configs[1].tls = Tls::Off;
    });
    two.send(&["ben@g2.lab"], "hola");
    let found = two.arrived(2, "ben", 1).remove(0);
    assert!(found.contains("with ESMTP id"), "{found}");
    two.emptied();
    assert_eq!((relayed(&two), secured(&two)), (vec![None], 0));
}

/// A server that promises TLS and has none: what it says to a handshake is `nonsense`. Hands out what it was told in each of
/// two connections.
fn liar(address: SocketAddr, nonsense: &'static [u8]) -> JoinHandle<Vec<String>> {
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        let mut told = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut verbs = Vec::new();
            let mut data = false;
            stream.write_all(b"220 liar\r\n").unwrap();
            loop {
                let mut line = Vec::new();
                if lines.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
                    break;
                }
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if data && line != "." {
                    continue;
                }
                let verb = line.split(' ').next().unwrap_or_default().to_owned();
                data = verb == "DATA";
                verbs.push(verb.clone());
                let reply: &[u8] = match verb.as_str() {
                    "EHLO" => b"250-liar\r\n250 STARTTLS\r\n",
                    "STARTTLS" => b"220 go ahead\r\n",
                    "DATA" => b"354 go on\r\n",
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 ok\r\n",
                };
                if stream.write_all(reply).is_err() {
                    break;
                }
                if verb == "STARTTLS" {
                    let _ = stream.write_all(nonsense);
                    break;
                }
            }
            told.push(verbs.join(" "));
        }
        told
    })
}

#[test]
fn mail_goes_in_the_clear_where_the_handshake_fails() {
    for nonsense in [b"".as_slice(), b"500 what?\r\n", b"\x15\x03\x03\x00\x02\x02\x28"] {
        let two = Two::one_alone(|_| {});
        let liar = liar(two.meet[1], nonsense);
        two.send(&["ben@g2.lab"], "hola");
        two.emptied();
        wait("the relayed event", || (relayed(&two) == [None]).then_some(()));
        // The connection stays open a moment for more mail.
        assert_eq!(liar.join().unwrap(), ["EHLO STARTTLS", "EHLO MAIL RCPT DATA . QUIT"], "{nonsense:?}");
    }
}
