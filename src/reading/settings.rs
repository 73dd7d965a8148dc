//! What all servers of a lab have in common: relay, dialect, leniency and limits.

use std::ops::RangeInclusive;

use super::{
    diagnostic::{Code, Findings},
    fields::Fields,
    keys,
    people::People,
    relaying, services,
};
use crate::{
    lab::{Leniency, Limits, Login, LoneNewline, Settings},
    protocol::dialect,
};

/// What a limit may be.
#[derive(Debug)]
pub struct Range {
    /// The key.
    pub key: &'static str,
    /// From here to there; outside, servers would not work.
    pub allowed: RangeInclusive<u64>,
    /// What the RFC asks for at least, and where; less gets a warning.
    pub rfc: Option<(u64, &'static str)>,
}

const fn range(key: &'static str, allowed: RangeInclusive<u64>, rfc: Option<(u64, &'static str)>) -> Range {
    Range { key, allowed, rfc }
}

/// The ranges of all limits.
pub const RANGES: [Range; 17] = [
    range("line", 64..=65_536, Some((512, "RFC 5321 4.5.3.1.4"))),
    range("text_line", 80..=(1 << 20), Some((1_000, "RFC 5321 4.5.3.1.6"))),
    range("recipients", 1..=10_000, Some((100, "RFC 5321 4.5.3.1.8"))),
    range("message", 1_024..=(256 << 20), Some((65_536, "RFC 5321 4.5.3.1.7"))),
    range("mailbox", 1_024..=(1 << 40), None),
    range("mail_under_way", (1 << 20)..=(1 << 40), None),
    range("sessions_per_student", 1..=1_000, None),
    range("sessions", 1..=100_000, None),
    range("commands_per_second", 1..=1_000_000, None),
    range("evidence", 65_536..=(1 << 40), None),
    range("hops", 1..=1_000, Some((100, "RFC 5321 6.3"))),
    range("errors", 1..=1_000_000, None),
    range("queries_per_second", 1..=1_000_000, None),
    range("smtp_idle_secs", 1..=86_400, Some((300, "RFC 5321 4.5.3.2.7"))),
    range("pop3_idle_secs", 1..=86_400, Some((600, "RFC 1939 3"))),
    range("handshake_secs", 1..=3_600, None),
    range("imap_idle_secs", 1..=86_400, Some((1_800, "RFC 9051 5.4"))),
];

/// Other names of dialects.
const ALIASES: [(&str, &str); 1] = [("sendmail+qpopper", "sendmail")];

/// Reads the settings. `people` tells whether the mailbox for unknown recipients exists.
pub fn settings(lab: &Fields<'_>, people: &People, findings: &mut Findings<'_>) -> Settings {
    let dialect = dialect(lab, findings);
    let relay = lab.boolean("relay", false, findings);
    let tls = services::tls(lab, &dialect, findings);
    let auth_before_tls = lab.boolean("auth_before_tls", false, findings);
    let services = services::services(lab, &dialect, tls, auth_before_tls, findings);
    Settings {
        relay,
        routes: relaying::routes(lab, relay, findings),
        patience: relaying::patience(lab, findings),
        auth_before_tls,
        vrfy: lab.boolean("vrfy", false, findings),
        leniency: leniency(lab, findings),
        lone_newline: lone_newline(lab, &dialect, findings),
        catch_all: catch_all(lab, &dialect, people, findings),
        tls,
        ports: services::ports(lab, &services, findings),
        services,
        limits: limits(lab, findings),
        any_neighbour: any_neighbour(lab, findings),
        dialect,
    }
}

fn any_neighbour(lab: &Fields<'_>, findings: &mut Findings<'_>) -> bool {
    let field = lab.get("neighbour");
    field.and_then(|field| field.choice(&[("next", false), ("any", true)], findings)).unwrap_or(false)
}

fn dialect(lab: &Fields<'_>, findings: &mut Findings<'_>) -> String {
    let known: Vec<(&str, &str)> = dialect::names().map(|name| (name, name)).chain(ALIASES).collect();
    let chosen = lab.get("dialect").and_then(|field| field.choice(&known, findings));
    chosen.unwrap_or(known[0].0).to_owned()
}

fn leniency(lab: &Fields<'_>, findings: &mut Findings<'_>) -> Leniency {
    let strict = lab.boolean("strict", false, findings);
    let base = if strict { Leniency::STRICT } else { Leniency::LENIENT };
    let Some(table) = lab.get("lenient").and_then(|field| field.table(&keys::LENIENT, findings)) else {
        return base;
    };
    let mut point = |key, default| table.boolean(key, default, findings);
    Leniency {
        greeting_argument: point("greeting_argument", base.greeting_argument),
        bare_path: point("bare_path", base.bare_path),
        space_after_colon: point("space_after_colon", base.space_after_colon),
        local_part: point("local_part", base.local_part),
        no_greeting: point("no_greeting", base.no_greeting),
        line_feed: point("line_feed", base.line_feed),
        pop3_blanks: point("pop3_blanks", base.pop3_blanks),
    }
}

