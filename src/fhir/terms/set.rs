//! A value set: which codes it takes in and leaves out, by list, by filter, by other sets.
//! Follows <https://hl7.org/fhir/R4/valueset.html#compositions>.

use std::cell::Cell;
use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

use super::system::{Concept, System, list};
use super::{Member, Terms};
use crate::fhir::pattern::ready;

/// Value sets may name each other so deep.
pub const DEPTH_MAX: usize = 16;

/// So many steps are taken to find out whether a set has one code: parts of sets, properties, concepts above.
pub const PARTS_MAX: usize = 20_000;

/// A filter's value of so many letters counts as one step more, each time that it is read through.
const LETTERS_A_STEP: usize = 64;

/// A set has so many regular expressions at most; what one beyond them would say is unknown.
pub(super) const PATTERNS_MAX: usize = 64;

/// How large a regular expression may become once it is made ready; of a larger one it is unknown what it says. All of a set
/// together stay small, whoever wrote them.
const PATTERN_SIZE_MAX: usize = 1 << 16;

/// How deep a walk through sets that name each other is, and how much it may still do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'w> {
    depth: usize,
    left: &'w Cell<usize>,
}

impl<'w> Walk<'w> {
    pub(super) fn new(left: &'w Cell<usize>) -> Self {
        Self { depth: 0, left }
    }

    pub(super) fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// Takes one more step; false if that is too much.
    pub(super) fn goes_on(self) -> bool {
        self.spend(1) && self.depth <= DEPTH_MAX
    }

    /// Takes so many more steps, however deep; false if that is too much.
    pub(super) fn spend(self, steps: usize) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(steps));
        left > 0
    }

    /// Whether all steps were taken.
    pub(super) fn is_spent(self) -> bool {
        self.left.get() == 0
    }
}

/// A ValueSet, ready to be asked.
#[derive(Debug, Default)]
pub struct Set {
    /// Its canonical address.
    pub url: String,
    /// Its business version; empty when it has none.
    pub version: String,
    /// Its name for people.
    pub name: String,
    /// How far its making is: `draft`, `active`, `retired`.
    pub status: String,
    pub(super) includes: Vec<Part>,
    pub(super) excludes: Vec<Part>,
}

/// One include or exclude: all of it must hold.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Empty when only other sets are named.
    pub(super) system: String,
    /// Codes and what they are called here; `None` when they are not listed.
    pub(super) listed: Option<Vec<(String, String)>>,
    at: HashMap<String, usize>,
    pub(super) filters: Vec<Filter>,
    pub(super) sets: Vec<String>,
}

/// A condition on a concept.
#[derive(Debug)]
pub(super) struct Filter {
    property: String,
    pub(super) by: By,
    value: String,
    pattern: Option<Regex>,
}

/// The operators of filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Equal,
    IsA,
    DescendentOf,
    IsNotA,
    Regex,
    In,
    NotIn,
    Generalizes,
    Exists,
    /// None that is known.
    Other,
}

impl Set {
    /// Reads a ValueSet; one that has no composition but an expansion is what its expansion lists.
    #[must_use]
    pub fn read(resource: &Value) -> Self {
        let word = |key: &str| resource[key].as_str().unwrap_or_default().to_owned();
        let name = resource["title"].as_str().or_else(|| resource["name"].as_str()).unwrap_or_default().to_owned();
        let mut set = Self { url: word("url"), version: word("version"), name, status: word("status"), ..Self::default() };
        match resource.get("compose") {
            Some(compose) => {
                let mut patterns = PATTERNS_MAX;
                set.includes = list(compose, "include").iter().map(|one| part(one, &mut patterns)).collect();
                set.excludes = list(compose, "exclude").iter().map(|one| part(one, &mut patterns)).collect();
            }
            None => set.includes = expanded(&resource["expansion"]),
        }
        set
    }

    /// All codes of a system.
    pub(super) fn whole(url: &str, system: &str) -> Self {
        let all = Part { system: system.to_owned(), ..Part::default() };
        Self { url: url.to_owned(), includes: vec![all], ..Self::default() }
    }

    /// Whether it has this code; without a system, of any of its systems.
    pub(super) fn has(&self, terms: &Terms, system: Option<&str>, code: &str, at: Walk<'_>) -> Member {
        if !at.goes_on() {
            return Member::Unknown;
        }
        let any = |parts: &[Part]| {
            let mut answer = Member::No;
            for part in parts {
                match part.has(terms, system, code, at) {
                    Member::Yes => return Member::Yes,
                    Member::Unknown => answer = Member::Unknown,
                    Member::No => {}
                }
            }
            answer
        };
        match any(&self.includes) {
            Member::No => Member::No,
            taken => match any(&self.excludes) {
                Member::Yes => Member::No,
                Member::Unknown => Member::Unknown,
                Member::No => taken,
            },
        }
    }
}

impl Part {
    /// Whether it takes this code in.
    pub(super) fn has(&self, terms: &Terms, system: Option<&str>, code: &str, at: Walk<'_>) -> Member {
        if !at.goes_on() {
            return Member::Unknown;
        }
        let by_sets = self.sets.iter().map(|url| terms.member_at(url, system, code, at.deeper()));
        let mut answer = by_sets.fold(Member::Yes, both);
        if answer == Member::No || self.system.is_empty() {
            return if self.sets.is_empty() { Member::No } else { answer };
        }
        if system.is_some_and(|system| system != self.system) {
            return Member::No;
        }
        if self.listed.is_some() {
            return both(answer, if self.at.contains_key(code) { Member::Yes } else { Member::No });
        }
        let Some(known) = terms.system(&self.system) else { return both(answer, self.by_prefix(code)) };
        answer = both(
            answer,
            match known.concept(code) {
                Some(concept) => self.filters.iter().map(|filter| filter.takes(&known, concept, at)).fold(Member::Yes, both),
                None if known.is_complete => Member::No,
                None => Member::Unknown,
            },
        );
        answer
    }

