//! A fact that is told wrongly for an hour comes to the same as one that never was, as far as nothing was said meanwhile.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Artefact, Rules};
use super::corrected::{fact, on, said};
use super::engine::{plan, step, with};
use super::{at, condition, dues, house, status, told};
use crate::ledger::Outcome;
use crate::react::rehearsal::Rehearsal;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const LINES: [&[&str]; 2] = [&["data-added"], &["data-added", "data-modified"]];

/// An action on facts of this type with these steps.
fn action(lines: &[&str], kind: &str, steps: &[Value]) -> Value {
    let triggers: Vec<Value> = lines.iter().map(|line| json!({"type": line, "data": [{"type": kind}]})).collect();
    json!({"id": "a", "trigger": triggers, "action": steps})
}

fn call(id: &str, anchor: (&str, &str, i64, &str)) -> Value {
    step(id, "refill-call", Some(anchor))
}

/// What it was done on, so many days after New Year.
fn timed(kind: &str, day: i64) -> Value {
    let time = |hour: i64| json!(crate::fhir::time::instant(at("2026-01-01T00:00:00Z") + day * DAY_MS + hour * HOUR_MS));
    let (name, status) = match kind {
        "Procedure" => ("performedPeriod", "completed"),
        "Encounter" => ("period", "finished"),
        _ => ("", "booked"),
    };
    let mut told = fact(kind, status);
    if name.is_empty() {
        (told["start"], told["end"]) = (time(14), time(15));
    } else {
        told[name] = json!({"start": time(14), "end": time(15)});
    }
    told
}

/// What was asked for and stands, by step, with its moment.
fn asked(house: &Rehearsal) -> Vec<(String, i64)> {
    let stands = |one: &&crate::ledger::Decision| one.outcome == Outcome::Fired && one.recorded.starts_with("Task/");
    let own = house.latest().filter(stands).filter(|one| !one.step.starts_with("overdue"));
    let mut asked: Vec<(String, i64)> = own.map(|one| (one.step.clone(), one.at)).collect();
    asked.sort();
    asked
}

fn open(house: &Rehearsal) -> usize {
    status(house, "Task").iter().filter(|status| **status == "requested").count()
}

// Asked for on the day that was told, and not by anybody taken on, a call is taken back and asked for on the right day.
#[test]
fn a_call_that_was_asked_for_too_early_is_asked_for_at_its_time() {
    for lines in LINES {
        for kind in ["Procedure", "Encounter", "Appointment"] {
            let call = action(lines, kind, &[call("call", ("a", "after-end", 7, "d"))]);
            let rules = with(&[plan("own", &call)]);
            for (taken, expected) in [(false, vec!["cancelled", "requested"]), (true, vec!["accepted"])] {
                let mut house = house(&rules, "2026-01-20T15:00:00Z");
                house.hear(timed(kind, 12));
                house.advance(at("2026-01-20T15:30:00Z"));
                assert_eq!(status(&house, "Task"), ["requested"], "{kind}");
                if taken {
                    let mut task = house.outputs("Task").next().unwrap().clone();
                    task["status"] = json!("accepted");
                    house.hear(task);
                }
                house.hear(timed(kind, 19));
                house.hear(timed(kind, 19));
                house.advance(at("2026-02-20T00:00:00Z"));
                let mut all: Vec<&str> =
                    house.resources().filter(|one| one.kind == "Task").filter_map(|one| one.value["status"].as_str()).collect();
                all.sort_unstable();
                assert_eq!(all, expected, "{kind} {lines:?}: {:?}", told(&house));
                let fired: Vec<String> = told(&house).into_iter().filter(|line| line.starts_with("call")).collect();
                if !taken {
                    assert_eq!(fired, ["call fired 2026-01-20T15", "call withdrawn 2026-01-20T15", "call fired 2026-01-27T13"]);
                    let ended = house.outputs("Task").find(|task| task["status"] == "cancelled").unwrap();
                    assert_eq!(ended["statusReason"]["coding"][0]["code"], "moved");
                }
            }
        }
    }
}

