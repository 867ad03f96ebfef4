//! Two records turned out to be of one person: what was asked for of both is asked for once, and for the record that stands. What
//! was asked for the wrong one of two goes back the same way.
//! Follows <https://hl7.org/fhir/R4/patient.html#maintenance>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::decide::{OPEN, WAITING, because, cancel_task, is_settled};
use super::json::{each, local, reference, text, unversioned};
use super::turn::Turn;
use super::{Planned, Resource, episode, overdue, person, refill};
use crate::fhir::time::instant;
use crate::ledger::{Decision, Due, Person};

/// What was asked for of both is asked for once: by what was done, else by what somebody is at.
pub(super) fn once(turn: &mut Turn) {
    let mut asked: BTreeMap<(String, String, String), Vec<Decision>> = BTreeMap::new();
    for decision in asked_for(turn) {
        let url = unversioned(&decision.rule).to_owned();
        asked.entry((url, decision.step.clone(), decision.episode.clone())).or_default().push(decision);
    }
    for mut doubles in asked.into_values().filter(|doubles| doubles.len() > 1) {
        doubles.sort_by_key(|decision| rank(turn, decision));
        let mut doubles = doubles.into_iter();
        let standing = doubles.next().and_then(|first| standing(turn, &first));
        for mut decision in doubles {
            decision.facts = decision.facts.iter().cloned().chain(standing.clone()).collect();
            cancel_task(turn, &decision, because::TWICE, "The same was asked for already: two records were of one person.");
        }
    }
}

/// How far the Task of a decision has come: done, taken on, waiting, or ended without being done.
fn rank(turn: &Turn, decision: &Decision) -> u8 {
    let task = turn.story.find(&decision.recorded).filter(|task| !task.deleted);
    match task.map(|task| text(&task.value, "status").unwrap_or_default()) {
        // One that is not loaded is not open any more.
        Some("completed") | None => 0,
        Some(status) if WAITING.contains(&status) => 2,
        Some(status) if OPEN.contains(&status) => 1,
        Some(_) => 3,
    }
}

/// What was handed over to both is one supply: its fills are counted anew, and each step of them is due once.
pub(super) fn recount(turn: &mut Turn) {
    let mut of: BTreeMap<&str, BTreeSet<Person>> = BTreeMap::new();
    turn.story.supplies.rows().for_each(|row| {
        of.entry(&row.product).or_default().insert(row.person);
    });
    turn.unites = true;
    for product in of.into_iter().filter(|(_, persons)| persons.len() > 1).map(|(product, _)| product) {
        let is_plain = |due: &Planned| !due.detail().held && !due.detail().prepared && !overdue::is_watch(due);
        for due in turn.dues_where(|due| episode::is_of_product(&due.episode, product) && is_plain(due)) {
            let Some(plan) = turn.rules.plan(&due.rule) else { continue };
            // One id of both: under which it was decided that nothing comes, else what is due first. What was said keeps its id for itself.
            let output = turn.output(plan, &due.step, &due.episode);
            let is_said = turn.decisions.get(&output).is_some_and(is_settled);
            if output != due.output && !is_said {
                turn.drop_due(&due.output);
                if !turn.dues.has(&output) {
                    turn.plan(Planned::of(Due { output, ..Due::clone(&due) }, due.detail().clone()));
                }
            }
        }
        refill::look_again(turn, product);
    }
    turn.unites = false;
}

/// The version of the Task that stands for its doubles, too: they rest on it.
pub(super) fn standing(turn: &Turn, decision: &Decision) -> Option<String> {
    turn.story.find(&decision.recorded).filter(|task| task.kind == "Task").map(Resource::versioned)
}

/// An open Task for a record that stands no longer goes over to the one that does, and says why.
pub(super) fn move_tasks(turn: &mut Turn) {
    let story = turn.story;
    let Some(patient) = person::patient(story) else { return };
    for decision in asked_for(turn) {
        let Some(task) = story.find(&decision.recorded).filter(|task| !task.deleted) else { continue };
        let is_open = text(&task.value, "status").is_some_and(|status| OPEN.contains(&status));
        let named = reference(&task.value, "for").and_then(local);
        let Some(known) = named.filter(|_| is_open).map(|named| story.find(&named)) else { continue };
        let is_other = |known: &Resource| known.id != patient.id && person::is_replaced(story, known);
        if !known.is_some_and(|known| !known.deleted && person::stands(&known.value) && !is_other(known)) {
            let why = if known.is_some() { ONE } else { TWO };
            turn.record("Task", moved(&task.value, &patient.reference(), why, story.now));
        }
    }
}

