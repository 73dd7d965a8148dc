//! What differs between two configurations of one server, in words. Every field is looked at by name, so a field that
//! comes later cannot be forgotten here.

use std::collections::{BTreeMap, BTreeSet};

use crate::lab::{
    Leniency, Limits, Login, Relaying, ServerConfig,
    server::{Account, Endpoint},
};

/// What changes from `old` to `new`, a fragment each; nothing where they are equal. Passwords are never shown.
pub fn between(old: &ServerConfig, new: &ServerConfig) -> Vec<String> {
    let ServerConfig {
        lab,
        group,
        domain,
        host,
        dialect,
        leniency,
        lone_newline,
        tls,
        identity,
        relay,
        auth_before_tls,
        vrfy,
        catch_all,
        limits,
        accounts,
        endpoints,
        faults,
        clients,
        clients_only,
        relaying,
    } = old;
    let mut changes = Vec::new();
    let mut differs = |what: &str, old: &dyn std::fmt::Display, new: &dyn std::fmt::Display| {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            changes.push(format!("{what} is `{new}` and was `{old}`"));
        }
    };
    differs("lab", lab, &new.lab);
    differs("group", group, &new.group);
    differs("domain", domain, &new.domain);
    differs("host", host, &new.host);
    differs("dialect", dialect, &new.dialect);
    differs("tls", &tls.as_str(), &new.tls.as_str());
    differs("relay", relay, &new.relay);
    differs("auth_before_tls", auth_before_tls, &new.auth_before_tls);
    differs("vrfy", vrfy, &new.vrfy);
    let name = |catch_all: &Option<Login>| catch_all.as_ref().map_or_else(|| "none".to_owned(), Login::to_string);
    differs("catch_all", &name(catch_all), &name(&new.catch_all));
    differs("lone newline", &format!("{lone_newline:?}"), &format!("{:?}", new.lone_newline));
    leniencies(*leniency, new.leniency, &mut changes);
    numbers(limits, &new.limits, &mut changes);
    mailboxes(accounts, &new.accounts, &mut changes);
    addresses(endpoints, &new.endpoints, &mut changes);
    match (identity, &new.identity) {
        (None, Some(_)) => changes.push("it gets a certificate".into()),
        (Some(_), None) => changes.push("its certificate goes".into()),
        (Some(before), Some(after)) if before != after => changes.push("its certificate is renewed".into()),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if *faults != new.faults {
        changes.push("faults change".into());
    }
    if *clients != new.clients || *clients_only != new.clients_only {
        changes.push("addresses of clients change".into());
    }
    ways(relaying, &new.relaying, &mut changes);
    changes
}

fn leniencies(old: Leniency, new: Leniency, changes: &mut Vec<String>) {
    let Leniency { greeting_argument, bare_path, space_after_colon, local_part, no_greeting, line_feed, pop3_blanks } =
        old;
    let all = [
        ("greeting_argument", greeting_argument, new.greeting_argument),
        ("bare_path", bare_path, new.bare_path),
        ("space_after_colon", space_after_colon, new.space_after_colon),
        ("local_part", local_part, new.local_part),
        ("no_greeting", no_greeting, new.no_greeting),
        ("line_feed", line_feed, new.line_feed),
        ("pop3_blanks", pop3_blanks, new.pop3_blanks),
    ];
    for (name, old, new) in all {
        if old != new {
            changes.push(format!("leniency {name} is `{new}` and was `{old}`"));
        }
    }
}

fn numbers(old: &Limits, new: &Limits, changes: &mut Vec<String>) {
    let Limits {
        line,
        text_line,
        recipients,
        message,
        mailbox,
        mail_under_way,
        sessions_per_student,
        sessions,
        commands_per_second,
        evidence,
        hops,
        errors,
        queries_per_second,
        smtp_idle_secs,
        pop3_idle_secs,
        handshake_secs,
        imap_idle_secs,
    } = old;
    let wide = |number: usize| number as u64;
    let all = [
        ("line", wide(*line), wide(new.line)),
        ("text_line", wide(*text_line), wide(new.text_line)),
        ("recipients", wide(*recipients), wide(new.recipients)),
        ("message", *message, new.message),
        ("mailbox", *mailbox, new.mailbox),
        ("mail_under_way", *mail_under_way, new.mail_under_way),
        ("sessions_per_student", wide(*sessions_per_student), wide(new.sessions_per_student)),
        ("sessions", wide(*sessions), wide(new.sessions)),
        ("commands_per_second", *commands_per_second, new.commands_per_second),
        ("evidence", *evidence, new.evidence),
        ("hops", wide(*hops), wide(new.hops)),
        ("errors", wide(*errors), wide(new.errors)),
        ("queries_per_second", *queries_per_second, new.queries_per_second),
        ("smtp_idle_secs", *smtp_idle_secs, new.smtp_idle_secs),
        ("pop3_idle_secs", *pop3_idle_secs, new.pop3_idle_secs),
        ("handshake_secs", *handshake_secs, new.handshake_secs),
        ("imap_idle_secs", *imap_idle_secs, new.imap_idle_secs),
    ];
    for (name, old, new) in all {
        if old != new {
            changes.push(format!("limit {name} is {new} and was {old}"));
        }
    }
}

