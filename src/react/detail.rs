//! What a due remembers of the step it stands for, so that a restart loses nothing.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::cover::Fill;
use crate::ledger::Due;

/// A due with what the engine remembers in it, which is read once for all who ask, however often the story is told.
#[derive(Debug, Clone)]
pub struct Planned(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    due: Due,
    detail: OnceLock<Detail>,
}

impl Planned {
    /// A due in which this is remembered: it is written there, and need not be read again.
    pub(crate) fn of(due: Due, detail: Detail) -> Self {
        Self(Arc::new(Kept { due, detail: OnceLock::from(detail) }))
    }

    /// Whether it is the other, and not only alike.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What the engine remembers in it.
    pub(crate) fn detail(&self) -> &Detail {
        self.0.detail.get_or_init(|| Detail::read(&self.0.due.detail))
    }
}

impl From<Due> for Planned {
    fn from(due: Due) -> Self {
        Self(Arc::new(Kept { due, detail: OnceLock::new() }))
    }
}

impl Deref for Planned {
    type Target = Due;

    fn deref(&self) -> &Due {
        &self.0.due
    }
}

/// The engine's own part of a due.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Detail {
    /// `Type/id` of what set it off.
    pub(crate) trigger: String,
    /// `Type/id` of what that rests on: order and medication.
    pub(crate) needed: Vec<String>,
    /// The product group; empty when it is not about a supply.
    pub(crate) product: String,
    /// First covered day of the fill, days since 1970.
    pub(crate) first: i64,
    /// When the step was to be done, UTC milliseconds.
    pub(crate) planned: i64,
    /// Until when it is worth doing, UTC milliseconds.
    pub(crate) until: i64,
    /// `Type/id/_history/version` of the facts, shared by all that rests on them.
    #[serde(with = "shared")]
    pub(crate) facts: Arc<[String]>,
    /// Whether gates held it: then it is looked at again as soon as something changes.
    pub(crate) held: bool,
    /// Whether a message of it was prepared while gates held it, before it was planned anew.
    #[serde(skip_serializing_if = "is_not")]
    pub(crate) prepared: bool,
    /// When what set it off was heard and its conditions held, UTC milliseconds; 0 where that is not known.
    #[serde(skip_serializing_if = "is_unknown")]
    pub(crate) heard: i64,
    /// Whether it waits for its fact to become certain.
    #[serde(skip_serializing_if = "is_not")]
    pub(crate) uncertain: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so it is asked by serde")]
fn is_unknown(time: &i64) -> bool {
    *time == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so it is asked by serde")]
fn is_not(so: &bool) -> bool {
    !so
}

/// A shared list is kept like any other.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(list: &Arc<[String]>, serializer: S) -> Result<S::Ok, S::Error> {
        list.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[String]>, D::Error> {
        Vec::deserialize(deserializer).map(Arc::from)
    }
}

impl Detail {
    /// Reads it; what is no detail of ours reads as an empty one.
    pub(crate) fn read(written: &str) -> Self {
        serde_json::from_str(written).unwrap_or_default()
    }

    /// As it is kept.
    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether it is about this fill.
    pub(crate) fn is_about(&self, fill: &Fill) -> bool {
        self.trigger.strip_prefix("MedicationDispense/").is_some_and(|id| fill.tellers().any(|known| known == id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let detail = Detail {
            trigger: String::from("MedicationDispense/1"),
            needed: vec![String::from("MedicationRequest/2")],
            product: String::from("ingredient|metformin"),
            first: 20_000,
            planned: 1,
            until: 2,
            facts: [String::from("MedicationDispense/1/_history/1")].into(),
            held: true,
            prepared: true,
            heard: 3,
            uncertain: true,
        };
        assert_eq!(Detail::read(&detail.write()), detail);
        assert_eq!(Detail::read("no json"), Detail::default());
        let known =
            r#"{"trigger":"Condition/1","needed":[],"product":"","first":0,"planned":7,"until":9,"facts":[],"held":false}"#;
        assert_eq!(Detail::read(known).write(), known, "rows of other gateways are written alike");
        assert_eq!(Detail::read(r#"{"planned":7,"more":{}}"#), Detail { planned: 7, ..Detail::default() });
    }
}
