//! Copies of a fill: told again under another id, or by another system, it is the fill it was, and what was decided of it stands.

use std::sync::Arc;

use super::cover::{Fill, fills};
use super::decide::is_void;
use super::decided::dispenses;
use super::turn::Turn;
use crate::ledger::{Decision, Outcome, Supply};

/// The version of a dispense that a row tells of.
pub(super) fn version(row: &Supply) -> String {
    format!("MedicationDispense/{}/_history/{}", row.dispense, row.version)
}

/// Whether a decision rests on this fill as it is now: on the same versions of its dispenses, or on some that make the same fill
/// without the others, which tell nothing more than they do.
pub(super) fn is_same_fill(turn: &Turn, product: &str, fill: &Fill, known: &Decision) -> bool {
    let is_of_fill = |row: &Supply| fill.tellers().any(|id| *id == row.dispense);
    let is_named = |row: &Supply| known.facts.contains(&version(row));
    let rows = || turn.supplies.rows_of(product);
    let named = rows().filter(|row| is_of_fill(row) && is_named(row)).count();
    if named == 0 || named != dispenses(&known.facts).count() {
        return false;
    }
    if named == rows().filter(|row| is_of_fill(row)).count() {
        return true;
    }
    let before: Vec<&Supply> = rows().filter(|row| !is_of_fill(row) || is_named(row)).collect();
    fills(&before).iter().any(|then| is_alike(then, fill))
}

/// What was stopped and rested on a copy that is gone rests on the one that carries on, and stays stopped.
pub(super) fn carry_on(turn: &mut Turn, gone: &Supply, heir: &Supply, fill: &Fill) {
    let before: Vec<&Supply> = turn.supplies.rows_of(&gone.product).chain([gone]).collect();
    let before = fills(&before);
    let then = before.iter().find(|then| then.tellers().any(|id| *id == gone.dispense));
    if !then.is_some_and(|then| is_alike(then, fill)) {
        return;
    }
    let (gone, version, product) = (&gone.dispense, version(heir), &gone.product);
    let rests = |decision: &&Decision| {
        let is_stopped = decision.outcome == Outcome::Stopped && !is_void(decision);
        is_stopped && dispenses(&decision.facts).any(|id| id == gone)
    };
    let mut stopped: Vec<Decision> = turn.decisions.of_product(product).filter(rests).cloned().collect();
    stopped.sort_by(|one, other| one.output.cmp(&other.output));
    for decision in stopped {
        let stands = |fact: &&String| dispenses(std::slice::from_ref(*fact)).all(|id| id != gone);
        let mut facts: Vec<String> = decision.facts.iter().filter(stands).cloned().collect();
        if dispenses(&facts).next().is_none() {
            facts.push(version.clone());
            facts.sort();
        }
        turn.decide(Decision { facts: Arc::from(facts), ..decision });
    }
}

/// Whether two fills are one, told by as many dispenses that count.
fn is_alike(one: &Fill, other: &Fill) -> bool {
    let of = |fill: &Fill| (fill.handed, fill.first, fill.last, fill.days, fill.dispenses.len());
    of(one) == of(other) && one.step == other.step
}
