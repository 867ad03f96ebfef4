//! What was changed lately, of a type and of everything: each version once, the newest first, also while others write.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use crate::answer::entries;
use crate::builders::{With, dispense, patient};
use crate::database::Database;
use crate::house::House;

/// Every version that the pages tell of, as `Type/id/version`, in order. `between` is done after the first page.
async fn walk(house: &House, path: &str, between: Option<&Value>) -> Vec<String> {
    let (mut told, mut total) = (Vec::new(), None);
    let mut next = path.to_owned();
    while !next.is_empty() {
        let page = house.get(&next).await.is(200);
        assert_eq!(page.at("/type"), "history");
        total = total.or(page.at("/total").as_u64());
        assert!(between.is_some() || page.at("/total").as_u64() == total, "{}", page.text);
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
    assert!(between.is_some() || total == Some(told.len() as u64), "{path}: {total:?}");
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
    for path in ["_history", "Patient/_history", "Patient/b/_history"] {
        let strict = |query: &str| house.ask("GET", &format!("{path}?{query}")).header("Prefer", "handling=strict");
        strict("_count=1&_format=json").send().await.is(200);
        assert_eq!(strict("_elements=name").send().await.is(400).codes(), ["not-supported"], "{path}");
        house.get(&format!("{path}?_elements=name")).await.is(200);
    }
    assert_eq!(walk(&house, "Patient/_history?_since=2026-06-01T15:01:30Z&_count=1", None).await, all[..1]);
    assert!(walk(&house, "Observation/_history", None).await.is_empty());

    // What was current at a time, or at some time of a day, of one resource and of all.
    for (path, expected) in [
        ("Patient/b/_history?_at=2026-06-01T15:00:30Z", &["Patient/b/1"][..]),
        ("Patient/b/_history?_at=2026-06-01T15:01:00Z", &["Patient/b/2"]),
        ("Patient/b/_history?_at=2026-06-01T15:05:00Z", &["Patient/b/3"]),
        ("Patient/b/_history?_at=2026-06-01&_count=1", &["Patient/b/3", "Patient/b/2", "Patient/b/1"]),
        ("Patient/b/_history?_at=2026-06-01&_since=2026-06-01T15:01:00Z", &["Patient/b/3", "Patient/b/2"]),
        ("Patient/b/_history?_at=2026-05-31", &[]),
        ("Patient/_history?_at=2026-06-01T15:00:30Z", &["Patient/c/1", "Patient/b/1", "Patient/a/1"]),
        ("Patient/_history?_at=2026-06-01T15:01:30Z&_count=1", &["Patient/b/2", "Patient/a/2", "Patient/c/1"]),
        ("Patient/_history?_at=2026-06-01T15:05:00Z&_count=2", &["Patient/b/3", "Patient/a/2", "Patient/c/1"]),
        ("Patient/_history?_at=2026-06-01", &all[..6]),
        ("Patient/_history?_at=2026-05-31", &[]),
        ("_history?_at=2026-06-01T15:01:30Z&_since=2026-06-01T15:00:30Z", &["Patient/b/2", "Patient/a/2"]),
    ] {
        assert_eq!(walk(&house, path, None).await, expected, "{path}");
    }

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

async fn a_long_history_is_told_to_its_end(database: Database) {
    let house = House::over(database).await;
    house.put(&patient("ada")).await.is(201);
    house.put(&patient("ada").with("gender", "other")).await.is(200);
    // What two thousand updates more leave, a minute after each other.
    let last = 2_003;
    let grow = "WITH RECURSIVE n(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 2002)
        INSERT INTO versions (tenant, kind, id, version, updated, deleted, source, salt, meta, body)
        SELECT v.tenant, v.kind, v.id, n.n, v.updated + n.n * 60000, v.deleted, v.source, v.salt, v.meta, v.body
        FROM versions v, n WHERE v.kind = 'Patient' AND v.id = 'ada' AND v.version = 1";
    assert_eq!(house.database.tamper(grow).await, 2_001);
    let newest = "UPDATE resources SET version = 2003, updated = updated + 2003 * 60000 WHERE kind = 'Patient' AND id = 'ada'";
    assert_eq!(house.database.tamper(newest).await, 1);

    let expected = |versions: RangeInclusive<u64>| -> Vec<String> {
        versions.rev().map(|version| format!("Patient/ada/{version}")).collect()
    };
    for (path, versions) in [
        ("Patient/ada/_history?_count=900", 1..=last),
        ("Patient/_history?_count=1000", 1..=last),
        ("Patient/ada/_history?_since=2026-06-02T15:00:00Z", 1_440..=last),
        ("Patient/_history?_since=2026-06-02T15:00:00Z&_count=1000", 1_440..=last),
        ("Patient/ada/_history?_at=2026-06-02T15:00:30Z", 1_440..=1_440),
        ("Patient/_history?_at=2026-06-02T15:00:30Z", 1_440..=1_440),
    ] {
        let expected = expected(versions);
        assert_eq!(house.get(path).await.is(200).at("/total"), expected.len(), "{path}");
        assert_eq!(walk(&house, path, None).await, expected, "{path}");
    }
    assert_eq!(house.get("Patient/ada/_history?_count=0").await.is(200).at("/total"), last);
}

// A history of more versions than one page can hold has an end, and says at once how many there are.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_told_to_its_end_on_sqlite() {
    a_long_history_is_told_to_its_end(Database::sqlite()).await;
}

// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_told_to_its_end_on_postgres() {
    a_long_history_is_told_to_its_end(Database::postgres().await).await;
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
    // A link leads on only with the question that it came with.
    let next = house.get("Patient/_history?_count=1").await.is(200).link("next");
    house.get(&next).await.is(200);
    house.get(&next.replace("_count=1", "_count=2")).await.is(400);
    for (path, status, code) in [
        ("Patient/_history?_at=yesterday", 400, "invalid"),
        ("Patient/a/_history?_page=5", 400, "invalid"),
        ("_history?_since=yesterday", 400, "invalid"),
        ("_history?_page=nonsense", 400, "invalid"),
        ("Banana/_history", 404, "not-supported"),
        ("_history/1", 404, "not-found"),
    ] {
        assert_eq!(house.get(path).await.is(status).codes(), [code], "{path}");
    }
    assert_eq!(house.ask("POST", "Patient/_history").send().await.is(405).header("allow"), "GET, HEAD, OPTIONS");
}
