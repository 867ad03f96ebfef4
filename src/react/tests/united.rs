//! Two records turn out to be of one person: what was handed over to both is counted as if all had been told of one.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::any_order::{come_to_the_same, counting};
use super::{at, dispense, dues, patient, status, store};
use crate::ledger::{How, Person};
use crate::react::rehearsal::Rehearsal;
use crate::react::{Rules, Settings, Unasked};

/// Products of which several rules speak: for blood sugar, for blood pressure, and an anticoagulant.
const PRODUCTS: [&str; 3] = ["860975", "314076", "855332"];

fn house<'r>(rules: &'r Rules, now: &str) -> Rehearsal<'r> {
    house_of(rules, now, Unasked::Allowed)
}

fn house_of<'r>(rules: &'r Rules, now: &str, treatment: Unasked) -> Rehearsal<'r> {
    let mut house = Rehearsal::new(rules, Settings { treatment, ..Settings::default() }, store(), at(now));
    for record in [1, 2] {
        tell_patient(&mut house, record, true);
    }
    house
}

fn tell_patient(house: &mut Rehearsal, record: i64, is_active: bool) {
    let mut told = patient();
    (told["id"], told["active"]) = (json!(format!("p{record}")), json!(is_active));
    house.hear_of(Person(record), told, How::Live, "client");
}

fn fill(house: &mut Rehearsal, record: i64, id: usize, (product, day, days): (&str, &str, i64)) {
    let mut fill = dispense(&format!("d{id}"), day, days);
    fill["subject"] = json!({"reference": format!("Patient/p{record}")});
    fill["medicationCodeableConcept"]["coding"][0]["code"] = json!(product);
    if days == 0 {
        fill.as_object_mut().unwrap().remove("daysSupply");
    }
    house.hear_of(Person(record), fill, How::Live, "client");
}

fn unite(house: &mut Rehearsal) {
    house.unite(Person(1), Person(2));
    tell_patient(house, 2, false);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_both_were_given_is_counted_as_of_one(
        product in 0usize..3,
        fills in proptest::collection::vec((1i64..3, 8i64..28, prop_oneof![Just(0i64), 8i64..40]), 1..5),
    ) {
        // What both tell alike is told of one fill.
        let told = |(record, day, days): &(i64, i64, i64)| fills.iter().filter(|one| one.0 != *record).any(|one| (one.1, one.2) == (*day, *days));
        prop_assume!(!fills.iter().any(told));
        let rules = counting();
        let houses = [true, false].map(|are_two| {
            let mut house = house(&rules, "2026-01-28T15:00:00Z");
            for (id, (record, day, days)) in fills.iter().enumerate() {
                let record = if are_two { *record } else { 1 };
                fill(&mut house, record, id, (PRODUCTS[product], &format!("2026-01-{day:02}"), *days));
            }
            unite(&mut house);
            house
        });
        come_to_the_same(houses)?;
    }
}

// A call of one record is pointless when the other has the next fill.
#[test]
fn a_fill_of_the_other_record_takes_the_call_back() {
    let rules = counting();
    let mut house = house(&rules, "2026-01-02T15:00:00Z");
    fill(&mut house, 1, 1, (PRODUCTS[0], "2026-01-02", 30));
    house.advance(at("2026-01-25T15:00:00Z"));
    fill(&mut house, 2, 2, (PRODUCTS[0], "2026-01-25", 30));
    house.advance(at("2026-02-02T15:00:00Z"));
    assert_eq!(status(&house, "Task"), ["requested"]);
    unite(&mut house);
    assert_eq!(status(&house, "Task"), ["cancelled"]);
    assert_eq!(dues(&house), ["call 2026-03-03T13", "reminder 2026-02-26T13", "word 2026-04-01T12"]);
}

// Who had the medicine before on the other record does not begin with it.
#[test]
fn the_first_fill_of_one_record_is_the_second_of_the_person() {
    let rules = counting();
    let mut house = house(&rules, "2026-01-02T15:00:00Z");
    fill(&mut house, 1, 1, (PRODUCTS[2], "2026-01-02", 30));
    house.advance(at("2026-01-10T15:00:00Z"));
    let before = house.spoken();
    fill(&mut house, 2, 2, (PRODUCTS[2], "2026-01-10", 30));
    unite(&mut house);
    house.advance(at("2026-01-20T15:00:00Z"));
    assert_eq!((house.spoken() - before, status(&house, "Task")), (1, vec!["requested"]), "advice alone, and the call of before");
}

