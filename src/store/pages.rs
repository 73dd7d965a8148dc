//! Reading the record page by page: each page is a read transaction of its own, over before anybody works on what it gave, so
//! that a slow reader never keeps the writer's log from being written back. Every page is held against the chain.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
};

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Transaction, types::ValueRef};

use super::{
    chain::{self, Damage, Tombstone, Walk},
    state::{self, Known},
};
use crate::evidence::{ChainHash, Seq};

/// The most events of one page.
pub(super) const PAGE: usize = 1_000;

/// The shapes that a reader has met. Shapes are only ever added, so that what was read once holds.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    known: HashMap<i64, Known>,
    last: i64,
}

impl Shapes {
    /// The shape of this number.
    pub(super) fn of(&self, id: i64) -> Option<&Known> {
        self.known.get(&id)
    }

    /// Reads what was added.
    pub(super) fn refresh(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for (id, known) in state::shapes(connection, self.last)? {
            self.last = self.last.max(id);
            self.known.insert(id, known);
        }
        Ok(())
    }
}

/// What a page hands out.
pub(super) enum Item<'a> {
    /// A row of `event`, with its shape where there is one of that number.
    Row(u64, &'a rusqlite::Row<'a>, Option<&'a Known>),
    /// What stands in place of this event.
    Damaged(u64, Damage),
}

/// How far somebody has read.
#[derive(Debug)]
pub(super) struct Position {
    /// The last number handed out.
    pub(super) last: u64,
    walk: Option<Walk>,
    /// How often the store had been compacted.
    compacted: i64,
}

impl Position {
    pub(super) fn after(seq: Seq) -> Self {
        Self { last: seq.0, walk: None, compacted: 0 }
    }
}

/// Reads the next page; whether there is more.
pub(super) fn page(
    connection: &Connection,
    shapes: &RefCell<Shapes>,
    position: &mut Position,
    each: &mut dyn FnMut(Item<'_>),
) -> rusqlite::Result<bool> {
    // Shapes, events and tombstones of the same moment.
    let transaction = connection.unchecked_transaction()?;
    let mut shapes = shapes.borrow_mut();
    shapes.refresh(&transaction)?;
    let mut found = Vec::new();
    let compacted = number(&transaction, "compacted")?;
    let mut walk = match position.walk.take() {
        Some(walk) if position.compacted == compacted => walk,
        _ => walk_to(&transaction, &shapes, position.last)?,
    };
    position.compacted = compacted;
    let after = position.last;
    let mut statement = rows(&transaction)?;
    let mut rows = statement.query([after])?;
    let mut read = 0;
    while let Some(row) = rows.next()? {
        if read == PAGE {
            position.walk = Some(walk);
            return Ok(true);
        }
        read += 1;
        let (seq, shape) = take(&mut walk, row, &shapes, &mut found)?;
        let mut instead = None;
        for damage in found.drain(..) {
            let at = damage.last.max(position.last + 1);
            if at < seq {
                position.last = at;
                each(Item::Damaged(at, damage));
            } else {
                instead = Some(damage);
            }
        }
        position.last = seq;
        each(instead.map_or(Item::Row(seq, row, shape), |damage| Item::Damaged(seq, damage)));
    }
    walk.end(number(&transaction, "noted_seq")?.unsigned_abs(), &mut found);
    for damage in found.into_iter().filter(|damage| damage.last > after) {
        position.last = damage.last.max(position.last);
        each(Item::Damaged(position.last, damage));
    }
    Ok(false)
}

/// The chain's hash at an event; none where the record is damaged there or the event is inside a compacted stretch.
pub(super) fn hash_at(
    connection: &Connection,
    shapes: &RefCell<Shapes>,
    seq: Seq,
) -> rusqlite::Result<Option<ChainHash>> {
    let transaction = connection.unchecked_transaction()?;
    let mut shapes = shapes.borrow_mut();
    shapes.refresh(&transaction)?;
    let walk = walk_to(&transaction, &shapes, seq.0)?;
    Ok(walk.here().filter(|(at, _)| *at == seq.0).map(|(_, hash)| hash))
}

/// The last number whose hash the file tells, and the hash; at most this one.
pub(super) fn anchor(connection: &Connection, at_most: u64) -> rusqlite::Result<(u64, ChainHash)> {
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    let ask = |sql: &str| {
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row([at_most], |row| Ok((row.get(0)?, hash(row, 1)?))).optional()
    };
    let seal = ask("SELECT seq, seal FROM event WHERE seq <= ? AND seal IS NOT NULL ORDER BY seq DESC LIMIT 1")?;
    let passed = ask("SELECT last, hash FROM tombstone WHERE last <= ? ORDER BY first DESC LIMIT 1")?;
    let inside = ask("SELECT first - 1, before FROM tombstone WHERE first <= ?1 AND last > ?1")?;
    let found = [inside, passed, seal].into_iter().flatten().max_by_key(|(seq, _)| *seq);
    Ok(found.unwrap_or((0, ChainHash::START)))
}

/// A walk that has passed the events up to this one.
fn walk_to(transaction: &Transaction<'_>, shapes: &Shapes, seq: u64) -> rusqlite::Result<Walk> {
    let (at, hash) = anchor(transaction, seq)?;
    let mut walk = Walk::from(at, hash, tombstones(transaction, at)?);
    let mut statement = rows(transaction)?;
    let mut rows = statement.query([at])?;
    let mut known = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, u64>(0)? > seq {
            break;
        }
        take(&mut walk, row, shapes, &mut known)?;
    }
    Ok(walk)
}

