//! One file per verb. Each has `run`, which does the verb and says how the program ends. What several have in common:
//! [`tend`], [`interrupted`].

pub mod archive;
pub mod check;
pub mod completions;
pub mod cp;
pub mod credentials;
pub mod dial;
pub mod disconnect;
pub mod down;
pub mod exec;
pub mod fault;
pub mod freeze;
pub mod images;
pub mod inject;
pub mod interrupted;
pub mod logs;
pub mod man;
pub mod new;
pub mod proof;
pub mod queue;
pub mod rehearse;
pub mod report;
pub mod reset;
pub mod restart;
pub mod serve;
pub mod shell;
pub mod show;
pub mod start;
pub mod status;
pub mod tend;
pub mod thaw;
pub mod trace;
pub mod up;

use tokio::runtime::{Builder, Runtime};

use super::error::Error;

/// What a verb needs to talk to the process that serves a lab.
pub fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)
}
