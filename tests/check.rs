//! Real data against the check: what others publish as valid is accepted, what they publish as invalid is refused.
//!
//! The data is not part of the repository. It is looked for in the folder that the variable SIGNA_DATA names, or beside the
//! repository in `../shared/data`; where it is absent the tests say so and rest on the fixtures in `tests/data/check`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it left out")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use signa::check::canon::{Canon, KINDS};
use signa::check::{self, guard::BUNDLE_BYTES_MAX, profile};
use signa::clock::Clock;
use signa::fhir::outcome::Issue;

/// Resources that the standard or other projects publish although they break the standard: where, id, and why they are refused.
const DEFECTS: [(&str, &str, &str); 21] = [
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
    ("fhir-r4-definitions", "Definition", "a logical model without baseDefinition (sdf-4)"),
    ("fhir-r4-definitions", "Event", "a logical model without baseDefinition (sdf-4)"),
    ("fhir-r4-definitions", "FiveWs", "a logical model without baseDefinition (sdf-4)"),
    ("fhir-r4-definitions", "Request", "a logical model without baseDefinition (sdf-4)"),
    ("fhir-r4-definitions", "structuredefinition-json-type", "a type whose code is only an extension (sdf-19)"),
    ("fhir-r4-definitions", "structuredefinition-rdf-type", "a type whose code is only an extension (sdf-19)"),
    ("fhir-r4-definitions", "structuredefinition-xml-type", "a type whose code is only an extension (sdf-19)"),
    ("nhs-eps", "bundle-success.json", "an empty display"),
];

/// The lines of a file of ours beside the tests.
fn fixtures(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/check").join(name);
    text(&path).lines().map(ToOwned::to_owned).collect()
}

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

/// What is unusual and yet right is accepted, with all its digits.
#[test]
fn the_unusual_is_accepted() {
    for body in fixtures("accepted.ndjson") {
        let checked = check::resource(body.as_bytes(), None).map_err(|issues| format!("{body}: {}", shown(&issues))).unwrap();
        assert_eq!(checked.value, serde_json::from_str::<Value>(&body).unwrap());
        assert!(checked.warnings.is_empty(), "{}", shown(&checked.warnings));
    }
}

/// What is wrong is refused for its reason, and for all of its reasons at once.
#[test]
fn the_wrong_is_refused_for_its_reasons() {
    for line in fixtures("refused.ndjson") {
        let case: Value = serde_json::from_str(&line).unwrap();
        let issues = check::resource(case["body"].to_string().as_bytes(), None).unwrap_err();
        let found: BTreeSet<_> = issues.iter().map(|issue| format!("{} at {}", issue.key, issue.expression)).collect();
        let expected = case["faults"].as_array().unwrap().iter().map(|fault| fault.as_str().unwrap().to_owned()).collect();
        assert_eq!(found, expected, "{}", case["why"]);
    }
}

/// The second reader wants the resourceType before anything else.
fn with_type_first(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(with_type_first).collect(),
        Value::Object(map) => {
            let (mut first, rest): (Vec<_>, Vec<_>) = map.into_iter().partition(|(key, _)| key == "resourceType");
            first.extend(rest);
            first.into_iter().map(|(key, value)| (key, with_type_first(value))).collect()
        }
        other => other,
    }
}

fn second_reader_takes(value: Value) -> bool {
    let bytes = serde_json::to_vec(&with_type_first(value)).unwrap();
    fhirbolt::json::from_slice::<fhirbolt::element::Element<{ fhirbolt::FhirReleases::R4 }>>(&bytes, None).is_ok()
}

