//! The CapabilityStatement is driven by machine: what it offers is answered, and what it does not offer never succeeds.
//! Follows <https://hl7.org/fhir/R4/capabilitystatement.html>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::patient;
use crate::house::House;

const FHIR_JSON: &str = "application/fhir+json";
const EVERY: [&str; 9] =
    ["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"];

fn members(value: &Value, list: &str, name: &str) -> Vec<String> {
    let members = value[list].as_array().cloned().unwrap_or_default();
    members.iter().filter_map(|member| member[name].as_str().map(str::to_owned)).collect()
}

fn words(value: &Value, list: &str) -> Vec<String> {
    value[list].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// Whether the answer shows that somebody is at home: not "there is no such thing here".
fn is_served(answer: &Answer) -> bool {
    let unheard = answer.status == 404 && answer.codes().first().is_none_or(|code| code != "not-found");
    ![405, 501].contains(&answer.status) && answer.status < 500 && !unheard
}

/// Tries one interaction on a resource that is there (`ada`), or is not.
async fn tried(house: &House, interaction: &str, kind: &str, id: &str) -> Answer {
    let ask = |method: &str, path: String| house.ask(method, &path);
    match interaction {
        "read" => ask("GET", format!("{kind}/{id}")).send().await,
        "vread" => ask("GET", format!("{kind}/{id}/_history/1")).send().await,
        "update" => ask("PUT", format!("{kind}/{id}")).body(FHIR_JSON, json!({"resourceType": kind}).to_string()).await,
        "patch" => {
            let patch = r#"[{"op":"add","path":"/language","value":"en"}]"#;
            ask("PATCH", format!("{kind}/{id}")).body("application/json-patch+json", patch).await
        }
        "delete" => ask("DELETE", format!("{kind}/{id}")).send().await,
        "history-instance" => ask("GET", format!("{kind}/{id}/_history")).send().await,
        "history-type" => ask("GET", format!("{kind}/_history")).send().await,
        "create" => ask("POST", kind.to_owned()).body(FHIR_JSON, json!({"resourceType": kind}).to_string()).await,
        _ => ask("GET", format!("{kind}?_count=1")).send().await,
    }
}

// Every interaction that is offered for a type is answered there; of the others none succeeds, nor for types that are not named.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_is_answered_and_nothing_else() {
    let house = House::new().await;
    let said = house.get("metadata").await.is(200);
    house.put(&patient("ada")).await.is(201);
    let mut wrong = Vec::new();
    let mut named = BTreeSet::new();
    for kind in said.at("/rest/0/resource").as_array().cloned().unwrap() {
        let name = kind["type"].as_str().unwrap().to_owned();
        let offered = members(&kind, "interaction", "code");
        for interaction in EVERY {
            let is_offered = offered.iter().any(|code| code == interaction);
            let id = if name == "Patient" && !is_offered { "ada" } else { "none" };
            let answer = tried(&house, interaction, &name, id).await;
            if is_offered != is_served(&answer) && (is_offered || answer.status < 400) {
                wrong.push(format!("{interaction} {name}: offered {is_offered}, {} {}", answer.status, answer.text));
            }
        }
        named.insert(name);
    }
    for unnamed in ["Parameters", "OperationOutcome", "Banana", "DomainResource", "HumanName", "patient"] {
        assert!(!named.contains(unnamed), "{unnamed}");
        let outcome = json!({"resourceType": unnamed, "issue": [{"severity": "error", "code": "invalid"}]}).to_string();
        let parameters = json!({"resourceType": unnamed}).to_string();
        for body in [outcome, parameters] {
            for (method, path) in [("POST", unnamed.to_owned()), ("PUT", format!("{unnamed}/a")), ("GET", unnamed.to_owned())] {
                let answer = house.ask(method, &path).body(FHIR_JSON, body.clone()).await;
                if answer.status < 400 {
                    wrong.push(format!("{method} {path} is not offered: {} {}", answer.status, answer.text));
                }
            }
        }
    }
    let offered = members(&said.at("/rest/0"), "interaction", "code");
    for (interaction, method, path, body) in [
        ("history-system", "GET", "_history", ""),
        ("search-system", "GET", "?_type=Patient&_id=ada", ""),
        (
            "batch",
            "POST",
            "",
            r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/ada"}}]}"#,
        ),
        (
            "transaction",
            "POST",
            "",
            r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Patient/ada"}}]}"#,
        ),
    ] {
        let asked = house.ask(method, path);
        let answer = if body.is_empty() { asked.send().await } else { asked.body(FHIR_JSON, body).await };
        if offered.iter().any(|code| code == interaction) != (answer.status == 200) {
            wrong.push(format!("{interaction}: {} {}", answer.status, answer.text));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

// Under strict handling a parameter that a type does not name is refused; what it names to be included is included.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_to_search_by_is_refused() {
    let house = House::new().await;
    let types = house.get("metadata").await.is(200).at("/rest/0/resource").as_array().cloned().unwrap();
    let every: BTreeSet<String> = types.iter().flat_map(|kind| members(kind, "searchParam", "name")).collect();
    let every: Vec<String> = every.into_iter().filter(|name| !name.starts_with('_')).collect();
    let mut wrong = Vec::new();
    for (number, kind) in types.iter().enumerate() {
        let name = kind["type"].as_str().unwrap();
        let own = members(kind, "searchParam", "name");
        let foreign = every.iter().skip(number % 7).step_by(every.len() / 6).filter(|code| !own.contains(code));
        let mut searches: Vec<(String, u16)> = foreign.map(|code| (format!("{name}?{code}=x"), 400)).collect();
        searches.extend(
            words(kind, "searchInclude").iter().filter(|word| *word != "*").map(|word| (format!("{name}?_include={word}"), 200)),
        );
        searches.extend(words(kind, "searchRevInclude").iter().map(|word| (format!("{name}?_revinclude={word}"), 200)));
        for (search, expected) in searches {
            let answer = house.ask("GET", &search).header("Prefer", "handling=strict").send().await;
            if answer.status != expected {
                wrong.push(format!("{search}: {} and not {expected}: {}", answer.status, answer.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

// Every operation that is offered is answered where it is offered; elsewhere, and by other names, none is.
#[tokio::test(flavor = "multi_thread")]
async fn operations_are_answered_where_they_are_offered() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let said = house.get("metadata").await.is(200);
    let types = said.at("/rest/0/resource").as_array().cloned().unwrap();
    let mut every: BTreeSet<String> = types.iter().flat_map(|kind| members(kind, "operation", "name")).collect();
    every.extend(["expunge", "convert", "graphql", "apply", "process-message", "reindex", "stats"].map(str::to_owned));
    let mut wrong = Vec::new();
    let places = types.iter().enumerate().filter(|(number, kind)| number % 12 == 0 || kind["type"] == "Patient");
    for (_, kind) in places {
        let name = kind["type"].as_str().unwrap();
        let offered = members(kind, "operation", "name");
        for operation in &every {
            let mut served = Vec::new();
            for path in [format!("{name}/${operation}"), format!("{name}/ada/${operation}")] {
                let got = house.get(&path).await;
                let sent = house.ask("POST", &path).body(FHIR_JSON, r#"{"resourceType":"Parameters"}"#).await;
                served.extend([(got.status < 400, is_served(&got)), (sent.status < 400, is_served(&sent))]);
            }
            let succeeded = served.iter().any(|(done, _)| *done);
            let answered = served.iter().any(|(_, answered)| *answered);
            let is_offered = offered.contains(operation);
            if (is_offered && !answered) || (!is_offered && succeeded) {
                wrong.push(format!("{name}/${operation}: offered {is_offered}, answered {answered}, succeeded {succeeded}"));
            }
        }
    }
    for operation in members(&said.at("/rest/0"), "operation", "name") {
        let (got, sent) = (
            house.get(&format!("${operation}")).await,
            house.ask("POST", &format!("${operation}")).body(FHIR_JSON, r#"{"resourceType":"Parameters"}"#).await,
        );
        if !is_served(&got) && !is_served(&sent) {
            wrong.push(format!("${operation}: {} {}", got.status, sent.status));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

// What the statement says of conditions, versions and updates that create is so.
#[tokio::test(flavor = "multi_thread")]
async fn the_flags_are_true() {
    let house = House::new().await;
    let types = house.get("metadata").await.is(200).at("/rest/0/resource").as_array().cloned().unwrap();
    let flags = types.iter().find(|kind| kind["type"] == "Patient").cloned().unwrap();
    assert_eq!(
        (&flags["updateCreate"], &flags["versioning"], &flags["readHistory"]),
        (&json!(true), &json!("versioned-update"), &json!(true))
    );
    let ada = json!({"resourceType": "Patient", "id": "ada", "identifier": [{"system": "urn:x", "value": "1"}]});
    house.put(&ada).await.is(201);
    let changed =
        json!({"resourceType": "Patient", "id": "ada", "active": true, "identifier": [{"system": "urn:x", "value": "1"}]});
    house.ask("PUT", "Patient/ada").header("If-Match", "W/\"1\"").json(&changed).await.is(200);
    house.ask("PUT", "Patient/ada").header("If-Match", "W/\"1\"").json(&ada).await.is(412);
    house.get("Patient/ada/_history/1").await.is(200);
    assert_eq!((&flags["conditionalCreate"], &flags["conditionalUpdate"]), (&json!(true), &json!(true)));
    let new = json!({"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]});
    let found = house.ask("POST", "Patient").header("If-None-Exist", "identifier=urn:x|1").json(&new).await.is(200);
    assert_eq!(found.id(), "ada");
    house.ask("PUT", "Patient?identifier=urn:x|1").json(&new).await.is(200);
    assert_eq!(flags["conditionalRead"], "full-support");
    let read = house.get("Patient/ada").await.is(200);
    for (name, value) in [("If-None-Match", read.header("etag")), ("If-Modified-Since", read.header("last-modified"))] {
        house.ask("GET", "Patient/ada").header(name, value).send().await.is(304);
    }
    house.put(&json!({"resourceType": "Patient", "id": "bob", "identifier": [{"system": "urn:x", "value": "1"}]})).await.is(201);
    if flags["conditionalDelete"] == "single" {
        house.delete("Patient?identifier=urn:x|1").await.is(412);
    }
}

// The statement's tag is the same as long as the statement is, in either format and under any address of ours.
#[tokio::test(flavor = "multi_thread")]
async fn the_statement_has_a_tag() {
    let house = House::new().await;
    let first = house.get("metadata").await.is(200);
    house.put(&patient("ada")).await.is(201);
    let proxied = house.ask("GET", "metadata").header("X-Forwarded-Host", "clinic.example").send().await.is(200);
    assert_eq!(proxied.at("/implementation/url"), json!("http://clinic.example/fhir"));
    assert_eq!(proxied.header("etag"), first.header("etag"));
    let plain = first.header("etag").trim_start_matches("W/");
    for tag in [first.header("etag"), plain, "*", &format!("\"other\", {plain}")] {
        house.ask("GET", "metadata").header("If-None-Match", tag).send().await.is(304);
    }
    house.ask("GET", "metadata").header("If-None-Match", "W/\"other\"").send().await.is(200);
}
