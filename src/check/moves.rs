//! How a Task or a Communication of our own may move, and what must stay as it was. Those of others move as their senders say.
//! Follows <https://hl7.org/fhir/R4/task.html#statemachine> and <https://hl7.org/fhir/R4/valueset-event-status.html>.

use serde_json::{Value, json};

use crate::fhir::outcome::Issue;

/// Everything of ours is named under this root.
const ROOT: &str = "https://signa.example/fhir/";

/// How resources of one type may move.
#[derive(Debug)]
struct Course {
    kind: &'static str,
    /// Where a status may go. What is not listed may only stay, or be marked `entered-in-error`.
    moves: &'static [(&'static str, &'static [&'static str])],
    /// References that say what it is about; nobody changes them.
    kept_references: &'static [&'static str],
    /// Other elements that stay as we wrote them.
    kept: &'static [&'static str],
    /// Statuses that ask why; their reason is told to who looks at it later.
    reasoned: &'static [&'static str],
    /// What may be changed.
    free: &'static str,
    /// The key of its refusals.
    key: &'static str,
}

const TASK: Course = Course {
    kind: "Task",
    moves: &[
        ("draft", &["requested", "cancelled"]),
        ("requested", &["received", "accepted", "rejected", "cancelled"]),
        ("received", &["accepted", "rejected", "cancelled"]),
        ("accepted", &["ready", "in-progress", "cancelled"]),
        ("ready", &["in-progress", "cancelled"]),
        ("in-progress", &["on-hold", "completed", "failed", "cancelled"]),
        ("on-hold", &["in-progress", "failed", "cancelled"]),
    ],
    kept_references: &["for", "focus", "requester"],
    kept: &[
        "instantiatesCanonical",
        "groupIdentifier",
        "authoredOn",
        "intent",
        "code",
        "reasonCode",
        "reasonReference",
        "restriction",
        "input",
    ],
    reasoned: &["rejected", "failed", "on-hold", "cancelled"],
    free: "status, owner, output and notes",
    key: "task-move",
};

/// What waits is taken on, or not done; what is under way comes to an end, rests, or ends in doubt, which may be cleared up.
const COMMUNICATION: Course = Course {
    kind: "Communication",
    moves: &[
        ("preparation", &["in-progress", "not-done"]),
        ("in-progress", &["completed", "stopped", "on-hold", "not-done", "unknown"]),
        ("on-hold", &["in-progress", "stopped"]),
        ("unknown", &["completed", "stopped", "not-done"]),
    ],
    kept_references: &["subject", "sender"],
    kept: &["instantiatesCanonical", "basedOn", "category", "recipient", "about", "reasonReference", "payload"],
    reasoned: &["not-done", "stopped", "on-hold"],
    free: "status, its reason, sent, received and notes",
    key: "communication-move",
};

/// How a resource moves, where we say how.
fn course(resource: &Value) -> Option<&'static Course> {
    let kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    [&TASK, &COMMUNICATION].into_iter().find(|course| course.kind == kind)
}

/// Whether resources of this type move only as we say, when they are ours.
#[must_use]
pub fn binds(kind: &str) -> bool {
    [TASK.kind, COMMUNICATION.kind].contains(&kind)
}

/// Whether this Task or Communication was made by Signa.
#[must_use]
pub fn is_ours(task: &Value) -> bool {
    let text = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(ROOT));
    let systems = task.get("identifier").and_then(Value::as_array).into_iter().flatten();
    let rules = task.get("instantiatesCanonical");
    let names_rule = |rules: &Value| text(rules) || rules.as_array().is_some_and(|rules| rules.iter().any(text));
    rules.is_some_and(names_rule) || systems.filter_map(|identifier| identifier.get("system")).any(text)
}

