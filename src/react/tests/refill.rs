//! From one fill to the next.

use proptest::prelude::*;
use serde_json::json;

use super::{at, dispense, dues, house, outcome, rules, status, told};
use crate::ledger::{How, Outcome};

/// All that follows from thirty days of supply when nothing else happens.
const SAID: [&str; 4] = [
    "advice fired 2026-01-04T13",
    "reminder fired 2026-01-26T13",
    "call fired 2026-01-31T13",
    "overdue:call fired 2026-02-03T13",
];

#[test]
fn a_fill_is_followed_by_advice_a_reminder_and_a_call() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 30));
    assert_eq!(dues(&house), ["advice 2026-01-04T13", "call 2026-01-31T13", "reminder 2026-01-26T13"]);
    house.advance(at("2026-02-10T00:00:00Z"));
    assert_eq!(told(&house), SAID);
    assert_eq!(status(&house, "Communication"), ["completed", "completed"]);
    assert_eq!(status(&house, "CommunicationRequest"), ["completed", "completed"]);
    assert_eq!(status(&house, "Task"), ["requested"]);
    assert!(house.dues.is_empty());
}

#[test]
fn what_is_said_names_rule_facts_store_and_recipient() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-02-10T00:00:00Z"));
    let reminder = house.outputs("Communication").find(|one| one["category"][0]["coding"][0]["code"] == "reminder").unwrap();
    assert_eq!(reminder["instantiatesCanonical"], json!(["https://signa.example/fhir/PlanDefinition/refill|1.0.0"]));
    assert_eq!(reminder["about"], json!([{"reference": "MedicationDispense/a"}]));
    assert_eq!(reminder["recipient"], json!([{"reference": "Patient/p"}]));
    assert_eq!(reminder["sender"], json!({"reference": "Organization/store"}));
    assert_eq!(reminder["topic"]["coding"][0]["code"], json!("prescription-refill-request"));
    assert_eq!(reminder["sent"], json!("2026-01-26T13:00:00.000Z"));
    assert_eq!(reminder["payload"].as_array().unwrap().len(), 1);
    for member in ["identifier", "status", "priority", "subject", "reasonCode", "basedOn"] {
        assert!(reminder.get(member).is_some(), "{member}");
    }
    let task = house.outputs("Task").next().unwrap();
    assert_eq!(task["focus"], json!({"reference": "MedicationDispense/a"}));
    assert_eq!(task["owner"], json!({"reference": "Organization/store"}));
    assert_eq!(task["input"][1]["valueDate"], json!("2026-01-30"));
    for member in ["code", "for", "requester", "authoredOn", "lastModified", "restriction", "groupIdentifier", "intent"] {
        assert!(task.get(member).is_some(), "{member}");
    }
    let group = &house.outputs("CommunicationRequest").next().unwrap()["groupIdentifier"];
    assert_eq!(&task["groupIdentifier"], group);
}

#[test]
fn an_early_refill_moves_reminder_and_call_to_the_new_end() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-01-25T15:00:00Z"));
    house.hear(dispense("b", "2026-01-25", 30));
    assert_eq!(outcome(&house, "reminder"), (Outcome::Withdrawn, String::from("moved")));
    assert_eq!(dues(&house), ["advice 2026-01-28T13", "call 2026-03-02T13", "reminder 2026-02-25T13"]);
}

#[test]
fn a_refill_after_the_call_takes_the_open_task_back_but_not_one_in_work() {
    let rules = rules();
    for (taken, expected) in [(false, "cancelled"), (true, "in-progress")] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(dispense("a", "2026-01-01", 30));
        house.advance(at("2026-02-02T15:00:00Z"));
        let mut task = house.outputs("Task").next().unwrap().clone();
        if taken {
            task["status"] = json!("in-progress");
            house.hear_from(task, How::Derived, "store");
        }
        house.hear(dispense("b", "2026-02-02", 30));
        assert_eq!(status(&house, "Task"), [expected]);
    }
}

