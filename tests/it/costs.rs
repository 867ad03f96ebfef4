//! What a request costs in statements, and that the cost stays flat however much is there. Counted by PostgreSQL itself.

use serde_json::{Value, json};

use crate::builders::{bundle, dispense, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::House;

/// Statements that the database has run so far, but for those by which a connection says how it is to be treated.
pub(crate) async fn statements(house: &House) -> i64 {
    const COUNT: &str = "SELECT sum(calls)::bigint::text FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = current_database() AND s.query NOT LIKE '%pg_stat_statements%'
        AND s.query NOT LIKE 'SET %'";
    house.database.postgres_words(COUNT).await[0].parse().unwrap()
}

/// Statements of a create, an update, a read and a search, in this order.
async fn costs(house: &House, name: &str, day: &str) -> [i64; 4] {
    let mut costs = [0; 4];
    let diagnosis = hypertension(name, "ada");
    for (index, cost) in costs.iter_mut().enumerate() {
        let before = statements(house).await;
        match index {
            0 => house.put(&diagnosis).await.is(201),
            1 => house.put(&dispense("same", "ada", day)).await.is(200),
            2 => house.get(&format!("Condition/{name}")).await.is(200),
            _ => house.get("Condition?patient=ada&_count=10").await.is(200),
        };
        *cost = statements(house).await - before;
    }
    costs
}

// A request costs few statements, and not one more when there are hundreds of patients and subscriptions.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_costs_the_same_however_much_is_there() {
    let house = House::over(Database::postgres().await).await;
    house.database.tamper("CREATE EXTENSION pg_stat_statements").await;
    house.put(&patient("ada")).await.is(201);
    house.put(&dispense("same", "ada", "2026-06-01")).await.is(201);
    house.put(&hypertension("first", "ada")).await.is(201);
    let few = costs(&house, "c1", "2026-06-02").await;

    for batch in 0..4 {
        let ids: Vec<String> = (0..100).map(|number| format!("p{batch}-{number}")).collect();
        let urls: Vec<String> = ids.iter().map(|id| format!("Patient/{id}")).collect();
        let entries: Vec<(&str, &str, Value)> =
            ids.iter().zip(&urls).map(|(id, url)| ("PUT", url.as_str(), patient(id))).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    for number in 0..100 {
        let criteria = format!("Condition?code=http://snomed.info/sct|{}", 1_000_000 + number);
        house.post(&subscription(&criteria, "http://127.0.0.1:9/hook")).await.is(201);
    }
    let many = costs(&house, "c2", "2026-06-03").await;
    assert_eq!(few, many);
    let bounds = [20, 20, 1, 2];
    assert!(few.iter().zip(bounds).all(|(cost, bound)| *cost <= bound), "create, update, read, search: {few:?}");
    let House { database, .. } = house;
    database.drop().await;
}

// A Medication that comes with what names it is looked at once for each of the two types that may, and sweeps nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_medication_costs_no_sweep_where_it_comes_with_what_names_it() {
    let house = House::over(Database::postgres().await).await;
    house.database.tamper("CREATE EXTENSION pg_stat_statements").await;
    let mut costs = Vec::new();
    for (at, is_named) in [(0, false), (1, false), (2, true)] {
        let (who, name, fill) = (format!("p{at}"), format!("m{at}"), format!("d{at}"));
        let mut given = dispense(&fill, &who, "2026-06-01");
        let code = given["medicationCodeableConcept"].clone();
        if is_named {
            given.as_object_mut().unwrap().shift_remove("medicationCodeableConcept");
            given["medicationReference"] = json!({"reference": format!("Medication/{name}")});
        }
        let [to, of, medication] = [format!("Patient/{who}"), format!("MedicationDispense/{fill}"), format!("Medication/{name}")];
        let told = json!({"resourceType": "Medication", "id": name, "code": code});
        let entries = [("PUT", to.as_str(), patient(&who)), ("PUT", of.as_str(), given), ("PUT", medication.as_str(), told)];
        house.bundle(&bundle("transaction", &entries)).await.is(200);
        let before = statements(&house).await;
        house.beat().await;
        costs.push(statements(&house).await - before);
    }
    // Its product is read once more.
    assert!(costs[2] - costs[1] <= 1, "{costs:?}");
    let House { database, .. } = house;
    database.drop().await;
}

// The pages of all patients cost what is on them, also where they come to what the patients refer to: it is gathered once.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_everything_costs_what_is_on_it() {
    let house = House::over(Database::postgres().await).await;
    house.database.tamper("CREATE EXTENSION pg_stat_statements").await;
    let doctor = |number: usize| format!("Practitioner/d{:02}", number % 30);
    let observation = |number: usize| {
        json!({"resourceType": "Observation", "id": format!("o{number}"), "status": "final", "code": {"text": "pulse"},
            "subject": {"reference": "Patient/ada"}, "performer": [{"reference": doctor(number)}]})
    };
    house.put(&patient("ada")).await.is(201);
    for piece in 0..4 {
        let urls: Vec<String> = (0..250).map(|at| format!("Observation/o{}", piece * 250 + at)).collect();
        let entries: Vec<(&str, &str, Value)> =
            urls.iter().enumerate().map(|(at, url)| ("PUT", url.as_str(), observation(piece * 250 + at))).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    let doctors: Vec<String> = (0..30).map(doctor).collect();
    let entries: Vec<(&str, &str, Value)> = doctors
        .iter()
        .map(|url| ("PUT", url.as_str(), json!({"resourceType": "Practitioner", "id": url.trim_start_matches("Practitioner/")})))
        .collect();
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    let mut next = String::from("Patient/$everything?_count=10");
    let mut costs = Vec::new();
    let mut told = 0;
    while !next.is_empty() {
        let before = statements(&house).await;
        let page = house.get(&next).await.is(200);
        let cost = statements(&house).await - before;
        let others = page.resources().iter().filter(|resource| resource["resourceType"] == "Practitioner").count();
        told += others;
        if others == page.resources().len() {
            costs.push(cost);
        }
        next = page.link("next");
    }
    // One look for each that is told, and one beyond the page.
    assert!(told == 30 && costs.len() >= 2 && costs.iter().all(|cost| *cost <= 12), "{told} in {costs:?}");
    let House { database, .. } = house;
    database.drop().await;
}

