//! `$validate` says what a write would be refused for, and writes nothing.
//! Follows <https://hl7.org/fhir/R4/resource-operation-validate.html>.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{With, patient};
use crate::house::House;
use crate::rules::{clinic, keys, message, rule};

async fn validate(house: &House, path: &str, body: &Value) -> Answer {
    house.ask("POST", &format!("{path}/$validate")).json(body).await
}

fn asking(resource: &Value, more: &[(&str, &str, &str)]) -> Value {
    let mut parameter = vec![json!({"name": "resource", "resource": resource})];
    parameter.extend(more.iter().map(|(name, key, value)| json!({"name": name, *key: value})));
    json!({"resourceType": "Parameters", "parameter": parameter})
}

fn severities(answer: &Answer) -> Vec<String> {
    let issues = answer.at("/issue").as_array().cloned().unwrap_or_default();
    issues.iter().map(|issue| issue["severity"].as_str().unwrap().to_owned()).collect()
}

// Bare or inside Parameters, right or wrong: the answer is 200 with the faults at their places, and nothing is stored.
#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_told_and_nothing_is_stored() {
    let house = House::new().await;
    let wrong = patient("p").with("gender", "lady").with("birthDate", "2023-02-30");
    for body in [wrong.clone(), asking(&wrong, &[("mode", "valueCode", "create")])] {
        let told = validate(&house, "Patient", &body).await.is(200);
        assert_eq!(told.at("/resourceType"), "OperationOutcome");
        assert_eq!(told.expressions(), ["Patient.gender", "Patient.birthDate"], "{}", told.text);
        assert_eq!(severities(&told), ["error", "error"]);
    }
    for body in [patient("p"), asking(&patient("p"), &[])] {
        assert_eq!(severities(&validate(&house, "Patient", &body).await.is(200)), ["information"]);
    }
    let text = r#"{"resourceType":"Patient","active":true,"active":true}"#;
    let told = house.ask("POST", "Patient/$validate").body("application/fhir+json", text).await.is(200);
    assert_eq!(told.expressions(), ["Patient.active"]);
    assert_eq!(severities(&validate(&house, "Observation", &patient("p")).await.is(200)), ["error"]);
    assert_eq!(house.count("Patient").await, 0);
}

// What is stored can be looked at again; an update is held to the id of its address; a delete needs something to delete.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_looked_at_where_it_lies() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    assert_eq!(severities(&house.get("Patient/ada/$validate").await.is(200)), ["information"]);
    assert_eq!(severities(&house.ask("POST", "Patient/ada/$validate").send().await.is(200)), ["information"]);
    let update = |resource: &Value| asking(resource, &[("mode", "valueCode", "update")]);
    assert_eq!(severities(&validate(&house, "Patient/ada", &update(&patient("ada"))).await.is(200)), ["information"]);
    let told = validate(&house, "Patient/ada", &update(&patient("bob"))).await.is(200);
    assert_eq!((severities(&told), told.expressions()), (vec![String::from("error")], vec![String::from("Patient.id")]));
    house.ask("POST", "Patient/ada/$validate?mode=delete").send().await.is(200);
    house.ask("POST", "Patient/bob/$validate?mode=delete").send().await.is(404);
    assert_eq!(house.get("Patient/ada/_history").await.resources().len(), 1);
}

// Without a mode a careful reader speaks; who tries a create hears only what would refuse it.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_is_answered_as_the_write_would_be() {
    let house = House::new().await;
    let tagged = patient("p").with("meta", json!({"tag": [{"system": "relative", "code": "x"}]}));
    assert_eq!(validate(&house, "Patient", &tagged).await.is(200).expressions(), ["Patient.meta.tag[0].system"]);
    let trial = validate(&house, "Patient", &asking(&tagged, &[("mode", "valueCode", "create")])).await.is(200);
    assert_eq!(severities(&trial), ["information"]);
    house.post(&tagged.with("id", Value::Null)).await.is(201);
}

