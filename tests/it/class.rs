//! A bundled lab, up for one test: a copy in a temporary folder, a state directory of its own, ports that are free.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use super::cli::{free_ports, ports_line};

/// A lab that is up; it is taken down when the test ends, however it ends.
pub struct Class {
    folder: tempfile::TempDir,
}

impl Class {
    /// Brings up a copy of `labs/NAME`.
    pub fn up(name: &str) -> Self {
        Self::up_with(name, &[])
    }

    /// The same with these options.
    pub fn up_with(name: &str, options: &[&str]) -> Self {
        let class = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("labs").join(name);
        fs::create_dir(class.lab()).expect("made");
        for entry in fs::read_dir(from).expect("the lab is there") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), class.lab().join(entry.file_name())).expect("copied");
        }
        let file = class.lab().join("lab.toml");
        let text = fs::read_to_string(&file).expect("the lab's file");
        let kept: String =
            text.lines().filter(|line| !line.starts_with("ports ")).flat_map(|line| [line, "\n"]).collect();
        let ports = ports_line(&free_ports());
        fs::write(&file, ports + &kept).expect("written");
        let lab = class.lab();
        let up = ["up", lab.to_str().expect("UTF-8"), "--engine", "embedded"];
        class.text(&[&up, options].concat());
        class
    }

    /// A folder for what the test makes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn lab(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    /// Runs labctl.
    pub fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_labctl"))
            .env("LABCTL_STATE_DIR", self.folder.path().join("state"))
            .env("LANG", "C.UTF-8")
            .current_dir(self.folder.path())
            .args(args)
            .output()
            .expect("labctl runs")
    }

    /// Runs labctl, which must succeed, and gives its standard output.
    pub fn text(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "labctl {args:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs labctl, which must succeed, and reads its standard output as JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(args)).expect("JSON")
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        self.run(&["down", "--purge", "--yes"]);
    }
}