/// What the lab says, or else what the server did whose dialect it is.
fn lone_newline(lab: &Fields<'_>, dialect: &str, findings: &mut Findings<'_>) -> LoneNewline {
    let choices = [("refuse", LoneNewline::Refuse), ("convert", LoneNewline::Convert), ("keep", LoneNewline::Keep)];
    lab.get("lone_newline")
        .and_then(|field| field.choice(&choices, findings))
        .unwrap_or_else(|| dialect::named(dialect).map_or(LoneNewline::Refuse, |dialect| dialect.lone_newline))
}

fn catch_all(lab: &Fields<'_>, dialect: &str, people: &People, findings: &mut Findings<'_>) -> Option<Login> {
    if let Some(field) = lab.get("catch_all") {
        let login: Login = field.name("a mailbox", findings)?;
        people.names.expect_mailbox(login.as_str(), &field.span, findings);
        return Some(login);
    }
    if !dialect::named(dialect).is_some_and(|dialect| dialect.catch_all) {
        return None;
    }
    let first = people.first_mailbox.clone();
    if let (None, Some(field)) = (&first, lab.get("dialect")) {
        let message = format!("`{dialect}` accepts every recipient, but no mailbox is in every group");
        let problem = findings.lab(Code::NoCatchAll, &field.span, message);
        problem.help("unknown recipients are refused: add `users = [\"inbox\"]` for a mailbox in each group");
    }
    first
}

fn limits(lab: &Fields<'_>, findings: &mut Findings<'_>) -> Limits {
    let default = Limits::default();
    let Some(table) = lab.get("limits").and_then(|field| field.table(&keys::LIMITS, findings)) else {
        return default;
    };
    let mut size = |key, default: u64| limit(&table, key, findings).unwrap_or(default);
    let mut count = |key, default: usize| usize::try_from(size(key, default as u64)).unwrap_or(default);
    Limits {
        line: count("line", default.line),
        text_line: count("text_line", default.text_line),
        recipients: count("recipients", default.recipients),
        sessions_per_student: count("sessions_per_student", default.sessions_per_student),
        sessions: count("sessions", default.sessions),
        hops: count("hops", default.hops),
        errors: count("errors", default.errors),
        commands_per_second: size("commands_per_second", default.commands_per_second),
        evidence: size("evidence", default.evidence),
        queries_per_second: size("queries_per_second", default.queries_per_second),
        message: size("message", default.message),
        mailbox: size("mailbox", default.mailbox),
        mail_under_way: size("mail_under_way", default.mail_under_way),
        smtp_idle_secs: size("smtp_idle_secs", default.smtp_idle_secs),
        pop3_idle_secs: size("pop3_idle_secs", default.pop3_idle_secs),
        handshake_secs: size("handshake_secs", default.handshake_secs),
        imap_idle_secs: size("imap_idle_secs", default.imap_idle_secs),
    }
}

fn limit(table: &Fields<'_>, key: &'static str, findings: &mut Findings<'_>) -> Option<u64> {
    let field = table.get(key)?;
    let Range { allowed, rfc, .. } = RANGES.iter().find(|range| range.key == key)?;
    let octets = matches!(key, "line" | "text_line" | "message" | "mailbox" | "mail_under_way" | "evidence");
    let value = if octets { field.octets(allowed.clone(), findings) } else { field.number(allowed.clone(), findings) }?;
    if let Some((least, rfc)) = rfc.filter(|(least, _)| value < *least) {
        let message = format!("`{key}` is below {least}, which {rfc} asks for");
        findings.lab(Code::BelowRfc, &field.span, message).help("leave it where students are to meet the limit");
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_range_that_holds_its_default() {
        for key in keys::LIMITS.keys {
            assert!(RANGES.iter().any(|range| range.key == *key), "{key}");
        }
        let default = Limits::default();
        let numbers = [default.line, default.text_line, default.recipients];
        for (range, number) in RANGES.iter().zip(numbers) {
            assert!(range.allowed.contains(&(number as u64)), "{}", range.key);
        }
        for range in &RANGES {
            assert!(range.rfc.is_none_or(|(least, _)| range.allowed.contains(&least)), "{}", range.key);
        }
    }
}