/// What is wrong with putting `now` in the place of `was`; `place` begins the places of the issues.
#[must_use]
pub fn faults(was: &Value, now: &Value, place: &str) -> Vec<Issue> {
    let mut issues = Vec::new();
    let Some(course) = course(was) else { return issues };
    let (from, to) = (status(was), status(now));
    let is_task = course.kind == TASK.kind;
    let silent = || now.get("output").and_then(Value::as_array).is_none_or(Vec::is_empty);
    if !course.may_move(from, to) {
        let words = format!("A {} does not move from {from} to {to}; {}", course.kind, course.allowed(from));
        issues.push(course.fault(place, "status", &words));
    } else if is_task && to == "completed" && silent() {
        issues.push(course.fault(place, "output", "A completed Task says what was done: give an output that refers to it."));
    }
    let references = course.kept_references.iter().filter(|element| reference(was, element) != reference(now, element));
    let others = course.kept.iter().filter(|element| was.get(**element) != now.get(**element));
    for element in references.chain(others) {
        let words = format!("This element of the {} stays as it is; only {} change.", course.kind, course.free);
        issues.push(course.fault(place, element, &words));
    }
    if identifiers(was).any(|ours| !identifiers(now).any(|kept| kept == ours)) {
        let words = format!("The identifiers of the {} stay, since it is known by them; others may be added.", course.kind);
        issues.push(course.fault(place, "identifier", &words));
    }
    if is_task && reference(was, "owner") != reference(now, "owner") {
        if !(to == "accepted" && matches!(from, "draft" | "requested" | "received")) {
            issues.push(course.fault(place, "owner", "The owner changes only when the Task is claimed (status accepted)."));
        } else if !may_claim(target(was, "owner"), target(now, "owner")) {
            let words = "A store's Task is claimed by the store, or by a PractitionerRole of it; one that is no store's, by any store, too.";
            issues.push(course.fault(place, "owner", words));
        }
    }
    issues
}

/// Whether the one may follow the other as owner; each with its type and id, where it is a reference.
fn may_claim(was: Option<(&str, &str)>, now: Option<(&str, &str)>) -> bool {
    match now {
        Some(("PractitionerRole", _)) => true,
        Some(("Organization", _)) => was.is_none(),
        _ => false,
    }
}

/// The role that claims a Task, and the store whose it was: ids of a PractitionerRole and an Organization.
#[must_use]
pub fn claim(was: &Value, now: &Value) -> Option<(String, String)> {
    match (target(was, "owner"), target(now, "owner")) {
        (Some(("Organization", store)), Some(("PractitionerRole", role))) => Some((role.to_owned(), store.to_owned())),
        _ => None,
    }
}

/// What is wrong with a role that claims a Task of this store: that it says to belong to another.
#[must_use]
pub fn wrong_store(role: &Value, store: &str, place: &str) -> Option<Issue> {
    let (_, works_at) = target(role, "organization").filter(|(kind, _)| *kind == "Organization")?;
    let words = format!("The PractitionerRole belongs to another store; the Task is one of Organization/{store}.");
    (works_at != store).then(|| TASK.fault(place, "owner", &words))
}

/// Type and id of what a reference leads to.
fn target<'a>(resource: &'a Value, element: &str) -> Option<(&'a str, &'a str)> {
    let reference = resource.get(element)?.get("reference")?.as_str()?;
    let (reference, _) = reference.split_once("/_history/").unwrap_or((reference, ""));
    let (before, id) = reference.rsplit_once('/')?;
    Some((before.rsplit('/').next()?, id))
}

fn identifiers(resource: &Value) -> impl Iterator<Item = (Option<&Value>, Option<&Value>)> {
    let identifiers = resource.get("identifier").and_then(Value::as_array).into_iter().flatten();
    identifiers.map(|identifier| (identifier.get("system"), identifier.get("value")))
}

