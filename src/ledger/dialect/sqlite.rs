//! SQLite: how a file is opened, read and kept small.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use futures_util::FutureExt;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::{At, Cell, Found, Passed};
use crate::ledger::Error;

/// Pages the log may hold before the writer itself folds it back.
const LOG_PAGES_MAX: i64 = 20_000;
/// What changed often goes to the file once for each fold: seldom and much writes less than often and little.
const FOLD_EVERY: Duration = Duration::from_millis(600);
/// Folds in a row while the log is too long, each of what came during the one before: little is left for the writer at rest.
const FOLDS_MAX: usize = 3;
/// How long the writer waits, when it folds, for those who read: while one does who began before, the log cannot begin anew.
const READERS_WAIT_MAX: Duration = Duration::from_millis(20);
/// How long it waits for whoever else holds the file.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(5);
/// A log file that is longer is cut when nothing is written any more.
const LOG_BYTES_AT_REST: u64 = 64 << 20;
const STATEMENTS_MAX: usize = 256;

/// Opens the writer's connection.
pub(in crate::ledger) fn open_writer(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Cutting the log takes a tenth of a second, which the writer spends: under load it is not cut below 1 GiB, at rest the folder cuts it.
    // The cache is not larger: at nearly every commit SQLite walks the whole cache of a file below 1 GiB, since balancing a tree moves pages
    // through a number beyond the file's end.
    // A commit does not sync its log: `durable` does, beside the writer, before anyone hears of it. SQLite itself syncs what a fold
    // needs, and the head of the log.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 1073741824;
         PRAGMA cache_size = -4096; PRAGMA temp_store = FILE;",
    )?;
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    // What an earlier process left in the log is brought into the file and synced: a disk that refused it then has it only in memory.
    fold(&connection)?;
    settle_plans(&connection)?;
    Ok(connection)
}

/// Keeps prepared statements, with the plan they were first given: without this, SQLite plans a statement anew each time
/// the bound value of its `LIMIT` is set.
fn settle_plans(connection: &Connection) -> Result<(), Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// The log of an open database, to be synced: SQLite keeps this one file until the last connection is closed, and puts no lock on
/// it. It lies beside the file that the connection really has, wherever a link to it may be.
pub(in crate::ledger) fn log(connection: &Connection) -> Result<File, Error> {
    let log = File::options().write(true).open(format!("{}-wal", path(connection)?));
    log.map_err(|error| Error::Broken(format!("the log file: {error}")))
}

/// The file itself, to be synced. Whoever closes it takes from this process the locks by which another one that opens the database
/// knows that it is in use.
fn database(connection: &Connection) -> Result<File, Error> {
    let database = File::options().write(true).open(path(connection)?);
    database.map_err(|error| Error::Broken(format!("the database file: {error}")))
}

fn path(connection: &Connection) -> Result<&str, Error> {
    connection.path().ok_or_else(|| Error::Broken(String::from("the database is no file")))
}

/// Ends what the opening needs: until now, what sorts by the million went to the disk.
pub(in crate::ledger) fn opened(connection: &Connection) -> Result<(), Error> {
    Ok(connection.execute_batch("PRAGMA temp_store = MEMORY")?)
}

/// Holds the file for one writing process; a second one is refused with a sentence.
pub(in crate::ledger) fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::create(PathBuf::from(name)).map_err(|error| Error::Broken(format!("the lock file: {error}")))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Broken(super::ANOTHER_WRITES.to_owned())),
        Err(TryLockError::Error(error)) => Err(Error::Broken(format!("the lock file: {error}"))),
    }
}

/// Reads with one connection per thread.
#[derive(Clone)]
pub(in crate::ledger) struct Reader {
    path: Arc<PathBuf>,
    instance: u64,
}

static INSTANCES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static CONNECTIONS: RefCell<HashMap<u64, Connection>> = RefCell::new(HashMap::new());
}

impl Reader {
    /// A reader of this file.
    pub(in crate::ledger) fn new(path: &Path) -> Self {
        Self { path: Arc::new(path.to_owned()), instance: INSTANCES.fetch_add(1, Ordering::Relaxed) }
    }

    /// Runs a question on this thread's connection.
    pub(super) fn with<T>(&self, ask: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        CONNECTIONS.with_borrow_mut(|connections| {
            if let std::collections::hash_map::Entry::Vacant(e) = connections.entry(self.instance) {
                e.insert(open_reader(&self.path)?);
            }
            connections.get(&self.instance).map_or_else(|| Err(Error::Broken(String::from("no connection"))), ask)
        })
    }
}

