//! THREAD (RFC 5256 3): messages put together to conversations, by what they refer to or by their subjects alone.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use super::{
    matching::sent_secs,
    sort::subject,
    syntax::{Cursor, Read},
};
use crate::mail::{fields, folder::Row, subject::BaseSubject};

/// The most messages that one message is taken to refer to, the last ones.
pub const MAX_REFERENCES: usize = 50;

/// The longest way up a conversation, in messages; what would go deeper begins a conversation of its own.
pub const MAX_DEPTH: usize = 500;

/// How conversations are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// By subject, in the order of dates.
    OrderedSubject,
    /// By References and In-Reply-To, then by subject.
    References,
}

impl Algorithm {
    /// Reads its name.
    pub fn read(cursor: &mut Cursor<'_>) -> Read<Self> {
        match () {
            () if cursor.word("REFERENCES") => Ok(Self::References),
            () if cursor.word("ORDEREDSUBJECT") => Ok(Self::OrderedSubject),
            () => Err(cursor.fault("REFERENCES or ORDEREDSUBJECT")),
        }
    }
}

/// What of a message counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// The number by which the answer names it.
    pub number: u32,
    /// When it was sent, or else came in, in seconds since 1970-01-01T00:00:00Z.
    pub sent_secs: i64,
    pub subject: BaseSubject,
    /// Its Message-ID, without brackets.
    pub id: Option<String>,
    /// The messages it refers to, the oldest first.
    pub references: Vec<String>,
}

impl Member {
    /// What counts of the message with this header.
    pub fn of(number: u32, row: &Row, header: &[u8]) -> Self {
        let ids = |name| fields::value(header, name).map_or_else(Vec::new, |value| message_ids(&value));
        let mut references = ids("References");
        if references.is_empty() {
            references = ids("In-Reply-To").into_iter().take(1).collect();
        }
        references.drain(..references.len().saturating_sub(MAX_REFERENCES));
        Self {
            number,
            sent_secs: sent_secs(header).unwrap_or(row.received_secs),
            subject: BaseSubject::of(&subject(header)),
            id: ids("Message-Id").into_iter().next(),
            references,
        }
    }
}

/// What stands in angle brackets, blanks and quotes taken out.
fn message_ids(value: &[u8]) -> Vec<String> {
    let value = String::from_utf8_lossy(value);
    let inside = value.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(inside, _)| inside);
    let plain =
        inside.map(|id| id.chars().filter(|letter| !letter.is_whitespace() && *letter != '"').collect::<String>());
    plain.filter(|id| id.contains('@')).collect()
}

/// The conversations as `* THREAD` writes them; `members` are in the order of the folder.
pub fn written(algorithm: Algorithm, members: &[Member]) -> String {
    let forest = match algorithm {
        Algorithm::OrderedSubject => by_subject(members),
        Algorithm::References => Forest::of(members).gathered(),
    };
    forest.written()
}

/// Conversations by subject: the first message, and all others as its children.
fn by_subject(members: &[Member]) -> Forest<'_> {
    let mut forest = Forest { members, nodes: members.iter().map(|_| Node::default()).collect(), roots: Vec::new() };
    let mut order: Vec<usize> = (0..members.len()).collect();
    forest.sort(&mut order);
    let mut first: HashMap<&str, usize> = HashMap::new();
    for node in order {
        let root = *first.entry(&members[node].subject.text).or_insert(node);
        if root == node {
            forest.roots.push(node);
        } else {
            forest.nodes[root].children.push(node);
        }
    }
    forest
}

/// A message or, with a number beyond them, one that is referred to and not there.
#[derive(Debug, Clone, Default)]
struct Node {
    parent: Option<usize>,
    children: Vec<usize>,
}

/// Conversations on the way. The first nodes are the messages.
#[derive(Debug)]
struct Forest<'a> {
    members: &'a [Member],
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

