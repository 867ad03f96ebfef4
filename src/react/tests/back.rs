//! What was dropped because of another fact, of a mistaken death, or of a mistake in the fact itself, comes back when that is taken
//! back: as long as it is timely, once, and never when somebody has seen to it.

use serde_json::{Value, json};

use super::engine::{plan, step, with};
use super::{at, condition, dispense, dues, hour, house, patient, status, store, told};
use crate::ledger::{How, Outcome, Person};
use crate::react::rehearsal::Rehearsal;
use crate::react::{Rules, Settings, Unasked, shipped};

/// The shipped rules of these names.
fn shipped_rules(names: &[&str]) -> Rules {
    let mut artefacts = shipped();
    artefacts.retain(|one| one["resourceType"] != "PlanDefinition" || names.iter().any(|id| one["id"] == *id));
    let (rules, issues) = Rules::read(&artefacts);
    assert_eq!(issues, []);
    rules
}

/// A fill of an antihypertensive; without days, where there are none.
fn fill(id: &str, code: &str, handed: &str, days: i64) -> Value {
    let mut fill = dispense(id, handed, days);
    fill["medicationCodeableConcept"]["coding"][0]["code"] = json!(code);
    fill["identifier"] = json!([{"system": "urn:rx", "value": id}]);
    if days == 0 {
        fill.as_object_mut().unwrap().remove("daysSupply");
    }
    fill
}

const LISINOPRIL: &str = "314076";
const AMLODIPINE: &str = "197361";

/// In which way a fill is taken back.
const WAYS: &[&str] = &["entered-in-error", "cancelled", "deleted", "sent again in error", "another product", "another patient"];

fn take_back(house: &mut Rehearsal, wrong: &Value, way: &str) {
    let mut back = wrong.clone();
    let id = wrong["id"].as_str().unwrap();
    match way {
        "deleted" => return house.delete(&format!("MedicationDispense/{id}")),
        "sent again in error" => {
            back["status"] = json!("entered-in-error");
            back["id"] = json!(format!("{id}-again"));
        }
        "another product" => back["medicationCodeableConcept"]["coding"][0]["code"] = json!("860975"),
        "another patient" => {
            back["subject"] = json!({"reference": "Patient/q"});
            return house.hear_of(Person(2), back, How::Live, "client");
        }
        status => back["status"] = json!(status),
    }
    house.hear(back);
}

fn other() -> Value {
    let mut other = patient();
    other["id"] = json!("q");
    other
}

/// A person with or without a telephone who fetched a medicine of unknown days on New Year's day.
fn fetched(rules: &Rules, is_reachable: bool) -> Rehearsal<'_> {
    let mut house = house(rules, "2026-01-01T15:00:00Z");
    house.hear_of(Person(2), other(), How::Live, "client");
    if !is_reachable {
        let mut silent = patient();
        silent.as_object_mut().unwrap().remove("telecom");
        house.hear(silent);
    }
    house.hear(fill("a", LISINOPRIL, "2026-01-01", 0));
    house
}

/// What was said or asked for of the first person, with its day.
fn came(house: &Rehearsal) -> Vec<String> {
    let fired =
        house.journal.iter().filter(|one| one.outcome == Outcome::Fired && one.gate.is_empty() && one.person == Person(1));
    fired.map(|one| format!("{} {}", one.step, &hour(one.at)[..10])).collect()
}

