//! What counts under a url of which several resources are kept, and what a change of them is refused for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::{Artefact, Intended, Kept, Live, Rules, shipped};

const PLAN: &str = "https://signa.example/fhir/PlanDefinition/refill";
const TEXT: &str = "https://signa.example/fhir/ActivityDefinition/refill-advice";

/// After every approval.
const NOW: i64 = 1_800_000_000_000;

fn of_url(url: &str) -> Value {
    shipped().into_iter().find(|value| value["url"] == url).unwrap()
}

/// The refill rule under an id, in a version and a status.
fn refill(id: &str, version: &str, status: &str) -> Value {
    let mut plan = of_url(PLAN);
    plan["id"] = json!(id);
    plan["version"] = json!(version);
    plan["status"] = json!(status);
    plan
}

/// The advice under an id, in a version and a status, with words of its own.
fn advice(id: &str, version: &str, status: &str, words: &str) -> Value {
    let mut text = of_url(TEXT);
    text["id"] = json!(id);
    text["version"] = json!(version);
    text["status"] = json!(status);
    text["extension"][0]["extension"][1]["valueString"] = json!(words);
    text
}

/// The tenant `t`, to whom changes are told one after the other.
struct Tenant {
    live: Live,
    told: Vec<(i64, Value)>,
}

impl Tenant {
    fn new() -> Self {
        Self { live: Live::new(shipped()).0, told: Vec::new() }
    }

    /// All versions of a resource, as they are kept.
    fn kept(&self, kind: &str, id: &str) -> Kept {
        let mut versions: Vec<Artefact> = Vec::new();
        for (since, value) in self.told.iter().filter(|(_, value)| value["resourceType"] == kind && value["id"] == id) {
            let is_deleted = value["status"] == "deleted";
            let value = if is_deleted {
                json!({"resourceType": kind, "url": versions.last().unwrap().value["url"], "status": "retired"})
            } else {
                value.clone()
            };
            versions.push(Artefact { value: Arc::new(value), since: *since });
        }
        Kept { kind: kind.to_owned(), id: id.to_owned(), versions }
    }

    /// A resource is sent, or deleted where its status says so. What the gateway would know that was started now is the same.
    fn tell(&mut self, value: Value) -> Arc<Rules> {
        let since = i64::try_from(self.told.len()).unwrap() * 100 + 100;
        let (kind, id) = (value["resourceType"].as_str().unwrap().to_owned(), value["id"].as_str().unwrap().to_owned());
        self.told.push((since, value));
        let tenant: Arc<str> = Arc::from("t");
        self.live.learn(&tenant, vec![self.kept(&kind, &id)]);
        let (started, _) = Live::new(shipped());
        let names = self.told.iter().map(|(_, value)| (value["resourceType"].as_str().unwrap(), value["id"].as_str().unwrap()));
        started.learn(&tenant, names.map(|(kind, id)| self.kept(kind, id)).collect());
        let (rules, again) = (self.live.of("t"), started.of("t"));
        assert_eq!((rules.running(), said(&rules)), (again.running(), said(&again)));
        assert_eq!(self.live.faulty(), 0);
        let (_, ages) = self.live.ages("t");
        assert_eq!(ages.last().map(|(_, rules)| rules.running()), Some(rules.running()));
        assert_eq!(refills(&self.live.trying("t", &[], 1_000_000).0), refills(&rules));
        rules
    }

    fn faults(&self, value: &Value, beside: &[Value]) -> Vec<&'static str> {
        let intended = |value| Intended {
            kind: value_of(value, "resourceType"),
            id: value_of(value, "id"),
            value: Some(value).filter(|value| value["status"] != "deleted"),
        };
        let beside: Vec<Intended> = beside.iter().map(intended).collect();
        self.live.faults("t", intended(value), &beside, NOW).iter().map(|fault| fault.key).collect()
    }
}

fn value_of<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// The versions of the refill rule that run.
fn refills(rules: &Rules) -> Vec<String> {
    let running = rules.running().into_iter();
    running.filter_map(|rule| rule.strip_prefix(PLAN).map(|version| version.trim_start_matches('|').to_owned())).collect()
}

fn said(rules: &Rules) -> Value {
    rules.activities[TEXT]["extension"][0]["extension"][1]["valueString"].clone()
}

fn knows(rules: &Rules, version: &str) -> bool {
    rules.plan(&format!("{PLAN}|{version}")).is_some_and(|plan| plan.version == version)
}

