//! Dues, decisions, supplies and stops: what the reaction remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::dialect::{Cell, Passed, Reader, Transaction};
use super::{Decision, Due, Error, Ledger, Outcome, Parting, Person, Scope, Supply};

const SET_DUE: &str = "INSERT INTO dues (tenant, person, output, due, priority, rule, step, episode, detail)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (tenant, person, output) DO UPDATE SET due = excluded.due, priority = excluded.priority, rule = excluded.rule,
    step = excluded.step, episode = excluded.episode, detail = excluded.detail";
const DROP_DUE: &str = "DELETE FROM dues WHERE tenant = $1 AND person = $2 AND output = $3";
// What is due at one time comes in one order, down to the last tie, and whosever record of a person it is filed under: caps let the first
// pass and hold the next, here as when it is decided again.
const DUE: &str = "SELECT d.tenant, d.person, d.output, d.due, d.priority, d.rule, d.step, d.episode, d.detail, p.survivor
    FROM dues d JOIN people p ON p.tenant = d.tenant AND p.person = d.person
    WHERE d.person <> 0 AND d.due <= $1 ORDER BY d.due, d.priority, d.rule, d.tenant, d.step, d.episode, d.person, d.output
    LIMIT $2";
// From tenant to tenant by one seek each, and of each the first that is due: however many wait of one, the others have their turn.
const SWEEPS: &str = "WITH RECURSIVE t(tenant) AS (
        SELECT * FROM (SELECT d.tenant FROM dues d WHERE d.person = 0 AND d.tenant > $1 ORDER BY d.tenant LIMIT 1) f
        UNION ALL SELECT (SELECT d.tenant FROM dues d WHERE d.person = 0 AND d.tenant > t.tenant ORDER BY d.tenant LIMIT 1)
        FROM t WHERE t.tenant IS NOT NULL)
    SELECT d.tenant, d.person, d.output, d.due, d.priority, d.rule, d.step, d.episode, d.detail
    FROM t JOIN dues d ON d.tenant = t.tenant AND d.person = 0 AND d.output = (SELECT e.output FROM dues e
        WHERE e.tenant = t.tenant AND e.person = 0 AND e.due <= $2 ORDER BY e.due, e.priority, e.rule, e.output LIMIT 1)
    ORDER BY t.tenant LIMIT $3";
const NEXT_DUE: &str = "SELECT due FROM dues WHERE person <> 0 AND due > $1 ORDER BY due LIMIT 1";
const NEXT_SWEEP: &str = "SELECT due FROM dues WHERE person = 0 AND due > $1 ORDER BY due LIMIT 1";
const KEPT_SWEEPS: &str =
    "SELECT d.tenant, d.person, d.output, d.due, d.priority, d.rule, d.step, d.episode, d.detail FROM dues d
    WHERE d.tenant = $1 AND d.person = 0 AND d.output > $2 ORDER BY d.output LIMIT $3";
const SWEEP_OF: &str = "SELECT d.tenant, d.person, d.output, d.due, d.priority, d.rule, d.step, d.episode, d.detail FROM dues d
    WHERE d.tenant = $1 AND d.person = 0 AND d.output = $2";
const DUES: &str = "SELECT d.tenant, d.person, d.output, d.due, d.priority, d.rule, d.step, d.episode, d.detail
    FROM dues d WHERE d.tenant = $1 AND d.person IN (SELECT p.person FROM people p
    WHERE p.tenant = $1 AND p.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $2))
    ORDER BY d.due, d.priority, d.rule LIMIT $3";
// Of all who are one: what was decided of an output has one order, whosever record each decision is filed under.
const DECIDED: &str = "SELECT COALESCE(MAX(d.ordinal), 0), COALESCE(MAX(d.at), 0) FROM decisions d WHERE d.tenant = $1 AND d.person IN (
    SELECT p.person FROM people p WHERE p.tenant = $1
    AND p.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $2)) AND d.episode = $3 AND d.output = $4";
