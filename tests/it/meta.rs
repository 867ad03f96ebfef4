//! Profiles, tags and labels of a resource: read, added, taken away, each change a version.
//! Follows <https://hl7.org/fhir/R4/resource-operation-meta-add.html>.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{With, bundle, patient, task};
use crate::house::House;

async fn changed(house: &House, operation: &str, meta: &Value) -> Answer {
    let sent = json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]});
    house.ask("POST", &format!("Patient/ada/${operation}")).json(&sent).await
}

// A tag that is added is found by search, added once, and gone when it is taken away; the rest of the resource stays as it was.
#[tokio::test(flavor = "multi_thread")]
async fn labels_come_and_go() {
    let house = House::new().await;
    let vip = json!({"system": "urn:tags", "code": "vip"});
    let own = json!({"system": "urn:tags", "code": "own"});
    let body = house.put(&patient("ada").with("meta", json!({"tag": [own]}))).await.is(201).json();
    assert_eq!(house.get("Patient/ada/$meta").await.is(200).at("/parameter/0/valueMeta/tag"), json!([own]));
    let told = changed(&house, "meta-add", &json!({"tag": [vip, own], "profile": ["http://example.org/p"]})).await.is(200);
    assert_eq!(told.at("/parameter/0/name"), "return");
    assert_eq!(told.at("/parameter/0/valueMeta/tag"), json!([own, vip]));
    assert_eq!(told.at("/parameter/0/valueMeta/versionId"), "2");
    assert_eq!(house.count("Patient?_tag=urn:tags|vip").await, 1);
    changed(&house, "meta-add", &json!({"tag": [vip]})).await.is(200);
    let now = house.get("Patient/ada").await.is(200);
    assert_eq!(now.version(), "2");
    assert_eq!(now.json().with("meta", Value::Null), body.with("meta", Value::Null));
    let told = changed(&house, "meta-delete", &json!({"tag": [vip, own], "profile": ["http://example.org/p"]})).await.is(200);
    assert_eq!((told.at("/parameter/0/valueMeta/tag"), told.at("/parameter/0/valueMeta/profile")), (Value::Null, Value::Null));
    assert_eq!(house.count("Patient?_tag=urn:tags|vip").await, 0);
    assert_eq!(house.get("Patient/ada").await.version(), "3");
}

// What is not there, and what is no Meta, is refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_meta_is_refused() {
    let house = House::new().await;
    changed(&house, "meta-add", &json!({"tag": [{"code": "x"}]})).await.is(404);
    house.put(&patient("ada")).await.is(201);
    let refused = house.ask("POST", "Patient/ada/$meta-add").json(&json!({"resourceType": "Parameters"})).await.is(400);
    assert_eq!(refused.expressions(), ["http.meta"]);
    assert_eq!(house.get("Patient/ada/$meta-add").await.is(405).header("allow"), "POST, OPTIONS");
    house.delete("Patient/ada").await.is(204);
    house.get("Patient/ada/$meta").await.is(410);
}

// Of a type, and of all, the labels in use are told, each once.
#[tokio::test(flavor = "multi_thread")]
async fn labels_in_use_are_told() {
    let house = House::new().await;
    let tag = |code: &str| json!({"system": "urn:tags", "code": code, "display": code});
    house
        .put(&patient("ada").with("meta", json!({"tag": [tag("a"), tag("b")], "profile": ["http://example.org/p"]})))
        .await
        .is(201);
    house.put(&patient("bob").with("meta", json!({"tag": [tag("b")]}))).await.is(201);
    house.put(&task("t", "ada", "store-1").with("meta", json!({"security": [{"system": "urn:s", "code": "R"}]}))).await.is(201);
    let of_type = house.get("Patient/$meta").await.is(200);
    assert_eq!(of_type.at("/parameter/0/valueMeta"), json!({"profile": ["http://example.org/p"], "tag": [tag("a"), tag("b")]}));
    let of_all = house.get("$meta").await.is(200);
    assert_eq!(of_all.at("/parameter/0/valueMeta/security"), json!([{"system": "urn:s", "code": "R"}]));
    assert_eq!(of_all.at("/parameter/0/valueMeta/tag"), json!([tag("a"), tag("b")]));
    house.delete("Task/t").await.is(204);
    assert_eq!(house.get("$meta").await.is(200).at("/parameter/0/valueMeta/security"), Value::Null);
    house.get("Nothing/$meta").await.is(404);
}

// A version that is named must be the current one, as with every write: also where nothing would change, and it is not tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_named_version_is_obeyed() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.put(&patient("ada").with("gender", "other")).await.is(200);
    let sent = json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "vip"}]}}]});
    let ask = async |operation: &str, version: &str| {
        house.ask("POST", &format!("Patient/ada/${operation}")).header("If-Match", version).json(&sent).await
    };
    for operation in ["meta-add", "meta-delete"] {
        for stale in ["W/\"1\"", "W/\"9\""] {
            assert_eq!(ask(operation, stale).await.is(412).codes(), ["conflict"]);
        }
        ask(operation, "W/\"x\"").await.is(400);
    }
    assert_eq!(house.get("Patient/ada").await.version(), "2");
    ask("meta-add", "W/\"2\"").await.is(200);
    ask("meta-add", "W/\"2\"").await.is(412);
    ask("meta-add", "W/\"3\"").await.is(200);
    assert_eq!(house.get("Patient/ada").await.version(), "3");
    ask("meta-delete", "W/\"3\"").await.is(200);
    assert_eq!(house.get("Patient/ada").await.version(), "4");
    // In a batch the entry names it.
    let mut batch = bundle("batch", &[("POST", "Patient/ada/$meta-add", sent.clone())]);
    for (version, status) in [("W/\"3\"", "412"), ("W/\"4\"", "200")] {
        batch["entry"][0]["request"]["ifMatch"] = json!(version);
        assert_eq!(house.bundle(&batch).await.is(200).statuses(), [status]);
    }
}
