//! Every operation that is advertised answers, and is described; what is not advertised is not there.
//! Follows <https://hl7.org/fhir/R4/operationdefinition.html>.

use serde_json::{Value, json};

use crate::builders::{With, bundle, patient};
use crate::house::House;

/// What an operation wants to be asked, beyond its address.
fn query(name: &str) -> &'static str {
    match name {
        "adherence" => "?start=2026-01-01&end=2026-03-31",
        "why-not" => "?plan=refill",
        "ihe-pix" => "?sourceIdentifier=https://pharmacy.example/members%7Cada",
        _ => "",
    }
}

/// Whether an answer shows that the operation is there: it may find nothing, or the question wanting, but says so itself.
fn is_there(status: u16, codes: &[String]) -> bool {
    status < 500 && status != 405 && !codes.iter().any(|code| code == "not-supported")
}

// The OpenAPI document lists them with their methods; each is asked at each address, and the methods it does not list are refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_advertised_answers() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.beat().await;
    let root = house.base().replace("/fhir", "");
    let document = house.get(&format!("{root}/openapi.json")).await.is(200);
    assert_eq!((document.at("/openapi"), document.at("/servers/0/url")), (json!("3.0.3"), json!(house.base())));
    let paths = document.at("/paths");
    let mut asked = 0;
    for (address, acts) in paths.as_object().unwrap() {
        let Some((_, name)) = address.split_once('$').filter(|_| address.starts_with("/Patient/") || address.starts_with("/$"))
        else {
            continue;
        };
        let place = address.trim_start_matches('/').replace("{id}", "ada");
        for (method, name_of) in [("get", "GET"), ("post", "POST")] {
            let request = house.ask(name_of, &format!("{place}{}", query(name)));
            let answer =
                if method == "post" { request.json(&json!({"resourceType": "Parameters"})).await } else { request.send().await };
            let codes = answer.codes();
            if acts.get(method).is_some() {
                assert!(is_there(answer.status, &codes), "{method} {address}: {} {}", answer.status, answer.text);
                asked += 1;
            } else {
                assert_eq!(answer.status, 405, "{method} {address}");
            }
        }
    }
    assert!(asked >= 12, "{asked}");
    house.get("Patient/ada/$nothing").await.is(404);
}

// What is read by GET is read by POST as well, with the parameters of the address in the body, all of them or some; a parameter that is
// no plain value is refused. Inside a batch it is the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_can_be_sent_for() {
    let house = House::new().await;
    house.put(&patient("ada").with("meta", json!({"tag": [{"system": "urn:t", "code": "x"}]}))).await.is(201);
    house.beat().await;
    let members = "https://pharmacy.example/members|ada";
    let window = json!([{"name": "start", "valueDate": "2026-01-01"}, {"name": "end", "valueDate": "2026-03-31"}]);
    for (path, parameter, query) in [
        ("Patient/ada/$ledger", json!([{"name": "_count", "valueInteger": 1}]), "?_count=1"),
        ("Patient/ada/$adherence", window.clone(), "?start=2026-01-01&end=2026-03-31"),
        ("Patient/ada/$why", json!([{"name": "output", "valueString": "none"}]), "?output=none"),
        ("Patient/ada/$why-not", json!([{"name": "plan", "valueString": "refill"}]), "?plan=refill"),
        (
            "Patient/$ihe-pix",
            json!([{"name": "sourceIdentifier", "valueString": members}]),
            "?sourceIdentifier=https://pharmacy.example/members%7Cada",
        ),
        ("PlanDefinition/refill/$effect", window, "?start=2026-01-01&end=2026-03-31"),
        ("PlanDefinition/$effect", json!([{"name": "plan", "valueString": "refill"}]), "?plan=refill"),
        ("Patient/$meta", json!([]), ""),
        ("$meta", json!([]), ""),
    ] {
        let (get, mut sent) = (house.get(&format!("{path}{query}")).await, json!({"resourceType": "Parameters"}));
        if parameter != json!([]) {
            sent["parameter"] = parameter;
        }
        let whole = house.ask("POST", path).json(&sent).await.is(get.status);
        let parted = house.ask("POST", &format!("{path}{query}")).send().await.is(get.status);
        let batch = house.bundle(&bundle("batch", &[("POST", path, sent)])).await.is(200);
        assert_eq!(batch.statuses()[0][..3], get.status.to_string(), "{path}: {}", batch.text);
        for answer in [&whole, &parted] {
            assert_eq!((answer.codes(), answer.at("/parameter")), (get.codes(), get.at("/parameter")), "{path}");
            assert_eq!((answer.ids(), answer.at("/group")), (get.ids(), get.at("/group")), "{path}");
        }
        house.ask("PUT", path).send().await.is(405);
    }
    let whole = json!({"resourceType": "Parameters", "parameter": [{"name": "plan", "valueIdentifier": {"value": "refill"}}]});
    for body in [whole, patient("ada")] {
        house.ask("POST", "Patient/ada/$why-not").json(&body).await.is(400);
    }
}

