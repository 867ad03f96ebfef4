//! An import teaches the ledger and contacts nobody. Driven as its users drive it: by the command line.

use std::process::{Command, Output};

use serde_json::{Value, json};
use signa::clock::Clock;

use crate::builders::{Purpose, With, bundle, consent, dispense, hypertension, patient, store, subscription};
use crate::diary::{diary, texts};
use crate::house::House;
use crate::receiver::Receiver;
use crate::rules::{clinic, gout, message, rule};

fn import(house: &House, name: &str, text: &str) -> Output {
    let path = house.database.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_signa"))
        .arg("import")
        .arg(path)
        .args(["--database", &house.database.url])
        .env("SIGNA_LEDGER_KEY", house.database.key())
        .output()
        .unwrap()
}

/// Everything that would lead to messages, were it told as it happens.
fn month() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("PUT", "Organization/store-1", store("store-1")),
        ("PUT", "Patient/ada", patient("ada")),
        ("PUT", "Consent/yes", consent("yes", "ada", &[Purpose::Treatment])),
        ("PUT", "Condition/c", hypertension("c", "ada")),
        ("PUT", "MedicationDispense/d", dispense("d", "ada", "2026-06-01")),
    ]
}

// What is imported is there and found, and nothing is said about it; what comes afterwards is.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_contacts_nobody() {
    let mut house = House::new().await;
    house.stop().await;
    let done = import(&house, "month.json", &bundle("transaction", &month()).to_string());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    house.restart().await;
    house.days(35).await;
    assert_eq!(house.count("MedicationDispense?patient=ada").await, 1);
    assert!(diary(&house, "ada").await.is_empty());
    let why_not = house.get("Patient/ada/$why-not?plan=refill").await.is(200).text;
    assert!(why_not.contains(r#""name":"gate","valueCode":"import""#), "{why_not}");

    house.put(&dispense("d2", "ada", "2026-07-06")).await.is(201);
    house.days(4).await;
    assert_eq!(diary(&house, "ada").await.len(), 1);
}

// A backup that holds a Subscription which is active does not end it, nor drop what waits for it; one that is not known comes as off.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_known_is_left_alone_by_an_import() {
    let (mut house, receiver) = (House::new().await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    let asked = subscription("Condition", &receiver.url());
    house.put(&asked.clone().with("id", "s")).await.is(201);
    house.beat().await;
    receiver.answers(503);
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.beat().await;
    house.stop().await;
    let active = asked.with("status", "active");
    let backup = ["s", "new"].map(|id| active.clone().with("id", id).to_string()).join("\n");
    assert!(import(&house, "backup.ndjson", &backup).status.success());
    receiver.answers(200);
    house.restart().await;
    house.put(&hypertension("c2", "ada")).await.is(201);
    house.days(1).await;
    let statuses = ["s", "new"].map(|id| format!("Subscription/{id}"));
    let mut found = Vec::new();
    for path in &statuses {
        found.push(house.get(path).await.is(200).at("/status"));
    }
    assert_eq!((found, receiver.arrived()), (vec![json!("active"), json!("off")], vec![String::from("c1"), String::from("c2")]));
    // Nor does a history in which it was deleted, or deleted and made again.
    house.stop().await;
    let deleted = |id: &str| json!({"request": {"method": "DELETE", "url": format!("Subscription/{id}")}});
    let made = json!({"fullUrl": "http://a.example/fhir/Subscription/s", "resource": active.clone().with("id", "s"),
        "request": {"method": "PUT", "url": "Subscription/s"}});
    for entries in [vec![deleted("s")], vec![made.clone(), deleted("s"), made]] {
        let history = json!({"resourceType": "Bundle", "type": "history", "entry": entries});
        assert!(import(&house, "history.json", &history.to_string()).status.success());
    }
    house.restart().await;
    house.put(&hypertension("c3", "ada")).await.is(201);
    house.beat().await;
    assert_eq!(house.get("Subscription/s").await.is(200).at("/status"), "active");
    assert_eq!(receiver.arrived().last().map(String::as_str), Some("c3"));
}

// What is imported piece by piece is tied by whole addresses: a relative reference is meant beside the entry that holds it.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_ties_entries_by_their_whole_addresses() {
    let mut house = House::new().await;
    house.stop().await;
    let entry = |full_url: &str, resource: Value| json!({"fullUrl": full_url, "resource": resource});
    let about = |id: &str, patient: &str| hypertension(id, "x").with("subject", json!({"reference": patient}));
    let collection = json!({"resourceType": "Bundle", "type": "collection", "entry": [
        entry("http://a.example/fhir/Patient/1", patient("from-a")),
        entry("http://b.example/fhir/Patient/1", patient("from-b")),
        entry("http://a.example/fhir/Condition/a", about("a", "Patient/1")),
        entry("http://b.example/fhir/Condition/b", about("b", "Patient/1/_history/4")),
        entry("http://b.example/fhir/Condition/c", about("c", "http://a.example/fhir/Patient/1")),
        entry("http://c.example/fhir/Condition/d", about("d", "Patient/1")),
        entry("urn:uuid:0a1b2c3d-0000-4000-8000-000000000001", about("e", "Patient/1")),
    ]});
    assert!(import(&house, "two.json", &collection.to_string()).status.success());
    house.restart().await;
    for (id, subject) in
        [("a", "Patient/from-a"), ("b", "Patient/from-b"), ("c", "Patient/from-a"), ("d", "Patient/1"), ("e", "Patient/1")]
    {
        assert_eq!(house.get(&format!("Condition/{id}")).await.is(200).at("/subject/reference"), subject, "{id}");
    }
}

