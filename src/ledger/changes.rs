//! What was changed lately, over all resources of a type or of a tenant: versions, newest first.
//!
//! Only keys are read in order, the current ones and the past ones beside each other; the versions of a page are then read
//! one by one. Versions never change, and new ones are younger, so pages neither lose nor repeat.

use super::dialect::{Cell, Reader};
use super::versions::{During, revived};
use super::{Error, Scope, Stored, resources};

/// Keys that one page looks at; it may stop there with fewer versions than were asked for.
const LOOKED_AT_MAX: usize = 10_000;
/// Keys that are read together where only some of them will be wanted: those that were current at a time may lie far apart.
const SIFTED_AT_ONCE: usize = 256;
/// Versions that are counted at most; of more, the number stays unsaid.
const COUNTED_MAX: usize = 100_000;

const CURRENT: &str = "SELECT r.updated, r.id, r.version FROM resources r
    WHERE r.tenant = $1 AND r.kind = $2 AND r.updated >= $3 AND r.updated <= $4 AND (r.updated, r.id, r.version) < ($4, $5, $6)
    ORDER BY r.updated DESC, r.id DESC, r.version DESC LIMIT $7";
const PAST: &str = "SELECT v.updated, v.id, v.version FROM versions v
    WHERE v.tenant = $1 AND v.kind = $2 AND v.updated >= $3 AND v.updated <= $4 AND (v.updated, v.id, v.version) < ($4, $5, $6)
    ORDER BY v.updated DESC, v.id DESC, v.version DESC LIMIT $7";
/// As [`PAST`], with the stamp of the version that followed.
const PAST_UNTIL: &str = "SELECT v.updated, v.id, v.version, COALESCE(
    (SELECT n.updated FROM versions n WHERE n.tenant = v.tenant AND n.kind = v.kind AND n.id = v.id AND n.version = v.version + 1),
    (SELECT r.updated FROM resources r WHERE r.tenant = v.tenant AND r.kind = v.kind AND r.id = v.id)) FROM versions v
    WHERE v.tenant = $1 AND v.kind = $2 AND v.updated >= $3 AND v.updated <= $4 AND (v.updated, v.id, v.version) < ($4, $5, $6)
    ORDER BY v.updated DESC, v.id DESC, v.version DESC LIMIT $7";
const NEXT_KIND: &str = "SELECT r.kind FROM resources r WHERE r.tenant = $1 AND r.kind > $2 ORDER BY r.kind LIMIT 1";
const COUNT_CURRENT: &str = "SELECT COUNT(*) FROM (SELECT r.updated FROM resources r
    WHERE r.tenant = $1 AND r.kind = $2 AND r.updated >= $3 LIMIT $4) counted";
const COUNT_PAST: &str = "SELECT COUNT(*) FROM (SELECT v.updated FROM versions v
    WHERE v.tenant = $1 AND v.kind = $2 AND v.updated >= $3 LIMIT $4) counted";

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

/// A page of versions.
#[derive(Debug)]
pub struct Leaf {
    /// Newest first.
    pub versions: Vec<Stored>,
    /// Which of them brought back what was deleted.
    pub revived: Vec<bool>,
    /// Behind which version the next page begins; `None` on the last.
    pub next: Option<Version>,
}

/// At most `count` versions made before `before`.
pub(super) async fn page(
    reader: &Reader,
    scope: &Scope,
    kind: Option<&str>,
    during: During,
    before: Option<&Version>,
    count: usize,
) -> Result<Leaf, Error> {
    let kinds = kinds(reader, scope, kind).await?;
    let mut found: Vec<Version> = Vec::new();
    let mut before = before.cloned();
    let mut looked_at = 0;
    // One more than is wanted tells whether there is another page.
    while found.len() <= count && count > 0 {
        let missing = count + 1 - found.len();
        let step = if during.at.is_some() { missing.max(SIFTED_AT_ONCE) } else { missing };
        let keys = keys(reader, scope, &kinds, during, before.as_ref(), step).await?;
        before = keys.last().map(|(key, _)| key.clone());
        looked_at += keys.len();
        let is_last = keys.len() < step;
        let wanted = keys.into_iter().filter(|(_, until)| during.at.is_none_or(|at| *until > at.low));
        found.extend(wanted.map(|(key, _)| key));
        if is_last {
            before = None;
            break;
        }
        if looked_at >= LOOKED_AT_MAX {
            break;
        }
    }
    if found.len() > count {
        found.truncate(count);
        before = found.last().cloned();
    }
    let mut versions = Vec::with_capacity(found.len());
    for Version { kind, id, version, .. } in &found {
        let current = resources::read(reader, scope, kind, id).await?;
        versions.extend(match current {
            Some(current) if current.version == *version => Some(current),
            _ => resources::version(reader, scope, kind, id, *version).await?,
        });
    }
    let revived = revived(reader, scope, &versions).await?;
    Ok(Leaf { versions, revived, next: before })
}

