//! A merge is taken back: two records are of two persons again, each with its own facts, and nobody is written to twice.
//! Follows <https://hl7.org/fhir/R4/patient.html#links>.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, Purpose, With, bundle, consent, dispense, hypertension, patient, reply, store};
use crate::database::Database;
use crate::diary::{diary, naming};
use crate::house::House;
use crate::merges::replaced;
use crate::rules::{gout, message, rule};
use crate::verify::verify;

/// A house with these patients, who agreed to be written to about their treatment, and a store.
pub(crate) async fn known(database: Database, names: &[&str]) -> House {
    let house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    for name in names {
        house.put(&patient(name)).await.is(201);
        house.put(&consent(&format!("yes-{name}"), name, &[Purpose::Treatment])).await.is(201);
    }
    house
}

/// The diagnoses in a person's whole record.
pub(crate) async fn diagnoses(house: &House, patient: &str) -> Vec<String> {
    let mut ids = house.get(&format!("Patient/{patient}/$everything?_type=Condition")).await.is(200).ids();
    ids.sort();
    ids
}

/// How often something of this kind stands in a patient's diary.
pub(crate) async fn times(house: &House, patient: &str, what: &str) -> usize {
    diary(house, patient).await.iter().filter(|line| line.contains(what)).count()
}

async fn a_merge_is_taken_back(database: Database) {
    let mut house = known(database, &["new", "old"]).await;
    house.put(&hypertension("old-before", "old")).await.is(201);
    house.put(&hypertension("new-before", "new")).await.is(201);
    house.put(&replaced("old", "new")).await.is(200);
    house.put(&hypertension("old-during", "old")).await.is(201);
    house.put(&hypertension("new-during", "new")).await.is(201);
    let numbered = json!({"type": "Patient", "identifier": {"system": MEMBERS, "value": "old"}});
    house.put(&hypertension("old-by-number", "old").with("subject", numbered)).await.is(201);
    house.beat().await;
    assert_eq!(diagnoses(&house, "new").await.len(), 5);

    house.put(&patient("old")).await.is(200);
    house.put(&hypertension("old-after", "old")).await.is(201);
    house.beat().await;
    let of_old = ["old-after", "old-before", "old-by-number", "old-during"];
    assert_eq!(diagnoses(&house, "old").await, of_old);
    assert_eq!(diagnoses(&house, "new").await, ["new-before", "new-during"]);
    for (name, other) in [("old", "new"), ("new", "old")] {
        let told = house.get(&format!("Patient/{name}/$ledger?_count=200")).await.is(200);
        let has = |id: &str| told.ids().contains(&String::from(id));
        assert!(has(&format!("{name}-during")) && !has(&format!("{other}-during")) && !has(&format!("{other}-before")));
        for line in ["united here", "parted here"] {
            assert!(told.text.contains(line), "{name} {line}");
        }
        let pix = house.get(&format!("Patient/$ihe-pix?sourceIdentifier={MEMBERS}|{name}")).await.is(200);
        assert_eq!(pix.at("/parameter/0/valueReference/reference"), format!("Patient/{name}"), "{:?}", pix.text);
    }
    house.engine().seal().await;
    house.stop().await;
    verify(&house).unwrap();
    house.restart().await;
    assert_eq!(diagnoses(&house, "old").await, of_old);
    // They may be found to be one after all.
    house.put(&replaced("old", "new")).await.is(200);
    assert_eq!(diagnoses(&house, "old").await.len(), 6);
    let House { database, .. } = house;
    database.drop().await;
}

// What names a record belongs to it again, by reference or by number, whenever it was told; and the chains verify.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_taken_back_on_sqlite() {
    a_merge_is_taken_back(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_taken_back_on_postgres() {
    a_merge_is_taken_back(Database::postgres().await).await;
}

// What was said while two records were taken for one is not said again to either; what is due later is said to whom it is about.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_not_said_again_and_what_is_due_goes_to_its_own() {
    let house = known(Database::sqlite(), &["new", "old"]).await;
    house.put(&replaced("old", "new")).await.is(200);
    house.put(&dispense("d", "old", "2026-06-01")).await.is(201);
    house.days(5).await;
    let advised = diary(&house, "new").await;
    assert!(!advised.is_empty(), "something is said about the dispense in the first days");
    house.put(&patient("old")).await.is(200);
    house.days(22).await;
    assert_eq!(diary(&house, "new").await, advised, "nothing more is said to the wrong one");
    let said = diary(&house, "old").await;
    assert_eq!(said.iter().filter(|line| line.contains("reminder")).count(), 1, "{said:?}");
    assert!(!said.iter().any(|line| advised.contains(line)), "nothing of it again: {said:?}");
}

