//! A fact finds its person: by literal reference, by identifier, by condition, or by one made for an identifier never seen.

use serde_json::json;

use crate::builders::{MEMBERS, Purpose, With, bundle, consent, dispense, hypertension, patient, store};
use crate::database::Database;
use crate::diary::diary;
use crate::house::House;

// A logical reference leads to the patient who has that identifier.
#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_leads_to_its_patient() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let subject = json!({"identifier": {"system": MEMBERS, "value": "ada"}});
    house.put(&hypertension("c", "x").with("subject", subject)).await.is(201);
    let told = house.get("Patient/ada/$ledger").await.is(200);
    assert!(told.ids().contains(&String::from("c")), "{}", told.text);
}

// A fact may come before its patient: the ledger keeps it for the identifier, and the patient finds it there.
#[tokio::test(flavor = "multi_thread")]
async fn a_fact_may_come_before_its_patient() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    let subject = json!({"identifier": {"system": MEMBERS, "value": "ada"}});
    house.put(&dispense("d", "x", "2026-06-01").with("subject", subject)).await.is(201);
    house.put(&hypertension("c", "ada")).await.is(201);
    house.beat().await;
    house.put(&patient("ada")).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
    let told = house.get("Patient/ada/$ledger").await.is(200);
    for id in ["d", "c", "ada"] {
        assert!(told.ids().contains(&String::from(id)), "{id}: {}", told.text);
    }
    house.days(4).await;
    let said = house.count("Communication").await;
    assert_eq!(said, 1, "{:?}", diary(&house, "ada").await);
}

// A reminder that waits for its patient is said when the patient arrives, also when two records become one by that.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_patient_is_said_when_the_patient_arrives() {
    for other in [None, Some("urn:other")] {
        let house = House::new().await;
        house.put(&store("store-1")).await.is(201);
        let named = |system: &str| json!({"identifier": {"system": system, "value": "ada"}});
        if let Some(system) = other {
            house.put(&hypertension("c", "x").with("subject", named(system))).await.is(201);
        }
        house.put(&dispense("d", "x", "2026-06-01").with("subject", named(MEMBERS))).await.is(201);
        house.days(26).await;
        assert_eq!(house.count("Communication?status=preparation").await, 1);
        let identifiers: Vec<_> =
            [Some(MEMBERS), other].into_iter().flatten().map(|system| named(system)["identifier"].clone()).collect();
        house.put(&patient("ada").with("identifier", json!(identifiers))).await.is(201);
        house.beat().await;
        house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
        house.beat().await;
        let told = house.get("Patient/ada/$ledger").await.is(200);
        assert!(told.ids().contains(&String::from("d")), "{}", told.text);
        assert_eq!(house.count("Communication?status=completed").await, 1, "{:?}", diary(&house, "ada").await);
    }
}

// An identifier without a system leads to nobody: two hospitals may both have a patient 7.
#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_without_a_system_leads_to_nobody() {
    let house = House::new().await;
    house.put(&patient("ada").with("identifier", json!([{"value": "7"}]))).await.is(201);
    let subject = json!({"identifier": {"value": "7"}});
    house.put(&hypertension("c", "x").with("subject", subject)).await.is(201);
    assert!(!house.get("Patient/ada/$ledger").await.is(200).ids().contains(&String::from("c")));
}

// The ledger tells a patient's story in the order in which it happened, each line with its source and hash.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_tells_the_story_in_order() {
    let house = House::new().await;
    let entries = [
        ("PUT", "MedicationDispense/d2", dispense("d2", "ada", "2026-05-20")),
        ("PUT", "MedicationDispense/d1", dispense("d1", "ada", "2026-04-20")),
        ("PUT", "Patient/ada", patient("ada")),
    ];
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    house.put(&patient("bob")).await.is(201);
    let told = house.get("Patient/ada/$ledger").await.is(200);
    let dispenses: Vec<String> = told.ids().into_iter().filter(|id| id.starts_with('d')).collect();
    assert_eq!((dispenses, told.ids().contains(&String::from("bob"))), (vec![String::from("d1"), String::from("d2")], false));
    let extensions = told.at("/entry/0/extension").to_string() + &told.at("/entry/0/resource/meta/extension").to_string();
    for word in ["hash", "source", "happened", "learned"] {
        assert!(extensions.contains(word) || told.text.contains(&format!("ledger-{word}")), "{word}: {}", told.text);
    }
    house.get("Patient/nobody/$ledger").await.is(404);
}

// A reference with an identifier beside it: a name nobody has yet becomes one of whom the identifier names, and whoever comes by that
// name finds the fact, also without the identifier.
async fn a_name_is_kept_beside_its_identifier(database: Database) {
    let house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    let identifier = json!({"system": MEMBERS, "value": "ada"});
    house.put(&hypertension("d1", "x").with("subject", json!({"identifier": identifier}))).await.is(201);
    let both = json!({"reference": "Patient/ada", "identifier": identifier});
    house.put(&dispense("d2", "x", "2026-05-02").with("subject", both)).await.is(201);
    house.put(&patient("ada").with("identifier", json!(null))).await.is(201);
    house.beat().await;
    let told = house.get("Patient/ada/$ledger").await.is(200).ids();
    for id in ["d1", "d2"] {
        assert!(told.contains(&String::from(id)), "{id}: {told:?}");
    }
    assert_eq!(house.count("Task?patient=ada&status=requested").await, 1, "{:?}", diary(&house, "ada").await);
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_kept_beside_its_identifier_on_sqlite() {
    a_name_is_kept_beside_its_identifier(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_kept_beside_its_identifier_on_postgres() {
    a_name_is_kept_beside_its_identifier(Database::postgres().await).await;
}

// Where whom the identifier names has another name here, the name counts: it is somebody who is not known yet. A name of another house
// says nothing against the identifier.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_counts_more_than_the_identifier_beside_it() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    let named = |reference: &str| json!({"reference": reference, "identifier": {"system": MEMBERS, "value": "ada"}});
    house.put(&hypertension("of-bob", "x").with("subject", named("Patient/bob"))).await.is(201);
    house.put(&hypertension("of-ada", "x").with("subject", named("https://other.example/fhir/Patient/7"))).await.is(201);
    let foreign = json!({"reference": "https://other.example/fhir/Patient/7"});
    house.put(&hypertension("of-ada-too", "x").with("subject", foreign)).await.is(201);
    house.put(&patient("bob")).await.is(201);
    for (who, has, lacks) in [("ada", vec!["of-ada", "of-ada-too"], "of-bob"), ("bob", vec!["of-bob"], "of-ada")] {
        let told = house.get(&format!("Patient/{who}/$ledger")).await.is(200).ids();
        assert!(has.iter().all(|id| told.contains(&String::from(*id))), "{who}: {told:?}");
        assert!(!told.contains(&String::from(lacks)), "{who}: {told:?}");
    }
}
