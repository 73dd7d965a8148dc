//! The verbs that an instructor tends containers with, on a lab whose clients wait until somebody needs them.

use std::fs;

use super::world::{World, docker};

const LAB: &str = r#"
domain = "{group}.lab"
students = [{ login = "ana", group = "g01" }, { login = "ben", group = "g01" }]

[docker]
pool = "10.83.0.0/24"
clients = "on-demand"
"#;

#[test]
fn containers_are_tended() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    a_client_waits_until_it_is_needed(&world);
    files_go_in_and_out_and_no_link_is_followed(&world);
    what_comes_out_overwrites_nothing_here(&world);
    what_is_frozen_stays_frozen_until_it_is_thawed(&world);
    a_restart_ends_what_runs_and_keeps_homes_and_mail(&world);
    what_a_container_says_does_not_steer_the_terminal(&world);
    a_changed_limit_keeps_homes(&world);
}

/// How `status` says a student's container is.
fn container(world: &World, login: &str) -> String {
    let status = world.json(&["status", "--json"]);
    let students = status["labs"][0]["groups"][0]["students"].as_array().expect("students").clone();
    let student = students.iter().find(|student| student["login"] == login).expect("a student");
    student["container"].as_str().expect("a text").to_owned()
}

fn a_client_waits_until_it_is_needed(world: &World) {
    assert_eq!([container(world, "ana"), container(world, "ben")], ["waits", "waits"]);
    assert_eq!(world.sh("ana", "echo here > here"), (0, String::new()));
    assert_eq!([container(world, "ana"), container(world, "ben")], ["running", "waits"]);
    assert_eq!(world.up(&[])["steps"], serde_json::json!([]));
    world.done(&["start", "ben"]);
    assert_eq!(container(world, "ben"), "running");
    let status = world.json(&["status", "--json"]);
    let group = &status["labs"][0]["groups"][0];
    assert_eq!(group["server"]["state"], "running");
    let memory = [&group["server"]["memory"], &group["students"][0]["memory"]];
    assert!(memory.iter().all(|octets| octets.as_u64().is_some_and(|octets| octets > 0)), "{group}");
}

fn files_go_in_and_out_and_no_link_is_followed(world: &World) {
    fs::create_dir_all(world.path("given/src")).expect("a folder");
    fs::write(world.path("given/src/a.c"), "int main;\n").expect("a file");
    world.done(&["cp", "given", "ana:"]);
    world.done(&["cp", "given/src/a.c", "ana:own.c"]);
    let (code, said) = world.sh("ana", "echo more >> own.c && echo more >> given/src/a.c && ls -ln own.c given/src");
    assert_eq!(code, 0, "they are the student's own: {said}");
    world.done(&["cp", "ana:own.c", "got.c"]);
    assert_eq!(fs::read_to_string(world.path("got.c")).expect("a file"), "int main;\nmore\n");
    let hostile = "ln -s /etc/passwd link; ln -s / root; ln -s given folder; ln own.c same.c; mknod pipe p; \
                   mkdir -p 'a b/..c'; touch 'a b/..c/x'";
    assert_eq!(world.sh("ana", hostile).0, 0);
    for (from, to) in [
        ("ana:link", "x"),
        ("ana:root/etc/hostname", "x"),
        ("got.c", "ana:root/home/student/x"),
        ("got.c", "ana:folder/"),
        ("got.c", "ana:link"),
    ] {
        let (code, said) = world.run(&["cp", from, to]);
        assert!(code == 1 && said.contains("links are not followed"), "{from} {to}: {code} {said}");
    }
    for (from, to) in [("ana:../x", "x"), ("ana:/etc/passwd", "x"), ("ana:a", "ben:b"), ("a", "b")] {
        assert_eq!(world.run(&["cp", from, to]).0, 2, "{from} {to}");
    }
    assert!(world.run(&["cp", "ana:missing", "x"]).1.contains("not found"));
    let (code, said) = world.run(&["cp", "ana:", "home"]);
    assert_eq!((code, said.matches("left out").count()), (5, 4), "{said}");
    assert_eq!(fs::read_to_string(world.path("home/same.c")).expect("a file"), "int main;\nmore\n");
    assert!(world.path("home/a b/..c/x").exists() && !world.path("home/link").exists());
    assert_eq!(container(world, "ana"), "running", "it was held, and goes on");
}

