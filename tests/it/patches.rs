//! PATCH: JSON Patch and FHIRPath Patch of one resource, by id and by criteria.
//! Follows <https://hl7.org/fhir/R4/http.html#patch>.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{MEMBERS, With, bundle, patient};
use crate::database::Database;
use crate::house::House;

const JSON_PATCH: &str = "application/json-patch+json";
const FHIR_JSON: &str = "application/fhir+json";

async fn patch(house: &House, path: &str, operations: Value) -> Answer {
    house.ask("PATCH", path).body(JSON_PATCH, operations.to_string()).await
}

/// A FHIRPath Patch that replaces one element.
fn replacing(path: &str, value: Value) -> Value {
    let mut new = value;
    new["name"] = "value".into();
    let part = json!([{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": path}, new]);
    json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]})
}

// Both sorts change what they say and nothing else; the answer is the new version.
#[tokio::test(flavor = "multi_thread")]
async fn both_sorts_of_patch_make_a_new_version() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let first =
        json!([{"op": "test", "path": "/gender", "value": "female"}, {"op": "replace", "path": "/gender", "value": "other"}]);
    let answer = patch(&house, "Patient/ada", first).await.is(200);
    assert_eq!((answer.at("/gender"), answer.version().as_str(), answer.header("etag")), (json!("other"), "2", "W/\"2\""));
    assert_eq!(answer.header("location"), format!("{}/Patient/ada/_history/2", house.base()));
    assert_eq!(answer.at("/name"), patient("ada")["name"]);
    let second = replacing("Patient.name.where(family = 'Ledger').given[0]", json!({"valueString": "Grace"}));
    let answer = house.ask("PATCH", "Patient/ada").body(FHIR_JSON, second.to_string()).await.is(200);
    assert_eq!((answer.at("/name/0/given/0"), answer.version().as_str()), (json!("Grace"), "3"));
    let array = json!([{"op": "add", "path": "/active", "value": true}]).to_string();
    house.ask("PATCH", "Patient/ada").body("application/json", array).await.is(200);
    assert_eq!(house.get("Patient?active=true").await.ids(), ["ada"]);
    let nothing = patch(&house, "Patient/ada", json!([])).await.is(200);
    assert_eq!(nothing.version(), "4");
    let minimal = house.ask("PATCH", "Patient/ada").header("Prefer", "return=minimal");
    let removed = json!([{"op": "remove", "path": "/active"}]).to_string();
    assert_eq!(minimal.body(JSON_PATCH, removed).await.is(200).text, "");
}

// What cannot be applied, or makes no good resource, is refused with its place, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_makes_no_good_resource_changes_nothing() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for (operations, status, place) in [
        (json!([{"op": "test", "path": "/gender", "value": "male"}]), 422, "patch[0]"),
        (json!([{"op": "replace", "path": "/gender", "value": "male"}, {"op": "remove", "path": "/contact/0"}]), 422, "patch[1]"),
        (json!([{"op": "replace", "path": "/gender", "value": "lady"}]), 422, "Patient.gender"),
        (json!([{"op": "add", "path": "/shoeSize", "value": 42}]), 422, "Patient.shoeSize"),
        (json!([{"op": "replace", "path": "/birthDate", "value": "2023-02-30"}]), 422, "Patient.birthDate"),
        (json!([{"op": "replace", "path": "/id", "value": "bob"}]), 422, "Patient.id"),
        (json!([{"op": "replace", "path": "/resourceType", "value": "Person"}]), 422, "Patient.resourceType"),
        (json!([{"op": "add", "path": "", "value": {"resourceType": "Patient"}}]), 422, "Patient.id"),
        (json!([{"op": "merge", "path": "/gender"}]), 400, "patch[0]"),
        (json!({"op": "test"}), 400, "patch"),
    ] {
        let answer = patch(&house, "Patient/ada", operations.clone()).await;
        assert_eq!((answer.status, answer.expressions()[0].as_str()), (status, place), "{operations} {}", answer.text);
    }
    let unknown = replacing("Patient.gender", json!({"valueCode": "lady"})).to_string();
    house.ask("PATCH", "Patient/ada").body(FHIR_JSON, unknown).await.is(422);
    let no_patch = house.ask("PATCH", "Patient/ada").body(FHIR_JSON, patient("ada").to_string()).await.is(400);
    assert_eq!(no_patch.codes(), ["invalid"]);
    house.ask("PATCH", "Patient/ada").body("text/plain", "[]").await.is(415);
    house.ask("PATCH", "Patient/ada").body(JSON_PATCH, "[").await.is(400);
    assert_eq!(house.get("Patient/ada").await.is(200).version(), "1");
    patch(&house, "Patient/bob", json!([])).await.is(404);
    house.delete("Patient/ada").await.is(204);
    patch(&house, "Patient/ada", json!([])).await.is(410);
}

