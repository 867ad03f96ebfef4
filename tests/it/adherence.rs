//! How well a patient is covered: the worked examples with their published figures, and what must not count.
//! Follows <https://hl7.org/fhir/R4/measurereport.html>.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{With, bundle, dispense, patient, store};
use crate::house::House;

/// A patient with fills of lisinopril: the day handed over and the days supplied.
async fn with_fills(fills: &[(&str, i64)]) -> House {
    let house = House::new().await;
    let mut entries = vec![
        ("PUT", String::from("Patient/ada"), patient("ada")),
        ("PUT", String::from("Organization/store-1"), store("store-1")),
    ];
    for (at, (day, days)) in fills.iter().enumerate() {
        let id = format!("d{at}");
        entries.push(("PUT", format!("MedicationDispense/{id}"), fill(&id, day, *days)));
    }
    let entries: Vec<(&str, &str, Value)> =
        entries.iter().map(|(method, url, value)| (*method, url.as_str(), value.clone())).collect();
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    house.beat().await;
    house
}

fn fill(id: &str, day: &str, days: i64) -> Value {
    dispense(id, "ada", day)
        .with("whenHandedOver", day)
        .with("daysSupply", json!({"value": days, "code": "d", "system": "http://unitsofmeasure.org"}))
}

async fn asked(house: &House, window: &str) -> Answer {
    house.get(&format!("Patient/ada/$adherence?{window}")).await.is(200)
}

/// Numerator, denominator and value of a figure in the first group, by the name of its definition.
fn figure(told: &Answer, definition: &str) -> (i64, i64, String) {
    let extensions = told.at("/group/0/extension").as_array().cloned().unwrap_or_default();
    let part = |figure: &Value, name: &str| {
        figure["extension"].as_array().unwrap().iter().find(|part| part["url"] == name).cloned().unwrap_or_default()
    };
    let figures = extensions.iter().filter(|one| one["url"].as_str().unwrap().ends_with("adherence-figure"));
    let found = figures.into_iter().find(|one| part(one, "definition")["valueCode"] == definition);
    let found = found.unwrap_or_else(|| panic!("no {definition} in {}", told.text));
    let number = |name: &str| part(found, name)["valueInteger"].as_i64().unwrap();
    (number("numerator"), number("denominator"), part(found, "value")["valueDecimal"].to_string())
}

fn extension(told: &Answer, name: &str) -> Value {
    let extensions = told.at("/group/0/extension").as_array().cloned().unwrap_or_default();
    extensions.into_iter().find(|one| one["url"].as_str().unwrap().ends_with(name)).unwrap_or_default()
}

// Worked example 1: early fills carry over; the report names patient, window, product, parts and what it rests on.
#[tokio::test(flavor = "multi_thread")]
async fn early_fills_carry_over() {
    let house = with_fills(&[("2024-01-01", 30), ("2024-01-25", 30), ("2024-03-10", 30)]).await;
    let told = asked(&house, "start=2024-01-01&end=2024-03-31").await;
    assert_eq!(told.at("/resourceType"), "MeasureReport");
    assert_eq!(
        (told.at("/subject/reference"), told.at("/period")),
        (json!("Patient/ada"), json!({"start": "2024-01-01", "end": "2024-03-31"}))
    );
    assert_eq!(told.at("/group").as_array().unwrap().len(), 1);
    assert_eq!(told.at("/group/0/measureScore/value").to_string(), "0.901099");
    assert_eq!((told.at("/group/0/population/0/count"), told.at("/group/0/population/1/count")), (json!(91), json!(82)));
    assert_eq!(figure(&told, "pdc"), (82, 91, String::from("0.901099")));
    assert_eq!(extension(&told, "supply-runs-out")["valueDate"], "2024-04-08");
    assert_eq!(extension(&told, "adherence-adherent")["valueBoolean"], true);
    assert!(told.at("/group/0/code/coding").to_string().contains("314076"), "{}", told.text);
    assert_eq!(told.at("/evaluatedResource/0/reference"), "MedicationDispense/d0/_history/1");
    // What is told is a resource like any other.
    house.ask("POST", "MeasureReport").json(&told.json()).await.is(201);
}

