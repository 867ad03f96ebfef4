//! What comes out of memory: resources, entries, events, notices.

use serde_json::Value;

use super::{Draft, How, Person, Scope};
use crate::fhir::time;

/// A resource as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Stays for all versions.
    pub number: i64,
    /// The resource type.
    pub kind: String,
    /// The resource id.
    pub id: String,
    /// The version.
    pub version: i64,
    /// Its stamp, UTC milliseconds.
    pub updated: i64,
    /// Whether this version is a deletion; then there is no body.
    pub deleted: bool,
    /// Whose it is.
    pub person: Person,
    /// Number of the first resource that states the same fact.
    pub fact: i64,
    /// Who sent it.
    pub source: String,
    /// How it was learned.
    pub how: How,
    /// Members of `meta` as sent; see [`super::Draft::meta`].
    pub meta: String,
    /// See [`super::Draft::body`].
    pub body: String,
}

/// Something recorded and not yet reacted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number in the queue.
    pub number: i64,
    /// Whose ledger.
    pub scope: Scope,
    /// Whose it is.
    pub person: Person,
    /// The resource type.
    pub kind: String,
    /// The resource id.
    pub id: String,
    /// The version it is about.
    pub version: i64,
    /// created, updated or deleted.
    pub line: Line,
    /// How it was learned.
    pub how: How,
    /// How many reactions led to it.
    pub depth: u8,
    /// Whether its notices are recorded and only the rules have not looked at it.
    pub told: bool,
    /// When, UTC milliseconds.
    pub learned: i64,
}

/// What an entry of the ledger says of its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It was new, or came back.
    Created,
    /// It changed.
    Updated,
    /// It was deleted.
    Deleted,
    /// Two persons were united.
    Linked,
    /// Two persons who were united are two again.
    Parted,
    /// The version went over to somebody else with the next one: it stands on the chain of whose it was.
    Left,
}

impl Line {
    /// Whether it tells of who is one with whom, and of no resource.
    #[must_use]
    pub fn is_of_persons(self) -> bool {
        matches!(self, Self::Linked | Self::Parted)
    }

    /// Whether a version was written with it, of which it bears the digest.
    #[must_use]
    pub fn is_of_version(self) -> bool {
        !self.is_of_persons() && self != Self::Left
    }

    /// Whether the resource is gone from whose chain it stands on.
    #[must_use]
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Deleted | Self::Left)
    }

    /// The word kept in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Linked => "linked",
            Self::Parted => "parted",
            Self::Left => "left",
        }
    }

    /// From the word kept in the store.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "deleted" => Self::Deleted,
            "linked" => Self::Linked,
            "parted" => Self::Parted,
            "left" => Self::Left,
            _ => Self::Updated,
        }
    }
}

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// On whose chain it stands.
    pub person: Person,
    /// Its place in the chain, from 1.
    pub ordinal: i64,
    /// What it says.
    pub line: Line,
    /// When it happened, UTC milliseconds.
    pub happened: i64,
    /// When it was learned.
    pub learned: i64,
    /// How it was learned.
    pub how: How,
    /// Who sent it.
    pub source: String,
    /// The store it happened in; empty when unknown.
    pub store: String,
    /// Type of the resource it tells of.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: i64,
    /// The entry's hash.
    pub hash: String,
}

/// Something a subscriber is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Gapless per subscription, from 1.
    pub number: i64,
    /// Whose the resource is.
    pub person: Person,
    /// Type of the resource.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: i64,
    /// When it was noted, UTC milliseconds.
    pub at: i64,
    /// How often its receiver refused it.
    pub attempts: i64,
}

/// A notice that got its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    /// Subscription id.
    pub subscription: String,
    /// The notice.
    pub notice: Notice,
}

/// A notice that its receiver refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The notice.
    pub notice: Notice,
    /// How the last attempt ended.
    pub last: String,
}

/// What a subscription was not told yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undelivered {
    /// How many notices wait.
    pub waiting: i64,
    /// How many went to the dead letters.
    pub dead: i64,
    /// The first of these.
    pub letters: Vec<DeadLetter>,
}

/// What every body begins with, up to the value of `resourceType`.
const BEGIN: &str = "{\"resourceType\":\"";

/// Whether two texts of members say the same. Few that do not are of the same letters, so few are read; the writer waits for that.
fn say_the_same(one: &str, other: &str) -> bool {
    let letters = |text: &str| text.bytes().map(u64::from).sum::<u64>();
    let is_alike = || one.len() == other.len() && letters(one) == letters(other);
    one == other || (is_alike() && members(one).is_some_and(|said| Some(said) == members(other)))
}

/// What a text of members says, with or without the braces around them.
fn members(text: &str) -> Option<Value> {
    let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    serde_json::from_str(&format!("{{{bare}}}")).ok()
}

impl Stored {
    /// Whether a draft says what this version says. In what order members stand means nothing, and senders and formats differ in it.
    pub(super) fn says_the_same(&self, draft: &Draft) -> bool {
        say_the_same(&self.meta, &draft.meta) && say_the_same(&self.body, &draft.body)
    }

    /// The whole resource as JSON text: the stored body with `id` and `meta` put back in their place.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.body.len() + self.meta.len() + 160);
        self.write(&mut text);
        text
    }

    /// Appends what [`Self::text`] gives.
    pub fn write(&self, text: &mut String) {
        text.push_str(BEGIN);
        text.push_str(&self.kind);
        text.push_str("\",\"id\":\"");
        text.push_str(&self.id);
        text.push_str("\",\"meta\":{\"versionId\":\"");
        text.push_str(&self.version.to_string());
        text.push_str("\",\"lastUpdated\":\"");
        text.push_str(&time::instant(self.updated));
        text.push('"');
        if !self.meta.is_empty() {
            text.push(',');
            text.push_str(&self.meta);
        }
        text.push('}');
        let rest = self.body.get(BEGIN.len() + self.kind.len() + 1..).unwrap_or("}");
        text.push_str(rest);
    }

    /// The whole resource, parsed.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_order_of_members_says_the_same_and_nothing_else_does() {
        for (one, other, is_same) in [
            (r#"{"a":1,"b":[1,2]}"#, r#"{"a":1,"b":[1,2]}"#, true),
            (r#"{"a":1,"b":[1,2]}"#, r#"{"b":[1,2],"a":1}"#, true),
            (r#"{"a":1,"b":[1,2]}"#, r#"{"a":1,"b":[2,1]}"#, false),
            (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#, false),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, false),
            (r#"{"a":1.0}"#, r#"{"a":1.00}"#, false),
            (r#""tag":[],"profile":[]"#, r#""profile":[],"tag":[]"#, true),
            ("", "", true),
            ("{no", "{on", false),
        ] {
            assert_eq!(say_the_same(one, other), is_same, "{one} {other}");
        }
    }
}
