//! What was changed lately, of a type and of everything: each version once, the newest first, also while others write.

use std::time::Duration;

use serde_json::Value;

use crate::answer::entries;
use crate::builders::{With, dispense, patient};
use crate::database::Database;
use crate::house::House;

/// Every version that the pages tell of, as `Type/id/version`, in order. `between` is done after the first page.
async fn walk(house: &House, path: &str, between: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    let mut next = path.to_owned();
    while !next.is_empty() {
        let page = house.get(&next).await.is(200);
        assert_eq!(page.at("/type"), "history");
        for entry in entries(&page.json()) {
            let (url, tag) = (entry["fullUrl"].as_str().unwrap(), entry["response"]["etag"].as_str().unwrap());
            assert_eq!(entry["request"]["method"] == "DELETE", entry.get("resource").is_none(), "{entry}");
            told.push(format!(
                "{}/{}",
                url.trim_start_matches(&house.base()).trim_start_matches('/'),
                tag.trim_matches(['W', '/', '"'])
            ));
        }
        if let (Some(resource), 1..3) = (between, told.len()) {
            house.put(resource).await.is(200);
        }
        next = page.link("next");
    }
    told
}

/// Three Patients and a dispense, two of them changed at later times, one deleted.
async fn story(house: &House) {
    for id in ["a", "b", "c"] {
        house.put(&patient(id)).await.is(201);
    }
    house.put(&dispense("d", "a", "2026-06-01")).await.is(201);
    house.clock.advance(Duration::from_mins(1));
    house.put(&patient("a").with("gender", "other")).await.is(200);
    house.put(&patient("b").with("gender", "other")).await.is(200);
    house.clock.advance(Duration::from_mins(1));
    house.delete("Patient/b").await.is(204);
}

async fn each_version_is_told_once(database: Database) {
    let house = House::over(database).await;
    story(&house).await;
    let all =
        ["Patient/b/3", "Patient/b/2", "Patient/a/2", "Patient/c/1", "Patient/b/1", "Patient/a/1", "MedicationDispense/d/1"];
    for count in [1, 2, 3, 100] {
        let mut everything = walk(&house, &format!("_history?_count={count}"), None).await;
        // The form that comes with the program is there from the start.
        everything.retain(|told| !told.starts_with("Questionnaire/"));
        assert_eq!(everything, all, "{count}");
        assert_eq!(walk(&house, &format!("Patient/_history?_count={count}"), None).await, all[..6], "{count}");
    }
    assert_eq!(walk(&house, "_history?_since=2026-06-01T15:01:00Z", None).await, all[..3]);
    assert_eq!(walk(&house, "Patient/_history?_since=2026-06-01T15:01:30Z&_count=1", None).await, all[..1]);
    assert!(walk(&house, "Observation/_history", None).await.is_empty());

    // Another writes meanwhile: what the pages had begun with is told to its end, and nothing twice.
    house.clock.advance(Duration::from_mins(1));
    let later = patient("c").with("gender", "other");
    assert_eq!(walk(&house, "Patient/_history?_count=2", Some(&later)).await, all[..6]);
    assert_eq!(walk(&house, "Patient/_history?_count=1", None).await[0], "Patient/c/2");
}

// Versions of one moment stand in an order, too; pages of any size tell all of them.
#[tokio::test(flavor = "multi_thread")]
async fn each_version_is_told_once_on_sqlite() {
    each_version_is_told_once(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn each_version_is_told_once_on_postgres() {
    each_version_is_told_once(Database::postgres().await).await;
}

// One resource can be asked for what was current at a time, or at some time of a day.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_current_at_a_time_is_told() {
    let house = House::new().await;
    story(&house).await;
    for (at, expected) in [
        ("2026-06-01T15:00:30Z", &["Patient/b/1"][..]),
        ("2026-06-01T15:01:00Z", &["Patient/b/2"]),
        ("2026-06-01T15:01:30Z", &["Patient/b/2"]),
        ("2026-06-01T15:05:00Z", &["Patient/b/3"]),
        ("2026-06-01", &["Patient/b/3", "Patient/b/2", "Patient/b/1"]),
        ("2026-05-31", &[]),
    ] {
        assert_eq!(walk(&house, &format!("Patient/b/_history?_at={at}"), None).await, expected, "{at}");
    }
}

// It may stand in a batch; what it does not answer it refuses.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_answered_is_refused() {
    let house = House::new().await;
    story(&house).await;
    let entry = |url: &str| serde_json::json!({"request": {"method": "GET", "url": url}});
    let batch = serde_json::json!({"resourceType": "Bundle", "type": "batch", "entry": [entry("Patient/_history?_count=2"), entry("_history")]});
    let answer = house.bundle(&batch).await.is(200);
    assert_eq!(answer.statuses(), ["200", "200"]);
    assert_eq!(answer.at("/entry/0/resource/type"), "history");
    for (path, status, code) in [
        ("Patient/_history?_at=2026-06-01", 400, "not-supported"),
        ("_history?_since=yesterday", 400, "invalid"),
        ("_history?_page=nonsense", 400, "invalid"),
        ("Banana/_history", 404, "not-supported"),
        ("_history/1", 404, "not-found"),
    ] {
        assert_eq!(house.get(path).await.is(status).codes(), [code], "{path}");
    }
    assert_eq!(house.ask("POST", "Patient/_history").send().await.is(405).header("allow"), "GET, HEAD, OPTIONS");
}
