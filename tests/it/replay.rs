//! The ledger told again to the live rules decides as it was decided: every decision and every output, over a whole sample year.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use signa::flow::{Again, Order, Rehearser, Stage};
use signa::ledger::Person;
use signa::react::rehearsal::{Asked, Tally};

use crate::builders::{Purpose, With, bone_density, consent, dispense, hypertension, patient, snomed, store};
use crate::database::Database;
use crate::house::{House, START, millis};
use crate::merges::replaced;
use crate::rules::{gout, message, rule};
use crate::year::{Sent, Year};

/// What the store does about one of its Tasks: takes it on, does it with and without handing over, or says why not.
async fn work(house: &House, what: i64, at: i64) {
    let open = house.get("Task?status=requested,accepted,in-progress&_sort=_id&_count=1").await.is(200).resources();
    let Some(mut task) = open.into_iter().next() else { return };
    let id = task["id"].as_str().unwrap().to_owned();
    task["lastModified"] = json!(jiff::Timestamp::from_millisecond(at).unwrap().to_string());
    let to = match (task["status"].as_str(), what) {
        (Some("requested"), 0) => "cancelled",
        (Some("requested"), _) => "accepted",
        (Some("accepted"), _) => "in-progress",
        (_, 3) => "failed",
        _ => "completed",
    };
    task["status"] = json!(to);
    match (to, what) {
        ("completed", 1) => {
            let dispense = json!({"reference": "MedicationDispense/d-p0-0-1"});
            task["output"] = json!([{"type": {"text": "done"}, "valueReference": dispense}]);
        }
        ("completed", _) => task["output"] = json!([{"type": {"text": "done"}, "valueString": "spoke with them"}]),
        ("cancelled" | "failed", _) => task["statusReason"] = json!({"text": "not reached"}),
        _ => {}
    }
    house.ask("PUT", &format!("Task/{id}")).json(&task).await.is(200);
}

/// Lets everything happen that comes due until a time, each at its own.
async fn until(house: &House, at: i64) {
    while let Some(due) = house.engine().next_due().await.filter(|due| *due <= at) {
        house.clock.set(due.max(house.clock.now()));
        house.beat().await;
    }
    house.clock.set(at);
}

/// Sends each on its day, and lets the beat follow until sixty days are over.
pub(crate) async fn sixty_days(house: &House, told: &[(i64, Value)]) {
    let (start, day) = (millis(START), 86_400_000);
    for (at, resource) in told {
        until(house, start + at * day + house.clock.now() % 1_000 + 1).await;
        let answer = house.put(resource).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        house.beat().await;
    }
    until(house, start + 60 * day).await;
    house.beat().await;
}

async fn live(house: &House, seed: u64, persons: usize) {
    let start = millis(START);
    for (at, sent) in Year::of(start, seed, persons) {
        until(house, at).await;
        match sent {
            Sent::Put(value) => {
                let answer = house.put(&value).await;
                assert!(matches!(answer.status, 200 | 201), "{} {}", value, answer.text);
            }
            Sent::Delete(path) => {
                house.delete(&path).await;
            }
            Sent::Work(what) => work(house, what, at).await,
        }
        house.beat().await;
    }
    until(house, start + 370 * 86_400_000).await;
    house.beat().await;
}

/// Decides all of it again and compares; gives back how often each outcome and gate came.
pub(crate) async fn again(house: &House) -> (Tally, BTreeMap<String, usize>) {
    let now = house.clock.now();
    let (scope, teller) = house.engine().teller();
    let (rules, later) = teller.rules.ages(&scope.tenant);
    let stage = Stage { rules, later, order: Order::Asked, from: 0, until: now, steps_max: usize::MAX };
    let mut rehearser = Rehearser::new(&teller, &scope, stage);
    let asked = Asked { from: 0, to: now + 1, rules: vec![], zone: jiff::tz::TimeZone::UTC };
    let (mut tally, mut gates) = (Tally::default(), BTreeMap::new());
    for person in rehearser.persons(Person::NOBODY, 1_000).await.unwrap() {
        let Again { trial, decisions: parted, outputs, unheard, uncompared } = rehearser.again(person).await.unwrap().unwrap();
        assert!(parted.is_empty(), "{} parted of {}, the first: {:#?}", parted.len(), trial.patient, parted.first());
        if let Some(output) = outputs.first() {
            let again = trial.outputs.iter().find(|one| output.ends_with(one["id"].as_str().unwrap()));
            panic!("{} outputs parted: {}\nagain {again:#?}", outputs.len(), house.get(output).await.text);
        }
        assert_eq!((trial.faults, unheard, uncompared), (0, 0, 0), "{}", trial.patient);
        for decision in &trial.decisions {
            assert!(!decision.reason.is_empty());
            *gates.entry(format!("{} {}", decision.outcome.word(), decision.gate)).or_default() += 1;
        }
        tally.add(&asked, &trial);
    }
    (tally, gates)
}