/// What we accept, fhirbolt can read; what it cannot read for its structure, we refuse. It needs room on the stack.
#[test]
fn a_second_reader_agrees_on_structure() {
    let compare = || {
        let mut bodies = fixtures("accepted.ndjson");
        for folder in ["fhir-r4-examples", "gematik-erezept", "nhs-eps", "au-test-data"] {
            bodies.extend(
                data(folder).iter().flat_map(|path| resources(path)).map(|(_, body)| body).filter(|body| body.len() < 50_000),
            );
        }
        let mut disagreed = Vec::new();
        for body in &bodies {
            let Ok(checked) = check::sized_resource(body.as_bytes(), BUNDLE_BYTES_MAX, None) else { continue };
            if !second_reader_takes(checked.value.clone()) {
                disagreed.push(body[..body.len().min(100)].to_owned());
            }
            let mut misspelt = checked.value;
            misspelt["shoeSize"] = Value::from(42);
            assert!(!second_reader_takes(misspelt.clone()) && !check::value(&misspelt, None, "").is_empty());
        }
        assert!(disagreed.is_empty(), "{disagreed:#?}");
        println!("{} resources read twice", bodies.len());
    };
    std::thread::Builder::new().stack_size(64 << 20).spawn(compare).unwrap().join().unwrap();
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

/// What is published and claims a profile that is on board or loaded breaks it only where it is known to.
#[test]
fn what_others_claim_is_true() {
    let mut canon = Canon::default();
    for (_, body) in data("us-core-6.1.0-definitions").iter().flat_map(|path| resources(path)) {
        let value: Value = serde_json::from_str(&body).unwrap();
        if KINDS.iter().any(|kind| value["resourceType"] == *kind) {
            canon.learn(value["id"].as_str().unwrap(), &value);
        }
    }
    let mut wrong = Vec::new();
    for folder in ["fhir-r4-examples", "fhir-r4-definitions", "synthea-patients", "au-test-data", "us-core-6.1.0-definitions"] {
        let Some(path) = data(folder) else { continue };
        let (mut claiming, mut refused) = (0, 0);
        let (clock, mut asked, mut checked, mut taken) = (Clock::running(), Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for (file, body) in resources(&path) {
            let value: Value = serde_json::from_str(&body).unwrap();
            let place = value["resourceType"].as_str().unwrap_or_default().to_owned();
            let started = clock.elapsed();
            let claims = profile::claims(&value);
            asked += clock.elapsed().saturating_sub(started);
            claiming += usize::from(claims);
            let started = clock.elapsed();
            if !folder.contains("definitions") {
                assert!(check::value(&value, None, "").len() <= check::ISSUES_MAX + 1);
            }
            checked += clock.elapsed().saturating_sub(started);
            let started = clock.elapsed();
            let mut issues = profile::claimed(&canon, &value, &place, &[]);
            taken += clock.elapsed().saturating_sub(started);
            issues.extend(profile::extensions(&canon, &value, &place));
            issues.retain(Issue::refuses);
            // An Observation that holds its finding in the extension for a patient's ethnicity.
            if !issues.is_empty() && value["id"] != "example-genetics-brcapat" {
                refused += 1;
                wrong.push(format!("{folder} {file} {}: {}", value["id"], shown(&issues)));
            }
        }
        println!("{folder}: {claiming} claim a profile, {refused} break what they claim");
        println!(
            "{folder}: {asked:?} to ask who claims, {taken:?} to hold the claims, {checked:?} for the check of the standard"
        );
    }
    assert!(wrong.is_empty(), "{} {}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
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

/// Cases of the official validator that we answer otherwise, and why. The first five rest on what is neither in the file nor in
/// the standard: a switch of that validator or a terminology server; they are not counted.
const OTHERWISE: [(&str, &str); 8] = [
    ("json-comments-1-yes", "a switch: comments in JSON are let pass"),
    ("contained-resource-bad-id-ignore", "a switch: ids of what is contained are let pass"),
    ("bad-markdown-no-html", "a switch: the same file is right without it"),
    ("dr-example-org", "a switch: example addresses are refused"),
    ("uk-msg", "a terminology server: displays and codes of SNOMED CT"),
    ("pat-dob-ext", "an extension that nobody knows is refused; the standard has it ignored"),
    ("nested-questionnaire-nested-valueset", "an extension that nobody knows is refused; the standard has it ignored"),
    ("signatures-example-2", "a digital signature is verified against its certificate, which nobody sent"),
];

/// The first so many of them are not counted.
const SWITCHES: usize = 5;

/// What `$validate` says of the official validator's cases that need no package, profile, supporting file or terminology server
/// agrees with what is expected, but for the cases that are listed.
#[test]
fn the_cases_of_the_official_validator_agree() {
    let Some(folder) = data("negative") else { return };
    let canon = Canon::default();
    let (mut otherwise, mut count) = (BTreeSet::new(), 0);
    for line in text(&folder.join("fhir-test-cases-validator.ndjson.gz")).lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let needs = |key: &str| case[key].as_array().map_or(!case[key].is_null() && case[key] != "", |list| !list.is_empty());
        let is_elsewhere = case["module"].as_str().is_some_and(|module| module.starts_with("tx"));
        if is_elsewhere || ["supporting", "profiles", "packages", "profile"].into_iter().any(needs) {
            continue;
        }
        count += 1;
        let (name, raw) = (case["name"].as_str().unwrap(), case["raw"].as_str().unwrap());
        let (value, mut issues) = check::examined(raw.as_bytes(), BUNDLE_BYTES_MAX);
        if let Some(value) = &value {
            issues.extend(check::thorough::all(&canon, value, "Resource"));
        }
        let is_refused = issues.iter().any(Issue::refuses);
        if is_refused != (case["expected_errors"].as_u64() > Some(0)) {
            otherwise.insert(name.to_owned());
        }
    }
    let listed: BTreeSet<String> = OTHERWISE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(otherwise, listed);
    let (counted, wrong) = (count - SWITCHES, OTHERWISE.len() - SWITCHES);
    println!("{} of {counted} cases agree, and {} of all {count}", counted - wrong, count - OTHERWISE.len());
    assert!((counted - wrong) * 100 >= counted * 95);
}

/// What the official validator's cases call valid is not refused on the way in; of what they call invalid, at least as much as
/// ever was.
#[test]
fn the_way_in_refuses_nothing_valid() {
    // Comments in JSON, and a fault that its own case tells the validator to pass over.
    let switched = ["json-comments-1-yes", "contained-resource-bad-id-ignore"];
    let Some(folder) = data("negative") else { return };
    let (mut wrong, mut refused, mut invalid) = (Vec::new(), 0, 0);
    for line in text(&folder.join("fhir-test-cases-validator.ndjson.gz")).lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (name, raw) = (case["name"].as_str().unwrap(), case["raw"].as_str().unwrap());
        let issues = check::sized_resource(raw.as_bytes(), BUNDLE_BYTES_MAX, None).err();
        if case["expected_errors"].as_u64() > Some(0) {
            invalid += 1;
            refused += usize::from(issues.is_some());
        } else if !switched.contains(&name) {
            wrong.extend(issues.map(|issues| format!("{name}: {}", shown(&issues))));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused >= 36, "{refused} of {invalid} invalid cases are refused");
}