// Another medicine of the kind, or the same one, was booked by mistake: whatever it made pointless comes on its day.
#[test]
fn what_another_fill_made_pointless_comes_back_with_its_reversal() {
    let rules = shipped_rules(&["hypertension-follow-up"]);
    let plain = |is_reachable: bool| {
        let mut house = fetched(&rules, is_reachable);
        house.advance(at("2026-02-20T15:00:00Z"));
        came(&house)
    };
    assert_eq!(plain(true), ["message 2026-01-31", "call-again 2026-02-07", "overdue:call-again 2026-02-10"]);
    assert_eq!(plain(false), ["call 2026-01-31", "overdue:call 2026-02-03"]);
    for way in WAYS {
        for code in [AMLODIPINE, LISINOPRIL] {
            for (is_reachable, day) in [(true, "2026-01-11"), (true, "2026-02-02"), (false, "2026-01-11")] {
                let mut house = fetched(&rules, is_reachable);
                house.advance(at(&format!("{day}T15:00:00Z")));
                let wrong = fill("b", code, day, 90);
                house.hear(wrong.clone());
                assert!(house.dues.is_empty(), "{way} {code} {day}");
                house.advance(at(&format!("{day}T16:00:00Z")));
                take_back(&mut house, &wrong, way);
                house.advance(at("2026-02-20T15:00:00Z"));
                assert_eq!(came(&house), plain(is_reachable), "{way} {code} {is_reachable} {day}: {:?}", told(&house));
                assert_eq!(house.faults, 0);
            }
        }
    }
}

// A Task that a wrong fill cancelled is asked for again, under a name of its own; not once its time is over, nor while another fill
// makes it pointless still.
#[test]
fn a_task_that_another_fill_made_pointless_is_asked_for_again() {
    let rules = shipped_rules(&["hypertension-follow-up"]);
    for way in WAYS {
        for code in [AMLODIPINE, LISINOPRIL] {
            for (then, still, expected) in [
                ("2026-02-01T20:00:00Z", false, &["cancelled", "requested"][..]),
                ("2026-02-20T20:00:00Z", false, &["cancelled"][..]),
                ("2026-02-01T20:00:00Z", true, &["cancelled"][..]),
            ] {
                let mut house = fetched(&rules, false);
                house.advance(at("2026-02-01T15:00:00Z"));
                assert_eq!(status(&house, "Task"), ["requested"]);
                let wrong = fill("b", code, "2026-02-01", 90);
                house.hear(wrong.clone());
                assert_eq!(status(&house, "Task"), ["cancelled"]);
                if still {
                    house.hear(fill("c", AMLODIPINE, "2026-01-31", 90));
                }
                house.advance(at(then));
                take_back(&mut house, &wrong, way);
                house.advance(house.now + 60_000);
                let mut tasks = status(&house, "Task");
                tasks.sort_unstable();
                assert_eq!(tasks, expected, "{way} {code} {then} {still}: {:?}", told(&house));
                house.advance(house.now + 60_000);
                house.hear(fill("a", LISINOPRIL, "2026-01-01", 0));
                house.advance(house.now + 60_000);
                assert_eq!(status(&house, "Task").len(), expected.len(), "{:?}", told(&house));
                assert_eq!(house.faults, 0);
            }
        }
    }
}

fn dead(is_dead: bool) -> Value {
    let mut patient = patient();
    patient["deceasedBoolean"] = json!(is_dead);
    patient
}

// The wrong record was marked as dead for a while.
#[test]
fn who_lives_after_all_is_told_what_is_timely() {
    let rules = shipped_rules(&["refill", "osteoporosis"]);
    for (from, to, expected) in [
        (
            "2026-01-02T15:00:00Z",
            "2026-01-02T16:00:00Z",
            &["advice 2026-01-04", "nudge 2026-01-03", "reminder 2026-01-26", "call 2026-01-31"][..],
        ),
        // What would have come meanwhile comes, while it is worth doing.
        (
            "2026-01-02T15:00:00Z",
            "2026-01-05T16:00:00Z",
            &["nudge 2026-01-05", "advice 2026-01-06", "reminder 2026-01-26", "call 2026-01-31"],
        ),
        ("2026-01-02T15:00:00Z", "2026-01-15T16:00:00Z", &["reminder 2026-01-26", "call 2026-01-31"]),
        ("2026-01-02T15:00:00Z", "2026-03-15T16:00:00Z", &[]),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(dispense("a", "2026-01-01", 30));
        house.advance(at("2026-01-02T14:00:00Z"));
        house.hear(condition("c", "M81.0", "active"));
        house.advance(at(from));
        house.hear(dead(true));
        assert!(house.dues.is_empty());
        house.advance(at(to));
        house.hear(dead(false));
        house.hear(dead(false));
        house.advance(at("2026-02-01T15:00:00Z").max(house.now + 60_000));
        let mut came = came(&house);
        came.sort_by_key(|one| one.split(' ').next_back().unwrap().to_owned());
        let mut expected: Vec<String> = expected.iter().map(|one| (*one).to_owned()).collect();
        expected.sort_by_key(|one| one.split(' ').next_back().unwrap().to_owned());
        assert_eq!(came, expected, "{from} {to}: {:?}", told(&house));
        assert_eq!(house.faults, 0);
    }
}

