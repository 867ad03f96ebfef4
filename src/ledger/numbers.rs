//! Where fresh numbers of resources, persons and events come from.

use super::Error;
use super::dialect::{Cell, Transaction};

const MAX_RESOURCE: &str = "SELECT COALESCE(MAX(number), 0) FROM resources";
const MAX_PERSON: &str = "SELECT COALESCE(MAX(person), 0) FROM people";
const MAX_EVENT: &str = "SELECT COALESCE(MAX(number), 0) FROM events";
const NEXT_RESOURCE: &str = "SELECT nextval('resource_numbers') FROM generate_series(1, $1)";
const NEXT_PERSON: &str = "SELECT nextval('person_numbers') FROM generate_series(1, $1)";
const NEXT_EVENT: &str = "SELECT nextval('event_numbers') FROM generate_series(1, $1)";
/// How many are drawn from a PostgreSQL sequence at once; what is drawn and not used is skipped.
const DRAWN: i64 = 32;

/// Counters of the one writer of a file, or numbers drawn from the sequences of a server.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    resources: Counter,
    people: Counter,
    events: Counter,
}

#[derive(Debug, Default)]
struct Counter {
    last: i64,
    drawn: Vec<i64>,
}

impl Numbers {
    /// Goes on where the file ends. A number that was given out and then removed from the end may be given again:
    /// only the queue of events is ever removed from, and nothing points to a settled event.
    pub(super) async fn of_file(transaction: &mut Transaction<'_>) -> Result<Self, Error> {
        let mut numbers = Self::default();
        for (counter, sql) in
            [(&mut numbers.resources, MAX_RESOURCE), (&mut numbers.people, MAX_PERSON), (&mut numbers.events, MAX_EVENT)]
        {
            counter.last = transaction.row(sql, &[]).await?.map_or(Ok(0), |mut row| row.int())?;
        }
        Ok(numbers)
    }

    /// Numbers of events that were drawn and not used are skipped: batches follow each other, also those of other writers, and
    /// so do their numbers; who has heard one number misses none before it.
    pub(super) fn end_batch(&mut self) {
        self.events.drawn.clear();
    }

    /// A fresh number of a resource.
    pub(super) async fn resource(&mut self, transaction: &mut Transaction<'_>) -> Result<i64, Error> {
        self.resources.next(transaction, NEXT_RESOURCE).await
    }

    /// A fresh number of a person.
    pub(super) async fn person(&mut self, transaction: &mut Transaction<'_>) -> Result<i64, Error> {
        self.people.next(transaction, NEXT_PERSON).await
    }

    /// A fresh number of an event.
    pub(super) async fn event(&mut self, transaction: &mut Transaction<'_>) -> Result<i64, Error> {
        self.events.next(transaction, NEXT_EVENT).await
    }
}

impl Counter {
    async fn next(&mut self, transaction: &mut Transaction<'_>, sql: &str) -> Result<i64, Error> {
        if let Transaction::Sqlite(_) = transaction {
            self.last += 1;
            return Ok(self.last);
        }
        if self.drawn.is_empty() {
            for mut row in transaction.rows(sql, &[Cell::Int(DRAWN)]).await? {
                self.drawn.push(row.int()?);
            }
            self.drawn.reverse();
        }
        self.drawn.pop().ok_or_else(|| Error::Broken(String::from("the sequence gave no number")))
    }
}
