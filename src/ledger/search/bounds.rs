//! What one page of a search looks at is bounded, also what fails or lies on a chain; and its link goes on whatever is written
//! between two pages.

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use super::chain::ON_THE_WAY_LATER_MAX;
use super::count::counted;
use super::page::{EXAMINED_MAX, Page, page, prepare};
use super::tests::{Watched, keep, scope};
use super::walk::Ground;
use super::way::all_of_kind;
use crate::fhir::search::query::{Cursor, Query};
use crate::fhir::search::{pairs, parse};
use crate::ledger::{Error, migrations};

/// A store with these resources, and room for more behind them.
pub(super) async fn store(resources: impl Iterator<Item = Json>) -> Watched {
    let connection = Connection::open_in_memory().unwrap();
    migrations::sqlite(&connection).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for (number, resource) in (1..).zip(resources) {
        keep(&connection, number, &resource).await;
    }
    connection.execute_batch("COMMIT").unwrap();
    Watched::new(connection)
}

/// Each resource of a type so many times more, under other ids.
pub(super) fn again(watched: &Watched, kind: &str, times: usize) {
    watched.connection.execute_batch(&copies(kind, times)).unwrap();
}

/// What makes them; one text for both databases.
pub(super) fn copies(kind: &str, times: usize) -> String {
    let of = format!(
        "WITH RECURSIVE n(n) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM n WHERE n < {times}), o(number) AS
            (SELECT number FROM resources WHERE kind = '{kind}')"
    );
    let number = "number + n * 1000000 AS number";
    format!(
        "CREATE TEMP TABLE r AS {of} SELECT {number}, tenant, kind, id || '-' || n AS id, version, updated, deleted, person, store, fact,
            source, how, salt, meta, body FROM o JOIN resources USING (number), n;
        CREATE TEMP TABLE w AS {of} SELECT tenant, parameter, word, {number} FROM o JOIN words USING (number), n;
        CREATE TEMP TABLE s AS {of} SELECT tenant, parameter, wide, low, high, {number} FROM o JOIN spans USING (number), n;
        INSERT INTO resources SELECT * FROM r; INSERT INTO words SELECT * FROM w;
        INSERT INTO spans (tenant, parameter, wide, low, high, number) SELECT * FROM s;
        DROP TABLE r; DROP TABLE w; DROP TABLE s;"
    )
}

pub(super) fn query(kind: &str, text: &str) -> Query {
    let parsed = parse::parse(kind, &pairs(text).unwrap(), 0);
    assert!(parsed.issues.is_empty() && parsed.unknown.is_empty(), "{kind}?{text}: {parsed:?}");
    parsed.query
}

async fn ask(watched: &mut Watched, query: &Query) -> Result<Page, Error> {
    (watched.rows, watched.steps) = (0, 0);
    page(watched, &scope(), query, (0, 0), true).await
}

/// The ids that all pages have, with how many pages there were.
async fn all(watched: &mut Watched, kind: &str, text: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut query) = (Vec::new(), 0, query(kind, text));
    loop {
        let found = ask(watched, &query).await.unwrap();
        ids.extend(found.found.into_iter().map(|stored| stored.id));
        pages += 1;
        match found.next {
            Some(next) => query.after = Some(next),
            None => return (ids, pages),
        }
    }
}

pub(super) fn patient(id: &str, family: &str) -> Json {
    json!({"resourceType": "Patient", "id": id, "name": [{"family": family}]})
}

pub(super) fn diagnosis(id: &str, of: &str) -> Json {
    json!({"resourceType": "Condition", "id": id, "subject": {"reference": format!("Patient/{of}")}})
}

pub(super) fn seen(id: &str, of: &str, code: &str) -> Json {
    json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"system": "urn:l", "code": code}]},
        "subject": {"reference": format!("Patient/{of}")}})
}

fn stay(id: &str, start: &str, end: &str) -> Json {
    json!({"resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": "IMP"},
        "period": {"start": start, "end": end}})
}

