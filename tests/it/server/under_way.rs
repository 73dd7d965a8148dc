//! Mail that comes in has a bound: many large messages at once are refused for now, and nobody else is held up.

use labctl::lab::Service;

use super::{
    client::Client,
    process::Process,
    running::{Running, config, endpoint},
};

/// Sessions that send at once.
const SENDERS: usize = 20;

/// Lines of about so many octets together.
fn text(octets: usize) -> String {
    format!("{}\r\n", "x".repeat(98)).repeat(octets / 100)
}

/// A session in the middle of DATA, all of whose lines are sent.
fn sending(address: std::net::SocketAddr, from: &str, text: &str) -> Client {
    let mut client = Client::new(address);
    client.holds(&[
        ("EHLO x", "250"),
        (&format!("MAIL FROM:<{from}@g1.lab>"), "250"),
        ("RCPT TO:<user2@g1.lab>", "250"),
        ("DATA", "354"),
    ]);
    client.send(text);
    client
}

#[test]
fn one_students_messages_have_half_the_room_and_others_mail_comes_in() {
    let mut config = config();
    config.endpoints.push(endpoint(Service::Imap, None));
    (config.limits.message, config.limits.mail_under_way) = (1 << 20, 8 << 20);
    let running = Running::new(config);
    let smtp = running.address(Service::Smtp);
    let large = text(1_000_000);
    // One session after the other holds most of a message, until there is no room for more of ana's.
    let mut holders = Vec::new();
    let mut refused = loop {
        let mut client = Client::new(smtp);
        client.holds(&[("EHLO x", "250"), ("MAIL FROM:<ana@g1.lab>", "250"), ("RCPT TO:<user2@g1.lab>", "250")]);
        client.send(format!("BDAT 900000\r\n{}", &large[..900_000]));
        let reply = client.reply();
        if !reply.starts_with("250") {
            assert!(reply.starts_with("452 4.3.1"), "{reply}");
            break client;
        }
        holders.push(client);
    };
    assert!((3..=4).contains(&holders.len()), "{} of 0.9 MB each in half of eight MiB", holders.len());
    // The session goes on; chunks that a pipelining client sent behind that one find no transaction.
    refused.send("BDAT 3 LAST\r\nabc");
    assert!(refused.reply().starts_with("503"));
    refused.holds(&[("NOOP", "250")]);
    // By DATA, and by APPEND with a literal that waits for leave and one that does not.
    assert!(sending(smtp, "ana", &large).say(".").starts_with("452 4.3.1"));
    let mut imap = Client::new(running.address(Service::Imap));
    imap.send("a LOGIN ana Ana\r\n");
    assert!(imap.line().starts_with("a OK"));
    imap.send(format!("b APPEND INBOX {{{}+}}\r\n{large}\r\n", large.len()));
    assert!(imap.line().starts_with("b NO [LIMIT]"));
    imap.send(format!("c APPEND INBOX {{{}}}\r\n", large.len()));
    assert!(imap.line().starts_with("+ "));
    imap.send(format!("{large}\r\nd NOOP\r\n"));
    assert!(imap.line().starts_with("c NO [LIMIT]") && imap.line().starts_with("d OK"));
    imap.send("e APPEND INBOX {7+}\r\nshort\r\n\r\n");
    assert!(imap.line().starts_with("e OK"), "a small one has room");
    // A neighbour's mail, small and large.
    let mut ben = Client::new(smtp);
    ben.holds(&[("EHLO x", "250")]);
    assert!(ben.deliver("ben", "small").starts_with("250"));
    let mut ben = sending(smtp, "ben", &large);
    assert!(ben.say(".").starts_with("250"));
    // What is held is not lost, and is given back.
    for holder in &mut holders {
        holder.send("BDAT 0 LAST\r\n");
        assert!(holder.reply().starts_with("250"));
    }
    assert!(sending(smtp, "ana", &large).say(".").starts_with("250"));
}

#[test]
fn the_memory_of_a_server_stays_within_its_bound_whoever_sends() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("g1.db"));
    let large = text(10_000_000);
    let before = process.highest_resident();
    let mut senders: Vec<Client> =
        (0..SENDERS).map(|_| sending(process.address(Service::Smtp), "ana", &large)).collect();
    let replies: Vec<String> = senders.iter_mut().map(|sender| sender.say(".")).collect();
    assert!(replies.iter().any(|reply| reply.starts_with("250")));
    assert!(replies.iter().any(|reply| reply.starts_with("452 4.3.1")));
    let more = process.highest_resident() - before;
    assert!(more < 128 << 20, "{} MiB more", more >> 20);
    process.kill();
}
