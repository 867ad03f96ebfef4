//! Whether the rules of a tenant may be changed so: what a change would end, take away, or say twice is refused.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::json::text;
use super::live::{Live, Own, is_plan, named};
use super::over::{is_gone, is_in_force};
use super::rules::{Artefact, Rules};
use super::{read, zones};
use crate::fhir::outcome::Issue;
use crate::fhir::time::Moment;

/// No place on Earth is further ahead of UTC: fourteen hours.
const AHEAD_MS: i64 = 14 * 3_600_000;

/// A resource that somebody wants to put in its place, or to take away.
#[derive(Debug, Clone, Copy)]
pub struct Intended<'a> {
    /// Its type.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
    /// The resource; `None` takes it away.
    pub value: Option<&'a Value>,
}

/// What makes the text of an ActivityDefinition.
const SAID: &[&str] = &["kind", "code", "topic", "priority", "productCodeableConcept", "extension"];

/// What a tenant keeps once a change is made, by type and id.
struct After<'a> {
    base: &'a [Artefact],
    kept: BTreeMap<(&'a str, &'a str), &'a Value>,
}

impl<'a> After<'a> {
    fn of(base: &'a [Artefact], own: Option<&'a Own>, changes: impl Iterator<Item = Intended<'a>>) -> Self {
        let newest = own.into_iter().flat_map(|own| &own.kept).filter_map(|((kind, id), versions)| {
            let newest = versions.last().filter(|newest| !is_gone(&newest.value))?;
            Some(((kind.as_str(), id.as_str()), newest.value.as_ref()))
        });
        let mut kept: BTreeMap<_, _> = newest.collect();
        for Intended { kind, id, value } in changes {
            match value {
                Some(value) => drop(kept.insert((kind, id), value)),
                None => drop(kept.remove(&(kind, id))),
            }
        }
        Self { base, kept }
    }

    /// Another resource that is in force under the url of this one, `Type/id`.
    fn another(&self, (kind, id): (&str, &str), url: &str) -> Option<String> {
        let of_url = self.kept.iter().filter(|(_, value)| text(value, "url") == Some(url));
        let mut others = of_url.filter(|((of, known), value)| *of == kind && *known != id && is_in_force(value));
        others.next().map(|((kind, id), _)| format!("{kind}/{id}"))
    }

    /// The plans that run then, the tenant's in the place of what came with the program.
    fn running(&self) -> impl Iterator<Item = &'a Value> {
        let own = self.kept.values().copied().filter(|one| read::runs(one));
        let is_replaced = |url: Option<&str>| {
            let mut plans = self.kept.values().filter(|one| is_plan(one) && text(one, "url") == url);
            plans.any(|one| read::runs(one) || text(one, "status") == Some("retired"))
        };
        let shipped = self.base.iter().map(|one| one.value.as_ref()).filter(|one| is_plan(one));
        own.chain(shipped.filter(move |one| !is_replaced(text(one, "url"))))
    }

    /// Whether rules rest on this url.
    fn rests_on(&self, url: &str) -> bool {
        self.has_shipped(url) || self.running().any(|plan| names(plan, url))
    }

    fn has_shipped(&self, url: &str) -> bool {
        self.base.iter().any(|known| text(&known.value, "url") == Some(url))
    }

    /// A url names one resource: nobody could tell which of two is followed.
    fn taken(&self, kind: &str, id: &str, value: &Value) -> Option<Issue> {
        let url = text(value, "url").filter(|_| is_in_force(value))?;
        let other = self.another((kind, id), url)?;
        let (key, words) = if kind == "PlanDefinition" {
            ("plan-url-taken", format!("{other} runs under this url; change that one, or give this one a url of its own."))
        } else if self.rests_on(url) {
            let words =
                "is in force under this url, and rules rest on it; change or retire that one, or give this one a url of its own.";
            ("artefact-url-taken", format!("{other} {words}"))
        } else {
            return None;
        };
        Some(Issue::error("business-rule", key, format!("{kind}.url"), words))
    }

    /// The fault of a plan that names what is kept and not in force says so.
    fn explained(&self, mut fault: Issue, plan: &Value) -> Issue {
        if !["unknown-activity", "unknown-value-set"].contains(&fault.key) {
            return fault;
        }
        for (kind, url) in &named(plan) {
            let is_it = |(known, value): &(&(&str, &str), &&Value)| known.0 == *kind && text(value, "url") == Some(url);
            if let Some(((_, id), value)) = self.kept.iter().find(is_it).filter(|_| fault.diagnostics.contains(url)) {
                let status = text(value, "status").unwrap_or_default();
                let why = format!("{kind}/{id} is {status}, and only what is active counts");
                fault.diagnostics = format!("{}; {why}", fault.diagnostics);
            }
        }
        fault
    }
}

impl Live {
    /// What is wrong with a change of the tenant's rules, made at this time; `beside` are all changes that become true with it.
    #[must_use]
    pub fn faults(&self, tenant: &str, intended: Intended, beside: &[Intended], now: i64) -> Vec<Issue> {
        let rules = self.of(tenant);
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let own = tenants.get(tenant);
        let after = After::of(&self.base, own, beside.iter().copied().chain([intended]));
        let mut faults = Vec::new();
        match (intended.kind, intended.value) {
            ("PlanDefinition", Some(plan)) if read::runs(plan) => {
                faults.extend(rules.faults(plan, &in_force(beside)).into_iter().map(|fault| after.explained(fault, plan)));
                faults.extend(after.taken(intended.kind, intended.id, plan));
                faults.extend(own.and_then(|own| against_known(own, intended.id, plan)));
                faults.extend(approved_later(plan, now));
            }
            ("ActivityDefinition", Some(activity)) => {
                faults.extend(rules.faults_with(activity));
                if faults.is_empty() {
                    faults.extend(against_running(&rules, &after, intended.id, activity, beside));
                    faults.extend(own.and_then(|own| in_use(own, &after, intended)));
                    faults.extend(against_said(&self.base, own, activity));
                    faults.extend(after.taken(intended.kind, intended.id, activity));
                }
            }
            ("ActivityDefinition" | "ValueSet" | "ConceptMap", value) => {
                faults.extend(own.and_then(|own| in_use(own, &after, intended)));
                faults.extend(value.and_then(|value| after.taken(intended.kind, intended.id, value)));
            }
            _ => {}
        }
        faults
    }
}

