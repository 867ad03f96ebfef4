//! What became of the Tasks we asked for: one that nobody did in time is raised once, one that was done closes what it was about.
//! Follows <https://hl7.org/fhir/R4/task.html>.

use serde_json::{Value, json};

use super::decide::{OPEN, because, cancel_task, withdraw};
use super::detail::{Detail, Planned};
use super::episode::{CLOSED, companion};
use super::follow::follow_task;
use super::json::{each, local, reference, text, unversioned};
use super::outputs::OUTPUT;
use super::plan::Edge;
use super::turn::{Candidate, Turn};
use super::{Heard, put_off};
use crate::fhir::time::instant;
use crate::ledger::{Decision, Due, Outcome};

/// Why what hangs on the end of a Task does not come.
const MISTAKEN: &str = "The Task that it follows was entered in error.";

/// What the step of such a due begins with; the step that asked for the Task follows.
const OVERDUE: &str = "overdue:";

/// The code system of the state that a Task's business is in.
const BUSINESS: &str = "https://signa.example/fhir/CodeSystem/task-business-status";

/// Whether a Task of ours is over, so that something may follow.
pub(crate) fn has_ended(task: &Value) -> bool {
    is_ours(task) && text(task, "status").is_some_and(|status| !OPEN.contains(&status))
}

fn is_ours(task: &Value) -> bool {
    each(task, "identifier").iter().any(|identifier| text(identifier, "system") == Some(OUTPUT))
}

/// What a Task is about, as `Type/id`: what must be loaded for what follows from it.
pub(crate) fn facts(task: &Value) -> impl Iterator<Item = String> {
    is_ours(task).then(|| reference(task, "focus").and_then(local)).flatten().into_iter()
}

/// The due under which a Task that was just asked for is looked at when its time is over.
pub(super) fn watch(turn: &mut Turn, candidate: &Candidate, end: i64) {
    let task = format!("Task/{}", candidate.output);
    let detail = Detail { needed: vec![task], prepared: false, ..candidate.detail.clone() };
    let due = Due {
        output: companion(&candidate.output, OVERDUE),
        step: format!("{OVERDUE}{}", candidate.step.id),
        detail: detail.write(),
        ..Due::clone(&turn.due(candidate, end + 1))
    };
    turn.plan(Planned::of(due, detail));
}

/// Nothing is left to be watched.
pub(super) fn let_go(turn: &mut Turn, output: &str) {
    turn.drop_due(&companion(output, OVERDUE));
}

/// Whether a due is one of ours.
pub(super) fn is_watch(due: &Due) -> bool {
    due.step.starts_with(OVERDUE)
}

/// The step that asked for the Task which this one watches; any other is itself.
pub(super) fn watched(step: &str) -> &str {
    step.strip_prefix(OVERDUE).unwrap_or(step)
}

/// The time of a Task is over: one that is still open is marked and raised. It is looked at once, and so raised once.
pub(super) fn look(turn: &mut Turn, due: &Planned) {
    turn.drop_due(&due.output);
    let needed = &due.detail().needed;
    let story = turn.story;
    let task = needed.first().and_then(|task| story.find(task)).filter(|task| !task.deleted);
    let open = |task: &&super::Resource| text(&task.value, "status").is_some_and(|status| OPEN.contains(&status));
    let Some(task) = task.filter(open) else { return };
    turn.record("Task", raised(&task.value, story.now));
    turn.decide(Decision {
        person: due.person,
        output: due.output.clone(),
        at: story.now,
        outcome: Outcome::Fired,
        gate: String::new(),
        until: 0,
        rule: due.rule.clone(),
        step: due.step.clone(),
        episode: due.episode.clone(),
        priority: due.priority,
        spoken: false,
        reason: String::from("The Task was not done in its time; it was raised."),
        facts: [task.versioned()].into(),
        recorded: task.reference(),
    });
}