// A history that ends with a deletion leaves nothing standing, whatever stood before; what was deleted and made again stands.
#[tokio::test(flavor = "multi_thread")]
async fn an_imported_history_brings_back_nothing_that_was_deleted() {
    let mut house = House::new().await;
    house.stop().await;
    let version = |name: &str| {
        json!({"fullUrl": format!("http://a.example/fhir/Patient/{name}"), "resource": patient(name),
        "request": {"method": "PUT", "url": format!("Patient/{name}")}})
    };
    let deleted = |name: &str| json!({"request": {"method": "DELETE", "url": format!("Patient/{name}")}});
    // The newest first.
    let history = json!({"resourceType": "Bundle", "type": "history", "entry": [
        deleted("ada"), version("bob"), deleted("bob"), version("ada"), version("bob")]});
    assert!(import(&house, "history.json", &history.to_string()).status.success());
    house.restart().await;
    house.get("Patient/ada").await.is(410);
    house.get("Patient/bob").await.is(200);
    assert_eq!(house.count("Patient").await, 1);
}

// Two servers call two persons by one id: nothing of the Bundle is taken, and the report says why.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_writes_no_person_over_another() {
    let mut house = House::new().await;
    house.stop().await;
    let entry = |server: &str, resource: Value| {
        json!({"fullUrl": format!("http://{server}.example/fhir/{}/{}",
        resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap()), "resource": resource})
    };
    let collection = json!({"resourceType": "Bundle", "type": "collection", "entry": [
        entry("a", patient("1")), entry("b", patient("1").with("birthDate", "1950-01-01")), entry("b", hypertension("c", "1"))]});
    let done = import(&house, "clash.json", &collection.to_string());
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("Bundle.entry[1]") && said.contains("two servers"), "{said}");
    house.restart().await;
    assert_eq!((house.count("Patient").await, house.count("Condition").await), (0, 0));
}

// Line by line works as well; what is refused is reported with its reason, and the rest is taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_reports_what_it_refused() {
    let mut house = House::new().await;
    house.stop().await;
    let broken = patient("bob").with("gender", "lady");
    let lines = format!("{}\n{}\n\n{}\n", patient("ada"), broken, hypertension("c", "ada"));
    let done = import(&house, "lines.ndjson", &lines);
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("Patient.gender"), "{said}");
    house.restart().await;
    assert_eq!((house.count("Patient").await, house.count("Condition").await), (1, 1));
}

// A rule that runs is imported in other words, more often than versions of a rule are remembered, and the gateway starts anew: it runs
// on as it was sent, and the import changed nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_runs_is_not_changed_or_ended_by_an_import() {
    let mut house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    house.put(&message("eat", "Eat.")).await.is(201);
    house.put(&rule("gout", "1", "drink")).await.is(201);
    house.beat().await;
    house.stop().await;
    let lines: Vec<String> = (2..=121).map(|version| rule("gout", &version.to_string(), "eat").to_string()).collect();
    assert!(import(&house, "rule.ndjson", &lines.join("\n")).status.success());
    house.restart().await;
    assert_eq!(house.get("PlanDefinition/gout").await.is(200).at("/meta/versionId"), "121");
    house.put(&gout("c", "ada")).await.is(201);
    house.days(2).await;
    assert_eq!(texts(&house, "ada").await, ["Drink."]);
}

// An imported rule rests; the same rule, sent, is a version of its own and runs, also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn an_imported_rule_rests_until_it_is_sent() {
    let mut house = clinic().await;
    house.put(&message("drink", "Drink.")).await.is(201);
    house.stop().await;
    assert!(import(&house, "rule.ndjson", &rule("gout", "1", "drink").to_string()).status.success());
    // Imported was by the real clock, and stamps of a resource never fall: what follows is later.
    house.clock.set(Clock::running().now() + 86_400_000);
    house.restart().await;
    house.put(&gout("c", "ada")).await.is(201);
    house.days(2).await;
    assert!(!texts(&house, "ada").await.contains(&String::from("Drink.")));

    assert_eq!(house.put(&rule("gout", "1", "drink")).await.is(200).at("/meta/versionId"), "2");
    assert_eq!(house.put(&rule("gout", "1", "drink")).await.is(200).at("/meta/versionId"), "2");
    house.beat().await;
    house.restart().await;
    house.put(&gout("d", "bob")).await.is(201);
    house.days(2).await;
    assert!(texts(&house, "bob").await.contains(&String::from("Drink.")));
}

// What another gateway said comes with an archive, under the ids that ours would give: what is said next has others.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_gateway_said_keeps_nothing_from_being_said() {
    let tell = async |house: &House| {
        house.put(&store("store-1")).await.is(201);
        house.put(&patient("ada")).await.is(201);
        house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
        house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
        house.days(31).await;
    };
    let other = House::new().await;
    tell(&other).await;
    let said = other.all("Communication").await.into_iter().chain(other.all("Task").await);
    let said: Vec<Value> = said.chain(other.all("CommunicationRequest").await).collect();
    let archive: Vec<String> = said.iter().map(Value::to_string).collect();
    let mut house = House::new().await;
    house.stop().await;
    // Their patient is another's number here, or nobody's.
    assert!(import(&house, "said.ndjson", &archive.join("\n")).status.success());
    house.restart().await;
    tell(&house).await;
    let theirs = diary(&other, "ada").await;
    let both: Vec<String> = theirs.iter().flat_map(|line| [line.clone(), line.clone()]).collect();
    assert_eq!((diary(&house, "ada").await, theirs.len()), (both, 3));
}
