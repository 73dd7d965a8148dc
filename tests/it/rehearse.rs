//! The bundled labs pass their own rehearsal, and a lab whose checks are too lax does not.

use std::{fs, path::Path, process::Command};

fn rehearse(lab: &Path) -> (bool, String) {
    let state = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_labctl"))
        .env("LABCTL_STATE_DIR", state.path())
        .args(["rehearse", lab.to_str().expect("UTF-8"), "--lang", "en"])
        .output()
        .expect("labctl runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn every_bundled_lab_passes() {
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("labs");
    let mut names: Vec<_> = fs::read_dir(labs).expect("labs").map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    assert!(names.len() >= 3, "practicals A, B and D are bundled");
    for lab in names {
        let (passed, said) = rehearse(&lab);
        assert!(passed, "{}:\n{said}", lab.display());
    }
}

/// Writes a lab of one exercise with this check and solution, and rehearses it.
fn with_exercise(check: &str, solution: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lab = format!(
        "domain = \"r.lab\"\nusers = [\"ana\", \"ben\"]\nrelay = false\n\n[[exercise]]\nid = \"1\"\ncheck = [{check}]\n\
         solution = {{ smtp = \"\"\"\n{solution}\"\"\" }}\n"
    );
    let file = folder.path().join("lab.toml");
    fs::write(&file, lab).expect("written");
    rehearse(&file)
}

#[test]
fn a_check_that_asks_less_than_the_solution_does_is_found() {
    let (passed, said) = with_exercise(r#"{ protocol = "smtp", steps = ["EHLO -> 250"] }"#, "C: EHLO me\nC: NOOP\n");
    assert!(!passed && said.contains("NOOP"), "{said}");
}

#[test]
fn a_solution_that_does_not_solve_is_found_with_the_reason() {
    let (passed, said) = with_exercise(r#"{ protocol = "smtp", steps = ["VRFY -> 250"] }"#, "C: VRFY ana\n");
    assert!(!passed && said.contains("252"), "{said}");
}

#[test]
fn a_check_that_an_idle_student_meets_is_found() {
    let (passed, said) = with_exercise(r#"{ mailbox = { of = "{login}", count = 0, now = true } }"#, "C: NOOP\n");
    assert!(!passed && said.contains("idle"), "{said}");
}
