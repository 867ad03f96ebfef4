//! The rules as they run now, for every tenant: those that came with the program, under what the tenant keeps itself.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::tz::TimeZone;
use serde_json::Value;

use super::Rules;
use super::json::{each, text, unversioned};
use super::over::{self, Over};
use super::read::{self, is_ours};
use super::rules::Artefact;
use super::zones;
use crate::fhir::outcome::Issue;
use crate::fhir::time::Moment;

/// No place on Earth is further ahead of UTC: fourteen hours.
const AHEAD_MS: i64 = 14 * 3_600_000;

/// The rules of all tenants.
#[derive(Debug, Default)]
pub struct Live {
    base: Vec<Artefact>,
    plain: Arc<Rules>,
    tenants: RwLock<HashMap<Arc<str>, Own>>,
}

/// What one tenant keeps.
#[derive(Debug, Default)]
struct Own {
    kept: BTreeMap<(String, String), Vec<Artefact>>,
    /// What was kept once and counts no more, the deletion last.
    gone: BTreeMap<(String, String), Vec<Artefact>>,
    rules: Arc<Rules>,
    faulty: Vec<Faulty>,
}

/// A rule that is active and does not run: faults were found in it since it was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faulty {
    /// Its `url|version`.
    pub rule: String,
    /// The codes of its faults, each once.
    pub keys: Vec<&'static str>,
}

/// All versions of a resource that a tenant keeps, the oldest first.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its type.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its versions; what was deleted stands as retired.
    pub versions: Vec<Artefact>,
    /// Whether the newest of them is a deletion.
    pub is_gone: bool,
}

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

impl Live {
    /// Rules that came with the program, with the faults found in them.
    #[must_use]
    pub fn new(base: Vec<Value>) -> (Self, Vec<Issue>) {
        let base: Vec<Artefact> = base.into_iter().map(|value| Artefact { value: Arc::new(value), since: 0 }).collect();
        let (plain, issues) = Rules::of(&base);
        (Self { base, plain: Arc::new(plain), tenants: RwLock::default() }, issues)
    }