// Whoever is told of last, what is in force counts, and the shipped rule where nothing is and nothing is retired.
#[test]
fn a_plan_that_does_not_run_changes_nothing_whenever_it_is_told() {
    let mut tenant = Tenant::new();
    let mut tell = |id: &str, version: &str, status: &str, runs: &[&str]| {
        let rules = tenant.tell(refill(id, version, status));
        assert_eq!(refills(&rules), runs, "{id} {version} {status}");
        rules
    };
    tell("a", "2", "draft", &["1.0.0"]);
    tell("a", "2", "unknown", &["1.0.0"]);
    tell("a", "2", "deleted", &["1.0.0"]);
    tell("a", "2", "draft", &["1.0.0"]);
    let rules = tell("a", "2", "active", &["2"]);
    assert!(knows(&rules, "1.0.0"), "what was begun is finished");
    tell("b", "3", "draft", &["2"]);
    tell("b", "3", "deleted", &["2"]);
    tell("a", "2", "retired", &[]);
    tell("b", "3", "draft", &[]);
    tell("b", "3", "active", &["3"]);
    tell("a", "2", "retired", &["3"]);
    tell("c", "4", "retired", &["3"]);
    let rules = tell("c", "4", "deleted", &["3"]);
    assert!(knows(&rules, "1.0.0") && knows(&rules, "2") && knows(&rules, "3"));
    tell("b", "3", "deleted", &[]);
    let rules = tell("a", "2", "deleted", &["1.0.0"]);
    assert!(!knows(&rules, "2") && !knows(&rules, "3"), "what the copies had planned is taken back");
    tell("a", "5", "active", &["5"]);
    let rules = tell("a", "5", "draft", &["1.0.0"]);
    assert!(!knows(&rules, "5"));
}

// Under a url of the house's own nothing comes back: the rule ends as a draft, as a deletion, or under another url.
#[test]
fn a_rule_of_ones_own_ends_with_its_url() {
    let own = |id: &str, version: &str, status: &str, url: &str| {
        let mut plan = refill(id, version, status);
        plan["url"] = json!(url);
        plan
    };
    let mut tenant = Tenant::new();
    for ends in ["draft", "retired", "deleted"] {
        let running = tenant.tell(own("a", "1", "active", "urn:a")).running();
        assert!(running.contains(&String::from("urn:a|1")), "{ends}");
        let rules = tenant.tell(own("a", "1", ends, "urn:a"));
        assert!(rules.plan("urn:a|1").is_none(), "{ends}");
    }
    tenant.tell(own("a", "1", "active", "urn:a"));
    let rules = tenant.tell(own("a", "2", "active", "urn:b"));
    assert!(rules.plan("urn:a|1").is_none() && rules.plan("urn:b|2").is_some());
    let mut other = own("a", "1", "active", "urn:a");
    assert_eq!(tenant.faults(&other, &[]), [""; 0]);
    other["action"][0]["action"][0]["relatedAction"][0]["offsetDuration"]["value"] = json!(9);
    assert_eq!(tenant.faults(&other, &[]), ["plan-same-version"], "one was told of it under this url");
    tenant.tell(refill("c", "7", "active"));
    let rules = tenant.tell(own("c", "8", "active", "urn:c"));
    assert_eq!(refills(&rules), ["1.0.0"], "a copy that goes leaves its url to what was shipped");
}

// Of texts the same: what is in force counts, of two the one that was changed last, and without any the shipped one.
#[test]
fn a_text_that_is_not_in_force_is_not_said() {
    let mut tenant = Tenant::new();
    let shipped = of_url(TEXT)["extension"][0]["extension"][1]["valueString"].as_str().unwrap().to_owned();
    let mut tell = |id: &str, status: &str, words: &str| {
        assert_eq!(said(&tenant.tell(advice(id, id, status, id))), words, "{id} {status}");
    };
    tell("a", "draft", &shipped);
    tell("a", "active", "a");
    tell("b", "draft", "a");
    tell("b", "active", "b");
    tell("a", "active", "a");
    tell("c", "retired", "a");
    tell("a", "draft", "b");
    tell("c", "deleted", "b");
    tell("b", "deleted", &shipped);
    tell("a", "unknown", &shipped);
}

// A draft under a version that was said neither is said nor makes it doubtful; what was said under it is what was in force.
#[test]
fn a_draft_of_a_text_is_no_text_that_was_said() {
    let mut tenant = Tenant::new();
    tenant.tell(advice("a", "2", "active", "Two."));
    assert_eq!(tenant.faults(&advice("b", "2", "draft", "Other."), &[]), [""; 0]);
    tenant.tell(advice("b", "2", "draft", "Other."));
    let off = advice("a", "2", "retired", "Two.");
    let swap = |words: &str| advice("b", "2", "active", words);
    assert_eq!(tenant.faults(&swap("Other."), &[off.clone(), swap("Other.")]), ["activity-same-version"]);
    assert_eq!(tenant.faults(&swap("Two."), &[off.clone(), swap("Two.")]), [""; 0]);
    assert_eq!(tenant.faults(&off, &[off.clone(), swap("Two.")]), [""; 0]);
    assert_eq!(tenant.faults(&swap("Two."), &[]), ["artefact-url-taken"]);
    assert_eq!(tenant.faults(&off, &[]), ["bad-activity"], "the shipped rule would end");
    assert_eq!(tenant.faults(&advice("a", "2", "deleted", ""), &[]), [""; 0], "the shipped text is said again");
}