impl Reader {
    /// Asks several questions of one state of the file. Between two of them the pages that were read stay: without this, each
    /// commit makes the next question read them all again.
    pub(super) fn together<T>(&self, ask: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let _state = State::begin(self)?;
        ask.now_or_never().unwrap_or_else(|| Err(Error::Broken(String::from("a reader of SQLite waited"))))
    }
}

/// One state of the file, held on this thread's connection until it is dropped.
struct State<'a>(Option<&'a Reader>);

impl<'a> State<'a> {
    fn begin(reader: &'a Reader) -> Result<Self, Error> {
        let begun = reader.with(|connection| {
            let is_free = connection.is_autocommit();
            if is_free { run(connection, "BEGIN", &[]).map(|()| true) } else { Ok(false) }
        })?;
        Ok(Self(begun.then_some(reader)))
    }
}

impl Drop for State<'_> {
    fn drop(&mut self) {
        let ended = self.0.map_or(Ok(()), |reader| reader.with(|connection| run(connection, "COMMIT", &[])));
        if let Err(error) = ended {
            tracing::error!(%error, "a reader could not let go of what it held");
        }
    }
}

/// Opens a connection that only reads.
pub(in crate::ledger) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute_batch("PRAGMA cache_size = -24576; PRAGMA temp_store = MEMORY; PRAGMA busy_timeout = 5000;")?;
    settle_plans(&connection)?;
    Ok(connection)
}

/// What is made of each row of a question.
pub(super) fn each<T>(
    connection: &Connection,
    sql: &str,
    cells: &[Cell<'_>],
    mut make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, cells)?;
    let mut rows = statement.raw_query();
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(make(&mut Passed::at(At::Sqlite(row)))?);
    }
    Ok(all)
}

/// How many cells a row has.
pub(super) fn columns(row: &rusqlite::Row<'_>) -> usize {
    row.as_ref().column_count()
}

/// A cell of a row, whatever it is.
pub(super) fn found(row: &rusqlite::Row<'_>, index: usize) -> Result<Found, Error> {
    match row.get_ref(index)? {
        ValueRef::Text(bytes) => Ok(Found::Text(read(bytes).into_owned())),
        _ => int(row, index).map(Found::Int),
    }
}

/// A number; none is 0.
pub(super) fn int(row: &rusqlite::Row<'_>, index: usize) -> Result<i64, Error> {
    match row.get_ref(index)? {
        ValueRef::Integer(value) => Ok(value),
        ValueRef::Null => Ok(0),
        other => Err(Error::Broken(format!("column {} is no number: {:?}", index + 1, other.data_type()))),
    }
}

/// A text.
pub(super) fn text<'r>(row: &'r rusqlite::Row<'_>, index: usize) -> Result<Cow<'r, str>, Error> {
    match row.get_ref(index)? {
        ValueRef::Text(bytes) => Ok(read(bytes)),
        other => Err(Error::Broken(format!("column {} is no text: {:?}", index + 1, other.data_type()))),
    }
}