// Worked examples 2 and 3: the figures that the AdhereR vignette prints for its two patients.
#[tokio::test(flavor = "multi_thread")]
async fn the_published_figures_are_met() {
    let first = [
        ("2035-12-13", 30),
        ("2036-01-18", 30),
        ("2036-01-23", 60),
        ("2036-04-25", 60),
        ("2036-08-08", 60),
        ("2036-10-03", 60),
        ("2036-11-29", 60),
        ("2036-12-21", 30),
        ("2037-01-05", 30),
    ];
    let told = asked(&with_fills(&first).await, "start=2036-06-12&end=2037-06-11").await;
    assert_eq!(figure(&told, "pdc"), (252, 365, String::from("0.690411")));
    assert_eq!(figure(&told, "mpr"), (210, 150, String::from("1.400000")));
    assert_eq!(figure(&told, "mpr-capped"), (150, 150, String::from("1.000000")));
    assert_eq!(figure(&told, "mpr-to-end"), (240, 308, String::from("0.779221")));
    let second = [
        ("2036-04-10", 50),
        ("2036-07-30", 50),
        ("2036-09-15", 50),
        ("2037-01-02", 30),
        ("2037-01-31", 30),
        ("2037-05-09", 30),
        ("2037-08-13", 30),
    ];
    let told = asked(&with_fills(&second).await, "start=2036-10-09&end=2037-10-08").await;
    assert_eq!(figure(&told, "pdc"), (149, 365, String::from("0.408219")));
    assert_eq!(figure(&told, "mpr"), (90, 223, String::from("0.403587")));
}

// Worked example 4: what reaches over the end of the window does not count; counted from the first fill, the window is shorter.
#[tokio::test(flavor = "multi_thread")]
async fn the_window_is_the_denominator_unless_asked_otherwise() {
    let house = with_fills(&[("2005-02-17", 30), ("2005-06-13", 30), ("2005-08-11", 30)]).await;
    let told = asked(&house, "start=2005-02-17&end=2005-08-15").await;
    assert_eq!(figure(&told, "pdc"), (65, 180, String::from("0.361111")));
    assert_eq!(extension(&told, "adherence-adherent")["valueBoolean"], false);
    let year = asked(&house, "start=2005-01-01&end=2005-08-15").await;
    assert_eq!(figure(&year, "pdc"), (65, 227, String::from("0.286344")));
    let treated = asked(&house, "start=2005-01-01&end=2005-08-15&denominator=treatment").await;
    assert_eq!(figure(&treated, "pdc"), (65, 180, String::from("0.361111")));
    house.put(&patient("ada").with("deceasedDateTime", "2005-08-10")).await.is(200);
    let died = asked(&house, "start=2005-01-01&end=2005-08-15&denominator=treatment").await;
    assert_eq!(figure(&died, "pdc"), (60, 175, String::from("0.342857")));
}

// Only what was handed over and stands counts; taking the middle fill back counts everything after it anew.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_stands_counts() {
    let house = with_fills(&[("2026-01-01", 30), ("2026-01-25", 30), ("2026-02-20", 30)]).await;
    let window = "start=2026-01-01&end=2026-03-31";
    assert_eq!(figure(&asked(&house, window).await, "pdc"), (90, 90, String::from("1.000000")));
    for status in ["preparation", "in-progress", "on-hold", "cancelled", "declined", "stopped", "entered-in-error", "unknown"] {
        house.put(&fill("d1", "2026-01-25", 30).with("status", status)).await.is(200);
        house.beat().await;
        assert_eq!(figure(&asked(&house, window).await, "pdc"), (60, 90, String::from("0.666667")), "{status}");
    }
    house.put(&fill("d1", "2026-01-25", 15)).await.is(200);
    house.beat().await;
    assert_eq!(figure(&asked(&house, window).await, "pdc").0, 75);
    house.delete("MedicationDispense/d1").await.is(204);
    house.beat().await;
    assert_eq!(figure(&asked(&house, window).await, "pdc").0, 60);
}

// The same facts in any order, told twice, in parts, or with a correction on the way lead to the same figures.
#[tokio::test(flavor = "multi_thread")]
async fn any_order_and_repetition_gives_the_same_figures() {
    let fills = [("a", "2026-01-01", 30), ("b", "2026-01-20", 30), ("c", "2026-03-15", 15), ("c2", "2026-03-15", 15)];
    let mut answers = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
        let house = with_fills(&[]).await;
        for at in order {
            let (id, day, days) = fills[at];
            house.put(&fill(id, "2026-02-02", 7)).await.is(201);
            house.put(&fill(id, day, days)).await.is(200);
            house.post(&fill(id, day, days).with("id", Value::Null)).await.is(201);
        }
        house.beat().await;
        let told = asked(&house, "start=2026-01-01&end=2026-04-30").await;
        answers.push((figure(&told, "pdc"), figure(&told, "mpr"), extension(&told, "supply-runs-out")));
    }
    assert_eq!(answers[0].0, (90, 120, String::from("0.750000")));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

