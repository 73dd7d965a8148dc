//! The lab, played with as an instructor does: `labctl up`, `report`, `down`.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use super::same;
use crate::{Fallible, labctl_server::PROGRAM};

/// What the lab is called: nobody else has one of this name.
pub const NAME: &str = "labctl-bench";

/// Where its addresses come from.
const POOL: &str = "10.76.0.0/16";

/// The lab and where it is kept.
#[derive(Debug, Clone)]
pub struct Lab {
    folder: PathBuf,
}

/// How long an `up` took.
pub struct Up {
    /// To its end.
    pub secs: f64,
    /// To the first row of the table.
    pub first_secs: f64,
}

impl Lab {
    /// A lab in an empty folder; the image of its clients is made.
    pub fn new(folder: &Path) -> Fallible<Self> {
        same::client_image(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes it with so many groups of so many students.
    pub fn write(&self, groups: usize, students: usize) -> Fallible<()> {
        self.write_with(groups, students, 0)
    }

    /// The same with so many students more in the first group.
    pub fn write_with(&self, groups: usize, students: usize, more: usize) -> Fallible<()> {
        self.write_text(groups, students, more, "")
    }

    /// The same with clients that are started when they are wanted.
    pub fn write_on_demand(&self, groups: usize, students: usize) -> Fallible<()> {
        self.write_text(groups, students, 0, "[docker]\nclients = \"on-demand\"\n")
    }

    fn write_text(&self, groups: usize, students: usize, more: usize, keys: &str) -> Fallible<()> {
        let mut text = format!(
            "name = \"{NAME}\"\ndomain = \"{{group}}.lab\"\nrelay = false\nengine = \"docker\"\nstudents = [\n"
        );
        for group in 1..=groups {
            for student in 1..=students + if group == 1 { more } else { 0 } {
                let _ = writeln!(text, "  {{ login = \"s{group:03}-{student}\", group = \"g{group:03}\" }},");
            }
        }
        text.push_str("]\n");
        Ok(fs::write(self.file(), text + keys)?)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("lab.toml")
    }

    /// Whether labctl takes the lab as it is written now.
    pub fn is_right(&self) -> Fallible<bool> {
        Ok(self.command("check").arg(self.file()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
    }

    /// Brings it up.
    pub fn up(&self) -> Fallible<Up> {
        let said = fs::File::create(self.folder.join("up.log"))?;
        let mut command = self.command("up");
        command.arg(self.file()).args(["--pool", POOL, "--client-image", same::CLIENT_IMAGE]);
        let started = Instant::now();
        let mut up = command.stdout(Stdio::piped()).stderr(said).spawn()?;
        let mut first_secs = 0.0;
        // The first line is the table's head.
        for (line, _) in BufReader::new(up.stdout.take().ok_or("no output")?).lines().enumerate() {
            if line == 1 {
                first_secs = started.elapsed().as_secs_f64();
            }
        }
        let status = up.wait()?;
        let secs = started.elapsed().as_secs_f64();
        if status.success() {
            return Ok(Up { secs, first_secs });
        }
        Err(format!("`labctl up` failed ({status}): {}", fs::read_to_string(self.folder.join("up.log"))?).into())
    }

    /// Marks it; how long that takes.
    pub fn report(&self) -> Fallible<f64> {
        Self::timed(self.command("report").args([NAME, "--json"]))
    }

    /// Stops it; how long that takes.
    pub fn down(&self) -> Fallible<f64> {
        Self::timed(self.command("down").arg(NAME))
    }

    /// Leaves nothing of it, nor of one that an earlier run left.
    pub fn purge(&self) -> Fallible<()> {
        for owner in same::owners()? {
            Self::timed(self.command("down").args([NAME, "--owner", &owner, "--purge", "--yes"]))
                .or_else(|_| Self::timed(self.command("down").args([NAME, "--purge", "--yes"])))?;
        }
        Ok(())
    }

    fn timed(command: &mut Command) -> Fallible<f64> {
        let started = Instant::now();
        let output = command.stdin(Stdio::null()).output()?;
        let secs = started.elapsed().as_secs_f64();
        if output.status.success() {
            return Ok(secs);
        }
        Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg(verb).env("LABCTL_STATE_DIR", self.folder.join("state")).env("LANG", "C");
        command
    }
}
