//! Who is one with whom in a rehearsal, and was for a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::ledger::{Decision, Outcome, Person};
use crate::react::shared;

/// Persons who are or were taken for one.
#[derive(Debug, Default)]
pub(super) struct Unions {
    /// As whom somebody who was united is known.
    survivors: BTreeMap<Person, Person>,
    /// When two were united last.
    since: HashMap<(Person, Person), i64>,
    partings: Vec<Parting>,
}

/// All who were taken for one, until some were parted.
#[derive(Debug)]
struct Parting {
    persons: Vec<Person>,
    since: i64,
    until: i64,
}

impl Unions {
    /// As whom a person is known.
    pub(super) fn known_as(&self, person: Person) -> Person {
        self.survivors.get(&person).copied().unwrap_or(person)
    }

    /// All who are one with a person, the one they are known as first.
    pub(super) fn united(&self, person: Person) -> Vec<Person> {
        let survivor = self.known_as(person);
        let mut united: Vec<Person> =
            self.survivors.iter().filter(|(_, known_as)| **known_as == survivor).map(|(one, _)| *one).collect();
        if united.is_empty() {
            united.push(person);
        }
        united
    }

    /// Two are one from now on; as whom they are known, unless they were one already.
    pub(super) fn unite(&mut self, one: Person, other: Person, now: i64) -> Option<Person> {
        let (one, other) = (self.known_as(one), self.known_as(other));
        let (survivor, given_up) = (one.min(other), one.max(other));
        if survivor == given_up {
            return None;
        }
        self.since.insert((survivor, given_up), now);
        self.survivors.entry(survivor).or_insert(survivor);
        self.survivors.entry(given_up).or_insert(given_up);
        for known_as in self.survivors.values_mut().filter(|known_as| **known_as == given_up) {
            *known_as = survivor;
        }
        Some(survivor)
    }

    /// One who was known as the other is so no more; who of them hears of it, unless they were two already.
    pub(super) fn part(&mut self, one: Person, other: Person, now: i64) -> Vec<Person> {
        let (survivor, parted) = (one.min(other), one.max(other));
        if self.known_as(one) != self.known_as(other) {
            return Vec::new();
        }
        let since = self.since.get(&(survivor, parted)).copied().unwrap_or(i64::MIN);
        let mut persons = self.united(survivor);
        // Of several who are parted at one moment, each was one with all of them.
        if let Some(last) = self.partings.last_mut().filter(|last| last.until == now && last.persons.contains(&survivor)) {
            last.since = last.since.min(since);
        } else {
            persons.sort_unstable();
            self.partings.push(Parting { persons, since, until: now });
        }
        self.survivors.insert(parted, parted);
        vec![survivor, parted]
    }

    /// Who was parted from a person last, since when they were taken for one, and until when.
    pub(super) fn parted(&self, person: Person) -> (Vec<Person>, i64, i64) {
        let Some(last) = self.last(person) else { return (Vec::new(), 0, 0) };
        let others = last.persons.iter().copied().filter(|one| self.known_as(*one) != self.known_as(person));
        (others.collect(), last.since, last.until)
    }

    /// Whether any were parted.
    pub(super) fn were_parted(&self) -> bool {
        !self.partings.is_empty()
    }

    /// When that was, and of how many.
    pub(super) fn parted_at(&self, person: Person) -> Option<(i64, usize)> {
        let at = self.last(person)?.until;
        let then = self.partings.iter().filter(|parting| parting.until == at);
        let theirs = then.filter(|parting| parting.persons.iter().any(|one| self.known_as(*one) == self.known_as(person)));
        let others = theirs.flat_map(|parting| &parting.persons).filter(|one| self.known_as(**one) != self.known_as(person));
        Some((at, others.collect::<BTreeSet<_>>().len()))
    }

    /// The last parting after which somebody is one with a person and somebody else is not.
    fn last(&self, person: Person) -> Option<&Parting> {
        let is_one = |one: &Person| self.known_as(*one) == self.known_as(person);
        let parts = |parting: &&Parting| parting.persons.iter().any(is_one) && !parting.persons.iter().all(is_one);
        self.partings.iter().rev().find(parts)
    }

    /// What was said or done to others while they were taken for one with a person.
    pub(super) fn shared(&self, person: Person, journal: &[Arc<Decision>]) -> Vec<Decision> {
        let mut found = Vec::new();
        let is_one = |one: Person| self.known_as(one) == self.known_as(person);
        for parting in self.partings.iter().filter(|parting| parting.persons.iter().any(|one| is_one(*one))) {
            let is_theirs = |decision: &&Arc<Decision>| {
                let in_time = (parting.since..parting.until).contains(&decision.at);
                in_time && decision.outcome == Outcome::Fired && parting.persons.contains(&decision.person)
            };
            let fired = journal.iter().filter(is_theirs).filter(|decision| !is_one(decision.person));
            found.extend(fired.map(|decision| shared(Decision::clone(decision), person, parting.until)));
        }
        found
    }
}