impl<'a> Forest<'a> {
    /// Steps 1 to 3 of RFC 5256: messages linked by what they refer to, without those that are not there.
    fn of(members: &'a [Member]) -> Self {
        let mut forest = Self { members, nodes: members.iter().map(|_| Node::default()).collect(), roots: Vec::new() };
        let mut known: HashMap<&str, usize> = HashMap::new();
        // A message whose id another one has already is nobody that could be referred to.
        for (node, member) in members.iter().enumerate() {
            if let Some(id) = &member.id {
                known.entry(id).or_insert(node);
            }
        }
        for (node, member) in members.iter().enumerate() {
            let mut last = None;
            for id in &member.references {
                let next = *known.entry(id).or_insert_with(|| {
                    forest.nodes.push(Node::default());
                    forest.nodes.len() - 1
                });
                if let Some(before) = last.filter(|_| forest.nodes[next].parent.is_none()) {
                    forest.link(before, next);
                }
                last = Some(next);
            }
            // What a message itself says of its parent counts more than what others say of it.
            if forest.nodes[node].parent != last {
                forest.unlink(node);
                if let Some(parent) = last {
                    forest.link(parent, node);
                }
            }
        }
        forest.prune();
        forest
    }

    /// Makes one node the parent of another, unless that would go in a circle or too deep.
    fn link(&mut self, parent: usize, child: usize) {
        let mut above = Some(parent);
        for _ in 0..=MAX_DEPTH {
            match above {
                None => {
                    self.nodes[child].parent = Some(parent);
                    self.nodes[parent].children.push(child);
                    return;
                }
                Some(node) if node == child => return,
                Some(node) => above = self.nodes[node].parent,
            }
        }
    }

    fn unlink(&mut self, child: usize) {
        if let Some(parent) = self.nodes[child].parent.take() {
            self.nodes[parent].children.retain(|node| *node != child);
        }
    }

    const fn is_there(&self, node: usize) -> bool {
        node < self.members.len()
    }