async fn reproduces(database: Database, seed: u64, persons: usize) -> (Tally, BTreeMap<String, usize>) {
    let house = House::over(database).await;
    live(&house, seed, persons).await;
    let (scope, teller) = house.engine().teller();
    assert!(teller.rules.ages(&scope.tenant).1.len() >= 3, "the rules changed");
    let (tally, gates) = again(&house).await;
    println!("seed {seed}: {} persons, {} entries, {} decisions: {gates:?}", tally.persons, tally.entries, tally.decisions);
    (tally, gates)
}

// A year through the real gateway, then the same ledger told again: the same decisions, times, gates and outputs. The year holds most of
// what can happen: what it does not hold is not proven, so the gates it met are named.
#[tokio::test(flavor = "multi_thread")]
async fn a_year_told_again_is_decided_as_it_was() {
    let (tally, gates) = reproduces(Database::sqlite(), 20_260_601, 12).await;
    assert!(tally.decisions > 500 && tally.messages > 50, "{tally:?}");
    for met in [
        "fired ",
        "fired reversed",
        "held caps",
        "held consent",
        "held guardian",
        "held identity",
        "held quiet",
        "held therapy",
        "stopped alive",
        "stopped consent",
        "stopped diagnosis",
        "stopped reachable",
        "stopped stop",
        "stopped supply",
        "stopped taken",
        "stopped timely",
        "withdrawn left",
        "withdrawn moved",
        "withdrawn pointless",
        "withdrawn reversed",
    ] {
        assert!(gates.contains_key(met), "the year holds no {met}: {gates:?}");
    }
}

// The same on PostgreSQL, with fewer persons.
#[tokio::test(flavor = "multi_thread")]
async fn a_year_on_postgresql_told_again_is_decided_as_it_was() {
    let (tally, _) = reproduces(Database::postgres().await, 7, 4).await;
    assert!(tally.decisions > 100, "{tally:?}");
}

// Two records that were taken for one person for a time are decided again as they were: alone, together, and alone again.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_was_taken_back_is_decided_as_it_was() {
    let house = House::new().await;
    let link = json!([{"other": {"reference": "Patient/new"}, "type": "replaced-by"}]);
    let told = [
        (0, store("store-1")),
        (0, patient("new")),
        (0, patient("old")),
        (0, consent("yes-new", "new", &[Purpose::Treatment])),
        (0, dispense("d-new", "new", "2026-06-01")),
        (1, hypertension("c-old", "old")),
        (2, patient("old").with("active", false).with("link", link)),
        (3, dispense("d-old", "old", "2026-06-01")),
        (3, hypertension("c-new", "new")),
        (10, patient("old")),
        (11, consent("yes-old", "old", &[Purpose::Treatment])),
        (20, dispense("e-old", "old", "2026-06-21")),
    ];
    sixty_days(&house, &told).await;
    let (tally, gates) = again(&house).await;
    assert!(tally.persons == 1 && tally.messages >= 4, "{tally:?} {gates:?}");
}

// Of three records each two were one since a time of their own; the one by whom the others were leaves first, and then these part.
#[tokio::test(flavor = "multi_thread")]
async fn three_who_were_one_are_decided_as_they_were() {
    let house = House::new().await;
    let mut told = vec![(0, store("store-1")), (0, message("drink", "Drink.")), (0, rule("gout", "1", "drink"))];
    for name in ["a", "b", "c"] {
        told.extend([(0, patient(name)), (0, consent(&format!("yes-{name}"), name, &[Purpose::Treatment]))]);
    }
    told.extend([
        (1, replaced("b", "a")),
        (2, gout("g-c", "c")),
        (3, dispense("d-b", "b", "2026-06-04")),
        (6, replaced("c", "a")),
        (7, gout("g-b", "b")),
        (8, dispense("d-c", "c", "2026-06-09")),
        (9, replaced("c", "b")),
        (12, patient("b")),
        (13, gout("g-a", "a")),
        (20, patient("c")),
        (21, dispense("e-c", "c", "2026-06-22")),
        (22, gout("h-b", "b")),
    ]);
    sixty_days(&house, &told).await;
    let (tally, gates) = again(&house).await;
    assert!(tally.messages >= 4, "{tally:?} {gates:?}");
}