const DECIDE: &str =
    "INSERT INTO decisions (tenant, person, output, ordinal, at, outcome, gate, until, rule, step, episode, priority, spoken,
    reason, facts, recorded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
const DECISIONS: &str =
    "SELECT d.person, d.output, d.at, d.outcome, d.gate, d.until, d.rule, d.step, d.episode, d.priority, d.spoken,
    d.reason, d.facts, d.recorded FROM decisions d WHERE d.tenant = $1 AND d.person IN (SELECT p.person FROM people p
    WHERE p.tenant = $1 AND p.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $2))
    ORDER BY d.episode, d.output, d.at, d.ordinal, d.person";
const FIRED: &str =
    "SELECT d.person, d.output, d.at, d.outcome, d.gate, d.until, d.rule, d.step, d.episode, d.priority, d.spoken,
    d.reason, d.facts, d.recorded FROM decisions d WHERE d.tenant = $1
    AND d.person IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    AND d.at >= $18 AND d.at < $19 AND d.outcome = 'fired' ORDER BY d.person, d.episode, d.output, d.ordinal";
const SET_SUPPLY: &str =
    "INSERT INTO supplies (tenant, person, product, dispense, version, fact, source, handed, days, step, quantity)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (tenant, person, product, dispense) DO UPDATE SET version = excluded.version, fact = excluded.fact,
    source = excluded.source, handed = excluded.handed, days = excluded.days, step = excluded.step, quantity = excluded.quantity";
const DROP_SUPPLY: &str = "DELETE FROM supplies WHERE tenant = $1 AND person = $2 AND dispense = $3";
const SUPPLIES: &str = "SELECT s.person, s.product, s.dispense, s.version, s.fact, s.source, s.handed, s.days, s.step, s.quantity
    FROM supplies s WHERE s.tenant = $1 AND s.person IN (SELECT p.person FROM people p
    WHERE p.tenant = $1 AND p.survivor = (SELECT q.survivor FROM people q WHERE q.tenant = $1 AND q.person = $2))
    ORDER BY s.product, s.handed, s.dispense";
const STOP: &str = "INSERT INTO stops (tenant, address, person, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const REFUSE: &str = "INSERT INTO refusers (tenant, address, person) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const REFUSERS: &str = "SELECT person FROM refusers WHERE tenant = $1 AND address = $2 ORDER BY person LIMIT $3";
const START: &str = "DELETE FROM stops WHERE tenant = $1 AND address = $2 AND person = $3 AND at >= $4";
const STOPPED: &str = "SELECT DISTINCT address FROM stops WHERE tenant = $1 AND address IN ($2, $3, $4, $5, $6, $7, $8, $9)";

/// The most dues of one person that are looked at together.
const DUES_MAX: i64 = 1_000;
/// Persons of whom it is read in one statement what was said to them.
const PERSONS_AT_ONCE: usize = 16;
/// Addresses that are looked up in one statement.
const ADDRESSES_AT_ONCE: usize = 8;
/// The most persons whose STOP for one address is told again.
const REFUSERS_MAX: i64 = 100;

impl Ledger {
    /// When the next one is due that is so after a time, of a person or of nobody.
    pub async fn next_due_after(&self, at: i64) -> Result<Option<i64>, Error> {
        next_due(&self.reader, at).await
    }
}

/// Sets a due, in the place of what stood there for the same output.
pub(super) async fn set_due(transaction: &mut Transaction<'_>, tenant: &str, due: &Due) -> Result<(), Error> {
    let cells = [
        Cell::Text(tenant),
        Cell::Int(due.person.0),
        Cell::Text(&due.output),
        Cell::Int(due.due),
        Cell::Int(due.priority),
        Cell::Text(&due.rule),
        Cell::Text(&due.step),
        Cell::Text(&due.episode),
        Cell::Text(&due.detail),
    ];
    transaction.run(SET_DUE, &cells).await
}

