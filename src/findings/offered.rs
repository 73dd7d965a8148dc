//! What the servers of a lab can ever offer: TLS, and AUTH with it or without. A check that waits for what never comes, and a
//! service that nobody can log in to, get a warning. One `tls = "off"` far above is easily forgotten.

use std::collections::BTreeSet;

use super::diagnostic::{Code, Findings, Span};
use crate::{
    lab::{
        Service, Settings, Tls,
        exercise::{Step, Terms, TlsMode},
    },
    protocol::{dialect, sasl::Mechanism, smtp},
};

/// What can come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Why no connection is ever over TLS; none: some can be.
    no_tls: Option<String>,
    /// Whether AUTH may come before TLS.
    auth_before_tls: bool,
}

impl Offered {
    /// What servers with these settings offer.
    pub fn of(settings: &Settings) -> Self {
        Self::with(settings.tls, &settings.dialect, &settings.services, settings.auth_before_tls)
    }

    /// The same before the settings are complete.
    pub fn with(tls: Tls, dialect: &str, services: &BTreeSet<Service>, auth_before_tls: bool) -> Self {
        let implicit = services.iter().any(|service| service.implicit_tls());
        let no_tls = match tls {
            Tls::Off => Some("`tls = \"off\"`".to_owned()),
            Tls::Offered | Tls::Required if implicit || offers_tls(dialect) => None,
            Tls::Offered | Tls::Required => Some(format!("`{dialect}` has no STARTTLS")),
        };
        Self { no_tls, auth_before_tls }
    }

    /// Why AUTH is never offered; none: it can be.
    fn no_auth(&self) -> Option<&str> {
        self.no_tls.as_deref().filter(|_| !self.auth_before_tls)
    }

    /// Notes a service that wants a login where nobody can log in.
    pub fn expect_login(&self, service: Service, span: &Span, findings: &mut Findings<'_>) {
        if let Some(why) = self.no_auth() {
            let message = format!("`{service}` wants a login, and AUTH is never offered: {why}");
            findings.lab(Code::NeverOffered, span, message).help(WAY_OUT);
        }
    }

    /// Notes what a conversation must be like that none can be. `spans` are those of `tls`, `tls_version` and `auth`.
    pub fn expect_terms(&self, terms: &Terms, spans: [Option<Span>; 3], findings: &mut Findings<'_>) {
        let [tls, version, auth] = spans;
        let over_tls = matches!(terms.tls, Some(TlsMode::Starttls | TlsMode::Implicit));
        let wanted = tls.filter(|_| over_tls).or_else(|| version.filter(|_| terms.version.is_some()));
        if let (Some(span), Some(why)) = (wanted, &self.no_tls) {
            findings.lab(Code::NeverOffered, &span, format!("no connection is over TLS: {why}")).help(TLS_ON);
        }
        let sasl = terms.auth.as_deref().is_some_and(|name| Mechanism::named(name).is_some());
        if let (Some(span), Some(why)) = (auth.filter(|_| sasl), self.no_auth()) {
            findings.lab(Code::NeverOffered, &span, format!("AUTH is never offered: {why}")).help(WAY_OUT);
        }
    }

    /// Notes a step that waits for an AUTH that goes well.
    pub fn expect_step(&self, step: &Step, span: &Span, findings: &mut Findings<'_>) {
        let login = !step.verbs.is_empty() && step.verbs.iter().all(|verb| verb == "AUTH" || verb == "<RESPONSE>");
        let well =
            step.reply.as_ref().is_some_and(|reply| reply.codes.iter().all(|code| code.starts_with(['2', '3', '+'])));
        if let Some(why) = self.no_auth().filter(|_| login && well && !step.forbidden) {
            findings.within(Code::NeverOffered, span, format!("AUTH is never offered: {why}")).help(WAY_OUT);
        }
    }
}

/// Whether the dialect's server knows STARTTLS.
pub fn offers_tls(dialect: &str) -> bool {
    dialect::named(dialect).is_some_and(|dialect| smtp::offers(&dialect, "STARTTLS"))
}

/// What to do where AUTH cannot be.
const WAY_OUT: &str = "let there be TLS, or add `auth_before_tls = true`";

/// What to do where TLS is wanted.
const TLS_ON: &str = "leave `tls` out, or choose a dialect that has it, such as `postfix`";
