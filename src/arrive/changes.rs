//! Tells what was changed lately of a type, or of everything, newest first.
//! Follows <https://hl7.org/fhir/R4/http.html#history>.

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::call::{Call, json};
use super::history::{Told, Wanted};
use super::outcome::Refusal;
use crate::ledger::changes::Version;

/// `GET [base]/_history` and `GET [type]/_history`
pub(super) async fn changes(call: &Call<'_>, kind: Option<&str>) -> Result<Response, Refusal> {
    let text = page(call, &call.base(), kind, call.query.unwrap_or_default()).await?;
    Ok(json(StatusCode::OK, text))
}

/// One page as the text of a history Bundle. It has no total: to count everything is no small question.
pub(super) async fn page(call: &Call<'_>, base: &str, kind: Option<&str>, query: &str) -> Result<String, Refusal> {
    let wanted = Wanted::read(query)?;
    if wanted.at.is_some() {
        return Err(Refusal::one(
            StatusCode::BAD_REQUEST,
            "not-supported",
            "history-not-supported",
            "_at is answered for one resource; here, ask with _since.",
        ));
    }
    let before = wanted.page.as_deref().map(version_of).transpose()?;
    let ledger = &call.door.flow.ledger;
    let horizon = ledger.horizon();
    let count = i64::try_from(wanted.count).unwrap_or(i64::MAX);
    let mut shown = ledger.changes(call.scope(), kind, wanted.since, before.as_ref(), count + 1).await?;
    let more = shown.len() > wanted.count;
    shown.truncate(wanted.count);
    let next = shown.last().filter(|_| more).map(|last| {
        let (kind, id) = (last.kind.clone(), last.id.clone());
        place(&Version { updated: last.updated, kind, id, version: last.version })
    });
    let search = kind.map_or_else(|| format!("{base}/_history"), |kind| format!("{base}/{kind}/_history"));
    Ok(Told { base, search, horizon, total: None, next, shown: shown.iter().collect() }.text(&wanted))
}

/// The place where the next page begins, in a form that says nothing to its reader.
fn place(last: &Version) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{}.{}.{}", last.updated, last.version, last.kind, last.id))
}

fn version_of(page: &str) -> Result<Version, Refusal> {
    let read = || {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(page).ok()?).ok()?;
        // An id may have dots in it, the others have none.
        let mut parts = plain.splitn(4, '.');
        let (updated, version) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (kind, id) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(Version { updated, kind, id, version })
    };
    read()
        .filter(|version| version.updated < i64::MAX)
        .ok_or_else(|| Refusal::bad("invalid-page", "This page link is not one of ours."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_where_the_last_one_ended() {
        let last = Version { updated: 1_709_164_800_000, kind: String::from("Patient"), id: String::from("a.b-1"), version: 3 };
        assert_eq!(version_of(&place(&last)).unwrap(), last);
        for page in
            ["", "x", "AAAA", "é", &URL_SAFE_NO_PAD.encode("1.2.Patient"), &URL_SAFE_NO_PAD.encode(format!("{}.1.P.i", i64::MAX))]
        {
            assert!(version_of(page).is_err(), "{page}");
        }
    }
}
