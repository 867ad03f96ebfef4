//! What each kind of parameter sees of small resources, and that the table holds all of R4.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::table::Plan;
use super::{
    Amount, COMPARTMENTS, NONE, Parameter, Value, coarse, code_range, compartment, extract, identifier_reference, parameter,
    parameters, token, unsupported, within,
};
use crate::fhir::definitions;
use crate::fhir::path::Expression;

const UCUM: &str = "http://unitsofmeasure.org";

fn of<'p>(kind: &str, code: &str) -> &'p Parameter {
    parameter(kind, code).unwrap_or_else(|| panic!("{kind} has no {code}"))
}

/// What a parameter sees of a resource.
fn seen(resource: &Json, code: &str) -> Vec<Value> {
    let kind = resource["resourceType"].as_str().unwrap();
    let number = of(kind, code).number;
    extract(kind, resource).into_iter().filter(|row| row.parameter == number).map(|row| row.value).collect()
}

fn words(resource: &Json, code: &str) -> Vec<String> {
    let word = |value| match value {
        Value::Word(word) => word,
        other => panic!("{other:?} is no word"),
    };
    seen(resource, code).into_iter().map(word).collect()
}

fn spans(resource: &Json, code: &str) -> Vec<(i64, i64)> {
    let span = |value| match value {
        Value::Span { low, high } => (low, high),
        other => panic!("{other:?} is no span"),
    };
    seen(resource, code).into_iter().map(span).collect()
}

fn amounts(resource: &Json, code: &str) -> Vec<(i64, i64, String)> {
    let amount = |value| match value {
        Value::Amount(Amount { low, high, unit }) => (coarse(low), coarse(high), unit),
        other => panic!("{other:?} is no amount"),
    };
    seen(resource, code).into_iter().map(amount).collect()
}

#[test]
fn every_parameter_has_a_number_of_its_own() {
    let mut known = HashMap::new();
    for kind in definitions::resource_names() {
        for parameter in parameters(kind) {
            let other = known.insert(parameter.number, (kind, parameter.code));
            assert_eq!(other, None, "{kind}.{} has the number of another", parameter.code);
            assert!(parameter.number <= 0x7fff_ffff);
        }
    }
    assert_eq!(known.len(), 3168);
    // The numbers are keys of stored rows: they may never change.
    assert_eq!([of("Patient", "identifier").number, of("Task", "_tag").number], [1_334_145_947, 669_170_454]);
}

#[test]
fn only_these_parameters_cannot_be_searched_by() {
    let all: Vec<String> = unsupported().iter().map(|(kind, code)| format!("{kind}.{code}")).collect();
    let expected = [
        "Location.near",
        "Patient.age",
        "Patient.birthOrderBoolean",
        "Resource._content",
        "Resource._filter",
        "Resource._query",
        "Resource._text",
    ];
    assert_eq!(all, expected);
    for code in ["_id", "_lastUpdated"] {
        assert!(of("Task", code).supported && of("Task", code).is_column);
    }
    assert!(parameter("Task", "banana").is_none());
    assert!(parameters("Banana").is_empty());
    assert!(extract("Banana", &json!({})).is_empty());
}

/// A token that every resource of the type must have leaves a mark where it is missing; others leave nothing.
#[test]
fn what_must_be_there_is_marked_where_it_is_not() {
    let unsaid = json!({"resourceType": "Observation", "_status": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}});
    assert_eq!(words(&unsaid, "status"), [NONE]);
    assert_eq!(words(&unsaid, "code"), [NONE]);
    assert_eq!(words(&unsaid, "category"), Vec::<String>::new());
    let said = json!({"resourceType": "Observation", "status": "final"});
    assert_eq!(words(&said, "status"), [token("", "final")]);
    assert!(of("Observation", "status").values(&unsaid).is_empty());
    for (kind, code, is_required) in [
        ("Task", "status", true),
        ("Encounter", "class", true),
        ("Condition", "clinical-status", false),
        ("Patient", "gender", false),
        ("Observation", "combo-code", true),
        ("Observation", "subject", false),
        ("Patient", "link", false),
    ] {
        assert_eq!(of(kind, code).is_required, is_required, "{kind}.{code}");
    }
}

