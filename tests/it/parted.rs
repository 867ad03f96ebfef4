//! What a merge that is taken back did meanwhile: no STOP and no message of anybody is lost by it.
//! Follows <https://hl7.org/fhir/R4/patient.html#links>.

use std::time::Duration;

use serde_json::{Value, json};

use crate::builders::{
    MEMBERS, Purpose, With, bone_density, bundle, condition, consent, dispense, hypertension, patient, reply, store,
};
use crate::database::Database;
use crate::diary::{naming, texts};
use crate::house::House;
use crate::merges::replaced;
use crate::partings::{diagnoses, known, times};
use crate::rules::{ICD, gout, message, rule};
use crate::simulate::{asked, number};

async fn both(story: impl AsyncFn(Database)) {
    story(Database::sqlite()).await;
    story(Database::postgres().await).await;
}

async fn done(house: House) {
    let House { database, .. } = house;
    database.drop().await;
}

// Nothing was said to `new` before `old` is parted from it; then one thing is, and to `old` nothing.
async fn parted_new_alone_is_spoken_to(house: House, parting: Value) {
    assert_eq!(texts(&house, "new").await, Vec::<String>::new());
    house.bundle(&parting).await.is(200);
    house.days(1).await;
    assert_eq!(texts(&house, "new").await.len(), 1);
    assert_eq!(texts(&house, "old").await.len(), 0);
    done(house).await;
}

// One of two said STOP, and the other START while both were taken for one: whoever said STOP is still not written to.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_of_the_other_takes_no_stop_back() {
    both(async |database| {
        let house = known(database, &["new", "old"]).await;
        house.put(&reply("stop", "new", "STOP")).await.is(201);
        house.beat().await;
        house.put(&replaced("old", "new")).await.is(200);
        house.put(&reply("start", "old", "START")).await.is(201);
        house.beat().await;
        house.put(&patient("old")).await.is(200);
        house.beat().await;
        house.put(&dispense("d-new", "new", "2026-06-01")).await.is(201);
        house.put(&dispense("d-old", "old", "2026-06-01")).await.is(201);
        house.days(27).await;
        assert_eq!(texts(&house, "new").await, Vec::<String>::new());
        assert_eq!(times(&house, "old", "reminder").await, 1);
        // Their own START still does.
        house.put(&reply("again", "new", "START")).await.is(201);
        house.put(&dispense("d-more", "new", "2026-06-28")).await.is(201);
        house.days(33).await;
        assert_eq!(times(&house, "new", "reminder").await, 1);
        done(house).await;
    })
    .await;
}

// A START that was said for the record itself is not forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn ones_own_start_is_kept() {
    let house = known(Database::sqlite(), &["new", "old"]).await;
    house.put(&reply("stop", "new", "STOP")).await.is(201);
    house.days(1).await;
    house.put(&reply("start", "new", "START")).await.is(201);
    house.beat().await;
    house.put(&replaced("old", "new")).await.is(200);
    house.beat().await;
    house.put(&patient("old")).await.is(200);
    house.beat().await;
    house.put(&dispense("d-new", "new", "2026-06-02")).await.is(201);
    house.days(27).await;
    assert_eq!(times(&house, "new", "reminder").await, 1);
}

// A fact that comes with the parting is not stopped by the other's STOP, nor lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_comes_with_the_parting_is_heard() {
    both(async |database| {
        let house = known(database, &["new", "old"]).await;
        house.put(&replaced("old", "new")).await.is(200);
        house.put(&reply("stop", "old", "STOP")).await.is(201);
        house.beat().await;
        let entries = [("PUT", "Patient/old", patient("old")), ("PUT", "DiagnosticReport/r", bone_density("r", "new"))];
        parted_new_alone_is_spoken_to(house, bundle("transaction", &entries)).await;
    })
    .await;
}