/// Nothing is due for this output any more.
pub(super) async fn drop_due(transaction: &mut Transaction<'_>, tenant: &str, person: Person, output: &str) -> Result<(), Error> {
    transaction.run(DROP_DUE, &[Cell::Text(tenant), Cell::Int(person.0), Cell::Text(output)]).await
}

/// What is due of persons by now, in the fixed order of decisions, each with the person that its own is known as after all unions.
pub(super) async fn due(reader: &Reader, now: i64, count: i64) -> Result<Vec<(Scope, Person, Due)>, Error> {
    let due = |row: &mut Passed<'_>| {
        let (scope, due) = due_row(row)?;
        Ok((scope, Person(row.int()?), due))
    };
    reader.each(DUE, &[Cell::Int(now), Cell::Int(count)], due).await
}

/// The first sweep that is due by now of each tenant after one, in the order of their names.
pub(super) async fn sweeps(reader: &Reader, after: &str, now: i64, count: i64) -> Result<Vec<(Scope, Due)>, Error> {
    let cells = [Cell::Text(after), Cell::Int(now), Cell::Int(count)];
    reader.each(SWEEPS, &cells, due_row).await
}

/// When the next one is due after a time, of a person or of nobody.
async fn next_due(reader: &Reader, after: i64) -> Result<Option<i64>, Error> {
    let mut next = None;
    for sql in [NEXT_DUE, NEXT_SWEEP] {
        let due = reader.row(sql, &[Cell::Int(after)]).await?.map(|mut row| row.int()).transpose()?;
        next = next.into_iter().chain(due).min();
    }
    Ok(next)
}

/// The sweeps that are kept, due or not, in the order of their outputs after one.
pub(super) async fn kept_sweeps(reader: &Reader, scope: &Scope, after: &str, count: i64) -> Result<Vec<Due>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(after), Cell::Int(count)];
    reader.each(KEPT_SWEEPS, &cells, |row| due_row(row).map(|(_, due)| due)).await
}

/// The sweep of this output.
pub(super) async fn sweep_of(reader: &Reader, scope: &Scope, output: &str) -> Result<Option<Due>, Error> {
    let found =
        reader.each(SWEEP_OF, &[Cell::Text(&scope.tenant), Cell::Text(output)], |row| due_row(row).map(|(_, due)| due)).await?;
    Ok(found.into_iter().next())
}

/// The dues of a person.
pub(super) async fn dues(reader: &Reader, scope: &Scope, person: Person) -> Result<Vec<Due>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Int(person.0), Cell::Int(DUES_MAX)];
    reader.each(DUES, &cells, |row| due_row(row).map(|(_, due)| due)).await
}

fn due_row(row: &mut Passed<'_>) -> Result<(Scope, Due), Error> {
    let scope = Scope { tenant: Arc::from(&*row.text()?) };
    let due = Due {
        person: Person(row.int()?),
        output: row.text()?.into_owned(),
        due: row.int()?,
        priority: row.int()?,
        rule: row.text()?.into_owned(),
        step: row.text()?.into_owned(),
        episode: row.text()?.into_owned(),
        detail: row.text()?.into_owned(),
    };
    Ok((scope, due))
}

/// Adds a decision; earlier ones about the same output stay.
pub(super) async fn decide(transaction: &mut Transaction<'_>, tenant: &str, decision: &Decision) -> Result<(), Error> {
    let facts = serde_json::to_string(decision.facts.as_ref()).unwrap_or_default();
    let key = [Cell::Text(tenant), Cell::Int(decision.person.0), Cell::Text(&decision.episode), Cell::Text(&decision.output)];
    let last = transaction.row(DECIDED, &key).await?.map(|mut row| Ok::<_, Error>((row.int()?, row.int()?))).transpose()?;
    let (last, last_at) = last.unwrap_or_default();
    let cells = [
        Cell::Text(tenant),
        Cell::Int(decision.person.0),
        Cell::Text(&decision.output),
        Cell::Int(last + 1),
        // They are told in the order of their times: a clock that was set back must not put a later one before.
        Cell::Int(decision.at.max(last_at)),
        Cell::Text(decision.outcome.word()),
        Cell::Text(&decision.gate),
        Cell::Int(decision.until),
        Cell::Text(&decision.rule),
        Cell::Text(&decision.step),
        Cell::Text(&decision.episode),
        Cell::Int(decision.priority),
        Cell::Int(i64::from(decision.spoken)),
        Cell::Text(&decision.reason),
        Cell::Text(&facts),
        Cell::Text(&decision.recorded),
    ];
    transaction.run(DECIDE, &cells).await
}

