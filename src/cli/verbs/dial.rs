//! `labctl dial`: standard input and output joined to a lab's control socket.

use crate::{
    cli::{args::Dial, error::Error, exit::Exit, output},
    control::dial,
    engine::LabDir,
};

/// Copies until the process has said all it has to say.
pub fn run(args: &Dial) -> Result<Exit, Error> {
    let socket = LabDir::at(&args.dir)?.socket()?;
    let runtime = super::runtime()?;
    let dialled = runtime.block_on(async {
        let (input, output) = output::streams();
        dial::join(socket.as_path(), input, output).await
    });
    // A read of standard input that is still under way must not keep the program.
    runtime.shutdown_background();
    dialled.map_err(Error::file("dial", socket.as_path()))?;
    Ok(Exit::Done)
}