// What came to be known while the person passed for dead, and what was held for them when they did.
#[test]
fn what_was_heard_of_somebody_who_passed_for_dead_is_said_after_all() {
    let rules = shipped_rules(&["chemotherapy-nausea"]);
    for is_known_before in [true, false] {
        let mut house = house(&rules, "2026-01-01T05:00:00Z");
        let facts = [condition("c", "Z51.11", "active"), dead(true)];
        for at in if is_known_before { [0, 1] } else { [1, 0] } {
            house.hear(facts[at].clone());
        }
        assert!(house.dues.is_empty() && house.spoken() == 0, "{:?}", told(&house));
        house.advance(at("2026-01-01T06:00:00Z"));
        house.hear(dead(false));
        house.advance(at("2026-01-05T15:00:00Z"));
        assert_eq!(came(&house), ["nudge 2026-01-01"], "{is_known_before}: {:?}", told(&house));
        assert!(!told(&house).contains(&String::from("nudge fired 2026-01-01T06")));
        assert_eq!(house.faults, 0);
    }
}

// A vaccination was booked by mistake while the word about it waited for consent.
#[test]
fn a_word_that_a_vaccination_made_pointless_comes_in_its_season() {
    let rules = shipped_rules(&["vaccination"]);
    for (way, asked, expected) in [
        ("error", "2026-11-20T15:00:00Z", 1),
        ("deleted", "2026-11-20T15:00:00Z", 1),
        ("", "2026-11-20T15:00:00Z", 0),
        ("error", "2027-01-20T15:00:00Z", 0),
    ] {
        let settings = Settings { treatment: Unasked::Held, ..Settings::default() };
        let mut house = Rehearsal::new(&rules, settings, store(), at("2026-09-20T15:00:00Z"));
        let mut old = patient();
        old["birthDate"] = json!("1950-01-01");
        house.hear(old);
        house.advance(at("2026-10-20T15:00:00Z"));
        let mut shot = json!({"resourceType": "Immunization", "id": "i", "status": "completed", "patient": {"reference": "Patient/p"},
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "150"}]}, "occurrenceDateTime": "2026-10-20"});
        house.hear(shot.clone());
        assert_eq!(house.last("word").map(|last| last.gate.as_str()), Some("pointless"), "{:?}", told(&house));
        house.advance(at("2026-10-20T16:00:00Z"));
        match way {
            "error" => {
                shot["status"] = json!("entered-in-error");
                house.hear(shot);
            }
            "deleted" => house.delete("Immunization/i"),
            _ => {}
        }
        house.advance(at(asked));
        house.hear(json!({"resourceType": "Consent", "id": "k", "status": "active", "patient": {"reference": "Patient/p"},
            "dateTime": asked, "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}}));
        house.advance(house.now + 86_400_000);
        assert_eq!((house.spoken(), house.faults), (expected, 0), "{way} {asked}: {:?}", told(&house));
    }
}

// A step of any other fact, a message and a Task, that another fact made pointless by mistake.
#[test]
fn what_another_fact_made_pointless_comes_back() {
    let trigger = json!([{"type": "data-added", "data": [{"type": "Observation"}]}]);
    let stop = json!([{"kind": "stop", "expression": {"language": "text/fhirpath",
        "expression": "%conditions.where(code.coding.code = 'J45').exists()"}}]);
    let mut action = json!({"id": "a", "trigger": trigger, "action": [
        step("word", "chemotherapy-nausea-nudge", Some(("a", "after-start", 3, "d"))), step("work", "refill-call", None)]});
    action["condition"] = stop;
    let rules = with(&[plan("own", &action)]);
    for (way, hours, expected) in [
        ("error", 1, &["work 2026-01-01", "work 2026-01-01", "word 2026-01-04"][..]),
        ("deleted", 1, &["work 2026-01-01", "work 2026-01-01", "word 2026-01-04"]),
        ("another code", 1, &["work 2026-01-01", "work 2026-01-01", "word 2026-01-04"]),
        ("deleted", 24 * 4, &["work 2026-01-01", "word 2026-01-05"]),
        ("deleted", 24 * 9, &["work 2026-01-01"]),
        ("", 1, &["work 2026-01-01"]),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        let observed = json!({"resourceType": "Observation", "id": "o", "status": "final", "subject": {"reference": "Patient/p"},
            "code": {"text": "x"}});
        house.hear(observed);
        house.hear(condition("x", "J45", "active"));
        assert_eq!((status(&house, "Task"), dues(&house)), (vec!["cancelled"], vec![]));
        house.advance(house.now + hours * 3_600_000);
        match way {
            "error" => {
                let mut wrong = condition("x", "J45", "active");
                wrong["verificationStatus"]["coding"][0]["code"] = json!("entered-in-error");
                wrong["code"]["coding"][0]["code"] = json!("J00");
                house.hear(wrong);
            }
            "deleted" => house.delete("Condition/x"),
            "another code" => house.hear(condition("x", "J00", "active")),
            _ => {}
        }
        house.advance(at("2026-01-20T15:00:00Z"));
        let came: Vec<String> = came(&house).into_iter().filter(|one| !one.starts_with("overdue")).collect();
        assert_eq!(
            (came, house.faults),
            (expected.iter().map(|one| (*one).to_owned()).collect(), 0),
            "{way} {hours}: {:?}",
            told(&house)
        );
    }
}

/// Something that is done by mistake.
type Mistake = fn(&mut Rehearsal);

fn order(status: &str) -> Value {
    let product = &fill("a", LISINOPRIL, "2026-01-01", 30)["medicationCodeableConcept"];
    json!({"resourceType": "MedicationRequest", "id": "o", "status": status, "intent": "order", "subject": {"reference": "Patient/p"},
        "authoredOn": "2026-01-01", "medicationCodeableConcept": product, "dispenseRequest": {"numberOfRepeatsAllowed": 3}})
}

fn own(status: &str) -> Value {
    let mut own = fill("a", LISINOPRIL, "2026-01-01", 30);
    own["status"] = json!(status);
    own["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o"}]);
    own
}

