//! The gates in the whole way: what they hold, stop and let pass, with the reason.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{at, condition, dispense, house, outcome, patient, rules, status};
use crate::ledger::Outcome;
use crate::react::Unasked;

fn consent(id: &str, kind: &str, purpose: &str, when: &str) -> Value {
    json!({"resourceType": "Consent", "id": id, "status": "active", "patient": {"reference": "Patient/p"}, "dateTime": when,
        "provision": {"type": kind, "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": purpose}]}})
}

#[test]
fn treatment_waits_for_consent_where_the_tenant_says_so() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.settings.treatment = Unasked::Held;
    house.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Held, String::from("consent")));
    house.hear(consent("1", "permit", "TREAT", "2026-01-01"));
    assert_eq!(status(&house, "Communication"), ["completed"]);
}

#[test]
fn a_held_reminder_is_about_its_supply_when_the_consent_comes() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.settings.treatment = Unasked::Held;
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-01-27T15:00:00Z"));
    assert_eq!(outcome(&house, "reminder"), (Outcome::Held, String::from("consent")));
    house.hear(consent("1", "permit", "TREAT", "2026-01-27"));
    assert_eq!(outcome(&house, "reminder"), (Outcome::Fired, String::new()));
}

#[test]
fn a_refusal_stops_and_a_wait_ends_with_its_window() {
    let rules = rules();
    let mut refused = house(&rules, "2026-01-01T15:00:00Z");
    refused.hear(consent("1", "permit", "TREAT", "2026-01-01"));
    refused.hear(consent("2", "deny", "TREAT", "2026-01-02"));
    refused.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&refused, "nudge"), (Outcome::Stopped, String::from("consent")));
    let mut waiting = house(&rules, "2026-01-01T15:00:00Z");
    waiting.settings.treatment = Unasked::Held;
    waiting.hear(condition("c", "Z51.11", "active"));
    waiting.advance(at("2026-01-06T00:00:00Z"));
    assert_eq!(outcome(&waiting, "nudge"), (Outcome::Stopped, String::from("timely")));
    assert_eq!(status(&waiting, "Communication"), ["not-done"]);
}

#[test]
fn a_withdrawn_consent_stops_also_where_nobody_need_be_asked() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut withdrawn = consent("1", "permit", "TREAT", "2026-01-01");
    house.hear(withdrawn.clone());
    withdrawn["status"] = json!("inactive");
    house.hear(withdrawn);
    house.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Stopped, String::from("consent")));
}

#[test]
fn an_offer_goes_only_to_who_consented_to_offers() {
    let rules = rules();
    for (kind, payloads) in [(None, 1), (Some("deny"), 1), (Some("permit"), 2)] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        if let Some(kind) = kind {
            house.hear(consent("1", kind, "HMARKT", "2026-01-01"));
        }
        house.hear(dispense("a", "2026-01-01", 30));
        house.advance(at("2026-01-27T00:00:00Z"));
        let reminder = house.outputs("Communication").find(|one| one["category"][0]["coding"][0]["code"] == "reminder");
        let said = reminder.unwrap()["payload"].as_array().unwrap();
        assert_eq!(said.len(), payloads, "{kind:?}");
        assert!(said[0]["contentString"].as_str().unwrap().starts_with("Your medicine will run out"));
    }
}

#[test]
fn stop_binds_all_who_share_the_number_until_start() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T05:00:00Z");
    house.hear(condition("c", "Z51.11", "active"));
    let said = |id: &str, word: &str| {
        json!({"resourceType": "Communication", "id": id, "status": "completed", "sender": {"reference": "Patient/p"},
            "payload": [{"contentString": word}]})
    };
    house.hear(said("1", "退订"));
    assert!(house.is_stopped("tel:5550100123"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Stopped, String::from("stop")));
    assert_eq!(status(&house, "Communication"), ["not-done"]);
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-01-10T00:00:00Z"));
    assert_eq!(outcome(&house, "advice"), (Outcome::Stopped, String::from("stop")));
    house.hear(said("2", "START"));
    house.advance(at("2026-01-27T00:00:00Z"));
    assert_eq!(outcome(&house, "reminder").0, Outcome::Fired);
}

/// STOP or START, written by the sender.
fn said(id: &str, sender: &str, word: &str) -> Value {
    json!({"resourceType": "Communication", "id": id, "status": "completed", "sender": {"reference": sender},
        "payload": [{"contentString": word}]})
}

