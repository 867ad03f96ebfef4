//! Copies of one dispense: sent twice by one sender, or by several; some of them are cleared away later.

use serde_json::json;

use super::{at, condition, dispense, hour, house, outcome, patient, rules, status, store, told};
use crate::ledger::{How, Outcome, Person};
use crate::react::rehearsal::Rehearsal;
use crate::react::{Settings, Unasked};

/// What follows from thirty days of supply until the day after the call.
const SAID: [&str; 3] = ["advice fired 2026-01-04T13", "reminder fired 2026-01-26T13", "call fired 2026-01-31T13"];

/// What was said and asked for, as it was at first.
fn said(house: &Rehearsal) -> Vec<String> {
    let at_first = house.journal.iter().filter(|one| one.gate.is_empty());
    at_first.map(|one| format!("{} {} {}", one.step, one.outcome.word(), hour(one.at))).collect()
}

// Whichever of two copies is cleared away, and whenever the second came: what was asked for stands with the other. When both are, it
// does not.
#[test]
fn what_one_copy_of_a_fill_began_the_other_carries_on() {
    let rules = rules();
    let sent = |id: &str, source: &str, status: &str| {
        let mut fill = dispense(id, "2026-01-01", 30);
        fill["quantity"] = json!({"value": 30, "unit": "tablet"});
        fill["status"] = json!(status);
        if source == "pharmacy" {
            fill["identifier"] = json!([{"system": "urn:rx", "value": "1"}]);
        }
        fill
    };
    for (second, cleared) in [("pharmacy", "a"), ("pharmacy", "b"), ("insurer", "a"), ("insurer", "b")] {
        for day in ["2026-01-02T15:00:00Z", "2026-01-28T15:00:00Z", "2026-02-02T15:00:00Z"] {
            let mut house = house(&rules, "2026-01-01T15:00:00Z");
            house.hear_from(sent("a", "pharmacy", "completed"), How::Live, "pharmacy");
            house.advance(at(day));
            house.hear_from(sent("b", second, "completed"), How::Live, second);
            let (of_cleared, of_other) = if cleared == "a" { ("pharmacy", second) } else { (second, "pharmacy") };
            house.hear_from(sent(cleared, of_cleared, "entered-in-error"), How::Live, of_cleared);
            house.advance(at("2026-02-03T00:00:00Z"));
            assert_eq!(
                (said(&house), status(&house, "Task")),
                (SAID.map(String::from).to_vec(), vec!["requested"]),
                "{second} {cleared} {day}"
            );
            // What is cleared away is deleted, too.
            house.delete(&format!("MedicationDispense/{cleared}"));
            assert_eq!(status(&house, "Task"), ["requested"], "{second} {cleared} {day}");
            let other = if cleared == "a" { "b" } else { "a" };
            house.hear_from(sent(other, of_other, "entered-in-error"), How::Live, of_other);
            assert_eq!(status(&house, "Task"), ["cancelled"], "{second} {cleared} {day}");
            assert!(house.supplies.is_empty());
        }
    }
}

// A fill that waits for a gate goes on waiting when the copy that began it is cleared away.
#[test]
fn what_waits_goes_on_with_the_copy_that_stands() {
    let rules = rules();
    let mut house = Rehearsal::new(&rules, Settings::default(), store(), at("2026-01-01T15:00:00Z"));
    house.hear(patient());
    let sent = |id: &str, status: &str| {
        let mut fill = dispense(id, "2026-01-01", 30);
        fill["identifier"] = json!([{"system": "urn:rx", "value": "1"}]);
        fill["status"] = json!(status);
        fill
    };
    house.hear(sent("a", "completed"));
    house.advance(at("2026-01-26T15:00:00Z"));
    assert_eq!(outcome(&house, "reminder"), (Outcome::Held, String::from("consent")));
    house.hear(sent("b", "completed"));
    house.hear(sent("a", "entered-in-error"));
    house.settings.treatment = Unasked::Allowed;
    house.advance(at("2026-01-27T15:00:00Z"));
    house.hear(patient());
    assert_eq!(outcome(&house, "reminder").0, Outcome::Fired);
}

