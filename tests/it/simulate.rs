//! A rule is tried on the ledger before it is live: over the command line and over REST, and nothing is recorded.

use std::process::Command;

use serde_json::{Value, json};
use signa::config::Config;

use crate::builders::{Purpose, With, condition, consent, dispense, patient, reply, store};
use crate::database::Database;
use crate::house::House;
use crate::rules::{keys, message, rule};

const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";

/// Three who have gout: one agreed, one said STOP, one was never asked.
async fn clinic() -> House {
    clinic_with(|_| {}).await
}

async fn clinic_with(change: fn(&mut Config)) -> House {
    let house = House::set(Database::sqlite(), change).await;
    house.put(&store("store-1")).await.is(201);
    for name in ["ada", "bob", "cy"] {
        house.put(&patient(name)).await.is(201);
        if name != "cy" {
            house.put(&consent(&format!("yes-{name}"), name, &[Purpose::Treatment])).await.is(201);
        }
        let gout = json!({"coding": [{"system": ICD, "code": "M10.9"}]});
        house.put(&condition(&format!("gout-{name}"), name, &gout)).await.is(201);
        house.put(&dispense(&format!("fill-{name}"), name, "2026-06-01")).await.is(201);
    }
    house.put(&reply("no", "bob", "STOP")).await.is(201);
    house.days(6).await;
    house
}

/// What a step of the answer came to, as `name gate count` and `fired count`.
fn step(answer: &Value, id: &str) -> Vec<String> {
    let parts = |parameter: &Value| parameter["part"].as_array().cloned().unwrap_or_default();
    let steps = answer["parameter"].as_array().unwrap().iter().filter(|one| one["name"] == "step");
    let found = steps.map(parts).find(|parts| parts.iter().any(|part| part["name"] == "step" && part["valueString"] == id));
    let told = |part: &Value| match part["name"].as_str().unwrap() {
        "fired" => Some(format!("fired {}", part["valueUnsignedInt"])),
        name @ ("held" | "stopped" | "withdrawn" | "waited") => {
            let inner = parts(part);
            Some(format!("{name} {} {}", inner[0]["valueCode"].as_str().unwrap(), inner[1]["valueUnsignedInt"]))
        }
        _ => None,
    };
    found.unwrap_or_default().iter().filter_map(told).collect()
}

pub(crate) fn number(answer: &Value, name: &str) -> i64 {
    let parameter = answer["parameter"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    parameter["valueUnsignedInt"].as_i64().unwrap()
}

fn draft() -> Value {
    rule("gout", "1", "drink").with("status", "draft").with("approvalDate", Value::Null).with("reviewer", Value::Null)
}

pub(crate) fn asked(more: &[(&str, Value)]) -> Value {
    let mut parameter = vec![
        json!({"name": "plan", "resource": draft()}),
        json!({"name": "artefact", "resource": message("drink", "Drink.")}),
        json!({"name": "start", "valueDate": "2026-06-01"}),
        json!({"name": "end", "valueDate": "2026-06-30"}),
    ];
    parameter.extend(more.iter().map(|(name, value)| {
        let kind = if value.is_boolean() { "valueBoolean" } else { "valueString" };
        json!({"name": name, kind: value})
    }));
    json!({"resourceType": "Parameters", "parameter": parameter})
}

// A draft that nobody approved is tried: who agreed is written to, who said STOP is not, who was never asked waits; then all is as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_tried_and_nothing_is_recorded() {
    let house = clinic().await;
    let before = house.count("Communication").await;
    let told = house.ask("POST", "PlanDefinition/$simulate").json(&asked(&[])).await.is(200).json();
    assert_eq!(step(&told, "word"), ["fired 1", "stopped stop 1", "stopped timely 1"], "{told:#}");
    assert_eq!((number(&told, "persons"), number(&told, "contacted"), number(&told, "faults")), (3, 1, 0));
    assert_eq!(house.count("Communication").await, before);
    house.get("PlanDefinition/gout").await.is(404);
    // One by one, and one alone.
    let named = house.ask("POST", "PlanDefinition/$simulate").json(&asked(&[("persons", json!(true))])).await.is(200).json();
    assert_eq!(named["parameter"].as_array().unwrap().iter().filter(|one| one["name"] == "person").count(), 3);
    let bob =
        house.ask("POST", "PlanDefinition/$simulate").json(&asked(&[("subject", json!("Patient/bob"))])).await.is(200).json();
    assert_eq!((step(&bob, "word"), number(&bob, "persons")), (vec![String::from("fired 0"), String::from("stopped stop 1")], 1));
    assert!(bob.to_string().contains("Somebody said STOP"), "{bob}");
    // In pages; a page says whether there is more, and how to go on.
    let first = house.ask("POST", "PlanDefinition/$simulate").json(&asked(&[("_count", json!("2"))])).await.is(200).json();
    let parameter = |name: &str| first["parameter"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!((number(&first, "persons"), &parameter("cut")["valueBoolean"]), (2, &json!(true)));
    let more = [("_count", json!("2")), ("after", parameter("next")["valueString"].clone())];
    let rest = house.ask("POST", "PlanDefinition/$simulate").json(&asked(&more)).await.is(200).json();
    assert_eq!(number(&rest, "persons"), 1);
}

// What cannot be tried is refused with its place: no plan, one with faults, one of others, a window that ends before it begins.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_tried_is_refused() {
    let house = clinic().await;
    let ask = async |plan: Value, end: &str| {
        let mut asked = asked(&[]);
        asked["parameter"][0]["resource"] = plan;
        asked["parameter"][3]["valueDate"] = json!(end);
        house.ask("POST", "PlanDefinition/$simulate").json(&asked).await
    };
    let foreign = draft().with("meta", Value::Null);
    let faulty = draft().with("version", Value::Null);
    for (plan, end, status, code) in [
        (foreign, "2026-06-30", 422, "no-rule"),
        (faulty, "2026-06-30", 422, "plan-without-version"),
        (draft(), "2026-05-30", 400, "invalid-parameter"),
        (patient("x"), "2026-06-30", 400, "invalid-parameter"),
    ] {
        let refused = ask(plan, end).await;
        assert_eq!((refused.status, keys(&refused)), (status, vec![code.to_owned()]), "{}", refused.text);
    }
    house.ask("POST", "PlanDefinition/$simulate?start=2026&end=2026").json(&json!({"resourceType": "Parameters"})).await.is(400);
    house.get("PlanDefinition/gout/$simulate?start=2026&end=2026").await.is(404);
}

