//! The commands by name: when each may come, how it is written, and how much of its line may be recorded (RFC 9051 6).

/// A command that this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Capability,
    Noop,
    Logout,
    Id,
    StartTls,
    Authenticate,
    Login,
    Enable,
    Select,
    Examine,
    Create,
    Delete,
    Rename,
    Subscribe,
    Unsubscribe,
    List,
    Lsub,
    Namespace,
    Status,
    Append,
    Idle,
    Check,
    Close,
    Unselect,
    Expunge,
    Search,
    Sort,
    Thread,
    Fetch,
    Store,
    Copy,
    Move,
}

/// In which states a command may come (RFC 9051 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In all of them.
    Anywhere,
    /// Before the login.
    NotAuthenticated,
    /// After it.
    Authenticated,
    /// While a folder is open.
    Selected,
}

/// What the table says of a verb.
pub struct Rule {
    /// As it is written.
    pub name: &'static str,
    /// When it may come.
    pub place: Place,
    /// Whether `UID` may stand before it.
    pub uid: bool,
    /// How to write it, for a reply.
    pub usage: &'static str,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 32] = [
        Self::Capability,
        Self::Noop,
        Self::Logout,
        Self::Id,
        Self::StartTls,
        Self::Authenticate,
        Self::Login,
        Self::Enable,
        Self::Select,
        Self::Examine,
        Self::Create,
        Self::Delete,
        Self::Rename,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::List,
        Self::Lsub,
        Self::Namespace,
        Self::Status,
        Self::Append,
        Self::Idle,
        Self::Check,
        Self::Close,
        Self::Unselect,
        Self::Expunge,
        Self::Search,
        Self::Sort,
        Self::Thread,
        Self::Fetch,
        Self::Store,
        Self::Copy,
        Self::Move,
    ];

    /// The verb of this name in any case.
    pub fn named(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.rule().name.as_bytes().eq_ignore_ascii_case(word))
    }

    /// Its row of the table.
    pub const fn rule(self) -> Rule {
        use Place::{Anywhere, Authenticated, NotAuthenticated, Selected};
        let (name, place, uid, usage) = match self {
            Self::Capability => ("CAPABILITY", Anywhere, false, "CAPABILITY"),
            Self::Noop => ("NOOP", Anywhere, false, "NOOP"),
            Self::Logout => ("LOGOUT", Anywhere, false, "LOGOUT"),
            Self::Id => ("ID", Anywhere, false, "ID NIL or ID (\"name\" \"my program\")"),
            Self::StartTls => ("STARTTLS", NotAuthenticated, false, "STARTTLS"),
            Self::Authenticate => ("AUTHENTICATE", NotAuthenticated, false, "AUTHENTICATE mechanism"),
            Self::Login => ("LOGIN", NotAuthenticated, false, "LOGIN name password"),
            Self::Enable => ("ENABLE", Authenticated, false, "ENABLE IMAP4rev2"),
            Self::Select => ("SELECT", Authenticated, false, "SELECT folder"),
            Self::Examine => ("EXAMINE", Authenticated, false, "EXAMINE folder"),
            Self::Create => ("CREATE", Authenticated, false, "CREATE folder"),
            Self::Delete => ("DELETE", Authenticated, false, "DELETE folder"),
            Self::Rename => ("RENAME", Authenticated, false, "RENAME folder newname"),
            Self::Subscribe => ("SUBSCRIBE", Authenticated, false, "SUBSCRIBE folder"),
            Self::Unsubscribe => ("UNSUBSCRIBE", Authenticated, false, "UNSUBSCRIBE folder"),
            Self::List => ("LIST", Authenticated, false, "LIST \"\" \"*\""),
            Self::Lsub => ("LSUB", Authenticated, false, "LSUB \"\" \"*\""),
            Self::Namespace => ("NAMESPACE", Authenticated, false, "NAMESPACE"),
            Self::Status => ("STATUS", Authenticated, false, "STATUS folder (MESSAGES UNSEEN)"),
            Self::Append => ("APPEND", Authenticated, false, "APPEND folder (\\Seen) {octets}"),
            Self::Idle => ("IDLE", Authenticated, false, "IDLE"),
            Self::Check => ("CHECK", Selected, false, "CHECK"),
            Self::Close => ("CLOSE", Selected, false, "CLOSE"),
            Self::Unselect => ("UNSELECT", Selected, false, "UNSELECT"),
            Self::Expunge => ("EXPUNGE", Selected, true, "EXPUNGE, or UID EXPUNGE 1:3"),
            Self::Search => ("SEARCH", Selected, true, "SEARCH UNSEEN, or SEARCH FROM \"ana\""),
            Self::Sort => ("SORT", Selected, true, "SORT (REVERSE DATE) UTF-8 ALL"),
            Self::Thread => ("THREAD", Selected, true, "THREAD REFERENCES UTF-8 ALL"),
            Self::Fetch => ("FETCH", Selected, true, "FETCH 1 (FLAGS BODY[])"),
            Self::Store => ("STORE", Selected, true, "STORE 1 +FLAGS (\\Seen)"),
            Self::Copy => ("COPY", Selected, true, "COPY 1:3 folder"),
            Self::Move => ("MOVE", Selected, true, "MOVE 1:3 folder"),
        };
        Rule { name, place, uid, usage }
    }
}
