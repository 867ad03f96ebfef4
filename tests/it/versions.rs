//! Create, read, update, delete and the versions they leave. Follows <https://hl7.org/fhir/R4/http.html>.

use serde_json::json;

use crate::builders::{With, patient};
use crate::database::Database;
use crate::golden::golden;
use crate::house::House;

// A create is answered with where the new resource is, and ignores the id and the version that were sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_is_answered_with_its_place_and_version() {
    let house = House::new().await;
    let sent = patient("mine").with("meta", json!({"versionId": "77", "tag": [{"code": "keep"}]}));
    let made = house.post(&sent).await.is(201);
    let id = made.id();
    assert_ne!(id, "mine");
    assert_eq!(made.header("location"), format!("{}/Patient/{id}/_history/1", house.base()));
    assert_eq!(made.header("etag"), "W/\"1\"");
    assert_eq!(made.header("last-modified"), "Mon, 01 Jun 2026 15:00:00 GMT");
    assert_eq!(made.header("content-type").split(';').next(), Some("application/fhir+json"));
    assert_eq!((made.version().as_str(), made.at("/meta/tag/0/code")), ("1", json!("keep")));

    let read = house.get(&format!("Patient/{id}")).await.is(200);
    assert_eq!(read.json(), made.json());
    assert_eq!(read.header("etag"), "W/\"1\"");
}

// Under an id of the sender's own an update creates; each further one is a new version, and the old ones stay readable.
#[tokio::test(flavor = "multi_thread")]
async fn each_update_is_a_version_that_stays_readable() {
    let house = House::new().await;
    let first = patient("ada");
    let made = house.put(&first).await.is(201);
    assert_eq!(made.header("location"), format!("{}/Patient/ada/_history/1", house.base()));
    let second = first.with("gender", "other");
    assert_eq!(house.put(&second).await.is(200).version(), "2");
    assert_eq!(house.get("Patient/ada/_history/1").await.is(200).at("/gender"), "female");
    assert_eq!(house.get("Patient/ada/_history/2").await.is(200).at("/gender"), "other");
    assert_eq!(house.get("Patient/ada").await.is(200).at("/gender"), "other");
    house.get("Patient/ada/_history/3").await.is(404);
}

// A deleted resource is gone from reads and searches, keeps its history, and comes back with the next version.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_resource_keeps_its_history_and_may_come_back() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.delete("Patient/ada").await.is(204);
    house.delete("Patient/ada").await.is(204);
    assert_eq!(house.get("Patient/ada").await.is(410).codes(), ["deleted"]);
    house.get("Patient/ada/_history/2").await.is(410);
    assert_eq!(house.count("Patient").await, 0);
    assert_eq!(house.put(&patient("ada")).await.status, 201);
    assert_eq!(house.get("Patient/ada").await.is(200).version(), "3");
    assert_eq!(house.count("Patient").await, 1);

    let history = house.get("Patient/ada/_history").await.is(200);
    golden("history.json", &serde_json::from_str(&house.stable(&history.text)).unwrap());
}

// What came back tells so in every history, also where the page ends before its deletion.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_says_which_version_brought_it_back() {
    for database in [Database::sqlite(), Database::postgres().await] {
        let house = House::over(database).await;
        house.put(&patient("ada")).await.is(201);
        house.delete("Patient/ada").await.is(204);
        house.put(&patient("ada")).await.is(201);
        house.put(&patient("ada").with("gender", "other")).await.is(200);
        for (path, expected) in [
            ("Patient/ada/_history", vec!["200", "201", "204", "201"]),
            ("Patient/ada/_history?_count=2", vec!["200", "201"]),
            ("Patient/_history?_count=2", vec!["200", "201"]),
        ] {
            let statuses = house.get(path).await.is(200).statuses();
            assert_eq!(statuses, expected, "{path}");
        }
        let House { database, .. } = house;
        database.drop().await;
    }
}

// What never was is not found; what cannot be an id is refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_never_was_is_not_found() {
    let house = House::new().await;
    assert_eq!(house.get("Patient/nobody").await.is(404).codes(), ["not-found"]);
    house.get("Banana/1").await.is(404);
    let illegal = house.get(&format!("Patient/{}", "x".repeat(65))).await;
    assert!([400, 404].contains(&illegal.status), "{}", illegal.text);
}

// The sender says how much of the answer it wants back.
#[tokio::test(flavor = "multi_thread")]
async fn the_sender_chooses_how_much_comes_back() {
    let house = House::new().await;
    let ask = |prefer: &'static str| house.ask("POST", "Patient").header("Prefer", prefer);
    assert_eq!(ask("return=minimal").json(&patient("a")).await.is(201).text, "");
    assert_eq!(ask("return=representation").json(&patient("b")).await.is(201).at("/resourceType"), "Patient");
    assert_eq!(ask("return=OperationOutcome").json(&patient("c")).await.is(201).at("/resourceType"), "OperationOutcome");
}

// A number keeps the digits with which it was written.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_keeps_its_digits() {
    let house = House::new().await;
    let text = r#"{"resourceType":"MedicationDispense","id":"d","status":"completed",
        "medicationCodeableConcept":{"text":"drops"},"quantity":{"value":1.00}}"#;
    house.ask("PUT", "MedicationDispense/d").body("application/fhir+json", text).await.is(201);
    let read = house.get("MedicationDispense/d").await.is(200);
    assert!(read.text.contains("1.00"), "{}", read.text);
}

// An update that expects another version is refused, and nothing of it is written.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_a_stale_version_is_refused() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let update = |tag: &'static str| house.ask("PUT", "Patient/ada").header("If-Match", tag);
    let changed = patient("ada").with("gender", "other");
    update("W/\"99\"").json(&changed).await.is(412);
    update("seven").json(&changed).await.is(400);
    assert_eq!(house.get("Patient/ada").await.version(), "1");
    assert_eq!(update("W/\"1\"").json(&changed).await.is(200).version(), "2");
    assert_eq!(update("\"2\"").json(&patient("ada")).await.is(200).version(), "3");
}

// Where the machine's clock was set back by hours, the versions of a resource still follow each other in time, and are all found by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_hides_no_version() {
    let mut house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.clock.set(house.clock.now() - 7_200_000);
    house.restart().await;
    let second = house.put(&patient("ada").with("gender", "other")).await.is(200);
    assert_eq!(second.at("/meta/lastUpdated"), "2026-06-01T15:00:00.000Z");
    assert_eq!(house.get("Patient/ada").await.is(200).json(), second.json());
    house.delete("Patient/ada").await.is(204);
    for path in ["Patient/ada/_history", "Patient/_history"] {
        assert_eq!(house.get(&format!("{path}?_since=2026-06-01T15:00:00Z")).await.is(200).at("/total"), 3, "{path}");
    }
    // What is new gets the time that it is.
    assert_eq!(house.put(&patient("bob")).await.is(201).at("/meta/lastUpdated"), "2026-06-01T13:00:00.000Z");
}