/// How many versions there are on all pages; `None` when they are more than are counted. What was current at a time is looked
/// at one by one.
pub(super) async fn total(reader: &Reader, scope: &Scope, kind: Option<&str>, during: During) -> Result<Option<i64>, Error> {
    let kinds = kinds(reader, scope, kind).await?;
    let (mut total, mut looked_at) = (0, 0);
    for kind in &kinds {
        total += match during.at {
            Some(at) => {
                let keys = keys(reader, scope, std::slice::from_ref(kind), during, None, LOOKED_AT_MAX).await?;
                looked_at += keys.len();
                keys.iter().filter(|(_, until)| *until > at.low).count()
            }
            None => counted(reader, scope, kind, during.since).await?,
        };
        if looked_at >= LOOKED_AT_MAX || total > COUNTED_MAX {
            return Ok(None);
        }
    }
    Ok(i64::try_from(total).ok())
}

/// The versions of one type, counted up to one more than the bound in each table.
async fn counted(reader: &Reader, scope: &Scope, kind: &str, since: i64) -> Result<usize, Error> {
    let most = i64::try_from(COUNTED_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Int(since), Cell::Int(most)];
    let mut counted = 0;
    for question in [COUNT_CURRENT, COUNT_PAST] {
        if let Some(mut row) = reader.row(question, &cells).await? {
            counted += usize::try_from(row.int()?).unwrap_or_default();
        }
    }
    Ok(counted)
}

/// The one type that is asked for, or all that are in use.
pub(super) async fn kinds(reader: &Reader, scope: &Scope, kind: Option<&str>) -> Result<Vec<String>, Error> {
    let mut kinds: Vec<String> = kind.map(str::to_owned).into_iter().collect();
    while kind.is_none() {
        let last = kinds.last().map_or("", String::as_str);
        let Some(mut row) = reader.row(NEXT_KIND, &[Cell::Text(&scope.tenant), Cell::Text(last)]).await? else { break };
        kinds.push(row.text()?);
    }
    Ok(kinds)
}

/// The next keys of these types, newest first, each with the time until which its version was current.
async fn keys(
    reader: &Reader,
    scope: &Scope,
    kinds: &[String],
    during: During,
    before: Option<&Version>,
    count: usize,
) -> Result<Vec<(Version, i64)>, Error> {
    let mut keys = Vec::new();
    for kind in kinds {
        keys.extend(of_kind(reader, scope, kind, during, before, count).await?);
    }
    keys.sort_unstable_by(|left, right| right.cmp(left));
    // What was current at the first question may be past at the second.
    keys.dedup_by(|later, earlier| later.0 == earlier.0);
    keys.truncate(count);
    Ok(keys)
}

/// The keys of one type, from both tables.
async fn of_kind(
    reader: &Reader,
    scope: &Scope,
    kind: &str,
    during: During,
    before: Option<&Version>,
    count: usize,
) -> Result<Vec<(Version, i64)>, Error> {
    // All types stand in one order: of those that come after the last type shown, what has its stamp was shown already.
    let (updated, id, version) = match before {
        None => (during.at.map_or(i64::MAX, |at| at.high), "", 0),
        Some(last) if kind == last.kind => (last.updated, last.id.as_str(), last.version),
        Some(last) if kind < last.kind.as_str() => (last.updated + 1, "", 0),
        Some(last) => (last.updated, "", 0),
    };
    let count = Cell::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let (tenant, since) = (Cell::Text(&scope.tenant), Cell::Int(during.since));
    let cells = [tenant, Cell::Text(kind), since, Cell::Int(updated), Cell::Text(id), Cell::Int(version), count];
    let mut keys = Vec::new();
    for question in [CURRENT, if during.at.is_some() { PAST_UNTIL } else { PAST }] {
        for mut row in reader.rows(question, &cells).await? {
            let (updated, id, version) = (row.int()?, row.text()?, row.int()?);
            let until = if question == PAST_UNTIL { row.int()? } else { i64::MAX };
            keys.push((Version { updated, kind: kind.to_owned(), id, version }, until));
        }
    }
    Ok(keys)
}
