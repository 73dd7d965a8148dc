//! The mail domain and the host name of each group, from the lab's patterns.

use std::collections::BTreeMap;

use super::{
    diagnostic::{Code, Findings, Span},
    fields::Fields,
    groups::Rooms,
};
use crate::lab::{
    Domain, Group, LabName, User,
    template::{Piece, pieces},
};

/// The host name of a lab that says none.
const HOST: &str = "mail.{domain}";

/// The longest host name, in octets.
pub const MAX_HOST: usize = 253;

/// The patterns as written.
#[derive(Debug)]
pub struct Addresses<'a> {
    domain: Option<(&'a str, Span)>,
    host: (&'a str, Span),
}

impl<'a> Addresses<'a> {
    /// Reads `domain` and `host`; a pattern with a placeholder that it cannot have counts as none.
    pub fn read(lab: &Fields<'a>, findings: &mut Findings<'_>) -> Self {
        let domain = lab.required("domain", "domain = \"lib.simulacion\"", findings);
        let domain = domain.and_then(|field| Some((field.text(findings)?, field.span)));
        let host = lab.text("host", findings).unwrap_or((HOST, lab.span.clone()));
        let domain = domain.filter(|(text, span)| check(text, span, &["group", "lab"], findings));
        let host = if check(host.0, &host.1, &["group", "lab", "domain"], findings) { host } else { (HOST, host.1) };
        Self { domain, host }
    }

    /// Whether all groups would have the same domain.
    pub fn shared(&self) -> bool {
        self.domain.as_ref().is_none_or(|(text, _)| !text.contains("{group}"))
    }

    /// Makes the groups, each with its domain; the first problem of a pattern is enough.
    pub fn groups(&self, lab: &LabName, rooms: Rooms, users: &[User], findings: &mut Findings<'_>) -> Vec<Group> {
        let Some((pattern, span)) = &self.domain else {
            return Vec::new();
        };
        let mut seen: BTreeMap<Domain, String> = BTreeMap::new();
        let mut groups = Vec::new();
        for (name, students) in rooms {
            let text = fill(pattern, &[("group", name.as_str()), ("lab", lab.as_str())]);
            let domain: Domain = match text.parse() {
                Ok(domain) => domain,
                Err(problem) => {
                    let whose =
                        if pattern.contains('{') { format!(", the domain of group `{name}`,") } else { String::new() };
                    let message = format!("`{text}`{whose} is no domain");
                    findings.lab(Code::BadDomain, span, message).label(problem.to_string());
                    return groups;
                }
            };
            if let Some(other) = seen.get(&domain) {
                let message = format!("groups `{other}` and `{name}` would both have the domain `{domain}`");
                let problem = findings.lab(Code::SameDomain, span, message);
                problem.help(format!("put `{{group}}` into it: `domain = \"{{group}}.{domain}\"`"));
                return groups;
            }
            seen.insert(domain.clone(), name.to_string());
            let values = [("group", name.as_str()), ("lab", lab.as_str()), ("domain", domain.as_str())];
            let host = fill(self.host.0, &values);
            if let Some(problem) = bad_host(&host) {
                let problem =
                    findings.lab(Code::BadHost, &self.host.1, format!("`{host}` is no name for a server: {problem}"));
                problem.help(format!("leave `host` out for `{HOST}`"));
                return groups;
            }
            groups.push(Group { name, domain, host, students, users: users.to_vec() });
        }
        groups
    }
}

fn bad_host(host: &str) -> Option<String> {
    if host.is_empty() {
        return Some("it may not be empty".into());
    }
    if host.len() > MAX_HOST {
        return Some(format!("it has at most {MAX_HOST} octets"));
    }
    (!host.bytes().all(|octet| octet.is_ascii_graphic())).then(|| "it is printable ASCII without blanks".into())
}

fn check(pattern: &str, span: &Span, allowed: &[&str], findings: &mut Findings<'_>) -> bool {
    let pieces = match pieces(pattern) {
        Ok(pieces) => pieces,
        Err(problem) => {
            findings.within(Code::BadTemplate, span, problem).help(may_have(allowed));
            return false;
        }
    };
    let wrong = pieces.iter().find_map(|piece| match piece {
        Piece::Value { name, of } if of.is_some() || !allowed.contains(name) => Some(*name),
        Piece::Value { .. } | Piece::Text(_) => None,
    });
    if let Some(name) = wrong {
        findings.within(Code::BadTemplate, span, format!("`{{{name}}}` cannot stand here")).help(may_have(allowed));
    }
    wrong.is_none()
}

fn may_have(allowed: &[&str]) -> String {
    let quoted: Vec<String> = allowed.iter().map(|name| format!("`{{{name}}}`")).collect();
    format!("here may stand {}", quoted.join(" and "))
}

fn fill(pattern: &str, values: &[(&str, &str)]) -> String {
    let value = |piece: Piece<'_>| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Value { name, .. } => {
            values.iter().find(|(known, _)| *known == name).map_or_else(String::new, |(_, value)| (*value).to_owned())
        }
    };
    pieces(pattern).unwrap_or_default().into_iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_limited_and_printable() {
        assert!(bad_host(&"h".repeat(MAX_HOST)).is_none());
        assert!(bad_host(&"h".repeat(MAX_HOST + 1)).is_some());
        assert!(bad_host("VAIO").is_none());
        for bad in ["", "a b", "a\r\n", "ñ"] {
            assert!(bad_host(bad).is_some(), "{bad:?}");
        }
    }
}