/// The values among changes that count once they are made, those that are not to be used any more first.
fn in_force<'a>(changes: &[Intended<'a>]) -> Vec<&'a Value> {
    let mut values: Vec<&Value> = changes.iter().filter_map(|change| change.value).filter(|value| is_told(value)).collect();
    values.sort_by_key(|value| is_in_force(value));
    values
}

/// Whether a step that names it is told of it: it is in force, or retired.
fn is_told(value: &Value) -> bool {
    let is_text = text(value, "resourceType") == Some("ActivityDefinition");
    is_in_force(value) || (is_text && text(value, "status") == Some("retired"))
}

/// What a rule that runs would be faulted for if this ActivityDefinition stood in the place of the one it follows. A rule that is
/// changed with it is looked at itself.
fn against_running(rules: &Rules, after: &After, id: &str, activity: &Value, beside: &[Intended]) -> Vec<Issue> {
    let url = text(activity, "url").unwrap_or_default();
    let counts = is_in_force(activity) || (is_told(activity) && after.another(("ActivityDefinition", id), url).is_none());
    if !counts {
        return Vec::new();
    }
    let with: Vec<&Value> = in_force(beside).into_iter().chain([activity]).collect();
    let changed = |url: Option<&str>| {
        beside.iter().filter_map(|change| change.value).any(|value| is_plan(value) && text(value, "url") == url)
    };
    let users = after.running().filter(|plan| names(plan, url) && !changed(text(plan, "url")));
    let faults = users.flat_map(|plan| {
        let known = rules.faults(plan, &[]);
        rules.faults(plan, &with).into_iter().filter(move |fault| !known.contains(fault))
    });
    faults.map(|fault| Issue { expression: String::from("ActivityDefinition"), ..fault }).collect()
}

/// What was said names the version of its text: another text needs another version.
fn against_said(base: &[Artefact], own: Option<&Own>, activity: &Value) -> Option<Issue> {
    let (url, version) = (text(activity, "url")?, text(activity, "version").filter(|_| is_in_force(activity))?);
    let known = || base.iter().chain(own.into_iter().flat_map(|own| own.kept.values()).flatten());
    if !known().any(|plan| read::runs(&plan.value) && names(&plan.value, url)) {
        return None;
    }
    let same = known().filter(|one| text(&one.value, "url") == Some(url) && text(&one.value, "version") == Some(version));
    let last = same.filter(|one| is_in_force(&one.value)).max_by_key(|one| one.since)?;
    let words = "What was said names the version of its text: another text needs another version.";
    let place = "ActivityDefinition.version";
    SAID.iter()
        .any(|part| last.value.get(part) != activity.get(part))
        .then(|| Issue::error("business-rule", "activity-same-version", place, words))
}

/// A version of a plan is what was once said under it.
fn against_known(own: &Own, id: &str, plan: &Value) -> Option<Issue> {
    let versions = own.kept.get(&(String::from("PlanDefinition"), id.to_owned()))?;
    let is_same = |one: &Value| ["url", "version"].iter().all(|part| one.get(part) == plan.get(part));
    let mut same = versions.iter().map(|one| &one.value).filter(|one| read::runs(one) && is_same(one));
    let words = "What was said names the version it follows: a changed rule needs another version.";
    same.any(|one| differs(one, plan))
        .then(|| Issue::error("business-rule", "plan-same-version", "PlanDefinition.version", words))
}

/// What a rule that runs names cannot be taken away, nor be given another url, nor be made a draft.
fn in_use(own: &Own, after: &After, intended: Intended) -> Option<Issue> {
    let known = own.kept.get(&(intended.kind.to_owned(), intended.id.to_owned()))?.last()?;
    let url = text(&known.value, "url").filter(|_| is_in_force(&known.value))?;
    let stays = intended.value.is_some_and(|value| text(value, "url") == Some(url) && is_told(value));
    if stays || after.has_shipped(url) || after.another((intended.kind, intended.id), url).is_some() {
        return None;
    }
    let plan = after.running().find(|plan| names(plan, url))?;
    let words = format!("The rule {} runs with it; retire or change the rule first.", text(plan, "url").unwrap_or_default());
    Some(Issue::error("business-rule", "artefact-in-use", intended.kind, words))
}

/// A day that has come nowhere on Earth approves nothing yet.
fn approved_later(plan: &Value, now: i64) -> Option<Issue> {
    let day = text(plan, "approvalDate").and_then(Moment::parse)?.day();
    let words = "The approvalDate has not come: what is approved later is sent later.";
    let is_later = zones::number(day) > zones::day(now + AHEAD_MS, &TimeZone::UTC);
    is_later.then(|| Issue::error("business-rule", "plan-not-approved", "PlanDefinition.approvalDate", words))
}

/// Whether two versions would decide differently, as far as their own text tells.
fn differs(one: &Value, other: &Value) -> bool {
    ["action", "extension", "effectivePeriod"].iter().any(|part| one.get(part) != other.get(part))
}

/// Whether a plan of ours names this url.
fn names(plan: &Value, url: &str) -> bool {
    named(plan).iter().any(|(_, named)| named == url)
}
