//! Two records of one person: a search finds what is filed under either while they are one, and each has its own again after a
//! parting. Follows <https://hl7.org/fhir/R4/patient.html#links>.

use serde_json::{Value, json};

use crate::builders::{MEMBERS, With, hypertension, patient, subscription};
use crate::database::Database;
use crate::house::House;
use crate::merges::replaced;
use crate::receiver::Receiver;

fn visit(id: &str, of: &str) -> Value {
    json!({"resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": "AMB"},
        "subject": {"reference": format!("Patient/{of}")}})
}

fn pulse(id: &str, of: &str, visit: &str) -> Value {
    json!({"resourceType": "Observation", "id": id, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": format!("Patient/{of}")}, "encounter": {"reference": format!("Encounter/{visit}")},
        "performer": [{"reference": format!("Patient/{of}")}]})
}

/// Facts of two records that will be one, of one that is only named, and of somebody else.
async fn furnished(house: &House) {
    let family = |id: &str, family: &str| patient(id).with("name", json!([{"family": family}]));
    let resources = [
        family("new", "Berg"),
        family("old", "Stein"),
        family("else", "Else"),
        hypertension("c-new", "new"),
        hypertension("c-old", "old").with("recordedDate", "2026-05-01"),
        hypertension("c-else", "else"),
        hypertension("c-named", "named").with("recordedDate", "2026-04-01"),
        visit("v-old", "old"),
        pulse("o-new", "new", "v-none"),
        pulse("o-old", "old", "v-old"),
    ];
    for resource in &resources {
        house.put(resource).await.is(201);
    }
}

/// A search, what it finds while all records are apart, and while they are one.
const FINDS: &[(&str, &[&str], &[&str])] = &[
    ("Condition?patient=Patient/new", &["c-new"], &["c-named", "c-new", "c-old"]),
    ("Condition?patient=Patient/old", &["c-old"], &["c-named", "c-new", "c-old"]),
    ("Condition?subject=named", &["c-named"], &["c-named", "c-new", "c-old"]),
    ("Condition?subject:Patient=old&code=38341003", &["c-old"], &["c-named", "c-new", "c-old"]),
    ("Condition?patient=Patient/else", &["c-else"], &["c-else"]),
    ("Condition?patient=Patient/nobody", &[], &[]),
    ("Condition?patient=Patient/else,Patient/old", &["c-else", "c-old"], &["c-else", "c-named", "c-new", "c-old"]),
    ("Condition?patient=old&_sort=-recorded-date", &["c-old"], &["c-named", "c-new", "c-old"]),
    ("Condition?patient.family=berg", &["c-new"], &["c-named", "c-new", "c-old"]),
    ("Condition?patient._id=old", &["c-old"], &["c-named", "c-new", "c-old"]),
    ("Observation?encounter.patient=new", &[], &["o-old"]),
    ("Patient?_has:Observation:patient:encounter=v-old", &["old"], &["new", "old"]),
    ("Patient?_has:Observation:patient:encounter=v-nowhere", &[], &[]),
    ("Patient?_id=new", &["new"], &["new"]),
    ("Patient?link=Patient/named", &[], &["new"]),
    ("Patient/old/Condition", &["c-old"], &["c-named", "c-new", "c-old"]),
    ("Patient/new/Observation", &["o-new"], &["o-new", "o-old"]),
    ("Patient/old/Patient", &["old"], &["new", "old"]),
    ("Patient/else/Patient", &["else"], &["else"]),
    ("Patient/new/*?_type=Encounter,Condition", &["c-new"], &["c-named", "c-new", "c-old", "v-old"]),
    ("Patient?_id=new&_revinclude=Condition:patient", &["c-new", "new"], &["c-named", "c-new", "c-old", "new"]),
];

/// Each search in pages of one, and its number.
async fn searched(house: &House, are_one: bool) {
    let mut wrong = Vec::new();
    for (search, apart, one) in FINDS {
        let expected = if are_one { one } else { apart };
        let sign = if search.contains('?') { '&' } else { '?' };
        let found = house.all(&format!("{search}{sign}_count=1")).await;
        let mut ids: Vec<&str> = found.iter().filter_map(|one| one["id"].as_str()).collect();
        ids.sort_unstable();
        if ids != *expected {
            wrong.push(format!("{search}: {ids:?}"));
        }
        let count = house.count(search).await;
        if !search.contains("_revinclude") && count != expected.len() as u64 {
            wrong.push(format!("{search}: counted {count}"));
        }
    }
    assert!(wrong.is_empty(), "one: {are_one}\n{}", wrong.join("\n"));
}

