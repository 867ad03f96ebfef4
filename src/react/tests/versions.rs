//! Versions of a rule: each acts on what was learned while it was the newest, and finishes what it began.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::{Artefact, Intended, Kept, Live, Rules, shipped};
use super::{at, dispense, dues, house, told};

const PLAN: &str = "https://signa.example/fhir/PlanDefinition/refill";

/// The shipped rules, and these versions of the refill rule with the day from which each counts.
fn rules(versions: &[(&str, Value)]) -> Rules {
    let artefact = |value: Value, since| Artefact { value: Arc::new(value), since };
    let mut artefacts: Vec<Artefact> = super::artefacts().into_iter().map(|value| artefact(value, 0)).collect();
    artefacts.extend(versions.iter().map(|(since, value)| artefact(value.clone(), at(since))));
    let (rules, issues) = Rules::of(&artefacts);
    assert_eq!(issues, []);
    rules
}

/// The refill rule with the advice on another day.
fn refill(version: &str, status: &str, days: i64) -> Value {
    let mut plan = shipped().into_iter().find(|value| value["url"] == PLAN).unwrap();
    plan["version"] = json!(version);
    plan["status"] = json!(status);
    plan["action"][0]["action"][0]["relatedAction"][0]["offsetDuration"]["value"] = json!(days);
    plan
}

// The fill before the change keeps the day it was given, though the dispense is sent again; the fill after it gets the new one.
#[test]
fn a_changed_rule_does_not_touch_what_the_old_one_began() {
    let rules = rules(&[("2026-01-10T00:00:00Z", refill("2", "active", 5))]);
    assert_eq!(rules.running().iter().filter(|known| known.starts_with(PLAN)).collect::<Vec<_>>(), [&format!("{PLAN}|2")]);
    let mut old = house(&rules, "2026-01-09T15:00:00Z");
    old.hear(dispense("a", "2026-01-09", 30));
    assert_eq!(dues(&old)[0], "advice 2026-01-12T13");
    old.advance(at("2026-01-11T00:00:00Z"));
    let mut again = dispense("a", "2026-01-09", 30);
    again["note"] = json!([{"text": "x"}]);
    old.hear(again);
    assert_eq!(dues(&old)[0], "advice 2026-01-12T13");
    old.advance(at("2026-02-20T00:00:00Z"));
    assert_eq!(told(&old)[0], "advice fired 2026-01-12T13");
    assert!(old.journal.iter().all(|one| one.rule == format!("{PLAN}|1.0.0")), "{:?}", told(&old));
    let said = old.outputs("Communication").next().unwrap();
    assert_eq!(said["instantiatesCanonical"][0], format!("{PLAN}|1.0.0"));
    let mut new = house(&rules, "2026-01-10T15:00:00Z");
    new.hear(dispense("b", "2026-01-10", 30));
    assert_eq!(dues(&new)[0], "advice 2026-01-15T13");
}

// An early fill under the new version takes over the end of the supply; the old one's reminder of it goes.
#[test]
fn the_next_fill_follows_the_new_version() {
    let rules = rules(&[("2026-01-10T00:00:00Z", refill("2", "active", 5))]);
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-01-20T15:00:00Z"));
    house.hear(dispense("b", "2026-01-20", 30));
    assert_eq!(dues(&house), ["advice 2026-01-25T13", "call 2026-03-02T13", "reminder 2026-02-25T13"]);
    assert!(house.dues.values().all(|due| due.rule.ends_with("|2")));
}

// A rule that was retired says nothing more, also not what it had planned.
#[test]
fn a_retired_rule_says_nothing_more() {
    let retired = rules(&[("2026-01-02T00:00:00Z", refill("1.0.0", "retired", 3))]);
    let mut house = house(&retired, "2026-01-01T15:00:00Z");
    house.hear(dispense("a", "2026-01-01", 30));
    house.advance(at("2026-03-01T00:00:00Z"));
    assert!(house.outputs("Communication").next().is_none(), "{:?}", told(&house));
}

