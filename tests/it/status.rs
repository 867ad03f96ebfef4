//! How Subscriptions stand: counted, and of one what waits for it and what its receiver refused for good.
//! Follows <https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-status.html>.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::builders::{With, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::House;
use crate::receiver::Receiver;

/// The value of a parameter of the only entry.
fn told(answer: &Answer, name: &str) -> Value {
    let parameters = answer.at("/entry/0/resource/parameter");
    let one = parameters.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    one.as_object().unwrap().iter().find(|(member, _)| member.starts_with("value")).unwrap().1.clone()
}

async fn a_status_tells(database: Database) {
    let (house, receiver) = (House::over(database).await, Receiver::start().await);
    for name in ["ada", "bo", "cy"] {
        house.put(&patient(name)).await.is(201);
    }
    house.put(&subscription("Condition", &receiver.url()).with("id", "s")).await.is(201);
    house.put(&subscription("Condition", &receiver.url()).with("id", "t").with("status", "off")).await.is(201);
    house.beat().await;
    house.put(&hypertension("c1", "ada")).await.is(201);
    house.beat().await;
    receiver.answers_to("\"c2\"", 422);
    house.put(&hypertension("c2", "bo")).await.is(201);
    house.days(1).await;
    receiver.answers(503);
    house.put(&hypertension("c3", "cy")).await.is(201);
    house.beat().await;

    let answer = house.get("Subscription/s/$status").await.is(200);
    assert_eq!((answer.at("/type"), answer.at("/total")), (json!("searchset"), json!(1)));
    for (name, expected) in [
        ("status", json!("active")),
        ("type", json!("query-status")),
        ("events-since-subscription-start", json!("3")),
        ("waiting", json!(1)),
        ("dead", json!(1)),
    ] {
        assert_eq!(told(&answer, name), expected, "{name}");
    }
    let letter = answer.at("/entry/0/resource/parameter").as_array().unwrap().last().unwrap().clone();
    let part = |name: &str| letter["part"].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap().clone();
    assert_eq!(letter["name"], "dead-letter");
    assert_eq!((&part("event-number")["valueString"], &part("attempts")["valueInteger"]), (&json!("2"), &json!(3)));
    assert_eq!(part("focus")["valueReference"]["reference"], "Condition/c2/_history/1");
    assert_eq!(part("last")["valueString"], "the endpoint answered 422");

    // What its client asks for anew has no dead letters any more.
    receiver.answers_to("\"c2\"", 200);
    receiver.answers(200);
    house.put(&subscription("Condition", &receiver.url()).with("id", "s").with("reason", "mended")).await.is(200);
    house.days(1).await;
    let answer = house.ask("POST", "Subscription/s/$status").send().await.is(200);
    assert_eq!((told(&answer, "waiting"), told(&answer, "dead")), (json!(0), json!(0)));

    for (query, count) in
        [("", 2), ("?id=s", 1), ("?id=s&id=t", 2), ("?status=off", 1), ("?status=off&status=active", 2), ("?id=x", 0)]
    {
        assert_eq!(house.get(&format!("Subscription/$status{query}")).await.is(200).at("/total"), count, "{query}");
    }
    house.get("Subscription/x/$status").await.is(404);
    let House { database, .. } = house;
    database.drop().await;
}

// Who subscribed, and who keeps the gateway, see what arrived, what waits and what was refused for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_tells_what_is_not_delivered_on_sqlite() {
    a_status_tells(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_tells_what_is_not_delivered_on_postgres() {
    a_status_tells(Database::postgres().await).await;
}
