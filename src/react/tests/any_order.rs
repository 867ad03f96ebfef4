//! Whatever the order in which the same facts become known, doubled or taken back, the same comes of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{at, dispense, dues, house, rules, status};
use crate::ledger::{Outcome, Supply};
use crate::react::Rules;
use crate::react::rehearsal::Rehearsal;

/// A fill as it stands in the end: day of January, days supplied, and whether it was taken back.
type Fact = (i8, i64, bool);

fn fill(at: usize, fact: Fact) -> Value {
    let (day, days, _) = fact;
    let mut fill = dispense(&format!("d{at}"), &format!("2026-01-{day:02}"), days);
    fill["identifier"] = json!([{"system": "urn:rx", "value": at.to_string()}]);
    fill
}

/// Tells facts in this order, each as often as it is named. One that was taken back is told as it stood before the first time, and
/// as reversed every time after, so that the reversal is the last word.
fn tell(house: &mut Rehearsal, facts: &[Fact], order: &[usize]) {
    for (turn, at) in order.iter().enumerate() {
        let mut fill = fill(*at, facts[*at]);
        let is_known = order[..turn].contains(at);
        if facts[*at].2 && is_known {
            fill["status"] = json!("entered-in-error");
        }
        house.hear(fill);
    }
}

/// The order in which each is told at least twice: as shuffled, then all of them once more from the end.
fn twice(count: usize, shuffled: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = shuffled.iter().map(|at| at % count).chain(0..count).collect();
    order.extend((0..count).rev());
    order
}

/// The order in which each is told once, those that were shuffled first.
pub(super) fn once(count: usize, shuffled: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    for at in shuffled.iter().map(|at| at % count).chain(0..count) {
        if !order.contains(&at) {
            order.push(at);
        }
    }
    order
}

fn supplies(house: &Rehearsal) -> Vec<(String, i64, i64, String)> {
    let row = |supply: &std::sync::Arc<Supply>| (supply.dispense.clone(), supply.handed, supply.days, supply.step.clone());
    house.supplies.values().map(row).collect()
}

/// Whether the same is due in both now, and the same is said and asked for until August.
pub(super) fn come_to_the_same(mut houses: [Rehearsal; 2]) -> Result<(), TestCaseError> {
    prop_assert_eq!(dues(&houses[0]), dues(&houses[1]));
    for house in &mut houses {
        house.advance(at("2026-08-01T00:00:00Z"));
    }
    let [first, second] = &houses;
    prop_assert_eq!(said(first), said(second));
    prop_assert_eq!(status(first, "Task"), status(second, "Task"));
    prop_assert_eq!(first.spoken(), second.spoken());
    Ok(())
}

/// Everything that was said or asked for and stands, with its moment.
fn said(house: &Rehearsal) -> Vec<(String, i64, String)> {
    let fired = house.latest().filter(|decision| decision.outcome == Outcome::Fired);
    let mut said: Vec<_> = fired.map(|one| (one.step.clone(), one.at, one.episode.clone())).collect();
    said.sort();
    said
}

fn told<'r>(rules: &'r Rules, facts: &[Fact], order: &[usize]) -> Rehearsal<'r> {
    let mut house = house(rules, "2026-01-28T15:00:00Z");
    tell(&mut house, facts, order);
    house
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_same_facts_lead_to_the_same_supply_dues_and_decisions(
        facts in proptest::collection::vec((1i8..28, 8i64..40, proptest::bool::weighted(0.3)), 1..5),
        one in proptest::collection::vec(0usize..5, 0..8),
        other in proptest::collection::vec(0usize..5, 0..8),
    ) {
        let rules = rules();
        let houses = [&one, &other].map(|shuffled| told(&rules, &facts, &twice(facts.len(), shuffled)));
        prop_assert_eq!(supplies(&houses[0]), supplies(&houses[1]));
        let standing = facts.iter().filter(|(.., reversed)| !reversed).count();
        prop_assert_eq!(houses[0].supplies.len(), standing);
        come_to_the_same(houses)?;
    }
}

/// The rules that count fills: the first of a product, those of who stayed away, and those whose days are known.
pub(super) fn counting() -> Rules {
    let mut artefacts = crate::react::shipped();
    let of_ours = ["refill", "churn", "anticoagulant", "hypertension-follow-up", "diabetes-follow-up"];
    artefacts.retain(|one| one["resourceType"] != "PlanDefinition" || of_ours.iter().any(|id| one["id"] == *id));
    let (rules, issues) = Rules::read(&artefacts);
    assert_eq!(issues, []);
    rules
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_told_once_in_any_order_leads_to_the_same(
        facts in proptest::collection::vec((1i8..28, 8i64..40, proptest::bool::weighted(0.3)), 1..5),
        order in proptest::collection::vec(0usize..5, 0..8),
    ) {
        let rules = counting();
        let forth: Vec<usize> = (0..facts.len()).collect();
        // What was a mistake is taken back when all is told.
        let mistakes: Vec<usize> = forth.iter().copied().filter(|at| facts[*at].2).collect();
        let houses = [forth, once(facts.len(), &order)].map(|mut order| {
            order.extend(&mistakes);
            told(&rules, &facts, &order)
        });
        prop_assert_eq!(supplies(&houses[0]), supplies(&houses[1]));
        come_to_the_same(houses)?;
    }
}

