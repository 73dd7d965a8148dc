//! Answers taken apart, so that two ways to write the same thing compare equal.

use std::fmt;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// An atom or a string.
    Text(String),
    /// NIL.
    Nil,
    /// What stands in brackets.
    List(Vec<Node>),
}

impl fmt::Display for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(out, "{text:?}"),
            Self::Nil => out.write_str("NIL"),
            Self::List(nodes) => {
                let inside: Vec<String> = nodes.iter().map(Self::to_string).collect();
                write!(out, "({})", inside.join(" "))
            }
        }
    }
}

/// Takes an answer apart.
pub fn parse(answer: &[u8]) -> Vec<Node> {
    let mut at = 0;
    nodes(answer, &mut at)
}

fn nodes(octets: &[u8], at: &mut usize) -> Vec<Node> {
    let mut found = Vec::new();
    while *at < octets.len() {
        match octets[*at] {
            b')' => {
                *at += 1;
                break;
            }
            b'(' => {
                *at += 1;
                found.push(Node::List(nodes(octets, at)));
            }
            b' ' | b'\r' | b'\n' => *at += 1,
            b'"' => found.push(quoted(octets, at)),
            b'{' => found.push(literal(octets, at)),
            _ => found.push(atom(octets, at)),
        }
    }
    found
}

fn quoted(octets: &[u8], at: &mut usize) -> Node {
    let mut text = Vec::new();
    *at += 1;
    while octets[*at] != b'"' {
        if octets[*at] == b'\\' {
            *at += 1;
        }
        text.push(octets[*at]);
        *at += 1;
    }
    *at += 1;
    Node::Text(String::from_utf8_lossy(&text).into_owned())
}

fn literal(octets: &[u8], at: &mut usize) -> Node {
    let close = *at + octets[*at..].iter().position(|octet| *octet == b'}').expect("a literal");
    let length: usize = std::str::from_utf8(&octets[*at + 1..close]).unwrap().parse().unwrap();
    let start = close + 3;
    *at = start + length;
    Node::Text(String::from_utf8_lossy(&octets[start..*at]).into_owned())
}

/// An atom; what stands in square brackets belongs to it.
fn atom(octets: &[u8], at: &mut usize) -> Node {
    let start = *at;
    let mut square = 0;
    while *at < octets.len() {
        match octets[*at] {
            b'[' => square += 1,
            b']' => square -= 1,
            b' ' | b'(' | b')' | b'\r' | b'\n' if square == 0 => break,
            _ => {}
        }
        *at += 1;
    }
    let text = String::from_utf8_lossy(&octets[start..*at]).into_owned();
    if text.eq_ignore_ascii_case("NIL") { Node::Nil } else { Node::Text(text) }
}

/// An untagged answer in one form; none where it is talk (`* OK …`) or state that each server numbers for itself.
pub fn normal(answer: &[Node]) -> Option<Node> {
    let text = |place: usize| match answer.get(place) {
        Some(Node::Text(text)) => text.to_ascii_uppercase(),
        Some(Node::Nil | Node::List(_)) | None => String::new(),
    };
    if matches!(text(1).as_str(), "OK" | "NO" | "BYE" | "CAPABILITY" | "FLAGS") {
        return None;
    }
    // Which session a message is recent in depends on who looked first.
    if text(2) == "RECENT" {
        return None;
    }
    if text(1) == "ESEARCH" {
        // The tag is in it.
        return Some(Node::List(answer[3..].to_vec()));
    }
    if matches!(text(1).as_str(), "LIST" | "LSUB") {
        let mut answer = answer.to_vec();
        if let Some(Node::List(attributes)) = answer.get_mut(2) {
            // What a folder is marked as is each server's own affair (RFC 9051 7.3.1).
            attributes.retain(|one| !matches!(one, Node::Text(text) if matches!(text.to_ascii_uppercase().as_str(), "\\MARKED" | "\\UNMARKED")));
            attributes.sort();
        }
        if text(1) == "LSUB" {
            // What LSUB says of a name beside that it is subscribed to is not asked for (RFC 3501 6.3.9).
            answer[2] = Node::List(Vec::new());
        }
        return Some(Node::List(answer));
    }
    if text(2) == "FETCH" {
        let Some(Node::List(items)) = answer.get(3) else { return None };
        let mut pairs: Vec<Node> = items.chunks(2).map(pair).collect();
        pairs.sort();
        return Some(Node::List([answer[..3].to_vec(), pairs].concat()));
    }
    Some(Node::List(answer.to_vec()))
}

/// Whether it is an answer of LIST or LSUB.
pub fn is_listing(answer: &Node) -> bool {
    let Node::List(pieces) = answer else { return false };
    matches!(pieces.get(1), Some(Node::Text(word)) if word == "LIST" || word == "LSUB")
}

/// One item of FETCH with its value.
fn pair(pair: &[Node]) -> Node {
    let [Node::Text(name), value] = pair else { return Node::List(pair.to_vec()) };
    let name = name.to_ascii_uppercase();
    let value = match name.as_str() {
        // Media types, parameters' names and encodings have no case (RFC 2045 5.1, 6.1).
        "BODY" | "BODYSTRUCTURE" => lower(value),
        // A day of one digit has a blank or a zero before it (RFC 9051 9, date-day-fixed).
        "INTERNALDATE" => match value {
            Node::Text(date) => Node::Text(date.replacen(' ', "0", usize::from(date.starts_with(' ')))),
            value @ (Node::List(_) | Node::Nil) => value.clone(),
        },
        // A section that is not there is NIL or empty (RFC 9051 7.5.2, nstring).
        section if section.contains('[') && *value == Node::Nil => Node::Text(String::new()),
        "FLAGS" => match value {
            Node::List(flags) => {
                let recent = |flag: &Node| matches!(flag, Node::Text(text) if text == "\\Recent");
                let mut flags: Vec<Node> = flags.iter().filter(|flag| !recent(flag)).cloned().collect();
                flags.sort();
                Node::List(flags)
            }
            value @ (Node::Text(_) | Node::Nil) => value.clone(),
        },
        _ => value.clone(),
    };
    Node::List(vec![Node::Text(name), value])
}

fn lower(node: &Node) -> Node {
    match node {
        Node::Text(text) => Node::Text(text.to_lowercase()),
        Node::Nil => Node::Nil,
        Node::List(nodes) => Node::List(nodes.iter().map(lower).collect()),
    }
}
