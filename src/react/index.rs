//! Which actions may be about a resource, found by its type and its codes: what a write costs does not grow with the rules.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::concepts::{Concepts, plain};
use super::json::{each, text};
use super::plan::{Action, Subject, Trigger};
use super::products::{INGREDIENT, Products};

/// Where an action stands: the place of its plan and its own place in it.
pub(crate) type Place = (usize, usize);

/// Actions by what they listen to.
#[derive(Debug, Default)]
pub(crate) struct Index {
    kinds: HashMap<String, OfKind>,
}

/// Actions that are about one resource type.
#[derive(Debug, Default)]
struct OfKind {
    /// Elements whose codes are looked up.
    paths: BTreeSet<String>,
    /// Those that name no codes.
    every: Vec<Place>,
    /// By system and code.
    codes: HashMap<String, HashMap<String, Vec<Place>>>,
    /// By system and beginning of a code.
    stems: HashMap<String, HashMap<String, Vec<Place>>>,
    /// Kinds that the conditions of those with codes read.
    reads: BTreeSet<&'static str>,
    /// Whether one of those with codes wants to act at once or to suggest a product.
    hurries: bool,
}

/// What the rules for a product may need, when it is not known yet which product it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads<'a> {
    pub(crate) kinds: &'a BTreeSet<&'static str>,
    pub(crate) hurries: bool,
}

impl Index {
    /// Enters an action under everything it listens to. One that is called listens to nothing.
    pub(super) fn add(&mut self, place: Place, action: &Action, concepts: &Concepts) {
        if action.call.is_some() {
            return;
        }
        for trigger in &action.triggers {
            let of_kind = self.kinds.entry(trigger.kind.clone()).or_default();
            if of_kind.enter(place, trigger, concepts) {
                of_kind.reads.extend(action.kinds());
                of_kind.hurries |= action.hurries();
            }
        }
    }

    /// The types that any action is about.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// Whether any action is about this type.
    pub(crate) fn knows(&self, kind: &str) -> bool {
        self.kinds.contains_key(kind)
    }

    /// What those with codes may read.
    pub(crate) fn reads(&self, kind: &str) -> Option<Reads<'_>> {
        self.kinds.get(kind).map(|of_kind| Reads { kinds: &of_kind.reads, hurries: of_kind.hurries })
    }

    /// Where the actions stand that may be about this resource, in order; each is still to be asked.
    pub(crate) fn look(&self, subject: Subject, concepts: &Concepts, products: &Products) -> BTreeSet<Place> {
        let Some(of_kind) = self.kinds.get(subject.kind) else { return BTreeSet::new() };
        let mut found: BTreeSet<Place> = of_kind.every.iter().copied().collect();
        for path in &of_kind.paths {
            let Some(value) = subject.at(path) else { continue };
            of_kind.find(value, concepts, &mut found);
            for ingredient in products.ingredients(concepts, value).into_iter().flatten() {
                of_kind.find_code(INGREDIENT, ingredient, &mut found);
            }
        }
        found
    }
}

impl OfKind {
    /// Enters a trigger under the codes of its first filter; `false` when it has none.
    fn enter(&mut self, place: Place, trigger: &Trigger, concepts: &Concepts) -> bool {
        let Some(filter) = trigger.filters.first() else {
            if !self.every.contains(&place) {
                self.every.push(place);
            }
            return false;
        };
        self.paths.insert(filter.path.clone());
        let mut codes: Vec<(String, String)> = Vec::new();
        for (system, code) in &filter.codes {
            let system = concepts.canonical(system);
            codes.push((system.to_owned(), plain(system, code).into_owned()));
            // A code without a system is a word of its element, for example a status.
            codes.push((String::new(), code.clone()));
        }
        if let Some(group) = &filter.group {
            codes.extend(concepts.codes(group).map(|(system, code)| (system.to_owned(), code.to_owned())));
            for stem in concepts.stems(group) {
                push(&mut self.stems, stem.clone(), place);
            }
        }
        for code in codes {
            push(&mut self.codes, code, place);
        }
        true
    }

    fn find(&self, value: &Value, concepts: &Concepts, found: &mut BTreeSet<Place>) {
        match value {
            Value::Array(several) => several.iter().for_each(|one| self.find(one, concepts, found)),
            Value::String(word) => self.find_code("", word, found),
            concept => {
                for coding in each(concept, "coding").iter().chain([concept]) {
                    let system = concepts.canonical(text(coding, "system").unwrap_or_default());
                    if let Some(code) = text(coding, "code") {
                        self.find_code(system, code, found);
                    }
                }
            }
        }
    }

    fn find_code(&self, system: &str, code: &str, found: &mut BTreeSet<Place>) {
        let code = plain(system, code);
        found.extend(self.codes.get(system).and_then(|codes| codes.get(code.as_ref())).into_iter().flatten());
        let Some(stems) = self.stems.get(system) else { return };
        for end in code.char_indices().map(|(at, letter)| at + letter.len_utf8()) {
            found.extend(stems.get(&code[..end]).into_iter().flatten());
        }
    }
}

/// Rules are entered in order, so that a place stands at the end if it stands there at all.
fn push(listed: &mut HashMap<String, HashMap<String, Vec<Place>>>, (system, code): (String, String), place: Place) {
    let places = listed.entry(system).or_default().entry(code).or_default();
    if places.last() != Some(&place) {
        places.push(place);
    }
}
