//! A profile is learned by storing its StructureDefinition, and from then on who claims it is held to it.
//! Follows <https://hl7.org/fhir/R4/profiling.html>.

use serde_json::{Value, json};

use crate::builders::{With, bundle, patient};
use crate::house::House;

const PROFILE: &str = "http://clinic.example/fhir/StructureDefinition/outpatient";
const COLOURS: &str = "http://clinic.example/fhir/ValueSet/colours";

/// Patients with a number of the clinic, and a marital status of its own value set.
fn outpatient(id: &str) -> Value {
    json!({"resourceType": "StructureDefinition", "id": id, "url": PROFILE, "name": "Outpatient", "status": "active",
        "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint", "fhirVersion": "4.0.1",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "snapshot": {"element": [
            element("Patient", 0, "*", &json!({})),
            element("Patient.identifier", 1, "*", &json!({"slicing": {"rules": "open", "discriminator": [{"type": "value", "path": "system"}]}})),
            json!({"id": "Patient.identifier:clinic", "path": "Patient.identifier", "sliceName": "clinic", "min": 1, "max": "1", "definition": "x",
                "base": {"path": "Patient.identifier", "min": 0, "max": "*"}, "type": [{"code": "Identifier"}]}),
            json!({"id": "Patient.identifier:clinic.system", "path": "Patient.identifier.system", "min": 1, "max": "1", "definition": "x",
                "base": {"path": "Identifier.system", "min": 0, "max": "1"}, "type": [{"code": "uri"}], "fixedUri": "urn:clinic"}),
            element("Patient.maritalStatus", 0, "1", &json!({"binding": {"strength": "required", "valueSet": COLOURS}}))]}})
}

fn element(path: &str, min: u32, max: &str, more: &Value) -> Value {
    let mut element = json!({"id": path, "path": path, "min": min, "max": max, "definition": "x",
        "base": {"path": path, "min": 0, "max": max}});
    element.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    element
}

fn colours() -> [Value; 2] {
    let system = json!({"resourceType": "CodeSystem", "id": "colours", "url": "urn:colours", "status": "active",
        "content": "complete", "concept": [{"code": "red", "display": "Red"}, {"code": "blue", "display": "Blue"}]});
    let set = json!({"resourceType": "ValueSet", "id": "colours", "url": COLOURS, "status": "active",
        "compose": {"include": [{"system": "urn:colours"}]}});
    [system, set]
}

fn claiming(id: &str, system: &str, colour: &str) -> Value {
    let marital = json!({"coding": [{"system": "urn:colours", "code": colour}]});
    patient(id)
        .with("meta", json!({"profile": [PROFILE]}))
        .with("identifier", json!([{"system": system, "value": id}]))
        .with("maritalStatus", marital)
}

// Before it is known nothing is refused; from the answer on that stored it, it holds, in whatever order its parts came, also
// after a restart, and no longer than it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_holds_from_when_it_is_stored_until_it_is_deleted() {
    let mut house = House::new().await;
    let unknown =
        house.ask("PUT", "Patient/a").header("Prefer", "return=OperationOutcome").json(&claiming("a", "urn:other", "x")).await;
    assert_eq!(unknown.is(201).at("/issue/0/severity"), "warning");
    house.put(&outpatient("outpatient")).await.is(201);
    let refused = house.put(&claiming("b", "urn:other", "red")).await.is(422);
    assert!(refused.text.contains(PROFILE), "{}", refused.text);
    // The value set is not known yet, so its codes cannot be held against anybody, which is said and is no reason.
    assert_eq!(refused.expressions(), ["Patient.identifier", "Patient.maritalStatus"]);
    assert_eq!((refused.at("/issue/0/severity"), refused.at("/issue/1/severity")), (json!("error"), json!("warning")));
    house.put(&claiming("c", "urn:clinic", "green")).await.is(201);
    for part in colours() {
        house.put(&part).await.is(201);
    }
    assert_eq!(house.put(&claiming("d", "urn:clinic", "green")).await.is(422).expressions(), ["Patient.maritalStatus"]);
    house.put(&claiming("d", "urn:clinic", "red")).await.is(201);
    house.restart().await;
    house.put(&claiming("e", "urn:other", "red")).await.is(422);
    assert_eq!(house.put(&claiming("e", "urn:clinic", "green")).await.is(422).expressions(), ["Patient.maritalStatus"]);
    house.put(&patient("f")).await.is(201);
    house.delete("StructureDefinition/outpatient").await;
    house.put(&claiming("e", "urn:other", "green")).await.is(201);
}

