-- A labctl store: the mail and the evidence of one server. Readable with any SQLite client; start with
--   SELECT * FROM record;          every event, decoded, with its time in UTC
--   SELECT * FROM mail;            every message that was ever accepted
-- While the server runs, open it read-only.

--
-- Who wrote it and whether all of it is there can be checked without labctl:
--   meta       `identity`: 128 random bits, drawn when the store was made. `noted_seq`: the record had events up to this number.
--   ancestor   a store that went on from a copy of another one has an identity of its own; up to and with event `seq` it has
--              what that one had.
--   event      hash(n) = SHA-256 of: hash(n - 1), 32 octets, 0 before the first event; seq, time and conn, each 8 octets with the
--              highest first; the hash of the shape, 32 octets; octets, reply_octets, line, reply and detail. Each of these is `-`
--              for NULL, `i` and 8 octets for a number, `t`, the length in 8 octets and UTF-8 for a text.
--              The hash of a shape is SHA-256 of its columns from `run` to `after`, written likewise.
--              The last event of each commit has its hash in `seal`; so has the last one of all.
--   message    its content is covered by the event that says that it was accepted or appended, which has the SHA-256.
--   tombstone  what `labctl compact` took out. A number that is missing from `event` is damage where no tombstone covers it.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

-- What many events have in common, written once: who, in which run, what kind, and the words of it.
CREATE TABLE shape (
    id     INTEGER PRIMARY KEY,
    run    INTEGER NOT NULL CHECK (run >= 1),
    who    TEXT NOT NULL CHECK (who IN ('unknown', 'student', 'instructor', 'server')),
    login  TEXT CHECK ((login IS NOT NULL) = (who IN ('student', 'server'))),   -- a server: its group
    by     TEXT CHECK ((by IS NOT NULL) = (who = 'student')),      -- how the student was recognised
    kind   TEXT NOT NULL,                                          -- command, connected, accepted …
    word   TEXT NOT NULL,                                          -- command: the verb; connected: the service; disconnected: how
    before TEXT CHECK ((before IS NULL) OR (kind = 'command')),    -- the session's state before a command
    after  TEXT CHECK ((after IS NULL) = (before IS NULL))         -- and after it
) STRICT;

-- The records that this one goes on from, the oldest first; none for most stores.
CREATE TABLE ancestor (
    place    INTEGER PRIMARY KEY,
    identity TEXT NOT NULL,
    seq      INTEGER NOT NULL CHECK (seq >= 0),          -- the last event that both have
    hash     BLOB NOT NULL                               -- and the record's hash there
) STRICT;

-- What the server saw, one row each. A gap in `seq` that no tombstone covers is damage.
CREATE TABLE event (
    seq          INTEGER PRIMARY KEY,
    time         INTEGER NOT NULL,                       -- microseconds since 1970-01-01T00:00:00Z
    conn         INTEGER NOT NULL,                       -- connection; 0: none
    shape        INTEGER NOT NULL REFERENCES shape (id),
    octets       INTEGER,                                -- command: octets that came for it
    reply_octets INTEGER,                                -- command: octets of the reply
    line         TEXT,                                   -- command: the line as it came, passwords masked
    reply        TEXT,                                   -- command, connected: the reply's text
    detail       TEXT,                                   -- all of an event of a rarer kind, as JSON; command: pipelined
    seal         BLOB                                    -- the record's hash up to here, at the last event of a commit
) STRICT;

-- What compaction took out: in the stretch from `first` to `last`, `count` events are gone.
CREATE TABLE tombstone (
    first  INTEGER PRIMARY KEY CHECK (first >= 1),
    last   INTEGER NOT NULL CHECK (last >= first),
    count  INTEGER NOT NULL CHECK (count BETWEEN 1 AND last - first + 1),
    before BLOB NOT NULL,                                -- the record's hash before `first`
    kept   BLOB NOT NULL,                                -- the hash of a chain over those that stayed, going on from `before`
    hash   BLOB NOT NULL                                 -- the record's hash at `last` when all were there
) STRICT;

-- What each student, and each address that is no student's, had made the store keep when `noted_seq` was noted.
CREATE TABLE usage (
    account TEXT PRIMARY KEY,                            -- a login, or an address in brackets; [*]: all further ones
    octets  INTEGER NOT NULL,
    told    INTEGER NOT NULL CHECK (told IN (0, 1))      -- whether the record says that it was too much
) STRICT, WITHOUT ROWID;

-- Every message ever accepted. Rows stay when a mailbox lets go of them: they are evidence.
CREATE TABLE message (
    id      INTEGER PRIMARY KEY,
    student TEXT,                                        -- whose session sent it
    trace   BLOB NOT NULL,                               -- what the server put in front: Return-Path, Received
    content BLOB NOT NULL                                -- as sent, without dot-stuffing
) STRICT;