    /// In the classifications of diseases a code lies under another if it begins with it, so their filters need no list of codes.
    fn by_prefix(&self, code: &str) -> Member {
        let bare = |code: &str| code.replace('.', "").to_uppercase();
        let is_plain = |filter: &Filter| filter.property == "concept" && matches!(filter.by, By::IsA | By::DescendentOf);
        if !self.system.contains("/icd-") || self.filters.is_empty() || !self.filters.iter().all(is_plain) {
            return Member::Unknown;
        }
        let (code, strict) = (bare(code), |filter: &Filter| filter.by == By::DescendentOf);
        let takes = |filter: &Filter| code.starts_with(&bare(&filter.value)) && !(strict(filter) && code == bare(&filter.value));
        if self.filters.iter().all(takes) { Member::Yes } else { Member::No }
    }

    /// What a code is called here, and in the system where nothing is said here.
    pub(super) fn display(&self, code: &str) -> Option<&str> {
        let listed = self.listed.as_ref()?;
        self.at.get(code).map(|&at| listed[at].1.as_str()).filter(|display| !display.is_empty())
    }
}

impl Filter {
    /// Whether a concept meets it; unknown when that is too much to find out.
    pub(super) fn takes(&self, system: &System, concept: &Concept, at: Walk<'_>) -> Member {
        if !at.spend(1 + concept.properties.len() + self.value.len() / LETTERS_A_STEP) {
            return Member::Unknown;
        }
        let values = || system.property(concept, &self.property);
        let is_below = || system.below(concept, &self.value, at);
        let any = |is_it: &dyn Fn(&str) -> bool| values().iter().any(|value| is_it(value));
        let met = match self.by {
            By::IsA | By::Generalizes if concept.code == self.value => true,
            By::IsA | By::DescendentOf => return is_below(),
            By::IsNotA if concept.code == self.value => false,
            By::IsNotA => return not(is_below()),
            By::Generalizes => {
                let other = system.concept(&self.value);
                return other.map_or(Member::No, |other| system.below(other, &concept.code, at));
            }
            By::Equal => any(&|value| value == self.value),
            By::Regex => match &self.pattern {
                Some(pattern) => any(&|value| pattern.is_match(value)),
                None => return Member::Unknown,
            },
            By::In => any(&|value| self.value.split(',').any(|one| one.trim() == value)),
            By::NotIn => !any(&|value| self.value.split(',').any(|one| one.trim() == value)),
            By::Exists => values().is_empty() != (self.value == "true"),
            By::Other => return Member::Unknown,
        };
        if met { Member::Yes } else { Member::No }
    }
}

fn not(answer: Member) -> Member {
    match answer {
        Member::Yes => Member::No,
        Member::No => Member::Yes,
        Member::Unknown => Member::Unknown,
    }
}

fn both(left: Member, right: Member) -> Member {
    match (left, right) {
        (Member::No, _) | (_, Member::No) => Member::No,
        (Member::Unknown, _) | (_, Member::Unknown) => Member::Unknown,
        _ => Member::Yes,
    }
}

/// Reads a part; `patterns` is how many regular expressions may still be made ready.
fn part(one: &Value, patterns: &mut usize) -> Part {
    let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let listed = one.get("concept").map(|_| {
        list(one, "concept").iter().map(|concept| (word(concept, "code"), word(concept, "display"))).collect::<Vec<_>>()
    });
    let sets = list(one, "valueSet").iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    let filters = list(one, "filter").iter().map(|one| filter(one, patterns)).collect();
    Part { system: word(one, "system"), at: places(listed.as_deref()), listed, filters, sets }
}

fn places(listed: Option<&[(String, String)]>) -> HashMap<String, usize> {
    listed.unwrap_or_default().iter().enumerate().map(|(at, (code, _))| (code.clone(), at)).collect()
}

fn filter(one: &Value, patterns: &mut usize) -> Filter {
    let word = |key: &str| one[key].as_str().unwrap_or_default();
    let by = match word("op") {
        "=" => By::Equal,
        "is-a" => By::IsA,
        "descendent-of" => By::DescendentOf,
        "is-not-a" => By::IsNotA,
        "regex" => By::Regex,
        "in" => By::In,
        "not-in" => By::NotIn,
        "generalizes" => By::Generalizes,
        "exists" => By::Exists,
        _ => By::Other,
    };
    let value = word("value").to_owned();
    let mut pattern = None;
    if by == By::Regex && *patterns > 0 {
        *patterns -= 1;
        // The whole value must match, as the standard has it.
        pattern = ready(&format!("^(?:{value})$"), PATTERN_SIZE_MAX, false).ok();
    }
    Filter { property: word("property").to_owned(), by, value, pattern }
}

/// The parts that an expansion stands for.
fn expanded(expansion: &Value) -> Vec<Part> {
    let mut by_system: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut waiting: Vec<&Value> = list(expansion, "contains").iter().rev().collect();
    while let Some(one) = waiting.pop() {
        waiting.extend(list(one, "contains").iter().rev());
        let word = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        if word("code").is_empty() || one["abstract"] == true {
            continue;
        }
        let system = word("system");
        let at = by_system.iter().position(|(own, _)| *own == system).unwrap_or_else(|| {
            by_system.push((system, Vec::new()));
            by_system.len() - 1
        });
        by_system[at].1.push((word("code"), word("display")));
    }
    let part = |(system, listed): (String, Vec<(String, String)>)| Part {
        system,
        at: places(Some(&listed)),
        listed: Some(listed),
        ..Part::default()
    };
    by_system.into_iter().map(part).collect()
}
