//! The life of a lab: up, used, marked, reset, changed, down, up again, gone.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use super::{LAB, Test, exists, lab_with_mail};

/// The verdict of exercise 1.1 for user1.
fn verdict(test: &Test) -> String {
    let report = test.json(&["report", "class", "--json"]);
    report["students"][0]["exercises"][0]["verdict"].as_str().expect("a verdict").to_owned()
}

#[test]
fn a_lab_lives_from_up_to_purge() {
    let test = Test::with(LAB);
    let up = test.run(&["up", "class"]);
    assert_eq!(up.code, 0, "{}", up.err);
    assert_eq!(
        up.out,
        "GROUP\tDOMAIN\tSTUDENT\tSMTP\tPOP3\n\
         class\tlib.lab\tuser1\t127.77.1.1:$SMTP\t127.77.1.1:$POP3\n\
         class\tlib.lab\tuser2\t127.77.1.2:$SMTP\t127.77.1.2:$POP3\n"
    );
    assert!(up.err.contains("telnet 127.77.1.1 $SMTP"), "{}", up.err);
    assert_eq!(verdict(&test), "missing");
    test.send_mail();
    assert_eq!(test.count("user2"), "1");
    assert_eq!(verdict(&test), "done");
    assert_eq!(
        test.done(&["report"]),
        "GROUP\tSTUDENT\t1.1\tPOINTS\nclass\tuser1\tdone\t2/2\nclass\tuser2\tmissing\t0/2\n"
    );
    test.done(&["reset", "user1", "--yes"]);
    assert_eq!(verdict(&test), "missing");
    assert_eq!(test.count("user2"), "0");
    test.send_mail();
    test.done(&["down"]);
    assert_eq!(verdict(&test), "done", "marks are there while the lab is down");
    test.done(&["up"]);
    assert_eq!(test.count("user2"), "1", "mail is kept");
    assert_eq!(
        test.run(&["down", "--purge", "--yes"]).err,
        "lab `class` is down, and its mail and evidence are deleted\n"
    );
    assert!(!exists(&test.path("state/labs/class")));
}

#[test]
fn a_second_up_finds_nothing_to_do_and_sends_no_mail_again() {
    let test = Test::with(&lab_with_mail());
    assert!(test.run(&["up", "class"]).err.contains("sent 2 mails\n"));
    let process = test.process();
    let again = test.run(&["up", "class"]);
    assert_eq!((again.code, again.out.as_str()), (0, ""));
    assert!(again.err.ends_with("\nlab `class`: nothing to do\n"), "{}", again.err);
    assert!(!again.err.contains("sent"), "{}", again.err);
    assert_eq!(test.process(), process);
    assert_eq!(test.run(&["inject"]).err, "sent 0 mails\n");
    assert_eq!(test.count("user1"), "1");
    assert_eq!(test.run(&["inject", "--again", "--mail", "welcome"]).err, "sent 2 mails\n");
    assert_eq!(test.count("user1"), "2");
}

#[test]
fn a_changed_lab_changes_only_that_and_says_why() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let process = test.process();
    test.send_mail();
    test.write(&LAB.replace("relay = false", "relay = true\ndialect = \"argosoft\""));
    let plan = test.run(&["up", "class", "--dry-run"]).err;
    let changed = "update server `class`: dialect is `argosoft` and was `labctl`; relay is `true` and was `false`; endpoints of the group are new; endpoints of `user1` move; endpoints of `user2` move; its certificate is renewed; where servers meet changes\n";
    assert_eq!(plan, format!("engine `embedded`: `--engine` says so\nlab `class`: would\n  {changed}"));
    assert!(test.smtp(1, &[])[0].ends_with("ESMTP labctl"), "a dry run changes nothing");
    assert!(test.run(&["up", "class"]).err.contains(changed));
    assert_eq!(test.smtp(1, &[])[0], "220 ArGoSoft Mail Server Freeware, Version 1.8 (1.8.8.8)");
    assert_eq!(test.process(), process);
    assert_eq!(test.count("user2"), "1");
}