/// Says that no reason was given, where the status asks for one: nothing of ours must be put aside in silence.
pub fn give_reason(now: &mut Value) {
    let reasoned = course(now).is_some_and(|course| course.reasoned.contains(&status(now)));
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

impl Course {
    fn fault(&self, place: &str, element: &str, words: &str) -> Issue {
        Issue::error("business-rule", self.key, format!("{place}.{element}"), words)
    }

    fn may_move(&self, from: &str, to: &str) -> bool {
        from == to || to == "entered-in-error" || self.next(from).contains(&to)
    }

    fn next(&self, from: &str) -> &'static [&'static str] {
        self.moves.iter().find(|(status, _)| *status == from).map_or(&[], |(_, next)| next)
    }

    fn allowed(&self, from: &str) -> String {
        match self.next(from) {
            [] => format!("{from} is an end, and can only be marked entered-in-error."),
            next => format!("from {from} it moves to {} or entered-in-error.", next.join(", ")),
        }
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

    trait With {
        fn with(self, element: &str, value: Value) -> Self;
    }

    impl With for Value {
        fn with(mut self, element: &str, value: Value) -> Self {
            self[element] = value;
            self
        }
    }

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
    fn the_owner_is_the_store_until_it_or_a_role_of_it_claims() {
        let owned = |status: &str, owner: Value| task(status).with("owner", owner);
        let (store, role) =
            (json!({"reference": "Organization/west"}), json!({"reference": "https://x.example/PractitionerRole/p"}));
        let nobody = json!({"identifier": {"value": "default"}});
        for (was, to, now, is_right) in [
            (&store, "requested", json!({"reference": "Organization/east"}), false),
            (&store, "received", role.clone(), false),
            (&store, "accepted", role.clone(), true),
            (&store, "accepted", store.clone(), true),
            (&store, "accepted", json!({"reference": "Organization/east"}), false),
            (&store, "accepted", json!({"reference": "Patient/1"}), false),
            (&store, "accepted", Value::Null, false),
            (&role, "accepted", json!({"reference": "PractitionerRole/q"}), true),
            (&role, "accepted", store.clone(), false),
            (&nobody, "accepted", store.clone(), true),
            (&nobody, "accepted", json!({"display": "somebody"}), false),
        ] {
            let issues = faults(&owned("requested", was.clone()), &owned(to, now.clone()), "Task");
            let places: Vec<&str> = issues.iter().map(|issue| issue.expression.as_str()).collect();
            assert_eq!(places, if is_right { vec![] } else { vec!["Task.owner"] }, "{was} to {now} by {to}");
        }
        let (was, now) = (owned("requested", store), owned("accepted", role));
        assert_eq!(claim(&was, &now), Some((String::from("p"), String::from("west"))));
        let of = |organization: &str| json!({"organization": {"reference": organization}});
        assert_eq!(wrong_store(&of("Organization/west"), "west", "Task"), None);
        assert_eq!(wrong_store(&json!({}), "west", "Task"), None);
        assert_eq!(wrong_store(&of("Organization/east"), "west", "Task").unwrap().expression, "Task.owner");
    }

    // Software that writes back only what it knows would take away what the Task is found again by.
    #[test]
    fn what_we_need_of_a_task_stays() {
        let was =
            task("accepted").with("identifier", json!([{"system": "s", "value": "1"}])).with("code", json!({"text": "call"}));
        let added = was
            .clone()
            .with("identifier", json!([{"system": "own", "value": "9"}, {"system": "s", "value": "1", "use": "usual"}]));
        assert_eq!(faults(&was, &added, "Task"), []);
        for element in ["identifier", "code"] {
            let mut less = was.clone();
            less.as_object_mut().unwrap().shift_remove(element);
            assert_eq!(faults(&was, &less, "Task")[0].expression, format!("Task.{element}"));
        }
    }

    const EVENTS: [&str; 8] =
        ["preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"];

    /// The same for a Communication.
    const SPOKEN: [&str; 8] = [
        "xxx...x.", // preparation
        ".xxxxxxx", // in-progress
        "..x...x.", // not-done
        ".x.xx.x.", // on-hold
        "....x.x.", // stopped
        ".....xx.", // completed
        "......x.", // entered-in-error
        "..x.xxxx", // unknown
    ];

    fn message(status: &str) -> Value {
        json!({
            "resourceType": "Communication",
            "instantiatesCanonical": ["https://signa.example/fhir/PlanDefinition/refill|1"],
            "status": status,
            "subject": {"reference": "Patient/1"},
            "payload": [{"contentString": "x"}],
        })
    }

    #[test]
    fn exactly_these_of_all_moves_of_a_communication_are_allowed() {
        for (from, line) in EVENTS.iter().zip(SPOKEN) {
            for (to, legal) in EVENTS.iter().zip(line.chars()) {
                let issues = faults(&message(from), &message(to), "Communication");
                assert_eq!(issues.is_empty(), legal == 'x', "{from} to {to}: {issues:?}");
            }
        }
        assert!(is_ours(&message("preparation")) && binds("Communication") && !binds("Observation"));
        let mut other = message("in-progress");
        other["payload"] = json!([{"contentString": "y"}]);
        assert_eq!(faults(&message("preparation"), &other, "Communication")[0].expression, "Communication.payload");
        let mut silent = message("not-done");
        give_reason(&mut silent);
        assert_eq!(silent["statusReason"]["text"], NO_REASON);
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