    /// The rules of a tenant.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Arc<Rules> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(tenant).map_or_else(|| Arc::clone(&self.plain), |own| Arc::clone(&own.rules))
    }

    /// The rules of a tenant as they ran: those at the beginning, and those that took their place, each with its time.
    #[must_use]
    pub fn ages(&self, tenant: &str) -> (Arc<Rules>, Vec<(i64, Arc<Rules>)>) {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(own) = tenants.get(tenant) else { return (Arc::clone(&self.plain), Vec::new()) };
        let all = own.kept.values().chain(own.gone.values()).flatten();
        let times: BTreeSet<i64> = all.map(|artefact| artefact.since).collect();
        let age = |at: i64| (at, Arc::new(self.laid(own, at).0));
        (Arc::clone(&self.plain), times.into_iter().map(age).collect())
    }

    /// The rules of a tenant as they stand, as if they had always run, with drafts that act on what is learned from a time on, and what
    /// is wrong with the drafts. What is only tried need not be active, and nobody need have approved it.
    #[must_use]
    pub fn trying(&self, tenant: &str, drafts: &[Value], since: i64) -> (Rules, Vec<Issue>) {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let newest = tenants.get(tenant).into_iter().flat_map(|own| self.newest(own));
        let newest = newest.map(|artefact| Artefact { value: Arc::clone(&artefact.value), since: 0 });
        let drafts = drafts.iter().map(|draft| {
            let value = Arc::new(if is_plan(draft) { approved(draft) } else { draft.clone() });
            Artefact { value, since: if is_plan(draft) { since } else { 0 } }
        });
        let drafts: Vec<Artefact> = drafts.collect();
        let all: Vec<Artefact> = self.base.iter().cloned().chain(newest).chain(drafts.iter().cloned()).collect();
        let (rules, _) = Rules::of(&all);
        let tried = drafts.iter().filter(|draft| is_plan(&draft.value) && read::runs(&draft.value));
        let issues = tried.flat_map(|draft| rules.faults(&draft.value, &[])).collect();
        (rules, issues)
    }

    /// `url|version` of the ActivityDefinition that a step of a rule, `url|version`, followed at a time, as far as it is known.
    #[must_use]
    pub fn followed(&self, tenant: &str, rule: &str, step: &str, at: i64) -> Option<String> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let own = tenants.get(tenant);
        let newest = |kind: &str, url: &str, version: Option<&str>| {
            let all = self.base.iter().chain(own.into_iter().flat_map(|own| own.known(at))).map(|one| (one.since, &one.value));
            let of_url = all.filter(|(_, one)| text(one, "resourceType") == Some(kind) && text(one, "url") == Some(url));
            let found = of_url.filter(|(_, one)| version.is_none() || text(one, "version") == version);
            found.max_by_key(|(since, _)| *since).map(|(_, one)| one)
        };
        let (url, version) = rule.split_once('|')?;
        let plan = newest("PlanDefinition", url, Some(version))?;
        let step =
            each(plan, "action").iter().flat_map(|action| each(action, "action")).find(|one| text(one, "id") == Some(step))?;
        let url = text(step, "definitionCanonical").map(unversioned)?;
        let activity = newest("ActivityDefinition", url, None)?;
        Some(text(activity, "version").map_or_else(|| url.to_owned(), |version| format!("{url}|{version}")))
    }

    /// Type and url of everything that came with the program and that a tenant may keep in its place.
    #[must_use]
    pub fn replaceable(&self) -> Vec<(String, String)> {
        let named = |one: &Artefact| Some((text(&one.value, "resourceType")?.to_owned(), text(&one.value, "url")?.to_owned()));
        self.base.iter().filter_map(named).filter(|(kind, _)| kind != "PlanDefinition").collect()
    }

    /// Takes in what a tenant keeps now, in the place of what was known of these resources. What no rule names is left alone: a
    /// tenant may keep thousands of value sets that are nobody's rules. Returns the rules that do not run for their faults since now.
    pub fn learn(&self, tenant: &Arc<str>, kept: Vec<Kept>) -> Vec<Faulty> {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        // What is no rule of theirs changes nothing: until then they follow what came with the program.
        let plain = || Own { rules: Arc::clone(&self.plain), ..Own::default() };
        let own = tenants.entry(Arc::clone(tenant)).or_insert_with(plain);
        let names = self.names(own, &kept);
        let mut any = false;
        for one in kept {
            let key = (one.kind, one.id);
            let mut values = one.versions.iter().map(|version| version.value.as_ref());
            let is_rule = if key.0 == "PlanDefinition" {
                values.any(is_ours)
            } else {
                values.any(|value| text(value, "url").is_some_and(|url| names.contains(url)))
            };
            if !is_rule && !own.kept.contains_key(&key) {
                continue;
            }
            any = true;
            // What is gone leaves its url to what came with the program; what a plan that is gone had begun is taken back.
            if one.is_gone && key.0 != "PlanDefinition" {
                own.kept.remove(&key);
                own.gone.insert(key, one.versions);
            } else {
                own.gone.remove(&key);
                own.kept.insert(key, one.versions);
            }
        }
        if !any {
            return Vec::new();
        }
        let (rules, all) = self.laid(own, i64::MAX);
        own.rules = Arc::new(rules);
        let faulty = faulty(&own.rules, &all);
        let known = std::mem::replace(&mut own.faulty, faulty.clone());
        faulty.into_iter().filter(|one| !known.contains(one)).collect()
    }

    /// The rules of a tenant as they stood at a time, and what they are made of.
    fn laid(&self, own: &Own, at: i64) -> (Rules, Vec<Artefact>) {
        let plans: Vec<&[Artefact]> =
            own.kept.iter().filter(|((kind, _), _)| kind == "PlanDefinition").map(|(_, versions)| versions.as_slice()).collect();
        let Over { artefacts, ended } = over::plans(&self.base, &plans, at);
        let others = own.known(at).filter(|one| !is_plan(&one.value)).cloned();
        let all: Vec<Artefact> = self.base.iter().cloned().chain(others).chain(artefacts).collect();
        let mut rules = Rules::of(&all).0;
        rules.ended = ended;
        (rules, all)
    }

    /// What a tenant keeps as it stands now, without deleted plans that left their url to what came with the program.
    fn newest<'a>(&'a self, own: &'a Own) -> impl Iterator<Item = &'a Artefact> {
        own.kept.values().filter_map(|versions| versions.last()).filter(|one| over::left_to(&self.base, &one.value).is_none())
    }

    /// How many rules of all tenants do not run for their faults.
    #[must_use]
    pub fn faulty(&self) -> usize {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.values().map(|own| own.faulty.len()).sum()
    }

    /// Urls of what came with the program, and of what the tenant's rules name; asked only where something that is no rule itself
    /// was learned.
    fn names(&self, own: &Own, kept: &[Kept]) -> BTreeSet<String> {
        if kept.iter().all(|one| one.kind == "PlanDefinition") {
            return BTreeSet::new();
        }
        let known = own.kept.iter().filter(|((kind, _), _)| kind == "PlanDefinition").flat_map(|(_, versions)| versions);
        let new = kept.iter().filter(|one| one.kind == "PlanDefinition").flat_map(|one| &one.versions);
        let of_plans = known.chain(new).flat_map(|plan| named(&plan.value)).map(|(_, url)| url);
        of_plans.chain(self.base.iter().filter_map(|one| text(&one.value, "url").map(str::to_owned))).collect()
    }

    /// The urls of what a plan names and the tenant's rules do not know, as `(type, url)`.
    #[must_use]
    pub fn unknown(&self, tenant: &str, plan: &Value) -> Vec<(&'static str, String)> {
        let rules = self.of(tenant);
        let mut unknown = Vec::new();
        for (kind, url) in named(plan) {
            let known = if kind == "ValueSet" { rules.concepts.knows(&url) } else { rules.activities.contains_key(&url) };
            if !known {
                unknown.push((kind, url));
            }
        }
        unknown
    }

    /// What is wrong with a change of the tenant's rules, made at this time; `beside` are resources that become true with it.
    #[must_use]
    pub fn faults(&self, tenant: &str, intended: Intended, beside: &[&Value], now: i64) -> Vec<Issue> {
        match (intended.kind, intended.value) {
            ("PlanDefinition", Some(plan)) if read::runs(plan) => {
                let mut faults = self.of(tenant).faults(plan, beside);
                faults.extend(self.against_known(tenant, intended.id, plan));
                faults.extend(approved_later(plan, now));
                faults
            }
            ("ActivityDefinition", Some(activity)) => {
                let rules = self.of(tenant);
                let faults = rules.faults_with(activity);
                if !faults.is_empty() {
                    return faults;
                }
                let mut faults = self.against_running(tenant, &rules, activity, beside);
                faults.extend(self.in_use(tenant, intended));
                faults.extend(self.against_said(tenant, activity));
                faults
            }
            ("ActivityDefinition" | "ValueSet", _) => self.in_use(tenant, intended).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// What a rule that runs would be faulted for if this ActivityDefinition stood in the place of the one it follows. A rule that is
    /// changed with it is looked at itself.
    fn against_running(&self, tenant: &str, rules: &Rules, activity: &Value, beside: &[&Value]) -> Vec<Issue> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let kept = tenants.get(tenant).into_iter().flat_map(|own| self.newest(own));
        let mut plans: Vec<&Artefact> = self.base.iter().chain(kept).filter(|one| is_plan(&one.value)).collect();
        plans.sort_by_key(|plan| plan.since);
        let by_url = plans.iter().filter_map(|plan| Some((text(&plan.value, "url")?, plan.value.as_ref())));
        let mut newest: BTreeMap<&str, &Value> = by_url.collect();
        newest.retain(|url, _| !beside.iter().any(|one| is_plan(one) && text(one, "url") == Some(url)));
        let with: Vec<&Value> = beside.iter().copied().chain([activity]).collect();
        let users =
            newest.into_values().filter(|plan| read::runs(plan) && names(plan, text(activity, "url").unwrap_or_default()));
        let faults = users.flat_map(|plan| {
            let known = rules.faults(plan, &[]);
            rules.faults(plan, &with).into_iter().filter(move |fault| !known.contains(fault))
        });
        faults.map(|fault| Issue { expression: String::from("ActivityDefinition"), ..fault }).collect()
    }

    /// What was said names the version of its text: another text needs another version.
    fn against_said(&self, tenant: &str, activity: &Value) -> Option<Issue> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let own = tenants.get(tenant);
        let (url, version) = (text(activity, "url")?, text(activity, "version")?);
        let kept = || own.into_iter().flat_map(|own| own.kept.values());
        let mut plans = self.base.iter().chain(kept().flatten()).map(|one| &one.value);
        if !plans.any(|plan| read::runs(plan) && names(plan, url)) {
            return None;
        }
        let gone = own.into_iter().flat_map(|own| own.gone.values());
        let known = self.base.iter().chain(kept().chain(gone).flatten());
        let same = known.filter(|one| text(&one.value, "url") == Some(url) && text(&one.value, "version") == Some(version));
        let last = same.max_by_key(|one| one.since)?;
        let words = "What was said names the version of its text: another text needs another version.";
        let place = "ActivityDefinition.version";
        SAID.iter()
            .any(|part| last.value.get(part) != activity.get(part))
            .then(|| Issue::error("business-rule", "activity-same-version", place, words))
    }

    /// A url names one plan, and a version of it what was once said under it.
    fn against_known(&self, tenant: &str, id: &str, plan: &Value) -> Vec<Issue> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(own) = tenants.get(tenant) else { return Vec::new() };
        let mut faults = Vec::new();
        for ((kind, known), versions) in own.kept.iter().filter(|((kind, _), _)| kind == "PlanDefinition") {
            let Some(newest) = versions.last().filter(|newest| text(&newest.value, "url") == text(plan, "url")) else { continue };
            if known != id && read::runs(&newest.value) {
                let words = format!("{kind}/{known} runs under this url; change that one, or give this one a url of its own.");
                faults.push(Issue::error("business-rule", "plan-url-taken", "PlanDefinition.url", words));
            }
            let same =
                versions.iter().filter(|one| read::runs(&one.value) && text(&one.value, "version") == text(plan, "version"));
            if known == id && same.into_iter().any(|one| differs(&one.value, plan)) {
                let words = "What was said names the version it follows: a changed rule needs another version.";
                faults.push(Issue::error("business-rule", "plan-same-version", "PlanDefinition.version", words));
            }
        }
        faults
    }

    /// What a rule that runs names cannot be taken away, nor be given another url.
    fn in_use(&self, tenant: &str, intended: Intended) -> Option<Issue> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let own = tenants.get(tenant)?;
        let key = (intended.kind.to_owned(), intended.id.to_owned());
        let url = text(&own.kept.get(&key)?.last()?.value, "url")?;
        if intended.value.is_some_and(|value| text(value, "url") == Some(url)) {
            return None;
        }
        if self.base.iter().any(|known| text(&known.value, "url") == Some(url)) {
            return None;
        }
        let newest = own.kept.values().filter_map(|versions| versions.last());
        let user = newest.filter(|one| read::runs(&one.value)).find(|one| names(&one.value, url))?;
        let plan = text(&user.value, "url").unwrap_or_default();
        let words = format!("The rule {plan} runs with it; retire or change the rule first.");
        Some(Issue::error("business-rule", "artefact-in-use", intended.kind, words))
    }
}

