//! What the server offers on this connection: the extensions that the dialect's EHLO lists, as far as the lab, the service and
//! TLS let them stand. EHLO's reply and the commands ask here, so that neither says what the other does not do.

use crate::{
    lab::Service,
    protocol::{Peer, dialect, sasl::Mechanism},
};

use super::{
    Now, Output, Session,
    parameter::Offered,
    reply::{self, Words},
};

/// Extensions that the dialect lists, looked up once for a connection.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// AUTH (RFC 4954), if not now then once TLS is on.
    pub auth: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// ETRN (RFC 1985).
    pub etrn: bool,
}

impl Offer {
    /// What this connection is offered.
    pub fn of(peer: &Peer) -> Self {
        let lists = |extension| reply::offers(&peer.dialect, extension);
        Self { auth: !mechanisms(peer).is_empty(), dsn: lists("DSN"), chunking: lists("CHUNKING"), etrn: lists("ETRN") }
    }
}

/// The mechanisms of AUTH that the dialect lists and labctl has. For submission everybody has to log in, so a dialect that
/// knows no AUTH has labctl's there.
pub fn mechanisms(peer: &Peer) -> Vec<Mechanism> {
    let own = reply::mechanisms(&peer.dialect);
    if own.is_empty() && is_submission(peer) { reply::mechanisms(&dialect::OWN) } else { own }
}

/// Whether this is where users of the server hand in their mail (RFC 6409).
pub fn is_submission(peer: &Peer) -> bool {
    match peer.service {
        Service::Submission | Service::Submissions => true,
        Service::Smtp | Service::Pop3 | Service::Pop3s | Service::Imap | Service::Imaps | Service::Domain => false,
    }
}

impl Session {
    /// Whether AUTH may come now: a password in the clear only where the lab says so.
    pub(super) fn offers_auth(&self) -> bool {
        self.offer.auth && (self.secure || self.peer.config.auth_before_tls)
    }

    /// The parameters of MAIL and RCPT that are known now.
    pub(super) fn parameters(&self) -> Offered {
        Offered { auth: self.offer.auth, dsn: self.offer.dsn }
    }

    /// Writes EHLO's reply: of the dialect's list what stands now.
    pub(super) fn write_ehlo(&self, words: &Words<'_>, now: Now, out: &mut Output) {
        let stands = |keyword: &str| match keyword {
            "AUTH" => self.offers_auth(),
            // Not over TLS again (RFC 3207 4.2).
            "STARTTLS" => self.offers_tls && !self.secure,
            _ => true,
        };
        let lists_auth = reply::offers(&self.peer.dialect, "AUTH");
        let names: Vec<&str> = mechanisms(&self.peer).iter().map(|mechanism| mechanism.as_str()).collect();
        let auth = format!("AUTH {}", names.join(" "));
        let more = Some(auth.as_str()).filter(|_| !lists_auth && self.offers_auth());
        reply::write_list(&self.peer, "ehlo", words, now, &stands, more, &mut out.reply);
    }
}
