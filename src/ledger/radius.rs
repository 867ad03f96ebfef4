//! How far rules reach: how often each fires in a day, which were stopped for firing far more than ever, and what waits for those.
//!
//! A firing is counted in the transaction that records it, so that the count is right whoever fires beside it; what does not
//! fire costs nothing.

use std::sync::Arc;

use super::dialect::{Cell, Reader, Row, Transaction};
use super::{Error, Ledger, Person, Refusal, Scope};

const COUNTED: &str = "SELECT COALESCE(MIN(day), $1), COALESCE(MAX(CASE WHEN day < $1 THEN fired END), 0),
    COALESCE(MAX(CASE WHEN day = $1 AND version = $2 THEN fired END), 0) FROM firings
    WHERE tenant = $3 AND rule = $4 AND day >= $5 AND day <= $1";
const COUNT: &str = "INSERT INTO firings (tenant, rule, version, day, fired) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant, rule, version, day) DO UPDATE SET fired = firings.fired + excluded.fired";
const HALTS_OF: &str = "SELECT version, state, task, at FROM halts WHERE tenant = $1 AND rule = $2 ORDER BY version LIMIT $3";
const HALTS: &str = "SELECT version, state, task, at FROM halts WHERE tenant = $1 ORDER BY rule, version LIMIT $2";
const SET_HALT: &str = "INSERT INTO halts (tenant, rule, version, state, task, at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant, rule, version) DO UPDATE SET state = excluded.state, task = excluded.task, at = excluded.at";
const ANSWER: &str = "UPDATE halts SET state = $1, at = $2 WHERE tenant = $3 AND task = $4 AND state = 'stopped' RETURNING rule";
const WITHHOLD: &str = "INSERT INTO withheld (tenant, rule, person, output) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const WITHHOLDS: &str = "SELECT person FROM withheld WHERE tenant = $1 LIMIT 1";
const WAKE: &str = "UPDATE dues SET due = $1 WHERE tenant = $2 AND due > $1 AND (person, output) IN
    (SELECT h.person, h.output FROM withheld h WHERE h.tenant = $2 AND h.rule = $3)";
const LET_ALL_GO: &str = "DELETE FROM withheld WHERE tenant = $1 AND rule = $2";
const LET_GO: &str = "DELETE FROM withheld WHERE tenant = $1 AND person = $2 AND output = $3";

