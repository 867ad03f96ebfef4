//! Where something came from (Provenance) is found as before when two records are united and parted, beside what it is of, too.
//! Follows <https://hl7.org/fhir/R4/provenance.html>.

use serde_json::{Value, json};

use crate::builders::{dispense, patient};
use crate::database::Database;
use crate::house::House;
use crate::merges::replaced;
use crate::partings::known;

/// What a sender tells of where a record came from.
fn sent(id: &str, target: &str) -> Value {
    json!({"resourceType": "Provenance", "id": id, "target": [{"reference": target}], "recorded": "2026-06-01T15:00:00Z",
        "agent": [{"who": {"display": "The front desk"}}]})
}

/// Address and version of everything that Signa made.
async fn made(house: &House) -> Vec<(String, usize)> {
    let mut made = Vec::new();
    for search in ["Communication?sender:missing=true", "CommunicationRequest?_sort=_id", "Task?_sort=_id"] {
        for one in house.all(search).await {
            let url = format!("{}/{}", one["resourceType"].as_str().unwrap(), one["id"].as_str().unwrap());
            made.push((url, one["meta"]["versionId"].as_str().unwrap().parse().unwrap()));
        }
    }
    made
}

/// Each version of all that Signa made tells where it came from, as a search and as a read; by address of the version.
async fn told(house: &House) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (url, version) in made(house).await {
        let found = house.all(&format!("Provenance?target={url}")).await;
        assert_eq!(found.len(), version, "{url}");
        for provenance in found {
            let own = format!("Provenance/{}", provenance["id"].as_str().unwrap());
            assert_eq!(house.get(&own).await.is(200).json(), provenance);
            let source = provenance["entity"][0]["what"]["reference"].as_str().unwrap();
            assert_eq!(source, "MedicationDispense/d/_history/1", "{own}");
            all.push((provenance["target"][0]["reference"].as_str().unwrap().to_owned(), provenance));
        }
    }
    all
}

/// The targets of the Provenances that stand beside what this search finds.
async fn beside(house: &House, search: &str) -> Vec<String> {
    let found = house.all(&format!("{search}&_revinclude=Provenance:target")).await;
    let provenances = found.iter().filter(|one| one["resourceType"] == "Provenance");
    let mut targets: Vec<String> = provenances.map(|one| one["target"][0]["reference"].as_str().unwrap().to_owned()).collect();
    targets.sort();
    targets
}

/// Which of the two that were sent are found by a record, by what is asked.
async fn found(house: &House, search: &str) -> Vec<String> {
    let mut ids = house.get(search).await.is(200).ids();
    ids.retain(|id| id.starts_with("of-"));
    ids.sort();
    ids
}

async fn by_each_record(house: &House, of_old: &[&str], of_new: &[&str]) {
    for (name, expected) in [("old", of_old), ("new", of_new)] {
        for search in ["Provenance?patient=Patient/NAME", "Patient/NAME/Provenance", "Patient/NAME/$everything?_type=Provenance"]
        {
            assert_eq!(found(house, &search.replace("NAME", name)).await, expected, "{search} {name}");
        }
        // What is about a record is about the person.
        assert_eq!(found(house, &format!("Provenance?target=Patient/{name}")).await, expected);
        assert_eq!(found(house, &format!("Patient?_id={name}&_revinclude=Provenance:target")).await, expected);
    }
}

async fn origins_stay(database: Database) {
    let house = known(database, &["new", "old"]).await;
    for name in ["new", "old"] {
        house.put(&sent(&format!("of-{name}"), &format!("Patient/{name}"))).await.is(201);
    }
    by_each_record(&house, &["of-old"], &["of-new"]).await;
    house.put(&dispense("d", "old", "2026-06-01")).await.is(201);
    house.days(5).await;
    let alone = told(&house).await;
    assert!(!alone.is_empty(), "advice was given");

    house.put(&replaced("old", "new")).await.is(200);
    house.days(26).await;
    by_each_record(&house, &["of-new", "of-old"], &["of-new", "of-old"]).await;
    let together = told(&house).await;
    assert!(alone.iter().all(|one| together.contains(one)), "what was told stays as it was");
    let calls = beside(&house, "Task?patient=Patient/old").await;
    assert_eq!((calls.len(), &calls), (1, &beside(&house, "Task?patient=Patient/new").await), "made for either, found by both");
    let said = beside(&house, "Communication?subject=Patient/old").await;
    assert!(said.len() > 1 && said == beside(&house, "Communication?subject=Patient/new").await, "{said:?}");
    let tasks: Vec<&String> = together.iter().map(|(target, _)| target).filter(|target| target.starts_with("Task/")).collect();
    assert_eq!(tasks, calls.iter().collect::<Vec<_>>());
    assert_eq!(beside(&house, "Task?patient=Patient/old&_revinclude=Provenance:entity").await, calls, "each once");
    let far = "Patient?_id=new&_revinclude=Task:patient";
    let of_tasks = |targets: Vec<String>| targets.into_iter().filter(|target| target.starts_with("Task/")).collect::<Vec<_>>();
    assert_eq!(of_tasks(beside(&house, far).await), Vec::<String>::new());
    assert_eq!(of_tasks(beside(&house, &format!("{far}&_revinclude:iterate=Provenance:target")).await), calls);

    house.put(&patient("old")).await.is(200);
    house.beat().await;
    by_each_record(&house, &["of-old"], &["of-new"]).await;
    let parted = told(&house).await;
    assert!(together.iter().all(|one| parted.contains(one)), "what was told stays as it was");
    // The open Task went back to whom it is about, and tells both.
    assert_eq!(beside(&house, "Task?patient=Patient/new").await, Vec::<String>::new());
    assert_eq!(beside(&house, "Task?patient=Patient/old").await.len(), 2);
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_stay_on_sqlite() {
    origins_stay(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_stay_on_postgresql() {
    origins_stay(Database::postgres().await).await;
}