async fn what_is_filed_under_either_is_found(database: Database) {
    let mut house = House::over(database).await;
    furnished(&house).await;
    searched(&house, false).await;
    // The one that stands links to one that was never told, and the other is given up for it.
    let linked = patient("new")
        .with("name", json!([{"family": "Berg"}]))
        .with("link", json!([{"other": {"reference": "Patient/named"}, "type": "replaces"}]));
    house.put(&linked).await.is(200);
    house.put(&replaced("old", "new").with("name", json!([{"family": "Stein"}]))).await.is(200);
    searched(&house, true).await;
    // Who is one is known to the next gateway, too.
    house.restart().await;
    searched(&house, true).await;
    house.put(&patient("new").with("name", json!([{"family": "Berg"}]))).await.is(200);
    house.put(&patient("old").with("name", json!([{"family": "Stein"}]))).await.is(200);
    searched(&house, false).await;
    let House { database, .. } = house;
    database.drop().await;
}

// By reference, chain, compartment and include, page by page and counted: what either record has, as long as they are one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_filed_under_either_is_found_on_sqlite() {
    what_is_filed_under_either_is_found(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_filed_under_either_is_found_on_postgresql() {
    what_is_filed_under_either_is_found(Database::postgres().await).await;
}

async fn a_condition_means_the_record_it_names(database: Database) {
    let house = House::over(database).await;
    furnished(&house).await;
    house.put(&replaced("old", "new")).await.is(200);
    // What there is of the other is no reason not to make it here, and is not deleted in its place.
    let visit_of = async |of: &str| {
        let ask = house.ask("POST", "Encounter").header("If-None-Exist", &format!("patient=Patient/{of}"));
        ask.json(&visit("x", of)).await
    };
    visit_of("old").await.is(200);
    visit_of("new").await.is(201);
    visit_of("new").await.is(200);
    house.delete("Condition?patient=Patient/new").await.is(204);
    assert_eq!(house.get("Condition?patient=Patient/new").await.is(200).ids(), ["c-old"]);
    let House { database, .. } = house;
    database.drop().await;
}

// A conditional create or delete looks for what is filed under the record itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_condition_means_the_record_it_names_on_sqlite() {
    a_condition_means_the_record_it_names(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_means_the_record_it_names_on_postgresql() {
    a_condition_means_the_record_it_names(Database::postgres().await).await;
}

async fn who_listens_to_one_hears_of_the_other(database: Database) {
    let house = House::over(database).await;
    let receiver = Receiver::start().await;
    for name in ["new", "old", "else"] {
        house.put(&patient(name)).await.is(201);
    }
    house.post(&subscription("Condition?patient=Patient/new", &receiver.url())).await.is(201);
    house.beat().await;
    let heard = async |at: &str| {
        for of in ["new", "old", "else"] {
            house.put(&hypertension(&format!("{at}-{of}"), of)).await.is(201);
        }
        house.beat().await;
        let told = receiver.notices();
        let ids = told.iter().map(|notice| notice.json()["id"].as_str().unwrap().to_owned());
        ids.filter(|id| id.starts_with(at)).collect::<Vec<String>>()
    };
    assert_eq!(heard("before").await, ["before-new"]);
    house.put(&replaced("old", "new")).await.is(200);
    let mut during = heard("during").await;
    during.sort();
    assert_eq!(during, ["during-new", "during-old"]);
    house.put(&patient("old")).await.is(200);
    assert_eq!(heard("after").await, ["after-new"]);
    assert!(!house.get(&format!("Patient?identifier={MEMBERS}|old")).await.is(200).ids().is_empty());
    let House { database, .. } = house;
    database.drop().await;
}

// A Subscription for one record is told of the other's facts while they are one, and not before or after.
#[tokio::test(flavor = "multi_thread")]
async fn who_listens_to_one_hears_of_the_other_on_sqlite() {
    who_listens_to_one_hears_of_the_other(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_to_one_hears_of_the_other_on_postgresql() {
    who_listens_to_one_hears_of_the_other(Database::postgres().await).await;
}
