//! When the rules were asked about a person, and what they could see: what is needed to ask them again and come to the same.

use super::dialect::{Cell, Reader, Row, Transaction};
use super::{Error, Person, Scope};

const ADD: &str = "INSERT INTO turns (tenant, person, number, at, stamp, since, until, heard, seen, asked)
    SELECT $1, $2, COALESCE(MAX(t.number), 0) + 1, $3, $4, $5, $6, $7, $8, $9 FROM turns t WHERE t.tenant = $1 AND t.person = $2";
const TURNS: &str = "SELECT t.person, t.number, t.at, t.stamp, t.since, t.until, t.heard, t.seen, t.asked FROM turns t
    WHERE t.tenant = $1 AND t.person = $2 AND t.number > $3 ORDER BY t.number LIMIT $4";

/// The rules were asked about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// About whom.
    pub person: Person,
    /// What time it was for them, UTC milliseconds.
    pub at: i64,
    /// The stamp of what they came to; the writer gives it.
    pub stamp: i64,
    /// The last entry that they could see of the chain of each who was one with the person.
    pub seen: Vec<(Person, i64)>,
    /// What they were asked.
    pub asked: Asked,
}

/// What the rules were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// What comes of so many events, the first and the last of them learned at these times.
    Heard {
        /// When the first was learned.
        since: i64,
        /// When the last was learned.
        until: i64,
        /// How many they were.
        count: i64,
    },
    /// What comes of a due: its output.
    Due(String),
    /// What comes of a call: a JSON object of the engine.
    Called(String),
}

/// A call is told from the output of a due by this.
const OBJECT: char = '{';

/// Adds one, after those of the person that are there.
pub(super) async fn add(transaction: &mut Transaction<'_>, tenant: &str, turn: &Turn, stamp: i64) -> Result<(), Error> {
    let (since, until, count, asked) = match &turn.asked {
        Asked::Heard { since, until, count } => (*since, *until, *count, ""),
        Asked::Due(asked) | Asked::Called(asked) => (0, 0, 0, asked.as_str()),
    };
    let seen = written(turn.person, &turn.seen);
    let cells = [
        Cell::Text(tenant),
        Cell::Int(turn.person.0),
        Cell::Int(turn.at),
        Cell::Int(stamp),
        Cell::Int(since),
        Cell::Int(until),
        Cell::Int(count),
        Cell::Text(&seen),
        Cell::Text(asked),
    ];
    transaction.run(ADD, &cells).await
}

/// The turns of a person, as it was known then, in order after one of them; each with its number.
pub(super) async fn of(
    reader: &Reader,
    scope: &Scope,
    person: Person,
    after: i64,
    count: i64,
) -> Result<Vec<(i64, Turn)>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Int(person.0), Cell::Int(after), Cell::Int(count)];
    reader.rows(TURNS, &cells).await?.iter_mut().map(turn).collect()
}

fn turn(row: &mut Row) -> Result<(i64, Turn), Error> {
    let (person, number, at, stamp) = (Person(row.int()?), row.int()?, row.int()?, row.int()?);
    let (since, until, count, seen, asked) = (row.int()?, row.int()?, row.int()?, row.text()?, row.text()?);
    let seen = read(person, &seen);
    let asked = match asked.chars().next() {
        None => Asked::Heard { since, until, count },
        Some(OBJECT) => Asked::Called(asked),
        Some(_) => Asked::Due(asked),
    };
    Ok((number, Turn { person, at, stamp, seen, asked }))
}

/// `12` for the person's own chain, `7:3` for that of another, with a blank between them.
fn written(person: Person, seen: &[(Person, i64)]) -> String {
    let one = |(other, ordinal): &(Person, i64)| {
        if *other == person { ordinal.to_string() } else { format!("{}:{ordinal}", other.0) }
    };
    seen.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn read(person: Person, seen: &str) -> Vec<(Person, i64)> {
    let one = |word: &str| match word.split_once(':') {
        Some((other, ordinal)) => Some((Person(other.parse().ok()?), ordinal.parse().ok()?)),
        None => Some((person, word.parse().ok()?)),
    };
    seen.split_whitespace().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_read_as_it_was_written() {
        let (alone, united) = (vec![(Person(7), 12)], vec![(Person(3), 4), (Person(7), 12)]);
        assert_eq!((written(Person(7), &alone), written(Person(7), &united)), ("12".to_owned(), "3:4 12".to_owned()));
        for seen in [alone, united, vec![]] {
            assert_eq!(read(Person(7), &written(Person(7), &seen)), seen);
        }
        assert_eq!(read(Person(7), "x 9 1:y"), [(Person(7), 9)]);
    }
}
