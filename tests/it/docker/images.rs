//! The images of the docker engine: built once on whatever base is named, listed with who uses them, removed when old.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::world::{answers, busybox, docker};

/// Programs that the client image wants of its base, and those that building it runs.
const WANTED: &str =
    "telnet nc openssl curl swaks s-nail dig gcc make gdb strace ip ss ping xxd python3 w3m nano vim less man";
const RUN: &str = "sh cat cut mkdir id chmod chown sleep echo";

fn labctl(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_labctl")).args(args).output().expect("labctl starts");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn listed() -> Vec<Value> {
    let (code, said) = labctl(&["images", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let said: Value = serde_json::from_str(&said).expect("JSON");
    said["images"].as_array().expect("a list").clone()
}

/// Gives the archive to a command of the `docker` program.
fn feed(args: &[&str], archive: &[u8]) {
    let mut docker =
        Command::new("docker").args(args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("docker");
    docker.stdin.take().expect("piped").write_all(archive).expect("docker reads");
    assert!(docker.wait().expect("docker").success(), "{args:?}");
}

/// A base of somebody else's: it has a user 1000, and all the programs, or something of their names.
fn import_base(name: &str, content: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("root");
    for folder in ["bin", "etc", "tmp", "usr/local/bin", "home/student"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    fs::copy(busybox(), root.join("bin/busybox")).expect("busybox is installed: tests/install.sh");
    for program in WANTED.split(' ').chain(RUN.split(' ')) {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(program)).expect("a link");
    }
    fs::write(root.join("bin/getent"), "#!/bin/sh\ncat /etc/passwd\n").expect("a file");
    fs::set_permissions(root.join("bin/getent"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    fs::write(root.join("etc/passwd"), "student:x:1000:1000::/home/student:/bin/sh\n").expect("a file");
    fs::write(root.join("etc/group"), "student:x:1000:\n").expect("a file");
    fs::write(root.join("etc/content"), content).expect("a file");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&root).args(["--numeric-owner", "--owner=0", "--group=0", "-c", "."]);
    feed(&["import", "--change", "ENV PATH=/bin", "-", name], &tar.output().expect("tar").stdout);
}

/// A server image that was made in 2001.
fn load_old(name: &str) {
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, "name", name.as_bytes());
    let layer = layer.into_inner().expect("an archive");
    let mut digest = String::new();
    for octet in Sha256::digest(&layer) {
        let _ = write!(digest, "{octet:02x}");
    }

    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2001-01-01T00:00:00Z", "config": {"Labels": {"labctl.version": "0.0.1"}},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    let mut image = tar::Builder::new(Vec::new());
    append(&mut image, "config.json", config.to_string().as_bytes());
    append(&mut image, "manifest.json", manifest.to_string().as_bytes());
    append(&mut image, "layer.tar", &layer);
    feed(&["load"], &image.into_inner().expect("an archive"));
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, octets: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(octets.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, Path::new(path), octets).expect("an archive");
}

/// What was built for a test, gone with it.
struct Images(Vec<String>);

impl Drop for Images {
    fn drop(&mut self) {
        let _ = Command::new("docker").arg("rmi").args(&self.0).output();
    }
}

#[test]
fn the_clients_image_is_built_once_on_the_base_that_is_named() {
    if !answers() {
        return;
    }
    let base = format!("labctl-test-base:{}", std::process::id());
    import_base(&base, "one");
    let mut made = Images(vec![base.clone()]);
    let build = || labctl(&["images", "build", "--base", &base]);
    let (code, said) = build();
    assert!(code == Some(0) && said.contains(&format!("on `{base}`")), "{said}");
    let image =
        said.rsplit_once(" and `").and_then(|(_, rest)| rest.split_once('`')).expect("it is named").0.to_owned();
    made.0.insert(0, image.clone());
    let found = listed().into_iter().find(|found| found["name"] == image.as_str()).expect("it is listed");
    assert_eq!((&found["kind"], &found["labs"]), (&json!("client"), &json!([])));
    let (_, again) = build();
    assert!(!again.contains("building") && again.contains(&image), "{again}");
    import_base(&base, "another");
    let (_, changed) = build();
    assert!(changed.contains("building image `labctl-client:") && !changed.contains(&image), "{changed}");
    let other = changed.rsplit_once(" and `").and_then(|(_, rest)| rest.split_once('`')).expect("it is named").0;
    made.0.insert(0, other.to_owned());
    assert_eq!(docker(&["run", "--rm", "--network", "none", other, "cat", "/etc/content"]), ["another"]);
}

#[test]
fn what_is_old_and_unused_is_removed_and_nothing_else() {
    if !answers() {
        return;
    }
    let name = |kind: &str| format!("labctl-{kind}:test-{}", std::process::id());
    let (unused, used, foreign) = (name("server"), name("client"), name("strange"));
    let _made = Images(vec![unused.clone(), used.clone(), foreign.clone()]);
    load_old(&unused);
    load_old(&used);
    load_old(&foreign);
    let container = docker(&["create", "--network", "none", &used, "/name"]).remove(0);
    let (code, said) = labctl(&["images", "prune"]);
    docker(&["rm", &container]);
    assert!(code == Some(0) && said.contains(&format!("removed `{unused}`\n")), "{said}");
    assert!(!said.contains(&used) && !said.contains(&foreign), "{said}");
    let there =
        |name: &str| Command::new("docker").args(["image", "inspect", name]).output().expect("docker").status.success();
    assert!(!there(&unused) && there(&used) && there(&foreign));
}

#[test]
fn a_base_that_is_nowhere_is_named_with_the_reason() {
    if !answers() {
        return;
    }
    let (code, said) = labctl(&["images", "build", "--base", "registry.invalid/labctl-none:1"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(
            "image `registry.invalid/labctl-none:1`: the Engine has no such image, and it cannot be pulled: "
        )
    );
    assert!(said.contains("hint: name a Debian image that is there"), "{said}");
}

/// A registry on loopback, gone with the test.
struct Registry {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let config = folder.path().join("config.yml");
        let storage = folder.path().join("data");
        let text = format!(
            "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: \"{address}\" }}\n",
            storage.display()
        );
        fs::write(&config, text).expect("a file");
        let mut serve = Command::new("docker-registry");
        serve.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let process = serve.spawn().expect("docker-registry is installed: tests/install.sh");
        let registry = Self { process, address, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the registry does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_base_is_pulled_once_where_a_registry_answers() {
    if !answers() {
        return;
    }
    let registry = Registry::start();
    let base = format!("{}/labctl-test-pulled:{}", registry.address, std::process::id());
    import_base(&base, "pulled");
    docker(&["push", &base]);
    docker(&["rmi", &base]);
    let mut made = Images(vec![base.clone()]);
    let (code, said) = labctl(&["images", "build", "--base", &base]);
    assert!(code == Some(0) && said.contains(&format!("pulling image `{base}`")), "{said}");
    let image = said.rsplit_once(" and `").and_then(|(_, rest)| rest.split_once('`')).expect("it is named").0;
    made.0.insert(0, image.to_owned());
    assert_eq!(docker(&["run", "--rm", "--network", "none", image, "cat", "/etc/content"]), ["pulled"]);
    let (code, said) = labctl(&["images", "build", "--base", &base]);
    assert!(code == Some(0) && !said.contains("pulling") && !said.contains("building"), "{said}");
    let (code, said) = labctl(&["images", "build", "--base", &format!("{}/none:1", registry.address)]);
    assert!(code == Some(1) && said.contains("it cannot be pulled: manifest for"), "{said}");
}
