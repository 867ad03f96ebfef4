//! A concept map: what a code is called in another system.
//! Follows <https://hl7.org/fhir/R4/conceptmap.html> and <https://hl7.org/fhir/R4/conceptmap-operation-translate.html>.

use serde_json::Value;

use super::system::list;

/// A ConceptMap, ready to be asked.
#[derive(Debug, Default)]
pub struct Map {
    /// Its canonical address.
    pub url: String,
    /// The value set it leads from; empty when none is named.
    pub source: String,
    /// The value set it leads to; empty when none is named.
    pub target: String,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    source: String,
    target: String,
    lines: Vec<Line>,
    /// What stands for a code of which nothing is said.
    otherwise: Option<(String, String)>,
    /// Whether such a code is the same there as here.
    is_same: bool,
}

#[derive(Debug)]
struct Line {
    source: String,
    target: String,
    display: String,
    source_display: String,
    equivalence: String,
}

/// What a code is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equivalent {
    /// How near it comes: a code of <https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html>.
    pub equivalence: String,
    /// The system.
    pub system: String,
    /// The code.
    pub code: String,
    /// What it is called; empty when nobody says it.
    pub display: String,
    /// The map that says so.
    pub map: String,
}

impl Map {
    /// Reads a ConceptMap.
    #[must_use]
    pub fn read(resource: &Value) -> Self {
        let word = |key: &str| resource[key].as_str().map(ToOwned::to_owned);
        let either = |one: &str, two: &str| word(one).or_else(|| word(two)).unwrap_or_default();
        Self {
            url: word("url").unwrap_or_default(),
            source: either("sourceUri", "sourceCanonical"),
            target: either("targetUri", "targetCanonical"),
            groups: list(resource, "group").iter().map(group).collect(),
        }
    }

    /// What a code of a system is called in the map's target systems, or, `backwards`, which codes lead to it.
    #[must_use]
    pub fn translate(&self, system: &str, code: &str, target: Option<&str>, backwards: bool) -> Vec<Equivalent> {
        let mut found = Vec::new();
        for group in &self.groups {
            let (from, to) = if backwards { (&group.target, &group.source) } else { (&group.source, &group.target) };
            let is_asked = from == system || from.is_empty() || system.is_empty();
            if !is_asked || target.is_some_and(|target| target != to) {
                continue;
            }
            let before = found.len();
            let mut add = |equivalence: &str, code: &str, display: &str| {
                let (equivalence, system) = (equivalence.to_owned(), to.clone());
                let (code, display, map) = (code.to_owned(), display.to_owned(), self.url.clone());
                found.push(Equivalent { equivalence, system, code, display, map });
            };
            for line in &group.lines {
                if backwards && line.target == code && is_match(&line.equivalence) {
                    add(turned(&line.equivalence), &line.source, &line.source_display);
                } else if !backwards && line.source == code {
                    add(&line.equivalence, &line.target, &line.display);
                }
            }
            if found.len() == before && !backwards {
                let mut add = |code: &str, display: &str| {
                    let (equivalence, system) = (String::from("inexact"), to.clone());
                    let (code, display, map) = (code.to_owned(), display.to_owned(), self.url.clone());
                    found.push(Equivalent { equivalence, system, code, display, map });
                };
                match &group.otherwise {
                    _ if group.is_same => add(code, ""),
                    Some((code, display)) => add(code, display),
                    None => {}
                }
            }
        }
        found
    }
}

/// Whether this is a translation at all.
#[must_use]
pub fn is_match(equivalence: &str) -> bool {
    !matches!(equivalence, "unmatched" | "disjoint")
}

/// What an equivalence is from the other side.
fn turned(equivalence: &str) -> &str {
    match equivalence {
        "wider" => "narrower",
        "narrower" => "wider",
        "subsumes" => "specializes",
        "specializes" => "subsumes",
        other => other,
    }
}

fn group(one: &Value) -> Group {
    let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    for element in list(one, "element") {
        for target in list(element, "target") {
            lines.push(Line {
                source: word(element, "code"),
                source_display: word(element, "display"),
                target: word(target, "code"),
                display: word(target, "display"),
                equivalence: word(target, "equivalence"),
            });
        }
    }
    let unmapped = &one["unmapped"];
    let otherwise = (unmapped["mode"] == "fixed").then(|| (word(unmapped, "code"), word(unmapped, "display")));
    Group { source: word(one, "source"), target: word(one, "target"), lines, otherwise, is_same: unmapped["mode"] == "provided" }
}
