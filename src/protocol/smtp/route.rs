//! Where a recipient's mail goes: the one place that decides it.

use std::net::IpAddr;

use crate::{
    lab::{Leniency, Login, ServerConfig},
    protocol::Peer,
};

use super::path::{Host, Mailbox, Path};

/// What becomes of mail for a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// It goes into this mailbox.
    Mailbox(Login),
    /// It waits for the server of this domain, lower case, or of this address literal in its brackets.
    Domain(String),
    /// It is refused; the key of the reply.
    Refused(&'static str),
}

/// Where mail of the server itself goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Into this mailbox.
    Mailbox(Login),
    /// To the server of this domain.
    Domain(String),
}

/// Decides where mail for `recipient` goes.
///
/// - `postmaster` without a mailbox of that name is the first mailbox in the order of names: the RFC wants somebody to read it (RFC 5321 4.5.1).
/// - An unknown local part goes to the lab's `catch_all`, if it names one.
/// - A dialect that accepts everybody (MailHog) looks at no domain, and puts what it does not know into `catch_all` or the first mailbox.
/// - A foreign domain is refused; with `relay = true` it is taken, whether anybody knows a way there or not: that is found out
///   later, and told in a notice (RFC 5321 3.6.3).
pub fn route(peer: &Peer, recipient: &Mailbox<'_>) -> Route {
    decide(&peer.config, peer.dialect.catch_all, peer.local.map(|local| local.ip()), recipient)
}

/// Where a notice to this address goes; none for the null path, and where nobody reads it.
pub fn destination(config: &ServerConfig, address: &str) -> Option<Destination> {
    let path = format!("<{address}>");
    let path = Path::parse(&path, Leniency::LENIENT).ok()?;
    match decide(config, false, None, path.mailbox.as_ref()?) {
        Route::Mailbox(mailbox) => Some(Destination::Mailbox(mailbox)),
        Route::Domain(domain) => Some(Destination::Domain(domain)),
        Route::Refused(_) => None,
    }
}

fn decide(config: &ServerConfig, everybody: bool, own: Option<IpAddr>, recipient: &Mailbox<'_>) -> Route {
    if !(everybody || is_local(config, own, recipient.domain.as_ref())) {
        return match &recipient.domain {
            Some(domain) if config.relay => Route::Domain(foreign(domain)),
            Some(_) | None => Route::Refused("rcpt.relay"),
        };
    }
    let first = || config.accounts.keys().next();
    let mailbox = account(config, &recipient.local)
        .or_else(|| recipient.local.eq_ignore_ascii_case("postmaster").then(first).flatten())
        .or(config.catch_all.as_ref())
        .or_else(|| everybody.then(first).flatten());
    mailbox.map_or(Route::Refused("rcpt.unknown"), |mailbox| Route::Mailbox(mailbox.clone()))
}

/// A domain as the queue has it.
fn foreign(domain: &Host<'_>) -> String {
    match domain {
        Host::Name(name) => name.to_lowercase(),
        Host::Address(IpAddr::V4(address)) => format!("[{address}]"),
        Host::Address(IpAddr::V6(address)) => format!("[ipv6:{address}]"),
    }
}

/// The student whose mailbox this sender's address is.
pub fn student<'a>(peer: &'a Peer, sender: &Mailbox<'_>) -> Option<&'a Login> {
    owner(peer, sender).filter(|login| peer.config.accounts[*login].student)
}

/// The mailbox that this address is the name of, if it is one of ours.
pub fn owner<'a>(peer: &'a Peer, address: &Mailbox<'_>) -> Option<&'a Login> {
    let config = &*peer.config;
    let local = is_local(config, peer.local.map(|local| local.ip()), address.domain.as_ref());
    account(config, &address.local).filter(|_| local)
}

/// The mailbox of this name, in any case.
pub fn account<'a>(config: &'a ServerConfig, name: &str) -> Option<&'a Login> {
    let found = config.accounts.get_key_value(name);
    let found = found.or_else(|| config.accounts.get_key_value(name.to_ascii_lowercase().as_str()));
    found.map(|(login, _)| login)
}

/// Whether this server is the final destination of the domain: no domain, its own, or an address that is its own: the one
/// it was reached at, or where it listens.
fn is_local(config: &ServerConfig, own: Option<IpAddr>, domain: Option<&Host<'_>>) -> bool {
    match domain {
        None => true,
        Some(Host::Name(name)) => name.eq_ignore_ascii_case(config.domain.as_str()),
        Some(Host::Address(address)) => {
            let address = address.to_canonical();
            own.is_some_and(|own| own.to_canonical() == address)
                || config.endpoints.iter().any(|endpoint| endpoint.address.ip().to_canonical() == address)
        }
    }
}