#[test]
fn a_student_who_comes_later_moves_nobody() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.write(&LAB.replace("users = [", "users = [\"abel\", "));
    let up = test.run(&["up", "class"]);
    assert!(
        up.err.contains(
            "update server `class`: mailbox `abel` is new; endpoints of `abel` are new; its certificate is renewed\n"
        ),
        "{}",
        up.err
    );
    assert_eq!(
        up.out, "GROUP\tDOMAIN\tSTUDENT\tSMTP\tPOP3\nclass\tlib.lab\tabel\t127.77.1.3:$SMTP\t127.77.1.3:$POP3\n",
        "what changed, and not the whole table"
    );
    assert!(test.done(&["credentials"]).contains("\tuser1\tuser1pass\t127.77.1.1:$SMTP"));
}

#[test]
fn a_process_that_was_killed_comes_back_with_mail_and_addresses() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.send_mail();
    // Somebody is connected, and the record has it.
    let open = test.connect(1);
    assert_eq!(test.json(&["status", "--json"])["labs"][0]["groups"][0]["students"][0]["connected"], 1);
    test.done(&["trace"]);
    let killed = std::process::Command::new("kill").args(["-9", &test.process()]).status().expect("kill runs");
    assert!(killed.success());
    drop(open);
    assert!(test.run(&["status"]).err.contains("is not running, though it should be"));
    let up = test.run(&["up"]);
    assert!(up.err.contains("start the process: none runs"), "{}", up.err);
    let why = "it was killed by signal 9; connected then: `user1`";
    let at = up.err.lines().find(|line| line.contains(why)).unwrap_or_else(|| panic!("{}", up.err));
    assert!(at.starts_with("warning: server `class` ended at "), "{at}");
    assert!(test.run(&["status"]).err.contains(why));
    let after = &test.json(&["status", "--json"])["labs"][0]["groups"][0]["after"];
    assert_eq!(
        (&after["cause"], &after["signal"], &after["connected"][0]),
        (&"signal".into(), &9.into(), &"user1".into())
    );
    assert!(test.done(&["logs"]).contains(why), "the log says it too");
    assert!(test.done(&["trace"]).contains(why), "and so does the record");
    assert!(!test.run(&["up"]).err.contains(why), "`up` says it once");
    assert!(up.out.contains("user1\t127.77.1.1:$SMTP"));
    assert_eq!(test.count("user2"), "1");
    assert_eq!(verdict(&test), "done");
}

