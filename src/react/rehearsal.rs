//! One person's story in memory, told to the rules as the beat would tell it: for trying rules before they are live.
//! It loads only what the rules ask for, so that a rule that works here works with the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::json::{each, text};
use super::{
    Concern, Heard, Occasion, Output, Reaction, Resource, Rules, Settings, Store, Story, Wants, members, pending, react,
    stoppable,
};
use crate::ledger::{Decision, Due, How, Line, Mark, Outcome, Person, Precondition, Supply};

/// How often one event may lead to others before a rehearsal gives up.
const DEPTH_MAX: u8 = 4;

/// One person's story in memory.
#[derive(Debug)]
pub struct Rehearsal<'r> {
    rules: &'r Rules,
    /// What time it is; [`Rehearsal::advance`] moves it.
    pub now: i64,
    /// The tenant's choices.
    pub settings: Settings,
    /// The stores; the first is the default one.
    pub stores: Vec<Store>,
    /// By `Type/id`.
    pub resources: BTreeMap<String, Resource>,
    /// By dispense.
    pub supplies: BTreeMap<String, Supply>,
    /// By output.
    pub dues: BTreeMap<String, Due>,
    /// Latest decision by output.
    pub decisions: BTreeMap<String, Decision>,
    /// Every decision, in order.
    pub journal: Vec<Decision>,
    /// Addresses that said STOP.
    pub stopped: Vec<String>,
}

impl<'r> Rehearsal<'r> {
    /// A person of whom nothing is known.
    #[must_use]
    pub fn new(rules: &'r Rules, settings: Settings, store: Store, now: i64) -> Self {
        Self {
            rules,
            now,
            settings,
            stores: vec![store],
            resources: BTreeMap::new(),
            supplies: BTreeMap::new(),
            dues: BTreeMap::new(),
            decisions: BTreeMap::new(),
            journal: Vec::new(),
            stopped: Vec::new(),
        }
    }

    /// A resource arrives now.
    pub fn hear(&mut self, value: Value) {
        self.hear_from(value, How::Live, "client");
    }

    /// A resource arrives now, learned in this way from this source.
    pub fn hear_from(&mut self, value: Value, how: How, source: &str) {
        let (line, resource) = self.keep(value, how, source);
        self.tell(line, resource, 0);
    }

    /// A resource is deleted now.
    pub fn delete(&mut self, reference: &str) {
        let Some(resource) = self.resources.get_mut(reference) else { return };
        resource.deleted = true;
        resource.version += 1;
        let resource = resource.clone();
        self.tell(Line::Deleted, resource, 0);
    }

    /// Time goes on; what falls due is looked at when its time comes.
    pub fn advance(&mut self, to: i64) {
        while let Some(due) = self.next().filter(|due| due.due <= to) {
            self.now = self.now.max(due.due);
            // A due that its own turn neither ends nor moves would be looked at for ever.
            let before = due.clone();
            self.turn(&Occasion::Due(due), 0);
            if self.dues.get(&before.output) == Some(&before) {
                self.dues.remove(&before.output);
            }
        }
        self.now = self.now.max(to);
    }

