//! LIST and LSUB (RFC 9051 6.3.9, RFC 3501 6.3.9, RFC 5819, RFC 6154): which names fit, and what is said of each.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    Session, Task, Under,
    folders::{astring, status_line},
    list::List,
    name::Charset,
    reply::Reply,
};
use crate::{
    mail::folder::FolderName,
    protocol::{
        Output,
        folders::{Ask, Folder, Told},
    },
};

/// Says that the folder holds messages that no session has been told of (RFC 3501 7.2.2).
const MARKED: &str = "\\Marked";

/// A LIST under way.
#[derive(Debug)]
pub(super) struct Listing {
    wanted: List,
    /// Names whose STATUS is still to be told, the next one last.
    standings: Vec<FolderName>,
    begun: bool,
}

/// What is said of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Line {
    attributes: Vec<&'static str>,
    /// Whether names below it fit where it does not (RFC 9051 6.3.9.6).
    child_info: bool,
}

impl Session {
    pub(super) fn list(&mut self, under: Under, wanted: List, out: &mut Output) {
        let Some(mailbox) = self.connection.mailbox().cloned() else { return };
        if wanted.delimiter && !wanted.extended {
            let verb = if wanted.lsub { "LSUB" } else { "LIST" };
            self.list_line(verb, &["\\Noselect"], "\"\"", out);
            return self.listed(under, out);
        }
        let listing = Listing { wanted, standings: Vec::new(), begun: false };
        self.ask(under, Task::List(Box::new(listing)), Ask::List { mailbox }, out);
    }

    /// An untagged line of LIST or LSUB. For a dialect that has a list of its own for it, whether the folder is marked is also told apart
    /// from the rest.
    pub(super) fn list_line(&self, verb: &str, attributes: &[&str], name: &str, out: &mut Output) {
        let (marks, rest): (Vec<&str>, Vec<&str>) = attributes.iter().partition(|attribute| **attribute == MARKED);
        let mark = if marks.is_empty() { "\\Unmarked" } else { MARKED };
        let (attributes, rest) = (attributes.join(" "), rest.join(" "));
        let values = [("verb", verb), ("attributes", &*attributes), ("mark", mark), ("rest", &*rest), ("name", name)];
        self.say(Reply::ListLine, "*", &values, out);
    }

    fn listed(&mut self, under: Under, out: &mut Output) {
        let verb = under.heard.verb.to_string();
        self.complete_with(under, Reply::Listed, &[("verb", &verb)], out);
    }

    /// Goes on after [`Ask::List`], and after [`Ask::Status`] for each folder.
    pub(super) fn listing(&mut self, under: Under, mut listing: Listing, told: Option<Told>, out: &mut Output) {
        match told {
            Some(Told::Folders(folders)) if !listing.begun => {
                listing.begun = true;
                let charset = self.charset();
                for (name, line) in lines(&listing.wanted, &folders) {
                    let shown = quoted_name(&name, charset);
                    let verb = if listing.wanted.lsub { "LSUB" } else { "LIST" };
                    let with_info = format!("{shown} (\"CHILDINFO\" ({}))", listing.wanted.selection());
                    self.list_line(verb, &line.attributes, if line.child_info { &with_info } else { &shown }, out);
                    if !line.attributes.contains(&"\\NonExistent") && !line.attributes.contains(&"\\Noselect") {
                        listing.standings.push(name);
                    }
                }
                if listing.wanted.status.is_empty() {
                    listing.standings.clear();
                }
                listing.standings.reverse();
            }
            Some(Told::Status(standing)) => {
                if let Some(name) = listing.standings.pop() {
                    let shown = quoted_name(&name, self.charset());
                    out.reply.extend_from_slice(status_line(&shown, &listing.wanted.status, &standing).as_bytes());
                }
            }
            Some(_) | None => return self.answer(under, Reply::Failed, &[], out),
        }
        match (listing.standings.last().cloned(), self.connection.mailbox().cloned()) {
            (Some(name), Some(mailbox)) => {
                self.ask(under, Task::List(Box::new(listing)), Ask::Status { mailbox, name }, out);
            }
            _ => self.listed(under, out),
        }
    }
}

/// A name as LIST and STATUS show it.
pub(super) fn quoted_name(name: &FolderName, charset: Charset) -> Cow<'static, str> {
    astring(name, charset)
}

