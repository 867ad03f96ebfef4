//! Transaction and batch. Follows <https://hl7.org/fhir/R4/http.html#transaction>.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, With, bundle, hypertension, patient, store};
use crate::database::Database;
use crate::house::House;

const URN: &str = "urn:uuid:0a1b2c3d-0000-4000-8000-000000000001";

/// A transaction in which a diagnosis points to a patient made in the same Bundle.
fn linked() -> Value {
    let diagnosis = hypertension("x", "x").with("id", Value::Null).with("subject", json!({"reference": URN}));
    let mut sent =
        bundle("transaction", &[("POST", "Condition", diagnosis), ("POST", "Patient", patient("x").with("id", Value::Null))]);
    sent["entry"][1]["fullUrl"] = json!(URN);
    sent
}

// References between the entries are rewritten to where the resources came to be, whatever the order.
#[tokio::test(flavor = "multi_thread")]
async fn references_inside_a_transaction_are_rewritten() {
    let house = House::new().await;
    let answer = house.bundle(&linked()).await.is(200);
    assert_eq!(answer.at("/type"), "transaction-response");
    assert_eq!(answer.statuses(), ["201", "201"]);
    let patient = house.get("Patient").await.ids()[0].clone();
    let diagnosis = &house.get("Condition").await.resources()[0];
    assert_eq!(diagnosis["subject"]["reference"], format!("Patient/{patient}"));
    let locations: Vec<Value> = (0..2).map(|entry| answer.at(&format!("/entry/{entry}/response/location"))).collect();
    assert!(locations[0].as_str().unwrap().contains("Condition/") && locations[1].as_str().unwrap().contains(&patient));
}

// One refused entry refuses the whole: nothing of the 49 good ones is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_all_or_nothing() {
    let house = House::new().await;
    let ids: Vec<String> = (0..49).map(|number| format!("p{number}")).collect();
    let urls: Vec<String> = ids.iter().map(|id| format!("Patient/{id}")).collect();
    let mut entries: Vec<(&str, &str, Value)> =
        ids.iter().zip(&urls).map(|(id, url)| ("PUT", url.as_str(), patient(id))).collect();
    entries.push(("POST", "Condition", hypertension("x", "p0").with("id", Value::Null).with("subject", Value::Null)));
    let answer = house.bundle(&bundle("transaction", &entries)).await;
    assert!([400, 422].contains(&answer.status), "{}", answer.text);
    assert!(answer.text.contains("49"), "the entry is named: {}", answer.text);
    assert_eq!((house.count("Patient").await, house.count("Condition").await), (0, 0));
    house.get("Patient/p0").await.is(404);

    entries.pop();
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    assert_eq!(house.count("Patient").await, 49);
}

// A stale precondition inside a transaction refuses the whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_entry_refuses_the_transaction() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let mut sent = bundle(
        "transaction",
        &[("PUT", "Patient/ada", patient("ada").with("gender", "other")), ("PUT", "Patient/bob", patient("bob"))],
    );
    sent["entry"][0]["request"]["ifMatch"] = json!("W/\"7\"");
    house.bundle(&sent).await.is(412);
    house.get("Patient/bob").await.is(404);
    sent["entry"][0]["request"]["ifMatch"] = json!("W/\"1\"");
    assert_eq!(house.bundle(&sent).await.is(200).statuses(), ["200", "201"]);
}

// The same resource twice makes a transaction that cannot be understood.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_resource_twice_is_refused() {
    let house = House::new().await;
    let twice = bundle(
        "transaction",
        &[("PUT", "Patient/ada", patient("ada")), ("PUT", "Patient/ada", patient("ada").with("gender", "other"))],
    );
    assert_eq!(house.bundle(&twice).await.status / 100, 4);
    house.get("Patient/ada").await.is(404);
}

// A conditional reference is replaced by the one resource it finds; by none or several the transaction is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_reference_finds_exactly_one() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let about = |value: &str| {
        let reference = json!({"reference": format!("Patient?identifier={MEMBERS}|{value}")});
        bundle("transaction", &[("PUT", "Condition/c", hypertension("c", "x").with("subject", reference))])
    };
    assert_eq!(house.bundle(&about("nobody")).await.status / 100, 4);
    house.get("Condition/c").await.is(404);
    house.bundle(&about("ada")).await.is(200);
    assert_eq!(house.get("Condition/c").await.at("/subject/reference"), "Patient/ada");
}

// In a batch every entry stands for itself, and a read is answered with what is there then.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_each_entry_stands_alone() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    let entries = [
        ("PUT", "Patient/ada", patient("ada")),
        ("POST", "Patient", patient("x").with("id", Value::Null).with("gender", "lady")),
        ("GET", "Organization/store-1", Value::Null),
        ("GET", "Organization/none", Value::Null),
    ];
    let answer = house.bundle(&bundle("batch", &entries)).await.is(200);
    assert_eq!(answer.at("/type"), "batch-response");
    let statuses = answer.statuses();
    assert_eq!((statuses[0].as_str(), statuses[2].as_str(), statuses[3].as_str()), ("201", "200", "404"));
    assert!(["400", "422"].contains(&statuses[1].as_str()));
    assert_eq!(answer.at("/entry/2/resource/id"), "store-1");
    assert_eq!(house.count("Patient").await, 1);
}