#[test]
fn stop_binds_who_becomes_known_later_and_every_number_they_will_have() {
    let rules = rules();
    let blank = |stops: bool| {
        let settings = crate::react::Settings { treatment: Unasked::Allowed, ..Default::default() };
        let mut house = crate::react::rehearsal::Rehearsal::new(&rules, settings, super::store(), at("2026-01-01T15:00:00Z"));
        if stops {
            house.hear(said("1", "Patient/p", "STOP"));
        }
        house.hear(patient());
        house
    };
    for (stops, expected) in [(false, Outcome::Fired), (true, Outcome::Stopped)] {
        let mut house = blank(stops);
        house.hear(condition("c", "Z51.11", "active"));
        assert_eq!(outcome(&house, "nudge").0, expected);
    }
    let mut moved = house(&rules, "2026-01-01T15:00:00Z");
    moved.hear(said("1", "Patient/p", "STOP"));
    let mut other = patient();
    other["telecom"][0]["value"] = json!("+1 555 010 9999");
    moved.hear(other);
    moved.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&moved, "nudge"), (Outcome::Stopped, String::from("stop")));
    moved.hear(said("2", "Patient/p", "START"));
    moved.hear(dispense("a", "2026-01-01", 30));
    moved.advance(at("2026-01-27T00:00:00Z"));
    assert_eq!(outcome(&moved, "reminder").0, Outcome::Fired);
}

#[test]
fn who_writes_for_a_person_stops_what_goes_to_either_and_starts_only_their_own() {
    let rules = rules();
    let related = json!({"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "Patient/p"},
        "telecom": [{"system": "phone", "value": "555-010-7777"}]});
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(related);
    house.hear(said("1", "RelatedPerson/r", "STOP"));
    for bound in ["tel:5550107777", "tel:5550100123", "RelatedPerson/r", "Patient/p", "person:1"] {
        assert!(house.is_stopped(bound), "{bound}");
    }
    house.hear(said("2", "RelatedPerson/r", "START"));
    house.hear(said("3", "Patient/stranger", "START"));
    house.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Stopped, String::from("stop")));
    assert!(!house.is_stopped("tel:5550107777"));
}

#[test]
fn a_message_of_a_related_person_without_subject_binds_their_own_number() {
    use crate::ledger::{Line, Mark, Person};
    use crate::react::{Heard, Occasion, react};
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(json!({"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "Patient/p"},
        "telecom": [{"system": "phone", "value": "555-010-7777"}]}));
    house.hear(said("1", "RelatedPerson/r", "STOP"));
    let mut message = house.resource("Communication/1").unwrap().clone();
    message.person = Person(9);
    let occasion = Occasion::Heard(vec![Heard { line: Line::Created, resource: message, react: true, depth: 0 }]);
    assert!(rules.wants(&occasion, &[]).references.contains(&String::from("RelatedPerson/r")));
    for (known, expected) in
        [(true, vec!["RelatedPerson/r", "person:9", "tel:5550107777"]), (false, vec!["RelatedPerson/r", "person:9"])]
    {
        let story = crate::react::Story {
            united: vec![Person(9)],
            settings: crate::react::Settings { treatment: Unasked::Allowed, ..Default::default() },
            resources: house.resource("RelatedPerson/r").filter(|_| known).into_iter().cloned().collect(),
            ..crate::react::Story::bare(&"t".into(), Person(9), at("2026-01-01T15:00:00Z"), super::store())
        };
        let reaction = react(&rules, &story, &occasion);
        let mut bound: Vec<&str> = reaction
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Stopped { address, .. } => Some(address.as_str()),
                _ => None,
            })
            .collect();
        bound.sort_unstable();
        bound.dedup();
        assert_eq!(bound, expected);
    }
}

#[test]
fn death_ends_what_is_due_and_takes_open_tasks_back() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-02-01T15:00:00Z"));
    let mut task = house.outputs("Task").next().unwrap().clone();
    task["status"] = json!("in-progress");
    house.hear_from(task, crate::ledger::How::Derived, "pharmacist");
    let mut dead = patient();
    dead["deceasedDateTime"] = json!("2026-02-01");
    house.hear(dead);
    assert!(house.dues.is_empty());
    assert_eq!(status(&house, "Task"), ["cancelled"]);
    house.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Stopped, String::from("alive")));
}

