//! The Task by which a person is asked what becomes of a rule that would have fired far too often, and what they answer.
//! Follows <https://hl7.org/fhir/R4/task.html>.

use serde_json::{Value, json};
use uuid::Uuid;

use super::json::{each, text};
use super::outputs::OUTPUT;
use crate::fhir::time::instant;
use crate::ledger::{Beyond, HaltState, Mark};

/// How often a rule may fire in a day, as far as it is set for all rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Radius {
    /// So many times what is expected of a rule.
    pub times: i64,
    /// Never less than this.
    pub floor: i64,
    /// Never less than this for a rule of which nothing can be expected yet.
    pub unknown: i64,
}

impl Default for Radius {
    fn default() -> Self {
        Self { times: 5, floor: 200, unknown: 10_000 }
    }
}

/// The code of such a Task.
const CODE: &str = "rule-stopped";

/// What a person writes into its output.
const GO_ON: &str = "go-on";
const STAY_STOPPED: &str = "stay-stopped";

/// The code system of the codes of our Tasks.
const TASKS: &str = "https://signa.example/fhir/CodeSystem/task";

/// The time in which somebody should answer.
const DAY_MS: i64 = 86_400_000;

/// The Task about a rule that was stopped. `focus` is the PlanDefinition where it is kept here; a rule that came with the program is
/// named by its url. Asked twice on one day it has the same id, unless it is one more after so many that were answered `before`.
#[must_use]
pub fn question(tenant: &str, beyond: &Beyond, is_clinical: bool, focus: Option<&str>, now: i64, before: usize) -> Value {
    let (url, version) = beyond.rule.split_once('|').unwrap_or((&beyond.rule, ""));
    let mut name = [tenant, &beyond.rule, CODE, &now.div_euclid(DAY_MS).to_string()].join("\n");
    if before > 0 {
        name = format!("{name}\n{before}");
    }
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string();
    let tenant = json!({"type": "Organization", "identifier": {"system": "https://signa.example/fhir/NamingSystem/tenant", "value": tenant}});
    let focus = focus.map_or_else(
        || json!({"type": "PlanDefinition", "identifier": {"system": "urn:ietf:rfc:3986", "value": url}}),
        |focus| json!({"reference": focus}),
    );
    let input = |code: &str, words: &str, value: i64| json!({"type": {"coding": [{"system": "https://signa.example/fhir/CodeSystem/task-input", "code": code}], "text": words}, "valueInteger": value});
    let why = format!(
        "The rule {url} in version {version} fired {} times today and would go on; it may {} times. It was stopped, and what it \
         would have said or asked for is held. Is it right that so many are concerned? Complete this with the output {GO_ON}, or \
         {STAY_STOPPED}.",
        beyond.fired, beyond.most
    );
    json!({
        "resourceType": "Task",
        "id": id,
        "identifier": [{"system": OUTPUT, "value": id}],
        "instantiatesCanonical": beyond.rule,
        "status": "requested",
        "intent": "order",
        "priority": if is_clinical { "stat" } else { "urgent" },
        "code": {"coding": [{"system": TASKS, "code": CODE, "display": "Say what becomes of a stopped rule"}]},
        "description": why,
        "focus": focus,
        "authoredOn": instant(now),
        "lastModified": instant(now),
        "requester": tenant,
        "owner": tenant,
        "reasonCode": {"text": "The rule would have fired far more often than expected."},
        "restriction": {"period": {"start": instant(now), "end": instant(now + DAY_MS)}},
        "input": [input("fired", "Times it fired today", beyond.fired), input("bound", "Times it may in a day", beyond.most)],
    })
}

/// What the end of such a Task says of its rule: only who says go-on lets it.
#[must_use]
pub fn answer(task: &Value) -> Option<Mark> {
    let is_asked =
        task.get("code").is_some_and(|code| each(code, "coding").iter().any(|coding| text(coding, "code") == Some(CODE)));
    let status = text(task, "status").filter(|_| is_asked && text(task, "resourceType") == Some("Task"))?;
    let state = match status {
        "completed" if each(task, "output").iter().any(|output| said(output) == Some(GO_ON)) => HaltState::Released,
        "completed" | "failed" | "cancelled" | "rejected" | "entered-in-error" => HaltState::Retired,
        _ => return None,
    };
    Some(Mark::Answered { task: text(task, "id")?.to_owned(), state })
}

/// The code of an output, however it is written.
fn said(output: &Value) -> Option<&str> {
    let coded = || output.get("valueCodeableConcept").into_iter().flat_map(|concept| each(concept, "coding"));
    let coding = || output.get("valueCoding").into_iter().chain(coded()).find_map(|coding| text(coding, "code"));
    text(output, "valueCode").or_else(|| text(output, "valueString")).or_else(coding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beyond() -> Beyond {
        Beyond { rule: String::from("https://x.example/rule|2"), fired: 200, most: 200 }
    }

    #[test]
    fn the_question_names_the_rule_and_the_numbers_and_is_one_a_day() {
        let asked = question("t", &beyond(), true, None, 0, 0);
        assert_eq!(
            (text(&asked, "priority"), &asked["focus"]["identifier"]["value"]),
            (Some("stat"), &json!("https://x.example/rule"))
        );
        assert_eq!((&asked["input"][0]["valueInteger"], &asked["input"][1]["valueInteger"]), (&json!(200), &json!(200)));
        assert!(crate::react::outputs::OUTPUT == asked["identifier"][0]["system"]);
        let kept = question("t", &beyond(), false, Some("PlanDefinition/x"), 1, 0);
        assert_eq!(
            (&kept["id"], &kept["priority"], &kept["focus"]["reference"]),
            (&asked["id"], &json!("urgent"), &json!("PlanDefinition/x"))
        );
        assert_ne!(question("t", &beyond(), true, None, DAY_MS, 0)["id"], asked["id"]);
        assert_ne!(question("t", &beyond(), true, None, 0, 1)["id"], asked["id"]);
        assert_ne!(question("u", &beyond(), true, None, 0, 0)["id"], asked["id"]);
    }

    #[test]
    fn only_who_says_go_on_lets_the_rule() {
        let told = |status: &str, output: Value| {
            let mut task = question("t", &beyond(), false, None, 0, 0);
            task["status"] = json!(status);
            task["output"] = json!([output]);
            answer(&task).map(|mark| match mark {
                Mark::Answered { state, .. } => state,
                other => panic!("{other:?}"),
            })
        };
        let coded = |code: &str| json!({"valueCodeableConcept": {"coding": [{"code": code}]}});
        for (status, output, state) in [
            ("completed", json!({"valueCode": GO_ON}), Some(HaltState::Released)),
            ("completed", json!({"valueString": GO_ON}), Some(HaltState::Released)),
            ("completed", coded(GO_ON), Some(HaltState::Released)),
            ("completed", json!({"valueCoding": {"code": GO_ON}}), Some(HaltState::Released)),
            ("completed", json!({"valueCode": STAY_STOPPED}), Some(HaltState::Retired)),
            ("completed", json!({"valueString": "yes"}), Some(HaltState::Retired)),
            ("rejected", json!({"valueCode": GO_ON}), Some(HaltState::Retired)),
            ("cancelled", Value::Null, Some(HaltState::Retired)),
            ("in-progress", json!({"valueCode": GO_ON}), None),
        ] {
            assert_eq!(told(status, output.clone()), state, "{status} {output}");
        }
        assert!(
            answer(
                &json!({"resourceType": "Task", "id": "1", "status": "completed", "code": {"coding": [{"code": "refill-call"}]}})
            )
            .is_none()
        );
    }
}
