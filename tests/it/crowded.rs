//! A person of whom there are very many records, mostly by an identifier that means nobody, silences no one: who listens is told, and
//! what is due of others is said.

use serde_json::{Value, json};

use crate::builders::{
    Purpose, With, bone_density, bundle, consent, dispense, hypertension, patient, reply, store, subscription,
};
use crate::database::Database;
use crate::diary::texts;
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

pub(crate) async fn put_all(house: &House, resources: impl Iterator<Item = Value>) {
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

/// How many events are not settled.
async fn events(house: &House) -> u64 {
    house.database.tamper("UPDATE events SET told = told").await
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

// Facts come first, so that each makes a person; then their Patients come, who share a number that means nobody: more are one than
// are told in a story. What is heard of the last of them is decided on, and what is due of others is said.
#[tokio::test(flavor = "multi_thread")]
async fn very_many_who_are_one_stop_nobody() {
    on_both(async |database| {
        let house = House::over(database).await;
        put_all(&house, [store("store-1"), patient("bo"), consent("yes", "bo", &[Purpose::Treatment])].into_iter()).await;
        house.put(&dispense("d", "bo", "2026-06-01")).await.is(201);
        put_all(&house, (0..1_010).map(|number| hypertension(&format!("c{number}"), &format!("p{number}")))).await;
        rests(&house).await;
        put_all(&house, (0..1_010).map(|number| unknown(&format!("p{number}")))).await;
        rests(&house).await;
        house.put(&reply("r", "p1009", "Thank you.")).await.is(201);
        rests(&house).await;
        assert_eq!(events(&house).await, 0);
        house.clock.advance(std::time::Duration::from_hours(72));
        rests(&house).await;
        house.beat().await;
        assert_eq!(texts(&house, "bo").await.len(), 1);
        house
    })
    .await;
}

/// Of so many, who share a telephone, something is heard at once.
const SHARING: usize = 50;

// More waits for the rules than is kept in memory, and a STOP behind it. Some of it is decided on, so that there is room to hear more;
// then the STOP is heard, and binds all others who share the telephone.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_behind_more_than_may_wait_is_heard() {
    on_both(async |database| {
        let (house, receiver) = (House::set(database, |config| config.beat.waiting_max = 40).await, Receiver::start().await);
        let telecom = patient("p0")["telecom"].clone();
        let of = |number: usize| {
            let id = format!("p{number}");
            [consent(&format!("yes-{id}"), &id, &[Purpose::Treatment]), patient(&id).with("telecom", telecom.clone())]
        };
        put_all(&house, (0..SHARING).flat_map(of).chain([store("store-1")])).await;
        rests(&house).await;
        put_all(&house, (0..SHARING).map(|number| bone_density(&format!("r{number}"), &format!("p{number}")))).await;
        // What comes after it is not heard together with what comes before it.
        house.post(&subscription("List", &receiver.url())).await.is(201);
        house.put(&reply("stop", "p0", "STOP")).await.is(201);
        rests(&house).await;
        house.beat().await;
        assert_eq!(events(&house).await, 0);
        let said = house.count("Communication?status=completed&sent:missing=false").await;
        assert!((1..40).contains(&said), "{said} of {SHARING} were spoken to");
        house
    })
    .await;
}
