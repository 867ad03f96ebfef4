//! Searching and paging. Follows <https://hl7.org/fhir/R4/search.html>.

use serde_json::{Value, json};

use crate::builders::{With, bundle, condition, dispense, hypertension, patient, snomed, store, task};
use crate::database::Database;
use crate::house::House;

/// Two patients with their facts.
async fn furnished() -> House {
    let house = House::new().await;
    let resources = [
        store("store-1"),
        patient("ada"),
        patient("bob").with("birthDate", "1990-12-31"),
        hypertension("c1", "ada"),
        condition("c2", "bob", &snomed("73211009", "Diabetes mellitus")),
        dispense("d1", "ada", "2026-05-01"),
        dispense("d2", "ada", "2026-06-01"),
        dispense("d3", "bob", "2026-05-15").with("status", "in-progress"),
        task("t1", "ada", "store-1"),
        task("t2", "bob", "store-1").with("status", "completed"),
    ];
    for resource in &resources {
        house.put(resource).await.is(201);
    }
    house
}

/// A search and the ids it must find, in any order.
const SEARCHES: [(&str, &[&str]); 31] = [
    ("Patient?_id=ada", &["ada"]),
    ("Patient?_id=ada,bob", &["ada", "bob"]),
    ("Patient?identifier=https://pharmacy.example/members|ada", &["ada"]),
    ("Patient?identifier=ada", &["ada"]),
    ("Patient?identifier=https://other.example|ada", &[]),
    ("Patient?birthdate=1961-04-12", &["ada"]),
    ("Patient?birthdate=1961", &["ada"]),
    ("Patient?birthdate=ge1980", &["bob"]),
    ("Patient?birthdate=lt1980-01-01", &["ada"]),
    ("Condition?patient=ada", &["c1"]),
    ("Condition?patient=Patient/ada", &["c1"]),
    ("Condition?subject=Patient/bob", &["c2"]),
    ("Condition?code=http://snomed.info/sct|73211009", &["c2"]),
    ("Condition?code=73211009,38341003", &["c1", "c2"]),
    ("Condition?code=38341003&subject=Patient/bob", &[]),
    ("MedicationDispense?subject=Patient/ada", &["d1", "d2"]),
    ("MedicationDispense?identifier=https://pharmacy.example/dispenses|d2", &["d2"]),
    ("MedicationDispense?status=in-progress", &["d3"]),
    ("MedicationDispense?whenhandedover=2026-05", &["d1", "d3"]),
    ("MedicationDispense?whenhandedover=ge2026-05-10&whenhandedover=lt2026-06-01", &["d3"]),
    ("MedicationDispense?patient=ada&whenhandedover=gt2026-05-02", &["d2"]),
    ("Task?owner=Organization/store-1&status=requested", &["t1"]),
    ("Task?patient=bob", &["t2"]),
    ("Task?_lastUpdated=ge2026-06-02", &[]),
    ("Task?_id:missing=false", &["t1", "t2"]),
    ("Task?_id:missing=true", &[]),
    ("Task?_lastUpdated:missing=false&patient=bob", &["t2"]),
    ("Task?_lastUpdated:missing=true", &[]),
    ("Task?_id:missing=true&_sort=-_lastUpdated", &[]),
    ("Condition?subject:Patient._id:missing=false", &["c1", "c2"]),
    ("Condition?subject:Patient._id:missing=true", &[]),
];

