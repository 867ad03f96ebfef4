//! Group commit: one thread per database gathers what is queued into one transaction; each caller gets its own answer when that is
//! durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};

use super::basis::Stops;
use super::checkpoints::{self, Seal};
use super::dialect::{Transaction, postgres};
use super::durable::{Answer, Durable};
use super::fresh::Shelf;
use super::numbers::Numbers;
use super::pen::Pen;
use super::record::Batch;
use super::search::late::{Asking, Late};
use super::{Error, Fresh, Recorded, Unit, events};
use crate::clock::Clock;

/// Units that may wait for the writer; beyond, callers wait to hand theirs in.
pub(super) const QUEUE_MAX: usize = 4_096;
/// Units in one commit.
pub(super) const BATCH_MAX: usize = 512;
/// No batch is open.
pub(super) const NONE_OPEN: i64 = i64::MAX;

/// What the writer is asked to do.
pub(super) enum Job {
    Record(Box<Unit>, oneshot::Sender<Result<Recorded, Error>>),
    Chore(Chore, oneshot::Sender<Result<usize, Error>>),
    /// Somebody searches, as [`Shared::asking`] tells.
    Index,
}

/// What is done in a transaction of its own.
#[derive(Clone, Copy)]
pub(super) enum Chore {
    /// Puts all heads under a checkpoint.
    Seal,
    /// Finds out whether the database takes anything.
    Try,
}

/// What is said when the writer's thread has ended.
pub(super) fn gone() -> Error {
    Error::Broken(String::from("the writer is gone"))
}

/// What the writer and the readers of one database share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    /// Stamp of the open batch, or [`NONE_OPEN`].
    pub(super) open: AtomicI64,
    /// The latest horizon that a reader was told; no later batch is stamped earlier, also when the clock is set back.
    pub(super) told: AtomicI64,
    /// Changes at each commit that added events.
    pub(super) committed: watch::Sender<u64>,
    /// Changes at each commit.
    pub(super) written: watch::Sender<u64>,
    /// Signs checkpoints.
    pub(super) seal: Seal,
    /// What was just recorded.
    pub(super) fresh: Shelf,
    /// How far the disk followed.
    pub(super) durable: Arc<Durable>,
    /// Whether any two persons were ever united, as far as is known here: while nobody was, nobody need be asked after.
    pub(super) united: AtomicBool,
    /// Whether search rows of what can be seen may still wait to be written.
    pub(super) late: AtomicBool,
    /// Who waits for them.
    pub(super) asking: Asking,
    /// The last STOP of each tenant.
    pub(super) stops: Stops,
    /// Whether another process is known to have written since this one began: nothing is written any more.
    pub(super) overtaken: Arc<AtomicBool>,
}

/// What a batch came to.
struct Written {
    results: Vec<Result<Recorded, Error>>,
    /// Whether it added events.
    stirred: bool,
    /// Whether it united persons.
    united: bool,
    fresh: Vec<(i64, Fresh)>,
    /// The STOPs among them.
    said: Vec<(Arc<str>, i64)>,
}

/// Starts the writer's thread; it ends when the last sender is gone.
pub(super) fn start(pen: Pen, shared: Arc<Shared>) -> Result<mpsc::Sender<Job>, Error> {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    std::thread::Builder::new()
        .name(String::from("ledger-writer"))
        .spawn(move || {
            Writer { pen, shared, numbers: None, late: Late::default(), last_stamp: 0, is_taken_back: false }.run(receiver);
        })
        .map_err(|error| Error::Broken(error.to_string()))?;
    Ok(sender)
}

impl Chore {
    async fn run(self, transaction: &mut Transaction<'_>, seal: &Seal, stamp: i64) -> Result<usize, Error> {
        match self {
            Self::Seal => checkpoints::seal(transaction, seal, stamp).await,
            Self::Try => events::try_out(transaction).await.map(|()| 0),
        }
    }
}

