//! What the servers listen for: the services, their ports, and what is said to TLS.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    diagnostic::{Code, Findings},
    fields::Fields,
    keys,
    offered::{Offered, offers_tls},
};
use crate::lab::{Service, Tls};

/// Reads `tls`.
pub fn tls(lab: &Fields<'_>, dialect: &str, findings: &mut Findings<'_>) -> Tls {
    let choices = [Tls::Off, Tls::Offered, Tls::Required].map(|tls| (tls.as_str(), tls));
    let Some(field) = lab.get("tls") else { return Tls::default() };
    let chosen = field.choice(&choices, findings).unwrap_or_default();
    if chosen == Tls::Required && !offers_tls(dialect) {
        let message = format!("`{dialect}` has no STARTTLS, so TLS cannot be required on `smtp`");
        findings.lab(Code::NoEffect, &field.span, message).help("choose another dialect, such as `postfix`");
    }
    chosen
}

/// Reads `services`. Without the key everything that is served is; where the dialect's server had no TLS or the lab wants
/// none, what begins with TLS is not.
pub fn services(
    lab: &Fields<'_>,
    dialect: &str,
    tls: Tls,
    auth_before_tls: bool,
    findings: &mut Findings<'_>,
) -> BTreeSet<Service> {
    let Some(field) = lab.get("services") else {
        let with_tls = tls != Tls::Off && offers_tls(dialect);
        // Submission wants a login, and a login wants TLS.
        let without = |service: &Service| !service.implicit_tls() && *service != Service::Submission;
        return Service::ALL.into_iter().filter(|service| with_tls || without(service)).collect();
    };
    let known: Vec<(&str, Service)> = Service::ALL.into_iter().map(|service| (service.as_str(), service)).collect();
    let (mut services, mut opened) = (BTreeSet::new(), Vec::new());
    let entries = field.list(findings);
    for entry in &entries {
        let Some(service) = entry.choice(&known, findings) else { continue };
        if service.implicit_tls() && tls == Tls::Off {
            let message = format!("`{service}` is over TLS, and `tls = \"off\"`");
            findings.lab(Code::Conflict, &entry.span, message);
        }
        opened.push((service, entry.span.clone()));
        if !services.insert(service) {
            findings.lab(Code::Duplicate, &entry.span, format!("service `{service}` stands twice"));
        }
    }
    let offered = Offered::with(tls, dialect, &services, auth_before_tls);
    if let Some((_, span)) = opened.iter().find(|(service, _)| *service == Service::Submission) {
        offered.expect_login(Service::Submission, span, findings);
    }
    if entries.is_empty() && field.is_list() {
        let problem = findings.lab(Code::NoEffect, &field.span, "a server without a service is of no use");
        problem.help("leave `services` out, and all are opened");
    }
    services
}

/// Reads `ports`: those that are written.
pub fn ports(lab: &Fields<'_>, services: &BTreeSet<Service>, findings: &mut Findings<'_>) -> BTreeMap<Service, u16> {
    let mut ports = BTreeMap::new();
    let Some(field) = lab.get("ports") else {
        return ports;
    };
    let Some(table) = field.table(&keys::PORTS, findings) else {
        return ports;
    };
    for service in Service::ALL {
        let left_out = service.embedded_port();
        let port = table.number(service.as_str(), u64::from(left_out), 1..=u64::from(u16::MAX), findings);
        if table.get(service.as_str()).is_some() {
            ports.insert(service, u16::try_from(port).unwrap_or(left_out));
        }
    }
    // What is left out is another port on each engine.
    let are_apart = |left_out: fn(Service) -> u16| {
        let port = |service: &Service| ports.get(service).copied().unwrap_or_else(|| left_out(*service));
        services.iter().map(port).collect::<BTreeSet<_>>().len() == services.len()
    };
    match (are_apart(Service::embedded_port), are_apart(Service::standard_port)) {
        (true, true) => {}
        (false, false) => drop(findings.lab(Code::Conflict, &field.span, "two services have the same port")),
        (embedded, _) => {
            let engine = if embedded { "docker" } else { "embedded" };
            let what = format!("two services have the same port on engine `{engine}`, where others are left out");
            findings.lab(Code::Conflict, &field.span, what).help("write the ports of both");
        }
    }
    ports
}
