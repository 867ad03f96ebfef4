//! How far a search reaches: chains over many, pages while they grow, and what is refused with a cause.
//! Follows <https://hl7.org/fhir/R4/search.html#chaining> and `#has`.

use serde_json::{Value, json};

use crate::builders::{With, bundle, hypertension, patient};
use crate::database::Database;
use crate::house::House;

/// A chain is followed from its end up to so many.
const ON_THE_WAY: usize = 1_000;

fn berg(number: usize) -> Value {
    patient(&format!("b{number:04}")).with("name", json!([{"family": "Berg"}]))
}

fn pulse(of: usize, number: usize) -> Value {
    json!({"resourceType": "Observation", "id": format!("o{of}-{number}"), "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": format!("Patient/b{of:04}")}})
}

/// Puts all of these, so many at once.
async fn put(house: &House, resources: &[Value]) {
    for some in resources.chunks(500) {
        let url = |one: &Value| format!("{}/{}", one["resourceType"].as_str().unwrap(), one["id"].as_str().unwrap());
        let urls: Vec<String> = some.iter().map(url).collect();
        let entries: Vec<(&str, &str, Value)> =
            urls.iter().zip(some).map(|(url, one)| ("PUT", url.as_str(), one.clone())).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

/// A search by a chain whose end grows beyond its bound between two pages.
async fn grows(house: &House, search: &str, more: &[Value], expected: &[&str]) {
    let first = house.get(search).await.is(200);
    assert_eq!(first.ids().len(), 2, "{search}");
    put(house, more).await;
    let (mut ids, mut next) = (first.ids(), first.link("next"));
    while !next.is_empty() {
        let page = house.get(&next).await.is(200);
        ids.extend(page.ids());
        next = page.link("next");
    }
    assert_eq!(sorted(ids), expected, "{search}");
}

async fn a_link_goes_on_while_a_chain_grows(database: Database) {
    let house = House::over(database).await;
    let bergs: Vec<Value> = (0..=ON_THE_WAY).map(berg).collect();
    put(&house, &bergs[..3]).await;
    put(&house, &(0..3).map(|at| hypertension(&format!("c{at}"), &format!("b{at:04}"))).collect::<Vec<Value>>()).await;
    // From few to many, and from many to one more than is followed from its end.
    grows(&house, "Condition?patient.family=berg&_count=2", &bergs[3..40], &["c0", "c1", "c2"]).await;
    grows(&house, "Condition?patient.family=berg&_count=2", &bergs[40..ON_THE_WAY], &["c0", "c1", "c2"]).await;
    grows(&house, "Condition?patient.family=berg&_count=2", &bergs[ON_THE_WAY..], &["c0", "c1", "c2"]).await;
    // Beyond, another way is gone from the first page on, and finds and counts the same.
    let found = house.all("Condition?patient.family=berg&_count=2").await;
    assert_eq!(found.len(), 3);
    assert_eq!(house.count("Condition?patient.family=berg").await, 3);
    assert_eq!(house.count("Condition?patient.family=nobody").await, 0);
    let House { database, .. } = house;
    database.drop().await;
}

// A chain that comes to more from page to page loses nothing and is never told to begin again.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_goes_on_while_a_chain_grows_on_sqlite() {
    a_link_goes_on_while_a_chain_grows(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_goes_on_while_a_chain_grows_on_postgresql() {
    a_link_goes_on_while_a_chain_grows(Database::postgres().await).await;
}

async fn who_has_much_is_found(database: Database) {
    let house = House::over(database).await;
    let people: Vec<Value> = (0..55).map(berg).collect();
    put(&house, &people).await;
    let seen: Vec<Value> = (0..52).flat_map(|of| (0..100).map(move |number| pulse(of, number))).collect();
    put(&house, &seen).await;
    for search in ["Patient?_has:Observation:patient:code=8867-4", "Patient?family=berg&_has:Observation:patient:status=final"] {
        let found = house.all(&format!("{search}&_count=40")).await;
        let ids = found.iter().filter_map(|one| one["id"].as_str()).map(str::to_owned).collect();
        let expected: Vec<String> = (0..52).map(|at| format!("b{at:04}")).collect();
        assert_eq!(sorted(ids), expected, "{search}");
        assert_eq!(house.count(search).await, 52, "{search}");
    }
    assert_eq!(house.count("Patient?_has:Observation:patient:status=amended").await, 0);
    let House { database, .. } = house;
    database.drop().await;
}

// Half a hundred patients with a hundred Observations each are found by them, and who has none is not.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_much_is_found_on_sqlite() {
    who_has_much_is_found(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_much_is_found_on_postgresql() {
    who_has_much_is_found(Database::postgres().await).await;
}
