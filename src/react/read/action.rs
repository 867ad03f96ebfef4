//! Reading what an action listens to and what it demands.
//! Follows <https://hl7.org/fhir/R4/plandefinition-definitions.html#PlanDefinition.action>.

use serde_json::Value;

use super::{EXTENSIONS, Reader, known};
use crate::fhir::{definitions, kinds};
use crate::ledger::Line;
use crate::react::condition::Condition;
use crate::react::json::{each, extension, text, unversioned};
use crate::react::plan::{Action, Caller, Filter, Step, Trigger};

/// The event that two records of one person were united.
const MERGED: &str = "patient-merged";

/// The event that what was out of stock has arrived in a store.
const ARRIVED: &str = "stock-arrived";

/// The code system of events that somebody tells us of by name, for example that what was out of stock has arrived.
const EVENTS: &str = "https://signa.example/fhir/CodeSystem/event";

/// The types of an element whose codes can be looked up.
const CODED: &[&str] = &["code", "Coding", "CodeableConcept"];

/// The conditions of an action or a step, by what they are for.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// What must hold for it to be planned.
    pub(super) applicability: Vec<Condition>,
    /// What must hold when its time has come.
    pub(super) start: Vec<Condition>,
    /// What makes it pointless.
    pub(super) stop: Vec<Condition>,
}

