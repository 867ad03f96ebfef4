//! What a tenant keeps, laid over what came with the program: which resource counts under its url, and what came of each plan over time.
//! Follows <https://hl7.org/fhir/R4/valueset-publication-status.html>.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::json::text;
use super::read::runs;
use super::rules::Artefact;

/// The plans of a tenant as they stood at a time.
#[derive(Debug, Default)]
pub(super) struct Over {
    /// Their versions, with the shipped plans that came back.
    pub(super) artefacts: Vec<Artefact>,
    /// `url|version` of what ran and was deleted since: what that had planned is taken back.
    pub(super) ended: HashSet<String>,
}

/// By type and url: the resources that count.
pub(super) type Counting<'a> = BTreeMap<(&'a str, &'a str), &'a Artefact>;

/// What counts under each url at a time, of resources with their versions: the one that is in force, of several the one that was
/// changed last. Where none is, one that is retired says so of a plan and of what is said. Whatever else is kept under the url, a
/// draft above all, changes nothing.
pub(super) fn counting<'a>(kept: impl Iterator<Item = &'a [Artefact]>, until: i64) -> Counting<'a> {
    let mut found: Counting<'a> = BTreeMap::new();
    for versions in kept {
        let Some(newest) = versions.iter().rfind(|version| version.since <= until) else { continue };
        let (Some(kind), Some(url)) = (text(&newest.value, "resourceType"), text(&newest.value, "url")) else { continue };
        let rank = |one: &Artefact| (is_in_force(&one.value), one.since);
        let counts = is_in_force(&newest.value) || is_off(&newest.value);
        if counts && found.get(&(kind, url)).is_none_or(|known| rank(known) <= rank(newest)) {
            found.insert((kind, url), newest);
        }
    }
    found
}

/// Whether a resource of rules is in force. One that was kept before a status was asked for is.
pub(super) fn is_in_force(value: &Value) -> bool {
    match text(value, "resourceType") {
        Some("PlanDefinition") => runs(value),
        _ => text(value, "status").is_none_or(|status| status == "active"),
    }
}

/// Whether a resource says that what its url names is not to be used any more. A group of codes cannot: without it, what came with the
/// program would fall silent.
fn is_off(value: &Value) -> bool {
    let may = matches!(text(value, "resourceType"), Some("PlanDefinition" | "ActivityDefinition"));
    may && !is_gone(value) && text(value, "status") == Some("retired")
}

/// Whether it stands for a resource that was deleted: that one has no id any more.
pub(super) fn is_gone(value: &Value) -> bool {
    value.get("id").is_none()
}

/// Lays out what ran under each url, up to a time. Where no plan of the tenant is in force any more and none is retired, nothing ran
/// in its time of which anything is left, and what was shipped acts on what is learned from then on.
pub(super) fn plans(base: &[Artefact], kept: &[&[Artefact]], until: i64) -> Over {
    let times: BTreeSet<i64> = kept.iter().copied().flatten().map(|version| version.since).filter(|at| *at <= until).collect();
    let (mut lines, mut ended): (BTreeMap<&str, Line>, _) = (BTreeMap::new(), HashSet::new());
    for at in times {
        let now = counting(kept.iter().copied(), at);
        for (_, url) in now.keys() {
            lines.entry(*url).or_default();
        }
        for (url, line) in &mut lines {
            let change = now.get(&("PlanDefinition", *url));
            let Some(newest) = change.map(|one| &one.value) else {
                ended.extend(line.leave(url, shipped(base, url), at));
                continue;
            };
            if line.versions.last().is_none_or(|last| !Arc::ptr_eq(&last.value, newest)) {
                line.versions.push(Artefact { value: Arc::clone(newest), since: at });
            }
        }
    }
    Over { artefacts: lines.into_values().flat_map(|line| line.versions).collect(), ended }
}

/// What came under one url in the place of what was shipped.
#[derive(Default)]
struct Line {
    versions: Vec<Artefact>,
    /// How many of them stood before the tenant's own came, the last time.
    settled: usize,
}

impl Line {
    /// The tenant has none any more. Returns what ran and leaves nothing behind.
    fn leave(&mut self, url: &str, shipped: Option<&Artefact>, since: i64) -> Vec<String> {
        if self.versions.len() == self.settled {
            return Vec::new();
        }
        let ending = Arc::new(json!({"resourceType": "PlanDefinition", "url": url, "status": "retired"}));
        let Some(shipped) = shipped else {
            self.versions.push(Artefact { value: ending, since });
            self.settled = self.versions.len();
            return Vec::new();
        };
        let mut ended = Vec::new();
        for past in self.versions.iter_mut().skip(self.settled) {
            ended.extend(canonical(&past.value));
            past.value = Arc::clone(&ending);
        }
        self.versions.push(Artefact { value: Arc::clone(&shipped.value), since });
        self.settled = self.versions.len();
        ended
    }
}

fn shipped<'a>(base: &'a [Artefact], url: &str) -> Option<&'a Artefact> {
    let is_it =
        |one: &&Artefact| text(&one.value, "resourceType") == Some("PlanDefinition") && text(&one.value, "url") == Some(url);
    base.iter().find(is_it)
}

fn canonical(plan: &Value) -> Option<String> {
    let version = text(plan, "version").filter(|_| runs(plan))?;
    Some(format!("{}|{version}", text(plan, "url")?))
}
