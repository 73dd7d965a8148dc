//! The card that a student holds: who the student is, the passwords, and what to type for the services that the exercises use.
//! Pure: text out.

use std::{collections::BTreeSet, fmt::Write as _};

use super::Student;
use crate::{
    lab::{Lab, Protocol, Service},
    marking::used::{self, Use},
    trace::visible,
    words::{Phrase, Words, phrase},
};

/// Characters of a line: one less than a terminal's, so that no line wraps.
const WIDTH: usize = 79;

/// The width of what stands before a command.
const LABEL: usize = 11;

/// What all cards of a lab have in common.
pub struct Cards<'a> {
    lab: &'a Lab,
    words: Words,
    /// Whether students work in containers, where the server has a name and the lab's authority is trusted.
    inside: bool,
    uses: BTreeSet<Use>,
    tokens: bool,
}

impl<'a> Cards<'a> {
    /// Cards of a lab.
    pub fn new(lab: &'a Lab, words: Words, inside: bool) -> Self {
        Self { lab, words, inside, uses: used::uses(lab), tokens: used::asks_for_token(lab) }
    }

    /// One student's.
    pub fn card(&self, student: &Student) -> String {
        let mut card = self.title() + &self.person(student) + &self.mailboxes(student);
        let commands = [
            (self.say(&phrase("card-send")), self.telnet(student, Protocol::Smtp)),
            (self.say(&phrase("card-read")), self.telnet(student, Protocol::Pop3)),
            (self.say(&phrase("card-folders")), self.telnet(student, Protocol::Imap)),
            (self.say(&phrase("card-names")), self.dig(student)),
        ];
        for (label, command) in commands {
            if let Some(command) = command {
                let _ = writeln!(card, "  {label:<LABEL$} {command}");
            }
        }
        card + &self.tls(student)
    }

    fn say(&self, phrase: &Phrase) -> String {
        self.words.say(phrase)
    }

    /// The lab's title in a line to cut along.
    fn title(&self) -> String {
        let title = visible(self.lab.title.in_language(self.words.lang.code()));
        let title = if title.is_empty() { self.lab.name.to_string() } else { title };
        let most = WIDTH - 8;
        let cut = |title: String| title.chars().take(most - 1).chain(['…']).collect();
        let title: String = if title.chars().count() > most { cut(title) } else { title };
        format!("{:-<WIDTH$}\n", format!("--- {title} "))
    }

    fn person(&self, student: &Student) -> String {
        let known = self.lab.students().find(|(_, known)| known.login.as_str() == student.login);
        let name = known.and_then(|(_, known)| known.name.as_deref()).map(visible);
        let who = name.map_or_else(|| student.login.clone(), |name| format!("{name} ({})", student.login));
        let person = phrase("card-person").with("who", who).with("group", student.group.clone());
        wrapped(&self.say(&person.with("domain", student.domain.clone())), "", "  ")
    }

    /// The own mailbox, and those that the group shares.
    fn mailboxes(&self, student: &Student) -> String {
        let one = |mailbox: &super::Mailbox| {
            let token = if self.tokens { format!(", token {}", mailbox.token) } else { String::new() };
            let account = phrase("card-account").with("user", mailbox.user.clone());
            self.say(&account.with("password", mailbox.password.clone())) + &token
        };
        let (own, shared) = student.mailboxes.split_at(student.mailboxes.len().min(1));
        let line = |label: String, mailboxes: &[super::Mailbox]| {
            let text = mailboxes.iter().map(one).collect::<Vec<_>>().join("; ");
            let rest = " ".repeat(LABEL + 3);
            if text.is_empty() { text } else { wrapped(&text, &format!("  {label:<LABEL$} "), &rest) }
        };
        line(self.say(&phrase("card-mailbox")), own) + &line(self.say(&phrase("card-shared")), shared)
    }

    /// How a protocol is spoken by hand; of a second service, beside it.
    fn telnet(&self, student: &Student, protocol: Protocol) -> Option<String> {
        let plain = self.uses.iter().filter(|used| !used.service.implicit_tls() && used.service.protocol() == protocol);
        let services: BTreeSet<Service> = plain.map(|used| used.service).collect();
        let commands = services.iter().filter_map(|service| {
            let (host, port) = self.place(student, *service)?;
            Some((service, format!("telnet {host} {port}")))
        });
        let commands: Vec<_> = commands.collect();
        let ((_, first), others) = commands.split_first()?;
        let others = others.iter().map(|(service, command)| format!("   ({service}: {command})"));
        Some(first.clone() + &others.collect::<String>())
    }

    fn dig(&self, student: &Student) -> Option<String> {
        self.uses.iter().find(|used| used.service == Service::Domain)?;
        let (host, port) = self.place(student, Service::Domain)?;
        let port =
            if port == Service::Domain.standard_port().to_string() { String::new() } else { format!("-p {port} ") };
        Some(format!("dig @{host} {port}{} MX", student.domain))
    }

