//! A Medication may be told after what names it, or tell another product for a while: the same comes of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::any_order::{come_to_the_same, counting, once};
use super::engine::{added, plan, step, with};
use super::{at, dispense, dues, house, rules, told};
use crate::ledger::{How, Outcome, Person};
use crate::react::Rules;
use crate::react::rehearsal::Rehearsal;

/// Products of which several rules speak: for blood sugar, for blood pressure, and an anticoagulant.
const PRODUCTS: [&str; 3] = ["860975", "314076", "855332"];

fn medication(id: usize, product: &str) -> Value {
    let code = json!({"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": product}]});
    json!({"resourceType": "Medication", "id": format!("m{id}"), "code": code})
}

/// The same, but naming its product by a reference.
fn named(mut resource: Value, id: usize) -> Value {
    let members = resource.as_object_mut().unwrap();
    members.shift_remove("medicationCodeableConcept");
    members.insert(String::from("medicationReference"), json!({"reference": format!("Medication/m{id}")}));
    resource
}

/// A Medication is nobody's.
fn hear(house: &mut Rehearsal, value: Value) {
    let person = if value["resourceType"] == "Medication" { Person::NOBODY } else { Person(1) };
    house.hear_of(person, value, How::Live, "client");
}

/// Whatever was put off is looked at.
fn settle(house: &mut Rehearsal) {
    house.advance(house.now + 300_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    // What was said or asked for before the Medication was known stays so: of these fills nothing is due between.
    #[test]
    fn a_medication_may_be_told_after_what_names_it(
        fills in proptest::collection::vec((0usize..3, prop_oneof![1i8..16, Just(28)], 36i64..60, any::<bool>(), proptest::bool::weighted(0.3)), 1..4),
        order in proptest::collection::vec(0usize..9, 0..9),
    ) {
        let rules = counting();
        let told: Vec<Value> = fills.iter().enumerate().flat_map(|(at, (product, day, days, is_ordered, _))| {
            let code = PRODUCTS[*product];
            let mut fill = named(dispense(&format!("d{at}"), &format!("2026-01-{day:02}"), *days), at);
            let ordered = named(json!({"resourceType": "MedicationRequest", "id": format!("o{at}"), "status": "active", "intent": "order",
                "subject": fill["subject"], "authoredOn": format!("2026-01-{day:02}"),
                "dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                    "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}]}), at);
            if *is_ordered {
                fill.as_object_mut().unwrap().remove("daysSupply");
                fill["quantity"] = json!({"value": days, "unit": "tablet"});
                fill["authorizingPrescription"] = json!([{"reference": format!("MedicationRequest/o{at}")}]);
            }
            [medication(at, code), ordered, fill]
        }).collect();
        let houses = [(0..told.len()).collect(), once(told.len(), &order)].map(|order: Vec<usize>| {
            let mut house = house(&rules, "2026-01-28T15:00:00Z");
            for at in &order {
                hear(&mut house, told[*at].clone());
            }
            // What was another product is corrected.
            for at in (0..fills.len()).filter(|at| fills[*at].4) {
                hear(&mut house, medication(at, PRODUCTS[(fills[at].0 + 1) % 3]));
            }
            settle(&mut house);
            house
        });
        let rows = |house: &Rehearsal| house.supplies.values().map(|row| (row.product.clone(), row.days, row.step.clone())).collect::<Vec<_>>();
        prop_assert_eq!(rows(&houses[0]), rows(&houses[1]));
        come_to_the_same(houses)?;
    }
}

/// A rule that speaks at once of what is of these products, handed over or ordered.
fn at_once() -> Rules {
    let rule = |name: &str, kind: &str| {
        let action = json!({"id": "fill", "trigger": added(kind, "medication", "http://www.nlm.nih.gov/research/umls/rxnorm", "860975"),
            "action": [step(name, "refill-advice", None)]});
        plan(name, &action)
    };
    with(&[rule("handed", "MedicationDispense"), rule("asked", "MedicationRequest")])
}

fn order(id: &str) -> Value {
    json!({"resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order", "subject": {"reference": "Patient/p"},
        "medicationReference": {"reference": "Medication/m0"}, "authoredOn": "2026-01-01"})
}

// What follows at once comes when the Medication is known, as long as it is timely since what names it was told; and never again.
#[test]
fn what_follows_at_once_comes_with_the_medication() {
    let rules = at_once();
    for (fact, said) in [(named(dispense("d", "2026-01-01", 30), 0), "handed"), (order("o"), "asked")] {
        for (days, expected) in [(0, 1), (2, 1), (4, 0)] {
            let mut house = house(&rules, "2026-01-01T15:00:00Z");
            hear(&mut house, fact.clone());
            house.advance(house.now + days * 86_400_000);
            hear(&mut house, medication(0, "860975"));
            settle(&mut house);
            // A name that is added, and a word that is taken back, say nothing new.
            for text in [json!("Metformin"), json!(null)] {
                let mut other = medication(0, "860975");
                other["code"]["text"] = text;
                hear(&mut house, other);
                settle(&mut house);
            }
            let fired = house.journal.iter().filter(|one| one.step == said && one.outcome == Outcome::Fired).count();
            assert_eq!((fired, house.faults), (expected, 0), "{said} {days}: {:?}", told(&house));
        }
    }
}

