//! A code system: its codes, what they are called, and how they lie under each other.
//! Follows <https://hl7.org/fhir/R4/codesystem.html>.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::Member;
use super::set::{PARTS_MAX, Walk};

/// So many concepts above one are looked at; the deepest real hierarchies have some dozens.
pub const ANCESTORS_MAX: usize = 2_000;

/// A CodeSystem, ready to be asked.
#[derive(Debug, Default)]
pub struct System {
    /// Its canonical address.
    pub url: String,
    /// Its business version; empty when it has none.
    pub version: String,
    /// Its name for people.
    pub name: String,
    /// The value set of all of its codes; empty when none is named.
    pub value_set: String,
    /// Whether all of its codes are here.
    pub is_complete: bool,
    /// Its codes in their order.
    pub concepts: Vec<Concept>,
    /// Whether it says that a code is the same in capitals and without.
    is_caseless: bool,
    by_code: HashMap<String, usize>,
}

/// A code of a system.
#[derive(Debug, Default)]
pub struct Concept {
    /// The code.
    pub code: String,
    /// What it is called.
    pub display: String,
    /// What it means; empty when nothing is said.
    pub definition: String,
    /// What it is called in other languages: language and words.
    pub designations: Vec<(String, String)>,
    /// Its properties: name, and value as text.
    pub properties: Vec<(String, String)>,
    /// Whether it is only a heading and no code to be used.
    pub is_abstract: bool,
    /// Numbers of the concepts right above it.
    pub parents: Vec<usize>,
}

impl System {
    /// Reads a CodeSystem.
    #[must_use]
    pub fn read(resource: &Value) -> Self {
        let word = |key: &str| resource[key].as_str().unwrap_or_default().to_owned();
        let name = resource["title"].as_str().or_else(|| resource["name"].as_str()).unwrap_or_default().to_owned();
        let (url, version, value_set) = (word("url"), word("version"), word("valueSet"));
        let mut system = Self { url, version, name, value_set, is_complete: word("content") == "complete", ..Self::default() };
        system.is_caseless = resource["caseSensitive"] == false;
        let mut waiting: Vec<(&Value, Option<usize>)> = list(resource, "concept").iter().rev().map(|one| (one, None)).collect();
        while let Some((one, above)) = waiting.pop() {
            let number = system.concepts.len();
            let mut concept = concept(one);
            concept.parents.extend(above);
            system.by_code.insert(system.key(&concept.code).into_owned(), number);
            system.concepts.push(concept);
            waiting.extend(list(one, "concept").iter().rev().map(|inner| (inner, Some(number))));
        }
        system.link();
        system
    }

    /// Properties that name parents and children say the same as nesting.
    fn link(&mut self) {
        let mut found = Vec::new();
        for (number, concept) in self.concepts.iter().enumerate() {
            for (name, value) in &concept.properties {
                let Some(&other) = self.by_code.get(&*self.key(value)) else { continue };
                match name.as_str() {
                    "parent" | "subsumedBy" => found.push((number, other)),
                    "child" => found.push((other, number)),
                    _ => {}
                }
            }
        }
        for (below, above) in found {
            let parents = &mut self.concepts[below].parents;
            if below != above && !parents.contains(&above) {
                parents.push(above);
            }
        }
    }

    /// The concept of this code.
    #[must_use]
    pub fn concept(&self, code: &str) -> Option<&Concept> {
        self.by_code.get(&*self.key(code)).map(|&number| &self.concepts[number])
    }

    /// What tells a code from the others of the system.
    fn key<'c>(&self, code: &'c str) -> Cow<'c, str> {
        if self.is_caseless { Cow::Owned(code.to_lowercase()) } else { Cow::Borrowed(code) }
    }

    /// Whether a concept lies under another, at any depth; nothing lies under itself.
    #[must_use]
    pub fn is_below(&self, concept: &Concept, above: &str) -> bool {
        self.below(concept, above, Walk::new(&Cell::new(PARTS_MAX))) == Member::Yes
    }

    /// The same as a part of a walk; unknown when that may do no more.
    pub(super) fn below(&self, concept: &Concept, above: &str, at: Walk<'_>) -> Member {
        let Some(&goal) = self.by_code.get(&*self.key(above)) else { return Member::No };
        let mut seen = HashSet::new();
        let mut waiting = concept.parents.clone();
        while let Some(number) = waiting.pop().filter(|_| seen.len() <= ANCESTORS_MAX) {
            if number == goal {
                return Member::Yes;
            }
            if !at.spend(1) {
                return Member::Unknown;
            }
            if seen.insert(number) {
                waiting.extend(&self.concepts[number].parents);
            }
        }
        Member::No
    }

    /// The values of a property of a concept; the standard's own names are understood, too.
    pub(super) fn property(&self, concept: &Concept, name: &str) -> Vec<String> {
        match name {
            "code" | "concept" => vec![concept.code.clone()],
            "display" => vec![concept.display.clone()],
            "parent" => concept.parents.iter().map(|&number| self.concepts[number].code.clone()).collect(),
            _ => concept.properties.iter().filter(|(own, _)| own == name).map(|(_, value)| value.clone()).collect(),
        }
    }
}

fn concept(one: &Value) -> Concept {
    let word = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let property = |one: &Value| {
        let (_, value) = one.as_object()?.iter().find(|(key, _)| key.starts_with("value"))?;
        let value = value.as_str().map(ToOwned::to_owned).or_else(|| value["code"].as_str().map(ToOwned::to_owned));
        let plain = || one.as_object()?.iter().find(|(key, _)| key.starts_with("value")).map(|(_, value)| value.to_string());
        Some((one["code"].as_str()?.to_owned(), value.or_else(plain)?))
    };
    let properties: Vec<(String, String)> = list(one, "property").iter().filter_map(property).collect();
    let designation = |one: &Value| {
        let language = one["language"].as_str().unwrap_or_default().to_owned();
        one["value"].as_str().map(|value| (language, value.to_owned()))
    };
    Concept {
        is_abstract: properties
            .iter()
            .any(|(name, value)| matches!(name.as_str(), "notSelectable" | "abstract") && value == "true"),
        designations: list(one, "designation").iter().filter_map(designation).collect(),
        code: word("code"),
        display: word("display"),
        definition: word("definition"),
        properties,
        parents: Vec::new(),
    }
}

pub(super) fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}
