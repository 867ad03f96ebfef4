//! What the calendar calls and what is due of patients do not wait for each other, and a sweep that fails waits alone.

use serde_json::{Value, json};

use crate::builders::{Purpose, consent, dispense, patient, reply, store};
use crate::crowded::put_all;
use crate::database::Database;
use crate::house::{House, millis};

const ROOT: &str = "https://signa.example/fhir";

/// So many sweeps are due at once: far more than are looked at in a round.
const SWEEPS: u64 = 5_000;

/// How many rows of nobody's are due before a time.
async fn due_before(house: &House, time: &str) -> u64 {
    // Nothing is changed: the statement only tells how many rows there are.
    let time = millis(time);
    house.database.tamper(&format!("UPDATE dues SET due = due WHERE person = 0 AND due < {time}")).await
}

// Thousands of sweeps of a tenant are due, a sweep of another behind them, and a patient's advice with them: the first round says the
// advice, and has a turn for a sweep of each tenant, too.
async fn nobody_waits(database: Database) {
    let house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
    house.put(&dispense("fill", "ada", "2026-06-01")).await.is(201);
    house.beat().await;
    let long_ago = millis("2026-06-01T00:00:00Z");
    let many = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {SWEEPS})
        INSERT INTO dues (tenant, person, output, due, priority, rule, step, episode, detail)
        SELECT d.tenant, d.person, d.output || '-' || n.i, {long_ago}, d.priority, d.rule, d.step, d.episode, d.detail
        FROM dues d, n WHERE d.person = 0 AND d.rule = '{ROOT}/PlanDefinition/birthday'"
    );
    assert_eq!(house.database.tamper(&many).await, SWEEPS);
    let one = format!(
        "INSERT INTO dues (tenant, person, output, due, priority, rule, step, episode, detail)
        SELECT 'zebra', d.person, d.output, {long_ago} + 1, d.priority, d.rule, d.step, d.episode, d.detail
        FROM dues d WHERE d.person = 0 AND d.due > {long_ago} AND d.rule = '{ROOT}/PlanDefinition/birthday'"
    );
    assert_eq!(house.database.tamper(&one).await, 1);
    house.clock.set(millis("2026-06-04T15:00:00Z"));
    house.turn().await;
    assert_eq!(house.count("Communication?status=completed&subject=Patient/ada").await, 1);
    assert_eq!(due_before(&house, "2026-06-02T00:00:00Z").await, SWEEPS - 1);
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_does_not_wait_for_thousands_of_sweeps_on_sqlite() {
    nobody_waits(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_does_not_wait_for_thousands_of_sweeps_on_postgres() {
    nobody_waits(Database::postgres().await).await;
}

/// A rule of the clinic: a word every morning to everybody, or about each pulse that was taken.
fn morning(id: &str, input: &Value) -> Value {
    let call = json!([{"type": "periodic", "timingTiming": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}]);
    json!({"resourceType": "PlanDefinition", "id": id, "url": format!("https://clinic.example/{id}"), "version": "1", "status": "active",
        "meta": {"profile": [format!("{ROOT}/StructureDefinition/signa-plan")]},
        "extension": [{"url": format!("{ROOT}/StructureDefinition/plan-priority"), "valueCode": "clinical"}],
        "approvalDate": "2026-05-01", "reviewer": [{"name": "Dr. Reader"}],
        "action": [{"id": "day", "trigger": call, "input": input,
            "action": [{"id": "word", "definitionCanonical": format!("{ROOT}/ActivityDefinition/follow-up-message")}]}]})
}

/// When the sweep of a rule is due.
fn due_of(house: &House, rule: &str) -> String {
    house.database.rows(&format!("SELECT due FROM dues WHERE person = 0 AND rule = 'https://clinic.example/{rule}'"))[0][0]
        .clone()
}

/// How often something was decided by a rule.
fn decided(house: &House, rule: &str) -> String {
    house.database.rows(&format!("SELECT count(*) FROM decisions WHERE rule LIKE 'https://clinic.example/{rule}|%'"))[0][0]
        .clone()
}

// A row of the disk is broken, and what one rule is about cannot be read: the other rule speaks, the failing one comes back at a time of
// its own, and does what was its to do as soon as it can.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_fails_stops_no_other() {
    const MINUTE: std::time::Duration = std::time::Duration::from_mins(1);
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
    let pulse = json!({"resourceType": "Observation", "id": "pulse", "status": "final", "subject": {"reference": "Patient/ada"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}});
    house.put(&pulse).await.is(201);
    let pulses = json!([{"type": "Observation", "codeFilter": [{"path": "code", "code": [{"system": "http://loinc.org", "code": "8867-4"}]}]}]);
    house.put(&morning("a-pulse", &pulses)).await.is(201);
    house.put(&morning("b-word", &json!([{"type": "Patient"}]))).await.is(201);
    house.beat().await;
    house.database.tamper("UPDATE resources SET version = 'broken' WHERE kind = 'Observation'").await;

    house.clock.set(millis("2026-06-02T13:00:00Z"));
    house.beat().await;
    let late = (millis("2026-06-02T13:00:00Z") - millis("2026-06-02T08:00:00Z")).min(3_600_000);
    let said = |count: &str| (count.to_owned(), count.to_owned());
    assert_eq!((decided(&house, "a-pulse"), decided(&house, "b-word")), (String::from("0"), String::from("1")));
    assert_eq!(due_of(&house, "a-pulse"), (house.clock.now() + late).to_string());
    assert_eq!(due_of(&house, "b-word"), millis("2026-06-03T08:00:00Z").to_string());

    house.database.tamper("UPDATE resources SET version = 1 WHERE kind = 'Observation'").await;
    house.clock.advance(MINUTE * 59);
    house.beat().await;
    assert_eq!(decided(&house, "a-pulse"), "0");
    house.clock.advance(MINUTE);
    house.beat().await;
    assert_eq!((decided(&house, "a-pulse"), decided(&house, "b-word")), said("1"));
    assert_eq!(due_of(&house, "a-pulse"), millis("2026-06-03T08:00:00Z").to_string());
}

/// So many are called by a sweep: more than are decided on together, some times over.
const CALLED: u64 = 160;

/// To how many a word was said.
async fn said(house: &House) -> u64 {
    house.count("Communication?status=completed&sent:missing=false").await
}

// While a sweep calls many, somebody says STOP, again and again. It is heard and the sweep goes on at once where it stood: nobody waits
// for another minute, and nobody is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_amid_a_sweep_puts_nobody_off() {
    for database in [Database::sqlite(), Database::postgres().await] {
        let mut house = House::over(database).await;
        let of = |number: u64| {
            let id = format!("p{number}");
            [patient(&id), consent(&format!("yes-{id}"), &id, &[Purpose::Treatment])]
        };
        put_all(&house, (0..CALLED).flat_map(of).chain([patient("loud")])).await;
        house.put(&morning("b-word", &json!([{"type": "Patient"}]))).await.is(201);
        house.beat().await;
        let mut written = house.engine().written();
        written.borrow_and_update();
        house.clock.set(millis("2026-06-02T13:00:00Z"));
        house.start_beat();
        while said(&house).await == 0 {
            written.changed().await.unwrap();
        }
        assert!(said(&house).await < CALLED, "the story is over before it begins");
        for number in 0..8 {
            house.put(&reply(&format!("stop-{number}"), "loud", "STOP")).await.is(201);
        }
        house.engine().idle().await;
        assert_eq!(said(&house).await, CALLED);
        assert_eq!(house.database.tamper("UPDATE decisions SET at = at WHERE gate = 'fault'").await, 0, "somebody was given up");
        house.stop().await;
        house.database.drop().await;
    }
}
