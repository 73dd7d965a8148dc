//! `progress` in a student's shell: the student's own marks. Whoever opened the shell computes them, with the lab's key and
//! the evidence, which are here; the container has neither, and no server listens for such questions.
//!
//! ```text
//!  student: progress ── question ──▶ pipe in the container ── a program there that we started ──▶ here
//!  student: progress ◀─ answer ──── pipe of that question ◀── a program there that we start ◀──── here: the marks of the
//!                                                                                                  student of this container
//! ```
//! A question has no content but the name of the pipe for its answer, so there is nothing in it that could ask for
//! somebody else's marks. Both programs run as the student, who can only get in the own way.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, duplex, sink},
    time::sleep,
};

use crate::{
    cli::{marks, naming::Opened},
    engine::docker::Docker,
    lab::{GroupName, Login},
    report,
    words::Words,
};

/// Passes questions on until its input ends. Several shells of one student take turns, because each would read a part.
const LISTEN: &str = "
    ask=/tmp/.labctl-progress
    [ -p $ask ] || mkfifo -m 600 $ask || exit
    ( flock 9; while :; do read -r answer < $ask && echo \"$answer\"; done ) 9> /tmp/.labctl-progress.lock &
    cat > /dev/null
    kill $!";

/// Gives the answer, if somebody still waits for it.
const ANSWER: &str = "timeout 5 sh -c 'cat > \"$0\"' \"$0\"";

/// The longest question, in octets: the name of a pipe.
const QUESTION: usize = 128;

/// The least time from one answer to the next question: marking reads the group's whole record.
const PAUSE: Duration = Duration::from_secs(1);

/// How the answer is put.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// In which words.
    pub words: Words,
    /// The width of the terminal that the shell was opened on.
    pub width: Option<usize>,
}

/// Answers the student's questions; ends when the container asks none any more. Without `progress` a shell is still a shell,
/// so nothing that fails here is an error.
pub async fn answer(docker: &Docker, opened: &Opened, group: &GroupName, login: &Login, look: Look) {
    let command = ["sh", "-c", LISTEN].map(str::to_owned).to_vec();
    let Ok(listening) = docker.exec(group, login, command).await else { return };
    let (said, questions) = duplex(QUESTION);
    // The program there ends with its input, which lasts as long as we do.
    let (_open, input) = duplex(1);
    let answering = async {
        let mut questions = BufReader::with_capacity(QUESTION, questions);
        let mut question = Vec::new();
        loop {
            question.clear();
            let read = (&mut questions).take(QUESTION as u64).read_until(b'\n', &mut question).await;
            if !read.is_ok_and(|octets| octets > 0) {
                return;
            }
            if let Some(pipe) = pipe(&question) {
                let text = own_marks(docker, opened, group, login, look).await;
                reply(docker, group, login, pipe, text).await;
                sleep(PAUSE).await;
            }
        }
    };
    tokio::select! {
        _ = listening.join(input, said, sink()) => {}
        () = answering => {}
    }
}

/// The pipe that a question names. It is only ever opened by a program of the student's.
fn pipe(question: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(question).ok()?.strip_suffix('\n')?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/.-_".contains(letter);
    (name.starts_with("/tmp/.labctl-answer.") && name.chars().all(plain)).then_some(name)
}

async fn own_marks(docker: &Docker, opened: &Opened, group: &GroupName, login: &Login, look: Look) -> String {
    // What the copy does not have yet is missing from the answer, and it is said.
    let stale = docker.settle_group(group).await.is_err();
    let note = if stale { "(what was done last may be missing)\n" } else { "" };
    let Some(found) = opened.lab.group(group.as_str()) else { return String::new() };
    let (marked, _) = marks::of_group(&opened.lab, found, &opened.key, &opened.dir);
    let own = marked.marks().into_iter().find(|marks| marks.login == *login);
    note.to_owned() + &own.map_or_else(String::new, |marks| report::words(&marks, look.words, false, look.width))
}

async fn reply(docker: &Docker, group: &GroupName, login: &Login, pipe: &str, text: String) {
    let command = ["sh", "-c", ANSWER, pipe].map(str::to_owned).to_vec();
    if let Ok(replying) = docker.exec(group, login, command).await {
        let _ = replying.join(std::io::Cursor::new(text.into_bytes()), sink(), sink()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_the_name_of_a_pipe_for_an_answer_and_nothing_else() {
        assert_eq!(pipe(b"/tmp/.labctl-answer.a1B2\n"), Some("/tmp/.labctl-answer.a1B2"));
        for other in ["/tmp/.labctl-answer.a1", "/etc/passwd\n", "/tmp/.labctl-answer.$(x)\n", "ben\n", "\n"] {
            assert_eq!(pipe(other.as_bytes()), None, "{other}");
        }
        let long = |octets: usize| format!("/tmp/.labctl-answer.{}\n", "a".repeat(octets - 21));
        // A longer line is cut, and then it is no question.
        assert!(pipe(&long(QUESTION).as_bytes()[..QUESTION]).is_some());
        assert_eq!(pipe(&long(QUESTION + 1).as_bytes()[..QUESTION]), None);
    }
}