// A message that waited for the morning and was stopped by the other's STOP is said after the parting.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_others_stop_ended_is_looked_at_again() {
    both(async |database| {
        let house = House::over(database).await;
        house.put(&store("store-1")).await.is(201);
        house.put(&patient("new")).await.is(201);
        house.put(&bone_density("r", "new")).await.is(201);
        house.beat().await;
        assert_eq!(house.count("Communication?subject=Patient/new&status=preparation").await, 1, "it waits for consent");
        house.put(&replaced("old", "new")).await.is(201);
        house.put(&reply("stop", "old", "STOP")).await.is(201);
        house.put(&consent("yes", "new", &[Purpose::Treatment])).await.is(201);
        house.beat().await;
        parted_new_alone_is_spoken_to(house, bundle("transaction", &[("PUT", "Patient/old", patient("old"))])).await;
    })
    .await;
}

// What was said for the other's diagnosis does not stand for one of the person's own that is found after the parting.
#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_found_after_the_parting_is_an_episode_of_its_own() {
    both(async |database| {
        let house = known(database, &["new", "old"]).await;
        let entries = [
            ("PUT", "PlanDefinition/gout", rule("gout", "1", "drink")),
            ("PUT", "ActivityDefinition/drink", message("drink", "Drink.")),
        ];
        house.bundle(&bundle("transaction", &entries)).await.is(200);
        house.put(&replaced("old", "new")).await.is(200);
        house.put(&gout("g-old", "old")).await.is(201);
        house.put(&gout("g-meanwhile", "new")).await.is(201);
        house.days(3).await;
        assert_eq!(times(&house, "new", "notification").await, 1);
        house.put(&patient("old")).await.is(200);
        house.days(3).await;
        let said = async || times(&house, "new", "notification").await + times(&house, "old", "notification").await;
        assert_eq!(said().await, 1, "what was known then was said");
        house.put(&gout("g-new", "new")).await.is(201);
        house.put(&gout("g-older", "old")).await.is(201);
        house.days(3).await;
        assert_eq!(said().await, 2, "one of both was spoken to, the other was not");
        done(house).await;
    })
    .await;
}

// Nor does a call that was given up at the parting, for a diagnosis that comes with it; whenever the gateway hears of both.
#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_that_comes_with_the_parting_is_an_episode_of_its_own() {
    both(async |database| {
        let house = known(database, &["new", "old"]).await;
        let asthma = |name: &str| condition(&format!("a-{name}"), name, &json!({"coding": [{"system": ICD, "code": "J45.909"}]}));
        house.put(&replaced("old", "new")).await.is(200);
        house.put(&asthma("old")).await.is(201);
        house.days(16).await;
        let said = async || [texts(&house, "new").await.len(), texts(&house, "old").await.len()].into_iter().sum::<usize>();
        assert_eq!((said().await, house.count("Task?status=requested").await), (1, 1));
        let entries = [("PUT", "Patient/old", patient("old")), ("PUT", "Condition/a-new", asthma("new"))];
        house.bundle(&bundle("transaction", &entries)).await.is(200);
        house.clock.advance(Duration::from_hours(1));
        house.days(1).await;
        assert_eq!(said().await, 2, "of either diagnosis");
        done(house).await;
    })
    .await;
}

// A link that was taken back long ago does not make what was said since then common to others.
#[tokio::test(flavor = "multi_thread")]
async fn a_parting_reaches_back_to_its_own_union() {
    let house = known(Database::sqlite(), &["a", "b", "z"]).await;
    for (one, other) in [("b", "z"), ("b", "a"), ("a", "b")] {
        house.put(&replaced(one, other)).await.is(200);
        house.days(1).await;
        house.put(&patient(one)).await.is(200);
        house.days(1).await;
        let spans = house.database.rows("SELECT (MAX(until - since) + 1000) / 86400000 FROM partings");
        assert_eq!(spans, [["1"]], "{one} {other}");
    }
}

// A record that is first heard of with the merge is a record of its own when the link is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_made_by_the_merge_can_be_parted() {
    both(async |database| {
        let house = known(database, &["old"]).await;
        house.put(&hypertension("of-old", "old")).await.is(201);
        let link = json!([{"other": {"reference": "Patient/old"}, "type": "replaces"}]);
        let both = json!([{"system": MEMBERS, "value": "new"}, {"system": MEMBERS, "value": "old", "use": "old"}]);
        house.put(&patient("new").with("link", link).with("identifier", both)).await.is(201);
        house.put(&hypertension("of-new", "new")).await.is(201);
        assert_eq!(diagnoses(&house, "new").await, ["of-new", "of-old"]);
        house.put(&patient("new")).await.is(200);
        assert_eq!(diagnoses(&house, "new").await, ["of-new"]);
        assert_eq!(diagnoses(&house, "old").await, ["of-old"]);
        done(house).await;
    })
    .await;
}

