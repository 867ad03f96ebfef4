//! The constraints that the standard states in FHIRPath, each compiled once, when it is first needed.
//! Follows <https://hl7.org/fhir/R4/conformance-rules.html#constraints>.

use std::sync::{LazyLock, OnceLock};

use serde_json::Value;

use super::contained::Scope;
use super::findings::Findings;
use super::place::Place;
use crate::fhir::definitions::{self, Node};
use crate::fhir::outcome::Issue;
use crate::fhir::path::{self, Error, Expression};

/// Invariants that are checked without their expression, and where.
const NATIVE: [&str; 7] = ["dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "txt-1", "txt-2"];

/// What has become of an invariant.
enum Prepared {
    /// Other code of this room sees to it.
    Native,
    /// Its expression, ready.
    Ready(Expression),
    /// The engine does not understand its expression.
    Unusable(String),
}

static PREPARED: LazyLock<Vec<OnceLock<Prepared>>> =
    LazyLock::new(|| definitions::invariants().iter().map(|_| OnceLock::new()).collect());

fn prepared(number: u16) -> &'static Prepared {
    PREPARED[usize::from(number)].get_or_init(|| {
        let invariant = definitions::invariant(number);
        if NATIVE.contains(&invariant.key) {
            return Prepared::Native;
        }
        match Expression::parse(invariant.expression) {
            Ok(expression) => Prepared::Ready(expression),
            Err(error) => Prepared::Unusable(error.to_string()),
        }
    })
}

/// Holds these invariants against one value. An invariant that cannot be decided for it refuses nothing.
pub(super) fn hold<'v>(
    numbers: &'static [u16],
    value: &'v Value,
    kind: &'static Node,
    place: &Place<'_>,
    scope: &mut Scope<'v>,
    findings: &mut Findings,
) {
    for &number in numbers {
        let Prepared::Ready(expression) = prepared(number) else { continue };
        let focus = path::Node::element(value, kind.name);
        let allowed = expression.allows(scope.context(), focus);
        let invariant = definitions::invariant(number);
        match allowed {
            Ok(false) => {}
            Err(Error::Bound(_)) => {
                findings.push_each(unheld(invariant.key, place));
                continue;
            }
            Ok(true) | Err(_) => continue,
        }
        let words = format!("{}: {}.", invariant.key, invariant.human.trim_end_matches('.'));
        let issue = if invariant.refuses { Issue::error } else { Issue::warning };
        findings.push(issue("invariant", invariant.key, place.to_string(), words));
    }
}

/// That an invariant was not held against a value, since that would have been too much work.
fn unheld(key: &str, place: &Place<'_>) -> Issue {
    let words = format!("{key} was not held here: that would take more work than is done for one value. Send less at once.");
    Issue::warning("too-costly", "invariant-unheld", place.to_string(), words)
}

/// The invariants of the standard that are not held against resources, with the reason.
#[must_use]
pub fn unchecked() -> Vec<(&'static str, String)> {
    let mut all = vec![("dom-6", String::from("a best practice that every resource without narrative would break"))];
    for (number, invariant) in (0..).zip(definitions::invariants()) {
        if let Prepared::Unusable(why) = prepared(number) {
            all.push((invariant.key, why.clone()));
        }
    }
    all
}
