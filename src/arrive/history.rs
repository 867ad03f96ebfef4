//! Tells the versions of one resource, newest first.
//! Follows <https://hl7.org/fhir/R4/http.html#history>.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, json};
use super::links;
use super::outcome::Refusal;
use super::searchset::push_entry;
use crate::fhir::search::pairs;
use crate::fhir::search::parse::{COUNT_DEFAULT, COUNT_MAX};
use crate::fhir::time::{Moment, Span, instant};
use crate::ledger::Stored;

/// What a history was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) count: usize,
    /// Versions stamped at or after this.
    pub(super) since: i64,
    /// Versions that were current at some time within this.
    pub(super) at: Option<Span>,
    /// Where a page begins.
    pub(super) page: Option<String>,
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
    let wanted = Wanted::read(query)?;
    let before = match &wanted.page {
        Some(page) => page.parse().map_err(|_| Refusal::bad("invalid-page", "This page link is not one of ours."))?,
        None => i64::MAX,
    };
    let ledger = &call.door.flow.ledger;
    let horizon = ledger.horizon();
    let versions = ledger.history(call.scope(), kind, id, i64::MAX).await?;
    if versions.is_empty() {
        return Err(Refusal::not_found("There is no such resource."));
    }
    // A version was current from its own stamp until that of the next one.
    let ends = std::iter::once(i64::MAX).chain(versions.iter().map(|version| version.updated));
    let is_wanted = |version: &Stored, end: i64| {
        version.updated >= wanted.since && wanted.at.is_none_or(|at| version.updated < at.high && end > at.low)
    };
    let versions: Vec<&Stored> =
        versions.iter().zip(ends).filter(|(version, end)| is_wanted(version, *end)).map(|(version, _)| version).collect();
    let mut rest = versions.iter().filter(|version| version.version < before).copied();
    let shown: Vec<&Stored> = rest.by_ref().take(wanted.count).collect();
    let next = rest.next().and_then(|_| shown.last()).map(|last| last.version.to_string());
    let search = format!("{base}/{kind}/{id}/_history");
    Ok(Told { base, search, horizon, total: Some(versions.len()), next, shown }.text(&wanted))
}

/// A page of a history, ready to be told.
pub(super) struct Told<'a> {
    pub(super) base: &'a str,
    /// Where it was asked for.
    pub(super) search: String,
    pub(super) horizon: i64,
    pub(super) total: Option<usize>,
    /// Where the next page begins; `None` on the last.
    pub(super) next: Option<String>,
    pub(super) shown: Vec<&'a Stored>,
}

impl Told<'_> {
    /// The history Bundle.
    pub(super) fn text(mut self, wanted: &Wanted) -> String {
        for (name, value) in &wanted.used {
            links::push_pair(&mut self.search, name, value);
        }
        let mut text = String::with_capacity(self.shown.iter().map(|version| version.body.len() + 600).sum::<usize>() + 512);
        let _ =
            write!(text, r#"{{"resourceType":"Bundle","meta":{{"lastUpdated":"{}"}},"type":"history""#, instant(self.horizon));
        if let Some(total) = self.total {
            let _ = write!(text, r#","total":{total}"#);
        }
        text.push_str(r#","link":["#);
        self.link(&mut text, "self", wanted.page.as_deref());
        if let Some(next) = &self.next {
            text.push(',');
            self.link(&mut text, "next", Some(next));
        }
        text.push(']');
        let mut mark = r#","entry":["#;
        for version in &self.shown {
            text.push_str(mark);
            mark = ",";
            push_version(&mut text, self.base, version);
        }
        text.push_str(if self.shown.is_empty() { "}" } else { "]}" });
        text
    }

    fn link(&self, text: &mut String, relation: &str, page: Option<&str>) {
        let mut url = self.search.clone();
        if let Some(page) = page {
            links::push_pair(&mut url, links::PAGE, page);
        }
        let _ = write!(text, r#"{{"relation":"{relation}","url":"{url}"}}"#);
    }
}

impl Wanted {
    /// Reads a query; what is not known is passed over.
    pub(super) fn read(query: &str) -> Result<Self, Refusal> {
        let mut wanted = Self { count: COUNT_DEFAULT as usize, since: i64::MIN, at: None, page: None, used: Vec::new() };
        for (name, value) in pairs(query).map_err(|issue| vec![issue])? {
            match name.as_str() {
                _ if value.is_empty() => continue,
                "_count" => {
                    let count: u32 =
                        value.parse().map_err(|_| Refusal::bad("invalid-count", "_count must be a whole number."))?;
                    wanted.count = count.min(COUNT_MAX) as usize;
                }
                "_since" => {
                    let moment = moment(&value).filter(|moment| moment.offset.is_some());
                    let moment = moment.ok_or_else(|| Refusal::bad("invalid-date", "_since must be an instant with a zone."))?;
                    wanted.since = moment.span(&jiff::tz::TimeZone::UTC).low;
                }
                "_at" => {
                    let moment = moment(&value);
                    let moment = moment.ok_or_else(|| Refusal::bad("invalid-date", "_at must be a date, or one with a time."))?;
                    wanted.at = Some(moment.span(&jiff::tz::TimeZone::UTC));
                }
                links::PAGE => {
                    wanted.page = Some(value);
                    continue;
                }
                _ => continue,
            }
            wanted.used.push((name, value));
        }
        Ok(wanted)
    }
}

/// A time as it is written; a plus that was not escaped arrives as a space.
fn moment(value: &str) -> Option<Moment> {
    Moment::parse(&value.replace(' ', "+"))
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
            let wanted = Wanted::read(query);
            wanted.map(|w| (w.count, w.since, w.at.map(|at| (at.low, at.high)))).map_err(|refusal| refusal.status.as_u16())
        };
        for (query, expected) in [
            ("", Ok((50, i64::MIN, None))),
            ("_count=2&_page=5", Ok((2, i64::MIN, None))),
            ("_count=99999", Ok((1000, i64::MIN, None))),
            ("_since=1970-01-01T08:00:01+08:00", Ok((50, 1_000, None))),
            ("_at=1970-01-01T00:00:01Z", Ok((50, i64::MIN, Some((1_000, 2_000))))),
            ("_at=1970-01-01", Ok((50, i64::MIN, Some((0, 86_400_000))))),
            ("_since=2024-01-01", Err(400)),
            ("_at=yesterday", Err(400)),
            ("_count=x", Err(400)),
        ] {
            assert_eq!(read(query), expected, "{query}");
        }
    }
}
