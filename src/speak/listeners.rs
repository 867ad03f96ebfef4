//! Who listens to a resource: the subscriptions that hear, kept in memory by type and by a word that the resource must have.
//!
//! A write must cost the same beside ten subscriptions as beside ten thousand, so a subscription lies under one word of its
//! criteria (a code, a patient) and only the words of the written resource are looked up.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::matching::Candidate;
use crate::fhir::search::query::{Criterion, Query, Word};
use crate::ledger::search::Line;
use crate::ledger::{Scope, Subscription};

/// The subscriptions that a written resource may concern. Clones share them.
#[derive(Clone, Default)]
pub struct Listeners {
    tenants: Arc<RwLock<HashMap<Arc<str>, Board>>>,
}

/// The subscriptions of one tenant.
#[derive(Default)]
struct Board {
    /// Where each subscription lies, to take it away again.
    places: HashMap<String, Place>,
    kinds: HashMap<String, Rack>,
}

/// The subscriptions to one resource type.
#[derive(Default)]
struct Rack {
    by_word: HashMap<u32, HashMap<String, Vec<Arc<Listener>>>>,
    by_id: HashMap<String, Vec<Arc<Listener>>>,
    /// Those whose criteria require no word; each of them is tried on each resource.
    others: Vec<Arc<Listener>>,
}

struct Listener {
    id: String,
    query: Query,
    /// When it ends, UTC milliseconds; 0 when open.
    ends: i64,
}

/// One of these words must be there, or one of these ids; or nothing is required.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Required {
    Words(u32, Vec<String>),
    Ids(Vec<String>),
    Nothing,
}

struct Place {
    kind: String,
    required: Required,
}

impl Listeners {
    /// Keeps the subscription while it hears, as its row says; takes it away otherwise.
    pub fn set(&self, scope: &Scope, subscription: &Subscription, query: Query) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let board = tenants.entry(Arc::clone(&scope.tenant)).or_default();
        board.remove(&subscription.id);
        if subscription.hears() {
            board.add(Listener { id: subscription.id.clone(), query, ends: subscription.ends });
        }
    }

    /// Takes the subscription away.
    pub fn remove(&self, scope: &Scope, subscription: &str) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(board) = tenants.get_mut(&scope.tenant) {
            board.remove(subscription);
        }
    }

    /// The ids of the subscriptions that hear and whose criteria the resource meets, in a fixed order.
    ///
    /// `value`, `lines` and `updated` are those of the new value; a deletion concerns nobody and must not be asked about.
    #[must_use]
    pub fn matching(&self, scope: &Scope, kind: &str, id: &str, value: &Value, lines: &[Line], updated: i64) -> Vec<String> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(rack) = tenants.get(&scope.tenant).and_then(|board| board.kinds.get(kind)) else {
            return Vec::new();
        };
        let candidate = Candidate { kind, id, value, lines, updated };
        let found: BTreeSet<&str> = rack
            .near(&candidate)
            .filter(|listener| (listener.ends == 0 || updated < listener.ends) && candidate.satisfies(&listener.query))
            .map(|listener| listener.id.as_str())
            .collect();
        found.into_iter().map(str::to_owned).collect()
    }

    /// Whether anybody at all listens to the type, so that nothing need be prepared when nobody does.
    #[must_use]
    pub fn heard(&self, scope: &Scope, kind: &str) -> bool {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&scope.tenant).is_some_and(|board| board.kinds.contains_key(kind))
    }
}

impl Board {
    fn add(&mut self, listener: Listener) {
        let kind = listener.query.kind.clone();
        let rack = self.kinds.entry(kind.clone()).or_default();
        let required = rack.best_place(&listener.query);
        let listener = Arc::new(listener);
        self.places.insert(listener.id.clone(), Place { kind, required: required.clone() });
        rack.put(&listener, required);
    }

    fn remove(&mut self, subscription: &str) {
        let Some(place) = self.places.remove(subscription) else {
            return;
        };
        if let Some(rack) = self.kinds.get_mut(&place.kind) {
            rack.take(subscription, &place.required);
            if rack.is_empty() {
                self.kinds.remove(&place.kind);
            }
        }
    }
}