#[test]
fn a_reversed_dispense_takes_back_what_was_not_said() {
    let rules = rules();
    for reversal in ["entered-in-error", "cancelled", "stopped", "deleted"] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(dispense("a", "2026-01-01", 30));
        house.advance(at("2026-01-10T15:00:00Z"));
        if reversal == "deleted" {
            house.delete("MedicationDispense/a");
        } else {
            let mut reversed = dispense("a", "2026-01-01", 30);
            reversed["status"] = json!(reversal);
            house.hear(reversed);
        }
        assert!(house.dues.is_empty() && house.supplies.is_empty(), "{reversal}");
        assert_eq!(outcome(&house, "reminder"), (Outcome::Withdrawn, String::from("reversed")), "{reversal}");
        assert_eq!(outcome(&house, "advice"), (Outcome::Fired, String::from("reversed")), "{reversal}");
        house.advance(at("2026-03-01T00:00:00Z"));
        assert_eq!(house.spoken(), 1, "{reversal}");
    }
}

#[test]
fn a_fact_sent_again_as_reversed_is_reversed_and_a_cleared_duplicate_is_not() {
    let rules = rules();
    let sent = |id: &str, status: &str| {
        let mut fill = dispense(id, "2026-01-01", 30);
        fill["identifier"] = json!([{"system": "urn:rx", "value": "1"}]);
        fill["status"] = json!(status);
        fill
    };
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(sent("a", "completed"));
    house.hear(sent("b", "entered-in-error"));
    assert!(house.dues.is_empty() && house.supplies.is_empty());
    assert_eq!(outcome(&house, "reminder"), (Outcome::Withdrawn, String::from("reversed")));
    for status in ["declined", "cancelled", "stopped"] {
        let mut attempted = super::house(&rules, "2026-01-01T15:00:00Z");
        attempted.hear(sent("a", "completed"));
        let before = dues(&attempted);
        attempted.hear(sent("b", status));
        assert_eq!((attempted.supplies.len(), dues(&attempted)), (1, before), "{status}");
        attempted.hear(sent("a", status));
        assert!(attempted.dues.is_empty() && attempted.supplies.is_empty(), "{status}");
    }
    for cleared in ["a", "b"] {
        let mut house = super::house(&rules, "2026-01-01T15:00:00Z");
        for (id, status) in [("a", "completed"), ("b", "completed"), (cleared, "entered-in-error")] {
            house.hear(sent(id, status));
        }
        assert_eq!((dues(&house).len(), house.supplies.len()), (3, 1), "{cleared}");
        house.advance(at("2026-02-10T00:00:00Z"));
        assert_eq!((told(&house), status(&house, "Task")), (SAID.map(String::from).to_vec(), vec!["requested"]), "{cleared}");
    }
}

#[test]
fn a_reversed_early_refill_gives_the_earlier_fill_its_dates_back() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-01-20T15:00:00Z"));
    house.hear(dispense("b", "2026-01-20", 30));
    house.delete("MedicationDispense/b");
    assert_eq!(dues(&house), ["call 2026-01-31T13", "reminder 2026-01-26T13"]);
    house.advance(at("2026-02-10T00:00:00Z"));
    assert_eq!(house.spoken(), 2);
}

#[test]
fn the_same_fact_again_changes_nothing() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let fill = |id: &str| {
        let mut fill = dispense(id, "2026-01-01", 30);
        fill["identifier"] = json!([{"system": "urn:rx", "value": "1"}]);
        fill
    };
    for id in ["a", "a", "twin"] {
        house.hear(fill(id));
    }
    house.advance(at("2026-02-10T00:00:00Z"));
    assert_eq!(told(&house), SAID);
    house.hear(fill("a"));
    house.advance(at("2026-03-10T00:00:00Z"));
    assert_eq!((house.spoken(), status(&house, "Task").len()), (2, 1));
}

#[test]
fn unknown_days_lead_to_advice_and_to_a_reason_for_the_rest() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut fill = dispense("a", "2026-01-01", 30);
    fill.as_object_mut().unwrap().shift_remove("daysSupply");
    house.hear(fill);
    assert_eq!(dues(&house), ["advice 2026-01-04T13"]);
    assert_eq!(outcome(&house, "reminder"), (Outcome::Stopped, String::from("supply")));
    assert_eq!(outcome(&house, "call"), (Outcome::Stopped, String::from("supply")));
}

#[test]
fn a_habit_leads_to_a_task_and_never_to_a_message() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    for (id, day) in [("a", "2026-01-01"), ("b", "2026-01-31"), ("c", "2026-03-02"), ("d", "2026-04-01")] {
        house.advance(at(&format!("{day}T15:00:00Z")));
        let mut fill = dispense(id, day, 30);
        fill.as_object_mut().unwrap().shift_remove("daysSupply");
        house.hear(fill);
    }
    assert_eq!(dues(&house), ["advice 2026-04-04T12", "call 2026-05-01T12"]);
    assert_eq!(outcome(&house, "reminder"), (Outcome::Stopped, String::from("supply")));
}

