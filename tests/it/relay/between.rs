//! From one group to the other: delivered once, waiting while the other is down, never in a circle, and on record.

use labctl::{
    evidence::EventKind,
    lab::{Limits, Patience},
};

use super::two::{PATIENCE, Two, patience, route, wait, ways};
use crate::server::client::Client;

#[test]
fn mail_goes_to_the_other_group_and_is_on_both_records() {
    let two = Two::new();
    assert!(two.send(&["ben@g2.lab"], "hola").starts_with("250"));
    let found = two.arrived(2, "ben", 1).remove(0);
    assert!(found.starts_with("Return-Path: <ana@g1.lab>\r\nReceived: from mail.g1.lab"), "{found}");
    assert_eq!(found.matches("Return-Path:").count(), 1, "only the last server adds it: {found}");
    assert_eq!(found.matches("Received:").count(), 2, "{found}");
    two.emptied();
    assert_eq!(
        ways(&two.events(1)),
        ["ana: accepted <ana@g1.lab> for ben@g2.lab", "ana: queued ben@g2.lab", "ana: relayed ben@g2.lab"]
    );
    assert_eq!(ways(&two.events(2)), ["server g1: accepted <ana@g1.lab> for ben@g2.lab"]);
}

#[test]
fn recipients_of_one_domain_go_in_one_transaction_and_each_has_a_fate_of_its_own() {
    let two = Two::new();
    two.send(&["ben@g2.lab", "nobody@g2.lab", "eva@G2.lab", "ana"], "hola");
    two.arrived(2, "ben", 1);
    two.arrived(2, "eva", 1);
    two.arrived(1, "ana", 2);
    two.emptied();
    assert_eq!(ways(&two.events(2)), ["server g1: accepted <ana@g1.lab> for ben@g2.lab eva@G2.lab"]);
    assert_eq!(
        ways(&two.events(1))[1..],
        [
            "ana: queued ben@g2.lab nobody@g2.lab eva@G2.lab",
            "ana: relayed ben@g2.lab eva@G2.lab",
            "ana: bounced nobody@g2.lab 5.1.1 true",
            "server g1: accepted <> for ana@g1.lab",
        ]
    );
}

#[test]
fn mail_waits_for_a_server_that_is_down_and_arrives_once_when_it_is_back() {
    let mut two = Two::one_alone(|_| {});
    two.send(&["ben@g2.lab"], "wait");
    let deferred =
        || ways(&two.events(1)).iter().any(|line| line.starts_with("ana: deferred ben@g2.lab")).then_some(());
    wait("the first try to fail", deferred);
    let (queue, count) = two.one.queue(10).unwrap();
    assert_eq!((count, queue[0].outgoing.recipient.as_str()), (1, "ben@g2.lab"));
    assert!(queue[0].reply.as_deref().unwrap().starts_with("451 4.4.1 connect to"), "{:?}", queue[0].reply);
    two.start_other();
    assert_eq!(two.arrived(2, "ben", 1).len(), 1);
    two.emptied();
    two.runtime.block_on(two.one.store().flush()).unwrap();
    assert_eq!(two.one.queue(10).unwrap().0, [], "the file says so too");
}

#[test]
fn mail_is_tried_at_once_where_somebody_says_so() {
    let never = Patience { retry_secs: 3_000, retry_most_secs: 3_000, give_up_secs: 9_000, ..patience() };
    let mut two = Two::one_alone(|configs| configs[0].relaying.patience = never);
    two.send(&["ben@g2.lab"], "wait");
    wait("the first try", || (two.one.queue(1).unwrap().0.first()?.attempts == 1).then_some(()));
    two.start_other();
    assert_eq!(two.one.try_now(Some("g3.lab")), 0);
    assert_eq!(two.one.try_now(Some("g2.lab")), 1);
    two.arrived(2, "ben", 1);
}

#[test]
fn the_queue_survives_a_restart() {
    let mut two = Two::one_alone(|_| {});
    two.send(&["ben@g2.lab"], "wait");
    two.runtime.block_on(two.one.stop(PATIENCE)).unwrap();
    let (config, path) = (two.configs[0].clone(), two.path(1));
    two.one = two.runtime.block_on(labctl::server::Server::start(config, &path)).unwrap();
    assert_eq!(two.one.queue(1).unwrap().1, 1);
    two.start_other();
    two.arrived(2, "ben", 1);
}

