//! TLS (RFC 8446, RFC 5246) as servers speak it, and what went wrong with a handshake in words for the student. There is no
//! session resumption: nothing of one connection is known to the next, and no tickets clutter a terminal.

use std::{
    io,
    sync::{Arc, LazyLock},
};

use rustls::{
    AlertDescription, Error, InvalidMessage, ProtocolVersion, ServerConfig, ServerConnection,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::NoServerSessionStorage,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    evidence::EventKind,
    lab::{TlsVersion, server::Identity},
};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));

/// What is agreed on a secured connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secured {
    pub(super) version: TlsVersion,
    pub(super) cipher: String,
    sni: Option<String>,
}

impl Secured {
    /// The event of it.
    pub(super) fn event(&self) -> EventKind {
        let Self { version, cipher, sni } = self.clone();
        EventKind::Secured { version, cipher, sni }
    }

    fn of(connection: &ServerConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::V12,
            // There is no other: rustls speaks these two.
            _ => TlsVersion::V13,
        };
        let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("?");
        // rustls tells the suites of TLS 1.3 from those of 1.2 by a name that IANA does not have.
        let cipher = cipher.replacen("TLS13_", "TLS_", 1);
        Self { version, cipher, sni: connection.server_name().map(str::to_owned) }
    }
}

/// What a server needs for handshakes with this identity, or what is wrong with it.
pub(super) fn config(identity: &Identity) -> Result<Arc<ServerConfig>, String> {
    let unreadable = |problem: rustls::pki_types::pem::Error| problem.to_string();
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(unreadable)?;
    let config = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()
        .map_err(|problem| problem.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.map_err(|problem| problem.to_string())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Holds a handshake on a connection.
pub(super) async fn handshake(
    config: &Arc<ServerConfig>,
    stream: TcpStream,
) -> io::Result<(TlsStream<TcpStream>, Secured)> {
    let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
    let secured = Secured::of(stream.get_ref().1);
    Ok((stream, secured))
}

/// Why a handshake failed and what to do about it, as a fragment; whether the client ended it.
pub(super) fn explain(problem: &io::Error) -> (String, bool) {
    let tls = problem.get_ref().and_then(|source| source.downcast_ref::<Error>());
    match tls {
        None => ("the client closed the connection in the middle of it".to_owned(), true),
        Some(Error::AlertReceived(alert)) => (refused(*alert), true),
        Some(Error::InvalidMessage(
            InvalidMessage::UnsupportedCurveType | InvalidMessage::UnsupportedKeyExchangeAlgorithm(_),
        )) => ("the client has no key exchange that the server knows".to_owned(), false),
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => {
            let why = "what came is no TLS handshake: `openssl s_client` speaks TLS, telnet and nc do not";
            (why.to_owned(), false)
        }
        Some(Error::PeerIncompatible(why)) => {
            let why = format!("client and server have no TLS in common ({why:?}): the server speaks TLS 1.2 and 1.3");
            (why, false)
        }
        Some(other) => (other.to_string(), false),
    }
}

fn refused(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateExpired => {
            format!("the client does not trust the server's certificate ({alert:?}): give it the lab's CA certificate")
        }
        other => format!("the client broke it off ({other:?})"),
    }
}