#[test]
fn two_ups_at_once_do_not_collide() {
    let test = Test::with(&lab_with_mail());
    let start =
        || test.command(&["up", "class"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("labctl");
    let both: Vec<_> = (0..4).map(|_| start()).collect();
    let ran: Vec<_> = both.into_iter().map(|child| test.ran(&child.wait_with_output().expect("labctl ends"))).collect();
    assert!(ran.iter().all(|ran| ran.code == 0), "{:?}", ran.iter().map(|ran| &ran.err).collect::<Vec<_>>());
    assert_eq!(ran.iter().filter(|ran| ran.err.contains("add server")).count(), 1);
    assert_eq!(ran.iter().filter(|ran| ran.err.contains("nothing to do")).count(), 3);
    assert_eq!(test.count("user1"), "1");
}

#[test]
fn an_up_that_is_killed_is_finished_by_the_next() {
    let test = Test::with("domain = \"{group}.lab\"\nrelay = false\nroster = \"r.csv\"\n");
    let rows: Vec<String> = (1..=30).map(|group| format!("g{group:02},s{group}")).collect();
    fs::write(test.path("class/r.csv"), format!("group,login\n{}\n", rows.join("\n"))).expect("a roster");
    let mut killed = test.start(&["up", "class"]);
    // The first store is the sign that servers are being started.
    let stores = test.path("state/labs/class/stores");
    while fs::read_dir(&stores).map_or(0, Iterator::count) == 0 {
        std::thread::yield_now();
    }
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");
    let up = test.run(&["up", "class"]);
    assert_eq!(up.code, 0, "{}", up.err);
    assert!(!up.err.contains("start the process"), "{}", up.err);
    assert_eq!(test.done(&["credentials"]).lines().count(), 31);
    assert!(test.run(&["up", "class"]).err.contains("\nlab `class`: nothing to do\n"));
}

#[test]
fn a_group_starts_again_with_its_mail() {
    let test = Test::with(&lab_with_mail());
    test.done(&["up", "class"]);
    test.send_mail();
    assert_eq!(test.count("user2"), "2");
    let refused = test.run(&["reset", "class"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("hint: pass `--yes` if the answer is yes"), "{}", refused.err);
    assert_eq!(test.count("user2"), "2");
    test.done(&["reset", "class", "--yes"]);
    assert_eq!(test.count("user2"), "1");
    assert_eq!(verdict(&test), "missing");
}

#[test]
fn a_trace_follows_what_comes() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let mut trace = test.start(&["trace", "user1", "--follow"]);
    let mut lines = BufReader::new(trace.stdout.take().expect("piped")).lines().map_while(Result::ok);
    test.smtp(1, &["NOOP", "QUIT"]);
    assert!(lines.any(|line| line.contains("C: NOOP")));
    // The first may have been in the record before; what comes after it can only have been followed.
    test.smtp(1, &["RSET", "QUIT"]);
    assert!(lines.any(|line| line.contains("C: RSET")));
    test.done(&["down"]);
    assert!(trace.wait().expect("it ends with the lab").success());
    assert!(test.done(&["trace", "user1"]).contains("C: NOOP"));
    assert!(!test.done(&["trace", "user2"]).contains("C:"));
}

#[test]
fn a_report_follows_what_is_done() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let mut report = test.start(&["report", "--follow"]);
    let mut lines = BufReader::new(report.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "class\tuser1\tmissing\t0/2"));
    test.send_mail();
    assert!(lines.any(|line| line == "class\tuser1\tdone\t2/2"));
    test.done(&["down"]);
    assert!(report.wait().expect("it ends with the lab").success());
}

#[test]
fn an_archive_holds_all_but_the_key() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.send_mail();
    let folder = test.done(&["archive", "--output", "kept"]);
    let folder = test.path(folder.trim());
    for name in ["README.txt", "lab.toml", "report.csv", "report.json", "stores/class.sqlite"] {
        assert!(exists(&folder.join(name)), "{name}");
    }
    assert!(!exists(&folder.join("key")));
    assert!(fs::read_to_string(folder.join("report.csv")).expect("CSV").contains("done"));
}

#[test]
fn a_lab_comes_back_with_its_addresses_after_others_were_up() {
    let test = Test::with(LAB);
    let before = test.done(&["up", "class"]);
    test.done(&["down", "class"]);
    fs::create_dir_all(test.path("second")).expect("a folder");
    fs::copy(test.path("class/lab.toml"), test.path("second/lab.toml")).expect("a copy");
    assert!(test.done(&["up", "second"]).contains("127.81.1.1"));
    assert_eq!(test.done(&["up", "class"]), before);
}

#[test]
fn a_lab_stays_where_it_listens_until_it_is_told_to_come_back() {
    let test = Test::with(LAB);
    let away = test.done(&["up", "class", "--listen", "127.0.0.1"]);
    assert!(away.contains("user1\t127.0.0.1:"), "{away}");
    let again = test.run(&["up", "class"]);
    assert_eq!(again.out, "", "nobody connects elsewhere");
    assert!(again.err.contains("`--listen loopback`"), "{}", again.err);
    assert!(test.done(&["up", "class", "--listen", "loopback"]).contains("user1\t127.77.1.1:$SMTP"));
}

#[test]
fn a_process_that_lets_sessions_finish_says_so_and_up_waits_for_its_end() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let mut session = std::net::TcpStream::connect(("127.77.1.1", test.smtp)).expect("the server listens");
    let text = "HELO me\r\nMAIL FROM:<user1@lib.lab>\r\nRCPT TO:<user2@lib.lab>\r\nDATA\r\nhalf a message\r\n";
    session.write_all(text.as_bytes()).expect("the server reads");
    let mut replies = BufReader::new(&session).lines().map_while(Result::ok);
    assert!(replies.any(|reply| reply.starts_with("354")));
    let first = test.process();
    let told = std::process::Command::new("kill").arg(&first).status().expect("kill runs");
    assert!(told.success());
    let mut status = String::new();
    while !status.contains("is stopping (") {
        status = test.run(&["status", "class"]).err;
        assert!(!status.contains("error") && !status.contains("not running"), "{status}");
    }
    assert_eq!(test.run(&["report", "class"]).err, "");
    drop(session);
    test.done(&["up", "class"]);
    assert_ne!(test.process(), first);
    test.send_mail();
}