// A patch may name its version or find its resource by criteria; both are held to.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_holds_to_its_version_and_its_criteria() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.put(&patient("bob")).await.is(201);
    let change = |tag: &'static str| {
        let ask = house.ask("PATCH", "Patient/ada").header("If-Match", tag);
        ask.body(JSON_PATCH, r#"[{"op":"replace","path":"/gender","value":"other"}]"#)
    };
    change("W/\"9\"").await.is(412);
    change("nine").await.is(400);
    assert_eq!(change("W/\"1\"").await.is(200).version(), "2");
    change("\"1\"").await.is(412);
    let by = async |value: &str| {
        let path = format!("Patient?identifier={MEMBERS}|{value}");
        patch(&house, &path, json!([{"op": "replace", "path": "/gender", "value": "unknown"}])).await
    };
    assert_eq!(by("ada").await.is(200).id(), "ada");
    by("nobody").await.is(404);
    by(&format!("ada,{MEMBERS}|bob")).await.is(412);
    patch(&house, "Patient?", json!([])).await.is(400);
    patch(&house, "Patient?shoe=9", json!([])).await.is(400);
    house.ask("PATCH", "Patient").body(JSON_PATCH, "[]").await.is(405);
    assert_eq!(house.get("Patient/bob").await.version(), "1");
}

// A narrative that was made of the data goes when the data changes under it; one that says more must be mended by its author.
#[tokio::test(flavor = "multi_thread")]
async fn no_narrative_goes_on_saying_what_was_changed() {
    let house = House::new().await;
    let text = |status: &str, words: &str| json!({"status": status, "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{words}</div>")});
    house.put(&patient("a").with("text", text("generated", "female"))).await.is(201);
    house.put(&patient("b").with("text", text("additional", "female, tall"))).await.is(201);
    let change = json!({"op": "replace", "path": "/gender", "value": "male"});
    let told = house.ask("PATCH", "Patient/a").header("Prefer", "return=OperationOutcome");
    let told = told.body(JSON_PATCH, json!([change]).to_string()).await.is(200);
    assert!(told.text.contains("narrative-removed"), "{}", told.text);
    assert_eq!(house.get("Patient/a").await.at("/text"), Value::Null);
    assert_eq!(patch(&house, "Patient/b", json!([change])).await.is(422).expressions(), ["Patient.text"]);
    let mended = json!({"op": "replace", "path": "/text", "value": text("additional", "male, tall")});
    patch(&house, "Patient/b", json!([change, mended])).await.is(200);
    let tagged = json!([{"op": "add", "path": "/meta/tag", "value": [{"code": "vip"}]}]);
    assert_ne!(patch(&house, "Patient/b", tagged).await.is(200).at("/text"), Value::Null);
}

/// Twenty clients add a telephone each to the same patient without naming a version; every number is there afterwards.
pub(crate) async fn no_patch_is_lost(house: &House) {
    house.put(&patient("many").with("telecom", Value::Null)).await.is(201);
    let add = |number: usize| async move {
        let contact = json!({"system": "phone", "value": format!("+1 212 555 {number:04}")});
        let operations = adding_telecom(&contact);
        house.ask("PATCH", "Patient/many").body(FHIR_JSON, operations.to_string()).await
    };
    let answers = join_all((0..20).map(add)).await;
    let statuses: BTreeMap<u16, usize> = answers.iter().fold(BTreeMap::new(), |mut counted, answer| {
        *counted.entry(answer.status).or_default() += 1;
        counted
    });
    assert_eq!(statuses, BTreeMap::from([(200, 20)]));
    let kept = house.get("Patient/many").await.is(200);
    assert_eq!((kept.at("/telecom").as_array().unwrap().len(), kept.version().as_str()), (20, "21"));
}

