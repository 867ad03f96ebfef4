//! What the database refuses of one event or one person stops nobody else: others are told and spoken to meanwhile, and what was
//! refused is said as soon as it can be recorded, once.

use std::collections::BTreeSet;

use crate::builders::{
    Purpose, With, bone_density, condition, consent, dispense, hypertension, patient, reply, snomed, store, subscription,
};
use crate::database::Database;
use crate::diary::texts;
use crate::house::{House, both};
use crate::merges::replaced;
use crate::receiver::Receiver;
use crate::rules::{gout, message, rule};

/// From now on the database refuses such rows of a table.
pub(crate) async fn plant(house: &House, table: &str, when: &str) {
    if house.database.url.starts_with("sqlite") {
        let refuse = "BEGIN SELECT RAISE(ABORT, 'planted'); END";
        house.database.tamper(&format!("CREATE TRIGGER planted_{table} BEFORE INSERT ON {table} WHEN {when} {refuse}")).await;
        return;
    }
    let refuse = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$";
    house.database.tamper(&format!("CREATE OR REPLACE FUNCTION planted() RETURNS trigger {refuse}")).await;
    let each = format!("FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION planted()");
    house.database.tamper(&format!("CREATE TRIGGER planted_{table} BEFORE INSERT ON {table} {each}")).await;
}

/// From now on it takes them again.
pub(crate) async fn pull(house: &House, table: &str) {
    let of = if house.database.url.starts_with("sqlite") { String::new() } else { format!(" ON {table}") };
    house.database.tamper(&format!("DROP TRIGGER planted_{table}{of}")).await;
}

/// The number of a patient's person, as a condition on the rows of a table.
pub(crate) async fn of(house: &House, patient: &str) -> String {
    let sql = format!("SELECT CAST(person AS TEXT) FROM identifiers WHERE value = 'Patient/{patient}'");
    let found = if house.database.url.starts_with("sqlite") {
        house.database.rows(&sql).concat()
    } else {
        house.database.postgres_words(&sql).await
    };
    format!("NEW.person = {}", found[0])
}

/// How many events are not settled.
async fn events(house: &House) -> u64 {
    house.database.tamper("UPDATE events SET told = told").await
}

/// A house with a store and these patients, who agreed to be written to about their treatment.
async fn known(database: Database, names: &[&str]) -> House {
    let house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    for name in names {
        house.put(&patient(name)).await.is(201);
        house.put(&consent(&format!("yes-{name}"), name, &[Purpose::Treatment])).await.is(201);
    }
    house.beat().await;
    house
}

/// The ids of the resources that arrived, in the order of their names; each must have come once.
fn arrived(receiver: &Receiver) -> BTreeSet<String> {
    let ids: Vec<String> = receiver.notices().iter().map(|one| one.json()["id"].as_str().unwrap().to_owned()).collect();
    let once: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(once.len(), ids.len(), "{ids:?}");
    once
}

fn ids(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

// One notice cannot be recorded. Others who wait for notices get theirs, what is due is said, and the rules look at the event as at
// any; so it is after a restart. When the database takes the notice, it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_cannot_be_recorded_stops_no_other() {
    both(async |database| {
        let (mut house, receiver) = (known(database, &["ada", "bo"]).await, Receiver::start().await);
        house.put(&subscription("Condition", &receiver.url()).with("id", "s")).await.is(201);
        house.beat().await;
        plant(&house, "notices", "NEW.id = 'poison'").await;
        house.put(&dispense("d", "bo", "2026-06-01")).await.is(201);
        house.put(&condition("poison", "ada", &snomed("367336001", "Chemotherapy"))).await.is(201);
        house.put(&hypertension("c1", "ada")).await.is(201);
        house.put(&hypertension("c2", "bo")).await.is(201);
        house.days(4).await;
        assert_eq!(arrived(&receiver), ids(&["c1", "c2"]));
        assert_eq!((texts(&house, "ada").await.len(), texts(&house, "bo").await.len()), (1, 1));
        house.restart().await;
        house.put(&hypertension("c3", "bo")).await.is(201);
        house.days(1).await;
        assert_eq!((arrived(&receiver), events(&house).await), (ids(&["c1", "c2", "c3"]), 1));
        pull(&house, "notices").await;
        house.days(1).await;
        assert_eq!((arrived(&receiver), events(&house).await), (ids(&["c1", "c2", "c3", "poison"]), 0));
        assert_eq!(texts(&house, "ada").await.len(), 1, "the rules' word is said once");
        house.stop().await;
        house
    })
    .await;
}

