//! Who is one with whom in a rehearsal, and was for a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::{Bond, Decision, Former, Outcome, Person, part};
use crate::react::shared;

/// Persons who are or were taken for one.
#[derive(Debug, Default)]
pub(super) struct Unions {
    /// As whom somebody who was united is known.
    survivors: BTreeMap<Person, Person>,
    /// Since when they are.
    bonds: Vec<Bond>,
    partings: Vec<Parting>,
}

/// All who were taken for one, until some of them were parted at one moment.
#[derive(Debug)]
struct Parting {
    persons: Vec<Person>,
    /// What held them together until then.
    bonds: Vec<Bond>,
    formers: Vec<Former>,
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

    /// Two are one from now on; as whom they are known, unless they were one already, and whether they were not until now.
    pub(super) fn unite(&mut self, one: Person, other: Person, now: i64) -> Option<(Person, bool)> {
        let (one, other) = (self.known_as(one), self.known_as(other));
        let (survivor, given_up) = (one.min(other), one.max(other));
        if survivor == given_up {
            return None;
        }
        self.survivors.entry(survivor).or_insert(survivor);
        self.survivors.entry(given_up).or_insert(given_up);
        for known_as in self.survivors.values_mut().filter(|known_as| **known_as == given_up) {
            *known_as = survivor;
        }
        // Of several who leave at one moment it is told that each of them does, and then who of them stay one.
        let at = self.partings.iter().rposition(|parting| parting.is_of(now, survivor) && parting.persons.contains(&given_up));
        match at {
            Some(at) => self.divide(at),
            None => self.bonds.push(Bond { person: given_up, other: survivor, since: now }),
        }
        Some((survivor, at.is_none()))
    }

    /// One who was known as the other is so no more; who of them hears of it, unless they were two already.
    pub(super) fn part(&mut self, one: Person, other: Person, now: i64) -> Vec<Person> {
        let (survivor, parted) = (one.min(other), one.max(other));
        if self.known_as(one) != self.known_as(other) {
            return Vec::new();
        }
        let known = self.partings.iter().rposition(|parting| parting.is_of(now, survivor) && parting.persons.contains(&parted));
        let at = known.unwrap_or_else(|| {
            let mut persons = self.united(survivor);
            persons.sort_unstable();
            let bonds = self.bonds.iter().copied().filter(|bond| persons.contains(&bond.person)).collect();
            self.partings.push(Parting { persons, bonds, formers: Vec::new(), until: now });
            self.partings.len() - 1
        });
        self.survivors.insert(parted, parted);
        self.divide(at);
        vec![survivor, parted]
    }

    /// Those of a parting are one as they are known now.
    fn divide(&mut self, at: usize) {
        let Some(parting) = self.partings.get(at) else { return };
        let first = parting.persons.iter().map(|person| (*person, self.known_as(*person))).collect();
        let (kept, mut formers) = part(&parting.bonds, &first);
        if formers.iter().all(|former| former.persons.len() < first.len()) {
            // It is not known since when.
            let persons = parting.persons.clone();
            formers.push(Former { name: self.known_as(persons[0]), since: i64::MIN, persons });
        }
        let is_within = |bond: &Bond| [bond.person, bond.other].iter().all(|one| parting.persons.contains(one));
        let mut bonds: Vec<Bond> = self.bonds.iter().copied().filter(|bond| !is_within(bond)).collect();
        bonds.extend(kept);
        self.bonds = bonds;
        self.partings[at].formers = formers;
    }

    /// Who was taken for one with a person and is not now: until when and who, and since when.
    fn apart(&self, person: Person) -> BTreeMap<(i64, Person), i64> {
        let is_one = |one: &Person| self.known_as(*one) == self.known_as(person);
        let mut apart = BTreeMap::new();
        for parting in &self.partings {
            for former in parting.formers.iter().filter(|former| former.persons.iter().any(is_one)) {
                for other in former.persons.iter().filter(|other| !is_one(other)) {
                    let since = apart.entry((parting.until, *other)).or_insert(former.since);
                    *since = former.since.min(*since);
                }
            }
        }
        apart
    }

    /// Who was parted from a person last, since when each was taken for one with them, and until when.
    pub(super) fn parted(&self, person: Person) -> (Vec<(Person, i64)>, i64) {
        let apart = self.apart(person);
        let last = apart.keys().next_back().map_or(0, |(until, _)| *until);
        let others = apart.into_iter().filter(|((until, _), _)| *until == last).map(|((_, other), since)| (other, since));
        (others.collect(), last)
    }

    /// Whether any were parted.
    pub(super) fn were_parted(&self) -> bool {
        !self.partings.is_empty()
    }

    /// When that was, and of how many.
    pub(super) fn parted_at(&self, person: Person) -> Option<(i64, usize)> {
        let apart = self.apart(person);
        let (last, _) = *apart.keys().next_back()?;
        Some((last, apart.keys().filter(|(until, _)| *until == last).count()))
    }

    /// What was said or done to others while they were taken for one with a person.
    pub(super) fn shared(&self, person: Person, journal: &[Arc<Decision>]) -> Vec<Decision> {
        let mut found = Vec::new();
        for ((until, other), since) in self.apart(person) {
            let is_theirs = |decision: &&Arc<Decision>| {
                let in_time = (since..until).contains(&decision.at);
                in_time && decision.outcome == Outcome::Fired && decision.person == other
            };
            let fired = journal.iter().filter(is_theirs);
            found.extend(fired.map(|decision| shared(Decision::clone(decision), person, until)));
        }
        found
    }
}

impl Parting {
    fn is_of(&self, moment: i64, person: Person) -> bool {
        self.until == moment && self.persons.contains(&person)
    }
}