/// The instructor's folder has a name that the student's home has, too.
fn what_comes_out_overwrites_nothing_here(world: &World) {
    let said =
        "mkdir -p work && echo hers > work/a.c && echo evil > .bashrc && touch \"$(printf 'w\\033]52;c;eA==\\007')\"";
    assert_eq!(world.sh("ana", said), (0, String::new()));
    let read = |path: &str| fs::read_to_string(world.path(path)).expect("a file");
    fs::write(world.path(".bashrc"), "mine\n").expect("a file");
    // Links of the home are left out, which makes it 5.
    assert_eq!(world.run(&["cp", "ana:", "."]).0, 5);
    assert_eq!([".bashrc", "ana/.bashrc", "ana/work/a.c"].map(read), ["mine\n", "evil\n", "hers\n"]);
    world.done(&["cp", "ana:work", "."]);
    assert_eq!(read("work/a.c"), "hers\n");

    fs::write(world.path("work/a.c"), "marked\n").expect("a file");
    let (code, said) = world.run(&["cp", "ana:work", "."]);
    assert!(code == 1 && said.contains("nothing of `ana:~/work` was copied: `./work/a.c` is there already"), "{said}");
    assert!(said.contains("--force"), "{said}");
    let (code, said) = world.run(&["cp", "ana:", "."]);
    assert!(code == 1 && said.contains("`./ana/.bashrc` is there already") && !said.contains('\x1b'), "{said}");
    assert_eq!(read("work/a.c"), "marked\n");
    world.done(&["cp", "--force", "ana:work", "."]);
    assert_eq!(read("work/a.c"), "hers\n");

    fs::write(world.path("target"), "mine\n").expect("a file");
    fs::remove_file(world.path("work/a.c")).expect("a file");
    std::os::unix::fs::symlink(world.path("target"), world.path("work/a.c")).expect("a link");
    let (code, said) = world.run(&["cp", "--force", "ana:work", "."]);
    assert!(code == 1 && said.contains("`./work/a.c` is a symbolic link"), "{said}");
    assert_eq!(read("target"), "mine\n");
    let (code, said) = world.run(&["cp", "target", "ana:missing/place"]);
    assert!(code == 1 && said.matches("there is no such folder").count() == 1, "{said}");
    assert_ne!(world.sh("ana", "ls missing").0, 0);
    assert_eq!(world.sh("ana", "rm -r w* .bashrc").0, 0);
}

fn what_is_frozen_stays_frozen_until_it_is_thawed(world: &World) {
    world.done(&["freeze"]);
    assert_eq!([container(world, "ana"), container(world, "ben")], ["frozen", "frozen"]);
    let (code, said) = world.sh("ana", "true");
    assert!(code == 1 && said.contains("client `g01/ana` is frozen") && said.contains("labctl thaw"), "{said}");
    assert_eq!(world.run(&["restart", "ana"]).0, 1);
    world.done(&["cp", "ana:own.c", "frozen.c"]);
    let (_, said) = world.run(&["up"]);
    assert!(said.contains("until `labctl thaw --lab class`: `ana`, `ben`"), "{said}");
    // As after a reboot, which forgets what is paused, or an impatient friend.
    docker(&["unpause", &world.container("client", "ana")]);
    docker(&["kill", &world.container("client", "ben")]);
    assert_eq!(world.up(&[])["steps"], serde_json::json!(["freeze client `g01/ana`: it was frozen"]));
    assert_eq!([container(world, "ana"), container(world, "ben")], ["frozen", "frozen"]);
    world.done(&["thaw", "ana"]);
    assert_eq!(world.sh("ana", "cat here"), (0, "here\n".into()));
    assert_eq!(container(world, "ben"), "frozen");
    world.done(&["thaw"]);
    assert_eq!(world.sh("ben", "true").0, 0);
}

fn a_restart_ends_what_runs_and_keeps_homes_and_mail(world: &World) {
    world.sh("ana", "sleep 1000 & echo x > /tmp/x");
    world.done(&["restart", "ana"]);
    assert_eq!(world.sh("ana", "cat here; ls /tmp; ! grep -l sleep.100[0] /proc/*/cmdline"), (0, "here\n".into()));
    let server = world.container("server", "g01");
    let started = || docker(&["inspect", "--format", "{{.State.StartedAt}}", &server]);
    let before = started();
    world.done(&["restart", "g01"]);
    assert_ne!(started(), before);
    assert_eq!(world.sh("ana", "cat here").0, 0);
}

fn what_a_container_says_does_not_steer_the_terminal(world: &World) {
    let say = r"printf 'hello \033[2J\n' > /proc/1/fd/1";
    assert_ne!(world.sh("ana", say).0, 0, "what a student's programs say is the student's");
    docker(&["exec", &world.container("client", "ana"), "sh", "-c", say]);
    assert!(world.done(&["logs", "ana"]).ends_with("hello \\x1b[2J\n"));
    world.done(&["logs", "g01", "--tail", "1"]);
}

fn a_changed_limit_keeps_homes(world: &World) {
    let server = world.container("server", "g01");
    world.write(&LAB.replace("clients = \"on-demand\"", "client = { processes = 64 }"));
    let steps = world.up(&[])["steps"].clone();
    let why = "its processes was `128` and is `64`";
    let expected =
        ["remove client `g01/ana`", "remove client `g01/ben`", "create client `g01/ana`", "create client `g01/ben`"];
    assert_eq!(steps, serde_json::json!(expected.map(|step| format!("{step}: {why}"))));
    assert_eq!(world.sh("ana", "cat here"), (0, "here\n".into()));
    assert_eq!(world.container("server", "g01"), server);
}
