//! The least SMTP client: sessions that stand idle, and sessions that fill a mailbox.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
};

use labctl::mail::dot_stuff;

use crate::Fallible;

/// A session that has said EHLO.
pub fn connect(server: SocketAddr) -> Fallible<BufReader<TcpStream>> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    // A thousand of these are held at once, in the process that measures.
    let mut session = BufReader::with_capacity(512, stream);
    reply(&mut session, "220")?;
    session.get_mut().write_all(b"EHLO bench.lab\r\n")?;
    reply(&mut session, "250")?;
    Ok(session)
}

/// A session that sends what `next` gives to the mailbox `user2`.
pub fn fill(server: SocketAddr, next: impl Fn() -> Option<Vec<u8>>) -> Fallible<()> {
    let mut session = connect(server)?;
    let mut data = Vec::new();
    while let Some(message) = next() {
        session.get_mut().write_all(b"MAIL FROM:<user1@bench.lab>\r\nRCPT TO:<user2@bench.lab>\r\nDATA\r\n")?;
        for code in ["250", "250", "354"] {
            reply(&mut session, code)?;
        }
        data.clear();
        dot_stuff(&message, &mut data);
        data.extend_from_slice(b".\r\n");
        session.get_mut().write_all(&data)?;
        reply(&mut session, "250")?;
    }
    session.get_mut().write_all(b"QUIT\r\n")?;
    reply(&mut session, "221")
}

/// Takes one reply, of one line or several.
fn reply(session: &mut BufReader<TcpStream>, code: &str) -> Fallible<()> {
    let mut line = String::new();
    loop {
        line.clear();
        session.read_line(&mut line)?;
        if !line.starts_with(code) {
            return Err(format!("the server said `{}` where {code} was due", line.trim_end()).into());
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
