//! Who and which lab is meant: names behind a verb, slips in them, files that moved or broke while the lab is up.

use std::fs;

use super::{LAB, Test};

/// Twelve groups of one student each, `s1` in `grupo1` and so on.
fn twelve_groups() -> Test {
    let test = Test::with("domain = \"{group}.lab\"\nrelay = false\nroster = \"r.csv\"\n");
    let rows: Vec<String> = (1..=12).map(|number| format!("grupo{number},s{number}")).collect();
    fs::write(test.path("class/r.csv"), format!("group,login\n{}\n", rows.join("\n"))).expect("a roster");
    test
}

/// The first column of lines with tabs, without the head.
fn first_column(text: &str) -> Vec<&str> {
    text.lines().skip(1).filter_map(|line| line.split('\t').next()).collect()
}

#[test]
fn groups_are_listed_as_people_count() {
    let test = twelve_groups();
    let counted: Vec<String> = (1..=12).map(|number| format!("grupo{number}")).collect();
    assert_eq!(first_column(&test.done(&["up", "class"])), counted);
    for verb in ["status", "credentials", "report"] {
        assert_eq!(first_column(&test.done(&[verb])), counted, "{verb}");
    }
}

#[test]
fn a_name_behind_a_verb_is_a_student_or_a_group_or_else_the_lab() {
    let test = twelve_groups();
    test.done(&["up", "class"]);
    for verb in ["status", "credentials", "report"] {
        for of in [&[verb, "grupo10"][..], &[verb, "grupo10", "--lab", "class"]] {
            assert_eq!(first_column(&test.done(of)), ["grupo10"], "{of:?}");
        }
        for of in [&[verb, "class"][..], &[verb, "./class"], &[verb, "class/lab.toml"], &[verb, "--lab", "class"]] {
            assert_eq!(test.done(of).lines().count(), 13, "{of:?}");
        }
        let nobody = test.run(&[verb, "grupo13"]);
        assert_eq!(nobody.code, 4);
        assert_eq!(
            nobody.err, "error: lab `class` has no student or group `grupo13`\nhint: did you mean `grupo1`?\n",
            "{verb}"
        );
    }
    assert_eq!(first_column(&test.done(&["status", "s10"])), ["grupo10"]);
    assert_eq!(test.done(&["credentials", "s10", "--cards"]).matches("----").count(), 17);
    assert_eq!(test.done(&["report", "s10"]), test.done(&["report", "--student", "s10"]));
    assert_eq!(test.done(&["report", "class", "--student", "s10"]), test.done(&["report", "s10"]));
    assert_eq!(test.run(&["report", "s9", "--student", "s10"]).code, 2);
    assert_eq!(test.done(&["trace", "class"]), test.done(&["trace"]));
    let shell = test.run(&["shell", "grupo2"]);
    assert_eq!(
        (shell.code, shell.err.as_str()),
        (4, "error: `grupo2` is a group\nhint: name one of its students: `s2`\n")
    );
    let near = test.run(&["shell", "s13"]);
    assert!(near.err.ends_with("hint: did you mean `s1`?\n"), "{}", near.err);
}

#[test]
fn without_an_obvious_lab_a_student_needs_its_name() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    fs::create_dir_all(test.path("second")).expect("a folder");
    fs::copy(test.path("class/lab.toml"), test.path("second/lab.toml")).expect("a copy");
    test.done(&["up", "second"]);
    let which = test.run(&["report", "user1"]);
    assert_eq!(which.code, 4);
    assert_eq!(
        which.err,
        "error: there is no lab `user1`, and whose student or group it is was not said: labctl knows `class (up)`, `second (up)`\n\
         hint: name the lab as well, for example `--lab class`\n"
    );
    test.done(&["report", "user1", "--lab", "class"]);
    assert!(test.run(&["status", "clas"]).err.ends_with("hint: did you mean lab `class`?\n"));
}

#[test]
fn a_slip_in_the_file_does_not_lock_students_out() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.write(&LAB.replace("relay", "relais"));
    let as_up = "warning: 2 errors in `$DIR/class/lab.toml` (`labctl check $DIR/class/lab.toml`): this is lab `class` as it was last brought up\n";
    for (verb, code) in [
        (&["reset", "user1", "--yes", "--lab", "class"][..], 0),
        (&["inject", "class"], 0),
        (&["fault", "list"], 0),
        (&["report"], 0),
        (&["shell", "user1"], 1),
        (&["exec", "user1", "--", "true"], 1),
    ] {
        let ran = test.run(verb);
        assert_eq!(ran.code, code, "{verb:?}: {}", ran.err);
        let warned = ran.err.starts_with(as_up) || ran.err.starts_with(&as_up.replace("2 errors", "1 error"));
        assert!(warned, "{verb:?}: {}", ran.err);
    }
}

#[test]
fn a_folder_that_was_renamed_is_no_second_lab() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    test.send_mail();
    fs::rename(test.path("class"), test.path("renamed")).expect("a folder");
    let gone = "error: lab `renamed` was never up; lab `class` is up, and its file `$DIR/class/lab.toml` is gone\n\
                hint: if its folder was renamed, write `name = \"class\"` as the first line of `lab.toml` here; `labctl report class` has its marks\n";
    for verb in [&["report", "renamed"][..], &["status", "renamed"]] {
        let ran = test.run(verb);
        assert_eq!((ran.code, ran.err.as_str()), (4, gone), "{verb:?}");
    }
    let up = test.run(&["up", "renamed"]);
    assert_eq!((up.code, up.err.as_str()), (4, gone));
    assert!(test.done(&["report", "class"]).contains("\tdone\t"));
    let file = test.path("renamed/lab.toml");
    let text = fs::read_to_string(&file).expect("a file");
    fs::write(&file, format!("name = \"class\"\n{text}")).expect("a file");
    assert!(test.done(&["report", "renamed"]).contains("\tdone\t"), "as the hint says");
    test.done(&["up", "renamed"]);
}

#[test]
fn hints_name_the_lab_and_the_state_directory_as_they_were_given() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let start = test.run(&["start", "--lab", "class"]).err;
    assert!(start.ends_with("hint: `labctl up class` starts its servers\n"), "{start}");
    let state = test.path("state").display().to_string();
    let start = test.run(&["start", "--lab", "./class", "--state-dir", &state]).err;
    assert!(start.ends_with("hint: `labctl --state-dir $DIR/state up ./class` starts its servers\n"), "{start}");
}

#[test]
fn proof_is_of_one_student_however_named() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    assert!(
        !test.done(&["report", "user1", "--proof"]).contains("RCPT TO:<user2@lib.lab>"),
        "nothing proves what is missing"
    );
    test.send_mail();
    let proof = test.done(&["report", "user1", "--proof"]);
    assert!(proof.starts_with(&test.done(&["report", "user1"])), "{proof}");
    assert!(proof.contains("RCPT TO:<user2@lib.lab>"), "{proof}");
    assert_eq!(test.done(&["report", "--student", "user1", "--proof"]), proof);
    let everybody = test.run(&["report", "--proof"]);
    assert_eq!(
        (everybody.code, everybody.err.as_str()),
        (2, "error: `--proof` is for one student: `labctl report LOGIN --proof`\n")
    );
    let group = test.run(&["report", "class", "--proof", "--lab", "class"]);
    assert_eq!(
        (group.code, group.err.as_str()),
        (4, "error: `class` is a group\nhint: name one of its students: `user1`, `user2`\n")
    );
}