// A question that cannot be answered is refused; a profile that nobody knows is an error in the answer.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused() {
    let house = House::new().await;
    let told = validate(&house, "Patient", &asking(&patient("p"), &[("profile", "valueUri", "http://example.org/none")])).await;
    assert_eq!(severities(&told.is(200)), ["error"]);
    let base = asking(&patient("p"), &[("profile", "valueUri", "http://hl7.org/fhir/StructureDefinition/Patient")]);
    assert_eq!(severities(&validate(&house, "Patient", &base).await.is(200)), ["information"]);
    validate(&house, "Patient", &asking(&patient("p"), &[("mode", "valueCode", "guess")])).await.is(400);
    validate(&house, "Patient", &json!({"resourceType": "Parameters"})).await.is(400);
    house.ask("POST", "Patient/$validate").send().await.is(400);
    house.get("Patient/nobody/$validate").await.is(404);
    let refused = house.get("Patient/$validate").await.is(405);
    assert_eq!(refused.header("allow"), "POST, OPTIONS");
    house.get("Patient/$nothing").await.is(404);
}

// A rule is looked at as it would be when it is sent: the same faults at the same places, and what names it is known.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_told_what_it_would_be_refused_for() {
    let house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    let (mut bad, good) = (rule("gout", "1", "nowhere").with("reviewer", Value::Null), rule("gout", "1", "drink"));
    bad["action"][0]["trigger"][0]["data"][0]["codeFilter"][0] =
        json!({"path": "code", "valueSet": "https://clinic.example/set"});
    let refused = |told: &Answer| {
        let issues = told.at("/issue").as_array().cloned().unwrap_or_default();
        issues.into_iter().filter(|issue| issue["severity"] == "error").collect::<Vec<_>>()
    };
    for (sent, path) in [
        (bad.clone(), "PlanDefinition"),
        (asking(&bad, &[("mode", "valueCode", "create")]), "PlanDefinition"),
        (asking(&bad, &[("mode", "valueCode", "update")]), "PlanDefinition/gout"),
    ] {
        let told = validate(&house, path, &sent).await.is(200);
        assert_eq!(refused(&told), refused(&house.put(&bad).await.is(422)), "{path}");
        assert_eq!(refused(&told).len(), 2, "{path}: {}", told.text);
    }
    assert_eq!(refused(&validate(&house, "PlanDefinition", &good).await.is(200)), [] as [Value; 0]);
    house.get("PlanDefinition/gout").await.is(404);
    house.put(&good).await.is(201);
    house.beat().await;
    assert_eq!(refused(&house.get("PlanDefinition/gout/$validate").await.is(200)), [] as [Value; 0]);
    for (other, key) in [(rule("other", "9", "drink"), "plan-url-taken"), (rule("gout", "1", "nowhere"), "unknown-activity")] {
        let told = validate(&house, "PlanDefinition", &other).await.is(200);
        assert!(keys(&told).contains(&key.to_owned()), "{}", told.text);
    }
    let told = validate(&house, "ActivityDefinition/drink", &message("drink", "x").with("kind", "Appointment")).await.is(200);
    assert!(keys(&told).contains(&"bad-activity".to_owned()), "{}", told.text);
}

// A reference by our own address is held to what it is held to when it is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_reference_to_us_is_looked_at_as_in_a_write() {
    let house = House::new().await;
    let about = |reference: &str| json!({"resourceType": "Condition", "subject": {"reference": reference}});
    for (reference, code) in [("Medication/m", "wrong-reference-target"), ("Foo/1", "unknown-resource-type")] {
        for reference in [reference.to_owned(), format!("{}/{reference}", house.base())] {
            let told = validate(&house, "Condition", &about(&reference)).await.is(200);
            assert_eq!(told.expressions(), ["Condition.subject.reference"], "{reference}: {}", told.text);
            assert!(told.text.contains(code), "{reference}: {}", told.text);
        }
    }
    let right = validate(&house, "Condition", &about(&format!("{}/Patient/ada", house.base()))).await;
    assert!(right.expressions().is_empty(), "{}", right.text);
}
