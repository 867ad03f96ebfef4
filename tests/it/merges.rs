//! Two records of one person are united by a link: whoever is asked tells of both, and what was decided for either is decided.
//! Follows <https://hl7.org/fhir/R4/patient.html#links> and <https://profiles.ihe.net/ITI/PIXm/ITI-104.html>.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, Purpose, With, bundle, consent, dispense, hypertension, patient, store};
use crate::database::Database;
use crate::diary::{diary, naming};
use crate::house::House;
use crate::rules::{message, rule};

/// The record that is given up: it says by whom it is replaced.
pub(crate) fn replaced(old: &str, new: &str) -> Value {
    let link = json!([{"other": {"reference": format!("Patient/{new}")}, "type": "replaced-by"}]);
    patient(old).with("active", false).with("link", link)
}

async fn a_link_unites(database: Database) {
    let house = House::over(database).await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("new")).await.is(201);
    house.put(&patient("old")).await.is(201);
    house.put(&consent("yes", "new", &[Purpose::Treatment])).await.is(201);
    house.put(&hypertension("before", "old")).await.is(201);
    house.put(&hypertension("other", "new")).await.is(201);
    house.put(&replaced("old", "new")).await.is(200);
    house.put(&hypertension("after", "old")).await.is(201);

    // Both are still read as they are; whoever is asked for the whole tells of both.
    assert_eq!(house.get("Patient/old").await.is(200).at("/link/0/other/reference"), "Patient/new");
    assert_eq!(house.get("Patient/new").await.is(200).at("/active"), Value::Null);
    for path in ["Patient/new/$everything?_type=Condition", "Patient/old/$everything?_type=Condition"] {
        let mut ids = house.get(path).await.is(200).ids();
        ids.sort();
        assert_eq!(ids, ["after", "before", "other"], "{path}");
    }
    for path in ["Patient/new/$ledger", "Patient/old/$ledger"] {
        let told = house.get(path).await.is(200).ids();
        assert!(["after", "before", "other", "yes"].iter().all(|id| told.contains(&String::from(*id))), "{path}: {told:?}");
    }
    // Either identifier leads to the record that stands, with the identifiers of both.
    for (asked, told) in [("old", "new"), ("new", "old")] {
        let pix = house.get(&format!("Patient/$ihe-pix?sourceIdentifier={MEMBERS}|{asked}")).await.is(200);
        let expected = json!([{"name": "targetIdentifier", "valueIdentifier": {"system": MEMBERS, "value": told}},
            {"name": "targetId", "valueReference": {"reference": "Patient/new"}}]);
        assert_eq!(pix.at("/parameter"), expected, "{asked}");
    }
    let meant = json!({"resourceType": "Patient", "identifier": [{"system": MEMBERS, "value": "new"}]});
    assert_eq!(house.ask("POST", "Patient/$match").json(&meant).await.is(200).ids(), ["new"]);

    // What is due for the record that was given up is said to the person, and about either of them it is decided once.
    house.put(&dispense("d", "old", "2026-06-01")).await.is(201);
    house.beat().await;
    house.days(27).await;
    let said = [diary(&house, "new").await, diary(&house, "old").await].concat();
    let reminders = said.iter().filter(|line| line.contains("reminder")).count();
    assert_eq!(reminders, 1, "{said:?}");
    assert!(diary(&house, "old").await.is_empty(), "{said:?}");
    let House { database, .. } = house;
    database.drop().await;
}

