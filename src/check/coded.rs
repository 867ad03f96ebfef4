//! Codes that must be from a value set.
//! Follows <https://hl7.org/fhir/R4/terminologies.html#required>.

use serde_json::{Map, Value};

use super::findings::Findings;
use super::place::Place;
use crate::fhir::definitions::{Element, ValueSet};
use crate::fhir::outcome::Issue;

/// So many right codes are named in a refusal.
const CODES_NAMED_MAX: usize = 12;

/// Holds a `code` against the element's required binding.
pub(super) fn code(element: &'static Element, code: &str, place: &Place<'_>, findings: &mut Findings) {
    if let Some(set) = element.codes().filter(|set| !set.has_code(code)) {
        findings.push(refusal(set, place));
    }
}

/// Holds a CodeableConcept against the element's required binding: one of its codings must be of the set.
pub(super) fn concept(element: &'static Element, map: &Map<String, Value>, place: &Place<'_>, findings: &mut Findings) {
    let Some(set) = element.codes() else { return };
    let Some(Value::Array(codings)) = map.get("coding") else {
        if !map.contains_key("extension") {
            findings.push(refusal(set, place));
        }
        return;
    };
    let word = |coding: &Value, key: &str| coding.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    let fits = codings.iter().any(|coding| {
        let (system, code) = (word(coding, "system"), word(coding, "code"));
        system.zip(code).is_some_and(|(system, code)| set.has(&system, &code))
    });
    let is_extended = codings.iter().any(|coding| coding.get("extension").is_some()) || map.contains_key("extension");
    if !fits && !is_extended {
        findings.push(refusal(set, place));
    }
}

/// The sentence names the set and the right codes, never the sender's.
fn refusal(set: &ValueSet, place: &Place<'_>) -> Issue {
    let codes: Vec<_> = set.codes().take(CODES_NAMED_MAX + 1).collect();
    let choice = match codes.len() {
        0 => String::new(),
        count if count > CODES_NAMED_MAX => format!("; use one of its codes, such as {}", codes[0]),
        _ => format!("; use one of {}", codes.join(", ")),
    };
    Issue::error(
        "code-invalid",
        "code-not-in-set",
        place.to_string(),
        format!("The code is not in the value set {}{choice}.", set.url),
    )
}
