//! A result that was marked critical is corrected: nobody needs to look at it any more.

use serde_json::{Value, json};

use crate::builders::{With, patient, store};
use crate::house::House;

fn result(status: &str, interpretation: &str) -> Value {
    json!({"resourceType": "Observation", "id": "o", "status": status,
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
        "subject": {"reference": "Patient/ada"},
        "valueQuantity": {"value": 7.1, "unit": "mmol/L"},
        "interpretation": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": interpretation}]}]})
}

async fn with_critical() -> (House, Value) {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    house.put(&result("final", "HH")).await.is(201);
    house.beat().await;
    let mut tasks = house.all("Task?patient=ada&code=report-review").await;
    assert_eq!(tasks.len(), 1);
    (house, tasks.remove(0))
}

// The open Task is cancelled with the reason, also when somebody is at it; whatever the sender calls the status of the correction.
#[tokio::test(flavor = "multi_thread")]
async fn a_corrected_result_takes_its_review_back() {
    for (status, is_claimed) in [("corrected", false), ("final", true)] {
        let (house, task) = with_critical().await;
        if is_claimed {
            house.put(&task.with("status", "accepted")).await.is(200);
        }
        house.put(&result(status, "N")).await.is(200);
        house.beat().await;
        let cancelled = house.all("Task?patient=ada&code=report-review&status=cancelled").await;
        assert_eq!(cancelled.len(), 1, "{status}");
        let reason = cancelled[0]["statusReason"]["text"].as_str().unwrap();
        assert!(reason.contains("corrected"), "{reason}");
    }
}

// A correction that leaves it critical leaves the Task, and makes no second one.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_stays_critical_keeps_its_review() {
    let (house, task) = with_critical().await;
    house.put(&result("corrected", "HH")).await.is(200);
    house.beat().await;
    assert_eq!(house.all("Task?patient=ada&code=report-review").await, [task]);
}

// What is corrected several times before it is heard counts as it is at last: critical, it keeps its Task; normal, it never had one.
#[tokio::test(flavor = "multi_thread")]
async fn corrections_heard_together_count_as_the_last_of_them() {
    let (house, task) = with_critical().await;
    house.put(&result("corrected", "N")).await.is(200);
    house.put(&result("corrected", "HH")).await.is(200);
    house.beat().await;
    assert_eq!(house.all("Task?patient=ada&code=report-review").await, [task]);
    house.put(&patient("bob")).await.is(201);
    for (status, interpretation) in [("final", "HH"), ("corrected", "N")] {
        let mut of_bob = result(status, interpretation).with("id", "b");
        of_bob["subject"]["reference"] = json!("Patient/bob");
        house.put(&of_bob).await;
    }
    house.beat().await;
    assert!(house.all("Task?patient=bob").await.is_empty());
}
