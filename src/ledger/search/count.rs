//! Counts all matches of a search, in bounded steps and up to a bound.

use super::asker::Asker;
use super::chain::{self, Looks};
use super::clause::Sql;
use super::filter::Filters;
use super::page::{LOOKS_MAX, prepare};
use super::test::Form;
use super::walk::{Ground, Mark, Spot, Way};
use super::way::{all_of_kind, choose};
use crate::fhir::search::query::Query;
use crate::ledger::{Error, Scope};

/// Rows that are counted at once.
const STEP: usize = 20_000;
/// Rows that are counted at most; of more, the number stays unsaid.
const TOTAL_MAX: usize = 2_000_000;

/// The number of all matches; `None` if it is out of reach.
pub(super) async fn total(asker: &mut impl Asker, scope: &Scope, query: &Query, now: i64) -> Result<Option<i64>, Error> {
    let criteria = chain::resolve(asker, scope, query, (now, true)).await?;
    let Some(tests) = prepare(asker, (scope, &query.kind), &criteria, false).await? else { return Ok(Some(0)) };
    let ground = Ground { scope, kind: &query.kind, tests: &tests, now, is_united: true };
    let named = choose(asker, &ground).await?;
    let looks = tests.iter().any(|test| matches!(test.form, Form::Look | Form::Chains(_)));
    let is_one_word = named.way.exact(&tests).is_some_and(|exact| exact.len() == 1);
    let one_lane = is_one_word || matches!(named.way, Way::Ids { .. });
    if !looks && one_lane {
        return counted(asker, &ground, &named.way, TOTAL_MAX).await;
    }
    // What is too much to be looked at is counted over all of the type, if indexes tell all of it.
    if !looks && named.way.count(asker, &ground, LOOKS_MAX).await? >= LOOKS_MAX {
        return counted(asker, &ground, &all_of_kind().way, TOTAL_MAX).await;
    }
    looked_at(asker, &ground, &named.way).await
}

/// One lane, counted by the database step by step; `None` if there are more rows on it than `most`.
pub(super) async fn counted(asker: &mut impl Asker, ground: &Ground<'_>, way: &Way, most: usize) -> Result<Option<i64>, Error> {
    // The rows of words are gone with their resource: alone they need not be looked after. The rows of ids are not.
    let alone = ground.tests.len() == 1 && way.exact(ground.tests).is_some_and(|exact| exact.ids.is_empty());
    // Before a row is looked after, the index alone tells whether they are too many.
    if !alone && way.count(asker, ground, most + 1).await? > most {
        return Ok(None);
    }
    let (mut total, mut spot) = (0, None);
    for _ in 0..=most / STEP {
        let mut sql = Sql::default();
        sql.push(if alone {
            "SELECT COUNT(*), MIN(d.number), MAX(d.key), COUNT(*) FROM ("
        } else {
            "SELECT COUNT(*), MIN(d.number), MAX(d.key), COUNT(r.number) FROM ("
        });
        way.write(&mut sql, ground, spot.as_ref(), STEP);
        sql.push(") d");
        if !alone {
            let filters = Filters { tenant: &ground.scope.tenant, now: ground.now };
            filters.join(&mut sql, &way.asked(ground.tests), |_| {});
        }
        let mut rows = asker.rows(&sql.text, &sql.cells()?).await?;
        let Some(row) = rows.first_mut() else { return Ok(Some(total)) };
        let examined = usize::try_from(row.int()?).unwrap_or_default();
        if examined == 0 {
            return Ok(Some(total));
        }
        let number = row.int()?;
        let key = if matches!(way, Way::Ids { .. }) { Mark::Text(row.text()?) } else { Mark::Int(row.int()?) };
        total += row.int()?;
        if examined < STEP {
            return Ok(Some(total));
        }
        spot = Some(Spot { key, number });
    }
    Ok(None)
}

/// Any way, each resource looked at.
async fn looked_at(asker: &mut impl Asker, ground: &Ground<'_>, way: &Way) -> Result<Option<i64>, Error> {
    let (mut total, mut spot, mut looks) = (0_usize, None, Looks::new(LOOKS_MAX));
    while looks.left > 0 {
        let step = way.step(asker, ground, spot.as_ref(), 1_024).await?;
        looks.take(step.examined.max(1));
        let kept = chain::keep(asker, ground, spot.as_ref(), step.met, &mut looks).await?;
        total += kept.met.len();
        match step.end {
            _ if kept.stopped.is_some() => return Ok(None),
            None => return Ok(i64::try_from(total).ok()),
            end => spot = end,
        }
    }
    Ok(None)
}
