//! The calendar of a rehearsal: it calls when it called, or would have, for the persons who are rehearsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::Rehearsal;
use super::timetable::Called;
use crate::ledger::{Due, Line, Person};
use crate::react::{Next, Occasion, Planned, Resource, sweep};

impl Rehearsal<'_> {
    /// What comes first: something due, a call of the calendar, or other rules.
    pub(super) fn next_moment(&self) -> Option<i64> {
        let rules = self.later.iter().map(|(since, _)| *since).filter(|since| *since > self.now && self.now > i64::MIN);
        self.dues.values().chain(self.sweeps.values()).map(|due| due.due).chain(rules).min()
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

    /// The first sweep whose time has come.
    pub(super) fn sweep_next(&mut self) {
        let rows = self.sweeps.values().filter(|row| row.due <= self.now);
        if let Some(row) = rows.min_by_key(|row| (row.due, row.priority, &row.rule, &row.output)).cloned() {
            self.sweep(&row);
            // A row that its own sweep neither ends nor moves would be looked at for ever.
            if self.sweeps.get(&row.output).is_some_and(|kept| **kept == *row) {
                self.sweeps.remove(&row.output);
                self.faults += 1;
            }
        }
    }

    /// Something became known that may have arrived in a store.
    pub(super) fn arrive(&mut self, line: Line, resource: &Resource) {
        for mark in sweep::arrived(self.rules(), &self.tenant, line, resource) {
            self.mark(mark);
        }
    }

    fn sweep(&mut self, row: &Planned) {
        let (zone, tenant) = (self.store.zone.clone(), Arc::clone(&self.tenant));
        let called = self.called(row, &zone);
        if let Some(sweep) = &called.sweep {
            let mut people: BTreeMap<Person, Vec<String>> = BTreeMap::new();
            let (rules, found) = (self.rules(), self.known.of_kind(&sweep.kind));
            self.steps += found.len();
            for resource in found.into_iter().filter(|one| sweep.may_call(rules, &tenant, one, &zone)) {
                people.entry(self.unions.known_as(resource.person)).or_default().push(resource.reference());
            }
            for (person, subjects) in people {
                self.turn(person, &Occasion::Called(sweep.call_for(subjects).into()), 0);
            }
        }
        match &called.then {
            Some(next) => self.sweeps.insert(row.output.clone(), next.clone()),
            None => self.sweeps.remove(&row.output),
        };
    }

    /// What a row comes to now. What is called in time, and not for what arrived, comes to the same for everybody.
    fn called(&self, row: &Planned, zone: &TimeZone) -> Arc<Called> {
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