// A resource that refers to several stays at its place although another of them comes to be meant between two pages, or no more.
#[tokio::test]
async fn a_link_over_several_references_loses_and_doubles_nothing() {
    let treats = |id: &str, by: &[&str]| {
        let by: Vec<Json> = by.iter().map(|by| json!({"individual": {"reference": format!("Practitioner/{by}")}})).collect();
        json!({"resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": "AMB"}, "participant": by})
    };
    let doctor = |id: &str, family: &str| json!({"resourceType": "Practitioner", "id": id, "name": [{"family": family}]});
    for (before, after) in [("Wu", "Berg"), ("Berg", "Wu")] {
        let doctors = [doctor("a2", before), doctor("a3", "Berg"), doctor("a5", "Berg")];
        let mut watched = store(doctors.into_iter().chain([treats("both", &["a2", "a5"]), treats("one", &["a3"])])).await;
        let mut query = query("Encounter", "participant:Practitioner.family=berg&_count=1");
        let first = ask(&mut watched, &query).await.unwrap();
        watched.connection.execute_batch("DELETE FROM words WHERE number = 1; DELETE FROM resources WHERE number = 1").unwrap();
        keep(&watched.connection, 1, &doctor("a2", after)).await;
        query.after = first.next;
        let second = ask(&mut watched, &query).await.unwrap();
        let mut ids: Vec<String> = first.found.into_iter().chain(second.found).map(|stored| stored.id).collect();
        ids.sort_unstable();
        assert_eq!((ids, second.next), (vec![String::from("both"), String::from("one")], None), "{before} to {after}");
    }
}

// Of two periods of one resource that begin alike only one is meant: it is on exactly one page, however long the pages are.
#[tokio::test]
async fn periods_that_begin_alike_are_told_apart() {
    let stays = |id: String, ends: &[&str]| {
        let place = |end: &&str| json!({"location": {"reference": "Location/l"}, "period": {"start": "2026-01-01", "end": end}});
        let places: Vec<Json> = ends.iter().map(place).collect();
        json!({"resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": "IMP"}, "location": places})
    };
    let others = (0..10).map(|at| stays(format!("e{at}"), &["2026-01-02"]));
    for ends in [["2026-01-02", "2026-03-01"], ["2026-03-01", "2026-01-02"]] {
        let mut watched = store([stays(String::from("both"), &ends)].into_iter().chain(others.clone())).await;
        keep(&watched.connection, 12, &stays(String::from("long"), &["2026-03-01"])).await;
        for (text, wanted) in [("location-period=2026-01", 11), ("location-period=eb2026-02&_sort=-location-period", 11)] {
            for count in 1..=12 {
                let (mut ids, _) = all(&mut watched, "Encounter", &format!("{text}&_count={count}")).await;
                let found = ids.len();
                ids.sort_unstable();
                ids.dedup();
                assert_eq!((found, ids.len(), ids[0].as_str()), (wanted, wanted, "both"), "{text}, {count}");
            }
        }
    }
}

// Where it has become so much that no page could look at it, the link says so.
#[tokio::test]
async fn a_link_over_far_too_much_is_refused() {
    let bergs = (0..8).map(|at| patient(&format!("p{at}"), "Berg"));
    let mut watched = store(bergs.chain((0..8).map(|at| diagnosis(&format!("c{at}"), &format!("p{at}"))))).await;
    let mut query = query("Condition", "patient.family=berg&_count=3");
    query.after = ask(&mut watched, &query).await.unwrap().next;
    again(&watched, "Patient", ON_THE_WAY_LATER_MAX / 8);
    assert!(matches!(ask(&mut watched, &query).await, Err(Error::TooCostly(words)) if words.contains("begin again")));
}

// What walks along all other words goes on where a code has come to stand in more systems than there are lanes.
#[tokio::test]
async fn a_link_goes_on_where_words_come_to_more_than_lanes() {
    let mut watched = store((0..10).map(|at| seen(&format!("o{at}"), "p", "other"))).await;
    let mut query = query("Observation", "code:not=c&_count=2");
    let first = ask(&mut watched, &query).await.unwrap();
    assert!(first.next.as_ref().unwrap().key.starts_with("no0:"), "{:?}", first.next);
    for at in 0..60 {
        let mut more = seen(&format!("c{at}"), "p", "c");
        more["code"]["coding"][0]["system"] = json!(format!("urn:{at}"));
        keep(&watched.connection, 1_000 + at, &more).await;
    }
    (query.after, query.count) = (first.next, 100);
    let second = ask(&mut watched, &query).await.unwrap();
    assert_eq!((first.found.len() + second.found.len(), second.next.is_some()), (10, false));
}

// A hundred candidates with a hundred rows each are followed some at a time; one with more than that is known by its first.
#[tokio::test]
async fn candidates_with_much_are_followed_some_at_a_time() {
    let people = (0..100).map(|at| patient(&format!("p{at:03}"), "Berg"));
    let seen = (0..100).map(|of| seen(&format!("o{of:03}"), &format!("p{of:03}"), "c"));
    let much = (0..60).map(|at| self::seen(&format!("m{at}"), "p000", "c"));
    let mut watched = store(people.chain(seen).chain(much)).await;
    again(&watched, "Observation", 99);
    let (ids, pages) = all(&mut watched, "Patient", "_has:Observation:patient:code=c&_count=1000").await;
    assert_eq!(ids.len(), 100);
    assert!((2..20).contains(&pages), "{pages}");
    let first = ask(&mut watched, &query("Patient", "_has:Observation:patient:code=c&_count=1000")).await.unwrap();
    assert!(!first.found.is_empty() && watched.rows < EXAMINED_MAX * 11 / 10, "{} {}", first.found.len(), watched.rows);
    let unseen = query("Patient", "_id=p000&_has:Observation:patient:code:text=nothing");
    assert_eq!(ask(&mut watched, &unseen).await.map(|page| page.found.len()).ok(), Some(0));
}

