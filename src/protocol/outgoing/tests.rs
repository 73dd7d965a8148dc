//! What follows from a try, for one message whose recipients have every kind of verdict.

use super::*;
use crate::{
    evidence::MessageId,
    lab::Patience,
    mail::{
        Outgoing, QueueId, Wishes,
        dsn::{Notice, Notices, Notify, Original as Given, Ret},
    },
    protocol::fixture,
};

const SEED: u64 = 0x1234;

fn config() -> ServerConfig {
    let mut config = (*fixture::peer("labctl").config).clone();
    config.domain = "g1.lab".parse().unwrap();
    config.host = "mail.g1.lab".to_owned();
    let account = config.accounts.values().next().expect("an account").clone();
    config.accounts = [("ana".parse().unwrap(), account)].into();
    config.relay = true;
    config.relaying.patience =
        Patience { retry_secs: 5, retry_most_secs: 60, warn_secs: 100, give_up_secs: 900, ..Patience::default() };
    config
}

fn queued(id: u64, recipient: &str, notify: Notify) -> Queued {
    Queued {
        id: QueueId(id),
        message: MessageId(9),
        sender: "ana@g1.lab".to_owned(),
        outgoing: Outgoing { recipient: recipient.to_owned(), domain: "g2.lab".to_owned() },
        notice: Notice { notify, original: None },
        wishes: Wishes::default(),
        who: Who::Unknown,
        run: 1,
        queued: Timestamp(0),
        since: Timestamp(0),
        attempts: 0,
        due: Timestamp(0),
        warned: false,
        reply: None,
    }
}

fn server() -> Tried {
    Tried { name: "mail.g2.lab".to_owned(), address: "127.77.2.255".to_owned(), tls: None }
}

fn at(secs: i64) -> Now {
    Now { micros: secs * 1_000_000, steady_micros: secs * 1_000_000, utc_offset_secs: 3_600 }
}

fn taken(told: bool) -> Verdict {
    Verdict::Taken { reply: Reply::own(250, "2.0.0 accepted"), told }
}

fn later() -> Verdict {
    Verdict::Later(Reply::own(452, "4.2.2 full"))
}

fn never() -> Verdict {
    Verdict::Never(Reply::own(550, "5.1.1 no such user"))
}

/// One recipient, one verdict, at so many seconds: events, changes, and the actions of the notices.
fn fate(queued: Queued, verdict: Verdict, secs: i64) -> (String, Vec<QueueChange>, Vec<String>) {
    let settled = settle(&config(), &server(), &[(queued, verdict)], b"Subject: a\r\n\r\ntext\r\n", SEED, at(secs));
    let actions = settled.notices.iter().map(|notice| {
        assert_eq!((notice.from.as_str(), notice.recipients.as_slice()), ("", ["ana@g1.lab".to_owned()].as_slice()));
        let text = String::from_utf8(notice.content.clone()).unwrap();
        text.lines().find(|line| line.starts_with("Action: ")).unwrap().to_owned()
    });
    (settled.events[0].name().to_owned(), settled.changes.clone(), actions.collect())
}

#[test]
fn a_recipient_that_is_taken_is_done_and_told_only_to_who_asked_and_hears_it_from_nobody_else() {
    let success = Notify::On { success: true, failure: false, delay: false };
    let done = vec![QueueChange::Done(QueueId(1))];
    let fate = |notify, told| fate(queued(1, "ben@g2.lab", notify), taken(told), 1);
    assert_eq!(fate(Notify::Unsaid, false), ("relayed".to_owned(), done.clone(), vec![]));
    assert_eq!(fate(success, true), ("relayed".to_owned(), done.clone(), vec![]));
    assert_eq!(fate(success, false), ("relayed".to_owned(), done, vec!["Action: relayed".to_owned()]));
}