// A product that cannot be counted is no zero: the score is absent, and what was passed over is named with its reason.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_counted_is_named() {
    let house = with_fills(&[]).await;
    let bare = |id: &str| fill(id, "2026-01-01", 30).with("daysSupply", Value::Null);
    house.put(&bare("unknown")).await.is(201);
    house.put(&bare("dayless").with("whenHandedOver", Value::Null)).await.is(201);
    let wrong = json!({"value": 30, "code": "mg", "system": "http://unitsofmeasure.org"});
    house.put(&bare("milligrams").with("daysSupply", wrong)).await.is(201);
    house.beat().await;
    let told = asked(&house, "start=2026-01-01&end=2026-01-31").await;
    assert_eq!(told.at("/group/0/measureScore/value"), Value::Null);
    assert_eq!(told.at("/group/0/measureScore/extension/0/valueCode"), "unknown");
    let group = told.at("/group/0/extension").to_string();
    for id in ["unknown", "milligrams"] {
        assert!(group.contains(&format!("MedicationDispense/{id}/_history/1")), "{id}: {}", told.text);
    }
    assert!(told.at("/extension").to_string().contains("MedicationDispense/dayless/_history/1"), "{}", told.text);
}

// A group for each product; a code or an ingredient asks for one; a class counts a day once, whichever drug is in hand.
#[tokio::test(flavor = "multi_thread")]
async fn products_are_counted_apart_unless_a_class_is_asked_for() {
    let house = with_fills(&[("2026-01-01", 30)]).await;
    let metformin = json!({"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]});
    house.put(&fill("m", "2026-01-11", 30).with("medicationCodeableConcept", metformin)).await.is(201);
    house.beat().await;
    let window = "start=2026-01-01&end=2026-02-28";
    assert_eq!(asked(&house, window).await.at("/group").as_array().unwrap().len(), 2);
    for code in [
        "860975",
        "http://www.nlm.nih.gov/research/umls/rxnorm|860975",
        "https://signa.example/fhir/CodeSystem/ingredient|metformin",
    ] {
        let told = asked(&house, &format!("{window}&code={code}")).await;
        assert_eq!(told.at("/group").as_array().map(Vec::len), Some(1), "{code}: {}", told.text);
        assert_eq!(figure(&told, "pdc").0, 30);
    }
    assert_eq!(asked(&house, &format!("{window}&code=nothing")).await.at("/group"), Value::Null);
    house.get(&format!("Patient/ada/$adherence?{window}&class=urn:none")).await.is(404);
}

// A class that lists ingredients holds the products made of them; a product that is named by a Medication, stored or contained, is known
// by its code, also where nobody knows what it is made of.
#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_found_by_class_and_code_however_it_is_named() {
    let house = with_fills(&[("2026-01-01", 30)]).await;
    let rxnorm = |code: &str| json!({"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code}]});
    let amlodipine = fill("a", "2026-01-21", 30).with("medicationCodeableConcept", rxnorm("197361"));
    house.put(&amlodipine).await.is(201);
    house.beat().await;
    let window = "start=2026-01-01&end=2026-02-28";
    let class = format!("{window}&class=https://signa.example/fhir/ValueSet/antihypertensives");
    let told = asked(&house, &class).await;
    assert_eq!((figure(&told, "pdc").0, &extension(&told, "adherence-fills")["valueInteger"]), (50, &json!(2)), "{}", told.text);
    let none = asked(&house, &format!("{window}&class=https://signa.example/fhir/ValueSet/antidiabetics")).await;
    assert_eq!(extension(&none, "adherence-fills")["valueInteger"], 0);
    for code in ["314076", "99999"] {
        let house = with_fills(&[]).await;
        let medication = json!({"resourceType": "Medication", "id": "m", "code": rxnorm(code)});
        house.put(&medication).await.is(201);
        let bare = |id: &str, day: &str| fill(id, day, 30).with("medicationCodeableConcept", Value::Null);
        let stored = bare("stored", "2026-01-01").with("medicationReference", json!({"reference": "Medication/m"}));
        let inside = bare("inside", "2026-01-31").with("medicationReference", json!({"reference": "#m"}));
        house.put(&stored).await.is(201);
        house.put(&inside.with("contained", json!([medication]))).await.is(201);
        house.beat().await;
        let told = asked(&house, &format!("{window}&code={code}")).await;
        assert_eq!(figure(&told, "pdc").0, 59, "{code}: {}", told.text);
        assert!(told.at("/group/0/code/coding").to_string().contains(code), "{}", told.text);
    }
}

// Days in hospital come out when that is asked for, and what is in hand lasts longer by them.
#[tokio::test(flavor = "multi_thread")]
async fn days_in_hospital_may_come_out() {
    let house = with_fills(&[("2026-01-01", 30)]).await;
    house
        .put(&json!({"resourceType": "Encounter", "id": "stay", "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "subject": {"reference": "Patient/ada"}, "period": {"start": "2026-01-11", "end": "2026-01-20"}}))
        .await
        .is(201);
    house.beat().await;
    let window = "start=2026-01-01&end=2026-03-01";
    assert_eq!(figure(&asked(&house, window).await, "pdc"), (30, 60, String::from("0.500000")));
    let told = asked(&house, &format!("{window}&stays=excluded")).await;
    assert_eq!(figure(&told, "pdc"), (30, 50, String::from("0.600000")));
    assert_eq!(extension(&told, "supply-runs-out")["valueDate"], "2026-02-09");
}

// Three repeats are four fills; an order that is over has none left.
#[tokio::test(flavor = "multi_thread")]
async fn refills_left_are_told_with_their_order() {
    let house = with_fills(&[("2026-01-01", 30), ("2026-01-31", 30)]).await;
    let order = |status: &str| {
        json!({"resourceType": "MedicationRequest", "id": "o", "status": status, "intent": "order", "authoredOn": "2026-01-01",
            "subject": {"reference": "Patient/ada"}, "medicationCodeableConcept": fill("x", "2026-01-01", 1)["medicationCodeableConcept"],
            "dispenseRequest": {"numberOfRepeatsAllowed": 3}})
    };
    for (status, left, answer) in [("active", 2, 201), ("stopped", 0, 200)] {
        house.put(&order(status)).await.is(answer);
        house.beat().await;
        let told = extension(&asked(&house, "start=2026-01-01&end=2026-03-31").await, "refills-left").to_string();
        assert!(told.contains(&format!(r#""url":"left","valueInteger":{left}"#)), "{status}: {told}");
        assert!(told.contains("MedicationRequest/o/_history/"), "{told}");
    }
}

// What is not asked rightly is refused with its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_question_is_refused() {
    let house = with_fills(&[]).await;
    for (query, place) in [
        ("", "http.start"),
        ("start=2026-01-01", "http.end"),
        ("start=x&end=2026-01-31", "http.start"),
        ("start=2026-02-30&end=2026-03-31", "http.start"),
        ("start=2026-02-01&end=2026-01-31", "http.end"),
        ("start=1800-01-01&end=2026-01-31", "http.end"),
        ("start=2026-01-01&end=2026-01-31&denominator=half", "http.denominator"),
        ("start=2026-01-01&end=2026-01-31&stays=maybe", "http.stays"),
        ("start=2026-01-01&start=2025-01-01&end=2026-01-31", "http.start"),
        ("start=2026-01-01&end=2026-01-31&class=a&class=b", "http.class"),
    ] {
        let refused = house.get(&format!("Patient/ada/$adherence?{query}")).await.is(400);
        assert_eq!(refused.expressions(), [place], "{query}");
    }
    house.get("Patient/nobody/$adherence?start=2026-01-01&end=2026-01-31").await.is(404);
    house.ask("PUT", "Patient/ada/$adherence").send().await.is(405);
}

// A dispense that was handed over before it was prepared is refused; one that says no day is taken, and counts nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispense_is_prepared_before_it_is_handed_over() {
    let house = with_fills(&[]).await;
    let wrong =
        fill("w", "2026-01-01", 30).with("whenHandedOver", "2026-01-01T10:00:00Z").with("whenPrepared", "2026-01-02T10:00:00Z");
    let refused = house.put(&wrong).await.is(422);
    assert_eq!(refused.at("/issue/0/details/coding/0/code"), "mdd-1");
    // Prepared and not yet handed over by what it says, but completed: the day it was prepared counts.
    let prepared = fill("p", "2026-01-01", 30).with("whenHandedOver", Value::Null).with("whenPrepared", "2026-01-05");
    house.put(&prepared).await.is(201);
    house.beat().await;
    assert_eq!(figure(&asked(&house, "start=2026-01-01&end=2026-02-09").await, "pdc"), (30, 40, String::from("0.750000")));
}

// The question waits for what was just recorded, and answers all the same when that takes too long.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_waits_for_what_was_just_recorded() {
    let house = with_fills(&[]).await;
    for at in 0..5 {
        house.put(&fill(&format!("d{at}"), "2026-01-01", 10)).await.is(201);
        let question = asked(&house, "start=2026-01-01&end=2026-04-10");
        let (told, ()) = tokio::join!(question, house.beat());
        assert_eq!(figure(&told, "pdc").0, 10 * (at + 1), "{at}");
    }
    house.put(&fill("late", "2026-02-20", 10)).await.is(201);
    assert_eq!(figure(&asked(&house, "start=2026-01-01&end=2026-04-10").await, "pdc").0, 50);
}