// Two systems wrote down two days for one fill: each step comes once, whichever is cleared away and whenever.
#[test]
fn a_copy_of_another_day_carries_on() {
    let rules = rules();
    let sent = |id: &str, day: &str, status: &str| {
        let mut fill = dispense(id, day, 30);
        fill["identifier"] = json!([{"system": "urn:rx", "value": "1"}]);
        fill["status"] = json!(status);
        fill
    };
    for (of_a, of_b) in [("2026-01-01", "2026-01-02"), ("2026-01-02", "2026-01-01")] {
        for cleared in ["a", "b"] {
            for day in ["2026-01-02T16:00:00Z", "2026-01-28T16:00:00Z", "2026-02-02T16:00:00Z"] {
                let mut house = house(&rules, "2026-01-02T15:00:00Z");
                house.hear(sent("a", of_a, "completed"));
                house.hear(sent("b", of_b, "completed"));
                house.advance(at(day));
                house.hear(sent(cleared, if cleared == "a" { of_a } else { of_b }, "entered-in-error"));
                house.advance(at("2026-02-03T16:00:00Z"));
                let open = status(&house, "Task").into_iter().filter(|status| *status == "requested").count();
                assert_eq!(
                    (house.spoken(), open),
                    (2, 1),
                    "{of_a} {cleared} {day}: {:?} {:?}",
                    told(&house),
                    status(&house, "Task")
                );
            }
        }
    }
}

// The day of a fill is corrected after its call was asked for: one call is open.
#[test]
fn a_fill_whose_day_is_corrected_is_still_called_about() {
    let rules = rules();
    for corrected in ["2025-12-20", "2025-12-31", "2026-01-02", "2026-01-10"] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(dispense("a", "2026-01-01", 30));
        house.advance(at("2026-02-01T15:00:00Z"));
        house.hear(dispense("a", corrected, 30));
        house.advance(at("2026-02-13T15:00:00Z"));
        let open = status(&house, "Task").into_iter().filter(|status| *status == "requested").count();
        assert_eq!((house.spoken(), open), (2, 1), "{corrected}: {:?} {:?}", told(&house), status(&house, "Task"));
    }
}

// One diagnosis told twice, under two ids: what waits for the morning comes while one of them stands, and no longer.
#[test]
fn a_diagnosis_told_twice_is_spoken_of_while_one_stands() {
    let rules = rules();
    let erred = |id: &str| {
        let mut erred = condition(id, "Z51.11", "active");
        erred["verificationStatus"]["coding"][0]["code"] = json!("entered-in-error");
        erred
    };
    for (cleared, other) in [("c", "d"), ("d", "c")] {
        for how in ["resolved", "erred", "deleted", "left"] {
            for both in [false, true] {
                let mut house = house(&rules, "2026-01-05T05:00:00Z");
                house.hear(condition("c", "Z51.11", "active"));
                house.hear(condition("d", "Z51.11", "active"));
                for id in [Some(cleared), both.then_some(other)].into_iter().flatten() {
                    match how {
                        "resolved" => house.hear(condition(id, "Z51.11", "resolved")),
                        "erred" => house.hear(erred(id)),
                        "deleted" => house.delete(&format!("Condition/{id}")),
                        _ => house.hear_of(Person(2), condition(id, "Z51.11", "active"), How::Live, "client"),
                    }
                }
                house.advance(at("2026-01-05T18:00:00Z"));
                let said = house.latest().filter(|one| one.person == Person(1) && one.outcome == Outcome::Fired).count();
                assert_eq!(said, usize::from(!both), "{cleared} {how} {both}: {:?}", told(&house));
            }
        }
    }
}
