//! Exit codes: one documented enum. Scripts rely on them, so a code never changes its meaning.

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// All done.
    Done = 0,
    /// Something failed; the message says what.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The lab has errors; nothing was started.
    WrongLab = 3,
    /// There is no such lab, student or group, or the lab is not up.
    Unknown = 4,
    /// Some of it failed, the rest is done.
    Partly = 5,
    /// A rehearsal found exercises that do not mark as they should.
    Rehearsal = 6,
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

Example:
  labctl new my-lab && labctl up my-lab && labctl report my-lab";

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table() {
        let all = [Exit::Done, Exit::Failed, Exit::Usage, Exit::WrongLab, Exit::Unknown, Exit::Partly, Exit::Rehearsal];
        for exit in all {
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
        }
    }
}