impl Own {
    /// What was known at this time.
    fn known(&self, at: i64) -> impl Iterator<Item = &Artefact> {
        let stood = self.gone.values().filter(move |versions| versions.last().is_some_and(|gone| gone.since > at));
        self.kept.values().chain(stood).flatten().filter(move |artefact| artefact.since <= at)
    }
}

/// What makes the text of an ActivityDefinition.
const SAID: &[&str] = &["kind", "code", "topic", "priority", "productCodeableConcept", "extension"];

fn is_plan(value: &Value) -> bool {
    text(value, "resourceType") == Some("PlanDefinition")
}

/// The rules that would run as their newest version says, and do not.
fn faulty(rules: &Rules, all: &[Artefact]) -> Vec<Faulty> {
    let mut plans: Vec<(&str, &Artefact)> =
        all.iter().filter(|one| is_plan(&one.value)).filter_map(|one| Some((text(&one.value, "url")?, one))).collect();
    plans.sort_by_key(|(url, plan)| (*url, plan.since));
    let newest = plans.chunk_by(|(one, _), (other, _)| one == other).filter_map(<[_]>::last);
    let stopped = newest.filter(|(url, plan)| read::runs(&plan.value) && !rules.urls.contains_key(*url));
    let told = stopped.map(|(url, plan)| {
        let faults = rules.faults(&plan.value, &[]);
        let keys: BTreeSet<&str> = faults.iter().filter(|fault| fault.refuses()).map(|fault| fault.key).collect();
        Faulty { rule: format!("{url}|{}", text(&plan.value, "version").unwrap_or_default()), keys: keys.into_iter().collect() }
    });
    told.collect()
}

