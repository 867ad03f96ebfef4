//! Everything valid that others publish goes through both formats and returns: JSON to XML to JSON, with all its digits and
//! the narrative letter by letter.
//!
//! The data is not part of the repository. It is looked for in the folder that the variable SIGNA_DATA names, or beside the
//! repository in `../shared/data`; where it is absent the tests say so and rest on the fixtures in `tests/data/check`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it left out")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use signa::check::{self, guard::BUNDLE_BYTES_MAX};
use signa::fhir::xml;

/// Bodies of more bytes are tried one in eight, and of a folder with thousands one in four, unless SIGNA_TEST_LONG is set.
const LARGE: usize = 40_000;
const MANY: usize = 2_000;

/// The named characters that narratives of JSON hold and XML has no names for: they come back as numbers.
const NAMED: [(&str, &str); 4] = [("&nbsp;", "&#160;"), ("&copy;", "&#169;"), ("&reg;", "&#174;"), ("&mdash;", "&#8212;")];

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

/// Where two values part, for a reader of the failure.
fn parted(left: &Value, right: &Value, place: &str) -> String {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = left.keys().chain(right.keys());
            let part = |key: &String| (left.get(key).unwrap_or(&Value::Null), right.get(key).unwrap_or(&Value::Null));
            let found = keys.map(|key| (key, part(key))).find(|(_, (left, right))| left != right);
            found.map_or_else(String::new, |(key, (left, right))| parted(left, right, &format!("{place}.{key}")))
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let found = left.iter().zip(right).enumerate().find(|(_, (left, right))| left != right);
            found.map_or_else(String::new, |(index, (left, right))| parted(left, right, &format!("{place}[{index}]")))
        }
        _ => format!("{place}: {left:.200} | {right:.200}"),
    }
}

/// The same resource with the named characters of its narratives as numbers.
fn as_xml_says_it(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("div", Value::String(text)) => {
                    let text = NAMED.iter().fold(text.trim().to_owned(), |text, (name, number)| text.replace(name, number));
                    (key.clone(), Value::from(text))
                }
                _ => (key.clone(), as_xml_says_it(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(as_xml_says_it).collect(),
        plain => plain.clone(),
    }
}

/// What parts on the way to XML and back; empty if nothing does.
fn journey(body: &str) -> String {
    let Ok(checked) = check::sized_resource(body.as_bytes(), BUNDLE_BYTES_MAX, None) else { return String::new() };
    let Some(written) = xml::write(&checked.value.to_string(), false) else { return String::from("is not written") };
    match xml::read(written.as_bytes()) {
        Err(issues) => format!("is not read: {} {} {}", issues[0].key, issues[0].expression, issues[0].diagnostics),
        Ok(read) if !read.faults.is_empty() => format!("has faults: {} {}", read.faults[0].key, read.faults[0].expression),
        Ok(read) if read.value != as_xml_says_it(&checked.value) => parted(&checked.value, &read.value, ""),
        Ok(_) => String::new(),
    }
}

/// What the fixtures hold returns from XML as it was.
#[test]
fn the_unusual_returns_from_xml() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/check/accepted.ndjson");
    for body in text(&path).lines() {
        assert_eq!(journey(body), "", "{body}");
    }
}

/// What others publish returns from XML as it was, but for what is named above with its reason.
#[test]
fn what_others_publish_returns_from_xml() {
    let folders = [
        "fhir-r4-examples",
        "synthea-patients",
        "synthea-scale",
        "gematik-erezept",
        "nhs-eps",
        "au-test-data",
        "us-core-6.1.0-definitions",
        "subscriptions-backport",
        "fhir-r4-definitions",
    ];
    let is_long = std::env::var_os("SIGNA_TEST_LONG").is_some();
    let mut wrong = Vec::new();
    for folder in folders {
        let Some(path) = data(folder) else { continue };
        let all = resources(&path);
        let mut large = 0;
        let tried = all.iter().enumerate().filter(|(position, (_, body))| {
            let is_large = body.len() > LARGE;
            large += usize::from(is_large);
            is_long || if is_large { large % 8 == 1 } else { all.len() <= MANY || position % 4 == 0 }
        });
        let tried: Vec<&(String, String)> = tried.map(|(_, both)| both).collect();
        let halves = tried.split_at(tried.len() / 2);
        let journeys = |half: &[&(String, String)]| {
            let found = half.iter().map(|(file, body)| (file, journey(body))).filter(|(_, found)| !found.is_empty());
            found.map(|(file, found)| format!("{folder} {file}: {found}")).collect::<Vec<_>>()
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| journeys(halves.0));
            wrong.extend(journeys(halves.1));
            wrong.extend(other.join().unwrap());
        });
        println!("{folder}: {} of {} resources", tried.len(), all.len());
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
}