// What a tenant keeps stands in the place of what came with the program, until it is deleted again.
#[test]
fn a_deleted_override_leaves_its_url_to_what_was_shipped() {
    let url = "https://signa.example/fhir/ActivityDefinition/refill-advice";
    let (live, _) = Live::new(shipped());
    let tenant: Arc<str> = Arc::from("t");
    let title = || live.of("t").activities.get(url).map(|activity| activity["title"].clone());
    let before = title();
    let mut own = shipped().into_iter().find(|value| value["url"] == url).unwrap();
    own["title"] = json!("Ours");
    let gone = json!({"resourceType": "ActivityDefinition", "url": url, "status": "retired"});
    let artefact = |value: &Value, since| Artefact { value: Arc::new(value.clone()), since };
    let kept = |versions: Vec<Artefact>| vec![Kept { kind: String::from("ActivityDefinition"), id: String::from("a"), versions }];
    live.learn(&tenant, kept(vec![artefact(&own, 1)]));
    assert_eq!(title(), Some(json!("Ours")));
    live.learn(&tenant, kept(vec![artefact(&own, 1), artefact(&gone, 2)]));
    assert_eq!(title(), before);
    assert_eq!(live.of("t").running(), Live::new(shipped()).0.of("t").running());
}

/// A resource that a tenant keeps, with its versions, each with the time from which it counts; without one it was deleted then.
fn plans(id: &str, versions: &[(i64, Option<Value>)]) -> Vec<Kept> {
    let gone = json!({"resourceType": "PlanDefinition", "url": PLAN, "status": "retired"});
    let artefact = |(since, value): &(i64, Option<Value>)| Artefact {
        value: Arc::new(value.clone().unwrap_or(gone.clone())),
        since: *since,
    };
    let versions = versions.iter().map(artefact).collect();
    vec![Kept { kind: String::from("PlanDefinition"), id: id.to_owned(), versions }]
}

// A shipped rule runs again when the copy over it is deleted, from then on; what the copy had planned is not known any more.
#[test]
fn a_deleted_copy_of_a_rule_leaves_its_url_to_what_was_shipped() {
    let of = |rules: &Rules| rules.running().into_iter().filter(|rule| rule.starts_with(PLAN)).collect::<Vec<_>>();
    let named = |version: &str| vec![format!("{PLAN}|{version}")];
    let (live, _) = Live::new(shipped());
    let tenant: Arc<str> = Arc::from("t");
    let own = |version: &str| Some(refill(version, "active", 5));
    live.learn(&tenant, plans("a", &[(100, own("2"))]));
    assert_eq!(of(&live.of("t")), named("2"));
    live.learn(&tenant, plans("a", &[(100, own("2")), (200, None)]));
    let rules = live.of("t");
    assert_eq!((of(&rules), live.faulty()), (named("1.0.0"), 0));
    assert!(rules.plan(&format!("{PLAN}|2")).is_none() && rules.plan(&format!("{PLAN}|1.0.0")).is_some());
    assert_eq!(of(&live.trying("t", &[], 1_000).0), named("1.0.0"));
    let again = refill("2", "active", 6);
    let intended = Intended { kind: "PlanDefinition", id: "a", value: Some(&again) };
    assert!(live.faults("t", intended, &[], 300).iter().any(|fault| fault.key == "plan-same-version"));
    live.learn(&tenant, plans("a", &[(100, own("2")), (200, None), (300, own("3"))]));
    assert_eq!(of(&live.of("t")), named("3"));
    assert!(live.of("t").plan(&format!("{PLAN}|2")).is_none());
    let ages: Vec<_> = live.ages("t").1.iter().map(|(since, rules)| (*since, of(rules))).collect();
    assert_eq!(ages, [(100, named("2")), (200, named("1.0.0")), (300, named("3"))]);
}

// One that was switched off before ends nothing when it is deleted, where another has taken its place.
#[test]
fn a_copy_that_is_deleted_after_another_took_its_place_changes_nothing() {
    let of = |rules: &Rules| rules.running().into_iter().filter(|rule| rule.starts_with(PLAN)).collect::<Vec<_>>();
    let (live, _) = Live::new(shipped());
    let tenant: Arc<str> = Arc::from("t");
    let off = [(100, Some(refill("2", "active", 5))), (150, Some(refill("2", "retired", 5)))];
    live.learn(&tenant, plans("a", &off));
    assert_eq!(of(&live.of("t")), Vec::<String>::new());
    live.learn(&tenant, plans("b", &[(160, Some(refill("3", "active", 5)))]));
    live.learn(&tenant, plans("a", &[&off[..], &[(200, None)]].concat()));
    assert_eq!(of(&live.of("t")), [format!("{PLAN}|3")]);
}

