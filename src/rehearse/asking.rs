//! Plays a script of DNS (RFC 1035): each `C:` line asks, each `S:` line says how the answer must begin. Over TCP (4.2.2), which goes
//! the same way as a student's other connections, also out of a container.

use std::{io, time::Duration};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::player::{PlayError, Step, Wire};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Plays `steps` over one connection to `address`, without the step `left_out`. Where the answers are not `judged` any will do.
pub async fn play(
    address: &str,
    mut wire: Wire,
    steps: &[Step],
    left_out: Option<usize>,
    judged: bool,
) -> Result<(), PlayError> {
    let broken = |problem: io::Error| PlayError::Connection { address: address.to_owned(), why: problem.to_string() };
    let (mut command, mut reply) = (String::new(), String::new());
    for (index, step) in steps.iter().enumerate().filter(|(index, _)| left_out != Some(*index)) {
        match step {
            Step::Command(question) => {
                command.clone_from(question);
                let id = u16::try_from(index).unwrap_or(u16::MAX);
                let asked = timeout(ANSWER, ask(&mut wire, id, question)).await;
                reply = asked.map_err(|_| PlayError::Silence { command: command.clone() })?.map_err(broken)?;
            }
            Step::Expect(wanted) if judged && !reply.starts_with(wanted.as_str()) => {
                return Err(PlayError::Reply { command, reply, wanted: wanted.clone() });
            }
            // Reading lets nothing else into a script of DNS.
            Step::Expect(_)
            | Step::Ahead(_)
            | Step::Message(_)
            | Step::Close
            | Step::Hold
            | Step::Cut
            | Step::Silence
            | Step::Tls => {}
        }
    }
    Ok(())
}

/// Asks `MX g01.lab` and gives the answer in a line: `NOERROR 10 mail.g01.lab.`
async fn ask(wire: &mut Wire, id: u16, question: &str) -> io::Result<String> {
    let octets = query(id, question).map_err(io::Error::other)?;
    let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
    wire.write_all(&[&length.to_be_bytes(), octets.as_slice()].concat()).await?;
    wire.flush().await?;
    let length = wire.read_u16().await?;
    let mut octets = vec![0; usize::from(length)];
    wire.read_exact(&mut octets).await?;
    let answer = Message::from_vec(&octets).map_err(io::Error::other)?;
    if answer.metadata.id != id {
        return Err(io::Error::other("the answer is to another question"));
    }
    Ok(line(&answer))
}

fn query(id: u16, question: &str) -> Result<Vec<u8>, String> {
    let (record, name) = question.split_once(' ').unwrap_or((question, ""));
    let record: RecordType = record.to_ascii_uppercase().parse().map_err(|problem| format!("`{record}`: {problem}"))?;
    let name = name.trim();
    let name =
        Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).map_err(|why| format!("`{name}`: {why}"))?;
    let mut asked = Message::new(id, MessageType::Query, OpCode::Query);
    asked.metadata.recursion_desired = true;
    asked.add_query(Query::query(name, record));
    asked.to_vec().map_err(|problem| problem.to_string())
}

fn line(answer: &Message) -> String {
    let code = match answer.metadata.response_code {
        ResponseCode::NoError if answer.answers.is_empty() => "NODATA".to_owned(),
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => other.to_string(),
    };
    let records: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
    [code, records.join(", ")].join(" ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_a_record_that_there_is() {
        let asked = Message::from_vec(&query(7, "mx G01.lab").unwrap()).unwrap();
        assert_eq!((asked.metadata.id, asked.queries[0].to_string().as_str()), (7, "G01.lab. IN MX"));
        for bad in ["MZ g01.lab", "A two..dots"] {
            assert!(query(1, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_one_line() {
        let mut answer = Message::new(1, MessageType::Response, OpCode::Query);
        assert_eq!(line(&answer), "NODATA");
        answer.metadata.response_code = ResponseCode::NXDomain;
        assert_eq!(line(&answer), "NXDOMAIN");
    }
}
