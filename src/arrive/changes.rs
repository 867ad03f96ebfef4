//! Tells what was changed lately of a type, or of everything, newest first.
//! Follows <https://hl7.org/fhir/R4/http.html#history>.

use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, json};
use super::history::Wanted;
use super::outcome::Refusal;
use crate::fhir::search::query::Cursor;
use crate::ledger::changes::Version;

/// `GET [base]/_history` and `GET [type]/_history`
pub(super) async fn changes(call: &Call<'_>, kind: Option<&str>) -> Result<Response, Refusal> {
    let text = page(call, &call.base(), kind, call.query.unwrap_or_default()).await?;
    Ok(json(StatusCode::OK, text))
}

/// One page as the text of a history Bundle. It is counted once, for its first page; the links carry the total on, and
/// where there are too many to be counted, no page has one.
pub(super) async fn page(call: &Call<'_>, base: &str, kind: Option<&str>, query: &str) -> Result<String, Refusal> {
    let wanted = Wanted::read(
        kind.map_or_else(|| String::from("/_history"), |kind| format!("/{kind}/_history")),
        query,
        call.preference().strict,
    )?;
    let after = wanted.after()?;
    let after = after.map(|after| place_of(&after).ok_or_else(|| Refusal::bad("invalid-page", "This is no page link.")));
    let (ledger, scope) = (&call.door.flow.ledger, call.scope());
    let horizon = ledger.horizon();
    let (before, total) = match after.transpose()? {
        Some((before, total)) => (Some(before), total),
        None => (None, ledger.changes_total(scope, kind, wanted.during).await?),
    };
    let leaf = ledger.changes(scope, kind, wanted.during, before.as_ref(), wanted.count).await?;
    let next = leaf.next.as_ref().map(|last| place(last, total));
    Ok(wanted.told(base, horizon, total, next.as_ref(), (&leaf.versions, &leaf.revived)))
}

/// The place of a version, and the total, as links hold them.
fn place(last: &Version, total: Option<i64>) -> Cursor {
    let total = total.map(|total| total.to_string()).unwrap_or_default();
    Cursor { key: format!("{}.{total}.{}.{}", last.updated, last.kind, last.id), number: last.version }
}

fn place_of(cursor: &Cursor) -> Option<(Version, Option<i64>)> {
    // An id may have dots in it, the others have none.
    let mut parts = cursor.key.splitn(4, '.');
    let (updated, total) = (parts.next()?.parse().ok().filter(|updated| *updated < i64::MAX)?, parts.next()?);
    let (kind, id) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let total = if total.is_empty() { None } else { Some(total.parse().ok().filter(|total| *total >= 0)?) };
    Some((Version { updated, kind, id, version: cursor.number }, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_where_the_last_one_ended() {
        let last = Version { updated: 1_709_164_800_000, kind: String::from("Patient"), id: String::from("a.b-1"), version: 3 };
        for total in [None, Some(0), Some(12)] {
            assert_eq!(place_of(&place(&last, total)), Some((last.clone(), total)));
        }
        for key in ["", "x", "1.2.Patient", "1.x.Patient.i", "1.-1.Patient.i", &format!("{}.1.P.i", i64::MAX)] {
            assert_eq!(place_of(&Cursor { key: key.to_owned(), number: 1 }), None, "{key}");
        }
    }
}
