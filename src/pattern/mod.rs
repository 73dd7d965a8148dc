//! Patterns of the lab file, matched against what clients and servers say: texts with `*`, mail paths, and the steps of a
//! conversation. Faults strike by them, and checks are judged by them.

pub mod glob;
pub mod said;

pub use self::{
    glob::{Filled, Glob, Path, fold, folded, path_in},
    said::{Fit, Reply, Said, Scratch},
};