// Asked for in its time, taken back since another time was told, and told rightly when it is too late: it is asked for again, unless
// that was long ago.
#[test]
fn a_call_that_was_asked_for_in_its_time_is_not_lost() {
    let rules = with(&[plan("own", &action(LINES[0], "Procedure", &[call("call", ("a", "after-end", 7, "d"))]))]);
    for (corrected, expected) in [("2026-01-30T15:00:00Z", 1), ("2026-02-05T15:00:00Z", 0)] {
        let mut house = house(&rules, "2026-01-20T15:00:00Z");
        house.hear(timed("Procedure", 19));
        house.advance(at("2026-01-30T12:00:00Z"));
        house.hear(timed("Procedure", 49));
        house.advance(at(corrected));
        assert_eq!((open(&house), dues(&house)), (0, vec![String::from("call 2026-02-26T13")]));
        house.hear(timed("Procedure", 19));
        house.advance(at("2026-02-25T16:00:00Z"));
        assert_eq!(open(&house), expected, "{:?}", told(&house));
    }
}

#[derive(Debug, Clone)]
struct Story {
    kind: &'static str,
    lines: &'static [&'static str],
    steps: Vec<(bool, i64, &'static str)>,
    /// The day on which it was, and that which was told for an hour.
    days: (i64, i64),
    /// The day on which it is told, and that on which it is told wrongly, if not at first.
    told: (i64, Option<i64>),
    mistake: usize,
}

fn story() -> impl Strategy<Value = Story> {
    let offset = prop_oneof![Just("d"), Just("wk")];
    let steps = proptest::collection::vec((any::<bool>(), 0i64..6, offset), 1..4);
    let kind = prop_oneof![Just("Procedure"), Just("Encounter"), Just("Appointment")];
    (
        kind,
        prop_oneof![Just(LINES[0]), Just(LINES[1])],
        steps,
        (20i64..40, 5i64..60),
        (20i64..40, proptest::option::of(1i64..30)),
        0usize..5,
    )
        .prop_map(|(kind, lines, steps, days, (first, later), mistake)| Story {
            kind,
            lines,
            steps,
            days,
            told: (first, later.map(|later| first + later)),
            mistake,
        })
}

/// Tells it, with the mistake or without.
fn tell<'r>(rules: &'r Rules, story: &Story, is_mistaken: bool) -> Rehearsal<'r> {
    let mut house = house(rules, "2026-01-01T15:00:00Z");
    let hour = |day: i64, hours: i64| at("2026-01-01T15:00:00Z") + day * DAY_MS + hours * HOUR_MS;
    let right = timed(story.kind, story.days.0);
    house.advance(hour(story.told.0, 0));
    let wrong = |house: &mut Rehearsal| match story.mistake {
        0 => {
            let mut error = right.clone();
            error["status"] = json!("entered-in-error");
            house.hear(error);
        }
        1 if story.told.1.is_some() => house.delete(&format!("{}/x", story.kind)),
        _ => house.hear(timed(story.kind, story.days.1)),
    };
    match story.told.1 {
        None if is_mistaken => {
            wrong(&mut house);
            house.advance(hour(story.told.0, 1));
            house.hear(right);
        }
        None => house.hear(right),
        Some(later) => {
            house.hear(right.clone());
            house.advance(hour(later, 0));
            if is_mistaken {
                wrong(&mut house);
                house.advance(hour(later, 1));
                house.hear(right);
            }
        }
    }
    house.advance(at("2026-07-01T00:00:00Z"));
    house
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_time_that_is_told_wrongly_for_an_hour_comes_to_the_same(story in story()) {
        let steps = story.steps.iter().enumerate().map(|(at, (is_end, count, unit))| {
            call(&format!("s{at}"), ("a", if *is_end { "after-end" } else { "after-start" }, *count, unit))
        });
        let hanging = [call("hangs", ("s0", "after-start", 2, "d")), step("word", "chemotherapy-nausea-nudge", Some(("a", "after-end", 3, "d")))];
        let rules = with(&[plan("own", &action(story.lines, story.kind, &steps.chain(hanging).collect::<Vec<_>>()))]);
        let [right, mistaken] = [false, true].map(|is_mistaken| tell(&rules, &story, is_mistaken));
        let over = at("2026-01-01T15:00:00Z") + story.told.1.unwrap_or(story.told.0) * DAY_MS + HOUR_MS;
        // What was asked for in the hour of the mistake, since its time had come by that, and is late by what was right, stays.
        let is_of_mistake = |known: &[(String, i64)], one: &(String, i64)| {
            let is_new = |one: &(String, i64)| !known.iter().any(|known| known.0 == one.0);
            is_new(one) && (one.0 == "hangs" || (over - HOUR_MS..over).contains(&one.1))
        };
        let known = asked(&right);
        let came: Vec<_> = asked(&mistaken).into_iter().filter(|one| !is_of_mistake(&known, one)).collect();
        let names = |all: &[(String, i64)]| all.iter().map(|(step, _)| step.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&known), names(&came), "{:?} {:?}", told(&right), told(&mistaken));
        // What comes after the mistake comes when it would have come.
        for (one, other) in known.iter().zip(&came).filter(|(one, _)| one.1 > over && one.0 != "hangs") {
            prop_assert_eq!(one, other, "{:?} {:?}", told(&right), told(&mistaken));
        }
        prop_assert_eq!(open(&mistaken), asked(&mistaken).len(), "{:?}", told(&mistaken));
        prop_assert!(mistaken.spoken() <= 1 && mistaken.spoken() >= right.spoken(), "{:?} {:?}", told(&right), told(&mistaken));
    }
}