/// A fill that says nothing of its days but which order it fills, and that order: a tablet a day.
fn ordered(at: usize, (day, days, _): Fact) -> [Value; 2] {
    let mut fill = fill(at, (day, days, false));
    fill.as_object_mut().unwrap().remove("daysSupply");
    fill["quantity"] = json!({"value": days, "unit": "tablet"});
    fill["authorizingPrescription"] = json!([{"reference": format!("MedicationRequest/o{at}")}]);
    let order = json!({"resourceType": "MedicationRequest", "id": format!("o{at}"), "status": "active", "intent": "order",
        "subject": fill["subject"], "medicationCodeableConcept": fill["medicationCodeableConcept"], "authoredOn": format!("2026-01-{day:02}"),
        "dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}]});
    [order, fill]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn an_order_may_be_told_after_what_fills_it(
        facts in proptest::collection::vec((1i8..28, 8i64..40, proptest::bool::weighted(0.3)), 1..4),
        order in proptest::collection::vec(0usize..8, 0..8),
    ) {
        let rules = counting();
        let told: Vec<Value> = facts.iter().enumerate().flat_map(|(at, fact)| ordered(at, *fact)).collect();
        let houses = [(0..told.len()).collect(), once(told.len(), &order)].map(|order: Vec<usize>| {
            let mut house = house(&rules, "2026-01-28T15:00:00Z");
            for at in &order {
                house.hear(told[*at].clone());
            }
            // What was ordered wrongly is corrected: half a tablet a day.
            for at in facts.iter().enumerate().filter(|(_, fact)| fact.2).map(|(at, _)| at) {
                let mut order = told[2 * at].clone();
                order["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] = json!(0.5);
                house.hear(order);
            }
            house
        });
        let expected: Vec<i64> = facts.iter().map(|(_, days, was_wrong)| if *was_wrong { 2 * days } else { *days }).collect();
        prop_assert_eq!(supplies(&houses[0]).into_iter().map(|(_, _, days, _)| days).collect::<Vec<_>>(), expected);
        prop_assert_eq!(supplies(&houses[0]), supplies(&houses[1]));
        come_to_the_same(houses)?;
    }
}

// A fill that was moved to a day and taken back later leaves that day free for another one.
#[test]
fn a_fill_that_was_taken_back_stands_in_no_others_way() {
    let rules = rules();
    let facts = [(1, 8, true), (24, 8, false), (8, 8, true), (1, 23, false)];
    let planned = ["advice 2026-01-27T13", "call 2026-02-01T13", "reminder 2026-01-27T13"];
    for order in [twice(4, &[]), twice(4, &[2, 3])] {
        assert_eq!(dues(&told(&rules, &facts, &order)), planned, "{order:?}");
    }
}

#[test]
fn a_day_is_a_day_when_the_clocks_change() {
    // New York goes to summer time on 8 March 2026 and back on 1 November: eight in the morning stays eight in the morning, and
    // thirty days stay thirty days.
    let rules = rules();
    for (handed, reminder, call) in [
        ("2026-02-05", "reminder 2026-03-02T13", "call 2026-03-07T13"),
        ("2026-02-06", "reminder 2026-03-03T13", "call 2026-03-08T12"),
        ("2026-02-11", "reminder 2026-03-08T12", "call 2026-03-13T12"),
        ("2026-03-08", "reminder 2026-04-02T12", "call 2026-04-07T12"),
        ("2026-10-02", "reminder 2026-10-27T12", "call 2026-11-01T13"),
        ("2026-10-07", "reminder 2026-11-01T13", "call 2026-11-06T13"),
        ("2028-02-01", "reminder 2028-02-26T13", "call 2028-03-02T13"),
    ] {
        let mut house = house(&rules, &format!("{handed}T18:00:00Z"));
        house.hear(dispense("a", handed, 30));
        let dues = dues(&house);
        assert!(dues.contains(&reminder.to_owned()) && dues.contains(&call.to_owned()), "{handed}: {dues:?}");
    }
}

#[test]
fn the_day_is_the_stores_and_not_that_of_greenwich() {
    // Handed over at nine in the evening in New York: the next day in Greenwich.
    let rules = rules();
    for written in ["2026-01-01T21:00:00-05:00", "2026-01-02T02:00:00Z", "2026-01-02T10:00:00+08:00", "2026-01-01"] {
        let mut house = house(&rules, "2026-01-02T03:00:00Z");
        house.hear(dispense("a", written, 30));
        let days: Vec<i64> = house.supplies.values().map(|supply| supply.handed).collect();
        assert_eq!(days, [crate::react::zones::number(jiff::civil::date(2026, 1, 1))], "{written}");
    }
}
