//! What stands behind a notice at which a receiver fails waits for it; nobody and nothing else does, however much there is of it.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::builders::{With, bundle, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::{House, both};
use crate::receiver::Receiver;

const CRITERIA: &str = "Condition?code=http://snomed.info/sct|38341003";
/// More than a subscription has in memory.
const MANY: usize = 600;

/// A house, a receiver, and subscriptions of these ids and criteria that are active.
async fn subscribed(database: Database, asked: &[(&str, &str)]) -> (House, Receiver) {
    let (house, receiver) = (House::over(database).await, Receiver::start().await);
    for name in ["ada", "bo", "cy", "dee", "eve"] {
        house.put(&patient(name)).await.is(201);
    }
    for (id, criteria) in asked {
        house.put(&subscription(criteria, &receiver.url()).with("id", *id)).await.is(201);
    }
    house.beat().await;
    (house, receiver)
}

async fn put_all(house: &House, all: &[Value]) {
    for some in all.chunks(200) {
        let urls = some.iter().map(|one| format!("Condition/{}", one["id"].as_str().unwrap())).collect::<Vec<_>>();
        let entries: Vec<_> = some.iter().zip(&urls).map(|(one, url)| ("PUT", url.as_str(), one.clone())).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    house.beat().await;
}

/// What arrived for each patient, in order.
fn by_patient(receiver: &Receiver) -> HashMap<String, Vec<String>> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for notice in receiver.notices().iter().map(|notice| notice.json()) {
        let id = notice["id"].as_str().unwrap().to_owned();
        found.entry(notice["subject"]["reference"].as_str().unwrap().to_owned()).or_default().push(id);
    }
    found
}

fn organization(id: &str, name: &str) -> Value {
    json!({"resourceType": "Organization", "id": id, "name": name})
}

// The receiver fails at one Organization, or refuses it. The others are told at once, and each in its own order.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_nobodys_does_not_wait_for_each_other() {
    for status in [500, 404, 422] {
        both(async |database| {
            let (house, receiver) = subscribed(database, &[("s", "Organization?name=Lab")]).await;
            receiver.answers_to("\"bad\"", status);
            for id in ["a", "bad", "b", "c"] {
                house.put(&organization(id, "Lab One")).await.is(201);
                house.beat().await;
            }
            house.put(&organization("b", "Lab Two")).await.is(200);
            house.beat().await;
            assert_eq!(receiver.arrived(), ["a", "b", "c", "b"], "{status}");
            house.days(2).await;
            assert_eq!(house.get("Subscription/s").await.is(200).at("/status"), "active");
            house
        })
        .await;
    }
}

// Hundreds of notices stand behind one at which the receiver fails. Who else is written about is told at once, also after a restart.
// When it is mended, all arrive once and in order; a resource that went from one to another does not overtake itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_behind_one_notice_stops_nobody_and_loses_nothing() {
    both(async |database| {
        let (mut house, receiver) = subscribed(database, &[("s", CRITERIA)]).await;
        receiver.answers_to("\"poison\"", 500);
        let mut told = vec![hypertension("poison", "ada"), hypertension("first", "bo")];
        // Every fifth is another patient's, of whom there are more than come into memory at once, too.
        told.extend((0..MANY).map(|number| hypertension(&format!("c{number}"), if number % 5 == 4 { "dee" } else { "ada" })));
        put_all(&house, &told).await;
        house.put(&hypertension("c100", "eve")).await.is(200);
        house.beat().await;
        house.seconds(10).await;
        house.put(&hypertension("second", "bo")).await.is(201);
        house.beat().await;
        let of = |name: &str| by_patient(&receiver).remove(&format!("Patient/{name}")).unwrap_or_default();
        assert_eq!((of("bo").len(), of("dee").len(), of("ada").len()), (2, MANY / 5, 0));
        house.restart().await;
        house.beat().await;
        house.put(&hypertension("third", "cy")).await.is(201);
        house.beat().await;
        house.seconds(60).await;
        assert_eq!((of("cy"), of("ada").len(), of("eve").len()), (vec![String::from("third")], 0, 0));

        receiver.answers_to("\"poison\"", 200);
        house.days(1).await;
        let mine = |name: &str, told: &Value| told["subject"]["reference"] == format!("Patient/{name}");
        for name in ["ada", "dee"] {
            let ids: Vec<&str> = told.iter().filter(|one| mine(name, one)).map(|one| one["id"].as_str().unwrap()).collect();
            assert_eq!(of(name), ids, "{name}");
        }
        let moved: Vec<Value> = receiver.notices().iter().map(|one| one.json()).filter(|one| one["id"] == "c100").collect();
        assert_eq!(
            moved.iter().map(|one| one["subject"]["reference"].as_str().unwrap()).collect::<Vec<_>>(),
            ["Patient/ada", "Patient/eve"]
        );
        assert_eq!(receiver.notices().len(), MANY + 5);
        house
    })
    .await;
}

// The same for eight subscriptions at one endpoint: a ninth is told.
#[tokio::test(flavor = "multi_thread")]
async fn crowds_of_others_at_its_endpoint_do_not_stop_a_subscription() {
    let names = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];
    let mut asked: Vec<(&str, &str)> = names.iter().map(|name| (*name, "Condition?subject=Patient/ada")).collect();
    asked.push(("well", "Condition?subject=Patient/bo"));
    let (house, receiver) = subscribed(Database::sqlite(), &asked).await;
    receiver.answers_to("\"poison\"", 422);
    let mut told = vec![hypertension("poison", "ada")];
    told.extend((0..MANY).map(|number| hypertension(&format!("c{number}"), "ada")));
    put_all(&house, &told).await;
    house.put(&hypertension("mine", "bo")).await.is(201);
    house.beat().await;
    assert_eq!(receiver.arrived(), ["mine"]);
    house.seconds(20).await;
    assert_eq!(receiver.arrived().len(), 1 + MANY * names.len());
}
