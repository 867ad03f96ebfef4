//! A fact that was filed under the wrong patient is corrected: it leaves the one, with all that was planned and asked for because of it,
//! and counts for the other.
//! Follows <https://hl7.org/fhir/R4/http.html#update>.

use std::time::Duration;

use serde_json::{Value, json};

use crate::builders::{With, dispense, patient, subscription};
use crate::database::Database;
use crate::diary::diary;
use crate::house::House;
use crate::merges::replaced;
use crate::partings::{known, times};
use crate::receiver::Receiver;
use crate::replay::again;
use crate::verify::verify;

/// Thirty days that ended yesterday.
fn fill(of: &str) -> Value {
    dispense("d", of, "2026-05-02")
}

/// Tells it a moment later.
async fn tell(house: &House, value: &Value) {
    house.clock.advance(Duration::from_millis(1));
    let answer = house.put(value).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
}

/// How many calls for a patient stand so.
async fn calls(house: &House, patient: &str, status: &str) -> usize {
    times(house, patient, &format!("refill-call {status}")).await
}

/// Whether anything is counted for a patient.
async fn is_covered(house: &House, patient: &str) -> bool {
    let told = house.get(&format!("Patient/{patient}/$adherence?start=2026-05-02&end=2026-05-31")).await.is(200);
    !told.at("/group/0").is_null()
}

async fn a_fill_goes_over(database: Database) {
    let mut house = known(database, &["one", "two"]).await;
    tell(&house, &fill("one")).await;
    house.beat().await;
    assert_eq!(calls(&house, "one", "requested").await, 1, "{:?}", diary(&house, "one").await);
    assert!(is_covered(&house, "one").await);

    tell(&house, &fill("two")).await;
    house.beat().await;
    assert_eq!((calls(&house, "one", "requested").await, calls(&house, "one", "cancelled").await), (0, 1));
    assert_eq!(calls(&house, "two", "requested").await, 1, "{:?}", diary(&house, "two").await);
    assert!(!is_covered(&house, "one").await && is_covered(&house, "two").await);
    let found = ["one", "two"].map(|of| format!("MedicationDispense?patient={of}"));
    assert_eq!((house.count(&found[0]).await, house.count(&found[1]).await), (0, 1));
    let told = house.get("Patient/one/$ledger?_count=200").await.is(200);
    assert!(told.text.contains("not about this patient any more"), "{}", told.text);
    assert!(!told.text.contains("Patient/two"), "nothing of the other is told: {}", told.text);
    assert!(house.get("Patient/two/$ledger?_count=200").await.is(200).ids().contains(&String::from("d")));
    let why = house.get("Patient/one/$why-not?plan=refill").await.is(200);
    assert!(why.text.contains("not about this person"), "{}", why.text);

    // It was right at first: the first is called again, the other is not.
    tell(&house, &fill("one")).await;
    house.beat().await;
    assert_eq!((calls(&house, "one", "requested").await, calls(&house, "one", "cancelled").await), (1, 1));
    assert_eq!((calls(&house, "two", "requested").await, calls(&house, "two", "cancelled").await), (0, 1));
    assert!(is_covered(&house, "one").await && !is_covered(&house, "two").await);

    again(&house).await;
    house.engine().seal().await;
    house.stop().await;
    verify(&house).unwrap();
    house.restart().await;
    assert_eq!(calls(&house, "one", "requested").await, 1);
    let House { database, .. } = house;
    database.drop().await;
}

// A dispense goes over to another patient and comes back: whoever has it is called, and nobody else; it is decided again as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_fill_goes_over_to_another_patient_on_sqlite() {
    a_fill_goes_over(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn a_fill_goes_over_to_another_patient_on_postgres() {
    a_fill_goes_over(Database::postgres().await).await;
}

// Whoever is at it sees that there is nothing left to be done; what was done stays done.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_being_made_is_taken_back() {
    for (steps, ends) in [(2, "cancelled"), (3, "completed")] {
        let house = known(Database::sqlite(), &["one", "two"]).await;
        tell(&house, &fill("one")).await;
        house.beat().await;
        for status in ["accepted", "in-progress", "completed"].into_iter().take(steps) {
            let task = house.get("Task?patient=one").await.is(200).resources().remove(0);
            let spoken = json!([{"type": {"text": "done"}, "valueString": "spoke with them"}]);
            tell(&house, &task.with("status", status).with("output", spoken)).await;
        }
        tell(&house, &fill("two")).await;
        house.beat().await;
        let task = house.get("Task?patient=one").await.is(200).resources().remove(0);
        assert_eq!(task["status"], ends);
        assert_eq!(task["statusReason"].to_string().contains("not about this person"), ends == "cancelled", "{task}");
        assert_eq!(calls(&house, "two", "requested").await, 1);
        again(&house).await;
    }
}

// What is deleted where it is now is taken back there; whose it was hears nothing more of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_over_is_deleted_where_it_is() {
    for is_heard in [true, false] {
        let house = known(Database::sqlite(), &["one", "two"]).await;
        tell(&house, &fill("one")).await;
        house.beat().await;
        tell(&house, &fill("two")).await;
        if is_heard {
            house.beat().await;
        }
        house.clock.advance(Duration::from_millis(1));
        house.delete("MedicationDispense/d").await.is(204);
        house.beat().await;
        assert_eq!(house.count("Task?status=requested").await, 0, "{is_heard}");
        assert!(!is_covered(&house, "one").await && !is_covered(&house, "two").await);
        again(&house).await;
    }
}

