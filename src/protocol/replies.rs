//! What the replies of POP3 and IMAP have in common: an enum of them whose variants are keys of the dialects' files. SMTP's are
//! chosen by key, because its refusals come from tables.

/// Makes the enum `Reply` of a protocol from its replies and their keys.
macro_rules! replies {
    ($($(#[$doc:meta])* $reply:ident = $key:literal,)*) => {
        /// A reply of this protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reply {
            $($(#[$doc])* $reply,)*
        }

        impl Reply {
            /// Every reply.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$reply,)*];

            /// The key in the dialects' files.
            pub const fn key(self) -> &'static str {
                match self {
                    $(Self::$reply => $key,)*
                }
            }
        }
    };
}
pub(crate) use replies;

/// `s` where a count wants the plural.
pub const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
