//! What is nobody's and names somebody: found by the index of references, in the order in which it was first recorded.
//! Follows <https://hl7.org/fhir/R4/compartmentdefinition.html>.

use super::asker::Asker;
use super::clause::Sql;
use crate::ledger::dialect::Passed;
use crate::ledger::resources::{COLUMNS, joined};
use crate::ledger::{Error, Person, Scope, Stored};

/// Rows that are looked at for few: what is somebody's is passed over.
const DEPTH_MIN: usize = 32;

/// What was found behind a number.
#[derive(Debug, Default)]
pub struct Named {
    /// The resources, in the order of their numbers.
    pub found: Vec<Stored>,
    /// Behind which number it goes on; `None` when that was all.
    pub end: Option<i64>,
}

/// What is nobody's and has this reference for any of these parameters, behind a number: so many, or fewer with an end. Each parameter
/// is a lane of one index; of all of them together the first rows are looked at.
pub(in crate::ledger) async fn naming(
    asker: &mut impl Asker,
    scope: &Scope,
    name: &str,
    parameters: &[u32],
    after: i64,
    count: usize,
) -> Result<Named, Error> {
    if parameters.is_empty() {
        return Ok(Named::default());
    }
    let depth = count.max(DEPTH_MIN);
    let rows = i64::try_from(depth).unwrap_or(i64::MAX);
    let mut sql = Sql::default();
    sql.push("SELECT d.number, ").push(COLUMNS).push(" FROM (SELECT u.number FROM (");
    for (at, parameter) in parameters.iter().enumerate() {
        sql.push(if at > 0 { " UNION ALL " } else { "" }).push("SELECT * FROM (SELECT i.number FROM words i WHERE i.tenant = ");
        sql.text(&scope.tenant).push(" AND i.parameter = ").int(i64::from(*parameter)).push(" AND i.word = ").text(name);
        sql.push(" AND i.number > ").int(after).push(" ORDER BY i.number LIMIT ").int(rows).push(") l").number(at);
    }
    sql.push(") u ORDER BY u.number LIMIT ").int(rows).push(") d LEFT JOIN resources r ON r.number = d.number AND r.person = ");
    sql.int(Person::NOBODY.0).push(" AND r.deleted = 0 ORDER BY d.number");
    let (mut named, mut looked) = (Named::default(), 0);
    let each = |row: &mut Passed<'_>| {
        looked += 1;
        named.end = Some(row.int()?);
        named.found.extend(joined(row)?);
        Ok(())
    };
    asker.each(&sql.text, &sql.cells()?, each).await?;
    named.end = named.end.filter(|_| looked == depth);
    named.found.dedup_by_key(|stored| stored.number);
    if named.found.len() > count {
        named.found.truncate(count);
        named.end = named.found.last().map(|last| last.number);
    }
    Ok(named)
}
