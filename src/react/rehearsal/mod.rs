//! A story in memory, told to the rules as the beat would tell it: for trying rules before they are live, and for deciding again
//! what was decided. It loads only what the rules ask for, so that a rule that works here works with the ledger.
//!
//! What the beat does with the store this does with values: events are heard, those of one person are decided together, what came
//! of them is recorded and heard in its turn, then what is due by now is looked at. Persons who are one in the end are rehearsed
//! together, each for themselves until they were united. How often a rule fires over all persons is not known here: nothing is
//! stopped for its radius.

mod calendar;
mod compare;
mod known;
mod record;
mod refusals;
mod retrace;
mod tally;
mod timetable;
mod told;
mod unions;

pub use compare::{Difference, differences};
pub use known::{Elsewhere, referred};
pub use refusals::{Refusals, Said};
pub use retrace::{Entered, Traced};
pub use tally::{Asked, Counts, Tally, Trial, person};
pub use timetable::Timetable;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::json::text;
use super::words::{self, Wish};
use super::{Alone, Concern, Heard, Occasion, Planned, Resource, Rules, Settings, Store, is_pending, react};
use crate::ledger::{Decision, How, Line, Outcome, Person, Supply};
use known::Known;
use refusals::Stops;
use told::Kept;
use unions::Unions;

/// How often what was recorded at one moment may lead to more before a rehearsal gives up.
const ROUNDS_MAX: usize = 64;

/// Numbers of what is recorded in the rehearsal begin here, above all that a ledger gave.
const OURS: i64 = 1 << 60;

/// Something that was learned of a resource, as the ledger keeps it.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Number of the resource, the same for all its versions.
    pub number: i64,
    /// What happened to it.
    pub line: Line,
    /// The resource as it is after it; which fact it states is found out here.
    pub resource: Resource,
    /// Its text, where no rule hears of it; then it is read when one asks for it, and the value may be null.
    pub text: Option<String>,
}

impl Fact {
    /// A Patient of whom nothing is told but that it is of this person.
    fn patient(person: Person, learned: i64) -> Resource {
        Resource {
            kind: String::from("Patient"),
            id: String::new(),
            version: 0,
            fact: 0,
            source: String::new(),
            how: How::Live,
            learned,
            person,
            deleted: false,
            value: Arc::new(Value::Null),
        }
    }
}

/// What a ledger tells, in the order in which it was learned.
#[derive(Debug, Clone)]
pub enum Learned {
    /// Something about a resource.
    Fact(Box<Fact>),
    /// A resource is somebody else's, of whom nothing is told: how it stands there.
    Left(Box<Fact>),
    /// Two persons are one from now on.
    United(Person, Person),
    /// Two persons who were one are two again.
    Parted(Person, Person),
}

/// An event that the rules must hear.
#[derive(Debug)]
struct Claimed {
    heard: Heard,
    person: Person,
    concern: Concern,
    /// When it was recorded.
    at: i64,
}

/// A story in memory.
#[derive(Debug)]
pub struct Rehearsal<'r> {
    /// The rules that run at first.
    rules: &'r Rules,
    /// Those that take their place, and when, in order.
    later: Vec<(i64, &'r Rules)>,
    tenant: Arc<str>,
    /// What time it is; [`Rehearsal::advance`] moves it.
    pub now: i64,
    /// The tenant's choices.
    pub settings: Settings,
    /// The store that stands for all whose own is not known.
    pub store: Store,
    known: Known,
    /// When the calendar calls, by output.
    sweeps: BTreeMap<String, Planned>,
    /// Before this it does not call.
    calls_from: i64,
    /// What others found out about its calls.
    timetable: Option<&'r Timetable>,
    /// What is told of those whom a call may be about.
    alone: Option<Alone>,
    /// The rules that it was made for.
    planned_for: Option<&'r Rules>,
    /// By dispense and whose it is.
    pub supplies: BTreeMap<(String, Person), Arc<Supply>>,
    /// By output.
    pub dues: BTreeMap<String, Planned>,
    /// Latest decision by output and person: two who were parted may each have one of an output. With its place among all that was
    /// decided of the output, as the ledger counts.
    decisions: BTreeMap<(String, Person), (i64, Arc<Decision>)>,
    /// Every decision, in order.
    pub journal: Vec<Arc<Decision>>,
    kept: Kept,
    /// The rules that it was told by.
    kept_by: Option<&'r Rules>,
    /// How often a ledger would have refused what was decided, or a due would have been looked at for ever. It is to be 0.
    pub faults: usize,
    /// What it cost so far: questions to the rules, and resources that were looked at for them.
    pub steps: usize,
    steps_max: usize,
    /// What came of asking again; see [`Rehearsal::retrace`].
    pub traced: Traced,
    stops: Stops<'r>,
    heard: Vec<Claimed>,
    /// Who was united, of which the rules hear with the Patient that did it.
    links: Vec<Person>,
    unions: Unions,
    number: i64,
    /// The stamp of what is recorded, where it is not that of the moment.
    stamp: Option<i64>,
}