// However it is said that it is not about this patient, it leaves them; what is about nobody first is new to whom it is about.
#[tokio::test(flavor = "multi_thread")]
async fn however_it_is_corrected_it_leaves_the_first() {
    for way in ["patched", "without a subject"] {
        let house = known(Database::sqlite(), &["one", "two"]).await;
        tell(&house, &fill("one")).await;
        house.beat().await;
        if way == "patched" {
            let patch = json!([{"op": "replace", "path": "/subject/reference", "value": "Patient/two"}]);
            let ask = house.ask("PATCH", "MedicationDispense/d");
            ask.body("application/json-patch+json", patch.to_string()).await.is(200);
        } else {
            tell(&house, &fill("one").with("subject", Value::Null)).await;
        }
        house.beat().await;
        assert_eq!((calls(&house, "one", "requested").await, calls(&house, "one", "cancelled").await), (0, 1), "{way}");
        assert!(!is_covered(&house, "one").await, "{way}");
        tell(&house, &fill("two")).await;
        house.beat().await;
        assert_eq!(calls(&house, "two", "requested").await, 1, "{way}");
        again(&house).await;
    }
}

// A critical result of the wrong patient: its review is taken back, and the right one is reviewed.
#[tokio::test(flavor = "multi_thread")]
async fn the_review_of_a_critical_result_goes_with_it() {
    let house = known(Database::sqlite(), &["one", "two"]).await;
    let result = |of: &str| {
        let critical = json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "HH"});
        json!({"resourceType": "Observation", "id": "o", "status": "final", "subject": {"reference": format!("Patient/{of}")},
            "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
            "valueQuantity": {"value": 7.1, "unit": "mmol/L"}, "interpretation": [{"coding": [critical]}]})
    };
    tell(&house, &result("one")).await;
    house.beat().await;
    assert_eq!(times(&house, "one", "report-review requested").await, 1);
    tell(&house, &result("two")).await;
    house.beat().await;
    assert_eq!(times(&house, "one", "report-review cancelled").await, 1);
    assert_eq!(times(&house, "two", "report-review requested").await, 1);
    again(&house).await;
}

// Two records turn out to be of one patient, before or after it is heard that a fill went over from one to the other: there is one call.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_two_records_is_still_called_once() {
    for (from, to) in [("one", "two"), ("two", "one")] {
        for is_heard in [true, false] {
            let house = known(Database::sqlite(), &["one", "two"]).await;
            tell(&house, &fill(from)).await;
            house.beat().await;
            tell(&house, &fill(to)).await;
            if is_heard {
                house.beat().await;
            }
            tell(&house, &replaced("one", "two")).await;
            house.beat().await;
            house.days(2).await;
            let open = house.all("Task?patient=two&status=requested").await;
            assert_eq!(open.len(), 1, "{from} {is_heard}: {open:?}");
            assert!(is_covered(&house, "two").await);
            again(&house).await;
        }
    }
}

// Records of one patient are not parted by it: nothing leaves them, and nothing is asked for twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_from_one_record_of_a_patient_to_the_other_stays_theirs() {
    let house = known(Database::sqlite(), &["one", "two"]).await;
    tell(&house, &replaced("one", "two")).await;
    tell(&house, &fill("one")).await;
    house.beat().await;
    tell(&house, &fill("two")).await;
    house.beat().await;
    assert_eq!(house.count("Task?patient=two&status=requested").await, 1);
    assert_eq!(house.count("Task?patient=two").await, 1);
    let told = house.get("Patient/two/$ledger?_count=200").await.is(200);
    assert!(!told.text.contains("not about this patient"), "{}", told.text);
    again(&house).await;
}

// It went over while both records were taken for one patient, who turn out to be two: each has what is filed under them.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_over_within_one_patient_leaves_with_a_parting() {
    let house = known(Database::sqlite(), &["one", "two"]).await;
    tell(&house, &replaced("one", "two")).await;
    tell(&house, &fill("one")).await;
    house.beat().await;
    tell(&house, &fill("two")).await;
    house.beat().await;
    tell(&house, &patient("one")).await;
    house.beat().await;
    house.days(1).await;
    assert_eq!(
        (calls(&house, "one", "requested").await, calls(&house, "two", "requested").await),
        (0, 1),
        "{:?}",
        diary(&house, "one").await
    );
    assert!(!is_covered(&house, "one").await && is_covered(&house, "two").await);
    again(&house).await;
}

// Whoever listens is told once of each version, and who listens for one patient of what is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_is_told_once() {
    let house = known(Database::sqlite(), &["one", "two"]).await;
    let receiver = Receiver::start().await;
    let of_one = Receiver::start().await;
    house.post(&subscription("MedicationDispense?status=completed", &receiver.url())).await.is(201);
    house.post(&subscription("MedicationDispense?patient=one", &of_one.url())).await.is(201);
    house.beat().await;
    for of in ["one", "two"] {
        tell(&house, &fill(of)).await;
        house.beat().await;
    }
    let told = |receiver: &Receiver| -> Vec<Value> {
        receiver.notices().iter().map(|notice| notice.json()["meta"]["versionId"].clone()).collect()
    };
    assert_eq!((told(&receiver), told(&of_one)), (vec![json!("1"), json!("2")], vec![json!("1")]));
}

// A patient of whom nothing is known but the reference is a patient, too.
#[tokio::test(flavor = "multi_thread")]
async fn it_may_go_over_to_a_patient_who_is_not_known_yet() {
    let house = known(Database::sqlite(), &["one"]).await;
    tell(&house, &fill("one")).await;
    house.beat().await;
    tell(&house, &fill("later")).await;
    house.beat().await;
    assert_eq!(calls(&house, "one", "cancelled").await, 1);
    tell(&house, &patient("later")).await;
    house.beat().await;
    assert!(is_covered(&house, "later").await && !is_covered(&house, "one").await);
    again(&house).await;
}
