//! What became of an import: how many of which type, and what was refused and why.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::items::Item;
use crate::fhir::outcome::Issue;
use crate::flow::{Done, Refused};

/// So many refusals are told one by one; the rest is counted.
const REFUSALS_MAX: usize = 1_000;

/// What became of a resource that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was not there.
    New,
    /// It was there, and is another version now.
    Changed,
    /// It was there as it is.
    Unchanged,
}

/// What became of an item: its resources by type, or why it was refused.
pub(super) type Outcome = Result<Vec<(String, Fate)>, Vec<String>>;

/// The same, of what the way said.
pub(super) fn of_flow(outcome: Result<Vec<Done>, Refused>) -> Outcome {
    let fate = |done: &Done| match (done.receipt.unchanged, done.receipt.created) {
        (true, _) => Fate::Unchanged,
        (false, true) => Fate::New,
        (false, false) => Fate::Changed,
    };
    let taken = |done: Vec<Done>| done.iter().map(|done| (done.receipt.kind.clone(), fate(done))).collect();
    outcome.map(taken).map_err(|refused| reasons(&refused))
}

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
    pub(super) fn note(&mut self, file: &str, item: &Item, outcome: Outcome) {
        match outcome {
            Ok(taken) => taken.into_iter().for_each(|(kind, fate)| self.taken_one(kind, fate)),
            Err(reasons) => {
                let kind = if item.kind.is_empty() { "(unreadable)" } else { &item.kind };
                self.kinds.entry(kind.to_owned()).or_default().refused += 1;
                let entry = item.entry.map_or(String::new(), |entry| format!(" Bundle.entry[{entry}]"));
                for reason in reasons {
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

    fn taken_one(&mut self, kind: String, fate: Fate) {
        let counts = self.kinds.entry(kind).or_default();
        match fate {
            Fate::New => counts.new += 1,
            Fate::Changed => counts.changed += 1,
            Fate::Unchanged => counts.unchanged += 1,
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
        Refused::Beyond(beyond) => vec![format!("the rule {} fired too often", beyond.rule)],
        Refused::Broken(why) => vec![format!("the ledger failed: {why}")],
    }
}

fn sentence(issue: &Issue) -> String {
    if issue.expression.is_empty() { issue.diagnostics.clone() } else { format!("{}: {}", issue.expression, issue.diagnostics) }
}
