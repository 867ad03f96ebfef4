//! What would cost too much is refused before anybody else has to wait for it.

use serde_json::Value;

use crate::builders::{MEMBERS, With, bundle, patient};
use crate::database::Database;
use crate::house::House;

/// Makes so many copies of a resource, as a large store would have them.
async fn crowd(house: &House, (kind, id): (&str, &str), copies: u64) {
    let grow = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {copies})
        INSERT INTO resources (number, tenant, kind, id, version, updated, deleted, person, store, fact, source, how, salt, meta, body)
        SELECT r.number + 1000000 + n.n, r.tenant, r.kind, r.id || '-' || n.n, r.version, r.updated, r.deleted, r.person, r.store,
        r.fact, r.source, r.how, r.salt, r.meta, r.body FROM resources r, n WHERE r.kind = '{kind}' AND r.id = '{id}'"
    );
    // Who searches finds its rows written.
    house.ask("GET", &format!("{kind}?_id={id}")).send().await.is(200);
    assert_eq!(house.database.tamper(&grow).await, copies);
    let index = format!(
        "INSERT INTO words (tenant, parameter, word, number) SELECT w.tenant, w.parameter, w.word, c.number FROM words w
        JOIN resources r ON r.number = w.number AND r.kind = '{kind}' AND r.id = '{id}' JOIN resources c ON c.number > 1000000"
    );
    assert!(house.database.tamper(&index).await > copies);
}

/// Makes so many rows by which others could be found, each by a word of its own, as a very large store would have them.
async fn index(house: &House, rows: u64) {
    let grow = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
        INSERT INTO words (tenant, parameter, word, number) SELECT w.tenant, w.parameter, w.word || n.n, w.number + 1000000 + n.n
        FROM words w JOIN resources r ON r.number = w.number AND r.kind = 'Patient' AND r.id = 'ada', n"
    );
    assert!(house.database.tamper(&grow).await >= rows);
}

async fn a_condition_looks_at_few(database: Database) {
    let house = House::over(database).await;
    house.put(&patient("ada")).await.is(201);
    let create = async |name: &str, criteria: &str| {
        house.ask("POST", "Patient").header("If-None-Exist", criteria).json(&patient(name).with("id", Value::Null)).await
    };
    create("bob", "name:contains=nobody").await.is(201);
    index(&house, 100_001).await;
    let refused = create("eve", "name:contains=nobody").await.is(400);
    assert_eq!(refused.codes(), ["too-costly"]);
    assert!(refused.text.contains("name an identifier"), "{}", refused.text);
    house.ask("DELETE", "Patient?name:contains=nobody").send().await.is(400);
    let entry = |name: &str, criteria: &str| {
        let mut entry = bundle("batch", &[("POST", "Patient", patient(name).with("id", Value::Null))])["entry"][0].take();
        entry["request"]["ifNoneExist"] = criteria.into();
        entry
    };
    // An identifier leads to what it means at once, however many there are; and who asks for too much spoils nobody's write.
    let by = |name: &str| format!("identifier={MEMBERS}|{name}");
    create("eve", &by("eve")).await.is(201);
    create("eve", &format!("name:contains=nobody&{}", by("eve"))).await.is(201);
    let entries = [entry("one", &by("one")), entry("two", "name:contains=nobody"), entry("three", &by("three"))];
    let batch = bundle("batch", &[]).with("entry", Value::from(entries.to_vec()));
    assert_eq!(house.bundle(&batch).await.is(200).statuses(), ["201", "400", "201"]);
    let House { database, .. } = house;
    database.drop().await;
}

/// A patient with far more than a batch looks at; what is found must still be so while it is written.
async fn a_rich_patient_is_written_to(database: Database) {
    let house = House::over(database).await;
    house.put(&patient("ada")).await.is(201);
    let pulse = |day: &str| {
        serde_json::json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "urn:c", "code": "pulse"}]},
            "effectiveDateTime": day, "subject": {"reference": "Patient/ada"}})
    };
    house.put(&pulse("2026-01-01").with("id", "first")).await.is(201);
    crowd(&house, ("Observation", "first"), 5_000).await;
    house.clock.advance(std::time::Duration::from_mins(1));
    let create = async |criteria: &str, day: &str| {
        house.ask("POST", "Observation").header("If-None-Exist", criteria).json(&pulse(day)).await
    };
    for criteria in ["patient=ada&code=urn:c|pulse&date=", "patient=ada&date="] {
        let day = if criteria.contains("code") { "2026-02-01" } else { "2026-02-02" };
        create(&format!("{criteria}{day}"), day).await.is(201);
        create(&format!("{criteria}{day}"), day).await.is(200);
    }
    // Of many at once one makes it.
    let all = futures_util::future::join_all((0..8).map(|_| create("patient=ada&date=2026-02-03", "2026-02-03"))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(house.count("Observation?date=2026-02-03").await, 1);
    let House { database, .. } = house;
    database.drop().await;
}

// Who has many resources is written to under conditions as anybody is.
#[tokio::test(flavor = "multi_thread")]
async fn a_rich_patient_is_written_to_on_sqlite() {
    a_rich_patient_is_written_to(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn a_rich_patient_is_written_to_on_postgres() {
    a_rich_patient_is_written_to(Database::postgres().await).await;
}

// Criteria that no index answers are refused in a large store, and not asked while all other writes wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_condition_looks_at_few_on_sqlite() {
    a_condition_looks_at_few(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn a_condition_looks_at_few_on_postgres() {
    a_condition_looks_at_few(Database::postgres().await).await;
}
