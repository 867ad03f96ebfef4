//! Searches the resources of one type, of several, or of a compartment, page by page.
//! Follows <https://hl7.org/fhir/R4/http.html#search> and <https://hl7.org/fhir/R4/search.html>.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, json};
use super::format::not_acceptable;
use super::made::{self, MADE, with_made};
use super::outcome::Refusal;
use super::searchset::{Answer, searchset, unknown};
use super::{body, format, links, several};
use crate::fhir::definitions::resource_names;
use crate::fhir::outcome::Issue;
use crate::fhir::search::parse::{Parsed, parse};
use crate::fhir::search::{compartment, make_relative, pairs, within};
use crate::ledger::search::Page;

/// Bytes of a posted form at most.
const FORM_BYTES_MAX: usize = 1 << 20;

/// Where is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// All types.
    System,
    /// `[type]`
    Kind(&'a str),
    /// `[compartment]/[id]/[type]`; all types for `*`.
    Compartment(&'a str, &'a str, &'a str),
}

impl Place<'_> {
    /// Adds the address behind the base, with the slash before it; nothing for the base itself.
    fn push_path(&self, address: &mut String) {
        let names = match *self {
            Self::System => &[][..],
            Self::Kind(kind) => &[kind],
            Self::Compartment(of, id, kind) => &[of, id, kind],
        };
        for name in names {
            address.push('/');
            address.push_str(name);
        }
    }

    /// The types that are searched; `None` if there is nothing of this type in this compartment.
    fn kinds(&self) -> Option<Vec<&str>> {
        match *self {
            Self::System => Some(resource_names().collect()),
            Self::Kind(kind) => Some(vec![kind]),
            Self::Compartment(of, _, "*") => Some(resource_names().filter(|kind| !compartment(of, kind).is_empty()).collect()),
            Self::Compartment(of, _, kind) => (!compartment(of, kind).is_empty()).then(|| vec![kind]),
        }
    }
}

/// `GET [type]?parameters` and its like.
pub(super) async fn get(call: &Call<'_>, place: Place<'_>) -> Result<Response, Refusal> {
    let base = call.base();
    let text = page(call, &base, place, call.query.unwrap_or_default()).await?;
    Ok(json(StatusCode::OK, text))
}

/// `POST [type]/_search` and its like: parameters of the address and of the form are taken together.
pub(super) async fn post(call: &Call<'_>, place: Place<'_>, sent: Body) -> Result<Response, Refusal> {
    let bytes = body::form(call, sent, FORM_BYTES_MAX).await?;
    let form = std::str::from_utf8(&bytes).map_err(|_| Refusal::bad("invalid-escape", "The form must be UTF-8."))?;
    let query = format!("{}&{form}", call.query.unwrap_or_default());
    let query = query.trim_end_matches(['\r', '\n']);
    let wanted = format::wanted(Some(query), call.headers).ok_or_else(not_acceptable)?;
    let base = call.base();
    let found = page(call, &base, place, query).await.map(|text| json(StatusCode::OK, text));
    let mut response = found.unwrap_or_else(|refusal| refusal.response(call.id));
    // Only here it is known how the form wants to be answered; the door translates, also a refusal.
    response.extensions_mut().insert(wanted);
    Ok(response)
}

/// One page as the text of a searchset Bundle.
pub(super) async fn page(call: &Call<'_>, base: &str, place: Place<'_>, query: &str) -> Result<String, Refusal> {
    let found = stored(call, base, place, query).await?;
    match place {
        Place::Kind(kind) if MADE.contains(&kind) => Box::pin(with_made(call, base, kind, query, found)).await,
        _ => Ok(found),
    }
}

