//! What one student can have recorded: repetitions beyond a rate once with their count, and no more than the lab allows, at
//! nobody else's cost.

use labctl::{
    evidence::{Ending, Event, EventKind},
    lab::{Limits, Service},
};

use super::{
    client::Client,
    running::{Running, config, endpoint},
};

/// A server with an endpoint of ana's own for each service, and one of ben's for SMTP.
fn running(limits: Limits) -> Running {
    let mut config = config();
    config.limits = limits;
    let own = [Service::Smtp, Service::Pop3, Service::Imap, Service::Domain];
    config.endpoints = own.map(|service| endpoint(service, Some("ana"))).to_vec();
    config.endpoints.push(endpoint(Service::Submission, Some("ben")));
    Running::new(config)
}

fn commands(events: &[Event], verb: &str) -> Vec<u32> {
    let times = |event: &Event| match &event.kind {
        EventKind::Command { verb: own, times, .. } if &**own == verb => Some(*times),
        _ => None,
    };
    events.iter().filter_map(times).collect()
}

#[test]
fn a_loop_of_one_command_is_recorded_once_with_its_count() {
    let running = running(Limits { commands_per_second: 1, ..Limits::default() });
    let mut client = running.smtp();
    for _ in 0..1_000 {
        client.holds(&[("HELO me", "250")]);
    }
    client.holds(&[("QUIT", "221")]);
    drop(client);
    running.all_gone();
    let events = running.stopped();
    let helos = commands(&events, "HELO");
    assert_eq!(helos.iter().sum::<u32>(), 1_000, "none is lost");
    assert!(helos.len() < 200, "{}", helos.len());
    assert_eq!(commands(&events, "QUIT"), [1], "and what came last came last");
    assert!(matches!(events.last().unwrap().kind, EventKind::Disconnected { how: Ending::Quit }));
}

#[test]
fn whoever_fills_the_record_is_turned_away_and_nobody_else() {
    let running = running(Limits { evidence: 65_536, errors: 100_000, ..Limits::default() });
    let (mut smtp, mut neighbour) = (running.smtp(), Client::new(running.address(Service::Submission)));
    let mut pop3 = Client::new(running.address(Service::Pop3));
    let mut imap = Client::new(running.address(Service::Imap));
    let mut said = String::new();
    for number in 0..10_000 {
        said = smtp.say(&format!("NOOP {number}"));
        if !said.starts_with("250") {
            break;
        }
    }
    assert!(said.starts_with("421 4.7.0") && said.contains("labctl compact"), "{said}");
    assert_eq!(smtp.rest(), "");
    assert!(pop3.say("CAPA").starts_with("-ERR [SYS/TEMP]"));
    assert!(imap.say("a NOOP").starts_with("* BYE"));
    for (service, word) in [(Service::Smtp, "421"), (Service::Pop3, "-ERR [SYS/TEMP]"), (Service::Imap, "* BYE")] {
        let (client, greeting) = Client::greeted(running.address(service));
        assert!(greeting.starts_with(word), "{greeting}");
        assert_eq!(client.rest(), "");
    }
    assert_eq!(asked(&running), 5, "REFUSED");
    neighbour.holds(&[("HELO ben", "250")]);
    assert_eq!(running.server.exhausted().iter().map(labctl::store::Account::name).collect::<Vec<_>>(), ["ana"]);

    running.runtime.block_on(running.server.reset(vec!["ana".parse().unwrap()], false)).unwrap();
    assert!(Client::greeted(running.address(Service::Smtp)).1.starts_with("220"), "a new run has room");
    assert_eq!(asked(&running), 0);
    drop(neighbour);
    let events = running.stopped();
    let told = |event: &&Event| matches!(&event.kind, EventKind::Exhausted { whom, octets: 65_536 } if whom == "ana");
    assert_eq!(events.iter().filter(told).count(), 1, "said once");
    let connected = events.iter().filter(|event| event.kind.name() == "connected").count();
    assert_eq!(connected, 5, "who comes too late is not even recorded");
}

/// The code of the answer to a query for the server's own name.
fn asked(running: &Running) -> u8 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let query = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02g1\x03lab\x00\x00\x0f\x00\x01";
    socket.send_to(query, running.address(Service::Domain)).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).unwrap();
    assert!(length >= 12 && answer[..2] == [0, 7]);
    answer[3] & 0x0f
}
