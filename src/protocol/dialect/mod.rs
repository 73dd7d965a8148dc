//! dialect
/// dialect
#[derive(Debug)]
pub struct Dialect;
