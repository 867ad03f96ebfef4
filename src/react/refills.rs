//! How many refills an order has left.
//! Follows <https://hl7.org/fhir/R4/medicationrequest-definitions.html#MedicationRequest.dispenseRequest.numberOfRepeatsAllowed>.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::cover::Fill;
use super::json::{contained, each, local, text};
use super::supply::{self, PARTIAL};
use super::{Resource, Rules, Story, zones};
use crate::fhir::time::Moment;

/// What is left of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// Refills that may still be handed over; `None` when the order does not say how many it allows.
    pub(crate) count: Option<i64>,
    /// Why there is none, where that is not a matter of counting.
    pub(crate) why: Option<&'static str>,
}

/// The order that a dispense fills, as far as the story knows it; one that stands inside the dispense has no id to be called by.
pub(crate) fn order_of<'a>(dispense: &'a Resource, story: &'a Story) -> Option<Cow<'a, Resource>> {
    each(&dispense.value, "authorizingPrescription").iter().filter_map(|one| text(one, "reference")).find_map(|reference| {
        if let Some(inside) = contained(&dispense.value, reference) {
            let (kind, value) = (String::from("MedicationRequest"), Arc::new(inside.clone()));
            return Some(Cow::Owned(Resource { kind, id: String::new(), value, ..dispense.clone() }));
        }
        story.find(&local(reference)?).filter(|order| !order.deleted).map(Cow::Borrowed)
    })
}

/// The dispenses of a product by which refills are counted: those that make its fills, and those by which one was declined.
pub(crate) fn dispenses<'a>(rules: &Rules, story: &'a Story, product: &str, fills: &[Fill]) -> Vec<&'a Resource> {
    let ids: BTreeSet<&str> = fills.iter().flat_map(|fill| &fill.dispenses).map(String::as_str).collect();
    let is_of = |value: &Value| rules.products.group(&rules.concepts, value, story).as_deref() == Some(product);
    let declined = |dispense: &Resource| text(&dispense.value, "status") == Some("declined") && is_of(&dispense.value);
    story.current("MedicationDispense").filter(|one| ids.contains(one.id.as_str()) || declined(one)).collect()
}

/// What is left of an order, with the dispenses of its product. The number allowed does not count the first fill.
pub(crate) fn left(rules: &Rules, story: &Story, order: &Resource, dispenses: &[&Resource]) -> Left {
    let none = |why| Left { count: Some(0), why: Some(why) };
    match text(&order.value, "status") {
        Some("stopped" | "cancelled" | "entered-in-error") => return none("The order was ended."),
        Some("on-hold") => return none("The order is on hold."),
        Some("draft") => return none("The order is not given yet."),
        _ => {}
    }
    let mut own: Vec<&Resource> = dispenses.iter().filter(|dispense| fills(order, dispense)).copied().collect();
    let newest = own.iter().max_by_key(|dispense| dispense.learned);
    let zone = supply::store(story, newest.map_or(&Value::Null, |dispense| &dispense.value)).zone;
    // What was declined was not handed over, and often says no day: then it counts from when it was heard of. Heard of together with a
    // fill, it is the last word.
    let is_declined = |dispense: &Resource| text(&dispense.value, "status") == Some("declined");
    own.sort_by_key(|one| (when(one).unwrap_or_else(|| learned(one, &zone)), one.learned, is_declined(one)));
    let request = order.value.get("dispenseRequest");
    let end = request.and_then(|request| request.get("validityPeriod")).and_then(|period| text(period, "end"));
    if end.and_then(Moment::parse).is_some_and(|end| end.span(&zone).high <= story.now) {
        return none("The order is valid no longer.");
    }
    if own.last().is_some_and(|last| is_declined(last)) {
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

/// Whether a dispense is a fill of the order: it names it, or holds the very same, or names none and came after it was written.
fn fills(order: &Resource, dispense: &Resource) -> bool {
    let references = || each(&dispense.value, "authorizingPrescription").iter().filter_map(|one| text(one, "reference"));
    let named: Vec<String> = references().filter_map(local).collect();
    if !named.is_empty() {
        return named.contains(&order.reference());
    }
    if references().filter_map(|reference| contained(&dispense.value, reference)).any(|inside| *inside == *order.value) {
        return true;
    }
    let authored = text(&order.value, "authoredOn").and_then(Moment::parse).map(|moment| moment.day());
    authored.zip(when(dispense)).is_some_and(|(authored, when)| when >= authored)
}

fn learned(dispense: &Resource, zone: &TimeZone) -> Date {
    zones::date(zones::day(dispense.learned, zone))
}

fn when(dispense: &Resource) -> Option<Date> {
    let written = text(&dispense.value, "whenHandedOver").or_else(|| text(&dispense.value, "whenPrepared"));
    written.and_then(Moment::parse).map(|moment| moment.day())
}

#[cfg(test)]
mod tests {
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
        let story = Story::bare(&"t".into(), Person(1), now, crate::react::Store::unknown(&TimeZone::UTC));
        left(&rules, &story, order, &dispenses.iter().collect::<Vec<_>>())
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
