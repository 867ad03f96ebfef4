//! Orders of two records of one person: what one of them fills, and where it goes on, may be told of the other.

use serde_json::{Value, json};

use super::{at, dispense, dues, patient, rules, status, store, told};
use crate::ledger::{How, Person};
use crate::react::rehearsal::Rehearsal;
use crate::react::{Rules, Settings, Unasked};

fn house(rules: &Rules) -> Rehearsal<'_> {
    let settings = Settings { treatment: Unasked::Allowed, ..Settings::default() };
    let mut house = Rehearsal::new(rules, settings, store(), at("2026-01-02T15:00:00Z"));
    for record in [1, 2] {
        tell_patient(&mut house, record, true);
    }
    house
}

fn tell_patient(house: &mut Rehearsal, record: i64, is_active: bool) {
    let mut told = patient();
    (told["id"], told["active"]) = (json!(format!("p{record}")), json!(is_active));
    hear(house, record, told);
}

fn hear(house: &mut Rehearsal, record: i64, mut value: Value) {
    if value.get("subject").is_some() {
        value["subject"] = json!({"reference": format!("Patient/p{record}")});
    }
    house.hear_of(Person(record), value, How::Live, "client");
}

fn unite(house: &mut Rehearsal) {
    house.unite(Person(1), Person(2));
    tell_patient(house, 2, false);
}

fn part(house: &mut Rehearsal) {
    house.part(Person(1), Person(2));
    tell_patient(house, 2, true);
}

fn order(id: &str, status: &str) -> Value {
    json!({"resourceType": "MedicationRequest", "id": id, "status": status, "intent": "order", "subject": {},
        "medicationCodeableConcept": dispense("d", "2026-01-02", 30)["medicationCodeableConcept"]})
}

fn fill_of(orders: &[&str]) -> Value {
    let mut fill = dispense("d", "2026-01-02", 30);
    let named = orders.iter().map(|order| json!({"reference": format!("MedicationRequest/{order}")}));
    fill["authorizingPrescription"] = named.collect();
    fill
}

// The order stands in the other record and is stopped while the call is open: it is taken back, whether that is heard before the two are
// found to be one or after it.
#[test]
fn a_call_is_taken_back_with_the_order_of_the_other_record() {
    let rules = rules();
    for is_first in [true, false] {
        let mut house = house(&rules);
        hear(&mut house, 1, fill_of(&["o"]));
        hear(&mut house, 2, order("o", "active"));
        house.advance(at("2026-02-02T15:00:00Z"));
        assert_eq!(status(&house, "Task"), ["requested"]);
        if is_first {
            unite(&mut house);
        }
        hear(&mut house, 2, order("o", "stopped"));
        if !is_first {
            unite(&mut house);
        }
        assert_eq!(status(&house, "Task"), ["cancelled"], "{is_first}: {:?}", told(&house));
    }
}

// The order of one record was stopped while one of the other went on: when they turn out to be two, nothing goes on for the first.
#[test]
fn what_went_on_in_the_other_record_goes_on_no_more_when_they_are_parted() {
    let rules = rules();
    for is_other in [true, false] {
        let mut house = house(&rules);
        hear(&mut house, 1, order("o", "active"));
        hear(&mut house, if is_other { 2 } else { 1 }, order("other", "active"));
        hear(&mut house, 1, fill_of(&["o"]));
        unite(&mut house);
        hear(&mut house, 1, order("o", "stopped"));
        house.advance(at("2026-02-02T15:00:00Z"));
        assert_eq!(status(&house, "Task"), ["requested"]);
        part(&mut house);
        house.advance(house.now + 60_000);
        assert_eq!(status(&house, "Task"), [if is_other { "cancelled" } else { "requested" }], "{:?}", told(&house));
    }
}

// By what its own order says a fill lasts; so many other orders name a Medication that not all of these are read when two records turn out
// to be of one person. What is known of the fill stays known.
#[test]
fn how_long_a_fill_lasts_stays_known_beside_many_orders() {
    let rules = rules();
    for others in [0, 60] {
        let mut house = house(&rules);
        let by_medication = |at: usize| {
            let mut order = order(&format!("o{at}"), "completed");
            order.as_object_mut().unwrap().shift_remove("medicationCodeableConcept");
            order["medicationReference"] = json!({"reference": format!("Medication/m{at}")});
            order["dosageInstruction"] = json!([{"timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}]);
            order
        };
        for at in 0..=others {
            let code = dispense("d", "2026-01-02", 30)["medicationCodeableConcept"].clone();
            house.hear_of(
                Person::NOBODY,
                json!({"resourceType": "Medication", "id": format!("m{at}"), "code": code}),
                How::Live,
                "client",
            );
            hear(&mut house, 1, by_medication(at));
        }
        let mut fill = fill_of(&["o0"]);
        fill.as_object_mut().unwrap().shift_remove("daysSupply");
        fill["quantity"] = json!({"value": 60, "unit": "tablet"});
        hear(&mut house, 1, fill);
        let before = dues(&house);
        assert!(before.contains(&String::from("reminder 2026-01-27T13")), "{before:?}");
        unite(&mut house);
        assert_eq!(dues(&house), before, "{others}");
    }
}
