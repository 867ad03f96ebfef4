//! Whatever is sent, the check answers and never panics.

use proptest::prelude::*;

use crate::check::guard::{self, BUNDLE_BYTES_MAX};
use crate::check::{bundle, resource};

const SEEDS: [&str; 5] = [
    r##"{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Organization","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"},"name":[{"given":["a",null],"_given":[null,{"id":"x"}]}],"birthDate":"1980-02-03","deceasedDateTime":"2024-01-01T10:00:00.5+08:00"}"##,
    r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"x&#115;:y\">é</a><br/>&nbsp;</div>"},"photo":[{"data":"AAA=","size":1}]}"#,
    r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1"}]},"valueQuantity":{"value":-1.50e+3},"extension":[{"url":"x","extension":[{"url":"y","valueCode":"z"}]}]}"#,
    r#"{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{"text":"x"},"subject":{"reference":"Patient/1"},"authoredOn":"2024-02-29","dosageInstruction":[{"timing":{"repeat":{"boundsRange":{"low":{"value":1},"high":{"value":2.0}},"duration":1e2,"durationUnit":"h","when":["MORN"],"offset":5}},"doseAndRate":[{"rateRatio":{"numerator":{"value":1},"denominator":{"value":2,"code":"h","system":"http://unitsofmeasure.org"}}}]}],"dispenseRequest":{"validityPeriod":{"start":"2024","end":"2024-05-01T10:00:00Z"}}}"#,
    r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},{"resource":1}]}"#,
];

/// Pieces that break things in the middle of JSON.
const PIECES: [&str; 22] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "1e999999",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "é",
    "\"_",
    "{}",
    "[]",
    "\"resourceType\":",
    "#",
    "-",
    "0",
    "9999999999999999999999",
    "\"x\"",
];

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(PIECES.to_vec()));
    (prop::sample::select(SEEDS.to_vec()), prop::collection::vec(edit, 0..6)).prop_map(|(seed, edits)| {
        let mut bytes = seed.as_bytes().to_vec();
        for (at, cut, piece) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, piece.bytes());
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_bodies_are_answered(bytes in mutated()) {
        let _ = resource(&bytes, Some("Patient"));
        let _ = bundle(&bytes, BUNDLE_BYTES_MAX);
    }

    #[test]
    fn the_reader_takes_what_serde_json_takes(bytes in mutated()) {
        let theirs = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes);
        if let Ok(ours) = guard::object(&bytes, BUNDLE_BYTES_MAX) {
            prop_assert_eq!(ours.as_object(), theirs.as_ref().ok());
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = resource(&bytes, None);
    }
}