impl Reader<'_> {
    pub(super) fn action(&mut self, value: &Value, place: &str) -> Action {
        let id = text(value, "id").unwrap_or_default().to_owned();
        if id.is_empty() {
            self.fault("action-without-id", place, "an action needs an id, to which its steps are anchored");
        }
        self.known(&known::ACTION, value, place);
        let mut triggers = Vec::new();
        let mut call = None;
        for (at, trigger) in each(value, "trigger").iter().enumerate() {
            let place = format!("{place}.trigger[{at}]");
            if is_call(trigger) {
                call = self.caller(trigger, &place);
            } else {
                self.trigger(trigger, &place, &mut triggers);
            }
        }
        if each(value, "trigger").is_empty() {
            self.fault("action-without-trigger", place, "an action needs a trigger");
        }
        if let Some(caller) = &call {
            if each(value, "trigger").len() > 1 {
                let why = "what is periodic, or called by an arrival, has one trigger: let the other be an action of its own";
                self.fault("trigger-beside-call", place, why);
            }
            triggers = self.called(value, caller, place);
        }
        if call.is_none() && value.get("input").is_some() && !each(value, "trigger").iter().any(is_call) {
            let why = "an input goes with what the calendar calls; what a trigger listens to is its data";
            self.fault("not-understood", &format!("{place}.input"), why);
        }
        let conditions = self.conditions(value, &triggers, place);
        if !conditions.start.is_empty() {
            self.fault("unknown-condition", place, "a condition of kind start belongs to a step, which has a time of its own");
        }
        let nested = each(value, "action");
        if nested.is_empty() {
            self.fault("action-without-step", place, "an action needs a nested action that says what is done");
        }
        let ids: Vec<&str> = nested.iter().map(|step| text(step, "id").unwrap_or_default()).collect();
        let mut steps: Vec<Step> = Vec::new();
        for (at, inner) in nested.iter().enumerate() {
            let place = format!("{place}.action[{at}]");
            if !each(inner, "action").is_empty() {
                self.fault("step-too-deep", &place, "a step has no steps of its own: let them be anchored to it instead");
            }
            if ids.iter().take(at).any(|known| *known == ids[at] && !known.is_empty()) {
                self.fault("step-twice", &place, "two steps have the same id");
            }
            steps.extend(self.step(inner, &id, &ids, &triggers, &place));
        }
        if steps.len() == nested.len() {
            self.hang(&mut steps, place);
        }
        let at_doses = extension(value, &format!("{EXTENSIONS}dose-times")).and_then(Value::as_bool) == Some(true);
        Action { id, triggers, call, at_doses, conditions: conditions.applicability, stops: conditions.stop, steps }
    }

    /// What calls an action; nothing where it is said wrongly.
    fn caller(&mut self, value: &Value, place: &str) -> Option<Caller> {
        if text(value, "type") == Some("periodic") {
            self.known(&known::PERIODIC, value, place);
            self.period(value, place).map(Caller::Calendar)
        } else {
            self.known(&known::NAMED, value, place);
            Some(Caller::Stock)
        }
    }

    /// For what an action is called: for each resource that its input names, else for the Patient; an arrival calls for what
    /// waits to be handed over.
    fn called(&mut self, value: &Value, caller: &Caller, place: &str) -> Vec<Trigger> {
        let of = |kind: &str, filters| Trigger { line: None, kind: kind.to_owned(), filters };
        let inputs = each(value, "input");
        if *caller == Caller::Stock {
            if !inputs.is_empty() {
                self.fault("input-of-arrival", place, "an arrival calls for dispenses that are on hold, and for nothing else");
            }
            let waits =
                Filter { path: String::from("status"), group: None, codes: vec![(String::new(), String::from("on-hold"))] };
            return vec![of("MedicationDispense", vec![waits])];
        }
        if inputs.is_empty() {
            return vec![of("Patient", Vec::new())];
        }
        let mut triggers = Vec::new();
        for (at, input) in inputs.iter().enumerate() {
            let place = format!("{place}.input[{at}]");
            match text(input, "type") {
                Some(kind) if inputs.len() == 1 => triggers.push(of(kind, self.data(input, kind, &place))),
                _ => self.fault("bad-input", &place, "what is called by the calendar has one input, with a type"),
            }
        }
        triggers
    }

    fn trigger(&mut self, value: &Value, place: &str, triggers: &mut Vec<Trigger>) {
        let line = match text(value, "type") {
            Some("data-added") => Line::Created,
            Some("data-modified") => Line::Updated,
            Some("data-removed") => Line::Deleted,
            Some("named-event") => {
                self.known(&known::NAMED, value, place);
                return self.named_event(value, place, triggers);
            }
            _ => {
                let why = "type must be data-added, data-modified, data-removed, periodic or named-event";
                return self.fault("unknown-trigger", place, why);
            }
        };
        self.known(&known::HEARING, value, place);
        if each(value, "data").is_empty() {
            self.fault("trigger-without-data", place, "a trigger needs data with a type");
        }
        for (at, data) in each(value, "data").iter().enumerate() {
            let place = format!("{place}.data[{at}]");
            let Some(kind) = text(data, "type") else {
                self.fault("trigger-without-data", &place, "data needs a type");
                continue;
            };
            let filters = self.data(data, kind, &place);
            triggers.push(Trigger { line: Some(line), kind: kind.to_owned(), filters });
        }
    }

    /// The filters of what a trigger or an input is about.
    fn data(&mut self, value: &Value, kind: &str, place: &str) -> Vec<Filter> {
        self.known(&known::DATA, value, place);
        if !definitions::is_resource(kind) {
            self.fault("unknown-type", &format!("{place}.type"), &format!("{kind} is no type of resource"));
        } else if !kinds::is_of_persons(kind) {
            let why = format!("no {kind} is about a person, to whom something could be said");
            self.fault("unknown-type", &format!("{place}.type"), &why);
        }
        each(value, "codeFilter").iter().map(|filter| self.filter(filter, kind, place)).collect()
    }

    /// Two records of one person were united; or somebody told us of an event by its name: a Basic with that code, about the person.
    fn named_event(&mut self, value: &Value, place: &str, triggers: &mut Vec<Trigger>) {
        match text(value, "name") {
            Some(MERGED) => {
                triggers.push(Trigger { line: Some(Line::Linked), kind: String::from("Patient"), filters: Vec::new() });
            }
            Some(name) => {
                let filter =
                    Filter { path: String::from("code"), group: None, codes: vec![(EVENTS.to_owned(), name.to_owned())] };
                triggers.push(Trigger { line: Some(Line::Created), kind: String::from("Basic"), filters: vec![filter] });
            }
            None => self.fault("trigger-without-name", place, "a named-event needs the name of the event"),
        }
    }

    fn filter(&mut self, value: &Value, kind: &str, place: &str) -> Filter {
        self.known(&known::FILTER, value, place);
        let group = text(value, "valueSet").map(|url| unversioned(url).to_owned());
        if let Some(group) = group.as_ref().filter(|group| !self.concepts.knows(group) && !self.sets.contains(group.as_str())) {
            self.fault("unknown-value-set", place, &format!("no ValueSet {group} is known"));
        }
        let coding =
            |coding: &Value| Some((text(coding, "system").unwrap_or_default().to_owned(), text(coding, "code")?.to_owned()));
        let codes: Vec<(String, String)> = each(value, "code").iter().filter_map(coding).collect();
        if (group.is_none() && codes.is_empty()) || codes.len() < each(value, "code").len() {
            self.fault("filter-without-codes", place, "a codeFilter needs a valueSet, or codings each with a code");
        }
        let path = text(value, "path").unwrap_or_default();
        match coded(kind, path) {
            _ if path.is_empty() => self.fault("filter-without-path", place, "a codeFilter needs a path"),
            None if definitions::is_resource(kind) => {
                let why = format!("{path} is no coded element of {kind} itself, so that nothing could ever match");
                self.fault("unknown-path", place, &why);
            }
            Some("code") if group.is_some() => {
                let why = format!("{path} is a plain word without a system: name its codes one by one");
                self.fault("unknown-path", place, &why);
            }
            _ => {}
        }
        Filter { path: path.to_owned(), group, codes }
    }

    pub(super) fn conditions(&mut self, value: &Value, triggers: &[Trigger], place: &str) -> Conditions {
        let mut conditions = Conditions::default();
        for (at, condition) in each(value, "condition").iter().enumerate() {
            let place = format!("{place}.condition[{at}]");
            let expression = condition.get("expression");
            let language = expression.and_then(|expression| text(expression, "language"));
            self.known(&known::CONDITION, condition, &place);
            self.known(&known::EXPRESSION, expression.unwrap_or(&Value::Null), &format!("{place}.expression"));
            let list = match text(condition, "kind") {
                Some("applicability") => &mut conditions.applicability,
                Some("start") => &mut conditions.start,
                Some("stop") => &mut conditions.stop,
                _ => {
                    self.fault("unknown-condition", &place, "a condition must be of kind applicability, start or stop");
                    continue;
                }
            };
            if language != Some("text/fhirpath") {
                self.fault("unknown-condition", &place, "a condition must be written in text/fhirpath");
                continue;
            }
            match Condition::read(expression.and_then(|expression| text(expression, "expression")).unwrap_or_default()) {
                Ok(condition) => {
                    for why in misfits(&condition, triggers) {
                        self.fault("bad-expression", &format!("{place}.expression"), &why);
                    }
                    list.push(condition);
                }
                Err(why) => self.fault("bad-expression", &format!("{place}.expression"), &why),
            }
        }
        conditions
    }
}

/// What of a condition can never be, asked of what sets the action off.
fn misfits(condition: &Condition, triggers: &[Trigger]) -> Vec<String> {
    let kinds: Vec<&str> = triggers.iter().map(|trigger| trigger.kind.as_str()).collect();
    let mut found = condition.misfits(&kinds);
    if condition.names("supply") && !triggers.is_empty() && !triggers.iter().any(Trigger::is_fill) {
        found.push(String::from("%supply is known of a completed MedicationDispense alone, and this action hears of none"));
    }
    found
}

/// The type of an element, whichever was chosen for it, where its codes can be looked up.
fn coded(kind: &str, path: &str) -> Option<&'static str> {
    let keys = [path.to_owned(), format!("{path}CodeableConcept")];
    let mut kinds = keys.iter().filter_map(|key| definitions::child(kind, key)).map(|child| child.kind);
    kinds.find(|kind| CODED.contains(kind))
}

/// Whether a trigger calls for everybody whom its action may be about, and does not follow from a fact about one person.
fn is_call(trigger: &Value) -> bool {
    match text(trigger, "type") {
        Some("periodic") => true,
        Some("named-event") => text(trigger, "name") == Some(ARRIVED),
        _ => false,
    }
}
