//! A Bundle's frame and its entries are judged apart.

use crate::check::guard::BUNDLE_BYTES_MAX;
use crate::check::{bundle, resource};

const BATCH: &str = r#"{"resourceType":"Bundle","type":"batch","entry":[
    {"fullUrl":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a","resource": {"resourceType":"Patient","active":true} ,"request":{"method":"POST","url":"Patient"}},
    {"resource":{"resourceType":"Patient","gender":"lady","gender":"lady","name":[{"x":1}]},"request":{"method":"POST","url":"Patient"}},
    {"request":{"method":"DELETE","url":"Patient/1"}}]}"#;

#[test]
fn a_bad_entry_has_its_faults_and_its_neighbours_have_none() {
    let bundle = bundle(BATCH.as_bytes(), BUNDLE_BYTES_MAX).unwrap();
    assert_eq!(bundle.frame["entry"][1].to_string(), r#"{"request":{"method":"POST","url":"Patient"}}"#);
    assert_eq!(bundle.entries.len(), 3);
    assert_eq!(bundle.entries[0].text, Some(r#"{"resourceType":"Patient","active":true}"#));
    assert!(!bundle.entries[0].is_refused() && bundle.entries[1].is_refused() && bundle.entries[2].resource.is_none());
    let places: Vec<_> = bundle.refusals().into_iter().map(|issue| (issue.key, issue.expression)).collect();
    let expected = [
        ("duplicate-key", "Bundle.entry[1].resource.gender"),
        ("code-not-in-set", "Bundle.entry[1].resource.gender"),
        ("unknown-element", "Bundle.entry[1].resource.name[0].x"),
    ];
    assert_eq!(places, expected.map(|(key, place)| (key, place.to_owned())));
}

#[test]
fn a_bad_frame_refuses_all_and_still_names_the_entries_faults() {
    let body = BATCH.replace(r#""type":"batch""#, r#""type":"heap""#);
    let keys: Vec<_> = bundle(body.as_bytes(), BUNDLE_BYTES_MAX).unwrap_err().into_iter().map(|issue| issue.key).collect();
    assert_eq!(keys, ["code-not-in-set", "bdl-3", "duplicate-key", "code-not-in-set", "unknown-element"]);
    assert_eq!(bundle(br#"{"resourceType":"Patient"}"#, BUNDLE_BYTES_MAX).unwrap_err()[0].key, "wrong-resource-type");
}

#[test]
fn as_a_single_resource_it_is_refused_for_a_bad_entry() {
    let issues = resource(BATCH.as_bytes(), Some("Bundle")).unwrap_err();
    assert_eq!(issues.len(), 3);
    assert!(issues.iter().all(|issue| issue.expression.starts_with("Bundle.entry[1].resource.")));
}

#[test]
fn what_an_entry_contains_is_its_own() {
    let body = r##"{"resourceType":"Bundle","type":"collection","entry":[
        {"fullUrl":"http://a/Patient/1","resource":{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"}}},
        {"fullUrl":"http://a/Patient/2","resource":{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}}]}"##;
    let keys: Vec<_> =
        resource(body.as_bytes(), None).unwrap_err().into_iter().map(|issue| (issue.key, issue.expression)).collect();
    assert_eq!(keys, [("ref-1", "Bundle.entry[1].resource.managingOrganization.reference".to_owned())]);
}