// A clock that was set back does not make an earlier decision the last one.
#[tokio::test(flavor = "multi_thread")]
async fn decisions_keep_their_order_when_the_clock_is_set_back() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&bone_density("r", "ada")).await.is(201);
    house.beat().await;
    house.clock.set(house.clock.now() - 600_000);
    house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
    house.beat().await;
    assert_eq!(texts(&house, "ada").await.len(), 1);
    let later = "SELECT COUNT(*) FROM decisions d JOIN decisions e ON e.output = d.output AND e.ordinal > d.ordinal";
    let (all, back) = (house.database.rows(later), house.database.rows(&format!("{later} AND e.at < d.at")));
    assert!(all != [["0"]], "it was held, and then said");
    assert_eq!(back, [["0"]]);
}

// A rule can be tried on either of two who were parted.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_tried_on_one_who_was_parted() {
    let house = known(Database::sqlite(), &["new", "old"]).await;
    house.put(&gout("g-new", "new")).await.is(201);
    house.put(&replaced("old", "new")).await.is(200);
    house.put(&patient("old")).await.is(200);
    house.days(3).await;
    for name in ["new", "old"] {
        let subject = asked(&[("subject", json!(format!("Patient/{name}")))]);
        let told = house.ask("POST", "PlanDefinition/$simulate").json(&subject).await.is(200).json();
        assert!(number(&told, "persons") > 0, "{name}: {told}");
    }
}

/// The calls about a refill in this state, of all.
async fn calls(house: &House, status: &str) -> Vec<Value> {
    house.all(&format!("Task?status={status}&code=refill-call")).await
}

/// Two records are one from now on, or two again; an hour passes.
async fn told(house: &House, old: &Value) {
    house.put(old).await.is(200);
    house.beat().await;
    house.clock.advance(Duration::from_hours(1));
    house.beat().await;
}

// Two records of the same fill were both called about, united, parted, and found to be one after all: the call that was cancelled as a
// double is asked for again, and when it was done while they were one, it is done for both. Nothing that was said is said again.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_cancelled_as_a_double_comes_back() {
    both(async |database| {
        let house = known(database, &["new", "old"]).await;
        for name in ["new", "old"] {
            house.put(&dispense(&format!("d-{name}"), name, "2026-06-01")).await.is(201);
        }
        house.days(30).await;
        let said = [texts(&house, "new").await, texts(&house, "old").await];
        assert_eq!(calls(&house, "requested").await.len(), 2);
        for cancelled in 1..=2 {
            told(&house, &replaced("old", "new")).await;
            assert_eq!((calls(&house, "requested").await.len(), calls(&house, "cancelled").await.len()), (1, cancelled));
            told(&house, &patient("old")).await;
            assert_eq!(calls(&house, "cancelled").await.len(), cancelled);
            for name in ["new", "old"] {
                let own = naming(&house, "Task?status=requested&code=refill-call&patient", "for", name).await;
                assert_eq!(own.len(), 1, "{name}, {cancelled}");
            }
        }
        told(&house, &replaced("old", "new")).await;
        let mut open = calls(&house, "requested").await;
        assert_eq!(open.len(), 1);
        let spoken = json!([{"type": {"text": "done"}, "valueString": "spoke with them"}]);
        for status in ["accepted", "in-progress", "completed"] {
            house.put(&open.remove(0).with("status", status).with("output", spoken.clone())).await.is(200);
            open = calls(&house, status).await;
        }
        told(&house, &patient("old")).await;
        house.days(5).await;
        let all = [calls(&house, "requested").await.len(), calls(&house, "cancelled").await.len(), open.len()];
        assert_eq!(all, [0, 3, 1], "it was done for both");
        assert_eq!([texts(&house, "new").await, texts(&house, "old").await], said, "nothing is said again");
        done(house).await;
    })
    .await;
}