#[test]
fn what_goes_nowhere_comes_back_and_a_notice_never_does() {
    let two = Two::new();
    two.send(&["x@nowhere.test", "y@mail.g1.lab", "z@[192.0.2.1]"], "lost");
    let notices = two.arrived(1, "ana", 3).concat();
    for text in ["5.1.2 no such domain", "5.4.6 mail for mail.g1.lab leads back", "Action: failed"] {
        assert!(notices.contains(text), "{text}: {notices}");
    }
    let mut client = two.student(1);
    client.holds(&[("EHLO x", "250"), ("MAIL FROM:<>", "250"), ("RCPT TO:<x@nowhere.test>", "250"), ("DATA", "354")]);
    assert!(client.say("Subject: a notice\r\n\r\n.").starts_with("250"));
    wait("the end of the notice", || {
        ways(&two.events(1)).contains(&"ana: bounced x@nowhere.test 5.1.2 false".to_owned()).then_some(())
    });
    assert_eq!(two.mailbox(1, "ana").len(), 3);
}

#[test]
fn mail_in_a_circle_ends() {
    let two = Two::with(|configs| {
        let meet = [configs[1].relaying.neighbours[0].smtp, configs[0].relaying.neighbours[0].smtp];
        configs[0].relaying.routes = vec![route("circle.test", meet[1]), route("self.test", meet[0])];
        configs[1].relaying.routes = vec![route("circle.test", meet[0])];
        for config in configs {
            config.limits = Limits { hops: 6, ..Limits::default() };
        }
    });
    two.send(&["x@circle.test", "x@self.test"], "round");
    let notices = two.arrived(1, "ana", 2).concat();
    assert!(notices.contains("goes in a circle"), "{notices}");
    assert!(notices.contains("5.4.6 mail for self.test leads back"), "{notices}");
}

#[test]
fn a_time_that_is_up_returns_the_message() {
    let short = Patience { warn_secs: 1, give_up_secs: 2, ..patience() };
    let two = Two::one_alone(|configs| configs[0].relaying.patience = short);
    two.send(&["ben@g2.lab"], "late");
    let notices = two.arrived(1, "ana", 2);
    assert!(notices[0].contains("Action: delayed") && notices[0].contains("Will-Retry-Until:"), "{}", notices[0]);
    assert!(notices[1].contains("Action: failed") && notices[1].contains("Status: 5.4.7"), "{}", notices[1]);
    two.emptied();
}

#[test]
fn the_queue_has_room_for_so_many_and_no_more() {
    let two = Two::one_alone(|configs| configs[0].relaying.patience.recipients = 3);
    two.send(&["ben@g2.lab", "eva@g2.lab"], "two");
    let mut client = two.student(1);
    client.holds(&[("EHLO x", "250"), ("MAIL FROM:<ana@g1.lab>", "250"), ("RCPT TO:<a@g2.lab>", "250")]);
    client.holds(&[("RCPT TO:<b@g2.lab>", "452 4.3.1"), ("RCPT TO:<ana@g1.lab>", "250")]);
}

#[test]
fn a_server_that_comes_as_itself_is_no_student_and_a_student_is_no_server() {
    let two = Two::new();
    // Whoever comes to where the servers meet, from anywhere else, is nobody in particular.
    let mut stranger = Client::new(two.meet[1]);
    stranger.holds(&[("EHLO x", "250"), ("MAIL FROM:<x@g9.lab>", "250"), ("RCPT TO:<ben@g2.lab>", "250")]);
    stranger.holds(&[("DATA", "354")]);
    stranger.holds(&[("Subject: x\r\n\r\n.", "250")]);
    assert_eq!(ways(&two.events(2)), ["nobody: accepted <x@g9.lab> for ben@g2.lab"]);
}

#[test]
fn a_reset_takes_what_waits() {
    let two = Two::one_alone(|_| {});
    two.send(&["ben@g2.lab"], "gone");
    let origin = labctl::store::Origin {
        conn: labctl::evidence::Conn(0),
        who: labctl::evidence::Who::Instructor,
        time: labctl::evidence::Timestamp(0),
    };
    two.runtime.block_on(two.one.store().reset(origin, vec!["ana".parse().unwrap()], false)).unwrap();
    two.one.try_now(None);
    two.emptied();
    assert!(two.events(1).iter().any(|event| matches!(event.kind, EventKind::Reset { .. })));
}
