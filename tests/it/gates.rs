//! What holds a message back: consent, STOP, death, quiet hours, the cap. Each with its twin that is said.

use std::time::Duration;

use serde_json::json;

use crate::builders::{MEMBERS, Purpose, With, condition, consent, dispense, patient, reply, snomed, store};
use crate::diary::{diary, held_back, texts};
use crate::house::{House, millis};

/// A store, and a patient who agreed to these purposes; nobody asked when there are none.
async fn with_patient(purposes: &[Purpose]) -> House {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("ada")).await.is(201);
    if !purposes.is_empty() {
        house.put(&consent("yes", "ada", purposes)).await.is(201);
    }
    house
}

async fn reminded(purposes: &[Purpose]) -> Vec<String> {
    let house = with_patient(purposes).await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.days(27).await;
    texts(&house, "ada").await
}

// Who was never asked is not written to.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_written_to_without_consent() {
    assert!(reminded(&[]).await.is_empty());
}

// The offer inside a reminder needs a consent of its own; without it the same text comes without the offer.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_needs_consent_to_marketing() {
    let plain = reminded(&[Purpose::Treatment]).await;
    let offered = reminded(&[Purpose::Treatment, Purpose::Marketing]).await;
    // Who agrees to more than treatment is greeted, too.
    assert_eq!((plain.len(), offered.len()), (2, 3));
    assert!(offered[2].starts_with(&plain[1]) && offered[2].len() > plain[1].len(), "{plain:?} {offered:?}");
    assert!(offered[2].contains("offer") && !plain[1].contains("offer"));
}

// A consent that is taken back holds from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_taken_back_holds() {
    let house = with_patient(&[Purpose::Treatment]).await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.days(9).await;
    house.put(&consent("yes", "ada", &[Purpose::Treatment]).with("status", "inactive")).await.is(200);
    house.days(20).await;
    assert_eq!(texts(&house, "ada").await.len(), 1);
}

// STOP ends it, in every shipped language, also where its sender is named by a number alone; START, by the same person, begins again.
#[tokio::test(flavor = "multi_thread")]
async fn stop_ends_it_and_start_begins_again() {
    let number = json!({"identifier": {"system": MEMBERS, "value": "ada"}});
    for (word, sender) in [("STOP", None), ("stop.", Some(number)), ("退订", Some(json!({"display": "Ada"})))] {
        let house = with_patient(&[Purpose::Treatment]).await;
        house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
        house.days(9).await;
        let stop = reply("stop", "ada", word);
        house.put(&sender.map_or(stop.clone(), |sender| stop.with("sender", sender))).await.is(201);
        house.days(20).await;
        assert_eq!(texts(&house, "ada").await.len(), 1, "{word}");
        assert!(held_back(&house).iter().any(|line| line.starts_with("stopped")), "{:?}", held_back(&house));
    }
    let house = with_patient(&[Purpose::Treatment]).await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.days(9).await;
    house.put(&reply("stop", "ada", "STOP")).await.is(201);
    house.days(5).await;
    house.put(&reply("start", "ada", "START")).await.is(201);
    house.days(15).await;
    assert_eq!(texts(&house, "ada").await.len(), 2);
}

// STOP binds the number: who shares it is not written to either, however it is written; who has another is.
#[tokio::test(flavor = "multi_thread")]
async fn stop_binds_the_number_for_all_who_share_it() {
    let house = with_patient(&[Purpose::Treatment]).await;
    for (name, number) in [("ada", "+44 7911 123456"), ("bob", "+447911123456"), ("cyd", "07911 123456"), ("dan", "07911 123457")]
    {
        let telecom = json!([{"system": "phone", "value": number}]);
        house.put(&patient(name).with("telecom", telecom)).await;
        house.put(&consent(&format!("yes-{name}"), name, &[Purpose::Treatment])).await;
    }
    house.put(&reply("stop", "ada", "STOP")).await.is(201);
    for name in ["bob", "cyd", "dan"] {
        house.put(&dispense(&format!("d-{name}"), name, "2026-06-01")).await.is(201);
    }
    house.days(27).await;
    for (name, said) in [("bob", 0), ("cyd", 0), ("dan", 2)] {
        assert_eq!(texts(&house, name).await.len(), said, "{name}");
    }
}

// Nobody writes to the dead, nor calls them.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_to_the_dead() {
    for death in [("deceasedBoolean", json!(true)), ("deceasedDateTime", json!("2026-06-09"))] {
        let house = with_patient(&[Purpose::Treatment]).await;
        house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
        house.days(9).await;
        house.put(&patient("ada").with(death.0, death.1)).await.is(200);
        house.days(27).await;
        assert_eq!(diary(&house, "ada").await, ["2026-06-04 instruction completed"]);
    }
}

// What falls into the night waits for eight in the morning where the patient lives.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_at_night() {
    let house = with_patient(&[Purpose::Treatment]).await;
    house.clock.set(millis("2026-06-02T02:30:00Z"));
    house.put(&condition("c", "ada", &snomed("367336001", "Chemotherapy"))).await.is(201);
    house.beat().await;
    assert!(texts(&house, "ada").await.is_empty());
    for _ in 0..12 {
        house.clock.advance(Duration::from_hours(1));
        house.beat().await;
    }
    let said = house.all("Communication?subject=Patient/ada").await;
    let sent: Vec<&str> = said.iter().filter_map(|one| one["sent"].as_str()).collect();
    assert_eq!(sent.len(), 1);
    let hour = sent[0].parse::<jiff::Timestamp>().unwrap().in_tz("America/New_York").unwrap().hour();
    assert_eq!(hour, 8, "{sent:?}");
}

// At most one message a day over all rules: the clinical one first, the other on the next day.
#[tokio::test(flavor = "multi_thread")]
async fn one_message_a_day_is_enough() {
    let house = with_patient(&[Purpose::Treatment]).await;
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.days(2).await;
    house.clock.set(millis("2026-06-04T11:50:00Z"));
    house.put(&condition("c", "ada", &snomed("367336001", "Chemotherapy"))).await.is(201);
    house.days(4).await;
    let lines = diary(&house, "ada").await;
    let days: std::collections::BTreeSet<&str> = lines.iter().map(|line| &line[..10]).collect();
    assert_eq!((lines.len(), days.len()), (2, 2), "{lines:?}");
}
