//! The lab's certificate authority: made once, kept in the state directory, trusted by whoever was given its certificate. It
//! gives each server a certificate for the names and addresses that students reach it by, and a new one when those change
//! or the time of the old one nears its end. Elsewhere the authority means nothing, and its key never leaves the directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::state::{LabDir, StateError};
use crate::{
    lab::{GroupName, LabName, ServerConfig, Tls, server::Identity},
    plan::docker,
};

/// The version of the file's shape that this labctl writes and the only one it reads.
const VERSION: u32 = 1;

/// How long the authority is good for: longer than any course.
const AUTHORITY_DAYS: i64 = 3_650;

/// How long a server's certificate is good for: the longest that browsers and Apple's mail programs take.
const SERVER_DAYS: i64 = 397;

/// What must be left of that at an `up`: longer than a term, so that no certificate ends in the middle of one.
const LEAST_DAYS: i64 = 183;

/// Certificates begin so much before they are made: clocks of students' machines are slow at times.
const EARLIER: Duration = Duration::days(1);

/// The longest common name (RFC 5280 appendix A, ub-common-name), in characters.
const COMMON_NAME: usize = 64;

/// Whether it can still give certificates, and those that it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    kept: Kept,
    now: OffsetDateTime,
    changed: bool,
}

/// The file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: u32,
    lab: LabName,
    authority: Issued,
    servers: BTreeMap<GroupName, (Names, Issued)>,
}

/// A certificate with its key and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Issued {
    #[serde(flatten)]
    identity: Identity,
    /// Seconds since 1970.
    ends: i64,
}

/// What a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Names {
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

impl Authority {
    /// The lab's authority as it was kept; a new one where there was none or its end is near.
    pub fn open(dir: &LabDir) -> Result<Self, StateError> {
        let now = OffsetDateTime::now_utc();
        let path = dir.certificates();
        let kept = match dir.read_certificates()? {
            None => None,
            Some(octets) => {
                let damaged = |why: String| StateError::Damaged { path: path.clone(), why };
                let kept: Kept = serde_json::from_slice(&octets).map_err(|problem| damaged(problem.to_string()))?;
                if kept.version != VERSION {
                    let why = format!("its version is {} and this labctl reads {VERSION}", kept.version);
                    return Err(damaged(why));
                }
                Some(kept)
            }
        };
        match kept {
            Some(kept) if kept.lab == *dir.name() && kept.authority.lasts(now, SERVER_DAYS) => {
                Ok(Self { kept, now, changed: false })
            }
            Some(_) | None => Self::new(dir.name(), now).map_err(StateError::Certificate),
        }
    }

    /// An authority that nothing is kept of, for servers that live as long as a rehearsal.
    pub fn passing(lab: &LabName) -> Result<Self, StateError> {
        Self::new(lab, OffsetDateTime::now_utc()).map_err(StateError::Certificate)
    }

    fn new(lab: &LabName, now: OffsetDateTime) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params(authority_name(lab), now, AUTHORITY_DAYS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let authority = Issued::of(&certificate, &certificate.pem(), &key, &params);
        let kept = Kept { version: VERSION, lab: lab.clone(), authority, servers: BTreeMap::new() };
        // What gave no certificate yet is not worth keeping.
        Ok(Self { kept, now, changed: false })
    }

    /// The authority's own certificate in PEM, for whoever is to trust it.
    pub fn certificate(&self) -> &str {
        &self.kept.authority.identity.certificate
    }

    /// The certificate of a server: the one that it has, or a new one. None where the lab wants no TLS. `also` is the
    /// address of the host where the server is reached through that.
    pub fn identify(&mut self, config: &ServerConfig, also: Option<IpAddr>) -> Result<Option<Identity>, StateError> {
        if config.tls == Tls::Off {
            return Ok(None);
        }
        let names = Names::of(config, also);
        if let Some((known, issued)) = self.kept.servers.get(&config.group)
            && *known == names
            && issued.lasts(self.now, LEAST_DAYS)
        {
            return Ok(Some(issued.identity.clone()));
        }
        let issued = self.issue(&config.host, &names).map_err(StateError::Certificate)?;
        let identity = issued.identity.clone();
        self.kept.servers.insert(config.group.clone(), (names, issued));
        self.changed = true;
        Ok(Some(identity))
    }

    /// Keeps what is new.
    pub fn keep(&mut self, dir: &LabDir) -> Result<(), StateError> {
        if self.changed {
            let octets = serde_json::to_vec(&self.kept).expect("certificates are text");
            dir.keep_certificates(&octets, self.certificate().as_bytes())?;
            self.changed = false;
        }
        Ok(())
    }

    fn issue(&self, host: &str, names: &Names) -> Result<Issued, rcgen::Error> {
        // The issuer is known by its name and its key; nothing else of its certificate goes into others.
        let authority = params(authority_name(&self.kept.lab), self.now, AUTHORITY_DAYS);
        let issuer = Issuer::new(authority, KeyPair::from_pem(&self.kept.authority.identity.key)?);
        let key = KeyPair::generate()?;
        let mut params = params(name(host), self.now, SERVER_DAYS);
        params.subject_alt_names = names.alternatives()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Issued::of(&certificate, self.certificate(), &key, &params))
    }
}

