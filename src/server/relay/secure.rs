//! TLS towards other servers, where they offer it (RFC 3207). The certificate of a server of this lab is held against the lab's own
//! authority and the server's name; of others nobody knows whose certificate to expect. What is sent in the clear otherwise may
//! as well be encrypted for whoever is there (RFC 7435): so any certificate will do, and the record says whether it was verified.
//! Signatures are verified as always.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));

/// Holds a handshake with the server of this name, whose certificate `authority` (in PEM) has signed where it is one of ours; what
/// it is called on the record comes along.
pub(super) async fn handshake(
    stream: TcpStream,
    name: &str,
    address: SocketAddr,
    authority: Option<&str>,
) -> io::Result<(TlsStream<TcpStream>, String)> {
    let anybody = Arc::new(Anybody { ours: authority.and_then(verifier), verified: AtomicBool::new(false) });
    let config = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the suites of both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&anybody) as _)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap_or_else(|_| ServerName::IpAddress(address.ip().into()));
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let version = match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        // There is no other: rustls speaks these two.
        _ => "TLSv1.3",
    };
    let trust = if anybody.verified.load(Ordering::Relaxed) { "verified" } else { "unverified" };
    Ok((stream, format!("{version} {trust}")))
}

/// What verifies the certificates of an authority; none where its own cannot be read.
fn verifier(authority: &str) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).ok()?).ok()?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&PROVIDER)).build().ok()
}

/// Takes any certificate, and notes whether it is the right one.
#[derive(Debug)]
struct Anybody {
    ours: Option<Arc<WebPkiServerVerifier>>,
    verified: AtomicBool,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let right =
            |ours: &Arc<WebPkiServerVerifier>| ours.verify_server_cert(certificate, chain, name, ocsp, now).is_ok();
        self.verified.store(self.ours.as_ref().is_some_and(right), Ordering::Relaxed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}
