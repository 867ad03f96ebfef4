//! What is gathered for who reads all that is known of a patient in pages: what it refers to, kept from one page to the next.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::everything::{At, Range};
use crate::ledger::{Person, Place, Scope};

/// References that are remembered at once; of more, the first in their order, and the rest is looked for again.
pub const OTHERS_MAX: usize = 10_000;
/// Readers for whom references are kept from one page to the next; for the one before the oldest of them they are looked for again.
const READERS_MAX: usize = 8;

/// What is asked: only who asks the same may go on with what was gathered for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) scope: Scope,
    /// Those who are one person, sorted; empty means all persons.
    pub(super) persons: Vec<Person>,
    /// The references that lead to them, sorted.
    pub(super) records: Vec<String>,
    pub(super) range: Range,
}

impl Question {
    /// Before all of it.
    pub(super) fn beginning(&self) -> At {
        At::Own(Place::before(self.persons.first().copied().unwrap_or(Person(1))))
    }
}

/// References to what belongs to nobody, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Others {
    pub(super) after: String,
    pub(super) keys: BTreeSet<String>,
    /// Whether there are more than were kept.
    pub(super) is_cut: bool,
    /// Whether all of the person was looked through for them.
    pub(super) is_whole: bool,
}

/// What was gathered for readers of pages, so that nobody's next page looks through everything again.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    number: u64,
    question: Question,
    others: Arc<Others>,
}

impl Shelf {
    /// The number is drawn, so that a link from before a restart, or of another gateway, leads to nothing.
    pub(super) fn keep(&self, question: &Question, others: &Arc<Others>) -> u64 {
        // Half of the numbers, and not 0: links hold them as what is below 0.
        let number = (Uuid::new_v4().as_u64_pair().1 >> 1).max(1);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Kept { number, question: question.clone(), others: Arc::clone(others) });
        if kept.len() > READERS_MAX {
            kept.pop_front();
        }
        number
    }

    /// What is kept under this number, if it was gathered for the same question.
    pub(super) fn find(&self, number: u64, question: &Question) -> Option<Arc<Others>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|kept| kept.number == number && kept.question == *question)?;
        Some(Arc::clone(&found.others))
    }
}

impl Others {
    /// The first one after a place.
    pub(super) fn beyond(&self, after: &str) -> Option<String> {
        self.keys.range::<str, _>((Bound::Excluded(after), Bound::Unbounded)).next().cloned()
    }

    pub(super) fn add(&mut self, key: &str) {
        if key <= self.after.as_str() || self.keys.contains(key) {
            return;
        }
        self.keys.insert(key.to_owned());
        if self.keys.len() > OTHERS_MAX {
            self.keys.pop_last();
            self.is_cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_the_same_goes_on_with_what_was_gathered() {
        let scope = |tenant: &str| Scope { tenant: Arc::from(tenant) };
        let asked = |tenant: &str, persons: &[i64], kinds: &[&str]| Question {
            scope: scope(tenant),
            persons: persons.iter().copied().map(Person).collect(),
            records: Vec::new(),
            range: Range { kinds: kinds.iter().copied().map(String::from).collect(), ..Range::default() },
        };
        let (shelf, own) = (Shelf::default(), asked("a", &[7], &["Location"]));
        let number = shelf.keep(&own, &Arc::default());
        assert!(shelf.find(number, &own).is_some() && shelf.find(number ^ 1, &own).is_none());
        for other in [asked("b", &[7], &["Location"]), asked("a", &[8], &["Location"]), asked("a", &[7], &[])] {
            assert!(shelf.find(number, &other).is_none(), "{other:?}");
        }
        // A number leads to nothing once another reader's took its place, nor on another shelf.
        assert!(Shelf::default().find(number, &own).is_none());
        for _ in 0..READERS_MAX {
            shelf.keep(&own, &Arc::default());
        }
        assert!(shelf.find(number, &own).is_none());
    }

    #[test]
    fn more_references_than_fit_are_cut_at_the_end_of_their_order() {
        let mut others = Others { after: String::from("Organization/5"), ..Others::default() };
        for number in 0..OTHERS_MAX + 5 {
            others.add(&format!("Organization/{number:06}"));
            others.add(&format!("Practitioner/{number:06}"));
        }
        assert_eq!((others.keys.len(), others.is_cut), (OTHERS_MAX, true));
        assert_eq!(others.keys.first().map(String::as_str), Some("Practitioner/000000"));
    }
}