/// A rule in its own time, from New Year to the third of January.
fn in_time(lines: &[&str]) -> Value {
    let steps = [
        step("now", "chemotherapy-nausea-nudge", None),
        step("work", "refill-call", None),
        call("later", ("a", "after-start", 5, "d")),
        call("next", ("work", "after-start", 6, "d")),
    ];
    let mut own = plan("own", &action(lines, "Observation", &steps));
    own["action"][0]["trigger"].as_array_mut().unwrap().iter_mut().for_each(|trigger| {
        trigger["data"][0]["codeFilter"] = json!([{"path": "code", "code": [{"system": "urn:s", "code": "x"}]}]);
    });
    own
}

fn result() -> Value {
    let mut result = fact("Observation", "final");
    result["code"] = json!({"coding": [{"system": "urn:s", "code": "x"}]});
    result
}

/// A result, told on the second of January, that is a mistake for an hour at this time.
fn mistaken<'r>(rules: &'r Rules, mistake: &str, when: &str) -> Rehearsal<'r> {
    let mut house = house(rules, "2026-01-02T15:00:00Z");
    house.hear(result());
    house.advance(at(when));
    let mut wrong = result();
    match mistake {
        "deleted" => house.delete("Observation/x"),
        "code" => wrong["code"]["coding"][0]["code"] = json!("y"),
        _ => wrong["status"] = json!("entered-in-error"),
    }
    if mistake != "deleted" {
        house.hear(wrong);
    }
    assert_eq!((open(&house), dues(&house)), (0, vec![]), "{mistake}");
    house.advance(at(when) + HOUR_MS);
    house.hear(result());
    house
}

// What a rule began within its time goes on after a mistake, whenever that was, and whatever lines the rule listens to.
#[test]
fn what_began_in_its_time_goes_on_after_a_mistake() {
    for lines in LINES {
        let mut own = in_time(lines);
        own["effectivePeriod"] = json!({"start": "2026-01-01", "end": "2026-01-03"});
        let (bound, free) = (with(&[own]), with(&[in_time(lines)]));
        for when in ["2026-01-02T16:00:00Z", "2026-01-04T16:00:00Z"] {
            for mistake in ["deleted", "code", "error"] {
                for rules in [&bound, &free] {
                    let mut house = mistaken(rules, mistake, when);
                    house.advance(at("2026-02-01T00:00:00Z"));
                    let steps: Vec<String> = asked(&house).into_iter().map(|(step, _)| step).collect();
                    assert_eq!(
                        (steps.join(" "), house.spoken()),
                        (String::from("later next work"), 1),
                        "{lines:?} {when} {mistake}"
                    );
                    assert_eq!(open(&house), 3);
                }
            }
        }
        // With what is told after its time it begins nothing.
        let mut late = house(&bound, "2026-01-04T15:00:00Z");
        late.hear(result());
        late.hear(result());
        assert_eq!((late.journal.len(), late.dues.len()), (0, 0));
    }
}

// A version that began with a fact goes on with it, and no other does.
#[test]
fn what_a_version_began_it_goes_on_with_after_a_mistake() {
    for lines in LINES {
        let mut newer = in_time(lines);
        newer["version"] = json!("2");
        newer["action"][0]["action"].as_array_mut().unwrap().push(call("new", ("a", "after-start", 1, "d")));
        let mut artefacts: Vec<Artefact> =
            super::artefacts().into_iter().map(|value| Artefact { value: value.into(), since: 0 }).collect();
        artefacts.push(Artefact { value: in_time(lines).into(), since: 0 });
        artefacts.push(Artefact { value: newer.into(), since: at("2026-01-03T00:00:00Z") });
        let (rules, issues) = Rules::of(&artefacts);
        assert_eq!(issues, []);
        for mistake in ["deleted", "code", "error"] {
            let mut house = mistaken(&rules, mistake, "2026-01-04T16:00:00Z");
            house.advance(at("2026-02-01T00:00:00Z"));
            let steps: Vec<String> = asked(&house).into_iter().map(|(step, _)| step).collect();
            assert_eq!(steps.join(" "), "later next work", "{lines:?} {mistake}: {:?}", told(&house));
            assert!(house.journal.iter().all(|one| one.rule.ends_with("own|1")), "{lines:?} {mistake}");
        }
    }
}

