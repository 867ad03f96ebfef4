//! Makes commits durable beside the writer: while the log of one commit goes to the disk, the writer works on the next.
//!
//! Nobody hears of a commit before its log is on the disk: its callers get their answers from here, and whoever was shown
//! something newer waits in [`Durable::settled`]. When the disk refuses once, nothing is certain any more: from then on all is
//! refused until the gateway is started again and reads what the disk has.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::{Error, Recorded};

/// Commits that the writer may be ahead of the disk, beside the one that is being synced.
pub(super) const AHEAD_MAX: usize = 1;

/// What is said of a commit whose log the disk refused.
const REFUSED: &str = "the disk refused to keep the log: start the gateway again";

/// How far commits went, and how far the disk followed.
pub(super) struct Durable {
    /// The latest commit that was begun.
    begun: AtomicU64,
    /// The latest commit that a power cut cannot take back; `None` when the disk refused.
    kept: watch::Sender<Option<u64>>,
}

/// A commit with those who wait to hear of it.
struct Waiting {
    commit: u64,
    answers: Vec<Answer>,
}

/// What a caller is told once it is durable.
pub(super) enum Answer {
    Recorded(oneshot::Sender<Result<Recorded, Error>>, Result<Recorded, Error>),
    Done(oneshot::Sender<Result<usize, Error>>, Result<usize, Error>),
}

/// The writer's side.
pub(super) struct Syncer {
    shared: Arc<Durable>,
    waiting: mpsc::SyncSender<Waiting>,
    /// The last commit that changed anything, and the rows that were changed in all until then.
    commit: u64,
    changes: u64,
}

impl Answer {
    /// Tells the caller. One that went away has no use for its answer; what was recorded stays.
    pub(super) fn give(self, kept: Result<(), Error>) {
        match self {
            Self::Recorded(reply, result) => drop(reply.send(kept.and(result))),
            Self::Done(reply, result) => drop(reply.send(kept.and(result))),
        }
    }
}

fn refused() -> Error {
    Error::Broken(String::from(REFUSED))
}

impl Default for Durable {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), kept: watch::channel(Some(0)).0 }
    }
}

impl Durable {
    /// Waits until nothing that could be seen when this was called can be taken back by a power cut.
    pub(super) async fn settled(&self) -> Result<(), Error> {
        let begun = self.begun.load(Ordering::SeqCst);
        if self.kept.borrow().is_some_and(|kept| kept >= begun) {
            return Ok(());
        }
        let mut kept = self.kept.subscribe();
        let kept = kept.wait_for(|kept| kept.is_none_or(|kept| kept >= begun)).await;
        if kept.is_ok_and(|kept| kept.is_some()) { Ok(()) } else { Err(refused()) }
    }

    /// Whether the disk refused.
    pub(super) fn is_lost(&self) -> bool {
        self.kept.borrow().is_none()
    }

    /// No commit comes any more: one that was begun and never handed over keeps nobody waiting.
    fn close(&self) {
        let begun = self.begun.load(Ordering::SeqCst);
        self.kept.send_modify(|kept| *kept = kept.filter(|kept| *kept >= begun));
    }

    /// Syncs, and tells all who wait.
    fn keep(&self, waiting: Vec<Waiting>, sync: &mut impl FnMut() -> io::Result<()>) {
        let last = waiting.iter().map(|one| one.commit).max().unwrap_or_default();
        let kept = *self.kept.borrow();
        let kept = match kept {
            Some(kept) if kept < last => sync().map_or_else(
                |error| {
                    tracing::error!(%error, "the disk refused to keep the log");
                    None
                },
                |()| Some(last),
            ),
            kept => kept,
        };
        self.kept.send_replace(kept);
        for answer in waiting.into_iter().flat_map(|one| one.answers) {
            answer.give(kept.map(drop).ok_or_else(refused));
        }
    }
}

