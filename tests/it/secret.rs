//! Who receives notices can prove who sent them: the secret is shown once, and made anew on request.
//! Follows <https://www.standardwebhooks.com>.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::builders::{With, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::House;
use crate::receiver::{Received, Receiver};

const CRITERIA: &str = "Condition?code=http://snomed.info/sct|38341003";

/// Asks for the secret of the subscription `s`.
async fn shown(house: &House) -> String {
    let answer = house.ask("POST", "Subscription/s/$secret").send().await.is(200);
    assert_eq!((answer.at("/resourceType"), answer.at("/parameter/0/name")), ("Parameters".into(), "secret".into()));
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.at("/parameter/0/valueString").as_str().unwrap().to_owned()
}

/// How many signatures a notice bears, and whether one of them is proven by this secret; as a receiver does it.
fn proof(notice: &Received, secret: &str) -> (usize, bool) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap());
    let signed = format!("{}.{}.{}", notice.header("webhook-id"), notice.header("webhook-timestamp"), notice.body);
    let signatures: Vec<&str> = notice.header("webhook-signature").split(' ').collect();
    let proves = |signature: &&str| {
        let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
    };
    (signatures.len(), signatures.iter().any(proves))
}

/// Records something, and gives the notice of it.
async fn told(house: &House, receiver: &Receiver, id: &str) -> Received {
    house.put(&hypertension(id, "ada")).await.is(201);
    house.beat().await;
    let notice = receiver.notices().pop().unwrap();
    assert_eq!(notice.json()["id"], id);
    notice
}

async fn a_secret_proves_a_notice(database: Database) {
    let (mut house, receiver) = (House::over(database).await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    let asked = subscription(CRITERIA, &receiver.url()).with("id", "s");
    house.put(&asked).await.is(201);
    house.beat().await;
    let first = shown(&house).await;
    assert_eq!(proof(&told(&house, &receiver, "c1").await, &first), (1, true));
    let other = format!("whsec_{}", STANDARD.encode([7; 32]));
    assert_eq!(proof(&told(&house, &receiver, "c2").await, &other), (1, false));

    // Made anew: for a day notices bear both, so that a receiver may change over in its own time; then the old one is over.
    let second = shown(&house).await;
    assert_ne!(first, second);
    let both = told(&house, &receiver, "c3").await;
    assert_eq!((proof(&both, &first), proof(&both, &second)), ((2, true), (2, true)));
    house.restart().await;
    let both = told(&house, &receiver, "c4").await;
    assert_eq!((proof(&both, &first), proof(&both, &second)), ((2, true), (2, true)));
    house.clock.advance(Duration::from_hours(24));
    let later = told(&house, &receiver, "c5").await;
    assert_eq!((proof(&later, &first), proof(&later, &second)), ((1, false), (1, true)));

    // A changed subscription keeps its secret, however its status goes.
    for status in ["requested", "off", "requested"] {
        house.put(&asked.clone().with("status", status)).await.is(200);
        house.beat().await;
    }
    assert_eq!(proof(&told(&house, &receiver, "c6").await, &second), (1, true));
    // Anew twice at once: the old one is over at once.
    let (third, fourth) = (shown(&house).await, shown(&house).await);
    let notice = told(&house, &receiver, "c7").await;
    assert_eq!(([&second, &third, &fourth].map(|secret| proof(&notice, secret).1)), [false, true, true]);

    // It is nowhere to be read.
    for place in ["Subscription/s", "Subscription/s/_history", "Subscription", "Subscription/_history"] {
        let text = house.get(place).await.is(200).text;
        assert!(!text.contains("whsec") && !text.contains(&fourth[6..]), "{place}");
    }
    let House { database, .. } = house;
    database.drop().await;
}

// The secret that is shown proves the notices, and no other does; it is shown once.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_proves_a_notice_on_sqlite() {
    a_secret_proves_a_notice(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_proves_a_notice_on_postgres() {
    a_secret_proves_a_notice(Database::postgres().await).await;
}

// A notice that is on its way with the old secret alone comes again with both, if its receiver has changed over already.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_comes_again_with_the_new_secret() {
    let (house, receiver) = (House::new().await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    house.put(&subscription(CRITERIA, &receiver.url()).with("id", "s")).await.is(201);
    house.beat().await;
    let first = shown(&house).await;
    receiver.answers(401);
    receiver.holds(true);
    house.put(&hypertension("c1", "ada")).await.is(201);
    while house.turn().await > 0 {}
    receiver.has(2).await;
    let second = shown(&house).await;
    receiver.holds(false);
    house.beat().await;
    receiver.answers(200);
    house.clock.advance(Duration::from_secs(72));
    house.beat().await;
    let (sent, again) = (receiver.received()[1].clone(), receiver.notices().remove(0));
    assert_eq!((proof(&sent, &first), proof(&again, &second)), ((1, true), (2, true)));
    assert_eq!(sent.header("webhook-id"), again.header("webhook-id"));
}

// It is asked for by POST alone, of a Subscription that is there; two who ask at once are each told one that holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_asked_for_by_post() {
    let (house, receiver) = (House::new().await, Receiver::start().await);
    house.put(&patient("ada")).await.is(201);
    house.put(&subscription(CRITERIA, &receiver.url()).with("id", "s")).await.is(201);
    house.beat().await;
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let refused = house.ask(method, "Subscription/s/$secret").send().await.is(405);
        assert_eq!(refused.header("allow"), "POST, OPTIONS", "{method}");
    }
    let (one, other) = tokio::join!(shown(&house), shown(&house));
    let notice = told(&house, &receiver, "c1").await;
    assert!(proof(&notice, &one).1 && proof(&notice, &other).1);
    for (path, status) in [("Subscription/none/$secret", 404), ("Patient/ada/$secret", 404), ("Subscription/$secret", 404)] {
        house.ask("POST", path).send().await.is(status);
    }
    house.delete("Subscription/s").await.is(204);
    house.ask("POST", "Subscription/s/$secret").send().await.is(410);
    let (entry, definition) = (house.get("metadata").await, house.get("OperationDefinition/secret").await.is(200));
    assert!(entry.text.contains(definition.at("/url").as_str().unwrap()));
    assert_eq!((definition.at("/kind"), definition.at("/affectsState")), (Value::from("operation"), Value::from(true)));
}
