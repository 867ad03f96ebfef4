//! The therapy goes on under a new order: what asks for the next fill rests on whichever order of the product has one left.

use serde_json::{Value, json};

use super::{at, dispense, house, outcome, rules, status, told};
use crate::ledger::Outcome;
use crate::react::beside::MEDICATIONS_MAX;
use crate::react::rehearsal::Rehearsal;

fn order(id: &str, status: &str, repeats: i64) -> Value {
    let product = &dispense("x", "2026-01-01", 30)["medicationCodeableConcept"];
    json!({"resourceType": "MedicationRequest", "id": id, "status": status, "intent": "order", "subject": {"reference": "Patient/p"},
        "authoredOn": "2026-01-01", "medicationCodeableConcept": product,
        "dispenseRequest": {"numberOfRepeatsAllowed": repeats}})
}

/// Thirty days of supply, handed over on an order of this many repeats.
fn begun(rules: &crate::react::Rules, repeats: i64) -> Rehearsal<'_> {
    let mut house = house(rules, "2026-01-01T15:00:00Z");
    house.hear(order("old", "active", repeats));
    let mut fill = dispense("a", "2026-01-01", 30);
    fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/old"}]);
    house.hear(fill);
    house
}

// An order that is used up is followed by another: the reminder comes on its day. One of another product, of none left, or that is
// only proposed changes nothing.
#[test]
fn a_renewed_order_has_a_fill_left() {
    let rules = rules();
    let mut other = order("new", "active", 3);
    other["medicationCodeableConcept"]["coding"][0]["code"] = json!("314076");
    let mut proposed = order("new", "active", 3);
    proposed["intent"] = json!("proposal");
    let mut forbidden = order("new", "active", 3);
    forbidden["doNotPerform"] = json!(true);
    let mut over = order("new", "active", 3);
    over["dispenseRequest"]["validityPeriod"] = json!({"end": "2026-01-20"});
    for (renewed, expected) in [
        (order("new", "active", 3), Outcome::Fired),
        (order("new", "active", 0), Outcome::Fired),
        (other, Outcome::Stopped),
        (proposed, Outcome::Stopped),
        (forbidden, Outcome::Stopped),
        (over, Outcome::Stopped),
        (order("new", "draft", 3), Outcome::Stopped),
        (order("new", "on-hold", 3), Outcome::Stopped),
        (order("new", "stopped", 3), Outcome::Stopped),
    ] {
        let mut house = begun(&rules, 0);
        house.advance(at("2026-01-10T15:00:00Z"));
        house.hear(renewed.clone());
        house.advance(at("2026-01-27T15:00:00Z"));
        assert_eq!(outcome(&house, "reminder").0, expected, "{renewed}");
    }
}

// The old order is ended and another one written, in whichever order: reminder and call come as if nothing had happened.
#[test]
fn an_order_that_was_replaced_ends_nothing() {
    let rules = rules();
    for told_first in ["new", "old"] {
        let mut house = begun(&rules, 3);
        house.advance(at("2026-01-10T15:00:00Z"));
        let (new, old) = (order("new", "active", 3), order("old", "stopped", 3));
        let both = if told_first == "new" { [new, old] } else { [old, new] };
        for one in both {
            house.hear(one);
        }
        house.advance(at("2026-02-01T15:00:00Z"));
        assert_eq!(outcome(&house, "reminder").0, Outcome::Fired, "{told_first}: {:?}", told(&house));
        assert_eq!(outcome(&house, "call").0, Outcome::Fired, "{told_first}: {:?}", told(&house));
        assert_eq!(status(&house, "Task"), ["requested"]);
        house.hear(order("new", "stopped", 3));
        assert_eq!(status(&house, "Task"), ["cancelled"], "now there is nothing to be fetched");
    }
}

// The order is renewed two days after the reminder found it used up: the reminder is still worth saying. A week after, it is not.
#[test]
fn a_reminder_that_found_no_order_comes_with_the_order() {
    let rules = rules();
    for (renewed, expected) in
        [("2026-01-28T15:00:00Z", "reminder fired 2026-01-28T15"), ("2026-01-30T15:00:00Z", "reminder stopped 2026-01-30T15")]
    {
        let mut house = begun(&rules, 0);
        house.advance(at(renewed));
        assert_eq!(outcome(&house, "reminder"), (Outcome::Stopped, String::from("therapy")));
        house.hear(order("new", "active", 3));
        house.advance(house.now + 1);
        let last = told(&house).into_iter().rfind(|line| line.starts_with("reminder"));
        assert_eq!(last.as_deref(), Some(expected));
        house.advance(at("2026-02-10T15:00:00Z"));
        assert!(house.spoken() <= 2, "{:?}", told(&house));
    }
}

// A corrected order tells its fills again: those whose Medication is known by name, too, the latest of them.
#[test]
fn a_corrected_order_changes_the_latest_of_its_fills() {
    let rules = rules();
    let fills = MEDICATIONS_MAX + 2;
    let mut house = house(&rules, "2026-03-01T15:00:00Z");
    let ordered = |often: i64| {
        let mut order = order("o", "active", 20);
        order["medicationReference"] = json!({"reference": "Medication/m0"});
        order.as_object_mut().unwrap().shift_remove("medicationCodeableConcept");
        order["dosageInstruction"] = json!([{"timing": {"repeat": {"frequency": often, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}]);
        order
    };
    house.hear(ordered(1));
    for at in 0..fills {
        let day = jiff::civil::date(2026, 1, 1) + jiff::Span::new().days(i64::try_from(at).unwrap());
        let mut fill = dispense(&format!("d{at:02}"), &day.to_string(), 0);
        house.hear(json!({"resourceType": "Medication", "id": format!("m{at}"), "code": fill["medicationCodeableConcept"]}));
        fill["medicationReference"] = json!({"reference": format!("Medication/m{at}")});
        for told_otherwise in ["medicationCodeableConcept", "daysSupply"] {
            fill.as_object_mut().unwrap().shift_remove(told_otherwise);
        }
        fill["quantity"] = json!({"value": 4, "unit": "tablet"});
        fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o"}]);
        house.hear(fill);
    }
    let days = |house: &Rehearsal| house.supplies.values().map(|row| (row.product.clone(), row.days)).collect::<Vec<_>>();
    assert_eq!(days(&house), vec![(String::from("ingredient|metformin"), 4); fills]);
    house.hear(ordered(2));
    let mut expected = vec![(String::from("ingredient|metformin"), 2); fills];
    // Of those of before it is not found out any more what they are.
    (1..fills - MEDICATIONS_MAX).for_each(|at| expected[at].1 = 4);
    assert_eq!(days(&house), expected);
}
