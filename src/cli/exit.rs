//! Exit codes: one documented enum. Scripts rely on them, so a code never changes its meaning.

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All done.
    Done,
    /// Something failed; the message says what.
    Failed,
    /// The command line is wrong.
    Usage,
    /// The lab has errors; nothing was started.
    WrongLab,
    /// There is no such lab, student or group, or the lab is not up.
    Unknown,
    /// Some of it failed, the rest is done.
    Partly,
    /// A rehearsal found exercises that do not mark as they should.
    Rehearsal,
    /// As the program that `shell` or `exec` ran.
    Program(u8),
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::WrongLab => 3,
            Self::Unknown => 4,
            Self::Partly => 5,
            Self::Rehearsal => 6,
            Self::Program(code) => code,
        }
    }
}

/// The table that `labctl --help` shows.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  all done
  1  something failed; the message says what
  2  the command line is wrong
  3  the lab has errors; nothing was started
  4  there is no such lab, student or group, or the lab is not up
  5  some of it failed, the rest is done
  6  a rehearsal found exercises that do not mark as they should
`shell` and `exec` end as the program in the container did.

Example:
  labctl new my-lab && labctl up my-lab && labctl report my-lab";

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table() {
        let all = [Exit::Done, Exit::Failed, Exit::Usage, Exit::WrongLab, Exit::Unknown, Exit::Partly, Exit::Rehearsal];
        for exit in all {
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", exit.code())), "{exit:?}");
        }
    }
}
