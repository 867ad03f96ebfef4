//! What is known at a moment of a rehearsal: resources by name and by kind, as the ledger would read them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Fact;
use crate::fhir::kinds;
use crate::ledger::{Line, Person};
use crate::react::{KIND_MAX, MEDICATION, Resource, behind, members, organizations, overdue, products, words};

/// Resources of others that a story refers to, all their versions by `Type/id`, the oldest first.
pub type Elsewhere = HashMap<String, Arc<[Resource]>>;

/// The kind whose resources may state one fact together.
const STATES: &str = "MedicationDispense";

/// A resource as it stands.
#[derive(Debug)]
struct Kept {
    number: i64,
    resource: Resource,
    /// Its text, for as long as nobody asked for what it says.
    text: Option<String>,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    kept: Vec<Kept>,
    /// By `Type/id`.
    named: HashMap<String, usize>,
    /// By kind, in the order of their numbers.
    of_kind: HashMap<String, Vec<usize>>,
    /// By identifier, those that may state one fact.
    stated: HashMap<(String, String), Vec<usize>>,
    pub(super) elsewhere: Elsewhere,
}

impl Known {
    /// The resource as it stands, a deletion too; of what is not ours, as it stood then.
    pub(super) fn find(&mut self, reference: &str, now: i64) -> Option<Resource> {
        if let Some(at) = self.named.get(reference).copied() {
            return self.read(at).cloned();
        }
        self.elsewhere.get(reference)?.iter().rev().find(|version| version.learned <= now).cloned()
    }

    /// Adds what is named so, unless it is there.
    pub(super) fn add(&mut self, named: &[String], now: i64, into: &mut Vec<Resource>) {
        for reference in named {
            let Some((kind, id)) = reference.split_once('/') else { continue };
            if !into.iter().any(|known| known.id == id && known.kind == kind) {
                into.extend(self.find(reference, now));
            }
        }
    }

    /// The resource as it stands, if somebody asked for it or it was told as a value.
    pub(super) fn own(&self, reference: &str) -> Option<&Resource> {
        self.kept.get(*self.named.get(reference)?).map(|kept| &kept.resource)
    }

    /// All that stand, in order of their names.
    pub(super) fn all(&self) -> impl Iterator<Item = &Resource> {
        let mut names: Vec<(&String, &usize)> = self.named.iter().collect();
        names.sort();
        names.into_iter().filter_map(|(_, at)| self.kept.get(*at).map(|kept| &kept.resource))
    }

