//! The criteria of conditional interactions: a search that must mean something, since what it finds is changed or deleted.
//! Follows <https://hl7.org/fhir/R4/http.html#ccreate>.

use crate::fhir::outcome::Issue;
use crate::fhir::search::pairs;
use crate::fhir::search::parse::parse;
use crate::fhir::search::query::Query;

/// Reads criteria strictly: empty ones would find everything, and so would ones with a parameter that is not known.
pub(super) fn read(kind: &str, criteria: &str, now: i64) -> Result<Query, Vec<Issue>> {
    let query = search(kind, criteria, now)?;
    if query.criteria.is_empty() {
        let words = "The criteria name no search parameter, and would find every resource of the type; say which one is meant.";
        return Err(vec![Issue::error("invalid", "empty-criteria", "", words)]);
    }
    Ok(query)
}

/// Reads a search of which every parameter must be known and have a value; it may have none.
pub(super) fn search(kind: &str, criteria: &str, now: i64) -> Result<Query, Vec<Issue>> {
    let pairs = pairs(criteria).map_err(|issue| vec![issue])?;
    if let Some((name, _)) = pairs.iter().find(|(_, value)| value.trim().is_empty()) {
        let words = format!("The search parameter {name} has no value, so it does not say what is meant.");
        return Err(vec![Issue::error("invalid", "empty-criteria", "", words)]);
    }
    let mut parsed = parse(kind, &pairs, now);
    for name in &parsed.unknown {
        let words = format!("The search parameter {name} is not known here, so what is meant cannot be found.");
        parsed.issues.push(Issue::error("not-supported", "unknown-parameter", "", words));
    }
    if parsed.issues.is_empty() { Ok(parsed.query) } else { Err(parsed.issues) }
}

/// Reads the criteria of a Subscription, or says in a sentence why they cannot be listened to.
pub fn listened(kind: &str, criteria: &str) -> Result<Query, String> {
    // Only `ap` asks what time it is, and what is listened to is written now: the beginning of time serves as well.
    search(kind, criteria, 0)
        .map_err(|issues| issues.iter().map(|issue| issue.diagnostics.as_str()).collect::<Vec<_>>().join(" "))
}