/// All decisions about a person, per output in the order they were made.
pub(super) async fn decisions(reader: &Reader, scope: &Scope, person: Person) -> Result<Vec<Decision>, Error> {
    reader.each(DECISIONS, &[Cell::Text(&scope.tenant), Cell::Int(person.0)], decision_row()).await
}

/// What was said or done to each of these while they were taken for one with others, in their order: the last of each output, and
/// until when they were.
pub(super) async fn fired(reader: &Reader, scope: &Scope, partings: &[Parting]) -> Result<Vec<(i64, Decision)>, Error> {
    let mut of: BTreeMap<Person, Vec<usize>> = BTreeMap::new();
    for (at, parting) in partings.iter().enumerate() {
        of.entry(parting.person).or_default().push(at);
    }
    let since = partings.iter().map(|parting| parting.since).min().unwrap_or_default();
    let until = partings.iter().map(|parting| parting.until).max().unwrap_or_default();
    let mut found: Vec<Vec<Decision>> = vec![Vec::new(); partings.len()];
    for some in of.keys().copied().collect::<Vec<_>>().chunks(PERSONS_AT_ONCE) {
        // The places that are left are nobody's.
        let padded = some.iter().copied().chain(std::iter::repeat(Person::NOBODY)).take(PERSONS_AT_ONCE);
        let persons = padded.map(|person| Cell::Int(person.0));
        let cells: Vec<Cell> =
            [Cell::Text(&scope.tenant)].into_iter().chain(persons).chain([Cell::Int(since), Cell::Int(until)]).collect();
        for decision in reader.each(FIRED, &cells, decision_row()).await? {
            let theirs = of.get(&decision.person).into_iter().flatten();
            let in_time = |at: &&usize| (partings[**at].since..partings[**at].until).contains(&decision.at);
            for at in theirs.filter(in_time) {
                found[*at].push(decision.clone());
            }
        }
    }
    let until = partings.iter().map(|parting| parting.until);
    Ok(until.zip(found).flat_map(|(until, found)| latest(found).into_iter().map(move |one| (until, one))).collect())
}

/// The last decision of each output that was made for each record, in their order; those of one output follow each other.
pub(super) fn latest(decisions: Vec<Decision>) -> Vec<Decision> {
    let mut latest: Vec<Decision> = Vec::new();
    for decision in decisions {
        let mut same = latest.iter().rev().take_while(|known| known.output == decision.output);
        if let Some(back) = same.position(|known| known.person == decision.person) {
            latest.remove(latest.len() - 1 - back);
        }
        latest.push(decision);
    }
    latest
}

/// Reads decisions, row by row. The steps of an episode mostly rest on the same facts: these are read once, and shared.
fn decision_row() -> impl FnMut(&mut Passed<'_>) -> Result<Decision, Error> {
    let mut written = String::new();
    let mut facts: Arc<[String]> = Arc::default();
    move |row| {
        Ok(Decision {
            person: Person(row.int()?),
            output: row.text()?.into_owned(),
            at: row.int()?,
            outcome: Outcome::of(&row.text()?),
            gate: row.text()?.into_owned(),
            until: row.int()?,
            rule: row.text()?.into_owned(),
            step: row.text()?.into_owned(),
            episode: row.text()?.into_owned(),
            priority: row.int()?,
            spoken: row.int()? != 0,
            reason: row.text()?.into_owned(),
            facts: {
                let others = row.text()?;
                if others != written {
                    written.clear();
                    written.push_str(&others);
                    facts = serde_json::from_str::<Vec<String>>(&others).unwrap_or_default().into();
                }
                Arc::clone(&facts)
            },
            recorded: row.text()?.into_owned(),
        })
    }
}

