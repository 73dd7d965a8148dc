//! DNS (RFC 1035) as a function without I/O: a query in, an answer and what was asked out. What names there are is
//! [`zone`]'s. It is final for all it knows and knows nothing else: no recursion, no cache, no transfers, and no answer
//! that is much larger than its question, so it is of no use against others.

pub mod zone;

use std::net::IpAddr;

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, AAAA, HINFO, MX, NS, PTR, SOA},
    },
};

use self::zone::{Node, Zone};
use crate::evidence::EventKind;

/// The longest answer over UDP to a query without EDNS, in octets (RFC 1035 2.3.4).
pub const UDP: usize = 512;

/// The longest answer over UDP at all: what passes every network whole (RFC 9715 3).
pub const UDP_EXTENDED: u16 = 1_232;

/// The longest message over TCP, by its two octets of length (RFC 1035 4.2.2).
pub const TCP: usize = 65_535;

/// Seconds for which an answer may be kept: a lab changes while it is watched.
const TTL: u32 = 60;

/// The octets of a header (RFC 1035 4.1.1): what is shorter is no message.
const HEADER: usize = 12;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What to send.
    pub octets: Vec<u8>,
    /// The question as evidence; none where it could not be read.
    pub seen: Option<EventKind>,
}

/// Answers a query; none where it gets no answer, because it is no query: answering answers makes circles.
pub fn answer(zone: &Zone<'_>, query: &[u8], tcp: bool) -> Option<Answer> {
    let (head, flags) = (query.get(..HEADER)?, query.get(2)?);
    if flags & 0x80 != 0 {
        return None;
    }
    let Ok(asked) = Message::from_vec(query) else {
        return Some(Answer { octets: bare(head, ResponseCode::FormErr), seen: None });
    };
    let mut said = Message::new(asked.metadata.id, MessageType::Response, asked.metadata.op_code);
    said.metadata.recursion_desired = asked.metadata.recursion_desired;
    let limit = match &asked.edns {
        Some(edns) => {
            let mut own = Edns::new();
            own.set_max_payload(UDP_EXTENDED);
            said.edns = Some(own);
            usize::from(edns.max_payload().clamp(512, UDP_EXTENDED))
        }
        None => UDP,
    };
    let seen = match (asked.metadata.op_code, asked.queries.as_slice()) {
        (OpCode::Query, [question]) => {
            said.queries.push(question.clone());
            let code = respond(zone, question, &mut said);
            said.metadata.response_code = code;
            Some(seen(question, code, said.answers.len(), tcp))
        }
        (OpCode::Query, _) => {
            said.metadata.response_code = ResponseCode::FormErr;
            None
        }
        _ => {
            said.metadata.response_code = ResponseCode::NotImp;
            None
        }
    };
    let octets = said.to_vec().ok()?;
    if tcp || octets.len() <= limit {
        return Some(Answer { octets, seen });
    }
    // Whoever wants all of it comes back over TCP (RFC 1035 4.2.1).
    said.answers.clear();
    said.authorities.clear();
    said.additionals.clear();
    said.metadata.truncation = true;
    Some(Answer { octets: said.to_vec().ok()?, seen })
}

/// Says no to a query without reading it; none where it gets no answer.
pub fn refusal(query: &[u8]) -> Option<Vec<u8>> {
    let head = query.get(..HEADER)?;
    (head[2] & 0x80 == 0).then(|| bare(head, ResponseCode::Refused))
}

/// A header alone, with a code that is below 16.
fn bare(head: &[u8], code: ResponseCode) -> Vec<u8> {
    let mut octets = vec![0; HEADER];
    octets[..2].copy_from_slice(&head[..2]);
    octets[2] = 0x80 | head[2] & 0x79;
    octets[3] = code.low();
    octets
}