fn adding_telecom(contact: &Value) -> Value {
    let part = json!([
        {"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "telecom"}, {"name": "value", "valueContactPoint": contact},
    ]);
    json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]})
}

/// Of twenty clients that patch the version they saw, one wins and the others are told.
pub(crate) async fn one_guarded_patch_wins(house: &House) {
    house.put(&patient("guarded")).await.is(201);
    let change = |number: usize| async move {
        let operations = json!([{"op": "replace", "path": "/name/0/given/0", "value": format!("Ada {number}")}]);
        let ask = house.ask("PATCH", "Patient/guarded").header("If-Match", "W/\"1\"");
        ask.body(JSON_PATCH, operations.to_string()).await
    };
    let answers = join_all((0..20).map(change)).await;
    let won: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!((won.len(), answers.iter().filter(|answer| answer.status == 412).count()), (1, 19));
    assert_eq!(house.get("Patient/guarded").await.at("/name"), won[0].at("/name"));
}

// A patch is written only on the version it was applied to, so that none of twenty at once undoes another.
#[tokio::test(flavor = "multi_thread")]
async fn of_20_patches_at_once_none_is_lost() {
    let house = House::over(Database::sqlite()).await;
    no_patch_is_lost(&house).await;
    one_guarded_patch_wins(&house).await;
}

// In a Bundle a patch is Parameters, or a Binary that holds a JSON Patch; what it adds may point to other entries.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_may_hold_patches() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.put(&patient("bob")).await.is(201);
    let urn = "urn:uuid:0a1b2c3d-0000-4000-8000-000000000009";
    let link = json!([{"op": "add", "path": "/managingOrganization", "value": {"reference": urn}}]).to_string();
    let binary = json!({"resourceType": "Binary", "contentType": JSON_PATCH, "data": base64(&link)});
    let by = format!("Patient?identifier={MEMBERS}|bob");
    let other = replacing("Patient.gender", json!({"valueCode": "other"}));
    let store = json!({"resourceType": "Organization", "name": "Corner"});
    let mut sent =
        bundle("transaction", &[("PATCH", "Patient/ada", binary), ("PATCH", &by, other), ("POST", "Organization", store)]);
    sent["entry"][2]["fullUrl"] = urn.into();
    let answer = house.bundle(&sent).await.is(200);
    assert_eq!(answer.statuses(), ["200", "200", "201"]);
    assert_eq!((answer.at("/entry/0/response/etag"), answer.at("/entry/1/response/etag")), (json!("W/\"2\""), json!("W/\"2\"")));
    let made = house.get("Organization").await.ids().remove(0);
    assert_eq!(house.get("Patient/ada").await.at("/managingOrganization/reference"), format!("Organization/{made}"));
    assert_eq!(house.get("Patient/bob").await.at("/gender"), "other");

    let wrong = replacing("Patient.gender", json!({"valueCode": "lady"}));
    let mixed = |kind: &str| {
        let good = replacing("Patient.active", json!({"valueBoolean": true}));
        let added = json!({"resourceType": "Binary", "contentType": JSON_PATCH, "data": base64(r#"[{"op":"add","path":"/active","value":true}]"#)});
        bundle(kind, &[("PATCH", "Patient/ada", added), ("PATCH", "Patient/bob", wrong.clone()), ("PATCH", "Patient/none", good)])
    };
    let refused = house.bundle(&mixed("transaction")).await.is(422);
    assert!(refused.expressions()[0].starts_with("Bundle.entry[1].resource"), "{}", refused.text);
    assert_eq!(house.get("Patient/ada").await.version(), "2");
    assert_eq!(house.bundle(&mixed("batch")).await.is(200).statuses(), ["200", "422", "404"]);
    for (resource, place) in [
        (patient("ada"), "Bundle.entry[0].resource"),
        (json!({"resourceType": "Binary", "contentType": "text/plain", "data": "W10="}), "Bundle.entry[0].resource.contentType"),
        (json!({"resourceType": "Binary", "contentType": JSON_PATCH, "data": "e30="}), "Bundle.entry[0].resource"),
    ] {
        let refused = house.bundle(&bundle("transaction", &[("PATCH", "Patient/ada", resource)])).await.is(400);
        assert_eq!(refused.expressions(), [place]);
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
