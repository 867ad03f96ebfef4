//! How a Task of our own may move, and what must stay as it was. Tasks of others move as their senders say.
//! Follows <https://hl7.org/fhir/R4/task.html#statemachine>.

use serde_json::{Value, json};

use crate::fhir::outcome::Issue;

/// Everything of ours is named under this root.
const ROOT: &str = "https://signa.example/fhir/";

/// Where a status may go. What is not listed may only stay, or be marked `entered-in-error`.
const MOVES: &[(&str, &[&str])] = &[
    ("draft", &["requested", "cancelled"]),
    ("requested", &["received", "accepted", "rejected", "cancelled"]),
    ("received", &["accepted", "rejected", "cancelled"]),
    ("accepted", &["ready", "in-progress", "cancelled"]),
    ("ready", &["in-progress", "cancelled"]),
    ("in-progress", &["on-hold", "completed", "failed", "cancelled"]),
    ("on-hold", &["in-progress", "failed", "cancelled"]),
];

/// References that say what the Task is about; nobody changes them.
const KEPT_REFERENCES: [&str; 3] = ["for", "focus", "requester"];

/// Statuses that ask why; their reason is told to who looks at the Task later.
const REASONED: [&str; 4] = ["rejected", "failed", "on-hold", "cancelled"];

/// Other elements that stay as we wrote them.
const KEPT: [&str; 3] = ["instantiatesCanonical", "authoredOn", "intent"];

/// Whether this Task was made by Signa.
#[must_use]
pub fn is_ours(task: &Value) -> bool {
    let text = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(ROOT));
    let systems = task.get("identifier").and_then(Value::as_array).into_iter().flatten();
    task.get("instantiatesCanonical").is_some_and(text) || systems.filter_map(|identifier| identifier.get("system")).any(text)
}

/// What is wrong with putting `now` in the place of `was`; `place` begins the places of the issues.
#[must_use]
pub fn faults(was: &Value, now: &Value, place: &str) -> Vec<Issue> {
    let mut issues = Vec::new();
    let (from, to) = (status(was), status(now));
    let silent = || now.get("output").and_then(Value::as_array).is_none_or(Vec::is_empty);
    if !may_move(from, to) {
        issues.push(rule(place, "status", &format!("A Task does not move from {from} to {to}; {}", allowed(from))));
    } else if to == "completed" && silent() {
        issues.push(rule(place, "output", "A completed Task says what was done: give an output that refers to it."));
    }
    for element in KEPT_REFERENCES {
        if reference(was, element) != reference(now, element) {
            issues.push(rule(
                place,
                element,
                "This element of the Task stays as it is; only status, owner, output and notes change.",
            ));
        }
    }
    for element in KEPT {
        if was.get(element) != now.get(element) {
            issues.push(rule(
                place,
                element,
                "This element of the Task stays as it is; only status, owner, output and notes change.",
            ));
        }
    }
    let claims = matches!(from, "draft" | "requested" | "received") && matches!(to, "requested" | "received" | "accepted");
    if !claims && reference(was, "owner") != reference(now, "owner") {
        issues.push(rule(place, "owner", "The owner changes only when the Task is claimed (status accepted)."));
    }
    issues
}

/// Says that no reason was given, where the status asks for one: a Task must not be put aside in silence.
pub fn give_reason(now: &mut Value) {
    let reasoned = REASONED.contains(&status(now));
    if reasoned && now.get("statusReason").and_then(|reason| reason.get("text")).is_none() {
        match now.get_mut("statusReason").and_then(Value::as_object_mut) {
            Some(reason) => {
                let display = reason.get("coding").and_then(|codings| codings.get(0)).and_then(|coding| coding.get("display"));
                let text = display.cloned().unwrap_or_else(|| NO_REASON.into());
                reason.insert(String::from("text"), text);
            }
            None => now["statusReason"] = json!({"text": NO_REASON}),
        }
    }
}

/// Stands where nobody said why.
const NO_REASON: &str = "No reason was given.";

fn may_move(from: &str, to: &str) -> bool {
    from == to || to == "entered-in-error" || next(from).contains(&to)
}

fn next(from: &str) -> &'static [&'static str] {
    MOVES.iter().find(|(status, _)| *status == from).map_or(&[], |(_, next)| next)
}

fn allowed(from: &str) -> String {
    match next(from) {
        [] => format!("{from} is an end, and can only be marked entered-in-error."),
        next => format!("from {from} it moves to {} or entered-in-error.", next.join(", ")),
    }
}

fn status(task: &Value) -> &str {
    task.get("status").and_then(Value::as_str).unwrap_or_default()
}

