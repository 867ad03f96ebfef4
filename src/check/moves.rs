//! How a Task of our own may move, and what must stay as it was. Tasks of others move as their senders say.
//! Follows <https://hl7.org/fhir/R4/task.html#statemachine>.

use serde_json::Value;

use crate::fhir::outcome::Issue;

/// Everything of ours is named under this root.
const ROOT: &str = "https://signa.example/fhir/";

/// Where a status may go. What is not listed may only stay, or be marked `entered-in-error`.
const MOVES: &[(&str, &[&str])] = &[
    ("draft", &["requested", "cancelled"]),
    ("requested", &["received", "accepted", "rejected", "cancelled"]),
    ("received", &["accepted", "rejected", "cancelled"]),
    ("accepted", &["ready", "in-progress", "on-hold", "cancelled"]),
    ("ready", &["in-progress", "on-hold", "cancelled"]),
    ("in-progress", &["on-hold", "completed", "failed", "cancelled"]),
    ("on-hold", &["in-progress", "failed", "cancelled"]),
];

/// References that say what the Task is about; nobody changes them.
const KEPT_REFERENCES: [&str; 3] = ["for", "focus", "requester"];

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
    if !may_move(from, to) {
        issues.push(rule(place, "status", &format!("A Task does not move from {from} to {to}; {}", allowed(from))));
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

    fn task(status: &str) -> Value {
        json!({
            "resourceType": "Task",
            "instantiatesCanonical": "https://signa.example/fhir/PlanDefinition/refill|1",
            "status": status,
            "intent": "order",
            "for": {"reference": "Patient/1", "display": "x"},
            "owner": {"reference": "Organization/west"},
        })
    }

    #[test]
    fn exactly_these_of_all_moves_are_allowed() {
        let mut allowed = 0;
        for from in STATUSES {
            for to in STATUSES {
                allowed += usize::from(faults(&task(from), &task(to), "Task").is_empty());
            }
        }
        // 12 that stay, 11 into entered-in-error, and the listed ones.
        assert_eq!(allowed, 12 + 11 + MOVES.iter().map(|(_, next)| next.len()).sum::<usize>());
        let issue = &faults(&task("completed"), &task("requested"), "Task")[0];
        assert_eq!((issue.code, issue.expression.as_str()), ("business-rule", "Task.status"));
        assert!(faults(&task("requested"), &task("completed"), "Task")[0].diagnostics.contains("accepted"));
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
