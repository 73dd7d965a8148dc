//! Which record a store is: its identity, the records that it goes on from, and how a copy becomes a record of its own.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{StoreError, pages, schema, state::parsed};
use crate::evidence::{ChainHash, Identity, Parent, Seq};

/// Makes a record of its own of a copied store that no server has open: from here on it has a new identity and goes on from
/// what it was, which it is told by. Returns both.
pub fn branch(path: &Path) -> Result<(Identity, Parent), StoreError> {
    let identity = draw(path)?;
    let mut connection = schema::open_existing(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let become_own = |transaction: rusqlite::Transaction<'_>| {
        let (seq, hash) = pages::anchor(&transaction, u64::MAX)?;
        let parent = Parent { identity: self::identity(&transaction)?, seq: Seq(seq), hash };
        let sql = "INSERT INTO ancestor (identity, seq, hash) VALUES (?, ?, ?)";
        transaction.execute(sql, params![parent.identity.to_string(), seq, hash.0])?;
        transaction.execute("UPDATE meta SET value = ? WHERE key = 'identity'", [identity.to_string()])?;
        transaction.commit()?;
        Ok((identity, parent))
    };
    transaction.and_then(become_own).map_err(|error| StoreError::write(path, &error))
}

/// A new identity.
pub(super) fn draw(path: &Path) -> Result<Identity, StoreError> {
    let mut octets = [0; 16];
    let drawn = getrandom::fill(&mut octets);
    drawn.map_err(|error| StoreError::Open { path: path.to_owned(), why: error.to_string() })?;
    Ok(Identity(octets))
}

/// The identity of the record.
pub(super) fn identity(connection: &Connection) -> rusqlite::Result<Identity> {
    let sql = "SELECT value FROM meta WHERE key = 'identity'";
    connection.query_row(sql, [], |row| parsed(row, 0, str::parse))
}

/// The records that this one goes on from, the oldest first.
pub(super) fn ancestors(connection: &Connection) -> rusqlite::Result<Vec<Parent>> {
    let mut statement = connection.prepare_cached("SELECT identity, seq, hash FROM ancestor ORDER BY place")?;
    let parent = |row: &rusqlite::Row<'_>| {
        let hash = ChainHash(row.get(2)?);
        Ok(Parent { identity: parsed(row, 0, str::parse)?, seq: Seq(row.get(1)?), hash })
    };
    statement.query_map([], parent)?.collect()
}
