//! `make bench`: labctl beside its peers, interleaved in one run on one machine. It prints medians and ratios with the goal
//! beside each figure, and never fails because something was slow.
//!
//! `make bench ONLY="accept pop3"` runs those sections only. All of it but `docker` happens in a mount and process namespace
//! of its own (that needs root), so whatever it mounted and started is gone when it ends, also after Ctrl-C.

mod accept;
mod bare;
mod classwork;
mod docker;
mod figure;
mod imap;
mod imap_client;
mod labctl_server;
mod load;
mod machine;
mod marking;
mod memory;
mod peers;
mod pop3;
mod pop3_client;
mod process;
mod relay;
mod smtp_client;
mod split;

use std::{
    env,
    error::Error,
    process::{Command, ExitCode},
    time::Instant,
};

use figure::Figure;
use machine::Workplace;

/// What a measurement gives; an error is a defect or a machine that cannot run the benchmark, never a slow result.
pub type Fallible<T> = Result<T, Box<dyn Error>>;

/// Set in the process that runs inside the namespaces.
const INSIDE: &str = "LABCTL_BENCH_INSIDE";

/// A section: what `ONLY=` calls it, and what runs it.
type Section = (&'static str, fn(&Workplace) -> Fallible<Vec<Figure>>);

const SECTIONS: &[Section] = &[
    ("accept", accept::run),
    ("pop3", pop3::run),
    ("imap", imap::run),
    ("split", split::run),
    ("relay", relay::run),
    ("memory", memory::run),
    ("marking", marking::run),
];

/// The section that needs a Docker Engine, docker-compose, and no root.
const DOCKER: &str = "docker";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let outcome = match words.first().map(String::as_str) {
        Some("--bare") => bare::serve(&words[1..]),
        _ if env::var_os(INSIDE).is_some() => measure(&words),
        _ => enter(&words),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the sections that start servers of their own, then the one that is a guest of the machine's Docker Engine.
fn enter(words: &[String]) -> Fallible<ExitCode> {
    let known = |word: &String| word == DOCKER || SECTIONS.iter().any(|(name, _)| name == word);
    if let Some(unknown) = words.iter().find(|word| !known(word)) {
        let names: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).chain([DOCKER]).collect();
        return Err(format!("there is no section `{unknown}`: use {}", names.join(", ")).into());
    }
    let inside: Vec<&String> = words.iter().filter(|word| *word != DOCKER).collect();
    let mut succeeded = true;
    if words.is_empty() || !inside.is_empty() {
        succeeded &= alone(&inside)?;
    }
    if words.is_empty() || words.iter().any(|word| word == DOCKER) {
        figure::table(DOCKER, &docker::run()?);
    }
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs this program again where nothing it starts or mounts can outlive it. The shell is process 1 there, so that the
/// benchmark itself still obeys Ctrl-C.
fn alone(words: &[&String]) -> Fallible<bool> {
    peers::install()?;
    let status = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", r#""$0" "$@"; exit $?"#])
        .arg(env::current_exe()?)
        .args(words)
        .env(INSIDE, "1")
        .status()
        .map_err(|error| format!("start `unshare`: {error}"))?;
    Ok(status.success())
}

fn measure(words: &[String]) -> Fallible<ExitCode> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let started = Instant::now();
    let place = Workplace::mount()?;
    figure::facts(&place.facts()?);
    let mut failed = false;
    for (name, run) in SECTIONS {
        if !words.is_empty() && !words.iter().any(|word| word == name) {
            continue;
        }
        match run(&place) {
            Ok(figures) => figure::table(name, &figures),
            Err(error) => {
                eprintln!("bench: section `{name}`: {error}");
                failed = true;
            }
        }
    }
    figure::note(&format!("{:.0} s in all", started.elapsed().as_secs_f64()));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
