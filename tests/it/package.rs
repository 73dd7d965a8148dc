//! What `make dist` gives away: the Debian package, made from the program that the tests run.

use std::{collections::BTreeSet, process::Command};

use clap::CommandFactory as _;
use labctl::cli::args::Args;

/// What a command printed; it must have ended well.
fn done(command: &mut Command) -> String {
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_package_has_pages_completions_and_a_lab() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/deb.sh");
    // What is packed does not matter here; packing this program, which is large while it is not optimised, takes long.
    let program = folder.path().join("labctl");
    let own = env!("CARGO_BIN_EXE_labctl");
    std::fs::write(&program, format!("#!/bin/sh\nexec '{own}' \"$@\"\n")).expect("a program");
    done(Command::new("chmod").arg("755").arg(&program));
    let dist = folder.path().join("dist");
    done(Command::new(script).arg(&program).arg("x86_64-unknown-linux-gnu").arg(&dist));

    let package = dist.join(format!("labctl_{}_amd64.deb", env!("CARGO_PKG_VERSION")));
    let list = done(Command::new("dpkg-deb").arg("-c").arg(&package));
    let files: BTreeSet<&str> = list.lines().filter_map(|line| line.split_whitespace().nth(5)).collect();
    let mut wanted: Vec<String> = [
        "bin/labctl",
        "share/man/man1/labctl.1.gz",
        "share/bash-completion/completions/labctl",
        "share/zsh/vendor-completions/_labctl",
        "share/fish/vendor_completions.d/labctl.fish",
        "share/doc/labctl/examples/practica2/lab.toml",
        "share/doc/labctl/examples/practica2/roster.csv",
    ]
    .map(|file| format!("./usr/{file}"))
    .to_vec();
    for verb in Args::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        wanted.push(format!("./usr/share/man/man1/labctl-{}.1.gz", verb.get_name()));
    }
    for file in wanted {
        assert!(files.contains(file.as_str()), "`{file}` is missing in:\n{list}");
    }
    let page = done(Command::new("sh").arg("-c").arg(format!(
        "dpkg-deb --fsys-tarfile '{}' | tar -xO ./usr/share/man/man1/labctl-up.1.gz | gzip -d",
        package.display()
    )));
    assert!(page.contains("labctl\\-up") && page.contains("dry\\-run"), "{page}");
}

#[test]
fn a_package_for_a_processor_that_debian_lacks_is_refused() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/deb.sh");
    let output = Command::new(script).args(["labctl", "sparc-unknown-none", "dist"]).output().expect("bash");
    assert!(!output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "deb.sh: no Debian architecture is known for target sparc-unknown-none\n"
    );
}
