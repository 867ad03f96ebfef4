//! Broken and awkward bodies as senders make them; each is refused for a reason that a client reads as 400, 413 or 422.

use super::faults;

const NARRATIVE: &str =
    r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">TEXT</div>"}}"#;

#[test]
fn each_awkward_body_is_refused_and_its_twin_is_accepted() {
    let reference = r#""subject":{"reference":"Patient/1"}"#;
    let cases = [
        ("Condition", reference, r#""code":{"text":"x"}"#, "missing-element at Condition.subject"),
        (
            "Condition",
            reference,
            r#""subject":{"reference":"Medication/1"}"#,
            "wrong-reference-target at Condition.subject.reference",
        ),
        (
            "MedicationDispense",
            r#""status":"completed","medicationCodeableConcept":{"text":"x"}"#,
            r#""medicationCodeableConcept":{"text":"x"}"#,
            "missing-element at MedicationDispense.status",
        ),
        (
            "MedicationDispense",
            r#""status":"completed","medicationReference":{"reference":"Medication/1"}"#,
            r#""status":"completed""#,
            "missing-element at MedicationDispense.medication",
        ),
        (
            "MedicationDispense",
            r#""status":"completed","medicationCodeableConcept":{"text":"x"}"#,
            r#""status":"completed","medicationCodeableConcept":{"text":"x"},"medicationReference":{"reference":"Medication/1"}"#,
            "choice-given-twice at MedicationDispense.medication",
        ),
        (
            "MedicationDispense",
            r#""status":"completed","medicationCodeableConcept":{"text":"x"}"#,
            r#""status":"done","medicationCodeableConcept":{"text":"x"}"#,
            "code-not-in-set at MedicationDispense.status",
        ),
        (
            "DiagnosticReport",
            r#""status":"final","code":{"text":"x"}"#,
            r#""status":"final""#,
            "missing-element at DiagnosticReport.code",
        ),
        (
            "DiagnosticReport",
            r#""status":"final","code":{"text":"x"},"issued":"2024-01-01T10:00:00Z""#,
            r#""status":"final","code":{"text":"x"},"issued":"2024-01-01T10:00:00""#,
            "wrong-format at DiagnosticReport.issued",
        ),
        (
            "Condition",
            r#""subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}"#,
            r#""subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"sick"}]}"#,
            "code-not-in-set at Condition.clinicalStatus",
        ),
    ];
    for (kind, good, bad, fault) in cases {
        assert_eq!(faults(&format!(r#"{{"resourceType":"{kind}",{good}}}"#), Some(kind)), [""; 0], "{good}");
        assert_eq!(faults(&format!(r#"{{"resourceType":"{kind}",{bad}}}"#), Some(kind)), [fault], "{bad}");
    }
}

#[test]
fn the_resource_type_must_be_there_known_and_the_one_that_is_expected() {
    for (body, fault) in [
        (r#"{"active":true}"#, "no-resource-type at Resource"),
        (r#"{"resourceType":"Banana"}"#, "unknown-resource-type at Resource"),
        (r#"{"resourceType":"HumanName","family":"x"}"#, "unknown-resource-type at Resource"),
        (r#"{"resourceType":["Patient"]}"#, "unknown-resource-type at Resource"),
        (r#"{"resourceType":"Observation","status":"final","code":{"text":"x"}}"#, "wrong-resource-type at Observation"),
    ] {
        assert_eq!(faults(body, Some("Patient")), [fault], "{body}");
    }
    assert_eq!(faults(r#"{"active":true,"resourceType":"Patient"}"#, Some("Patient")), [""; 0]);
}

#[test]
fn a_narrative_that_acts_is_refused() {
    assert_eq!(faults(NARRATIVE, None), [""; 0]);
    for text in ["<script>alert(1)</script>", "<b onclick='x'>a</b>", "<form/>", "<b>a", "a &amp b"] {
        assert_eq!(faults(&NARRATIVE.replace("TEXT", text), None), ["narrative at Patient.text.div"], "{text}");
    }
}

#[test]
fn a_body_deeper_than_any_resource_is_refused() {
    for levels in [33, 5_000, 500_000] {
        let (open, close) = (r#"{"url":"x","extension":["#.repeat(levels), "]}".repeat(levels));
        let body = format!(r#"{{"resourceType":"Patient","extension":[{open}{close}]}}"#);
        assert_eq!(faults(&body, None), ["too-deep at "], "{levels}");
    }
}

#[test]
fn a_value_deeper_than_any_resource_is_refused_too() {
    let mut value = serde_json::json!({"url": "x"});
    for _ in 0..40 {
        value = serde_json::json!({"url": "x", "extension": [value]});
    }
    let value = serde_json::json!({"resourceType": "Patient", "extension": [value]});
    assert_eq!(crate::check::value(&value, None, "")[0].key, "too-deep");
    let issues =
        crate::check::value(&serde_json::json!({"resourceType": "Patient", "gender": "x"}), None, "Bundle.entry[3].resource");
    assert_eq!(issues[0].expression, "Bundle.entry[3].resource.gender");
}

#[test]
fn decimals_keep_their_digits_and_a_mark_before_the_body_is_taken_off() {
    let body = "\u{feff}{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{\"text\":\"x\"},\"valueQuantity\":{\"value\":1.50}}";
    let checked = crate::check::resource(body.as_bytes(), Some("Observation")).unwrap();
    assert_eq!(checked.value["valueQuantity"]["value"].to_string(), "1.50");
}

#[test]
fn every_issue_code_is_one_that_the_standard_has() {
    let known = ["structure", "required", "value", "invalid", "code-invalid", "invariant", "too-long"];
    let bodies =
        [r#"{"resourceType":"Patient","x":1,"gender":"x","birthDate":"x","text":{}}"#, "", "[]", r#"{"resourceType":"Bundle"}"#];
    for body in bodies {
        let issues = crate::check::resource(body.as_bytes(), Some("Patient")).unwrap_err();
        assert!(issues.iter().all(|issue| known.contains(&issue.code)), "{issues:?}");
    }
}