// Calls that were cancelled as doubles come back as often as they did; the last time it is too late. What the store did in the hour in
// which two were parted is known to both of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_double_that_came_back_comes_back_as_it_did() {
    let house = House::new().await;
    let told: Vec<(i64, Value)> = [
        (0, store("store-1")),
        (0, patient("new")),
        (0, patient("old")),
        (0, dispense("d-new", "new", "2026-06-01")),
        (0, dispense("d-old", "old", "2026-06-01")),
        (30, replaced("old", "new")),
        (31, patient("old")),
        (32, replaced("old", "new")),
    ]
    .into();
    for (at, resource) in &told {
        until(&house, millis(START) + at * 86_400_000 + house.clock.now() % 1_000 + 1).await;
        house.put(resource).await;
        house.beat().await;
    }
    let mut open = house.get("Task?status=requested").await.resources();
    assert_eq!((open.len(), house.count("Task?status=cancelled").await), (1, 2));
    let spoken = json!([{"type": {"text": "done"}, "valueString": "spoke with them"}]);
    for status in ["accepted", "in-progress", "completed"] {
        house.clock.advance(Duration::from_millis(1));
        house.put(&open[0].clone().with("status", status).with("output", spoken.clone())).await.is(200);
        open = house.get(&format!("Task?status={status}")).await.resources();
    }
    sixty_days(&house, &[(32, patient("old"))]).await;
    assert_eq!(house.count("Task").await, 3, "it was done for both");
    let (_, gates) = again(&house).await;
    assert!(gates.contains_key("withdrawn twice") && gates.contains_key("withdrawn parted"), "{gates:?}");
}

// What a group of medicines holds is a tenant's matter and may change: what was found out under the former rules, of supplies that have
// not changed since, is not taken for true under these. What is due of metformin asks of them on the second of July, the group is
// changed on the third, and what is due of lisinopril asks again on the sixth.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_a_tenant_changed_is_told_again_as_it_was_then() {
    let house = House::new().await;
    let untold = |id: &str, day: &str| dispense(id, "p", day).with("daysSupply", json!(null));
    let of = |code: &str, dispense: Value| {
        let coding = json!({"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code});
        dispense.with("medicationCodeableConcept", json!({"coding": [coding]}))
    };
    let codes = json!([{"code": "lisinopril"}, {"code": "warfarin"}]);
    let group = json!({"resourceType": "ValueSet", "id": "own", "status": "active",
        "url": "https://signa.example/fhir/ValueSet/antihypertensives",
        "compose": {"include": [{"system": "https://signa.example/fhir/CodeSystem/ingredient", "concept": codes}]}});
    let told = [
        (0, store("store-1")),
        (0, patient("p")),
        (0, consent("yes-p", "p", &[Purpose::Treatment])),
        (1, of("860975", untold("d-metformin", "2026-06-02"))),
        (5, untold("d-lisinopril", "2026-06-06")),
        (19, of("855332", untold("d-warfarin", "2026-06-20"))),
        (32, group),
    ];
    sixty_days(&house, &told).await;
    let (_, gates) = again(&house).await;
    assert!(gates.contains_key("stopped pointless"), "{gates:?}");
}

// What was decided by a text and by a group of codes that were deleted since is found out again by them, also by a gateway that was
// started after it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_of_a_rule_is_told_again_as_it_was() {
    let mut house = House::new().await;
    let told = [
        (0, store("store-1")),
        (0, message("drink", "Drink.")),
        (0, rule("gout", "1", "drink")),
        (0, patient("p")),
        (0, consent("yes-p", "p", &[Purpose::Treatment])),
        (1, gout("g-p", "p")),
        (
            3,
            json!({"resourceType": "ValueSet", "id": "own", "status": "active",
            "url": "https://signa.example/fhir/ValueSet/osteoporosis",
            "compose": {"include": [{"system": "http://snomed.info/sct", "concept": [{"code": "1"}]}]}}),
        ),
        (4, bone_density("r-p", "p").with("conclusionCode", json!([snomed("1", "Bones")]))),
        (9, rule("gout", "1", "drink").with("status", "retired")),
    ];
    sixty_days(&house, &told).await;
    house.delete("ActivityDefinition/drink").await.is(204);
    house.delete("ValueSet/own").await.is(204);
    house.beat().await;
    let (tally, before) = again(&house).await;
    assert!(tally.messages >= 2, "{tally:?} {before:?}");
    house.restart().await;
    let (_, after) = again(&house).await;
    assert_eq!(before, after);
}
