//! Codes can be listed, looked up, checked and translated, as far as they are on board.
//! Follows <https://hl7.org/fhir/R4/terminology-service.html>.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::With;
use crate::house::House;

const GENDER: &str = "http://hl7.org/fhir/ValueSet/administrative-gender";

fn codes(answer: &Answer) -> Vec<String> {
    let contains = answer.at("/expansion/contains").as_array().cloned().unwrap_or_default();
    contains.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

fn part(answer: &Answer, name: &str) -> Value {
    let all = answer.at("/parameter").as_array().cloned().unwrap_or_default();
    let one = all.iter().find(|one| one["name"] == name).cloned().unwrap_or_default();
    let value =
        one.as_object().and_then(|one| one.iter().find(|(key, _)| key.starts_with("value"))).map(|(_, value)| value.clone());
    value.unwrap_or_default()
}

// By address, by the standard's id, sent along; filtered, page by page; what is stored over REST counts at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_set_is_listed() {
    let house = House::new().await;
    let all = house.get(&format!("ValueSet/$expand?url={GENDER}")).await.is(200);
    assert_eq!(codes(&all), ["male", "female", "other", "unknown"]);
    assert_eq!((all.at("/expansion/total"), all.at("/expansion/contains/1/display")), (json!(4), json!("Female")));
    assert_eq!(
        codes(&house.get("ValueSet/administrative-gender/$expand?filter=male&count=1&offset=1").await.is(200)),
        ["female"]
    );
    let sent = json!({"resourceType": "ValueSet", "status": "active", "compose": {"include": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "filter": [{"property": "concept", "op": "is-a", "value": "_ActCoverageTypeCode"}]}]}});
    let told = house.ask("POST", "ValueSet/$expand").json(&sent).await.is(200);
    assert!(codes(&told).contains(&String::from("EHCPOL")), "{}", told.text);
    let mut stored = sent;
    stored["compose"] = json!({"include": [{"system": "urn:own", "concept": [{"code": "a", "display": "A"}]}, {"valueSet": [GENDER]}],
        "exclude": [{"system": "http://hl7.org/fhir/administrative-gender", "concept": [{"code": "other"}]}]});
    (stored["id"], stored["url"]) = ("own".into(), "urn:own:set".into());
    house.put(&stored).await.is(201);
    assert_eq!(codes(&house.get("ValueSet/$expand?url=urn:own:set").await.is(200)), ["a", "male", "female", "unknown"]);
    assert_eq!(codes(&house.get("ValueSet/own/$expand").await.is(200)).len(), 4);
    house.delete("ValueSet/own").await;
    house.get("ValueSet/$expand?url=urn:own:set").await.is(404);
}

// The value sets that the rules of this house rest on are on board, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_sets_of_our_own_mappings_are_on_board() {
    let house = House::new().await;
    let ours = "https://signa.example/fhir/ValueSet";
    let told = house.get(&format!("ValueSet/$expand?url={ours}/partial-fill")).await.is(200);
    assert!(!codes(&told).is_empty(), "{}", told.text);
    for (code, expected) in [("M81.0", true), ("I10", false)] {
        let asked =
            format!("ValueSet/$validate-code?url={ours}/osteoporosis&system=http://hl7.org/fhir/sid/icd-10-cm&code={code}");
        assert_eq!(part(&house.get(&asked).await.is(200), "result"), json!(expected), "{code}");
    }
}

// What cannot be listed says why: a whole terminology that is not on board, an address nobody knows, a question without one.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_listed_says_so() {
    let house = House::new().await;
    let snomed =
        json!({"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": "http://snomed.info/sct"}]}});
    let costly = house.ask("POST", "ValueSet/$expand").json(&snomed).await.is(422);
    assert_eq!(costly.at("/issue/0/code"), "too-costly");
    assert!(costly.text.contains("http://snomed.info/sct"));
    house.get("ValueSet/$expand?url=urn:nobody").await.is(404);
    house.get("ValueSet/$expand").await.is(400);
    house.get(&format!("ValueSet/$expand?url={GENDER}&count=x")).await.is(400);
    house.get("Patient/$expand").await.is(404);
}

