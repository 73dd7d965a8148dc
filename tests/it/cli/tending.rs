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

/// A session with `user`'s mailbox open, at the address of a student.
fn open_mailbox(test: &Test, student: u8, user: &str) -> std::io::BufReader<std::net::TcpStream> {
    let mut pop3 = std::io::BufReader::new(super::connected(student, test.pop3));
    super::reply(&mut pop3);
    for line in [format!("USER {user}"), format!("PASS {user}pass")] {
        std::io::Write::write_all(pop3.get_mut(), format!("{line}\r\n").as_bytes()).expect("the server reads");
        assert!(super::reply(&mut pop3).starts_with("+OK"));
    }
    pop3
}

#[test]
fn whoever_keeps_a_mailbox_from_the_others_is_named_and_can_be_sent_away() {
    let students = "students = [{ login = \"user1\" }, { login = \"user2\" }]\n";
    let lab = format!(
        "domain = \"lib.lab\"\nrelay = false\nusers = [{{ name = \"all\", password = \"allpass\" }}]\n{students}"
    );
    let test = Test::with(&lab);
    test.done(&["up", "class"]);
    let (mut held, _other) = (open_mailbox(&test, 1, "all"), test.connect(1));
    let refused = test.pop3(2, &["USER all", "PASS allpass"]);
    assert_eq!(
        refused[2],
        "-ERR [IN-USE] a session of user1 has the mailbox of all open: end it with QUIT, then try again"
    );
    let same = test.pop3(1, &["USER all", "PASS allpass"]);
    assert!(same[2].starts_with("-ERR [IN-USE] another session of yours has"), "{same:?}");
    let status = test.run(&["status"]).err;
    let said = status.lines().find(|line| line.contains("is open by POP3")).unwrap_or_else(|| panic!("{status}"));
    assert!(said.starts_with("mailbox `all` of `class` is open by POP3: `user1`, connection "), "{said}");
    let sessions = test.json(&["status", "--json"])["labs"][0]["groups"][0]["sessions"].clone();
    let holder = sessions.as_array().unwrap().iter().find(|session| session["holds"] == "all").expect("its holder");
    let conn = holder["conn"].to_string();
    assert!(status.contains(&format!("hint: `labctl disconnect user1 --conn {conn}` ends such a session")), "{status}");
    let none = test.run(&["disconnect", "user2", "--conn", &conn]);
    assert_eq!(
        (none.code, none.err.lines().next()),
        (4, Some(&*format!("error: `user2` has no connection {conn} open")))
    );
    assert_eq!(test.run(&["disconnect", "user1", "--conn", &conn]).err, "ended: 1 session of `user1`\n");
    assert_eq!(super::reply(&mut held), "", "POP3 has no words for it");
    assert!(test.pop3(2, &["USER all", "PASS allpass"])[2].starts_with("+OK"), "the mailbox is free");
    assert_eq!(test.run(&["disconnect", "user1"]).err, "ended: 1 session of `user1`\n", "the other one");
    assert_eq!(test.run(&["disconnect", "user1"]).err, "ended: 0 sessions of `user1`\n");
    assert_eq!(test.run(&["disconnect", "user9"]).code, 4);
    let ended = test.done(&["trace", "user1", "--json"]).matches("\"how\":\"instructor\"").count();
    assert_eq!(ended, 2, "the record says who ended them");
    test.done(&["down"]);
    assert_eq!(test.run(&["disconnect", "user1"]).code, 4, "the lab is down");
}
