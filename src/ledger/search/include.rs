//! Reads what belongs beside the matches: what they refer to, and what refers to them.
//! Follows <https://hl7.org/fhir/R4/search.html#include>.

use super::asker::Asker;
use super::clause::Sql;
use crate::fhir::search::{parameter, reference};
use crate::ledger::resources::{COLUMNS, stored};
use crate::ledger::{Error, Scope, Stored};

/// Words that one statement asks for at most.
const AT_ONCE_MAX: usize = 256;

/// The resources that these references name: `Type/id`, or the canonical address of an artefact. What is not there is left out.
pub(in crate::ledger) async fn referred(
    asker: &mut impl Asker,
    scope: &Scope,
    references: &[String],
    limit: usize,
) -> Result<Vec<Stored>, Error> {
    let mut literal: Vec<(&str, Vec<String>)> = Vec::new();
    let mut found = Vec::new();
    for name in references {
        let bare = reference(name);
        match bare.split_once('/') {
            Some((kind, id)) if crate::fhir::definitions::is_resource(kind) && !id.contains('/') => {
                match literal.iter_mut().find(|(known, _)| *known == kind) {
                    Some((_, ids)) => ids.push(id.to_owned()),
                    None => literal.push((kind, vec![id.to_owned()])),
                }
            }
            _ => {}
        }
    }
    for (kind, ids) in literal {
        for some in ids.chunks(AT_ONCE_MAX) {
            let mut sql = Sql::default();
            sql.push("SELECT ").push(COLUMNS).push(" FROM resources r WHERE r.tenant = ").text(&scope.tenant);
            sql.push(" AND r.kind = ").text(kind).push(" AND r.deleted = 0 AND r.id IN (").texts(some).push(")");
            sql.push(" LIMIT ").int(i64::try_from(limit.saturating_sub(found.len())).unwrap_or(i64::MAX));
            found.extend(asker.each(&sql.text, &sql.cells()?, stored).await?);
        }
    }
    Ok(found)
}

/// The artefacts of these types whose canonical address is one of these, with or without a version behind a bar.
pub(in crate::ledger) async fn canonical(
    asker: &mut impl Asker,
    scope: &Scope,
    kinds: &[&str],
    addresses: &[String],
    limit: usize,
) -> Result<Vec<Stored>, Error> {
    let mut found = Vec::new();
    let bare: Vec<String> = addresses.iter().map(|address| address.split('|').next().unwrap_or_default().to_owned()).collect();
    for kind in kinds {
        let Some(url) = parameter(kind, "url") else { continue };
        found.extend(having(asker, scope, url.number, &bare, limit.saturating_sub(found.len())).await?);
    }
    // Who names a version means that one.
    let is_meant = |stored: &Stored| {
        let value = stored.value();
        let (url, version) = (value["url"].as_str().unwrap_or_default(), value["version"].as_str());
        addresses.iter().any(|address| match address.split_once('|') {
            Some((bare, named)) => bare == url && Some(named) == version,
            None => address == url,
        })
    };
    if addresses.iter().any(|address| address.contains('|')) {
        found.retain(is_meant);
    }
    Ok(found)
}

/// The resources that have one of these words for a parameter, latest first: all of them, or so many that the limit is
/// reached.
pub(in crate::ledger) async fn having(
    asker: &mut impl Asker,
    scope: &Scope,
    parameter: u32,
    words: &[String],
    limit: usize,
) -> Result<Vec<Stored>, Error> {
    let mut found: Vec<Stored> = Vec::new();
    for some in words.chunks(AT_ONCE_MAX) {
        if found.len() >= limit {
            break;
        }
        // Each resource has a row for each of its words, and may have been found by other words before: the limit counts
        // resources, so as many rows are read as so many resources can have.
        let rows = i64::try_from(limit.saturating_mul(some.len())).unwrap_or(i64::MAX);
        let mut sql = Sql::default();
        sql.push("SELECT ")
            .push(COLUMNS)
            .push(" FROM (SELECT DISTINCT l.number AS number FROM (SELECT i.number AS number FROM words i WHERE i.tenant = ");
        sql.text(&scope.tenant).push(" AND i.parameter = ").int(i64::from(parameter)).push(" AND i.word IN (").texts(some);
        sql.push(") LIMIT ").int(rows).push(") l LIMIT ").int(i64::try_from(limit).unwrap_or(i64::MAX));
        sql.push(") x JOIN resources r ON r.number = x.number AND r.deleted = 0");
        for stored in asker.each(&sql.text, &sql.cells()?, stored).await? {
            if !found.iter().any(|known| known.number == stored.number) {
                found.push(stored);
            }
        }
    }
    found.sort_by_key(|stored| std::cmp::Reverse(stored.number));
    Ok(found)
}