impl Syncer {
    /// Starts the thread that syncs, after what an earlier process left in the log; it ends when this value is dropped and all who
    /// wait have heard.
    pub(super) fn start(shared: Arc<Durable>, mut sync: impl FnMut() -> io::Result<()> + Send + 'static) -> Result<Self, Error> {
        sync().map_err(|error| Error::Broken(format!("the log: {error}")))?;
        let (waiting, commits) = mpsc::sync_channel(AHEAD_MAX);
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(String::from("ledger-sync"))
            .spawn(move || {
                while let Ok(first) = commits.recv() {
                    // One sync keeps all that was committed before it.
                    own.keep(std::iter::once(first).chain(commits.try_iter()).collect(), &mut sync);
                }
                own.close();
            })
            .map_err(|error| Error::Broken(error.to_string()))?;
        Ok(Self { shared, waiting, commit: 0, changes: 0 })
    }

    /// Begins a transaction.
    pub(super) fn begin(&self, connection: &Connection) -> Result<(), Error> {
        if self.shared.is_lost() {
            return Err(refused());
        }
        Ok(connection.execute_batch("BEGIN IMMEDIATE")?)
    }

    /// Ends it: commits what was done, or takes back what failed.
    pub(super) fn end<T>(&mut self, connection: &Connection, done: Result<T, Error>) -> Result<T, Error> {
        if self.has_changed(connection) {
            // Counted before it can be seen.
            self.commit = self.shared.begun.fetch_add(1, Ordering::SeqCst) + 1;
        }
        self.end_unheard(connection, done)
    }

    fn has_changed(&mut self, connection: &Connection) -> bool {
        let changes = connection.total_changes();
        std::mem::replace(&mut self.changes, changes) != changes
    }

    /// Ends it, where nobody need hear whether the disk has it.
    pub(super) fn end_unheard<T>(&mut self, connection: &Connection, done: Result<T, Error>) -> Result<T, Error> {
        self.has_changed(connection);
        let ended = done.and_then(|done| connection.execute_batch("COMMIT").map(|()| done).map_err(Error::from));
        if ended.is_err() {
            // When the rollback fails too, SQLite has already ended the transaction.
            let _ = connection.execute_batch("ROLLBACK");
        }
        ended
    }

    /// Lets those who wait for the last commit hear of it when it is durable.
    pub(super) fn hand_over(&self, answers: Vec<Answer>) {
        if let Err(mpsc::SendError(waiting)) = self.waiting.send(Waiting { commit: self.commit, answers }) {
            self.shared.kept.send_replace(None);
            waiting.answers.into_iter().for_each(|answer| answer.give(Err(refused())));
        }
    }
}

