//! The end of a server that nobody told to end: when, why, and who was connected.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::lab::Login;

/// How a server ended that was not stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interruption {
    /// When it was found dead; where nobody looked, the last that it wrote down.
    pub time: Timestamp,
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
    /// The students who were connected, once for each session.
    pub connected: Vec<Login>,
    /// Sessions of nobody known.
    pub unknown: usize,
}

/// Why a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Cause {
    /// The system killed it, because it was out of memory.
    OutOfMemory,
    /// It was killed by a signal.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// A defect of labctl.
    Panic {
        /// What it said.
        message: String,
    },
    /// It ended by itself.
    Exit {
        /// Its exit code.
        code: i32,
    },
    /// Nobody saw it: whoever watches over it ended with it, as when the machine goes down.
    Unseen,
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => out.write_str("it was killed: out of memory (OOMKilled)"),
            Self::Signal { signal } => write!(out, "it was killed by signal {signal}"),
            Self::Panic { message } => write!(out, "it panicked, a defect of labctl: {message}"),
            Self::Exit { code } => write!(out, "it ended with exit code {code}"),
            Self::Unseen => out.write_str("it ended without being stopped, as when the machine goes down"),
        }
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut students: Vec<String> = Vec::new();
        for login in &self.connected {
            if !students.iter().any(|known| *known == login.to_string()) {
                students.push(login.to_string());
            }
        }
        let unknown = match self.unknown {
            0 => None,
            1 => Some("1 session of nobody known".to_owned()),
            more => Some(format!("{more} sessions of nobody known")),
        };
        let names = students.iter().map(|login| format!("`{login}`")).chain(unknown).collect::<Vec<_>>();
        let connected = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        write!(out, "{}; connected then: {connected}", self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_why_and_who_was_connected() {
        let time = Timestamp(0);
        let mut cut = Interruption { time, cause: Cause::OutOfMemory, connected: Vec::new(), unknown: 0 };
        assert_eq!(cut.to_string(), "it was killed: out of memory (OOMKilled); connected then: nobody");
        let [ana, ben]: [Login; 2] = ["ana", "ben"].map(|login| login.parse().unwrap());
        cut.connected = vec![ana.clone(), ben, ana];
        cut.unknown = 2;
        cut.cause = Cause::Signal { signal: 9 };
        let said = "it was killed by signal 9; connected then: `ana`, `ben`, 2 sessions of nobody known";
        assert_eq!(cut.to_string(), said);
        let json = serde_json::to_string(&cut).unwrap();
        assert_eq!(json, r#"{"time":0,"cause":"signal","signal":9,"connected":["ana","ben","ana"],"unknown":2}"#);
        assert_eq!(serde_json::from_str::<Interruption>(&json).unwrap(), cut);
    }
}
