//! The words of the verbs that work in and on students' containers.

use clap::Args as ArgGroup;

use super::{LAB, Whose};

/// `shell`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Example:\n  labctl shell ana")]
pub struct ShellArgs {
    /// The student
    pub student: String,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
}

/// `exec`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl exec ana -- ls -l\n  labctl exec ana -- sh -c 'cat > hello.c' < hello.c")]
pub struct Exec {
    /// The student
    pub student: String,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `cp`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "What comes from a student goes into TO where that is a folder, under its own name (a home under the \
                  student's login), else it is called TO. Where anything is there already, nothing is copied. Links are not \
                  followed. What is copied to a student is the student's, and replaces what they have.\n\n\
                  Examples:\n  labctl cp ana:client.c .\n  labctl cp ana: homes\n  labctl cp exam.txt ana:"
)]
pub struct Cp {
    /// A file or folder here, or of a student: `ana:client.c`, `ana:` for the whole home
    pub from: String,
    /// Where it goes: a path here, or a student's: `ana:`, `ana:work/`
    pub to: String,
    /// Overwrite files here, never through a symbolic link
    #[arg(long)]
    pub force: bool,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
}

/// `logs`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "What went over the wire is in `labctl trace`.\n\nExamples:\n  labctl logs g05 --follow\n  labctl logs --tail 20"
)]
pub struct Logs {
    /// Whom it is about.
    #[command(flatten)]
    pub whose: Whose,
    /// Stay and show what comes
    #[arg(long, short)]
    pub follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "N")]
    pub tail: Option<u32>,
}

/// `start`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl start\n  labctl start g05")]
pub struct Start {
    /// Whom it is about.
    #[command(flatten)]
    pub whose: Whose,
}

/// `restart`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl restart ana\n  labctl restart g05")]
pub struct Restart {
    /// A student or a group
    #[arg(value_name = "STUDENT|GROUP")]
    pub who: String,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
}

/// `disconnect`
#[derive(Debug, ArgGroup)]
#[command(
    after_help = "The connections' numbers are in `labctl status` (of those that have a mailbox open by POP3) and in\n\
                  `labctl status --json` and `labctl trace --json` (of all). What was not finished is as if the client had\n\
                  gone: nothing that is only marked as deleted is deleted. The record says that the instructor ended it.\n\n\
                  Examples:\n  labctl disconnect ana\n  labctl disconnect ana --conn 17"
)]
pub struct Disconnect {
    /// The student
    pub student: String,
    #[arg(long, help = LAB)]
    /// The lab.
    pub lab: Option<String>,
    /// Only this connection
    #[arg(long, value_name = "N")]
    pub conn: Option<u64>,
}

/// `freeze`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Also after a reboot, and after `up`, they stay frozen until `labctl thaw`.\n\n\
                        Examples:\n  labctl freeze\n  labctl freeze ana")]
pub struct Freeze {
    /// Whom it is about.
    #[command(flatten)]
    pub whose: Whose,
}

/// `thaw`
#[derive(Debug, ArgGroup)]
#[command(after_help = "Examples:\n  labctl thaw\n  labctl thaw g05")]
pub struct Thaw {
    /// Whom it is about.
    #[command(flatten)]
    pub whose: Whose,
}
