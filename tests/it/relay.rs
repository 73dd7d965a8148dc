//! Mail between domains: servers of two groups in this process, over real connections.

mod between;
mod killed;
mod names;
mod notices;
mod postfix;
mod secure;
mod turned;
mod two;
