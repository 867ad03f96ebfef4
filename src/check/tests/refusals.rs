//! One fault of each sort, beside the same thing done right.

use super::faults;

/// What is added to a Patient, and the faults that come of it.
const PATIENTS: [(&str, &[&str]); 62] = [
    // Elements
    (r#""active":true"#, &[]),
    (r#""shoeSize":42"#, &["unknown-element at Patient.shoeSize"]),
    (r#""birthdate":"1980-01-01""#, &["unknown-element at Patient.birthdate"]),
    (r#""fhir_comments":["x"]"#, &["unknown-element at Patient.fhir_comments"]),
    (r#""name":[{"famly":"x"}]"#, &["unknown-element at Patient.name[0].famly"]),
    (r#""name":[{"resourceType":"HumanName"}]"#, &["unknown-element at Patient.name[0].resourceType"]),
    (r#""_name":[{"id":"x"}]"#, &["unknown-element at Patient._name"]),
    (r#""value":1"#, &["unknown-element at Patient.value"]),
    // Cardinality
    (r#""name":{"family":"x"}"#, &["not-a-list at Patient.name"]),
    (r#""gender":["female"]"#, &["not-single at Patient.gender"]),
    (r#""communication":[{"preferred":true}]"#, &["missing-element at Patient.communication[0].language"]),
    (r#""link":[{}]"#, &["empty-value at Patient.link[0]"]),
    (r#""name":[]"#, &["empty-value at Patient.name"]),
    (r#""name":[{}]"#, &["empty-value at Patient.name[0]"]),
    (r#""name":[{"id":"x"}]"#, &["empty-value at Patient.name[0]"]),
    (r#""language":"""#, &["empty-value at Patient.language"]),
    // Choices
    (r#""deceasedBoolean":false"#, &[]),
    (r#""deceasedBoolean":false,"deceasedDateTime":"2024""#, &["choice-given-twice at Patient.deceased"]),
    (r#""deceasedString":"x""#, &["unknown-element at Patient.deceasedString"]),
    // Nulls and what stands beside a primitive
    (r#""gender":null"#, &["misplaced-null at Patient.gender"]),
    (r#""name":null"#, &["misplaced-null at Patient.name"]),
    (r#""name":[null]"#, &["misplaced-null at Patient.name[0]"]),
    (r#""name":[{"given":[null,"b"],"_given":[{"extension":[{"url":"http://a","valueCode":"x"}]},null]}]"#, &[]),
    (r#""name":[{"given":["a",null]}]"#, &["misplaced-null at Patient.name[0].given[1]"]),
    (r#""name":[{"given":["a",null],"_given":[null,null]}]"#, &["misplaced-null at Patient.name[0].given[1]"]),
    (
        r#""name":[{"given":["a"],"_given":[null,{"id":"x"}]}]"#,
        &["misaligned-siblings at Patient.name[0].given", "empty-value at Patient.name[0].given[1]"],
    ),
    (r#""name":[{"given":["a"],"_given":{"id":"x"}}]"#, &["not-a-list at Patient.name[0].given"]),
    (r#""_birthDate":{"extension":[{"url":"http://a","valueCode":"x"}]}"#, &[]),
    (r#""birthDate":"1980","_birthDate":{"id":"x"}"#, &[]),
    (r#""birthDate":"1980","_birthDate":{"id":5}"#, &["wrong-json-type at Patient.birthDate.id"]),
    (r#""_birthDate":{"value":"1980"}"#, &["unknown-element at Patient.birthDate.value"]),
    (r#""_birthDate":"1980""#, &["wrong-json-type at Patient.birthDate"]),
    (r#""_birthDate":null"#, &["misplaced-null at Patient.birthDate"]),
    // JSON types
    (r#""active":"yes""#, &["wrong-json-type at Patient.active"]),
    (r#""gender":1"#, &["wrong-json-type at Patient.gender"]),
    (r#""multipleBirthInteger":"2""#, &["wrong-json-type at Patient.multipleBirth"]),
    (r#""name":["x"]"#, &["wrong-json-type at Patient.name[0]"]),
    (r#""maritalStatus":"M""#, &["wrong-json-type at Patient.maritalStatus"]),
    // Formats
    (r#""birthDate":"2024-02-29""#, &[]),
    (r#""birthDate":"2024-02-30""#, &["wrong-format at Patient.birthDate"]),
    (r#""birthDate":"2024-13-45""#, &["wrong-format at Patient.birthDate"]),
    (r#""birthDate":"2024-02-29T10:00:00Z""#, &["wrong-format at Patient.birthDate"]),
    (r#""deceasedDateTime":"2024-01-01T10:00:00+08:00""#, &[]),
    (r#""deceasedDateTime":"2024-01-01T10:00:00""#, &["wrong-format at Patient.deceased"]),
    (r#""deceasedDateTime":"2024-01-01T10:00Z""#, &["wrong-format at Patient.deceased"]),
    (r#""deceasedDateTime":"2024-01-01T10:00:00+14:30""#, &["wrong-format at Patient.deceased"]),
    (r#""multipleBirthInteger":2.0"#, &["wrong-format at Patient.multipleBirth"]),
    (r#""multipleBirthInteger":2147483648"#, &["wrong-format at Patient.multipleBirth"]),
    (r#""id":"a b""#, &["wrong-format at Patient.id"]),
    (r#""implicitRules":"http://a b""#, &["wrong-format at Patient.implicitRules"]),
    (r#""telecom":[{"rank":0}]"#, &["wrong-format at Patient.telecom[0].rank"]),
    (r#""photo":[{"contentType":"image/png","data":"abc"}]"#, &["wrong-format at Patient.photo[0].data"]),
    (r#""name":[{"text":"a\u0001"}]"#, &["control-character at Patient.name[0].text"]),
    (r#""name":[{"text":"a\u0000"}]"#, &["control-character at Patient.name[0].text"]),
    // Codes
    (r#""gender":"lady""#, &["code-not-in-set at Patient.gender"]),
    (r#""link":[{"other":{"reference":"Patient/1"},"type":"replaces"}]"#, &[]),
    // References
    (r#""managingOrganization":{"reference":"Organization/1"}"#, &[]),
    (
        r#""managingOrganization":{"reference":"Patient/1"}"#,
        &["wrong-reference-target at Patient.managingOrganization.reference"],
    ),
    (r#""managingOrganization":{"reference":"urn:uuid:1"}"#, &[]),
    (
        r#""managingOrganization":{"type":"Patient","display":"x"}"#,
        &["wrong-reference-target at Patient.managingOrganization.type"],
    ),
    (
        r#""managingOrganization":{"type":"Banana","display":"x"}"#,
        &["unknown-resource-type at Patient.managingOrganization.type"],
    ),
    (r##""managingOrganization":{"reference":"#o"}"##, &["ref-1 at Patient.managingOrganization.reference"]),
];

#[test]
fn each_fault_of_a_patient_is_named_with_its_place() {
    for (more, expected) in PATIENTS {
        let body = format!(r#"{{"resourceType":"Patient",{more}}}"#);
        assert_eq!(faults(&body, Some("Patient")), expected, "{body}");
    }
}

#[test]
fn extensions_have_a_url_and_either_a_value_or_extensions() {
    let cases: [(&str, &[&str]); 7] = [
        (r#"{"url":"http://a","valueDecimal":1.50}"#, &[]),
        (
            r#"{"url":"http://a","extension":[{"url":"b","_valueString":{"extension":[{"url":"http://c","valueCode":"unknown"}]}}]}"#,
            &[],
        ),
        (r#"{"valueDecimal":1}"#, &["missing-element at Patient.extension[0].url"]),
        (r#"{"url":"http://a"}"#, &["ext-1 at Patient.extension[0]"]),
        (r#"{"url":"http://a","valueCode":"x","extension":[{"url":"b","valueCode":"x"}]}"#, &["ext-1 at Patient.extension[0]"]),
        (r#"{"url":"http://a","valueCode":"x","valueString":"x"}"#, &["choice-given-twice at Patient.extension[0].value"]),
        (r#"{"url":"http://a","valueDecimal":"1.50"}"#, &["wrong-json-type at Patient.extension[0].value"]),
    ];
    for (extension, expected) in cases {
        let body = format!(r#"{{"resourceType":"Patient","extension":[{extension}]}}"#);
        assert_eq!(faults(&body, None), expected, "{body}");
    }
}

#[test]
fn what_is_contained_is_used_flat_and_without_a_life_of_its_own() {
    let cases: [(&str, &str, &[&str]); 9] = [
        (r##"{"reference":"#o"}"##, r#"{"resourceType":"Organization","id":"o","name":"x"}"#, &[]),
        (
            r##"{"reference":"#o"}"##,
            r#"{"resourceType":"Organization","id":"o","name":"x"},{"resourceType":"Organization","id":"o","name":"y"}"#,
            &["contained-id at Patient.contained[1].id"],
        ),
        (r#"{"display":"x"}"#, r##"{"resourceType":"Organization","id":"o","partOf":{"reference":"#"},"name":"x"}"##, &[]),
        (r#"{"display":"x"}"#, r#"{"resourceType":"Organization","id":"o","name":"x"}"#, &["dom-3 at Patient.contained[0]"]),
        (
            r##"{"reference":"#o"}"##,
            r#"{"resourceType":"Organisation","id":"o"}"#,
            &["unknown-resource-type at Patient.contained[0]"],
        ),
        (r##"{"reference":"#o"}"##, r#"{"id":"o","name":"x"}"#, &["no-resource-type at Patient.contained[0]"]),
        (
            r##"{"reference":"#o"}"##,
            r#"{"resourceType":"Organization","id":"o","name":1}"#,
            &["wrong-json-type at Patient.contained[0].name"],
        ),
        (
            r##"{"reference":"#o"}"##,
            r#"{"resourceType":"Organization","id":"o","meta":{"versionId":"1"},"name":"x"}"#,
            &["dom-4 at Patient.contained[0].meta.versionId"],
        ),
        (
            r##"{"reference":"#p"}"##,
            r#"{"resourceType":"Patient","id":"p","active":true}"#,
            &["wrong-reference-target at Patient.managingOrganization.reference"],
        ),
    ];
    for (reference, contained, expected) in cases {
        let body = format!(r#"{{"resourceType":"Patient","managingOrganization":{reference},"contained":[{contained}]}}"#);
        assert_eq!(faults(&body, None), expected, "{body}");
    }
    let nested = r##"{"resourceType":"Patient","managingOrganization":{"reference":"#o"},"contained":[
        {"resourceType":"Organization","id":"o","name":"x","contained":[{"resourceType":"Patient","id":"p"}]}]}"##;
    assert_eq!(faults(nested, None), ["dom-2 at Patient.contained[0].contained"]);
}

#[test]
fn all_faults_of_a_resource_are_told_at_once() {
    let body = r#"{"resourceType":"Observation","status":"done","shoe":1,"valueQuantity":{"value":"1.5"},"valueString":"x",
        "subject":{"reference":"Medication/1"},"issued":"2024-01-01T10:00:00","status":"final"}"#;
    let expected = [
        "duplicate-key at Observation.status",
        "code-not-in-set at Observation.status",
        "unknown-element at Observation.shoe",
        "wrong-json-type at Observation.value.value",
        "choice-given-twice at Observation.value",
        "wrong-reference-target at Observation.subject.reference",
        "wrong-format at Observation.issued",
        "missing-element at Observation.code",
    ];
    assert_eq!(faults(body, Some("Observation")), expected);
}

#[test]
fn no_more_faults_are_listed_than_anyone_reads() {
    let names = vec![r#"{"x":1}"#; 500].join(",");
    let issues =
        crate::check::resource(format!(r#"{{"resourceType":"Patient","name":[{names}]}}"#).as_bytes(), None).unwrap_err();
    assert_eq!(issues.len(), crate::check::ISSUES_MAX + 1);
    assert_eq!(issues.last().map(|issue| issue.key), Some("more-faults"));
}

#[test]
fn a_misspelt_element_is_answered_with_the_right_one() {
    let issues = crate::check::resource(br#"{"resourceType":"Patient","birthdate":"1980"}"#, None).unwrap_err();
    assert_eq!(issues[0].diagnostics, "Patient has no element 'birthdate'. Did you mean 'birthDate'?");
}

#[test]
fn no_fault_repeats_what_the_patient_is_called() {
    let body = r#"{"resourceType":"Patient","gender":"SECRET","birthDate":"SECRET","name":[{"family":7,"use":"SECRET"}],
        "identifier":[{"system":"SEC RET","value":"SECRET\u0001"}],"text":{"status":"SECRET","div":"SECRET"}}"#;
    let issues = crate::check::resource(body.as_bytes(), None).unwrap_err();
    assert_eq!(issues.len(), 8);
    assert!(!format!("{issues:?}").contains("SEC"), "{issues:?}");
}
