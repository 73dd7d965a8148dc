//! Templates of mail, checks and solutions: every placeholder exists, can stand where it stands, and names what there is.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    diagnostic::{Code, Findings, Span},
    offered::Offered,
};
use crate::lab::{
    Login, Settings,
    template::{PLACEHOLDERS, Piece, pieces},
};

/// What templates may speak of.
#[derive(Debug)]
pub struct Known<'p> {
    /// Students and shared mailboxes.
    pub names: &'p Names,
    /// What all servers have in common.
    pub settings: &'p Settings,
    /// The injected mails with the octets of their texts.
    pub mails: BTreeMap<String, u64>,
    /// Those that a group shares.
    pub shared_mails: BTreeSet<String>,
    /// Whether any group has several students.
    pub in_company: bool,
    /// The faults.
    pub faults: BTreeSet<String>,
    /// What the servers can offer, which checks may wait for.
    pub offered: Offered,
}

/// The names that mail and checks may speak of.
#[derive(Debug, Default)]
pub struct Names {
    /// The mailboxes that every group has.
    pub mailboxes: BTreeSet<Login>,
    /// All students.
    pub students: BTreeSet<Login>,
    /// What may be meant for one: the texts, in lower case, where not everybody could be read.
    pub doubtful: BTreeSet<String>,
    /// How many groups there are.
    pub groups: usize,
}

/// Where a template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'m> {
    /// The body of an injected mail, of this id where it has one.
    Body(Option<&'m str>),
    /// A header field of an injected mail: a line.
    Header,
    /// A check or a solution: of no mail of its own.
    Check,
}

impl Names {
    /// Notes it where `name` is no mailbox that every group has.
    pub fn expect_mailbox(&self, name: &str, span: &Span, findings: &mut Findings<'_>) {
        let login = name.to_ascii_lowercase();
        let student = self.students.contains(login.as_str());
        if self.mailboxes.contains(login.as_str()) || !student && self.doubtful.contains(&login) {
            return;
        }
        let message = if student {
            format!("`{name}` is a student of one group, not a mailbox of every group")
        } else {
            format!("there is no mailbox `{name}`")
        };
        let problem = findings.within(Code::UnknownMailbox, span, message);
        problem.help("write a name from `users`; in mail and checks, `{login}` is the student's own mailbox");
        if !student {
            problem.did_you_mean(name, self.mailboxes.iter().map(Login::as_str));
        }
    }
}

impl Known<'_> {
    /// Notes what is wrong with a template.
    pub fn template(&self, text: &str, span: &Span, scope: Scope<'_>, findings: &mut Findings<'_>) {
        let pieces = match pieces(text) {
            Ok(pieces) => pieces,
            Err(problem) => {
                let word = problem.split(['{', '}', ':']).nth(1).unwrap_or("").to_owned();
                let known = PLACEHOLDERS.iter().map(|(name, _)| *name);
                findings.within(Code::BadTemplate, span, problem).did_you_mean(&word, known);
                return;
            }
        };
        for piece in pieces {
            match piece {
                Piece::Value { name: "password", of: Some(user) } => self.names.expect_mailbox(user, span, findings),
                Piece::Value { name: name @ ("secret" | "text"), of } => {
                    self.individual(name, of, span, scope, findings);
                }
                Piece::Value { name, of: Some(of) } => {
                    let message = format!("`{{{name}:{of}}}` can have nothing after a colon");
                    findings.within(Code::BadTemplate, span, message).help(format!("write `{{{name}}}`"));
                }
                Piece::Value { name: "neighbour", of: None } => self.expect_neighbour(span, findings),
                Piece::Text(_) | Piece::Value { of: None, .. } => {}
            }
        }
    }

    /// Notes it where the only group has no other one beside it.
    fn expect_neighbour(&self, span: &Span, findings: &mut Findings<'_>) {
        if self.names.groups == 1 {
            let message = "`{neighbour}` is another group's domain, and this lab has one group";
            findings.within(Code::BadTemplate, span, message).help("add a group: `groups = [\"g01\", \"g02\"]`");
        }
    }

    /// Notes it where no injected mail has this id.
    pub fn expect_mail(&self, id: &str, span: &Span, findings: &mut Findings<'_>) {
        if !self.mails.contains_key(id) {
            let problem = findings.within(Code::UnknownMail, span, format!("there is no mail `{id}`"));
            problem.help(format!("add it: `[[mail]]` with `id = \"{id}\"`"));
            problem.did_you_mean(id, self.mails.keys().map(String::as_str));
        }
    }

    /// Notes it where the lab has no fault of this id.
    pub fn expect_fault(&self, id: &str, span: &Span, findings: &mut Findings<'_>) {
        if !self.faults.contains(id) {
            let problem = findings.within(Code::UnknownFault, span, format!("there is no fault `{id}`"));
            problem.help(format!("add it: `[[fault]]` with `id = \"{id}\"`"));
            problem.did_you_mean(id, self.faults.iter().map(String::as_str));
        }
    }

    /// Notes it where no injected mail of this id gives students a text.
    pub fn expect_text(&self, id: &str, span: &Span, findings: &mut Findings<'_>) {
        self.expect_mail(id, span, findings);
        if self.mails.get(id) == Some(&0) {
            let problem = findings.within(Code::BadTemplate, span, format!("mail `{id}` gives students no text"));
            problem.help("say how long it is in that mail, `text = \"64 KiB\"`, and put `{text}` into its body");
        }
    }

    fn individual(&self, name: &str, of: Option<&str>, span: &Span, scope: Scope<'_>, findings: &mut Findings<'_>) {
        if name == "text" && scope == Scope::Header {
            let problem =
                findings.within(Code::BadTemplate, span, "`{text}` has many lines and cannot stand in a header field");
            problem.help("put it into the body");
            return;
        }
        match (of, scope) {
            (Some(mail), _) if name == "text" => self.expect_text(mail, span, findings),
            (Some(mail), _) => self.expect_mail(mail, span, findings),
            (None, Scope::Check) => {
                let problem =
                    findings.within(Code::BadTemplate, span, format!("`{{{name}}}` does not say of which mail"));
                problem.help(format!("name the mail: `{{{name}:ID}}`"));
            }
            (None, Scope::Body(Some(mail))) if name == "text" => self.expect_text(mail, span, findings),
            (None, Scope::Body(_) | Scope::Header) => {}
        }
    }
}
