//! Injecting the lab's mail: which copies are due, and sending each through a real SMTP dialogue, so that it is delivered
//! as any mail is. The stream is the caller's. How a lab that runs is handed its letters: `crate::control::letters`.

pub mod compose;
pub mod dialogue;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};

pub use compose::Letter;
pub use dialogue::SendError;

use crate::{
    evidence::Injected,
    lab::{Group, GroupName, Lab, Login},
};

/// Dialogues at once.
const AT_ONCE: usize = 16;

/// One copy of a mail that a group is to get.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The group.
    pub group: GroupName,
    /// Which mail, and for which student.
    pub injected: Injected,
}

/// A copy that did not arrive.
#[derive(Debug, thiserror::Error)]
#[error("mail `{}` for {} of group `{}`: {problem}", due.injected.mail, owner(due), due.group)]
pub struct Undelivered {
    /// Which copy.
    pub due: Due,
    /// Why not.
    pub problem: SendError,
}

/// The problems in a line each: copies of a mail that failed for the same reason share one.
pub fn summary(undelivered: &[Undelivered]) -> Vec<String> {
    let mut alike: BTreeMap<(&str, String), Vec<&Undelivered>> = BTreeMap::new();
    for one in undelivered {
        alike.entry((one.due.injected.mail.as_str(), one.problem.to_string())).or_default().push(one);
    }
    let line = |((mail, problem), copies): (&(&str, String), &Vec<&Undelivered>)| match copies.as_slice() {
        [one] => one.to_string(),
        several => format!("mail `{mail}`, {} copies: {problem}", several.len()),
    };
    alike.iter().map(line).collect()
}

fn owner(due: &Due) -> String {
    due.injected.student.as_ref().map_or_else(|| "everybody".to_owned(), |login| format!("`{login}`"))
}

/// The copies that the group has to get and that are not among `injected`, in the order of the lab.
pub fn due(lab: &Lab, group: &Group, injected: &BTreeSet<Injected>) -> Vec<Due> {
    let mut due = Vec::new();
    for mail in &lab.mails {
        let copy = |student| Due { group: group.name.clone(), injected: Injected { mail: mail.id.clone(), student } };
        if mail.per_student {
            due.extend(group.students.iter().map(|student| copy(Some(student.login.clone()))));
        } else {
            due.push(copy(None));
        }
    }
    due.retain(|due| !injected.contains(&due.injected));
    due
}

/// A letter and which copy it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addressed {
    /// Which copy.
    pub copy: Injected,
    /// The letter.
    pub letter: Letter,
}

/// Sends every letter, each over a stream of its own that `open` gives. One student's letters go one after the other, so
/// that their messages are numbered in the order of the lab; several students are served at once. What did not arrive comes
/// back, in order; the others are delivered all the same.
pub async fn send_all<Stream, Open, Opening>(letters: Vec<Addressed>, open: Open) -> Vec<(Injected, SendError)>
where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    Open: Fn(&Injected) -> Opening,
    Opening: Future<Output = io::Result<Stream>> + Send + 'static,
{
    let mut owners: BTreeMap<Option<Login>, Vec<(Addressed, Opening)>> = BTreeMap::new();
    for letter in letters {
        let opening = open(&letter.copy);
        owners.entry(letter.copy.student.clone()).or_default().push((letter, opening));
    }
    let mut under_way: JoinSet<Vec<(Injected, SendError)>> = JoinSet::new();
    let mut undelivered = Vec::new();
    for letters in owners.into_values() {
        if under_way.len() == AT_ONCE {
            undelivered.extend(under_way.join_next().await.and_then(Result::ok).unwrap_or_default());
        }
        under_way.spawn(async move {
            let mut problems = Vec::new();
            for (Addressed { copy, letter }, opening) in letters {
                let sent = async { dialogue::send(opening.await.map_err(SendError::Connection)?, &letter).await };
                problems.extend(sent.await.err().map(|problem| (copy, problem)));
            }
            problems
        });
    }
    while let Some(ended) = under_way.join_next().await {
        undelivered.extend(ended.unwrap_or_default());
    }
    undelivered.sort_by(|(a, _), (b, _)| a.cmp(b));
    undelivered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::resolve::tests::lab;

    fn mail(id: &str, per_student: bool) -> crate::lab::Mail {
        crate::lab::Mail {
            id: id.parse().unwrap(),
            to: if per_student { "{login}".into() } else { "user2".into() },
            from: "profesor".into(),
            subject: "hola".into(),
            headers: Vec::new(),
            body: "hola\n".into(),
            text_octets: 0,
            per_student,
        }
    }

    #[test]
    fn each_student_gets_a_copy_and_a_shared_mail_comes_once() {
        let mut lab = lab(&[("g01", &["ana", "ben"])]);
        lab.mails = vec![mail("welcome", true), mail("notice", false)];
        let shown = |injected: &BTreeSet<Injected>| -> Vec<String> {
            let copies = due(&lab, &lab.groups[0], injected).into_iter();
            copies.map(|due| format!("{} {}", due.injected.mail, owner(&due))).collect()
        };
        assert_eq!(shown(&BTreeSet::new()), ["welcome `ana`", "welcome `ben`", "notice everybody"]);
        let already = [Injected { mail: "welcome".parse().unwrap(), student: Some("ana".parse().unwrap()) }];
        assert_eq!(shown(&BTreeSet::from(already)), ["welcome `ben`", "notice everybody"]);
    }

    fn addressed(login: &str, content: String) -> Addressed {
        let copy = Injected { mail: "welcome".parse().unwrap(), student: Some(login.parse().unwrap()) };
        let to = format!("{login}@g01.lab");
        Addressed { copy, letter: Letter { host: "labctl".into(), from: "a@g01.lab".into(), to, content } }
    }

    #[tokio::test]
    async fn a_copy_that_does_not_arrive_is_named_and_the_others_go_on() {
        let letters = vec![addressed("ana", "hola\r\n".into()), addressed("ben", "hola\r\n".into())];
        let open = |copy: &Injected| {
            let known = copy.student.as_ref().is_some_and(|login| login.as_str() == "ana");
            let (ours, theirs) = tokio::io::duplex(4_096);
            tokio::spawn(dialogue::tests::server(theirs, if known { "250 ok" } else { "554 User unknown" }));
            async move { Ok(ours) }
        };
        let problems = send_all(letters, open).await;
        let undelivered = problems.into_iter().map(|(injected, problem)| {
            Undelivered { due: Due { group: "g01".parse().unwrap(), injected }, problem }.to_string()
        });
        assert_eq!(
            undelivered.collect::<Vec<_>>(),
            [
                "mail `welcome` for `ben` of group `g01`: the server answered `554 User unknown` to `RCPT TO:<ben@g01.lab>`"
            ]
        );
    }
}
