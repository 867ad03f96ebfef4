//! How far rules reach: how often each fires in a day, which were stopped for firing far more than ever, and what waits for those.
//!
//! A firing is counted in the transaction that records it, so that the count is right whoever fires beside it; what does not
//! fire costs nothing.

use std::sync::Arc;

use super::dialect::{Cell, Reader, Row, Transaction};
use super::{Error, Ledger, Person, Refusal, Scope};

const COUNTED: &str = "SELECT COALESCE(MIN(day), $1), COALESCE(MAX(CASE WHEN day < $1 THEN fired END), 0),
    COALESCE(MAX(CASE WHEN day = $1 THEN fired END), 0) FROM firings WHERE tenant = $2 AND rule = $3 AND day >= $4 AND day <= $1";
const COUNT: &str = "INSERT INTO firings (tenant, rule, day, fired) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant, rule, day) DO UPDATE SET fired = firings.fired + excluded.fired";
const HALT: &str = "SELECT version, state, task, at FROM halts WHERE tenant = $1 AND rule = $2";
const HALTS: &str = "SELECT version, state, task, at FROM halts WHERE tenant = $1 ORDER BY rule LIMIT $2";
const SET_HALT: &str = "INSERT INTO halts (tenant, rule, version, state, task, at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant, rule) DO UPDATE SET version = excluded.version, state = excluded.state, task = excluded.task,
    at = excluded.at";
const ANSWER: &str = "UPDATE halts SET state = $1, at = $2 WHERE tenant = $3 AND task = $4 AND state = 'stopped' RETURNING rule";
const WITHHOLD: &str = "INSERT INTO withheld (tenant, rule, person, output) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const WAKE: &str = "UPDATE dues SET due = $1 WHERE tenant = $2 AND due > $1 AND (person, output) IN
    (SELECT h.person, h.output FROM withheld h WHERE h.tenant = $2 AND h.rule = $3)";
const LET_GO: &str = "DELETE FROM withheld WHERE tenant = $1 AND rule = $2";

/// Days before today that are a rule's own history.
pub const HISTORY_DAYS: i64 = 28;
/// A rule that fired so many days ago, or earlier, is known: what is usual for it can be told.
pub const KNOWN_DAYS: i64 = 7;
/// Stopped rules of one tenant that are looked at.
pub(super) const HALTS_MAX: i64 = 1_000;

const DAY_MS: i64 = 86_400_000;

/// A rule fires once, within this bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// `url|version` of the rule.
    pub rule: String,
    /// How often it may in a day.
    pub bound: Bound,
}

/// How often a rule may fire in a day: so many times what is expected, which is its highest day of the last 28 or its forecast,
/// whichever is more; but never less than the floor, and never less than `unknown` while nothing is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Firings a day that its author or the simulator expects; 0 when nobody said.
    pub forecast: i64,
    /// Times what is expected.
    pub times: i64,
    /// Never less.
    pub floor: i64,
    /// Never less for a rule that has no forecast and has not fired for seven days yet.
    pub unknown: i64,
}

impl Bound {
    /// The most in a day, after a highest day of so many; `is_known` when the rule has fired long enough.
    #[must_use]
    pub fn most(&self, highest: i64, is_known: bool) -> i64 {
        let expected = highest.max(self.forecast).saturating_mul(self.times);
        let least = if is_known || self.forecast > 0 { self.floor } else { self.unknown };
        expected.max(least)
    }
}

/// What became of a rule that would have fired too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// `url|version` of the rule that was stopped.
    pub rule: String,
    /// How it stands.
    pub state: HaltState,
    /// Id of the Task that asks a person.
    pub task: String,
    /// Since when, UTC milliseconds.
    pub at: i64,
}

/// How a rule that was stopped stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltState {
    /// A person is asked; whatever version of it would fire waits.
    Stopped,
    /// A person said that it may go on. On that day it is not bound.
    Released,
    /// A person said that it stays stopped; another version of it may run.
    Retired,
}

impl HaltState {
    /// The word kept in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Released => "released",
            Self::Retired => "retired",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "released" => Self::Released,
            "retired" => Self::Retired,
            _ => Self::Stopped,
        }
    }
}

impl Halt {
    /// Whether it keeps this version of a rule, `url|version`, from firing.
    #[must_use]
    pub fn holds(&self, rule: &str) -> bool {
        match self.state {
            HaltState::Stopped => url(rule) == url(&self.rule),
            HaltState::Retired => rule == self.rule,
            HaltState::Released => false,
        }
    }
}

/// A rule would have fired once more than it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond {
    /// `url|version` of the rule.
    pub rule: String,
    /// How often it has fired today.
    pub fired: i64,
    /// How often it may.
    pub most: i64,
}

/// How far a rule has reached today, as far as a batch knows.
#[derive(Debug)]
pub(super) struct Reach {
    today: i64,
    highest: i64,
    is_known: bool,
    /// Firings of this batch, not written yet.
    fresh: i64,
    pub(super) halt: Option<Halt>,
}

/// By tenant and url of the rule.
pub(super) type Reaches = std::collections::HashMap<(Arc<str>, String), Reach>;

/// The url of a `url|version`.
pub(super) fn url(rule: &str) -> &str {
    rule.split('|').next().unwrap_or(rule)
}

/// A day, in UTC, as it is counted.
fn day(at: i64) -> i64 {
    at.div_euclid(DAY_MS)
}