// The order by which a supply goes on may name a Medication that is known last: what was not said since there was none comes after all.
#[test]
fn an_order_goes_on_since_its_medication_is_known() {
    let rules = rules();
    for is_known in [true, false] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        let mut first = order("first");
        first["medicationReference"] = json!({"reference": "Medication/m1"});
        let mut fill = dispense("d", "2026-01-01", 30);
        fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/first"}]);
        let known = medication(1, "860975");
        for fact in [known, first.clone(), order("second"), fill] {
            hear(&mut house, fact);
        }
        first["status"] = json!("stopped");
        hear(&mut house, first);
        settle(&mut house);
        assert_eq!(dues(&house), ["advice 2026-01-04T13"], "{:?}", told(&house));
        if is_known {
            hear(&mut house, medication(0, "860975"));
            settle(&mut house);
            assert_eq!(dues(&house), ["advice 2026-01-04T13", "call 2026-01-31T13", "reminder 2026-01-26T13"]);
        }
        house.advance(at("2026-03-01T00:00:00Z"));
        assert_eq!(house.last("reminder").map(|last| last.outcome == Outcome::Fired), Some(is_known), "{:?}", told(&house));
    }
}

// A dispense that changed since the page was read is told as it stands; one that was deleted is not.
#[test]
fn what_is_told_again_is_told_as_it_stands() {
    let rules = rules();
    for is_deleted in [false, true] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        hear(&mut house, named(dispense("d", "2026-01-01", 30), 0));
        hear(&mut house, medication(0, "860975"));
        if is_deleted {
            house.delete("MedicationDispense/d");
        } else {
            hear(&mut house, named(dispense("d", "2026-01-01", 60), 0));
        }
        settle(&mut house);
        let rows: Vec<(String, i64)> = house.supplies.values().map(|row| (row.product.clone(), row.days)).collect();
        let expected = if is_deleted { vec![] } else { vec![(String::from("ingredient|metformin"), 60)] };
        assert_eq!((rows, house.faults), (expected, 0));
    }
}

// What refill has decided of an order and its dispense keeps no other rule from beginning with the order.
#[test]
fn each_rule_begins_with_what_is_known_by_now() {
    let rules = at_once();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    hear(&mut house, order("o"));
    let mut fill = named(dispense("d", "2026-01-01", 30), 0);
    fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o"}]);
    hear(&mut house, fill);
    assert!(!house.dues.is_empty());
    hear(&mut house, medication(0, "860975"));
    settle(&mut house);
    assert_eq!(house.last("asked").map(|last| last.outcome), Some(Outcome::Fired), "{:?}", told(&house));
}

// Whoever is at a call stays at it, whatever its Medication turns out to be, and a fill of the product takes it back.
#[test]
fn a_call_goes_on_for_the_product_that_it_is() {
    let rules = rules();
    for is_next in [false, true] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        hear(&mut house, named(dispense("d", "2026-01-01", 30), 0));
        house.advance(at("2026-02-02T15:00:00Z"));
        for code in ["860975", "314076", "860975"] {
            hear(&mut house, medication(0, code));
            settle(&mut house);
            assert_eq!(super::status(&house, "Task"), ["requested"], "{code}: {:?}", told(&house));
        }
        assert_eq!(house.last("call").map(|last| last.episode.clone()).as_deref(), Some("ingredient|metformin|2026-01-01"));
        if is_next {
            hear(&mut house, dispense("e", "2026-02-02", 30));
        }
        house.advance(at("2026-02-20T15:00:00Z"));
        assert_eq!(super::status(&house, "Task"), [if is_next { "cancelled" } else { "requested" }], "{:?}", told(&house));
        assert_eq!(house.spoken(), if is_next { 3 } else { 2 }, "{:?}", told(&house));
    }
}

// A Medication of another server is none of ours, whatever its id.
#[test]
fn a_medication_of_another_server_is_not_ours() {
    let rules = rules();
    for (reference, product) in [
        ("Medication/m0", "ingredient|metformin"),
        ("Medication/m0/_history/1", "ingredient|metformin"),
        ("https://hospital.example/fhir/Medication/m0", "https://hospital.example/fhir/Medication/m0"),
    ] {
        for is_first in [true, false] {
            let mut house = house(&rules, "2026-01-01T15:00:00Z");
            let mut fill = named(dispense("d", "2026-01-01", 30), 0);
            fill["medicationReference"]["reference"] = json!(reference);
            let facts = if is_first { [medication(0, "860975"), fill] } else { [fill, medication(0, "860975")] };
            for fact in facts {
                hear(&mut house, fact);
            }
            settle(&mut house);
            let rows: Vec<String> = house.supplies.values().map(|row| row.product.clone()).collect();
            assert_eq!(rows, [product], "{is_first}");
        }
    }
}
