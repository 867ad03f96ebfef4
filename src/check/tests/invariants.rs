//! The constraints of the standard: one resource that keeps each, beside one that breaks it.

use super::{faults, resource};

const CLINICAL: &str =
    r#""clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"CODE"}]}"#;
const ERROR: &str = r#""verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"entered-in-error"}]}"#;
const SUBJECT: &str = r#""subject":{"reference":"Patient/1"}"#;

fn condition(more: &[&str]) -> String {
    format!(r#"{{"resourceType":"Condition",{SUBJECT},{}}}"#, more.join(","))
}

#[test]
fn a_condition_keeps_its_statuses_in_agreement() {
    let (active, resolved) = (CLINICAL.replace("CODE", "active"), CLINICAL.replace("CODE", "resolved"));
    let abated = r#""abatementDateTime":"2024-01-02""#;
    assert_eq!(faults(&condition(&[&resolved, abated]), None), [""; 0]);
    assert_eq!(faults(&condition(&[&active, abated]), None), ["con-4 at Condition"]);
    assert_eq!(faults(&condition(&[ERROR]), None), [""; 0]);
    assert_eq!(faults(&condition(&[&active, ERROR]), None), ["con-5 at Condition"]);
}

#[test]
fn a_warning_is_told_and_refuses_nothing() {
    let category = |code: &str| {
        format!(
            r#""category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-category","code":"{code}"}}]}}]"#
        )
    };
    let warned = resource(condition(&[&category("problem-list-item")]).as_bytes(), None).unwrap();
    assert_eq!(warned.warnings.iter().map(|issue| issue.key).collect::<Vec<_>>(), ["con-3"]);
    assert!(resource(condition(&[&category("encounter-diagnosis")]).as_bytes(), None).unwrap().warnings.is_empty());
}

#[test]
fn each_constraint_has_its_place() {
    let medication = r#""medicationCodeableConcept":{"text":"x"}"#;
    let dispense = |more: &str| format!(r#"{{"resourceType":"MedicationDispense","status":"completed",{medication},{more}}}"#);
    let patient = |more: &str| format!(r#"{{"resourceType":"Patient",{more}}}"#);
    let observation = |more: &str| format!(r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},{more}}}"#);
    let task = |more: &str| format!(r#"{{"resourceType":"Task","status":"draft","intent":"order",{more}}}"#);
    let request = |repeat: &str| {
        let dosage = format!(r#""dosageInstruction":[{{"timing":{{"repeat":{{{repeat}}}}}}}]"#);
        format!(r#"{{"resourceType":"MedicationRequest","status":"active","intent":"order",{medication},{SUBJECT},{dosage}}}"#)
    };
    let repeat = "MedicationRequest.dosageInstruction[0].timing.repeat";
    let cases = [
        (dispense(r#""whenPrepared":"2024-01-01","whenHandedOver":"2024-01-02""#), String::new()),
        (dispense(r#""whenPrepared":"2024-01-02","whenHandedOver":"2024-01-01""#), "mdd-1 at MedicationDispense".into()),
        (patient(r#""contact":[{"name":{"text":"x"}}]"#), String::new()),
        (patient(r#""contact":[{"gender":"male"}]"#), "pat-1 at Patient.contact[0]".into()),
        (patient(r#""telecom":[{"system":"phone","value":"1"}]"#), String::new()),
        (patient(r#""telecom":[{"value":"1"}]"#), "cpt-2 at Patient.telecom[0]".into()),
        (patient(r#""name":[{"period":{"start":"2024","end":"2024-05-01"}}]"#), String::new()),
        (patient(r#""name":[{"period":{"start":"2024-05-02","end":"2024-05-01"}}]"#), "per-1 at Patient.name[0].period".into()),
        (patient(r#""photo":[{"data":"AAAA"}]"#), "att-1 at Patient.photo[0]".into()),
        (observation(r#""valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"g"}"#), String::new()),
        (observation(r#""valueQuantity":{"value":1,"code":"g"}"#), "qty-3 at Observation.value".into()),
        (observation(r#""valueString":"x","dataAbsentReason":{"text":"x"}"#), "obs-6 at Observation".into()),
        (observation(r#""referenceRange":[{"age":{"low":{"value":1}}}]"#), "obs-3 at Observation.referenceRange[0]".into()),
        (observation(r#""component":[{"code":{"text":"x"},"referenceRange":[{"appliesTo":[{"text":"x"}]}]}]"#), {
            "obs-3 at Observation.component[0].referenceRange[0]".into()
        }),
        (
            observation(r#""referenceRange":[{"low":{"value":1,"comparator":"<"}}]"#),
            "sqty-1 at Observation.referenceRange[0].low".into(),
        ),
        (task(r#""authoredOn":"2024-01-01","lastModified":"2024-01-02""#), String::new()),
        (task(r#""authoredOn":"2024-01-02","lastModified":"2024-01-01""#), "inv-1 at Task".into()),
        (request(r#""frequency":1,"period":1,"periodUnit":"d""#), String::new()),
        (request(r#""period":1"#), format!("tim-2 at {repeat}")),
        (request(r#""period":-1,"periodUnit":"d""#), format!("tim-5 at {repeat}")),
        (request(r#""offset":30,"when":["MORN","NIGHT"]"#), String::new()),
        (request(r#""offset":30,"when":["MORN","C"]"#), format!("tim-9 at {repeat}")),
    ];
    for (body, fault) in cases {
        let found = faults(&body, None);
        assert_eq!(found.first().cloned().unwrap_or_default(), fault, "{body}");
        assert!(found.len() <= 1, "{found:?}");
    }
}

#[test]
fn a_bundle_keeps_the_rules_of_its_type() {
    let bundle = |kind: &str, more: &str| format!(r#"{{"resourceType":"Bundle","type":"{kind}",{more}}}"#);
    let patient = r#""resource":{"resourceType":"Patient","active":true}"#;
    let cases = [
        (bundle("searchset", r#""total":0"#), ""),
        (bundle("batch", r#""total":0"#), "bdl-1 at Bundle"),
        (
            bundle("collection", r#""entry":[{"search":{"mode":"match"},"resource":{"resourceType":"Patient"}}]"#),
            "bdl-2 at Bundle",
        ),
        (bundle("transaction", &format!(r#""entry":[{{{patient}}}]"#)), "bdl-3 at Bundle"),
        (bundle("collection", r#""entry":[{"fullUrl":"http://a/b"}]"#), "bdl-5 at Bundle.entry[0]"),
        (
            bundle(
                "collection",
                &format!(r#""entry":[{{"fullUrl":"http://a/b",{patient}}},{{"fullUrl":"http://a/b",{patient}}}]"#),
            ),
            { "bdl-7 at Bundle" },
        ),
        (
            bundle("collection", &format!(r#""entry":[{{"fullUrl":"http://a/b/_history/1",{patient}}}]"#)),
            "bdl-8 at Bundle.entry[0]",
        ),
        (bundle("message", &format!(r#""entry":[{{{patient}}}]"#)), "bdl-12 at Bundle"),
    ];
    for (body, fault) in cases {
        assert_eq!(faults(&body, None).first().cloned().unwrap_or_default(), fault, "{body}");
        let apart = crate::check::bundle(body.as_bytes(), 10_000).err().unwrap_or_default();
        let keys: Vec<_> = apart.iter().map(|issue| format!("{} at {}", issue.key, issue.expression)).collect();
        assert_eq!(keys.first().cloned().unwrap_or_default(), fault, "{body}");
    }
}

#[test]
fn a_contained_resource_is_held_by_its_own_constraints() {
    let body = r##"{"resourceType":"MedicationDispense","status":"completed","medicationReference":{"reference":"#m"},
        "authorizingPrescription":[{"reference":"#r"}],"contained":[{"resourceType":"Medication","id":"m"},
        {"resourceType":"Observation","id":"r","status":"final","code":{"coding":[{"system":"s","code":"1"}]},"valueInteger":1,
        "component":[{"code":{"coding":[{"system":"s","code":"1"}]},"valueInteger":1}]}]}"##;
    let expected = [
        "wrong-reference-target at MedicationDispense.authorizingPrescription[0].reference",
        "obs-7 at MedicationDispense.contained[1]",
    ];
    assert_eq!(faults(body, None), expected);
}

// Whether all paths of a differential begin as they must is the work of all their pairs, as the standard writes it: what is not looked at
// to its end is said to be so, and refuses nothing.
#[test]
fn what_would_take_too_much_work_is_said_not_to_be_held() {
    let structure = |count: usize, root: &str| {
        let path = |at: usize| if at == 0 { String::from("Patient") } else { format!("{root}.name") };
        let element = |at: usize| format!(r#"{{"id":"{}:s{at}","path":"{}"}}"#, path(at), path(at));
        let elements: Vec<String> = (0..count).map(element).collect();
        format!(
            r#"{{"resourceType":"StructureDefinition","url":"http://a.example/p","name":"P","status":"active","kind":"resource",
            "abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
            "derivation":"constraint","differential":{{"element":[{}]}}}}"#,
            elements.join(",")
        )
    };
    let told = |text: &str| -> Vec<(String, bool)> {
        let issues = match resource(text.as_bytes(), None) {
            Ok(checked) => checked.warnings,
            Err(issues) => issues,
        };
        issues.iter().map(|issue| (format!("{} at {}", issue.key, issue.expression), issue.refuses())).collect()
    };
    assert_eq!(told(&structure(20, "Patient")), []);
    assert!(told(&structure(20, "Group")).contains(&(String::from("sdf-8a at StructureDefinition.differential"), true)));
    let unheld = (String::from("invariant-unheld at StructureDefinition.differential"), false);
    assert_eq!(told(&structure(2_000, "Patient")), [unheld]);
}
