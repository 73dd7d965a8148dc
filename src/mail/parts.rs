//! The parts of a message as places in its octets (RFC 2045, RFC 2046). The structure is mail-parser's; here its list of parts
//! becomes the tree that IMAP numbers (RFC 9051 6.4.5.1).

use std::ops::Range;

use mail_parser::{Encoding, Message, MessageParser, PartType};

use super::body_start;

/// Nesting below which parts are not told apart any more; no real message comes near, and each level costs stack.
pub const MAX_DEPTH: usize = 50;

/// A part of a message, or the whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its header, the empty line after it included.
    pub header: Range<usize>,
    /// Its body.
    pub body: Range<usize>,
    /// What the body is.
    pub kind: Kind,
}

/// What the body of a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Something without parts.
    Leaf,
    /// Parts in a row.
    Multipart(Vec<Part>),
    /// A message (message/rfc822).
    Message(Box<Part>),
}

impl Part {
    /// The parts of a whole message.
    pub fn of(message: &[u8]) -> Self {
        let parsed = MessageParser::default().parse(message);
        let root = parsed.as_ref().and_then(|parsed| part(parsed, 0, message, MAX_DEPTH));
        let body = body_start(message);
        let kind = root.map_or(Kind::Leaf, |root| root.kind);
        Self { header: 0..body, body: body..message.len(), kind }
    }

    /// The part with this number among the children: the body itself where it is no multipart (RFC 9051 6.4.5.1).
    pub fn child(&self, number: u32) -> Option<Child<'_>> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        match &self.kind {
            Kind::Multipart(parts) => parts.get(place).map(Child::Part),
            Kind::Leaf | Kind::Message(_) => (place == 0).then_some(Child::Body(self)),
        }
    }
}

/// What a part number stands for.
#[derive(Debug, Clone, Copy)]
pub enum Child<'a> {
    /// A part with a header of its own.
    Part(&'a Part),
    /// The body of a message that is no multipart.
    Body(&'a Part),
}

impl<'a> Child<'a> {
    /// The part it is of.
    pub const fn part(self) -> &'a Part {
        match self {
            Self::Part(part) | Self::Body(part) => part,
        }
    }
}

fn part(message: &Message<'_>, id: u32, octets: &[u8], depth: usize) -> Option<Part> {
    let found = message.parts.get(usize::try_from(id).ok()?)?;
    let place = |offset: u32| usize::try_from(offset).unwrap_or(octets.len()).min(octets.len());
    let header = place(found.offset_header)..place(found.offset_body).max(place(found.offset_header));
    let body = header.end..place(found.offset_end).max(header.end);
    let deeper = depth.checked_sub(1);
    let kind = match (&found.body, deeper) {
        (PartType::Multipart(ids), Some(depth)) => {
            let parts: Vec<Part> = ids.iter().filter_map(|id| part(message, *id, octets, depth)).collect();
            if parts.is_empty() { Kind::Leaf } else { Kind::Multipart(parts) }
        }
        // A message inside base64 has its places in what was decoded: for IMAP it is a part without parts.
        (PartType::Message(inner), Some(depth)) if found.encoding == Encoding::None => part(inner, 0, octets, depth)
            .map_or(Kind::Leaf, |root| {
                let root = Part { body: root.body.start..body.end.max(root.body.start), ..root };
                Kind::Message(Box::new(root))
            }),
        _ => Kind::Leaf,
    };
    Some(Part { header, body, kind })
}