// A request that nobody can understand fails alone in a batch, and refuses a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_harms_no_neighbour_in_a_batch() {
    let house = House::new().await;
    let mut sent = bundle("batch", &vec![("PUT", "Patient/ada", patient("ada")); 9]);
    for (index, request) in [
        (1, Value::Null),
        (2, json!({"method": "FROB", "url": "Patient"})),
        (3, json!({"method": "PUT"})),
        (4, json!({"url": "Patient/x"})),
        (5, json!("PUT Patient/x")),
        (6, json!({"method": "PUT", "url": "Patient/x", "ifMatch": 3})),
        (7, json!({"method": "GET", "url": "Patient/ada", "colour": "red"})),
    ] {
        sent["entry"][index]["request"] = request;
    }
    sent["entry"][1].as_object_mut().unwrap().shift_remove("request");
    sent["entry"][8]["request"] = json!({"method": "GET", "url": "Patient/ada"});
    let told = house.bundle(&sent).await.is(200);
    assert_eq!(told.statuses(), ["201", "400", "400", "400", "400", "400", "400", "400", "200"], "{}", told.text);
    for index in 1..8 {
        let place = told.at(&format!("/entry/{index}/response/outcome/issue/0/expression/0"));
        assert!(place.as_str().unwrap().starts_with(&format!("Bundle.entry[{index}].request")), "{place}");
    }
    assert_eq!(house.count("Patient").await, 1);
    sent["type"] = json!("transaction");
    let refused = house.bundle(&sent).await.is(400);
    for index in 2..8 {
        let place = format!("Bundle.entry[{index}].request");
        assert!(refused.expressions().iter().any(|one| one.starts_with(&place)), "{place}: {}", refused.text);
    }
}

// An operation is posted in a Bundle as outside of it; what it is sent is its own to judge. One that changes something is no part
// of a transaction, which is asked twice.
#[tokio::test(flavor = "multi_thread")]
async fn operations_are_posted_inside_a_bundle() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let parameters =
        |name: &str, key: &str, value: Value| json!({"resourceType": "Parameters", "parameter": [{"name": name, key: value}]});
    let label = parameters("meta", "valueMeta", json!({"tag": [{"system": "urn:x", "code": "seen"}]}));
    let coding = json!({"system": "http://hl7.org/fhir/administrative-gender", "code": "male"});
    let lookup = parameters("coding", "valueCoding", coding);
    let entries = [
        ("POST", "Patient/$match", parameters("resource", "resource", patient("ada").with("id", Value::Null))),
        ("POST", "Observation/$validate", json!({"resourceType": "Observation", "colour": "red"})),
        ("POST", "ValueSet/$lookup", lookup.clone()),
        ("POST", "CodeSystem/$lookup", json!({"resourceType": "Parameters"})),
        ("POST", "Patient/ada/$meta-add", label.clone()),
        ("POST", "Patient/$nothing", Value::Null),
        ("POST", "Patient/ada/$why", Value::Null),
    ];
    let told = house.bundle(&bundle("batch", &entries)).await.is(200);
    assert_eq!(told.statuses(), ["200", "200", "200", "400", "200", "404", "400"], "{}", told.text);
    assert_eq!(told.at("/entry/0/resource/entry/0/resource/id"), "ada");
    assert!(told.at("/entry/1/resource/issue").to_string().contains("Observation.colour"), "{}", told.text);
    assert!(told.at("/entry/2/resource/parameter").to_string().contains("Male"));
    assert_eq!(house.get("Patient/ada").await.at("/meta/tag/0/code"), "seen");

    let with =
        |url: &str, sent: &Value| bundle("transaction", &[("PUT", "Patient/bob", patient("bob")), ("POST", url, sent.clone())]);
    // The refusal says why.
    let told = house.bundle(&with("Patient/ada/$meta-delete", &label)).await.is(400);
    assert!(told.text.contains("changes something") && !told.text.contains("read"), "{}", told.text);
    house.bundle(&with("CodeSystem/$lookup", &json!({"resourceType": "Parameters"}))).await.is(400);
    house.get("Patient/bob").await.is(404);
    assert_eq!(house.get("Patient/ada").await.at("/meta/tag/0/code"), "seen");
    let done = house.bundle(&with("CodeSystem/$lookup", &lookup)).await.is(200);
    assert_eq!(
        (done.statuses(), done.at("/entry/1/resource/resourceType")),
        (vec!["201".to_owned(), "200".to_owned()], json!("Parameters"))
    );
}

