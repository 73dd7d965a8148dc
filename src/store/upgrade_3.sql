-- From format 2 to 3: mailboxes have folders, and messages flags.
DROP VIEW mail;
ALTER TABLE mailbox RENAME TO mailbox_1;
ALTER TABLE entry RENAME TO entry_1;

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

INSERT INTO folder (mailbox, name, uid_validity, next_uid, modseq, recent_uid, keywords)
    SELECT name, 'INBOX', unixepoch(), next_uid, 1, 1, '' FROM mailbox_1 ORDER BY name;
INSERT INTO subscription (mailbox, name) SELECT name, 'INBOX' FROM mailbox_1;
INSERT INTO entry (folder, uid, message, octets, flags, modseq, received)
    SELECT folder.id, uid, message, octets, 0, 1, unixepoch() FROM entry_1 JOIN folder ON folder.mailbox = entry_1.mailbox;
DROP TABLE entry_1;
DROP TABLE mailbox_1;

CREATE VIEW mail AS
    SELECT message.id, student, group_concat(folder.mailbox || CASE folder.name WHEN 'INBOX' THEN '' ELSE '/' || folder.name END, ' ') AS kept_in,
           length(trace) + length(content) AS octets, CAST(trace AS TEXT) AS trace, CAST(content AS TEXT) AS content
    FROM message LEFT JOIN entry ON entry.message = message.id LEFT JOIN folder ON folder.id = entry.folder
    GROUP BY message.id;
