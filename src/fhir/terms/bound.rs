//! Whether what stands in a resource is of a value set: codes, codings, concepts, quantities.
//! Follows <https://hl7.org/fhir/R4/terminologies.html#binding>.

use std::cell::Cell;

use serde_json::Value;

use super::set::{PARTS_MAX, Part, Set, Walk};
use super::system::list;
use super::{Member, Terms};
use crate::fhir::path::Node;

impl Terms {
    /// Whether a set has this code; without a system, of any of its systems.
    #[must_use]
    pub fn member(&self, set: &str, system: Option<&str>, code: &str) -> Member {
        self.member_at(set, system, code, Walk::new(&Cell::new(PARTS_MAX)))
    }

    /// The same of a set at hand, which need not be known here.
    #[must_use]
    pub fn holds(&self, set: &Set, system: Option<&str>, code: &str) -> Member {
        set.has(self, system, code, Walk::new(&Cell::new(PARTS_MAX)))
    }

    /// What a code of a set is called, there or in its system, and in other languages.
    #[must_use]
    pub fn display(&self, set: &Set, system: Option<&str>, code: &str) -> (String, Vec<(String, String)>) {
        let own = |part: &&Part| system.is_none_or(|system| system == part.system);
        let listed = set.includes.iter().filter(own).find_map(|part| part.display(code).map(ToOwned::to_owned));
        let mut systems = system.into_iter().chain(set.includes.iter().filter(own).map(|part| part.system.as_str()));
        let known = systems.find_map(|system| self.system(system).filter(|known| known.concept(code).is_some()));
        let concept = known.as_ref().and_then(|known| known.concept(code));
        let display = listed.or_else(|| concept.map(|concept| concept.display.clone())).unwrap_or_default();
        (display, concept.map(|concept| concept.designations.clone()).unwrap_or_default())
    }

    pub(super) fn member_at(&self, set: &str, system: Option<&str>, code: &str, at: Walk<'_>) -> Member {
        self.set(set).map_or(Member::Unknown, |set| set.has(self, system, code, at))
    }

    /// Whether an element's value is of a set; of a concept one coding suffices. One without any code is not of the set,
    /// unless an extension says why.
    #[must_use]
    pub fn bound(&self, set: &str, node: Node<'_>) -> Member {
        let Some(value) = node.value() else { return Member::Unknown };
        match (node.kind_name(), value) {
            ("CodeableConcept", _) => {
                let answers: Vec<Member> = list(value, "coding").iter().map(|coding| self.coding(set, coding)).collect();
                let is_extended = value.get("extension").is_some();
                match answers.as_slice() {
                    [] if is_extended => Member::Unknown,
                    all if all.contains(&Member::Yes) => Member::Yes,
                    all if all.contains(&Member::Unknown) => Member::Unknown,
                    _ => Member::No,
                }
            }
            ("Coding" | "Quantity" | "Age" | "Duration" | "SimpleQuantity", _) => self.coding(set, value),
            (_, Value::String(code)) => self.member(set, None, code),
            _ => Member::Unknown,
        }
    }

    fn coding(&self, set: &str, coding: &Value) -> Member {
        let word = |key: &str| coding.get(key).and_then(Value::as_str);
        match (word("system"), word("code")) {
            (_, None) => Member::Unknown,
            // A code of no system is of no set; this is what the binding asks for.
            (system, Some(code)) => self.member(set, Some(system.unwrap_or_default()), code),
        }
    }
}
