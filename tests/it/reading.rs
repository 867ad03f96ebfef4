//! What is read in part, what caches are told, and what a create does with a search. Follows
//! <https://hl7.org/fhir/R4/search.html#summary> and <https://hl7.org/fhir/R4/http.html#create>.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, With, bundle, patient};
use crate::house::House;

const SUBSETTED: &str = "SUBSETTED";

/// The members of a resource.
fn members(resource: &Value) -> Vec<&str> {
    resource.as_object().unwrap().keys().map(String::as_str).collect()
}

// A read shows as much as is asked for and says that it is not all; that part of it can not be written back.
#[tokio::test(flavor = "multi_thread")]
async fn a_resource_can_be_read_in_part() {
    let house = House::new().await;
    let text = json!({"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Ada</div>"});
    house.put(&patient("ada").with("text", text).with("maritalStatus", json!({"text": "married"}))).await.is(201);
    house.put(&patient("ada").with("gender", "other")).await.is(200);
    for (query, shown, left_out) in [
        ("_elements=gender", &["gender"][..], &["name", "birthDate", "text", "maritalStatus"][..]),
        ("_elements=gender,name", &["gender", "name"], &["birthDate"]),
        ("_summary=true", &["gender", "name", "birthDate"], &["text", "maritalStatus"]),
        ("_summary=text", &["text"], &["name", "gender"]),
        ("_summary=data", &["name", "maritalStatus"], &["text"]),
    ] {
        let part = house.get(&format!("Patient/ada/_history/1?{query}")).await.is(200);
        let (resource, etag) = (part.json(), part.header("etag"));
        let has = |name: &&str| members(&resource).contains(name);
        assert!(shown.iter().all(has) && !left_out.iter().any(has), "{query}: {resource}");
        assert_eq!((&resource["id"], etag), (&json!("ada"), "W/\"1\""));
        assert_eq!(resource["meta"]["tag"][0]["code"], SUBSETTED, "{query}");
        house.put(&resource).await.is(422);
        house.post(&resource).await.is(422);
    }
    let marked = json!([{"op": "add", "path": "/meta/tag", "value": [{"code": SUBSETTED,
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"}]}]);
    house.ask("PATCH", "Patient/ada").body("application/json-patch+json", marked.to_string()).await.is(422);
    let part = house.get("Patient/ada?_elements=gender").await.is(200);
    assert_eq!((part.at("/gender"), part.at("/name"), part.version().as_str()), (json!("other"), Value::Null, "2"));
    let xml = house.get("Patient/ada?_elements=gender&_format=xml").await.is(200);
    assert!(xml.text.contains(SUBSETTED) && !xml.text.contains("birthDate"), "{}", xml.text);
    let inside = house.bundle(&bundle("batch", &[("GET", "Patient/ada?_elements=gender", Value::Null)])).await.is(200);
    assert_eq!(inside.at("/entry/0/resource"), part.json());
    for query in ["", "_summary=false", "gender=female", "_elements="] {
        assert_eq!(
            house.get(&format!("Patient/ada?{query}")).await.is(200).json(),
            house.get("Patient/ada").await.json(),
            "{query}"
        );
    }
    for query in ["_summary=count", "_summary=most", "_elements=na%20me"] {
        assert_eq!(house.get(&format!("Patient/ada?{query}")).await.is(400).codes(), ["invalid"], "{query}");
    }
    let strict = house.ask("GET", "Patient/ada?_elements=shoe").header("Prefer", "handling=strict").send().await;
    assert_eq!(strict.is(400).codes(), ["not-supported"]);
}

// A version is named as answers write it; what only counts to the same number is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_has_one_name() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.get("Patient/ada/_history/1").await.is(200);
    for name in ["01", "+1", "-1", "0", "2", "x", "99999999999999999999"] {
        house.get(&format!("Patient/ada/_history/{name}")).await.is(404);
    }
    house.ask("PUT", "Patient/ada").header("If-Match", "W/\"01\"").json(&patient("ada")).await.is(400);
    house.ask("PUT", "Patient/ada").header("If-Match", "W/\"1\"").json(&patient("ada")).await.is(200);
}

// What is answered hangs on the format and the coding that are asked for, and caches are told so.
#[tokio::test(flavor = "multi_thread")]
async fn caches_are_told_what_an_answer_hangs_on() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for path in ["Patient/ada", "Patient", "metadata", "Patient/ada/_history", "Patient/none"] {
        for accept in ["application/fhir+json", "application/fhir+xml"] {
            let answer = house.ask("GET", path).header("Accept", accept).header("Accept-Encoding", "gzip").send().await;
            assert_eq!(answer.header("vary"), "accept, accept-encoding", "{path} {accept}");
        }
    }
    let known = house.ask("GET", "Patient/ada").header("If-None-Match", "W/\"1\"").send().await.is(304);
    assert_eq!(known.header("vary"), "accept, accept-encoding");
}

// A search on a create is passed over, as the standard has it, and refused to who asks for strictness; a condition has its header.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_takes_no_search() {
    let house = House::new().await;
    let path = format!("Patient?identifier={MEMBERS}|ada");
    let sent = patient("ada").with("id", Value::Null);
    house.ask("POST", &path).json(&sent).await.is(201);
    house.ask("POST", &path).json(&sent).await.is(201);
    let strict = |path: &str| house.ask("POST", path).header("Prefer", "handling=strict");
    assert_eq!(strict(&path).json(&sent).await.is(400).codes(), ["not-supported"]);
    assert_eq!(house.count("Patient").await, 2);
    strict("Patient?_format=json&_pretty=true").json(&sent).await.is(201);
}
