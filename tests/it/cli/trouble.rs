//! What goes wrong, and what is said then.

use std::{fs, io::Read as _, net::TcpListener, process::Stdio};

use super::{LAB, Test, exists};

#[test]
fn a_wrong_lab_starts_nothing() {
    let test = Test::with(&LAB.replace("relay", "relais"));
    let up = test.run(&["up", "class"]);
    assert_eq!(up.code, 3);
    assert!(up.err.contains("did you mean `relay`?"), "{}", up.err);
    assert!(up.err.ends_with("error: 1 error in lab `$DIR/class/lab.toml`\n"), "{}", up.err);
    assert_eq!(up.out, "");
    assert!(!exists(&test.path("state")));
    let check = test.run(&["check", "class", "--json"]);
    assert_eq!(check.code, 3);
    assert!(check.out.starts_with('{'), "{}", check.out);
}

#[test]
fn a_port_in_use_is_named_with_its_owner_and_the_other_groups_go_on() {
    let class = "domain = \"{group}.lab\"\nrelay = false\nroster = \"r.csv\"\n";
    let test = Test::with(class);
    fs::write(test.path("class/r.csv"), "group,login\ng01,ana\ng02,ben\n").expect("a roster");
    let taken = TcpListener::bind(("127.77.1.1", test.smtp)).expect("a free port");
    let up = test.run(&["up", "class"]);
    assert_eq!(up.code, 5, "{}", up.err);
    let me = std::process::id();
    let status = test.run(&["status", "class"]).err;
    assert!(status.contains("lab `class` is up, 1 of 2 servers: `g01` does not run ("), "{status}");
    assert!(up.err.ends_with("\n1 of 2 servers not running as the lab says\n"), "{}", up.err);
    assert!(
        up.err.contains("error: server `g01`: listen for smtp on `127.77.1.1:$SMTP`: the port is in use, by `"),
        "{}",
        up.err
    );
    assert!(up.err.contains(&format!("(process {me})")), "{}", up.err);
    assert!(up.err.contains("hint: end what listens there"), "{}", up.err);
    assert!(up.out.contains("g02\tg02.lab\tben"), "{}", up.out);
    drop(taken);
    let again = test.run(&["up", "class"]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.err.contains("add server `g01`") && !again.err.contains("server `g02`"), "{}", again.err);
}

#[test]
fn a_lab_that_nobody_knows_is_refused_with_the_one_meant() {
    let test = Test::with(LAB);
    let none = test.run(&["report"]);
    assert_eq!(none.code, 4);
    assert_eq!(
        none.err,
        "error: which lab? there is no `lab.toml` here, and labctl knows no lab yet\nhint: make one with `labctl new my-lab`\n"
    );
    assert_eq!(
        test.run(&["report", "class"]).err,
        "error: lab `class` was never up\nhint: bring it up with `labctl up class`\n"
    );
    test.done(&["up", "class"]);
    let wrong = test.run(&["down", "clas"]);
    assert_eq!(wrong.code, 4);
    assert!(wrong.err.ends_with("hint: did you mean `class`?\n"), "{}", wrong.err);
    let nobody = test.run(&["reset", "user9", "--yes"]);
    assert_eq!(nobody.code, 4);
    assert_eq!(nobody.err, "error: lab `class` has no student or group `user9`\nhint: did you mean `user1`?\n");
}

#[test]
fn a_lab_that_is_down_says_so_where_it_must_be_up() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.done(&["down", "class"]);
    for verb in [&["inject"][..], &["reset", "user1", "--yes"], &["trace", "--follow"], &["report", "--follow"]] {
        let ran = test.run(verb);
        assert_eq!(ran.code, 4, "{verb:?}");
        assert_eq!(ran.err, "error: lab `class` is not up\nhint: bring it up with `labctl up class`\n", "{verb:?}");
    }
}

#[test]
fn two_labs_of_one_name_are_told_apart() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    fs::create_dir_all(test.path("other/class")).expect("a folder");
    fs::copy(test.path("class/lab.toml"), test.path("other/class/lab.toml")).expect("a copy");
    let up = test.run(&["up", "other/class"]);
    assert_eq!(up.code, 1);
    assert!(
        up.err.starts_with("error: lab `class` is another one: labctl knows it from `$DIR/class/lab.toml`\n"),
        "{}",
        up.err
    );
}