/// A mistake, and how it is taken back.
const MISTAKES: &[(&str, Mistake, Mistake)] = &[
    (
        "a later fill",
        |house| house.hear(fill("b", LISINOPRIL, "2026-01-31", 30)),
        |house| take_back(house, &fill("b", LISINOPRIL, "2026-01-31", 30), "entered-in-error"),
    ),
    (
        "a later fill that is deleted",
        |house| house.hear(fill("b", LISINOPRIL, "2026-01-31", 30)),
        |house| house.delete("MedicationDispense/b"),
    ),
    ("its own fill", |house| house.hear(own("entered-in-error")), |house| house.hear(own("completed"))),
    ("its own fill deleted", |house| house.delete("MedicationDispense/a"), |house| house.hear(own("completed"))),
    ("its order", |house| house.hear(order("stopped")), |house| house.hear(order("active"))),
    ("a death", |house| house.hear(dead(true)), |house| house.hear(dead(false))),
];

/// A house in which the supply has ended and the call is asked for.
fn called<'r>(rules: &'r Rules, unasked: Unasked, until: &str) -> Rehearsal<'r> {
    let settings = Settings { treatment: unasked, ..Settings::default() };
    let mut house = Rehearsal::new(rules, settings, store(), at("2026-01-01T15:00:00Z"));
    house.hear(patient());
    house.hear(order("active"));
    house.hear(own("completed"));
    house.advance(at(until));
    house
}

