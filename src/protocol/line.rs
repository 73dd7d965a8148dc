//! Framing, apart from parsing: octets to command lines and message data, with every length bounded before it is kept.

/// Message data up to `CRLF.CRLF`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Data {
    /// The content after dot-unstuffing, every line with its CRLF; empty where a limit was passed.
    pub content: Vec<u8>,
    /// Octets that came, with dots and the final `.CRLF`.
    pub octets: u64,
    /// Why the content is not whole or not wanted, the first reason found.
    pub fault: Option<DataFault>,
}

/// What is wrong with message data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFault {
    /// More octets than the message limit.
    TooLarge,
    /// A text line over the limit.
    LineTooLong,
    /// A CR or LF that stands alone, where the lab refuses it.
    LoneNewline,
}