impl<'r> Rehearsal<'r> {
    /// A person of whom nothing is known.
    #[must_use]
    pub fn new(rules: &'r Rules, settings: Settings, store: Store, now: i64) -> Self {
        Self {
            rules,
            later: Vec::new(),
            tenant: Arc::from("rehearsal"),
            now,
            settings,
            store,
            known: Known::default(),
            sweeps: BTreeMap::new(),
            calls_from: i64::MIN,
            timetable: None,
            alone: None,
            planned_for: None,
            supplies: BTreeMap::new(),
            dues: BTreeMap::new(),
            decisions: BTreeMap::new(),
            journal: Vec::new(),
            kept: Kept::default(),
            kept_by: None,
            faults: 0,
            steps: 0,
            steps_max: usize::MAX,
            traced: Traced::default(),
            stops: Stops::default(),
            heard: Vec::new(),
            links: Vec::new(),
            unions: Unions::default(),
            number: OURS,
            stamp: None,
        }
    }

    /// The same for a tenant, under rules whose place others take at these times.
    #[must_use]
    pub fn of(self, tenant: &Arc<str>, later: Vec<(i64, &'r Rules)>) -> Self {
        Self { tenant: Arc::clone(tenant), later, ..self }
    }

    /// The same among others: what of theirs is referred to, and who of them said STOP.
    #[must_use]
    pub fn among(mut self, elsewhere: Elsewhere, refusals: &'r Refusals) -> Self {
        self.known.elsewhere = elsewhere;
        self.stops.others = Some(refusals);
        self
    }

    /// The same, in which the calendar calls from this time on.
    #[must_use]
    pub fn called_from(self, calls_from: i64) -> Self {
        Self { calls_from, ..self }
    }

    /// The same, which shares what is found out about the calls of the calendar.
    #[must_use]
    pub fn sharing(self, timetable: &'r Timetable) -> Self {
        Self { timetable: Some(timetable), ..self }
    }

    /// The same, which ends when it has cost so much.
    #[must_use]
    pub fn within(self, steps_max: usize) -> Self {
        Self { steps_max, ..self }
    }

    /// Whether it ended because it cost too much: then what it tells is not the whole.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.steps >= self.steps_max
    }

    /// A resource arrives now.
    pub fn hear(&mut self, value: Value) {
        self.hear_from(value, How::Live, "client");
    }

    /// A resource arrives now, learned in this way from this source.
    pub fn hear_from(&mut self, value: Value, how: How, source: &str) {
        self.hear_of(Person(1), value, how, source);
    }

    /// A resource of this person arrives now.
    pub fn hear_of(&mut self, person: Person, value: Value, how: How, source: &str) {
        let mut fact = self.fact(value, person, how, source);
        let known = self.known.own(&fact.resource.reference()).filter(|known| !known.deleted);
        let left = known.filter(|known| self.unions.known_as(known.person) != self.unions.known_as(person)).cloned();
        if let Some(resource) = left {
            let resource = Resource { how, learned: fact.resource.learned, ..resource };
            self.take(Fact { number: 0, line: Line::Left, resource, text: None }, 0);
            fact.line = Line::Created;
        }
        self.take(fact, 0);
        self.settle();
    }

    /// A resource is deleted now.
    pub fn delete(&mut self, reference: &str) {
        let Some(known) = self.known.own(reference) else { return };
        let resource = Resource { version: known.version + 1, learned: self.now, ..known.clone() };
        self.take(Fact { number: 0, line: Line::Deleted, resource, text: None }, 0);
        self.settle();
    }

    /// Two persons are one from now on; the rules hear of it with the next Patient.
    pub fn unite(&mut self, one: Person, other: Person) {
        self.kept.forget();
        match self.unions.unite(one, other, self.now) {
            Some((survivor, true)) => self.links.push(survivor),
            // Of several who leave at one moment, who they are known as hears of it.
            Some((_, false)) => {
                let (unions, now) = (&self.unions, self.now);
                let is_told = |one: &Claimed| one.heard.line == Line::Parted && one.at == now;
                self.heard.retain(|one| !is_told(one) || unions.known_as(one.person) == one.person);
            }
            None => {}
        }
    }