#[test]
fn a_recipient_that_is_refused_is_done_and_returned_unless_that_is_unwanted() {
    let fate = |notify| fate(queued(1, "ben@g2.lab", notify), never(), 1);
    let done = vec![QueueChange::Done(QueueId(1))];
    assert_eq!(fate(Notify::Unsaid), ("bounced".to_owned(), done.clone(), vec!["Action: failed".to_owned()]));
    assert_eq!(fate(Notify::Never), ("bounced".to_owned(), done.clone(), vec![]));
    let only_success = Notify::On { success: true, failure: false, delay: false };
    assert_eq!(fate(only_success), ("bounced".to_owned(), done, vec![]));
}

#[test]
fn a_delay_is_told_once_and_only_when_it_is_long() {
    let change = |attempts, secs: i64, warned| QueueChange::Later {
        id: QueueId(1),
        attempts,
        due: Timestamp(secs * 1_000_000),
        warned,
        reply: "452 4.2.2 full".to_owned(),
    };
    let mut waiting = queued(1, "ben@g2.lab", Notify::On { success: false, failure: true, delay: true });
    assert_eq!(fate(waiting.clone(), later(), 1), ("deferred".to_owned(), vec![change(1, 6, false)], vec![]));
    waiting.attempts = 3;
    let told = vec!["Action: delayed".to_owned()];
    assert_eq!(fate(waiting.clone(), later(), 100), ("deferred".to_owned(), vec![change(4, 140, true)], told));
    waiting.warned = true;
    assert_eq!(fate(waiting.clone(), later(), 101), ("deferred".to_owned(), vec![change(4, 141, true)], vec![]));
    let silent = Queued { warned: false, notice: Notice { notify: Notify::Never, original: None }, ..waiting.clone() };
    assert_eq!(fate(silent, later(), 101).2, Vec::<String>::new());
    let done = vec![QueueChange::Done(QueueId(1))];
    assert_eq!(fate(waiting, later(), 900), ("bounced".to_owned(), done, vec!["Action: failed".to_owned()]));
}

#[test]
fn nobody_hears_of_a_notice() {
    let mut notice = queued(1, "ben@g2.lab", Notify::On { success: true, failure: true, delay: true });
    notice.sender = String::new();
    for (verdict, secs) in [(never(), 1), (later(), 200), (later(), 900), (taken(false), 1)] {
        assert_eq!(fate(notice.clone(), verdict, secs).2, Vec::<String>::new());
    }
    notice.sender = "nobody@g1.lab".to_owned();
    assert_eq!(fate(notice.clone(), never(), 1).2, Vec::<String>::new(), "nor somebody who is not there");
}

