//! Reading rules and finding every fault in them, so that their author sees all of it at once.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

mod action;
pub(super) mod known;
mod step;
mod timing;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::Rules;
use super::concepts::{Concepts, SYSTEMS};
use super::holdout::Holdout;
use super::json::{each, extension, number, text, unversioned};
use super::plan::{EPISODE_DAYS, PROFILE, Plan, Time};
use super::products::INGREDIENTS;
use super::rules::Artefact;
use super::zones::ZONES;
use crate::fhir::outcome::Issue;

/// Root of what is ours.
pub(super) const ROOT: &str = "https://signa.example/fhir/";

/// Root of the extensions a plan may carry.
pub(super) const EXTENSIONS: &str = "https://signa.example/fhir/StructureDefinition/";

/// No window is longer.
const LENGTH_DAYS_MAX: i64 = 3_650;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// What Signa itself says: a rule that listens to it must name the category, and may not say the same again.
const SPOKEN: &[&str] = &["Communication", "CommunicationRequest", "Task"];

/// The most that a rule may be expected to fire in a day.
const FORECAST_MAX: i64 = 10_000_000;

/// Reads all artefacts into the rules and returns every fault.
pub(super) fn artefacts(rules: &mut Rules, artefacts: &[Artefact]) -> Vec<Issue> {
    let mut newest: HashMap<&str, &Artefact> = HashMap::new();
    let mut plans: Vec<(&str, &Artefact)> = Vec::new();
    for artefact in artefacts {
        let Some(url) = text(&artefact.value, "url") else { continue };
        if text(&artefact.value, "resourceType") == Some("PlanDefinition") {
            plans.push((url, artefact));
        } else if newest.get(url).is_none_or(|known| known.since <= artefact.since) {
            newest.insert(url, artefact);
        }
    }
    let mut sorted: Vec<(&str, &Value)> = newest.into_iter().map(|(url, artefact)| (url, artefact.value.as_ref())).collect();
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
    rules.activities = of("ActivityDefinition").map(|(url, activity)| (url.to_owned(), Arc::new(activity.clone()))).collect();
    // A later one of the same time replaces an earlier one, so what was there first must stay first.
    plans.sort_by_key(|(url, artefact)| (*url, artefact.since));
    let mut issues = Vec::new();
    for versions in plans.chunk_by(|(one, _), (other, _)| one == other) {
        issues.extend(versions_of(rules, versions, &activities));
    }
    issues
}

/// Reads the versions of one plan, the oldest first. Faults of older ones are not told: nobody can mend them any more.
fn versions_of(rules: &mut Rules, versions: &[(&str, &Artefact)], activities: &HashMap<&str, &Value>) -> Vec<Issue> {
    let Some((url, newest)) = versions.last() else { return Vec::new() };
    let mut issues = Vec::new();
    let mut places = Vec::new();
    for (at, (_, artefact)) in versions.iter().enumerate() {
        let until = versions.get(at + 1).map_or(i64::MAX, |(_, next)| next.since);
        if until == artefact.since || !runs(&artefact.value) {
            continue;
        }
        let (plan, faults) = plan(&artefact.value, &rules.concepts, activities, &BTreeSet::new());
        // What an older version began is finished, also in newer words.
        let is_newest = until == i64::MAX;
        if !faults.iter().any(|fault| fault.refuses() && (is_newest || fault.key != PINNED)) {
            places.push(rules.plans.len());
            rules.plans.push(Plan { since: artefact.since, until, ..plan });
        }
        if is_newest {
            issues.extend(faults);
        }
    }
    let stands = places.last().and_then(|at| rules.plans.get(*at)).is_some_and(|plan| plan.until == i64::MAX);
    if stands && runs(&newest.value) {
        rules.urls.insert((*url).to_owned(), places);
    }
    issues
}

/// Reads one plan as it would run beside these concepts and activities.
pub(super) fn plan(
    value: &Value,
    concepts: &Concepts,
    activities: &HashMap<&str, &Value>,
    sets: &BTreeSet<&str>,
) -> (Plan, Vec<Issue>) {
    let mut reader = Reader { url: text(value, "url").unwrap_or_default(), concepts, activities, sets, issues: Vec::new() };
    let plan = reader.plan(value);
    (plan, reader.issues)
}

/// Whether a PlanDefinition is one that runs.
pub(super) fn runs(value: &Value) -> bool {
    is_ours(value) && text(value, "status") == Some("active")
}

/// Whether a PlanDefinition claims our profile.
pub(super) fn is_ours(value: &Value) -> bool {
    let profiles = value.get("meta").map(|meta| each(meta, "profile")).unwrap_or_default();
    profiles.iter().filter_map(Value::as_str).any(|profile| unversioned(profile) == PROFILE)
}

/// The key of a fault: a step names another version of what it does than the one that is known.
const PINNED: &str = "activity-version";