// However many chains a later page by several keys follows, it looks at no more for all of them than for one.
#[tokio::test]
async fn chains_of_a_page_by_several_keys_share_a_bound() {
    let bound = ON_THE_WAY_LATER_MAX * 10;
    let mut watched = store([patient("p", "Berg"), seen("o", "p", "c")].into_iter()).await;
    again(&watched, "Observation", bound * 6 / 10);
    let chain = "_has:Observation:patient:code:text=nothing";
    let mut query = query("Patient", &format!("{chain}&{chain}&_sort=_lastUpdated,_id"));
    query.after = Some(Cursor { key: String::from("k:[0,\"\"]"), number: 0 });
    assert!(ask(&mut watched, &query).await.unwrap().found.is_empty());
    assert!((bound * 6 / 10..bound + 1_000).contains(&watched.rows), "{}", watched.rows);
}

// Stays that were over long before are in the range of the index: a page looks at so many of them, and goes on.
#[tokio::test]
async fn what_fails_in_the_index_counts_as_looked_at() {
    let mut watched = store([stay("over", "2026-01-01", "2026-01-03")].into_iter()).await;
    again(&watched, "Encounter", EXAMINED_MAX + 1_000);
    keep(&watched.connection, 2, &stay("late", "2026-02-01", "2026-03-03")).await;
    let mut query = query("Encounter", "date=gt2026-03-01&_sort=date&_count=10");
    let first = ask(&mut watched, &query).await.unwrap();
    assert!(first.found.is_empty() && first.next.is_some());
    query.after = first.next;
    let second = ask(&mut watched, &query).await.unwrap();
    assert!(second.next.is_none());
    assert_eq!(second.found.into_iter().map(|stored| stored.id).collect::<Vec<_>>(), ["late"]);
}

// What must be sorted here, and leads over too much, is refused with a cause; in the order of one index it is not.
#[tokio::test]
async fn sorting_looks_at_so_much_and_no_more() {
    let people = (0..110).map(|at| patient(&format!("p{at:03}"), "Berg"));
    let seen = (0..110).map(|of| seen(&format!("o{of:03}"), &format!("p{of:03}"), "c"));
    let mut watched = store(people.chain(seen)).await;
    again(&watched, "Observation", 499);
    let search = "family=berg&_has:Observation:patient:code:text=nothing";
    let sorted = query("Patient", &format!("{search}&_sort=birthdate,_id"));
    assert!(matches!(ask(&mut watched, &sorted).await, Err(Error::TooCostly(words)) if words.contains("sort")));
    let (ids, pages) = all(&mut watched, "Patient", search).await;
    assert!(ids.is_empty() && pages > 2, "{pages}");
    let mut counted = query("Patient", search);
    counted.total = true;
    assert_eq!(ask(&mut watched, &counted).await.unwrap().total, None, "unsaid");
}

// Of more rows than may be counted none is looked after: the index alone tells that they are too many.
#[tokio::test]
async fn a_number_that_stays_unsaid_looks_after_no_row() {
    let mut watched = store([seen("o", "p", "c")].into_iter()).await;
    again(&watched, "Observation", 499);
    let (scope, criteria) = (scope(), query("Observation", "code:not=x").criteria);
    let tests = prepare(&mut watched, (&scope, "Observation"), &criteria, false).await.unwrap().unwrap();
    let ground = Ground { scope: &scope, kind: "Observation", tests: &tests, now: 0, is_united: true };
    let way = all_of_kind().way;
    watched.steps = 0;
    assert_eq!(counted(&mut watched, &ground, &way, 499).await.unwrap(), None);
    let unsaid = std::mem::take(&mut watched.steps);
    assert_eq!(counted(&mut watched, &ground, &way, 500).await.unwrap(), Some(500));
    assert!(unsaid * 3 < watched.steps, "{unsaid} {}", watched.steps);
}

/// The steps of a page in a store with so many born on the day before the one that is asked for, and on that day.
async fn steps(before: usize, on: usize, asked: &str, found: usize) -> i64 {
    let born =
        |day: &'static str| move |at: usize| json!({"resourceType": "Patient", "id": format!("{day}-{at}"), "birthDate": day});
    let mut watched = store((0..before).map(born("1970-01-01")).chain((0..on).map(born("1970-01-02")))).await;
    assert_eq!(ask(&mut watched, &query("Patient", asked)).await.unwrap().found.len(), found, "{asked}");
    watched.steps
}

