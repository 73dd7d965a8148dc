//! `labctl disconnect`: a student's sessions end, so that what they hold is free: a mailbox that POP3 gives to one at a time.

use crate::{
    cli::{
        args::Disconnect as Args,
        error::{Error, count},
        exit::Exit,
        naming::Shell,
        whom::Whom,
    },
    control::Disconnect,
    evidence::Conn,
};

/// Ends them.
pub fn run(shell: &Shell, args: &Args) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    let (group, student) = Whom::student_only(&opened.lab, &args.student)?;
    super::runtime()?.block_on(async {
        let engine = opened.engine().await?;
        engine.status().await?.ok_or_else(|| Error::NotUp { name: opened.lab.name.clone() })?;
        let wanted = Disconnect { student: student.clone(), conn: args.conn.map(Conn) };
        let ended = engine.client().await?.disconnect(&group, &wanted).await?;
        if let (0, Some(conn)) = (ended.sessions, args.conn) {
            return Err(Error::NoSession { student, conn });
        }
        shell.out.note(format_args!("ended: {} of `{student}`", count(ended.sessions, "session")));
        Ok(Exit::Done)
    })
}
