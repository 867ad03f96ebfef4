//! Reading rules and finding every fault in them, so that their author sees all of it at once.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::collections::HashMap;

use serde_json::Value;

use super::Rules;
use super::activity::{Act, Activity};
use super::concepts::{Concepts, SYSTEMS};
use super::condition::Condition;
use super::json::{each, extension, number, text};
use super::plan::{Action, Anchor, EPISODE_DAYS, Filter, PROFILE, Plan, Step, Trigger, WINDOW_DAYS};
use super::products::INGREDIENTS;
use super::zones::ZONES;
use crate::fhir::outcome::Issue;
use crate::ledger::Line;

/// Root of the extensions a plan may carry.
const EXTENSIONS: &str = "https://signa.example/fhir/StructureDefinition/";

/// What Signa itself says: a rule that listens to it must name the category, and may not say the same again.
const SPOKEN: &[&str] = &["Communication", "CommunicationRequest", "Task"];

/// Reads all artefacts into the rules and returns every fault.
pub(super) fn artefacts(rules: &mut Rules, artefacts: &[Value]) -> Vec<Issue> {
    let mut newest: HashMap<&str, &Value> = HashMap::new();
    for artefact in artefacts {
        if let Some(url) = text(artefact, "url") {
            newest.insert(url, artefact);
        }
    }
    let mut sorted: Vec<(&str, &Value)> = newest.into_iter().collect();
    sorted.sort_by_key(|(url, _)| *url);
    let of = |kind: &'static str| {
        sorted.iter().filter(move |(_, value)| text(value, "resourceType") == Some(kind)).map(|(url, value)| (*url, *value))
    };
    for (_, map) in of("ConceptMap").filter(|(url, _)| *url == SYSTEMS) {
        rules.concepts.learn_systems(map);
    }
    for (_, set) in of("ValueSet") {
        rules.concepts.learn(set);
    }
    for (_, map) in of("ConceptMap").filter(|(url, _)| *url == INGREDIENTS) {
        rules.products.learn(map, &rules.concepts);
    }
    for (_, map) in of("ConceptMap").filter(|(url, _)| *url == ZONES) {
        rules.zones.learn(map);
    }
    let activities: HashMap<&str, &Value> = of("ActivityDefinition").collect();
    let mut issues = Vec::new();
    for (_, value) in of("PlanDefinition").filter(|(_, value)| is_ours(value) && text(value, "status") == Some("active")) {
        let mut reader = Reader {
            url: text(value, "url").unwrap_or_default(),
            concepts: &rules.concepts,
            activities: &activities,
            issues: Vec::new(),
        };
        let plan = reader.plan(value);
        if !reader.issues.iter().any(Issue::refuses) {
            rules.plans.push(plan);
        }
        issues.extend(reader.issues);
    }
    issues
}

/// Whether a PlanDefinition claims our profile.
fn is_ours(value: &Value) -> bool {
    let profiles = value.get("meta").map(|meta| each(meta, "profile")).unwrap_or_default();
    profiles.iter().filter_map(Value::as_str).any(|profile| profile.split('|').next() == Some(PROFILE))
}

struct Reader<'a> {
    url: &'a str,
    concepts: &'a Concepts,
    activities: &'a HashMap<&'a str, &'a Value>,
    issues: Vec<Issue>,
}

