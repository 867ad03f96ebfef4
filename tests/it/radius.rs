//! A rule that would fire far more often than ever stops itself: what it would say is held, and a person is asked once.

use serde_json::{Value, json};
use signa::config::Config;
use signa::react::Radius;

use crate::builders::{Purpose, With, bone_density, consent, patient, store};
use crate::database::Database;
use crate::diary::texts;
use crate::house::House;

const RULE: &str = "https://signa.example/fhir/PlanDefinition/osteoporosis-report";
const ASKED: &str = "Task?code=https://signa.example/fhir/CodeSystem/task|rule-stopped";

/// Three a day without history, twice the highest day with it.
fn narrow(config: &mut Config) {
    config.beat.react.radius = Radius { times: 2, floor: 3, unknown: 3 };
}

async fn clinic(database: Database, people: usize) -> House {
    let house = House::set(database, narrow).await;
    house.put(&store("store-1")).await.is(201);
    for number in 0..people {
        let name = format!("p{number}");
        house.put(&patient(&name)).await.is(201);
        house.put(&consent(&format!("yes-{name}"), &name, &[Purpose::Treatment])).await.is(201);
    }
    house.beat().await;
    house
}

/// A report for each of these people, by which the rule speaks at once.
async fn reports(house: &House, people: std::ops::Range<usize>) {
    for number in people {
        house.put(&bone_density(&format!("r{number}"), &format!("p{number}"))).await.is(201);
    }
    house.beat().await;
}

async fn said(house: &House) -> u64 {
    house.count("Communication?status=completed").await
}

/// Somebody takes the Task on and completes it with this word.
async fn answer(house: &House, word: &str) {
    let task = house.all(&format!("{ASKED}&status=requested")).await.remove(0);
    for status in ["accepted", "in-progress"] {
        house.put(&task.clone().with("status", status)).await.is(200);
    }
    let output = json!([{"type": {"text": "What becomes of the rule"}, "valueCode": word}]);
    house.put(&task.with("status", "completed").with("output", output)).await.is(200);
    house.beat().await;
}

/// What `$why-not` says of the rule.
async fn why_not(house: &House, patient: &str) -> String {
    house.get(&format!("Patient/{patient}/$why-not?plan={RULE}")).await.is(200).text
}

async fn a_rule_stops_itself(database: Database) {
    let mut house = clinic(database, 7).await;
    reports(&house, 0..3).await;
    assert_eq!((said(&house).await, house.count(ASKED).await), (3, 0));
    reports(&house, 3..5).await;
    assert_eq!((said(&house).await, house.count("Communication?status=preparation").await), (3, 2));
    let task = house.all(ASKED).await.remove(0);
    assert_eq!(task["focus"]["identifier"]["value"], RULE);
    assert_eq!(task["owner"]["identifier"]["value"], "default");
    let numbers = |task: &Value| (task["input"][0]["valueInteger"].clone(), task["input"][1]["valueInteger"].clone());
    assert_eq!(numbers(&task), (json!(3), json!(3)));
    house.restart().await;
    reports(&house, 5..6).await;
    assert_eq!((said(&house).await, house.count(ASKED).await), (3, 1));
    for held in ["p3", "p5"] {
        let told = why_not(&house, held).await;
        assert!(told.contains(r#""radius""#) && told.contains("go-on"), "{told}");
    }
    answer(&house, "go-on").await;
    assert_eq!((said(&house).await, house.count("Communication?status=preparation").await), (6, 0));
    reports(&house, 6..7).await;
    assert_eq!((said(&house).await, house.count(ASKED).await), (7, 1));
    house.stop().await;
    house.database.drop().await;
}

// After the bound nothing more is said, also not by a gateway started later; who says go-on lets all that was held go out.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_stops_itself_on_sqlite() {
    a_rule_stops_itself(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_stops_itself_on_postgresql() {
    a_rule_stops_itself(Database::postgres().await).await;
}

// Many who are decided on together are told no more than one after the other may be, and one Task asks.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_are_decided_on_together_share_one_bound() {
    let house = clinic(Database::postgres().await, 12).await;
    for number in 0..12 {
        house.put(&bone_density(&format!("r{number}"), &format!("p{number}"))).await.is(201);
    }
    house.beat().await;
    assert_eq!((said(&house).await, house.count(ASKED).await), (3, 1));
    assert_eq!(house.count("Communication?status=preparation").await, 9);
    let House { database, .. } = house;
    database.drop().await;
}

// Who says that it stays stopped ends what was held, with the reason; the rule says nothing any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_stays_stopped_says_nothing_more() {
    let house = clinic(Database::sqlite(), 5).await;
    reports(&house, 0..4).await;
    answer(&house, "stay-stopped").await;
    assert_eq!((said(&house).await, house.count("Communication?status=not-done").await), (3, 1));
    house.days(2).await;
    reports(&house, 4..5).await;
    assert_eq!((texts(&house, "p4").await.len(), house.count(ASKED).await), (0, 1));
    let told = why_not(&house, "p4").await;
    assert!(told.contains("stopped") && told.contains("another version"), "{told}");
}

// A busy day is not beyond: a rule may fire twice as often as on its highest day of the last weeks, and on the next day again.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_day_stops_nothing() {
    let house = clinic(Database::sqlite(), 35).await;
    for day in 0..8 {
        reports(&house, day * 3..day * 3 + 3).await;
        house.days(1).await;
    }
    reports(&house, 24..30).await;
    assert_eq!((said(&house).await, house.count(ASKED).await), (30, 0));
    house.days(1).await;
    reports(&house, 30..34).await;
    assert_eq!((said(&house).await, house.count(ASKED).await), (34, 0));
}

