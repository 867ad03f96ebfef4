//! Chains and pages keep their bounds on PostgreSQL as they do on SQLite.

use serde_json::{Value as Json, json};
use sqlx::PgConnection;

use super::asker::Asker;
use super::bounds::{again, copies, diagnosis, patient, query, seen, store};
use super::chain::ON_THE_WAY_MAX;
use super::page::{EXAMINED_MAX, LOOKS_MAX, Page, page};
use super::plans::on_postgres;
use super::tests::{Watched, keep, put, scope};
use crate::fhir::search::query::Query;
use crate::ledger::Error;
use crate::ledger::dialect::{Cell, Passed, Transaction, postgres};

/// A store that searches are tried on.
trait Store: Asker {
    /// Keeps a resource under this number.
    async fn keep(&mut self, number: i64, resource: &Json);
    /// Each resource of a type so many times more, under other ids.
    async fn again(&mut self, kind: &str, times: usize);
    /// How many rows were read, counted from 0 again.
    fn read(&mut self) -> usize;
}

impl Store for Watched {
    async fn keep(&mut self, number: i64, resource: &Json) {
        keep(&self.connection, number, resource).await;
    }

    async fn again(&mut self, kind: &str, times: usize) {
        again(self, kind, times);
    }

    fn read(&mut self) -> usize {
        std::mem::take(&mut self.rows)
    }
}

/// PostgreSQL, with the rows that were read.
struct Counted<'c> {
    connection: &'c mut PgConnection,
    rows: usize,
}

impl Asker for Counted<'_> {
    async fn each<T>(
        &mut self,
        sql: &str,
        cells: &[Cell<'_>],
        make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let rows = Transaction::Postgres(self.connection).each(sql, cells, make).await?;
        self.rows += rows.len();
        Ok(rows)
    }
}

impl Store for Counted<'_> {
    async fn keep(&mut self, number: i64, resource: &Json) {
        put(&mut Transaction::Postgres(self.connection), number, resource).await;
    }

    async fn again(&mut self, kind: &str, times: usize) {
        // Without numbers of its own PostgreSQL takes what was just written for nothing.
        let copies = format!("{} ANALYZE resources, words, spans", copies(kind, times));
        postgres::script(self.connection, &copies).await.unwrap();
    }

    fn read(&mut self) -> usize {
        std::mem::take(&mut self.rows)
    }
}

async fn ask(store: &mut impl Store, query: &Query) -> Result<Page, Error> {
    store.read();
    page(store, &scope(), query, (0, 0), true).await
}

/// Searches over chains, and as how many they begin: as many as may lie on the way, or few.
const CROSSING: [(&str, &str, usize); 4] = [
    ("Condition", "patient.family=berg&_count=3", ON_THE_WAY_MAX),
    ("Condition", "patient.family=berg&_count=3", 16),
    ("Condition", "patient.family=berg&_sort=_lastUpdated,_id&_count=3", ON_THE_WAY_MAX),
    ("Patient", "_has:Condition:patient:code=x&_count=3", ON_THE_WAY_MAX),
];

/// Each search begins where a chain comes to as much as it may, then more is written: the link goes on, and finds the rest.
async fn crosses(store: &mut impl Store, (kind, text, count): (&str, &str, usize)) {
    let pair = |at: usize| {
        let mut coded = diagnosis(&format!("c{at:05}"), &format!("p{at:05}"));
        coded["code"] = json!({"coding": [{"code": "x"}]});
        [patient(&format!("p{at:05}"), "Berg"), coded]
    };
    for (number, one) in (1..).zip((0..count).flat_map(pair)) {
        store.keep(number, &one).await;
    }
    let mut query = query(kind, text);
    let first = ask(store, &query).await.unwrap();
    assert_eq!(first.found.len(), 3, "{kind}?{text}");
    for (number, more) in (1_000_000..).zip((count..count + 300).flat_map(pair)) {
        store.keep(number, &more).await;
    }
    let mut ids: Vec<String> = first.found.into_iter().map(|stored| stored.id).collect();
    (query.after, query.count) = (first.next, 1_000);
    while query.after.is_some() {
        let found = ask(store, &query).await.unwrap();
        ids.extend(found.found.into_iter().map(|stored| stored.id));
        query.after = found.next;
    }
    let found = ids.len();
    ids.sort_unstable();
    ids.dedup();
    let old = ids.iter().filter(|id| id[1..].parse::<usize>().unwrap() < count).count();
    assert_eq!((old, ids.len()), (count, found), "{kind}?{text} {count}: lost, or twice");
}

