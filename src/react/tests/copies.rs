//! Copies of one dispense: sent twice by one sender, or by several; some of them are cleared away later.

use serde_json::{Value, json};

use super::{at, condition, dispense, dues, hour, house, outcome, patient, rules, status, store, told};
use crate::ledger::{How, Outcome, Person};
use crate::react::rehearsal::Rehearsal;
use crate::react::{Rules, Settings, Unasked};

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

/// A fill with an identifier or a quantity, as one of these systems would tell it.
fn told_by(source: &str, id: &str, of: &Value) -> Value {
    let mut fill = of.clone();
    fill["id"] = json!(id);
    fill["quantity"] = json!({"value": 30, "unit": "tablet"});
    if source == "pharmacy" {
        fill["identifier"] = json!([{"system": "urn:rx", "value": "1"}]);
    }
    fill
}

// What was decided of a fill stands when it is told again: by the same system under another id or by another one, before it or behind
// it in the order of ids. Nothing is decided anew, also when the copy, the first, or both are taken back, but what their going changes.
#[test]
fn what_was_decided_of_a_fill_stands_when_it_is_told_again() {
    let rules = rules();
    let mut of_unknown_days = dispense("x", "2026-01-01", 30);
    of_unknown_days.as_object_mut().unwrap().remove("daysSupply");
    let mut ordered = dispense("x", "2026-01-01", 30);
    ordered["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o"}]);
    let order = json!({"resourceType": "MedicationRequest", "id": "o", "status": "stopped", "intent": "order", "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": ordered["medicationCodeableConcept"]});
    let mut dead = patient();
    dead["deceasedBoolean"] = json!(true);
    let mut unreachable = patient();
    unreachable.as_object_mut().unwrap().remove("telecom");
    for (case, before, fill, now) in [
        ("long ago", patient(), dispense("x", "2026-01-01", 30), "2026-02-15T15:00:00Z"),
        ("some steps", patient(), dispense("x", "2026-01-01", 30), "2026-01-27T15:00:00Z"),
        ("dead", dead, dispense("x", "2026-01-01", 30), "2026-01-27T15:00:00Z"),
        ("unreachable", unreachable, dispense("x", "2026-01-01", 30), "2026-01-27T15:00:00Z"),
        ("ended order", order, ordered, "2026-01-27T15:00:00Z"),
        ("unknown days", patient(), of_unknown_days, "2026-01-03T15:00:00Z"),
    ] {
        for (second, id) in [("pharmacy", "a"), ("pharmacy", "n"), ("insurer", "a"), ("insurer", "n")] {
            let mut house = house(&rules, now);
            house.hear(before.clone());
            house.hear_from(told_by("pharmacy", "m", &fill), How::Live, "pharmacy");
            house.advance(house.now + 1_000);
            let at_first = told(&house);
            assert!(!at_first.is_empty(), "{case}");
            for copy in [id, "o", "b"] {
                house.hear_from(told_by(second, copy, &fill), How::Live, second);
                house.advance(house.now + 1_000);
                assert_eq!(told(&house), at_first, "{case}: {second} {copy}");
                if second == "insurer" {
                    break;
                }
            }
            // The copy goes, and one comes again: there is nothing to be decided.
            let mut gone = told_by(second, id, &fill);
            gone["status"] = json!("entered-in-error");
            house.hear_from(gone, How::Live, second);
            assert_eq!(told(&house), at_first, "{case}: {second} {id} goes");
            house.hear_from(told_by(second, "c", &fill), How::Live, second);
            house.advance(house.now + 1_000);
            assert_eq!(told(&house), at_first, "{case}: {second} c");
        }
    }
}

