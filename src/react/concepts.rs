//! Concept groups: which codes, of which systems under which of their names, mean one thing to our rules.
//! Follows <https://hl7.org/fhir/R4/valueset.html>; a group is a ValueSet that lists its codes or their ICD stems.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::json::{each, text};
use super::products::INGREDIENT;

/// The ConceptMap that leads other names of a code system to its canonical one.
pub(crate) const SYSTEMS: &str = "https://signa.example/fhir/ConceptMap/code-systems";

/// All concept groups.
#[derive(Debug, Default)]
pub(crate) struct Concepts {
    systems: HashMap<String, String>,
    groups: HashMap<String, Group>,
    /// By ingredient: the groups that list it.
    made: HashMap<String, BTreeSet<String>>,
    /// The groups that list a code, and those that list a stem of codes.
    codes: Listed,
    stems: Listed,
}

/// By system and code: urls of groups.
type Listed = HashMap<String, HashMap<String, BTreeSet<String>>>;

#[derive(Debug, Default)]
struct Group {
    /// By system.
    codes: HashMap<String, HashSet<String>>,
    stems: Vec<(String, String)>,
}

impl Group {
    /// The codes that it lists, each with its canonical system.
    fn codes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.codes.iter().flat_map(|(system, codes)| codes.iter().map(|code| (system.as_str(), code.as_str())))
    }
}

impl Concepts {
    /// Takes in the names of code systems.
    pub(super) fn learn_systems(&mut self, map: &Value) {
        for (_, alias, _, target) in super::json::mapped(map) {
            self.systems.insert(alias.to_owned(), target.to_owned());
        }
    }

    /// Takes in a ValueSet; a later one of the same url replaces it. Systems must be learned before.
    pub(super) fn learn(&mut self, set: &Value) {
        let Some(url) = text(set, "url") else { return };
        let mut group = Group::default();
        for include in set.get("compose").map(|compose| each(compose, "include")).unwrap_or_default() {
            let system = self.canonical(text(include, "system").unwrap_or_default()).to_owned();
            for concept in each(include, "concept") {
                if let Some(code) = text(concept, "code") {
                    if system == INGREDIENT {
                        self.made.entry(code.to_owned()).or_default().insert(url.to_owned());
                    }
                    group.codes.entry(system.clone()).or_default().insert(plain(&system, code).into_owned());
                }
            }
            for filter in each(include, "filter") {
                if let Some(stem) = text(filter, "value") {
                    group.stems.push((system.clone(), plain(&system, stem).into_owned()));
                }
            }
        }
        self.list(url, &group, |urls, url| urls.insert(url.to_owned()));
        if let Some(before) = self.groups.insert(url.to_owned(), group) {
            self.list(url, &before, BTreeSet::remove);
        }
    }

    /// Enters a group under all that it lists, or takes it away there.
    fn list(&mut self, url: &str, group: &Group, change: impl Fn(&mut BTreeSet<String>, &str) -> bool) {
        for (system, code) in group.codes() {
            change(self.codes.entry(system.to_owned()).or_default().entry(code.to_owned()).or_default(), url);
        }
        for (system, stem) in &group.stems {
            change(self.stems.entry(system.clone()).or_default().entry(stem.clone()).or_default(), url);
        }
    }

    /// The groups that list an ingredient.
    pub(crate) fn lists(&self, ingredient: &str) -> impl Iterator<Item = &str> {
        self.made.get(ingredient).into_iter().flatten().map(String::as_str)
    }

