//! Search rows that are written late: those of what was just created wait in the writer's memory until somebody searches. Written
//! one resource at a time, nearly each row would change a page of its own. So, once there are many, each batch writes some of them in
//! the order of their tables, where the one before it ended: rows that follow each other share their pages.
//!
//! **Nobody misses one:** a search first has written all that waits ([`Ledger::indexed`]), and so has a batch that searches itself,
//! or changes what waits. A power cut takes none away: up to which resource all rows stand is kept with them, and what was created
//! behind it gets its rows when the file is opened. So it is on SQLite alone, where one process writes and is asked.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::{ADD_AMOUNT, ADD_SPAN, ADD_WORD, Line, add, write};
use crate::ledger::dialect::{Cell, Transaction};
use crate::ledger::writer::{Job, gone};
use crate::ledger::{Error, Ledger};

/// Rows that may wait: where there are more, batches write some.
pub(super) const LINES_MAX: usize = 4_096;

const INDEXED: &str = "SELECT number FROM indexed";
const SET_INDEXED: &str = "UPDATE indexed SET number = $1 WHERE number < $1";

/// Up to which resource all rows of a file stand; `None` on a server, where they stand with their resource.
pub(super) async fn indexed(transaction: &mut Transaction<'_>) -> Result<Option<i64>, Error> {
    let Transaction::Sqlite(_) = transaction else { return Ok(None) };
    transaction.row(INDEXED, &[]).await?.map(|mut row| row.int()).transpose()
}

/// Keeps up to which resource all rows of a file stand.
pub(super) async fn set_indexed(transaction: &mut Transaction<'_>, number: i64) -> Result<(), Error> {
    let Transaction::Sqlite(_) = transaction else { return Ok(()) };
    transaction.run(SET_INDEXED, &[Cell::Int(number)]).await
}

/// What waits.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Late {
    waiting: BTreeSet<Row>,
    reach: Reach,
    /// As it was before the batch.
    before: Reach,
    /// What the batch has written.
    written: Vec<Row>,
    /// Whether somebody searches.
    is_asked: bool,
}

/// How far it has come.
#[derive(Debug, Default, Clone)]
struct Reach {
    /// The last row that was written in this round through the tables.
    cursor: Option<Row>,
    /// The last resource that was there when the round began: at its end, all rows stand up to it.
    begun: i64,
    /// The last resource of which all rows stand.
    indexed: i64,
    /// The last resource that was created.
    last: i64,
}

/// One row; in the order of the tables.
#[derive(Debug, Clone)]
struct Row {
    tenant: Arc<str>,
    rows: Arc<[Line]>,
    at: usize,
    number: i64,
}