// Two fills of one product were counted as one supply; each is counted for its own again, and each is reminded of its own.
#[tokio::test(flavor = "multi_thread")]
async fn each_supply_is_counted_for_its_own_again() {
    let house = known(Database::sqlite(), &["new", "old"]).await;
    house.put(&dispense("d-new", "new", "2026-06-01")).await.is(201);
    house.beat().await;
    house.put(&replaced("old", "new")).await.is(200);
    house.put(&dispense("d-old", "old", "2026-06-01")).await.is(201);
    house.days(10).await;
    house.put(&patient("old")).await.is(200);
    house.days(17).await;
    for name in ["new", "old"] {
        assert_eq!(times(&house, name, "reminder").await, 1, "{name}: {:?}", diary(&house, name).await);
    }
}

// The same diagnosis of both was one episode, asked for once; now it is one of each, and both are spoken to.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_diagnosis_is_an_episode_of_each_again() {
    let house = known(Database::sqlite(), &["new", "old"]).await;
    let entries = [
        ("PUT", "PlanDefinition/gout", rule("gout", "1", "drink")),
        ("PUT", "ActivityDefinition/drink", message("drink", "Drink.")),
    ];
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    house.beat().await;
    house.put(&replaced("old", "new")).await.is(200);
    house.put(&gout("g-old", "old")).await.is(201);
    house.put(&gout("g-new", "new")).await.is(201);
    house.beat().await;
    house.put(&patient("old")).await.is(200);
    house.days(3).await;
    for name in ["new", "old"] {
        assert_eq!(times(&house, name, "notification").await, 1, "{name}: {:?}", diary(&house, name).await);
    }
}

// Whoever died or said STOP silences the other only while both are taken for one.
#[tokio::test(flavor = "multi_thread")]
async fn the_silence_of_one_ends_for_the_other() {
    for is_dead in [true, false] {
        let house = known(Database::sqlite(), &["new", "old"]).await;
        let old = |merged: bool| {
            let old = if merged { replaced("old", "new") } else { patient("old") };
            if is_dead { old.with("deceasedBoolean", true) } else { old }
        };
        house.put(&old(true)).await.is(200);
        if !is_dead {
            house.put(&reply("stop", "old", "STOP")).await.is(201);
        }
        house.put(&dispense("d-new", "new", "2026-06-01")).await.is(201);
        house.put(&dispense("d-old", "old", "2026-06-01")).await.is(201);
        house.days(10).await;
        assert_eq!(house.count("Communication?status=completed&sender:missing=true").await, 0, "nobody is spoken to");
        house.put(&old(false)).await;
        house.beat().await;
        house.put(&dispense("d-more", "new", "2026-06-12")).await.is(201);
        house.put(&dispense("d-gone", "old", "2026-06-12")).await.is(201);
        house.days(50).await;
        assert_eq!(times(&house, "new", "reminder").await, 1, "dead {is_dead}: {:?}", diary(&house, "new").await);
        assert_eq!(times(&house, "old", "reminder").await, 0, "dead {is_dead}: {:?}", diary(&house, "old").await);
    }
}

// Of a chain of merges the last one is taken back: the first two stay one.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_merges_is_cut_where_it_is_said() {
    let house = known(Database::sqlite(), &["a", "b", "c"]).await;
    for name in ["a", "b", "c"] {
        house.put(&hypertension(&format!("of-{name}"), name)).await.is(201);
    }
    house.put(&replaced("a", "b")).await.is(200);
    house.put(&replaced("b", "c")).await.is(200);
    assert_eq!(diagnoses(&house, "a").await, ["of-a", "of-b", "of-c"]);
    house.put(&patient("b")).await.is(200);
    for (name, of) in [("a", vec!["of-a", "of-b"]), ("b", vec!["of-a", "of-b"]), ("c", vec!["of-c"])] {
        assert_eq!(diagnoses(&house, name).await, of, "{name}");
    }
    house.put(&patient("a")).await.is(200);
    assert_eq!(diagnoses(&house, "a").await, ["of-a"]);
    assert_eq!(diagnoses(&house, "b").await, ["of-b"]);
    house.beat().await;
}