// A record that is replaced by another belongs to the same person from then on, and nothing is rewritten.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_unites_on_sqlite() {
    a_link_unites(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_unites_on_postgres() {
    a_link_unites(Database::postgres().await).await;
}

// What was said to one of two records is not said again when they become one, whichever of them says so, and in whatever order.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_for_either_is_decided() {
    for replaces in [false, true] {
        let house = House::new().await;
        house.put(&store("store-1")).await.is(201);
        for id in ["new", "old"] {
            house.put(&patient(id)).await.is(201);
            house.put(&consent(&format!("yes-{id}"), id, &[Purpose::Treatment])).await.is(201);
        }
        // The same purchase is told of both, with the number of the pharmacy.
        let number = dispense("same", "old", "2026-06-01")["identifier"].clone();
        house.put(&dispense("d-old", "old", "2026-06-01").with("identifier", number.clone())).await.is(201);
        house.days(27).await;
        let before = house.count("Communication?status=completed").await;
        assert!(before > 0);
        let link = json!([{"other": {"reference": "Patient/old"}, "type": "replaces"}]);
        let merge = if replaces {
            [
                ("PUT", "Patient/new", patient("new").with("link", link)),
                ("PUT", "Patient/old", patient("old").with("active", false)),
            ]
        } else {
            [("PUT", "Patient/new", patient("new")), ("PUT", "Patient/old", replaced("old", "new"))]
        };
        house.bundle(&bundle("transaction", &merge)).await.is(200);
        house.put(&dispense("d-new", "new", "2026-06-01").with("identifier", number)).await.is(201);
        house.beat().await;
        house.clock.advance(std::time::Duration::from_hours(1));
        house.beat().await;
        assert_eq!(house.count("Communication?status=completed").await, before, "{:?}", diary(&house, "new").await);
    }
}

// A link of another kind, or to nobody yet, unites nobody with somebody else; whom it names is met when they come.
#[tokio::test(flavor = "multi_thread")]
async fn other_links_unite_nobody() {
    let house = House::new().await;
    house.put(&patient("bob")).await.is(201);
    house.put(&hypertension("c", "bob")).await.is(201);
    for kind in ["seealso", "refer"] {
        let link = json!([{"other": {"reference": "Patient/bob"}, "type": kind}]);
        house.put(&patient("ada").with("link", link)).await;
        assert_eq!(house.get("Patient/ada/$everything?_type=Condition").await.is(200).ids(), Vec::<String>::new(), "{kind}");
    }
    house.put(&replaced("old", "later")).await.is(201);
    house.put(&hypertension("d", "old")).await.is(201);
    house.put(&patient("later")).await.is(201);
    assert_eq!(house.get("Patient/later/$everything?_type=Condition").await.is(200).ids(), ["d"]);
}

/// The calls about a refill that stand for a patient.
async fn calls(house: &House, patient: &str, status: &str) -> Vec<Value> {
    naming(house, &format!("Task?status={status}&code=refill-call&patient"), "for", patient).await
}

