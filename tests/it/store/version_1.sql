-- A store as labctl wrote it before it had folders, with two messages in ben's mailbox.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE shape (
    id     INTEGER PRIMARY KEY,
    run    INTEGER NOT NULL CHECK (run >= 1),
    who    TEXT NOT NULL CHECK (who IN ('unknown', 'student', 'instructor')),
    login  TEXT CHECK ((login IS NOT NULL) = (who = 'student')),
    by     TEXT CHECK ((by IS NOT NULL) = (who = 'student')),      -- how the student was recognised
    kind   TEXT NOT NULL,                                          -- command, connected, accepted …
    word   TEXT NOT NULL,                                          -- command: the verb; connected: the protocol; disconnected: how
    before TEXT CHECK ((before IS NULL) OR (kind = 'command')),    -- the session's state before a command
    after  TEXT CHECK ((after IS NULL) = (before IS NULL))         -- and after it
) STRICT;

CREATE TABLE event (
    seq          INTEGER PRIMARY KEY,
    time         INTEGER NOT NULL,                       -- microseconds since 1970-01-01T00:00:00Z
    conn         INTEGER NOT NULL,                       -- connection; 0: none
    shape        INTEGER NOT NULL REFERENCES shape (id),
    octets       INTEGER,                                -- command: octets that came for it
    reply_octets INTEGER,                                -- command: octets of the reply
    line         TEXT,                                   -- command: the line as it came, passwords masked
    reply        TEXT,                                   -- command, connected: the reply's text
    detail       TEXT                                    -- all of an event of a rarer kind, as JSON
) STRICT;

CREATE TABLE message (
    id      INTEGER PRIMARY KEY,
    student TEXT,                                        -- whose session sent it
    trace   BLOB NOT NULL,                               -- what the server put in front: Return-Path, Received
    content BLOB NOT NULL                                -- as sent, without dot-stuffing
) STRICT;

CREATE TABLE mailbox (
    name     TEXT PRIMARY KEY,
    next_uid INTEGER NOT NULL CHECK (next_uid >= 1)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
    mailbox TEXT NOT NULL REFERENCES mailbox (name),
    uid     INTEGER NOT NULL CHECK (uid >= 1),
    message INTEGER NOT NULL REFERENCES message (id),
    octets  INTEGER NOT NULL CHECK (octets >= 0),        -- trace and content together
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

CREATE TABLE injected (
    mail    TEXT NOT NULL,
    student TEXT NOT NULL,
    message INTEGER NOT NULL REFERENCES message (id),
    PRIMARY KEY (mail, student, message)
) STRICT, WITHOUT ROWID;

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
    SELECT message.id, student, group_concat(entry.mailbox, ' ') AS kept_in,
           length(trace) + length(content) AS octets, CAST(trace AS TEXT) AS trace, CAST(content AS TEXT) AS content
    FROM message LEFT JOIN entry ON entry.message = message.id
    GROUP BY message.id;
INSERT INTO message (id, student, trace, content) VALUES (1, NULL, x'', x'61620d0a'), (2, NULL, x'', x'630d0a');
INSERT INTO mailbox (name, next_uid) VALUES ('ben', 6);
INSERT INTO entry (mailbox, uid, message, octets) VALUES ('ben', 2, 1, 4), ('ben', 5, 2, 3);
PRAGMA application_id = 1818321507;
PRAGMA user_version = 1;