// Whatever lies before a bound, or on the same day behind the page: the database takes no step over it.
#[tokio::test]
async fn what_is_not_on_the_page_is_not_stepped_over() {
    for (asked, found) in [
        ("birthdate=ge1970-01-02&birthdate=lt1970-01-03&_sort=birthdate&_count=5", 5),
        ("birthdate=gt1970-01-01&_count=5", 5),
        ("birthdate=1970-01-02&_count=5", 5),
        ("birthdate=ge1970-01-02&_sort=birthdate&_count=5", 5),
    ] {
        let little = steps(100, 100, asked, found).await;
        for (before, on) in [(1_000, 100), (100, 1_000)] {
            let much = steps(before, on, asked, found).await;
            assert!(much < little + 100, "{asked}: {little} steps, and {much} with {before} before and {on} on the day");
        }
    }
}

// A store whose spans lie in the older order is brought to the newer one, and nothing is lost.
#[tokio::test]
async fn spans_are_laid_in_the_order_of_searches() {
    const SPANS: &str = "WITH s(s) AS (SELECT parameter || ' ' || wide || ' ' || low || ' ' || high || ' ' || number FROM spans)
        SELECT group_concat(s) FROM (SELECT s FROM s ORDER BY s)";
    let watched = store((0..50).map(|at| stay(&format!("e{at}"), "2026-01-01", &format!("2026-01-{:02}", 2 + at % 9)))).await;
    let connection = &watched.connection;
    let spans = || connection.query_row(SPANS, [], |row| row.get::<_, String>(0)).unwrap();
    let before = spans();
    connection
        .execute_batch(
            "ALTER TABLE spans RENAME TO newer;
            CREATE TABLE spans (tenant TEXT NOT NULL, parameter BIGINT NOT NULL, wide BIGINT NOT NULL, low BIGINT NOT NULL,
                high BIGINT NOT NULL, number BIGINT NOT NULL,
                CONSTRAINT spans_key PRIMARY KEY (tenant, parameter, wide, low, high, number)) WITHOUT ROWID;
            INSERT INTO spans SELECT tenant, parameter, wide, low, high, number FROM newer; DROP TABLE newer;
            CREATE INDEX spans_number ON spans (tenant, number); DELETE FROM migrations WHERE number = 18",
        )
        .unwrap();
    migrations::sqlite(connection).unwrap();
    assert_eq!(spans(), before);
    let mut watched = watched;
    assert_eq!(all(&mut watched, "Encounter", "date=2026-01&_sort=date&_count=7").await.0.len(), 50);
    let plan =
        "EXPLAIN QUERY PLAN SELECT number FROM spans WHERE tenant = 't' AND parameter = 1 AND wide = 0 ORDER BY low, number";
    let plan: Vec<String> =
        watched.connection.prepare(plan).unwrap().query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    assert_eq!(plan, ["SEARCH spans USING PRIMARY KEY (tenant=? AND parameter=? AND wide=?)"]);
}

// Of candidates that lead over a thousand each, a page follows several: tries that lead too far use up little of what it may look at.
#[tokio::test]
async fn a_page_follows_several_candidates_with_much() {
    let people = (0..16).map(|at| patient(&format!("p{at:02}"), "Berg"));
    let seen = (0..16).map(|of| seen(&format!("o{of}"), &format!("p{of:02}"), "c"));
    let mut watched = store(people.chain(seen)).await;
    again(&watched, "Observation", 1_000);
    let (found, pages) = all(&mut watched, "Patient", "family=berg&_has:Observation:patient:code:text=nothing").await;
    assert!(found.is_empty() && pages <= 4, "{pages}");
}

// A store's stays are many: those of a day are found by the day.
#[tokio::test]
async fn what_leads_to_much_is_counted_before_it_is_chosen() {
    let at = |id: &str, day: &str| {
        let mut stay = stay(id, &format!("{day}T08:00:00Z"), &format!("{day}T09:00:00Z"));
        stay["serviceProvider"] = json!({"reference": "Organization/x"});
        stay
    };
    let mut watched = store(std::iter::once(at("before", "2020-01-01"))).await;
    again(&watched, "Encounter", 5_000);
    keep(&watched.connection, 2, &at("today", "2026-11-26")).await;
    let query = query("Encounter", "service-provider=Organization/x&date=2026-11-26&_sort=date,_id");
    let found = ask(&mut watched, &query).await.unwrap();
    assert!(found.found.len() == 1 && watched.rows < 1_000, "{} {}", found.found.len(), watched.rows);
}