#[test]
fn two_labs_at_once_have_addresses_of_their_own() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    fs::create_dir_all(test.path("second")).expect("a folder");
    fs::copy(test.path("class/lab.toml"), test.path("second/lab.toml")).expect("a copy");
    let second = test.run(&["up", "second"]);
    assert_eq!(second.code, 0, "{}", second.err);
    assert!(second.out.contains("user1\t127.81.1.1:$SMTP"), "{}", second.out);
    assert_eq!(test.run(&["report"]).code, 4, "with two labs up a name is needed");
    test.done(&["down", "second"]);
    test.done(&["report"]);
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let mut child = test.command(&["trace"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("labctl");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!((child.wait().expect("it ends").code(), said.as_str()), (Some(0), ""));
}

#[test]
fn a_store_that_cannot_be_read_is_nobodys_fault() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.done(&["down", "class"]);
    fs::write(test.path("state/labs/class/stores/class.sqlite"), "rubbish").expect("a file");
    let report = test.run(&["report"]);
    assert_eq!(report.code, 5);
    assert!(report.err.contains("class.sqlite"), "{}", report.err);
    assert!(report.out.contains("class\tuser1\tunclear\t0/2"), "{}", report.out);
}

#[test]
fn a_damaged_record_stops_everything_and_is_named() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.done(&["down", "class"]);
    fs::write(test.path("state/labs/class/lab.json"), "{").expect("a file");
    let up = test.run(&["up", "class"]);
    assert_eq!(up.code, 1);
    assert!(up.err.starts_with("error: `$DIR/state/labs/class/lab.json` is damaged: "), "{}", up.err);
    fs::remove_file(test.path("state/labs/class/lab.json")).expect("a file");
}

#[test]
fn a_process_for_loopback_does_not_listen_on_a_network() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let address = serde_json::json!({"service": "smtp", "address": "192.0.2.1:25", "student": null});
    let mut config = test.json(&["status", "--json"]);
    config["endpoints"] = serde_json::json!([address]);
    let lab = test.run(&["up", "class", "--listen", "192.0.2.1", "--json"]);
    // The process is started again, may listen there now, and the system has no such address.
    assert_eq!(lab.code, 1, "{}", lab.err);
    assert!(
        test.run(&["status", "class"]).err.contains("lab `class` is down ("),
        "a process that serves nothing is ended"
    );
    assert!(lab.err.contains("warning: everybody who reaches `192.0.2.1` reaches the servers"), "{}", lab.err);
    assert!(lab.out.contains("stop the process: it was started for loopback only"), "{}", lab.out);
    assert!(lab.err.contains("192.0.2.1:10000"), "{}", lab.err);
    assert!(lab.err.contains("hint: `192.0.2.1` is no address of this machine"), "{}", lab.err);
    assert!(lab.err.contains("warning: `ports` does not hold on `192.0.2.1`"), "{}", lab.err);
}