struct Writer {
    pen: Pen,
    shared: Arc<Shared>,
    numbers: Option<Numbers>,
    late: Late,
    last_stamp: i64,
    /// Whether the last batch failed in one of its statements, and nothing of it was written.
    is_taken_back: bool,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let mut units = Vec::new();
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    // Nobody waits for it any more, and nobody was told anything: who hands it in again shall not find it twice.
                    Job::Record(_, reply) if reply.is_closed() => {}
                    Job::Record(unit, reply) => units.push((*unit, reply)),
                    Job::Index => {}
                    Job::Chore(chore, reply) => {
                        self.commit(std::mem::take(&mut units));
                        let done = self.chore(chore);
                        self.answer(vec![Answer::Done(reply, done)]);
                    }
                }
                if units.len() < BATCH_MAX {
                    next = queue.try_recv().ok();
                }
            }
            self.commit(units);
            if let Pen::Sqlite { connection, folder, .. } = &self.pen {
                folder.end(connection);
            }
        }
        if let Err(error) = self.index() {
            tracing::warn!(%error, "search rows could not be written; they are made when the ledger is opened");
        }
    }

    /// One batch; if the database fails in it, its units are tried again one by one, so that one cannot harm its neighbours.
    fn commit(&mut self, units: Vec<(Unit, oneshot::Sender<Result<Recorded, Error>>)>) {
        let asking = self.shared.asking.take();
        let (plain, replies): (Vec<Unit>, Vec<_>) = units.into_iter().unzip();
        let answers: Vec<Answer> = match self.batch(&plain, !asking.is_empty()) {
            Ok(results) => replies.into_iter().zip(results).map(|(reply, result)| Answer::Recorded(reply, result)).collect(),
            Err(_) if plain.len() > 1 && self.is_taken_back => {
                let alone = plain.iter().map(|unit| self.batch(std::slice::from_ref(unit), false));
                let results: Vec<_> =
                    alone.map(|result| result.and_then(|mut results| results.pop().unwrap_or(Err(Error::Busy)))).collect();
                replies.into_iter().zip(results).map(|(reply, result)| Answer::Recorded(reply, result)).collect()
            }
            // Whether an unanswered COMMIT took effect is not known: doing it again could do it twice. And a database that cannot be
            // reached is not reached by each of them.
            Err(error) => {
                replies.into_iter().map(|reply| Answer::Recorded(reply, Err(Error::Broken(error.to_string())))).collect()
            }
        };
        self.find(asking);
        if !answers.is_empty() {
            self.answer(answers);
        }
    }

    /// Lets those who search go on: what they ask of can be found.
    fn find(&mut self, asking: Vec<oneshot::Sender<Result<(), Error>>>) {
        if asking.is_empty() {
            return;
        }
        let indexed = self.index().map_err(|error| error.to_string());
        for reply in asking {
            drop(reply.send(indexed.clone().map_err(Error::Broken)));
        }
    }

    /// Writes the search rows that wait. Nobody waits for the disk to keep them: what it loses is made when the ledger is opened.
    fn index(&mut self) -> Result<(), Error> {
        let Pen::Sqlite { connection, syncer, .. } = &mut self.pen else { return Ok(()) };
        if !self.late.is_any() {
            return Ok(());
        }
        self.late.begin(true);
        syncer.begin(connection)?;
        let work = self.late.write(&mut Transaction::Sqlite(connection)).now_or_never();
        let done = work.unwrap_or_else(|| Err(Error::Broken(String::from("a SQLite batch waited"))));
        let ended = syncer.end_unheard(connection, done);
        self.late.end(ended.is_ok());
        self.shared.late.store(self.late.is_any(), Ordering::SeqCst);
        ended
    }

    /// Gives answers as soon as what they tell of is durable.
    fn answer(&self, answers: Vec<Answer>) {
        match &self.pen {
            Pen::Sqlite { syncer, .. } => syncer.hand_over(answers),
            Pen::Postgres { .. } => answers.into_iter().for_each(|answer| answer.give(Ok(()))),
        }
    }

    /// Decides and writes units in one transaction. An error means that nothing of it was written.
    fn batch(&mut self, units: &[Unit], is_asked: bool) -> Result<Vec<Result<Recorded, Error>>, Error> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        // The open batch is announced before its stamp is read, so that no reader's horizon lies after it.
        let opened = self.shared.clock.now().max(self.last_stamp);
        self.shared.open.store(opened, Ordering::SeqCst);
        let stamp = self.shared.clock.now().max(opened).max(self.shared.told.load(Ordering::SeqCst));
        self.is_taken_back = false;
        let result = self.transact(units, stamp, is_asked);
        self.shared.open.store(NONE_OPEN, Ordering::SeqCst);
        let Written { results, stirred, fresh, said, .. } = result?;
        self.last_stamp = stamp;
        self.shared.fresh.keep(fresh);
        self.shared.stops.learn(said);
        self.shared.written.send_modify(|turn| *turn += 1);
        if stirred {
            self.shared.committed.send_modify(|turn| *turn += 1);
        }
        Ok(results)
    }

    fn transact(&mut self, units: &[Unit], stamp: i64, is_asked: bool) -> Result<Written, Error> {
        let late = &mut self.late;
        match &mut self.pen {
            Pen::Sqlite { connection, syncer, .. } => {
                syncer.begin(connection)?;
                late.begin(is_asked);
                let work =
                    write(Transaction::Sqlite(connection), &mut self.numbers, (&mut *late, &self.shared.stops), units, stamp);
                // On SQLite nothing in it waits: one poll is the whole of it.
                let done = work.now_or_never().unwrap_or_else(|| Err(Error::Broken(String::from("a SQLite batch waited"))));
                self.is_taken_back = done.is_err();
                if done.as_ref().is_ok_and(|done| done.united) {
                    // Before it can be seen.
                    self.shared.united.store(true, Ordering::SeqCst);
                }
                if late.is_any() {
                    self.shared.late.store(true, Ordering::SeqCst);
                }
                let ended = syncer.end(connection, done);
                late.end(ended.is_ok());
                self.shared.late.store(late.is_any(), Ordering::SeqCst);
                ended
            }
            Pen::Postgres { hand, runtime } => {
                let (numbers, is_taken_back, stops) = (&mut self.numbers, &mut self.is_taken_back, &self.shared.stops);
                runtime.block_on(async {
                    // On the way out by an error of its own, the connection is closed.
                    let mut connection = hand.begin().await?;
                    let done = write(Transaction::Postgres(&mut connection), numbers, (late, stops), units, stamp).await;
                    postgres::end(&mut connection, done.is_ok()).await?;
                    *is_taken_back = done.is_err();
                    hand.keep(connection);
                    done
                })
            }
        }
    }

    fn chore(&mut self, chore: Chore) -> Result<usize, Error> {
        let stamp = self.shared.clock.now().max(self.last_stamp);
        let shared = Arc::clone(&self.shared);
        match &mut self.pen {
            Pen::Sqlite { connection, syncer, .. } => {
                syncer.begin(connection)?;
                let work = chore.run(&mut Transaction::Sqlite(connection), &shared.seal, stamp).now_or_never();
                let done = work.unwrap_or_else(|| Err(Error::Broken(String::from("a SQLite batch waited"))));
                syncer.end(connection, done)
            }
            Pen::Postgres { hand, runtime } => runtime.block_on(async {
                let mut connection = hand.begin().await?;
                let done = chore.run(&mut Transaction::Postgres(&mut connection), &shared.seal, stamp).await;
                postgres::end(&mut connection, done.is_ok()).await?;
                hand.keep(connection);
                done
            }),
        }
    }
}