    /// The groups that a CodeableConcept, or one of an array of them, belongs to, in order.
    pub(crate) fn groups_of(&self, concept: &Value) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        self.find(concept, &mut found);
        found
    }

    fn find<'a>(&'a self, concept: &Value, found: &mut BTreeSet<&'a str>) {
        match concept {
            Value::Array(concepts) => concepts.iter().for_each(|concept| self.find(concept, found)),
            Value::Object(_) if concept.get("coding").is_some() => {
                for coding in each(concept, "coding") {
                    self.find(coding, found);
                }
            }
            Value::Object(_) => {
                let Some(code) = text(concept, "code") else { return };
                let system = self.canonical(text(concept, "system").unwrap_or_default());
                let code = plain(system, code);
                let listed = self.codes.get(system).and_then(|codes| codes.get(code.as_ref()));
                found.extend(listed.into_iter().flatten().map(String::as_str));
                let Some(stems) = self.stems.get(system) else { return };
                let ends = code.char_indices().map(|(at, _)| at).chain([code.len()]);
                found.extend(ends.filter_map(|end| stems.get(&code[..end])).flatten().map(String::as_str));
            }
            _ => {}
        }
    }

    /// Whether such a group is known.
    pub(super) fn knows(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// The canonical name of a code system.
    pub(crate) fn canonical<'a>(&'a self, system: &'a str) -> &'a str {
        self.systems.get(system).map_or(system, String::as_str)
    }

    /// The codes that a group lists, each with its canonical system.
    pub(super) fn codes(&self, group: &str) -> impl Iterator<Item = (&str, &str)> {
        self.groups.get(group).into_iter().flat_map(Group::codes)
    }

    /// The stems of codes that a group lists, each with its canonical system.
    pub(super) fn stems(&self, group: &str) -> impl Iterator<Item = &(String, String)> {
        self.groups.get(group).into_iter().flat_map(|group| &group.stems)
    }

    /// Whether this code belongs to the group.
    pub(crate) fn holds(&self, group: &str, system: &str, code: &str) -> bool {
        let Some(group) = self.groups.get(group) else { return false };
        let system = self.canonical(system);
        let code = plain(system, code);
        group.stems.iter().any(|(of, stem)| of == system && code.starts_with(stem.as_str()))
            || group.codes.get(system).is_some_and(|codes| codes.contains(code.as_ref()))
    }

    /// Whether one coding of a CodeableConcept, or of an array of them, belongs to the group.
    pub(crate) fn matches(&self, group: &str, concept: &Value) -> bool {
        match concept {
            Value::Array(concepts) => concepts.iter().any(|concept| self.matches(group, concept)),
            Value::Object(_) if concept.get("coding").is_some() => {
                each(concept, "coding").iter().any(|coding| self.matches(group, coding))
            }
            Value::Object(_) => {
                let system = text(concept, "system").unwrap_or_default();
                text(concept, "code").is_some_and(|code| self.holds(group, system, code))
            }
            _ => false,
        }
    }
}

/// ICD codes are written with and without the dot.
pub(super) fn plain<'a>(system: &str, code: &'a str) -> Cow<'a, str> {
    if system.contains("icd") { Cow::Owned(code.replace('.', "").to_uppercase()) } else { Cow::Borrowed(code) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn concepts() -> Concepts {
        let mut concepts = Concepts::default();
        concepts.learn_systems(&json!({"group": [{"element": [
            {"code": "urn:oid:2.16.840.1.113883.6.90", "target": [{"code": "http://hl7.org/fhir/sid/icd-10-cm"}]}]}]}));
        concepts.learn(&json!({"url": "g", "compose": {"include": [
            {"system": "http://hl7.org/fhir/sid/icd-10-cm", "filter": [{"property": "concept", "op": "is-a", "value": "M81"}]},
            {"system": "http://snomed.info/sct", "concept": [{"code": "64859006"}]}]}}));
        concepts
    }

    #[test]
    fn a_code_is_found_under_every_name_of_its_system_and_with_or_without_its_dot() {
        let concepts = concepts();
        for (system, code) in [
            ("http://hl7.org/fhir/sid/icd-10-cm", "M81.0"),
            ("http://hl7.org/fhir/sid/icd-10-cm", "M810"),
            ("urn:oid:2.16.840.1.113883.6.90", "M81.0"),
            ("http://snomed.info/sct", "64859006"),
        ] {
            assert!(concepts.matches("g", &json!([{"coding": [{"system": system, "code": code}]}])), "{system}|{code}");
        }
    }

    #[test]
    fn the_groups_of_a_concept_are_those_that_it_matches_as_they_are_now() {
        let mut concepts = concepts();
        let sct = |code: &str| json!({"url": "h", "compose": {"include": [{"system": "http://snomed.info/sct", "concept": [{"code": code}]}]}});
        let icd = json!({"url": "all", "compose": {"include": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "filter": [{"value": ""}]}]}});
        let coded = |system: &str, code: &str| json!([{"coding": [{"system": system, "code": code}]}, {"text": "x"}]);
        let asked = [
            coded("http://snomed.info/sct", "64859006"),
            coded("urn:oid:2.16.840.1.113883.6.90", "m81.0"),
            coded("", "64859006"),
        ];
        for set in [sct("64859006"), sct("1"), icd] {
            concepts.learn(&set);
            for concept in &asked {
                let matched = ["all", "g", "h"].into_iter().filter(|group| concepts.matches(group, concept));
                assert_eq!(concepts.groups_of(concept), matched.collect(), "{concept}");
            }
        }
        assert_eq!(concepts.groups_of(&asked[1]).len(), 2);
    }

    #[test]
    fn a_code_of_another_system_or_without_one_is_not_in_the_group() {
        let concepts = concepts();
        for (system, code) in [("http://snomed.info/sct", "M81.0"), ("", "64859006"), ("http://snomed.info/sct", "6485900")] {
            assert!(!concepts.holds("g", system, code), "{system}|{code}");
        }
        assert!(!concepts.matches("g", &json!({"text": "osteoporosis"})));
    }
}