/// For tests of those who must wait: a commit whose log the disk has not taken yet, and what the disk says of it at last.
#[cfg(test)]
impl super::Ledger {
    pub(crate) fn run_ahead(&self) {
        self.shared.durable.begun.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn catch_up(&self, is_kept: bool) {
        let begun = self.shared.durable.begun.load(Ordering::SeqCst);
        self.shared.durable.kept.send_replace(is_kept.then_some(begun));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// A store of its own, and a disk that syncs when it is told to and answers what it is told.
    struct Bench {
        connection: Connection,
        syncer: Syncer,
        durable: Arc<Durable>,
        /// Hears of each sync that begins.
        asked: mpsc::Receiver<()>,
        /// Lets it end.
        disk: mpsc::Sender<io::Result<()>>,
    }

    type Reply = oneshot::Receiver<Result<usize, Error>>;

    impl Bench {
        fn new() -> Self {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch("CREATE TABLE t (a INTEGER)").unwrap();
            let ((ask, asked), (disk, answers)) = (mpsc::channel(), mpsc::channel());
            disk.send(Ok(())).unwrap();
            let durable = Arc::new(Durable::default());
            let sync = move || {
                ask.send(()).unwrap();
                answers.recv().unwrap()
            };
            let syncer = Syncer::start(Arc::clone(&durable), sync).unwrap();
            asked.recv().unwrap();
            Self { connection, syncer, durable, asked, disk }
        }

        fn commit(&mut self, sql: &str) -> Reply {
            self.syncer.begin(&self.connection).unwrap();
            let done = self.connection.execute_batch(sql).map_err(Error::from);
            let done = self.syncer.end(&self.connection, done).map(|()| 1);
            let (reply, answer) = oneshot::channel();
            self.syncer.hand_over(vec![Answer::Done(reply, done)]);
            answer
        }

        fn is_settled(&self) -> Option<bool> {
            self.durable.settled().now_or_never().map(|settled| settled.is_ok())
        }
    }

    /// The log that an earlier process left is synced before anything else, so `new` has seen one sync.
    #[test]
    fn nobody_hears_of_a_commit_before_the_disk_has_it() {
        let mut bench = Bench::new();
        assert_eq!(bench.is_settled(), Some(true));
        let mut answer = bench.commit("INSERT INTO t VALUES (1)");
        bench.asked.recv().unwrap();
        assert!(answer.try_recv().is_err());
        assert_eq!(bench.is_settled(), None, "whoever read it must wait");
        bench.disk.send(Ok(())).unwrap();
        assert_eq!(answer.blocking_recv().unwrap().unwrap(), 1);
        assert_eq!(bench.is_settled(), Some(true));
    }

    #[test]
    fn the_writer_goes_on_while_the_disk_works() {
        let mut bench = Bench::new();
        let first = bench.commit("INSERT INTO t VALUES (1)");
        bench.asked.recv().unwrap();
        let mut second = bench.commit("INSERT INTO t VALUES (2)");
        assert!(second.try_recv().is_err());
        bench.disk.send(Ok(())).unwrap();
        assert!(first.blocking_recv().unwrap().is_ok());
        bench.asked.recv().unwrap();
        assert!(second.try_recv().is_err(), "it was committed after that sync had begun");
        bench.disk.send(Ok(())).unwrap();
        assert!(second.blocking_recv().unwrap().is_ok());
    }

    #[test]
    fn what_changed_nothing_needs_no_sync() {
        let mut bench = Bench::new();
        let nothing = bench.commit("SELECT 1");
        assert!(nothing.blocking_recv().unwrap().is_ok());
        let refused = bench.commit("no statement");
        assert!(refused.blocking_recv().unwrap().is_err(), "its own failure is told");
        assert!(bench.asked.try_recv().is_err());
        assert_eq!(bench.is_settled(), Some(true));
    }

    #[test]
    fn a_disk_that_refused_once_is_not_trusted_again() {
        let mut bench = Bench::new();
        let lost = bench.commit("INSERT INTO t VALUES (1)");
        bench.disk.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        assert!(lost.blocking_recv().unwrap().is_err());
        assert_eq!(bench.is_settled(), Some(false));
        assert!(bench.durable.is_lost());
        assert!(bench.syncer.begin(&bench.connection).is_err(), "nothing more is taken");
    }

    /// The writer may have fallen between a commit and the next look at its queue.
    #[test]
    fn a_writer_that_is_gone_keeps_nobody_waiting() {
        let mut bench = Bench::new();
        bench.connection.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        bench.syncer.end(&bench.connection, bench.connection.execute_batch("BEGIN").map_err(Error::from)).unwrap();
        assert_eq!(bench.is_settled(), None);
        let Bench { syncer, durable, .. } = bench;
        drop(syncer);
        let waits = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(waits.block_on(durable.settled()).is_err());
    }

    /// What a rollback took back may count as a commit: then who waits for it is not kept waiting.
    #[test]
    fn a_commit_that_failed_keeps_nobody_waiting() {
        let mut bench = Bench::new();
        let refused = bench.commit("INSERT INTO t VALUES (1); no statement");
        bench.asked.recv().unwrap();
        bench.disk.send(Ok(())).unwrap();
        assert!(refused.blocking_recv().unwrap().is_err());
        assert_eq!(bench.is_settled(), Some(true));
    }
}