// A code is of a set or not, by a code, a Coding or a concept; a wrong display is named; what cannot be known is not guessed.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_checked() {
    let house = House::new().await;
    let ask = |query: &str| format!("ValueSet/$validate-code?url={GENDER}&{query}");
    let right = house.get(&ask("system=http://hl7.org/fhir/administrative-gender&code=male")).await.is(200);
    assert_eq!((part(&right, "result"), part(&right, "display")), (json!(true), json!("Male")));
    assert_eq!(part(&house.get(&ask("code=lady")).await.is(200), "result"), json!(false));
    let named = house.get(&ask("code=male&display=Herr")).await.is(200);
    assert_eq!(part(&named, "result"), json!(false));
    assert!(part(&named, "message").as_str().unwrap().contains("Male"));
    let concept = json!({"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": GENDER}, {"name": "codeableConcept",
        "valueCodeableConcept": {"coding": [{"system": "urn:x", "code": "y"}, {"system": "http://hl7.org/fhir/administrative-gender", "code": "female"}]}}]});
    assert_eq!(part(&house.ask("POST", "ValueSet/$validate-code").json(&concept).await.is(200), "result"), json!(true));
    let system = "CodeSystem/$validate-code?url=http://hl7.org/fhir/administrative-gender&code=";
    assert_eq!(part(&house.get(&format!("{system}other")).await.is(200), "result"), json!(true));
    assert_eq!(part(&house.get(&format!("{system}lady")).await.is(200), "result"), json!(false));
    house.get("CodeSystem/$validate-code?url=http://snomed.info/sct&code=1").await.is(404);
    house.get(&format!("ValueSet/$validate-code?url={GENDER}")).await.is(400);
}

// A code is explained by its system; its place in the hierarchy is known.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_looked_up_and_compared() {
    let house = House::new().await;
    let marital = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus";
    let told = house.get(&format!("CodeSystem/$lookup?system={marital}&code=M")).await.is(200);
    assert_eq!((part(&told, "display"), part(&told, "name")), (json!("Married"), json!("v3.MaritalStatus")));
    house.get(&format!("CodeSystem/$lookup?system={marital}&code=nobody")).await.is(404);
    house.get("CodeSystem/$lookup?system=http://loinc.org&code=1-8").await.is(404);
    house.get("CodeSystem/$lookup?code=M").await.is(400);
    let own = json!({"resourceType": "CodeSystem", "id": "own", "url": "urn:own", "status": "active", "content": "complete", "name": "Own",
        "concept": [{"code": "a", "display": "A", "definition": "The first", "concept": [{"code": "b"}]}, {"code": "c"}]});
    house.put(&own).await.is(201);
    assert_eq!(part(&house.get("CodeSystem/$lookup?system=urn:own&code=a").await.is(200), "definition"), json!("The first"));
    for (one, other, expected) in
        [("a", "b", "subsumes"), ("b", "a", "subsumed-by"), ("a", "a", "equivalent"), ("b", "c", "not-subsumed")]
    {
        let told = house.get(&format!("CodeSystem/$subsumes?system=urn:own&codeA={one}&codeB={other}")).await.is(200);
        assert_eq!(part(&told, "outcome"), expected, "{one} {other}");
    }
    house.get("CodeSystem/$subsumes?system=urn:own&codeA=a&codeB=z").await.is(404);
    house.get("CodeSystem/$subsumes?codeA=a&codeB=b").await.is(400);
    // The system may be named by its id: its own, or that which R4 gives it.
    for (path, expected) in [
        ("CodeSystem/own/$subsumes?codeA=a&codeB=b", "subsumes"),
        ("CodeSystem/administrative-gender/$subsumes?codeA=male&codeB=other", "not-subsumed"),
    ] {
        assert_eq!(part(&house.get(path).await.is(200), "outcome"), expected, "{path}");
    }
    house.get("CodeSystem/none/$subsumes?codeA=a&codeB=b").await.is(404);
    // Equal letters of two systems are no equal codes; a version that is not here says nothing.
    let coding = |name: &str, system: &str| json!({"name": name, "valueCoding": {"system": system, "code": "a"}});
    let two = json!({"resourceType": "Parameters", "parameter": [coding("codingA", "urn:own"), coding("codingB", marital)]});
    house.ask("POST", "CodeSystem/$subsumes").json(&two).await.is(400);
    house.ask("POST", "CodeSystem/own/$subsumes").json(&two).await.is(400);
    house.get("CodeSystem/$subsumes?system=urn:own&version=9&codeA=a&codeB=b").await.is(404);
    // A system may say that capitals make no other code.
    for (path, text) in
        [("CodeSystem/$validate-code?url=urn:own&code=A", "result"), ("CodeSystem/$lookup?system=urn:own&code=B", "display")]
    {
        let before = house.get(path).await;
        assert!(before.status == 404 || part(&before, text) == json!(false), "{path}");
    }
    house.put(&own.with("caseSensitive", json!(false))).await.is(200);
    assert_eq!(part(&house.get("CodeSystem/$validate-code?url=urn:own&code=A").await.is(200), "result"), json!(true));
    assert_eq!(part(&house.get("CodeSystem/$lookup?system=urn:own&code=B").await.is(200), "display"), json!("b"));
    assert_eq!(
        part(&house.get("CodeSystem/$subsumes?system=urn:own&codeA=A&codeB=B").await.is(200), "outcome"),
        json!("subsumes")
    );
    let same = house.get("CodeSystem/$subsumes?system=urn:own&codeA=A&codeB=a").await.is(200);
    assert_eq!(part(&same, "outcome"), json!("equivalent"));
}

