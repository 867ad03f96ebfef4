//! The diagnosis a message rests on is current and confirmed. A status that is absent holds.
//! Follows <https://hl7.org/fhir/R4/condition.html>.

use serde_json::Value;

use super::reversed::is_meant;
use super::{Asked, Gate, Verdict, stop};
use crate::react::json::{each, text};

pub(crate) const GATE: Gate =
    Gate { name: "diagnosis", mends: "A Condition that is active, recurrence or relapse, and confirmed.", ask };

/// How a diagnosis stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Active, recurring or relapsed, and confirmed.
    Current,
    /// Not said, or not confirmed yet.
    Open,
    /// Over, refuted or a mistake.
    Over,
}

/// How a Condition stands.
pub(crate) fn standing(condition: &Value) -> Standing {
    match said(condition) {
        (_, Some("refuted" | "entered-in-error")) | (Some("inactive" | "remission" | "resolved"), _) => Standing::Over,
        (Some("active" | "recurrence" | "relapse"), Some("confirmed")) => Standing::Current,
        _ => Standing::Open,
    }
}

/// Whether a Condition says that what it tells of was so and is over.
pub(crate) fn has_ended(condition: &Value) -> bool {
    let (clinical, verification) = said(condition);
    let never_was = matches!(verification, Some("refuted" | "entered-in-error"));
    !never_was && matches!(clinical, Some("inactive" | "remission" | "resolved"))
}

/// Its clinical and its verification status.
fn said(condition: &Value) -> (Option<&str>, Option<&str>) {
    let code =
        |name: &str| condition.get(name).and_then(|status| each(status, "coding").iter().find_map(|coding| text(coding, "code")));
    (code("clinicalStatus"), code("verificationStatus"))
}

fn ask(asked: &Asked) -> Verdict {
    let Some(condition) = asked.candidate.trigger.filter(|trigger| trigger.kind == "Condition") else { return Verdict::Pass };
    // A removal is what it is, however the diagnosis stood.
    if asked.action().is_some_and(|action| is_meant(asked.turn, action, condition)) {
        return Verdict::Pass;
    }
    match standing(&condition.value) {
        Standing::Current => Verdict::Pass,
        Standing::Open => asked.wait("The diagnosis does not say that it is active and confirmed."),
        Standing::Over => stop("The diagnosis is not current."),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_diagnosis_is_current_only_when_it_says_so() {
        for (clinical, verification, expected) in [
            (Some("active"), Some("confirmed"), Standing::Current),
            (Some("recurrence"), Some("confirmed"), Standing::Current),
            (Some("relapse"), Some("confirmed"), Standing::Current),
            (Some("active"), None, Standing::Open),
            (None, Some("confirmed"), Standing::Open),
            (Some("active"), Some("provisional"), Standing::Open),
            (Some("active"), Some("differential"), Standing::Open),
            (Some("resolved"), Some("confirmed"), Standing::Over),
            (Some("remission"), Some("confirmed"), Standing::Over),
            (Some("inactive"), None, Standing::Over),
            (Some("active"), Some("refuted"), Standing::Over),
            (None, Some("entered-in-error"), Standing::Over),
        ] {
            let coded = |code: Option<&str>| code.map(|code| json!({"coding": [{"code": code}]})).unwrap_or_default();
            let condition = json!({"clinicalStatus": coded(clinical), "verificationStatus": coded(verification)});
            assert_eq!(standing(&condition), expected, "{clinical:?} {verification:?}");
        }
    }
}
