//! What containers had to say: their logs, line by line.

use bollard::{container::LogOutput, query_parameters::LogsOptions};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::StreamExt as _;

use super::{Docker, DockerError, failed};
use crate::plan::docker::{Object, Observed};

/// The longest line that is kept whole: what a student writes there has no end otherwise.
const MAX_LINE: usize = 4_096;

/// Lines that may wait to be shown.
const LINES: usize = 256;

/// Which part of the logs.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Whether to stay and show what comes.
    pub follow: bool,
    /// Only so many last lines; none: all.
    pub tail: Option<u32>,
}

impl Docker {
    /// Calls `line` with each line that one of the containers wrote, in the order in which they come. A container that is
    /// not there has no lines.
    pub async fn logs<E: From<DockerError>>(
        &self,
        observed: &Observed,
        objects: Vec<Object>,
        wanted: Wanted,
        mut line: impl FnMut(&Object, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let (send, mut lines) = mpsc::channel(LINES);
        let mut reading: JoinSet<Result<(), DockerError>> = JoinSet::new();
        for object in objects {
            let Some(found) = observed.objects.get(&object) else { continue };
            let (docker, id, send) = (self.clone(), found.id.clone(), send.clone());
            reading.spawn(async move { docker.read_log(&object, &id, wanted, &send).await });
        }
        drop(send);
        while let Some((object, text)) = lines.recv().await {
            line(&object, &text)?;
        }
        while let Some(ended) = reading.join_next().await {
            ended.unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    async fn read_log(
        &self,
        object: &Object,
        id: &str,
        wanted: Wanted,
        send: &mpsc::Sender<(Object, String)>,
    ) -> Result<(), DockerError> {
        let tail = wanted.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options = LogsOptions { follow: wanted.follow, stdout: true, stderr: true, tail, ..Default::default() };
        let mut said = std::pin::pin!(self.api.logs(id, Some(options)));
        let mut lines = Lines::default();
        while let Some(said) = said.next().await {
            let (LogOutput::StdErr { message }
            | LogOutput::StdOut { message }
            | LogOutput::Console { message }
            | LogOutput::StdIn { message }) = said.map_err(failed(format!("read the log of {object}")))?;
            for line in lines.add(&message) {
                if send.send((object.clone(), line)).await.is_err() {
                    return Ok(());
                }
            }
        }
        if let Some(rest) = lines.rest() {
            let _ = send.send((object.clone(), rest)).await;
        }
        Ok(())
    }
}

/// Octets on their way to become lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn add(&mut self, octets: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for octet in octets {
            if *octet == b'\n' || self.0.len() == MAX_LINE {
                lines.extend(self.rest().or_else(|| (*octet == b'\n').then(String::new)));
            }
            if *octet != b'\n' {
                self.0.push(*octet);
            }
        }
        lines
    }

    fn rest(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.0);
        (!line.is_empty()).then(|| String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_have_an_end() {
        let mut lines = Lines::default();
        assert_eq!(lines.add(b"one\r\n\ntw"), ["one", ""]);
        assert_eq!(lines.add(b"o\n"), ["two"]);
        assert_eq!(lines.add("x".repeat(MAX_LINE).as_bytes()), Vec::<String>::new());
        assert_eq!(lines.add(b"y")[0].len(), MAX_LINE);
        assert_eq!(lines.rest().as_deref(), Some("y"));
        assert_eq!(lines.rest(), None);
    }
}
