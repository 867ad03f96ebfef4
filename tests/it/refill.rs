//! From one fill to the next: advice, reminder and call follow the supply, and what makes them pointless takes them back.

use serde_json::json;

use crate::builders::{Purpose, With, consent, dispense, hypertension, patient, store};
use crate::database::Database;
use crate::diary::{diary, texts};
use crate::golden::golden;
use crate::house::House;

const USUAL: [&str; 3] =
    ["2026-06-04 instruction completed", "2026-06-26 reminder completed", "2026-07-01 refill-call requested"];

/// A store, and Ada with hypertension, who agreed to be written to.
pub(crate) async fn with_ada() -> House {
    with_ada_on(Database::sqlite()).await
}

async fn with_ada_on(database: Database) -> House {
    let house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
    house.put(&hypertension("c", "ada")).await.is(201);
    house.beat().await;
    house
}

// Thirty days of supply lead to advice on day 3, a reminder four days before their end and a call the day after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_fill_leads_to_advice_a_reminder_and_a_call() {
    let house = with_ada().await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.days(31).await;
    assert_eq!(diary(&house, "ada").await, USUAL);

    let said = house.all("Communication?subject=Patient/ada").await;
    let asked = house.all("Task?owner=Organization/store-1&status=requested").await;
    let stable = |value: &serde_json::Value| serde_json::from_str(&house.stable(&value.to_string())).unwrap();
    golden("reminder.json", &stable(said.iter().find(|one| one["category"][0]["coding"][0]["code"] == "reminder").unwrap()));
    golden("call.json", &stable(&asked[0]));
}

// The same dispense sent twice, as two resources with one identifier, is one fact: nothing is said twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_dispense_twice_is_said_once() {
    let house = with_ada().await;
    let sent = dispense("d", "ada", "2026-06-01").with("id", serde_json::Value::Null);
    house.post(&sent).await.is(201);
    house.post(&sent).await.is(201);
    house.days(35).await;
    assert_eq!(house.count("MedicationDispense").await, 2);
    assert_eq!(diary(&house, "ada").await, USUAL);
}

// A refill ten days before the end carries over: the reminder and the call move by its thirty days.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_refill_moves_the_dates() {
    let house = with_ada().await;
    house.put(&dispense("d1", "ada", "2026-06-01")).await.is(201);
    house.days(19).await;
    house.put(&dispense("d2", "ada", "2026-06-20")).await.is(201);
    house.days(46).await;
    let expected = [
        "2026-06-04 instruction completed",
        "2026-06-23 instruction completed",
        "2026-07-26 reminder completed",
        "2026-07-31 refill-call requested",
    ];
    assert_eq!(diary(&house, "ada").await, expected);
}

// A reversed dispense supplies nothing: what was not yet said is never said.
#[tokio::test(flavor = "multi_thread")]
async fn a_reversed_dispense_is_not_reminded_of() {
    for status in ["entered-in-error", "cancelled", "stopped"] {
        let house = with_ada().await;
        house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
        house.days(9).await;
        house.put(&dispense("d", "ada", "2026-06-01").with("status", status)).await.is(200);
        house.days(26).await;
        assert_eq!(diary(&house, "ada").await, &USUAL[..1], "{status}");
    }
}

// A call that was asked for is taken back when the refill comes: nobody calls in vain.
#[tokio::test(flavor = "multi_thread")]
async fn a_refill_takes_back_the_call() {
    let house = with_ada().await;
    house.put(&dispense("d1", "ada", "2026-06-01")).await.is(201);
    house.days(31).await;
    assert_eq!(diary(&house, "ada").await, USUAL);
    house.put(&dispense("d2", "ada", "2026-07-02")).await.is(201);
    house.beat().await;
    assert_eq!(diary(&house, "ada").await[2], "2026-07-01 refill-call cancelled");
}

// A dispense that comes in late is not reminded of after the fact.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_late_is_not_said() {
    let house = with_ada().await;
    house.put(&dispense("d", "ada", "2026-03-01")).await.is(201);
    house.days(3).await;
    assert!(diary(&house, "ada").await.is_empty());
}