    /// Two persons who were one are two again: each hears of it, whoever's Patient says so.
    pub fn part(&mut self, one: Person, other: Person) {
        self.kept.forget();
        for person in self.unions.part(one, other, self.now) {
            let resource = Fact::patient(person, self.now);
            let heard = Heard { line: Line::Parted, resource, react: true, depth: 0 };
            let is_told =
                |claimed: &Claimed| claimed.person == person && claimed.heard.line == Line::Parted && claimed.at == self.now;
            if !self.heard.iter().any(is_told) {
                self.heard.push(Claimed { heard, person, concern: Concern::Rules, at: self.now });
            }
        }
    }

    /// All that was learned at one moment, together: what fell due until then was looked at before.
    pub fn tell(&mut self, at: i64, learned: impl IntoIterator<Item = Learned>) {
        self.advance(at);
        for one in learned {
            match one {
                Learned::United(one, other) => self.unite(one, other),
                Learned::Parted(one, other) => self.part(one, other),
                Learned::Fact(fact) => self.take(*fact, 0),
                Learned::Left(fact) => {
                    self.known.put(*fact, |_| false);
                }
            }
        }
        self.settle();
    }

    /// Time goes on; what falls due is looked at when its time comes.
    pub fn advance(&mut self, to: i64) {
        self.keep_calendar();
        while let Some(first) = self.next_moment().filter(|first| *first <= to && !self.is_spent()) {
            self.now = self.now.max(first);
            self.keep_calendar();
            let mut dues: Vec<Planned> = self.dues.values().filter(|due| due.due <= self.now).cloned().collect();
            dues.sort_by(|a, b| {
                (a.due, a.priority, &a.rule, &a.step, &a.episode, a.person, &a.output)
                    .cmp(&(b.due, b.priority, &b.rule, &b.step, &b.episode, b.person, &b.output))
            });
            let retells = self.retells();
            if dues.is_empty() || retells {
                self.sweep_on(to);
            }
            for due in dues.into_iter().filter(|_| !retells) {
                let (person, before) = (due.person, due.clone());
                self.turn(person, &Occasion::Due(due), 0);
                // A due that its own turn neither ends nor moves would be looked at for ever.
                if self.dues.get(&before.output).is_some_and(|due| **due == *before) {
                    self.dues.remove(&before.output);
                    self.faults += 1;
                }
            }
            self.settle();
        }
        self.now = self.now.max(to);
        self.keep_calendar();
    }

