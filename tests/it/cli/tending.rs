//! The verbs that tend containers, on the embedded engine, which has none: what makes sense is done, else it is said why not.

use super::{LAB, Test};

#[test]
fn what_is_for_containers_says_what_to_do_instead() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    for (args, verb, instead) in [
        (&["freeze"][..], "freeze", "end the work with `labctl down`: marks stand, and `labctl up` lets it go on"),
        (&["thaw", "user1"], "thaw", "`labctl up` lets the work go on"),
        (&["start"], "start", "`labctl up` starts its servers"),
        (
            &["restart", "user1"],
            "restart STUDENT",
            "a student has no container there; `labctl restart GROUP` restarts the group's server",
        ),
        (&["cp", "user1:a.c", "."], "cp", "its students work on this machine: what they wrote is in their own folders"),
        (
            &["logs", "user1"],
            "logs STUDENT",
            "a student has no container there; `labctl trace STUDENT` shows what went over the wire",
        ),
    ] {
        let ran = test.run(args);
        let said = format!(
            "error: `{verb}` is for containers, and lab `class` runs on the embedded engine\nhint: {instead}\n"
        );
        assert_eq!((ran.code, ran.err), (1, said));
    }
    assert_eq!(test.run(&["freeze", "user9"]).code, 4, "nobody is called so");
    assert_eq!(test.run(&["cp", "a", "b"]).code, 2);
}

#[test]
fn a_groups_server_is_restarted_and_keeps_its_mail() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.send_mail();
    let process = test.process();
    assert_eq!(test.run(&["restart", "class"]).err, "restarted: server `class`\n");
    assert_eq!((test.process(), test.count("user2")), (process, "1".to_owned()));
    assert!(test.done(&["trace", "user1", "--json"]).contains("\"event\":\"connected\""));
}

#[test]
fn the_log_of_the_process_is_shown_from_its_end() {
    let test = Test::with(LAB);
    assert_eq!(test.run(&["logs", "class"]).code, 4);
    test.done(&["up", "class"]);
    let log = test.path("state/labs/class/serve.log");
    std::fs::write(log, "one\ntwo \x1b[2J\nthree").expect("a file");
    assert_eq!(test.done(&["logs", "--tail", "2"]), "two \\x1b[2J\nthree\n");
    assert_eq!(test.done(&["logs", "class"]), "one\ntwo \\x1b[2J\nthree\n");
}