    /// Takes out messages that are not there: their children move up, but to the root only where it is one.
    fn prune(&mut self) {
        for node in 0..self.nodes.len() {
            let children = self.living(&self.nodes[node].children);
            self.nodes[node].children = children;
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].parent.is_some() {
                continue;
            }
            match (self.is_there(node), self.nodes[node].children.as_slice()) {
                (true, _) | (false, [_, _, ..]) => self.roots.push(node),
                (false, [only]) => self.roots.push(*only),
                (false, []) => {}
            }
        }
    }

    /// These nodes, with their children in place of those that are not there.
    fn living(&self, nodes: &[usize]) -> Vec<usize> {
        let (mut found, mut left) = (Vec::new(), nodes.iter().rev().copied().collect::<Vec<_>>());
        while let Some(node) = left.pop() {
            if self.is_there(node) {
                found.push(node);
            } else {
                left.extend(self.nodes[node].children.iter().rev());
            }
        }
        found
    }

    /// By what a node is put in order among its siblings: its message, or the first one below it.
    fn rank(&self, node: usize) -> (i64, usize) {
        let own = |node: usize| (self.members[node].sent_secs, node);
        if self.is_there(node) {
            return own(node);
        }
        self.nodes[node]
            .children
            .iter()
            .filter(|child| self.is_there(**child))
            .map(|child| own(*child))
            .min()
            .unwrap_or_default()
    }

    fn sort(&self, nodes: &mut [usize]) {
        nodes.sort_by_key(|node| self.rank(*node));
    }

    /// Steps 4 to 6: conversations of one subject put together, and everything in the order of dates.
    fn gathered(mut self) -> Self {
        let mut roots = std::mem::take(&mut self.roots);
        self.sort(&mut roots);
        let mut table: BTreeMap<&str, usize> = BTreeMap::new();
        for root in &roots {
            let subject = self.subject(*root);
            if subject.text.is_empty() {
                continue;
            }
            table
                .entry(&subject.text)
                .and_modify(|kept| {
                    let replaces = !self.is_there(*root) || self.subject(*kept).reply && !subject.reply;
                    if self.is_there(*kept) && replaces {
                        *kept = *root;
                    }
                })
                .or_insert(*root);
        }
        for root in roots {
            let subject = self.subject(root);
            match table.get(subject.text.as_str()).copied() {
                Some(kept) if kept != root => self.merge(kept, root, &mut table),
                Some(_) | None => self.roots.push(root),
            }
        }
        for node in 0..self.nodes.len() {
            let mut children = std::mem::take(&mut self.nodes[node].children);
            self.sort(&mut children);
            self.nodes[node].children = children;
        }
        let mut roots = std::mem::take(&mut self.roots);
        self.sort(&mut roots);
        Self { roots, ..self }
    }

    /// The subject of a conversation.
    fn subject(&self, root: usize) -> &'a BaseSubject {
        &self.members[self.rank(root).1].subject
    }

    /// Puts the conversation `root` to `kept`, which has the same subject (step 5 C).
    fn merge(&mut self, kept: usize, root: usize, table: &mut BTreeMap<&'a str, usize>) {
        let (subject, kept_subject) = (self.subject(root), self.subject(kept));
        match (self.is_there(kept), self.is_there(root)) {
            (false, false) => {
                let children = std::mem::take(&mut self.nodes[root].children);
                self.nodes[kept].children.extend(children);
            }
            (false, true) => self.nodes[kept].children.push(root),
            (true, _) if subject.reply && !kept_subject.reply => self.nodes[kept].children.push(root),
            (true, _) => {
                self.nodes.push(Node { parent: None, children: vec![kept, root] });
                let both = self.nodes.len() - 1;
                for known in &mut self.roots {
                    if *known == kept {
                        *known = both;
                    }
                }
                table.insert(&subject.text, both);
            }
        }
    }

    /// `(2)(3 6 (4 23)(44 7 96))`.
    fn written(&self) -> String {
        /// What is still to be written.
        enum Left {
            Node(usize),
            Close,
        }
        let mut text = String::new();
        let mut left: Vec<Left> = self.roots.iter().rev().flat_map(|root| [Left::Close, Left::Node(*root)]).collect();
        let mut opens = true;
        while let Some(next) = left.pop() {
            let Left::Node(node) = next else {
                text.push(')');
                opens = true;
                continue;
            };
            text.push(if opens { '(' } else { ' ' });
            opens = false;
            if self.is_there(node) {
                let _ = write!(text, "{}", self.members[node].number);
            }
            match self.nodes[node].children.as_slice() {
                [] => {}
                [only] => left.push(Left::Node(*only)),
                several => {
                    if self.is_there(node) {
                        text.push(' ');
                    }
                    opens = true;
                    left.extend(several.iter().rev().flat_map(|child| [Left::Close, Left::Node(*child)]));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Messages by lines `id subject < references`, sent one after the other.
    fn members(text: &str) -> Vec<Member> {
        let read = |(at, line): (usize, &str)| {
            let (own, references) = line.split_once('<').unwrap_or((line, ""));
            let (id, subject) = own.trim().split_once(' ').unwrap_or((own.trim(), ""));
            Member {
                number: u32::try_from(at + 1).unwrap(),
                sent_secs: i64::try_from(at).unwrap(),
                subject: BaseSubject::of(subject),
                id: Some(id.to_owned()),
                references: references.split_whitespace().map(str::to_owned).collect(),
            }
        };
        text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate().map(read).collect()
    }

    fn references(text: &str) -> String {
        written(Algorithm::References, &members(text))
    }

    #[test]
    fn messages_hang_on_what_they_refer_to() {
        assert_eq!(references("a x\nb Re: x < a\nc Re: x < a b\nd y"), "(1 2 3)(4)");
        assert_eq!(references("a x\nb p < a\nc q < a\nd r < a c"), "(1 (2)(3 4))");
        assert_eq!(references(""), "");
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        assert_eq!(references("a p < gone\nb q < gone"), "((1)(2))", "two children are not promoted to the root");
        assert_eq!(references("a p < gone"), "(1)");
        assert_eq!(references("a p\nb q < a gone\nc r < a gone"), "(1 (2)(3))");
        assert_eq!(references("a p < gone missing\nb q < gone lost"), "((1)(2))");
    }

    #[test]
    fn circles_are_not_made() {
        assert_eq!(references("a p < b\nb q < a"), "(2 1)");
        assert_eq!(references("a p < a"), "(1)");
        assert_eq!(references("a p < b c\nb q < c a"), "(2 1)");
    }

    #[test]
    fn an_id_belongs_to_the_first_message_that_has_it() {
        assert_eq!(references("a p\na q\nb r < a"), "(1 3)(2)");
    }

    #[test]
    fn conversations_of_one_subject_are_put_together() {
        assert_eq!(references("a x\nb Re: x"), "(1 2)");
        assert_eq!(references("a Re: x\nb x"), "(2 1)", "the one that is no reply comes first");
        assert_eq!(references("a x\nb x"), "((1)(2))");
        assert_eq!(references("a Re: x\nb Re: x\nc Re: x"), "((1)(2)(3))");
        assert_eq!(references("a\nb"), "(1)(2)", "no subject is no subject in common");
        assert_eq!(references("a x < gone\nb y < gone\nc x"), "((1)(2)(3))");
        assert_eq!(references("a x < gone\nb y < gone\nc x < lost\nd z < lost"), "((1)(2)(3)(4))");
    }

    #[test]
    fn subjects_alone_make_flat_conversations() {
        let ordered = |text: &str| written(Algorithm::OrderedSubject, &members(text));
        assert_eq!(ordered("a x\nb y\nc Re: x\nd x\ne Fwd: y"), "(1 (3)(4))(2 5)");
        let mut late = members("a x\nb Re: x");
        late[0].sent_secs = 9;
        assert_eq!(written(Algorithm::OrderedSubject, &late), "(2 1)");
    }

    #[test]
    fn references_are_bounded() {
        let header = |count: usize| {
            let ids: Vec<String> = (0..count).map(|number| format!("<{number}@a>")).collect();
            format!("References: {}\r\n\r\n", ids.join(" "))
        };
        let row = Row {
            uid: 1,
            octets: 1,
            message: crate::evidence::MessageId(1),
            flags: crate::mail::folder::Flags(0),
            modseq: 1,
            received_secs: 0,
        };
        let read = |count| Member::of(1, &row, header(count).as_bytes()).references;
        assert_eq!((read(MAX_REFERENCES)[0].as_str(), read(MAX_REFERENCES + 1)[0].as_str()), ("0@a", "1@a"));
        assert_eq!(message_ids(b"text <a@b> (c) <d e@f><nothing> <\"g\"@h"), ["a@b", "de@f"]);
    }

    #[test]
    fn depth_is_bounded() {
        let chain = |length: usize| {
            let line = |number: usize| format!("m{number} s{number} < m{}", number.wrapping_sub(1));
            references(&(0..length).map(line).collect::<Vec<_>>().join("\n"))
        };
        // The first message refers to one that is not there, which counts for the depth.
        assert_eq!([MAX_DEPTH, MAX_DEPTH + 1].map(|length| chain(length).matches('(').count()), [1, 2]);
    }

    proptest! {
        #[test]
        fn every_message_is_told_once(
            lines in proptest::collection::vec((0..6_u8, "(re: )?[xy]?", proptest::collection::vec(0..8_u8, 0..4)), 0..12),
        ) {
            let line = |(id, subject, references): &(u8, String, Vec<u8>)| {
                let references: Vec<String> = references.iter().map(u8::to_string).collect();
                format!("{id} {subject} < {}", references.join(" "))
            };
            let members = members(&lines.iter().map(line).collect::<Vec<_>>().join("\n"));
            for algorithm in [Algorithm::References, Algorithm::OrderedSubject] {
                let text = written(algorithm, &members);
                let mut told: Vec<u32> =
                    text.split(['(', ')', ' ']).filter(|word| !word.is_empty()).map(|word| word.parse().unwrap()).collect();
                told.sort_unstable();
                prop_assert_eq!(told, (1..=u32::try_from(members.len()).unwrap()).collect::<Vec<_>>(), "{}", text);
                let mut depth = 0_i32;
                for letter in text.chars() {
                    depth += match letter { '(' => 1, ')' => -1, _ => 0 };
                    prop_assert!(depth >= 0);
                }
                prop_assert_eq!(depth, 0);
            }
        }
    }
}