// The CapabilityStatement and the OpenAPI document name the same; a definition of ours can be read where it is said to be.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_advertised_is_described() {
    let house = House::new().await;
    let said = house.get("metadata").await.is(200);
    let root = house.base().replace("/fhir", "");
    let paths = house.get(&format!("{root}/openapi.json")).await.is(200).at("/paths");
    let mut described = 0;
    for resource in said.at("/rest/0/resource").as_array().unwrap() {
        let kind = resource["type"].as_str().unwrap();
        assert!(paths[format!("/{kind}")]["get"].is_object() && paths[format!("/{kind}/{{id}}")]["put"].is_object(), "{kind}");
        for operation in resource["operation"].as_array().map_or(&[][..], Vec::as_slice) {
            let name = operation["name"].as_str().unwrap();
            let at = [format!("/{kind}/${name}"), format!("/{kind}/{{id}}/${name}")];
            assert!(at.iter().any(|address| paths[address].is_object()), "{kind} {name}");
            let url = operation["definition"].as_str().unwrap();
            if let Some(id) = url.strip_prefix("https://signa.example/fhir/OperationDefinition/").filter(|_| kind == "Patient") {
                let definition = house.get(&format!("OperationDefinition/{id}")).await.is(200);
                assert_eq!((definition.at("/url"), definition.at("/code")), (json!(url), json!(name)));
                described += 1;
            }
        }
    }
    assert!(described >= 4, "{described}");
    house.get("OperationDefinition/nothing").await.is(404);
    // One of the same id that somebody stores stands in its place.
    let own = house.get("OperationDefinition/why").await.is(200).json();
    house.put(&own).await.is(201);
    assert_eq!(house.get("OperationDefinition/why").await.is(200).at("/meta/versionId"), Value::from("1"));
}

// Definitions of ours are found where those are that somebody stored, by what they say; one that is stored in its place is found alone.
#[tokio::test(flavor = "multi_thread")]
async fn our_definitions_are_found() {
    let house = House::new().await;
    let found = async |query: &str| house.get(&format!("OperationDefinition?{query}")).await.is(200).ids();
    for query in ["url=https://signa.example/fhir/OperationDefinition/why", "_id=why", "name:exact=Why", "code=why&status=active"]
    {
        assert_eq!(found(query).await, ["why"], "{query}");
    }
    assert_eq!(found("_id:missing=false").await.len(), 7);
    for query in ["url=https://signa.example/fhir/OperationDefinition/nothing", "code=why&status=draft", "_id=nothing"] {
        assert!(found(query).await.is_empty(), "{query}");
    }
    let own = house.get("OperationDefinition/why").await.is(200).json();
    let told = house.get("OperationDefinition?code=why&_total=accurate").await.is(200);
    assert_eq!((told.at("/total"), told.at("/entry/0/resource")), (json!(1), own.clone()));
    assert_eq!(told.at("/entry/0/fullUrl"), format!("{}/OperationDefinition/why", house.base()));
    house.put(&own.with("title", "Mine").with("status", "draft")).await.is(201);
    assert_eq!(house.get("OperationDefinition?code=why").await.is(200).resources()[0]["title"], "Mine");
    assert!(found("code=why&status=active").await.is_empty());
    assert_eq!(house.get("OperationDefinition?_summary=count").await.is(200).at("/total"), json!(7));
}

// What an operation is asked with says what it is, as every body does; nothing needs to be said of nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_says_what_it_is() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let count = json!({"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 1}]}).to_string();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in [
        "Patient/ada/$ledger",
        "Patient/ada/$validate",
        "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender",
    ] {
        let url = format!("{}/{path}", house.base());
        let refused = client.post(&url).body(count.clone()).send().await.unwrap();
        assert_eq!(refused.status(), 415, "{path}");
        assert_eq!(client.post(&url).send().await.unwrap().status(), 200, "{path}");
        assert_eq!(client.post(&url).body(" ").send().await.unwrap().status(), 200, "{path}");
        let spoken = client.post(&url).header("Content-Type", "application/fhir+json").body("");
        assert_eq!(spoken.send().await.unwrap().status(), 200, "{path}");
    }
}