/// Statements of each turn of the beat at this time, until nothing is left.
async fn turns(house: &House, time: &str) -> Vec<i64> {
    house.clock.set(crate::house::millis(time));
    let mut costs = Vec::new();
    loop {
        let before = statements(house).await;
        let done = house.turn().await;
        costs.push(statements(house).await - before);
        if done == 0 {
            return costs;
        }
    }
}

// What the calendar calls walks everybody in pages: a turn of the beat costs no more statements when there are many, and what is
// kept of it is one row for each rule.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_of_the_beat_costs_the_same_however_many_people_there_are() {
    const ROWS: &str = "SELECT count(*)::text FROM dues";
    let house = House::over(Database::postgres().await).await;
    house.database.tamper("CREATE EXTENSION pg_stat_statements").await;
    house.put(&patient("ada")).await.is(201);
    house.beat().await;
    let rows = house.database.postgres_words(ROWS).await;
    let few = turns(&house, "2026-06-02T15:00:00Z").await;
    for batch in 0..4 {
        let ids: Vec<String> = (0..200).map(|number| format!("p{batch}-{number}")).collect();
        let urls: Vec<String> = ids.iter().map(|id| format!("Patient/{id}")).collect();
        let entries: Vec<(&str, &str, Value)> =
            ids.iter().zip(&urls).map(|(id, url)| ("PUT", url.as_str(), patient(id))).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    house.beat().await;
    let many = turns(&house, "2026-06-03T15:00:00Z").await;
    assert_eq!(house.database.postgres_words(ROWS).await, rows, "rows for the calendar");
    // 801 people are four pages, and so three turns more; none costs more than the one that saw everybody before.
    let most = |costs: &[i64]| costs.iter().copied().max().unwrap_or_default();
    assert!(many.len() >= few.len() + 3, "{few:?} {many:?}");
    assert!(most(&many) <= most(&few) + 2 && most(&few) <= 40, "{few:?} {many:?}");
    let House { database, .. } = house;
    database.drop().await;
}

/// What a story may cost in statements, with all that is recorded of what came of it. On a slow machine fewer of them are committed
/// together, and each commit has statements of its own.
const STORY_MAX: i64 = 28;

/// Statements of the beat that decides on a fill of each of these.
async fn decided(house: &House, names: &[String], day: &str) -> i64 {
    for name in names {
        house.put(&dispense(&format!("{name}-{day}"), name, day)).await.is(201);
    }
    let before = statements(house).await;
    house.beat().await;
    statements(house).await - before
}

// The stories of many are read together: what each of them costs is known, and no more when they are many.
#[tokio::test(flavor = "multi_thread")]
async fn a_story_costs_few_statements() {
    let house = House::over(Database::postgres().await).await;
    house.database.tamper("CREATE EXTENSION pg_stat_statements").await;
    let names: Vec<String> = (0..17).map(|number| format!("p{number}")).collect();
    for name in &names {
        house.put(&patient(name)).await.is(201);
    }
    house.beat().await;
    let one = decided(&house, &names[..1], "2026-05-30").await;
    let nine = decided(&house, &names[..9], "2026-05-31").await;
    let many = decided(&house, &names, "2026-06-01").await;
    let (eight, next) = ((nine - one) / 8, (many - nine) / 8);
    assert!(eight <= STORY_MAX && next <= STORY_MAX, "of each: {eight}, {next}; {one}, {nine} and {many} in all");
    let House { database, .. } = house;
    database.drop().await;
}

// Who listens changes again and again among what was recorded: each event is read about once all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_heard_is_read_once_however_often_who_listens_changes() {
    const CHANGES: usize = 40;
    const READ: &str = "SELECT COALESCE(sum(rows), 0)::bigint::text FROM pg_stat_statements s
        JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = current_database() AND s.query LIKE '%FROM events%number >%'";
    let house = House::over(Database::postgres().await).await;
    house.database.tamper("CREATE EXTENSION pg_stat_statements").await;
    for number in 0..CHANGES {
        house.post(&subscription("Condition", "http://127.0.0.1:9/hook")).await.is(201);
        house.put(&hypertension(&format!("c{number}"), "ada")).await.is(201);
    }
    house.beat().await;
    let read: usize = house.database.postgres_words(READ).await[0].parse().unwrap();
    // Each probe that fails is one change more.
    assert!((CHANGES * 3..CHANGES * 6).contains(&read), "{read} rows were read of {} events", CHANGES * 3);
    let House { database, .. } = house;
    database.drop().await;
}
