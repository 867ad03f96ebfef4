//! What became of an import: how many of which type, and what was refused and why.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::items::Item;
use crate::fhir::outcome::Issue;
use crate::flow::{Done, Refused};

/// So many refusals are told one by one; the rest is counted.
const REFUSALS_MAX: usize = 1_000;

/// What became of the resources of one type.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    new: u64,
    changed: u64,
    unchanged: u64,
    refused: u64,
}

/// Gathers what became of items.
#[derive(Debug, Default)]
pub(super) struct Report {
    kinds: BTreeMap<String, Counts>,
    refusals: Vec<String>,
    left_out: u64,
}

impl Report {
    /// What became of one item of this file.
    pub(super) fn note(&mut self, file: &str, item: &Item, outcome: Result<Vec<Done>, Refused>) {
        match outcome {
            Ok(done) => done.iter().for_each(|done| self.accepted(done)),
            Err(refused) => {
                let kind = if item.kind.is_empty() { "(unreadable)" } else { &item.kind };
                self.kinds.entry(kind.to_owned()).or_default().refused += 1;
                let entry = item.entry.map_or(String::new(), |entry| format!(" Bundle.entry[{entry}]"));
                for reason in reasons(&refused) {
                    self.refuse(format!("{file}:{}{entry} {reason}", item.line));
                }
            }
        }
    }

    /// A file that could not be read to its end.
    pub(super) fn broken_file(&mut self, file: &str, why: &str) {
        self.kinds.entry(String::from("(unreadable)")).or_default().refused += 1;
        self.refuse(format!("{file}: {why}"));
    }

    fn accepted(&mut self, done: &Done) {
        let counts = self.kinds.entry(done.receipt.kind.clone()).or_default();
        if done.receipt.unchanged {
            counts.unchanged += 1;
        } else if done.receipt.created {
            counts.new += 1;
        } else {
            counts.changed += 1;
        }
    }

    fn refuse(&mut self, sentence: String) {
        if self.refusals.len() < REFUSALS_MAX {
            self.refusals.push(sentence);
        } else {
            self.left_out += 1;
        }
    }

    /// How many resources were taken or found to be there already.
    pub(super) fn taken(&self) -> u64 {
        self.kinds.values().map(|counts| counts.new + counts.changed + counts.unchanged).sum()
    }

    /// How many items were refused.
    pub(super) fn refused(&self) -> u64 {
        self.kinds.values().map(|counts| counts.refused).sum()
    }

    /// Tells everything.
    pub(super) fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        for refusal in &self.refusals {
            writeln!(out, "refused {refusal}")?;
        }
        if self.left_out > 0 {
            writeln!(out, "… and {} more reasons", self.left_out)?;
        }
        writeln!(out, "{:<32} {:>9} {:>9} {:>9} {:>9}", "", "new", "changed", "unchanged", "refused")?;
        let mut all = Counts::default();
        for (kind, counts) in &self.kinds {
            row(out, kind, counts)?;
            all.new += counts.new;
            all.changed += counts.changed;
            all.unchanged += counts.unchanged;
            all.refused += counts.refused;
        }
        row(out, "all", &all)
    }
}

fn row(out: &mut impl Write, kind: &str, counts: &Counts) -> io::Result<()> {
    writeln!(out, "{kind:<32} {:>9} {:>9} {:>9} {:>9}", counts.new, counts.changed, counts.unchanged, counts.refused)
}

/// Place and sentence of everything that was wrong.
fn reasons(refused: &Refused) -> Vec<String> {
    let sentences = |issues: &[Issue]| issues.iter().filter(|issue| issue.refuses()).map(sentence).collect();
    match refused {
        Refused::Issues(issues) | Refused::Rule(issues) | Refused::Unresolved(issues) => sentences(issues),
        Refused::Entry { index, cause } => {
            reasons(cause).into_iter().map(|reason| format!("Bundle.entry[{index}]: {reason}")).collect()
        }
        Refused::NotFound => vec![String::from("it does not exist")],
        Refused::Gone => vec![String::from("it was deleted")],
        Refused::VersionConflict { .. } => vec![String::from("another version is current than the one it names")],
        Refused::Exists => vec![String::from("it exists already")],
        Refused::MultipleMatches => vec![String::from("its criteria find several resources")],
        Refused::NotSupported(why) | Refused::TooLarge(why) => vec![why.clone()],
        Refused::Busy => vec![String::from("the ledger was busy; import it again")],
        Refused::Broken(why) => vec![format!("the ledger failed: {why}")],
    }
}

fn sentence(issue: &Issue) -> String {
    if issue.expression.is_empty() { issue.diagnostics.clone() } else { format!("{}: {}", issue.expression, issue.diagnostics) }
}
