//! The same ledger story on SQLite and on PostgreSQL: create, update, race, Bundle, delete, verify.

use serde_json::Value;

use crate::builders::{With, bundle, hypertension, patient};
use crate::database::Database;
use crate::house::House;
use crate::patches::{no_patch_is_lost, one_guarded_patch_wins};
use crate::races::{one_claim_wins, one_conditional_create_wins};
use crate::verify::verify;

async fn the_ledger_story(database: Database) {
    let mut house = House::over(database).await;
    house.put(&patient("ada")).await.is(201);
    house.put(&patient("ada").with("gender", "other")).await.is(200);
    house.ask("PUT", "Patient/ada").header("If-Match", "W/\"1\"").json(&patient("ada")).await.is(412);
    assert_eq!(house.get("Patient/ada/_history/1").await.is(200).at("/gender"), "female");

    one_conditional_create_wins(&house).await;
    one_claim_wins(&house).await;
    no_patch_is_lost(&house).await;
    one_guarded_patch_wins(&house).await;

    let refused = bundle(
        "transaction",
        &[("PUT", "Patient/bob", patient("bob")), ("PUT", "Patient/eve", patient("eve").with("gender", "lady"))],
    );
    assert_eq!(house.bundle(&refused).await.status / 100, 4);
    house.get("Patient/bob").await.is(404);
    let taken =
        bundle("transaction", &[("PUT", "Patient/bob", patient("bob")), ("PUT", "Condition/c", hypertension("c", "bob"))]);
    assert_eq!(house.bundle(&taken).await.is(200).statuses(), ["201", "201"]);
    assert_eq!(house.get("Condition?patient=bob").await.ids(), ["c"]);
    assert_eq!(house.get("Patient?birthdate=1961&_sort=_id").await.is(200).ids().len(), 6);

    house.delete("Condition/c").await.is(204);
    house.get("Condition/c").await.is(410);
    assert_eq!(house.count("Condition").await, 0);
    house.put(&hypertension("c", "bob")).await.is(201);
    assert_eq!(house.get("Condition/c").await.version(), "3");

    house.restart().await;
    assert_eq!(house.get("Condition/c").await.is(200).version(), "3");
    let story: Vec<Value> = house.get("Patient/bob/$ledger").await.is(200).resources();
    assert!(story.iter().any(|line| line["resourceType"] == "Condition"));
    house.stop().await;
    verify(&house).unwrap();
    house.database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_story_holds_on_sqlite() {
    the_ledger_story(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_story_holds_on_postgresql() {
    the_ledger_story(Database::postgres().await).await;
}