// One bad entry refuses a transaction as a whole and names its place; in a batch it refuses itself alone.
#[tokio::test(flavor = "multi_thread")]
async fn entries_of_bundles_are_held_to_what_they_claim() {
    let house = House::new().await;
    house.put(&outpatient("outpatient")).await.is(201);
    let entries =
        [("PUT", "Patient/a", claiming("a", "urn:clinic", "red")), ("PUT", "Patient/b", claiming("b", "urn:other", "red"))];
    let refused = house.bundle(&bundle("transaction", &entries)).await.is(422);
    assert_eq!(refused.expressions(), ["Bundle.entry[1].resource.identifier"]);
    assert_eq!(house.count("Patient").await, 0);
    let answer = house.bundle(&bundle("batch", &entries)).await.is(200);
    assert_eq!(answer.statuses().iter().map(|status| &status[..3]).collect::<Vec<_>>(), ["201", "422"]);
}

// $validate holds to a profile that is only asked for by name, and to none that nobody knows; nothing is stored.
#[tokio::test(flavor = "multi_thread")]
async fn validate_holds_to_the_profile_that_is_asked_for() {
    let house = House::new().await;
    house.put(&outpatient("outpatient")).await.is(201);
    let path = format!("Patient/$validate?profile={PROFILE}");
    let wrong =
        house.ask("POST", &path).json(&patient("x").with("identifier", json!([{"system": "urn:other", "value": "1"}]))).await;
    assert_eq!(wrong.is(200).expressions(), ["Patient.identifier"]);
    let right =
        house.ask("POST", &path).json(&patient("x").with("identifier", json!([{"system": "urn:clinic", "value": "1"}]))).await;
    assert_eq!(right.is(200).at("/issue/0/severity"), "information");
    let unknown = house.ask("POST", "Patient/$validate?profile=urn:nobody").json(&patient("x")).await.is(200);
    assert_eq!(
        (unknown.at("/issue/0/severity"), unknown.at("/issue/0/details/coding/0/code")),
        (json!("error"), json!("unknown-profile"))
    );
    assert_eq!(house.count("Patient").await, 0);
}

