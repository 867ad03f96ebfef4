//! Patients of Synthea live a simulated year: their records of before are learned, what happens in the year is told as it happens, and what
//! they are ordered is handed over every month. Nothing is said twice, nothing is decided without a reason.
//!
//! The data is not part of the repository. It is looked for in the folder that the variable SIGNA_DATA names, or beside the repository in
//! `../shared/data`; where it is absent the test says so and nothing is proven by it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it saw")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use signa::clock::Clock;
use signa::ledger::{How, Outcome};
use signa::react::rehearsal::Rehearsal;
use signa::react::{Rules, Settings, Store, Unasked, shipped};

const DAY_MS: i64 = 86_400_000;

/// The year.
fn year() -> (i64, i64) {
    let midnight = |day: jiff::civil::Date| day.to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond();
    (midnight(date(2019, 1, 1)), midnight(date(2020, 1, 1)))
}

fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let found = std::env::var_os("SIGNA_DATA").map_or_else(beside, PathBuf::from);
    if !found.is_dir() {
        println!("not tried: {} is absent", found.display());
        return None;
    }
    Some(found)
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// The resources of each patient, by the patient's id.
fn patients(data: &Path) -> HashMap<String, Vec<Value>> {
    let mut found: HashMap<String, Vec<Value>> = HashMap::new();
    let mut paths: Vec<PathBuf> =
        fs::read_dir(data.join("synthea-patients")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let bundle: Value = serde_json::from_str(&unpacked(&path)).unwrap();
        let resources: Vec<Value> = bundle["entry"].as_array().unwrap().iter().map(|entry| entry["resource"].clone()).collect();
        let patient = resources.iter().find(|one| one["resourceType"] == "Patient").unwrap();
        found.insert(patient["id"].as_str().unwrap().to_owned(), resources);
    }
    for kind in ["Patient", "AllergyIntolerance", "Condition", "DiagnosticReport", "Immunization", "MedicationRequest"] {
        for line in unpacked(&data.join(format!("synthea-scale/{kind}.ndjson.gz"))).lines() {
            let resource: Value = serde_json::from_str(line).unwrap();
            let subject = resource["subject"]["reference"].as_str().or(resource["patient"]["reference"].as_str());
            let id = if kind == "Patient" {
                resource["id"].as_str()
            } else {
                subject.and_then(|subject| subject.rsplit(['/', ':']).next())
            };
            found.entry(id.unwrap().to_owned()).or_default().push(resource);
        }
    }
    found.retain(|_, resources| resources.iter().any(|one| one["resourceType"] == "Patient"));
    let all = || found.values().flatten();
    let named: HashMap<String, String> = all()
        .map(|one| (format!("urn:uuid:{}", text(one, "id")), format!("{}/{}", text(one, "resourceType"), text(one, "id"))))
        .collect();
    found.values_mut().flatten().for_each(|resource| rewrite(resource, &named));
    found
}

fn text<'a>(resource: &'a Value, name: &str) -> &'a str {
    resource[name].as_str().unwrap()
}

/// References within the files are to what they were sent with, as a transaction has them; they are rewritten as it does it.
fn rewrite(value: &mut Value, named: &HashMap<String, String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, named)),
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("reference")
                && let Some(own) = named.get(reference)
            {
                reference.clone_from(own);
            }
            members.values_mut().for_each(|member| rewrite(member, named));
        }
        _ => {}
    }
}

