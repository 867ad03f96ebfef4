//! Searches the resources of one type, page by page.
//! Follows <https://hl7.org/fhir/R4/http.html#search> and <https://hl7.org/fhir/R4/search.html>.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, json};
use super::made::with_provenances;
use super::outcome::Refusal;
use super::{body, links};
use crate::fhir::outcome::{Issue, operation_outcome};
use crate::fhir::search::parse::{Parsed, parse};
use crate::fhir::search::{ParameterKind, pairs, parameter};
use crate::fhir::time::instant;
use crate::ledger::search::Page;

/// Bytes of a posted form at most.
const FORM_BYTES_MAX: usize = 1 << 20;

/// `GET [type]?parameters`
pub(super) async fn get(call: &Call<'_>, kind: &str) -> Result<Response, Refusal> {
    let base = call.base();
    let text = page(call, &base, kind, call.query.unwrap_or_default()).await?;
    Ok(json(StatusCode::OK, text))
}

/// `POST [type]/_search`: parameters of the address and of the form are taken together.
pub(super) async fn post(call: &Call<'_>, kind: &str, sent: Body) -> Result<Response, Refusal> {
    let bytes = body::form(call, sent, FORM_BYTES_MAX).await?;
    let form = std::str::from_utf8(&bytes).map_err(|_| Refusal::bad("invalid-escape", "The form must be UTF-8."))?;
    let query = format!("{}&{form}", call.query.unwrap_or_default());
    let base = call.base();
    let text = page(call, &base, kind, query.trim_end_matches(['\r', '\n'])).await?;
    Ok(json(StatusCode::OK, text))
}

/// One page as the text of a searchset Bundle.
pub(super) async fn page(call: &Call<'_>, base: &str, kind: &str, query: &str) -> Result<String, Refusal> {
    let found = stored(call, base, kind, query).await?;
    if kind == "Provenance" { with_provenances(call, base, query, found).await } else { Ok(found) }
}

/// One page of what is stored.
async fn stored(call: &Call<'_>, base: &str, kind: &str, query: &str) -> Result<String, Refusal> {
    let mut given = pairs(query).map_err(|issue| vec![issue])?;
    let place = given.iter().position(|(name, _)| name == links::PAGE).map(|at| given.remove(at).1);
    for (name, value) in &mut given {
        make_relative(kind, name, value, base);
    }
    let mut parsed = parse(kind, &given, call.door.flow.clock.now());
    let strict = !parsed.unknown.is_empty() && call.preference().strict;
    let unknown = parsed.unknown.iter().map(|name| unknown(name, strict));
    if strict {
        parsed.issues.extend(unknown);
    } else if !parsed.unknown.is_empty() {
        let remarks: Vec<Issue> = unknown.collect();
        return answer(call, base, parsed, place, &remarks).await;
    }
    answer(call, base, parsed, place, &[]).await
}

async fn answer(
    call: &Call<'_>,
    base: &str,
    mut parsed: Parsed,
    place: Option<String>,
    remarks: &[Issue],
) -> Result<String, Refusal> {
    if !parsed.issues.is_empty() {
        return Err(parsed.issues.into());
    }
    let mut search = format!("{base}/{}", parsed.query.kind);
    for (name, value) in &parsed.used {
        links::push_pair(&mut search, name, value);
    }
    // What stands behind the base belongs to the search; the base may differ from one proxy to the next.
    let own = search.get(base.len()..).unwrap_or_default();
    let mut itself = search.clone();
    if let Some(place) = place.filter(|place| !place.is_empty()) {
        let cursor = links::place_of(&place, own);
        parsed.query.after =
            Some(cursor.ok_or_else(|| Refusal::bad("invalid-page", "This page link belongs to another search."))?);
        links::push_pair(&mut itself, links::PAGE, &place);
    }
    let page = call.door.flow.ledger.search(call.scope(), &parsed.query).await?;
    let next = page.next.as_ref().filter(|_| !parsed.summary_count).map(|cursor| {
        let mut next = search.clone();
        links::push_pair(&mut next, links::PAGE, &links::place(cursor, own));
        next
    });
    Ok(searchset(base, &parsed, &page, &itself, next.as_deref(), remarks))
}

/// The Bundle, put together as text: what is stored is not read again.
fn searchset(base: &str, parsed: &Parsed, page: &Page, itself: &str, next: Option<&str>, remarks: &[Issue]) -> String {
    let found = if parsed.summary_count { &[][..] } else { &page.found };
    let size: usize = found.iter().map(|stored| stored.body.len() + stored.meta.len() + base.len() + 300).sum();
    let mut text = String::with_capacity(size + itself.len() * 2 + 512);
    text.push_str(r#"{"resourceType":"Bundle","meta":{"lastUpdated":""#);
    text.push_str(&instant(page.horizon));
    text.push_str(r#""},"type":"searchset""#);
    if let Some(total) = total(parsed, page) {
        text.push_str(r#","total":"#);
        text.push_str(&total.to_string());
    }
    text.push_str(r#","link":[{"relation":"self","url":""#);
    text.push_str(itself);
    text.push_str(r#""}"#);
    if let Some(next) = next {
        text.push_str(r#",{"relation":"next","url":""#);
        text.push_str(next);
        text.push_str(r#""}"#);
    }
    text.push(']');
    let mut mark = r#","entry":["#;
    for stored in found {
        text.push_str(mark);
        mark = ",";
        push_entry(&mut text, base, stored);
        text.push_str(r#","search":{"mode":"match"}}"#);
    }
    if !remarks.is_empty() {
        text.push_str(mark);
        mark = ",";
        text.push_str(r#"{"resource":"#);
        text.push_str(&operation_outcome(remarks).to_string());
        text.push_str(r#","search":{"mode":"outcome"}}"#);
    }
    text.push_str(if mark == "," { "]}" } else { "}" });
    text
}

/// Opens an entry with its address and its resource.
pub(super) fn push_entry(text: &mut String, base: &str, stored: &crate::ledger::Stored) {
    text.push_str(r#"{"fullUrl":""#);
    for part in [base, "/", &stored.kind, "/", &stored.id] {
        text.push_str(part);
    }
    text.push_str(r#"","resource":"#);
    stored.write(text);
}

/// The number of matches, where it was asked for or costs nothing to know.
fn total(parsed: &Parsed, page: &Page) -> Option<i64> {
    if parsed.total_unwanted {
        return None;
    }
    let whole = parsed.query.after.is_none() && page.next.is_none();
    page.total.or_else(|| i64::try_from(page.found.len()).ok().filter(|_| whole))
}

/// What is said of a parameter that was passed over, or refused for.
fn unknown(name: &str, refused: bool) -> Issue {
    let shown: String = name.chars().filter(|letter| !letter.is_control()).take(64).collect();
    if refused {
        let words = format!("The search parameter {shown} is not known here.");
        return Issue::error("not-supported", "unknown-parameter", "", words);
    }
    let words = format!("The search parameter {shown} is not known here and was passed over.");
    Issue::warning("not-supported", "unknown-parameter", "", words)
}

/// References are kept relative: our own address before them is taken away.
fn make_relative(kind: &str, name: &str, value: &mut String, base: &str) {
    if !value.contains("://") {
        return;
    }
    let code = name.split(':').next().unwrap_or_default();
    if parameter(kind, code).is_some_and(|parameter| parameter.kind == ParameterKind::Reference) {
        let own = format!("{base}/");
        let parts: Vec<&str> = value.split(',').map(|part| part.strip_prefix(own.as_str()).unwrap_or(part)).collect();
        *value = parts.join(",");
    }
}