fn calls(house: &Rehearsal) -> Vec<String> {
    let tasks = house.resources().filter(|one| one.kind == "Task").filter_map(|one| one.value["status"].as_str());
    let mut calls: Vec<String> = tasks.map(str::to_owned).collect();
    calls.sort_unstable();
    calls
}

// The call was asked for, a mistake cancelled it, and is taken back: once, and once again.
#[test]
fn a_call_that_a_mistake_cancelled_is_asked_for_again() {
    let rules = shipped_rules(&["refill"]);
    for (name, make, take_back) in MISTAKES {
        let mut house = called(&rules, Unasked::Allowed, "2026-01-31T16:00:00Z");
        assert_eq!(calls(&house), ["requested"], "{name}");
        for count in 1..3 {
            make(&mut house);
            house.advance(house.now + 3_600_000);
            assert_eq!(calls(&house), vec!["cancelled"; count], "{name}: {:?}", told(&house));
            take_back(&mut house);
            house.advance(house.now + 60_000);
            let mut expected = vec!["cancelled"; count];
            expected.push("requested");
            assert_eq!(calls(&house), expected, "{name}: {:?}", told(&house));
        }
        let of_overdue = |house: &Rehearsal| told(house).iter().filter(|line| line.starts_with("overdue")).count();
        house.advance(at("2026-02-20T15:00:00Z"));
        assert_eq!((of_overdue(&house), house.spoken(), house.faults), (1, 2, 0), "{name}: {:?}", told(&house));
    }
}

// What comes too late is not asked for, and what was done or taken on is not asked for twice.
#[test]
fn a_call_is_never_asked_for_twice_nor_too_late() {
    let rules = shipped_rules(&["refill"]);
    for (name, make, take_back) in MISTAKES {
        let mut late = called(&rules, Unasked::Allowed, "2026-01-31T16:00:00Z");
        make(&mut late);
        late.advance(at("2026-02-10T16:00:00Z"));
        take_back(&mut late);
        late.advance(at("2026-02-20T16:00:00Z"));
        assert_eq!(calls(&late), ["cancelled"], "{name}: {:?}", told(&late));
        for work in ["accepted", "completed", "rejected", "failed"] {
            let mut house = called(&rules, Unasked::Allowed, "2026-01-31T16:00:00Z");
            let mut task = house.outputs("Task").next().unwrap().clone();
            task["status"] = json!(work);
            house.hear(task);
            make(&mut house);
            house.advance(house.now + 3_600_000);
            take_back(&mut house);
            house.advance(house.now + 60_000);
            let open = calls(&house).iter().filter(|status| matches!(status.as_str(), "requested" | "accepted")).count();
            assert_eq!(open, usize::from(work == "accepted"), "{name} {work}: {:?}", told(&house));
        }
    }
}

// A reminder that waits for consent was taken back by a mistake.
#[test]
fn a_reminder_that_a_mistake_took_back_waits_again() {
    let rules = shipped_rules(&["refill"]);
    for (name, make, take_back) in MISTAKES {
        let mut house = called(&rules, Unasked::Held, "2026-01-26T16:00:00Z");
        assert_eq!(status(&house, "Communication").iter().filter(|one| **one == "preparation").count(), 1, "{name}");
        for _ in 0..2 {
            make(&mut house);
            house.advance(house.now + 3_600_000);
            assert!(!status(&house, "Communication").contains(&"preparation"), "{name}: {:?}", told(&house));
            take_back(&mut house);
            house.advance(house.now + 60_000);
            assert_eq!(
                status(&house, "Communication").iter().filter(|one| **one == "preparation").count(),
                1,
                "{name}: {:?}",
                told(&house)
            );
        }
        house.hear(json!({"resourceType": "Consent", "id": "k", "status": "active", "patient": {"reference": "Patient/p"},
            "dateTime": "2026-01-27T15:00:00Z", "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}}));
        house.advance(at("2026-01-30T15:00:00Z"));
        assert_eq!((house.spoken(), house.faults), (1, 0), "{name}: {:?}", told(&house));
    }
}