fn raised(task: &Value, now: i64) -> Value {
    let mut raised = task.clone();
    let priority = match text(task, "priority") {
        Some("urgent") => "asap",
        Some("asap" | "stat") => "stat",
        _ => "urgent",
    };
    let Some(members) = raised.as_object_mut() else { return raised };
    members.shift_remove("meta");
    let place = |members: &serde_json::Map<String, Value>, name: &str| {
        members.keys().position(|known| known == name).map_or(members.len(), |at| at + 1)
    };
    members.shift_remove("businessStatus");
    let after = if members.contains_key("statusReason") { "statusReason" } else { "status" };
    let at = place(members, after);
    let business = json!({"coding": [{"system": BUSINESS, "code": "overdue", "display": "Overdue"}]});
    members.shift_insert(at, String::from("businessStatus"), business);
    if members.contains_key("priority") {
        members.insert(String::from("priority"), json!(priority));
    } else {
        let at = place(members, "intent");
        members.shift_insert(at, String::from("priority"), json!(priority));
    }
    members.insert(String::from("lastModified"), json!(instant(now)));
    raised
}

/// A Task of ours came to its end, by whoever had it. Done with a dispense, it closes the episode: nothing more is asked for. What was
/// done by mistake only, nothing follows from.
pub(super) fn ended(turn: &mut Turn, event: &Heard) {
    if event.resource.kind != "Task" || !has_ended(&event.resource.value) {
        return;
    }
    let output = event.resource.id.as_str();
    let Some(decision) = turn.decisions.get(output).filter(|known| known.outcome == Outcome::Fired).cloned() else { return };
    let_go(turn, output);
    let task = event.resource.value.as_ref();
    match text(task, "status") {
        Some("completed") => {}
        Some("entered-in-error") => return put_off::let_go(turn, &decision, Edge::End, (because::REVERSED, MISTAKEN)),
        _ => return,
    }
    if let Some(dispense) = handed_over(task) {
        close(turn, event, &decision, &dispense);
    } else {
        follow_task(turn, &decision);
    }
}

/// `MedicationDispense/id` of what was handed over, if the Task says that something was.
fn handed_over(task: &Value) -> Option<String> {
    let outputs = each(task, "output").iter().filter_map(|output| reference(output, "valueReference"));
    outputs.filter_map(local).find(|reference| reference.starts_with("MedicationDispense/"))
}

fn close(turn: &mut Turn, event: &Heard, decision: &Decision, dispense: &str) {
    let why = "The Task was done by handing over: the episode is closed.";
    let url = unversioned(&decision.rule).to_owned();
    let of_it = |rule: &str, episode: &str| unversioned(rule) == url && episode == decision.episode;
    for due in turn.dues_where(|due| of_it(&due.rule, &due.episode)) {
        withdraw(turn, &due, Outcome::Stopped, because::TAKEN, why);
    }
    for other in turn.fired_where(|known| of_it(&known.rule, &known.episode) && known.output != decision.output) {
        cancel_task(turn, &other, because::TAKEN, why);
    }
    let Some(plan) = turn.rules.plan(&decision.rule) else { return };
    turn.decide(Decision {
        output: turn.output(plan, CLOSED, &decision.episode),
        at: turn.story.now,
        outcome: Outcome::Stopped,
        gate: because::TAKEN.to_owned(),
        step: CLOSED.to_owned(),
        reason: why.to_owned(),
        facts: [event.resource.versioned(), dispense.to_owned()].into(),
        recorded: String::new(),
        spoken: false,
        ..decision.clone()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_task_is_marked_and_more_urgent_and_its_elements_keep_their_order() {
        let task = json!({"resourceType": "Task", "id": "1", "meta": {}, "status": "requested", "intent": "order", "for": {}, "lastModified": "x"});
        let once = raised(&task, 0);
        let names: Vec<&String> = once.as_object().unwrap().keys().collect();
        assert_eq!(names, ["resourceType", "id", "status", "businessStatus", "intent", "priority", "for", "lastModified"]);
        assert_eq!((text(&once, "priority"), text(&raised(&once, 0), "priority")), (Some("urgent"), Some("asap")));
    }
}