fn ways(old: &Relaying, new: &Relaying, changes: &mut Vec<String>) {
    let Relaying { from, neighbours, routes, patience } = old;
    let parts = [
        ("where servers meet changes", *from != new.from),
        ("the servers of other groups change", *neighbours != new.neighbours),
        ("routes to other domains change", *routes != new.routes),
        ("the patience of the queue changes", *patience != new.patience),
    ];
    changes.extend(parts.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what.to_owned()));
}

fn mailboxes(old: &BTreeMap<Login, Account>, new: &BTreeMap<Login, Account>, changes: &mut Vec<String>) {
    for (name, account) in new {
        match old.get(name) {
            None => changes.push(format!("mailbox `{name}` is new")),
            Some(before) if before.password != account.password => {
                changes.push(format!("mailbox `{name}` has another password"));
            }
            Some(before) if before.token != account.token => {
                changes.push(format!("mailbox `{name}` has another token"));
            }
            Some(before) if before != account => changes.push(format!("mailbox `{name}` has another owner")),
            Some(_) => {}
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        changes.push(format!("mailbox `{name}` is gone"));
    }
}

fn addresses(old: &[Endpoint], new: &[Endpoint], changes: &mut Vec<String>) {
    let of = |endpoints: &[Endpoint]| {
        let mut by_owner: BTreeMap<Option<Login>, BTreeSet<Endpoint>> = BTreeMap::new();
        for endpoint in endpoints {
            by_owner.entry(endpoint.student.clone()).or_default().insert(endpoint.clone());
        }
        by_owner
    };
    let (old, new) = (of(old), of(new));
    let owner =
        |owner: &Option<Login>| owner.as_ref().map_or_else(|| "the group".to_owned(), |login| format!("`{login}`"));
    for (login, endpoints) in &new {
        match old.get(login) {
            None => changes.push(format!("endpoints of {} are new", owner(login))),
            Some(before) if before != endpoints => changes.push(format!("endpoints of {} move", owner(login))),
            Some(_) => {}
        }
    }
    for login in old.keys().filter(|login| !new.contains_key(*login)) {
        changes.push(format!("endpoints of {} are gone", owner(login)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        Addressing, Numbers,
        resolve::tests::{key, lab},
        servers,
    };

    fn config() -> ServerConfig {
        let lab = lab(&[("g01", &["ana"])]);
        let mut numbers = Numbers::default();
        numbers.assign(&lab);
        servers(&lab, &key(), Addressing::Ephemeral, &numbers).remove(0)
    }

    #[test]
    fn equal_configurations_have_no_changes() {
        assert_eq!(between(&config(), &config()), Vec::<String>::new());
    }

    #[test]
    fn every_change_is_named_and_no_password_is_shown() {
        let (old, mut new) = (config(), config());
        new.relay = true;
        new.dialect = "argosoft".into();
        new.limits.message = 1;
        new.leniency = Leniency::STRICT;
        let account = new.accounts.get_mut("ana").expect("the student's mailbox");
        account.password = "geheim".into();
        let changes = between(&old, &new);
        assert_eq!(changes[0], "dialect is `argosoft` and was `labctl`");
        assert_eq!(changes[1], "relay is `true` and was `false`");
        assert!(changes.contains(&"limit message is 1 and was 10485760".to_owned()));
        assert!(changes.contains(&"mailbox `ana` has another password".to_owned()));
        assert!(changes.contains(&"leniency bare_path is `false` and was `true`".to_owned()));
        assert!(!changes.concat().contains("geheim"));
    }
}