struct Reader<'a> {
    url: &'a str,
    concepts: &'a Concepts,
    activities: &'a HashMap<&'a str, &'a Value>,
    /// ValueSets that come with the plan.
    sets: &'a BTreeSet<&'a str>,
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
        if self.url.is_empty() {
            self.fault("plan-without-url", "PlanDefinition.url", "a url is needed: everything that was said names it");
        }
        if text(value, "version").is_none() {
            self.fault(
                "plan-without-version",
                "PlanDefinition.version",
                "a version is needed, so that what was said can name it",
            );
        }
        self.known(&known::PLAN, value, "PlanDefinition");
        let episode = self.window(value, "plan-episode-window", DAY_MS, "PlanDefinition").map(|length| length / DAY_MS);
        let forecast = self.forecast(value);
        let holdout = Holdout::read(value, priority == 1).unwrap_or_else(|why| {
            self.fault("bad-holdout", "PlanDefinition.extension", &why);
            None
        });
        let mut actions = Vec::new();
        for (at, action) in each(value, "action").iter().enumerate() {
            actions.push(self.action(action, &format!("PlanDefinition.action[{at}]")));
        }
        let mut known: Vec<&str> = Vec::new();
        for (at, action) in actions.iter().enumerate() {
            if action.steps.iter().any(|step| known.contains(&step.id.as_str())) {
                let place = format!("PlanDefinition.action[{at}].action");
                self.fault("step-twice", &place, "a step of another action has the same id; a step is decided by its id alone");
            }
            known.extend(action.steps.iter().map(|step| step.id.as_str()));
        }
        let time = self.effective(value);
        if actions.is_empty() {
            self.fault("plan-without-action", "PlanDefinition.action", "a plan needs an action with a trigger");
        }
        let plan = Plan {
            url: self.url.to_owned(),
            version: text(value, "version").unwrap_or_default().to_owned(),
            priority,
            episode_days: episode.unwrap_or(EPISODE_DAYS),
            once: extension(value, &format!("{EXTENSIONS}plan-once")).and_then(Value::as_bool) == Some(true),
            forecast,
            holdout,
            actions,
            since: 0,
            until: i64::MAX,
            time,
        };
        self.approval(value);
        self.cycle(&plan);
        plan
    }

    /// The days on which a rule begins anything.
    fn effective(&mut self, value: &Value) -> Option<Time> {
        let period = value.get("effectivePeriod")?;
        let place = "PlanDefinition.effectivePeriod";
        self.known(&known::PERIOD, period, place);
        let edge = |name| timing::edge(Some(period), "effectivePeriod", name);
        match edge("start").and_then(|from| Ok(Time { from, until: edge("end")? })) {
            Ok(Time { from: Some(from), until: Some(until) }) if from > until => {
                self.fault("bad-period", place, "it ends before it begins");
                None
            }
            Ok(time) => Some(time),
            Err(why) => {
                self.fault("bad-period", place, &why);
                None
            }
        }
    }

    /// The length that an extension of ours names, in whole units of so many milliseconds; one of another type was told of already.
    fn window(&mut self, value: &Value, name: &str, unit_ms: i64, place: &str) -> Option<i64> {
        let said = extension(value, &format!("{EXTENSIONS}{name}")).filter(|said| said.is_object())?;
        let length = length(said).filter(|length| length % unit_ms == 0);
        if length.is_none() {
            let units = if unit_ms == DAY_MS { "days (d) or weeks (wk)" } else { "hours (h), days (d) or weeks (wk)" };
            let why = format!("{name} must be a whole number of {units}, at most ten years");
            self.fault("bad-extension", &format!("{place}.extension"), &why);
        }
        length
    }

    /// How often a day it is expected to fire.
    fn forecast(&mut self, value: &Value) -> i64 {
        let Some(said) = extension(value, &format!("{EXTENSIONS}plan-forecast")) else { return 0 };
        said.as_i64().filter(|count| (1..=FORECAST_MAX).contains(count)).unwrap_or_else(|| {
            let why =
                format!("plan-forecast is the number of firings expected in a day, a whole number from 1 to {FORECAST_MAX}");
            self.fault("bad-forecast", "PlanDefinition.extension", &why);
            0
        })
    }

    /// Nothing is said to a patient that nobody has reviewed. What cannot be read of a step does not hide that it speaks.
    fn approval(&mut self, value: &Value) {
        let steps = each(value, "action").iter().flat_map(|action| each(action, "action"));
        let mut named = steps.filter_map(|step| self.activities.get(unversioned(text(step, "definitionCanonical")?)));
        let speaks = named.any(|activity| text(activity, "kind") == Some("CommunicationRequest"));
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
}

/// Milliseconds of a Duration of whole hours, days or weeks.
fn length(duration: &Value) -> Option<i64> {
    if known::DURATION.strange(duration).next().is_some() {
        return None;
    }
    let factor = match text(duration, "code").or_else(|| text(duration, "unit"))? {
        "h" => HOUR_MS,
        "d" => DAY_MS,
        "wk" => 7 * DAY_MS,
        _ => return None,
    };
    let value = number(duration.get("value")?).filter(|value| value.fract() == 0.0 && (0.0..=87_600.0).contains(value))?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within bounds")]
    let whole = value as i64 * factor;
    (whole <= LENGTH_DAYS_MAX * DAY_MS).then_some(whole)
}
