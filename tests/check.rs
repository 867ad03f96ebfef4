//! Real data against the check: what others publish as valid is accepted, what they publish as invalid is refused.
//!
//! The data is not part of the repository. It is looked for in the folder that the variable SIGNA_DATA names, or beside the
//! repository in `../shared/data`; where it is absent the tests say so and rest on the fixtures in `tests/data/check`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it left out")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use signa::check::{self, guard::BUNDLE_BYTES_MAX};
use signa::fhir::outcome::Issue;

/// Resources that the standard or other projects publish although they break the standard: where, id, and why they are refused.
const DEFECTS: [(&str, &str, &str); 14] = [
    ("fhir-r4-examples", "qs1", "items without the required linkId"),
    ("fhir-r4-examples", "heart-valve-replacement", "a narrative without text (txt-2)"),
    ("fhir-r4-examples", "blood-tubes-supply", "a narrative without text (txt-2)"),
    ("fhir-r4-examples", "zika-virus-exposure-assessment", "a narrative without text (txt-2)"),
    ("fhir-r4-examples", "EventDefinition/example", "a narrative without text (txt-2)"),
    ("fhir-r4-examples", "DeviceMetric/example", "parent refers to a DeviceDefinition"),
    ("fhir-r4-examples", "DeviceUseStatement/example", "reasonReference refers to a Procedure"),
    ("fhir-r4-examples", "medrx0301", "dispenseRequest.performer refers to a Practitioner"),
    ("fhir-r4-examples", "clinical-gender", "performer refers to an Encounter"),
    ("fhir-r4-definitions", "CodeSystem/v2-0550", "codes that end with a space"),
    (
        "fhir-r4-definitions",
        "questionnaireresponse-extensions-QuestionnaireResponse-item-subject",
        "an id of more than 64 letters",
    ),
    ("fhir-r4-definitions", "codesystem-extensions-CodeSystem-*", "a SearchParameter without the required base"),
    ("fhir-r4-definitions", "valueset-extensions-ValueSet-*", "a SearchParameter without the required base"),
    ("nhs-eps", "bundle-success.json", "an empty display"),
];

fn data(folder: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let found = std::env::var_os("SIGNA_DATA").map_or_else(beside, PathBuf::from).join(folder);
    if !found.is_dir() {
        println!("not tried: {} is absent", found.display());
        return None;
    }
    Some(found)
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        return text;
    }
    String::from_utf8(bytes).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// All resources of a folder, each with the name of its file.
fn resources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.contains(".ndjson") {
            found.extend(text(&path).lines().filter(|line| !line.trim().is_empty()).map(|line| (name.clone(), line.to_owned())));
        } else if name.contains(".json") {
            found.push((name, text(&path)));
        }
    }
    found
}

fn shown(issues: &[Issue]) -> String {
    let lines = issues.iter().take(5).map(|issue| format!("\n    {} {} {}", issue.key, issue.expression, issue.diagnostics));
    lines.collect()
}

fn is_known(folder: &str, file: &str, body: &str) -> bool {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let names = [file.to_owned(), word("id"), format!("{}/{}", word("resourceType"), word("id"))];
    let fits = |name: &str, own: &String| name.strip_suffix('*').map_or(own == name, |start| own.starts_with(start));
    DEFECTS.iter().any(|(of, name, _)| *of == folder && names.iter().any(|own| fits(name, own)))
}

/// Every published resource is accepted, but for the defects that are known by name; and those are refused.
#[test]
fn what_others_publish_is_accepted() {
    let folders = [
        "fhir-r4-examples",
        "fhir-r4-definitions",
        "synthea-patients",
        "synthea-scale",
        "gematik-erezept",
        "nhs-eps",
        "au-test-data",
        "us-core-6.1.0-definitions",
        "subscriptions-backport",
    ];
    let mut wrong = Vec::new();
    for folder in folders {
        let Some(path) = data(folder) else { continue };
        let all = resources(&path);
        let mut refused = 0;
        for (file, body) in &all {
            let issues = check::sized_resource(body.as_bytes(), BUNDLE_BYTES_MAX, None).err().unwrap_or_default();
            refused += usize::from(!issues.is_empty());
            if issues.is_empty() == is_known(folder, file, body) {
                wrong.push(format!("{folder} {file}: {}", shown(&issues)));
            }
        }
        println!("{folder}: {} resources, {refused} known defects", all.len());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The bodies behind the values of others' tables of primitives: each stands where its type is known.
fn host(kind: &str, value: &str) -> String {
    if kind == "xhtml" {
        return format!(r#"{{"resourceType":"Patient","text":{{"status":"generated","div":{value}}}}}"#);
    }
    let key: Vec<String> = kind.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"x","value{}":{value}}}]}}"#, key.concat())
}

/// One table of primitives agrees with us line by line, but for the lines that are named here.
#[test]
fn primitive_values_agree_with_the_tables_of_others() {
    // An empty narrative breaks the standard's own txt-2; a reference to a contained resource needs one.
    let otherwise = BTreeSet::from([("xhtml", r#""""#), ("reference", r##"{"reference": "#p1"}"##)]);
    let Some(folder) = data("negative/google-primitives") else { return };
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in files(&folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (kind, verdict) = name.trim_end_matches(".ndjson").split_once('.').unwrap();
        for line in text(&path).lines().filter(|line| !line.is_empty() && (*line != "null" || verdict == "invalid")) {
            let is_valid = check::resource(host(kind, line).as_bytes(), None).is_ok();
            if is_valid != (verdict == "valid") && !otherwise.contains(&(kind, line)) {
                wrong.push(format!("{name}: {line}"));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{count} values");
}
