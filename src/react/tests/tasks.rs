//! What becomes of the Tasks we ask for: raised when nobody does them, closed when they are done, taken back with what they rest on.

use serde_json::{Value, json};

use super::engine::{added, plan, step, with};
use super::{at, condition, dispense, house, outcome, rules, status};
use crate::ledger::Outcome;
use crate::react::rehearsal::Rehearsal;

/// Something that happens in a house.
type Happens = fn(&mut Rehearsal);

/// A house in which the supply has ended and the call is asked for.
fn called(rules: &super::Rules, order: bool) -> Rehearsal<'_> {
    let mut house = house(rules, "2026-01-01T15:00:00Z");
    let mut fill = dispense("a", "2026-01-01", 30);
    if order {
        house.hear(medication_request("active"));
        fill["authorizingPrescription"] = json!([{"reference": "MedicationRequest/o"}]);
    }
    house.hear(fill);
    house.advance(at("2026-02-01T00:00:00Z"));
    assert_eq!(status(&house, "Task"), ["requested"]);
    house
}

fn medication_request(status: &str) -> Value {
    json!({"resourceType": "MedicationRequest", "id": "o", "status": status, "intent": "order", "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": {"text": "x"}})
}

/// The Task as its owner sends it back.
fn task(house: &Rehearsal, status: &str) -> Value {
    let mut task = house.outputs("Task").next().unwrap().clone();
    task["status"] = json!(status);
    task
}

// A Task that nobody does is raised once, whatever happens afterwards; one that was done is not.
#[test]
fn an_overdue_task_is_raised_once() {
    let rules = rules();
    let mut ignored = called(&rules, false);
    ignored.advance(at("2026-03-20T00:00:00Z"));
    let raised: Vec<&Value> = ignored.outputs("Task").collect();
    assert_eq!((raised.len(), &raised[0]["priority"], &raised[0]["status"]), (1, &json!("urgent"), &json!("requested")));
    assert_eq!(raised[0]["businessStatus"]["coding"][0]["code"], "overdue");
    assert_eq!(ignored.journal.iter().filter(|one| one.step == "overdue:call").count(), 1);
    assert_eq!(ignored.resources().find(|one| one.kind == "Task").unwrap().version, 2);
    let mut done = called(&rules, false);
    done.hear(task(&done, "completed"));
    done.advance(at("2026-03-20T00:00:00Z"));
    assert!(done.last("overdue:call").is_none() && done.dues.is_empty());
}

// A Task done with a dispense closes the episode: also a step that was still to come is not said any more.
#[test]
fn a_task_done_by_handing_over_closes_its_episode() {
    let rules = rules();
    let mut house = called(&rules, false);
    let mut done = task(&house, "completed");
    done["output"] = json!([{"type": {"text": "dispense"}, "valueReference": {"reference": "MedicationDispense/elsewhere"}}]);
    house.hear(done);
    assert_eq!(outcome(&house, "closed"), (Outcome::Stopped, String::from("taken")));
    let before = house.journal.len();
    // The fill is sent again, as some do every night: nothing of it begins anew.
    let mut again = dispense("a", "2026-01-01", 30);
    again["note"] = json!([{"text": "x"}]);
    house.hear(again);
    house.advance(at("2026-03-20T00:00:00Z"));
    assert_eq!(house.journal.len(), before);
}

// What the Task rests on is gone: it is cancelled with the reason, also when somebody has taken it on.
#[test]
fn a_task_goes_with_what_it_rests_on() {
    let rules = rules();
    let cases: [(Happens, &str); 4] = [
        (|house| house.hear(json!({"resourceType": "Patient", "id": "p", "deceasedBoolean": true})), "alive"),
        (|house| house.hear(medication_request("stopped")), "therapy"),
        (
            |house| {
                let mut mistake = dispense("a", "2026-01-01", 30);
                mistake["status"] = json!("entered-in-error");
                house.hear(mistake);
            },
            "reversed",
        ),
        (|house| house.delete("MedicationDispense/a"), "reversed"),
    ];
    for (happens, gate) in cases {
        for taken in [false, true] {
            let mut house = called(&rules, true);
            if taken {
                house.hear(task(&house, "accepted"));
            }
            happens(&mut house);
            // What its owner sent back is the newest version, and theirs; ours comes after it.
            let stored = house.resources().find(|one| one.kind == "Task").unwrap();
            assert_eq!(stored.value["status"], "cancelled", "{gate} {taken}");
            assert_eq!(stored.value["statusReason"]["coding"][0]["code"], gate);
            assert!(house.dues.is_empty(), "{:?}", house.dues);
        }
    }
}