/// Both records are of the person.
const ONE: &str = "Two records were of one person";
/// The other record is of somebody else.
const TWO: &str = "Two records were taken for one person";

/// Tasks that are still asked for, as far as was decided.
fn asked_for(turn: &Turn) -> Vec<Decision> {
    turn.fired_where(|decision| decision.recorded == format!("Task/{}", decision.output))
}

fn moved(task: &Value, patient: &str, why: &str, now: i64) -> Value {
    let mut moved = task.clone();
    let mut notes = each(task, "note").to_vec();
    let before = reference(task, "for").unwrap_or_default();
    notes.push(json!({"time": instant(now), "text": format!("{why}: it was asked for {before}.")}));
    let Some(members) = moved.as_object_mut() else { return moved };
    members.shift_remove("meta");
    members.insert(String::from("for"), json!({"reference": patient}));
    members.insert(String::from("lastModified"), json!(instant(now)));
    if members.contains_key("note") {
        members.insert(String::from("note"), json!(notes));
    } else {
        let at = members.keys().position(|name| matches!(name.as_str(), "relevantHistory" | "restriction" | "input" | "output"));
        members.shift_insert(at.unwrap_or(members.len()), String::from("note"), json!(notes));
    }
    moved
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::{How, Line, Outcome};
    use crate::react::{Heard, Occasion, Resource, Rules, Store, Story, react};

    fn resource(person: i64, version: i64, value: Value) -> Resource {
        Resource {
            kind: text(&value, "resourceType").unwrap().to_owned(),
            id: text(&value, "id").unwrap().to_owned(),
            version,
            fact: person,
            source: String::from("s"),
            how: How::Live,
            learned: 0,
            person: Person(person),
            deleted: false,
            value: Arc::new(value),
        }
    }

    // The record that stands may say that the person is dead: then an open Task of the other is ended, in one step.
    #[test]
    fn a_task_of_one_who_turns_out_to_be_dead_ends_and_goes_over_to_nobody() {
        for (is_dead, status, whose) in [(true, "cancelled", "Patient/b"), (false, "requested", "Patient/a")] {
            let link = json!([{"other": {"reference": "Patient/a"}, "type": "replaced-by"}]);
            let replaced = resource(2, 2, json!({"resourceType": "Patient", "id": "b", "link": link}));
            let task = json!({"resourceType": "Task", "id": "t", "status": "requested", "intent": "order", "for": {"reference": "Patient/b"}});
            let stands = json!({"resourceType": "Patient", "id": "a", "deceasedBoolean": is_dead});
            let decision = Decision {
                person: Person(2),
                output: String::from("t"),
                at: 0,
                outcome: Outcome::Fired,
                gate: String::new(),
                until: 0,
                rule: String::from("u|1"),
                step: String::from("call"),
                episode: String::from("e"),
                priority: 1,
                spoken: false,
                reason: String::new(),
                facts: Arc::default(),
                recorded: String::from("Task/t"),
            };
            let story = Story {
                united: vec![Person(1), Person(2)],
                resources: vec![resource(1, 1, stands), replaced.clone(), resource(2, 7, task)],
                decisions: Arc::new(crate::react::Latest::of([Arc::new(decision)])),
                ..Story::bare(&"t".into(), Person(1), 1, Store::unknown(&jiff::tz::TimeZone::UTC))
            };
            let heard = Heard { line: Line::Updated, resource: replaced, react: true, depth: 0 };
            let outputs = react(&Rules::default(), &story, &Occasion::Heard(vec![heard])).outputs;
            let said: Vec<(&Value, &Value)> =
                outputs.iter().map(|output| (&output.value["status"], &output.value["for"]["reference"])).collect();
            assert_eq!(said, [(&json!(status), &json!(whose))]);
        }
    }

    #[test]
    fn a_moved_task_says_for_whom_it_was_and_keeps_its_order() {
        let task = json!({"resourceType": "Task", "id": "1", "meta": {}, "status": "accepted", "for": {"reference": "Patient/old"},
            "lastModified": "x", "restriction": {}});
        let once = moved(&task, "Patient/new", ONE, 0);
        let names: Vec<&String> = once.as_object().unwrap().keys().collect();
        assert_eq!(names, ["resourceType", "id", "status", "for", "lastModified", "note", "restriction"]);
        assert_eq!((&once["status"], &once["for"]["reference"]), (&json!("accepted"), &json!("Patient/new")));
        let twice = moved(&once, "Patient/newer", TWO, 0);
        assert!(twice["note"][0]["text"].as_str().unwrap().contains("Patient/old"));
        assert!(twice["note"][1]["text"].as_str().unwrap().contains("Patient/new"));
    }
}