impl Reach {
    /// How a rule stands before a batch of this stamp.
    pub(super) async fn read(transaction: &mut Transaction<'_>, tenant: &str, rule: &str, stamp: i64) -> Result<Self, Error> {
        let today = day(stamp);
        let cells = [Cell::Int(today), Cell::Text(tenant), Cell::Text(rule), Cell::Int(today - HISTORY_DAYS)];
        let counted = transaction.row(COUNTED, &cells).await?;
        let mut counted = counted.ok_or_else(|| Error::Broken(String::from("a count came to nothing")))?;
        let (first, highest, fired) = (counted.int()?, counted.int()?, counted.int()?);
        let halt = transaction.row(HALT, &[Cell::Text(tenant), Cell::Text(rule)]).await?;
        let halt = halt.map(|mut row| halt_row(&mut row)).transpose()?;
        Ok(Self { today: fired, highest, is_known: first <= today - KNOWN_DAYS, fresh: 0, halt })
    }

    /// Whether the rule may fire so often more.
    pub(super) fn admit(&self, firing: &Firing, count: i64, stamp: i64) -> Result<(), Error> {
        let is_free = |halt: &Halt| halt.state == HaltState::Released && day(halt.at) == day(stamp);
        if self.halt.as_ref().is_some_and(is_free) {
            return Ok(());
        }
        let most = firing.bound.most(self.highest, self.is_known);
        let is_held = self.halt.as_ref().is_some_and(|halt| halt.holds(&firing.rule));
        if is_held || self.today + count > most {
            let beyond = Beyond { rule: firing.rule.clone(), fired: self.today, most };
            return Err(Error::Refused(Refusal::Beyond(beyond)));
        }
        Ok(())
    }

    /// It fired.
    pub(super) fn count(&mut self) {
        self.today += 1;
        self.fresh += 1;
    }

    /// Writes what was counted in this batch.
    pub(super) async fn write(
        &self,
        transaction: &mut Transaction<'_>,
        key: &(Arc<str>, String),
        stamp: i64,
    ) -> Result<(), Error> {
        if self.fresh == 0 {
            return Ok(());
        }
        let cells = [Cell::Text(&key.0), Cell::Text(&key.1), Cell::Int(day(stamp)), Cell::Int(self.fresh)];
        transaction.run(COUNT, &cells).await
    }
}

/// A rule was stopped.
pub(super) async fn halt(transaction: &mut Transaction<'_>, tenant: &str, halt: &Halt) -> Result<(), Error> {
    let cells = [
        Cell::Text(tenant),
        Cell::Text(url(&halt.rule)),
        Cell::Text(&halt.rule),
        Cell::Text(halt.state.word()),
        Cell::Text(&halt.task),
        Cell::Int(halt.at),
    ];
    transaction.run(SET_HALT, &cells).await
}

/// A person said what becomes of the rule that this Task asks about: what waits for it is due now. A second answer changes nothing.
pub(super) async fn answer(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    task: &str,
    state: HaltState,
    stamp: i64,
) -> Result<(), Error> {
    let cells = [Cell::Text(state.word()), Cell::Int(stamp), Cell::Text(tenant), Cell::Text(task)];
    let Some(mut row) = transaction.row(ANSWER, &cells).await? else { return Ok(()) };
    let rule = row.text()?;
    transaction.run(WAKE, &[Cell::Int(stamp), Cell::Text(tenant), Cell::Text(&rule)]).await?;
    transaction.run(LET_GO, &[Cell::Text(tenant), Cell::Text(&rule)]).await
}

/// A due waits until a person has said what becomes of its rule.
pub(super) async fn withhold(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    rule: &str,
    person: Person,
    output: &str,
) -> Result<(), Error> {
    transaction.run(WITHHOLD, &[Cell::Text(tenant), Cell::Text(url(rule)), Cell::Int(person.0), Cell::Text(output)]).await
}

impl Ledger {
    /// The rules that were stopped, and what became of them.
    pub async fn halts(&self, scope: &Scope) -> Result<Vec<Halt>, Error> {
        halts(&self.reader, scope).await
    }
}

async fn halts(reader: &Reader, scope: &Scope) -> Result<Vec<Halt>, Error> {
    let mut rows = reader.rows(HALTS, &[Cell::Text(&scope.tenant), Cell::Int(HALTS_MAX)]).await?;
    rows.iter_mut().map(halt_row).collect()
}

fn halt_row(row: &mut Row) -> Result<Halt, Error> {
    Ok(Halt { rule: row.text()?, state: HaltState::of(&row.text()?), task: row.text()?, at: row.int()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_so_many_times_what_is_expected_and_never_too_little() {
        let bound = Bound { forecast: 0, times: 5, floor: 200, unknown: 10_000 };
        let told = Bound { forecast: 100, ..bound };
        for (bound, highest, is_known, most) in [
            (bound, 0, false, 10_000),
            (bound, 3_000, false, 15_000),
            (bound, 3, true, 200),
            (bound, 1_000, true, 5_000),
            (told, 0, false, 500),
            (Bound { forecast: 10, ..bound }, 0, false, 200),
            (told, 300, true, 1_500),
        ] {
            assert_eq!(bound.most(highest, is_known), most, "{bound:?} {highest} {is_known}");
        }
    }

    #[test]
    fn a_stopped_rule_is_held_in_every_version_and_a_retired_one_in_its_own() {
        let halt = |state| Halt { rule: String::from("u|1"), state, task: String::new(), at: 0 };
        for (state, rule, holds) in [
            (HaltState::Stopped, "u|1", true),
            (HaltState::Stopped, "u|2", true),
            (HaltState::Stopped, "v|1", false),
            (HaltState::Retired, "u|1", true),
            (HaltState::Retired, "u|2", false),
            (HaltState::Released, "u|1", false),
        ] {
            assert_eq!(halt(state).holds(rule), holds, "{state:?} {rule}");
            assert_eq!(HaltState::of(state.word()), state);
        }
    }
}
