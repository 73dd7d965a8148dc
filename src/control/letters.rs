//! Handing letters to a lab that runs: over the control socket, many at once, and the server holds the dialogues with itself.
//! Reaching a server costs more than a hundred mails.

use jiff::Zoned;

use super::{Client, Letters};
use crate::{
    evidence::Injected,
    inject::{Addressed, Due, SendError, Undelivered, compose},
    lab::{GroupName, Key, Lab},
};

/// Octets of the messages that are handed over at once.
pub const BATCH: usize = 1 << 20;

/// Sends copies to one group's server, which leaves out those that it has, unless `again`.
pub async fn send_to(
    lab: &Lab,
    key: &Key,
    client: &Client,
    group: &GroupName,
    due: Vec<Due>,
    again: bool,
) -> (usize, Vec<Undelivered>) {
    let now = Zoned::now();
    let (mut letters, mut undelivered) = (Vec::new(), Vec::new());
    for due in due {
        match compose::letter(lab, key, &due, &now) {
            Some(letter) => letters.push(Addressed { copy: due.injected, letter }),
            None => undelivered.push(Undelivered { due, problem: SendError::NotInLab }),
        }
    }
    let mut sent = 0;
    let lost = |copy, problem| Undelivered { due: Due { group: group.clone(), injected: copy }, problem };
    for letters in batches(letters) {
        let copies: Vec<Injected> = letters.iter().map(|letter| letter.copy.clone()).collect();
        match client.deliver(group, &Letters { again, letters }).await {
            Ok(delivered) => {
                sent += delivered.sent;
                let told = delivered.undelivered.into_iter();
                undelivered.extend(told.map(|(copy, why)| lost(copy, SendError::Told(why))));
            }
            Err(problem) => {
                let why = problem.to_string();
                undelivered.extend(copies.into_iter().map(|copy| lost(copy, SendError::Told(why.clone()))));
            }
        }
    }
    (sent, undelivered)
}

/// The letters in batches of at most [`BATCH`] octets each, in their order; a letter that is larger goes alone.
pub fn batches(letters: Vec<Addressed>) -> Vec<Vec<Addressed>> {
    let mut batches: Vec<Vec<Addressed>> = Vec::new();
    let mut octets = 0;
    for letter in letters {
        octets += letter.letter.content.len();
        match batches.last_mut() {
            Some(batch) if octets <= BATCH => batch.push(letter),
            Some(_) | None => {
                octets = letter.letter.content.len();
                batches.push(vec![letter]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::Letter;

    fn addressed(login: &str, content: String) -> Addressed {
        let copy = Injected { mail: "welcome".parse().unwrap(), student: Some(login.parse().unwrap()) };
        let to = format!("{login}@g01.lab");
        Addressed { copy, letter: Letter { host: "labctl".into(), from: "a@g01.lab".into(), to, content } }
    }

    #[test]
    fn a_batch_has_its_limit_and_a_large_letter_goes_alone() {
        let sizes = |letters: &[usize]| -> Vec<usize> {
            let letters = letters.iter().map(|octets| addressed("ana", "x".repeat(*octets))).collect();
            batches(letters).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&[1, BATCH - 1]), [2]);
        assert_eq!(sizes(&[2, BATCH - 1, 1]), [1, 2]);
        assert_eq!(sizes(&[BATCH + 1, 1, 1]), [1, 2]);
    }
}
