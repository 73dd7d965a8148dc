//! `labctl show`: one message of a group's server, as it came.

use crate::{
    cli::{args::Show, error::Error, exit::Exit, naming::Shell, whom::Whom},
    evidence::MessageId,
    store::Reader,
    trace::visible,
};

/// Prints the message; on a terminal with its control characters made visible.
pub fn run(shell: &Shell, args: &Show) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    opened.settle(shell.out)?;
    let whom = Whom::find(&opened.lab, &args.who)?;
    let group = whom.group(&opened.lab).name.clone();
    let path = opened.dir.store(&group);
    let message = if path.exists() { Reader::open(&path)?.message(MessageId(args.message))? } else { None };
    let Some(message) = message else {
        return Err(Error::NoNumber { what: "message", number: args.message, place: format!("group `{group}`") });
    };
    let text = String::from_utf8_lossy(&message.octets);
    if shell.out.is_terminal() {
        let lines = text.lines().map(|line| visible(line) + "\n");
        shell.out.data(&lines.collect::<String>())?;
    } else {
        shell.out.octets(&message.octets)?;
    }
    Ok(Exit::Done)
}
