//! Tables and values of the lab file with their places. What is of the wrong type is noted here, once, in the same words
//! for every key; what a value means is decided by whoever asks for it.

use std::{ops::RangeInclusive, str::FromStr};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::diagnostic::{Code, Diagnostic, Findings, Span};

/// A kind of table of the lab file.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    /// How it is written, in backticks, or what it is called.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [&'static str],
}

/// A table of the lab file; keys that its section does not have are noted when it is opened.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    section: &'static Section,
    table: &'a DeTable<'a>,
    /// Where it stands; for a table with a header, the header.
    pub span: Span,
}

/// A value of the lab file.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// Its key, or that of the list it stands in.
    pub key: &'a str,
    /// Where the key stands.
    pub key_span: Span,
    /// Where the value stands.
    pub span: Span,
    value: &'a DeValue<'a>,
    /// Whether it stands in a list.
    listed: bool,
}

impl<'a> Fields<'a> {
    /// Opens a table as this section.
    pub fn open(section: &'static Section, table: &'a DeTable<'a>, span: Span, findings: &mut Findings<'_>) -> Self {
        for key in table.keys().filter(|key| !section.keys.contains(&key.get_ref().as_ref())) {
            unknown_key(section, key, findings);
        }
        Self { section, table, span }
    }

    /// The value of a key.
    pub fn get(&self, key: &'static str) -> Option<Field<'a>> {
        debug_assert!(self.section.keys.contains(&key), "`{key}` is missing in keys.rs");
        let (found, value) = self.table.get_key_value(key)?;
        Some(Field { key, key_span: found.span(), span: value.span(), value: value.get_ref(), listed: false })
    }

    /// The value of a key that must be there; `example` shows how to write it.
    pub fn required(&self, key: &'static str, example: &str, findings: &mut Findings<'_>) -> Option<Field<'a>> {
        let found = self.get(key);
        if found.is_none() {
            let name = self.section.name;
            let problem = findings.lab(Code::MissingKey, &self.span, format!("`{key}` is missing in {name}"));
            problem.help(format!("add `{example}`"));
        }
        found
    }

    /// The text of a key.
    pub fn text(&self, key: &'static str, findings: &mut Findings<'_>) -> Option<(&'a str, Span)> {
        let field = self.get(key)?;
        Some((field.text(findings)?, field.span))
    }

    /// The switch of a key.
    pub fn boolean(&self, key: &'static str, default: bool, findings: &mut Findings<'_>) -> bool {
        self.get(key).and_then(|field| field.boolean(findings)).unwrap_or(default)
    }

    /// The number of a key.
    pub fn number(
        &self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
        findings: &mut Findings<'_>,
    ) -> u64 {
        self.get(key).and_then(|field| field.number(range, findings)).unwrap_or(default)
    }

    /// The keys that are there, known or not, in the order written.
    pub fn written(&self) -> Vec<(&'a str, Span)> {
        entries(self.table).into_iter().map(|field| (field.key, field.key_span)).collect()
    }
}

impl<'a> Field<'a> {
    /// Whether it is a text.
    pub fn is_text(&self) -> bool {
        self.value.is_str()
    }

    /// Whether it is a switch.
    pub fn is_switch(&self) -> bool {
        self.value.is_bool()
    }

