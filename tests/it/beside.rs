//! What comes beside the matches, how much of each is shown, in which order, and where a page ends.
//! Follows <https://hl7.org/fhir/R4/search.html>.

use serde_json::{Value, json};

use crate::answer::{Answer, entries};
use crate::builders::{With, bundle, hypertension, patient, task};
use crate::database::Database;
use crate::house::House;
use crate::searching::furnished;

/// The ids of the entries of one mode, in their order.
fn of_mode(answer: &Answer, mode: &str) -> Vec<String> {
    let all = entries(&answer.json());
    let mine = all.iter().filter(|entry| entry["search"]["mode"] == mode);
    mine.map(|entry| entry["resource"]["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A search and what it must include, sorted.
const INCLUDES: &[(&str, &[&str])] = &[
    ("Task?_id=t1&_include=Task:focus", &["bp"]),
    ("Task?_id=t1&_include=Task:focus:Observation", &["bp"]),
    ("Task?_id=t1&_include=Task:focus:Condition", &[]),
    ("Task?_id=t1&_include=Task:patient&_include=Task:focus&_include=Task:owner", &["ada", "bp", "store-1"]),
    ("Task?_id=t1&_include=*", &["ada", "bp", "store-1"]),
    ("Task?_id=t1&_include=Task:*", &["ada", "bp", "store-1"]),
    ("Task?_id=t1&_include=Task:focus&_include:iterate=Observation:performer", &["bp", "dr"]),
    ("Task?_id=t1&_include=Task:focus&_include=Observation:performer", &["bp"]),
    ("Patient?_id=ada&_include=Patient:general-practitioner", &["dr"]),
    ("Patient?_id=ada&_revinclude=Condition:subject", &["c1"]),
    ("Patient?_id=ada&_revinclude=Task:patient&_revinclude=Observation:patient", &["bp", "t1", "w1"]),
    ("Patient?_id=ada,bob&_revinclude=Condition:patient&_include:iterate=Condition:subject", &["c1", "c2"]),
    (
        "Observation?_id=bp&_revinclude=Task:focus&_include:iterate=Task:patient&_revinclude:iterate=Condition:subject",
        &["ada", "c1", "t1"],
    ),
    ("Condition?_id=c1,c3&_include=Condition:subject", &["ada"]),
    ("Patient/ada/Observation?code=85354-9&_include=Observation:performer", &["dr"]),
];

async fn what_is_asked_for_comes_beside(database: Database) {
    let house = House::over(database).await;
    furnished(&house).await;
    let mut wrong = Vec::new();
    for (search, expected) in INCLUDES {
        let answer = house.ask("GET", search).header("Prefer", "handling=strict").send().await.is(200);
        let mut found = of_mode(&answer, "include");
        found.sort();
        if found != *expected {
            wrong.push(format!("{search}: {found:?}"));
        }
        // Includes are no matches.
        let matches = of_mode(&answer, "match").len();
        if answer.at("/total") != json!(matches) {
            wrong.push(format!("{search}: {} of {matches}", answer.at("/total")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    house.database.drop().await;
}

// What is included is there once, beside the matches and no match itself; what dangles is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_comes_beside_on_sqlite() {
    what_is_asked_for_comes_beside(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_comes_beside_on_postgresql() {
    what_is_asked_for_comes_beside(Database::postgres().await).await;
}

// A match that is also included stays a match, and a circle of references ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_match_stays_a_match_and_a_circle_ends() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.put(&task("a", "ada", "s").with("partOf", json!([{"reference": "Task/b"}]))).await.is(201);
    house.put(&task("b", "ada", "s").with("partOf", json!([{"reference": "Task/a"}]))).await.is(201);
    let both = house.get("Task?_id=a,b&_include:iterate=Task:part-of").await.is(200);
    assert_eq!((of_mode(&both, "match").len(), of_mode(&both, "include").len()), (2, 0));
    let one = house.get("Task?_id=a&_include:iterate=Task:part-of&_revinclude:iterate=Task:part-of").await.is(200);
    assert_eq!((of_mode(&one, "match"), of_mode(&one, "include")), (vec![String::from("a")], vec![String::from("b")]));
}

// Who asks for all that hangs together gets it over many steps; where there would be more of them, that is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_way_is_gone_to_its_end() {
    const ROUNDS_MAX: usize = 32;
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for at in 0..ROUNDS_MAX + 2 {
        let next = json!([{"reference": format!("Task/t{}", at + 1)}]);
        house.put(&task(&format!("t{at}"), "ada", "s").with("partOf", next)).await.is(201);
    }
    house.put(&task(&format!("t{}", ROUNDS_MAX + 2), "ada", "s")).await.is(201);
    for (from, remarks) in [(2, 0), (1, 1), (0, 1)] {
        let answer = house.get(&format!("Task?_id=t{from}&_include:iterate=Task:part-of")).await.is(200);
        assert_eq!((of_mode(&answer, "include").len(), of_mode(&answer, "outcome").len()), (ROUNDS_MAX, remarks), "{from}");
    }
}

// More than fits beside a page is said, not left out in silence.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_beside_is_said() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for part in 0..11 {
        let ids: Vec<String> = (0..100).map(|number| format!("Condition/c{part}-{number}")).collect();
        let resources: Vec<Value> = ids.iter().map(|url| hypertension(&url[10..], "ada")).collect();
        let entries: Vec<(&str, &str, Value)> = ids.iter().zip(resources).map(|(url, one)| ("PUT", url.as_str(), one)).collect();
        house.bundle(&bundle("transaction", &entries)).await.is(200);
    }
    let answer = house.get("Patient?_revinclude=Condition:subject").await.is(200);
    assert_eq!((of_mode(&answer, "include").len(), of_mode(&answer, "outcome").len()), (1_000, 1));
    assert!(answer.text.contains("includes-cut"));
}

// A part of a resource is tagged as such, holds what must be there, and cannot be put in the place of the whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_tagged_and_cannot_be_put_back() {
    let house = House::new().await;
    furnished(&house).await;
    let keys = |resource: &Value| resource.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let elements = house.get("Observation?_id=w1&_elements=subject").await.is(200);
    let shown = elements.at("/entry/0/resource");
    assert_eq!(keys(&shown), ["resourceType", "id", "meta", "status", "code", "subject"]);
    assert_eq!(shown["meta"]["tag"][0]["code"], "SUBSETTED");
    let text = house.get("Patient?_id=ada&_summary=text").await.is(200).at("/entry/0/resource");
    assert_eq!(keys(&text), ["resourceType", "id", "meta"]);
    let summary = house.get("Patient?_id=ada&_summary=true").await.is(200).at("/entry/0/resource");
    assert!(keys(&summary).contains(&String::from("name")) && !keys(&summary).contains(&String::from("generalPractitioner")));
    let whole = house.get("Patient?_id=ada&_summary=false").await.is(200).at("/entry/0/resource");
    assert!(keys(&whole).contains(&String::from("generalPractitioner")) && whole["meta"].get("tag").is_none());

    let refused = house.put(&shown).await.is(422);
    assert_eq!(refused.expressions(), ["Observation.meta.tag"]);
    assert_eq!(house.get("Observation/w1").await.at("/valueQuantity/value"), 72.5);
    house.ask("GET", "Patient?_summary=text&_include=Patient:organization").send().await.is(400);
}

// The form, the address, and both together ask the same; so do they of the system and of a compartment.
#[tokio::test(flavor = "multi_thread")]
async fn a_posted_search_is_the_same_search() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let house = House::new().await;
    furnished(&house).await;
    for (path, form, expected) in [
        ("Condition/_search", "patient=ada", &["c1"][..]),
        ("Condition/_search?patient=bob", "clinical-status=resolved", &["c2"]),
        ("Condition/_search?patient=bob", "clinical-status=active", &[]),
        ("_search?_type=Patient", "_id=ada", &["ada"]),
        ("_search", "_type=Task&_id=t2", &["t2"]),
        ("Patient/ada/Task/_search", "status=requested", &["t1"]),
    ] {
        let answer = house.ask("POST", path).body(FORM, form).await.is(200);
        assert_eq!(answer.ids(), expected, "{path} {form}");
    }
    // Without a form all stands in the address; what is sent must be one.
    assert_eq!(house.ask("POST", "Condition/_search?patient=ada").send().await.is(200).ids(), ["c1"]);
    house.ask("POST", "Condition/_search?patient=ada").body("application/json", "{}").await.is(415);
    house.get("Patient/ada/Subscription").await.is(404);
    house.get("?_type=Banana").await.is(400);
}

/// Forty tasks of which some share a priority and some have none.
async fn many_tasks(house: &House) -> usize {
    let entry = |number: usize| {
        let mut one = task(&format!("t{number:02}"), "ada", "store-1");
        let priorities = ["routine", "urgent", "asap"];
        if number % 4 != 3 {
            one["priority"] = json!(priorities[number % 4]);
        }
        if !number.is_multiple_of(5) {
            one["authoredOn"] = json!(format!("2026-05-{:02}", 1 + number % 7));
        }
        one
    };
    let all: Vec<Value> = (0..40).map(entry).collect();
    let urls: Vec<String> = all.iter().map(|one| format!("Task/{}", one["id"].as_str().unwrap())).collect();
    let entries: Vec<(&str, &str, Value)> = urls.iter().zip(all).map(|(url, one)| ("PUT", url.as_str(), one)).collect();
    house.bundle(&bundle("transaction", &entries)).await.is(200);
    40
}

async fn an_order_holds_from_page_to_page(database: Database) {
    let house = House::over(database).await;
    house.put(&patient("ada")).await.is(201);
    let count = many_tasks(&house).await;
    for sort in [
        "priority",
        "-priority",
        "authored-on",
        "-authored-on",
        "_lastUpdated",
        "-_id",
        "priority,-authored-on,_id",
        "-authored-on,priority",
    ] {
        for filter in ["", "&patient=ada", "&status:not=draft"] {
            let found = house.all(&format!("Task?_sort={sort}&_count=7{filter}")).await;
            let mut ids: Vec<&str> = found.iter().map(|one| one["id"].as_str().unwrap()).collect();
            let first = sort.split(',').next().unwrap();
            let element = match first.trim_start_matches('-') {
                "priority" => "/priority",
                "authored-on" => "/authoredOn",
                "_id" => "/id",
                _ => "/meta/lastUpdated",
            };
            let keys: Vec<Option<&str>> = found.iter().map(|one| one.pointer(element).and_then(Value::as_str)).collect();
            let some: Vec<&str> = keys.iter().flatten().copied().collect();
            let is_sorted = if first.starts_with('-') { some.is_sorted_by(|one, other| one >= other) } else { some.is_sorted() };
            let none_last = keys.iter().skip(some.len()).all(Option::is_none);
            assert!(is_sorted && none_last, "{sort}{filter}: {keys:?}");
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count, "{sort}{filter}");
        }
    }
    let pages = house.get("?_type=Task,Patient&_sort=-_lastUpdated&_count=9").await.is(200);
    assert_eq!(pages.ids().len(), 9);
    let mut all: Vec<String> =
        house.all("?_type=Patient,Task&_count=9").await.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    let merged = house.all("?_type=Patient,Task&_count=9&_sort=_lastUpdated").await.len();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), merged), (41, 41));
    house.database.drop().await;
}

// Ties and missing keys keep their place over pages: each resource once, in the order asked for, by any key.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_holds_from_page_to_page_on_sqlite() {
    an_order_holds_from_page_to_page(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_holds_from_page_to_page_on_postgresql() {
    an_order_holds_from_page_to_page(Database::postgres().await).await;
}
