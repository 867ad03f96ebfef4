//! Diagnoses and reports.

use serde_json::{Value, json};

use super::engine::{plan, step, with};
use super::{at, condition, house, outcome, rules, status};
use crate::ledger::Outcome;

#[test]
fn a_chemotherapy_is_answered_at_once_under_every_name_of_its_code() {
    let rules = rules();
    for (system, code) in [
        ("http://hl7.org/fhir/sid/icd-10-cm", "Z51.11"),
        ("urn:oid:2.16.840.1.113883.6.90", "Z5111"),
        ("urn:oid:2.16.840.1.113883.6.103", "V58.11"),
        ("http://snomed.info/sct", "367336001"),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        let mut chemotherapy = condition("c", code, "active");
        chemotherapy["code"]["coding"][0]["system"] = json!(system);
        house.hear(chemotherapy);
        assert_eq!(status(&house, "Communication"), ["completed"], "{system}|{code}");
        let nudge = house.outputs("Communication").next().unwrap();
        assert_eq!(nudge["reasonReference"], json!([{"reference": "Condition/c"}]));
        assert!(nudge.get("about").is_none());
    }
}

#[test]
fn a_diagnosis_that_is_not_current_says_nothing_and_one_without_status_waits() {
    let rules = rules();
    for clinical in ["resolved", "remission", "inactive"] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(condition("c", "Z51.11", clinical));
        assert_eq!(status(&house, "Communication"), Vec::<&str>::new());
        assert_eq!(outcome(&house, "nudge"), (Outcome::Stopped, String::from("diagnosis")));
    }
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let mut open = condition("c", "Z51.11", "active");
    open.as_object_mut().unwrap().shift_remove("clinicalStatus");
    house.hear(open);
    assert_eq!(status(&house, "Communication"), ["preparation"]);
    house.hear(condition("c", "Z51.11", "active"));
    assert_eq!(status(&house, "Communication"), ["completed"]);
    assert_eq!(status(&house, "CommunicationRequest"), ["completed"]);
}

#[test]
fn a_diagnosis_is_answered_once_until_it_ends_and_comes_back() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    let day = 86_400_000;
    for (id, clinical, said) in [
        ("c", "active", 1),
        ("c", "active", 1),
        ("other", "active", 1),
        ("other", "resolved", 1),
        ("c", "resolved", 1),
        ("c", "active", 2),
        ("c", "active", 2),
    ] {
        house.advance(house.now + day);
        house.hear(condition(id, "Z51.11", clinical));
        assert_eq!(house.spoken(), said, "{id} {clinical}");
    }
    house.advance(house.now + 181 * day);
    house.hear(condition("c", "Z51.11", "active"));
    assert_eq!(house.spoken(), 3);
}

#[test]
fn what_waits_for_a_diagnosis_is_taken_back_when_it_ends() {
    let rules = rules();
    let mut house = house(&rules, "2026-01-01T05:00:00Z");
    house.hear(condition("c", "Z51.11", "active"));
    assert_eq!(outcome(&house, "nudge"), (Outcome::Held, String::from("quiet")));
    assert_eq!(status(&house, "Communication"), ["preparation"]);
    let mut refuted = condition("c", "Z51.11", "active");
    refuted["verificationStatus"]["coding"][0]["code"] = json!("refuted");
    house.hear(refuted);
    assert_eq!(status(&house, "Communication"), ["not-done"]);
    assert_eq!(status(&house, "CommunicationRequest"), ["revoked"]);
    assert!(house.dues.is_empty());
    assert_eq!(house.outputs("Communication").next().unwrap()["statusReason"]["coding"][0]["code"], json!("diagnosis"));
}

/// A diagnosis as it stands: of this status, and said with this certainty.
fn diagnosis(clinical: &str, verification: &str) -> Value {
    let mut condition = condition("c", "Z51.11", clinical);
    condition["verificationStatus"]["coding"][0]["code"] = json!(verification);
    condition
}

// A diagnosis that was spoken of is refuted, entered in error or deleted by mistake and right again: it is the one it was. One that
// ended and comes back is another.
#[test]
fn a_diagnosis_that_is_right_again_is_not_spoken_of_again() {
    let rules = rules();
    for (wrong, said) in [
        (Some(diagnosis("active", "refuted")), 1),
        (Some(diagnosis("active", "entered-in-error")), 1),
        (Some(diagnosis("resolved", "entered-in-error")), 1),
        (Some(diagnosis("active", "provisional")), 1),
        (None, 1),
        (Some(diagnosis("resolved", "confirmed")), 2),
        (Some(diagnosis("remission", "confirmed")), 2),
        (Some(diagnosis("inactive", "confirmed")), 2),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(diagnosis("active", "confirmed"));
        for count in 1..3 {
            house.advance(house.now + 2 * 86_400_000);
            match &wrong {
                Some(wrong) => house.hear(wrong.clone()),
                None => house.delete("Condition/c"),
            }
            house.advance(house.now + 3_600_000);
            house.hear(diagnosis("active", "confirmed"));
            house.advance(house.now + 3_600_000);
            let said = if said == 1 { 1 } else { count + 1 };
            assert_eq!((house.spoken(), house.faults), (said, 0), "{wrong:?}: {:?}", super::told(&house));
        }
    }
}

