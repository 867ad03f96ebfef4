//! What was changed lately, over all resources of a type or of a tenant: versions, newest first.
//!
//! Only keys are read in order, the current ones and the past ones beside each other; the versions of a page are then read
//! one by one. Versions never change, and new ones are younger, so pages neither lose nor repeat.

use super::dialect::{Cell, Reader};
use super::{Error, Scope, Stored, resources};

const CURRENT: &str = "SELECT r.updated, r.id, r.version FROM resources r
    WHERE r.tenant = $1 AND r.kind = $2 AND r.updated >= $3 AND r.updated <= $4 AND (r.updated, r.id, r.version) < ($4, $5, $6)
    ORDER BY r.updated DESC, r.id DESC, r.version DESC LIMIT $7";
const PAST: &str = "SELECT v.updated, v.id, v.version FROM versions v
    WHERE v.tenant = $1 AND v.kind = $2 AND v.updated >= $3 AND v.updated <= $4 AND (v.updated, v.id, v.version) < ($4, $5, $6)
    ORDER BY v.updated DESC, v.id DESC, v.version DESC LIMIT $7";
const NEXT_KIND: &str = "SELECT r.kind FROM resources r WHERE r.tenant = $1 AND r.kind > $2 ORDER BY r.kind LIMIT 1";

/// A version by what its place among all others hangs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// When it was made, UTC milliseconds.
    pub updated: i64,
    /// Its resource type.
    pub kind: String,
    /// The id of its resource.
    pub id: String,
    /// Its number.
    pub version: i64,
}

/// At most `count` versions made at or after `since` and before `before`.
pub(super) async fn page(
    reader: &Reader,
    scope: &Scope,
    kind: Option<&str>,
    since: i64,
    before: Option<&Version>,
    count: i64,
) -> Result<Vec<Stored>, Error> {
    let mut keys = Vec::new();
    match kind {
        Some(kind) => keys.extend(of_kind(reader, scope, kind, since, before, count).await?),
        None => {
            let mut last = String::new();
            while let Some(mut row) = reader.row(NEXT_KIND, &[Cell::Text(&scope.tenant), Cell::Text(&last)]).await? {
                last = row.text()?;
                keys.extend(of_kind(reader, scope, &last, since, before, count).await?);
            }
        }
    }
    keys.sort_unstable_by(|left, right| right.cmp(left));
    // What was current at the first question may be past at the second.
    keys.dedup();
    keys.truncate(usize::try_from(count).unwrap_or_default());
    let mut found = Vec::with_capacity(keys.len());
    for Version { kind, id, version, .. } in &keys {
        let current = resources::read(reader, scope, kind, id).await?;
        found.extend(match current {
            Some(current) if current.version == *version => Some(current),
            _ => resources::version(reader, scope, kind, id, *version).await?,
        });
    }
    Ok(found)
}

/// The keys of one type, from both tables.
async fn of_kind(
    reader: &Reader,
    scope: &Scope,
    kind: &str,
    since: i64,
    before: Option<&Version>,
    count: i64,
) -> Result<Vec<Version>, Error> {
    // All types stand in one order: of those that come after the last type shown, what has its stamp was shown already.
    let (updated, id, version) = match before {
        None => (i64::MAX, "", 0),
        Some(last) if kind == last.kind => (last.updated, last.id.as_str(), last.version),
        Some(last) if kind < last.kind.as_str() => (last.updated + 1, "", 0),
        Some(last) => (last.updated, "", 0),
    };
    let tenant = Cell::Text(&scope.tenant);
    let cells =
        [tenant, Cell::Text(kind), Cell::Int(since), Cell::Int(updated), Cell::Text(id), Cell::Int(version), Cell::Int(count)];
    let mut keys = Vec::new();
    for question in [CURRENT, PAST] {
        for mut row in reader.rows(question, &cells).await? {
            let (updated, id, version) = (row.int()?, row.text()?, row.int()?);
            keys.push(Version { updated, kind: kind.to_owned(), id, version });
        }
    }
    Ok(keys)
}
