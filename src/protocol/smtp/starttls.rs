//! STARTTLS (RFC 3207): when it may come, and what is forgotten after it. The handshake is the driver's business.

use super::{Now, Output, Session, Stage, command::Verb, reply::Words};

impl Session {
    /// STARTTLS where this connection could still go over to TLS, or did already.
    pub(super) fn start_tls(&mut self, words: &Words<'_>, now: Now, out: &mut Output) {
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        let refusal = if self.secure {
            Some("sequence.tls_twice")
        } else if !words.argument.is_empty() {
            Some("argument.superfluous")
        } else if !extended {
            Some("sequence.ehlo")
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return self.say(refusal, words, now, out);
        }
        self.stage = Stage::Securing;
        self.say("starttls", words, now, out);
    }

    /// TLS is on: what was learnt in the clear is forgotten (RFC 3207 4.2).
    pub(super) fn secured(&mut self) {
        self.secure = true;
        (self.hello, self.login) = (None, None);
        self.auth_refused = false;
        self.stage = Stage::Idle;
    }

    /// Whether STARTTLS is a command here: it is offered, or it was.
    pub(super) fn knows_tls(&self) -> bool {
        self.offers_tls || self.secure
    }

    /// Whether the command has to wait for TLS (RFC 3207 4).
    pub(super) fn wants_tls_first(&self, verb: Verb) -> bool {
        let may_come = match verb {
            // BDAT takes its chunk away and is refused after that, for want of MAIL; the last four are unknown anyway.
            Verb::Noop
            | Verb::Ehlo
            | Verb::StartTls
            | Verb::Quit
            | Verb::Bdat
            | Verb::Missing
            | Verb::Extension
            | Verb::Pop3
            | Verb::Unknown => true,
            Verb::Helo
            | Verb::Mail
            | Verb::Rcpt
            | Verb::Data
            | Verb::Rset
            | Verb::Vrfy
            | Verb::Expn
            | Verb::Help
            | Verb::Auth
            | Verb::Etrn
            | Verb::Atrn
            | Verb::Turn
            | Verb::Sendmail => false,
        };
        !may_come && self.offers_tls && !self.secure && self.peer.requires_tls()
    }
}