// While one of two records still says so they stay one, also in a Bundle; an identifier that was copied goes with the link.
#[tokio::test(flavor = "multi_thread")]
async fn two_records_are_one_while_either_says_so() {
    let house = known(Database::sqlite(), &["new", "old"]).await;
    house.put(&hypertension("of-old", "old")).await.is(201);
    let link = json!([{"other": {"reference": "Patient/old"}, "type": "replaces"}]);
    let both = json!([{"system": MEMBERS, "value": "new"}, {"system": MEMBERS, "value": "old", "use": "old"}]);
    let merge = [
        ("PUT", "Patient/new", patient("new").with("link", link.clone()).with("identifier", both.clone())),
        ("PUT", "Patient/old", replaced("old", "new")),
    ];
    house.bundle(&bundle("transaction", &merge)).await.is(200);
    house.put(&patient("old")).await.is(200);
    assert_eq!(diagnoses(&house, "new").await, ["of-old"], "the record that stands still says so");
    house.put(&patient("new").with("identifier", both)).await.is(200);
    assert_eq!(diagnoses(&house, "new").await, ["of-old"], "it has the other's number");
    let apart = [("PUT", "Patient/new", patient("new")), ("PUT", "Patient/old", patient("old").with("active", true))];
    house.bundle(&bundle("transaction", &apart)).await.is(200);
    assert_eq!(diagnoses(&house, "new").await, Vec::<String>::new());
    assert_eq!(diagnoses(&house, "old").await, ["of-old"]);
}

// What a sender leaves out or deletes parts nobody, and a link to oneself says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_link_that_is_taken_back_parts() {
    let house = known(Database::sqlite(), &["a", "b"]).await;
    house.put(&hypertension("of-b", "b")).await.is(201);
    let both = json!([{"system": MEMBERS, "value": "a"}, {"system": MEMBERS, "value": "b"}]);
    house.put(&patient("a").with("identifier", both)).await.is(200);
    house.put(&patient("a")).await.is(200);
    assert_eq!(diagnoses(&house, "a").await, ["of-b"], "a sender names only the numbers it knows");

    let house = known(Database::sqlite(), &["a", "b"]).await;
    house.put(&hypertension("of-b", "b")).await.is(201);
    house.put(&replaced("b", "a")).await.is(200);
    house.delete("Patient/b").await.is(204);
    assert_eq!(diagnoses(&house, "a").await, ["of-b"], "a record that was given up may be deleted");

    let house = known(Database::sqlite(), &["a", "b"]).await;
    house.put(&hypertension("of-b", "b")).await.is(201);
    house.put(&replaced("a", "a")).await.is(200);
    house.put(&patient("a")).await.is(200);
    // A circle unites, until both have taken it back.
    house.put(&replaced("a", "b")).await.is(200);
    house.put(&replaced("b", "a")).await.is(200);
    house.put(&patient("a")).await.is(200);
    assert_eq!(diagnoses(&house, "a").await, ["of-b"]);
    house.put(&patient("b")).await.is(200);
    assert_eq!(diagnoses(&house, "a").await, Vec::<String>::new());
}

// An open Task about one record, which was made for the other, goes back and says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_task_goes_back_to_whom_it_is_about() {
    let house = known(Database::sqlite(), &["new", "old"]).await;
    house.put(&replaced("old", "new")).await.is(200);
    house.put(&dispense("d", "old", "2026-06-01")).await.is(201);
    house.days(31).await;
    let calls = async |of: &str| naming(&house, "Task?status=requested&code=refill-call&patient", "for", of).await;
    assert_eq!((calls("new").await.len(), calls("old").await.len()), (1, 0));
    house.put(&patient("old")).await.is(200);
    house.beat().await;
    let moved: Vec<Value> = calls("old").await;
    assert_eq!((calls("new").await.len(), moved.len()), (0, 1));
    assert!(moved[0]["note"][0]["text"].as_str().unwrap().contains("taken for one person"), "{}", moved[0]);
}

// What was held for the wrong one is not sent to them, and is said to whom it is about when the gate opens.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_held_for_whom_it_is_about() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("new")).await.is(201);
    house.put(&replaced("old", "new")).await.is(201);
    house.put(&dispense("d", "old", "2026-06-01")).await.is(201);
    house.days(27).await;
    let drafts = |of: &str| format!("Communication?subject=Patient/{of}&status=preparation");
    assert_eq!(house.count(&drafts("new")).await, 1, "the reminder waits for consent");
    house.put(&patient("old")).await.is(200);
    house.beat().await;
    assert_eq!((house.count(&drafts("new")).await, house.count(&drafts("old")).await), (0, 1));
    house.put(&consent("yes-new", "new", &[Purpose::Treatment])).await.is(201);
    house.put(&consent("yes-old", "old", &[Purpose::Treatment])).await.is(201);
    house.days(1).await;
    assert_eq!(times(&house, "new", "reminder").await, 0, "{:?}", diary(&house, "new").await);
    assert_eq!(times(&house, "old", "reminder").await, 1, "{:?}", diary(&house, "old").await);
}
