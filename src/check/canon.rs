//! What is known beyond the tables of the standard: profiles, extensions, code systems, value sets, concept maps. A value like
//! any other here: whoever learned something new hands in a new one.
//! Follows <https://hl7.org/fhir/R4/profiling.html>.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};

use serde_json::Value;

use super::profile::Profile;
use crate::fhir::definitions;
use crate::fhir::terms::{Terms, shelf, split};

/// The types of resource that it is made of.
pub const KINDS: [&str; 4] = ["StructureDefinition", "CodeSystem", "ValueSet", "ConceptMap"];

/// The profiles and extensions of R4, each compiled when it is first named.
static SHELVED: LazyLock<HashMap<&'static str, OnceLock<Option<Profile>>>> =
    LazyLock::new(|| shelf::structures().map(|url| (url, OnceLock::new())).collect());

/// Where the standard's own definitions are named.
const STANDARD: &str = "http://hl7.org/fhir/StructureDefinition/";

#[derive(Debug, Clone)]
struct Held {
    id: String,
    profile: Arc<Profile>,
}

/// All that was learned, and behind it what R4 itself defines. A clone shares what does not change.
#[derive(Debug, Clone, Default)]
pub struct Canon {
    /// By address; of several versions the one learned last counts when none is named.
    profiles: HashMap<String, Vec<Held>>,
    /// Code systems, value sets and concept maps.
    pub terms: Terms,
}

impl Canon {
    /// Takes in a resource of one of [`KINDS`], in the place of what was learned under its id before.
    pub fn learn(&mut self, id: &str, resource: &Value) {
        let kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        if kind != "StructureDefinition" {
            return self.terms.learn(id, resource);
        }
        self.forget(kind, id);
        if let Some(profile) = Profile::compile(resource) {
            let held = Held { id: id.to_owned(), profile: Arc::new(profile) };
            self.profiles.entry(held.profile.url.clone()).or_default().push(held);
        }
    }

    /// Forgets what was learned under this id.
    pub fn forget(&mut self, kind: &str, id: &str) {
        if kind != "StructureDefinition" {
            return self.terms.forget(kind, id);
        }
        self.profiles.retain(|_, held| {
            held.retain(|one| one.id != id);
            !held.is_empty()
        });
    }

    /// The profile of this address (`url` or `url|version`).
    #[must_use]
    pub fn profile(&self, address: &str) -> Option<&Profile> {
        let (url, version) = split(address);
        let is_asked = |profile: &Profile| version.is_none_or(|version| profile.version == version);
        let learned = self.profiles.get(url).and_then(|held| held.iter().rev().find(|one| is_asked(&one.profile)));
        learned.map(|held| &*held.profile).or_else(|| {
            let shelved = SHELVED.get(url)?.get_or_init(|| shelf::structure(url).as_ref().and_then(Profile::compile));
            shelved.as_ref().filter(|profile| is_asked(profile))
        })
    }

    /// The type that a profile, or a definition of the standard, is of; `None` if it is not known.
    #[must_use]
    pub fn kind_of(&self, address: &str) -> Option<&str> {
        let standard = || definitions::node(split(address).0.strip_prefix(STANDARD)?).map(|node| node.name);
        self.profile(address).map(|profile| profile.kind.as_str()).or_else(standard)
    }
}