/// Days before today that are a rule's own history.
pub const HISTORY_DAYS: i64 = 28;
/// A rule that fired so many days ago, or earlier, is known: what is usual for it can be told.
pub const KNOWN_DAYS: i64 = 7;
/// Days after the one on which a person said that a rule may go on, until whose end it is not bound: what was held meanwhile may
/// have to wait for a morning, or for the next day's turn.
const FREE_DAYS: i64 = 2;
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
    /// A person said that it may go on. On that day and the two after it, this version is not bound.
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

    /// Whether it lets this version of a rule fire as often as it will.
    fn frees(&self, rule: &str, stamp: i64) -> bool {
        self.state == HaltState::Released && rule == self.rule && day(stamp) - day(self.at) <= FREE_DAYS
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

/// How far a version of a rule has reached today, as far as a batch knows. What is usual for it is what was usual for any version.
#[derive(Debug)]
pub(super) struct Reach {
    today: i64,
    highest: i64,
    is_known: bool,
    /// Firings of this batch, not written yet.
    fresh: i64,
    /// Of all versions of it.
    halts: Vec<Halt>,
}

/// By tenant and `url|version` of the rule.
pub(super) type Reaches = std::collections::HashMap<(Arc<str>, String), Reach>;

/// Whether anything of a tenant waits for an answer, as far as a batch knows.
pub(super) type Withheld = std::collections::HashMap<Arc<str>, bool>;

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
        let (tenant, url, since) = (Cell::Text(tenant), Cell::Text(url(rule)), today - HISTORY_DAYS);
        let cells = [Cell::Int(today), Cell::Text(rule), tenant, url, Cell::Int(since)];
        let counted = transaction.row(COUNTED, &cells).await?;
        let mut counted = counted.ok_or_else(|| Error::Broken(String::from("a count came to nothing")))?;
        let (first, highest, fired) = (counted.int()?, counted.int()?, counted.int()?);
        let mut halts = transaction.rows(HALTS_OF, &[tenant, url, Cell::Int(HALTS_MAX)]).await?;
        let halts = halts.iter_mut().map(halt_row).collect::<Result<_, _>>()?;
        Ok(Self { today: fired, highest, is_known: first <= today - KNOWN_DAYS, fresh: 0, halts })
    }

    /// Whether the rule may fire so often more.
    pub(super) fn admit(&self, firing: &Firing, count: i64, stamp: i64) -> Result<(), Error> {
        let most = firing.bound.most(self.highest, self.is_known);
        let is_free = self.halts.iter().any(|halt| halt.frees(&firing.rule, stamp));
        if self.is_held(&firing.rule) || (!is_free && self.today + count > most) {
            let beyond = Beyond { rule: firing.rule.clone(), fired: self.today, most };
            return Err(Error::Refused(Refusal::Beyond(beyond)));
        }
        Ok(())
    }

    /// Whether a version of the rule that was stopped keeps this one from firing.
    pub(super) fn is_held(&self, rule: &str) -> bool {
        self.halts.iter().any(|halt| halt.holds(rule))
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
        let (tenant, rule) = (Cell::Text(&key.0), Cell::Text(url(&key.1)));
        let cells = [tenant, rule, Cell::Text(&key.1), Cell::Int(day(stamp)), Cell::Int(self.fresh)];
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

/// The same, for a batch that has read how the rule stands: what holds one version may hold the others.
pub(super) fn halted(reaches: &mut Reaches, tenant: &str, halt: &Halt) {
    let same = |key: &(Arc<str>, String)| key.0.as_ref() == tenant && url(&key.1) == url(&halt.rule);
    for (_, reach) in reaches.iter_mut().filter(|(key, _)| same(key)) {
        reach.halts.retain(|known| known.rule != halt.rule);
        reach.halts.push(halt.clone());
    }
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
    transaction.run(LET_ALL_GO, &[Cell::Text(tenant), Cell::Text(&rule)]).await
}

/// The same, for a batch that has read how the rule stands.
pub(super) fn answered(reaches: &mut Reaches, tenant: &str, task: &str, state: HaltState, stamp: i64) {
    let of_tenant = reaches.iter_mut().filter(|((of, _), _)| of.as_ref() == tenant);
    let halts = of_tenant.flat_map(|(_, reach)| &mut reach.halts);
    for halt in halts.filter(|halt| halt.task == task && halt.state == HaltState::Stopped) {
        (halt.state, halt.at) = (state, stamp);
    }
}

/// A due is gone, or comes at another time: it does not wait for an answer any more. Nearly always nothing does.
pub(super) async fn let_go(
    transaction: &mut Transaction<'_>,
    withheld: &mut Withheld,
    tenant: &Arc<str>,
    person: Person,
    output: &str,
) -> Result<(), Error> {
    let any = match withheld.get(tenant) {
        Some(any) => *any,
        None => transaction.row(WITHHOLDS, &[Cell::Text(tenant)]).await?.is_some(),
    };
    withheld.insert(Arc::clone(tenant), any);
    if any { transaction.run(LET_GO, &[Cell::Text(tenant), Cell::Int(person.0), Cell::Text(output)]).await } else { Ok(()) }
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

    /// How a version stands that has fired its most today.
    fn reach(halts: &[(&str, HaltState, i64)]) -> Reach {
        let halt = |(rule, state, at): &(&str, HaltState, i64)| Halt {
            rule: (*rule).to_owned(),
            state: *state,
            task: String::new(),
            at: *at,
        };
        Reach { today: 10, highest: 0, is_known: true, fresh: 0, halts: halts.iter().map(halt).collect() }
    }

    #[test]
    fn who_says_go_on_frees_that_version_also_on_the_morning_after() {
        let (evening, released) = (20 * 3_600_000, HaltState::Released);
        let go_on = ("u|1", released, evening);
        for (halts, rule, stamp, is_admitted) in [
            (&[][..], "u|1", evening, false),
            (&[go_on], "u|1", evening, true),
            (&[go_on], "u|1", DAY_MS + 9 * 3_600_000, true),
            (&[go_on], "u|1", 3 * DAY_MS - 1, true),
            (&[go_on], "u|1", 3 * DAY_MS, false),
            (&[go_on], "u|2", evening, false),
            (&[go_on, ("u|2", HaltState::Stopped, evening)], "u|1", evening, false),
            (&[go_on, ("u|0", HaltState::Retired, evening)], "u|1", evening, true),
        ] {
            let bound = Bound { forecast: 0, times: 5, floor: 10, unknown: 10 };
            let firing = Firing { rule: String::from(rule), bound };
            assert_eq!(reach(halts).admit(&firing, 1, stamp).is_ok(), is_admitted, "{halts:?} {rule} {stamp}");
        }
    }

    #[test]
    fn a_batch_knows_of_a_halt_in_all_versions_and_of_the_answer_in_its_own_tenant() {
        let tenant: Arc<str> = Arc::from("t");
        let mut reaches: Reaches =
            ["u|1", "u|2", "v|1"].map(|rule| ((Arc::clone(&tenant), String::from(rule)), reach(&[]))).into();
        let halt = Halt { rule: String::from("u|2"), state: HaltState::Stopped, task: String::from("a"), at: 0 };
        halted(&mut reaches, "other", &halt);
        halted(&mut reaches, "t", &halt);
        let held = |reaches: &Reaches, rule: &str| reaches[&(Arc::clone(&tenant), String::from(rule))].is_held(rule);
        assert_eq!(["u|1", "u|2", "v|1"].map(|rule| held(&reaches, rule)), [true, true, false]);
        answered(&mut reaches, "other", "a", HaltState::Released, 5);
        assert!(held(&reaches, "u|1"));
        answered(&mut reaches, "t", "a", HaltState::Retired, 5);
        answered(&mut reaches, "t", "a", HaltState::Released, 6);
        assert_eq!(["u|1", "u|2", "v|1"].map(|rule| held(&reaches, rule)), [false, true, false]);
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