/// When a resource became known, as far as it says.
fn learned(resource: &Value) -> Option<i64> {
    let names = ["recordedDate", "authoredOn", "issued", "effectiveDateTime", "occurrenceDateTime", "onsetDateTime"];
    let written = names.iter().find_map(|name| resource[*name].as_str());
    let period = || resource["period"]["start"].as_str().or(resource["performedPeriod"]["start"].as_str());
    let written = written.or_else(period)?;
    written.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// A month's supply of an order, handed over on this day.
fn fill(order: &Value, number: i64, at: i64) -> Value {
    let id = format!("{}-{number}", order["id"].as_str().unwrap());
    json!({"resourceType": "MedicationDispense", "id": id, "status": "completed", "subject": order["subject"],
        "medicationCodeableConcept": order["medicationCodeableConcept"],
        "authorizingPrescription": [{"reference": format!("MedicationRequest/{}", order["id"].as_str().unwrap())}],
        "whenHandedOver": Timestamp::from_millisecond(at).unwrap().to_string(),
        "daysSupply": {"value": 30, "code": "d", "system": "http://unitsofmeasure.org"}})
}

/// What is told of one patient in the year, in order, after what was known before.
fn told(resources: &[Value]) -> (Vec<Value>, Vec<(i64, Value)>) {
    let (from, to) = year();
    let (mut before, mut within) = (Vec::new(), Vec::new());
    for resource in resources {
        if resource["resourceType"] == "Patient" {
            let died = resource["deceasedDateTime"].as_str().and_then(|died| died.parse::<Timestamp>().ok());
            let died = died.map(Timestamp::as_millisecond).filter(|died| *died >= from);
            let mut alive = resource.clone();
            if let Some(died) = died {
                alive.as_object_mut().unwrap().shift_remove("deceasedDateTime");
                within.push((died, resource.clone()));
            }
            before.push(alive);
            continue;
        }
        match learned(resource) {
            Some(at) if (from..to).contains(&at) => within.push((at, resource.clone())),
            Some(at) if at >= to => {}
            _ => before.push(resource.clone()),
        }
        if resource["resourceType"] == "MedicationRequest"
            && resource["status"] == "active"
            && resource.get("medicationCodeableConcept").is_some()
        {
            // Some are early and some are late, each time otherwise.
            let first = learned(resource).unwrap_or(from).max(from) + 9 * 3_600_000;
            let mut at = first;
            let mut number = 0;
            while at < to {
                within.push((at, fill(resource, number, at)));
                number += 1;
                at += (26 + (number * 7 + i64::try_from(resource["id"].as_str().unwrap().len()).unwrap()) % 12) * DAY_MS;
            }
        }
    }
    within.sort_by_key(|(at, _)| *at);
    (before, within)
}

// Every decision has its reason, no output comes twice, nobody is written to after their death or more than once a day.
#[test]
fn a_year_of_synthea_is_explained_and_says_nothing_twice() {
    let Some(data) = data() else { return };
    let (rules, _) = Rules::read(&shipped());
    let (from, to) = year();
    let clock = Clock::running();
    let patients = patients(&data);
    let (mut facts, mut messages, mut outputs) = (0_usize, 0_usize, BTreeSet::new());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let begun = clock.elapsed();
    for (id, resources) in &patients {
        let store = Store { organization: String::new(), zone: TimeZone::get("America/New_York").unwrap() };
        let settings = Settings { treatment: Unasked::Allowed, ..Settings::default() };
        let mut house = Rehearsal::new(&rules, settings, store, from);
        let (before, within) = told(resources);
        facts += before.len() + within.len();
        for resource in before {
            house.hear_from(resource, How::Import, "synthea");
        }
        assert!(house.journal.is_empty(), "{id}: something was decided on what was imported");
        let mut died = i64::MAX;
        for (at, resource) in within {
            house.advance(at);
            if resource["resourceType"] == "Patient" {
                died = at;
            }
            house.hear_from(resource, How::Live, "synthea");
        }
        house.advance(to);
        assert_eq!(house.faults, 0, "{id}");
        let mut last = i64::MIN;
        for decision in &house.journal {
            let is_said = decision.outcome == Outcome::Fired && decision.gate.is_empty();
            assert!(!decision.reason.is_empty() && !decision.rule.is_empty() && !decision.facts.is_empty(), "{id}: {decision:?}");
            assert!(decision.outcome == Outcome::Fired || !decision.gate.is_empty(), "{id}: {decision:?}");
            if is_said {
                assert!(outputs.insert((id.clone(), decision.output.clone())), "{id}: twice: {decision:?}");
                assert!(decision.at < died, "{id}: after their death: {decision:?}");
            }
            if is_said && decision.spoken {
                assert!(decision.at >= last + DAY_MS / 2, "{id}: too soon after another: {decision:?}");
                last = decision.at;
                messages += 1;
            }
            *counts.entry(format!("{} {}", decision.outcome.word(), decision.gate).trim_end().to_owned()).or_default() += 1;
        }
    }
    let seconds = clock.elapsed().saturating_sub(begun).as_secs_f64();
    let decided: usize = counts.values().sum();
    println!(
        "{} patients, {facts} facts, {decided} decisions, {messages} messages, in {seconds:.1} s: {counts:?}",
        patients.len()
    );
    assert!(patients.len() > 250 && messages > 200, "{} {messages}", patients.len());
}
