//! What was out of stock has arrived: who waits for it, and where.
//! Follows <https://hl7.org/fhir/R4/supplydelivery.html> and <https://hl7.org/fhir/R4/medicationdispense.html>.
//!
//! A SupplyDelivery without a patient is goods for a store: its `destination` is a Location, whose `managingOrganization` is the
//! store. Who waits is a MedicationDispense that is on hold, of the same product, of the same store.

use serde_json::Value;

use super::concepts::Concepts;
use super::json::{each, local, reference, text};
use super::{Story, products};

/// The resource by which an arrival is told.
pub(crate) const DELIVERY: &str = "SupplyDelivery";

/// Whether something has arrived in a store: all of it is there, and it is meant for nobody in particular.
pub(crate) fn has_arrived(delivery: &Value) -> bool {
    text(delivery, "status") == Some("completed") && delivery.get("patient").is_none() && !codes(delivery).is_empty()
}

/// The Location it was brought to, as `Location/id`.
pub(crate) fn destination(delivery: &Value) -> Option<String> {
    reference(delivery, "destination").and_then(local).filter(|place| place.starts_with("Location/"))
}

/// The codings of what arrived.
pub(crate) fn codes(delivery: &Value) -> Vec<(&str, &str)> {
    let item = delivery.get("suppliedItem").and_then(|item| item.get("itemCodeableConcept"));
    let codings = item.map(|item| each(item, "coding")).unwrap_or_default();
    codings.iter().filter_map(|coding| Some((text(coding, "system")?, text(coding, "code")?))).collect()
}

/// Whether a dispense is of the product that arrived.
pub(crate) fn is_of(concepts: &Concepts, dispense: &Value, delivery: &Value) -> bool {
    let arrived = codes(delivery);
    let product = products::named(dispense).map(|product| each(product, "coding")).unwrap_or_default();
    product.iter().any(|coding| {
        let system = concepts.canonical(text(coding, "system").unwrap_or_default());
        arrived.iter().any(|(of, code)| concepts.canonical(of) == system && text(coding, "code") == Some(*code))
    })
}

/// Whether a dispense waits in the store in which it arrived. Where neither names a store there is only one.
pub(crate) fn is_there(story: &Story, dispense: &Value, delivery: &Value) -> bool {
    let place = destination(delivery);
    let waits_at = reference(dispense, "location").and_then(local);
    if waits_at.is_some() && place.is_some() {
        return waits_at == place;
    }
    let location = place.as_deref().and_then(|place| story.find(place)).filter(|location| !location.deleted);
    let arrived_in = location.and_then(|location| local(reference(&location.value, "managingOrganization")?));
    let mut actors = each(dispense, "performer").iter().filter_map(|performer| local(reference(performer, "actor")?));
    let waits_in = actors.find(|actor| actor.starts_with("Organization/"));
    // A place whose store is not known is some store, and perhaps another one.
    (place.is_none() || arrived_in.is_some()) && waits_in == arrived_in
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delivery(code: &str) -> Value {
        json!({"resourceType": "SupplyDelivery", "status": "completed",
            "suppliedItem": {"itemCodeableConcept": {"coding": [{"system": "urn:x", "code": code}]}}})
    }

    #[test]
    fn only_what_is_there_and_nobodys_has_arrived() {
        assert!(has_arrived(&delivery("1")));
        for (name, value) in
            [("status", json!("in-progress")), ("patient", json!({"reference": "Patient/p"})), ("suppliedItem", json!({}))]
        {
            let mut other = delivery("1");
            other[name] = value;
            assert!(!has_arrived(&other), "{name}");
        }
    }

    #[test]
    fn a_product_is_the_same_by_system_and_code() {
        let concepts = Concepts::default();
        let waits =
            |system: &str, code: &str| json!({"medicationCodeableConcept": {"coding": [{"system": system, "code": code}]}});
        assert!(is_of(&concepts, &waits("urn:x", "1"), &delivery("1")));
        assert!(!is_of(&concepts, &waits("urn:x", "2"), &delivery("1")));
        assert!(!is_of(&concepts, &waits("urn:y", "1"), &delivery("1")));
    }
}