/// One page of what is stored.
async fn stored(call: &Call<'_>, base: &str, place: Place<'_>, query: &str) -> Result<String, Refusal> {
    let mut given = pairs(query).map_err(|issue| vec![issue])?;
    let cursor = given.iter().position(|(name, _)| name == links::PAGE).map(|at| given.remove(at).1);
    let own = format!("{base}/");
    let kinds = place.kinds().ok_or_else(outside)?;
    let mut parsed = if let [kind] = kinds.as_slice() {
        for (name, value) in &mut given {
            make_relative(kind, name, value, &own);
        }
        vec![parse(kind, &given, call.door.flow.clock.now())]
    } else {
        several::parse(&kinds, given, &own, call.door.flow.clock.now())?
    };
    if let Place::Compartment(of, id, _) = place {
        for one in &mut parsed {
            // Without this criterion the search would be of all there is, whosever it is.
            let lies = within(of, id, &one.query.kind).ok_or_else(outside)?;
            one.query.criteria.insert(0, lies);
        }
    }
    let strict = call.preference().strict;
    let Some(first) = parsed.first_mut() else { return Err(Refusal::bad("invalid-type", "_type must name a resource type.")) };
    let remarks: Vec<Issue> = first.unknown.iter().map(|name| unknown(name, strict)).collect();
    let mut issues = std::mem::take(&mut first.issues);
    if strict {
        issues.extend(remarks.iter().cloned());
    }
    if !issues.is_empty() {
        return Err(issues.into());
    }
    answer(call, base, place, parsed, cursor, remarks).await
}

/// There is nothing of this type in this compartment.
fn outside() -> Refusal {
    let words = "Resources of this type do not lie in this compartment.";
    Refusal::one(StatusCode::NOT_FOUND, "not-found", "not-in-compartment", words)
}

async fn answer(
    call: &Call<'_>,
    base: &str,
    place: Place<'_>,
    mut parsed: Vec<Parsed>,
    cursor: Option<String>,
    mut remarks: Vec<Issue>,
) -> Result<String, Refusal> {
    let mut search = String::with_capacity(base.len() + 256);
    search.push_str(base);
    place.push_path(&mut search);
    for (name, value) in parsed.first().map(|one| one.used.as_slice()).unwrap_or_default() {
        links::push_pair(&mut search, name, value);
    }
    // What stands behind the base belongs to the search; the base may differ from one proxy to the next.
    let own = search.get(base.len()..).unwrap_or_default();
    let mut itself = Cow::Borrowed(search.as_str());
    let mut after = None;
    if let Some(place) = cursor.filter(|place| !place.is_empty()) {
        let read = links::place_of(&place, own);
        after = Some(read.ok_or_else(|| Refusal::bad("invalid-page", "This page link belongs to another search."))?);
        links::push_pair(itself.to_mut(), links::PAGE, &place);
    }
    let page = match parsed.as_mut_slice() {
        [one] => {
            one.query.after = after;
            call.door.flow.ledger.search(call.scope(), &one.query).await?
        }
        all => Box::pin(several::page(call, all, after)).await?,
    };
    let Some(parsed) = parsed.first() else { return Err(Refusal::ours("a search of no type")) };
    let brings = !parsed.summary_count && !parsed.includes.is_empty();
    let beside = if brings { Box::pin(beside(call, parsed, &page, &mut remarks)).await? } else { Vec::new() };
    if parsed.query.total && page.total.is_none() && !parsed.total_unwanted {
        if parsed.summary_count {
            let words = "More resources match than can be counted: narrow the search.";
            return Err(Refusal::one(StatusCode::BAD_REQUEST, "too-costly", "too-costly", words));
        }
        remarks.push(Issue::warning("incomplete", "uncounted", "", "More resources match than can be counted."));
    }
    let next = page.next.as_ref().filter(|_| !parsed.summary_count).map(|cursor| {
        let mut next = search.clone();
        links::push_pair(&mut next, links::PAGE, &links::place(cursor, own));
        next
    });
    let answer = Answer { base, parsed, page: &page, beside: &beside, itself: &itself, next, remarks };
    Ok(searchset(&answer))
}

/// What the matches bring along; says so when it is not all.
async fn beside(
    call: &Call<'_>,
    parsed: &Parsed,
    page: &Page,
    remarks: &mut Vec<Issue>,
) -> Result<Vec<crate::ledger::Stored>, Refusal> {
    let mut beside = call.door.flow.ledger.beside(call.scope(), &page.found, &parsed.includes).await?;
    let (origins, is_cut) = made::beside(call, &parsed.includes, &page.found, &beside.found).await?;
    beside.found.extend(origins);
    if beside.cut || is_cut {
        let words = "More resources belong beside these matches than are included at once; ask for smaller pages, or by what was included last.";
        remarks.push(Issue::warning("incomplete", "includes-cut", "", words));
    }
    Ok(beside.found)
}