const PROFILE: &str = "https://signa.example/fhir/StructureDefinition";

/// A rule of the clinic's own, by which it speaks at once of every finding.
fn own(version: &str, forecast: Option<i64>) -> Value {
    let mut plan = json!({"resourceType": "PlanDefinition", "id": "own", "url": "https://clinic.example/own", "version": version,
        "status": "active", "meta": {"profile": [format!("{PROFILE}/signa-plan")]},
        "extension": [{"url": format!("{PROFILE}/plan-priority"), "valueCode": "clinical"}],
        "approvalDate": "2026-05-01", "reviewer": [{"name": "Dr. Reader"}],
        "action": [{"id": "found", "trigger": [{"type": "data-added", "data": [{"type": "Observation"}]}],
            "action": [{"id": "word", "definitionCanonical": "https://signa.example/fhir/ActivityDefinition/osteoporosis-report-nudge"}]}]});
    if let Some(forecast) = forecast {
        let extension = json!({"url": format!("{PROFILE}/plan-forecast"), "valueInteger": forecast});
        plan["extension"].as_array_mut().unwrap().push(extension);
    }
    plan
}

/// A finding for each of these people.
async fn findings(house: &House, people: std::ops::Range<usize>) {
    for number in people {
        let value = json!({"resourceType": "Observation", "id": format!("o{number}"), "status": "final", "code": {"text": "x"},
            "subject": {"reference": format!("Patient/p{number}")}});
        house.put(&value).await.is(201);
    }
    house.beat().await;
}

async fn a_mended_version(database: Database) {
    let mut house = clinic(database, 9).await;
    house.put(&own("1", None)).await.is(201);
    findings(&house, 0..4).await;
    // Nobody else would be asked: the question is answered, not deleted.
    let task = house.all(ASKED).await.remove(0);
    let refused = house.delete(&format!("Task/{}", task["id"].as_str().unwrap())).await.is(422);
    assert!(refused.text.contains("task-awaited"), "{}", refused.text);
    answer(&house, "stay-stopped").await;
    house.put(&own("2", None)).await.is(200);
    findings(&house, 4..8).await;
    assert_eq!((said(&house).await, house.count("Communication?status=preparation").await), (6, 1));
    assert_eq!((house.count(ASKED).await, house.count(&format!("{ASKED}&status=requested")).await), (2, 1));
    answer(&house, "go-on").await;
    findings(&house, 8..9).await;
    assert_eq!((said(&house).await, house.count("Communication?status=not-done").await), (8, 1));
    // What the answered one asked for is over.
    house.delete(&format!("Task/{}", task["id"].as_str().unwrap())).await.is(204);
    house.stop().await;
    house.database.drop().await;
}

// A version that mends a stopped one counts for itself, also on the same day; who lets it go on does not let the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_mended_version_on_sqlite() {
    a_mended_version(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_version_on_postgresql() {
    a_mended_version(Database::postgres().await).await;
}

// A forecast on the rule widens its bound from the first day; one that is no number is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_widens_the_bound() {
    let house = clinic(Database::sqlite(), 9).await;
    let refused = house.put(&own("1", Some(0))).await.is(422);
    assert!(refused.text.contains("bad-forecast"), "{}", refused.text);
    house.put(&own("1", Some(4))).await.is(201);
    findings(&house, 0..9).await;
    assert_eq!((said(&house).await, house.count("Communication?status=preparation").await), (8, 1));
    let task = house.all(ASKED).await.remove(0);
    assert_eq!((&task["focus"]["reference"], &task["priority"]), (&json!("PlanDefinition/own"), &json!("stat")));
}
