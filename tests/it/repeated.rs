//! What may be given once and is given twice is refused: whichever of the two were heard, the other would be passed over in silence.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, With, patient};
use crate::house::House;

const GENDER: &str = "http://hl7.org/fhir/administrative-gender";
const GENDERS: &str = "http://hl7.org/fhir/ValueSet/administrative-gender";

fn parameters(list: &Value) -> Value {
    json!({"resourceType": "Parameters", "parameter": list})
}

// In the address, in the body, or once in each.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_parameter_is_given_once() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for (asked, name) in [
        (format!("CodeSystem/$subsumes?system={GENDER}&codeA=male&codeA=female&codeB=male"), "codeA"),
        (format!("CodeSystem/$subsumes?system={GENDER}&system={GENDER}&codeA=male&codeB=male"), "system"),
        (format!("CodeSystem/$lookup?system={GENDER}&code=male&code=female"), "code"),
        (format!("ValueSet/$expand?url={GENDERS}&url={GENDERS}"), "url"),
        (format!("ValueSet/$expand?url={GENDERS}&count=1&count=2"), "count"),
        (format!("ValueSet/$validate-code?url={GENDERS}&system={GENDER}&code=male&code=lady"), "code"),
        (format!("ConceptMap/$translate?system={GENDER}&code=male&code=female"), "code"),
    ] {
        let told = house.get(&asked).await.is(400);
        assert_eq!(told.expressions(), [format!("http.{name}")], "{asked}");
    }
    let coding = json!({"name": "coding", "valueCoding": {"system": GENDER, "code": "male"}});
    let url = json!({"name": "url", "valueUri": GENDERS});
    let sent = parameters(&json!([url, coding, coding]));
    assert_eq!(house.ask("POST", "ValueSet/$validate-code").json(&sent).await.is(400).expressions(), ["http.coding"]);
    let both = format!("ValueSet/$validate-code?url={GENDERS}");
    assert_eq!(house.ask("POST", &both).json(&parameters(&json!([url, coding]))).await.is(400).expressions(), ["http.url"]);
    house.ask("POST", &both).json(&parameters(&json!([coding]))).await.is(200);
    let person = json!({"name": "resource", "resource": {"resourceType": "Patient", "birthDate": "1961-04-12"}});
    house.ask("POST", "Patient/$match").json(&parameters(&json!([person]))).await.is(200);
    let told = house.ask("POST", "Patient/$match").json(&parameters(&json!([person, person]))).await.is(400);
    assert_eq!(told.expressions(), ["http.resource"]);
    let person = || patient("bob");
    let resource = || json!({"name": "resource", "resource": person()});
    let mode = json!({"name": "mode", "valueCode": "create"});
    let profile = json!({"name": "profile", "valueUri": "http://hl7.org/fhir/StructureDefinition/Patient"});
    for (list, name) in [
        (json!([resource(), mode, mode]), "mode"),
        (json!([resource(), profile, profile]), "profile"),
        (json!([resource(), resource()]), "resource"),
    ] {
        let told = house.ask("POST", "Patient/$validate").json(&parameters(&list)).await.is(400);
        assert_eq!(told.expressions(), [format!("http.{name}")]);
    }
    for query in ["mode=create&mode=update", "mode=create&mode=create"] {
        let told = house.ask("POST", &format!("Patient/$validate?{query}")).json(&person()).await.is(400);
        assert_eq!(told.expressions(), ["http.mode"]);
    }
    let both = house.ask("POST", "Patient/$validate?mode=create").json(&parameters(&json!([resource(), mode]))).await;
    assert_eq!(both.is(400).expressions(), ["http.mode"]);
    house.ask("POST", "Patient/$validate").json(&parameters(&json!([resource(), mode, profile]))).await.is(200);
    let meta = |code: &str| json!({"name": "meta", "valueMeta": {"tag": [{"code": code}]}});
    let told = house.ask("POST", "Patient/ada/$meta-add").json(&parameters(&json!([meta("a"), meta("b")]))).await.is(400);
    assert_eq!(told.expressions(), ["http.meta"]);
    assert_eq!(house.get("Patient/ada").await.version(), "1");
}

// What the definition of the operation lets repeat is heard as often as it is given.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_repeat_is_taken() {
    let house = House::new().await;
    house.get(&format!("CodeSystem/$lookup?system={GENDER}&code=male&property=display&property=definition")).await.is(200);
    house
        .get(&format!("ValueSet/$expand?url={GENDERS}&designation=a&designation=b&exclude-system=urn:a&exclude-system=urn:b"))
        .await
        .is(200);
    let system = |id: &str| json!({"resourceType": "CodeSystem", "id": id, "status": "active", "content": "not-present"});
    let sent = parameters(&json!([
        {"name": "url", "valueUri": GENDERS},
        {"name": "tx-resource", "resource": system("a")},
        {"name": "tx-resource", "resource": system("b")},
        {"name": "useSupplement", "valueCanonical": "urn:a"},
        {"name": "useSupplement", "valueCanonical": "urn:b"},
    ]));
    let told = house.ask("POST", "ValueSet/$expand").json(&sent).await.is(200);
    assert_eq!(told.at("/expansion/total"), 4);
    house.get("Patient/$everything?_type=Patient&_type=Task").await.is(200);
}

// Two conditions of a create are none that can be kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_has_one_condition() {
    let house = House::new().await;
    let by = |value: &str| format!("identifier={MEMBERS}|{value}");
    let new = patient("ada").with("id", Value::Null);
    let ask = || house.ask("POST", "Patient").header("If-None-Exist", &by("ada"));
    ask().json(&new).await.is(201);
    assert!(ask().header("If-None-Exist", &by("bob")).json(&new).await.is(400).text.contains("invalid-if-none-exist"));
    assert_eq!(house.count("Patient").await, 1);
}