#[test]
fn quiet_hours_are_those_of_the_recipient() {
    let rules = rules();
    for (address, expected) in [
        (json!({"country": "US", "state": "NY"}), "2026-01-01T13:00:00.000Z"),
        (json!({"country": "US", "state": "CA"}), "2026-01-01T16:00:00.000Z"),
        (json!({"country": "US"}), "2026-01-01T18:00:00.000Z"),
        (json!({"city": "somewhere"}), "2026-01-01T13:00:00.000Z"),
    ] {
        let mut house = house(&rules, "2026-01-01T10:00:00Z");
        let mut person = patient();
        person["address"] = json!([address]);
        house.hear(person);
        house.hear(condition("c", "Z51.11", "active"));
        assert_eq!(status(&house, "Communication"), ["preparation"], "{address}");
        house.advance(at("2026-01-02T00:00:00Z"));
        assert_eq!(house.outputs("Communication").next().unwrap()["sent"], json!(expected), "{address}");
    }
    let mut nowhere = house(&rules, "2026-01-01T15:00:00Z");
    let mut person = patient();
    person["address"] = json!([{"country": "Atlantis"}]);
    nowhere.hear(person);
    nowhere.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&nowhere, "nudge"), (Outcome::Held, String::from("quiet")));
}

#[test]
fn one_message_a_day_and_three_a_week_the_weightier_first() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut other = dispense("x", "2026-01-01", 30);
    other["medicationCodeableConcept"]["coding"][0]["code"] = json!("197361");
    house.hear(other);
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-01-04T12:00:00Z"));
    house.hear(condition("c", "Z51.11", "active"));
    house.advance(at("2026-01-06T00:00:00Z"));
    let fired: Vec<(&str, i64)> =
        house.journal.iter().filter(|one| one.outcome == Outcome::Fired).map(|one| (one.step.as_str(), one.at)).collect();
    assert_eq!(fired, [("nudge", at("2026-01-04T13:00:00Z")), ("advice", at("2026-01-05T13:00:00Z"))]);
    house.advance(at("2026-01-20T00:00:00Z"));
    // The second advice waited for the next day, still within its window of two days.
    assert_eq!(house.spoken(), 3);
}

#[test]
fn a_minor_is_spoken_to_through_a_guardian_or_not_at_all() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut child = patient();
    child["birthDate"] = json!("2015-05-05");
    house.hear(child);
    house.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Held, String::from("guardian")));
    let mother = json!({"resourceType": "RelatedPerson", "id": "m", "patient": {"reference": "Patient/p"},
        "relationship": [{"coding": [{"code": "MTH"}]}], "telecom": [{"system": "email", "value": "m@example.org"}],
        "communication": [{"language": {"coding": [{"code": "zh-CN"}]}, "preferred": true}]});
    house.hear(mother);
    let said = house.outputs("Communication").next().unwrap();
    assert_eq!(said["recipient"], json!([{"reference": "RelatedPerson/m"}]));
    assert_eq!(said["subject"], json!({"reference": "Patient/p"}));
    assert!(said["payload"][0]["contentString"].as_str().unwrap().starts_with("有些治疗"));
}

#[test]
fn without_an_address_nothing_is_said_and_without_a_patient_it_waits() {
    let rules = rules();
    let mut mute = house(&rules, "2026-01-01T15:00:00Z");
    let mut person = patient();
    person.as_object_mut().unwrap().shift_remove("telecom");
    mute.hear(person);
    mute.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&mute, "nudge"), (Outcome::Stopped, String::from("reachable")));
    let settings = crate::react::Settings { treatment: Unasked::Allowed, ..Default::default() };
    let store = crate::react::Store::unknown(&TimeZone::UTC);
    let mut unknown = super::Rehearsal::new(&rules, settings, store, at("2026-01-01T15:00:00Z"));
    unknown.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&unknown, "nudge"), (Outcome::Held, String::from("identity")));
    unknown.hear(patient());
    assert_eq!(outcome(&unknown, "nudge").0, Outcome::Fired);
}

#[test]
fn what_somebody_ended_by_hand_is_not_said() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T05:00:00Z");
    house.hear(condition("c", "Z51.11", "active"));
    let mut ended = house.outputs("Communication").next().unwrap().clone();
    ended["status"] = json!("not-done");
    house.hear_from(ended, crate::ledger::How::Derived, "pharmacist");
    house.advance(at("2026-01-02T00:00:00Z"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Stopped, String::from("taken")));
    assert_eq!(status(&house, "Communication"), ["not-done"]);
}

/// The shipped rules, with this changed in the artefact of this url.
fn changed(url: &str, change: impl Fn(&mut Value)) -> crate::react::Rules {
    let mut artefacts = crate::react::shipped();
    change(artefacts.iter_mut().find(|artefact| artefact["url"] == url).unwrap());
    let (rules, issues) = crate::react::Rules::read(&artefacts);
    assert_eq!(issues, []);
    rules
}

