//! A lab of its own on the Engine, and what the Engine has of it: asked of the `docker` program, not of labctl.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use serde_json::Value;

/// The clients' image of the tests; what is in it has this number, so that it is made once.
pub const IMAGE: &str = "labctl-test-client:5";

/// What busybox is called there.
const APPLETS: [&str; 30] = [
    "sh", "sleep", "nc", "cat", "ls", "ip", "grep", "printf", "dd", "find", "id", "ln", "mkdir", "mknod", "mount",
    "ping", "ping6", "rm", "seq", "touch", "wc", "chmod", "nslookup", "kill", "cp", "stty", "echo", "env", "setsid",
    "true",
];

/// Programs of this machine that are there as well, with the libraries that they need.
const PROGRAMS: [&str; 2] = ["/bin/bash", "/usr/bin/strace"];

/// Worlds of this process.
static WORLDS: AtomicU8 = AtomicU8::new(0);

pub struct World {
    folder: tempfile::TempDir,
    /// Its own, so that its addresses are its own business.
    pool: String,
    /// The Engine, where it is not the machine's.
    host: Option<String>,
}

impl World {
    /// A lab `class`; none where no Engine answers, which is said.
    pub fn new(lab: &str) -> Option<Self> {
        if !answers() {
            return None;
        }
        let (process, number) = (std::process::id() % 100 + 100, WORLDS.fetch_add(1, Ordering::Relaxed));
        let pool = format!("10.{process}.{number}.0/24");
        let world = Self { folder: tempfile::tempdir().expect("a temporary folder"), pool, host: None };
        world.write(lab);
        world.import_image();
        Some(world)
    }

    /// The same with addresses for a large class.
    pub fn large(lab: &str) -> Option<Self> {
        let mut world = Self::new(lab)?;
        world.pool = format!("10.{}.0.0/16", std::process::id() % 100);
        // The machine's own addresses are often in 10.0.0.0/16; those of the other worlds begin at 100.
        if world.pool == "10.0.0.0/16" {
            world.pool = "10.99.0.0/16".into();
        }
        Some(world)
    }

    /// The same lab on another Engine.
    pub fn on(&self, host: &str, lab: &str) -> Self {
        let mut world = self.beside(lab);
        world.host = Some(host.to_owned());
        world.import_image();
        world
    }

    /// The same lab where labctl finds another Engine, or what says that it is one.
    pub fn elsewhere(&self, host: &str, lab: &str) -> Self {
        let mut world = self.beside(lab);
        world.host = Some(host.to_owned());
        world
    }

    /// The same lab of somebody else, who takes addresses out of the same pool.
    pub fn beside(&self, lab: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let world = Self { folder, pool: self.pool.clone(), host: self.host.clone() };
        world.write(lab);
        world
    }

