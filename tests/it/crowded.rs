//! A person of whom there are very many records, mostly by an identifier that means nobody, silences no one: who listens is told, and
//! what is due of others is said.

use serde_json::{Value, json};

use crate::builders::{With, bundle, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::House;
use crate::merges::replaced;
use crate::receiver::Receiver;

/// So many turns are enough for all that is heard in these stories.
const TURNS_MAX: usize = 60;

/// A patient whom a sender knows by a number that it gives to everybody.
fn unknown(id: &str) -> Value {
    patient(id).with("identifier", json!([{"system": "urn:mrn", "value": "UNKNOWN"}]))
}

/// Lets the beat do all that there is to do; that it comes to rest is a part of each story.
async fn rests(house: &House) {
    for _ in 0..TURNS_MAX {
        if house.turn().await == 0 {
            return;
        }
    }
    panic!("the beat does not come to rest");
}

async fn put_all(house: &House, resources: impl Iterator<Item = Value>) {
    let all: Vec<(String, Value)> = resources
        .map(|one| (format!("{}/{}", one["resourceType"].as_str().unwrap(), one["id"].as_str().unwrap()), one))
        .collect();
    for some in all.chunks(250) {
        let entries: Vec<(&str, &str, Value)> = some.iter().map(|(url, one)| ("PUT", url.as_str(), one.clone())).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
}

/// What arrived, in the order of its names: each person's goes its own way.
fn arrived(receiver: &Receiver) -> Vec<String> {
    let mut arrived = receiver.arrived();
    arrived.sort();
    arrived
}

async fn on_both(story: impl AsyncFn(Database) -> House) {
    for database in [Database::sqlite(), Database::postgres().await] {
        let House { database, .. } = story(database).await;
        database.drop().await;
    }
}

// One resource names all records of a person, each of which stands for each other; then a person has more records than are told of.
// Who listens to anything else is told, and so is who listens to the record that is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_very_many_records_stops_no_notice() {
    on_both(async |database| {
        let (house, receiver) = (House::over(database).await, Receiver::start().await);
        put_all(&house, [patient("new"), replaced("old", "new")].into_iter()).await;
        put_all(&house, (0..65).map(|number| unknown(&format!("p{number}")))).await;
        for criteria in ["List?subject=Patient/p7", "Condition", "Observation?patient=Patient/p0"] {
            house.post(&subscription(criteria, &receiver.url())).await.is(201);
        }
        house.beat().await;
        let entry: Vec<Value> = (0..65).map(|number| json!({"item": {"reference": format!("Patient/p{number}")}})).collect();
        let list = json!({"resourceType": "List", "id": "l", "status": "current", "mode": "working",
            "subject": {"reference": "Patient/p0"}, "entry": entry});
        house.put(&list).await.is(201);
        house.put(&hypertension("c1", "p0")).await.is(201);
        house.beat().await;
        assert_eq!(arrived(&receiver), ["c1", "l"]);

        let more = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 17000) INSERT INTO identifiers \
            (tenant, system, value, person) SELECT i.tenant, '', 'Patient/z' || n.n, i.person FROM n, identifiers i \
            WHERE i.system = '' AND i.value = 'Patient/p0'";
        assert_eq!(house.database.tamper(more).await, 17_000);
        let seen = json!({"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "pulse"},
            "subject": {"reference": "Patient/p0"}});
        house.put(&seen).await.is(201);
        house.put(&hypertension("c2", "new")).await.is(201);
        rests(&house).await;
        house.beat().await;
        assert_eq!(arrived(&receiver), ["c1", "c2", "l", "o"]);
        house
    })
    .await;
}