// The first fill is a mistake for an hour: what was asked for of the second meanwhile is not left open, since the call of the first was made.
#[test]
fn a_mistake_of_an_hour_leaves_no_second_call() {
    let rules = counting();
    let mut house = house(&rules, "2026-01-02T15:00:00Z");
    fill(&mut house, 1, 1, (PRODUCTS[2], "2026-01-02", 30));
    let first = house.resource("MedicationDispense/d1").unwrap().value.as_ref().clone();
    house.advance(at("2026-01-09T15:00:00Z"));
    let mut task = house.outputs("Task").next().unwrap().clone();
    task["status"] = json!("completed");
    house.hear_of(Person(1), task, How::Live, "store");
    house.advance(at("2026-01-11T15:00:00Z"));
    fill(&mut house, 1, 2, (PRODUCTS[2], "2026-01-11", 30));
    house.advance(at("2026-01-18T15:00:00Z"));
    let mut mistake = first.clone();
    mistake["status"] = json!("entered-in-error");
    house.hear_of(Person(1), mistake, How::Live, "client");
    house.advance(at("2026-01-18T16:00:00Z"));
    let tasks = |house: &Rehearsal| {
        let of_tasks = house.resources().filter(|one| one.kind == "Task");
        let mut tasks: Vec<String> = of_tasks.map(|task| task.value["status"].as_str().unwrap().to_owned()).collect();
        tasks.sort();
        tasks
    };
    assert_eq!(tasks(&house), ["completed", "requested"]);
    house.hear_of(Person(1), first, How::Live, "client");
    assert_eq!(tasks(&house), ["cancelled", "completed"]);
}

