//! Nothing is suggested that a recorded allergy forbids; what is made of unknown ingredients is never suggested.
//! Follows <https://hl7.org/fhir/R4/allergyintolerance.html>.

use super::{Asked, Gate, Verdict, stop};
use crate::react::json::coded;

pub(super) const GATE: Gate = Gate {
    name: "allergy",
    mends: "A recorded allergy that was refuted or resolved, or a table that tells what both products are made of.",
    ask,
};

fn ask(asked: &Asked) -> Verdict {
    let Some(product) = &asked.candidate.step.activity.product else { return Verdict::Pass };
    let rules = asked.turn.rules;
    let Some(ingredients) = rules.products.ingredients(&rules.concepts, product) else {
        return stop("What the suggested product is made of is not known.");
    };
    for allergy in asked.turn.story.current("AllergyIntolerance") {
        let over = coded(allergy.value.get("clinicalStatus"), "resolved")
            || coded(allergy.value.get("verificationStatus"), "refuted")
            || coded(allergy.value.get("verificationStatus"), "entered-in-error");
        let none = coded(allergy.value.get("code"), "716186003");
        if over || none {
            continue;
        }
        let known = allergy.value.get("code").and_then(|code| rules.products.ingredients(&rules.concepts, code));
        match known {
            Some(known) if known.is_disjoint(ingredients) => {}
            Some(_) => return stop("A recorded allergy forbids the suggested product."),
            None => return stop("A recorded allergy could not be compared with the suggested product."),
        }
    }
    Verdict::Pass
}
