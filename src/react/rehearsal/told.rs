//! The story of a person as it stands in a rehearsal. What does not change from turn to turn is not told anew: rows are shared, and what
//! was found out about them is kept until one of them changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Rehearsal;
use crate::ledger::{Decision, Line, Person, Supply};
use crate::react::{
    Handed, Heard, Latest, Parted, Planned, Resource, STORES_MAX, Store, Story, Wants, behind, behind_these, beside, leave,
    members, ordered, organizations, pending, stoppable, told_again,
};

/// What was decided of a person and handed over to them, by whom they are known as.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<Person, (Arc<Latest>, Arc<Handed>)>);

impl Kept {
    /// Who is one with whom has changed.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// Something was decided of a person.
    pub(super) fn decided(&mut self, known_as: Person, decision: &Arc<Decision>) {
        if let Some((decisions, _)) = self.0.get_mut(&known_as) {
            Arc::make_mut(decisions).keep(Arc::clone(decision));
        }
    }

    /// A dispense supplies a person so, or not any more.
    pub(super) fn supplied(&mut self, known_as: Person, dispense: &str, row: Option<&Arc<Supply>>) {
        if let Some((_, supplies)) = self.0.get_mut(&known_as) {
            Arc::make_mut(supplies).replace(dispense, row.cloned());
        }
    }
}

