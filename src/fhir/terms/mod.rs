//! Terminology: what codes mean, which sets they are in, what they are called elsewhere.
//! Follows <https://hl7.org/fhir/R4/terminology-module.html> and <https://hl7.org/fhir/R4/terminology-service.html>.
//!
//! The code systems, value sets and concept maps of R4 itself are on board (`shelf.rs`); others are learned as resources.
//! What is not here (SNOMED CT, LOINC, RxNorm as wholes) is said to be unknown, never guessed.

mod bound;
mod expand;
mod map;
mod set;
pub mod shelf;
mod system;
#[cfg(test)]
mod tests;

pub use expand::{CODES_MAX, Code, Expansion, STEPS_MAX, Unexpandable};
pub use map::{Equivalent, Map, is_match};
pub use set::{DEPTH_MAX, PARTS_MAX, Set};
pub use system::{ANCESTORS_MAX, Concept, System};

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

/// Whether a code is of a set, as far as it can be known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// What it would take to know is not here.
    Unknown,
}

/// The types of resource that terminology is learned from.
pub const KINDS: [&str; 3] = ["CodeSystem", "ValueSet", "ConceptMap"];

/// A canonical resource under its address: by version, the one that counts without a version last.
type Versions<T> = HashMap<String, Vec<Held<T>>>;

#[derive(Debug)]
struct Held<T> {
    id: String,
    version: String,
    it: Arc<T>,
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), version: self.version.clone(), it: Arc::clone(&self.it) }
    }
}

/// All that is known of codes. A clone is cheap enough to be made for every change.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    systems: Versions<System>,
    sets: Versions<Set>,
    maps: Versions<Map>,
}

impl Terms {
    /// Takes in a CodeSystem, ValueSet or ConceptMap, in the place of what was learned under its id before.
    pub fn learn(&mut self, id: &str, resource: &Value) {
        let kind = resource["resourceType"].as_str().unwrap_or_default();
        self.forget(kind, id);
        let word = |key: &str| resource[key].as_str().unwrap_or_default().to_owned();
        let (url, version, id) = (word("url"), word("version"), id.to_owned());
        if url.is_empty() {
            return;
        }
        match kind {
            "CodeSystem" => put(&mut self.systems, url, Held { id, version, it: Arc::new(System::read(resource)) }),
            "ValueSet" => put(&mut self.sets, url, Held { id, version, it: Arc::new(Set::read(resource)) }),
            "ConceptMap" => put(&mut self.maps, url, Held { id, version, it: Arc::new(Map::read(resource)) }),
            _ => {}
        }
    }

    /// Forgets what was learned under this id.
    pub fn forget(&mut self, kind: &str, id: &str) {
        match kind {
            "CodeSystem" => take(&mut self.systems, id),
            "ValueSet" => take(&mut self.sets, id),
            "ConceptMap" => take(&mut self.maps, id),
            _ => {}
        }
    }

    /// The code system of this address (`url` or `url|version`).
    #[must_use]
    pub fn system(&self, address: &str) -> Option<Arc<System>> {
        // One that is only described, as SNOMED CT is in R4, is not here.
        let is_here = |system: &Arc<System>| system.is_complete || !system.concepts.is_empty();
        get(&self.systems, address).or_else(|| shelf::system(address)).filter(is_here)
    }

    /// The value set of this address.
    #[must_use]
    pub fn set(&self, address: &str) -> Option<Arc<Set>> {
        get(&self.sets, address).or_else(|| shelf::set(address)).or_else(|| self.whole(address))
    }

    /// The concept map of this address.
    #[must_use]
    pub fn map(&self, address: &str) -> Option<Arc<Map>> {
        get(&self.maps, address).or_else(|| shelf::map(address))
    }

    /// All concept maps.
    #[must_use]
    pub fn maps(&self) -> Vec<Arc<Map>> {
        let learned = self.maps.values().filter_map(|held| held.last()).map(|held| Arc::clone(&held.it));
        learned.chain(shelf::maps()).collect()
    }

    /// The value set of a code system that names one and leaves it to others to write it down: all of its codes.
    fn whole(&self, address: &str) -> Option<Arc<Set>> {
        let of = |system: &System| (system.value_set == address).then(|| Arc::new(Set::whole(address, &system.url)));
        self.systems.values().filter_map(|held| held.last()).find_map(|held| of(&held.it))
    }
}

fn put<T>(all: &mut Versions<T>, url: String, held: Held<T>) {
    all.entry(url).or_default().push(held);
}

fn take<T>(all: &mut Versions<T>, id: &str) {
    all.retain(|_, held| {
        held.retain(|one| one.id != id);
        !held.is_empty()
    });
}

fn get<T>(all: &Versions<T>, address: &str) -> Option<Arc<T>> {
    let (url, version) = split(address);
    let mut held = all.get(url)?.iter().rev();
    held.find(|one| version.is_none_or(|version| one.version == version)).map(|one| Arc::clone(&one.it))
}

/// `url|version` as both.
#[must_use]
pub fn split(address: &str) -> (&str, Option<&str>) {
    match address.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (address, None),
    }
}