/// A process that may write nothing more is in the place of one whose disk is full.
#[cfg(target_os = "linux")]
#[test]
fn marks_are_there_while_the_disk_takes_no_more_and_the_record_says_when_that_was() {
    use std::process::Command;
    let test = Test::with(&super::lab_with_mail());
    let up = test.command(&["up", "class"]);
    // Who writes beyond the limit is killed unless the signal is ignored, which is handed down.
    let mut deaf = Command::new("sh");
    deaf.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(up.get_program()).args(up.get_args());
    deaf.envs(up.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let up = deaf.current_dir(test.folder.path()).output().expect("a shell");
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    test.send_mail();
    let limit = |most: &str| {
        let set = Command::new("prlimit").args(["--pid", &test.process(), &format!("--fsize={most}")]).status();
        assert!(set.expect("prlimit runs").success());
    };
    limit("1:");
    test.smtp(1, &["NOOP", "QUIT"]);
    let report = test.run(&["report"]);
    assert_eq!(report.code, 0, "{}", report.err);
    assert!(report.out.contains("class\tuser1\tdone\t2/2"), "{}", report.out);
    assert!(report.err.starts_with("warning: the newest events may be missing: process "), "{}", report.err);
    assert!(!report.err.contains("kill -9") && !report.err.contains("does not answer"), "{}", report.err);
    assert!(test.done(&["trace", "user1"]).contains("DATA"));
    let inject = test.run(&["inject", "--again"]);
    assert_eq!(inject.code, 5);
    assert!(inject.err.starts_with("error: mail `welcome`, 2 copies: the server answered `451"), "{}", inject.err);
    assert_eq!(inject.err.lines().count(), 2, "{}", inject.err);
    let status = test.run(&["status"]);
    assert!(status.err.contains("warning: server `class`, since "), "{}", status.err);
    assert!(
        status.err.contains("its store cannot be written (") && status.err.contains("refused for now (451)"),
        "{}",
        status.err
    );
    let trouble = &test.json(&["status", "--json"])["labs"][0]["groups"][0]["trouble"];
    assert!(trouble["events"].as_u64().is_some_and(|events| events > 0), "{trouble}");
    // Whoever follows hears it, also who comes when it is so already.
    let mut follower =
        test.command(&["trace", "--follow"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut heard = std::io::BufReader::new(follower.stderr.take().expect("piped"));
    let mut until = |what: &str| {
        let mut lines = std::io::BufRead::lines(&mut heard).map_while(Result::ok);
        assert!(lines.any(|line| line.contains(what)), "whoever follows hears `{what}`");
    };
    until("its store cannot be written");
    limit("unlimited:");
    test.smtp(1, &["NOOP", "QUIT"]);
    until("server `class`: its store can be written again");
    follower.kill().expect("it runs");
    follower.wait().expect("it ends");
    assert!(!test.run(&["status"]).err.contains("cannot be written"));
    let events = test.done(&["trace", "--json"]);
    let damaged = events.lines().find(|line| line.contains("\"damaged\"")).expect("the record says it");
    let damaged: serde_json::Value = serde_json::from_str(damaged).expect("JSON");
    assert!(damaged["time"] != 0 && !damaged["time"].as_str().unwrap_or("").starts_with("1970"), "{damaged}");
}

/// Runs labctl where it and what it starts may have so many file descriptors.
#[cfg(target_os = "linux")]
fn with_descriptors(test: &Test, most: u32, args: &[&str]) -> super::Ran {
    let wanted = test.command(args);
    let mut poor = std::process::Command::new("sh");
    poor.arg("-c")
        .arg(format!("ulimit -n {most}; exec \"$0\" \"$@\""))
        .arg(wanted.get_program())
        .args(wanted.get_args());
    poor.envs(wanted.get_envs().filter_map(|(name, value)| Some((name, value?))));
    test.ran(&poor.current_dir(test.folder.path()).stdin(Stdio::null()).output().expect("a shell"))
}

#[cfg(target_os = "linux")]
#[test]
fn too_few_descriptors_for_the_class_are_named_with_the_way_out() {
    let test = Test::with(LAB);
    let up = with_descriptors(&test, 40, &["up", "class"]);
    assert_eq!(up.code, 1, "{}", up.err);
    let why = "error: server `class`: out of file descriptors: this server needs ";
    assert!(up.err.contains(why) && up.err.contains("the process may have 40 for all (`ulimit -Hn`)"), "{}", up.err);
    assert!(up.err.contains("hint: raise the limit (`ulimit -Hn 65536` as root"), "{}", up.err);
}

#[cfg(target_os = "linux")]
#[test]
fn whoever_asks_how_it_is_gets_an_answer_when_clients_have_every_descriptor() {
    let test = Test::with(LAB);
    let up = with_descriptors(&test, 64, &["up", "class"]);
    assert_eq!(up.code, 0, "{}", up.err);
    let open: Vec<_> = (0..40).map(|number| test.connect(1 + number % 2)).collect();
    let status = test.run(&["status"]);
    assert_eq!(status.code, 0, "{}", status.err);
    assert!(status.err.contains("of 64 file descriptors open: new connections are turned away"), "{}", status.err);
    assert!(status.err.contains("hint: `labctl disconnect STUDENT`"), "{}", status.err);
    assert_eq!(test.smtp(1, &[])[0].split(' ').next(), Some("421"), "and they hear so");
    assert_eq!(test.json(&["status", "--json"])["labs"][0]["descriptors"]["limit"], 64);
    for student in ["user1", "user2"] {
        assert!(test.run(&["disconnect", student]).err.starts_with("ended: "));
    }
    assert_eq!(test.smtp(1, &["QUIT"])[1].split(' ').next(), Some("221"));
    drop(open);
}

#[test]
fn an_address_that_stands_for_all_is_refused() {
    let test = Test::with(LAB);
    let wildcard = test.run(&["up", "class", "--listen", "0.0.0.0"]);
    assert_eq!(wildcard.code, 2);
    assert!(wildcard.err.contains("hint: name the one they reach"), "{}", wildcard.err);
    assert!(test.run(&["up", "class", "--listen", "here"]).err.contains("or `loopback`"));
}

#[test]
fn marks_are_there_while_the_file_is_wrong_or_gone() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.send_mail();
    let marks = test.done(&["report", "class"]);
    test.write(&LAB.replace("relay", "relais"));
    let report = test.run(&["report", "class"]);
    assert_eq!((report.code, &report.out), (0, &marks), "{}", report.err);
    let wrong = "warning: 1 error in `$DIR/class/lab.toml` (`labctl check $DIR/class/lab.toml`): \
                 this is lab `class` as it was last brought up\n";
    assert_eq!(report.err, wrong);
    test.done(&["archive", "class", "--output", "wrong"]);
    fs::remove_file(test.path("class/lab.toml")).expect("a file");
    let report = test.run(&["report", "class"]);
    assert_eq!((report.code, &report.out), (0, &marks), "{}", report.err);
    assert!(report.err.contains("as it was last brought up"), "{}", report.err);
    assert!(test.done(&["trace", "user1"]).contains("DATA"));
    assert!(test.done(&["credentials"]).contains("user1pass"));
    test.done(&["inject", "class"]);
    let up = test.run(&["up", "class"]);
    assert_eq!(up.code, 1);
    assert!(up.err.ends_with("hint: if it moved, say where it is now: `labctl up NEW/PLACE`\n"), "{}", up.err);
}

#[test]
fn a_lab_whose_name_changed_does_not_leave_the_old_one_running_unnoticed() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.write(&format!("name = \"other\"\n{LAB}"));
    let by_name = test.run(&["up", "class"]);
    // In this folder `class` is a folder; from elsewhere it is the lab's name.
    assert!(by_name.err.contains("warning: this file was lab `class`, which is still up: `labctl down class`\n"));
    let elsewhere = test.command(&["up", "class"]).current_dir("/").output().expect("labctl starts");
    let elsewhere = test.ran(&elsewhere);
    assert_eq!(elsewhere.code, 1, "{}", elsewhere.err);
    assert!(
        elsewhere.err.starts_with("error: `$DIR/class/lab.toml` was lab `class` and is lab `other` now\n"),
        "{}",
        elsewhere.err
    );
}

#[test]
fn who_leaves_the_roster_with_events_is_named_and_archived() {
    let test = Test::with("domain = \"{group}.lab\"\nrelay = false\nroster = \"r.csv\"\n");
    fs::write(test.path("class/r.csv"), "group,login\ng01,ana\ng01,eva\ng02,ben\n").expect("a roster");
    test.done(&["up", "class"]);
    super::talk(1, test.smtp, &["NOOP", "QUIT"]);
    fs::write(test.path("class/r.csv"), "group,login\ng02,ben\n").expect("a roster");
    let up = test.run(&["up", "class"]);
    let warning = "warning: `ana` had events in `g01`: they no longer count; put the line back to undo\n";
    assert!(up.err.contains(warning) && !up.err.contains("`eva` had"), "{}", up.err);
    let folder = test.done(&["archive", "class"]);
    assert!(exists(&test.path(folder.trim()).join("stores/g01.sqlite")));
}

#[test]
fn credentials_are_those_that_work() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.write(&LAB.replace("user1pass", "changed"));
    let credentials = test.run(&["credentials", "class"]);
    assert!(credentials.out.contains("user1pass") && !credentials.out.contains("changed"), "{}", credentials.out);
    assert!(credentials.err.contains("these hold until `labctl up class`"), "{}", credentials.err);
    test.done(&["up", "class"]);
    let credentials = test.run(&["credentials", "class"]);
    assert!(credentials.out.contains("changed") && credentials.err.is_empty(), "{}", credentials.err);
}