/// A day that has come nowhere on Earth approves nothing yet.
fn approved_later(plan: &Value, now: i64) -> Option<Issue> {
    let day = text(plan, "approvalDate").and_then(Moment::parse)?.day();
    let words = "The approvalDate has not come: what is approved later is sent later.";
    let is_later = zones::number(day) > zones::day(now + AHEAD_MS, &TimeZone::UTC);
    is_later.then(|| Issue::error("business-rule", "plan-not-approved", "PlanDefinition.approvalDate", words))
}

/// A draft as it would be sent when it is ready.
fn approved(draft: &Value) -> Value {
    let mut ready = draft.clone();
    ready["status"] = "active".into();
    if ready.get("experimental").is_some() {
        ready["experimental"] = false.into();
    }
    for (name, value) in [("approvalDate", Value::from("1970-01-01")), ("reviewer", serde_json::json!([{"name": "nobody yet"}]))]
    {
        if ready.get(name).is_none() {
            ready[name] = value;
        }
    }
    ready
}

/// Whether two versions would decide differently, as far as their own text tells.
fn differs(one: &Value, other: &Value) -> bool {
    ["action", "extension", "effectivePeriod"].iter().any(|part| one.get(part) != other.get(part))
}

/// Whether a plan of ours names this url.
fn names(plan: &Value, url: &str) -> bool {
    named(plan).iter().any(|(_, named)| named == url)
}