#[test]
fn recipients_with_the_same_fate_share_an_event_and_a_notice() {
    let unsaid = |id, name: &str| queued(id, name, Notify::Unsaid);
    let verdicts = [
        (unsaid(1, "a@g2.lab"), taken(true)),
        (unsaid(2, "b@g2.lab"), never()),
        (unsaid(3, "c@g2.lab"), taken(true)),
        (unsaid(4, "d@g2.lab"), later()),
        (unsaid(5, "e@g2.lab"), never()),
    ];
    let settled = settle(&config(), &server(), &verdicts, b"Subject: a\r\n\r\n", SEED, at(1));
    assert_eq!(settled.events.iter().map(EventKind::name).collect::<Vec<_>>(), ["relayed", "bounced", "deferred"]);
    assert_eq!(settled.changes.iter().map(|change| change.id().0).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let [notice] = settled.notices.as_slice() else { panic!("one notice: {:?}", settled.notices) };
    let text = String::from_utf8(notice.content.clone()).unwrap();
    assert_eq!(text.matches("Final-Recipient:").count(), 2);
}

#[test]
fn a_notice_says_what_the_sender_said() {
    let mut one = queued(1, "ben@g2.lab", Notify::Unsaid);
    one.notice.original = Some(Given { kind: "rfc822".to_owned(), address: "ben+x@g2.lab".to_owned() });
    one.wishes.envid = Some("QQ 1".to_owned());
    let content = b"Subject: a\r\n\r\nsecret text\r\n";
    let text = |wishes: Wishes| {
        let one = Queued { wishes, ..one.clone() };
        let settled = settle(&config(), &server(), &[(one, never())], content, SEED, at(1));
        String::from_utf8(settled.notices[0].content.clone()).unwrap()
    };
    let whole = text(one.wishes.clone());
    for line in [
        "Original-Envelope-Id: QQ 1\r\nReporting-MTA: dns; mail.g1.lab\r\nArrival-Date: Thu, 1 Jan 1970 01:00:00 +0100\r\n\r\n",
        "Original-Recipient: rfc822; ben+x@g2.lab\r\nFinal-Recipient: rfc822; ben@g2.lab\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "Remote-MTA: dns; mail.g2.lab\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
        "secret text",
    ] {
        assert!(whole.contains(line), "{line}\n\n{whole}");
    }
    assert_eq!(whole, text(one.wishes.clone()), "the same try gives the same notice");
    let header = text(Wishes { ret: Some(Ret::Hdrs), ..one.wishes.clone() });
    assert!(!header.contains("secret text") && header.contains("Content-Type: text/rfc822-headers"), "{header}");
}

#[test]
fn a_large_message_comes_back_whole_only_where_that_is_wanted() {
    let text = |length: usize, ret| {
        let one = Queued { wishes: Wishes { ret, ..Wishes::default() }, ..queued(1, "ben@g2.lab", Notify::Unsaid) };
        let content = [b"Subject: a\r\n\r\n".as_slice(), &vec![b'x'; length - 14]].concat();
        let settled = settle(&config(), &server(), &[(one, never())], &content, SEED, at(1));
        settled.notices[0].content.len()
    };
    assert!(text(notice::RETURNED, None) > notice::RETURNED);
    assert!(text(notice::RETURNED + 1, None) < notice::RETURNED);
    assert!(text(notice::RETURNED + 1, Some(Ret::Full)) > notice::RETURNED);
}

#[test]
fn a_notice_about_a_name_beyond_ascii_says_so() {
    let one = queued(1, "peña@g2.lab", Notify::Unsaid);
    let settled = settle(&config(), &server(), &[(one, never())], b"Subject: a\r\n\r\n", SEED, at(1));
    let notice = &settled.notices[0];
    let text = String::from_utf8(notice.content.clone()).unwrap();
    assert!(notice.utf8 && text.contains("Content-Type: message/global-delivery-status"), "{text}");
    assert!(text.contains("Final-Recipient: utf-8; peña@g2.lab"), "{text}");
}

/// What a sender is told of a message for these recipients, of whom some are other servers', when it is stored.
fn confirmed(from: &str, recipients: &[(&str, Notify)], outgoing: &[&str], wishes: &Wishes) -> Option<String> {
    let notice = |(name, notify): &(&str, Notify)| Notice {
        notify: *notify,
        original: Some(Given { kind: "rfc822".to_owned(), address: format!("{name}+x") }),
    };
    let domain = "g2.lab".to_owned();
    let envelope = Envelope {
        from: from.to_owned(),
        recipients: recipients.iter().map(|(name, _)| (*name).to_owned()).collect(),
        notices: Notices {
            ret: wishes.ret,
            envid: wishes.envid.clone(),
            recipients: recipients.iter().map(notice).collect(),
        }
        .unless_default(),
        outgoing: outgoing
            .iter()
            .map(|name| Outgoing { recipient: (*name).to_owned(), domain: domain.clone() })
            .collect(),
        content: b"Subject: a\r\n\r\nsecret text\r\n".to_vec(),
        ..Envelope::default()
    };
    let confirmation = delivered(&config(), &envelope, SEED, at(1))?;
    assert_eq!(confirmation.by, Who::Server { group: config().group });
    assert_eq!((confirmation.envelope.from.as_str(), confirmation.envelope.confirmation), ("", None));
    Some(String::from_utf8(confirmation.envelope.content).unwrap())
}

#[test]
fn what_is_in_a_mailbox_is_told_to_who_asked() {
    let success = Notify::On { success: true, failure: false, delay: false };
    let failure = Notify::On { success: false, failure: true, delay: true };
    let wishes = Wishes { ret: Some(Ret::Full), envid: Some("QQ 1".to_owned()), ..Wishes::default() };
    let told = |from: &str, recipients: &[(&str, Notify)], outgoing: &[&str]| {
        let text = confirmed(from, recipients, outgoing, &wishes)?;
        let final_recipients = text.lines().filter_map(|line| line.strip_prefix("Final-Recipient: rfc822; "));
        Some(final_recipients.collect::<Vec<_>>().join(" "))
    };
    let ana = "ana@g1.lab";
    assert_eq!(told(ana, &[("a@g1.lab", success)], &[]).as_deref(), Some("a@g1.lab"));
    let mixed =
        [("a@g1.lab", failure), ("b@g1.lab", success), ("c@g2.lab", success), ("b@g1.lab", success), ("d", success)];
    assert_eq!(told(ana, &mixed, &["c@g2.lab"]).as_deref(), Some("b@g1.lab d"), "each once, and only what is here");
    for notify in [Notify::Unsaid, Notify::Never, failure] {
        assert_eq!(told(ana, &[("a@g1.lab", notify)], &[]), None, "{notify:?}");
    }
    assert_eq!(told("", &[("a@g1.lab", success)], &[]), None, "nobody hears of a notice");
    assert_eq!(told("nobody@g1.lab", &[("a@g1.lab", success)], &[]), None, "nor somebody who is not there");
    assert_eq!(told("ana@g2.lab", &[("a@g1.lab", success)], &[]).as_deref(), Some("a@g1.lab"), "it goes back there");
}

#[test]
fn a_notice_of_delivery_repeats_what_the_sender_said_and_returns_the_header_only() {
    let success = Notify::On { success: true, failure: false, delay: false };
    let wishes = Wishes { ret: Some(Ret::Full), envid: Some("QQ 1".to_owned()), ..Wishes::default() };
    let text = confirmed("ana@g1.lab", &[("ben@g1.lab", success)], &[], &wishes).unwrap();
    for line in [
        "Subject: Mail delivered\r\n",
        "Original-Envelope-Id: QQ 1\r\nReporting-MTA: dns; mail.g1.lab\r\n",
        "Original-Recipient: rfc822; ben@g1.lab+x\r\nFinal-Recipient: rfc822; ben@g1.lab\r\nAction: delivered\r\n\
         Status: 2.0.0\r\nLast-Attempt-Date: ",
        "Content-Type: text/rfc822-headers",
    ] {
        assert!(text.contains(line), "{line}\n\n{text}");
    }
    // RFC 3461 4.3: RET says what comes back of a message that failed.
    assert!(
        !text.contains("secret text") && !text.contains("Remote-MTA") && !text.contains("Diagnostic-Code"),
        "{text}"
    );
}

#[test]
fn a_date_that_is_set_makes_nobody_wait_and_gives_nothing_up() {
    let all = Notify::On { success: true, failure: true, delay: true };
    for date in [-7_200, 0, 999_999] {
        let now = Now { micros: date * 1_000_000, ..at(1) };
        let one = [(queued(1, "a@g2.lab", all), later())];
        let settled = settle(&config(), &server(), &one, b"Subject: a\r\n\r\n", SEED, now);
        let [QueueChange::Later { due, .. }] = settled.changes.as_slice() else { panic!("{:?}", settled.changes) };
        assert_eq!(*due, Timestamp(6_000_000), "the next try is after so much time");
        let [EventKind::Deferred { due, .. }] = settled.events.as_slice() else { panic!("{:?}", settled.events) };
        assert_eq!(*due, Timestamp((date + 5) * 1_000_000), "the record tells a date");
        assert!(settled.notices.is_empty());
    }
}
