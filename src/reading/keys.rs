//! Every table and key of the lab file, by name. `reference.md` describes each of them; a test holds the two together.

use std::sync::LazyLock;

use crate::{findings::Section, marking::checks};

/// The file itself.
pub const LAB: Section = Section {
    name: "the lab",
    keys: &[
        "domain",
        "users",
        "relay",
        "auth_before_tls",
        "vrfy",
        "name",
        "title",
        "language",
        "engine",
        "host",
        "dialect",
        "strict",
        "lenient",
        "lone_newline",
        "catch_all",
        "tls",
        "services",
        "ports",
        "limits",
        "docker",
        "queue",
        "route",
        "neighbour",
        "roster",
        "students",
        "groups",
        "group_size",
        "mail",
        "fault",
        "exercise",
    ],
};

/// An entry of `users`.
pub const USER: Section = Section { name: "`users = [{ … }]`", keys: &["name", "password"] };

/// An entry of `students`.
pub const STUDENT: Section =
    Section { name: "`students = [{ … }]`", keys: &["login", "group", "name", "email", "password"] };

/// The single points of leniency.
pub const LENIENT: Section = Section {
    name: "`[lenient]`",
    keys: &[
        "greeting_argument",
        "bare_path",
        "space_after_colon",
        "local_part",
        "no_greeting",
        "line_feed",
        "pop3_blanks",
    ],
};

/// The ports.
pub const PORTS: Section = Section {
    name: "`ports = { … }`",
    keys: &["smtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps", "domain"],
};

/// The limits of each server.
pub const LIMITS: Section = Section {
    name: "`[limits]`",
    keys: &[
        "line",
        "text_line",
        "recipients",
        "message",
        "mailbox",
        "mail_under_way",
        "sessions_per_student",
        "sessions",
        "commands_per_second",
        "evidence",
        "hops",
        "errors",
        "queries_per_second",
        "smtp_idle_secs",
        "pop3_idle_secs",
        "handshake_secs",
        "imap_idle_secs",
    ],
};

/// Containers.
pub const DOCKER: Section =
    Section { name: "`[docker]`", keys: &["pool", "internet", "clients", "publish", "server", "client"] };

/// What a container may use.
pub const ALLOWANCE: Section =
    Section { name: "`[docker.server]` or `[docker.client]`", keys: &["memory", "cpus", "processes", "files", "disk"] };

/// How patiently servers pass mail on.
pub const QUEUE: Section = Section {
    name: "`[queue]`",
    keys: &["retry_secs", "retry_most_secs", "warn_secs", "give_up_secs", "sessions", "recipients"],
};

/// A way to a domain outside the lab.
pub const ROUTE: Section = Section { name: "`[[route]]`", keys: &["domain", "host", "port"] };

/// Mail to inject.
pub const MAIL: Section =
    Section { name: "`[[mail]]`", keys: &["id", "to", "from", "subject", "headers", "body", "text"] };

/// A fault.
pub const FAULT: Section =
    Section { name: "`[[fault]]`", keys: &["id", "do", "at", "protocol", "times", "connections", "after", "again"] };

/// An exercise.
pub const EXERCISE: Section = Section {
    name: "`[[exercise]]`",
    keys: &["id", "title", "hint", "session", "points", "partial", "after", "same", "any", "check", "solution", "weak"],
};

/// One or more connections of a reference solution.
pub const SOLUTION: Section = Section {
    name: "`[[exercise.solution]]`",
    keys: &["smtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps", "domain"],
};

/// Every table but those of checks, which stand with their kinds.
const OWN: [&Section; 14] = [
    &LAB, &USER, &STUDENT, &LENIENT, &PORTS, &LIMITS, &QUEUE, &ROUTE, &DOCKER, &ALLOWANCE, &MAIL, &FAULT, &EXERCISE,
    &SOLUTION,
];

/// Every table.
pub static SECTIONS: LazyLock<Vec<&'static Section>> =
    LazyLock::new(|| OWN.into_iter().chain(checks::sections()).collect());
