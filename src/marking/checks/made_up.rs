//! A kind of check that only the tests know: that a student deletes what nobody may delete.

use super::{Deed, Kind, Setup, View, Written};
use crate::{
    findings::{Fields, Findings, Known, Section},
    lab::template::Person,
    marking::progress::{Here, Progress},
    words::{Phrase, phrase},
};

pub(super) const NAMES: &[&str] = &["made_up"];
pub(super) const KEYS: &[&str] = NAMES;
pub(super) const TABLES: &[&Section] = &[];

/// A number that deleted messages must be above.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    above: u64,
}

/// The same, compiled.
#[derive(Debug)]
pub struct Rule(Check);

impl Check {
    /// Reads one of these.
    pub fn read(name: &'static str, fields: &Fields<'_>, _: &Known<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        Some(Self { above: fields.get(name)?.number(1..=9, findings)? })
    }

    /// Compiles it.
    pub fn compile(&self, _: usize, _: Option<usize>, _: &mut Setup<'_>) -> Rule {
        Rule(self.clone())
    }
}

impl Written for Check {
    fn wanted(&self, _: &Person<'_>) -> Phrase {
        phrase("test-wanted").with("above", self.above)
    }
}

impl Kind for Rule {
    fn take(&self, deed: &mut Deed<'_, '_>, _: &View<'_>, here: &Here, own: &mut Progress) {
        let Deed::Touched(touching) = deed else { return };
        let said = |phrase: Phrase| phrase.with("message", touching.message.0);
        if touching.message.0 > self.0.above {
            own.proven(here.proof(Some(touching.message), said(phrase("test-proof"))), 1);
        } else {
            own.nearly([0, 0], Some(touching.message), || said(phrase("test-closest")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{
        evidence::{Conn, Event, EventKind, MessageId, Seq, Timestamp, Uid, Who},
        lab::Key,
        mail::folder::FolderName,
        marking::Marker,
        reading,
        words::Words,
    };

    #[test]
    fn a_kind_is_a_file_a_line_and_its_messages() {
        let text = "domain = \"a.lab\"\nstudents = [\"ana\"]\n[[exercise]]\nid = \"1\"\ncheck = [{ made_up = 4 }]\n";
        let reading = reading::read(text, Path::new("/lab.toml"), &mut |_| Ok(Vec::new()));
        let lab = reading.lab.expect("it reads");
        let mut marker = Marker::new(&lab, &lab.groups[0], &Key([7; 32]));
        let why = |marker: &Marker| Words::default().why(&marker.marks()[0].exercises[0]);
        assert_eq!(why(&marker), "wanted: something above 4");
        let mut take = |seq, message| {
            let (login, folder) = ("ana".parse().expect("a name"), FolderName::inbox());
            let who = Who::Student { login, by: crate::evidence::By::Endpoint };
            let kind = EventKind::Deleted {
                message: MessageId(message),
                mailbox: "ana".parse().expect("a name"),
                uid: Uid(1),
                folder,
            };
            let event = Event { seq: Seq(seq), time: Timestamp(0), run: 1, conn: Conn(1), who, kind };
            marker.take(&event, &mut |_| None);
            why(&marker)
        };
        assert_eq!(take(1, 3), "wanted: something above 4; closest: 3");
        assert_eq!(take(2, 5), "5 it is");
    }
}