/// The names to list with what is said of each, in order, INBOX first.
fn lines(wanted: &List, folders: &[Folder]) -> Vec<(FolderName, Line)> {
    let fits = |folder: &FolderName| wanted.patterns.iter().any(|pattern| pattern.fits(folder));
    let selected = |folder: &Folder| {
        (!wanted.subscribed || folder.subscribed)
            && (!wanted.special || folder.special.is_some())
            && (folder.exists || wanted.subscribed)
    };
    let mut found: BTreeMap<(bool, FolderName), Line> = BTreeMap::new();
    let key = |name: &FolderName| (!name.is_inbox(), name.clone());
    for folder in folders.iter().filter(|folder| selected(folder) && fits(&folder.name)) {
        found.entry(key(&folder.name)).or_default().attributes = attributes(folder, folders, wanted);
    }
    // Names above one that is selected.
    for folder in folders.iter().filter(|folder| selected(folder)) {
        let shown = fits(&folder.name);
        for parent in folder.name.parents().filter(fits) {
            if wanted.recursive {
                // A name that is selected itself always says what lies in it. One that is not is told for the sake of what is
                // below, and need not be where that is told as well (RFC 5258 3.5) unless a tree was asked for.
                if shown && !found.contains_key(&key(&parent)) && !wanted.trees {
                    continue;
                }
                let known = folders.iter().find(|known| known.name == parent);
                let line = found.entry(key(&parent)).or_insert_with(|| Line {
                    attributes: known.map_or_else(|| vec!["\\NonExistent"], |known| attributes(known, folders, wanted)),
                    child_info: false,
                });
                line.child_info = true;
            } else if wanted.lsub && !shown {
                // RFC 3501 6.3.9: with `%` the client learns that there is something below.
                found.entry(key(&parent)).or_insert_with(|| Line { attributes: vec!["\\Noselect"], child_info: false });
            }
        }
    }
    found.into_iter().map(|((_, name), line)| (name, line)).collect()
}

fn attributes(folder: &Folder, folders: &[Folder], wanted: &List) -> Vec<&'static str> {
    let children = folders.iter().any(|other| other.exists && other.name.is_below(&folder.name));
    let mut attributes = Vec::new();
    if !folder.exists {
        attributes.push("\\NonExistent");
    }
    if folder.subscribed && (wanted.show_subscribed || wanted.subscribed && !wanted.lsub) {
        attributes.push("\\Subscribed");
    }
    if folder.marked {
        attributes.push(MARKED);
    }
    attributes.push(if children { "\\HasChildren" } else { "\\HasNoChildren" });
    attributes.extend(folder.special.map(crate::mail::folder::Special::attribute));
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mail::folder::Special, protocol::imap::list::Pattern};

    fn folder(name: &str, subscribed: bool, exists: bool) -> Folder {
        Folder {
            name: name.parse().unwrap(),
            special: Special::named(name),
            subscribed,
            exists,
            marked: name == "INBOX",
        }
    }

    fn listed(wanted: &List) -> Vec<String> {
        let folders = [
            folder("INBOX", true, true),
            folder("Sent", true, true),
            folder("lab", false, true),
            folder("lab/one", true, true),
            folder("old", true, false),
        ];
        let show = |(name, line): (FolderName, Line)| {
            format!("{name}{}{}", line.attributes.concat(), if line.child_info { "+" } else { "" })
        };
        lines(wanted, &folders).into_iter().map(show).collect()
    }

    fn pattern(pattern: &str) -> List {
        let trees = pattern.ends_with('*');
        List { patterns: vec![Pattern::of(pattern.to_owned(), Charset::Utf7)], trees, ..List::default() }
    }

    #[test]
    fn what_exists_is_listed_with_what_it_is() {
        assert_eq!(
            listed(&pattern("*")),
            ["INBOX\\Marked\\HasNoChildren", "Sent\\HasNoChildren\\Sent", "lab\\HasChildren", "lab/one\\HasNoChildren"]
        );
        assert_eq!(listed(&pattern("%")).len(), 3);
        assert_eq!(listed(&pattern("lab/%")), ["lab/one\\HasNoChildren"]);
    }

    #[test]
    fn subscriptions_are_listed_also_where_the_folder_is_gone() {
        let subscribed = List { subscribed: true, extended: true, ..pattern("*") };
        assert_eq!(
            listed(&subscribed),
            [
                "INBOX\\Subscribed\\Marked\\HasNoChildren",
                "Sent\\Subscribed\\HasNoChildren\\Sent",
                "lab/one\\Subscribed\\HasNoChildren",
                "old\\NonExistent\\Subscribed\\HasNoChildren"
            ]
        );
        let recursive = |text| List { recursive: true, subscribed: true, extended: true, ..pattern(text) };
        assert_eq!(listed(&recursive("l%")), ["lab\\HasChildren+"]);
        let tree = ["lab\\HasChildren+", "lab/one\\Subscribed\\HasNoChildren"];
        assert_eq!(listed(&recursive("l*")), tree, "a tree is shown with the names that it hangs on");
        assert_eq!(listed(&recursive("*b*e")), tree[1..], "what is below is told itself (RFC 5258 3.5)");
        let both = List { patterns: [pattern("lab").patterns, pattern("lab/one").patterns].concat(), ..recursive("") };
        assert_eq!(listed(&both), tree[1..]);
        let lsub = List { lsub: true, subscribed: true, ..pattern("l%") };
        assert_eq!(listed(&lsub), ["lab\\Noselect"]);
    }

    #[test]
    fn special_folders_can_be_asked_for() {
        assert_eq!(listed(&List { special: true, extended: true, ..pattern("*") }), ["Sent\\HasNoChildren\\Sent"]);
    }
}