#[test]
fn a_dispense_without_day_or_product_says_why_nothing_follows() {
    let rules = rules();
    for missing in ["whenHandedOver", "medicationCodeableConcept"] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        let mut fill = dispense("a", "2026-01-01", 30);
        fill.as_object_mut().unwrap().shift_remove(missing);
        house.hear(fill);
        assert!(house.dues.is_empty());
        assert_eq!(outcome(&house, "advice"), (Outcome::Stopped, String::from("supply")), "{missing}");
    }
}

#[test]
fn imported_fills_count_for_the_supply_and_fire_nothing() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-20T15:00:00Z");
    house.hear_from(dispense("a", "2026-01-01", 30), How::Import, "archive");
    assert!(house.dues.is_empty() && house.journal.is_empty());
    assert_eq!(house.supplies.len(), 1);
    house.hear(dispense("b", "2026-01-20", 30));
    assert_eq!(dues(&house), ["advice 2026-01-23T13", "call 2026-03-02T13", "reminder 2026-02-25T13"]);
}

#[test]
fn a_short_course_gets_no_reminder_and_an_old_fill_comes_too_late() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 7));
    assert_eq!(outcome(&house, "reminder"), (Outcome::Stopped, String::from("condition")));
    let mut late = super::house(&rules, "2026-06-01T15:00:00Z");
    late.hear(dispense("a", "2026-01-01", 30));
    assert!(late.dues.is_empty());
    assert_eq!(outcome(&late, "call"), (Outcome::Stopped, String::from("timely")));
}

#[test]
fn a_corrected_day_moves_the_steps_and_nothing_is_said_twice() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-05T15:00:00Z");
    house.hear(dispense("a", "2026-01-05", 30));
    house.advance(at("2026-01-09T15:00:00Z"));
    assert_eq!(house.spoken(), 1);
    house.hear(dispense("a", "2026-01-07", 60));
    house.advance(at("2026-01-20T15:00:00Z"));
    assert_eq!(house.spoken(), 1);
    assert_eq!(dues(&house), ["call 2026-03-08T12", "reminder 2026-03-03T13"]);
}

#[test]
fn the_reminder_keeps_to_the_civil_day_over_the_change_of_the_clock() {
    let rules = rules();
    let mut house = house(&rules, "2026-03-01T15:00:00Z");
    house.hear(dispense("a", "2026-03-01T23:30:00-05:00", 30));
    assert_eq!(dues(&house), ["advice 2026-03-04T13", "call 2026-03-31T12", "reminder 2026-03-26T12"]);
}

#[test]
fn an_ended_order_ends_the_reminder_and_an_inpatient_fill_has_none() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let order = |status: &str| json!({"resourceType": "MedicationRequest", "id": "o", "status": status});
    house.hear(order("active"));
    let mut fill = dispense("a", "2026-01-01", 30);
    fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o"}]);
    house.hear(fill);
    house.advance(at("2026-01-10T15:00:00Z"));
    house.hear(order("stopped"));
    house.advance(at("2026-02-10T15:00:00Z"));
    assert_eq!(outcome(&house, "reminder"), (Outcome::Stopped, String::from("therapy")));
    assert_eq!(outcome(&house, "call"), (Outcome::Stopped, String::from("therapy")));
    let mut inpatient = dispense("b", "2026-02-10", 30);
    inpatient["category"] = json!({"coding": [{"code": "inpatient"}]});
    let mut ward = super::house(&rules, "2026-02-10T15:00:00Z");
    ward.hear(inpatient);
    assert!(ward.dues.is_empty());
}

#[test]
fn an_ended_order_takes_an_open_task_back() {
    let rules = rules();
    let order = |status: &str| {
        json!({"resourceType": "MedicationRequest", "id": "o", "status": status,
        "subject": {"reference": "Patient/p"}})
    };
    for (ended, expected) in [("stopped", "cancelled"), ("cancelled", "cancelled"), ("completed", "requested")] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(order("active"));
        let mut fill = dispense("a", "2026-01-01", 30);
        fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o"}]);
        house.hear(fill);
        house.advance(at("2026-02-02T15:00:00Z"));
        assert!(house.last("call").unwrap().facts.contains(&String::from("MedicationRequest/o/_history/1")));
        house.hear(order(ended));
        assert_eq!(status(&house, "Task"), [expected], "{ended}");
    }
}

