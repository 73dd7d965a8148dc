//! Placeholders in mail, checks and solutions: `{login}` and the like. `{{` and `}}` stand for braces.

use super::{Group, Key, Lab, Student};

/// What a placeholder can stand for, with what the lab reference says of it.
pub const PLACEHOLDERS: &[(&str, &str)] = &[
    ("lab", "the lab's name"),
    ("group", "the group's name"),
    ("domain", "the group's mail domain"),
    ("neighbour", "the next group's mail domain; for the last group the first one's"),
    ("host", "what the group's server calls itself"),
    ("login", "the student's login"),
    ("name", "the student's name, or the login"),
    ("email", "the student's address in the roster, or the own mailbox's"),
    ("password", "the password of the student's own mailbox; `{password:USER}` that of a shared mailbox"),
    ("secret", "the student's secret in this mail; `{secret:MAIL}` that in the mail MAIL"),
    ("text", "the student's text in this mail; `{text:MAIL}` that in the mail MAIL"),
    ("last", "in a solution over POP3: the number of the last message, as the reply to STAT told"),
];

/// A placeholder in a template: `{name}` or `{name:of}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text that stands for itself.
    Text(&'a str),
    /// A placeholder.
    Value {
        /// Its name.
        name: &'a str,
        /// What stands after the colon.
        of: Option<&'a str>,
    },
}

/// Cuts a template into its pieces; an error names what is wrong, as a fragment.
pub fn pieces(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        if at > 0 {
            found.push(Piece::Text(&rest[..at]));
        }
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        if after.starts_with(brace) {
            found.push(Piece::Text(brace));
            rest = &after[1..];
            continue;
        }
        if brace == "}" {
            return Err("a `}` without its `{`: write `}}` for the character".into());
        }
        let end = after.find('}').ok_or("a `{` without its `}`: write `{{` for the character")?;
        let inner = &after[..end];
        let (name, of) = inner.split_once(':').map_or((inner, None), |(name, of)| (name, Some(of)));
        if !PLACEHOLDERS.iter().any(|(known, _)| *known == name) {
            return Err(format!("there is no placeholder `{{{inner}}}`"));
        }
        found.push(Piece::Value { name, of });
        rest = &after[end + 1..];
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    Ok(found)
}

/// For whom a template is filled in.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The group.
    pub group: &'a Group,
    /// The student; none for what a group shares.
    pub student: Option<&'a Student>,
    /// The lab's key.
    pub key: &'a Key,
    /// The mail that `{secret}` and `{text}` without a name belong to.
    pub mail: Option<&'a str>,
}

impl Person<'_> {
    /// Fills in a template that reading has checked; a value that nobody has is empty.
    pub fn fill(&self, template: &str) -> String {
        if !template.contains(['{', '}']) {
            return template.to_owned();
        }
        let Ok(pieces) = pieces(template) else {
            return template.to_owned();
        };
        let value = |piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Value { name, of } => self.value(name, of),
        };
        pieces.into_iter().map(value).collect()
    }

    /// The student's login, or empty.
    pub fn login(&self) -> &str {
        self.student.map_or("", |student| student.login.as_str())
    }

    fn value(&self, name: &str, of: Option<&str>) -> String {
        let group = self.group.name.as_str();
        match name {
            "lab" => self.lab.name.to_string(),
            "group" => group.to_owned(),
            "domain" => self.group.domain.to_string(),
            "neighbour" => {
                self.lab.neighbour(&self.group.name).map_or_else(String::new, |group| group.domain.to_string())
            }
            "host" => self.group.host.clone(),
            "login" => self.login().to_owned(),
            "name" => self.student.and_then(|student| student.name.clone()).unwrap_or_else(|| self.login().to_owned()),
            "email" => {
                let own = || format!("{}@{}", self.login(), self.group.domain);
                self.student.and_then(|student| student.email.clone()).unwrap_or_else(own)
            }
            "password" => self.password(of.unwrap_or(self.login())),
            // Whoever plays the solution knows.
            "last" => "{last}".to_owned(),
            "secret" | "text" => {
                let id = of.or(self.mail).unwrap_or("");
                let mail = self.lab.mail(id);
                let login = if mail.is_some_and(|mail| !mail.per_student) { "" } else { self.login() };
                if name == "secret" {
                    self.key.secret(group, login, id)
                } else {
                    self.key.text(group, login, id, mail.map_or(0, |mail| mail.text_octets))
                }
            }
            _ => String::new(),
        }
    }

    /// The password of a mailbox of the group: fixed by the lab, else drawn.
    pub fn password(&self, user: &str) -> String {
        let students = self.group.students.iter().map(|student| (&student.login, &student.password));
        let users = self.group.users.iter().map(|user| (&user.name, &user.password));
        let fixed =
            students.chain(users).find(|(name, _)| name.as_str() == user).and_then(|(_, password)| password.clone());
        fixed.unwrap_or_else(|| self.key.password(self.group.name.as_str(), user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_and_placeholders_come_apart() {
        let found = pieces("a {{x}} {secret:long}").unwrap();
        let value = Piece::Value { name: "secret", of: Some("long") };
        assert_eq!(found.last(), Some(&value));
        assert_eq!(found.len(), 6);
        assert!(pieces("{nobody}").unwrap_err().contains("no placeholder"));
        assert!(pieces("{login").is_err());
        assert!(pieces("login}").is_err());
    }
}
