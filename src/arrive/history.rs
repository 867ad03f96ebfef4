//! Tells the versions of one resource, newest first.
//! Follows <https://hl7.org/fhir/R4/http.html#history>.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, json};
use super::links;
use super::outcome::Refusal;
use super::search::push_entry;
use crate::fhir::search::pairs;
use crate::fhir::search::parse::{COUNT_DEFAULT, COUNT_MAX};
use crate::fhir::time::{Moment, instant};
use crate::ledger::Stored;

/// What a history was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    count: usize,
    /// Versions stamped at or after this.
    since: i64,
    /// Versions before this one: where a page begins.
    before: i64,
    /// The parameters that were understood.
    used: Vec<(String, String)>,
}

/// `GET [type]/[id]/_history`
pub(super) async fn history(call: &Call<'_>, kind: &str, id: &str) -> Result<Response, Refusal> {
    let text = page(call, &call.base(), kind, id, call.query.unwrap_or_default()).await?;
    Ok(json(StatusCode::OK, text))
}

/// One page as the text of a history Bundle.
pub(super) async fn page(call: &Call<'_>, base: &str, kind: &str, id: &str, query: &str) -> Result<String, Refusal> {
    let wanted = wanted(query)?;
    let ledger = &call.door.flow.ledger;
    let horizon = ledger.horizon();
    let versions = ledger.history(call.scope(), kind, id, i64::MAX).await?;
    if versions.is_empty() {
        return Err(Refusal::not_found("There is no such resource."));
    }
    let versions: Vec<&Stored> = versions.iter().filter(|version| version.updated >= wanted.since).collect();
    let mut rest = versions.iter().filter(|version| version.version < wanted.before).copied();
    let shown: Vec<&Stored> = rest.by_ref().take(wanted.count).collect();
    let more = rest.next().is_some();
    let mut search = format!("{base}/{kind}/{id}/_history");
    for (name, value) in &wanted.used {
        links::push_pair(&mut search, name, value);
    }
    let mut text = String::with_capacity(shown.iter().map(|version| version.body.len() + 600).sum::<usize>() + 512);
    text.push_str(r#"{"resourceType":"Bundle","meta":{"lastUpdated":""#);
    text.push_str(&instant(horizon));
    text.push_str(r#""},"type":"history","total":"#);
    text.push_str(&versions.len().to_string());
    text.push_str(r#","link":[{"relation":"self","url":""#);
    text.push_str(&search);
    if wanted.before < i64::MAX {
        text.push_str(&place(&search, wanted.before));
    }
    text.push_str(r#""}"#);
    if let Some(last) = shown.last().filter(|_| more) {
        text.push_str(r#",{"relation":"next","url":""#);
        text.push_str(&search);
        text.push_str(&place(&search, last.version));
        text.push_str(r#""}"#);
    }
    text.push(']');
    let mut mark = r#","entry":["#;
    for version in &shown {
        text.push_str(mark);
        mark = ",";
        push_version(&mut text, base, version);
    }
    text.push_str(if shown.is_empty() { "}" } else { "]}" });
    Ok(text)
}

fn place(search: &str, before: i64) -> String {
    let mark = if search.contains('?') { '&' } else { '?' };
    format!("{mark}{}={before}", links::PAGE)
}

fn wanted(query: &str) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted { count: COUNT_DEFAULT as usize, since: i64::MIN, before: i64::MAX, used: Vec::new() };
    for (name, value) in pairs(query).map_err(|issue| vec![issue])? {
        match name.as_str() {
            _ if value.is_empty() => continue,
            "_count" => {
                let count: u32 = value.parse().map_err(|_| Refusal::bad("invalid-count", "_count must be a whole number."))?;
                wanted.count = count.min(COUNT_MAX) as usize;
            }
            "_since" => {
                let moment = Moment::parse(&value.replace(' ', "+")).filter(|moment| moment.offset.is_some());
                let moment = moment.ok_or_else(|| Refusal::bad("invalid-date", "_since must be an instant with a zone."))?;
                wanted.since = moment.span(&jiff::tz::TimeZone::UTC).low;
            }
            links::PAGE => {
                wanted.before = value.parse().map_err(|_| Refusal::bad("invalid-page", "This page link is not one of ours."))?;
                continue;
            }
            _ => continue,
        }
        wanted.used.push((name, value));
    }
    Ok(wanted)
}

/// One version with what was asked and answered then.
fn push_version(text: &mut String, base: &str, version: &Stored) {
    let Stored { kind, id, .. } = version;
    // An id of ours was made by a create; any other came with an update.
    let created = version.version == 1 && !version.deleted;
    let (method, url, status) = match (version.deleted, created) {
        (true, _) => ("DELETE", format!("{kind}/{id}"), "204 No Content"),
        (_, true) if uuid::Uuid::try_parse(id).is_ok() => ("POST", kind.clone(), "201 Created"),
        (_, true) => ("PUT", format!("{kind}/{id}"), "201 Created"),
        _ => ("PUT", format!("{kind}/{id}"), "200 OK"),
    };
    if version.deleted {
        let _ = write!(text, r#"{{"fullUrl":"{base}/{kind}/{id}""#);
    } else {
        push_entry(text, base, version);
    }
    let _ = write!(
        text,
        r#","request":{{"method":"{method}","url":"{url}"}},"response":{{"status":"{status}","etag":"W/\"{}\"","lastModified":"{}"}}}}"#,
        version.version,
        instant(version.updated)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_asked_for_by_count_and_time() {
        let read = |query| {
            wanted(query).map(|wanted| (wanted.count, wanted.since, wanted.before)).map_err(|refusal| refusal.status.as_u16())
        };
        for (query, expected) in [
            ("", Ok((50, i64::MIN, i64::MAX))),
            ("_count=2&_page=5", Ok((2, i64::MIN, 5))),
            ("_count=99999", Ok((1000, i64::MIN, i64::MAX))),
            ("_since=1970-01-01T08:00:01+08:00", Ok((50, 1_000, i64::MAX))),
            ("_since=2024-01-01", Err(400)),
            ("_count=x", Err(400)),
            ("_page=x", Err(400)),
        ] {
            assert_eq!(read(query), expected, "{query}");
        }
    }
}
