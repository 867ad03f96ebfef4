//! The official FHIRPath suite for R4, where its folder is at hand: all cases but the listed ones give what it says.
//! Follows <https://github.com/FHIR/fhir-test-cases>.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Context, Expression, Item, Node};

/// Cases we answer otherwise on purpose, each with its reason.
const DEVIATIONS: &str = include_str!("../../../tests/data/path/deviations.txt");

struct Case {
    name: String,
    input: String,
    expression: String,
    strict: bool,
    wanted: Wanted,
}

/// What a case asks for: type, where said, and text of each item.
enum Wanted {
    Refusal,
    Truth(String),
    Items(Vec<(Option<String>, String)>),
    Unordered(Vec<(Option<String>, String)>),
}

/// The folder of real input, named by the environment or beside the repository.
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("SIGNA_DATA").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    named.into_iter().chain([beside]).map(|folder| folder.join("fhirpath")).find(|folder| folder.is_dir())
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let mark = format!("{name}=\"");
    let found = tag.match_indices(&mark).find(|(at, _)| tag[..*at].ends_with(char::is_whitespace))?;
    let start = found.0 + mark.len();
    let end = tag[start..].find('"')? + start;
    Some(plain(&tag[start..end]))
}

fn plain(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&#39;", "'").replace("&amp;", "&")
}

/// The tag and the text of each element of this name, in order.
fn elements<'t>(text: &'t str, name: &str) -> Vec<(&'t str, &'t str)> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(&open) {
        rest = &rest[at..];
        let mut quoted = false;
        let tag_end = rest.find(|letter| {
            quoted ^= letter == '"';
            letter == '>' && !quoted
        });
        let tag_end = tag_end.unwrap();
        if !rest[open.len()..].starts_with([' ', '\t', '\n', '\r', '>', '/']) {
            rest = &rest[open.len()..];
        } else if rest[..tag_end].ends_with('/') {
            all.push((&rest[..tag_end], ""));
            rest = &rest[tag_end..];
        } else {
            let end = rest.find(&close).unwrap();
            all.push((&rest[..tag_end], &rest[tag_end + 1..end]));
            rest = &rest[end..];
        }
    }
    all
}

/// The suite's text without its XML comments; expressions hold none.
fn cases(text: &str) -> Vec<Case> {
    let read = |(tag, body): (&str, &str)| {
        let (expression_tag, expression) = elements(body, "expression")[0];
        let flag = |name: &str, value: &str| attribute(tag, name).as_deref() == Some(value);
        let invalid = attribute(expression_tag, "invalid");
        let outputs = elements(body, "output").into_iter().map(|(tag, text)| (attribute(tag, "type"), plain(text)));
        let mut outputs: Vec<_> = outputs.collect();
        Case {
            name: attribute(tag, "name").unwrap_or_default(),
            input: attribute(tag, "inputfile").unwrap_or_default(),
            expression: plain(expression),
            strict: flag("mode", "strict") || invalid.as_deref() == Some("semantic"),
            wanted: match invalid {
                Some(_) => Wanted::Refusal,
                None if flag("predicate", "true") => Wanted::Truth(outputs.remove(0).1),
                None if flag("ordered", "false") => Wanted::Unordered(outputs),
                None => Wanted::Items(outputs),
            },
        }
    };
    let mut bare = String::new();
    for (at, part) in text.split("<!--").enumerate() {
        bare.push_str(if at == 0 { part } else { part.split_once("-->").map_or("", |(_, rest)| rest) });
    }
    elements(&bare, "test").into_iter().map(read).collect()
}

