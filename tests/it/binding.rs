//! What was answered binds at once: whoever says STOP while many are spoken to, and all who share the telephone, hear nothing that is
//! decided after the answer.

use serde_json::Value;

use crate::builders::{Purpose, With, bundle, consent, dispense, patient, reply, store};
use crate::database::Database;
use crate::house::{House, millis};

/// More than are decided on together, some times over.
const PERSONS: u64 = 160;

/// A house with many who share a telephone and agreed to be written to; what is due of all of them comes at the same time.
async fn shared(database: Database) -> House {
    let house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    let telecom = patient("p0")["telecom"].clone();
    let of = |id: &String| {
        [
            ("Patient", patient(id).with("telecom", telecom.clone())),
            ("Consent", consent(&format!("yes-{id}"), id, &[Purpose::Treatment])),
            ("MedicationDispense", dispense(&format!("d-{id}"), id, "2026-06-01")),
        ]
    };
    let ids: Vec<String> = (0..PERSONS).map(|number| format!("p{number}")).collect();
    for ids in ids.chunks(40) {
        let all: Vec<(String, Value)> =
            ids.iter().flat_map(of).map(|(kind, one)| (format!("{kind}/{}", one["id"].as_str().unwrap()), one)).collect();
        let entries: Vec<(&str, &str, Value)> = all.iter().map(|(url, one)| ("PUT", url.as_str(), one.clone())).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    house
}

/// How many messages were said by us.
async fn said(house: &House) -> u64 {
    house.count("Communication?status=completed&sent:missing=false").await
}

// While the beat is busy with what came due, one of them says STOP. After the answer nobody of them is spoken to any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_binds_what_is_being_decided() {
    for database in [Database::sqlite(), Database::postgres().await] {
        let mut house = shared(database).await;
        house.beat().await;
        assert_eq!(said(&house).await, 0);
        let mut written = house.engine().written();
        written.borrow_and_update();
        house.clock.set(millis("2026-06-04T15:00:00Z"));
        house.start_beat();
        while said(&house).await == 0 {
            written.changed().await.unwrap();
        }
        assert!(said(&house).await < PERSONS, "the story is over before it begins");
        house.put(&reply("stop", "p0", "STOP")).await.is(201);
        let until_then = said(&house).await;
        house.engine().idle().await;
        assert_eq!(said(&house).await, until_then, "something was said after the answer");
        house.stop().await;
        house.database.drop().await;
    }
}
