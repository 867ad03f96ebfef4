//! The criteria of conditional interactions: a search that must mean something, since what it finds is changed or deleted.
//! Follows <https://hl7.org/fhir/R4/http.html#ccreate>.

use crate::fhir::outcome::Issue;
use crate::fhir::search::query::{Criterion, Query};
use crate::fhir::search::{self, parse};

/// Reads criteria strictly: empty ones would find everything, and so would ones with a parameter that is not known.
pub(super) fn read(kind: &str, criteria: &str, now: i64) -> Result<Query, Vec<Issue>> {
    let query = search(kind, criteria, now)?;
    if query.criteria.is_empty() {
        let words = "The criteria name no search parameter, and would find every resource of the type; say which one is meant.";
        return Err(vec![fault("empty-criteria", words)]);
    }
    Ok(query)
}

/// Reads a search of which every parameter must be known and have a value; it may have none.
pub(super) fn search(kind: &str, criteria: &str, now: i64) -> Result<Query, Vec<Issue>> {
    let pairs = search::pairs(criteria).map_err(|issue| vec![issue])?;
    let empty = pairs.iter().filter(|(_, value)| value.trim().is_empty());
    let mut issues: Vec<Issue> =
        empty.map(|_| fault("empty-criteria", "A search parameter of the criteria has no value.")).collect();
    let parsed = parse::parse(kind, &pairs, now);
    issues.extend(parsed.issues);
    let unknown = |name: &String| fault("unknown-parameter", &format!("{kind} has no search parameter {name}."));
    issues.extend(parsed.unknown.iter().map(unknown));
    if issues.is_empty() { Ok(parsed.query) } else { Err(issues) }
}

/// Reads the criteria of a Subscription, or says in a sentence why they cannot be listened to.
pub fn listened(kind: &str, criteria: &str) -> Result<Query, String> {
    // Only `ap` asks what time it is, and what is listened to is written now: the beginning of time serves as well.
    let query = search(kind, criteria, 0)
        .map_err(|issues| issues.iter().map(|issue| issue.diagnostics.as_str()).collect::<Vec<_>>().join(" "))?;
    // A chain leads out of the resource that was written: whether it holds may change without any event of that resource.
    if query.criteria.iter().any(is_chained) {
        return Err(String::from("Chains over references and _has cannot be listened to; name the resource itself."));
    }
    Ok(query)
}

fn is_chained(criterion: &Criterion) -> bool {
    match criterion {
        Criterion::Chain(_) => true,
        Criterion::Either(any) => any.iter().any(is_chained),
        _ => false,
    }
}

fn fault(key: &'static str, words: &str) -> Issue {
    Issue::error("invalid", key, "", words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(criteria: &str) -> Vec<&'static str> {
        read("Patient", criteria, 0).unwrap_err().into_iter().map(|issue| issue.key).collect()
    }

    #[test]
    fn criteria_that_would_find_everything_are_refused() {
        assert_eq!(refused(""), ["empty-criteria"]);
        assert_eq!(refused("&"), ["empty-criteria"]);
        assert_eq!(refused("_count=5"), ["empty-criteria"]);
        assert_eq!(refused("identifier="), ["empty-criteria"]);
        assert_eq!(refused("shoe-size=44"), ["unknown-parameter"]);
        assert_eq!(refused("identifier=a|b&shoe-size=44"), ["unknown-parameter"]);
    }

    #[test]
    fn criteria_are_read_as_a_search() {
        assert_eq!(read("Patient", "identifier=urn:s%7Cv", 0).unwrap().criteria.len(), 1);
        assert!(search("Patient", "", 0).unwrap().criteria.is_empty());
    }

    #[test]
    fn a_chain_is_searched_by_and_not_listened_to() {
        assert_eq!(read("Condition", "subject:Patient.identifier=urn:s%7Cv", 0).unwrap().criteria.len(), 1);
        assert!(listened("Condition", "subject:Patient.identifier=urn:s%7Cv").unwrap_err().contains("_has"));
        assert!(listened("Patient", "_has:Condition:patient:code=1").is_err());
        assert!(listened("Condition", "subject=Patient/1").is_ok());
    }
}
