//! Who subscribed is told: signed, in order, none lost, none invented. Follows <https://hl7.org/fhir/R4/subscription.html>.

use serde_json::json;

use crate::builders::{With, condition, hypertension, patient, snomed, subscription};
use crate::house::House;
use crate::receiver::Receiver;

const CRITERIA: &str = "Condition?code=http://snomed.info/sct|38341003";

/// A house with Ada, a receiver, and a subscription of hypertension that became active.
async fn subscribed() -> (House, Receiver, String) {
    let house = House::new().await;
    let receiver = Receiver::start().await;
    house.put(&patient("ada")).await.is(201);
    let made = house.post(&subscription(CRITERIA, &receiver.url())).await.is(201);
    assert_eq!(made.at("/status"), "requested");
    house.beat().await;
    let id = made.id();
    assert_eq!(house.get(&format!("Subscription/{id}")).await.is(200).at("/status"), "active");
    (house, receiver, id)
}

/// The ids of the resources that arrived, in order.
fn arrived(receiver: &Receiver) -> Vec<String> {
    receiver.notices().iter().map(|notice| notice.json()["id"].as_str().unwrap().to_owned()).collect()
}

// A new subscription is probed without a body and becomes active when its receiver answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_probed_before_it_is_active() {
    let (house, receiver, _) = subscribed().await;
    let probes = receiver.received();
    assert_eq!((probes.len(), probes[0].body.as_str()), (1, ""));

    receiver.answers(500);
    let refused = house.post(&subscription(CRITERIA, &receiver.url())).await.is(201).id();
    house.beat().await;
    assert_ne!(house.get(&format!("Subscription/{refused}")).await.at("/status"), "active");
}

// Who names a patient by our own address is told as who names them by their id alone; both stand as they were sent.
#[tokio::test(flavor = "multi_thread")]
async fn criteria_may_name_our_own_address() {
    let house = House::new().await;
    let receiver = Receiver::start().await;
    house.put(&patient("ada")).await.is(201);
    let criteria = format!("Condition?subject={}/Patient/ada", house.base());
    let made = house.post(&subscription(&criteria, &receiver.url())).await.is(201);
    assert_eq!(made.at("/criteria"), criteria);
    house.beat().await;
    house.put(&hypertension("other", "bob")).await.is(201);
    house.put(&hypertension("plain", "ada")).await.is(201);
    let absolute = json!({"reference": format!("{}/Patient/ada", house.base())});
    house.put(&hypertension("absolute", "x").with("subject", absolute)).await.is(201);
    house.beat().await;
    assert_eq!(arrived(&receiver), ["plain", "absolute"]);
}

// What matches is sent as it was recorded, signed and numbered; what does not match is not.
#[tokio::test(flavor = "multi_thread")]
async fn what_matches_is_sent_and_nothing_else() {
    let (house, receiver, _) = subscribed().await;
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.put(&condition("c2", "ada", &snomed("73211009", "Diabetes mellitus"))).await.is(201);
    house.put(&hypertension("c1", "ada").with("recordedDate", "2026-05-31")).await.is(200);
    house.delete("Condition/c1").await.is(204);
    house.beat().await;
    let notices = receiver.notices();
    assert_eq!(notices.len(), 2);
    let versions: Vec<_> = notices.iter().map(|notice| notice.json()["meta"]["versionId"].clone()).collect();
    assert_eq!(versions, [json!("1"), json!("2")]);
    assert_eq!(notices[0].method, "POST");
    assert!(notices[0].header("content-type").starts_with("application/fhir+json"));
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert!(!notices[0].header(name).is_empty(), "{name}");
    }
    assert_ne!(notices[0].header("webhook-id"), notices[1].header("webhook-id"));
}

// While the receiver is down nothing is lost; when it answers again all arrive, in order and once.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_receiver_arrives_in_order() {
    let (house, receiver, id) = subscribed().await;
    receiver.answers(503);
    for number in 0..10 {
        house.put(&hypertension(&format!("c{number}"), "ada")).await.is(201);
    }
    house.beat().await;
    assert!(arrived(&receiver).is_empty());
    assert_eq!(house.get(&format!("Subscription/{id}")).await.at("/status"), "active");
    receiver.answers(200);
    house.days(1).await;
    assert_eq!(arrived(&receiver), (0..10).map(|number| format!("c{number}")).collect::<Vec<_>>());
}

// What waited when the gateway died is delivered by the next one.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_survives_a_restart() {
    let (mut house, receiver, _) = subscribed().await;
    receiver.answers(503);
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.beat().await;
    house.put(&hypertension("c2", "ada")).await.is(201);
    house.restart().await;
    receiver.answers(200);
    house.days(1).await;
    assert_eq!(arrived(&receiver), ["c1", "c2"]);
}

// A notice that its receiver refuses for good does not stop the lane.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_notice_does_not_stop_the_lane() {
    let (house, receiver, _) = subscribed().await;
    receiver.answers(422);
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.days(1).await;
    receiver.answers(200);
    house.put(&hypertension("c2", "ada")).await.is(201);
    house.days(1).await;
    assert_eq!(arrived(&receiver), ["c2"]);
    let refused = receiver.received().iter().filter(|one| one.status == 422).count();
    assert_eq!(refused, 3);
}

// Without a payload the notice has no body.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_payload_the_notice_is_empty() {
    let house = House::new().await;
    let receiver = Receiver::start().await;
    house.put(&patient("ada")).await.is(201);
    let channel = json!({"type": "rest-hook", "endpoint": receiver.url()});
    house.post(&subscription(CRITERIA, "").with("channel", channel)).await.is(201);
    house.beat().await;
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.beat().await;
    let calls = receiver.received();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|one| one.body.is_empty()));
}

// What Signa itself says is heard like everything else; a subscription that is off hears nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_off_hears_nothing() {
    let (house, receiver, id) = subscribed().await;
    let kept = house.get(&format!("Subscription/{id}")).await.json();
    house.put(&kept.with("status", "off")).await.is(200);
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.days(1).await;
    assert!(arrived(&receiver).is_empty());
}

// An address that must not be called, or criteria that can never match, are refused when they come.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_must_not_be_called_is_refused() {
    let house = House::new().await;
    for endpoint in
        ["http://169.254.169.254/latest", "https://10.0.0.1/hook", "https://[fd00::1]/hook", "ftp://example.org/x", "nothing"]
    {
        let answer = house.post(&subscription(CRITERIA, endpoint)).await;
        assert!([400, 422].contains(&answer.status), "{endpoint}: {}", answer.text);
    }
    for criteria in ["Banana?x=1", "Condition?shoe=9", ""] {
        let answer = house.post(&subscription(criteria, "http://127.0.0.1:9/hook")).await;
        assert!([400, 422].contains(&answer.status), "{criteria}: {}", answer.text);
    }
    assert_eq!(house.count("Subscription").await, 0);
}
