//! The versions of one resource, newest first, in pages.
//!
//! They are numbered without gaps and their stamps never fall: which of them belong to a stretch of time is found by halving,
//! in a few looks however many there are.

use super::dialect::{Cell, Reader};
use super::{Error, Scope, Stored, resources};
use crate::fhir::time::Span;

const STAMP: &str = "SELECT v.updated FROM versions v WHERE v.tenant = $1 AND v.kind = $2 AND v.id = $3 AND v.version = $4";
const DELETED: &str = "SELECT v.deleted FROM versions v WHERE v.tenant = $1 AND v.kind = $2 AND v.id = $3 AND v.version = $4";
const PAGE: &str =
    "SELECT r.number, v.kind, v.id, v.version, v.updated, v.deleted, r.person, r.fact, v.source, v.how, v.meta, v.body
    FROM versions v JOIN resources r ON r.tenant = v.tenant AND r.kind = v.kind AND r.id = v.id
    WHERE v.tenant = $1 AND v.kind = $2 AND v.id = $3 AND v.version >= $4 AND v.version < $5 ORDER BY v.version DESC LIMIT $6";

/// Which versions are asked for by their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct During {
    /// Made at or after this, UTC milliseconds.
    pub since: i64,
    /// Current at some time within this.
    pub at: Option<Span>,
}

impl During {
    /// All of them.
    pub const ALWAYS: Self = Self { since: i64::MIN, at: None };
}

/// A page of versions.
#[derive(Debug)]
pub struct Chapter {
    /// Newest first.
    pub versions: Vec<Stored>,
    /// Which of them brought back what was deleted.
    pub revived: Vec<bool>,
    /// How many there are on all pages.
    pub total: i64,
    /// Whether older ones follow.
    pub more: bool,
}

/// At most `count` versions older than version `before`; `None` when there is no such resource.
pub(super) async fn chapter(
    reader: &Reader,
    scope: &Scope,
    (kind, id): (&str, &str),
    during: During,
    before: i64,
    count: i64,
) -> Result<Option<Chapter>, Error> {
    let Some(current) = resources::read(reader, scope, kind, id).await? else { return Ok(None) };
    let stamps = Stamps { reader, scope, current: &current };
    let mut from = stamps.first(during.since).await?;
    let mut until = current.version + 1;
    if let Some(at) = during.at {
        // A version was current from its own stamp until that of the next one.
        from = from.max(stamps.first(at.low.saturating_add(1)).await? - 1);
        until = stamps.first(at.high).await?;
    }
    let total = (until - from).max(0);
    let top = until.min(before);
    let mut versions = Vec::new();
    if top > current.version && from <= current.version && count > 0 {
        versions.push(current.clone());
    }
    let left = count - i64::from(!versions.is_empty());
    let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Text(id)];
    let bounds = [Cell::Int(from), Cell::Int(top.min(current.version)), Cell::Int(left)];
    versions.extend(reader.each(PAGE, &[cells, bounds].concat(), resources::stored).await?);
    let more = versions.last().is_some_and(|last| last.version > from);
    let revived = revived(reader, scope, &versions).await?;
    Ok(Some(Chapter { versions, revived, total, more }))
}

/// Which of these versions brought back what was deleted. One that stands beside the version before it costs no question.
pub(super) async fn revived(reader: &Reader, scope: &Scope, shown: &[Stored]) -> Result<Vec<bool>, Error> {
    let mut all = Vec::with_capacity(shown.len());
    for (index, Stored { kind, id, version, deleted, .. }) in shown.iter().enumerate() {
        let beside = shown.get(index + 1).filter(|next| (&next.kind, &next.id, next.version + 1) == (kind, id, *version));
        all.push(match beside {
            _ if *deleted || *version == 1 => false,
            Some(before) => before.deleted,
            None => {
                let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Text(id), Cell::Int(version - 1)];
                reader.row(DELETED, &cells).await?.map_or(Ok(0), |mut row| row.int())? != 0
            }
        });
    }
    Ok(all)
}

/// When the versions of a resource were made.
struct Stamps<'a> {
    reader: &'a Reader,
    scope: &'a Scope,
    current: &'a Stored,
}

impl Stamps<'_> {
    /// The first version made at or after a time, from 1; the one that is not there yet if none was.
    async fn first(&self, time: i64) -> Result<i64, Error> {
        if self.current.updated < time {
            return Ok(self.current.version + 1);
        }
        let (mut low, mut high) = (1, if time == i64::MIN { 1 } else { self.current.version });
        while low < high {
            let middle = low + (high - low) / 2;
            if self.of(middle).await? < time { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// What is not there any more counts as the earliest.
    async fn of(&self, version: i64) -> Result<i64, Error> {
        let Stored { kind, id, .. } = self.current;
        let cells = [Cell::Text(&self.scope.tenant), Cell::Text(kind), Cell::Text(id), Cell::Int(version)];
        self.reader.row(STAMP, &cells).await?.map_or(Ok(i64::MIN), |mut row| row.int())
    }
}