#[test]
fn warnings_of_a_lab_are_shown_in_full_where_the_file_is_the_subject() {
    let test = Test::with("domain = \"{group}.lab\"\nrelay = false\nroster = \"r.csv\"\n");
    fs::write(test.path("class/r.csv"), "group,login,shoe size\ng01,ana,36\n").expect("a roster");
    let full = test.run(&["up", "class"]).err;
    assert!(full.contains("shoe size"), "{full}");
    assert_eq!(
        test.run(&["report", "class"]).err,
        "1 warning in lab `$DIR/class/lab.toml`: see `labctl check $DIR/class/lab.toml`\n"
    );
}

#[test]
fn what_fails_for_one_reason_is_said_once() {
    let test = Test::with("domain = \"{group}.lab\"\nrelay = false\nroster = \"r.csv\"\n");
    let rows: Vec<String> = (1..=6).map(|group| format!("g{group:02},s{group}")).collect();
    fs::write(test.path("class/r.csv"), format!("group,login\n{}\n", rows.join("\n"))).expect("a roster");
    let up = test.run(&["up", "class", "--listen", "192.0.2.1"]);
    assert_eq!(up.code, 1);
    assert_eq!(up.err.matches("error: ").count(), 1, "{}", up.err);
    assert!(up.err.contains("; the same for 5 more: `g02`, `g03`, `g04`, …\nhint: "), "{}", up.err);
    assert_eq!(up.out, "", "no table of what does not run");
    let back = test.done(&["up", "class"]);
    assert!(back.contains("127.77.1.1:$SMTP"), "an address that did not work is not remembered: {back}");
}