impl Issued {
    fn of(certificate: &rcgen::Certificate, authority: &str, key: &KeyPair, params: &CertificateParams) -> Self {
        let identity =
            Identity { certificate: certificate.pem(), key: key.serialize_pem(), authority: authority.to_owned() };
        Self { identity, ends: params.not_after.unix_timestamp() }
    }

    fn lasts(&self, now: OffsetDateTime, days: i64) -> bool {
        self.ends > (now + Duration::days(days)).unix_timestamp()
    }
}

impl Names {
    /// The server's own name and its domain, as far as they are names in the DNS, and where it listens.
    fn of(config: &ServerConfig, also: Option<IpAddr>) -> Self {
        let addresses = config.endpoints.iter().map(|endpoint| endpoint.address.ip()).chain(also);
        let addresses: BTreeSet<IpAddr> = addresses.filter(|address| !address.is_unspecified()).collect();
        let mut names: BTreeSet<String> = docker::names(config).into_iter().collect();
        if addresses.iter().any(|address| *address == IpAddr::from([127, 0, 0, 1])) {
            names.insert("localhost".to_owned());
        }
        Self { names, addresses }
    }

    fn alternatives(&self) -> Result<Vec<SanType>, rcgen::Error> {
        let names = self.names.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
        names.chain(self.addresses.iter().map(|address| Ok(SanType::IpAddress(*address)))).collect()
    }
}

fn authority_name(lab: &LabName) -> DistinguishedName {
    name(&format!("CA of lab {lab}"))
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "labctl");
    name.push(DnType::CommonName, common.chars().take(COMMON_NAME).collect::<String>());
    name
}

fn params(name: DistinguishedName, now: OffsetDateTime, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = now - EARLIER;
    params.not_after = now - EARLIER + Duration::days(days);
    params.distinguished_name = name;
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::StateDir,
        plan::{
            Addressing, Numbers,
            resolve::tests::{key, lab},
            servers,
        },
    };

    fn config(students: &[&str]) -> ServerConfig {
        let lab = lab(&[("g01", students)]);
        let mut numbers = Numbers::default();
        numbers.assign(&lab);
        servers(&lab, &key(), Addressing::Loopback { second: 77 }, &numbers).remove(0)
    }

    fn dir() -> (tempfile::TempDir, LabDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::new(folder.path().join("state")).lab(&"test".parse().unwrap());
        (folder, dir)
    }

    #[test]
    fn a_server_keeps_its_certificate_until_its_names_change() {
        let (_folder, dir) = dir();
        let mut authority = Authority::open(&dir).unwrap();
        let first = authority.identify(&config(&["ana"]), None).unwrap();
        authority.keep(&dir).unwrap();
        let mut again = Authority::open(&dir).unwrap();
        assert_eq!((again.certificate(), again.changed), (authority.certificate(), false));
        assert_eq!(again.identify(&config(&["ana"]), None).unwrap(), first);
        assert!(!again.changed);
        let moved = again.identify(&config(&["ana", "ben"]), None).unwrap();
        assert_ne!(moved, first);
        assert!(again.changed);
    }

    #[test]
    fn certificates_are_renewed_before_their_time_is_over() {
        let (_folder, dir) = dir();
        let mut authority = Authority::open(&dir).unwrap();
        let first = authority.identify(&config(&["ana"]), None).unwrap();
        authority.now += Duration::days(SERVER_DAYS - 1 - LEAST_DAYS) - Duration::seconds(1);
        assert_eq!(authority.identify(&config(&["ana"]), None).unwrap(), first);
        authority.now += Duration::seconds(2);
        assert_ne!(authority.identify(&config(&["ana"]), None).unwrap(), first);
    }

    #[test]
    fn an_authority_near_its_end_is_replaced() {
        let (_folder, dir) = dir();
        let mut authority = Authority::open(&dir).unwrap();
        authority.identify(&config(&["ana"]), None).unwrap();
        authority.kept.authority.ends = (authority.now + Duration::days(SERVER_DAYS - 1)).unix_timestamp();
        authority.keep(&dir).unwrap();
        let next = Authority::open(&dir).unwrap();
        assert_ne!(next.certificate(), authority.certificate());
        assert!(next.kept.servers.is_empty());
    }

    #[test]
    fn a_lab_without_tls_gets_no_certificates() {
        let (_folder, dir) = dir();
        let without = ServerConfig { tls: Tls::Off, ..config(&["ana"]) };
        let mut authority = Authority::open(&dir).unwrap();
        assert_eq!(authority.identify(&without, None).unwrap(), None);
        authority.keep(&dir).unwrap();
        assert!(!dir.ca().exists());
    }

    #[test]
    fn a_file_that_does_not_read_is_named() {
        let (_folder, dir) = dir();
        dir.make().unwrap();
        std::fs::write(dir.certificates(), "{").unwrap();
        assert!(Authority::open(&dir).unwrap_err().to_string().contains("certificates.json` is damaged"));
    }

    #[test]
    fn names_that_no_dns_has_are_left_out() {
        let strange = ServerConfig { host: "no name (1.8)".to_owned(), ..config(&["ana"]) };
        let names = Names::of(&strange, Some(IpAddr::from([0, 0, 0, 0])));
        assert_eq!(names.names, BTreeSet::from(["g01.lab".to_owned(), "mail".to_owned()]));
        assert_eq!(names.addresses, BTreeSet::from([IpAddr::from([127, 77, 1, 1])]));
        assert!(Authority::passing(&"test".parse().unwrap()).unwrap().identify(&strange, None).is_ok());
    }
}
