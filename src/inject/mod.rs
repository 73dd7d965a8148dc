//! Injecting the lab's mail: which copies are due, and sending each through a real SMTP dialogue, so that it is delivered
//! as any mail is. The stream is the caller's: the control socket of a running lab, or a server in this process.

pub mod compose;
pub mod dialogue;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use jiff::Zoned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};

pub use compose::Letter;
pub use dialogue::SendError;

use crate::{
    evidence::Injected,
    lab::{Group, GroupName, Key, Lab, Login},
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

/// Whose mailbox a copy is for: a student's of a group, or the group's own.
type Owner = (GroupName, Option<Login>);

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

/// Sends every copy, each over a stream of its own that `open` gives. One student's copies go one after the other, so that
/// their messages are numbered in the order of the lab; several students are served at once. `sent` is called after each
/// copy. What did not arrive comes back, in order; the others are delivered all the same.
pub async fn send_all<Stream, Open, Opening>(
    lab: &Arc<Lab>,
    key: &Key,
    due: Vec<Due>,
    open: Open,
    mut sent: impl FnMut(),
) -> Vec<Undelivered>
where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    Open: Fn(&Due) -> Opening,
    Opening: Future<Output = io::Result<Stream>> + Send + 'static,
{
    let mut owners: BTreeMap<Owner, Vec<(Due, Opening)>> = BTreeMap::new();
    for next in due {
        let opening = open(&next);
        owners.entry((next.group.clone(), next.injected.student.clone())).or_default().push((next, opening));
    }
    let mut under_way: JoinSet<Vec<Option<Undelivered>>> = JoinSet::new();
    let mut undelivered = Vec::new();
    let mut take = |outcomes: Vec<Option<Undelivered>>| {
        for outcome in outcomes {
            undelivered.extend(outcome);
            sent();
        }
    };
    for copies in owners.into_values() {
        if under_way.len() == AT_ONCE {
            take(under_way.join_next().await.and_then(Result::ok).unwrap_or_default());
        }
        let (lab, key) = (Arc::clone(lab), key.clone());
        under_way.spawn(async move {
            let mut outcomes = Vec::new();
            for (due, opening) in copies {
                let problem = send(&lab, &key, &due, opening).await.err();
                outcomes.push(problem.map(|problem| Undelivered { due, problem }));
            }
            outcomes
        });
    }
    while let Some(ended) = under_way.join_next().await {
        take(ended.unwrap_or_default());
    }
    undelivered.sort_by(|a, b| a.due.cmp(&b.due));
    undelivered
}

async fn send<Stream: AsyncRead + AsyncWrite + Unpin>(
    lab: &Lab,
    key: &Key,
    due: &Due,
    opening: impl Future<Output = io::Result<Stream>>,
) -> Result<(), SendError> {
    let letter = compose::letter(lab, key, due, &Zoned::now()).ok_or(SendError::NotInLab)?;
    let stream = opening.await.map_err(SendError::Connection)?;
    dialogue::send(stream, &letter).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::resolve::tests::{key, lab};

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

    #[tokio::test]
    async fn a_copy_that_does_not_arrive_is_named_and_the_others_go_on() {
        let mut lab = lab(&[("g01", &["ana", "ben"])]);
        lab.mails = vec![mail("welcome", true)];
        let lab = Arc::new(lab);
        let copies = due(&lab, &lab.groups[0], &BTreeSet::new());
        let open = |due: &Due| {
            let known = due.injected.student.as_ref().is_some_and(|login| login.as_str() == "ana");
            let (ours, theirs) = tokio::io::duplex(4_096);
            tokio::spawn(dialogue::tests::server(theirs, if known { "250 ok" } else { "554 User unknown" }));
            async move { Ok(ours) }
        };
        let mut count = 0;
        let problems = send_all(&lab, &key(), copies, open, || count += 1).await;
        assert_eq!(count, 2);
        let shown: Vec<String> = problems.iter().map(Undelivered::to_string).collect();
        assert_eq!(
            shown,
            [
                "mail `welcome` for `ben` of group `g01`: the server answered `554 User unknown` to `RCPT TO:<ben@g01.lab>`"
            ]
        );
    }
}
