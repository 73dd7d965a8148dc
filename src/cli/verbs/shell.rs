//! `labctl shell`: a terminal in a student's container. Ours is raw meanwhile, so that every key, Ctrl-C too, goes there.

mod progress;

use std::{env, io::IsTerminal as _};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use self::progress::Look;
use super::exec::{docker, student};
use crate::{
    cli::{args::ShellArgs, error::Error, exit::Exit, naming::Shell, output},
    engine::docker::Running,
};

/// A login shell, bash where there is one.
const SHELL: &str = "if command -v bash >/dev/null; then exec bash -l; else exec sh -l; fi";

/// Opens it; ends as the shell in it ends.
pub fn run(shell: &Shell, args: &ShellArgs) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    let (group, login) = student(&opened, &args.student)?;
    let terminal = std::io::stdin().is_terminal() && shell.out.is_terminal();
    let kind = terminal.then(|| env::var("TERM").unwrap_or_else(|_| "xterm".into()));
    let command = ["sh", "-c", SHELL].map(str::to_owned).to_vec();
    let runtime = super::runtime()?;
    let ended = runtime.block_on(async {
        let docker = docker(&opened).await?;
        let running = docker.session(&group, &login, command, kind).await?;
        let look = Look { words: shell.out.words_for(&opened.lab), width: shell.out.width() };
        let progress = Box::pin(progress::answer(&docker, &opened, &group, &login, look));
        if !terminal {
            let (input, out) = output::streams();
            let ended = beside(progress, running.join(input, out, output::errors())).await;
            return Ok(ended?);
        }
        let before = raw()?;
        let ended = beside(progress, on_terminal(running)).await;
        let restored = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
        restored.map_err(|problem| Error::Output(problem.into())).and(ended)
    });
    // A read of standard input that is still under way must not keep the program.
    runtime.shutdown_background();
    ended.map(Exit::Program)
}

/// The program's end, with something going on beside it until then.
async fn beside<T>(aside: impl Future<Output = ()>, program: impl Future<Output = T>) -> T {
    let aside = async {
        aside.await;
        std::future::pending().await
    };
    tokio::select! {
        ended = program => ended,
        never = aside => never,
    }
}

async fn on_terminal(running: Running) -> Result<u8, Error> {
    let resize = running.resizer();
    let mut resized = signal(SignalKind::window_change()).map_err(Error::Runtime)?;
    let watch = tokio::spawn(async move {
        loop {
            if let Ok(size) = tcgetwinsize(std::io::stdin()) {
                resize(size.ws_col, size.ws_row).await;
            }
            if resized.recv().await.is_none() {
                return;
            }
        }
    });
    let (input, out) = output::streams();
    let ended = running.join(input, out, output::errors()).await;
    watch.abort();
    Ok(ended?)
}

/// Makes the terminal raw; how it was before.
fn raw() -> Result<Termios, Error> {
    let failed = |problem: rustix::io::Errno| Error::Output(problem.into());
    let before = tcgetattr(std::io::stdin()).map_err(failed)?;
    let mut raw = before.clone();
    raw.make_raw();
    tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
    Ok(before)
}
