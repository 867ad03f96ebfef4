//! What a page of matches brings along: what they refer to and what refers to them, round by round, each resource once.
//! Follows <https://hl7.org/fhir/R4/search.html#include>.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::asker::Asker;
use super::include::{canonical, having, referred};
use super::united::{is_of_person, kin};
use crate::fhir::definitions::resource_names;
use crate::fhir::search::{Include, Parameter, parameter};
use crate::ledger::{Error, Scope, Stored};

/// Resources that one page brings along at most.
pub(super) const BESIDE_MAX: usize = 1_000;
/// Rounds of `:iterate` at most; each asks the database for every wish.
const ROUNDS_MAX: usize = 32;

/// What stands beside the matches of a page.
#[derive(Debug, Default)]
pub struct Beside {
    /// Each resource once, none of them a match.
    pub found: Vec<Stored>,
    /// Whether there would be more.
    pub cut: bool,
}

struct Search<'a> {
    scope: &'a Scope,
    known: HashSet<i64>,
    beside: Beside,
}

/// A resource that is looked at, with its text read.
struct Seen {
    kind: String,
    id: String,
    value: Json,
}

/// Everything that these wishes bring along.
pub(in crate::ledger) async fn beside(
    asker: &mut impl Asker,
    scope: &Scope,
    matches: &[Stored],
    includes: &[Include],
) -> Result<Beside, Error> {
    let known = matches.iter().map(|stored| stored.number).collect();
    let mut search = Search { scope, known, beside: Beside::default() };
    let mut front: Vec<Seen> = matches.iter().map(seen).collect();
    for round in 0..=ROUNDS_MAX {
        let start = search.beside.found.len();
        for include in includes.iter().filter(|include| round == 0 || include.iterate) {
            if include.reverse {
                search.reverse(asker, include, &front).await?;
            } else {
                search.forward(asker, include, &front).await?;
            }
        }
        // One round more tells whether there would be something in it.
        if round == ROUNDS_MAX {
            search.beside.cut |= search.beside.found.len() > start;
            search.beside.found.truncate(start);
        }
        front = search.beside.found.get(start..).unwrap_or_default().iter().map(seen).collect();
        if front.is_empty() || !includes.iter().any(|include| include.iterate) {
            return Ok(search.beside);
        }
    }
    Ok(search.beside)
}

fn seen(stored: &Stored) -> Seen {
    Seen { kind: stored.kind.clone(), id: stored.id.clone(), value: stored.value() }
}

impl Search<'_> {
    /// How many resources one question may bring: one more than may be shown tells that something was cut, and those that are
    /// known already, which may be among them, count against nothing.
    fn left(&self) -> usize {
        BESIDE_MAX.saturating_sub(self.beside.found.len()) + 1 + self.known.len()
    }

    fn add(&mut self, found: Vec<Stored>) {
        for stored in found {
            if !self.known.insert(stored.number) {
                continue;
            }
            if self.beside.found.len() >= BESIDE_MAX {
                self.beside.cut = true;
                return;
            }
            self.beside.found.push(stored);
        }
    }

    async fn forward(&mut self, asker: &mut impl Asker, include: &Include, front: &[Seen]) -> Result<(), Error> {
        let mut names: Vec<String> = Vec::new();
        let mut unique: HashSet<String> = HashSet::new();
        for one in front {
            let found = include.references(&one.kind, &one.value);
            // An address with a version is found without it, too; it means that version.
            let versioned: HashSet<&str> = found.iter().filter_map(|name| Some(name.split_once('|')?.0)).collect();
            names.extend(
                found.iter().filter(|name| !versioned.contains(name.as_str()) && unique.insert((*name).clone())).cloned(),
            );
        }
        let (addresses, names): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| name.contains(':'));
        let found = referred(asker, self.scope, &names, self.left()).await?;
        self.add(found);
        if !addresses.is_empty() {
            let kinds = canonical_kinds(include, front);
            let found = canonical(asker, self.scope, &kinds, &addresses, self.left()).await?;
            self.add(found);
        }
        Ok(())
    }

    async fn reverse(&mut self, asker: &mut impl Asker, include: &Include, front: &[Seen]) -> Result<(), Error> {
        let Some(kind) = include.kind else { return Ok(()) };
        for parameter in include.parameters(kind) {
            let mut names = Vec::new();
            for one in front
                .iter()
                .filter(|one| include.target.is_none_or(|target| target == one.kind) && may_name(parameter, &one.kind))
            {
                names.push(format!("{}/{}", one.kind, one.id));
                names.extend(one.value.get("url").and_then(Json::as_str).map(str::to_owned));
            }
            let rows = parameter.alias_of.unwrap_or(parameter.number);
            if is_of_person(kind, rows) {
                let own = names.iter().cloned().collect();
                let records = kin(asker, self.scope, &own).await?.into_iter().flat_map(|one| one.records);
                names.extend(records.filter(|name| !own.contains(name)));
            }
            if !names.is_empty() {
                let found = having(asker, self.scope, rows, &names, self.left()).await?;
                self.add(found);
            }
        }
        Ok(())
    }
}

fn may_name(parameter: &Parameter, kind: &str) -> bool {
    parameter.targets.is_empty() || parameter.targets.contains(&kind)
}

/// The types of which an artefact may be that is named by its address.
fn canonical_kinds(include: &Include, front: &[Seen]) -> Vec<&'static str> {
    if let Some(target) = include.target {
        return vec![target];
    }
    let mut kinds: Vec<&'static str> = Vec::new();
    for one in front {
        for found in include.parameters(&one.kind) {
            for kind in &found.targets {
                if !kinds.contains(kind) {
                    kinds.push(kind);
                }
            }
        }
    }
    if kinds.is_empty() {
        kinds = resource_names().collect();
    }
    kinds.retain(|kind| parameter(kind, "url").is_some());
    kinds
}
