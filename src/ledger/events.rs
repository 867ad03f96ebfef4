//! What was recorded and not yet reacted to. A queue: rows go when they are settled.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::dialect::{Cell, Reader, Transaction};
use super::writer::{Chore, Job};
use super::{Error, Event, How, Ledger, Line, Person, Scope};

const ADD: &str = "INSERT INTO events (number, tenant, person, kind, id, version, line, how, depth, told, learned)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)";
const NEXT: &str = "SELECT number, tenant, person, kind, id, version, line, how, depth, told, learned FROM events
    WHERE number > $1 ORDER BY number LIMIT $2";
// The queue is short but in a storm, so it has no index of persons, which every write would pay for; it is read once, and what
// was found is then asked for by its number.
const OF_PERSON: &str = "SELECT number FROM events WHERE tenant = $1 AND person IN (SELECT p.person FROM people p
    WHERE p.tenant = $1 AND p.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $2))
    ORDER BY number DESC LIMIT 1";
const UNHEARD: &str =
    "SELECT number FROM events WHERE tenant = $1 AND kind = $2 AND told = 0 AND learned < $3 ORDER BY number LIMIT 1";
const IS_THERE: &str = "SELECT number FROM events WHERE number = $1";
const TELL: &str = "UPDATE events SET told = 1 WHERE number = $1";
const SETTLE: &str = "DELETE FROM events WHERE number = $1";
const TRY: &str = "INSERT INTO events (number, tenant, person, kind, id, version, line, how, depth, told, learned)
    VALUES ($1, '', 0, '', '', 0, '', '', 0, 1, 0)";
const STOPS: &str = "SELECT tenant, MAX(number) FROM events WHERE kind = 'Communication' AND how <> 'derived' GROUP BY tenant";
/// The number of an event that nobody ever hears of.
const NONE: i64 = -1;

impl Ledger {
    /// Whether the writer lives, nobody took its place, and the database answers.
    pub async fn ready(&self) -> bool {
        let may_write = !self.jobs.is_closed() && !self.shared.durable.is_lost() && !self.shared.overtaken.load(Ordering::SeqCst);
        may_write && self.next_due().await.is_ok()
    }

    /// Whether the database takes what is written: found out by a row that is written and taken away again.
    pub async fn takes(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Chore(Chore::Try, reply)).await.is_ok() && answer.await.is_ok_and(|done| done.is_ok())
    }
}

/// The last event of each tenant that waits and in which somebody may say STOP.
pub(super) async fn stops(reader: &Reader) -> Result<Vec<(Arc<str>, i64)>, Error> {
    reader.rows(STOPS, &[]).await?.iter_mut().map(|row| Ok((Arc::from(row.text()?), row.int()?))).collect()
}

/// Writes a row and takes it away again: it can be seen by nobody.
pub(super) async fn try_out(transaction: &mut Transaction<'_>) -> Result<(), Error> {
    transaction.run(TRY, &[Cell::Int(NONE)]).await?;
    settle(transaction, NONE).await
}

impl Ledger {
    /// Whether something of a type that was learned before then has not been told to who listens, or may not have been.
    pub async fn is_unheard(&self, scope: &Scope, kind: &str, before: i64) -> Result<bool, Error> {
        let cells = [Cell::Text(&scope.tenant), Cell::Text(kind), Cell::Int(before)];
        Ok(self.reader.row(UNHEARD, &cells).await?.is_some())
    }
}

/// Adds one.
pub(super) async fn add(transaction: &mut Transaction<'_>, event: &Event) -> Result<(), Error> {
    let cells = [
        Cell::Int(event.number),
        Cell::Text(&event.scope.tenant),
        Cell::Int(event.person.0),
        Cell::Text(&event.kind),
        Cell::Text(&event.id),
        Cell::Int(event.version),
        Cell::Text(event.line.word()),
        Cell::Text(event.how.word()),
        Cell::Int(i64::from(event.depth)),
        Cell::Int(event.learned),
    ];
    transaction.run(ADD, &cells).await
}

/// Its notices are recorded; the rules have still to look at it.
pub(super) async fn tell(transaction: &mut Transaction<'_>, number: i64) -> Result<(), Error> {
    transaction.run(TELL, &[Cell::Int(number)]).await
}

/// Removes one that was reacted to.
pub(super) async fn settle(transaction: &mut Transaction<'_>, number: i64) -> Result<(), Error> {
    transaction.run(SETTLE, &[Cell::Int(number)]).await
}

/// The oldest after a number.
pub(super) async fn next(reader: &Reader, after: i64, count: i64) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    for mut row in reader.rows(NEXT, &[Cell::Int(after), Cell::Int(count)]).await? {
        events.push(Event {
            number: row.int()?,
            scope: Scope { tenant: Arc::from(row.text()?) },
            person: Person(row.int()?),
            kind: row.text()?,
            id: row.text()?,
            version: row.int()?,
            line: Line::of(&row.text()?),
            how: How::of(&row.text()?),
            depth: u8::try_from(row.int()?).unwrap_or(u8::MAX),
            told: row.int()? != 0,
            learned: row.int()?,
        });
    }
    Ok(events)
}

/// The latest that a person (or who was united with them) still waits for.
pub(super) async fn of_person(reader: &Reader, scope: &Scope, person: Person) -> Result<Option<i64>, Error> {
    let row = reader.row(OF_PERSON, &[Cell::Text(&scope.tenant), Cell::Int(person.0)]).await?;
    row.map(|mut row| row.int()).transpose()
}

/// Whether one is not settled yet.
pub(super) async fn is_there(reader: &Reader, number: i64) -> Result<bool, Error> {
    Ok(reader.row(IS_THERE, &[Cell::Int(number)]).await?.is_some())
}
