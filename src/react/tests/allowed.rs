//! Who has no refill left is not told to fetch one: the gate says what the figure says.

use std::sync::Arc;

use jiff::civil::date;
use serde_json::{Value, json};

use super::{at, dispense, house, outcome, rules, store};
use crate::ledger::{Outcome, Person};
use crate::react::{Handed, Question, Story, adherence};

const ORDER: &str = "MedicationRequest/o";

fn order(id: &str, request: &Value, more: &Value) -> Value {
    let mut order = json!({"resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "subject": {"reference": "Patient/p"}, "authoredOn": "2026-01-01", "dispenseRequest": request,
        "medicationCodeableConcept": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]}});
    for (name, value) in more.as_object().into_iter().flatten() {
        order[name] = value.clone();
    }
    order
}

fn fill(id: &str, day: &str, order: &str) -> Value {
    let mut fill = dispense(id, day, 30);
    fill["authorizingPrescription"] = json!([{"reference": order}]);
    fill
}

fn with(mut resource: Value, name: &str, value: Value) -> Value {
    resource[name] = value;
    resource
}

/// What became of the reminder, with what `$adherence` says is left on the day on which it was decided.
fn told(facts: &[Value]) -> (Outcome, String, Option<i64>) {
    let rules = rules();
    let mut house = house(&rules, "2026-02-01T15:00:00Z");
    for fact in facts {
        house.hear(fact.clone());
    }
    house.advance(at("2026-02-27T16:00:00Z"));
    let (from, to) = (date(2026, 1, 1), date(2026, 2, 27));
    let question = Question { from, to, codes: Vec::new(), class: None, treatment: false, away: false };
    let supplies = Arc::new(Handed::of(house.supplies.values().cloned()));
    let resources = house.resources().cloned().collect();
    let story = Story { resources, supplies, ..Story::bare(&"t".into(), Person(1), house.now, store()) };
    let report = adherence(&rules, &story, "Patient/p", &question).unwrap();
    let parts = report["group"][0]["extension"].as_array().unwrap().iter();
    let left = parts.filter(|one| one["url"].as_str().unwrap().ends_with("refills-left"));
    let left = left.flat_map(|one| one["extension"].as_array().unwrap()).find(|one| one["url"] == "left");
    let (outcome, gate) = outcome(&house, "reminder");
    (outcome, gate, left.and_then(|left| left["valueInteger"].as_i64()))
}

fn partial(code: &str) -> Value {
    json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}]})
}

#[test]
fn the_gate_stops_where_the_figure_says_none() {
    let (none, one) = (json!({"numberOfRepeatsAllowed": 0}), json!({"numberOfRepeatsAllowed": 1}));
    let now = fill("a", "2026-02-01", ORDER);
    let plain = Value::Null;
    let declined = with(dispense("b", "2026-02-02", 30), "status", json!("declined"));
    let declined = with(declined, "authorizingPrescription", json!([{"reference": ORDER}]));
    let mut undated = declined.clone();
    undated.as_object_mut().unwrap().shift_remove("whenHandedOver");
    let part = with(
        fill("b", "2026-01-19", ORDER),
        "daysSupply",
        json!({"value": 10, "code": "d", "system": "http://unitsofmeasure.org"}),
    );
    let mut unwritten = order("o", &none, &plain);
    unwritten.as_object_mut().unwrap().shift_remove("authoredOn");
    for (what, facts, left) in [
        ("one is left", vec![order("o", &one, &plain), now.clone()], Some(1)),
        ("nothing is said of how many", vec![order("o", &json!({}), &plain), now.clone()], None),
        ("none was ever allowed", vec![order("o", &none, &plain), now.clone()], Some(0)),
        ("the last was declined", vec![order("o", &one, &plain), now.clone(), declined], Some(0)),
        ("the last was declined, it is not said when", vec![order("o", &one, &plain), now.clone(), undated], Some(0)),
        ("the order has no date", vec![unwritten, now.clone()], Some(0)),
        (
            "the order was written after the fill",
            vec![order("o", &none, &json!({"authoredOn": "2026-02-02"})), now.clone()],
            Some(0),
        ),
        (
            "another strength has an order of its own",
            vec![
                order("o", &one, &plain),
                order("x", &one, &json!({"authoredOn": "2026-01-02"})),
                fill("b", "2026-01-03", "MedicationRequest/x"),
                now.clone(),
            ],
            Some(1),
        ),
        (
            "a part and its rest",
            vec![order("o", &one, &plain), with(part, "type", partial("FFP")), with(now.clone(), "type", partial("FFC"))],
            Some(1),
        ),
        ("both were fetched", vec![order("o", &one, &plain), fill("b", "2026-01-03", ORDER), now.clone()], Some(0)),
        ("it is a draft", vec![order("o", &one, &json!({"status": "draft"})), now.clone()], Some(0)),
    ] {
        let expected = if left == Some(0) { (Outcome::Stopped, "therapy") } else { (Outcome::Fired, "") };
        assert_eq!(told(&facts), (expected.0, expected.1.to_owned(), left), "{what}");
    }
}

// An order that stands inside its dispenses has no name to be called by: it is told by what it says.
#[test]
fn an_order_inside_its_dispense_is_counted_too() {
    for (repeats, fills, expected) in [(0, 1, Outcome::Stopped), (1, 1, Outcome::Fired), (1, 2, Outcome::Stopped)] {
        let mut inside = order("o", &json!({"numberOfRepeatsAllowed": repeats}), &Value::Null);
        inside.as_object_mut().unwrap().shift_remove("authoredOn");
        let days = ["2026-02-01", "2026-01-03"];
        let made = days[..fills].iter().map(|day| with(fill(day, day, "#o"), "contained", json!([inside])));
        assert_eq!(told(&made.collect::<Vec<_>>()).0, expected, "{repeats} {fills}");
    }
}

// The order ends with its last day where the store stands: in New York, five hours after it does in Greenwich.
#[test]
fn an_order_is_valid_until_its_last_day_ends_in_the_store() {
    let rules = rules();
    for (end, expected) in [("2026-02-26", Outcome::Stopped), ("2026-02-27", Outcome::Fired)] {
        let mut house = house(&rules, "2026-02-01T15:00:00Z");
        house.hear(order("o", &json!({"validityPeriod": {"end": end}}), &Value::Null));
        house.hear(fill("a", "2026-02-01", ORDER));
        // It was held until the evening of the 27th in New York, when the 28th has begun in Greenwich.
        house.settings.treatment = crate::react::Unasked::Held;
        house.advance(at("2026-02-28T00:30:00Z"));
        house.hear(json!({"resourceType": "Consent", "id": "c", "status": "active", "patient": {"reference": "Patient/p"},
            "dateTime": "2026-02-27", "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}}));
        assert_eq!(outcome(&house, "reminder").0, expected, "{end}");
    }
}

// The store may call all the same, and see to a new order.
#[test]
fn the_call_does_not_ask_how_many_are_left() {
    let rules = rules();
    let mut house = house(&rules, "2026-02-01T15:00:00Z");
    house.hear(order("o", &json!({"numberOfRepeatsAllowed": 0}), &Value::Null));
    house.hear(fill("a", "2026-02-01", ORDER));
    house.advance(at("2026-03-05T00:00:00Z"));
    assert_eq!((outcome(&house, "reminder").0, outcome(&house, "call").0), (Outcome::Stopped, Outcome::Fired));
}