    /// One command for all services with TLS, and with which ports it goes.
    fn tls(&self, student: &Student) -> String {
        let secure = self.uses.iter().filter(|used| used.starttls || used.service.implicit_tls());
        let mut secure: Vec<(&Use, String, String)> = secure
            .filter_map(|used| {
                let (host, port) = self.place(student, used.service)?;
                Some((used, host, port))
            })
            .collect();
        secure.sort_by_key(|(used, ..)| used.starttls);
        let Some((first, host, port)) = secure.first() else {
            return String::new();
        };
        let options =
            |used: &Use| if used.starttls { format!("-starttls {} ", used.service.protocol()) } else { String::new() };
        let named = |(used, _, port): &(&Use, String, String)| {
            let how = if used.starttls { format!(" (-starttls {})", used.service.protocol()) } else { String::new() };
            format!("{} {port}{how}", used.service)
        };
        let ports = secure.iter().map(named).collect::<Vec<_>>().join(", ");
        let trust = if self.inside { "" } else { " -CAfile ca.pem" };
        let given = if self.inside { String::new() } else { self.say(&phrase("card-given")) };
        wrapped(&format!("{ports}{given}:"), &format!("  {:<LABEL$} ", "TLS"), &" ".repeat(LABEL + 3))
            + &format!("  openssl s_client {}-crlf -connect {host}:{port}{trust}\n", options(first))
    }

    /// The host and port of a service, for commands.
    fn place(&self, student: &Student, service: Service) -> Option<(String, String)> {
        let (host, port) = student.outside().get(&service)?.rsplit_once(':')?;
        let named = self.inside && student.published.is_empty();
        let host = if named { "mail" } else { host.trim_matches(['[', ']']) };
        Some((host.to_owned(), port.to_owned()))
    }
}

/// The text in lines that fit, with a line end.
fn wrapped(text: &str, first: &str, rest: &str) -> String {
    let options = textwrap::Options::new(WIDTH).initial_indent(first).subsequent_indent(rest).break_words(false);
    textwrap::fill(text, options) + "\n"
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::{
        cli::verbs::credentials::Mailbox,
        reading::{self, templates},
        words::Lang,
    };

    fn words(lang: Lang) -> Words {
        Words { lang, utc_offset_secs: 0 }
    }

    fn lab(template: &str) -> Lab {
        let template = templates().iter().find(|known| known.name == template).expect("a template");
        let mut load = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let file = template.files.iter().find(|(file, _)| *file == name).expect("a file of the template");
            Ok(file.1.as_bytes().to_vec())
        };
        reading::read(template.files[0].1, Path::new("/labs/new/lab.toml"), &mut load).lab.expect("a good lab")
    }

    /// The first student's, as `credentials` would have it.
    fn student(lab: &Lab, inside: bool) -> Student {
        let (group, student) = lab.students().next().expect("a student");
        let mailbox =
            |user: &str| Mailbox { user: user.to_owned(), password: "86g98xvm".into(), token: "f".repeat(32) };
        let names = std::iter::once(&student.login).chain(group.users.iter().map(|user| &user.name));
        let place = |service: &Service| {
            if inside {
                format!("10.77.0.2:{}", service.standard_port())
            } else {
                format!("127.77.1.1:{}", service.embedded_port())
            }
        };
        Student {
            group: group.name.to_string(),
            domain: group.domain.to_string(),
            login: student.login.to_string(),
            password: "86g98xvm".into(),
            endpoints: lab.settings.services.iter().map(|service| (*service, place(service))).collect(),
            published: BTreeMap::new(),
            mailboxes: names.map(|name| mailbox(name.as_str())).collect(),
        }
    }

    #[test]
    fn a_card_is_short_and_narrow_whatever_the_lab() {
        for template in templates() {
            let lab = lab(template.name);
            for (lang, inside) in
                [(Lang::ENGLISH, true), (Lang::ENGLISH, false), (Lang::SPANISH, true), (Lang::SPANISH, false)]
            {
                let card = Cards::new(&lab, words(lang), inside).card(&student(&lab, inside));
                assert!(card.lines().count() < 12, "{}:\n{card}", template.name);
                assert!(card.lines().all(|line| line.chars().count() < 80), "{}:\n{card}", template.name);
                assert_eq!(card.contains("token"), used::asks_for_token(&lab), "{}:\n{card}", template.name);
            }
        }
    }

    #[test]
    fn a_card_has_what_the_exercises_use_in_the_language_of_the_lab() {
        let card = |(template, lang, inside)| {
            let lab = lab(template);
            Cards::new(&lab, words(lang), inside).card(&student(&lab, inside))
        };
        let all = [
            ("practica2", Lang::SPANISH, true),
            ("practica6", Lang::SPANISH, false),
            ("practica6", Lang::ENGLISH, true),
            ("email-basics", Lang::ENGLISH, false),
            ("minimal", Lang::ENGLISH, false),
        ];
        let cards = all.map(card).join("\n");
        assert_eq!(cards, include_str!("cards.txt"), "\n{cards}");
    }

    #[test]
    fn a_long_title_and_name_do_not_widen_a_card() {
        let mut lab = lab("practica2");
        lab.title = crate::lab::Text::plain("ñ".repeat(WIDTH));
        lab.groups[0].students[0].name = Some("Ana ".repeat(40));
        let card = Cards::new(&lab, words(Lang::SPANISH), true).card(&student(&lab, true));
        assert!(card.lines().all(|line| line.chars().count() <= WIDTH), "{card}");
        assert!(card.starts_with("--- ñ") && card.lines().next().is_some_and(|line| line.ends_with("… ---")), "{card}");
    }
}