/// Sets what a dispense supplies.
pub(super) async fn set_supply(transaction: &mut Transaction<'_>, tenant: &str, supply: &Supply) -> Result<(), Error> {
    let cells = [
        Cell::Text(tenant),
        Cell::Int(supply.person.0),
        Cell::Text(&supply.product),
        Cell::Text(&supply.dispense),
        Cell::Int(supply.version),
        Cell::Int(supply.fact),
        Cell::Text(&supply.source),
        Cell::Int(supply.handed),
        Cell::Int(supply.days),
        Cell::Text(&supply.step),
        Cell::Text(&supply.quantity),
    ];
    transaction.run(SET_SUPPLY, &cells).await
}

/// A dispense supplies nothing any more.
pub(super) async fn drop_supply(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    person: Person,
    dispense: &str,
) -> Result<(), Error> {
    transaction.run(DROP_SUPPLY, &[Cell::Text(tenant), Cell::Int(person.0), Cell::Text(dispense)]).await
}

/// All supplies of a person.
pub(super) async fn supplies(reader: &Reader, scope: &Scope, person: Person) -> Result<Vec<Supply>, Error> {
    reader.each(SUPPLIES, &[Cell::Text(&scope.tenant), Cell::Int(person.0)], supply_row).await
}

/// A supply, from its person on.
pub(super) fn supply_row(row: &mut Passed<'_>) -> Result<Supply, Error> {
    Ok(Supply {
        person: Person(row.int()?),
        product: row.text()?.into_owned(),
        dispense: row.text()?.into_owned(),
        version: row.int()?,
        fact: row.int()?,
        source: row.text()?.into_owned(),
        handed: row.int()?,
        days: row.int()?,
        step: row.text()?.into_owned(),
        quantity: row.text()?.into_owned(),
    })
}

/// A person said STOP for an address.
pub(super) async fn stop(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    address: &str,
    person: Person,
    at: i64,
) -> Result<(), Error> {
    transaction.run(STOP, &[Cell::Text(tenant), Cell::Text(address), Cell::Int(person.0), Cell::Int(at)]).await?;
    transaction.run(REFUSE, &[Cell::Text(tenant), Cell::Text(address), Cell::Int(person.0)]).await
}

/// Who ever said STOP for an address, also where they took it back.
pub(super) async fn refusers(reader: &Reader, scope: &Scope, address: &str) -> Result<Vec<Person>, Error> {
    let cells = [Cell::Text(&scope.tenant), Cell::Text(address), Cell::Int(REFUSERS_MAX)];
    reader.each(REFUSERS, &cells, |row| row.int().map(Person)).await
}

/// What a person said for an address from then on binds no longer.
pub(super) async fn start(
    transaction: &mut Transaction<'_>,
    tenant: &str,
    address: &str,
    person: Person,
    since: i64,
) -> Result<(), Error> {
    transaction.run(START, &[Cell::Text(tenant), Cell::Text(address), Cell::Int(person.0), Cell::Int(since)]).await
}

/// Those of these addresses for which anybody said STOP: it binds all who share one.
pub(super) async fn stopped(reader: &Reader, scope: &Scope, addresses: &[String]) -> Result<Vec<String>, Error> {
    let mut stopped: BTreeSet<String> = BTreeSet::new();
    for some in addresses.chunks(ADDRESSES_AT_ONCE) {
        // The places that are left ask for nothing.
        let padded = some.iter().map(String::as_str).chain(std::iter::repeat("")).take(ADDRESSES_AT_ONCE);
        let cells: Vec<Cell> = std::iter::once(&*scope.tenant).chain(padded).map(Cell::Text).collect();
        for mut row in reader.rows(STOPPED, &cells).await? {
            stopped.insert(row.text()?);
        }
    }
    Ok(addresses.iter().filter(|address| stopped.contains(*address)).cloned().collect())
}
