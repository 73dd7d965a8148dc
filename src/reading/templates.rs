//! Labs to start from: what `labctl new` writes, the bundled labs among them. Each reads without a diagnostic.

/// A lab to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// What it is called.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Its files: name and text. The first one is the lab file.
    pub files: &'static [(&'static str, &'static str)],
}

const TEMPLATES: &[Template] = &[
    Template {
        name: "minimal",
        about: "three lines: a domain, two users who are the students, no relay",
        files: &[("lab.toml", include_str!("templates/minimal/lab.toml"))],
    },
    Template {
        name: "class",
        about: "a class in groups: a roster, injected mail, exercises with checks and solutions",
        files: &[
            ("lab.toml", include_str!("templates/class/lab.toml")),
            ("roster.csv", include_str!("templates/class/roster.csv")),
        ],
    },
    Template {
        name: "argosoft",
        about: "SMTP and POP3 by telnet on one server: mail, locks, deletion, no relay",
        files: &[
            ("lab.toml", include_str!("../../labs/argosoft/lab.toml")),
            ("roster.csv", include_str!("../../labs/argosoft/roster.csv")),
        ],
    },
    Template {
        name: "argosoft-relay",
        about: "Sendmail and Qpopper by telnet: mail that goes on to another domain, and comes back",
        files: &[
            ("lab.toml", include_str!("../../labs/argosoft-relay/lab.toml")),
            ("roster.csv", include_str!("../../labs/argosoft-relay/roster.csv")),
        ],
    },
    Template {
        name: "cliente-c",
        about: "a first SMTP client in C, which sends a message and says goodbye",
        files: &[
            ("lab.toml", include_str!("../../labs/cliente-c/lab.toml")),
            ("roster.csv", include_str!("../../labs/cliente-c/roster.csv")),
        ],
    },
    Template {
        name: "email-basics",
        about: "a lecture's practical: phases of SMTP, MIME, download and keep or delete, mail between servers",
        files: &[
            ("lab.toml", include_str!("../../labs/email-basics/lab.toml")),
            ("roster.csv", include_str!("../../labs/email-basics/roster.csv")),
        ],
    },
    Template {
        name: "practica2",
        about: "five sessions: SMTP and POP3 by hand, then a mail client in C that finds its server by name",
        files: &[
            ("lab.toml", include_str!("../../labs/practica2/lab.toml")),
            ("roster.csv", include_str!("../../labs/practica2/roster.csv")),
        ],
    },
    Template {
        name: "practica6",
        about: "ESMTP and its extensions, AUTH by hand, TLS, POP3",
        files: &[
            ("lab.toml", include_str!("../../labs/practica6/lab.toml")),
            ("roster.csv", include_str!("../../labs/practica6/roster.csv")),
        ],
    },
];

/// All templates, the smallest first.
pub fn templates() -> &'static [Template] {
    TEMPLATES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Sources, read, render};

    #[test]
    fn every_template_reads_without_a_word() {
        for template in templates() {
            let mut load = |path: &std::path::Path| {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap();
                let file = template.files.iter().find(|(file, _)| *file == name);
                Ok(file.expect("a file of the template").1.as_bytes().to_vec())
            };
            let reading = read(template.files[0].1, std::path::Path::new("/labs/new/lab.toml"), &mut load);
            let sources: &Sources = &reading.sources;
            assert_eq!(render(&reading.diagnostics, sources, false), "", "{}", template.name);
            assert_eq!(reading.lab.unwrap().name.as_str(), "new");
        }
    }
}