/// Has the walk pass a row; its number and shape.
fn take<'a>(
    walk: &mut Walk,
    row: &rusqlite::Row<'_>,
    shapes: &'a Shapes,
    found: &mut Vec<Damage>,
) -> rusqlite::Result<(u64, Option<&'a Known>)> {
    let seq = row.get(0)?;
    let shape = shapes.of(row.get(3)?);
    let columns = [row.get_ref(4)?, row.get_ref(5)?, row.get_ref(6)?, row.get_ref(7)?, row.get_ref(8)?];
    let hash_of_shape = shape.map_or(ChainHash::START, |(_, hash)| *hash);
    let fields = chain::Row { seq, time: row.get(1)?, conn: row.get(2)?, shape: hash_of_shape, columns };
    let seal = match row.get_ref(9)? {
        ValueRef::Null => None,
        _ => Some(hash(row, 9).unwrap_or(ChainHash::START)),
    };
    walk.take(&fields, seal, found);
    Ok((seq, shape))
}

fn rows(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached(
        "SELECT seq, time, conn, shape, octets, reply_octets, line, reply, detail, seal FROM event \
         WHERE seq > ? ORDER BY seq",
    )
}

/// The tombstones that end behind this number, in order.
fn tombstones(connection: &Connection, after: u64) -> rusqlite::Result<VecDeque<Tombstone>> {
    let sql = "SELECT first, last, count, before, kept, hash FROM tombstone WHERE last > ? ORDER BY first";
    let tombstone = |row: &rusqlite::Row<'_>| {
        let (first, last, count) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Tombstone { first, last, count, before: hash(row, 3)?, kept: hash(row, 4)?, hash: hash(row, 5)? })
    };
    connection.prepare_cached(sql)?.query_map([after], tombstone)?.collect()
}

/// A hash in a column.
fn hash(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<ChainHash> {
    row.get(at).map(ChainHash)
}

/// A number in `meta`; 0 where it is not there.
fn number(connection: &Connection, key: &str) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(max(value), 0) FROM meta WHERE key = ?";
    connection.prepare_cached(sql)?.query_row([key], |row| row.get(0))
}

/// The first thing that does not hold, going through all pages.
pub(super) fn first_damage(connection: &Connection, shapes: &RefCell<Shapes>) -> rusqlite::Result<Option<Damage>> {
    let (mut position, mut first) = (Position::after(Seq(0)), None);
    loop {
        let more = page(connection, shapes, &mut position, &mut |item| {
            if let Item::Damaged(_, damage) = item {
                first.get_or_insert(damage);
            }
        })?;
        if first.is_some() || !more {
            return Ok(first);
        }
    }
}
