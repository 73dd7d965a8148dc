//! Questions and answers, as dig would show them.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::Metadata;
use proptest::prelude::*;

use super::*;
use crate::{
    lab::{Neighbour, ServerConfig},
    protocol::fixture,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 77, 1, 2));

/// `g1.lab`, whose server knows that of `g2.lab`, and a client `ana` at 10.77.0.3.
fn config() -> ServerConfig {
    let mut config = (*fixture::peer("labctl").config).clone();
    config.domain = "g1.lab".parse().unwrap();
    config.host = "mail.g1.lab".to_owned();
    config.clients = [(IpAddr::from([10, 77, 0, 3]), "ana".parse().unwrap())].into();
    config.relaying.neighbours = vec![Neighbour {
        group: "g2".parse().unwrap(),
        domain: "g2.lab".parse().unwrap(),
        host: "mail.g2.lab".to_owned(),
        smtp: ([127, 77, 2, 255], 2525).into(),
        from: [127, 77, 2, 255].into(),
    }];
    config
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn asked(message: &Message, tcp: bool) -> (Message, Option<EventKind>) {
    let config = config();
    let answer = answer(&Zone::new(&config, HERE), &message.to_vec().unwrap(), tcp).expect("an answer");
    (Message::from_vec(&answer.octets).expect("it reads"), answer.seen)
}

/// The answer in a line: its code, whether it is final, its records, `;` and those beside them.
fn dig(name: &str, kind: RecordType) -> String {
    let (said, _) = asked(&question(name, kind), false);
    assert_eq!((said.metadata.id, said.metadata.message_type), (7, MessageType::Response));
    assert!(said.metadata.recursion_desired && !said.metadata.recursion_available, "it has no recursion to offer");
    let records =
        |records: &[Record]| records.iter().map(|record| record.data.to_string()).collect::<Vec<_>>().join(" ");
    let aa = if said.metadata.authoritative { "aa " } else { "" };
    let code = said.metadata.response_code;
    let start = if said.authorities.is_empty() { "" } else { " soa" };
    let (answers, more) = (records(&said.answers), records(&said.additionals));
    format!("{code:?} {aa}[{answers}]{start}{}", if more.is_empty() { String::new() } else { format!("; {more}") })
}

#[test]
fn a_server_knows_its_own_names_as_whoever_asks_reaches_it() {
    assert_eq!(dig("mail.g1.lab.", RecordType::A), "NoError aa [127.77.1.2]");
    assert_eq!(dig("MAIL.G1.Lab.", RecordType::A), "NoError aa [127.77.1.2]");
    assert_eq!(dig("g1.lab.", RecordType::A), "NoError aa [127.77.1.2]");
    assert_eq!(dig("g1.lab.", RecordType::MX), "NoError aa [10 mail.g1.lab.]; 127.77.1.2");
    assert_eq!(dig("g1.lab.", RecordType::NS), "NoError aa [mail.g1.lab.]; 127.77.1.2");
    assert_eq!(dig("mail.g1.lab.", RecordType::AAAA), "NoError aa [] soa");
    assert_eq!(dig("ana.g1.lab.", RecordType::A), "NoError aa [10.77.0.3]");
    assert_eq!(dig("nobody.g1.lab.", RecordType::A), "NXDomain aa [] soa");
    let start = dig("g1.lab.", RecordType::SOA);
    assert!(start.starts_with("NoError aa [mail.g1.lab. hostmaster.g1.lab. "), "{start}");
}

#[test]
fn whatever_a_server_is_called_mail_in_its_domain_means_it() {
    let mut config = config();
    config.host = "VAIO".to_owned();
    config.relaying.neighbours[0].host = "goliat.ugr.es".to_owned();
    let zone = Zone::new(&config, HERE);
    let addresses = |name: &str| zone.find(name).map(|node| node.addresses).unwrap_or_default();
    for name in ["vaio", "mail.g1.lab", "g1.lab"] {
        assert_eq!(addresses(name), [HERE], "{name}");
    }
    for name in ["goliat.ugr.es", "mail.g2.lab", "g2.lab"] {
        assert_eq!(addresses(name), [IpAddr::from([127, 77, 2, 255])], "{name}");
    }
}

#[test]
fn a_server_knows_where_the_others_are() {
    assert_eq!(dig("g2.lab.", RecordType::MX), "NoError aa [10 mail.g2.lab.]; 127.77.2.255");
    assert_eq!(dig("mail.g2.lab.", RecordType::A), "NoError aa [127.77.2.255]");
    assert_eq!(
        dig("lab.", RecordType::MX),
        "NoError [] soa".replace("[]", "aa []"),
        "a name that others end in exists"
    );
    assert_eq!(dig("x.mail.g2.lab.", RecordType::A), "NXDomain aa [] soa");
}

#[test]
fn an_address_has_a_name() {
    assert_eq!(dig("2.1.77.127.in-addr.arpa.", RecordType::PTR), "NoError aa [mail.g1.lab.]");
    assert_eq!(dig("255.2.77.127.in-addr.arpa.", RecordType::PTR), "NoError aa [mail.g2.lab.]");
    assert_eq!(dig("3.0.77.10.in-addr.arpa.", RecordType::PTR), "NoError aa [ana.g1.lab.]");
    assert_eq!(dig("1.2.0.192.in-addr.arpa.", RecordType::PTR), "NXDomain []");
}

#[test]
fn an_address_of_the_newer_kind_is_told_as_one() {
    let config = config();
    let query = question("mail.g1.lab.", RecordType::AAAA).to_vec().unwrap();
    let answer = answer(&Zone::new(&config, "2001:db8::1".parse().unwrap()), &query, false).unwrap();
    assert_eq!(Message::from_vec(&answer.octets).unwrap().answers[0].data.to_string(), "2001:db8::1");
}

#[test]
fn nothing_else_is_known_and_nobody_else_is_asked() {
    assert_eq!(dig("example.com.", RecordType::A), "NXDomain []");
    assert_eq!(dig("g1.lab.", RecordType::AXFR), "Refused []");
    assert!(dig("g1.lab.", RecordType::ANY).starts_with("NoError aa ["));
    let mut other = question("g1.lab.", RecordType::A);
    other.queries[0].query_class = DNSClass::CH;
    assert_eq!(asked(&other, false).0.metadata.response_code, ResponseCode::Refused);
    let mut update = question("g1.lab.", RecordType::A);
    update.metadata.op_code = OpCode::Notify;
    assert_eq!(asked(&update, false).0.metadata.response_code, ResponseCode::NotImp);
    let mut twice = question("g1.lab.", RecordType::A);
    twice.queries.push(twice.queries[0].clone());
    assert_eq!(asked(&twice, false).0.metadata.response_code, ResponseCode::FormErr);
}

#[test]
fn a_question_is_seen() {
    let (_, seen) = asked(&question("Mail.g1.lab.", RecordType::A), true);
    let (name, record, answer) = ("Mail.g1.lab".to_owned(), "A".to_owned(), "NOERROR".to_owned());
    assert_eq!(seen, Some(EventKind::Query { name, record, answer, records: 1, tcp: true }));
    let (_, seen) = asked(&question("no.example.", RecordType::MX), false);
    let (name, record, answer) = ("no.example".to_owned(), "MX".to_owned(), "NXDOMAIN".to_owned());
    assert_eq!(seen, Some(EventKind::Query { name, record, answer, records: 0, tcp: false }));
}

#[test]
fn what_is_no_question_makes_no_circle() {
    let config = config();
    let zone = Zone::new(&config, HERE);
    let mut response = question("g1.lab.", RecordType::A);
    response.metadata.message_type = MessageType::Response;
    assert_eq!(answer(&zone, &response.to_vec().unwrap(), false), None);
    assert_eq!(answer(&zone, &[0; HEADER - 1], false), None);
    let broken = answer(&zone, &[1, 2, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0], false).unwrap();
    let said = Message::from_vec(&broken.octets).unwrap();
    let Metadata { id, response_code, .. } = said.metadata;
    assert_eq!((id, response_code), (0x0102, ResponseCode::FormErr));
}

#[test]
fn an_answer_that_does_not_fit_is_cut_and_comes_whole_over_tcp() {
    let over = |clients: u8, payload: Option<u16>, tcp| {
        let mut config = config();
        config.clients = (0..clients).map(|n| (IpAddr::from([10, 0, 0, n]), "ana".parse().unwrap())).collect();
        let mut query = question("ana.g1.lab.", RecordType::A);
        query.edns = payload.map(|payload| {
            let mut edns = Edns::new();
            edns.set_max_payload(payload);
            edns
        });
        let octets = answer(&Zone::new(&config, HERE), &query.to_vec().unwrap(), tcp).unwrap().octets;
        assert!(tcp || octets.len() <= usize::from(payload.map_or(512, |payload| payload.clamp(512, UDP_EXTENDED))));
        let said = Message::from_vec(&octets).unwrap();
        (said.metadata.truncation, said.answers.len())
    };
    // An address takes 16 octets, all else 28.
    assert_eq!((over(30, None, false), over(31, None, false)), ((false, 30), (true, 0)));
    assert_eq!((over(31, None, true), over(200, None, true)), ((false, 31), (false, 200)));
    assert_eq!((over(31, Some(4_096), false), over(80, Some(4_096), false)), ((false, 31), (true, 0)));
    assert_eq!(over(31, Some(100), false), (true, 0), "less than 512 is nobody's limit (RFC 6891 6.2.3)");
}

proptest! {
    #[test]
    fn any_octets_get_a_small_answer_or_none(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        let config = config();
        let zone = Zone::new(&config, HERE);
        if let Some(answer) = answer(&zone, &octets, false) {
            prop_assert!(answer.octets.len() <= usize::from(UDP_EXTENDED));
        }
    }

    #[test]
    fn any_name_gets_an_answer(labels in proptest::collection::vec("[a-z0-9_-]{1,20}", 1..6), kind in any::<u16>()) {
        let config = config();
        let Ok(name) = Name::from_ascii(format!("{}.g1.lab.", labels.join("."))) else { return Ok(()) };
        let mut query = question("g1.lab.", RecordType::from(kind));
        query.queries[0].name = name;
        let Ok(octets) = query.to_vec() else { return Ok(()) };
        if let Some(answer) = answer(&Zone::new(&config, HERE), &octets, false) {
            prop_assert!(answer.octets.len() <= UDP);
        }
    }
}