// What is wrong with other rules is not the draft's fault: it is tried beside those that run.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_other_rules_keep_no_draft_from_being_tried() {
    let house = clinic().await;
    let work = message("work", "Call.").with("kind", "Task");
    let quiet = rule("quiet", "1", "work").with("url", "https://clinic.example/quiet");
    house.put(&work).await.is(201);
    house.put(&quiet.with("approvalDate", Value::Null).with("reviewer", Value::Null)).await.is(201);
    house.beat().await;
    let mut asked = asked(&[]);
    let spoiled = json!({"name": "artefact", "resource": message("work", "Call.")});
    asked["parameter"].as_array_mut().unwrap().push(spoiled);
    let told = house.ask("POST", "PlanDefinition/$simulate").json(&asked).await.is(200).json();
    assert_eq!(step(&told, "word")[0], "fired 1", "{told:#}");
    asked["parameter"].as_array_mut().unwrap().push(json!({"name": "start", "valueDate": "2026-05-01"}));
    let twice = house.ask("POST", "PlanDefinition/$simulate").json(&asked).await.is(400);
    assert_eq!(twice.expressions(), ["http.start"]);
}

/// Runs the program on the house's file.
fn simulate(house: &House, more: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signa"));
    command.args(["simulate", "--database", &house.database.url]).args(more).env("RUST_BACKTRACE", "0");
    let done = command.output().unwrap();
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
}

// The same on the command line, beside the running gateway; and what was decided is decided again.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_tries_a_file_beside_the_gateway_and_decides_again() {
    let house = clinic().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gout.json"), draft().to_string()).unwrap();
    std::fs::write(folder.path().join("drink.json"), message("drink", "Drink.").to_string()).unwrap();
    let plan = folder.path().join("gout.json");
    let window = ["--from", "2026-06-01", "--to", "2026-06-30"];
    let mut arguments = vec!["--plan", plan.to_str().unwrap()];
    arguments.extend(window);
    let (is_well, said) = simulate(&house, &arguments);
    assert!(is_well, "{said}");
    for line in [
        "1 persons would be contacted, by 1 messages",
        "fired 1, from 2026-06-02 to 2026-06-02",
        "stopped 1 by stop",
        "3 persons, ",
    ] {
        assert!(said.contains(line), "\"{line}\" is not in\n{said}");
    }
    arguments.extend(["--persons", "--json"]);
    let (_, said) = simulate(&house, &arguments);
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(step(&told, "word"), ["fired 1", "stopped stop 1", "stopped timely 1"]);
    assert!(said.contains("Patient/ada") && !said.contains("Ledger"), "opaque ids alone: {said}");
    let (is_well, said) =
        simulate(&house, &["--plan", "mappings/plans/refill.json", "--from", "2026-06-01", "--to", "2026-06-30"]);
    assert!(is_well && said.contains("refill|1.0.0  advice"), "{said}");
    let (is_well, said) = simulate(&house, &["--plan", "nowhere.json", "--from", "2026-06-30", "--to", "2026-06-01"]);
    assert!(!is_well && said.contains("before the first"), "{said}");
    // The clock of the house stands in June and the program's does not; what is due since then is decided by the program alone.
    let (_, said) = simulate(&house, &["--replay"]);
    assert!(said.contains("decisions were made again"), "{said}");
}