#[test]
fn a_folder_need_not_be_called_in_utf_8() {
    use std::os::unix::ffi::OsStrExt as _;
    let test = Test::with(&format!("roster = \"roster.csv\"\n{}", LAB.replace("users = [", "#users = [")));
    let strange = test.path("class").with_file_name(std::ffi::OsStr::from_bytes(b"se\xF1ales"));
    fs::rename(test.path("class"), &strange).expect("a folder");
    // A roster need not be either.
    fs::write(strange.join("roster.csv"), b"group,login,name\nclass,user1,Pe\xF1a\nclass,user2,Ben\n").expect("a file");
    let file = fs::read_to_string(strange.join("lab.toml")).expect("a file");
    fs::write(strange.join("lab.toml"), format!("name = \"class\"\n{file}")).expect("a file");
    let run = |args: &[&str]| {
        let output = test.command(args).current_dir(&strange).output().expect("labctl starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&["up"]).0, Some(0), "{}", run(&["up"]).1);
    fs::remove_file(strange.join("lab.toml")).expect("a file");
    let (code, said) = run(&["report", "class"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("as it was last brought up"), "{said}");
}

#[test]
fn a_store_that_went_its_own_way_counts_beside_the_one_that_goes_on() {
    let both = LAB.replace("from = \"user1*\" }", "from = \"{login}*\" }");
    let test = Test::with(&both);
    let report = |test: &Test| test.run(&["report", "class"]);
    test.done(&["up", "class"]);
    test.smtp(1, &["HELO me", "QUIT"]);
    test.done(&["down"]);
    let store = test.path("state/labs/class/stores/class.sqlite");
    fs::copy(&store, test.path("copy.sqlite")).expect("a copy");
    test.done(&["up"]);
    test.send_mail();
    test.done(&["down"]);
    // The group goes on from the copy, and what was done meanwhile comes back later.
    let branch = test.path("state/labs/class/branches/class/old.sqlite");
    fs::create_dir_all(branch.parent().expect("a folder")).expect("a folder");
    fs::rename(&store, &branch).expect("a file");
    fs::rename(test.path("copy.sqlite"), &store).expect("a file");
    labctl::store::branch(&store).expect("a store");
    test.done(&["up"]);
    let ran = report(&test);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("class\tuser1\tdone\t2/2\nclass\tuser2\tmissing\t0/2\n"), "{}", ran.out);
    let words = [
        "HELO me",
        "MAIL FROM:<user2@lib.lab>",
        "RCPT TO:<user2@lib.lab>",
        "DATA",
        "Subject: y\r\n\r\nhi\r\n.",
        "QUIT",
    ];
    test.smtp(2, &words);
    let ran = report(&test);
    assert!(ran.out.contains("class\tuser1\tdone\t2/2\nclass\tuser2\tdone\t2/2\n"), "{}", ran.out);
    // Its messages are those of its own, whatever number they have.
    assert_eq!(test.done(&["trace", "--json"]).matches(r#""event":"accepted""#).count(), 2);
    assert!(test.done(&["trace"]).contains("Subject: x") && test.done(&["trace"]).contains("Subject: y"));
    test.done(&["archive", "class", "--output", "archive"]);
    fs::write(&branch, "rubbish").expect("a file");
    let ran = report(&test);
    assert_eq!(ran.code, 5);
    assert!(ran.err.contains("branches/class/old.sqlite"), "{}", ran.err);
    assert!(ran.out.contains("class\tuser1\tunclear\t0/2\nclass\tuser2\tdone\t2/2\n"), "{}", ran.out);
}