// A refill makes the call pointless, but whoever has taken it on may know more.
#[test]
fn a_refill_takes_back_only_what_nobody_is_at() {
    let rules = rules();
    for (taken, expected) in [(false, "cancelled"), (true, "accepted")] {
        let mut house = called(&rules, false);
        if taken {
            house.hear(task(&house, "accepted"));
        }
        house.hear(dispense("b", "2026-02-01", 30));
        let stored = house.resources().find(|one| one.kind == "Task").unwrap();
        assert_eq!(stored.value["status"], expected);
    }
}

// A Task is the store's until it is claimed, and names the pharmacist who answers for the person; so does a text, in its language.
#[test]
fn the_responsible_pharmacist_is_asked_and_named() {
    let rules = super::super::Rules::read(&super::super::shipped()).0;
    let team = |status: &str, code: &str| {
        json!({"resourceType": "CareTeam", "id": "t", "status": status, "subject": {"reference": "Patient/p"}, "participant": [
            {"role": [{"coding": [{"system": "http://snomed.info/sct", "code": code}]}], "member": {"reference": "Practitioner/kim"}}]})
    };
    let kim = json!({"resourceType": "Practitioner", "id": "kim", "name": [{"given": ["Kim"], "family": "Lee"}]});
    for (team, asked_for, named) in [
        (team("active", "46255001"), json!([{"reference": "Practitioner/kim", "display": "Kim Lee"}]), "Kim Lee"),
        (team("inactive", "46255001"), Value::Null, "您的药师"),
        (team("active", "17561000"), Value::Null, "您的药师"),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        let mut patient = super::patient();
        patient["communication"] = json!([{"language": {"coding": [{"code": "zh"}]}}]);
        house.hear(patient);
        house.hear(kim.clone());
        house.hear(team);
        house.hear(super::condition("c", "J45.20", "active"));
        house.advance(at("2026-01-16T00:00:00Z"));
        let said = house.outputs("Communication").next().unwrap();
        assert!(said["payload"][0]["contentString"].as_str().unwrap().contains(named), "{said}");
        let asked = house.outputs("Task").next().unwrap();
        assert_eq!(asked["owner"], json!({"reference": "Organization/store"}));
        assert_eq!(asked["restriction"]["recipient"], asked_for);
        assert_eq!(asked["requester"]["reference"], "Organization/store");
    }
}

// A role is called by who has it, as far as that is known, else by where they work.
#[test]
fn a_role_is_called_by_who_has_it() {
    let rules = super::super::Rules::read(&super::super::shipped()).0;
    let kim = json!({"resourceType": "Practitioner", "id": "kim", "name": [{"text": "Kim Lee"}]});
    let corner = json!({"resourceType": "Organization", "id": "corner", "name": "Corner Pharmacy"});
    let (to_kim, to_corner) = (json!({"reference": "Practitioner/kim"}), json!({"reference": "Organization/corner"}));
    for (practitioner, organization, named) in [
        (to_kim, to_corner.clone(), "Kim Lee"),
        (json!({"reference": "Practitioner/kim", "display": "K. Lee"}), to_corner.clone(), "K. Lee"),
        (json!({"reference": "Practitioner/gone"}), to_corner.clone(), "Corner Pharmacy"),
        (json!({"reference": "Practitioner/gone"}), json!({"reference": "Organization/gone", "display": "Elm"}), "Elm"),
        (json!({"reference": "Practitioner/gone"}), json!({"reference": "Organization/gone"}), "your pharmacist"),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(kim.clone());
        house.hear(corner.clone());
        house.hear(
            json!({"resourceType": "PractitionerRole", "id": "r", "practitioner": practitioner, "organization": organization}),
        );
        house.hear(json!({"resourceType": "CareTeam", "id": "t", "status": "active", "subject": {"reference": "Patient/p"}, "participant": [
            {"role": [{"coding": [{"code": "pharmacist"}]}], "member": {"reference": "PractitionerRole/r"}}]}));
        house.hear(super::condition("c", "J45.20", "active"));
        house.advance(at("2026-01-16T00:00:00Z"));
        let said = house.outputs("Communication").next().unwrap()["payload"][0]["contentString"].to_string();
        assert!(said.to_lowercase().contains(&named.to_lowercase()), "{named}: {said}");
    }
}

// Where no store is known and nobody answers for the person, the Task is the tenant's: a Task of nobody is found by nobody.
#[test]
fn a_task_is_always_somebodys() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.store = crate::react::Store::unknown(&jiff::tz::TimeZone::UTC);
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-02-01T12:00:00Z"));
    let asked = house.outputs("Task").next().unwrap();
    let tenant = json!({"system": "https://signa.example/fhir/NamingSystem/tenant", "value": "rehearsal"});
    assert_eq!(asked["owner"], json!({"type": "Organization", "identifier": tenant}));
}

