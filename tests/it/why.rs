//! Why something was said, and why not: as a sentence and as data, with the exact versions it rests on.

use serde_json::{Value, json};

use crate::builders::{Purpose, With, consent, dispense, patient, reply};
use crate::house::House;
use crate::refill::with_ada;
use crate::rules;

/// The parts of the parameters of this name, each as name and value.
fn told(answer: &Value, name: &str) -> Vec<Vec<(String, String)>> {
    let parameters = answer["parameter"].as_array().unwrap().iter().filter(|one| one["name"] == name);
    parameters.map(|one| one["part"].as_array().unwrap().iter().map(pair).collect()).collect()
}

fn pair(part: &Value) -> (String, String) {
    let value = part.as_object().unwrap().iter().find(|(name, _)| name.starts_with("value")).unwrap().1;
    let value = value.as_str().or_else(|| value["reference"].as_str()).unwrap().to_owned();
    (part["name"].as_str().unwrap().to_owned(), value)
}

fn value<'a>(parts: &'a [(String, String)], name: &str) -> &'a str {
    parts.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value.as_str())
}

/// What stands of one step of the refill rule.
async fn step(house: &House, step: &str) -> Vec<(String, String)> {
    let answer = house.get("Patient/ada/$why-not?plan=refill").await.is(200).json();
    told(&answer, "rule").into_iter().find(|parts| value(parts, "step") == step).unwrap()
}

// A message is explained by its rule with version, the exact version of the dispense, and a sentence; its request and a Task as well.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_explained() {
    let house = with_ada().await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.days(35).await;
    let said = house.all("Communication?subject=Patient/ada").await;
    let reminder = said.iter().find(|one| one["category"][0]["coding"][0]["code"] == "reminder").unwrap();
    let id = reminder["id"].as_str().unwrap();
    let request = reminder["basedOn"][0]["reference"].as_str().unwrap();
    for output in [id, &format!("Communication/{id}"), request] {
        let answer = house.get(&format!("Patient/ada/$why?output={output}")).await.is(200).json();
        let decisions = told(&answer, "decision");
        let last = decisions.last().unwrap();
        assert_eq!((value(last, "outcome"), value(last, "step")), ("fired", "reminder"));
        assert_eq!(value(last, "rule"), reminder["instantiatesCanonical"][0].as_str().unwrap());
        assert_eq!(value(last, "fact"), "MedicationDispense/d/_history/1");
        assert_eq!(value(last, "recorded"), format!("Communication/{id}"));
        let sentence = answer["parameter"][0]["valueString"].as_str().unwrap();
        assert!(sentence.starts_with("Said at 2026-06-26T") && sentence.contains("step reminder"), "{sentence}");
    }
    let task = &house.all("Task?patient=ada").await[0];
    let answer = house.get(&format!("Patient/ada/$why?output=Task/{}", task["id"].as_str().unwrap())).await.is(200).json();
    assert!(answer["parameter"][0]["valueString"].as_str().unwrap().starts_with("Asked for at"), "{answer}");
    house.put(&patient("bob")).await.is(201);
    house.beat().await;
    house.get(&format!("Patient/bob/$why?output={id}")).await.is(404);
    house.get("Patient/ada/$why?output=nothing").await.is(404);
    assert_eq!(house.get("Patient/ada/$why").await.is(400).expressions(), ["http.output"]);
}

// Of every rule it is told what stands against it, also where nothing was ever recorded.
#[tokio::test(flavor = "multi_thread")]
async fn every_rule_says_why_not() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.beat().await;
    let answer = house.get("Patient/ada/$why-not").await.is(200).json();
    let rules = told(&answer, "rule");
    let urls: std::collections::BTreeSet<&str> = rules.iter().map(|parts| value(parts, "rule")).collect();
    assert!(urls.len() >= 3, "{urls:?}");
    // What the calendar calls for every Patient needs no other fact.
    let (of_calendar, of_facts): (Vec<_>, Vec<_>) =
        rules.iter().partition(|parts| value(parts, "fact").starts_with("Patient/ada"));
    assert!(of_calendar.iter().all(|parts| value(parts, "gate") != "trigger" && !value(parts, "next").is_empty()));
    assert!(of_calendar.len() >= 3 && of_facts.len() > of_calendar.len(), "{of_calendar:?}");
    for parts in &of_facts {
        assert_eq!((value(parts, "outcome"), value(parts, "gate")), ("none", "trigger"), "{parts:?}");
        assert!(value(parts, "reason").starts_with("Nothing is recorded") && !value(parts, "change").is_empty());
    }
    house.get("Patient/ada/$why-not?plan=no-such-rule").await.is(404);
    house.get("Patient/nobody/$why-not").await.is(404);
}