/// What we stored was UTF-8; if the file was damaged, what cannot be read is shown as such. That looks at each letter, so it is
/// asked only of what is damaged.
fn read(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Runs a statement.
pub(super) fn run(connection: &Connection, sql: &str, cells: &[Cell<'_>]) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, cells)?;
    if statement.column_count() > 0 {
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
    } else {
        statement.raw_execute()?;
    }
    Ok(())
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, cells: &[Cell<'_>]) -> Result<(), Error> {
    for (index, cell) in cells.iter().enumerate() {
        match cell {
            Cell::Int(value) => statement.raw_bind_parameter(index + 1, value)?,
            Cell::Text(value) => statement.raw_bind_parameter(index + 1, value)?,
        }
    }
    Ok(())
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Folds the log back into the file from a thread of its own, so that no writer waits for it.
pub(in crate::ledger) struct Folder {
    /// Pages in the log as of the last fold.
    pages: Arc<AtomicI64>,
    /// Held while the log is folded: of two at once, the second would give up.
    folding: Arc<Mutex<()>>,
    _stop: mpsc::Sender<()>,
}

impl Folder {
    /// Starts it; it ends when this value is dropped.
    pub(in crate::ledger) fn start(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -1024; PRAGMA busy_timeout = 0;")?;
        let file = log(&connection)?;
        let database = database(&connection)?;
        let pages = Arc::new(AtomicI64::new(0));
        let (stop, stopped) = mpsc::channel::<()>();
        let published = Arc::clone(&pages);
        let folding = Arc::new(Mutex::new(()));
        let turn = Arc::clone(&folding);
        std::thread::Builder::new()
            .name(String::from("ledger-fold"))
            .spawn(move || {
                // Closed last: with it go the locks that SQLite holds on the same file.
                let (database, connection) = (database, connection);
                let mut last = 0;
                while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(FOLD_EVERY) {
                    let _mine = turn.lock().unwrap_or_else(PoisonError::into_inner);
                    let log = match fold_down(&connection, &database) {
                        Ok(log) => log,
                        Err(error) => {
                            tracing::warn!(%error, "the log could not be folded back beside the writer");
                            continue;
                        }
                    };
                    published.store(log, Ordering::Relaxed);
                    if log == last && file.metadata().is_ok_and(|file| file.len() > LOG_BYTES_AT_REST) {
                        cut(&connection);
                    }
                    last = log;
                }
            })
            .map_err(|error| Error::Broken(error.to_string()))?;
        Ok(Self { pages, folding, _stop: stop })
    }

    /// The writer's part, between two commits: only while it rests does a fold come to its end, and does SQLite begin the log anew.
    pub(in crate::ledger) fn end(&self, writer: &Connection) {
        if self.pages.load(Ordering::Relaxed) <= LOG_PAGES_MAX {
            return;
        }
        let _mine = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = begin_anew(writer) {
            tracing::warn!(%error, "the log could not be folded back");
        }
        self.pages.store(0, Ordering::Relaxed);
    }
}

/// Folds all, and waits a little for those who read in the log, so that it begins anew with the next commit; tells whether it will.
fn begin_anew(writer: &Connection) -> Result<bool, Error> {
    writer.busy_timeout(READERS_WAIT_MAX)?;
    let is_busy = writer.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, bool>(0));
    writer.busy_timeout(BUSY_WAIT_MAX)?;
    Ok(!is_busy?)
}

/// Folds until little is left, or a few times, and brings to the disk what was folded. SQLite syncs the file only at the end of a
/// fold that nobody outruns, and under load that is the writer's: it would wait for all of it.
fn fold_down(connection: &Connection, database: &File) -> Result<i64, Error> {
    let mut pages = 0;
    for _ in 0..FOLDS_MAX {
        pages = fold(connection)?;
        database.sync_data().map_err(|error| Error::Broken(format!("the database file: {error}")))?;
        if pages <= LOG_PAGES_MAX {
            break;
        }
    }
    Ok(pages)
}

/// Cuts the log file if nobody reads or writes; else it is cut another time.
fn cut(connection: &Connection) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::debug!(%error, "the log was not cut");
    }
}

/// Folds what no reader needs any more; tells how many pages the log holds.
fn fold(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// SQLite puts the log beside the file that a link leads to; what else lies beside the link is none of ours.
    #[test]
    fn the_log_of_a_linked_database_is_the_one_that_sqlite_writes() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.db"), folder.path().join("link.db"));
        File::create(&real).unwrap();
        symlink(&real, &link).unwrap();
        File::create(folder.path().join("link.db-wal")).unwrap();
        let connection = open_writer(&link).unwrap();
        connection.execute_batch("CREATE TABLE t (a INTEGER)").unwrap();
        let wanted = folder.path().join("real.db-wal").metadata().unwrap();
        let synced = log(&connection).unwrap().metadata().unwrap();
        assert!(wanted.len() > 0);
        assert_eq!((synced.dev(), synced.ino()), (wanted.dev(), wanted.ino()));
    }

    #[test]
    fn the_log_begins_anew_as_soon_as_nobody_reads_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let writer = open_writer(&path).unwrap();
        let (reader, own) = (open_reader(&path).unwrap(), Connection::open(&path).unwrap());
        writer.execute_batch("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)").unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        let before = fold(&own).unwrap();
        assert!(!begin_anew(&writer).unwrap());
        writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert!(fold(&own).unwrap() > before, "what is read stays");
        reader.execute_batch("COMMIT").unwrap();
        assert!(begin_anew(&writer).unwrap());
        writer.execute_batch("INSERT INTO t VALUES (3)").unwrap();
        assert_eq!(fold(&own).unwrap(), 1);
        assert_eq!(reader.query_row("SELECT sum(a) FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 6);
    }

    #[test]
    fn a_log_at_rest_is_cut_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let writer = open_writer(&path).unwrap();
        let (reader, own) = (open_reader(&path).unwrap(), Connection::open(&path).unwrap());
        let length = || log(&writer).unwrap().metadata().unwrap().len();
        writer.execute_batch("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)").unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        fold_down(&own, &database(&own).unwrap()).unwrap();
        cut(&own);
        assert!(length() > 0);
        reader.execute_batch("COMMIT").unwrap();
        cut(&own);
        assert_eq!(length(), 0);
        assert_eq!(writer.query_row("SELECT a FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }
}