// What a stop says is pointless is not asked for any more: also a Task that was asked for, unless somebody is at it.
#[test]
fn a_stop_takes_back_what_nobody_is_at() {
    let mut call = step("call", "refill-call", Some(("found", "after-start", 1, "d")));
    call["condition"] = json!([{"kind": "stop", "expression": {"language": "text/fhirpath",
        "expression": "%observations.where(code.coding.code = '85354-9').exists() and %diagnoses.exists()"}}]);
    let action = json!({"id": "found", "trigger": added("Condition", "code", "http://hl7.org/fhir/sid/icd-10-cm", "I10"), "action": [call]});
    let rules = with(&[plan("pressure", &action)]);
    let measured = || {
        json!({"resourceType": "Observation", "id": "o", "status": "final", "subject": {"reference": "Patient/p"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}})
    };
    // Long after it was due, as well.
    for (taken, days, expected) in [(false, 1, "cancelled"), (true, 1, "accepted"), (false, 30, "cancelled")] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(condition("c", "I10", "active"));
        house.advance(at("2026-01-02T15:00:00Z"));
        if taken {
            house.hear(task(&house, "accepted"));
        }
        house.advance(house.now + days * 86_400_000);
        house.hear(measured());
        let stored = house.resources().find(|one| one.kind == "Task").unwrap();
        assert_eq!(stored.value["status"], expected, "{taken} {days}");
        if !taken {
            assert_eq!(stored.value["statusReason"]["coding"][0]["code"], "pointless");
            assert!(house.dues.is_empty(), "{:?}", house.dues);
        }
    }
}

// An event names no store: what it asks for is asked of the store where something waits for the person.
#[test]
fn an_event_is_a_matter_of_the_store_where_something_waits() {
    let rules = super::super::Rules::read(&super::super::shipped()).0;
    let mut house = house(&rules, "2026-06-01T15:00:00Z");
    let mut fetched = dispense("a", "2026-05-20", 90);
    fetched["performer"] = json!([{"actor": {"reference": "Organization/elsewhere"}}]);
    let mut waits = fetched.clone();
    waits["performer"] = json!([{"actor": {"reference": "Organization/corner"}}]);
    (waits["id"], waits["status"], waits["whenPrepared"]) = (json!("w"), json!("in-progress"), json!("2026-05-01"));
    waits.as_object_mut().unwrap().shift_remove("whenHandedOver");
    house.hear(fetched);
    house.hear(waits);
    house.hear(json!({"resourceType": "Basic", "id": "b", "subject": {"reference": "Patient/p"}, "code": {"coding": [
        {"system": "https://signa.example/fhir/CodeSystem/event", "code": "pickup-missed"}]}}));
    let asked: Vec<&Value> = house.outputs("Task").filter(|task| task["focus"]["reference"] == "Basic/b").collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["owner"], json!({"reference": "Organization/corner"}));
}

// Whoever speaks Chinese is answered in Chinese, however their record writes it; a code of the house stands in nobody's way.
#[test]
fn a_language_is_known_by_each_of_its_names() {
    let rules = super::super::Rules::read(&super::super::shipped()).0;
    for language in [
        json!({"coding": [{"system": "urn:iso:std:iso:639:-2", "code": "zho"}]}),
        json!({"coding": [{"code": "yue-HK"}]}),
        json!({"text": "中文"}),
        json!({"coding": [{"display": "Chinese"}]}),
        json!({"coding": [{"system": "urn:house", "code": "31"}, {"code": "cmn"}]}),
        json!({"coding": [{"system": "urn:house", "code": "31"}], "text": "Chinese"}),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        let mut patient = super::patient();
        patient["communication"] = json!([{"language": language}]);
        house.hear(patient);
        house.hear(super::condition("c", "J45.20", "active"));
        house.advance(at("2026-01-16T00:00:00Z"));
        let said = house.outputs("Communication").next().unwrap();
        assert!(said["payload"][0]["contentString"].as_str().unwrap().contains("您的药师"), "{language}: {said}");
    }
}

// The pharmacist stands in a text by the place that their name takes, in every language.
#[test]
fn no_shipped_text_speaks_of_a_pharmacist_without_their_place() {
    for artefact in super::super::shipped() {
        let text = artefact["extension"].to_string().to_lowercase().replace("{pharmacist}", "");
        let speaks = artefact["kind"] == "CommunicationRequest";
        assert!(!speaks || !(text.contains("pharmacist") || text.contains("药师")), "{}", artefact["url"]);
    }
}
