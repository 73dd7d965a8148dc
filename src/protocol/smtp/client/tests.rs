//! Conversations of the client: `S:` is what it hears, `C:` what it must say then, `=` what it wants.

use super::*;
use crate::{
    mail::dsn::{Original, Ret},
    protocol::smtp::hearing::Hearing,
};

fn to(address: &str) -> Addressee {
    Addressee { address: address.to_owned(), ..Addressee::default() }
}

fn letter(recipients: &[&str]) -> Letter {
    Letter {
        sender: "ana@g1.lab".to_owned(),
        recipients: recipients.iter().map(|address| to(address)).collect(),
        content: b"Subject: a\r\n\r\n.dot\r\n".to_vec(),
        ..Letter::default()
    }
}

fn told(turn: &Turn) -> String {
    let verdicts = |all: &[Verdict]| {
        let one = |verdict: &Verdict| match verdict {
            Verdict::Taken { reply, told } => format!("taken {}{}", reply.code, if *told { " told" } else { "" }),
            Verdict::Later(reply) => format!("later {}", reply.code),
            Verdict::Never(reply) => format!("never {}", reply.code),
        };
        all.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    match turn {
        Turn::Listen => "listen".to_owned(),
        Turn::StartTls => "starttls".to_owned(),
        Turn::Ready => "ready".to_owned(),
        Turn::Done(all) => format!("done: {}", verdicts(all)),
        Turn::Over(all, reply) => format!("over {}: {}", reply.code, verdicts(all)).trim_end().to_owned(),
    }
}

/// Plays a conversation; `>` sends the letter, `!` says that the handshake is done.
fn check(letters: &[Letter], script: &str) {
    let (mut client, mut hearing) = (Client::new("mail.g1.lab", true), Hearing::default());
    let (mut letters, mut out, mut wants) = (letters.iter(), Vec::new(), String::new());
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (mark, text) = line.split_at(1);
        let text = text.trim_start_matches(':').trim_start();
        match mark {
            "S" => {
                hearing.buffer().extend_from_slice(format!("{text}\r\n").as_bytes());
                if let Some(reply) = hearing.reply().unwrap() {
                    wants = told(&client.hear(reply, &mut out));
                }
            }
            "C" => {
                let said = String::from_utf8(out.clone()).unwrap();
                let (first, rest) = said.split_once("\r\n").unwrap_or_else(|| panic!("nothing said at `{line}`"));
                assert_eq!(first, text);
                out = rest.as_bytes().to_vec();
            }
            ">" => wants = told(&client.send(letters.next().unwrap().clone(), &mut out)),
            "!" => wants = told(&client.secured(&mut out)),
            "=" => {
                assert_eq!(String::from_utf8_lossy(&out), "", "more was said before `{line}`");
                assert_eq!(wants, text);
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(out, b"", "all that is said is in the script");
}

#[test]
fn a_dot_after_a_cr_that_stands_alone_does_not_end_the_data() {
    let kept = Letter { content: b"x\r.\rb\r\n".to_vec(), ..letter(&["ben@g2.lab"]) };
    check(
        &[kept],
        "S: 220 mail.g2.lab
         C: EHLO mail.g1.lab
         S: 250 mail.g2.lab
         = ready
         >
         C: MAIL FROM:<ana@g1.lab>
         S: 250 ok
         C: RCPT TO:<ben@g2.lab>
         S: 250 ok
         C: DATA
         S: 354 go on
         C: x\r..\rb
         C: .
         S: 250 ok
         = done: taken 250",
    );
}

#[test]
fn without_pipelining_it_asks_one_thing_after_the_other() {
    check(
        &[letter(&["ben@g2.lab", "eva@g2.lab"])],
        "S: 220 mail.g2.lab
         C: EHLO mail.g1.lab
         S: 250-mail.g2.lab
         S: 250 SIZE 1000
         = ready
         >
         C: MAIL FROM:<ana@g1.lab> SIZE=20
         S: 250 ok
         C: RCPT TO:<ben@g2.lab>
         S: 250 ok
         C: RCPT TO:<eva@g2.lab>
         S: 550 5.1.1 no
         C: DATA
         S: 354 go on
         C: Subject: a
         C:
         C: ..dot
         C: .
         S: 250 2.0.0 accepted
         = done: taken 250, never 550",
    );
}

#[test]
fn with_pipelining_it_asks_all_at_once() {
    check(
        &[letter(&["ben@g2.lab", "eva@g2.lab"]), letter(&["leo@g2.lab"])],
        "S: 220 mail.g2.lab
         C: EHLO mail.g1.lab
         S: 250-mail.g2.lab
         S: 250-PIPELINING
         S: 250 DSN
         = ready
         >
         C: MAIL FROM:<ana@g1.lab>
         C: RCPT TO:<ben@g2.lab>
         C: RCPT TO:<eva@g2.lab>
         C: DATA
         S: 250 ok
         S: 452 4.2.2 full
         S: 250 ok
         S: 354 go on
         C: Subject: a
         C:
         C: ..dot
         C: .
         S: 250 2.0.0 accepted
         = done: later 452, taken 250 told
         >
         C: MAIL FROM:<ana@g1.lab>
         C: RCPT TO:<leo@g2.lab>
         C: DATA
         S: 250 ok
         S: 550 5.1.1 no
         S: 503 no recipient
         = done: never 550",
    );
}

#[test]
fn a_sender_that_is_refused_is_refused_for_all() {
    let refused = "S: 220 x
         C: EHLO mail.g1.lab
         S: 250-x
         S: 250 PIPELINING
         >
         C: MAIL FROM:<ana@g1.lab>
         C: RCPT TO:<ben@g2.lab>
         C: DATA
         S: 451 4.3.0 not now
         S: 503 5.5.1 send MAIL first
         S: 503 5.5.1 send MAIL first
         = done: later 451";
    check(&[letter(&["ben@g2.lab"])], refused);
    check(
        &[letter(&["ben@g2.lab"])],
        "S: 220 x
         C: EHLO mail.g1.lab
         S: 250 x
         >
         C: MAIL FROM:<ana@g1.lab>
         S: 553 5.1.8 no such sender
         = done: never 553",
    );
}

#[test]
fn a_354_for_nobody_gets_an_empty_message() {
    check(
        &[letter(&["ben@g2.lab"])],
        "S: 220 x
         C: EHLO mail.g1.lab
         S: 250-x
         S: 250 PIPELINING
         >
         C: MAIL FROM:<ana@g1.lab>
         C: RCPT TO:<ben@g2.lab>
         C: DATA
         S: 250 ok
         S: 550 no
         S: 354 go on
         C: .
         S: 554 no valid recipients
         = done: never 550",
    );
}

#[test]
fn a_transaction_that_stays_open_is_reset() {
    check(
        &[letter(&["ben@g2.lab"]), letter(&["eva@g2.lab"])],
        "S: 220 x
         C: EHLO mail.g1.lab
         S: 250 x
         >
         C: MAIL FROM:<ana@g1.lab>
         S: 250 ok
         C: RCPT TO:<ben@g2.lab>
         S: 250 ok
         C: DATA
         S: 451 disk
         = done: later 451
         >
         C: RSET
         S: 250 ok
         C: MAIL FROM:<ana@g1.lab>
         S: 250 ok
         C: RCPT TO:<eva@g2.lab>
         S: 250 ok
         C: DATA
         S: 354 go
         C: Subject: a
         C:
         C: ..dot
         C: .
         S: 250 ok
         = done: taken 250",
    );
}

#[test]
fn a_421_ends_it_wherever_it_comes() {
    check(&[], "S: 421 too many\n= over 421:");
    check(
        &[letter(&["ben@g2.lab", "eva@g2.lab"])],
        "S: 220 x
         C: EHLO mail.g1.lab
         S: 250 x
         >
         C: MAIL FROM:<ana@g1.lab>
         S: 250 ok
         C: RCPT TO:<ben@g2.lab>
         S: 550 no
         C: RCPT TO:<eva@g2.lab>
         S: 421 4.3.2 the server stops
         = over 421: never 550, later 421",
    );
}

#[test]
fn an_old_server_is_spoken_to_with_helo() {
    check(&[], "S: 220 old\nC: EHLO mail.g1.lab\nS: 500 what?\nC: HELO mail.g1.lab\nS: 250 old\n= ready");
    check(&[], "S: 554 no SMTP here\n= over 554:");
}

#[test]
fn it_goes_over_to_tls_and_learns_anew() {
    check(
        &[letter(&["ben@g2.lab"])],
        "S: 220 x
         C: EHLO mail.g1.lab
         S: 250-x
         S: 250-PIPELINING
         S: 250 STARTTLS
         C: STARTTLS
         S: 220 go on
         = starttls
         !
         C: EHLO mail.g1.lab
         S: 250 x
         = ready
         >
         C: MAIL FROM:<ana@g1.lab>
         = listen",
    );
    let refused = "S: 220 x\nC: EHLO mail.g1.lab\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 not now\n= ready";
    check(&[], refused);
}

#[test]
fn what_the_sender_wants_to_hear_is_passed_on_where_it_is_understood() {
    let mut wished = letter(&["ben@g2.lab", "eva@g2.lab"]);
    wished.wishes.ret = Some(Ret::Hdrs);
    wished.wishes.envid = Some("QQ=314159".to_owned());
    let original = Original { kind: "rfc822".to_owned(), address: "ben+b@g2.lab".to_owned() };
    let notify = Notify::On { success: true, failure: false, delay: true };
    wished.recipients[0].notice = Notice { notify, original: Some(original) };
    wished.recipients[1].notice.notify = Notify::Never;
    wished.content = "Subject: ñ\r\n\r\n".as_bytes().to_vec();
    let hello = "S: 220 x\nC: EHLO mail.g1.lab\nS: 250-x\nS: 250-PIPELINING\n";
    check(
        &[wished.clone()],
        &format!(
            "{hello}S: 250-8BITMIME
             S: 250 DSN
             >
             C: MAIL FROM:<ana@g1.lab> BODY=8BITMIME RET=HDRS ENVID=QQ+3D314159
             C: RCPT TO:<ben@g2.lab> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;ben+2Bb@g2.lab
             C: RCPT TO:<eva@g2.lab> NOTIFY=NEVER
             C: DATA"
        ),
    );
    check(
        &[wished],
        &format!(
            "{hello}S: 250 HELP
             >
             C: MAIL FROM:<ana@g1.lab>
             C: RCPT TO:<ben@g2.lab>
             C: RCPT TO:<eva@g2.lab>
             C: DATA"
        ),
    );
}

#[test]
fn what_a_server_cannot_take_is_not_sent() {
    let hello = "S: 220 x\nC: EHLO mail.g1.lab\nS: 250-x\n";
    let size = |limit: usize| format!("{hello}S: 250 SIZE {limit}\n>\n");
    check(&[letter(&["ben@g2.lab"])], &(size(19) + "= done: never 552"));
    check(&[letter(&["ben@g2.lab"])], &(size(20) + "C: MAIL FROM:<ana@g1.lab> SIZE=20\n= listen"));
    let mut utf8 = letter(&["peña@g2.lab"]);
    utf8.wishes.utf8 = true;
    check(&[utf8.clone()], &format!("{hello}S: 250 HELP\n>\n= done: never 553"));
    check(&[utf8], &format!("{hello}S: 250 SMTPUTF8\n>\nC: MAIL FROM:<ana@g1.lab> SMTPUTF8\n= listen"));
    let mut eight = letter(&["ben@g2.lab"]);
    eight.wishes.body = Body::EightBit;
    check(&[eight.clone()], &format!("{hello}S: 250 HELP\n>\nC: MAIL FROM:<ana@g1.lab>\n= listen"));
    eight.content = "Subject: ñ\r\n\r\n".as_bytes().to_vec();
    check(&[eight], &format!("{hello}S: 250 HELP\n>\n= done: never 554"));
}