// Each parameter finds what it should and nothing else; what was just written is found.
#[tokio::test(flavor = "multi_thread")]
async fn each_parameter_finds_what_it_should() {
    let house = furnished().await;
    let mut wrong = Vec::new();
    for (search, expected) in SEARCHES {
        let answer = house.get(search).await.is(200);
        let mut found = answer.ids();
        found.sort();
        if found != expected {
            wrong.push(format!("{search}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// An old value is found no more after an update, and a deleted resource not at all.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_value_is_found_no_more() {
    let house = furnished().await;
    house.put(&patient("ada").with("birthDate", "1975-01-01")).await.is(200);
    assert_eq!(house.count("Patient?birthdate=1961").await, 0);
    assert_eq!(house.count("Patient?birthdate=1975").await, 1);
    house.delete("Condition/c1").await.is(204);
    assert_eq!(house.count("Condition?patient=ada").await, 0);
}

// A bad value is refused; an unknown parameter is left out, unless the client wants to be told.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_value_is_refused() {
    let house = furnished().await;
    for search in ["Patient?birthdate=notadate", "Patient?_count=abc", "Patient?birthdate=2023-02-30", "Patient?_id:missing=x"] {
        house.get(search).await.is(400);
    }
    let answer = house.get("Patient?shoe=9").await.is(200);
    assert!(!answer.link("self").contains("shoe"), "{}", answer.text);
    for search in ["Patient?shoe=9", "Patient?_sort=shoe"] {
        house.ask("GET", search).header("Prefer", "handling=strict").send().await.is(400);
    }
}

// The answer has the shape of a searchset, and counts without resources when only the count is wanted.
#[tokio::test(flavor = "multi_thread")]
async fn a_searchset_says_what_it_is() {
    let house = furnished().await;
    let answer = house.get("Patient?_id=ada&_total=accurate").await.is(200);
    assert_eq!((answer.at("/type"), answer.at("/total")), (json!("searchset"), json!(1)));
    assert_eq!(answer.at("/entry/0/fullUrl"), format!("{}/Patient/ada", house.base()));
    assert_eq!(answer.at("/entry/0/search/mode"), "match");
    assert!(answer.link("self").contains("_id=ada"));
    let counted = house.get("MedicationDispense?_summary=count").await.is(200);
    assert_eq!((counted.at("/total"), counted.at("/entry")), (json!(3), Value::Null));
}

// The client chooses the order.
#[tokio::test(flavor = "multi_thread")]
async fn results_come_in_the_order_asked_for() {
    let house = furnished().await;
    assert_eq!(house.get("MedicationDispense?_sort=whenhandedover").await.is(200).ids(), ["d1", "d3", "d2"]);
    assert_eq!(house.get("MedicationDispense?_sort=-whenhandedover").await.is(200).ids(), ["d2", "d3", "d1"]);
}

// Page after page to the end: nothing twice, nothing lost, while others write.
#[tokio::test(flavor = "multi_thread")]
async fn pages_lose_nothing_while_others_write() {
    let house = House::new().await;
    for batch in 0..10 {
        let ids: Vec<String> = (0..20).map(|number| format!("p{:03}", batch * 20 + number)).collect();
        let urls: Vec<String> = ids.iter().map(|id| format!("Patient/{id}")).collect();
        let entries: Vec<(&str, &str, Value)> =
            ids.iter().zip(&urls).map(|(id, url)| ("PUT", url.as_str(), patient(id))).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    let mut found = Vec::new();
    let mut next = String::from("Patient?_count=7");
    let mut pages = 0;
    while !next.is_empty() {
        let page = house.get(&next).await.is(200);
        found.extend(page.ids());
        next = page.link("next");
        pages += 1;
        house.put(&patient(&format!("later{pages}"))).await.is(201);
    }
    assert!(pages >= 29, "{pages}");
    let mut early: Vec<String> = found.iter().filter(|id| id.starts_with('p')).cloned().collect();
    assert_eq!(early.len(), 200);
    early.sort();
    early.dedup();
    assert_eq!(early.len(), 200);
}

// A reference to what is contained is there, though nobody can ask for it from outside; and an order by it loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_contained_is_not_missing() {
    for database in [Database::sqlite(), Database::postgres().await] {
        let house = House::over(database).await;
        let request = |id: &str| {
            json!({"resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
                "subject": {"reference": "Patient/ada"}})
        };
        let drug =
            json!([{"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": "urn:drugs", "code": "123"}]}}]);
        let within = request("within").with("contained", drug).with("medicationReference", json!({"reference": "#m"}));
        house.put(&within).await.is(201);
        let nobody = json!([{"resourceType": "Patient", "id": "p", "active": true}]);
        let unknown = request("unknown").with("contained", nobody).with("subject", json!({"reference": "#p"}));
        house.put(&unknown.with("medicationCodeableConcept", json!({"text": "drops"}))).await.is(201);
        house.put(&request("beside").with("medicationReference", json!({"reference": "Medication/m"}))).await.is(201);
        house.put(&request("coded").with("medicationCodeableConcept", json!({"text": "drops"}))).await.is(201);
        for (search, expected) in [
            ("medication:missing=true", vec!["coded", "unknown"]),
            ("medication:missing=false", vec!["beside", "within"]),
            ("medication:missing=false&_sort=-medication", vec!["beside", "within"]),
            ("_sort=medication", vec!["beside", "coded", "unknown", "within"]),
            ("encounter:missing=false", vec![]),
            ("encounter:missing=true", vec!["beside", "coded", "unknown", "within"]),
            ("subject:missing=true", vec![]),
            ("patient:missing=true", vec![]),
            ("patient:missing=false", vec!["beside", "coded", "unknown", "within"]),
        ] {
            let mut found = house.get(&format!("MedicationRequest?{search}")).await.is(200).ids();
            found.sort_unstable();
            assert_eq!(found, expected, "{search}");
        }
        let House { database, .. } = house;
        database.drop().await;
    }
}
