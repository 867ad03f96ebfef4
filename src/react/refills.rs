//! How many refills an order has left.
//! Follows <https://hl7.org/fhir/R4/medicationrequest-definitions.html#MedicationRequest.dispenseRequest.numberOfRepeatsAllowed>.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::cover::Fill;
use super::json::{contained, each, local, text};
use super::products::{self, Filled};
use super::supply::{self, PARTIAL};
use super::{KIND_MAX, Resource, Rules, Story, zones};
use crate::fhir::time::Moment;

/// What is left of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// Refills that may still be handed over; `None` when the order does not say how many it allows.
    pub(crate) count: Option<i64>,
    /// Why none may be fetched any more.
    pub(crate) why: Option<&'static str>,
}

/// The order that a dispense fills, as far as the story knows it; one that stands inside the dispense has no id to be called by.
pub(crate) fn order_of<'a>(dispense: &'a Resource, story: &'a Story) -> Option<Cow<'a, Resource>> {
    Some(match products::filled(&dispense.value, story)? {
        Filled::Stored(order) => Cow::Borrowed(order),
        Filled::Inside(order) => {
            let (kind, value) = (String::from("MedicationRequest"), Arc::new(order.clone()));
            Cow::Owned(Resource { kind, id: String::new(), value, ..dispense.clone() })
        }
    })
}

/// Whether an order of a product, other than this one, goes on and has a fill left; the dispenses are those of the product, as far as
/// they are loaded.
pub(crate) fn goes_on(rules: &Rules, story: &Story, product: &str, dispenses: &Dispenses, beside: &str) -> bool {
    story.current("MedicationRequest").filter(|order| !order.is(beside)).any(|order| {
        let is_order = !matches!(text(&order.value, "intent"), Some("proposal" | "plan" | "option"));
        let forbids = order.value.get("doNotPerform").and_then(Value::as_bool) == Some(true);
        let is_active = is_order && !forbids && text(&order.value, "status") == Some("active");
        is_active
            && rules.products.group(&rules.concepts, &order.value, story).as_deref() == Some(product)
            && left(rules, story, order, dispenses).why.is_none()
    })
}

/// Medications of orders that are read at most.
const BEHIND_MAX: usize = 32;

/// `Type/id` of the Medications of orders that go on, and of what was declined: of which product they are. Of more, those told of last.
pub(super) fn behind(resources: &[Resource]) -> Vec<String> {
    let asks = |one: &&Resource| match one.kind.as_str() {
        "MedicationRequest" => text(&one.value, "status") == Some("active"),
        "MedicationDispense" => text(&one.value, "status") == Some("declined"),
        _ => false,
    };
    let mut asking: Vec<&Resource> = resources.iter().filter(|one| !one.deleted).filter(asks).collect();
    asking.sort_by_key(|one| Reverse(one.learned));
    let mut found = Vec::new();
    for medication in asking.into_iter().filter_map(|one| products::medication(&one.value)) {
        if !found.contains(&medication) {
            found.push(medication);
        }
    }
    found.truncate(BEHIND_MAX);
    found
}

/// By what refills of a product are counted.
#[derive(Debug, Default)]
pub(crate) struct Dispenses<'a> {
    /// The dispenses that make its fills, and those by which one was declined.
    told: Vec<&'a Resource>,
    /// The days of fills of which no dispense is loaded, since so many are newer: which order they are of is not known.
    beyond: Vec<i64>,
}

/// The dispenses of a product by which refills are counted.
pub(crate) fn dispenses<'a>(rules: &Rules, story: &'a Story, product: &str, fills: &[Fill]) -> Dispenses<'a> {
    let ids: BTreeSet<&str> = fills.iter().flat_map(|fill| &fill.dispenses).map(String::as_str).collect();
    let is_of = |value: &Value| rules.products.group(&rules.concepts, value, story).as_deref() == Some(product);
    let declined = |dispense: &Resource| text(&dispense.value, "status") == Some("declined") && is_of(&dispense.value);
    let loaded = || story.current("MedicationDispense");
    let known: BTreeSet<&str> = loaded().map(|one| one.id.as_str()).collect();
    let is_cut = known.len() >= KIND_MAX;
    let beyond = fills.iter().filter(|fill| is_cut && !fill.dispenses.iter().any(|id| known.contains(id.as_str())));
    let told = loaded().filter(|one| ids.contains(one.id.as_str()) || declined(one)).collect();
    Dispenses { told, beyond: beyond.map(|fill| fill.handed).collect() }
}

/// What is left of an order, with the dispenses of its product. The number allowed does not count the first fill.
pub(crate) fn left(rules: &Rules, story: &Story, order: &Resource, dispenses: &Dispenses) -> Left {
    let none = |why| Left { count: Some(0), why: Some(why) };
    match text(&order.value, "status") {
        Some("stopped" | "cancelled" | "entered-in-error") => return none("The order was ended."),
        Some("on-hold") => return none("The order is on hold."),
        Some("draft") => return none("The order is not given yet."),
        _ => {}
    }
    let mut own: Vec<&Resource> = dispenses.told.iter().filter(|dispense| fills(order, dispense)).copied().collect();
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
    let since = authored(order).map(zones::number);
    let beyond = dispenses.beyond.iter().filter(|day| since.is_some_and(|since| **day >= since)).count();
    let filled = i64::try_from(facts.len() + beyond).unwrap_or(i64::MAX);
    let count = repeats.map(|repeats| (repeats - (filled - 1).max(0)).max(0));
    Left { count, why: (count == Some(0) && filled > 0).then_some("All refills were handed over.") }
}

