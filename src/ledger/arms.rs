//! Whom a rule contacted and whom it held out by lot, with what was handed over to them since.

use super::dialect::{Cell, Passed, Transaction};
use super::reaction::supply_row;
use super::{Error, Ledger, Person, Scope, Supply, radius};

const ASSIGN: &str = "INSERT INTO arms (tenant, rule, person, episode, arm, day, since, product)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
// Of records that turned out to be one person's, one row counts: the first. Who belongs to both parts tells nothing of either.
const ARMS: &str = "SELECT a.person, a.episode, a.arm, a.day, a.since, a.product FROM arms a
    WHERE a.tenant = $1 AND a.rule = $2 AND a.person > $3 AND a.day >= $4 AND a.day <= $5 AND NOT EXISTS (SELECT 1 FROM people q
    JOIN people p ON p.tenant = q.tenant AND p.survivor = q.survivor
    JOIN arms b ON b.tenant = p.tenant AND b.rule = a.rule AND b.person = p.person
    WHERE q.tenant = a.tenant AND q.person = a.person AND b.day >= $4 AND b.day <= $5 AND (b.arm <> a.arm OR b.day < a.day
    OR (b.day = a.day AND (b.person < a.person OR (b.person = a.person AND b.episode < a.episode)))))
    ORDER BY a.person LIMIT $6";
// SQLite keeps the order of a CROSS JOIN: from few to their own, never through all that was handed over.
const SUPPLIED: &str =
    "SELECT DISTINCT a.person, s.person, s.product, s.dispense, s.version, s.fact, s.source, s.handed, s.days, s.step, s.quantity
    FROM arms a CROSS JOIN people q CROSS JOIN people p CROSS JOIN supplies s
    WHERE a.tenant = $1 AND a.rule = $2 AND a.person > $3 AND a.person <= $4 AND a.day >= $5 AND a.day <= $6
    AND q.tenant = $1 AND q.person = a.person AND p.tenant = $1 AND p.survivor = q.survivor AND s.tenant = $1 AND s.person = p.person
    ORDER BY a.person, s.product, s.handed, s.dispense";

/// Persons that are read at once.
pub(super) const ARMS_MAX: usize = 500;

/// One person in one episode of a rule that holds out a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arm {
    /// Who.
    pub person: Person,
    /// `url|version` of the rule, or its url alone.
    pub rule: String,
    /// The episode.
    pub episode: String,
    /// Whether they were contacted; else held out.
    pub is_contacted: bool,
    /// When, in days since 1970 in the store's zone.
    pub day: i64,
    /// The last day on which a fill is none that followed.
    pub since: i64,
    /// The product group it is about; empty when it is about no supply.
    pub product: String,
}

const CONTACTED: &str = "contacted";
const HELD_OUT: &str = "held-out";

/// Keeps to which arm a person belongs in an episode; the first time counts.
pub(super) async fn assign(transaction: &mut Transaction<'_>, tenant: &str, arm: &Arm) -> Result<(), Error> {
    let cells = [
        Cell::Text(tenant),
        Cell::Text(radius::url(&arm.rule)),
        Cell::Int(arm.person.0),
        Cell::Text(&arm.episode),
        Cell::Text(if arm.is_contacted { CONTACTED } else { HELD_OUT }),
        Cell::Int(arm.day),
        Cell::Int(arm.since),
        Cell::Text(&arm.product),
    ];
    transaction.run(ASSIGN, &cells).await
}

impl Ledger {
    /// The first episode, in these days, of each of the next persons of a rule (by its url), each with all that was ever handed over
    /// to them. Two statements, however many they are.
    pub async fn arms(
        &self,
        scope: &Scope,
        rule: &str,
        after: Person,
        (from, to): (i64, i64),
    ) -> Result<Vec<(Arm, Vec<Supply>)>, Error> {
        let limit = i64::try_from(ARMS_MAX).unwrap_or(i64::MAX);
        let tenant = Cell::Text(&scope.tenant);
        let cells = [tenant, Cell::Text(rule), Cell::Int(after.0), Cell::Int(from), Cell::Int(to), Cell::Int(limit)];
        let arms = self.reader.each(ARMS, &cells, |row| arm_row(row, rule)).await?;
        let Some(last) = arms.last().map(|arm| arm.person.0) else { return Ok(Vec::new()) };
        let mut found: Vec<(Arm, Vec<Supply>)> = arms.into_iter().map(|arm| (arm, Vec::new())).collect();
        let cells = [tenant, Cell::Text(rule), Cell::Int(after.0), Cell::Int(last), Cell::Int(from), Cell::Int(to)];
        for (of, supply) in self.reader.each(SUPPLIED, &cells, |row| Ok((Person(row.int()?), supply_row(row)?))).await? {
            if let Ok(at) = found.binary_search_by_key(&of, |(arm, _)| arm.person) {
                found[at].1.push(supply);
            }
        }
        Ok(found)
    }
}

fn arm_row(row: &mut Passed<'_>, rule: &str) -> Result<Arm, Error> {
    Ok(Arm {
        person: Person(row.int()?),
        rule: rule.to_owned(),
        episode: row.text()?.into_owned(),
        is_contacted: row.text()? == CONTACTED,
        day: row.int()?,
        since: row.int()?,
        product: row.text()?.into_owned(),
    })
}
