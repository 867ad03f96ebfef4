//! What the check accepts beside what it refuses, each refusal with its code and its place.

mod bodies;
mod bundles;
mod hostile;
mod invariants;
mod refusals;

use super::*;

/// The faults of a body as `key at expression`, in the order found.
fn faults(body: &str, expected: Option<&str>) -> Vec<String> {
    match resource(body.as_bytes(), expected) {
        Ok(_) => Vec::new(),
        Err(issues) => {
            assert!(issues.iter().all(|issue| issue.diagnostics.ends_with(['.', '?', ')'])), "{issues:?}");
            issues.iter().filter(|issue| issue.refuses()).map(|issue| format!("{} at {}", issue.key, issue.expression)).collect()
        }
    }
}

#[test]
fn every_invariant_is_held_but_for_those_that_are_named() {
    assert_eq!(unchecked().iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["dom-6"]);
}
