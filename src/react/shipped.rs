//! The artefacts that come with the program: the one list of them.

use serde_json::Value;

/// To ship another artefact, put its file under `mappings/` and its line here. Order does not matter, except that a
/// later artefact replaces an earlier one of the same url.
const SHIPPED: &[&str] = &[
    include_str!("../../mappings/systems.json"),
    include_str!("../../mappings/products/ingredients.json"),
    include_str!("../../mappings/zones/zones.json"),
    include_str!("../../mappings/valuesets/abnormal-findings.json"),
    include_str!("../../mappings/valuesets/anticoagulants.json"),
    include_str!("../../mappings/valuesets/antidiabetics.json"),
    include_str!("../../mappings/valuesets/antihypertensives.json"),
    include_str!("../../mappings/valuesets/asthma.json"),
    include_str!("../../mappings/valuesets/bone-density-report.json"),
    include_str!("../../mappings/valuesets/chemotherapy.json"),
    include_str!("../../mappings/valuesets/critical-results.json"),
    include_str!("../../mappings/valuesets/guided-products.json"),
    include_str!("../../mappings/valuesets/influenza-vaccines.json"),
    include_str!("../../mappings/valuesets/not-handed-over.json"),
    include_str!("../../mappings/valuesets/osteoporosis.json"),
    include_str!("../../mappings/valuesets/partial-fill.json"),
    include_str!("../../mappings/valuesets/surgery.json"),
    include_str!("../../mappings/valuesets/vaccination-risk.json"),
    include_str!("../../mappings/plans/abnormal-result.json"),
    include_str!("../../mappings/plans/abnormal-review.json"),
    include_str!("../../mappings/plans/abnormal-word.json"),
    include_str!("../../mappings/plans/adherence-talk.json"),
    include_str!("../../mappings/plans/adherence-word.json"),
    include_str!("../../mappings/plans/adherence.json"),
    include_str!("../../mappings/plans/alert-relay.json"),
    include_str!("../../mappings/plans/alert.json"),
    include_str!("../../mappings/plans/anticoagulant-call.json"),
    include_str!("../../mappings/plans/anticoagulant-word.json"),
    include_str!("../../mappings/plans/anticoagulant.json"),
    include_str!("../../mappings/plans/asthma-word.json"),
    include_str!("../../mappings/plans/asthma.json"),
    include_str!("../../mappings/plans/birthday-word.json"),
    include_str!("../../mappings/plans/birthday.json"),
    include_str!("../../mappings/plans/chemotherapy-nausea-nudge.json"),
    include_str!("../../mappings/plans/chemotherapy-nausea.json"),
    include_str!("../../mappings/plans/churn-call.json"),
    include_str!("../../mappings/plans/churn-word.json"),
    include_str!("../../mappings/plans/churn.json"),
    include_str!("../../mappings/plans/diabetes-follow-up.json"),
    include_str!("../../mappings/plans/dose-word.json"),
    include_str!("../../mappings/plans/dose.json"),
    include_str!("../../mappings/plans/first-fill.json"),
    include_str!("../../mappings/plans/follow-up-call.json"),
    include_str!("../../mappings/plans/follow-up-message.json"),
    include_str!("../../mappings/plans/guidance-word.json"),
    include_str!("../../mappings/plans/hypertension-follow-up.json"),
    include_str!("../../mappings/plans/osteoporosis-report-nudge.json"),
    include_str!("../../mappings/plans/osteoporosis-report.json"),
    include_str!("../../mappings/plans/osteoporosis-word.json"),
    include_str!("../../mappings/plans/osteoporosis.json"),
    include_str!("../../mappings/plans/pickup-call.json"),
    include_str!("../../mappings/plans/pickup-word.json"),
    include_str!("../../mappings/plans/pickup.json"),
    include_str!("../../mappings/plans/recovery-call.json"),
    include_str!("../../mappings/plans/recovery-word.json"),
    include_str!("../../mappings/plans/recovery.json"),
    include_str!("../../mappings/plans/refill-advice.json"),
    include_str!("../../mappings/plans/refill-call.json"),
    include_str!("../../mappings/plans/refill-reminder.json"),
    include_str!("../../mappings/plans/refill.json"),
    include_str!("../../mappings/plans/stock-word.json"),
    include_str!("../../mappings/plans/stock.json"),
    include_str!("../../mappings/plans/technique-check.json"),
    include_str!("../../mappings/plans/vaccination-word.json"),
    include_str!("../../mappings/plans/vaccination.json"),
    include_str!("../../mappings/plans/welcome-word.json"),
    include_str!("../../mappings/plans/welcome.json"),
];

/// Questionnaires that go with Tasks: they are no rules, but whoever is asked to fill one in must be able to read it.
const FORMS: &[&str] = &[include_str!("../../mappings/forms/follow-up.json")];

/// The Questionnaires that come with the program, as JSON.
#[must_use]
pub fn forms() -> Vec<Value> {
    FORMS.iter().filter_map(|file| serde_json::from_str(file).ok()).collect()
}

/// The artefacts that come with the program, as JSON.
#[must_use]
pub fn shipped() -> Vec<Value> {
    // A file that is no JSON is caught by the test below; here it is left out.
    SHIPPED.iter().filter_map(|file| serde_json::from_str(file).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_artefact_is_json_with_a_url() {
        let shipped = shipped();
        assert_eq!(shipped.len(), SHIPPED.len());
        assert!(shipped.iter().all(|artefact| artefact.get("url").is_some()));
        assert_eq!(forms().len(), FORMS.len());
    }
}
