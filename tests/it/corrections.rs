//! A fact is corrected: what was asked for because of it is taken back, and what waits to be said is not said.

use serde_json::{Value, json};

use crate::builders::{Purpose, With, bone_density, consent, patient, store};
use crate::house::{House, millis};

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

fn report(status: &str, says: &Value) -> Value {
    let mut report = bone_density("r", "ada").with("status", status);
    report.as_object_mut().unwrap().remove("conclusionCode");
    report.as_object_mut().unwrap().remove("conclusion");
    report.with(if says.is_string() { "conclusion" } else { "conclusionCode" }, says.clone())
}

// A report is heard in the night and corrected before the morning: what waited is ended with the reason, and is never said. One that
// is only sent again is said in the morning.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_corrected_before_the_morning_is_not_spoken_of() {
    let found = json!([{"coding": [{"system": "http://snomed.info/sct", "code": "64859006"}]}]);
    for (status, says, expected) in [
        ("corrected", json!("Normal bone density."), "not-done"),
        ("unknown", found.clone(), "not-done"),
        ("corrected", found.clone(), "completed"),
    ] {
        let house = House::new().await;
        house.put(&store("store-1")).await.is(201);
        house.put(&patient("ada")).await.is(201);
        house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
        house.clock.set(millis("2026-06-02T06:00:00Z"));
        house.put(&report("final", &found)).await.is(201);
        house.beat().await;
        assert_eq!(house.all("Communication?subject=Patient/ada&status=preparation").await.len(), 1);
        house.put(&report(status, &says)).await.is(200);
        house.beat().await;
        assert_eq!(
            house.all("Communication?subject=Patient/ada&status=not-done").await.len(),
            usize::from(expected == "not-done")
        );
        house.days(2).await;
        let said = house.all("Communication?subject=Patient/ada").await;
        assert_eq!(said.iter().map(|one| one["status"].as_str().unwrap()).collect::<Vec<_>>(), [expected], "{status} {says}");
    }
}

// An operation that did not take place after all is neither spoken of nor called about.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_was_not_done_is_not_followed() {
    let operation = |status: &str| {
        json!({"resourceType": "Procedure", "id": "x", "status": status, "subject": {"reference": "Patient/ada"},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "609588000"}]},
            "performedDateTime": "2026-06-01"})
    };
    for (then, followed) in [("not-done", 0), ("completed", 2)] {
        let house = House::new().await;
        house.put(&store("store-1")).await.is(201);
        house.put(&patient("ada")).await.is(201);
        house.put(&consent("yes", "ada", &[Purpose::Treatment])).await.is(201);
        house.put(&operation("completed")).await.is(201);
        house.beat().await;
        house.put(&operation(then)).await;
        house.days(10).await;
        let said = house.all("Communication?subject=Patient/ada").await.len() + house.all("Task?patient=ada").await.len();
        assert_eq!(said, followed, "{then}");
    }
}