/// Whether a dispense is a fill of the order: it names it, or holds it, or does not say which it is of and came after it was written.
fn fills(order: &Resource, dispense: &Resource) -> bool {
    let references = || each(&dispense.value, "authorizingPrescription").iter().filter_map(|one| text(one, "reference"));
    let named: Vec<String> = references().filter_map(local).collect();
    if !named.is_empty() {
        return named.contains(&order.reference());
    }
    let told: Vec<Option<bool>> = references()
        .filter_map(|reference| contained(&dispense.value, reference))
        .map(|inside| is_same(inside, &order.value))
        .collect();
    if told.contains(&Some(true)) || (!told.is_empty() && !told.contains(&None)) {
        return told.contains(&Some(true));
    }
    authored(order).zip(when(dispense)).is_some_and(|(authored, when)| when >= authored)
}

fn authored(order: &Resource) -> Option<Date> {
    text(&order.value, "authoredOn").and_then(Moment::parse).map(|moment| moment.day())
}

/// Whether two copies are of one order: by their identifiers where both have some. Else they are if they say the same, however far it
/// has come and by whichever id it stands there; what says something else may be the same order or another.
fn is_same(one: &Value, other: &Value) -> Option<bool> {
    let numbers = |order: &Value| -> BTreeSet<(String, String)> {
        let each = each(order, "identifier").iter();
        each.filter_map(|one| Some((text(one, "system")?.to_owned(), text(one, "value")?.to_owned()))).collect()
    };
    let (own, others) = (numbers(one), numbers(other));
    if !own.is_empty() && !others.is_empty() {
        return Some(!own.is_disjoint(&others));
    }
    let said = |order: &Value| {
        let mut said = order.clone();
        if let Some(members) = said.as_object_mut() {
            members.retain(|name, _| !["id", "meta", "status"].contains(&name.as_str()));
        }
        said
    };
    (said(one) == said(other)).then_some(true)
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
        left(&rules, &story, order, &Dispenses { told: dispenses.iter().collect(), beyond: Vec::new() })
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

    /// A fill whose order stands inside it.
    fn holding(id: &str, day: &str, inside: &Value) -> Resource {
        let mut holding = fill(id, day, "completed");
        let value = Arc::make_mut(&mut holding.value);
        value["contained"] = json!([inside]);
        value["authorizingPrescription"] = json!([{"reference": format!("#{}", inside["id"].as_str().unwrap())}]);
        holding
    }

    #[test]
    fn an_order_inside_a_dispense_is_told_from_another() {
        let request = json!({"numberOfRepeatsAllowed": 3});
        let inside = |id: &str, number: &str, status: &str| {
            json!({"resourceType": "MedicationRequest", "id": id, "status": status, "authoredOn": "2026-01-01",
                "identifier": [{"system": "urn:rx", "value": number}], "dispenseRequest": request})
        };
        let known = stored(inside("o", "1", "active"));
        let bare = |id: &str| {
            json!({"resourceType": "MedicationRequest", "id": id, "status": "active", "authoredOn": "2026-01-01",
            "dispenseRequest": request})
        };
        for (order, second, left) in [
            (&known, inside("x", "1", "completed"), 2),
            (&known, inside("o", "2", "active"), 3),
            (&known, json!({"resourceType": "MedicationRequest", "id": "x"}), 2),
            (&stored(bare("o")), bare("x"), 2),
        ] {
            let first = holding("d", "2026-01-01", &order.value);
            let made = [first, holding("e", "2026-02-01", &second)];
            assert_eq!(count(order, &made).count, Some(left), "{second}");
        }
    }

    #[test]
    fn what_is_beyond_the_bound_of_a_story_is_counted_by_its_day() {
        let (rules, _) = Rules::read(&shipped());
        let now = "2026-06-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let order = order("active", &json!({"numberOfRepeatsAllowed": 3}));
        let day = |text: &str| zones::number(text.parse().unwrap());
        let of = |id: &str, handed: &str| Fill {
            handed: day(handed),
            first: day(handed),
            last: None,
            days: 0,
            step: String::new(),
            dispenses: vec![id.to_owned()],
            copies: Vec::new(),
        };
        let fills = [of("before", "2025-12-01"), of("old", "2026-01-01"), of("d", "2026-02-01")];
        for (others, left_over) in [(KIND_MAX - 1, 2), (KIND_MAX - 2, 3)] {
            let mut story = Story::bare(&"t".into(), Person(1), now, crate::react::Store::unknown(&TimeZone::UTC));
            story.resources = (0..others).map(|at| fill(&format!("x{at}"), "2026-03-01", "completed")).collect();
            story.resources.push(fill("d", "2026-02-01", "completed"));
            let found = left(&rules, &story, &order, &dispenses(&rules, &story, "p", &fills));
            assert_eq!(found.count, Some(left_over), "{others}");
        }
    }

    #[test]
    fn the_medications_of_the_latest_orders_are_read_once_each() {
        let order = |at: usize, status: &str| {
            let value = json!({"resourceType": "MedicationRequest", "id": format!("o{at}"), "status": status,
                "medicationReference": {"reference": format!("Medication/m{}", at / 2)}});
            let mut order = stored(value);
            order.learned = i64::try_from(at).unwrap();
            order
        };
        let mut orders: Vec<Resource> = (0..2 * BEHIND_MAX + 10).map(|at| order(at, "active")).collect();
        orders.push(order(1_000, "completed"));
        let found = behind(&orders);
        assert_eq!((found.len(), found.first().map(String::as_str)), (BEHIND_MAX, Some("Medication/m36")));
        assert_eq!(found.last().map(String::as_str), Some("Medication/m5"));
    }
}
