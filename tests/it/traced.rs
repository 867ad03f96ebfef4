//! A gateway that runs, and many who write at the same time: what it decided is decided again, every decision at its time.

use std::time::Duration;

use serde_json::{Value, json};
use signa::flow::{Order, Rehearser, Stage};
use signa::ledger::{Outcome, Person};

use crate::builders::{Purpose, With, condition, consent, dispense, hypertension, patient, reply, store};
use crate::database::Database;
use crate::house::{House, millis};

const WRITERS: usize = 8;
const PATIENTS: usize = 12;

/// A day so many days before now.
fn day(house: &House, before: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(house.clock.now() - before * 86_400_000).unwrap();
    at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// What one of the writers sends, in their own order: of every patient something, so that all write about all. Some say STOP, which
/// binds the next patient too, who has the same number; not while the clock stands, where nothing tells what came first.
fn letters(house: &House, writer: usize, round: usize) -> Vec<Value> {
    let mut letters = Vec::new();
    for turn in 0..PATIENTS {
        let who = format!("p{}", (turn + writer) % PATIENTS);
        let id = format!("{who}-{writer}");
        letters.push(match writer {
            0 => patient(&who).with("telecom", json!([{"system": "phone", "value": format!("+1 212 555 01{:02}", turn / 2)}])),
            1 | 2 => consent(&id, &who, &[Purpose::Treatment]),
            3 => hypertension(&id, &who),
            4 if turn % 4 == 0 && round == 0 => reply(&id, &who, "STOP"),
            4 => condition(&id, &who, &json!({"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M81.0"}]})),
            _ => dispense(&id, &who, &day(house, 30 - i64::try_from(writer).unwrap())),
        });
        if writer == 5 && turn % 3 == 0 {
            letters.push(dispense(&id, &who, &day(house, 25)).with("status", "entered-in-error"));
        }
    }
    letters
}

/// All write at once; the beat decides meanwhile.
async fn storm(house: &House, round: usize) {
    let writers = (0..WRITERS).map(|writer| async move {
        for letter in letters(house, writer, round) {
            let id = format!("{}-{round}", letter["id"].as_str().unwrap());
            let is_patient = letter["resourceType"] == "Patient";
            let answer = house.put(&if is_patient { letter } else { letter.with("id", id) }).await;
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        }
    });
    futures_util::future::join_all(writers).await;
}

/// What came of deciding all of it again.
#[derive(Debug, Default)]
struct Sum {
    decided: usize,
    fired: usize,
    parted: Vec<String>,
    unheard: usize,
    uncompared: usize,
}

async fn again(house: &House) -> Sum {
    let (scope, teller) = house.engine().teller();
    let (rules, later) = teller.rules.ages(&scope.tenant);
    let until = house.clock.now();
    let stage = Stage { rules, later, order: Order::Asked, from: 0, until, steps_max: usize::MAX };
    let mut rehearser = Rehearser::new(&teller, &scope, stage);
    let mut sum = Sum::default();
    for person in rehearser.persons(Person::NOBODY, 1_000).await.unwrap() {
        let again = rehearser.again(person).await.unwrap().unwrap();
        let trial = &again.trial;
        sum.parted.extend(again.decisions.iter().map(|parted| format!("{} {parted:#?}", trial.patient)));
        sum.parted.extend(again.outputs);
        sum.parted.extend((trial.faults > 0).then(|| format!("{} faults of {}", trial.faults, trial.patient)));
        sum.decided += trial.decisions.len();
        sum.fired += trial.decisions.iter().filter(|one| one.outcome == Outcome::Fired).count();
        sum.unheard += again.unheard;
        sum.uncompared += again.uncompared;
    }
    sum
}

/// All of it is as it was.
async fn same(house: &House) -> Sum {
    let sum = again(house).await;
    assert!(sum.parted.is_empty(), "{} parted, the first: {}", sum.parted.len(), sum.parted[0]);
    assert_eq!((sum.unheard, sum.uncompared), (0, 0));
    sum
}

// Many write at once, the beat runs by itself and hears what came together: decided again, it is the same. Then a decision, an event and
// the beginning are tampered with, and each is told.
async fn is_told_again(database: Database) {
    let mut house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    house.clock.set(millis("2026-11-02T11:00:00Z"));
    house.clock.go_on();
    house.start_beat();
    storm(&house, 0).await;
    house.engine().idle().await;
    let first = same(&house).await.decided;
    assert!(first > PATIENTS * 2, "{first}");
    // Days later much is due at once, while all write again.
    house.clock.advance(Duration::from_hours(24 * 27 + 13));
    storm(&house, 1).await;
    house.engine().idle().await;
    house.clock.advance(Duration::from_hours(30));
    house.engine().idle().await;
    let Sum { decided, fired, .. } = same(&house).await;
    assert!(decided > first && fired > 2, "{first} {decided} {fired}");
    assert!(house.database.tamper("UPDATE decisions SET at = at + 1 WHERE outcome = 'fired'").await > 0);
    assert!(!again(&house).await.parted.is_empty());
    assert!(house.database.tamper("DELETE FROM turns WHERE number > 1 AND heard > 0").await > 0);
    assert!(again(&house).await.unheard > 0);
    assert!(house.database.tamper("DELETE FROM turns").await > 0);
    let Sum { parted, uncompared, .. } = again(&house).await;
    assert_eq!((parted, uncompared), (vec![], decided));
    house.stop().await;
    let House { database, .. } = house;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_is_told_again_as_it_decided_on_sqlite() {
    is_told_again(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_is_told_again_as_it_decided_on_postgres() {
    is_told_again(Database::postgres().await).await;
}