// What waits for its day says when; what a gate holds or stops names the gate, what would change it, and when it is looked at next.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_held_or_stopped_says_so() {
    let house = with_ada().await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.beat().await;
    let planned = step(&house, "reminder").await;
    assert_eq!((value(&planned, "outcome"), value(&planned, "next")), ("planned", "2026-06-26T12:00:00.000Z"), "{planned:?}");
    assert_eq!(value(&planned, "fact"), "MedicationDispense/d/_history/1");
    house.put(&reply("no", "ada", "STOP")).await.is(201);
    house.days(26).await;
    let stopped = step(&house, "reminder").await;
    assert_eq!((value(&stopped, "outcome"), value(&stopped, "gate")), ("stopped", "stop"), "{stopped:?}");
    assert!(value(&stopped, "change").contains("START"), "{stopped:?}");
}

// Nobody asked for consent: held, with the time until which it may still be said; the Consent is what would change it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_says_until_when() {
    let house = with_ada().await;
    house.put(&consent("yes", "ada", &[Purpose::Treatment]).with("status", "inactive")).await.is(200);
    house.delete("Consent/yes").await.is(204);
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.days(26).await;
    let held = step(&house, "reminder").await;
    assert_eq!((value(&held, "outcome"), value(&held, "gate")), ("held", "consent"), "{held:?}");
    assert!(value(&held, "until") > "2026-06-26" && value(&held, "change").contains("Consent"), "{held:?}");
}

// A dispense whose days nobody knows: the reason is told with the step that it keeps from being planned.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_supply_says_so() {
    let house = with_ada().await;
    house.put(&dispense("d", "ada", "2026-06-01").with("daysSupply", json!(null))).await.is(201);
    house.beat().await;
    let stopped = step(&house, "reminder").await;
    assert_eq!((value(&stopped, "outcome"), value(&stopped, "gate")), ("stopped", "supply"), "{stopped:?}");
    assert!(value(&stopped, "change").contains("daysSupply"), "{stopped:?}");
}

// A rule that runs no longer is asked for what was decided of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_retired_rule_tells_what_was_decided_of_it() {
    let house = rules::clinic().await;
    house.put(&rules::message("drink", "Drink.")).await.is(201);
    house.put(&rules::rule("gout", "1", "drink")).await.is(201);
    house.put(&rules::gout("c", "ada")).await.is(201);
    house.days(2).await;
    house.put(&rules::rule("gout", "1", "drink").with("status", "retired")).await.is(200);
    house.beat().await;
    for name in ["gout", "https://clinic.example/gout", "https://clinic.example/gout|1"] {
        let answer = house.get(&format!("Patient/ada/$why-not?plan={name}")).await.is(200).json();
        let steps = told(&answer, "rule");
        assert_eq!(steps.len(), 1, "{answer}");
        assert_eq!((value(&steps[0], "outcome"), value(&steps[0], "step")), ("fired", "word"));
        assert_eq!(answer["parameter"][0]["valueString"], "The rule runs no longer; this was decided of one step.");
    }
    house.get("Patient/ada/$why-not?plan=https://clinic.example/gout|2").await.is(404);
    house.get("Patient/bob/$why-not?plan=gout").await.is(404);
    let twice = house.get("Patient/ada/$why-not?plan=gout&plan=refill").await.is(400);
    assert_eq!(twice.expressions(), ["http.plan"]);
}

// Where a message came from: its target, when it was recorded, who made it, and the exact versions of the facts and of the rule.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_names_its_sources() {
    let house = with_ada().await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.put(&dispense("d", "ada", "2026-06-01").with("note", json!([{"text": "corrected"}]))).await.is(200);
    house.days(26).await;
    let said = house.all("Communication?subject=Patient/ada").await;
    let reminder = said.iter().find(|one| one["category"][0]["coding"][0]["code"] == "reminder").unwrap();
    let (id, request) = (reminder["id"].as_str().unwrap(), reminder["basedOn"][0]["reference"].as_str().unwrap());
    for target in [format!("Communication/{id}"), request.to_owned()] {
        let found = house.get(&format!("Provenance?target={target}")).await.is(200);
        assert_eq!(found.at("/total"), 1, "{}", found.text);
        let provenance = &found.resources()[0];
        assert_eq!(provenance["target"][0]["reference"], format!("{target}/_history/1"));
        assert_eq!(provenance["entity"][0]["what"]["reference"], "MedicationDispense/d/_history/2");
        assert_eq!(provenance["policy"][0], reminder["instantiatesCanonical"][0]);
        assert_eq!(provenance["agent"][0]["who"]["display"], "Signa");
        assert!(provenance["recorded"].as_str().unwrap().starts_with("2026-06-26T"), "{provenance}");
        let own = provenance["id"].as_str().unwrap();
        let read = house.get(&format!("Provenance/{own}")).await.is(200).json();
        assert_eq!(&read, provenance);
        house.get(provenance["entity"][0]["what"]["reference"].as_str().unwrap()).await.is(200);
        let stored = read.with("id", Value::Null).with("meta", Value::Null);
        house.ask("POST", "Provenance").json(&stored).await.is(201);
    }
    // What was sent has only the Provenance that was sent with it.
    assert_eq!(house.count("Provenance?target=MedicationDispense/d").await, 0);
    house.get("Provenance/Task.nothing.1").await.is(404);
}
