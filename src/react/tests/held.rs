//! What a gate holds comes when its fact says now that it comes, and waits no longer than what was never held.

use serde_json::{Value, json};

use super::engine::{plan, step, with};
use super::{at, dispense, hour, outcome, patient, rules, store, told};
use crate::ledger::Outcome;
use crate::react::rehearsal::Rehearsal;
use crate::react::{Rules, Settings, Unasked, shipped};

const MIDNIGHT: &str = "2026-04-20T00:00:00Z";

/// A house in which nothing is said to who was not asked for consent.
fn asking<'r>(rules: &'r Rules, now: &str) -> Rehearsal<'r> {
    let settings = Settings { treatment: Unasked::Held, ..Settings::default() };
    let mut house = Rehearsal::new(rules, settings, store(), at(now));
    house.hear(patient());
    house
}

fn consent(house: &mut Rehearsal, when: &str) {
    house.advance(at(when));
    house.hear(json!({"resourceType": "Consent", "id": "k", "status": "active", "patient": {"reference": "Patient/p"},
        "dateTime": when, "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}}));
}

/// What became of a step last, and when.
fn last(house: &Rehearsal, step: &str) -> (Outcome, String) {
    let last = house.last(step).unwrap();
    (last.outcome, hour(last.at))
}

// The reminder is held on the 26th, since nobody asked for consent; then its dispense is corrected. A copy of the dispense, or the same
// told again, changes nothing: neither when it is said nor until when.
#[test]
fn a_reminder_that_is_held_follows_the_supply() {
    const FIRED: Outcome = Outcome::Fired;
    const STOPPED: Outcome = Outcome::Stopped;
    for (days, asked, expected) in [
        (30, "2026-01-26T16:00:00Z", (FIRED, "2026-01-26T16")),
        (30, "2026-01-29T12:00:00Z", (FIRED, "2026-01-29T13")),
        (30, "2026-01-29T14:00:00Z", (STOPPED, "2026-01-29T13")),
        (31, "2026-01-26T16:00:00Z", (FIRED, "2026-01-27T13")),
        (31, "2026-01-30T12:00:00Z", (FIRED, "2026-01-30T13")),
        (90, "2026-01-26T16:00:00Z", (FIRED, "2026-03-27T12")),
        (90, "2026-03-28T16:00:00Z", (FIRED, "2026-03-28T16")),
        (90, "2026-03-31T16:00:00Z", (STOPPED, "2026-03-30T12")),
        (28, "2026-01-26T16:00:00Z", (FIRED, "2026-01-26T16")),
        (28, "2026-01-28T16:00:00Z", (STOPPED, "2026-01-27T13")),
        (10, "2026-01-26T16:00:00Z", (STOPPED, "2026-01-26T15")),
    ] {
        let rules = rules();
        let mut house = asking(&rules, "2026-01-01T15:00:00Z");
        house.hear(dispense("a", "2026-01-01", 30));
        house.advance(at("2026-01-26T15:00:00Z"));
        assert_eq!(outcome(&house, "reminder"), (Outcome::Held, String::from("consent")));
        let mut corrected = dispense("a", "2026-01-01", days);
        corrected["note"] = json!([{"text": "x"}]);
        house.hear(corrected.clone());
        house.advance(house.now + 60_000);
        house.hear(corrected);
        assert_eq!(house.spoken(), 0, "{days}");
        consent(&mut house, asked);
        assert_eq!(house.spoken(), usize::from(expected.1 == &asked[..13]), "{days} {asked}: {:?}", told(&house));
        house.advance(at(MIDNIGHT));
        assert_eq!(last(&house, "reminder"), (expected.0, expected.1.to_owned()), "{days} {asked}: {:?}", told(&house));
        assert_eq!(house.faults, 0);
    }
}

// What was held, moved and is taken back leaves no message that waits.
#[test]
fn what_was_held_and_moved_can_be_taken_back() {
    let rules = rules();
    let mut house = asking(&rules, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-01-26T15:00:00Z"));
    house.hear(dispense("a", "2026-01-01", 90));
    let mut gone = dispense("a", "2026-01-01", 90);
    gone["status"] = json!("entered-in-error");
    house.advance(at("2026-02-26T15:00:00Z"));
    house.hear(gone);
    let waits = house.outputs("Communication").filter(|one| one["status"] == "preparation").count();
    assert_eq!((waits, house.dues.len(), house.faults), (0, 0, 0), "{:?}", told(&house));
}

/// A word three days after the end of an operation.
fn after_operation() -> Rules {
    let trigger = json!([{"type": "data-added", "data": [{"type": "Procedure"}]}, {"type": "data-modified", "data": [{"type": "Procedure"}]}]);
    let action = json!({"id": "a", "trigger": trigger, "action": [step("say", "chemotherapy-nausea-nudge", Some(("a", "after-end", 3, "d")))]});
    with(&[plan("own", &action)])
}

fn operation(end: Option<&str>) -> Value {
    let mut operation = json!({"resourceType": "Procedure", "id": "x", "status": "completed", "subject": {"reference": "Patient/p"},
        "performedPeriod": {"start": "2026-01-01"}});
    if let Some(end) = end {
        operation["performedPeriod"]["end"] = json!(end);
    }
    operation
}

// The word after an operation is held on the 4th; then the day on which the operation ended is corrected.
#[test]
fn what_is_held_after_a_fact_follows_the_day_of_the_fact() {
    for (end, asked, expected) in [
        ("2026-01-01", "2026-01-05T16:00:00Z", (Outcome::Fired, "2026-01-05T16")),
        ("2026-01-01", "2026-01-08T16:00:00Z", (Outcome::Stopped, "2026-01-07T13")),
        ("2026-01-10", "2026-01-05T16:00:00Z", (Outcome::Fired, "2026-01-13T13")),
        ("2026-01-10", "2026-01-15T16:00:00Z", (Outcome::Fired, "2026-01-15T16")),
        ("2026-01-02", "2026-01-08T12:00:00Z", (Outcome::Fired, "2026-01-08T13")),
        ("2025-12-31", "2026-01-05T16:00:00Z", (Outcome::Fired, "2026-01-05T16")),
        ("2025-12-31", "2026-01-07T12:00:00Z", (Outcome::Stopped, "2026-01-06T13")),
        ("2025-12-20", "2026-01-05T16:00:00Z", (Outcome::Stopped, "2026-01-05T15")),
    ] {
        let rules = after_operation();
        let mut house = asking(&rules, "2026-01-01T15:00:00Z");
        house.hear(operation(Some("2026-01-01")));
        house.advance(at("2026-01-05T15:00:00Z"));
        assert_eq!(outcome(&house, "say"), (Outcome::Held, String::from("consent")));
        let mut corrected = operation(Some(end));
        corrected["note"] = json!([{"text": "x"}]);
        house.hear(corrected);
        consent(&mut house, asked);
        house.advance(at(MIDNIGHT));
        assert_eq!(last(&house, "say"), (expected.0, expected.1.to_owned()), "{end} {asked}: {:?}", told(&house));
        assert_eq!(house.faults, 0);
    }
}

// Advice that comes with a fill waits for consent; the fill is told again each day, and the advice grows no younger.
#[test]
fn what_waits_since_a_fill_grows_no_younger() {
    let trigger = json!([{"type": "data-added", "data": [{"type": "MedicationDispense"}]}, {"type": "data-modified", "data": [{"type": "MedicationDispense"}]}]);
    let action = json!({"id": "a", "trigger": trigger, "action": [step("say", "chemotherapy-nausea-nudge", None)]});
    let rules = with(&[plan("own", &action)]);
    let mut house = asking(&rules, "2026-01-01T15:00:00Z");
    for day in 1..7 {
        house.advance(at(&format!("2026-01-0{day}T15:00:00Z")));
        let mut fill = dispense("a", "2026-01-01", 30);
        fill["note"] = json!([{"text": day}]);
        house.hear(fill);
    }
    assert!(told(&house).contains(&String::from("say stopped 2026-01-04T15")), "{:?}", told(&house));
}

// An alert for the night waits for the morning; then its sender moves it. A time that is over by then is no other one.
#[test]
fn an_alert_that_waits_for_the_morning_is_said_when_its_sender_says() {
    let mut artefacts = shipped();
    artefacts.retain(|one| one["resourceType"] != "PlanDefinition" || one["id"] == "alert");
    let (rules, _) = Rules::read(&artefacts);
    let of = |occurrence: &str| {
        let category =
            json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "alert"}]}]);
        json!({"resourceType": "CommunicationRequest", "id": "c", "status": "active", "category": category, "subject": {"reference": "Patient/p"},
            "recipient": [{"reference": "Patient/p"}], "payload": [{"contentString": "x"}], "occurrenceDateTime": occurrence})
    };
    for (occurrence, expected) in [
        ("2026-01-04T07:00:00Z", "2026-01-04T13"),
        ("2026-01-04T06:00:00Z", "2026-01-04T13"),
        ("2026-01-04T14:00:00Z", "2026-01-04T14"),
        ("2026-01-04T23:30:00Z", "2026-01-04T23"),
        ("2026-01-05T15:00:00Z", "2026-01-05T15"),
        ("2026-01-09T07:00:00Z", "2026-01-09T13"),
    ] {
        let mut house = super::house(&rules, "2026-01-01T15:00:00Z");
        house.hear(of("2026-01-04T07:00:00Z"));
        house.advance(at("2026-01-04T08:00:00Z"));
        assert_eq!(outcome(&house, "relay"), (Outcome::Held, String::from("quiet")));
        for _ in 0..2 {
            house.hear(of(occurrence));
            house.advance(house.now + 60_000);
        }
        house.advance(at(MIDNIGHT));
        assert_eq!(last(&house, "relay"), (Outcome::Fired, expected.to_owned()), "{occurrence}: {:?}", told(&house));
        assert_eq!((house.spoken(), house.faults), (1, 0));
    }
}