impl Rehearsal<'_> {
    pub(super) fn story(&mut self, person: Person, wants: &Wants, heard: &[Heard], dues: Vec<Planned>) -> Story {
        let (decisions, supplies) = self.kept(person);
        let unions = &self.unions;
        let is_one = |other: Person| unions.known_as(other) == person;
        let mut resources = Vec::new();
        for kind in &wants.kinds {
            self.known.held(kind, is_one, &mut resources);
        }
        resources.retain(Resource::is_about);
        let parted_at = unions.parted_at(person);
        let mut parted = Parted::default();
        if heard.iter().any(|heard| heard.line == Line::Parted) {
            (parted.persons, parted.from) = unions.parted(person);
            parted.since = parted.persons.iter().map(|(_, since)| *since).min().unwrap_or_default();
            let is_other = |person: Person| parted.persons.iter().any(|(other, _)| *other == person);
            for kind in ["Patient", "RelatedPerson"] {
                self.known.held(kind, is_other, &mut parted.addressed);
            }
        }
        let named = members(&resources).into_iter().chain(told_again(&parted, &resources, &decisions, self.now));
        let named = wants.references.iter().cloned().chain(pending(&dues, &decisions, self.now)).chain(named);
        let named: Vec<String> = named.collect();
        self.known.add(&named, self.now, &mut resources);
        let behind = behind(&resources);
        self.known.add(&behind, self.now, &mut resources);
        let supplies = if wants.supplies { supplies } else { Arc::default() };
        let united = unions.united(person);
        leave(&mut resources, &united, heard);
        let mut stopped = stoppable(person, &united, &resources);
        self.stops.ask(&stopped);
        stopped.retain(|address| self.stops.binds(address, self.now, is_one));
        let (tenant, now, settings) = (Arc::clone(&self.tenant), self.now, self.settings);
        let stores = self.stores(heard, &resources);
        let halts = Vec::new();
        let mut story = Story {
            tenant,
            person,
            united,
            now,
            settings,
            stores,
            resources,
            supplies,
            dues,
            decisions,
            stopped,
            halts,
            taken: BTreeSet::new(),
            parted_at,
            parted,
        };
        self.look_beside(heard, &mut story);
        story
    }

    /// Adds the dispenses that those which were heard may make others of, what these refer to, and what their orders are about.
    fn look_beside(&mut self, heard: &[Heard], story: &mut Story) {
        let beside = beside(self.rules(), story, heard);
        self.known.add(&beside, self.now, &mut story.resources);
        let behind = behind_these(story, &beside);
        self.known.add(&behind, self.now, &mut story.resources);
        let ordered = ordered(story, heard, &beside);
        if beside.is_empty() && ordered.is_empty() {
            return;
        }
        self.known.add(&ordered, self.now, &mut story.resources);
        leave(&mut story.resources, &story.united, heard);
        story.stores = self.stores(heard, &story.resources);
    }

    /// The stores that the facts name, after the one that stands for all whose own is not known.
    fn stores(&mut self, heard: &[Heard], resources: &[Resource]) -> Vec<Store> {
        let mut stores = vec![self.store.clone()];
        let facts = resources.iter().chain(heard.iter().map(|event| &event.resource));
        for id in organizations(facts).iter().take(STORES_MAX) {
            let told = self.known.find(&format!("Organization/{id}"), self.now).map(|told| told.value);
            stores.push(Store::of(self.rules(), id, &told.unwrap_or_default(), &self.store.zone));
        }
        stores
    }

    /// What was decided of a person and handed over to them.
    fn kept(&mut self, person: Person) -> (Arc<Latest>, Arc<Handed>) {
        let unions = &self.unions;
        let is_one = |other: Person| unions.known_as(other) == person;
        let told = || {
            let mut own: Vec<&(i64, Arc<Decision>)> = self.decisions.values().filter(|(_, one)| is_one(one.person)).collect();
            // Of one time, what was decided last stands, whosever record it is filed under.
            own.sort_by_key(|(place, one)| (one.at, *place, one.person));
            let own = own.into_iter().map(|(_, one)| Arc::clone(one));
            let decisions = Latest::of(unions.shared(person, &self.journal).into_iter().map(Arc::new).chain(own));
            let mut supplies: Vec<Arc<Supply>> = self.supplies.values().filter(|supply| is_one(supply.person)).cloned().collect();
            supplies.sort_by(|a, b| (&a.product, a.handed, &a.dispense).cmp(&(&b.product, b.handed, &b.dispense)));
            (Arc::new(decisions), Arc::new(Handed::of(supplies)))
        };
        // What was said to somebody who was taken for one with the person may count for them at one time and not at another.
        if unions.were_parted() { told() } else { self.kept.0.entry(person).or_insert_with(told).clone() }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::ledger::{Mark, Outcome};
    use crate::react::{Rules, Settings};

    fn decided(person: i64, at: i64, gate: &str) -> Mark {
        Mark::Decided(Decision {
            person: Person(person),
            output: String::from("o"),
            at,
            outcome: Outcome::Held,
            gate: gate.to_owned(),
            until: 0,
            rule: String::from("r|1"),
            step: String::from("s"),
            episode: String::from("e"),
            priority: 1,
            spoken: false,
            reason: String::new(),
            facts: Arc::default(),
            recorded: String::new(),
        })
    }

    // Of two records of one person: what was decided last stands, whether the story goes on or is told anew.
    #[test]
    fn what_was_decided_last_of_an_output_stands_for_all_records() {
        let rules = Rules::default();
        let mut house = Rehearsal::new(&rules, Settings::default(), Store::unknown(&TimeZone::UTC), 0);
        house.unite(Person(1), Person(2));
        let known = |house: &mut Rehearsal| -> Vec<(String, i64)> {
            house.kept(Person(1)).0.iter().map(|decision| (decision.gate.clone(), decision.at)).collect()
        };
        assert_eq!(known(&mut house), []);
        for (mark, stands) in [
            (decided(2, 5, "first"), ("first", 5)),
            (decided(1, 5, "at the same time"), ("at the same time", 5)),
            (decided(2, 3, "by a clock set back"), ("by a clock set back", 5)),
            (decided(1, 7, "later"), ("later", 7)),
        ] {
            house.mark(mark);
            let stands = [(stands.0.to_owned(), stands.1)];
            assert_eq!(known(&mut house), stands);
            house.kept.forget();
            assert_eq!(known(&mut house), stands);
        }
    }
}
