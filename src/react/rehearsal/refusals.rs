//! Who said STOP for which address, and until when: STOP binds all who share an address, so it is known of all before one is rehearsed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ledger::Person;

/// Somebody said STOP, or START.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When, UTC milliseconds.
    pub at: i64,
    /// For which address.
    pub address: String,
    /// Who.
    pub person: Person,
    /// Whether it was STOP.
    pub is_stop: bool,
}

/// All that persons said, over time.
#[derive(Debug, Default)]
pub struct Refusals {
    /// By address: who refused, from when, and until when.
    spans: HashMap<String, Vec<(Person, i64, i64)>>,
}

impl Refusals {
    /// What was said, in any order.
    #[must_use]
    pub fn of(mut said: Vec<Said>) -> Self {
        said.sort_by_key(|one| one.at);
        let mut open: BTreeMap<(String, Person), i64> = BTreeMap::new();
        let mut spans: HashMap<String, Vec<(Person, i64, i64)>> = HashMap::new();
        for Said { at, address, person, is_stop } in said {
            if is_stop {
                open.entry((address, person)).or_insert(at);
            } else if let Some(since) = open.remove(&(address.clone(), person)) {
                spans.entry(address).or_default().push((person, since, at));
            }
        }
        for ((address, person), since) in open {
            spans.entry(address).or_default().push((person, since, i64::MAX));
        }
        Self { spans }
    }

    /// Whether nobody ever refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether somebody else refuses for this address now.
    fn binds(&self, address: &str, now: i64, is_own: impl Fn(Person) -> bool) -> bool {
        let spans = self.spans.get(address).map(Vec::as_slice).unwrap_or_default();
        spans.iter().any(|(person, since, until)| (*since..*until).contains(&now) && !is_own(*person))
    }
}

/// What those of a rehearsal refuse themselves, beside what others do.
#[derive(Debug, Default)]
pub(super) struct Stops<'r> {
    /// By address and who refuses: since when.
    own: BTreeMap<(String, Person), i64>,
    pub(super) others: Option<&'r Refusals>,
    /// All that was said in the rehearsal.
    pub(super) said: Vec<Said>,
    /// All addresses that were asked for.
    pub(super) asked: BTreeSet<String>,
}

impl Stops<'_> {
    /// Somebody says STOP or START; a START ends only what was said at `since` or later.
    pub(super) fn say(&mut self, said: Said, since: i64) {
        let key = (said.address.clone(), said.person);
        if said.is_stop {
            self.own.entry(key).or_insert(said.at);
        } else if self.own.get(&key).is_some_and(|at| *at < since) {
            return;
        } else {
            self.own.remove(&key);
        }
        self.said.push(said);
    }

    /// Notes that these addresses are asked for.
    pub(super) fn ask(&mut self, addresses: &[String]) {
        for address in addresses {
            if !self.asked.contains(address) {
                self.asked.insert(address.clone());
            }
        }
    }

    /// Whether anybody refuses for this address now.
    pub(super) fn binds(&self, address: &str, now: i64, is_own: impl Fn(Person) -> bool) -> bool {
        let from = (address.to_owned(), Person(i64::MIN));
        let own = self.own.range(from..).next().is_some_and(|((known, _), _)| known == address);
        own || self.others.is_some_and(|others| others.binds(address, now, is_own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(at: i64, person: i64, is_stop: bool) -> Said {
        Said { at, address: String::from("tel:1"), person: Person(person), is_stop }
    }

    #[test]
    fn a_stop_of_another_binds_from_when_it_was_said_until_their_own_start() {
        let refusals = Refusals::of(vec![said(30, 1, false), said(10, 1, true), said(20, 1, true), said(25, 2, false)]);
        let binds = |now| refusals.binds("tel:1", now, |person| person == Person(9));
        assert_eq!([9, 10, 29, 30].map(binds), [false, true, true, false]);
        assert!(!refusals.binds("tel:2", 15, |_| false), "another address");
        assert!(!refusals.binds("tel:1", 15, |person| person == Person(1)), "their own is told by their own story");
    }

    #[test]
    fn what_is_said_in_the_rehearsal_binds_at_once() {
        let mut stops = Stops::default();
        assert!(!stops.binds("tel:1", 0, |_| true));
        stops.say(said(1, 1, true), i64::MIN);
        assert!(stops.binds("tel:1", 1, |_| true) && !stops.binds("tel:", 1, |_| true));
        stops.say(said(2, 1, false), 2);
        assert!(stops.binds("tel:1", 2, |_| true), "it was said before");
        stops.say(said(2, 1, false), 1);
        assert!(!stops.binds("tel:1", 2, |_| true));
    }
}