/// What a reference leads to; its display may be written in any way.
fn reference<'a>(task: &'a Value, element: &str) -> (Option<&'a Value>, Option<&'a Value>) {
    let reference = task.get(element);
    let part = |name| reference.and_then(|reference| reference.get(name));
    (part("reference"), part("identifier"))
}

fn rule(place: &str, element: &str, words: &str) -> Issue {
    Issue::error("business-rule", "task-move", format!("{place}.{element}"), words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STATUSES: [&str; 12] = [
        "draft",
        "requested",
        "received",
        "accepted",
        "rejected",
        "ready",
        "cancelled",
        "in-progress",
        "on-hold",
        "failed",
        "completed",
        "entered-in-error",
    ];

    /// From each status (a line) to each status (a column), both in the order above: `x` where the move is legal, `.` where not.
    const LEGAL: [&str; 12] = [
        "xx....x....x", // draft
        ".xxxx.x....x", // requested
        "..xxx.x....x", // received
        "...x.xxx...x", // accepted
        "....x......x", // rejected
        ".....xxx...x", // ready
        "......x....x", // cancelled
        "......xxxxxx", // in-progress
        "......xxxx.x", // on-hold
        ".........x.x", // failed
        "..........xx", // completed
        "...........x", // entered-in-error
    ];

    fn task(status: &str) -> Value {
        json!({
            "resourceType": "Task",
            "instantiatesCanonical": "https://signa.example/fhir/PlanDefinition/refill|1",
            "status": status,
            "intent": "order",
            "for": {"reference": "Patient/1", "display": "x"},
            "owner": {"reference": "Organization/west"},
            "output": [{"type": {"text": "done"}, "valueString": "called"}],
        })
    }

    #[test]
    fn exactly_these_of_all_moves_are_allowed() {
        for (from, line) in STATUSES.iter().zip(LEGAL) {
            for (to, legal) in STATUSES.iter().zip(line.chars()) {
                let issues = faults(&task(from), &task(to), "Task");
                assert_eq!(issues.is_empty(), legal == 'x', "{from} to {to}: {issues:?}");
            }
        }
        let issue = &faults(&task("completed"), &task("requested"), "Task")[0];
        assert_eq!((issue.code, issue.expression.as_str()), ("business-rule", "Task.status"));
        assert!(faults(&task("requested"), &task("completed"), "Task")[0].diagnostics.contains("accepted"));
    }

    #[test]
    fn an_end_says_what_was_done_or_why() {
        let mut bare = task("completed");
        bare.as_object_mut().unwrap().shift_remove("output");
        assert_eq!(faults(&task("in-progress"), &bare, "Task")[0].expression, "Task.output");
        let reasoned = |status: &str, reason: Value| {
            let mut task = task(status);
            task["statusReason"] = reason;
            give_reason(&mut task);
            task["statusReason"]["text"].clone()
        };
        assert_eq!(reasoned("rejected", json!({"text": "closed today"})), "closed today");
        assert_eq!(reasoned("failed", json!({"coding": [{"display": "not reached"}]})), "not reached");
        let mut silent = task("on-hold");
        give_reason(&mut silent);
        assert_eq!(silent["statusReason"]["text"], NO_REASON);
        let mut going = task("accepted");
        give_reason(&mut going);
        assert_eq!(going, task("accepted"));
    }

    #[test]
    fn a_claim_takes_the_task_over_once_and_keeps_what_it_is_about() {
        let with = |status: &str, element: &str, to: &str| {
            let mut task = task(status);
            task[element] = json!({"reference": to});
            task
        };
        let claimed = with("accepted", "owner", "PractitionerRole/p");
        assert_eq!(faults(&task("requested"), &claimed, "Task"), []);
        assert_eq!(faults(&claimed, &with("accepted", "owner", "PractitionerRole/q"), "Task")[0].expression, "Task.owner");
        assert_eq!(faults(&task("requested"), &with("accepted", "for", "Patient/2"), "Task")[0].expression, "Task.for");
        assert_eq!(faults(&task("requested"), &with("accepted", "for", "Patient/1"), "Task"), []);
    }

    #[test]
    fn only_tasks_with_a_name_of_ours_are_ours() {
        assert!(is_ours(&task("requested")));
        assert!(is_ours(&json!({"identifier": [{"system": "https://signa.example/fhir/NamingSystem/output", "value": "1"}]})));
        assert!(!is_ours(
            &json!({"identifier": [{"system": "https://other.example/"}], "instantiatesCanonical": "https://other.example/p"})
        ));
    }
}