// Somebody revokes the request of a message that waits, or ends or deletes it otherwise: the message is not said.
#[test]
fn a_message_whose_request_was_ended_is_not_said() {
    for status in ["active", "revoked", "entered-in-error", "completed"] {
        let rules = rules();
        let mut house = asking(&rules, "2026-01-01T15:00:00Z");
        house.hear(dispense("a", "2026-01-01", 30));
        house.advance(at("2026-01-04T15:00:00Z"));
        assert_eq!(outcome(&house, "advice"), (Outcome::Held, String::from("consent")));
        let mut request = house.resources().find(|one| one.kind == "CommunicationRequest").unwrap().value.as_ref().clone();
        request["status"] = json!(status);
        house.hear(request);
        consent(&mut house, "2026-01-04T16:00:00Z");
        house.advance(at("2026-01-05T15:00:00Z"));
        let is_said = status == "active";
        assert_eq!(super::status(&house, "Communication"), [if is_said { "completed" } else { "not-done" }], "{status}");
        let expected = if is_said { (Outcome::Fired, String::new()) } else { (Outcome::Stopped, String::from("taken")) };
        assert_eq!(outcome(&house, "advice"), expected, "{status}");
    }
}

// Somebody puts off the request of a message that waits: it is said when that is over, as long as it is timely.
#[test]
fn a_message_whose_request_is_on_hold_waits() {
    for (again, expected) in [
        (Some("2026-01-05T12:00:00Z"), (Outcome::Fired, "")),
        (Some("2026-01-06T12:50:00Z"), (Outcome::Fired, "")),
        (Some("2026-01-07T12:00:00Z"), (Outcome::Stopped, "timely")),
        (None, (Outcome::Stopped, "timely")),
    ] {
        let rules = rules();
        let mut house = asking(&rules, "2026-01-01T15:00:00Z");
        house.hear(dispense("a", "2026-01-01", 30));
        house.advance(at("2026-01-04T15:00:00Z"));
        let mut request = house.resources().find(|one| one.kind == "CommunicationRequest").unwrap().value.as_ref().clone();
        request["status"] = json!("on-hold");
        house.hear(request.clone());
        consent(&mut house, "2026-01-04T16:00:00Z");
        assert_eq!(outcome(&house, "advice"), (Outcome::Held, String::from("on-hold")));
        if let Some(again) = again {
            house.advance(at(again));
            request["status"] = json!("active");
            house.hear(request);
        }
        house.advance(at("2026-01-20T15:00:00Z"));
        let is_said = expected.0 == Outcome::Fired;
        assert_eq!(outcome(&house, "advice"), (expected.0, expected.1.to_owned()), "{again:?}: {:?}", told(&house));
        assert_eq!(super::status(&house, "Communication"), [if is_said { "completed" } else { "not-done" }], "{again:?}");
        let ended = house.resources().find(|one| one.kind == "CommunicationRequest").unwrap().value["status"].clone();
        let is_told_again = again.is_some() && !is_said;
        assert_eq!(
            ended,
            if is_said {
                "completed"
            } else if is_told_again {
                "active"
            } else {
                "revoked"
            },
            "{again:?}"
        );
    }
}

// What was put off is not said because the person was taken for dead for some minutes.
#[test]
fn what_is_on_hold_stays_so_over_a_mistake() {
    let rules = rules();
    let mut house = asking(&rules, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-01-04T15:00:00Z"));
    let mut request = house.resources().find(|one| one.kind == "CommunicationRequest").unwrap().value.as_ref().clone();
    request["status"] = json!("on-hold");
    house.hear(request);
    consent(&mut house, "2026-01-04T16:00:00Z");
    let mut dead = patient();
    dead["deceasedBoolean"] = json!(true);
    house.hear(dead);
    house.advance(at("2026-01-04T16:05:00Z"));
    house.hear(patient());
    house.advance(at("2026-01-20T15:00:00Z"));
    assert_eq!((outcome(&house, "advice").0, house.spoken()), (Outcome::Stopped, 0), "{:?}", told(&house));
}