// A diagnosis that was refuted for an hour goes on, one that ended and comes back does not: that is another one.
#[test]
fn a_diagnosis_that_was_refuted_for_an_hour_goes_on() {
    for lines in LINES {
        let mut own = plan("own", &action(lines, "Condition", &[call("later", ("a", "after-start", 5, "d"))]));
        own["action"][0]["trigger"].as_array_mut().unwrap().iter_mut().for_each(|trigger| {
            let code = json!([{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J45"}]);
            trigger["data"][0]["codeFilter"] = json!([{"path": "code", "code": code}]);
        });
        own["effectivePeriod"] = json!({"start": "2026-01-01", "end": "2026-01-03"});
        let rules = with(&[own]);
        for (ends, expected) in [("refuted", 1), ("entered-in-error", 1), ("deleted", 1), ("resolved", 0)] {
            let mut house = house(&rules, "2026-01-02T15:00:00Z");
            house.hear(condition("x", "J45", "active"));
            house.advance(at("2026-01-04T15:00:00Z"));
            let mut ended = condition("x", "J45", if ends == "resolved" { ends } else { "active" });
            if ends != "resolved" {
                ended["verificationStatus"]["coding"][0]["code"] = json!(ends);
            }
            if ends == "deleted" {
                house.delete("Condition/x");
            } else {
                house.hear(ended);
            }
            assert!(house.dues.is_empty(), "{ends}: {:?}", told(&house));
            house.advance(at("2026-01-04T16:00:00Z"));
            house.hear(condition("x", "J45", "active"));
            house.advance(at("2026-02-01T00:00:00Z"));
            assert_eq!(open(&house), expected, "{lines:?} {ends}: {:?}", told(&house));
        }
    }
}

// What is a mistake still is nothing to go on with, however often it is told.
#[test]
fn what_stays_a_mistake_begins_nothing() {
    let rules = on(
        "data-added",
        "Observation",
        &Value::Null,
        &["interpretation.text = 'high'"],
        &said(Some(("a", "after-start", 3, "d"))),
    );
    let mut house = house(&rules, "2026-01-02T15:00:00Z");
    let mut result = fact("Observation", "final");
    result["interpretation"] = json!([{"text": "high"}]);
    house.hear(result.clone());
    for (name, value) in [("interpretation", json!([{"text": "low"}])), ("status", json!("entered-in-error"))] {
        result[name] = value;
        house.hear(result.clone());
        house.hear(result.clone());
        assert!(house.dues.is_empty());
    }
    assert_eq!(told(&house), ["say withdrawn 2026-01-02T15"]);
    result["interpretation"] = json!([{"text": "high"}]);
    house.hear(result.clone());
    assert!(house.dues.is_empty());
    result["status"] = json!("corrected");
    house.hear(result);
    house.advance(at("2026-02-01T00:00:00Z"));
    assert_eq!(told(&house)[1..], ["say fired 2026-01-05T13"]);
}

// A Task that was done by mistake only is followed by nothing.
#[test]
fn what_hangs_on_a_task_goes_with_it_when_it_was_entered_in_error() {
    let steps = [
        step("work", "refill-call", None),
        call("check", ("work", "after-end", 1, "d")),
        call("after", ("check", "after-start", 1, "d")),
    ];
    let rules = with(&[plan("own", &action(LINES[0], "Observation", &steps))]);
    for (day, expected) in [("2026-01-02T16:00:00Z", 0), ("2026-01-04T16:00:00Z", 0)] {
        let mut house = house(&rules, "2026-01-02T15:00:00Z");
        house.hear(fact("Observation", "final"));
        let tell = |house: &mut Rehearsal, status: &str| {
            let mut task = house.resources().find(|one| one.kind == "Task").unwrap().value.as_ref().clone();
            task["status"] = json!(status);
            task["lastModified"] = json!(crate::fhir::time::instant(house.now));
            house.hear(task);
        };
        let id = house.outputs("Task").next().unwrap()["id"].clone();
        tell(&mut house, "completed");
        assert_eq!(dues(&house), ["check 2026-01-03T13"]);
        house.advance(at(day));
        let mut task = house.resource(&format!("Task/{}", id.as_str().unwrap())).unwrap().value.as_ref().clone();
        task["status"] = json!("entered-in-error");
        house.hear(task);
        assert_eq!((open(&house), dues(&house)), (expected, vec![]), "{day}: {:?}", told(&house));
        house.advance(at("2026-02-01T00:00:00Z"));
        assert_eq!(open(&house), 0);
    }
}

fn consent(id: &str, status: &str) -> Value {
    json!({"resourceType": "Consent", "id": id, "status": status, "patient": {"reference": "Patient/p"}, "scope": {"text": "x"},
        "provision": {"type": "permit", "purpose": [{"code": "HMARKT"}]}})
}

/// A rule that says and asks for something once, a day after a consent.
fn once(lines: &[&str]) -> Rules {
    let steps = [
        step("word", "chemotherapy-nausea-nudge", Some(("a", "after-start", 1, "d"))),
        step("work", "refill-call", Some(("a", "after-start", 1, "d"))),
    ];
    let mut action = action(lines, "Consent", &steps);
    action["condition"] =
        json!([{"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": "status = 'active'"}}]);
    let mut own = plan("own", &action);
    let url = "https://signa.example/fhir/StructureDefinition/plan-once";
    own["extension"].as_array_mut().unwrap().push(json!({"url": url, "valueBoolean": true}));
    with(&[own])
}

fn end(house: &mut Rehearsal, id: &str, how: &str) {
    if how == "deleted" { house.delete(&format!("Consent/{id}")) } else { house.hear(consent(id, how)) }
}

// What is said once goes over to another fact that says the same, and comes when it would have come by that one alone.
#[test]
fn what_is_said_once_goes_over_to_another_fact() {
    for lines in LINES {
        let rules = once(lines);
        for how in ["inactive", "entered-in-error", "rejected", "deleted"] {
            let mut house = house(&rules, "2026-01-01T15:00:00Z");
            house.hear(consent("c1", "active"));
            house.advance(at("2026-01-01T21:00:00Z"));
            house.hear(consent("c2", "active"));
            house.advance(at("2026-01-01T22:00:00Z"));
            end(&mut house, "c1", how);
            assert_eq!(dues(&house), ["word 2026-01-02T13", "work 2026-01-02T13"], "{how}: {:?}", told(&house));
            house.advance(at("2026-01-02T15:00:00Z"));
            assert_eq!((house.spoken(), open(&house)), (1, 1), "{how}: {:?}", told(&house));
            // It rests on the other, and goes with that.
            end(&mut house, "c2", how);
            assert_eq!((house.spoken(), open(&house)), (1, 0), "{how}: {:?}", told(&house));
        }
    }
}

// What was asked for because of the first stays as long as another stands, and is asked for once.
#[test]
fn what_was_asked_for_once_rests_on_each_that_says_the_same() {
    for lines in LINES {
        let rules = once(lines);
        for how in ["inactive", "entered-in-error", "rejected", "deleted"] {
            let mut house = house(&rules, "2026-01-01T15:00:00Z");
            house.hear(consent("c1", "active"));
            house.advance(at("2026-01-02T15:00:00Z"));
            house.hear(consent("c2", "active"));
            for _ in 0..2 {
                end(&mut house, "c1", how);
                house.advance(house.now + HOUR_MS);
                assert_eq!((house.spoken(), open(&house)), (1, 1), "{how}: {:?}", told(&house));
                house.hear(consent("c1", "active"));
                house.advance(house.now + HOUR_MS);
            }
            end(&mut house, "c2", how);
            assert_eq!((house.spoken(), open(&house)), (1, 1), "{how}: {:?}", told(&house));
            end(&mut house, "c1", how);
            house.advance(at("2026-02-01T00:00:00Z"));
            assert_eq!((house.spoken(), open(&house)), (1, 0), "{how}: {:?}", told(&house));
        }
    }
}

// A day counts from the fact that stands.
#[test]
fn the_other_fact_tells_the_day() {
    let rules = once(LINES[1]);
    let mut house = house(&rules, "2026-01-01T15:00:00Z");
    house.hear(consent("c1", "active"));
    house.advance(at("2026-01-02T12:00:00Z"));
    house.hear(consent("c2", "active"));
    end(&mut house, "c1", "entered-in-error");
    assert_eq!(dues(&house), ["word 2026-01-03T13", "work 2026-01-03T13"]);
}
