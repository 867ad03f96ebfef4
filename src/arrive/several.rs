//! Searches of several types at once: the system as a whole, or a whole compartment.
//! Follows <https://hl7.org/fhir/R4/http.html#search> (`GET [base]?_type=…`).
//!
//! Without an order the types follow each other; by `_lastUpdated` their answers are merged.

use super::call::Call;
use super::outcome::Refusal;
use crate::fhir::definitions::is_resource;
use crate::fhir::search::make_relative;
use crate::fhir::search::parse::{self, Parsed};
use crate::fhir::search::query::{By, Cursor, Key, Query, Sort};
use crate::ledger::Stored;
use crate::ledger::search::Page;

/// The parameters as each of the types reads them. What one of the types does not know is unknown.
pub(super) fn parse(kinds: &[&str], mut given: Vec<(String, String)>, own: &str, now: i64) -> Result<Vec<Parsed>, Refusal> {
    let mut wanted: Vec<String> = Vec::new();
    let types: Vec<(String, String)> = given.extract_if(.., |(name, _)| name == "_type").collect();
    for kind in types.iter().flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|kind| !kind.is_empty()) {
        if !is_resource(kind) {
            return Err(Refusal::bad("invalid-type", "_type must name resource types of FHIR R4, separated by commas."));
        }
        if !wanted.iter().any(|known| known == kind) {
            wanted.push(kind.to_owned());
        }
    }
    let searched = kinds.iter().filter(|kind| wanted.is_empty() || wanted.iter().any(|wanted| wanted == *kind));
    let searched: Vec<&str> = searched.copied().collect();
    if let Some(first) = searched.first() {
        for (name, value) in &mut given {
            make_relative(first, name, value, own);
        }
    }
    let first_pass: Vec<Parsed> = searched.iter().map(|kind| parse::parse(kind, &given, now)).collect();
    let mut strange: Vec<String> = Vec::new();
    for name in first_pass.iter().flat_map(|one| &one.unknown) {
        if !strange.contains(name) {
            strange.push(name.clone());
        }
    }
    if first_pass.iter().any(|one| !can_merge(&one.query.sort)) {
        strange.extend(given.iter().filter(|(name, _)| name == "_sort").map(|(_, value)| format!("_sort={value}")));
    }
    // What is passed over for one type is passed over for all of them.
    given.retain(|(name, value)| {
        let whole = format!("{name}={value}");
        !strange.iter().any(|strange| strange == name || *strange == whole || (name == "_sort" && strange.starts_with("_sort=")))
    });
    let mut parsed: Vec<Parsed> = searched.iter().map(|kind| parse::parse(kind, &given, now)).collect();
    if let Some(first) = parsed.first_mut() {
        first.unknown.extend(strange);
        first.used.splice(0..0, types);
    }
    if let Some(faulty) = parsed.iter().position(|one| !one.issues.is_empty()) {
        let issues = parsed[faulty].issues.clone();
        parsed[0].issues = issues;
    }
    Ok(parsed)
}

fn can_merge(sort: &Sort) -> bool {
    match sort {
        Sort::Natural => true,
        Sort::Keys(keys) => matches!(keys.as_slice(), [Key { by: By::Updated, .. }]),
    }
}

/// One page over all types.
pub(super) async fn page(call: &Call<'_>, parsed: &[Parsed], after: Option<Cursor>) -> Result<Page, Refusal> {
    let Some(first) = parsed.first() else { return Err(Refusal::ours("a search of no type")) };
    let mut page = match &first.query.sort {
        Sort::Keys(keys) => merged(call, parsed, keys.iter().any(|key| key.descending), after).await?,
        Sort::Natural => in_turn(call, parsed, after).await?,
    };
    if first.query.total {
        let mut total = Some(0);
        for one in parsed {
            let query = Query { count: 1, after: None, sort: Sort::Natural, ..one.query.clone() };
            let counted = call.door.flow.ledger.search(call.scope(), &query).await?.total;
            total = total.zip(counted).map(|(total, counted)| total + counted);
        }
        page.total = total;
    }
    Ok(page)
}

/// Type after type. A cursor begins with the type that it stands in.
async fn in_turn(call: &Call<'_>, parsed: &[Parsed], after: Option<Cursor>) -> Result<Page, Refusal> {
    let ledger = &call.door.flow.ledger;
    let count = usize::try_from(parsed.first().map_or(1, |one| one.query.count)).unwrap_or(1);
    let (kind, mut within) = match after {
        Some(after) => {
            let (kind, key) = after.key.split_once('/').ok_or_else(|| Refusal::bad("invalid-page", "This is no page link."))?;
            let within = (!key.is_empty()).then(|| Cursor { key: key.to_owned(), number: after.number });
            (Some(kind.to_owned()), within)
        }
        None => (None, None),
    };
    let start = kind.and_then(|kind| parsed.iter().position(|one| one.query.kind == kind)).unwrap_or(0);
    let mut page = Page { found: Vec::new(), next: None, total: None, horizon: ledger.horizon() };
    for one in parsed.iter().skip(start) {
        let left = count - page.found.len();
        // When the page is full, one look tells whether there is another.
        let query =
            Query { count: u32::try_from(left.max(1)).unwrap_or(1), after: within.take(), total: false, ..one.query.clone() };
        let found = ledger.search(call.scope(), &query).await?;
        page.horizon = page.horizon.min(found.horizon);
        let begin = || Cursor { key: format!("{}/", one.query.kind), number: 0 };
        if left == 0 {
            if !found.found.is_empty() || found.next.is_some() {
                page.next = Some(begin());
                break;
            }
            continue;
        }
        page.found.extend(found.found);
        if let Some(next) = found.next {
            page.next = Some(Cursor { key: format!("{}/{}", one.query.kind, next.key), number: next.number });
            break;
        }
    }
    Ok(page)
}

/// All types side by side, in the order of their stamps, which no two resources of a type and number share.
async fn merged(call: &Call<'_>, parsed: &[Parsed], descending: bool, after: Option<Cursor>) -> Result<Page, Refusal> {
    let ledger = &call.door.flow.ledger;
    let count = usize::try_from(parsed.first().map_or(1, |one| one.query.count)).unwrap_or(1);
    let mut page = Page { found: Vec::new(), next: None, total: None, horizon: ledger.horizon() };
    // Up to where every type was looked at: beyond, one of them may have more that was not read.
    let mut end: Option<(i64, i64)> = None;
    let nearer = |one: (i64, i64), other: (i64, i64)| if descending { one.max(other) } else { one.min(other) };
    for one in parsed {
        let query = Query { after: after.clone(), total: false, ..one.query.clone() };
        let found = ledger.search(call.scope(), &query).await?;
        page.horizon = page.horizon.min(found.horizon);
        if let Some(next) = found.next {
            let updated = next.key.get(2..).and_then(|key| key.parse().ok()).unwrap_or_default();
            let place = (updated, next.number);
            end = Some(end.map_or(place, |end| nearer(end, place)));
        }
        page.found.extend(found.found);
    }
    let place = |stored: &Stored| (stored.updated, stored.number);
    page.found.sort_by(|one, other| if descending { place(other).cmp(&place(one)) } else { place(one).cmp(&place(other)) });
    // What is nearer than the end, or is the end itself, is what the nearer of both is.
    page.found.retain(|one| end.is_none_or(|end| nearer(place(one), end) == place(one)));
    if page.found.len() > count {
        page.found.truncate(count);
        end = page.found.last().map(place);
    }
    page.next = end.map(|(updated, number)| Cursor { key: format!("v:{updated}"), number });
    Ok(page)
}