    /// Whether it is a table.
    pub fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// A decimal number as it is written, for whoever wants it exact.
    pub fn decimal(&self) -> Option<&'a str> {
        match self.value {
            DeValue::Float(number) => Some(number.as_str()),
            DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str()),
            DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        }
    }

    /// A text.
    pub fn text(&self, findings: &mut Findings<'_>) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            let quoted = match self.value {
                DeValue::Integer(number) => format!("\"{}\"", number.as_str()),
                DeValue::Float(number) => format!("\"{}\"", number.as_str()),
                DeValue::Boolean(switch) => format!("\"{switch}\""),
                DeValue::String(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => "\"…\"".to_owned(),
            };
            let key = if self.listed { String::new() } else { format!("{} = ", self.key) };
            self.wrong_type("a text", findings).help(format!("write it in quotes: `{key}{quoted}`"));
        }
        text
    }

    /// Every text in it, however deep.
    pub fn texts(&self) -> Vec<&'a str> {
        let (mut texts, mut values) = (Vec::new(), vec![self.value]);
        while let Some(value) = values.pop() {
            match value {
                DeValue::String(text) => texts.push(text.as_ref()),
                DeValue::Array(entries) => values.extend(entries.iter().map(Spanned::get_ref)),
                DeValue::Table(table) => values.extend(table.values().map(Spanned::get_ref)),
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
            }
        }
        texts
    }

    /// A switch.
    pub fn boolean(&self, findings: &mut Findings<'_>) -> Option<bool> {
        let switch = self.value.as_bool();
        if switch.is_none() {
            let number = self.value.as_integer().map(toml::de::DeInteger::as_str);
            let meant = matches!(self.value.as_str().or(number), Some("true" | "yes" | "on" | "1"));
            let problem = self.wrong_type("`true` or `false`", findings);
            problem.help(format!("write `{} = {meant}`", self.key));
        }
        switch
    }

    /// A whole number in a range.
    pub fn number(&self, range: RangeInclusive<u64>, findings: &mut Findings<'_>) -> Option<u64> {
        let Some(number) = self.value.as_integer() else {
            let problem = self.wrong_type("a whole number", findings);
            problem.help(format!("write it without quotes: `{} = {}`", self.key, range.start()));
            return None;
        };
        // What does not fit an i128 is out of every range.
        let value = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
        self.in_range(value, range, findings)
    }

    /// A number of octets in a range: `4096` or `"64 KiB"`.
    pub fn octets(&self, range: RangeInclusive<u64>, findings: &mut Findings<'_>) -> Option<u64> {
        let Some(text) = self.value.as_str() else {
            return self.number(range, findings);
        };
        match crate::lab::exercise::octets(text) {
            Ok(value) => self.in_range(value.into(), range, findings),
            Err(problem) => {
                let problem = findings.lab(Code::BadNumber, &self.span, problem);
                problem.help(format!("write for example `{} = \"64 KiB\"`", self.key));
                None
            }
        }
    }

    fn in_range(&self, value: i128, range: RangeInclusive<u64>, findings: &mut Findings<'_>) -> Option<u64> {
        let found = u64::try_from(value).ok().filter(|value| range.contains(value));
        if found.is_none() {
            let (least, most) = range.into_inner();
            let message = format!("`{}` must be from {least} to {most}", self.key);
            findings.lab(Code::OutOfRange, &self.span, message);
        }
        found
    }

    /// A name of its own type; `what` says whose name it is.
    pub fn name<T: FromStr<Err = crate::names::BadName>>(&self, what: &str, findings: &mut Findings<'_>) -> Option<T> {
        let text = self.text(findings)?;
        match text.parse() {
            Ok(name) => Some(name),
            Err(problem) => {
                findings.lab(Code::BadName, &self.span, format!("`{text}` is no name for {what}")).label(problem.0);
                None
            }
        }
    }

    /// One of several words.
    pub fn choice<T>(&self, choices: &[(&str, T)], findings: &mut Findings<'_>) -> Option<T>
    where
        T: Copy,
    {
        let text = self.text(findings)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let problem = findings.lab(Code::UnknownValue, &self.span, format!("there is no `{}` `{text}`", self.key));
            problem.help(format!("write one of {}", listed(&words))).did_you_mean(text, words);
        }
        found
    }

    /// The entries of a list.
    pub fn list(&self, findings: &mut Findings<'_>) -> Vec<Self> {
        let Some(array) = self.value.as_array() else {
            let problem = self.wrong_type("a list", findings);
            if self.value.is_str() {
                problem.help(format!("write it in brackets: `{} = [\"…\"]`", self.key));
            }
            return Vec::new();
        };
        let entry = |value: &'a Spanned<DeValue<'a>>| Self {
            key: self.key,
            key_span: self.key_span.clone(),
            span: value.span(),
            value: value.get_ref(),
            listed: true,
        };
        array.iter().map(entry).collect()
    }

    /// A table of this section.
    pub fn table(&self, section: &'static Section, findings: &mut Findings<'_>) -> Option<Fields<'a>> {
        if let DeValue::Table(table) = self.value {
            return Some(Fields::open(section, table, self.span.clone(), findings));
        }
        self.wrong_type("a table", findings).help(format!("write {}", section.name));
        None
    }

    /// The value of a key of a table that was read before.
    pub fn inside(&self, key: &'static str) -> Option<Self> {
        let DeValue::Table(table) = self.value else { return None };
        let (found, value) = table.get_key_value(key)?;
        Some(Self { key, key_span: found.span(), span: value.span(), value: value.get_ref(), listed: false })
    }

    /// A list of tables of this section, at most `most` of them.
    pub fn tables(&self, section: &'static Section, most: usize, findings: &mut Findings<'_>) -> Vec<Fields<'a>> {
        if self.value.is_table() {
            let problem = self.wrong_type("a list of tables", findings);
            problem.help(format!("write its header as {}", section.name));
            return Vec::new();
        }
        let entries = self.at_most(most, findings);
        entries.iter().filter_map(|entry| entry.table(section, findings)).collect()
    }

    /// The entries of a list, at most `most` of them; the rest is not looked at.
    pub fn at_most(&self, most: usize, findings: &mut Findings<'_>) -> Vec<Self> {
        let mut entries = self.list(findings);
        if entries.len() > most {
            let message = format!("`{}` has {} entries, but at most {most} are allowed", self.key, entries.len());
            findings.lab(Code::TooMany, &entries[most].span, message).label("the first one too many");
            entries.truncate(most);
        }
        entries
    }

    /// A table whose keys are free, in the order written.
    pub fn free_table(&self, findings: &mut Findings<'_>) -> Vec<Field<'a>> {
        if let DeValue::Table(table) = self.value {
            return entries(table);
        }
        self.wrong_type("a table", findings).help(format!("write `{} = {{ Name = \"…\" }}`", self.key));
        Vec::new()
    }

    fn wrong_type<'f>(&self, wanted: &str, findings: &'f mut Findings<'_>) -> &'f mut Diagnostic {
        let found = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "a switch",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let entry = if self.listed { "an entry of " } else { "" };
        let message = format!("{entry}`{}` must be {wanted}", self.key);
        findings.lab(Code::WrongType, &self.span, message).label(format!("this is {found}"))
    }
}

/// Words for a sentence: "`a`, `b` or `c`".
pub fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn entries<'a>(table: &'a DeTable<'a>) -> Vec<Field<'a>> {
    let entry = |(key, value): (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)| Field {
        key: key.get_ref().as_ref(),
        key_span: key.span(),
        span: value.span(),
        value: value.get_ref(),
        listed: false,
    };
    let mut entries: Vec<Field<'a>> = table.iter().map(entry).collect();
    entries.sort_by_key(|field| field.key_span.start);
    entries
}

fn unknown_key(section: &Section, key: &Spanned<DeString<'_>>, findings: &mut Findings<'_>) {
    let word = key.get_ref().as_ref();
    let elsewhere = findings.sections.iter().find(|other| other.keys.contains(&word));
    let problem = findings.lab(Code::UnknownKey, &key.span(), format!("there is no key `{word}` in {}", section.name));
    match elsewhere {
        Some(other) => problem.help(format!("`{word}` is a key of {}", other.name)),
        None => problem.help(format!("its keys are `{}`", section.keys.join("`, `"))),
    };
    problem.did_you_mean(word, section.keys.iter().copied());
}
