//! What Signa says is as well-formed as what it demands of others: shipped artefacts and all outputs pass its own check.

use serde_json::{Value, json};
use signa::check;
use signa::react::rehearsal::Rehearsal;
use signa::react::{Rules, Settings, Store, Unasked, shipped};

#[cfg(test)]
fn faults(value: &Value) -> Vec<String> {
    let issues = check::value(value, None, "").into_iter().filter(signa::fhir::outcome::Issue::refuses);
    issues.map(|issue| format!("{}: {}", issue.expression, issue.diagnostics)).collect()
}

#[test]
fn every_shipped_artefact_is_valid() {
    for artefact in shipped() {
        assert_eq!(faults(&artefact), Vec::<String>::new(), "{}", artefact["url"]);
    }
}

#[test]
fn every_output_is_valid_in_each_of_its_states() {
    let (rules, _) = Rules::read(&shipped());
    let start = 1_767_279_600_000; // 2026-01-01T15:00:00Z
    let day = 86_400_000;
    let mut states = Vec::new();
    for treatment in [Unasked::Allowed, Unasked::Held] {
        for organization in ["", "store"] {
            let store = Store { organization: organization.to_owned(), zone: jiff::tz::TimeZone::UTC };
            let mut house = Rehearsal::new(&rules, Settings { treatment, ..Settings::default() }, store, start);
            house.hear(json!({"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"},
                "clinicalStatus": {"coding": [{"code": "active"}]}, "verificationStatus": {"coding": [{"code": "confirmed"}]},
                "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "Z51.11"}]}}));
            states.extend(outputs(&house));
            house.hear(json!({"resourceType": "Patient", "id": "p", "telecom": [{"system": "phone", "value": "5550100"}]}));
            house.hear(json!({"resourceType": "MedicationDispense", "id": "d", "status": "completed",
                "subject": {"reference": "Patient/p"}, "medicationCodeableConcept": {"text": "tablets"},
                "whenHandedOver": "2026-01-01", "daysSupply": {"value": 30, "code": "d", "system": "http://unitsofmeasure.org"}}));
            for _ in 0..40 {
                house.advance(house.now + day);
                states.extend(outputs(&house));
            }
            house.hear(json!({"resourceType": "Patient", "id": "p", "deceasedBoolean": true}));
            states.extend(outputs(&house));
        }
    }
    let told: std::collections::BTreeSet<String> = states
        .iter()
        .map(|state| format!("{} {}", state["resourceType"].as_str().unwrap(), state["status"].as_str().unwrap()))
        .collect();
    let expected = [
        "Communication completed",
        "Communication not-done",
        "Communication preparation",
        "CommunicationRequest active",
        "CommunicationRequest completed",
        "CommunicationRequest revoked",
        "Task cancelled",
        "Task requested",
    ];
    assert_eq!(told.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    for state in &states {
        assert_eq!(faults(state), Vec::<String>::new(), "{state}");
    }
}

#[cfg(test)]
fn outputs(house: &Rehearsal) -> Vec<Value> {
    let kinds = ["CommunicationRequest", "Communication", "Task"];
    kinds.iter().flat_map(|kind| house.outputs(kind).cloned().collect::<Vec<_>>()).collect()
}
