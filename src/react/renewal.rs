//! Orders: what asks for the next fill ends with its order, unless another order of the product goes on, and comes again with one. How
//! long a fill lasts follows what its order says.
//! Follows <https://hl7.org/fhir/R4/medicationrequest.html>.

use std::collections::BTreeSet;

use super::beside::{self, MEDICATIONS_MAX};
use super::decide::{cancel_task, withdraw};
use super::decided::dispenses;
use super::gates::therapy;
use super::refills::{self, Dispenses};
use super::turn::Turn;
use super::{Heard, Resource, Rules, Story, episode, products, refill, supply};
use crate::ledger::{Decision, How, Line, Outcome, Supply};

/// Takes in what was heard of an order.
pub(super) fn hear(turn: &mut Turn, event: &Heard) {
    if event.line == Line::Deleted || therapy::has_ended(&event.resource.value) {
        end(turn, &event.resource);
    } else {
        renew(turn, &event.resource);
    }
}

/// The orders that were heard; of records that turn out to be of one person all that are known.
pub(super) fn orders<'a>(story: &'a Story, heard: &'a [Heard]) -> Vec<&'a Resource> {
    let is_linked = heard.iter().any(|event| event.line == Line::Linked);
    let of_orders = heard.iter().map(|event| &event.resource).filter(|one| one.kind == "MedicationRequest");
    of_orders.chain(story.current("MedicationRequest").filter(|_| is_linked)).collect()
}

/// The dispenses that last otherwise by an order that was heard, of those that are read with it: they are told again.
pub(super) fn told_again(rules: &Rules, story: &Story, heard: &[Heard]) -> Vec<Heard> {
    let orders: Vec<String> = orders(story, heard).into_iter().map(Resource::reference).collect();
    if orders.is_empty() {
        return Vec::new();
    }
    let is_heard = |dispense: &Resource| heard.iter().any(|event| event.resource.reference() == dispense.reference());
    // What was handed over is no matter of the order: where that reads otherwise, it is known better now, or its Medication is not at hand.
    let lasts_otherwise = |dispense: &Resource| {
        let known = story.supplies.rows().find(|row| row.dispense == dispense.id);
        let is_other = |known: &Supply, row: &Supply| {
            let is_fill = known.product == row.product || products::concept(&dispense.value, story).is_some();
            is_fill && known.handed == row.handed && (known.days, &known.step) != (row.days, &row.step)
        };
        known.zip(supply::row(rules, story, dispense).ok()).is_some_and(|(known, row)| is_other(known, &row))
    };
    let is_all = beside::lasting(story, &orders).len() <= MEDICATIONS_MAX;
    let is_told = |dispense: &&Resource| {
        let is_of_orders = products::needed(&dispense.value).iter().any(|needed| orders.contains(needed));
        // What its order is about is not at hand: how long it lasts is known better now.
        let is_at_hand = || products::ordered(&dispense.value, story).is_none_or(|named| is_all || story.find(&named).is_some());
        is_of_orders && dispense.is_about() && !is_heard(dispense) && is_at_hand() && lasts_otherwise(dispense)
    };
    let told = story.current("MedicationDispense").filter(is_told);
    told.map(|fact| Heard { line: Line::Updated, resource: fact.clone(), react: fact.how == How::Live, depth: 0 }).collect()
}

/// Whether a loaded dispense, by its id, fills an order, `Type/id`.
fn fills(story: &Story, dispense: &str, order: &str) -> bool {
    let dispense = story.find(&format!("MedicationDispense/{dispense}"));
    dispense.is_some_and(|dispense| products::needed(&dispense.value).iter().any(|needed| needed == order))
}