fn input(folder: &Path, name: &str) -> Option<Value> {
    if name.is_empty() {
        return Some(Value::Null);
    }
    if name.starts_with("parameters-example-types") {
        return Some(json!({"resourceType": "Parameters", "id": "example-types", "parameter": [
            {"name": "string", "valueString": "string"}, {"name": "integer", "valueInteger": 1},
            {"name": "uuid", "valueUuid": "urn:uuid:79a14950-442c-11ed-b878-0242ac120002"},
            {"name": "decimal", "valueDecimal": 1.0},
        ]}));
    }
    let is_period = name.starts_with("patient-example-period");
    let stem = if is_period { "patient-example" } else { Path::new(name).file_stem()?.to_str()? };
    let text = ["inputs", "inputs-json"]
        .iter()
        .find_map(|sub| fs::read_to_string(folder.join(sub).join(format!("{stem}.json"))).ok())?;
    let mut value: Value = serde_json::from_str(&text).unwrap();
    if is_period {
        value["identifier"][0]["period"]["end"] = json!("2001-05-06T10:10:10Z");
    }
    if stem == "observation-example" {
        let age = json!({"value": 41, "system": "http://unitsofmeasure.org", "code": "a"});
        value["extension"] = json!([{"url": "http://example.com/fhir/StructureDefinition/patient-age", "valueAge": age}]);
    }
    Some(value)
}

fn shown(item: &Item<'_>) -> String {
    match item.plain() {
        Item::Temporal(value) if value.sort == super::Sort::Time => format!("@T{value}"),
        Item::Temporal(value) => format!("@{value}"),
        other => other.to_string(),
    }
}

fn kind(item: &Item<'_>) -> String {
    match item {
        Item::Node(node) => node.kind_name().to_owned(),
        Item::Temporal(_) if item.kind_name() == "DateTime" => String::from("dateTime"),
        Item::Quantity(_) => String::from("Quantity"),
        other => other.kind_name().to_lowercase(),
    }
}

/// What went wrong with the case, if anything.
fn fault(case: &Case, value: &Value) -> Option<String> {
    let utc = TimeZone::UTC;
    let context = Context::new().with_clock(1_700_000_000_000, &utc);
    let context = if case.strict { context.strictly() } else { context };
    let is_refusal = matches!(case.wanted, Wanted::Refusal);
    let expression = match Expression::parse(&case.expression) {
        Ok(expression) => expression,
        Err(error) => return (!is_refusal).then(|| error.to_string()),
    };
    let found = match expression.evaluate(&context, Node::resource(value)) {
        Ok(found) => found,
        Err(error) => return (!is_refusal).then(|| error.to_string()),
    };
    let mut found: Vec<(String, String)> = found.iter().map(|item| (kind(item), shown(item))).collect();
    let wanted = match &case.wanted {
        Wanted::Refusal => return Some(String::from("it should be refused")),
        Wanted::Truth(wanted) => {
            let truth = expression.holds(&context, Node::resource(value)).map(|truth| truth.to_string());
            return (truth.as_ref() != Ok(wanted)).then(|| format!("{truth:?}"));
        }
        Wanted::Items(wanted) => wanted.clone(),
        Wanted::Unordered(wanted) => {
            found.sort_by(|left, right| left.1.cmp(&right.1));
            let mut wanted = wanted.clone();
            wanted.sort_by(|left, right| left.1.cmp(&right.1));
            wanted
        }
    };
    let alike = found.len() == wanted.len()
        && found.iter().zip(&wanted).all(|((kind, text), (wanted_kind, wanted))| {
            wanted_kind.as_ref().is_none_or(|wanted| wanted == kind) && text == wanted
        });
    (!alike).then(|| format!("{found:?}, wanted {wanted:?}"))
}

#[test]
fn the_official_suite_holds_but_for_the_listed_cases() {
    let Some(folder) = folder() else {
        println!("the folder of the official FHIRPath suite is not here: its cases were not run");
        return;
    };
    let mut reasons: BTreeMap<&str, &str> = DEVIATIONS.lines().filter_map(|line| line.split_once(": ")).collect();
    let cases = cases(&fs::read_to_string(folder.join("tests-fhir-r4.xml")).unwrap());
    let (mut passed, mut surprises) = (0, Vec::new());
    for case in &cases {
        let fault = match input(&folder, &case.input) {
            Some(value) => fault(case, &value),
            None => Some(format!("there is no {}", case.input)),
        };
        match (fault, reasons.remove(case.name.as_str())) {
            (None, None) => passed += 1,
            (Some(_), Some(_)) => {}
            (None, Some(_)) => surprises.push(format!("{} is listed but passes", case.name)),
            (Some(fault), None) => surprises.push(format!("{}: {} → {fault}", case.name, case.expression.trim())),
        }
    }
    println!("{passed} of {} official cases pass", cases.len());
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    assert!(passed * 100 >= cases.len() * 95);
}
