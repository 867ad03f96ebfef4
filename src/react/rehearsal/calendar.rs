//! The calendar of a rehearsal: it calls when it called, or would have, for the persons who are rehearsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Rehearsal;
use super::timetable::Called;
use crate::ledger::{Due, Line, Person};
use crate::react::retold::names;
use crate::react::{Alone, NAMING, Next, Occasion, Planned, Resource, Sweep, is_renamed, sweep};

impl Rehearsal<'_> {
    /// What comes first: something due, a call of the calendar, or other rules.
    pub(super) fn next_moment(&self) -> Option<i64> {
        self.dues.values().chain(self.sweeps.values()).map(|due| due.due).chain(self.next_rules()).min()
    }

    /// When other rules take the place of those that run.
    fn next_rules(&self) -> Option<i64> {
        let later = self.later.iter().map(|(since, _)| *since);
        later.filter(|since| *since > self.now && self.now > i64::MIN).min()
    }

    /// Keeps the calendar as the rules are now. Before anything is told no time has begun.
    pub(super) fn keep_calendar(&mut self) {
        let rules = self.rules();
        if self.now == i64::MIN || self.planned_for.is_some_and(|known| std::ptr::eq(known, rules)) {
            return;
        }
        // Who becomes known later than a call was not called then.
        let first = if self.planned_for.replace(rules).is_none() { self.now } else { i64::MIN };
        let kept: Vec<Due> = self.sweeps.values().map(|row| Due::clone(row)).collect();
        for mark in sweep::calendar(rules, &self.tenant, &kept, (first, self.now.max(self.calls_from)), &self.store.zone) {
            self.mark(mark);
        }
    }

    /// What is due of a person, or of nobody.
    pub(super) fn rows(&mut self, person: Person) -> &mut BTreeMap<String, Planned> {
        if person == Person::NOBODY { &mut self.sweeps } else { &mut self.dues }
    }

    /// The first sweep whose time has come, and those that follow it by then, until one calls somebody or something else comes first.
    pub(super) fn sweep_on(&mut self, to: i64) {
        let others = self.dues.values().map(|due| due.due).chain(self.next_rules()).min().unwrap_or(i64::MAX);
        let mut first = self.first_sweep().filter(|row| row.due <= self.now).cloned();
        while let Some(row) = first {
            let has_called = self.sweep(&row);
            // A row that its own sweep neither ends nor moves would be looked at for ever.
            if self.sweeps.get(&row.output).is_some_and(|kept| **kept == *row) {
                self.sweeps.remove(&row.output);
                self.faults += 1;
            }
            first = self.first_sweep().filter(|next| next.due <= to && next.due < others).cloned();
            if has_called || self.is_spent() {
                return;
            }
            self.now = first.as_ref().map_or(self.now, |next| self.now.max(next.due));
        }
    }

    /// Whether what names a Medication is told again before anything that is due is looked at.
    pub(super) fn retells(&self) -> bool {
        self.first_sweep().is_some_and(|row| row.due <= self.now && sweep::is_of_medication(row))
    }

    fn first_sweep(&self) -> Option<&Planned> {
        self.sweeps.values().min_by_key(|row| (row.due, row.priority, &row.rule, &row.output))
    }

    /// Something became known that may have arrived in a store.
    pub(super) fn arrive(&mut self, line: Line, resource: &Resource) {
        for mark in sweep::arrived(self.rules(), &self.tenant, line, resource) {
            self.mark(mark);
        }
        let before = self.known.own(&resource.reference()).filter(|known| !known.deleted).map(|known| Arc::clone(&known.value));
        if is_renamed(line, resource, before.as_deref()) {
            let name = resource.reference();
            let is_named = |kind: &&str| self.known.of_kind(kind).any(|one| names(one, &name));
            for kind in NAMING.into_iter().filter(is_named).collect::<Vec<_>>() {
                self.mark(sweep::renamed(&self.tenant, kind, resource));
            }
        }
    }

    /// Makes a call for all whom it may be about; whether there was anybody.
    fn sweep(&mut self, row: &Planned) -> bool {
        let called = self.called(row);
        let people = called.sweep.as_ref().map(|sweep| self.people(sweep)).unwrap_or_default();
        let has_called = !people.is_empty();
        if let Some(sweep) = &called.sweep {
            for (person, subjects) in people {
                self.turn(person, &Occasion::Called(sweep.call_for(subjects).into()), 0);
            }
        }
        match (&called.then, self.sweeps.get_mut(&row.output)) {
            (Some(next), Some(kept)) => *kept = next.clone(),
            (Some(next), None) => drop(self.sweeps.insert(row.output.clone(), next.clone())),
            (None, _) => drop(self.sweeps.remove(&row.output)),
        }
        has_called
    }

    /// Whom a call may be about, and by what of theirs, in the order of its names.
    fn people(&mut self, sweep: &Sweep) -> BTreeMap<Person, Vec<Resource>> {
        let mut people: BTreeMap<Person, Vec<Resource>> = BTreeMap::new();
        let (rules, zone) = (self.rules(), &self.store.zone);
        let known = self.alone.take().filter(|alone| alone.is_in(zone));
        let mut alone = known.unwrap_or_else(|| Alone::new(&self.tenant, zone));
        let mut called: Vec<&Resource> = Vec::new();
        for resource in self.known.of_kind(&sweep.kind) {
            self.steps += 1;
            if sweep.may_call(rules, resource, &mut alone) {
                called.push(resource);
            }
        }
        called.sort_by(|one, other| one.id.cmp(&other.id));
        for resource in called {
            people.entry(self.unions.known_as(resource.person)).or_default().push(resource.clone());
        }
        self.alone = Some(alone);
        people
    }

    /// What a row comes to now. What is called in time, and not for what arrived, comes to the same for everybody.
    fn called(&self, row: &Planned) -> Arc<Called> {
        let zone = &self.store.zone;
        let place = self.later.iter().filter(|(since, _)| *since <= self.now).count();
        let table = self.timetable.filter(|_| row.due == self.now);
        if let Some(known) = table.and_then(|table| table.known(place, row)) {
            return known;
        }
        let (rules, arrival) = (self.rules(), sweep::event_of(row));
        let event = arrival.as_ref().and_then(|(kind, id)| self.known.own(&format!("{kind}/{id}")).cloned());
        let called = Arc::new(match sweep::sweep(rules, row, self.now, zone, event.filter(|event| !event.deleted)) {
            Next::Moved(mark) => Called::new(row, None, mark),
            Next::Look(sweep) => Called::new(row, Some(sweep), sweep::swept(rules, row, None, self.now, zone)),
        });
        if let Some(table) = table.filter(|_| arrival.is_none()) {
            table.learn(place, row, &called);
        }
        called
    }
}