// An operation that only reads is answered inside a Bundle as outside of it, and one that writes is not.
#[tokio::test(flavor = "multi_thread")]
async fn operations_that_read_are_answered_inside_a_bundle() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.put(&hypertension("c", "ada")).await.is(201);
    let urls = [
        "Patient/ada/$everything",
        "Patient/ada/$everything?_count=1",
        "Patient/$meta",
        "Patient/none/$everything",
        "Patient/ada/$meta-add",
    ];
    let entries = urls.map(|url| ("GET", url, Value::Null));
    let answer = house.bundle(&bundle("batch", &entries)).await.is(200);
    assert_eq!(answer.statuses(), ["200", "200", "200", "404", "404"]);
    let alone = house.get("Patient/ada/$everything").await.is(200);
    assert_eq!(answer.at("/entry/0/resource/entry"), alone.at("/entry"));
    let page = answer.at("/entry/1/resource");
    assert_eq!((page["entry"].as_array().unwrap().len(), &page["link"][1]["relation"]), (1, &json!("next")));
    assert_eq!(house.get(page["link"][1]["url"].as_str().unwrap()).await.is(200).resources().len(), 1);
    assert_eq!(answer.at("/entry/2/resource/resourceType"), "Parameters");
}

// HEAD is answered as GET is, without the resource: of a resource, a search, and an operation.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_inside_a_bundle_has_no_resource() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for url in ["Patient/ada", "Patient?_id=ada", "Patient/ada/_history", "Patient/ada/$everything"] {
        let entries = [("HEAD", url, Value::Null), ("GET", url, Value::Null)];
        let answer = house.bundle(&bundle("batch", &entries)).await.is(200);
        assert_eq!(answer.statuses(), ["200", "200"], "{url}");
        assert_eq!((answer.at("/entry/0/resource"), answer.at("/entry/1/resource").is_object()), (Value::Null, true), "{url}");
    }
}

// The answers of one Bundle are bounded together: beyond, a batch says so entry by entry, and a transaction is refused whole.
#[tokio::test(flavor = "multi_thread")]
async fn the_answers_to_a_bundle_are_bounded_together() {
    let house = House::set(Database::sqlite(), |config| config.arrive.bundle_bytes_max = 8_000).await;
    house.put(&patient("ada")).await.is(201);
    let reads = |kind: &str, count: usize| bundle(kind, &vec![("GET", "Patient/ada", Value::Null); count]);
    assert!(house.bundle(&reads("batch", 5)).await.is(200).statuses().iter().all(|status| status == "200"));
    let told = house.bundle(&reads("batch", 60)).await.is(200);
    let resources: usize = told.resources().iter().map(|resource| resource.to_string().len()).sum();
    assert!((1..=8_000).contains(&resources), "{resources}");
    assert_eq!((told.statuses()[0].as_str(), told.statuses()[59].as_str()), ("200", "400"));
    assert_eq!(told.at("/entry/59/response/outcome/issue/0/code"), "too-costly");
    let transaction = |count: usize| {
        let mut whole = reads("transaction", count);
        whole["entry"]
            .as_array_mut()
            .unwrap()
            .push(bundle("batch", &[("PUT", "Patient/bob", patient("bob"))])["entry"][0].take());
        whole
    };
    assert_eq!(house.bundle(&transaction(60)).await.is(400).codes(), ["too-costly"]);
    house.get("Patient/bob").await.is(404);
    assert_eq!(house.bundle(&transaction(5)).await.is(200).statuses()[5], "201");
}

// What a transaction makes can be asked in it for all there is, and what it deletes cannot.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_on_what_a_transaction_makes_is_answered() {
    let house = House::new().await;
    let with = |method: &str, id: &str, asked: &str| {
        let (own, asked) = (format!("Patient/{id}"), format!("Patient/{asked}"));
        let resource = if method == "PUT" { patient(id) } else { Value::Null };
        bundle("transaction", &[(method, own.as_str(), resource), ("GET", asked.as_str(), Value::Null)])
    };
    let told = house.bundle(&with("PUT", "n", "n/$everything")).await.is(200);
    assert_eq!(told.at("/entry/1/resource/entry/0/resource/id"), "n");
    assert_eq!(house.bundle(&with("PUT", "m", "m/_history")).await.is(200).at("/entry/1/resource/total"), 1);
    house.bundle(&with("PUT", "o", "none/$everything")).await.is(404);
    house.get("Patient/o").await.is(404);
    house.bundle(&with("DELETE", "n", "n/$everything")).await.is(410);
    house.get("Patient/n").await.is(200);
}

// What is no transaction and no batch is not taken at the base.
#[tokio::test(flavor = "multi_thread")]
async fn only_batch_and_transaction_are_taken_at_the_base() {
    let house = House::new().await;
    house.bundle(&json!({"resourceType": "Bundle", "type": "collection"})).await.is(400);
    assert_eq!(house.ask("POST", "").json(&patient("ada")).await.status / 100, 4);
    house.bundle(&json!({"resourceType": "Bundle", "type": "transaction"})).await.is(200);
}