// What of a profile cannot be held is said, each thing once with a place, and refuses nobody: an invariant that cannot be read or has
// no answer here, and codes of a required set that is not on board.
#[tokio::test(flavor = "multi_thread")]
async fn validate_says_what_was_not_held() {
    let house = House::new().await;
    let constraint =
        |key: &str, expression: &str| json!({"key": key, "severity": "error", "human": "No.", "expression": expression});
    let unread = ["(((", "nosuchfunction()", "family.matches('(')", "family.memberOf('urn:x')"];
    let all: Vec<Value> = unread.iter().enumerate().map(|(at, text)| constraint(&format!("u-{at}"), text)).collect();
    let mut profile = outpatient("outpatient");
    let elements = profile["snapshot"]["element"].as_array_mut().unwrap();
    elements.push(element("Patient.name", 0, "*", &json!({"constraint": all})));
    elements.push(element("Patient.telecom", 0, "*", &json!({"constraint": [constraint("held", "value.exists()")]})));
    house.put(&profile).await.is(201);
    let names = json!([{"family": "a"}, {"family": "b"}]);
    let sent =
        claiming("a", "urn:clinic", "green").with("name", names).with("telecom", json!([{"system": "phone", "value": "1"}]));
    let told = house.ask("POST", "Patient/$validate").json(&sent).await.is(200);
    let issues = told.at("/issue").as_array().cloned().unwrap();
    assert!(
        issues.iter().all(|issue| ["warning", "information"].contains(&issue["severity"].as_str().unwrap())),
        "{}",
        told.text
    );
    let unheld = [vec!["Patient.maritalStatus"], vec!["Patient.name[0]"; unread.len()]].concat();
    let mut places = told.expressions();
    places.sort();
    assert_eq!(places, unheld, "{}", told.text);
    for word in ["u-0", "u-1", "u-2", "u-3", COLOURS, PROFILE] {
        assert!(told.text.contains(word), "{word}: {}", told.text);
    }
    house.put(&sent).await.is(201);
    for part in colours() {
        house.put(&part).await.is(201);
    }
    let known = house.ask("POST", "Patient/$validate").json(&claiming("a", "urn:clinic", "red").with("name", Value::Null)).await;
    assert_eq!((known.at("/issue/0/severity"), known.at("/issue/1")), (json!("information"), Value::Null), "{}", known.text);
}

// A vital sign that says so is held to R4's own profile, which nobody had to store.
#[tokio::test(flavor = "multi_thread")]
async fn the_profiles_of_the_standard_are_on_board() {
    let house = House::new().await;
    let vital = |category: &str| {
        json!({"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2026-05-01",
            "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/bodyweight"]},
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "valueQuantity": {"value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}})
    };
    house.post(&vital("vital-signs")).await.is(201);
    assert_eq!(house.post(&vital("laboratory")).await.is(422).expressions(), ["Observation.category"]);
    // The two parts of a blood pressure are told apart by what one of their codes is.
    let part = |code: &str| {
        json!({"code": {"coding": [{"system": "http://snomed.info/sct", "code": "1"}, {"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": 120, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}})
    };
    let pressure = |parts: [&str; 2]| {
        let mut pressure = vital("vital-signs");
        pressure.as_object_mut().unwrap().shift_remove("valueQuantity");
        pressure["meta"] = json!({"profile": ["http://hl7.org/fhir/StructureDefinition/bp"]});
        pressure["code"]["coding"][0]["code"] = json!("85354-9");
        pressure.with("component", json!(parts.map(part)))
    };
    house.post(&pressure(["8480-6", "8462-4"])).await.is(201);
    let lacking = house.post(&pressure(["8480-6", "8867-4"])).await.is(422);
    assert_eq!(lacking.expressions(), ["Observation.component"], "{}", lacking.text);
}

// Who claims to be another type than it is, is refused, and not taken at its word because R4 has no profile of that name.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_another_type_is_refused() {
    let house = House::new().await;
    let definition = |name: &str| format!("http://hl7.org/fhir/StructureDefinition/{name}");
    let claiming = |name: &str| patient("a").with("meta", json!({"profile": [definition(name)]}));
    for other in ["Observation", "Quantity", "Observation|4.0.1"] {
        let refused = house.put(&claiming(other)).await.is(422);
        assert_eq!(refused.at("/issue/0/details/coding/0/code"), "profile-type", "{other}");
        let path = format!("Patient/$validate?profile={}", definition(other));
        let tried = house.ask("POST", &path).json(&patient("a")).await.is(200);
        assert_eq!(tried.at("/issue/0/severity"), "error", "{other}");
    }
    for own in ["Patient", "Patient|4.0.1", "DomainResource", "Resource"] {
        house.put(&claiming(own)).await.is(if own == "Patient" { 201 } else { 200 });
        let path = format!("Patient/$validate?profile={}", definition(own));
        assert_eq!(house.ask("POST", &path).json(&patient("a")).await.is(200).at("/issue/0/severity"), "information", "{own}");
    }
}
