//! What the unit tests of sessions start from: the other end of a connection to a small server.

use std::{collections::BTreeMap, sync::Arc};

use super::{Peer, dialect};
use crate::{
    evidence::Who,
    lab::{Leniency, Limits, LoneNewline, Relaying, ServerConfig, Service, Tls, server::Account},
};

/// Somebody unknown at a server of this dialect, where `ana` is a student and `daniel.morato` a shared mailbox.
pub(crate) fn peer(dialect: &str) -> Peer {
    let account =
        |password: &str, token: &str, student| Account { password: password.into(), token: token.into(), student };
    let config = ServerConfig {
        lab: "lab".parse().unwrap(),
        group: "g1".parse().unwrap(),
        domain: "g1.lab".parse().unwrap(),
        host: "si.g1.lab".into(),
        dialect: dialect.into(),
        leniency: Leniency::LENIENT,
        lone_newline: LoneNewline::Refuse,
        tls: Tls::default(),
        identity: None,
        relay: false,
        auth_before_tls: false,
        vrfy: false,
        catch_all: None,
        limits: Limits::default(),
        accounts: BTreeMap::from([
            ("ana".parse().unwrap(), account("se cret", "token-of-ana", true)),
            ("daniel.morato".parse().unwrap(), account("clave", "token-of-daniel", false)),
        ]),
        endpoints: Vec::new(),
        faults: Vec::new(),
        clients: BTreeMap::new(),
        clients_only: None,
        relaying: Relaying::default(),
    };
    let dialect = dialect::named(dialect).unwrap();
    let service = Service::Smtp;
    Peer {
        config: Arc::new(config),
        dialect,
        service,
        remote: None,
        local: None,
        name: None,
        who: Who::Unknown,
        seed: 7,
    }
}
