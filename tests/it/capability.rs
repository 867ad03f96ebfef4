//! The CapabilityStatement says what is really served. Follows <https://hl7.org/fhir/R4/capabilitystatement.html>.

use serde_json::{Value, json};

use crate::builders::{patient, task};
use crate::golden::golden;
use crate::house::House;

// It names the version, the format and only types that exist; what it advertises of a type is answered.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_advertised_is_served() {
    let house = House::new().await;
    let said = house.get("metadata").await.is(200);
    assert_eq!(
        (said.at("/resourceType"), said.at("/fhirVersion"), said.at("/kind")),
        (json!("CapabilityStatement"), json!("4.0.1"), json!("instance"))
    );
    let types = said.at("/rest/0/resource").as_array().cloned().unwrap();
    assert!(types.len() > 100, "{}", types.len());
    let patients = types.iter().find(|kind| kind["type"] == "Patient").unwrap();
    for include in ["Provenance:target", "Observation:subject"] {
        assert!(patients["searchRevInclude"].as_array().unwrap().contains(&json!(include)), "{include}");
        let search = format!("Patient?_revinclude={include}");
        house.ask("GET", &search).header("Prefer", "handling=strict").send().await.is(200);
    }
    let compartments = said.at("/rest/0/compartment");
    assert!(compartments.as_array().unwrap().contains(&json!("http://hl7.org/fhir/CompartmentDefinition/patient")));
    house.put(&patient("ada")).await.is(201);
    house.put(&task("t", "ada", "store-1")).await.is(201);
    let mut unserved = Vec::new();
    for kind in types {
        let name = kind["type"].as_str().unwrap();
        for parameter in kind["searchParam"].as_array().cloned().unwrap_or_default() {
            let code = parameter["name"].as_str().unwrap();
            // What a composite takes is said by its definition alone: its components are tried by a story of their own.
            if parameter["type"] == "composite" {
                continue;
            }
            let search = format!("{name}?{code}={}", value_of(&parameter));
            let answer = house.ask("GET", &search).header("Prefer", "handling=strict").send().await;
            if answer.status != 200 {
                unserved.push(format!("{search}: {} {}", answer.status, answer.text));
            }
        }
    }
    assert!(
        unserved.is_empty(),
        "{} searches are advertised and not served:\n{}",
        unserved.len(),
        unserved[..unserved.len().min(10)].join("\n")
    );
}

// The whole surface in one file: any change of it is seen in review. A type is one line.
#[tokio::test(flavor = "multi_thread")]
async fn the_surface_is_as_written() {
    let house = House::new().await;
    let mut said: Value = serde_json::from_str(&house.stable(&house.get("metadata").await.is(200).text)).unwrap();
    let mut types = serde_json::Map::new();
    for kind in said["rest"][0]["resource"].as_array().cloned().unwrap() {
        let words = |list: &str, name: &str| {
            let members = kind[list].as_array().cloned().unwrap_or_default();
            members.iter().map(|member| member[name].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        let line =
            format!("{} | {} | {}", words("interaction", "code"), words("searchParam", "name"), words("operation", "name"));
        types.insert(kind["type"].as_str().unwrap().to_owned(), json!(line));
    }
    said["rest"][0]["resource"] = Value::Object(types);
    golden("capability.json", &said);
}

/// A value of the parameter's type.
fn value_of(parameter: &Value) -> &'static str {
    match parameter["type"].as_str().unwrap() {
        "date" => "2026-06-01",
        "number" => "1",
        "quantity" => "1.5",
        "uri" => "https://signa.example/fhir",
        _ => "ada",
    }
}
