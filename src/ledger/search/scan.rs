//! Looks through the different words of a parameter, each once however many rows it has: where `:contains`, and a system
//! without a code, lead to.

use super::asker::Asker;
use super::walk::{Ground, LANES_MAX, Mark, Spot};
use crate::fhir::search::query::Word;
use crate::ledger::Error;
use crate::ledger::dialect::Cell;

/// From word to next word by one seek each, whatever lies between them.
const NEXT: &str = "WITH RECURSIVE x(word) AS (
        SELECT * FROM (SELECT i.word FROM words i WHERE i.tenant = $1 AND i.parameter = $2 AND i.word >= $3
            ORDER BY i.word LIMIT 1) f
        UNION ALL SELECT (SELECT i.word FROM words i WHERE i.tenant = $4 AND i.parameter = $5 AND i.word > x.word
            ORDER BY i.word LIMIT 1) FROM x WHERE x.word IS NOT NULL)
    SELECT x.word FROM x WHERE x.word IS NOT NULL LIMIT $6";

/// What a look through the words behind a place found.
pub(super) struct Sought {
    /// Stretches of words that are meant, the first and the last of each, at most [`LANES_MAX`].
    pub(super) stretches: Vec<(String, String)>,
    /// The place behind the last word that was looked at; `None` if it was the last of all.
    pub(super) end: Option<Spot>,
    /// How many words were looked at.
    pub(super) examined: usize,
}

/// Looks at so many words of a parameter behind a place.
pub(super) async fn sought(
    asker: &mut impl Asker,
    ground: &Ground<'_>,
    parameter: u32,
    any: &[Word],
    after: Option<&Spot>,
    most: usize,
) -> Result<Sought, Error> {
    let from = match after {
        // The word in which a page ended may have more rows.
        Some(Spot { key: Mark::Text(word), number }) if *number == i64::MAX => format!("{word}\u{1}"),
        Some(Spot { key: Mark::Text(word), .. }) => word.clone(),
        _ => String::new(),
    };
    let (tenant, parameter) = (Cell::Text(&ground.scope.tenant), Cell::Int(i64::from(parameter)));
    let limit = Cell::Int(i64::try_from(most).unwrap_or(i64::MAX));
    let rows = asker.rows(NEXT, &[tenant, parameter, Cell::Text(&from), tenant, parameter, limit]).await?;
    let is_all = rows.len() < most;
    let mut found = Sought { stretches: Vec::new(), end: None, examined: 0 };
    let (mut last, mut goes_on) = (from, false);
    for mut row in rows {
        let word = row.text()?;
        let is_meant = any.iter().any(|one| one.is(&word));
        if is_meant && goes_on {
            if let Some((_, end)) = found.stretches.last_mut() {
                end.clone_from(&word);
            }
        } else if is_meant {
            if found.stretches.len() == LANES_MAX {
                found.end = Some(Spot { key: Mark::Text(last), number: i64::MAX });
                return Ok(found);
            }
            found.stretches.push((word.clone(), word.clone()));
        }
        found.examined += 1;
        (last, goes_on) = (word, is_meant);
    }
    found.end = (!is_all).then_some(Spot { key: Mark::Text(last), number: i64::MAX });
    Ok(found)
}