-- The folders of the mailboxes; INBOX is where mail comes in, and POP3's maildrop. A UID is never used twice in a folder.
CREATE TABLE folder (
    id           INTEGER PRIMARY KEY,
    mailbox      TEXT NOT NULL,
    name         TEXT NOT NULL,                          -- levels separated by /
    uid_validity INTEGER NOT NULL CHECK (uid_validity >= 1),
    next_uid     INTEGER NOT NULL CHECK (next_uid >= 1),
    modseq       INTEGER NOT NULL CHECK (modseq >= 1),   -- the highest modification sequence
    recent_uid   INTEGER NOT NULL,                       -- from this UID on no session has been told of a message
    keywords     TEXT NOT NULL,                          -- with blanks between; the nth stands for bit 8 + n of flags
    UNIQUE (mailbox, name)
) STRICT;

-- What the folders hold now.
CREATE TABLE entry (
    folder   INTEGER NOT NULL REFERENCES folder (id),
    uid      INTEGER NOT NULL CHECK (uid >= 1),
    message  INTEGER NOT NULL REFERENCES message (id),
    octets   INTEGER NOT NULL CHECK (octets >= 0),       -- trace and content together
    flags    INTEGER NOT NULL,                           -- 1 answered, 2 flagged, 4 deleted, 8 seen, 16 draft
    modseq   INTEGER NOT NULL,
    received INTEGER NOT NULL,                           -- seconds since 1970-01-01T00:00:00Z
    PRIMARY KEY (folder, uid)
) STRICT, WITHOUT ROWID;

-- Names that a mailbox's owner has subscribed to; the folder need not be there.
CREATE TABLE subscription (
    mailbox TEXT NOT NULL,
    name    TEXT NOT NULL,
    PRIMARY KEY (mailbox, name)
) STRICT, WITHOUT ROWID;

-- Recipients whom other servers are to get a message for. A row goes when the recipient is delivered to or given up.
CREATE TABLE outgoing (
    id        INTEGER PRIMARY KEY,
    message   INTEGER NOT NULL REFERENCES message (id),
    sender    TEXT NOT NULL,                             -- the reverse-path; '' for the null path
    recipient TEXT NOT NULL,
    domain    TEXT NOT NULL,                             -- where it goes, lower case
    student   TEXT,                                      -- who sent it
    queued    INTEGER NOT NULL,                          -- microseconds since 1970-01-01T00:00:00Z
    since     INTEGER NOT NULL,                          -- the same on a clock that nobody sets, as the next
    due       INTEGER NOT NULL,                          -- when it is tried (again)
    attempts  INTEGER NOT NULL CHECK (attempts >= 0),
    warned    INTEGER NOT NULL CHECK (warned IN (0, 1)), -- whether the sender has heard of the delay
    reply     TEXT,                                      -- what the last try was told
    detail    TEXT NOT NULL                              -- who brought it, the run, what the sender wants to hear, as JSON
) STRICT;

-- What other servers of the lab have passed on, by its name in their queue, and for whom it was kept here: what comes again
-- is not kept again.
CREATE TABLE passed (
    queue_name TEXT NOT NULL,
    place      TEXT NOT NULL,                            -- a mailbox, or the address of a recipient elsewhere
    PRIMARY KEY (queue_name, place)
) STRICT, WITHOUT ROWID;

-- Which mail of the lab was injected in the current runs; '' stands for a copy that the group shares.
CREATE TABLE injected (
    mail    TEXT NOT NULL,
    student TEXT NOT NULL,
    message INTEGER NOT NULL REFERENCES message (id),
    PRIMARY KEY (mail, student, message)
) STRICT, WITHOUT ROWID;

-- A student's runs after the first: each reset starts one.
CREATE TABLE run (
    student TEXT NOT NULL,
    run     INTEGER NOT NULL CHECK (run >= 2),
    time    INTEGER NOT NULL,                            -- microseconds since 1970-01-01T00:00:00Z
    PRIMARY KEY (student, run)
) STRICT, WITHOUT ROWID;

CREATE VIEW record AS
    SELECT seq, strftime('%Y-%m-%dT%H:%M:%S', time / 1000000, 'unixepoch') || printf('.%06dZ', time % 1000000) AS time,
           run, conn, coalesce(login, who) AS who, by, kind, word, line, reply, octets, reply_octets, before, after, detail
    FROM event LEFT JOIN shape ON shape.id = event.shape
    ORDER BY seq;

CREATE VIEW mail AS
    SELECT message.id, student, group_concat(folder.mailbox || CASE folder.name WHEN 'INBOX' THEN '' ELSE '/' || folder.name END, ' ') AS kept_in,
           length(trace) + length(content) AS octets, CAST(trace AS TEXT) AS trace, CAST(content AS TEXT) AS content
    FROM message LEFT JOIN entry ON entry.message = message.id LEFT JOIN folder ON folder.id = entry.folder
    GROUP BY message.id;