    /// The resources of ours of this type, in order of their ids.
    pub fn outputs<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let ours = self.resources.values().filter(move |resource| resource.kind == kind && resource.how == How::Derived);
        ours.map(|resource| resource.value.as_ref())
    }

    /// What was decided of this step last.
    #[must_use]
    pub fn last(&self, step: &str) -> Option<&Decision> {
        self.journal.iter().rev().find(|decision| decision.step == step)
    }

    fn next(&self) -> Option<Due> {
        self.dues.values().min_by_key(|due| (due.due, due.priority, &due.rule, &due.output)).cloned()
    }

    fn keep(&mut self, value: Value, how: How, source: &str) -> (Line, Resource) {
        let (kind, id) = (text(&value, "resourceType").unwrap_or_default(), text(&value, "id").unwrap_or_default());
        let reference = format!("{kind}/{id}");
        let known = self.resources.get(&reference);
        let same = |other: &&Resource| other.kind == kind && share_identifier(&other.value, &value);
        let fact = known.or_else(|| self.resources.values().find(same)).map(|other| other.fact);
        let resource = Resource {
            kind: kind.to_owned(),
            id: id.to_owned(),
            version: known.map_or(1, |known| known.version + 1),
            fact: fact.unwrap_or_else(|| i64::try_from(self.resources.len()).unwrap_or(i64::MAX) + 1),
            source: source.to_owned(),
            how,
            learned: self.now,
            person: Person(1),
            deleted: false,
            value: Arc::new(value),
        };
        let line = if known.is_some_and(|known| !known.deleted) { Line::Updated } else { Line::Created };
        self.resources.insert(reference, resource.clone());
        (line, resource)
    }

    fn tell(&mut self, line: Line, resource: Resource, depth: u8) {
        let needed = match self.rules.concerns(&resource.kind, line, &resource.value) {
            Concern::Nothing => false,
            Concern::Pending => !self.dues.is_empty(),
            Concern::Rules => true,
        };
        if needed {
            self.turn(&Occasion::Heard(vec![Heard { line, resource, react: false, depth }]), depth);
        }
    }

    fn turn(&mut self, occasion: &Occasion, depth: u8) {
        let dues: Vec<Due> = self.dues.values().cloned().collect();
        let wants = self.rules.wants(occasion, &dues);
        let story = self.story(&wants);
        let reaction = react(self.rules, &story, occasion);
        self.record(reaction, depth);
    }

    fn story(&self, wants: &Wants) -> Story {
        let dues: Vec<Due> = self.dues.values().cloned().collect();
        let decisions: Vec<Decision> = self.decisions.values().cloned().collect();
        let mut references = wants.references.clone();
        references.extend(pending(&dues, &decisions, self.now));
        let wanted = |resource: &&Resource| {
            (wants.kinds.contains(&resource.kind) && !resource.deleted) || references.contains(&resource.reference())
        };
        let resources: Vec<Resource> = self.resources.values().filter(wanted).cloned().collect();
        let members = members(&resources);
        let named = self.resources.values().filter(|resource| members.contains(&resource.reference()));
        let resources: Vec<Resource> = resources.iter().chain(named).cloned().collect();
        let known = stoppable(Person(1), &[], &resources);
        Story {
            tenant: Arc::from("rehearsal"),
            person: Person(1),
            united: Vec::new(),
            now: self.now,
            settings: self.settings,
            stores: self.stores.clone(),
            resources,
            supplies: if wants.supplies { self.supplies.values().cloned().collect() } else { Vec::new() },
            dues,
            decisions,
            stopped: self.stopped.iter().filter(|address| known.contains(address)).cloned().collect(),
            halts: Vec::new(),
        }
    }

    fn record(&mut self, reaction: Reaction, depth: u8) {
        for mark in reaction.marks {
            self.mark(mark);
        }
        for output in reaction.outputs {
            // The ledger would refuse it; here it is left out in the same way.
            if !self.may_be_recorded(&output) {
                continue;
            }
            let (line, resource) = self.keep(output.value, How::Derived, "signa");
            if depth < DEPTH_MAX {
                self.tell(line, resource, depth + 1);
            }
        }
    }

    fn may_be_recorded(&self, output: &Output) -> bool {
        let known = self.resources.get(&format!("{}/{}", output.kind, output.id));
        match output.when {
            Precondition::None => true,
            Precondition::Absent => known.is_none(),
            Precondition::Version(version) => known.is_some_and(|known| known.version == version),
        }
    }

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::Decided(decision) => {
                self.journal.push(decision.clone());
                self.decisions.insert(decision.output.clone(), decision);
            }
            Mark::Due(due) => {
                self.dues.insert(due.output.clone(), due);
            }
            Mark::DueGone { output, .. } => {
                self.dues.remove(&output);
            }
            Mark::Supplied(supply) => {
                self.supplies.insert(supply.dispense.clone(), supply);
            }
            Mark::SupplyGone { dispense, .. } => {
                self.supplies.remove(&dispense);
            }
            Mark::Stopped { address, .. } => self.stopped.push(address),
            Mark::Started { address, .. } => self.stopped.retain(|known| *known != address),
            _ => {}
        }
    }

    /// How often something was said to the person.
    #[must_use]
    pub fn spoken(&self) -> usize {
        self.decisions.values().filter(|decision| decision.spoken && decision.outcome == Outcome::Fired).count()
    }
}

fn share_identifier(one: &Value, other: &Value) -> bool {
    let named = |value: &Value| -> Vec<(String, String)> {
        let pairs = each(value, "identifier").iter();
        pairs.filter_map(|one| Some((text(one, "system")?.to_owned(), text(one, "value")?.to_owned()))).collect()
    };
    let others = named(other);
    named(one).iter().any(|identifier| others.contains(identifier))
}