    /// Writes the lab file.
    pub fn write(&self, lab: &str) {
        let folder = self.folder.path().join("class");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("lab.toml"), lab).expect("a file");
    }

    /// busybox, a few programs, a home, and nothing else.
    fn import_image(&self) {
        let there = self.docker_command().args(["image", "inspect", IMAGE]).output();
        if there.is_ok_and(|output| output.status.success()) {
            return;
        }
        let root = self.folder.path().join("root");
        for folder in ["bin", "home/student", "tmp"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        fs::copy(busybox(), root.join("bin/busybox")).expect("busybox is installed: tests/install.sh");
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("a link");
        }
        fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777)).expect("ours");
        for program in PROGRAMS {
            let name = program.rsplit_once('/').expect("a path").1;
            fs::copy(program, root.join("bin").join(name)).expect("it is installed: tests/install.sh");
            for library in lines(Command::new("ldd").arg(program)) {
                let Some(library) = library.split_whitespace().find(|word| word.starts_with('/')) else { continue };
                let place = root.join(library.trim_start_matches('/'));
                fs::create_dir_all(place.parent().expect("a path")).expect("a folder");
                fs::copy(library, place).expect("a library");
            }
        }
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&root).args(["--numeric-owner", "--owner=1000", "--group=1000", "-c", "."]);
        let archive = tar.output().expect("tar");
        let mut import = self.docker_command();
        import.args(["import", "--change", "ENV PATH=/bin", "-", IMAGE]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut import = import.spawn().expect("docker");
        import.stdin.take().expect("piped").write_all(&archive.stdout).expect("docker reads");
        assert!(import.wait().expect("docker").success());
    }

    pub fn command(&self, args: &[&str]) -> Command {
        self.command_under(&[], args)
    }

    /// labctl, started by another program.
    pub fn command_under(&self, under: &[&str], args: &[&str]) -> Command {
        let words = [under, &[env!("CARGO_BIN_EXE_labctl")], args].concat();
        let mut command = Command::new(words[0]);
        command.envs(self.host.iter().map(|host| ("DOCKER_HOST", host)));
        command.args(&words[1..]).current_dir(self.folder.path().join("class")).stdin(Stdio::null());
        command.env("LABCTL_STATE_DIR", self.state()).env("LC_ALL", "C").env_remove("LANG");
        command
    }

    /// A path beside the lab's folder, where commands run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("class").join(name)
    }

    /// What a shell's line in a student's container ends with, and says.
    pub fn sh(&self, student: &str, line: &str) -> (i32, String) {
        self.run(&["exec", student, "--", "sh", "-c", line])
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The exit status of a labctl command and all that it said.
    pub fn run(&self, args: &[&str]) -> (i32, String) {
        let output = self.command(args).output().expect("labctl starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().expect("it ends by itself"), String::from_utf8_lossy(&said).into_owned())
    }

    /// The data of a command that must do all that it was told.
    pub fn done(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("labctl starts");
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.done(args)).expect("JSON")
    }

    /// `up`, as JSON.
    pub fn up(&self, args: &[&str]) -> Value {
        self.json(&[&self.up_words()[..], &["--json"], args].concat())
    }

    /// `up`, not started.
    pub fn up_command(&self) -> Command {
        self.command(&self.up_words())
    }

    fn up_words(&self) -> [&str; 7] {
        ["up", "--engine", "docker", "--client-image", IMAGE, "--pool", &self.pool]
    }

    /// Loses the state directory, and the lab file with it.
    pub fn forget(&self) {
        fs::remove_dir_all(self.state()).expect("a folder");
        fs::remove_file(self.folder.path().join("class/lab.toml")).expect("a file");
    }

    fn docker_command(&self) -> Command {
        let mut command = Command::new("docker");
        command.envs(self.host.iter().map(|host| ("DOCKER_HOST", host)));
        command
    }

    fn docker(&self, args: &[&str]) -> Vec<String> {
        lines(self.docker_command().args(args))
    }

    /// The programs that run in a container, with their arguments.
    pub fn programs(&self, container: &str) -> Vec<String> {
        let programs = self.docker(&["top", container, "-eo", "pid,args"]).into_iter();
        programs.filter_map(|line| Some(line.trim().split_once(' ')?.1.trim().to_owned())).collect()
    }

    /// What the Engine lists of this lab and nobody else's: other owners have labs `class`, too.
    fn list(&self, what: &[&str], format: &str, more: &[String]) -> Vec<String> {
        let owner = format!("label=labctl.called={}", self.called());
        let mut args = what.to_vec();
        args.extend(["--filter", "label=labctl.lab=class", "--filter", &owner, "--format", format]);
        args.extend(more.iter().flat_map(|filter| ["--filter", filter.as_str()]));
        let mut found = self.docker(&args);
        found.sort();
        found
    }

    /// Who the lab belongs to.
    pub fn owner(&self) -> String {
        fs::read_to_string(self.state().join("owner")).expect("something was brought up").trim().to_owned()
    }

    /// What this machine and this state directory are called.
    pub fn called(&self) -> String {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let state = self.state();
        labctl::plan::docker::digest([host.trim().as_bytes(), state.as_os_str().as_encoded_bytes()])[..8].to_owned()
    }

    /// The ids of the lab's containers, whatever their state.
    pub fn containers(&self) -> Vec<String> {
        self.list(&["ps", "--all", "--no-trunc"], "{{.ID}}", &[])
    }

    /// The container of a student or the server of a group.
    pub fn container(&self, role: &str, whose: &str) -> String {
        let label = if role == "client" { "student" } else { "group" };
        let filters = [format!("label=labctl.role={role}"), format!("label=labctl.{label}={whose}")];
        self.list(&["ps", "--all", "--no-trunc"], "{{.ID}}", &filters).remove(0)
    }

    /// The addresses of a group's containers on its own network, the server's first.
    pub fn addresses(&self, group: &str) -> Vec<String> {
        let ids = self.list(&["ps", "--no-trunc"], "{{.ID}}", &[format!("label=labctl.group={group}")]);
        let format = "{{range $name, $on := .NetworkSettings.Networks}}{{println $name $on.IPAddress}}{{end}}";
        let args: Vec<&str> =
            ["inspect", "--format", format].into_iter().chain(ids.iter().map(String::as_str)).collect();
        let own = |line: &String| {
            line.split_once(' ').filter(|(name, _)| name.ends_with(&format!(".{group}"))).map(|(_, own)| own.to_owned())
        };
        let mut addresses: Vec<String> = self.docker(&args).iter().filter_map(own).collect();
        addresses.sort_by_key(|address| address.parse::<std::net::Ipv4Addr>().expect("an address"));
        addresses
    }

    /// The network of a group.
    pub fn network(&self, group: &str) -> String {
        self.list(&["network", "ls", "--no-trunc"], "{{.ID}}", &[format!("label=labctl.group={group}")]).remove(0)
    }

    /// What the lab is on the Engine, whatever its objects' numbers are: a line for each container and network.
    pub fn snapshot(&self) -> Vec<String> {
        let mut lines = self.list(&["network", "ls"], "network {{.Name}}", &[]);
        let networks = "{{range $name, $on := .NetworkSettings.Networks}} {{$name}} {{$on.IPAddress}}{{end}}";
        let format = format!("{{{{.Name}}}} {{{{.State.Status}}}}{networks}");
        let ids = self.containers();
        if !ids.is_empty() {
            let inspect = ["inspect", "--format", &format].into_iter();
            lines.extend(self.docker(&inspect.chain(ids.iter().map(String::as_str)).collect::<Vec<_>>()));
        }
        lines.sort();
        lines
    }

    /// What is left of the lab, by kind.
    pub fn left(&self) -> Vec<String> {
        let kinds: [(&str, &[&str]); 3] =
            [("container", &["ps", "--all"]), ("network", &["network", "ls"]), ("volume", &["volume", "ls"])];
        let of = |(kind, list): (&str, &[&str])| {
            self.list(list, "x", &[]).into_iter().map(move |_| kind.to_owned()).collect::<Vec<_>>()
        };
        kinds.into_iter().flat_map(of).collect()
    }
}

/// Whether an Engine answers; it is said where none does, and a failure where one must.
pub fn answers() -> bool {
    let answers = Command::new("docker").args(["version"]).output().is_ok_and(|output| output.status.success());
    let required = std::env::var_os("LABCTL_TEST_DOCKER").is_some_and(|value| value == "required");
    assert!(answers || !required, "no Docker Engine answers, and these tests must run");
    if !answers {
        eprintln!("not run: no Docker Engine answers");
    }
    answers
}

/// The lines that the `docker` program prints, of the machine's Engine.
pub fn docker(args: &[&str]) -> Vec<String> {
    lines(Command::new("docker").args(args))
}

fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().expect("docker");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

pub fn busybox() -> PathBuf {
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    places.into_iter().find(|path| path.exists()).expect("busybox is installed: tests/install.sh")
}

/// Containers outlive a test that fails; they must not outlive the test run.
impl Drop for World {
    fn drop(&mut self) {
        let _ = self.command(&["down", "class", "--purge", "--yes"]).output();
    }
}