// What waited when a diagnosis was refuted by mistake is said when it is right again, and a Task is asked for again; each once.
#[test]
fn what_waited_for_a_diagnosis_comes_when_it_is_right_again() {
    let code = json!({"path": "code", "code": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "Z51.11"}]});
    let of = |line: &str| json!({"type": line, "data": [{"type": "Condition", "codeFilter": [code]}]});
    let action = json!({"id": "a", "trigger": [of("data-added"), of("data-modified")], "action": [
        step("word", "osteoporosis-word", None), step("work", "refill-call", None)]});
    let rules = with(&[plan("own", &action)]);
    for wrong in [Some(diagnosis("active", "refuted")), Some(diagnosis("active", "entered-in-error")), None] {
        let mut house = house(&rules, "2026-01-01T05:00:00Z");
        house.hear(diagnosis("active", "confirmed"));
        for count in 1..3 {
            house.advance(house.now + 60_000);
            match &wrong {
                Some(wrong) => house.hear(wrong.clone()),
                None => house.delete("Condition/c"),
            }
            assert_eq!(status(&house, "Task"), vec!["cancelled"; count], "{wrong:?}: {:?}", super::told(&house));
            house.advance(house.now + 60_000);
            house.hear(diagnosis("active", "confirmed"));
            let mut tasks = status(&house, "Task");
            tasks.sort_unstable();
            assert_eq!((tasks.len(), tasks.last()), (count + 1, Some(&"requested")), "{wrong:?}: {:?}", super::told(&house));
        }
        house.advance(at("2026-01-05T15:00:00Z"));
        let words = super::told(&house).iter().filter(|line| line.starts_with("word fired")).count();
        assert_eq!((words, house.faults), (1, 0), "{wrong:?}: {:?}", super::told(&house));
    }
}

fn report(status: &str, more: &Value) -> Value {
    let mut report = json!({"resourceType": "DiagnosticReport", "id": "r", "status": status, "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "38269-7"}]}, "issued": "2026-01-01T10:00:00Z"});
    for (name, value) in more.as_object().unwrap() {
        report[name] = value.clone();
    }
    report
}

#[test]
fn a_final_report_of_osteoporosis_is_answered_once() {
    let rules = rules();
    let coded = || json!({"conclusionCode": [{"coding": [{"system": "http://snomed.info/sct", "code": "64859006"}]}]});
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(report("preliminary", &coded()));
    assert_eq!(house.spoken(), 0);
    house.hear(report("final", &coded()));
    house.hear(report("corrected", &coded()));
    house.advance(at("2026-01-05T15:00:00Z"));
    assert_eq!(house.spoken(), 1);
    assert_eq!(house.outputs("Communication").next().unwrap()["reasonReference"], json!([{"reference": "DiagnosticReport/r"}]));
}

#[test]
fn a_report_is_read_by_its_words_only_where_they_are_plain() {
    let rules = rules();
    for (conclusion, said) in [
        ("Osteoporosis of the lumbar spine.", 1),
        ("骨质疏松", 1),
        ("No evidence of osteoporosis.", 0),
        ("未见骨质疏松", 0),
        ("Normal bone density.", 0),
    ] {
        let mut house = house(&rules, "2026-01-01T15:00:00Z");
        house.hear(report("final", &json!({"conclusion": conclusion})));
        assert_eq!(house.spoken(), said, "{conclusion}");
    }
    let mut old = house(&rules, "2027-02-01T15:00:00Z");
    old.hear(report("final", &json!({"conclusion": "Osteoporosis"})));
    assert_eq!(old.spoken(), 0);
}

#[test]
fn a_resource_that_no_rule_is_about_needs_no_story() {
    use crate::ledger::Line;
    use crate::react::Concern;
    let rules = rules();
    let of = |value: &Value| rules.concerns(value["resourceType"].as_str().unwrap(), Line::Created, value);
    assert!(!rules.hears("Observation") && rules.hears("Condition") && rules.hears("Consent"));
    assert_eq!(of(&condition("c", "J06.9", "active")), Concern::Nothing);
    assert_eq!(of(&condition("c", "Z51.11", "active")), Concern::Rules);
    assert_eq!(of(&json!({"resourceType": "Observation", "id": "o"})), Concern::Nothing);
    assert_eq!(of(&json!({"resourceType": "Patient", "id": "p"})), Concern::Pending);
    assert_eq!(of(&json!({"resourceType": "Patient", "id": "p", "deceasedBoolean": true})), Concern::Rules);
}

// What one diagnosis began goes on with another that is the same, also where the first is corrected to be something else.
#[test]
fn a_diagnosis_that_turns_out_to_be_another_leaves_its_steps_to_one_that_stands() {
    for lines in [vec!["data-added"], vec!["data-added", "data-modified"]] {
        let triggers: Vec<Value> = lines
            .iter()
            .map(|line| {
                let code = json!([{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J45"}]);
                json!({"type": line, "data": [{"type": "Condition", "codeFilter": [{"path": "code", "code": code}]}]})
            })
            .collect();
        let steps = [
            step("nudge", "chemotherapy-nausea-nudge", None),
            step("work", "refill-call", Some(("a", "after-start", 1, "d"))),
            step("check", "refill-call", Some(("a", "after-start", 9, "d"))),
        ];
        let rules = with(&[plan("own", &json!({"id": "a", "trigger": triggers, "action": steps}))]);
        // At night, when the word is held, and later, when a call was asked for.
        for corrected in ["2026-01-01T06:00:00Z", "2026-01-04T06:00:00Z"] {
            let mut house = house(&rules, "2026-01-01T04:00:00Z");
            house.hear(condition("c", "J45", "active"));
            house.hear(condition("other", "J45", "active"));
            house.advance(at(corrected));
            house.hear(condition("c", "J44", "active"));
            house.advance(at("2026-01-04T07:00:00Z"));
            assert_eq!(
                (house.spoken(), status(&house, "Task")),
                (1, vec!["requested"]),
                "{corrected}: {:?}",
                super::told(&house)
            );
            house.hear(condition("other", "J44", "active"));
            assert_eq!((house.spoken(), status(&house, "Task"), house.dues.len()), (1, vec!["cancelled"], 0), "{corrected}");
        }
    }
}