#[test]
fn tokens_carry_their_system() {
    let patient = json!({"resourceType": "Patient", "gender": "female", "active": true, "deceasedDateTime": "2024-01-01",
        "identifier": [{"system": "urn:mrn", "value": "1"}, {"value": "2"}, {"system": "urn:mrn"}, {"system": "urn:mrn", "value": "1"}],
        "telecom": [{"system": "phone", "value": "555", "use": "home"}, {"system": "email", "value": "a@b.c"}],
        "meta": {"tag": [{"system": "urn:t", "code": "x"}], "security": [{"code": "R"}], "source": "urn:s", "profile": ["urn:p|1"]}});
    assert_eq!(words(&patient, "identifier"), [token("urn:mrn", "1"), token("", "2")]);
    assert_eq!(words(&patient, "gender"), [token("", "female")]);
    assert_eq!(words(&patient, "active"), [token("", "true")]);
    assert_eq!(words(&patient, "deceased"), [token("", "true")]);
    assert_eq!(words(&patient, "phone"), [token("home", "555")]);
    assert_eq!(words(&patient, "email"), [token("", "a@b.c")]);
    assert_eq!(words(&patient, "telecom"), [token("home", "555"), token("", "a@b.c")]);
    assert_eq!(words(&patient, "_tag"), [token("urn:t", "x")]);
    assert_eq!(words(&patient, "_security"), [token("", "R")]);
    assert_eq!(words(&patient, "_source"), ["urn:s"]);
    assert_eq!(words(&patient, "_profile"), ["urn:p|1"]);
    assert!(of("Patient", "gender").is_systemless && !of("Patient", "identifier").is_systemless);
    let living = json!({"resourceType": "Patient", "deceasedBoolean": false});
    assert_eq!(words(&living, "deceased"), [token("", "false")]);
    assert_eq!(words(&json!({"resourceType": "Patient"}), "deceased"), [token("", "false")]);
    let dispense = json!({"resourceType": "MedicationDispense", "status": "completed", "medicationCodeableConcept":
        {"coding": [{"system": "urn:rx", "code": "1"}, {"system": "urn:atc", "code": "2"}], "text": "tea"}});
    assert_eq!(words(&dispense, "code"), [token("urn:rx", "1"), token("urn:atc", "2")]);
    let (low, high) = code_range("1");
    assert!(words(&dispense, "code").iter().any(|word| (&low..&high).contains(&word)));
    assert!(words(&dispense, "medication").is_empty());
}

