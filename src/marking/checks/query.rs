//! Query checks: names that the student asked the group's DNS server for. Who asked is known by the address it came from or came
//! to, and by nothing else: there is no login in DNS.

use super::{Deed, Kind, Setup, View, Written, shown};
use crate::{
    findings::{Code, Field, Fields, Findings, Known, Section, Span, pattern, times},
    lab::{
        Service,
        exercise::{Pattern, Same},
        template::Person,
    },
    marking::progress::{Here, Progress, cut},
    pattern::Filled,
    trace::visible,
    words::{self, Arg, Phrase, joined, phrase, quoted},
};

pub(super) const NAMES: &[&str] = &["query"];
pub(super) const KEYS: &[&str] = NAMES;
pub(super) const TABLES: &[&Section] = &[&TABLE];

static TABLE: Section = Section { name: "`query = { … }`", keys: &["name", "record", "answer", "times"] };

/// The record types that checks and solutions speak of (RFC 1035 3.2.2, RFC 3596 2.1, RFC 2782).
pub const RECORDS: [&str; 10] = ["A", "AAAA", "ANY", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];

/// A query as the lab wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// A pattern for the name, without its final dot.
    pub name: Option<Pattern>,
    /// The record types that will do, of [`RECORDS`]; none: any.
    pub records: Vec<String>,
    /// What was answered.
    pub answer: Answer,
    /// How many such queries there must be (1 by default).
    pub times: u32,
}

/// What a query was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There are such records.
    NoError,
    /// There is the name, but no such record (RFC 2308 2.2).
    NoData,
    /// There is no such name (RFC 2308 2.1).
    NxDomain,
    /// The server does not answer this.
    Refused,
}

/// A query check, compiled.
#[derive(Debug)]
pub struct Rule {
    name: Option<Filled>,
    records: Vec<String>,
    answer: Answer,
    times: u32,
}

/// A query that the student sent.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The name.
    pub name: &'a str,
    /// The record type.
    pub record: &'a str,
    /// The response code as the record has it.
    pub code: &'a str,
    /// How many records came back.
    pub records: u32,
}

impl Answer {
    /// Every answer.
    pub const ALL: [Self; 4] = [Self::NoError, Self::NoData, Self::NxDomain, Self::Refused];

    /// As the lab file writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::NoData => "NODATA",
            Self::NxDomain => "NXDOMAIN",
            Self::Refused => "REFUSED",
        }
    }

    /// The answer that the record tells of; none for one that no check can ask for.
    pub fn of(code: &str, records: u32) -> Option<Self> {
        let answer = Self::ALL.into_iter().find(|answer| answer.as_str() == code)?;
        Some(if answer == Self::NoError && records == 0 { Self::NoData } else { answer })
    }
}

impl Check {
    /// Reads one of these.
    pub fn read(name: &'static str, fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let field = fields.get(name)?;
        let fields = &field.table(&TABLE, findings)?;
        if !known.settings.services.contains(&Service::Domain) {
            let problem = findings.lab(Code::BadCheck, &field.key_span, "nobody can ask for names in this lab");
            problem.help("add `domain` to `services`");
        }
        let answers = Answer::ALL.map(|answer| (answer.as_str(), answer));
        Some(Self {
            name: pattern(fields.get("name"), known, findings),
            records: fields.get("record").map(|field| records(&field, findings)).unwrap_or_default(),
            answer: fields.get("answer").and_then(|field| field.choice(&answers, findings)).unwrap_or(Answer::NoError),
            times: times(fields, findings),
        })
    }

    /// Compiles it.
    pub fn compile(&self, _: usize, _: Option<usize>, setup: &mut Setup<'_>) -> Rule {
        let name = self.name.as_ref().map(|pattern| Filled::new(pattern, setup.people));
        Rule { name, records: self.records.clone(), answer: self.answer, times: self.times }
    }
}

/// The record types between bars: `A|AAAA`.
fn records(field: &Field<'_>, findings: &mut Findings<'_>) -> Vec<String> {
    let Some(text) = field.text(findings) else { return Vec::new() };
    let mut records = Vec::new();
    for record in text.split('|').map(str::trim) {
        expect_record(record, &field.span, findings);
        records.push(record.to_ascii_uppercase());
    }
    records
}

/// Notes it where there is no such record type.
pub fn expect_record(record: &str, span: &Span, findings: &mut Findings<'_>) {
    let upper = record.to_ascii_uppercase();
    if !RECORDS.contains(&upper.as_str()) {
        let problem = findings.within(Code::UnknownValue, span, format!("there is no record type `{record}`"));
        problem.help(format!("write one of `{}`", RECORDS.join("`, `"))).did_you_mean(&upper, RECORDS);
    }
}

impl Written for Check {
    fn never_bound(&self, _: Same) -> Option<&'static str> {
        Some("a DNS query belongs to no connection and to no message")
    }

    fn wanted(&self, person: &Person<'_>) -> Phrase {
        let name = |pattern: &Pattern| phrase("query-for").with("name", words::pattern(shown(&pattern.0, person)));
        let either = |one: Arg, other| Arg::from(phrase("either").with("one", one).with("other", other));
        let records = self.records.iter().map(|record| Arg::from(record.as_str())).reduce(either);
        let parts = [
            self.name.as_ref().map(name),
            records.map(|records| phrase("query-records").with("records", records)),
            (self.answer != Answer::NoError).then(|| phrase("query-answered").with("answer", self.answer.as_str())),
        ];
        phrase("query-wanted").with("rest", joined(parts.into_iter().flatten()))
    }

    fn times(&self) -> u32 {
        self.times.max(1)
    }
}

impl Kind for Rule {
    fn take(&self, deed: &mut Deed<'_, '_>, _: &View<'_>, here: &Here, own: &mut Progress) {
        let Deed::Asked(asked) = deed else { return };
        let answer = Answer::of(asked.code, asked.records);
        let conditions = [
            self.name.as_ref().is_none_or(|pattern| pattern.of(here.student).matches(asked.name)),
            self.records.is_empty() || self.records.iter().any(|record| record == asked.record),
            answer == Some(self.answer),
        ];
        let fits = conditions.iter().take_while(|fits| **fits).count();
        let said = |phrase: Phrase| {
            let answer = answer.map_or(asked.code, |answer| answer.as_str());
            phrase
                .with("name", quoted(cut(asked.name)))
                .with("record", visible(asked.record))
                .with("answer", cut(answer))
        };
        if fits == conditions.len() {
            own.proven(here.proof(None, said(phrase("query-proof"))), self.times);
        } else {
            let closest = || said(phrase("closest-query")).with("at", here.time);
            own.nearly([i64::try_from(fits).unwrap_or(0), 0], None, closest);
        }
    }

    fn none_tried(&self) -> Option<Phrase> {
        Some(phrase("none-asked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_such_records_is_no_data() {
        assert_eq!(Answer::of("NOERROR", 1), Some(Answer::NoError));
        assert_eq!(Answer::of("NOERROR", 0), Some(Answer::NoData));
        assert_eq!(Answer::of("NXDOMAIN", 0), Some(Answer::NxDomain));
        assert_eq!(Answer::of("FAILED", 0), None);
    }
}
