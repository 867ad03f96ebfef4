//! How PostgreSQL runs the statements of a search: each by an index, none with a sort of what lies along a lane. How SQLite does is
//! looked at in `tests.rs`.

use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::asker::Asker;
use super::page::page;
use super::tests::{SHAPES, furniture, put, scope};
use crate::fhir::search::{pairs, parse};
use crate::ledger::dialect::{Cell, Passed, Row, Transaction, postgres};
use crate::ledger::{Error, migrations};

/// Where few ids are asked for, each is looked up, and then they are sorted.
const FEW_IDS: &str = "i.id IN";
/// Of many ids among few resources it is right to read all, so these tell nothing.
const MANY_IDS: &str = "i.id IN ($3, $4, $5";

/// Asks PostgreSQL, and keeps how it runs each statement.
struct Explained<'c> {
    connection: &'c mut PgConnection,
    plans: Vec<(String, Vec<String>)>,
}

impl Asker for Explained<'_> {
    async fn each<T>(
        &mut self,
        sql: &str,
        cells: &[Cell<'_>],
        make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        if !self.plans.iter().any(|(known, _)| known == sql) {
            let sorts = if sql.contains(FEW_IDS) { "SET enable_sort = on" } else { "SET enable_sort = off" };
            postgres::script(self.connection, sorts).await?;
            let explain = format!("EXPLAIN (COSTS OFF) {sql}");
            let mut lines = Transaction::Postgres(self.connection).rows(&explain, cells).await?;
            self.plans.push((sql.to_owned(), lines.iter_mut().map(Row::text).collect::<Result<_, _>>()?));
        }
        Transaction::Postgres(self.connection).each(sql, cells, make).await
    }
}

/// A step of a plan: how far it is indented, what it does, and whether a condition leads it through its index.
struct Step {
    depth: usize,
    text: String,
    is_led: bool,
}

fn steps(plan: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, line) in plan.iter().enumerate() {
        match line.split_once("->  ") {
            Some((before, text)) => steps.push(Step { depth: before.len() + 1, text: text.to_owned(), is_led: false }),
            None if index == 0 => steps.push(Step { depth: 0, text: line.clone(), is_led: false }),
            None => {
                if let Some(step) = steps.last_mut().filter(|_| line.trim_start().starts_with("Index Cond")) {
                    step.is_led = true;
                }
            }
        }
    }
    steps
}

/// Whether all that a step reads at first ends at a bound.
fn is_bounded(steps: &[Step], at: usize) -> bool {
    let step = &steps[at];
    if step.text.starts_with("Limit") || step.text.starts_with("Result") || step.text.starts_with("CTE Scan") {
        return true;
    }
    let inner: Vec<usize> = (at + 1..steps.len()).take_while(|next| steps[*next].depth > step.depth).collect();
    let first = inner.iter().map(|next| steps[*next].depth).min();
    let mut parts = inner.iter().copied().filter(|next| Some(steps[*next].depth) == first);
    if step.text.contains("Append") {
        return !inner.is_empty() && parts.all(|next| is_bounded(steps, next));
    }
    parts.next().is_some_and(|next| is_bounded(steps, next))
}

/// What of a plan grows with the store.
fn slow(sql: &str, plan: &[String]) -> Vec<String> {
    let steps = steps(plan);
    let is_slow = |at: &usize| {
        let text = &steps[*at].text;
        let scans = text.starts_with("Seq Scan") || (text.starts_with("Index") && text.contains("Scan") && !steps[*at].is_led);
        let sorts = (text.starts_with("Sort") || text.starts_with("Incremental Sort")) && !is_bounded(&steps, *at);
        scans || (sorts && !sql.contains(FEW_IDS))
    };
    let mut slow: Vec<String> = (0..steps.len()).filter(is_slow).map(|at| steps[at].text.clone()).collect();
    if sql.contains(FEW_IDS) && !plan.iter().any(|line| line.contains("Index Cond") && line.contains("(id = ")) {
        slow.push(String::from("ids that are not looked up"));
    }
    slow
}

/// A store of a test is so small that PostgreSQL rightly reads all of it, or sorts it. With these ways made dear, it goes them only
/// where no index leads to what is asked, or gives the order: then it would in a store of any size.
const DEAR: &str = "SET jit = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_incremental_sort = off;
    SET enable_hashjoin = off; SET enable_mergejoin = off; ANALYZE";

/// Tells a story on a new database of the PostgreSQL of the run.
pub(super) async fn on_postgres<T>(story: impl AsyncFnOnce(&mut PgConnection) -> T) -> T {
    let Ok(server) = std::env::var("SIGNA_TEST_POSTGRES") else {
        panic!("SIGNA_TEST_POSTGRES names no PostgreSQL server: run `tests/run`, which starts one")
    };
    let name = format!("signa_{}", uuid::Uuid::now_v7().simple());
    let pool = postgres::open(&server).await.unwrap();
    pool.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).await.unwrap();
    let own = postgres::open(&format!("{}/{name}", server.rsplit_once('/').unwrap().0)).await.unwrap();
    let mut connection = own.acquire().await.unwrap();
    migrations::postgres(&mut connection).await.unwrap();
    let told = story(&mut connection).await;
    drop(connection);
    own.close().await;
    pool.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    told
}

/// How PostgreSQL runs the statements of all shapes of searches.
async fn plans(connection: &mut PgConnection) -> Vec<(String, Vec<String>)> {
    postgres::begin(connection).await.unwrap();
    for (number, resource) in furniture() {
        put(&mut Transaction::Postgres(connection), number, &resource).await;
    }
    postgres::end(connection, true).await.unwrap();
    postgres::script(connection, DEAR).await.unwrap();
    let mut explained = Explained { connection, plans: Vec::new() };
    for (kind, text, _) in SHAPES {
        let mut query = parse::parse(kind, &pairs(text).unwrap(), 0).query;
        (query.count, query.total) = (10, true);
        for _ in 0..3 {
            let Ok(found) = page(&mut explained, &scope(), &query, (0, 0), true).await else { break };
            (query.after, query.total) = (found.next, false);
            if query.after.is_none() {
                break;
            }
        }
    }
    explained.plans
}

#[tokio::test]
async fn postgresql_goes_by_an_index_too() {
    let plans = on_postgres(plans).await;
    let wrong: Vec<String> = plans
        .iter()
        .filter(|(sql, _)| !sql.contains(MANY_IDS))
        .filter_map(|(sql, plan)| {
            let slow = slow(sql, plan);
            (!slow.is_empty()).then(|| format!("{slow:?}: {sql}\n{}\n", plan.join("\n")))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), plans.len(), wrong.join("\n"));
    assert!(plans.len() > 60, "{}", plans.len());
}
