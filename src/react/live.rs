//! The rules as they run now, for every tenant: those that came with the program, under what the tenant keeps itself.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::Rules;
use super::json::{each, text, unversioned};
use super::over::{self, Counting, Over};
use super::read::{self, is_ours};
use super::rules::Artefact;
use crate::fhir::outcome::Issue;

/// The rules of all tenants.
#[derive(Debug, Default)]
pub struct Live {
    pub(super) base: Vec<Artefact>,
    plain: Arc<Rules>,
    pub(super) tenants: RwLock<HashMap<Arc<str>, Own>>,
}

/// What one tenant keeps.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// By type and id: all versions, the oldest first; what was deleted stays known.
    pub(super) kept: BTreeMap<(String, String), Vec<Artefact>>,
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
    /// Its versions; what was deleted stands as retired and without an id.
    pub versions: Vec<Artefact>,
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
        let times: BTreeSet<i64> = own.kept.values().flatten().map(|artefact| artefact.since).collect();
        let age = |at: i64| (at, Arc::new(self.laid(own, at).0));
        (Arc::clone(&self.plain), times.into_iter().map(age).collect())
    }

    /// The rules of a tenant as they stand, as if they had always run, with drafts that act on what is learned from a time on, and what
    /// is wrong with the drafts. What is only tried need not be active, and nobody need have approved it.
    #[must_use]
    pub fn trying(&self, tenant: &str, drafts: &[Value], since: i64) -> (Rules, Vec<Issue>) {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let newest = tenants.get(tenant).map(|own| own.counting(i64::MAX)).unwrap_or_default();
        let newest = newest.into_values().map(|artefact| Artefact { value: Arc::clone(&artefact.value), since: 0 });
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
        let kept = own.into_iter().flat_map(|own| own.kept.values()).flatten().filter(|one| one.since <= at);
        let (url, version) = rule.split_once('|')?;
        let plans = self.base.iter().chain(kept).filter(|one| read::runs(&one.value));
        let same = plans.filter(|one| text(&one.value, "url") == Some(url) && text(&one.value, "version") == Some(version));
        let plan = &same.max_by_key(|one| one.since)?.value;
        let step =
            each(plan, "action").iter().flat_map(|action| each(action, "action")).find(|one| text(one, "id") == Some(step))?;
        let url = text(step, "definitionCanonical").map(unversioned)?;
        let key = ("ActivityDefinition", url);
        let shipped = || self.base.iter().find(|one| of(&one.value) == Some(key));
        let activity = &own.and_then(|own| own.counting(at).get(&key).copied()).or_else(shipped)?.value;
        Some(text(activity, "version").map_or_else(|| url.to_owned(), |version| format!("{url}|{version}")))
    }

    /// Type and url of the groups of codes and the maps that came with the program and that a tenant may keep in their place.
    #[must_use]
    pub fn replaceable(&self) -> Vec<(String, String)> {
        let named = |one: &Artefact| Some((text(&one.value, "resourceType")?.to_owned(), text(&one.value, "url")?.to_owned()));
        self.base.iter().filter_map(named).filter(|(kind, _)| kind == "ValueSet" || kind == "ConceptMap").collect()
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
            own.kept.insert(key, one.versions);
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
        let others = own.counting(at).into_values().filter(|one| !is_plan(&one.value)).cloned();
        let all: Vec<Artefact> = self.base.iter().cloned().chain(others).chain(artefacts).collect();
        let mut rules = Rules::of(&all).0;
        rules.ended = ended;
        (rules, all)
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
        let of_plans = known.flat_map(|plan| named(&plan.value)).map(|(_, url)| url);
        of_plans.chain(self.urls(kept)).collect()
    }

    /// Urls of what came with the program, and of what these rules name.
    #[must_use]
    pub fn urls(&self, kept: &[Kept]) -> BTreeSet<String> {
        let plans = kept.iter().filter(|one| one.kind == "PlanDefinition").flat_map(|one| &one.versions);
        let of_plans = plans.flat_map(|plan| named(&plan.value)).map(|(_, url)| url);
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
}

impl Own {
    /// What counted under each url at a time.
    fn counting(&self, at: i64) -> Counting<'_> {
        over::counting(self.kept.values().map(Vec::as_slice), at)
    }
}

/// Type and url.
fn of(value: &Value) -> Option<(&str, &str)> {
    Some((text(value, "resourceType")?, text(value, "url")?))
}

pub(super) fn is_plan(value: &Value) -> bool {
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

/// What a plan of ours names: ActivityDefinitions and ValueSets, without their versions.
pub(super) fn named(plan: &Value) -> BTreeSet<(&'static str, String)> {
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

    fn kept(value: Value, since: i64) -> Kept {
        let (kind, id) = (text(&value, "resourceType").unwrap().to_owned(), text(&value, "id").unwrap().to_owned());
        Kept { kind, id, versions: vec![Artefact { value: Arc::new(value), since }] }
    }

    #[test]
    fn what_is_no_rule_of_the_tenant_leaves_the_rules_that_came_with_the_program() {
        let (live, _) = Live::new(shipped());
        let tenant: Arc<str> = Arc::from("t");
        let before = live.of(&tenant).running();
        assert!(!before.is_empty());
        let message = json!({"resourceType": "ActivityDefinition", "id": "drink", "url": "https://clinic.example/drink"});
        live.learn(&tenant, vec![kept(message, 5)]);
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
        live.learn(&tenant, vec![kept(refill.clone(), 100)]);
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
