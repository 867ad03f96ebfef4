//! What was just recorded, as it was parsed at the door: who hears of it need not read and parse it again.
//! A help for speed alone: what is not here any more, or came over another gateway, is read from the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::Stored;

/// So many are kept until they are heard of; while there is no room, what is recorded is left to the store. They are heard of in
/// order: of a queue that grows, the oldest are the next that somebody asks for.
const KEPT_MAX: usize = 1_024;
/// What is longer than this is left to the store: with the bound above, all that is kept is bounded, whoever hears of it or not.
const BYTES_MAX: usize = 64 << 10;

/// Whether a version of so many bytes is kept at all.
pub(super) fn is_kept(bytes: usize) -> bool {
    bytes <= BYTES_MAX
}

/// A version that was recorded, without its body.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The version; `meta` and `body` are empty.
    pub stored: Stored,
    /// The resource as it was accepted, with the `id` and `meta` that its sender wrote.
    pub accepted: Arc<Value>,
}

/// What was just recorded, by number of its event.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<BTreeMap<i64, Fresh>>);

impl Shelf {
    /// Keeps what a committed batch recorded.
    pub(super) fn keep(&self, recorded: Vec<(i64, Fresh)>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT_MAX.saturating_sub(kept.len());
        kept.extend(recorded.into_iter().take(room));
    }

    /// Takes what this event told of. What earlier events told of was heard of elsewhere, and is let go.
    pub(super) fn take(&self, event: i64) -> Option<Fresh> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.first_key_value().is_some_and(|(number, _)| *number < event) {
            kept.pop_first();
        }
        kept.remove(&event)
    }
}

impl Fresh {
    /// The resource as [`Stored::value`] would have it.
    #[must_use]
    pub fn value(self) -> Value {
        let mut value = Arc::unwrap_or_clone(self.accepted);
        if let Value::Object(members) = &mut value {
            members.insert(String::from("id"), Value::from(self.stored.id.as_str()));
            let meta = members.entry("meta").or_insert_with(|| Value::Object(serde_json::Map::new()));
            if let Value::Object(meta) = meta {
                for own in ["_versionId", "_lastUpdated"] {
                    meta.shift_remove(own);
                }
                meta.insert(String::from("versionId"), Value::from(self.stored.version.to_string()));
                meta.insert(String::from("lastUpdated"), Value::from(crate::fhir::time::instant(self.stored.updated)));
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ledger::{How, Person};

    fn fresh(accepted: Value, body: &str, meta: &str) -> Fresh {
        let stored = Stored {
            number: 1,
            kind: String::from("Basic"),
            id: String::from("ours"),
            version: 3,
            updated: 1_767_312_000_123,
            deleted: false,
            person: Person::NOBODY,
            fact: 1,
            source: String::new(),
            how: How::Live,
            meta: meta.to_owned(),
            body: body.to_owned(),
        };
        Fresh { stored, accepted: Arc::new(accepted) }
    }

    #[test]
    fn what_was_parsed_at_the_door_is_what_the_store_would_give() {
        let sent = json!({"resourceType": "Basic", "id": "theirs", "code": {"text": "x"},
            "meta": {"versionId": "9", "_lastUpdated": {"id": "a"}, "tag": [{"code": "t"}]}});
        let kept = fresh(sent, r#"{"resourceType":"Basic","code":{"text":"x"}}"#, r#""tag":[{"code":"t"}]"#);
        assert_eq!(kept.clone().value(), kept.stored.value());
        let bare = fresh(json!({"resourceType": "Basic"}), r#"{"resourceType":"Basic"}"#, "");
        assert_eq!(bare.clone().value(), bare.stored.value());
    }

    #[test]
    fn a_full_shelf_keeps_the_oldest_and_gives_each_once() {
        let shelf = Shelf::default();
        let one = fresh(json!({}), "{}", "");
        shelf.keep((0..).take(KEPT_MAX + 1).map(|number| (number, one.clone())).collect());
        let last = i64::try_from(KEPT_MAX).unwrap();
        assert!(shelf.take(0).is_some() && shelf.take(0).is_none());
        shelf.keep(vec![(last + 1, one.clone()), (last + 2, one.clone())]);
        assert!(shelf.take(last).is_none() && shelf.take(last + 1).is_some() && shelf.take(last + 2).is_none());
    }

    #[test]
    fn what_was_heard_of_elsewhere_takes_no_room() {
        let shelf = Shelf::default();
        let one = fresh(json!({}), "{}", "");
        shelf.keep(vec![(1, one.clone()), (2, one.clone()), (4, one.clone())]);
        assert!(shelf.take(3).is_none());
        assert!(shelf.take(2).is_none() && shelf.take(4).is_some());
    }

    #[test]
    fn what_is_long_is_left_to_the_store() {
        assert!(is_kept(BYTES_MAX) && !is_kept(BYTES_MAX + 1));
    }
}
