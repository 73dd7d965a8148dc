//! The Engine elsewhere: by TCP, and by a program that ssh starts. The Engine is this machine's, behind a listener or a
//! stand-in for ssh that runs its command here; TLS and the real ssh are the same but for what is between.

use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
    process::Command,
    thread,
};

use super::world::answers;

/// A listener that passes everything on to this machine's Engine, as long as the test process lives.
fn listener() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let engine = UnixStream::connect(socket()).expect("this machine's Engine");
            thread::spawn(move || pass(&client, &engine));
        }
    });
    format!("tcp://{address}")
}

/// Where the tests' Engine is; the tests are about the usual place.
fn socket() -> String {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned()
}

fn pass(client: &TcpStream, engine: &UnixStream) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::copy(&mut &*client, &mut &*engine);
            let _ = engine.shutdown(std::net::Shutdown::Write);
        });
        let _ = io::copy(&mut &*engine, &mut &*client);
        let _ = client.shutdown(std::net::Shutdown::Write);
    });
}

/// A folder with a `ssh` that notes how it was called and runs the words behind the host here.
fn stand_in(folder: &Path) -> String {
    let ssh = folder.join("ssh");
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {}\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\nunset DOCKER_HOST\nexec sh -c \"$*\"\n",
        folder.join("called").display()
    );
    fs::write(&ssh, script).expect("a file");
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).expect("ours");
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}

fn images(host: &str, path: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_labctl"));
    command.args(["images", "--json"]).env("DOCKER_HOST", host).env_remove("DOCKER_TLS_VERIFY");
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let output = command.output().expect("labctl starts");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn an_engine_is_reached_by_tcp_and_by_ssh() {
    if !answers() {
        return;
    }
    let (code, said) = images(&listener(), None);
    assert!(code == Some(0) && said.starts_with(r#"{"version":1,"images":["#), "{said}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = stand_in(folder.path());
    let (code, said) = images(&format!("ssh://ana@lab:2222{}", socket()), Some(&path));
    assert!(code == Some(0) && said.starts_with(r#"{"version":1,"images":["#), "{said}");
    let called = fs::read_to_string(folder.path().join("called")).expect("it was called");
    let first = called.lines().next().unwrap_or_default();
    assert!(first.starts_with("-l ana -p 2222 -T -o ConnectTimeout=10 -o ControlMaster=auto"), "{first}");
    assert!(first.ends_with(&format!("-- lab docker --host 'unix://{}' system dial-stdio", socket())), "{first}");
}

#[test]
fn what_ssh_complains_of_is_in_the_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ssh = folder.path().join("ssh");
    fs::write(&ssh, "#!/bin/sh\necho 'ana@lab: Permission denied (publickey).' >&2\nexit 255\n").expect("a file");
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).expect("ours");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let (code, said) = images("ssh://ana@lab", Some(&path));
    assert_eq!(code, Some(1));
    let expected =
        "no Docker Engine answers at `ssh://ana@lab` (from `DOCKER_HOST`): ana@lab: Permission denied (publickey).";
    assert!(said.contains(expected), "{said}");
}
