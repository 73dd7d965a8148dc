#!/usr/bin/env python3
"""Holds a store against its chain by what schema.sql says, and nothing of labctl: prints the last event and its hash."""

import hashlib
import sqlite3
import struct
import sys


def field(value):
    if value is None:
        return b"-"
    if isinstance(value, int):
        return b"i" + struct.pack(">q", value)
    octets = value.encode()
    return b"t" + struct.pack(">Q", len(octets)) + octets


store = sqlite3.connect(f"file:{sys.argv[1].replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?mode=ro", uri=True)
shapes = {
    row[0]: hashlib.sha256(b"".join(map(field, row[1:]))).digest()
    for row in store.execute("SELECT id, run, who, login, by, kind, word, before, after FROM shape")
}
stretches = list(store.execute("SELECT first, last, count, before, kept, hash FROM tombstone ORDER BY first"))
at, running = 0, bytes(32)
inside = None


def leave():
    global at, running, inside
    first, last, count, _, kept, after = inside[0]
    if inside[1] != kept or inside[2] + count != last - first + 1:
        sys.exit(1)
    at, running, inside = last, after, None


def enter(seq):
    global inside
    while stretches and stretches[0][0] <= seq:
        inside = [stretches.pop(0), running, 0]
        if inside[0][0] != at + 1 or inside[0][3] != running:
            sys.exit(1)
        if inside[0][1] >= seq:
            return
        leave()


for seq, time, conn, shape, *columns, seal in store.execute(
    "SELECT seq, time, conn, shape, octets, reply_octets, line, reply, detail, seal FROM event ORDER BY seq"
):
    if inside and inside[0][1] < seq:
        leave()
    if not inside:
        enter(seq)
    before = inside[1] if inside else running
    octets = before + struct.pack(">qqq", seq, time, conn) + shapes[shape] + b"".join(map(field, columns))
    hashed = hashlib.sha256(octets).digest()
    if inside:
        inside[1], inside[2] = hashed, inside[2] + 1
        if inside[0][1] == seq:
            leave()
        continue
    if seq != at + 1 or seal not in (None, hashed):
        sys.exit(1)
    at, running = seq, hashed
sealed = seal is not None
if not sealed:
    sys.exit(1)
print(at, running.hex())