impl Reader<'_> {
    fn fault(&mut self, key: &'static str, place: &str, why: &str) {
        let sentence = format!("{}: {why}", self.url);
        self.issues.push(Issue::error("business-rule", key, place, sentence));
    }

    fn plan(&mut self, value: &Value) -> Plan {
        let priority = extension(value, &format!("{EXTENSIONS}plan-priority")).and_then(Value::as_str);
        let priority = match priority {
            Some("clinical") => 1,
            Some("refill") => 2,
            Some("adherence") => 3,
            Some("marketing") => 4,
            _ => {
                let why = "the plan-priority extension must say clinical, refill, adherence or marketing";
                self.fault("plan-without-priority", "PlanDefinition.extension", why);
                4
            }
        };
        if text(value, "version").is_none() {
            self.fault(
                "plan-without-version",
                "PlanDefinition.version",
                "a version is needed, so that what was said can name it",
            );
        }
        let episode = extension(value, &format!("{EXTENSIONS}plan-episode-window")).and_then(days);
        let mut actions = Vec::new();
        for (at, action) in each(value, "action").iter().enumerate() {
            actions.push(self.action(action, &format!("PlanDefinition.action[{at}]")));
        }
        if actions.is_empty() {
            self.fault("plan-without-action", "PlanDefinition.action", "a plan needs an action with a trigger");
        }
        let plan = Plan {
            url: self.url.to_owned(),
            version: text(value, "version").unwrap_or_default().to_owned(),
            priority,
            episode_days: episode.unwrap_or(EPISODE_DAYS),
            actions,
        };
        self.approval(value, &plan);
        self.cycle(&plan);
        plan
    }

    /// Nothing is said to a patient that nobody has reviewed.
    fn approval(&mut self, value: &Value, plan: &Plan) {
        let speaks = plan.actions.iter().flat_map(|action| &action.steps).any(|step| step.activity.act == Act::Speak);
        if speaks && text(value, "approvalDate").is_none() {
            self.fault("plan-not-approved", "PlanDefinition.approvalDate", "what speaks to patients needs an approvalDate");
        }
        if speaks && each(value, "reviewer").is_empty() {
            self.fault("plan-not-reviewed", "PlanDefinition.reviewer", "what speaks to patients needs a reviewer");
        }
    }

    /// A rule that listens to what it says itself would never end.
    fn cycle(&mut self, plan: &Plan) {
        for (at, action) in plan.actions.iter().enumerate() {
            for trigger in action.triggers.iter().filter(|trigger| SPOKEN.contains(&trigger.kind.as_str())) {
                let place = format!("PlanDefinition.action[{at}].trigger");
                if trigger.filters.is_empty() {
                    let why = "a rule may listen to messages and Tasks only by their category or code";
                    self.fault("plan-echo", &place, why);
                }
                let said = action.steps.iter().flat_map(|step| each(&step.activity.code, "coding"));
                let mut codes = said.filter_map(|coding| text(coding, "code"));
                let heard = |code: &str| trigger.filters.iter().any(|filter| filter.codes.iter().any(|(_, known)| known == code));
                if codes.any(heard) {
                    self.fault("plan-cycle", &place, "the rule listens to what it says itself");
                }
            }
        }
    }

    fn action(&mut self, value: &Value, place: &str) -> Action {
        let id = text(value, "id").unwrap_or_default().to_owned();
        if id.is_empty() {
            self.fault("action-without-id", place, "an action needs an id, to which its steps are anchored");
        }
        let mut triggers = Vec::new();
        for (at, trigger) in each(value, "trigger").iter().enumerate() {
            self.trigger(trigger, &format!("{place}.trigger[{at}]"), &mut triggers);
        }
        if each(value, "trigger").is_empty() {
            self.fault("action-without-trigger", place, "an action needs a trigger");
        }
        let conditions = self.conditions(value, place);
        let mut steps: Vec<Step> = Vec::new();
        for (at, inner) in each(value, "action").iter().enumerate() {
            let place = format!("{place}.action[{at}]");
            if let Some(step) = self.step(inner, &id, &triggers, &place) {
                if steps.iter().any(|known| known.id == step.id) {
                    self.fault("step-twice", &place, "two steps have the same id");
                }
                steps.push(step);
            }
        }
        if each(value, "action").is_empty() {
            self.fault("action-without-step", place, "an action needs a nested action that says what is done");
        }
        Action { id, triggers, conditions, steps }
    }

    fn trigger(&mut self, value: &Value, place: &str, triggers: &mut Vec<Trigger>) {
        let line = match text(value, "type") {
            Some("data-added") => Line::Created,
            Some("data-modified") => Line::Updated,
            Some("data-removed") => Line::Deleted,
            _ => {
                let why = "type must be data-added, data-modified or data-removed";
                return self.fault("unknown-trigger", place, why);
            }
        };
        if each(value, "data").is_empty() {
            self.fault("trigger-without-data", place, "a trigger needs data with a type");
        }
        for (at, data) in each(value, "data").iter().enumerate() {
            let place = format!("{place}.data[{at}]");
            let Some(kind) = text(data, "type") else {
                self.fault("trigger-without-data", &place, "data needs a type");
                continue;
            };
            let filters = each(data, "codeFilter").iter().map(|filter| self.filter(filter, &place)).collect();
            triggers.push(Trigger { line, kind: kind.to_owned(), filters });
        }
    }

    fn filter(&mut self, value: &Value, place: &str) -> Filter {
        let group = text(value, "valueSet").map(|url| url.split('|').next().unwrap_or(url).to_owned());
        if let Some(group) = group.as_ref().filter(|group| !self.concepts.knows(group)) {
            self.fault("unknown-value-set", place, &format!("no ValueSet {group} is known"));
        }
        let coding =
            |coding: &Value| Some((text(coding, "system").unwrap_or_default().to_owned(), text(coding, "code")?.to_owned()));
        let codes: Vec<(String, String)> = each(value, "code").iter().filter_map(coding).collect();
        if group.is_none() && codes.is_empty() {
            self.fault("filter-without-codes", place, "a codeFilter needs a valueSet or codes");
        }
        if text(value, "path").is_none() {
            self.fault("filter-without-path", place, "a codeFilter needs a path");
        }
        Filter { path: text(value, "path").unwrap_or_default().to_owned(), group, codes }
    }

    fn conditions(&mut self, value: &Value, place: &str) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for (at, condition) in each(value, "condition").iter().enumerate() {
            let place = format!("{place}.condition[{at}]");
            let expression = condition.get("expression");
            let language = expression.and_then(|expression| text(expression, "language"));
            if text(condition, "kind") != Some("applicability") || language != Some("text/fhirpath") {
                self.fault("unknown-condition", &place, "a condition must be of kind applicability, in text/fhirpath");
                continue;
            }
            match Condition::read(expression.and_then(|expression| text(expression, "expression")).unwrap_or_default()) {
                Ok(condition) => conditions.push(condition),
                Err(why) => self.fault("bad-expression", &format!("{place}.expression"), &why),
            }
        }
        conditions
    }

    fn step(&mut self, value: &Value, anchor: &str, triggers: &[Trigger], place: &str) -> Option<Step> {
        let id = text(value, "id").unwrap_or_default().to_owned();
        if id.is_empty() {
            self.fault("step-without-id", place, "a step needs an id, by which it is decided only once");
        }
        let when = self.anchor(value, anchor, triggers, place);
        let window = extension(value, &format!("{EXTENSIONS}step-window")).and_then(days);
        let conditions = self.conditions(value, place);
        let canonical = text(value, "definitionCanonical").unwrap_or_default();
        let found = self.activities.get(canonical.split('|').next().unwrap_or_default());
        let Some(activity) = found else {
            self.fault(
                "unknown-activity",
                &format!("{place}.definition"),
                &format!("no ActivityDefinition {canonical} is known"),
            );
            return None;
        };
        match Activity::read(activity) {
            Ok(activity) => {
                let anchor = when?;
                Some(Step { id, anchor, window_days: window.unwrap_or(WINDOW_DAYS), conditions, activity })
            }
            Err(why) => {
                self.fault("bad-activity", &format!("{place}.definition"), &format!("{canonical}: {why}"));
                None
            }
        }
    }

    /// A step is anchored to the action it is nested in: to its start, or, for a dispense, to the end of its supply.
    fn anchor(&mut self, value: &Value, anchor: &str, triggers: &[Trigger], place: &str) -> Option<Anchor> {
        let related = each(value, "relatedAction");
        let Some(first) = related.first() else { return Some(Anchor::AtOnce) };
        let place = format!("{place}.relatedAction");
        if related.len() > 1 || text(first, "actionId") != Some(anchor) {
            self.fault("unknown-anchor", &place, &format!("a step has one anchor, the action {anchor:?} it is nested in"));
            return None;
        }
        let Some(offset) = first.get("offsetDuration").and_then(days) else {
            self.fault("bad-offset", &place, "offsetDuration must be a number of days or weeks");
            return None;
        };
        let anchor = match text(first, "relationship") {
            Some("after-start" | "after") => Anchor::Start(offset),
            Some("after-end") => Anchor::End(offset),
            Some("before-end") => Anchor::End(-offset),
            _ => {
                self.fault("unknown-anchor", &place, "relationship must be after-start, before-end or after-end");
                return None;
            }
        };
        if matches!(anchor, Anchor::End(_)) && triggers.iter().any(|trigger| trigger.kind != "MedicationDispense") {
            self.fault("unknown-anchor", &place, "only the supply of a dispense has an end");
            return None;
        }
        Some(anchor)
    }
}

/// Whole days of a Duration.
fn days(duration: &Value) -> Option<i64> {
    let factor = match text(duration, "code").or_else(|| text(duration, "unit"))? {
        "d" => 1.0,
        "wk" => 7.0,
        _ => return None,
    };
    let value = number(duration.get("value")?)? * factor;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within bounds")]
    let whole = value as i64;
    ((0.0..=3_650.0).contains(&value) && value.fract() == 0.0).then_some(whole)
}