#[test]
fn a_folder_without_a_lab_is_told_so() {
    let test = Test::new();
    fs::create_dir(test.path("my lab")).expect("a folder");
    let check = test.run(&["check", "my lab"]);
    assert_eq!(check.code, 4);
    assert_eq!(check.err, "error: folder `my lab` has no `lab.toml`\nhint: make one with `labctl new 'my lab'`\n");
    assert!(test.run(&["new", "my lab"]).err.ends_with("then: labctl up 'my lab'\n"));
    assert_eq!(test.run(&["trace", "--json", "--format", "states"]).code, 2);
}

#[test]
fn what_is_kept_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    fn check(folder: &std::path::Path) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let mode = entry.metadata().expect("it is there").permissions().mode() & 0o077;
            assert_eq!(mode, 0, "{}", entry.path().display());
            if entry.path().is_dir() {
                check(&entry.path());
            }
        }
    }
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.send_mail();
    test.done(&["archive", "class", "--with-key", "--output", "kept"]);
    check(&test.path("state"));
    check(&test.path("kept"));
}

/// A lab on a small disk of its own, which nobody else sees: the namespace goes with the last process in it.
/// A process that was killed holds its files until the last of its threads is gone.
#[cfg(target_os = "linux")]
fn on_a_disk_of_its_own(test: &Test, then: &str) -> super::Ran {
    use std::process::Command;
    let state = test.path("state");
    fs::create_dir_all(&state).expect("a folder");
    let program = test.command(&[]).get_program().to_owned();
    let script = format!(
        "set -e; mount -t tmpfs -o size=8m none {0}; \"$0\" up class --engine embedded >/dev/null 2>&1; \
         fill() {{ dd if=/dev/zero of={0}/filler bs=64k 2>/dev/null || true; }}; \
         protect() {{ server=$(cat {0}/labs/class/serve.lock); kill -9 $server; \
         while grep -sq '^State:.[^ZX]' /proc/$server/status || \
         [ $(ls /proc/$server/task 2>/dev/null | wc -l) -gt 1 ]; do :; done; mount -o remount,ro {0}; }}; {then}",
        state.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script]).arg(program);
    let labctl = test.command(&["down"]);
    command.envs(labctl.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(test.folder.path());
    let output = command.output().expect("unshare runs");
    let text =
        |octets: &[u8]| String::from_utf8_lossy(octets).replace(&test.folder.path().display().to_string(), "$DIR");
    super::Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_does_not_keep_a_lab_up() {
    let test = Test::with(LAB);
    let down = "fill; \"$0\" down class; rm $LABCTL_STATE_DIR/filler; \"$0\" down class; \"$0\" status class --json";
    let ran = on_a_disk_of_its_own(&test, down);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("warning: that lab `class` is down could not be noted: write `"), "{}", ran.err);
    assert!(ran.err.contains("lab `class` is down; mail and evidence are kept\n"), "{}", ran.err);
    assert!(ran.err.contains("lab `class` was down already; mail and evidence are kept\n"), "{}", ran.err);
    assert!(ran.out.contains(r#""up":false"#), "{}", ran.out);
    let ran = on_a_disk_of_its_own(&test, "fill; \"$0\" down class --purge --yes; ls $LABCTL_STATE_DIR/labs");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert!(ran.err.contains("lab `class` is down, and its mail and evidence are deleted\n"), "{}", ran.err);
}

#[cfg(target_os = "linux")]
#[test]
fn what_runs_no_more_is_down_also_where_nothing_can_be_written() {
    let test = Test::with(LAB);
    let ran = on_a_disk_of_its_own(&test, "protect; \"$0\" down class; \"$0\" report class");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("lab `class` was down already; mail and evidence are kept\n"), "{}", ran.err);
    assert!(ran.out.contains("class\tuser1\tmissing"), "{}", ran.out);
    let ran = on_a_disk_of_its_own(&test, "protect; \"$0\" down class --purge --yes");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("error: delete the folder `$DIR/state/labs/class`: Read-only file system"), "{}", ran.err);
}