// What the rules say of one person cannot be recorded: neither what was heard, nor what is due. Others are spoken to.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_cannot_be_decided_on_stops_no_other() {
    for is_planned in [false, true] {
        both(async |database| {
            let mut house = known(database, &["ada", "bo"]).await;
            let ada = of(&house, "ada").await;
            if !is_planned {
                plant(&house, "turns", &ada).await;
            }
            house.put(&dispense("d-ada", "ada", "2026-06-01")).await.is(201);
            house.put(&dispense("d-bo", "bo", "2026-06-01")).await.is(201);
            house.beat().await;
            if is_planned {
                plant(&house, "turns", &ada).await;
            }
            house.days(3).await;
            house.restart().await;
            house.days(1).await;
            assert_eq!((texts(&house, "ada").await.len(), texts(&house, "bo").await.len()), (0, 1), "planned {is_planned}");
            pull(&house, "turns").await;
            house.days(1).await;
            assert_eq!((texts(&house, "ada").await.len(), texts(&house, "bo").await.len()), (1, 1), "planned {is_planned}");
            assert_eq!(events(&house).await, 0);
            house.stop().await;
            house
        })
        .await;
    }
}

// A row of the disk cannot be read: an event that was not heard yet, and then a fact of one person. Others are told and spoken to.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_stops_no_other() {
    let (mut house, receiver) = (known(Database::sqlite(), &["ada", "bo"]).await, Receiver::start().await);
    house.put(&subscription("Condition", &receiver.url()).with("id", "s")).await.is(201);
    house.beat().await;
    house.put(&hypertension("c-ada", "ada")).await.is(201);
    house.put(&hypertension("c-bo", "bo")).await.is(201);
    house.put(&dispense("d-ada", "ada", "2026-06-01")).await.is(201);
    house.put(&dispense("d-bo", "bo", "2026-06-01")).await.is(201);
    house.restart().await;
    let (broken, mended) = ("UPDATE resources SET version = 'broken'", "UPDATE resources SET version = 1");
    house.database.tamper(&format!("{broken} WHERE id = 'c-ada'")).await;
    house.beat().await;
    assert_eq!((arrived(&receiver), events(&house).await), (ids(&["c-bo"]), 1));
    house.days(2).await;
    house.database.tamper(&format!("{mended} WHERE id = 'c-ada'")).await;
    house.days(1).await;
    assert_eq!((arrived(&receiver), events(&house).await), (ids(&["c-ada", "c-bo"]), 0));

    let said = (texts(&house, "ada").await.len(), texts(&house, "bo").await.len());
    assert_eq!(said, (1, 1), "the advice");
    house.database.tamper(&format!("{broken} WHERE id = 'd-ada'")).await;
    house.days(23).await;
    assert_eq!((texts(&house, "ada").await.len(), texts(&house, "bo").await.len()), (1, 2), "the reminder");
    house.database.tamper(&format!("{mended} WHERE id = 'd-ada'")).await;
    house.days(1).await;
    assert_eq!((texts(&house, "ada").await.len(), texts(&house, "bo").await.len()), (2, 2), "the reminder");
}

// The database takes nothing, as on a full disk, and can be read: that is no fault of what is tried meanwhile. When it takes what is
// written again, a STOP that waited all the time is decided on before anything is said to who shares the address.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_comes_first_after_a_time_in_which_nothing_could_be_written() {
    both(async |database| {
        let house = known(database, &["ada", "bo"]).await;
        house.put(&patient("bo").with("telecom", patient("ada")["telecom"].clone())).await.is(200);
        house.put(&dispense("d-bo", "bo", "2026-06-01")).await.is(201);
        house.beat().await;
        let due = house.engine().next_due_of(&of(&house, "bo").await["NEW.person = ".len()..]).await;
        house.clock.set(due - 12 * 3_600_000);
        house.beat().await;
        assert!(texts(&house, "bo").await.is_empty());
        house.put(&reply("stop", "ada", "STOP")).await.is(201);
        plant(&house, "stops", "NEW.address <> ''").await;
        plant(&house, "events", "NEW.tenant = NEW.tenant").await;
        for hour in 0..12 {
            house.clock.set(due - (12 - hour) * 3_600_000 + 1);
            house.engine().tries().await;
        }
        house.clock.set(due - 60_000);
        house.engine().tries().await;
        pull(&house, "stops").await;
        pull(&house, "events").await;
        house.clock.set(due + 1);
        house.beat().await;
        assert_eq!(events(&house).await, 0);
        house.days(1).await;
        assert!(texts(&house, "bo").await.is_empty(), "somebody said STOP for the telephone");
        house
    })
    .await;
}