// The same waits to be said to both records; somebody says it for one of them, or ends it: it is said for neither, whichever it was.
#[test]
fn what_somebody_ended_for_one_record_is_not_said_for_the_other() {
    for (ended, status) in
        [(None, ""), (Some(0), "in-progress"), (Some(1), "in-progress"), (Some(0), "not-done"), (Some(1), "not-done")]
    {
        for is_after in [false, true] {
            let rules = counting();
            let mut house = house_of(&rules, "2026-01-02T15:00:00Z", Unasked::Held);
            for record in [1, 2] {
                fill(&mut house, record, usize::try_from(record).unwrap(), (PRODUCTS[2], "2026-01-02", 0));
            }
            house.advance(at("2026-01-03T15:00:00Z"));
            if is_after {
                unite(&mut house);
            }
            let waiting: Vec<Value> = house.outputs("Communication").cloned().collect();
            assert_eq!(waiting.len(), 2);
            if let Some(of) = ended {
                let mut message = waiting[of].clone();
                message["status"] = json!(status);
                let record = if message["subject"]["reference"] == "Patient/p1" { 1 } else { 2 };
                house.hear_of(Person(record), message, How::Live, "store");
            }
            if !is_after {
                unite(&mut house);
            }
            let consent = json!({"resourceType": "Consent", "id": "k", "status": "active", "patient": {"reference": "Patient/p1"},
                "dateTime": "2026-01-03", "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}});
            house.hear_of(Person(1), consent, How::Live, "client");
            house.advance(at("2026-01-04T15:00:00Z"));
            assert_eq!(house.spoken(), usize::from(ended.is_none()), "{ended:?} {status} {is_after}");
        }
    }
}

// Somebody puts off the request of one of the two: nothing is said for either until that is over.
#[test]
fn what_somebody_put_off_for_one_record_waits_for_both() {
    for of in [0, 1] {
        for (is_after, is_over) in [(false, false), (false, true), (true, false), (true, true)] {
            let rules = counting();
            let mut house = house_of(&rules, "2026-01-02T15:00:00Z", Unasked::Held);
            for record in [1, 2] {
                fill(&mut house, record, usize::try_from(record).unwrap(), (PRODUCTS[2], "2026-01-02", 0));
            }
            house.advance(at("2026-01-03T15:00:00Z"));
            if is_after {
                unite(&mut house);
            }
            let mut request = house.outputs("CommunicationRequest").nth(of).unwrap().clone();
            let record = if request["subject"]["reference"] == "Patient/p1" { 1 } else { 2 };
            request["status"] = json!("on-hold");
            house.hear_of(Person(record), request.clone(), How::Live, "store");
            if !is_after {
                unite(&mut house);
            }
            let consent = json!({"resourceType": "Consent", "id": "k", "status": "active", "patient": {"reference": "Patient/p1"},
                "dateTime": "2026-01-03", "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}});
            house.hear_of(Person(1), consent, How::Live, "client");
            house.advance(at("2026-01-03T20:00:00Z"));
            assert_eq!(house.spoken(), 0, "{of} {is_after}");
            if is_over {
                request["status"] = json!("active");
                house.hear_of(Person(record), request, How::Live, "store");
            }
            house.advance(at("2026-01-04T15:00:00Z"));
            assert_eq!(house.spoken(), usize::from(is_over), "{of} {is_after} {is_over}: {:?}", super::told(&house));
        }
    }
}

// The order was told of one record, its fill of the other: how long that lasts is known when they are one, and by the newest word.
#[test]
fn an_order_of_the_other_record_counts() {
    let rules = counting();
    for corrected in [false, true] {
        let mut house = house(&rules, "2026-01-02T15:00:00Z");
        let mut fill = dispense("d", "2026-01-02", 0);
        fill["subject"] = json!({"reference": "Patient/p1"});
        fill.as_object_mut().unwrap().shift_remove("daysSupply");
        fill["quantity"] = json!({"value": 60, "unit": "tablet"});
        fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o"}]);
        house.hear_of(Person(1), fill.clone(), How::Live, "client");
        let order = |often: i64| {
            json!({"resourceType": "MedicationRequest", "id": "o", "status": "active", "intent": "order",
                "subject": {"reference": "Patient/p2"}, "medicationCodeableConcept": fill["medicationCodeableConcept"],
                "dosageInstruction": [{"timing": {"repeat": {"frequency": often, "period": 1, "periodUnit": "d"}},
                    "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}]})
        };
        house.hear_of(Person(2), order(2), How::Live, "client");
        if corrected {
            house.hear_of(Person(2), order(1), How::Live, "client");
        }
        unite(&mut house);
        let expected = if corrected { "reminder 2026-02-26T13" } else { "reminder 2026-01-27T13" };
        assert!(dues(&house).contains(&expected.to_owned()), "{:?}", dues(&house));
    }
}

// The order of one record was stopped while another of the same product goes on in the other's: together they ask for the next fill.
#[test]
fn an_order_goes_on_in_the_other_record() {
    let rules = counting();
    let mut house = house(&rules, "2026-01-02T15:00:00Z");
    let order = |record: i64, status: &str| {
        json!({"resourceType": "MedicationRequest", "id": format!("o{record}"), "status": status, "intent": "order",
            "subject": {"reference": format!("Patient/p{record}")},
            "medicationCodeableConcept": dispense("d", "2026-01-02", 30)["medicationCodeableConcept"]})
    };
    house.hear_of(Person(1), order(1, "active"), How::Live, "client");
    let mut fill = dispense("d", "2026-01-02", 30);
    fill["subject"] = json!({"reference": "Patient/p1"});
    fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o1"}]);
    house.hear_of(Person(1), fill, How::Live, "client");
    house.advance(at("2026-01-09T15:00:00Z"));
    let before = dues(&house);
    assert_eq!(before, ["call 2026-02-01T13", "reminder 2026-01-27T13"]);
    house.hear_of(Person(2), order(2, "active"), How::Live, "client");
    house.hear_of(Person(1), order(1, "stopped"), How::Live, "client");
    assert!(!dues(&house).iter().any(|due| due.starts_with("reminder")), "{:?}", dues(&house));
    house.advance(at("2026-01-12T15:00:00Z"));
    unite(&mut house);
    assert_eq!(dues(&house), before);
}