fn respond(zone: &Zone<'_>, question: &Query, said: &mut Message) -> ResponseCode {
    if question.query_class != DNSClass::IN {
        return ResponseCode::Refused;
    }
    let kind = question.query_type;
    if matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return ResponseCode::Refused;
    }
    let asked = text(&question.name);
    let name = asked.to_ascii_lowercase();
    let found = zone.find(&name);
    let domain = found.as_ref().map(|node| node.domain.as_str()).or_else(|| zone.domain_of(&name));
    said.metadata.authoritative = domain.is_some();
    let records = found.as_ref().map(|node| records(node, kind)).unwrap_or_default();
    if records.is_empty() {
        said.authorities.extend(domain.and_then(|domain| soa(zone, domain)));
    }
    for data in records {
        said.additionals.extend(beside(zone, &data));
        said.answers.push(Record::from_rdata(question.name.clone(), TTL, data));
    }
    let Some(node) = found else { return ResponseCode::NXDomain };
    if kind == RecordType::SOA && node.exchange.is_some() {
        said.answers.append(&mut said.authorities);
    }
    ResponseCode::NoError
}

/// The records of a type that a name has.
fn records(node: &Node, kind: RecordType) -> Vec<RData> {
    let name = |name: &String| Name::from_ascii(format!("{name}.")).ok();
    let addresses = node.addresses.iter();
    match kind {
        RecordType::A => addresses.filter_map(four).collect(),
        RecordType::AAAA => addresses.filter_map(six).collect(),
        RecordType::MX => {
            node.exchange.iter().filter_map(name).map(|exchange| RData::MX(MX::new(10, exchange))).collect()
        }
        RecordType::NS => node.exchange.iter().filter_map(name).map(|server| RData::NS(NS(server))).collect(),
        RecordType::PTR => node.pointer.iter().filter_map(name).map(|pointer| RData::PTR(PTR(pointer))).collect(),
        // Nobody gets all there is at once (RFC 8482 4.2).
        RecordType::ANY => vec![RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()))],
        _ => Vec::new(),
    }
}

fn four(address: &IpAddr) -> Option<RData> {
    match address {
        IpAddr::V4(address) => Some(RData::A(A(*address))),
        IpAddr::V6(_) => None,
    }
}

fn six(address: &IpAddr) -> Option<RData> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(RData::AAAA(AAAA(*address))),
    }
}

/// The addresses of the server that a record names, so that nobody has to ask again (RFC 1035 3.3.9).
fn beside(zone: &Zone<'_>, data: &RData) -> Vec<Record> {
    let (RData::MX(MX { exchange: name, .. }) | RData::NS(NS(name))) = data else { return Vec::new() };
    let node = zone.find(&text(name).to_ascii_lowercase()).unwrap_or_default();
    let addresses = node.addresses.iter().filter_map(|address| four(address).or_else(|| six(address)));
    addresses.map(|data| Record::from_rdata(name.clone(), TTL, data)).collect()
}

/// The start of a domain: what says that there is nothing more, and for how long that may be believed (RFC 2308 3).
fn soa(zone: &Zone<'_>, domain: &str) -> Option<Record> {
    let name = |text: String| Name::from_ascii(format!("{text}.")).ok();
    let server = zone.find(domain)?.exchange.unwrap_or_else(|| zone.host());
    let (server, person) = (name(server)?, name(format!("hostmaster.{domain}"))?);
    let data = SOA::new(server, person, 1, 3_600, 600, 86_400, TTL);
    Some(Record::from_rdata(name(domain.to_owned())?, TTL, RData::SOA(data)))
}

fn seen(question: &Query, code: ResponseCode, records: usize, tcp: bool) -> EventKind {
    let answer = match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::Refused => "REFUSED",
        _ => "FAILED",
    };
    EventKind::Query {
        name: text(&question.name),
        record: question.query_type.to_string(),
        answer: answer.to_owned(),
        records: u32::try_from(records).unwrap_or(u32::MAX),
        tcp,
    }
}

/// A name without its final dot, in ASCII.
fn text(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests;