#[test]
fn a_campaign_needs_consent_to_offers() {
    let plan = "https://signa.example/fhir/PlanDefinition/chemotherapy-nausea";
    let rules = changed(plan, |plan| plan["extension"][0]["valueCode"] = json!("marketing"));
    for (kind, expected) in [(None, Outcome::Stopped), (Some("deny"), Outcome::Stopped), (Some("permit"), Outcome::Fired)] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        if let Some(kind) = kind {
            house.hear(consent("1", kind, "HMARKT", "2026-01-01"));
        }
        house.hear(condition("c", "Z51.11", "active"));
        assert_eq!(outcome(&house, "nudge").0, expected, "{kind:?}");
    }
}

#[test]
fn nothing_is_suggested_that_an_allergy_may_forbid() {
    let rxnorm = |code: &str| json!({"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code}]});
    let activity = "https://signa.example/fhir/ActivityDefinition/chemotherapy-nausea-nudge";
    let allergy = |code: Value, more: (&str, &str)| {
        let mut allergy =
            json!({"resourceType": "AllergyIntolerance", "id": "a", "patient": {"reference": "Patient/p"}, "code": code});
        allergy[more.0] = json!({"coding": [{"code": more.1}]});
        allergy
    };
    for (product, allergy, expected) in [
        ("26225", None, Outcome::Fired),
        ("26225", Some(allergy(rxnorm("5640"), ("clinicalStatus", "active"))), Outcome::Fired),
        ("26225", Some(allergy(rxnorm("26225"), ("clinicalStatus", "active"))), Outcome::Stopped),
        ("26225", Some(allergy(rxnorm("26225"), ("clinicalStatus", "resolved"))), Outcome::Fired),
        ("26225", Some(allergy(rxnorm("26225"), ("verificationStatus", "refuted"))), Outcome::Fired),
        ("26225", Some(allergy(json!({"text": "something"}), ("clinicalStatus", "active"))), Outcome::Stopped),
        ("999", None, Outcome::Stopped),
    ] {
        let rules = changed(activity, |activity| activity["productCodeableConcept"] = rxnorm(product));
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        if let Some(allergy) = &allergy {
            house.hear(allergy.clone());
        }
        house.hear(condition("c", "Z51.11", "active"));
        assert_eq!(outcome(&house, "nudge").0, expected, "{product} {allergy:?}");
    }
}

#[test]
fn a_fact_that_belongs_to_another_person_says_nothing() {
    use crate::ledger::{Line, Person};
    use crate::react::{Heard, Occasion, react};
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(condition("c", "Z51.11", "active"));
    let mut resource = house.resource("Condition/c").unwrap().clone();
    let patient = house.resource("Patient/p").unwrap().clone();
    for (person, united, expected) in
        [(1, vec![], Outcome::Fired), (2, vec![], Outcome::Stopped), (2, vec![Person(2)], Outcome::Fired)]
    {
        resource.person = Person(person);
        let story = crate::react::Story {
            united,
            settings: crate::react::Settings { treatment: Unasked::Allowed, ..Default::default() },
            resources: vec![patient.clone()],
            ..crate::react::Story::bare(&"t".into(), Person(1), at("2026-01-01T15:00:00Z"), super::store())
        };
        let heard = Heard { line: Line::Created, resource: resource.clone(), react: true, depth: 0 };
        let reaction = react(&rules, &story, &Occasion::Heard(vec![heard]));
        let decided = reaction.marks.iter().find_map(|mark| match mark {
            crate::ledger::Mark::Decided(decision) => Some(decision.outcome),
            _ => None,
        });
        assert_eq!(decided, Some(expected), "{person}");
    }
}

#[test]
fn the_same_story_gives_the_same_reaction() {
    let rules = rules();
    let tell = || {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(dispense("a", "2026-01-01", 30));
        house.hear(condition("c", "Z51.11", "active"));
        house.advance(at("2026-03-01T00:00:00Z"));
        (house.journal.clone(), house.outputs("Communication").cloned().collect::<Vec<_>>())
    };
    assert_eq!(tell(), tell());
}

// Another system's message to the patient is no word of theirs, and a fill that they fetched for somebody is not theirs.
#[test]
fn what_only_names_the_patient_says_nothing_of_them() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut sent = said("1", "Patient/p", "STOP");
    sent["recipient"] = json!([sent["sender"].take()]);
    sent.as_object_mut().unwrap().retain(|name, _| name != "sender" && name != "subject");
    house.hear(sent);
    assert!(!house.is_stopped("tel:15550100123") && house.said().is_empty());
    let mut fetched = dispense("a", "2026-01-01", 30);
    fetched["receiver"] = json!([fetched["subject"].take()]);
    fetched.as_object_mut().unwrap().remove("subject");
    house.hear(fetched.clone());
    assert!(house.dues.is_empty());
    // One that says it is theirs, and is corrected to say it no more, is gone.
    house.hear(dispense("a", "2026-01-01", 30));
    assert!(!house.dues.is_empty());
}