// A dispense that says nothing of its days leads to nothing, and the decision says why.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_supply_is_not_guessed() {
    let house = with_ada().await;
    let clopidogrel = json!({"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "309362"}]});
    let unknown =
        dispense("d", "ada", "2026-06-01").with("daysSupply", json!(null)).with("medicationCodeableConcept", clopidogrel);
    house.put(&unknown).await.is(201);
    house.days(35).await;
    assert_eq!(texts(&house, "ada").await.len(), usize::from(!diary(&house, "ada").await.is_empty()));
    assert!(!diary(&house, "ada").await.iter().any(|line| line.contains("reminder") || line.contains("refill-call")));
}

// The order that tells how long a dispense lasts may come after it, and be corrected and noted upon: the reminder follows, whether the
// two name the product or a Medication.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_comes_later_tells_how_long_its_dispense_lasts() {
    for database in [Database::sqlite(), Database::postgres().await] {
        let house = with_ada_on(database).await;
        let tablets = |count: i64| json!({"value": count, "unit": "tablet"});
        let product = &dispense("d", "ada", "2026-06-01")["medicationCodeableConcept"];
        house.put(&json!({"resourceType": "Medication", "id": "m", "code": product})).await.is(201);
        let about = |of_whom: &str, is_named: bool| {
            let resource = json!({"subject": {"reference": format!("Patient/{of_whom}")}});
            let named = json!({"reference": "Medication/m"});
            if is_named {
                resource.with("medicationReference", named)
            } else {
                resource.with("medicationCodeableConcept", product.clone())
            }
        };
        let ways = [("ada", false, false), ("bert", true, true), ("cleo", false, true)];
        for (of_whom, is_fill_named, _) in ways {
            house.put(&patient(of_whom)).await;
            house.put(&consent(&format!("yes-{of_whom}"), of_whom, &[Purpose::Treatment])).await.is(201);
            let fill = about(of_whom, is_fill_named)
                .with("resourceType", "MedicationDispense")
                .with("id", format!("d-{of_whom}"))
                .with("status", "completed")
                .with("whenHandedOver", "2026-06-01")
                .with("quantity", tablets(30))
                .with("authorizingPrescription", json!([{"reference": format!("MedicationRequest/o-{of_whom}")}]));
            house.put(&fill).await.is(201);
        }
        house.days(5).await;
        for (of_whom, _, is_order_named) in ways {
            let order = |often: i64| {
                let dose = json!([{"timing": {"repeat": {"frequency": often, "period": 1, "periodUnit": "d"}},
                    "doseAndRate": [{"doseQuantity": tablets(1)}]}]);
                about(of_whom, is_order_named)
                    .with("resourceType", "MedicationRequest")
                    .with("id", format!("o-{of_whom}"))
                    .with("status", "active")
                    .with("intent", "order")
                    .with("authoredOn", "2026-06-01")
                    .with("dosageInstruction", dose)
            };
            // First it reads as if half as long.
            house.put(&order(2)).await.is(201);
            house.put(&order(1)).await.is(200);
            house.put(&order(1).with("note", json!([{"text": "By phone."}]))).await.is(200);
        }
        house.days(35).await;
        for (of_whom, ..) in ways {
            assert_eq!(diary(&house, of_whom).await, USUAL, "{of_whom}");
        }
    }
}

// What is due survives the gateway: another one, started on the same database, says it on its day.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_survives_a_restart() {
    let mut house = with_ada().await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.restart().await;
    house.days(10).await;
    house.restart().await;
    house.days(25).await;
    assert_eq!(diary(&house, "ada").await, USUAL);
}

// A call that nobody makes is raised once, however often we look, and stays the same Task.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_makes_is_raised_once() {
    let house = with_ada().await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.days(60).await;
    let raised = house.all("Task?business-status=overdue&priority=urgent&patient=Patient/ada").await;
    assert_eq!((raised.len(), raised[0]["meta"]["versionId"].as_str()), (1, Some("2")));
    assert_eq!(house.count("Task").await, 1);
}

// A call that was made with a new dispense closes the episode, and one that was made without any outcome stays as it was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_done_with_a_dispense_closes_the_episode() {
    let house = with_ada().await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.days(31).await;
    let mut task = house.all("Task?patient=Patient/ada").await.remove(0);
    for status in ["accepted", "in-progress", "completed"] {
        task = task.with("status", status);
        if status == "completed" {
            let output = json!([{"type": {"text": "dispense"}, "valueReference": {"reference": "MedicationDispense/elsewhere"}}]);
            task = task.with("output", output);
        }
        task = house.put(&task).await.is(200).json();
    }
    house.beat().await;
    let closed = house.database.rows("SELECT step || ' ' || outcome || ' ' || gate FROM decisions WHERE step = 'closed'");
    assert_eq!(closed.into_iter().flatten().collect::<Vec<_>>(), ["closed stopped taken"]);
    house.days(30).await;
    assert_eq!(house.count("Task?business-status=overdue").await, 0);
}

// An order that was stopped takes its call back, also when somebody is at it, and the Task says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_order_takes_its_call_back() {
    let house = with_ada().await;
    let order = json!({"resourceType": "MedicationRequest", "id": "o", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/ada"}, "medicationCodeableConcept": {"text": "lisinopril"}});
    house.put(&order).await.is(201);
    let fill = dispense("d", "ada", "2026-06-01").with("authorizingPrescription", json!([{"reference": "MedicationRequest/o"}]));
    house.put(&fill).await.is(201);
    house.days(31).await;
    let task = house.all("Task?patient=Patient/ada").await.remove(0).with("status", "accepted");
    house.put(&task).await.is(200);
    house.put(&order.with("status", "stopped")).await.is(200);
    house.beat().await;
    let task = house.all("Task?patient=Patient/ada").await.remove(0);
    assert_eq!((&task["status"], &task["statusReason"]["coding"][0]["code"]), (&json!("cancelled"), &json!("therapy")));
}
