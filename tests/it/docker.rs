//! The docker engine on a real Docker Engine. Where none answers these tests say so and end; where CI has one they must run:
//! `LABCTL_TEST_DOCKER=required` makes a missing Engine a failure.
//!
//! The clients' image here is busybox alone, so that no package is fetched; the one that students get is `images/client`.

mod attacks;
mod between;
mod convergence;
mod elsewhere;
mod images;
mod killed;
mod large;
mod lesser;
mod places;
mod rehearsal;
mod restart;
mod terminal;
mod verbs;
mod world;

use world::{World, docker};

/// Two groups of two students; a mail to the group's shared mailbox is the exercise.
const LAB: &str = r#"
domain = "{group}.lab"
relay = false
users = ["user2"]
students = [
    { login = "ana", group = "g01" }, { login = "ben", group = "g01" },
    { login = "eva", group = "g02" }, { login = "leo", group = "g02" },
]

[[mail]]
id = "welcome"
to = "{login}"
from = "profesor"
subject = "hola"
body = "Tu palabra: {secret}"

[[exercise]]
id = "1.1"
title = "Send a message"
points = 2
[[exercise.check]]
message = { in = "user2", from = "ana*" }
"#;

/// What a student types at `telnet mail 25`; nobody logs in, so only the address says who it is.
const SESSION: &str = "(for line in 'EHLO me' 'MAIL FROM:<ana@g01.lab>' 'RCPT TO:<user2>' DATA 'hello' . QUIT; do \
                       sleep 0.2; printf '%s\\r\\n' \"$line\"; done) | nc mail 25";

/// One test, because an `up` is what takes time: a lab lives, is damaged, is mended, and goes.
#[test]
fn a_lab_lives_in_containers() {
    let Some(world) = World::new(LAB) else { return };
    comes_up_and_is_left_alone(&world);
    a_session_is_marked_as_the_students(&world);
    nothing_else_can_be_reached(&world);
    the_container_is_no_way_out(&world);
    what_is_removed_comes_back(&world);
    a_student_who_leaves_takes_nothing_of_the_others(&world);
    goes_without_a_trace(&world);
    what_is_not_remembered_is_found_by_its_labels(&world);
}

fn comes_up_and_is_left_alone(world: &World) {
    let planned = world.up(&["--dry-run"]);
    assert_eq!(planned["steps"].as_array().map(Vec::len), Some(8));
    assert_eq!(world.containers(), Vec::<String>::new());
    let up = world.up(&[]);
    assert_eq!(up["sent"], 4, "{up}");
    let before = world.containers();
    assert_eq!(before.len(), 6);
    let again = world.up(&[]);
    assert_eq!((&again["steps"], &again["sent"]), (&serde_json::json!([]), &serde_json::json!(0)));
    assert_eq!(world.containers(), before);
}

fn a_session_is_marked_as_the_students(world: &World) {
    assert_eq!(
        world.done(&["exec", "ana", "--", "sh", "-c", "cat $SSL_CERT_FILE"]),
        world.done(&["credentials", "--ca"])
    );
    let said = world.done(&["exec", "ana", "--", "sh", "-c", SESSION]);
    assert!(said.contains("221 "), "{said}");
    let report = world.json(&["report", "--json"]);
    let points = |login: &str| {
        let students = report["students"].as_array().expect("students");
        let student = students.iter().find(|student| student["login"] == login).expect("a student");
        student["exercises"][0]["verdict"].clone()
    };
    assert_eq!(points("ana"), "done");
    assert_eq!(points("ben"), "missing");
    let trace = world.done(&["trace", "g01", "--json"]);
    let hers = |line: &&str| line.contains("\"login\":\"ana\"") && line.contains("\"by\":\"client_address\"");
    assert!(trace.lines().filter(hers).count() > 5, "she is known by her address: {trace}");
    assert_eq!(world.run(&["exec", "ana", "--", "sh", "-c", "exit 7"]).0, 7);
}