impl Rack {
    /// Of all that the criteria require, what fewest subscriptions lie under so far: a patient or a code rather than a status.
    fn best_place(&self, query: &Query) -> Required {
        let places = query.criteria.iter().filter_map(|criterion| match criterion {
            Criterion::Id(ids) => Some(Required::Ids(ids.clone())),
            Criterion::Word { parameter, any } => {
                let words: Option<Vec<String>> = any
                    .iter()
                    .map(|word| match word {
                        Word::Is(word) => Some(word.clone()),
                        _ => None,
                    })
                    .collect();
                words.map(|words| Required::Words(*parameter, words))
            }
            _ => None,
        });
        places.min_by_key(|place| self.company(place)).unwrap_or(Required::Nothing)
    }

    fn company(&self, place: &Required) -> usize {
        match place {
            Required::Words(parameter, words) => {
                let of = self.by_word.get(parameter);
                words.iter().map(|word| of.and_then(|of| of.get(word)).map_or(0, Vec::len)).sum()
            }
            Required::Ids(ids) => ids.iter().map(|id| self.by_id.get(id).map_or(0, Vec::len)).sum(),
            Required::Nothing => self.others.len(),
        }
    }

    fn put(&mut self, listener: &Arc<Listener>, required: Required) {
        match required {
            Required::Words(parameter, words) => {
                let of = self.by_word.entry(parameter).or_default();
                for word in words {
                    of.entry(word).or_default().push(Arc::clone(listener));
                }
            }
            Required::Ids(ids) => {
                for id in ids {
                    self.by_id.entry(id).or_default().push(Arc::clone(listener));
                }
            }
            Required::Nothing => self.others.push(Arc::clone(listener)),
        }
    }

    fn take(&mut self, subscription: &str, required: &Required) {
        match required {
            Required::Words(parameter, words) => {
                if let Some(of) = self.by_word.get_mut(parameter) {
                    for word in words {
                        drop_from(of, word, subscription);
                    }
                    if of.is_empty() {
                        self.by_word.remove(parameter);
                    }
                }
            }
            Required::Ids(ids) => {
                for id in ids {
                    drop_from(&mut self.by_id, id, subscription);
                }
            }
            Required::Nothing => self.others.retain(|listener| listener.id != subscription),
        }
    }

    fn is_empty(&self) -> bool {
        self.by_word.is_empty() && self.by_id.is_empty() && self.others.is_empty()
    }

    /// All whose required word the candidate has. One may come twice.
    fn near<'a>(&'a self, candidate: &Candidate<'a>) -> impl Iterator<Item = &'a Arc<Listener>> {
        let by_word = candidate.lines.iter().filter_map(|line| match line {
            Line::Word { parameter, word, .. } => self.by_word.get(parameter)?.get(word),
            _ => None,
        });
        by_word.chain(self.by_id.get(candidate.id)).flatten().chain(&self.others)
    }
}