async fn write(
    mut transaction: Transaction<'_>,
    numbers: &mut Option<Numbers>,
    (late, stops): (&mut Late, &Stops),
    units: &[Unit],
    stamp: i64,
) -> Result<Written, Error> {
    let mut known = match numbers.take() {
        Some(known) => known,
        None if matches!(transaction, Transaction::Sqlite(_)) => Numbers::of_file(&mut transaction).await?,
        None => Numbers::default(),
    };
    let mut batch = Batch::new(transaction, (&mut known, late), stops, stamp);
    let done = record(&mut batch, units).await;
    let (stirred, united) = (batch.stirred, batch.united);
    let (fresh, said) = (std::mem::take(&mut batch.fresh), std::mem::take(&mut batch.said));
    drop(batch);
    // Kept also when the batch failed: who listens to events goes on from the last number it heard, so none may go back.
    known.end_batch();
    *numbers = Some(known);
    Ok(Written { results: done?, stirred, united, fresh, said })
}

async fn record(batch: &mut Batch<'_, '_>, units: &[Unit]) -> Result<Vec<Result<Recorded, Error>>, Error> {
    let mut results = Vec::with_capacity(units.len());
    for unit in units {
        match batch.record(unit).await {
            Ok(recorded) => results.push(Ok(recorded)),
            // Both are decided before the unit has written anything: its neighbours stand.
            Err(error @ (Error::Refused(_) | Error::TooCostly(_))) => results.push(Err(error)),
            Err(error) => return Err(error),
        }
    }
    batch.finish().await?;
    Ok(results)
}
