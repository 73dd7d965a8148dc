-- From format 1 to 2: servers pass mail on to each other.
DROP VIEW record;
ALTER TABLE shape RENAME TO shape_1;
CREATE TABLE shape (
    id     INTEGER PRIMARY KEY,
    run    INTEGER NOT NULL CHECK (run >= 1),
    who    TEXT NOT NULL CHECK (who IN ('unknown', 'student', 'instructor', 'server')),
    login  TEXT CHECK ((login IS NOT NULL) = (who IN ('student', 'server'))),
    by     TEXT CHECK ((by IS NOT NULL) = (who = 'student')),
    kind   TEXT NOT NULL,
    word   TEXT NOT NULL,
    before TEXT CHECK ((before IS NULL) OR (kind = 'command')),
    after  TEXT CHECK ((after IS NULL) = (before IS NULL))
) STRICT;
INSERT INTO shape SELECT * FROM shape_1;
DROP TABLE shape_1;
CREATE TABLE outgoing (
    id        INTEGER PRIMARY KEY,
    message   INTEGER NOT NULL REFERENCES message (id),
    sender    TEXT NOT NULL,
    recipient TEXT NOT NULL,
    domain    TEXT NOT NULL,
    student   TEXT,
    queued    INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    attempts  INTEGER NOT NULL CHECK (attempts >= 0),
    warned    INTEGER NOT NULL CHECK (warned IN (0, 1)),
    reply     TEXT,
    detail    TEXT NOT NULL
) STRICT;
CREATE VIEW record AS
    SELECT seq, strftime('%Y-%m-%dT%H:%M:%S', time / 1000000, 'unixepoch') || printf('.%06dZ', time % 1000000) AS time,
           run, conn, coalesce(login, who) AS who, by, kind, word, line, reply, octets, reply_octets, before, after, detail
    FROM event LEFT JOIN shape ON shape.id = event.shape
    ORDER BY seq;
