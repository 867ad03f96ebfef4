//! Who a patient may be: by what is sent of them, and by an identifier of another house.
//! Follows <https://hl7.org/fhir/R4/patient-operation-match.html> and <https://profiles.ihe.net/ITI/PIXm/ITI-83.html>.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{MEMBERS, With, patient};
use crate::house::House;

fn person(id: &str, family: &str, given: &str, born: &str) -> Value {
    patient(id).with("name", json!([{"family": family, "given": [given]}])).with("birthDate", born)
}

/// Twins with one address and telephone, and a stranger.
async fn with_twins() -> House {
    let house = House::new().await;
    let phone = json!([{"system": "phone", "value": "+1 212 555 7777"}]);
    house.put(&person("anna", "Twin", "Anna", "1990-05-05").with("telecom", phone.clone())).await.is(201);
    house.put(&person("bella", "Twin", "Bella", "1990-05-05").with("telecom", phone)).await.is(201);
    house.put(&person("carl", "Other", "Carl", "1955-01-02").with("gender", "male")).await.is(201);
    house
}

async fn matched(house: &House, patient: &Value, more: &[(&str, Value)]) -> Answer {
    let mut parameter = vec![json!({"name": "resource", "resource": patient})];
    parameter.extend(more.iter().map(|(name, value)| {
        let member = if value.is_boolean() { "valueBoolean" } else { "valueInteger" };
        json!({"name": name, member: value})
    }));
    let sent = json!({"resourceType": "Parameters", "parameter": parameter});
    house.ask("POST", "Patient/$match").json(&sent).await
}

/// Id, grade and score of every entry.
fn grades(told: &Answer) -> Vec<(String, String, f64)> {
    let entries = told.at("/entry").as_array().cloned().unwrap_or_default();
    let grade = |entry: &Value| {
        let search = &entry["search"];
        assert_eq!(search["extension"][0]["url"], "http://hl7.org/fhir/StructureDefinition/match-grade");
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        (word(&entry["resource"]["id"]), word(&search["extension"][0]["valueCode"]), search["score"].as_f64().unwrap())
    };
    entries.iter().map(grade).collect()
}

fn asked(family: &str, given: &str, born: &str) -> Value {
    json!({"resourceType": "Patient", "name": [{"family": family, "given": [given]}], "birthDate": born, "gender": "female"})
}

// The twin who was meant comes first, the other one never as certain; scores lie between 0 and 1 and fall.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_is_told_from_the_other() {
    let house = with_twins().await;
    let meant = asked("TWIN", "anna", "1990-05-05").with("telecom", json!([{"system": "phone", "value": "+1 212 555 7777"}]));
    let found = grades(&matched(&house, &meant, &[]).await.is(200));
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("anna", "certain"), "{found:?}");
    assert!(found.iter().skip(1).all(|(_, grade, _)| grade == "possible"), "{found:?}");
    assert!(
        found.windows(2).all(|pair| pair[0].2 >= pair[1].2) && found.iter().all(|one| (0.0..=1.0).contains(&one.2)),
        "{found:?}"
    );
    let certain = grades(&matched(&house, &meant, &[("onlyCertainMatches", json!(true))]).await.is(200));
    assert_eq!(certain.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["anna"]);
    let first = grades(&matched(&house, &meant, &[("count", json!(1))]).await.is(200));
    assert_eq!(first.len(), 1);
}

// An identifier alone is certain; nobody is an empty searchset; what leads to a person who was replaced leads to the other.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_an_empty_answer() {
    let house = with_twins().await;
    let named = json!({"resourceType": "Patient", "identifier": [{"system": MEMBERS, "value": "carl"}]});
    assert_eq!(grades(&matched(&house, &named, &[]).await.is(200))[0].1, "certain");
    for nobody in
        [asked("Nobody", "Norma", "1931-01-01"), asked("Twin", "Anna", "1931-01-01").with("name", json!([{"family": "Zz"}]))]
    {
        let told = matched(&house, &nobody, &[]).await.is(200);
        assert_eq!((told.at("/type"), told.at("/total"), told.at("/entry")), (json!("searchset"), json!(0), Value::Null));
    }
    house.ask("POST", "Patient/$match").json(&named).await.is(200);
}

// What is no question is refused with what would be one.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_without_a_patient_is_refused() {
    let house = with_twins().await;
    let gender = json!({"resourceType": "Patient", "gender": "female"});
    assert_eq!(matched(&house, &gender, &[]).await.is(400).expressions(), ["http.resource"]);
    matched(&house, &json!({"resourceType": "Basic", "code": {"text": "x"}}), &[]).await.is(400);
    matched(&house, &gender, &[("count", json!(-1))]).await.is(400);
    assert_eq!(house.get("Patient/$match").await.is(405).header("allow"), "POST, OPTIONS");
}

// An identifier leads to the others of the same person, in the domains asked for; what is not known is told apart.
#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_leads_to_the_others() {
    let house = House::new().await;
    let both = json!([{"system": MEMBERS, "value": "ada"}, {"system": "urn:oid:1.2.3", "value": "77"}]);
    house.put(&patient("ada").with("identifier", both)).await.is(201);
    house.put(&patient("bob").with("identifier", json!([{"system": "urn:oid:9", "value": "5"}]))).await.is(201);
    let told = house.get(&format!("Patient/$ihe-pix?sourceIdentifier={MEMBERS}|ada")).await.is(200);
    assert_eq!(told.at("/parameter/0/valueIdentifier"), json!({"system": "urn:oid:1.2.3", "value": "77"}));
    assert_eq!(told.at("/parameter/1/valueReference/reference"), "Patient/ada");
    let narrowed = house.get(&format!("Patient/$ihe-pix?sourceIdentifier={MEMBERS}|ada&targetSystem=urn:oid:9")).await.is(200);
    assert_eq!(narrowed.at("/parameter"), Value::Null);
    for (query, status) in [
        (format!("sourceIdentifier={MEMBERS}|nobody"), 404),
        (String::from("sourceIdentifier=urn:none|ada"), 400),
        (format!("sourceIdentifier={MEMBERS}|ada&targetSystem=urn:none"), 403),
        (String::from("sourceIdentifier=ada"), 400),
        (String::new(), 400),
    ] {
        house.get(&format!("Patient/$ihe-pix?{query}")).await.is(status);
    }
}