// A STOP that was filed under a replaced record cannot be recorded: whom it may bind is not spoken to, nor who shares an address; others are.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_have_said_stop_is_not_spoken_to() {
    both(async |database| {
        let house = known(database, &["new", "old", "bo", "cy"]).await;
        house.put(&replaced("old", "new")).await.is(200);
        house.put(&patient("cy").with("telecom", patient("old")["telecom"].clone())).await.is(200);
        for name in ["new", "bo", "cy"] {
            house.put(&dispense(&format!("d-{name}"), name, "2026-06-01")).await.is(201);
        }
        house.days(2).await;
        plant(&house, "stops", "NEW.address <> ''").await;
        house.put(&reply("stop", "old", "STOP")).await.is(201);
        house.days(2).await;
        assert_eq!((texts(&house, "new").await.len(), texts(&house, "bo").await.len()), (0, 1));
        assert!(texts(&house, "cy").await.is_empty(), "they share the telephone");
        pull(&house, "stops").await;
        house.days(1).await;
        assert_eq!((texts(&house, "new").await.len(), events(&house).await), (0, 0));
        assert!(texts(&house, "cy").await.is_empty(), "they share the telephone");
        house
    })
    .await;
}

// A STOP cannot be recorded, and what is heard with it is about somebody who shares the telephone: they are not spoken to either.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_cannot_be_recorded_binds_what_is_heard_with_it() {
    both(async |database| {
        let house = known(database, &["ada", "bo", "cy"]).await;
        house.put(&patient("cy").with("telecom", patient("ada")["telecom"].clone())).await.is(200);
        house.beat().await;
        plant(&house, "stops", "NEW.address <> ''").await;
        house.put(&bone_density("r-bo", "bo")).await.is(201);
        house.put(&bone_density("r-cy", "cy")).await.is(201);
        house.put(&reply("stop", "ada", "STOP")).await.is(201);
        house.engine().tries().await;
        assert_eq!((texts(&house, "bo").await.len(), texts(&house, "cy").await.len()), (1, 0), "they share the telephone");
        pull(&house, "stops").await;
        house.days(1).await;
        assert_eq!((texts(&house, "cy").await.len(), events(&house).await), (0, 0), "they share the telephone");
        house
    })
    .await;
}

// A rule was changed, and the change cannot be read: what is known of it goes on, and everything else is heard. When it can be read
// again, it holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_cannot_be_read_stops_no_other() {
    both(async |database| {
        let mut house = known(database, &["ada", "bo"]).await;
        for (id, words) in [("drink", "Drink."), ("rest", "Rest.")] {
            house.put(&message(id, words)).await.is(201);
        }
        house.put(&rule("gout", "1", "drink")).await.is(201);
        house.beat().await;
        house.clock.advance(std::time::Duration::from_mins(1));
        house.put(&rule("gout", "2", "rest")).await.is(200);
        let of_rule = "WHERE kind = 'PlanDefinition' AND id = 'gout'";
        house.database.tamper(&format!("UPDATE resources SET body = 'x' || body {of_rule}")).await;
        house.put(&gout("c", "ada")).await.is(201);
        house.days(2).await;
        assert_eq!((texts(&house, "ada").await, events(&house).await), (vec![String::from("Drink.")], 0));
        house.restart().await;
        house.database.tamper(&format!("UPDATE resources SET body = substr(body, 2) {of_rule}")).await;
        house.days(1).await;
        house.put(&gout("d", "bo")).await.is(201);
        house.days(2).await;
        assert_eq!(texts(&house, "bo").await, ["Rest."]);
        house.stop().await;
        house
    })
    .await;
}
