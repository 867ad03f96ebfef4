//! The stand-in's memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Done, Refused};
use crate::fhir::outcome::Issue;
use crate::fhir::search::query::{Cursor, Query};
use crate::ledger::{Error, How, Person, Receipt, Scope, Stored};

type Shelf = BTreeMap<(String, String), Vec<Stored>>;

/// Keeps versions in memory.
#[derive(Clone, Default)]
pub struct Ledger {
    shelf: Arc<Mutex<Shelf>>,
}

/// A page of a search.
pub struct Page {
    /// What was found.
    pub found: Vec<Stored>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
    /// How many there are.
    pub total: Option<i64>,
    /// From when to ask next.
    pub horizon: i64,
}

/// A line of a person's ledger.
pub struct Entry {
    /// Its number.
    pub number: i64,
    /// Who sent it.
    pub source: String,
    /// When it happened.
    pub happened: i64,
    /// When it was learned.
    pub learned: i64,
    /// Of the chain.
    pub hash: String,
}

impl Stored {
    /// Full JSON.
    #[must_use]
    pub fn text(&self) -> String {
        let head = format!(
            r#"{{"resourceType":"{}","id":"{}","meta":{{"versionId":"{}","lastUpdated":"{}"}}"#,
            self.kind,
            self.id,
            self.version,
            crate::fhir::time::instant(self.updated)
        );
        let rest = self.body.split_once(',').map_or("}", |(_, rest)| rest);
        if rest == "}" { format!("{head}}}") } else { format!("{head},{rest}") }
    }
}

impl Ledger {
    pub(super) fn put(&self, kind: &str, id: &str, body: &[u8], now: i64, if_match: Option<i64>) -> Result<Done, Refused> {
        let value: serde_json::Value = serde_json::from_slice(body)
            .map_err(|_| Refused::Issues(vec![Issue::error("structure", "not-json", "", "The body is no JSON.")]))?;
        if value["resourceType"] != kind {
            return Err(Refused::Issues(vec![Issue::error("invalid", "wrong-type", "resourceType", "Another type.")]));
        }
        let mut rest = value;
        if let Some(members) = rest.as_object_mut() {
            members.shift_remove("id");
            members.shift_remove("meta");
        }
        self.add(kind, id, rest.to_string(), now, if_match, false)
    }

    pub(super) fn remove(&self, kind: &str, id: &str, now: i64, if_match: Option<i64>) -> Result<Done, Refused> {
        self.add(kind, id, String::new(), now, if_match, true)
    }

    fn add(&self, kind: &str, id: &str, body: String, now: i64, if_match: Option<i64>, deleted: bool) -> Result<Done, Refused> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = shelf.entry((kind.to_owned(), id.to_owned())).or_default();
        let current = versions.last().map(|last| last.version);
        if if_match.is_some() && if_match != current {
            return Err(Refused::VersionConflict { current });
        }
        let created = versions.last().is_none_or(|last| last.deleted);
        let stored = Stored {
            number: 1,
            kind: kind.to_owned(),
            id: id.to_owned(),
            version: current.unwrap_or(0) + 1,
            updated: now,
            deleted,
            person: Person::NOBODY,
            fact: 1,
            source: String::from("test"),
            how: How::Live,
            meta: String::new(),
            body,
        };
        let receipt = Receipt {
            kind: kind.to_owned(),
            id: id.to_owned(),
            version: stored.version,
            updated: now,
            created,
            unchanged: deleted && created,
            person: Person::NOBODY,
        };
        if !(deleted && created) {
            versions.push(stored.clone());
        }
        Ok(Done { receipt, stored: (!deleted).then_some(stored), issues: Vec::new() })
    }

    /// The current version.
    pub async fn read(&self, _: &Scope, kind: &str, id: &str) -> Result<Option<Stored>, Error> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(shelf.get(&(kind.to_owned(), id.to_owned())).and_then(|versions| versions.last().cloned()))
    }

    /// One version.
    pub async fn version(&self, _: &Scope, kind: &str, id: &str, version: i64) -> Result<Option<Stored>, Error> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = shelf.get(&(kind.to_owned(), id.to_owned()));
        Ok(versions.and_then(|versions| versions.iter().find(|one| one.version == version).cloned()))
    }

    /// Newest first.
    pub async fn history(&self, _: &Scope, kind: &str, id: &str, count: u32) -> Result<Vec<Stored>, Error> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = shelf.get(&(kind.to_owned(), id.to_owned()));
        Ok(versions.map(|versions| versions.iter().rev().take(count as usize).cloned().collect()).unwrap_or_default())
    }

    /// A page of all that are of the type.
    pub async fn search(&self, _: &Scope, query: &Query) -> Result<Page, Error> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Stored> = shelf
            .iter()
            .filter(|((kind, _), _)| *kind == query.kind)
            .filter_map(|(_, versions)| versions.last().filter(|last| !last.deleted).cloned())
            .collect();
        let from = query.after.as_ref().map_or(0, |after| usize::try_from(after.number).unwrap_or(0));
        let total = i64::try_from(all.len()).ok();
        let found: Vec<Stored> = all.into_iter().skip(from).take(query.count as usize).collect();
        let end = i64::try_from(from + found.len()).unwrap_or(0);
        let next = (Some(end) < total).then(|| Cursor { key: String::new(), number: end });
        Ok(Page { found, next, total: query.total.then_some(total).flatten(), horizon: 0 })
    }

    /// Whose it is.
    pub async fn person_of(&self, _: &Scope, _: &str, _: &str) -> Result<Option<Person>, Error> {
        Ok(Some(Person(1)))
    }

    /// In order of happening.
    pub async fn story(&self, _: &Scope, _: Person, _: u32, _: Option<i64>) -> Result<Vec<(Entry, Option<Stored>)>, Error> {
        Ok(Vec::new())
    }
}
