//! How many refills an order has left.
//! Follows <https://hl7.org/fhir/R4/medicationrequest-definitions.html#MedicationRequest.dispenseRequest.numberOfRepeatsAllowed>.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::json::{each, local, text};
use super::supply::{self, PARTIAL};
use super::{Resource, Rules};
use crate::fhir::time::Moment;

/// What is left of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// Refills that may still be handed over; `None` when the order does not say how many it allows.
    pub(crate) count: Option<i64>,
    /// Why there is none, where that is not a matter of counting.
    pub(crate) why: Option<&'static str>,
}

/// What is left of an order, with the dispenses of its product. The number allowed does not count the first fill.
pub(crate) fn left(rules: &Rules, order: &Resource, dispenses: &[&Resource], now: i64) -> Left {
    let none = |why| Left { count: Some(0), why: Some(why) };
    match text(&order.value, "status") {
        _ if order.deleted => return none("The order was deleted."),
        Some("stopped" | "cancelled" | "entered-in-error") => return none("The order was ended."),
        Some("on-hold") => return none("The order is on hold."),
        Some("draft") => return none("The order is not given yet."),
        _ => {}
    }
    let request = order.value.get("dispenseRequest");
    let end = request.and_then(|request| request.get("validityPeriod")).and_then(|period| text(period, "end"));
    if end.and_then(Moment::parse).is_some_and(|end| end.span(&TimeZone::UTC).high <= now) {
        return none("The order is valid no longer.");
    }
    let mut own: Vec<&Resource> = dispenses.iter().filter(|dispense| fills(order, dispense)).copied().collect();
    own.sort_by_key(|dispense| (when(dispense), dispense.learned));
    if own.last().is_some_and(|last| text(&last.value, "status") == Some("declined")) {
        return none("The last fill of the order was declined.");
    }
    let repeats = request.and_then(|request| request.get("numberOfRepeatsAllowed")).and_then(Value::as_i64);
    let whole = own.iter().filter(|dispense| {
        let is_part = dispense.value.get("type").is_some_and(|kind| rules.concepts.matches(PARTIAL, kind));
        text(&dispense.value, "status") == Some("completed") && !supply::is_reversed(dispense) && !is_part
    });
    let mut facts: Vec<i64> = whole.map(|dispense| dispense.fact).collect();
    facts.sort_unstable();
    facts.dedup();
    let filled = i64::try_from(facts.len()).unwrap_or(i64::MAX);
    let count = repeats.map(|repeats| (repeats - (filled - 1).max(0)).max(0));
    Left { count, why: (count == Some(0)).then_some("All refills were handed over.") }
}

/// Whether a dispense is a fill of the order: it names it, or names none and came after it was written.
fn fills(order: &Resource, dispense: &Resource) -> bool {
    let named: Vec<String> = each(&dispense.value, "authorizingPrescription")
        .iter()
        .filter_map(|reference| text(reference, "reference").and_then(local))
        .collect();
    if !named.is_empty() {
        return named.contains(&order.reference());
    }
    let authored = text(&order.value, "authoredOn").and_then(Moment::parse).map(|moment| moment.day());
    authored.zip(when(dispense)).is_some_and(|(authored, when)| when >= authored)
}

fn when(dispense: &Resource) -> Option<jiff::civil::Date> {
    let written = text(&dispense.value, "whenHandedOver").or_else(|| text(&dispense.value, "whenPrepared"));
    written.and_then(Moment::parse).map(|moment| moment.day())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::ledger::{How, Person};
    use crate::react::shipped;

    fn stored(value: Value) -> Resource {
        Resource {
            kind: text(&value, "resourceType").unwrap().to_owned(),
            id: text(&value, "id").unwrap().to_owned(),
            version: 1,
            fact: value["id"].as_str().unwrap().bytes().map(i64::from).sum(),
            source: String::from("pharmacy"),
            how: How::Live,
            learned: 0,
            person: Person(1),
            deleted: false,
            value: Arc::new(value),
        }
    }

    fn fill(id: &str, day: &str, status: &str) -> Resource {
        stored(json!({"resourceType": "MedicationDispense", "id": id, "status": status, "whenHandedOver": day,
            "authorizingPrescription": [{"reference": "MedicationRequest/o"}]}))
    }

    fn order(status: &str, request: &Value) -> Resource {
        stored(json!({"resourceType": "MedicationRequest", "id": "o", "status": status, "authoredOn": "2026-01-01",
            "dispenseRequest": request}))
    }

    fn count(order: &Resource, dispenses: &[Resource]) -> Left {
        let (rules, _) = Rules::read(&shipped());
        let now = "2026-06-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
        left(&rules, order, &dispenses.iter().collect::<Vec<_>>(), now)
    }

    #[test]
    fn three_repeats_are_four_fills() {
        let order = order("active", &json!({"numberOfRepeatsAllowed": 3}));
        let days = ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", "2026-05-01"];
        let left: Vec<Option<i64>> = (0..=5)
            .map(|fills| {
                let made: Vec<Resource> =
                    days[..fills].iter().enumerate().map(|(at, day)| fill(&format!("d{at}"), day, "completed")).collect();
                count(&order, &made).count
            })
            .collect();
        assert_eq!(left, [Some(3), Some(3), Some(2), Some(1), Some(0), Some(0)]);
    }

    #[test]
    fn a_fill_counts_once_and_only_when_it_stands() {
        let order = order("active", &json!({"numberOfRepeatsAllowed": 3}));
        let mut twin = fill("x", "2026-02-01", "completed");
        let first = fill("d", "2026-02-01", "completed");
        twin.fact = first.fact;
        let others = [first, twin, fill("e", "2026-03-01", "entered-in-error"), fill("f", "2026-03-01", "cancelled")];
        assert_eq!(count(&order, &others).count, Some(3));
        let mut foreign = fill("g", "2026-03-01", "completed");
        foreign.value = Arc::new(json!({"status": "completed", "whenHandedOver": "2026-03-01"}));
        assert_eq!(count(&order, &[fill("d", "2026-02-01", "completed"), foreign.clone()]).count, Some(2));
        foreign.value = Arc::new(json!({"status": "completed", "whenHandedOver": "2025-03-01"}));
        assert_eq!(count(&order, &[fill("d", "2026-02-01", "completed"), foreign]).count, Some(3));
    }

    #[test]
    fn an_order_that_is_over_has_none_left() {
        let repeats = json!({"numberOfRepeatsAllowed": 3});
        let past = json!({"numberOfRepeatsAllowed": 3, "validityPeriod": {"end": "2026-05-31"}});
        let open = json!({"numberOfRepeatsAllowed": 3, "validityPeriod": {"end": "2026-06-01"}});
        for (status, request, expected) in [
            ("stopped", &repeats, Some(0)),
            ("cancelled", &repeats, Some(0)),
            ("on-hold", &repeats, Some(0)),
            ("active", &past, Some(0)),
            ("active", &open, Some(3)),
            ("completed", &repeats, Some(3)),
            ("active", &json!({}), None),
        ] {
            let left = count(&order(status, request), &[fill("d", "2026-02-01", "completed")]);
            assert_eq!((left.count, left.why.is_some()), (expected, expected == Some(0)), "{status} {request}");
        }
        let declined = [fill("d", "2026-02-01", "completed"), fill("e", "2026-03-01", "declined")];
        assert_eq!(count(&order("active", &repeats), &declined).why, Some("The last fill of the order was declined."));
    }
}
