//! The published patch cases: 16 of RFC 6902, and 33 of FHIRPath Patch, which are written in XML.
//!
//! The data is not part of the repository; see `tests/check.rs`. Where it is absent the tests say so and rest on the cases
//! beside the code, in `src/fhir/patch/tests.rs`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it left out")]

use std::path::Path;

use fhirbolt::FhirReleases;
use fhirbolt::element::Element;
use serde_json::Value;
use signa::fhir::patch::Patch;

fn published(name: &str) -> Option<String> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("SIGNA_DATA").map_or_else(beside, Into::into).join("patch").join(name);
    if !path.is_file() {
        println!("not tried: {} is absent", path.display());
        return None;
    }
    Some(std::fs::read_to_string(path).unwrap())
}

#[test]
fn all_cases_of_json_patch_end_as_published() {
    let Some(text) = published("json-patch-tests.json") else { return };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 16);
    for case in cases {
        let made = Patch::of_json(case["patch"].clone()).ok().and_then(|patch| patch.apply(&case["doc"]).ok());
        assert_eq!(made.as_ref(), case.get("expected"), "{}", case["comment"]);
        assert_eq!(made.is_none(), case.get("error").is_some(), "{}", case["comment"]);
    }
}

/// A resource in XML as JSON, by the second reader.
fn json(xml: &str) -> Value {
    // An empty resource is nothing that the second reader takes.
    let bare: String = xml.split_ascii_whitespace().collect();
    for name in ["Patient", "Parameters"] {
        if bare == format!("<{name}xmlns=\"http://hl7.org/fhir\"></{name}>") {
            return serde_json::json!({"resourceType": name});
        }
    }
    let element: Element<{ FhirReleases::R4 }> = fhirbolt::xml::from_str(xml, None).unwrap();
    fhirbolt::json::to_string(&element, None).unwrap().parse().unwrap()
}

fn inner<'t>(case: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = case.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
}

/// The same without white space between the tags of the narrative and with plain quotes: the cases keep neither.
fn plain(mut resource: Value) -> Value {
    if let Some(div) = resource.pointer_mut("/text/div") {
        let text = div.as_str().unwrap().split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        *div = text.replace("> <", "><").replace(" <", "<").replace("> ", ">").replace("&quot;", "\"").into();
    }
    resource
}

#[test]
fn all_cases_of_fhirpath_patch_end_as_published() {
    let Some(text) = published("fhir-patch-tests.xml") else { return };
    let cases: Vec<&str> = text.split("<case ").skip(1).collect();
    assert_eq!(cases.len(), 33);
    for case in cases {
        let name = case.split('"').nth(1).unwrap();
        let input = json(inner(case, "input").unwrap());
        let patch = Patch::of_parameters(&json(inner(case, "diff").unwrap())).unwrap();
        let made = patch.apply(&input);
        match inner(case, "output") {
            Some(output) => assert_eq!(plain(made.unwrap()), plain(json(output)), "{name}"),
            None => assert_eq!(made.unwrap_err().key, "patch-not-applicable", "{name}"),
        }
    }
}