fn drop_from(of: &mut HashMap<String, Vec<Arc<Listener>>>, key: &str, subscription: &str) {
    if let Some(listeners) = of.get_mut(key) {
        listeners.retain(|listener| listener.id != subscription);
        if listeners.is_empty() {
            of.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::search::query::Sort;
    use crate::ledger::Secrets;

    const STATUS: u32 = 1;
    const CODE: u32 = 2;
    const PATIENT: u32 = 3;

    fn scope(tenant: &str) -> Scope {
        Scope { tenant: Arc::from(tenant) }
    }

    fn row(id: &str, status: &str) -> Subscription {
        Subscription {
            id: id.to_owned(),
            version: 1,
            status: status.to_owned(),
            criteria: String::new(),
            endpoint: String::from("https://example.org/"),
            payload: String::new(),
            headers: Vec::new(),
            ends: 0,
            secrets: Secrets::default(),
            notices: 0,
            begun: false,
        }
    }

    fn query(criteria: Vec<Criterion>) -> Query {
        Query { kind: String::from("Condition"), criteria, sort: Sort::Natural, count: 1, after: None, total: false }
    }

    fn is(parameter: u32, any: &[&str]) -> Criterion {
        Criterion::Word { parameter, any: any.iter().map(|word| Word::Is((*word).to_owned())).collect() }
    }

    fn lines(status: &str, code: &str, patient: &str) -> Vec<Line> {
        [(STATUS, status), (CODE, code), (PATIENT, patient)]
            .map(|(parameter, word)| Line::Word { parameter, word: word.to_owned() })
            .to_vec()
    }

    #[test]
    fn a_resource_finds_those_who_listen_to_it_and_no_others() {
        let (listeners, scope) = (Listeners::default(), scope("a"));
        listeners.set(&scope, &row("codes", "active"), query(vec![is(CODE, &["x", "y"])]));
        listeners.set(&scope, &row("both", "active"), query(vec![is(STATUS, &["active"]), is(CODE, &["x"])]));
        listeners.set(&scope, &row("all", "active"), query(vec![]));
        listeners.set(&scope, &row("one", "active"), query(vec![Criterion::Id(vec![String::from("c1")])]));
        listeners.set(&scope, &row("asked", "requested"), query(vec![]));
        let found = |status, code, id| listeners.matching(&scope, "Condition", id, &Value::Null, &lines(status, code, "p"), 10);
        assert_eq!(found("active", "x", "c1"), ["all", "both", "codes", "one"]);
        assert_eq!(found("resolved", "y", "c2"), ["all", "codes"]);
        assert_eq!(found("resolved", "z", "c2"), ["all"]);
        assert!(listeners.matching(&scope, "Observation", "c1", &Value::Null, &lines("active", "x", "p"), 10).is_empty());
        assert!(
            listeners
                .matching(&super::tests::scope("b"), "Condition", "c1", &Value::Null, &lines("active", "x", "p"), 10)
                .is_empty()
        );
    }

    #[test]
    fn one_that_was_active_hears_until_it_is_off() {
        let (listeners, scope) = (Listeners::default(), scope("a"));
        for (status, begun, hears) in [
            ("requested", false, false),
            ("active", false, true),
            ("requested", true, true),
            ("error", true, true),
            ("error", false, false),
            ("off", true, false),
        ] {
            listeners.set(&scope, &Subscription { begun, ..row("s", status) }, query(vec![]));
            let found = listeners.matching(&scope, "Condition", "c", &Value::Null, &[], 10);
            assert_eq!(found.len(), usize::from(hears), "{status} {begun}");
        }
    }

    #[test]
    fn one_that_is_off_ended_or_removed_hears_nothing() {
        let (listeners, scope) = (Listeners::default(), scope("a"));
        let found = |at| listeners.matching(&scope, "Condition", "c", &Value::Null, &lines("active", "x", "p"), at);
        listeners.set(&scope, &Subscription { ends: 100, ..row("s", "active") }, query(vec![is(CODE, &["x"])]));
        assert_eq!((found(99).len(), found(100).len()), (1, 0));
        listeners.set(&scope, &row("s", "off"), query(vec![is(CODE, &["x"])]));
        assert!(found(99).is_empty() && !listeners.heard(&scope, "Condition"));
        listeners.set(&scope, &row("s", "active"), query(vec![is(CODE, &["x"])]));
        listeners.set(&scope, &row("s", "active"), query(vec![is(CODE, &["other"])]));
        assert!(found(99).is_empty() && listeners.heard(&scope, "Condition"));
        listeners.remove(&scope, "s");
        assert!(!listeners.heard(&scope, "Condition"));
    }

    #[test]
    fn a_write_is_tried_on_few_of_ten_thousand_subscriptions() {
        let (listeners, scope) = (Listeners::default(), scope("a"));
        for number in 0..10_000 {
            let patient = format!("Patient/{number}");
            let criteria = vec![is(STATUS, &["active"]), is(CODE, &["x"]), is(PATIENT, &[&patient])];
            listeners.set(&scope, &row(&number.to_string(), "active"), query(criteria));
        }
        let lines = lines("active", "x", "Patient/77");
        assert_eq!(listeners.matching(&scope, "Condition", "c", &Value::Null, &lines, 10), ["77"]);
        let tenants = listeners.tenants.read().unwrap();
        let tried = tenants[&scope.tenant].kinds["Condition"]
            .near(&Candidate { kind: "Condition", id: "c", value: &Value::Null, lines: &lines, updated: 10 })
            .count();
        assert!(tried <= 4, "{tried} were tried");
    }
}
