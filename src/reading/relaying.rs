//! Mail between domains: routes out of the lab, and how patiently servers try.

use super::{
    diagnostic::{Code, Findings, in_lab},
    fields::Fields,
    keys,
    settings::Range,
};
use crate::lab::{Domain, Patience, Route};

/// The most routes of a lab.
pub const MAX_ROUTES: usize = 100;

/// The longest host of a route, in octets.
const MAX_HOST: usize = 253;

const fn range(key: &'static str, least: u64, most: u64) -> Range {
    Range { key, allowed: least..=most, rfc: None }
}

/// The ranges of what is in `[queue]`.
pub const RANGES: [Range; 6] = [
    range("retry_secs", 1, 86_400),
    range("retry_most_secs", 1, 86_400),
    range("warn_secs", 1, 1_000_000),
    range("give_up_secs", 1, 1_000_000),
    range("sessions", 1, 100),
    range("recipients", 1, 1_000_000),
];

/// Reads `[queue]`.
pub fn patience(lab: &Fields<'_>, findings: &mut Findings<'_>) -> Patience {
    let default = Patience::default();
    let Some(table) = lab.get("queue").and_then(|field| field.table(&keys::QUEUE, findings)) else { return default };
    let mut number = |key: &'static str, default: u64| {
        let allowed = RANGES.iter().find(|range| range.key == key).map_or(0..=u64::MAX, |range| range.allowed.clone());
        table.number(key, default, allowed, findings)
    };
    let patience = Patience {
        retry_secs: number("retry_secs", default.retry_secs),
        retry_most_secs: number("retry_most_secs", default.retry_most_secs),
        warn_secs: number("warn_secs", default.warn_secs),
        give_up_secs: number("give_up_secs", default.give_up_secs),
        sessions: usize::try_from(number("sessions", default.sessions as u64)).unwrap_or(default.sessions),
        recipients: usize::try_from(number("recipients", default.recipients as u64)).unwrap_or(default.recipients),
    };
    if patience.retry_most_secs < patience.retry_secs {
        let field = table.get("retry_most_secs").or_else(|| table.get("retry_secs"));
        let span = field.map_or_else(|| table.span.clone(), |field| field.span);
        let message = "`retry_most_secs` is shorter than `retry_secs`";
        findings.lab(Code::Conflict, &span, message).help("the first pause would be longer than the longest");
    }
    patience
}

/// Reads `[[route]]`.
pub fn routes(lab: &Fields<'_>, relay: bool, findings: &mut Findings<'_>) -> Vec<Route> {
    let Some(field) = lab.get("route") else { return Vec::new() };
    if !relay {
        let problem = findings.lab(Code::Conflict, &field.key_span, "without `relay = true` no mail takes a route");
        problem.help("add `relay = true`, or leave the routes out");
    }
    let mut routes: Vec<(Route, std::ops::Range<usize>)> = Vec::new();
    for table in field.tables(&keys::ROUTE, MAX_ROUTES, findings) {
        let Some((route, span)) = route(&table, findings) else { continue };
        if let Some((_, first)) = routes.iter().find(|(other, _)| other.domain == route.domain) {
            let problem = findings.lab(Code::Duplicate, &span, format!("`{}` has a route already", route.domain));
            problem.second(in_lab(first), "first here");
            continue;
        }
        routes.push((route, span));
    }
    routes.into_iter().map(|(route, _)| route).collect()
}

fn route(table: &Fields<'_>, findings: &mut Findings<'_>) -> Option<(Route, std::ops::Range<usize>)> {
    let domain = table.required("domain", "domain = \"postfix.test\"", findings);
    let span = domain.as_ref().map(|field| field.span.clone());
    let domain: Option<Domain> = domain.and_then(|field| field.name("a domain", findings));
    let host = table.required("host", "host = \"127.0.0.1\"", findings).and_then(|field| {
        let host = field.text(findings)?;
        let printable = !host.is_empty() && host.bytes().all(|octet| octet.is_ascii_graphic());
        if !printable || host.len() > MAX_HOST {
            let problem = findings.lab(Code::BadName, &field.span, format!("`{host}` is no host"));
            problem.help("write a name that this machine can look up, or an address");
            return None;
        }
        Some(host.to_owned())
    });
    let port = table.number("port", 25, 1..=u64::from(u16::MAX), findings);
    Some((Route { domain: domain?, host: host?, port: u16::try_from(port).unwrap_or(25) }, span?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_queue_has_a_range_that_holds_its_default() {
        let Patience { retry_secs, retry_most_secs, warn_secs, give_up_secs, sessions, recipients } =
            Patience::default();
        let numbers = [retry_secs, retry_most_secs, warn_secs, give_up_secs, sessions as u64, recipients as u64];
        for (range, number) in RANGES.iter().zip(numbers) {
            assert!(range.allowed.contains(&number), "{}", range.key);
        }
        assert_eq!(RANGES.each_ref().map(|range| range.key), keys::QUEUE.keys);
    }
}