#[test]
fn references_lose_their_version_and_share_rows() {
    let dispense = json!({"resourceType": "MedicationDispense", "medicationReference": {"reference": "#inside"},
        "subject": {"reference": "Patient/1/_history/3", "identifier": {"system": "urn:mrn", "value": "9"}},
        "authorizingPrescription": [{"reference": "http://elsewhere/MedicationRequest/2"}, {"display": "on paper"}]});
    assert_eq!(words(&dispense, "subject"), [String::from("Patient/1"), identifier_reference("urn:mrn", "9")]);
    assert_eq!(words(&dispense, "prescription"), ["http://elsewhere/MedicationRequest/2"]);
    assert!(words(&dispense, "patient").is_empty());
    assert!(words(&dispense, "medication").is_empty());
    assert_eq!(of("MedicationDispense", "patient").alias_of, Some(of("MedicationDispense", "subject").number));
    assert_eq!(of("MedicationDispense", "patient").targets, ["Patient"]);
    assert_eq!(of("Appointment", "practitioner").alias_of, Some(of("Appointment", "actor").number));
    let audit = json!({"resourceType": "AuditEvent", "agent": [{"who": {"reference": "Patient/1"}}, {"who": {"reference": "Device/1"}}],
        "entity": [{"what": {"reference": "Patient/2"}}]});
    assert_eq!(words(&audit, "patient"), ["Patient/1", "Patient/2"]);
    let bundle = json!({"resourceType": "Bundle", "type": "document", "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}]});
    assert_eq!(words(&bundle, "composition"), ["Composition/c"]);
    let plan = json!({"resourceType": "PlanDefinition", "library": ["http://x/Library/a|1"],
        "relatedArtifact": [{"type": "depends-on", "resource": "http://x/b"}, {"type": "successor", "resource": "http://x/c"}]});
    let all = words(&plan, "depends-on");
    assert_eq!(all, ["http://x/b", "http://x/Library/a", "http://x/Library/a|1"]);
}

#[test]
fn strings_are_split_into_their_parts() {
    let patient = json!({"resourceType": "Patient",
        "name": [{"family": "Nuñez", "given": ["Ann", "MARÍA"], "text": "Ann María Nuñez"}, {"family": "NUNEZ"}],
        "address": [{"line": ["1 High St"], "city": "Leeds", "postalCode": "LS1"}]});
    assert_eq!(words(&patient, "family"), ["nunez"]);
    assert_eq!(words(&patient, "given"), ["ann", "maria"]);
    assert_eq!(words(&patient, "name"), ["nunez", "ann", "maria", "ann maria nunez"]);
    assert_eq!(words(&patient, "address"), ["1 high st", "leeds", "ls1"]);
    assert_eq!(words(&patient, "address-city"), ["leeds"]);
    let observation = json!({"resourceType": "Observation", "valueCodeableConcept": {"text": "Very high"}});
    assert_eq!(words(&observation, "value-string"), ["very high"]);
}

#[test]
fn dates_are_stretches_of_time() {
    let day = 86_400_000;
    let patient = json!({"resourceType": "Patient", "birthDate": "1970-01-02"});
    assert_eq!(spans(&patient, "birthdate"), [(day, 2 * day)]);
    let period = |value: Json| json!({"resourceType": "Encounter", "period": value});
    assert_eq!(spans(&period(json!({"start": "1970-01-02"})), "date"), [(day, i64::MAX)]);
    assert_eq!(spans(&period(json!({"end": "1970-01-02"})), "date"), [(i64::MIN, 2 * day)]);
    assert_eq!(spans(&period(json!({})), "date"), []);
    assert_eq!(spans(&period(json!({"start": "soon"})), "date"), []);
    let observation = json!({"resourceType": "Observation", "effectiveDateTime": "1970-01-02T08:00:00+08:00"});
    assert_eq!(spans(&observation, "date"), [(day, day + 1000)]);
    let timing = json!({"resourceType": "Observation", "effectiveTiming": {"event": ["1970-01-03", "1970-01-02"]}});
    assert_eq!(spans(&timing, "date"), [(day, 3 * day)]);
    let onset = json!({"resourceType": "Condition", "onsetPeriod": {"start": "1970-01-02", "end": "1970-01-02"}});
    assert_eq!(spans(&onset, "onset-date"), [(day, 2 * day)]);
}

#[test]
fn amounts_sort_and_carry_their_unit() {
    let value = |quantity: Json| json!({"resourceType": "Observation", "valueQuantity": quantity});
    let weight = value(json!({"value": 5.40, "unit": "mg", "code": "mg", "system": UCUM}));
    assert_eq!(amounts(&weight, "value-quantity"), [(5_400_000, 5_400_000, token(UCUM, "mg"))]);
    let pounds = value(json!({"value": -2, "unit": "lbs", "code": "[lb_av]", "system": UCUM}));
    let expected = [(-2_000_000, -2_000_000, token(UCUM, "[lb_av]")), (-2_000_000, -2_000_000, token("", "lbs"))];
    assert_eq!(amounts(&pounds, "value-quantity"), expected);
    let below = value(json!({"value": 1, "comparator": "<"}));
    assert_eq!(amounts(&below, "value-quantity"), [(i64::MIN, 1_000_000, token("", ""))]);
    let risk = json!({"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 0.25}]});
    assert_eq!(amounts(&risk, "probability"), [(250_000, 250_000, String::new())]);
    let invoice = json!({"resourceType": "Invoice", "totalGross": {"value": 12.5, "currency": "EUR"}});
    assert_eq!(amounts(&invoice, "totalgross"), [(12_500_000, 12_500_000, token("urn:iso:std:iso:4217", "EUR"))]);
    let age = json!({"resourceType": "Condition", "onsetRange": {"low": {"value": 10, "code": "a", "system": UCUM}}});
    assert_eq!(amounts(&age, "onset-age"), [(10_000_000, i64::MAX, token(UCUM, "a"))]);
}

#[test]
fn compartments_name_their_parameters() {
    assert_eq!(compartment("Patient", "Task"), ["patient", "focus"]);
    assert_eq!(compartment("Patient", "MedicationDispense"), ["subject", "patient", "receiver"]);
    assert_eq!(compartment("Patient", "Communication"), ["subject", "sender", "recipient"]);
    assert_eq!(compartment("Encounter", "Encounter"), ["{def}"]);
    assert!(compartment("Patient", "Subscription").is_empty());
    assert!(compartment("Banana", "Task").is_empty());
    for kind in definitions::resource_names() {
        for of in ["Patient", "Practitioner", "Encounter", "Device", "RelatedPerson"] {
            for code in compartment(of, kind).iter().filter(|code| **code != "{def}") {
                assert!(parameter(kind, code).is_some(), "{kind} has no {code}");
            }
        }
    }
}

/// The folder of real input, named by the environment or beside the repository.
fn examples() -> Option<PathBuf> {
    let named = std::env::var_os("SIGNA_DATA").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    named.into_iter().chain([beside]).map(|folder| folder.join("fhir-r4-examples")).find(|folder| folder.is_dir())
}

#[test]
fn the_official_examples_give_rows() {
    let Some(folder) = examples() else {
        println!("the folder of the official examples is not here: they were not searched");
        return;
    };
    let (mut resources, mut rows) = (0, 0);
    for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        let mut text = String::new();
        if file.extension().is_some_and(|extension| extension == "gz") {
            flate2::read::GzDecoder::new(fs::File::open(&file).unwrap()).read_to_string(&mut text).unwrap();
        } else {
            text = fs::read_to_string(&file).unwrap();
        }
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let resource: Json = serde_json::from_str(line).unwrap();
            let found = extract(resource["resourceType"].as_str().unwrap(), &resource);
            resources += 1;
            rows += found.len();
        }
    }
    println!("{resources} examples give {rows} rows");
    assert!(rows > resources * 5);
}

/// The plain routes and the engine must see the same: each judges the other.
#[test]
fn routes_and_engine_agree_on_the_official_examples() {
    let Some(folder) = examples() else { return };
    let context = crate::fhir::path::Context::new().guessing_targets();
    for kind in
        ["Patient", "Observation", "Condition", "MedicationRequest", "Encounter", "AuditEvent", "PlanDefinition", "Provenance"]
    {
        let Ok(text) = fs::read_to_string(folder.join(format!("{kind}.ndjson"))) else { continue };
        for line in text.lines() {
            let resource: Json = serde_json::from_str(line).unwrap();
            for parameter in parameters(kind) {
                let Plan::Routes(routes) = &parameter.plan else { continue };
                let mut plain = Vec::new();
                for (route, _) in routes {
                    route.each(&resource, &mut |value| plain.push(value.clone()));
                }
                let Some(text) = parameter.expression else { continue };
                let expression = Expression::parse(text).unwrap();
                // `as` asks the engine for one item; the routes, like the standard's own parameters, take each of a list.
                let Ok(found) = expression.evaluate(&context, &resource) else { continue };
                let mut found: Vec<Json> = found.iter().map(crate::fhir::path::Item::to_value).collect();
                // An extension stands for its value.
                found.retain(|value| !value.is_null());
                plain.dedup();
                found.dedup();
                assert_eq!(plain.len(), found.len(), "{kind}.{}: {text}", parameter.code);
            }
        }
    }
}

/// Every type that belongs to a compartment can be searched in it: what has no criterion there would be refused.
#[test]
fn every_member_of_a_compartment_is_found_by_something() {
    for of in COMPARTMENTS {
        for kind in crate::fhir::definitions::resource_names() {
            let is_member = !compartment(of, kind).is_empty();
            assert!(!is_member || within(of, "1", kind).is_some(), "{of}/1/{kind}");
        }
    }
}