/// An order was ended: what asks for the next fill of it is taken back, whoever is at it: there is nothing to be fetched.
fn end(turn: &mut Turn, ended: &Resource) {
    let (order, story) = (ended.reference(), turn.story);
    let asks =
        |rule: &str, step: &str| turn.rules.plan(rule).and_then(|plan| plan.step(step)).is_some_and(|(_, step)| step.follows_end);
    let product = turn.rules.products.group(&turn.rules.concepts, &ended.value, story);
    // Asked of what was handed over: the order may name another product, or none that is known.
    let is_renewed = |episode: &str| {
        let of = episode.rsplit_once('|').map(|(of, _)| of);
        of.is_some_and(|of| refills::goes_on(turn.rules, story, of, &Dispenses::default(), &order))
    };
    // What rests on an order that this one followed is over, too.
    let has_ended = |known: &str| story.find(known).is_some_and(|known| known.deleted || therapy::has_ended(&known.value));
    let loaded = |id: &str| story.find(&format!("MedicationDispense/{id}"));
    // Of several orders that a dispense names it counts by one.
    let counts_on = |id: &str| {
        let order = loaded(id).and_then(|dispense| refills::order_of(dispense, story));
        order.is_some_and(|order| !therapy::has_ended(&order.value))
    };
    let rests = |facts: &[String], episode: &str| {
        if dispenses(facts).any(counts_on) {
            return false;
        }
        // The dispense may have been told, and what follows from it planned, before the order was known.
        let named = dispenses(facts).filter_map(loaded).flat_map(|dispense| products::needed(&dispense.value));
        let known = facts.iter().filter_map(|fact| fact.split("/_history/").next()).map(str::to_owned);
        let mut orders = known.chain(named).filter(|known| known.starts_with("MedicationRequest/"));
        let is_of_product = product.as_deref().is_some_and(|product| episode::is_of_product(episode, product));
        orders.any(|known| known == order || (is_of_product && has_ended(&known)))
    };
    let is_over = |rule: &str, step: &str, facts: &[String], episode: &str| {
        asks(rule, step) && rests(facts, episode) && !is_renewed(episode)
    };
    let dues = turn.dues_where(|due| is_over(&due.rule, &due.step, &due.detail().facts, &due.episode));
    let fired = turn.fired_where(|one| is_over(&one.rule, &one.step, &one.facts, &one.episode));
    for due in dues {
        withdraw(turn, &due, Outcome::Stopped, therapy::GATE.name, therapy::ENDED);
    }
    for decision in fired {
        cancel_task(turn, &decision, therapy::GATE.name, therapy::ENDED);
    }
}

/// The orders of two records that turn out to be of one person: what one fills may be of the other, and each may go on where the other's
/// ended.
pub(super) fn unite(turn: &mut Turn) {
    end_all(turn);
    for order in turn.story.current("MedicationRequest").filter(|order| !therapy::has_ended(&order.value)) {
        renew(turn, order);
    }
}

/// The orders of one of two records that turn out to be of two persons: where one ended, the other's goes on for it no more.
pub(super) fn end_all(turn: &mut Turn) {
    for order in turn.story.current("MedicationRequest").filter(|order| therapy::has_ended(&order.value)) {
        end(turn, order);
    }
}

/// An order goes on: what was not said since there was none is looked at again, and what was taken back with it.
fn renew(turn: &mut Turn, order: &Resource) {
    let product = turn.rules.products.group(&turn.rules.concepts, &order.value, turn.story);
    let version = format!("{}/_history/", order.reference());
    let is_meant = |known: &&Decision| {
        let is_of_product = product.as_deref().is_some_and(|product| episode::is_of_product(&known.episode, product));
        let is_named = || known.facts.iter().any(|fact| fact.starts_with(&version));
        is_of_product || is_named() || dispenses(&known.facts).any(|id| fills(turn.story, id, &order.reference()))
    };
    let stopped = turn.decisions.all().filter(|known| therapy::has_stopped(known)).filter(is_meant);
    let products: BTreeSet<String> = stopped.filter_map(|known| Some(known.episode.rsplit_once('|')?.0.to_owned())).collect();
    for product in products {
        refill::look_again(turn, &product);
    }
}