impl Row {
    fn key(&self) -> (&str, Option<&Line>, i64) {
        (&self.tenant, self.rows.get(self.at), self.number)
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Late {
    /// Before a batch.
    pub(in crate::ledger) fn begin(&mut self, is_asked: bool) {
        self.before.clone_from(&self.reach);
        self.written.clear();
        self.is_asked = is_asked;
    }

    /// After it; when nothing came of it, what it wrote waits again, and what it created is none.
    pub(in crate::ledger) fn end(&mut self, is_committed: bool) {
        if !is_committed {
            self.waiting.extend(self.written.drain(..));
            self.reach.clone_from(&self.before);
            self.waiting.retain(|row| row.number <= self.before.last);
        }
    }

    /// Lets the rows of a new resource wait, or writes them where others may ask for them at once.
    pub(in crate::ledger) async fn keep(
        &mut self,
        transaction: &mut Transaction<'_>,
        tenant: &Arc<str>,
        number: i64,
        rows: &Arc<[Line]>,
    ) -> Result<(), Error> {
        if let Transaction::Postgres(_) = transaction {
            return add(transaction, tenant, number, rows.iter()).await;
        }
        self.reach.last = number;
        let row = |at| Row { tenant: Arc::clone(tenant), rows: Arc::clone(rows), at, number };
        self.waiting.extend((0..rows.len()).map(row));
        Ok(())
    }

    /// Whether anything waits.
    pub(in crate::ledger) fn is_any(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether rows of this resource may wait.
    pub(in crate::ledger) fn is_late(&self, number: i64) -> bool {
        self.is_any() && number > self.reach.indexed
    }

    /// Whether this word waits.
    pub(super) fn has(&self, tenant: &Arc<str>, parameter: u32, word: &str) -> bool {
        let rows = Arc::from([Line::Word { parameter, word: word.to_owned() }]);
        let asked = Row { tenant: Arc::clone(tenant), rows, at: 0, number: i64::MIN };
        let next = self.waiting.range(&asked..).next().map(Row::key);
        next.is_some_and(|(tenant, line, _)| (tenant, line) == (&*asked.tenant, asked.rows.first()))
    }

    /// At the end of a batch: writes all that waits if somebody searches, else what is too much.
    pub(in crate::ledger) async fn relieve(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        if self.is_asked {
            return self.write(transaction).await;
        }
        let Some(many @ 1..) = self.waiting.len().checked_sub(LINES_MAX) else { return Ok(()) };
        let behind = self.reach.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let some: Vec<Row> = self.waiting.range((behind, Bound::Unbounded)).take(many).cloned().collect();
        let (is_cut, last) = (some.len() == many, some.last().cloned());
        self.put(transaction, some).await?;
        if is_cut {
            self.reach.cursor = last;
        } else {
            self.reach.indexed = self.reach.begun;
            self.reach.begun = self.reach.last;
            self.reach.cursor = None;
            set_indexed(transaction, self.reach.indexed).await?;
        }
        Ok(())
    }

    /// Writes all that waits.
    pub(in crate::ledger) async fn write(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        if !self.is_any() {
            return Ok(());
        }
        let all: Vec<Row> = self.waiting.iter().cloned().collect();
        self.put(transaction, all).await?;
        let last = self.reach.last;
        self.reach = Reach { cursor: None, begun: last, indexed: last, last };
        set_indexed(transaction, last).await
    }

    async fn put(&mut self, transaction: &mut Transaction<'_>, some: Vec<Row>) -> Result<(), Error> {
        let rows = some.iter().filter_map(|row| Some((&*row.tenant, row.rows.get(row.at)?, row.number)));
        write(transaction, rows, &[ADD_WORD, ADD_SPAN, ADD_AMOUNT]).await?;
        for row in &some {
            self.waiting.remove(row);
        }
        self.written.extend(some);
        Ok(())
    }
}

/// Those who search and wait until what waits is written.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Asking(Mutex<Vec<oneshot::Sender<Result<(), Error>>>>);

impl Asking {
    fn ask(&self) -> oneshot::Receiver<Result<(), Error>> {
        let (reply, answer) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(reply);
        answer
    }

    /// Takes all of them.
    pub(in crate::ledger) fn take(&self) -> Vec<oneshot::Sender<Result<(), Error>>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ledger {
    /// Waits until all that can be seen now can be found too. Whoever tells a horizon reads it before.
    pub(in crate::ledger) async fn indexed(&self) -> Result<(), Error> {
        if !self.shared.late.load(Ordering::SeqCst) {
            return Ok(());
        }
        let answer = self.shared.asking.ask();
        // A writer at rest is woken; one whose queue is full looks up by itself.
        drop(self.jobs.try_send(Job::Index));
        tokio::select! {
            answer = answer => answer.unwrap_or_else(|_| Err(gone())),
            () = self.jobs.closed() => Err(gone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::{Connection, OpenFlags};
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Clock;
    use crate::fhir::search::{pairs, parse};
    use crate::ledger::sample::{self, copy, record, scope};
    use crate::ledger::{Change, How, Precondition, Settings, Unit};

    async fn open(folder: &Path) -> Ledger {
        sample::open(folder, 0).await
    }

    fn patient(id: &str, family: &str) -> Value {
        json!({"resourceType": "Patient", "id": id, "name": [{"family": family}]})
    }

    async fn found(ledger: &Ledger, text: &str) -> Vec<String> {
        let query = parse::parse("Patient", &pairs(text).unwrap(), 0).query;
        let mut found: Vec<_> =
            ledger.search(&scope(), &query).await.unwrap().found.into_iter().map(|stored| stored.id).collect();
        found.sort();
        found
    }

    fn number(folder: &Path, sql: &str) -> i64 {
        let connection = Connection::open_with_flags(folder.join("s.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// How many search rows of words stand in the file.
    fn words(folder: &Path) -> i64 {
        let table = "words";
        number(folder, &format!("SELECT COUNT(*) FROM {table}"))
    }

    #[tokio::test]
    async fn rows_wait_until_somebody_searches() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(folder.path()).await;
        record(&ledger, &patient("ada", "Berg")).await;
        assert_eq!(words(folder.path()), 0);
        assert_eq!(found(&ledger, "family=berg").await, ["ada"]);
        let first = words(folder.path());
        assert!(first > 0);
        record(&ledger, &patient("eva", "Berg")).await;
        assert_eq!(words(folder.path()), first);
        assert_eq!(found(&ledger, "family=berg").await, ["ada", "eva"]);
        assert_eq!(words(folder.path()), 2 * first);
    }

    #[tokio::test]
    async fn what_a_fall_left_unwritten_is_made_at_the_next_start() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ledger = open(folder.path()).await;
        for (id, family) in [("ada", "Berg"), ("eva", "Berg"), ("ida", "Dahl")] {
            record(&ledger, &patient(id, family)).await;
            if id == "ada" {
                assert_eq!(found(&ledger, "family=berg").await, ["ada"]);
            }
        }
        copy(folder.path(), other.path());
        let again = open(other.path()).await;
        assert_eq!(found(&again, "family=berg").await, ["ada", "eva"]);
        assert_eq!(found(&again, "family=dahl").await, ["ida"]);
        assert_eq!(found(&ledger, "family=dahl").await, ["ida"]);
        assert_eq!(words(other.path()), words(folder.path()));
    }

    #[tokio::test]
    async fn a_stop_writes_what_waits() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(folder.path()).await;
        record(&ledger, &patient("ada", "Berg")).await;
        let Ledger { jobs, shared, .. } = ledger;
        drop(jobs);
        while Arc::strong_count(&shared) > 1 {
            tokio::task::yield_now().await;
        }
        assert!(words(folder.path()) > 0);
    }

    /// More than may wait are written in rounds through the tables; what a fall leaves in the middle of one is made.
    #[tokio::test]
    async fn many_rows_do_not_wait() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ledger = open(folder.path()).await;
        let names: Vec<Value> = (0..LINES_MAX / 8).map(|at| json!({"given": [format!("n{at}")]})).collect();
        for number in 0..30 {
            record(&ledger, &json!({"resourceType": "Patient", "id": format!("p{number}"), "name": names})).await;
        }
        copy(folder.path(), other.path());
        let written = words(folder.path());
        assert!(number(folder.path(), "SELECT number FROM indexed") > 0, "a round came to its end");
        assert_eq!(found(&ledger, "given=n5&_count=100").await.len(), 30);
        assert_eq!(words(folder.path()) - written, i64::try_from(LINES_MAX).unwrap());
        let again = open(other.path()).await;
        assert_eq!(words(other.path()), words(folder.path()));
        assert_eq!(found(&again, "given=n5&_count=100").await.len(), 30);
    }

    #[tokio::test]
    async fn what_waits_may_be_changed_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(folder.path()).await;
        record(&ledger, &patient("ada", "Berg")).await;
        record(&ledger, &patient("ada", "Dahl")).await;
        record(&ledger, &patient("eva", "Berg")).await;
        let gone = Change { kind: String::from("Patient"), id: String::from("eva"), when: Precondition::None, resource: None };
        ledger.record(Unit::one(scope(), How::Live, "emr", gone)).await.unwrap();
        assert_eq!(found(&ledger, "family=berg").await, Vec::<String>::new());
        assert_eq!(found(&ledger, "family=dahl").await, ["ada"]);
    }

    #[tokio::test]
    async fn one_fact_is_known_while_its_rows_wait() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(folder.path()).await;
        record(&ledger, &patient("ada", "Berg")).await;
        for (id, value) in [("a", "7"), ("b", "8"), ("c", "7")] {
            let identifier = json!([{"system": "urn:rx", "value": value}]);
            let subject = json!({"reference": "Patient/ada"});
            record(&ledger, &json!({"resourceType": "Condition", "id": id, "identifier": identifier, "subject": subject})).await;
        }
        let mut facts = Vec::new();
        for id in ["a", "b", "c"] {
            facts.push(ledger.read(&scope(), "Condition", id).await.unwrap().unwrap().fact);
        }
        assert_eq!(facts[0], facts[2]);
        assert_ne!(facts[0], facts[1]);
    }

    /// Of a batch that failed nothing waits; what waited before it still does.
    #[tokio::test]
    async fn of_a_batch_that_failed_nothing_waits() {
        let connection = Connection::open_in_memory().unwrap();
        crate::ledger::migrations::sqlite(&connection).unwrap();
        let mut transaction = Transaction::Sqlite(&connection);
        let (tenant, mut late) = (Arc::from("t"), Late::default());
        let rows: Arc<[Line]> = vec![Line::Word { parameter: 1, word: String::from("w") }].into();
        late.begin(false);
        late.keep(&mut transaction, &tenant, 1, &rows).await.unwrap();
        late.end(true);
        assert!(late.is_late(1) && late.has(&tenant, 1, "w") && !late.has(&tenant, 2, "w") && !late.has(&Arc::from("u"), 1, "w"));
        late.begin(true);
        late.keep(&mut transaction, &tenant, 2, &rows).await.unwrap();
        late.write(&mut transaction).await.unwrap();
        assert!(!late.is_any() && !late.is_late(2));
        late.end(false);
        assert!(late.is_late(1) && late.is_any());
        assert_eq!((late.waiting.len(), late.reach.last), (1, 1));
        late.begin(true);
        late.write(&mut transaction).await.unwrap();
        late.end(true);
        assert!(!late.is_any() && late.waiting.is_empty());
    }

    #[tokio::test]
    async fn who_searches_when_the_writer_is_gone_hears_so() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).await);
        let database = format!("sqlite:{}", folder.path().join("s.db").display());
        let reading = Ledger::reading(&Settings { database, ..Settings::default() }, Clock::stopped(0)).await.unwrap();
        assert!(reading.indexed().await.is_ok());
        reading.shared.late.store(true, Ordering::SeqCst);
        assert!(reading.indexed().await.is_err());
    }
}