// What a system leaves out is not said as an empty text, and what lies above a code is a code.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_a_nameless_system_is_looked_up() {
    let house = House::new().await;
    let own = json!({"resourceType": "CodeSystem", "id": "own", "url": "urn:own", "status": "active", "content": "complete",
        "concept": [{"code": "a", "concept": [{"code": "b", "property": [{"code": "colour", "valueString": "red"}]}]}],
        "property": [{"code": "colour", "type": "string"}]});
    house.put(&own).await.is(201);
    let told = house.get("CodeSystem/$lookup?system=urn:own&code=b").await.is(200);
    assert_eq!((part(&told, "name"), part(&told, "display")), (json!("urn:own"), json!("b")));
    let properties: Vec<Value> =
        told.at("/parameter").as_array().unwrap().iter().filter(|one| one["name"] == "property").cloned().collect();
    assert_eq!(properties[0]["part"], json!([{"name": "code", "valueCode": "parent"}, {"name": "value", "valueCode": "a"}]));
    assert_eq!(properties[1]["part"], json!([{"name": "code", "valueCode": "colour"}, {"name": "value", "valueString": "red"}]));
    assert!(!told.text.contains("\"\""), "{}", told.text);
}

// A code is translated by the map that is named, or by all, there and back.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_translated() {
    let house = House::new().await;
    let ask = "ConceptMap/$translate?system=http://hl7.org/fhir/administrative-gender&code=male";
    let told = house.get(ask).await.is(200);
    assert_eq!(part(&told, "result"), json!(true), "{}", told.text);
    assert!(told.text.contains("v3-AdministrativeGender"), "{}", told.text);
    let back = house
        .get("ConceptMap/$translate?system=http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender&code=M&reverse=true")
        .await
        .is(200);
    assert!(back.text.contains("\"code\":\"male\""), "{}", back.text);
    let own = json!({"resourceType": "ConceptMap", "id": "own", "url": "urn:own:map", "status": "active", "group": [{"source": "urn:a",
        "target": "urn:b", "element": [{"code": "x", "target": [{"code": "y", "equivalence": "equal"}]}]}]});
    house.put(&own).await.is(201);
    for path in ["ConceptMap/own/$translate?system=urn:a&code=x", "ConceptMap/$translate?url=urn:own:map&system=urn:a&code=x"] {
        let told = house.get(path).await.is(200);
        assert_eq!(told.at("/parameter/1/part/1/valueCoding"), json!({"system": "urn:b", "code": "y"}));
    }
    assert_eq!(part(&house.get("ConceptMap/own/$translate?system=urn:a&code=z").await.is(200), "result"), json!(false));
    house.get("ConceptMap/$translate?url=urn:nobody&code=x").await.is(404);
    house.get("ConceptMap/$translate").await.is(400);
    // A code without its system may be anybody's.
    house.get("ConceptMap/$translate?code=male").await.is(400);
    house.get("ConceptMap/own/$translate?code=x").await.is(400);
}