// An open Task for a record that is given up goes over to the one that stands and says so; where both had the same, one is cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn open_tasks_go_over_to_the_record_that_stands() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    for name in ["new", "old"] {
        house.put(&patient(name)).await.is(201);
        house.put(&dispense(&format!("d-{name}"), name, "2026-06-01")).await.is(201);
    }
    house.days(31).await;
    let claimed = calls(&house, "old", "requested").await.remove(0);
    house.put(&claimed.clone().with("status", "accepted")).await.is(200);
    house.put(&replaced("old", "new")).await.is(200);
    house.beat().await;
    let both = async |status: &str| [calls(&house, "new", status).await, calls(&house, "old", status).await].concat();
    let cancelled = both("cancelled").await;
    assert_eq!(cancelled.len(), 1);
    assert_eq!(cancelled[0]["statusReason"]["coding"][0]["code"], "twice");
    let open = both("requested,accepted").await;
    assert_eq!((open.len(), &open[0]["for"]["reference"]), (1, &json!("Patient/new")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_task_goes_over_as_it_is() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    house.put(&patient("new")).await.is(201);
    house.put(&patient("old")).await.is(201);
    house.put(&dispense("d", "old", "2026-06-01")).await.is(201);
    house.days(31).await;
    let claimed = calls(&house, "old", "requested").await.remove(0);
    house.put(&claimed.with("status", "accepted")).await.is(200);
    house.put(&replaced("old", "new")).await.is(200);
    house.beat().await;
    let moved = calls(&house, "new", "accepted").await.remove(0);
    assert!(moved["note"][0]["text"].as_str().unwrap().contains("Patient/old"), "{moved}");
    assert!(calls(&house, "old", "accepted").await.is_empty());
    // Told again, nothing changes.
    house.put(&replaced("old", "new").with("gender", "other")).await.is(200);
    house.beat().await;
    assert_eq!(calls(&house, "new", "accepted").await, [moved]);
}

// The record that says alone that it replaces another stands for both, whatever the names of the two: the call goes over to it, and what is
// said later is said to it.
#[tokio::test(flavor = "multi_thread")]
async fn who_replaces_another_stands_for_both() {
    let house = House::new().await;
    house.put(&store("store-1")).await.is(201);
    for name in ["alt", "zoe"] {
        house.put(&patient(name)).await.is(201);
        house.put(&consent(&format!("yes-{name}"), name, &[Purpose::Treatment])).await.is(201);
    }
    house.put(&dispense("d", "alt", "2026-06-01")).await.is(201);
    house.days(31).await;
    assert_eq!(calls(&house, "alt", "requested").await.len(), 1);
    let link = json!([{"other": {"reference": "Patient/alt"}, "type": "replaces"}]);
    house.put(&patient("zoe").with("link", link)).await.is(200);
    house.beat().await;
    assert_eq!((calls(&house, "alt", "requested").await.len(), calls(&house, "zoe", "requested").await.len()), (0, 1));
    house.put(&dispense("e", "alt", "2026-07-03")).await.is(201);
    house.days(27).await;
    let told = diary(&house, "zoe").await;
    assert!(told.iter().any(|line| line.contains("reminder")), "{told:?}");
}

// A rule that names a merge is set off by it, once, and by no other change of a Patient.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_names_a_merge_is_set_off_by_it() {
    let house = House::new().await;
    let mut united = rule("united", "1", "hello");
    united["action"][0]["trigger"] = json!([{"type": "named-event", "name": "patient-merged"}]);
    let entries = [("PUT", "PlanDefinition/united", united), ("PUT", "ActivityDefinition/hello", message("hello", "Hello."))];
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    house.beat().await;
    for id in ["new", "old"] {
        house.put(&patient(id)).await.is(201);
        house.put(&consent(&format!("yes-{id}"), id, &[Purpose::Treatment])).await.is(201);
    }
    house.days(2).await;
    assert_eq!(house.count("Communication").await, 0);
    house.put(&replaced("old", "new")).await.is(200);
    house.days(2).await;
    assert_eq!(house.count("Communication?status=completed").await, 1, "{:?}", diary(&house, "new").await);
}

// A record that was replaced is told where the one that replaces it is not there, and only there.
#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_record_is_found_until_the_other_stands() {
    let house = House::new().await;
    house.put(&patient("old")).await.is(201);
    house.put(&replaced("old", "new")).await.is(200);
    let meant = json!({"resourceType": "Patient", "identifier": [{"system": MEMBERS, "value": "old"}]});
    let pix = format!("Patient/$ihe-pix?sourceIdentifier={MEMBERS}|old");
    let told = house.get(&pix).await.is(200).at("/parameter");
    assert_eq!(told, json!([{"name": "targetId", "valueReference": {"reference": "Patient/old"}}]));
    assert_eq!(house.ask("POST", "Patient/$match").json(&meant).await.is(200).ids(), ["old"]);
    house.put(&patient("new")).await.is(201);
    assert_eq!(house.get(&pix).await.is(200).at("/parameter/1/valueReference/reference"), "Patient/new");
    assert_eq!(house.ask("POST", "Patient/$match").json(&meant).await.is(200).ids(), Vec::<String>::new());
}