/// What a plan of ours names: ActivityDefinitions and ValueSets, without their versions.
fn named(plan: &Value) -> BTreeSet<(&'static str, String)> {
    let mut found = BTreeSet::new();
    if !is_ours(plan) {
        return found;
    }
    for action in each(plan, "action") {
        for step in each(action, "action") {
            found.extend(text(step, "definitionCanonical").map(|url| ("ActivityDefinition", unversioned(url).to_owned())));
        }
        let data = each(action, "trigger").iter().flat_map(|trigger| each(trigger, "data")).chain(each(action, "input"));
        for filter in data.flat_map(|data| each(data, "codeFilter")) {
            found.extend(text(filter, "valueSet").map(|url| ("ValueSet", unversioned(url).to_owned())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::react::shipped;

    fn kept(value: Value, since: i64, is_gone: bool) -> Kept {
        let (kind, id) = (text(&value, "resourceType").unwrap().to_owned(), text(&value, "id").unwrap().to_owned());
        Kept { kind, id, versions: vec![Artefact { value: Arc::new(value), since }], is_gone }
    }

    #[test]
    fn what_is_no_rule_of_the_tenant_leaves_the_rules_that_came_with_the_program() {
        let (live, _) = Live::new(shipped());
        let tenant: Arc<str> = Arc::from("t");
        let before = live.of(&tenant).running();
        assert!(!before.is_empty());
        let message = json!({"resourceType": "ActivityDefinition", "id": "drink", "url": "https://clinic.example/drink"});
        live.learn(&tenant, vec![kept(message, 5, false)]);
        assert_eq!(live.of(&tenant).running(), before);
    }

    #[test]
    fn each_age_knows_the_rules_that_ran_then_and_a_trial_those_that_run_with_its_drafts() {
        let (live, _) = Live::new(shipped());
        let tenant: Arc<str> = Arc::from("t");
        let mut refill =
            shipped().into_iter().find(|one| one["id"] == "refill" && one["resourceType"] == "PlanDefinition").unwrap();
        let url = refill["url"].as_str().unwrap().to_owned();
        let of = |rules: &Rules| rules.running().into_iter().filter(|rule| rule.starts_with(&url)).collect::<Vec<_>>();
        refill["version"] = json!("2.0.0");
        live.learn(&tenant, vec![kept(refill.clone(), 100, false)]);
        let (first, later) = live.ages(&tenant);
        assert_eq!(of(&first), [format!("{url}|1.0.0")]);
        assert_eq!((later[0].0, of(&later[0].1)), (100, vec![format!("{url}|2.0.0")]));
        let mut draft = refill;
        draft["version"] = json!("3.0.0");
        draft["status"] = json!("draft");
        draft.as_object_mut().unwrap().shift_remove("approvalDate");
        let (rules, issues) = live.trying(&tenant, &[draft], 1_000);
        assert!(!issues.iter().any(Issue::refuses), "{issues:?}");
        assert_eq!(of(&rules), [format!("{url}|3.0.0")]);
        assert_eq!(of(&live.of(&tenant)), [format!("{url}|2.0.0")], "nothing was learned");
    }
}
