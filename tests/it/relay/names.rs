//! DNS on real sockets, asked by dig and by a client of our own.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    process::Command,
    time::Duration,
};

use labctl::{
    evidence::{EventKind, Who},
    lab::Service,
};

use super::two::{PATIENCE, Two, wait};

/// `dig` with these words; its answers, a line each.
fn dig(at: SocketAddr, words: &[&str]) -> String {
    let mut dig = Command::new("dig");
    dig.arg(format!("@{}", at.ip())).args(["-p", &at.port().to_string(), "+short", "+time=5", "+tries=1"]).args(words);
    let output = dig.output().expect("dig");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap().trim().replace('\n', " | ")
}

/// A question for a name's address, by hand.
fn question(name: &str) -> Vec<u8> {
    let mut octets = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend_from_slice(label.as_bytes());
    }
    octets.extend_from_slice(&[0, 0, 1, 0, 1]);
    octets
}

#[test]
fn dig_finds_mail_servers_and_each_question_is_the_students() {
    let two = Two::new();
    let at = two.address(1, Service::Domain);
    assert_eq!(dig(at, &["g1.lab", "MX"]), "10 mail.g1.lab.");
    assert_eq!(dig(at, &["mail.g1.lab"]), "127.0.0.1");
    assert_eq!(dig(at, &["g2.lab", "MX", "+tcp"]), "10 mail.g2.lab.");
    assert_eq!(dig(at, &["mail.g1.lab", "AAAA"]), "");
    assert_eq!(dig(at, &["-x", "127.0.0.1"]), "mail.g1.lab.");
    assert_eq!(dig(at, &["no.such.name", "MX"]), "");
    let seen = |event: &labctl::evidence::Event| match (&event.who, &event.kind) {
        (Who::Student { login, .. }, EventKind::Query { name, record, answer, tcp, .. }) => {
            Some(format!("{login} {name} {record} {answer}{}", if *tcp { " tcp" } else { "" }))
        }
        _ => None,
    };
    let found: Vec<String> = two.events(1).iter().filter_map(seen).collect();
    assert_eq!(
        found,
        [
            "ana g1.lab MX NOERROR",
            "ana mail.g1.lab A NOERROR",
            "ana g2.lab MX NOERROR tcp",
            "ana mail.g1.lab AAAA NOERROR",
            "ana 1.0.0.127.in-addr.arpa PTR NOERROR",
            "ana no.such.name MX NXDOMAIN",
        ]
    );
}

#[test]
fn a_student_who_asks_in_a_loop_gets_answers_and_fills_no_disk() {
    let two = Two::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(two.address(1, Service::Domain)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 512];
    for _ in 0..400 {
        socket.send(&question("mail.g1.lab")).unwrap();
        assert!(socket.recv(&mut answer).unwrap() > 12);
    }
    let recorded = two.events(1).iter().filter(|event| matches!(event.kind, EventKind::Query { .. })).count();
    assert!((100..200).contains(&recorded), "{recorded}");
}

#[test]
fn what_is_no_question_over_tcp_ends_only_that_connection() {
    let two = Two::new();
    let at = two.address(1, Service::Domain);
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = question("g1.lab");
    // Two questions in one piece, cut in the middle of the second: the length says where each ends.
    let length = u16::try_from(ask.len()).unwrap().to_be_bytes();
    let both = [length.as_slice(), &ask, &length, &ask].concat();
    stream.write_all(&both[..both.len() - 5]).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    stream.write_all(&both[both.len() - 5..]).unwrap();
    for _ in 0..2 {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!((answer[1], answer[3] & 15), (7, 0), "{answer:?}");
    }
    stream.write_all(&[0, 3, 1, 2, 3]).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    wait("the seat to be given back", || (two.one.status().unwrap().connections == 0).then_some(()));
    assert_eq!(dig(at, &["mail.g1.lab"]), "127.0.0.1");
}