    /// The resources of ours of this type, in order of their ids.
    pub fn outputs<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let ours = self.resources().filter(move |resource| resource.kind == kind && resource.how == How::Derived);
        ours.map(|resource| resource.value.as_ref())
    }

    /// All resources, in order of their names.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.known.all()
    }

    /// The resource of this reference (`Type/id`), also when it was deleted.
    #[must_use]
    pub fn resource(&self, reference: &str) -> Option<&Resource> {
        self.known.own(reference)
    }

    /// Whether somebody refuses for an address now.
    #[must_use]
    pub fn is_stopped(&self, address: &str) -> bool {
        self.stops.binds(address, self.now, |_| false)
    }

    /// Who said STOP and START, in order.
    #[must_use]
    pub fn said(&self) -> &[Said] {
        &self.stops.said
    }

    /// The addresses of which it was asked whether somebody refuses for them.
    #[must_use]
    pub fn asked(&self) -> &BTreeSet<String> {
        &self.stops.asked
    }

    /// What was decided of this step last.
    #[must_use]
    pub fn last(&self, step: &str) -> Option<&Decision> {
        self.journal.iter().rev().map(Arc::as_ref).find(|decision| decision.step == step)
    }

    /// What was decided last of each output and person.
    pub fn latest(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.values().map(|(_, decision)| decision.as_ref())
    }

    /// How often something was said to the person.
    #[must_use]
    pub fn spoken(&self) -> usize {
        self.latest().filter(|decision| decision.spoken && decision.outcome == Outcome::Fired).count()
    }

    fn rules(&self) -> &'r Rules {
        self.later.iter().rev().find(|(since, _)| *since <= self.now).map_or(self.rules, |(_, rules)| rules)
    }

    /// What is told as a value, as the ledger would keep it.
    fn fact(&mut self, value: Value, person: Person, how: How, source: &str) -> Fact {
        let (kind, id) = (text(&value, "resourceType").unwrap_or_default(), text(&value, "id").unwrap_or_default());
        let known = self.known.own(&format!("{kind}/{id}"));
        self.number += 1;
        let resource = Resource {
            kind: kind.to_owned(),
            id: id.to_owned(),
            version: known.map_or(1, |known| known.version + 1),
            fact: 0,
            source: source.to_owned(),
            how,
            learned: self.stamp.unwrap_or(self.now),
            person,
            deleted: false,
            value: Arc::new(value),
        };
        let line = if known.is_some_and(|known| !known.deleted) { Line::Updated } else { Line::Created };
        Fact { number: self.number, line, resource, text: None }
    }

    /// Takes a fact in; the rules hear it at the next occasion.
    fn take(&mut self, fact: Fact, depth: u8) {
        let rules = self.rules();
        let is_heard = rules.hears(&fact.resource.kind);
        let (person, how, at) = (fact.resource.person, fact.resource.how, fact.resource.learned);
        self.arrive(fact.line, &fact.resource);
        let unions = &self.unions;
        let is_one = |other: Person| unions.known_as(other) == unions.known_as(person);
        let Some((line, resource)) = self.known.put(fact, is_one) else { return };
        if !is_heard {
            return;
        }
        let links = if resource.kind == "Patient" { std::mem::take(&mut self.links) } else { Vec::new() };
        for (line, person) in std::iter::once((line, person)).chain(links.into_iter().map(|person| (Line::Linked, person))) {
            let concern = rules.concerns(&resource.kind, line, &resource.value);
            if concern != Concern::Nothing {
                let heard = Heard { line, resource: resource.clone(), react: how == How::Live, depth };
                self.heard.push(Claimed { heard, person, concern, at });
            }
        }
    }

    /// Decides on what was heard, and on what came of that, until nothing is left.
    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let heard = std::mem::take(&mut self.heard);
            if heard.is_empty() {
                return;
            }
            for (person, heard) in self.by_person(heard) {
                let depth = heard.iter().map(|one| one.depth).max().unwrap_or(0);
                self.turn(person, &Occasion::Heard(heard), depth);
            }
        }
        self.faults += 1;
        self.heard.clear();
    }

    /// What needs a story, by the persons as they are known; who says STOP comes first, since it binds others too.
    fn by_person(&self, heard: Vec<Claimed>) -> Vec<(Person, Vec<Heard>)> {
        let mut people: BTreeMap<Person, Vec<Claimed>> = BTreeMap::new();
        for claimed in heard {
            people.entry(claimed.person).or_default().push(claimed);
        }
        let mut known: BTreeMap<Person, Vec<Heard>> = BTreeMap::new();
        for (person, claimed) in people {
            let is_one = |other: Person| self.unions.known_as(other) == self.unions.known_as(person);
            let may_change = |decision: &Decision| is_one(decision.person) && is_pending(decision, self.now);
            let waits = || self.dues.values().any(|due| is_one(due.person)) || self.latest().any(may_change);
            if claimed.iter().any(|one| one.concern == Concern::Rules) || waits() {
                known.entry(self.unions.known_as(person)).or_default().extend(claimed.into_iter().map(|one| one.heard));
            }
        }
        let mut known: Vec<(Person, Vec<Heard>)> = known.into_iter().collect();
        let says_stop = |heard: &Heard| words::wish_of(&heard.resource) == Some(Wish::Stop);
        known.sort_by_key(|(_, heard)| !heard.iter().any(says_stop));
        known
    }

    fn turn(&mut self, person: Person, occasion: &Occasion, depth: u8) {
        if self.is_spent() {
            return;
        }
        let (rules, person) = (self.rules(), self.unions.known_as(person));
        // To what groups a product belongs is the rules' matter.
        if self.kept_by.replace(rules).is_none_or(|known| !std::ptr::eq(known, rules)) {
            self.kept.forget();
        }
        let is_theirs = |due: &&Planned| self.unions.known_as(due.person) == person;
        let mut dues: Vec<Planned> = self.dues.values().filter(is_theirs).cloned().collect();
        dues.sort_by(|a, b| (a.due, a.priority, &a.rule).cmp(&(b.due, b.priority, &b.rule)));
        let wants = rules.wants(occasion, &dues);
        let mut story = self.story(person, &wants, occasion.heard(), dues);
        self.steps += 1 + story.resources.len();
        let mut reaction = react(rules, &story, occasion);
        story.taken = self.standing(&reaction);
        if !story.taken.is_empty() {
            reaction = react(rules, &story, occasion);
        }
        // What it shares is changed in place.
        drop(story);
        self.record(person, reaction, depth + 1);
    }
}