// The first goes, and a copy stands: what was stopped stays stopped, and rests on the copy.
#[test]
fn what_was_stopped_stays_stopped_when_a_copy_carries_on() {
    let rules = rules();
    for second in ["pharmacy", "insurer"] {
        for id in ["a", "n"] {
            let fill = dispense("x", "2026-01-01", 30);
            let mut unreachable = patient();
            unreachable.as_object_mut().unwrap().remove("telecom");
            let mut house = house(&rules, "2026-01-27T15:00:00Z");
            house.hear(unreachable);
            house.hear_from(told_by("pharmacy", "m", &fill), How::Live, "pharmacy");
            house.advance(house.now + 1_000);
            assert_eq!(outcome(&house, "reminder"), (Outcome::Stopped, String::from("reachable")));
            house.hear(patient());
            house.hear_from(told_by(second, id, &fill), How::Live, second);
            let mut gone = told_by("pharmacy", "m", &fill);
            gone["status"] = json!("entered-in-error");
            house.hear_from(gone, How::Live, "pharmacy");
            house.advance(house.now + 1_000);
            assert_eq!(outcome(&house, "reminder"), (Outcome::Stopped, String::from("reachable")), "{second} {id}");
            assert_eq!(&*house.last("reminder").unwrap().facts, [format!("MedicationDispense/{id}/_history/1")], "{second} {id}");
            let count = told(&house).len();
            // What the insurer tells once more is another pack.
            if second == "pharmacy" {
                house.hear_from(told_by(second, "o", &fill), How::Live, second);
                house.advance(house.now + 1_000);
                assert_eq!(told(&house).len(), count, "{id}: {:?}", told(&house));
            }
            house.advance(at("2026-02-03T15:00:00Z"));
            assert_eq!(status(&house, "Task").len(), 1, "{second} {id}: the call comes");
        }
    }
}

// What says something else than the first is no copy: another half, other days.
#[test]
fn what_tells_more_is_looked_at_again() {
    let rules = rules();
    let fill = dispense("x", "2026-01-01", 30);
    let first = "2026-01-27T15:00:00Z";
    let mut other_days = told_by("pharmacy", "a", &fill);
    other_days["daysSupply"]["value"] = json!(28);
    let mut half = told_by("pharmacy", "n", &fill);
    half["identifier"][0]["value"] = json!("2");
    for (case, second) in [("other days", other_days), ("half", half)] {
        let mut unreachable = patient();
        unreachable.as_object_mut().unwrap().remove("telecom");
        let mut house = house(&rules, first);
        house.hear(unreachable);
        house.hear_from(told_by("pharmacy", "m", &fill), How::Live, "pharmacy");
        house.advance(house.now + 1_000);
        let count = told(&house).len();
        house.hear(patient());
        house.hear_from(second, How::Live, "pharmacy");
        house.advance(house.now + 1_000);
        let is_anew = told(&house).len() > count || dues(&house).iter().any(|due| due.starts_with("reminder"));
        assert!(is_anew, "{case}: {:?} {:?}", told(&house), dues(&house));
    }
}

// What a later fill of something else makes pointless is not planned again when any of them is told again; it is when the later one was
// taken back.
#[test]
fn what_was_pointless_stays_so_when_a_fill_is_told_again() {
    let rules = super::super::Rules::read(&super::super::shipped()).0;
    // Whether it was known of first, or last.
    for is_first in [true, false] {
        stays_pointless(&rules, is_first);
    }
}

fn stays_pointless(rules: &Rules, is_first: bool) {
    let mut house = house(rules, "2026-01-27T15:00:00Z");
    let (early, late) = (dispense("x", "2026-01-01", 30), dispense("x", "2026-01-20", 30));
    let mut other = dispense("x", "2026-01-26", 30);
    other["medicationCodeableConcept"]["coding"][0]["code"] = json!("314076");
    let numbered = |id: &str, of: &Value, number: &str| {
        let mut fill = told_by("pharmacy", id, of);
        fill["identifier"][0]["value"] = json!(number);
        fill
    };
    let all = |suffix: &str| {
        [(&early, "1"), (&late, "2"), (&other, "3")].map(|(of, number)| numbered(&format!("{suffix}{number}"), of, number))
    };
    let mut behind = all("m");
    if is_first {
        behind.rotate_right(1);
    }
    for fill in behind {
        house.hear_from(fill, How::Live, "pharmacy");
    }
    house.advance(house.now + 1_000);
    let word = |house: &Rehearsal| house.dues.values().filter(|due| due.rule.contains("churn") && due.step == "word").count();
    assert_eq!((outcome(&house, "word"), word(&house)), ((Outcome::Withdrawn, String::from("pointless")), 0));
    let at_first = told(&house);
    for copies in ["a", "n"] {
        for fill in all(copies) {
            house.hear_from(fill, How::Live, "pharmacy");
            house.advance(house.now + 1_000);
            assert_eq!((told(&house), word(&house)), (at_first.clone(), 0), "{copies}");
        }
    }
    for suffix in ["m", "a", "n"] {
        let mut gone = numbered(&format!("{suffix}3"), &other, "3");
        gone["status"] = json!("entered-in-error");
        house.hear_from(gone, How::Live, "pharmacy");
    }
    house.hear_from(numbered("z2", &late, "2"), How::Live, "pharmacy");
    assert_eq!(word(&house), 1);
}
