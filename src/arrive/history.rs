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
use crate::fhir::search::query::Cursor;
use crate::fhir::time::{Moment, instant};
use crate::ledger::Stored;
use crate::ledger::versions::During;

/// What a history was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What was asked, as the address behind the base: a link leads on only with the question that it came with.
    pub(super) asked: String,
    pub(super) count: usize,
    pub(super) during: During,
    /// Where the page begins, as its link says.
    page: Option<String>,
}

/// `GET [type]/[id]/_history`
pub(super) async fn history(call: &Call<'_>, kind: &str, id: &str) -> Result<Response, Refusal> {
    let text = page(call, &call.base(), kind, id, call.query.unwrap_or_default()).await?;
    Ok(json(StatusCode::OK, text))
}

/// One page as the text of a history Bundle.
pub(super) async fn page(call: &Call<'_>, base: &str, kind: &str, id: &str, query: &str) -> Result<String, Refusal> {
    let wanted = Wanted::read(format!("/{kind}/{id}/_history"), query, call.preference().strict)?;
    let before = wanted.after()?.map_or(i64::MAX, |cursor| cursor.number);
    let ledger = &call.door.flow.ledger;
    let horizon = ledger.horizon();
    let count = i64::try_from(wanted.count).unwrap_or(i64::MAX);
    let chapter = ledger.chapter(call.scope(), (kind, id), wanted.during, before, count).await?;
    let chapter = chapter.ok_or_else(|| Refusal::not_found("There is no such resource."))?;
    let last = chapter.versions.last().filter(|_| chapter.more);
    let next = last.map(|last| Cursor { key: String::new(), number: last.version });
    let shown = (chapter.versions.as_slice(), chapter.revived.as_slice());
    Ok(wanted.told(base, horizon, Some(chapter.total), next.as_ref(), shown))
}

impl Wanted {
    /// Reads what is asked of the history at `path`; what is not known is passed over, and refused to who is strict.
    pub(super) fn read(path: String, query: &str, is_strict: bool) -> Result<Self, Refusal> {
        let mut wanted = Self { asked: path, count: COUNT_DEFAULT as usize, during: During::ALWAYS, page: None };
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
                    wanted.during.since = moment.span(&jiff::tz::TimeZone::UTC).low;
                }
                "_at" => {
                    let moment = moment(&value);
                    let moment = moment.ok_or_else(|| Refusal::bad("invalid-date", "_at must be a date, or one with a time."))?;
                    wanted.during.at = Some(moment.span(&jiff::tz::TimeZone::UTC));
                }
                links::PAGE => {
                    wanted.page = Some(value);
                    continue;
                }
                "_format" | "_pretty" => continue,
                _ if is_strict => {
                    let words = "A history knows _count, _since and _at.";
                    return Err(Refusal::one(StatusCode::BAD_REQUEST, "not-supported", "unknown-parameter", words));
                }
                _ => continue,
            }
            links::push_pair(&mut wanted.asked, &name, &value);
        }
        Ok(wanted)
    }

    /// The place behind which the page begins; `None` on the first.
    pub(super) fn after(&self) -> Result<Option<Cursor>, Refusal> {
        let read = |page: &String| {
            let place = links::place_of(page, &self.asked);
            place.ok_or_else(|| Refusal::bad("invalid-page", "This page link belongs to another question."))
        };
        self.page.as_ref().map(read).transpose()
    }

    /// The history Bundle. `next` is where the next page begins; `None` on the last. Of each version that is shown it is known
    /// whether it brought back what was deleted.
    pub(super) fn told(
        &self,
        base: &str,
        horizon: i64,
        total: Option<i64>,
        next: Option<&Cursor>,
        (shown, revived): (&[Stored], &[bool]),
    ) -> String {
        let mut text = String::with_capacity(shown.iter().map(|version| version.body.len() + 600).sum::<usize>() + 512);
        let _ = write!(text, r#"{{"resourceType":"Bundle","meta":{{"lastUpdated":"{}"}},"type":"history""#, instant(horizon));
        if let Some(total) = total {
            let _ = write!(text, r#","total":{total}"#);
        }
        text.push_str(r#","link":["#);
        self.link(&mut text, base, "self", self.page.as_deref());
        if let Some(next) = next {
            text.push(',');
            self.link(&mut text, base, "next", Some(&links::place(next, &self.asked)));
        }
        text.push(']');
        let mut mark = r#","entry":["#;
        for (version, revived) in shown.iter().zip(revived) {
            text.push_str(mark);
            mark = ",";
            push_version(&mut text, base, version, *revived);
        }
        text.push_str(if shown.is_empty() { "}" } else { "]}" });
        text
    }

    fn link(&self, text: &mut String, base: &str, relation: &str, page: Option<&str>) {
        let mut url = format!("{base}{}", self.asked);
        if let Some(page) = page {
            links::push_pair(&mut url, links::PAGE, page);
        }
        let _ = write!(text, r#"{{"relation":"{relation}","url":"{url}"}}"#);
    }
}

/// A time as it is written; a plus that was not escaped arrives as a space.
fn moment(value: &str) -> Option<Moment> {
    Moment::parse(&value.replace(' ', "+"))
}

/// One version with what was asked and answered then.
fn push_version(text: &mut String, base: &str, version: &Stored, revived: bool) {
    let Stored { kind, id, .. } = version;
    // An id of ours was made by a create; any other came with an update.
    let created = version.version == 1 && !version.deleted;
    let (method, url, status) = match (version.deleted, created) {
        (true, _) => ("DELETE", format!("{kind}/{id}"), "204 No Content"),
        (_, true) if uuid::Uuid::try_parse(id).is_ok() => ("POST", kind.clone(), "201 Created"),
        (_, true) => ("PUT", format!("{kind}/{id}"), "201 Created"),
        _ if revived => ("PUT", format!("{kind}/{id}"), "201 Created"),
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
            let wanted = Wanted::read(String::new(), query, false).map_err(|refusal| refusal.status.as_u16())?;
            Ok((wanted.count, wanted.during.since, wanted.during.at.map(|at| (at.low, at.high))))
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
