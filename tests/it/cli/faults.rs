//! `labctl fault`: set for one student, shown, outlasting the process, cleared.

use serde_json::json;

use super::{LAB, Test};

const HELLO: &[&str] = &["HELO me", "MAIL FROM:<user1@lib.lab>", "RCPT TO:<user2@lib.lab>", "QUIT"];

/// The codes of the replies to a short conversation of student number `student`.
fn codes(test: &Test, student: u8) -> Vec<String> {
    test.smtp(student, HELLO).iter().map(|reply| reply[..3].to_owned()).collect()
}

#[test]
fn a_fault_is_one_students_until_it_has_struck_or_is_cleared() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let set = test.run(&["fault", "set", "user1", "unknown", "--times", "2"]);
    assert_eq!((set.code, set.err.as_str()), (0, "fault `unknown` at RCPT is set for 1 student of `class`: unknown\n"));
    let well = ["220", "250", "250", "250", "221"];
    assert_eq!(codes(&test, 1), ["220", "250", "250", "550", "221"]);
    assert_eq!(codes(&test, 2), well, "the other student");

    let process = test.process();
    test.done(&["down", "class"]);
    test.done(&["up", "class"]);
    assert_ne!(test.process(), process);
    let faults = test.json(&["fault", "list", "--json"]);
    let met = json!({ "version": 1, "faults": [{
        "group": "class", "student": "user1",
        "fault": { "id": "unknown", "protocol": "smtp", "at": "RCPT", "do": "unknown", "count": { "times": 2 } },
        "by_hand": true, "armed": true, "strikes": 1, "spent": false,
    }]});
    assert_eq!(faults, met);
    assert_eq!(codes(&test, 1), ["220", "250", "250", "550", "221"], "the second time");
    assert_eq!(codes(&test, 1), well);
    let list = test.done(&["fault", "list", "user1"]);
    assert!(list.contains("2 of 2") && list.contains("over"), "{list}");
    let trace = test.done(&["trace", "user1"]);
    assert_eq!(trace.matches("fault `unknown` at RCPT: unknown").count(), 2, "{trace}");

    test.done(&[
        "fault",
        "set",
        "class",
        "answer 451 4.3.0 later",
        "--at",
        "MAIL",
        "--connections",
        "1000",
        "--id",
        "later",
    ]);
    assert_eq!((codes(&test, 1)[2].as_str(), codes(&test, 2)[2].as_str()), ("451", "451"));
    test.done(&["fault", "clear", "class", "later"]);
    assert_eq!(
        (codes(&test, 1), codes(&test, 2)),
        (well.map(str::to_owned).to_vec(), well.map(str::to_owned).to_vec())
    );
    test.done(&["fault", "clear", "user1"]);
    let none = test.run(&["fault", "list"]);
    assert_eq!((none.code, none.err.as_str()), (0, "nobody meets a fault\n"));
}

#[test]
fn a_fault_that_makes_no_sense_is_refused_with_the_way_out() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let nowhere = test.run(&["fault", "set", "user1", "cut"]);
    assert_eq!(
        (nowhere.code, nowhere.err.as_str()),
        (2, "error: `cut` does not say where: add for example `--at MAIL`\n")
    );
    let misplaced = test.run(&["fault", "set", "user1", "refuse 421", "--at", "MAIL"]);
    assert_eq!(misplaced.code, 2);
    assert!(misplaced.err.contains("it can only stand at `<connect>`"), "{}", misplaced.err);
    let unknown = test.run(&["fault", "set", "user1", "explode"]);
    assert!(unknown.code == 2 && unknown.err.contains("`explode` is no fault"), "{}", unknown.err);
    let nobody = test.run(&["fault", "set", "user3", "drip"]);
    assert_eq!(nobody.code, 4, "{}", nobody.err);
    let none = test.run(&["fault", "clear", "user1", "busy"]);
    assert_eq!(
        (none.code, none.err.as_str()),
        (4, "error: `user1` meets no fault `busy`\nhint: see `labctl fault list user1`\n")
    );
}