// A trial has a bound of its own, whatever the ledger holds: what would cost more is refused with what to narrow, and one person alone is
// told. Nobody waits for a trial: where no place is left, the next is asked to come again.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_costs_too_much_is_refused() {
    let ask = async |house: &House, more: &[(&str, Value)]| {
        let answer = house.ask("POST", "PlanDefinition/$simulate").json(&asked(more)).await;
        let code = answer.at("/issue/0/code").as_str().unwrap_or_default().to_owned();
        (answer.status, code, answer.text)
    };
    let one = [("subject", json!("Patient/ada"))];
    let house = clinic_with(|config| config.arrive.simulation_steps_max = 1_000).await;
    let gout = json!({"coding": [{"system": ICD, "code": "M10.9"}]});
    for number in 0..50 {
        house.put(&condition(&format!("again-{number}"), "bob", &gout)).await.is(201);
        house.clock.advance(std::time::Duration::from_secs(1));
    }
    house.beat().await;
    let (status, code, text) = ask(&house, &[]).await;
    assert_eq!((status, code.as_str()), (400, "too-costly"), "{text}");
    assert!(text.contains("try a shorter time"), "{text}");
    assert_eq!(ask(&house, &one).await.0, 200);
    let house = clinic_with(|config| config.arrive.simulations_max = 0).await;
    let answer = house.ask("POST", "PlanDefinition/$simulate").json(&asked(&one)).await.is(429);
    assert_eq!((keys(&answer), answer.at("/issue/0/code")), (vec![String::from("no-place")], json!("throttled")));
    assert_eq!(answer.header("Retry-After"), "5");
}

// Who took their STOP back binds nobody from then on, and before that everybody who shares the address: also in a trial.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_knows_who_refused_and_until_when() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    for name in ["ada", "bob"] {
        let phone = json!([{"system": "phone", "value": "+1 212 555 0142"}]);
        house.put(&patient(name).with("telecom", phone)).await.is(201);
        house.put(&consent(&format!("yes-{name}"), name, &[Purpose::Treatment])).await.is(201);
    }
    house.beat().await;
    let gout = json!({"coding": [{"system": ICD, "code": "M10.9"}]});
    house.put(&reply("no", "bob", "STOP")).await.is(201);
    house.days(1).await;
    house.put(&condition("first", "ada", &gout)).await.is(201);
    house.days(5).await;
    house.put(&reply("yes", "bob", "START")).await.is(201);
    house.days(1).await;
    house.put(&condition("second", "bob", &gout)).await.is(201);
    house.days(5).await;
    let told = house.ask("POST", "PlanDefinition/$simulate").json(&asked(&[])).await.is(200).json();
    assert_eq!(step(&told, "word"), ["fired 1", "stopped stop 1"], "{told:#}");
}

// A ledger that came as an archive is tried as it happened: those who are known only since then were there, and who died, until then.
#[tokio::test(flavor = "multi_thread")]
async fn a_past_that_was_imported_is_tried_with_its_patients() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    let gout = json!({"coding": [{"system": ICD, "code": "M10.9"}]});
    for (name, died) in [("ada", None), ("bob", Some("2025-03-20")), ("cy", Some("2025-02-01"))] {
        let person = patient(name);
        let person = died.map_or_else(|| person.clone(), |died| person.clone().with("deceasedDateTime", died));
        house.put(&person).await.is(201);
        house.put(&consent(&format!("yes-{name}"), name, &[Purpose::Treatment]).with("dateTime", "2024-01-01")).await.is(201);
        let of = |id: &str, at: &str| condition(&format!("{id}-{name}"), name, &gout).with("onsetDateTime", at);
        house.put(&of("early", "2025-03-10")).await.is(201);
    }
    house.beat().await;
    let mut asked = asked(&[]);
    let parameters = asked["parameter"].as_array_mut().unwrap();
    parameters.retain(|one| one["name"] != "start" && one["name"] != "end");
    parameters.extend([
        json!({"name": "start", "valueDate": "2025-03-01"}),
        json!({"name": "end", "valueDate": "2025-03-31"}),
        json!({"name": "order", "valueCode": "happened"}),
    ]);
    let told = house.ask("POST", "PlanDefinition/$simulate").json(&asked).await.is(200).json();
    assert_eq!(step(&told, "word"), ["fired 2", "stopped alive 1"], "{told:#}");
}
