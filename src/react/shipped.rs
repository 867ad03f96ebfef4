//! The artefacts that come with the program: the one list of them.

use serde_json::Value;

/// To ship another artefact, put its file under `mappings/` and its line here. Order does not matter, except that a
/// later artefact replaces an earlier one of the same url.
const SHIPPED: &[&str] = &[
    include_str!("../../mappings/systems.json"),
    include_str!("../../mappings/valuesets/bone-density-report.json"),
    include_str!("../../mappings/valuesets/chemotherapy.json"),
    include_str!("../../mappings/valuesets/not-handed-over.json"),
    include_str!("../../mappings/valuesets/osteoporosis.json"),
    include_str!("../../mappings/valuesets/partial-fill.json"),
    include_str!("../../mappings/products/ingredients.json"),
    include_str!("../../mappings/zones/zones.json"),
    include_str!("../../mappings/plans/chemotherapy-nausea.json"),
    include_str!("../../mappings/plans/chemotherapy-nausea-nudge.json"),
    include_str!("../../mappings/plans/osteoporosis-report.json"),
    include_str!("../../mappings/plans/osteoporosis-report-nudge.json"),
    include_str!("../../mappings/plans/refill.json"),
    include_str!("../../mappings/plans/refill-advice.json"),
    include_str!("../../mappings/plans/refill-call.json"),
    include_str!("../../mappings/plans/refill-reminder.json"),
];

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
    }
}