#[tokio::test]
async fn a_link_goes_on_where_a_chain_crosses_its_bound() {
    for crossing in CROSSING {
        crosses(&mut store(std::iter::empty()).await, crossing).await;
    }
}

#[tokio::test]
async fn a_link_goes_on_where_a_chain_crosses_its_bound_on_postgresql() {
    on_postgres(async |connection| {
        for crossing in CROSSING {
            postgres::begin(connection).await.unwrap();
            crosses(&mut Counted { connection, rows: 0 }, crossing).await;
            postgres::end(connection, false).await.unwrap();
        }
    })
    .await;
}

/// Behind many who lead over little stands one who leads over more than is left of the page: it ends before that one, with which the
/// next begins.
async fn ends_at_its_bound(store: &mut impl Store) {
    store.keep(1, &patient("much", "Berg")).await;
    store.keep(2, &seen("o", "much", "c")).await;
    store.again("Observation", 2 * EXAMINED_MAX).await;
    for at in 0..32 {
        let number = i64::MAX / 2 + 2 * at;
        store.keep(number, &patient(&format!("p{at}"), "Berg")).await;
        store.keep(number + 1, &seen(&format!("o{at}"), &format!("p{at}"), "c")).await;
    }
    let mut asked = query("Patient", "family=berg&_has:Observation:patient:code:text=nothing");
    let first = ask(store, &asked).await.unwrap();
    let rows = store.read();
    // Before it follows any it has looked from the other end of the chain, as far again.
    assert!(first.found.is_empty() && rows < EXAMINED_MAX * 21 / 10, "{rows}");
    asked.after = first.next;
    assert!(asked.after.is_some());
    let second = ask(store, &asked).await.unwrap();
    let rows = store.read();
    assert!(second.found.is_empty() && second.next.is_none() && rows > 3 * EXAMINED_MAX, "{rows}");
}

/// One who leads over more rows than may be looked at is refused; found by its first, it is not.
async fn refuses_too_much(store: &mut impl Store) {
    store.keep(1, &patient("much", "Berg")).await;
    store.keep(2, &seen("o", "much", "c")).await;
    store.again("Observation", LOOKS_MAX + 10_000).await;
    let nothing = query("Patient", "_id=much&_has:Observation:patient:code:text=nothing");
    assert!(matches!(ask(store, &nothing).await, Err(Error::TooCostly(words)) if words.contains("chain")));
    let first = query("Patient", "_id=much&_has:Observation:patient:code=c");
    assert_eq!(ask(store, &first).await.map(|page| page.found.len()).ok(), Some(1));
}

#[tokio::test]
async fn a_page_ends_at_its_bound() {
    ends_at_its_bound(&mut store(std::iter::empty()).await).await;
    refuses_too_much(&mut store(std::iter::empty()).await).await;
}

#[tokio::test]
async fn a_page_ends_at_its_bound_on_postgresql() {
    on_postgres(async |connection| {
        postgres::begin(connection).await.unwrap();
        ends_at_its_bound(&mut Counted { connection, rows: 0 }).await;
        postgres::end(connection, false).await.unwrap();
        postgres::begin(connection).await.unwrap();
        refuses_too_much(&mut Counted { connection, rows: 0 }).await;
        postgres::end(connection, false).await.unwrap();
    })
    .await;
}