    /// All of a kind, in order of their numbers.
    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        let places = self.of_kind.get(kind).into_iter().flatten();
        places.filter_map(|at| self.kept.get(*at)).map(|kept| &kept.resource)
    }

    /// What persons have of a kind, the latest first, as many as go into a story.
    pub(super) fn held(&mut self, kind: &str, is_one: impl Fn(Person) -> bool, into: &mut Vec<Resource>) {
        let Some(places) = self.of_kind.get(kind) else { return };
        let stands = |at: &&usize| self.kept.get(**at).is_some_and(|kept| !kept.resource.deleted && is_one(kept.resource.person));
        let places: Vec<usize> = places.iter().rev().filter(stands).take(KIND_MAX).copied().collect();
        into.extend(places.into_iter().filter_map(|at| self.read(at).cloned()));
    }

    fn read(&mut self, at: usize) -> Option<&Resource> {
        let kept = self.kept.get_mut(at)?;
        if let Some(text) = kept.text.take() {
            kept.resource.value = Arc::new(serde_json::from_str(&text).unwrap_or_default());
        }
        Some(&kept.resource)
    }

    /// Takes in what was learned of a resource; gives it back as whoever hears of it sees it. `None` says that nothing is to be heard.
    pub(super) fn put(&mut self, fact: Fact, is_one: impl Fn(Person) -> bool) -> Option<(Line, Resource)> {
        let Fact { number, line, mut resource, text } = fact;
        let reference = resource.reference();
        let known = self.named.get(&reference).copied();
        if line == Line::Deleted {
            return self.delete(known?, &resource);
        }
        if line == Line::Left {
            self.leave(known?, &resource);
            return Some((line, Resource { deleted: true, ..resource }));
        }
        if resource.kind == STATES {
            resource.fact = self.fact(number, &resource.value, is_one);
        } else {
            resource.fact = number;
        }
        let heard = resource.clone();
        match known {
            Some(at) => {
                self.forget_stated(at);
                self.kept[at] = Kept { number: self.kept[at].number, resource, text };
                self.state(at);
            }
            None => {
                let at = self.kept.len();
                let kind = self.of_kind.entry(resource.kind.clone()).or_default();
                let place = kind.partition_point(|other| self.kept[*other].number < number);
                kind.insert(place, at);
                self.kept.push(Kept { number, resource, text });
                self.named.insert(reference, at);
                self.state(at);
            }
        }
        Some((line, heard))
    }

    /// A deletion is heard with the last value; what stands then says nothing any more.
    fn delete(&mut self, at: usize, gone: &Resource) -> Option<(Line, Resource)> {
        let last = self.read(at)?.clone();
        self.forget_stated(at);
        let gone_value = || Arc::new(json!({"resourceType": last.kind, "id": last.id}));
        let value = if last.kind == MEDICATION { Arc::clone(&last.value) } else { gone_value() };
        let (fact, kind, id) = (last.fact, last.kind.clone(), last.id.clone());
        let kept = self.kept.get_mut(at)?;
        kept.resource = Resource { kind, id, fact, deleted: true, value, ..gone.clone() };
        Some((Line::Deleted, Resource { deleted: true, ..last }))
    }

    /// What went over to somebody else is nobody's until it is told how it stands there; it may have been told before.
    fn leave(&mut self, at: usize, left: &Resource) {
        if let Some(kept) = self.kept.get_mut(at).filter(|kept| kept.resource.person == left.person) {
            kept.resource.person = Person::NOBODY;
        }
    }

    /// The number of the first that states the same: that shares an identifier, of the same persons.
    fn fact(&self, number: i64, value: &Value, is_one: impl Fn(Person) -> bool) -> i64 {
        let identifiers = kinds::identifiers(value);
        let others = identifiers.iter().filter_map(|identifier| self.stated.get(identifier)).flatten();
        let others = others.filter_map(|at| self.kept.get(*at)).filter(|other| is_one(other.resource.person));
        others.map(|other| other.resource.fact).chain([number]).min().unwrap_or(number)
    }

    fn state(&mut self, at: usize) {
        let resource = &self.kept[at].resource;
        if resource.kind == STATES {
            for identifier in kinds::identifiers(&resource.value) {
                self.stated.entry(identifier).or_default().push(at);
            }
        }
    }

    fn forget_stated(&mut self, at: usize) {
        let resource = &self.kept[at].resource;
        if resource.kind == STATES && !resource.deleted {
            for identifier in kinds::identifiers(&resource.value) {
                if let Some(places) = self.stated.get_mut(&identifier) {
                    places.retain(|other| *other != at);
                }
            }
        }
    }
}

/// `Type/id` of what a story about this resource may refer to.
#[must_use]
pub fn referred(resource: &Resource) -> Vec<String> {
    let (kind, value) = (resource.kind.as_str(), resource.value.as_ref());
    let mut found = match kind {
        "MedicationDispense" => products::needed(value),
        "Task" => overdue::facts(value).collect(),
        "Communication" => words::sender(value).into_iter().collect(),
        "CareTeam" => members(std::slice::from_ref(resource)),
        "PractitionerRole" => behind(std::slice::from_ref(resource)),
        _ => Vec::new(),
    };
    found.extend(organizations(std::iter::once(resource)).into_iter().map(|id| format!("Organization/{id}")));
    found
}