#[test]
fn the_patient_is_not_told_to_fetch_what_the_order_does_not_allow() {
    let rules = rules();
    for (request, reminder) in [
        (json!({"numberOfRepeatsAllowed": 1}), Outcome::Fired),
        (json!({"numberOfRepeatsAllowed": 0}), Outcome::Stopped),
        (json!({"validityPeriod": {"end": "2026-02-20"}}), Outcome::Fired),
        (json!({"validityPeriod": {"end": "2026-01-20"}}), Outcome::Stopped),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(json!({"resourceType": "MedicationRequest", "id": "o", "status": "active", "authoredOn": "2026-01-01",
            "dispenseRequest": request}));
        let mut fill = dispense("a", "2026-01-01", 30);
        fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o"}]);
        house.hear(fill);
        house.advance(at("2026-02-10T15:00:00Z"));
        assert_eq!(outcome(&house, "reminder").0, reminder, "{request}");
        assert_eq!(outcome(&house, "call").0, Outcome::Fired, "{request}");
    }
}

#[test]
fn the_store_that_handed_over_speaks_and_owns_the_task() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut fill = dispense("a", "2026-01-01", 30);
    fill["performer"] = json!([{"actor": {"reference": "Practitioner/1"}}, {"actor": {"reference": "Organization/corner"}}]);
    house.hear(fill);
    house.advance(at("2026-02-10T15:00:00Z"));
    assert_eq!(house.outputs("Task").next().unwrap()["owner"], json!({"reference": "Organization/corner"}));
    assert_eq!(house.outputs("Communication").next().unwrap()["sender"], json!({"reference": "Organization/corner"}));
}

#[test]
fn a_late_earlier_fill_takes_nothing_from_the_ones_it_moves() {
    let rules = rules();
    let fills = [("a", 2, 23), ("d", 25, 8), ("c", 24, 8), ("b", 3, 8)];
    let mut told = Vec::new();
    for order in [[0, 1, 2, 3], [0, 3, 2, 1]] {
        let mut house = house(&rules, "2026-01-25T15:00:00Z");
        for (id, day, days) in order.map(|at| fills[at]) {
            house.hear(dispense(id, &format!("2026-01-{day:02}"), days));
        }
        told.push(dues(&house));
    }
    assert_eq!(told[0], ["advice 2026-01-27T13", "advice 2026-01-28T13", "call 2026-02-18T13", "reminder 2026-02-13T13"]);
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_fill_that_an_earlier_one_moves_was_not_reversed() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-28T15:00:00Z");
    house.hear(dispense("b", "2026-01-25", 30));
    let before = dues(&house);
    house.hear(dispense("a", "2026-01-01", 30));
    assert_ne!(dues(&house), before);
    let withdrawn = house.journal.iter().filter(|decision| decision.outcome == Outcome::Withdrawn);
    let told: Vec<_> = withdrawn.map(|decision| (decision.step.as_str(), decision.gate.as_str())).collect();
    assert!(told.contains(&("reminder", "moved")) && told.iter().all(|(_, gate)| *gate == "moved"), "{told:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_order_and_repetition_of_the_same_fills_leads_to_the_same_dues(
        facts in proptest::collection::vec((1i8..28, 8i64..40), 1..5),
        order in proptest::collection::vec(0usize..5, 0..8),
    ) {
        let rules = rules();
        let fill = |at: usize| {
            let (day, days) = facts[at % facts.len()];
            let mut fill = dispense(&format!("d{}", at % facts.len()), &format!("2026-01-{day:02}"), days);
            fill["identifier"] = json!([{"system": "urn:rx", "value": format!("{}", at % facts.len())}]);
            fill
        };
        let mut straight = house(&rules, "2026-01-28T15:00:00Z");
        (0..facts.len()).for_each(|at| straight.hear(fill(at)));
        let mut shuffled = house(&rules, "2026-01-28T15:00:00Z");
        order.iter().copied().chain((0..facts.len()).rev()).for_each(|at| shuffled.hear(fill(at)));
        prop_assert_eq!(dues(&straight), dues(&shuffled));
        for house in [&mut straight, &mut shuffled] {
            house.advance(at("2026-08-01T00:00:00Z"));
        }
        prop_assert_eq!(straight.spoken(), shuffled.spoken());
        prop_assert_eq!(status(&straight, "Task"), status(&shuffled, "Task"));
    }
}