/// From a client: the other group's server and clients, the host by its bridges, a listener of the host, the world.
fn nothing_else_can_be_reached(world: &World) {
    let addresses: Vec<String> = world.addresses("g02");
    assert_eq!(addresses.len(), 3);
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let own = world.addresses("g01");
    let gateway = own[0].rsplit_once('.').map(|(net, last)| {
        let last: u8 = last.parse().expect("an octet");
        format!("{net}.{}", last - 1)
    });
    let mut targets: Vec<(String, u16)> = addresses.into_iter().map(|address| (address, 25)).collect();
    for host in [gateway.expect("an IPv4 address"), "172.17.0.1".into(), "1.1.1.1".into()] {
        targets.push((host.clone(), port));
        targets.push((host, 22));
    }
    for (host, port) in targets {
        let try_it = format!("nc -w 1 {host} {port} </dev/null");
        assert_ne!(world.run(&["exec", "ana", "--", "sh", "-c", &try_it]).0, 0, "{host}:{port} was reached");
    }
    assert_eq!(world.run(&["exec", "ana", "--", "sh", "-c", "nc -w 1 mail 110 </dev/null"]).0, 0);
}

fn the_container_is_no_way_out(world: &World) {
    for command in [
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo x > /sys/kernel/uevent_helper",
        "ip address add 10.77.255.1/32 dev eth0",
        "ls /var/lib/labctl/control.sock",
    ] {
        let (code, said) = world.run(&["exec", "ana", "--", "sh", "-c", command]);
        assert_ne!(code, 0, "`{command}`: {said}");
    }
    let capabilities = world.done(&["exec", "ana", "--", "grep", "CapEff", "/proc/self/status"]);
    assert_eq!(capabilities.split_whitespace().last(), Some("0000000000000000"));
}

fn what_is_removed_comes_back(world: &World) {
    world.done(&["exec", "ben", "--", "sh", "-c", "echo mine > work.c"]);
    docker(&["rm", "--force", &world.container("client", "ben")]);
    docker(&["kill", &world.container("server", "g02")]);
    let steps = world.up(&[])["steps"].clone();
    let expected = ["create client `g01/ben`: there is none", "start server `g02`: it does not run"];
    assert_eq!(steps, serde_json::json!(expected));
    assert_eq!(world.done(&["exec", "ben", "--", "cat", "work.c"]), "mine\n");
}

fn a_student_who_leaves_takes_nothing_of_the_others(world: &World) {
    let before = world.container("client", "eva");
    world.write(&LAB.replace(", { login = \"leo\", group = \"g02\" }", ""));
    let steps = world.up(&[])["steps"].clone();
    let expected =
        ["remove client `g02/leo`: the lab has no such student", "update server `g02`: its configuration changed"];
    assert_eq!(steps, serde_json::json!(expected));
    assert_eq!(world.container("client", "eva"), before);
    assert_eq!(world.up(&[])["steps"], serde_json::json!([]));
    let known = world.json(&["status", "--json"]);
    assert_eq!(known["labs"][0]["groups"][1]["students"].as_array().map(Vec::len), Some(1), "the server was told");
}

fn what_is_not_remembered_is_found_by_its_labels(world: &World) {
    world.up(&[]);
    world.forget();
    world.done(&["down", "class", "--purge", "--yes"]);
    assert_eq!(world.left(), Vec::<String>::new());
}

fn goes_without_a_trace(world: &World) {
    world.done(&["down"]);
    assert_eq!(world.containers(), Vec::<String>::new());
    assert_eq!(world.left(), ["volume"; 6].map(str::to_owned));
    let report = world.done(&["report", "--csv"]);
    assert!(report.contains("ana"), "the copies of the stores are kept: {report}");
    world.done(&["down", "class", "--purge", "--yes"]);
    assert_eq!(world.left(), Vec::<String>::new());
}