// What was said names the version of its text, also where the text came with the program.
#[test]
fn a_shipped_text_is_not_said_otherwise_under_its_version() {
    let url = "https://signa.example/fhir/ActivityDefinition/refill-advice";
    let (live, _) = Live::new(shipped());
    let tenant: Arc<str> = Arc::from("t");
    let shipped = shipped().into_iter().find(|value| value["url"] == url).unwrap();
    let mut other = shipped.clone();
    other["extension"][0]["extension"][1]["valueString"] = json!("Something else.");
    let mut newer = other.clone();
    newer["version"] = json!("2.0.0");
    for (value, expected) in [(&shipped, vec![]), (&other, vec!["activity-same-version"]), (&newer, vec![])] {
        for keeps in [false, true] {
            if keeps {
                let kept = json!({"resourceType": "ActivityDefinition", "id": "b", "url": "urn:b", "status": "active"});
                let versions = vec![Artefact { value: Arc::new(kept), since: 1 }];
                live.learn(&tenant, vec![Kept { kind: String::from("ActivityDefinition"), id: String::from("b"), versions }]);
            }
            let intended = Intended { kind: "ActivityDefinition", id: "a", value: Some(value) };
            let faults = live.faults("t", intended, &[], 0);
            assert_eq!(faults.iter().map(|fault| fault.key).collect::<Vec<_>>(), expected, "{keeps}");
        }
    }
}

// A stored rule in which faults are found now does not run, and whoever takes it in is told: once, and of nothing else.
#[test]
fn a_stored_rule_with_faults_is_told_of() {
    let (live, _) = Live::new(shipped());
    let tenant: Arc<str> = Arc::from("t");
    let kept = |version: &str, change: &dyn Fn(&mut Value)| {
        let mut plan = refill(version, "active", 5);
        change(&mut plan);
        let versions = vec![Artefact { value: Arc::new(plan), since: 1 }];
        vec![Kept { kind: String::from("PlanDefinition"), id: String::from("p"), versions }]
    };
    assert_eq!(live.learn(&tenant, kept("2", &|_| {})), []);
    let faulty = live.learn(&tenant, kept("3", &|plan| plan["action"][0]["code"] = json!([{"text": "x"}])));
    assert_eq!(faulty, []);
    let faulty = live.learn(&tenant, kept("4", &|plan| plan["action"][0]["participant"] = json!([{"type": "patient"}])));
    let told: Vec<(&str, &[&str])> = faulty.iter().map(|one| (one.rule.as_str(), one.keys.as_slice())).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, format!("{PLAN}|4"));
    assert!(!told[0].1.is_empty());
    assert_eq!((live.faulty(), live.of("t").running().iter().any(|rule| rule.starts_with(PLAN))), (1, false));
    let other = json!({"resourceType": "PlanDefinition", "id": "q", "url": "urn:q", "status": "active"});
    let versions = vec![Artefact { value: Arc::new(other), since: 1 }];
    let again = live.learn(&tenant, vec![Kept { kind: String::from("PlanDefinition"), id: String::from("q"), versions }]);
    assert_eq!(again, [], "it was told of");
    assert_eq!(live.learn(&tenant, kept("5", &|_| {})), []);
    assert_eq!(live.faulty(), 0);
}

// What is only tried may be called an experiment.
#[test]
fn an_experiment_may_be_tried() {
    let (live, _) = Live::new(shipped());
    let mut draft = refill("2", "draft", 5);
    draft["experimental"] = json!(true);
    let (rules, issues) = live.trying("t", &[draft], 0);
    assert!(!issues.iter().any(crate::fhir::outcome::Issue::refuses), "{issues:?}");
    assert!(rules.running().contains(&format!("{PLAN}|2")));
}
