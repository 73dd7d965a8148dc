//! The command line: one file per verb in [`verbs`], one place that prints ([`output`]), one enum of errors and one of exit
//! codes. A verb locates its lab, asks the other rooms, and prints.

pub mod args;
pub mod error;
pub mod exit;
pub mod labfile;
pub mod marks;
pub mod naming;
pub mod output;
pub mod verbs;
pub mod whom;

use std::{env, path::PathBuf, process::ExitCode};

use clap::Parser as _;

use self::{
    args::{Args, Global, Verb},
    error::Error,
    exit::Exit,
    naming::Shell,
    output::Output,
};
use crate::engine::StateDir;

/// Runs the program.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(problem) => return usage(&problem).into(),
    };
    let out = Output::new(&args.global);
    let exit = run(out, args).unwrap_or_else(|problem| {
        let exit = problem.exit();
        if exit != Exit::Done {
            out.problem(&problem, problem.hint().as_deref());
        }
        exit
    });
    exit.into()
}

fn run(out: Output, args: Args) -> Result<Exit, Error> {
    let state = state_dir(&args.global)?;
    let shell = Shell { out, state };
    match args.verb {
        Verb::New(args) => verbs::new::run(&shell, &args),
        Verb::Check(args) => verbs::check::run(&shell, &args),
        Verb::Up(args) => verbs::up::run(&shell, &args),
        Verb::Status(args) => verbs::status::run(&shell, &args),
        Verb::Credentials(args) => verbs::credentials::run(&shell, &args),
        Verb::Inject(args) => verbs::inject::run(&shell, &args),
        Verb::Trace(args) => verbs::trace::run(&shell, &args),
        Verb::Report(args) => verbs::report::run(&shell, &args),
        Verb::Rehearse(args) => verbs::rehearse::run(&shell, &args),
        Verb::Show(args) => verbs::show::run(&shell, &args),
        Verb::Queue(args) => verbs::queue::run(&shell, &args),
        Verb::Fault(args) => verbs::fault::run(&shell, &args),
        Verb::Reset(args) => verbs::reset::run(&shell, &args),
        Verb::Shell(args) => verbs::shell::run(&shell, &args),
        Verb::Exec(args) => verbs::exec::run(&shell, &args),
        Verb::Cp(args) => verbs::cp::run(&shell, &args),
        Verb::Logs(args) => verbs::logs::run(&shell, &args),
        Verb::Start(args) => verbs::start::run(&shell, &args),
        Verb::Restart(args) => verbs::restart::run(&shell, &args),
        Verb::Disconnect(args) => verbs::disconnect::run(&shell, &args),
        Verb::Freeze(args) => verbs::freeze::run(&shell, &args),
        Verb::Thaw(args) => verbs::thaw::run(&shell, &args),
        Verb::Archive(args) => verbs::archive::run(&shell, &args),
        Verb::Images(args) => verbs::images::run(&shell, &args),
        Verb::Down(args) => verbs::down::run(&shell, &args),
        Verb::Completions(args) => verbs::completions::run(&shell, &args),
        Verb::Man(args) => verbs::man::run(&args),
        Verb::Serve(args) => verbs::serve::run(&args),
        Verb::Dial(args) => verbs::dial::run(&args),
    }
}

fn state_dir(global: &Global) -> Result<StateDir, Error> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = &global.state_dir {
        output::given::state_dir(&folder.display().to_string());
    }
    if let Some(folder) = global.state_dir.clone().or_else(|| variable("LABCTL_STATE_DIR")) {
        return std::path::absolute(&folder).map(StateDir::new).map_err(Error::file("find", folder));
    }
    let (xdg, home) = (variable("XDG_STATE_HOME"), variable("HOME"));
    Ok(StateDir::from_environment(xdg.as_deref(), home.as_deref())?)
}

/// What clap has to say: help and version are data, the rest is a wrong command line.
fn usage(problem: &clap::Error) -> Exit {
    let text = problem.render().ansi().to_string();
    let out = Output::plain();
    if problem.use_stderr() {
        out.diagnostics(&text);
        return Exit::Usage;
    }
    out.styled(&text).map_or_else(|problem| problem.exit(), |()| Exit::Done)
}
