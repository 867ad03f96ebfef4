//! All that is known of a patient: in one answer that is sent as it is read, or in pages.
//! Follows <https://hl7.org/fhir/R4/patient-operation-everything.html>.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::stream;

use super::call::{Call, json};
use super::format::{self, Wanted};
use super::given::{Given, wrong};
use super::links;
use super::negotiate::JSON;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::read::current;
use super::searchset::{push_entry, unknown};
use crate::fhir::definitions::is_resource;
use crate::fhir::outcome::Issue;
use crate::fhir::search::parse::COUNT_MAX;
use crate::fhir::search::query::Cursor;
use crate::fhir::time::instant;
use crate::flow::{At, Everything, Found, Range};
use crate::ledger::{self, Person, Place};

/// `GET Patient/[id]/$everything` and `GET Patient/$everything`
pub(super) const OPERATION: Operation = Operation {
    name: "everything",
    at: &[(Level::Type, Methods::Both), (Level::Instance, Methods::Both)],
    types: &["Patient"],
    definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
    documentation: "The patient, all that belongs to the patient, and what that refers to; in pages where _count is given.",
    changes: false,
    answer: |call, asked| Box::pin(everything(call, asked)),
};

/// Resources that are read and sent together.
const PIECE: usize = 200;
/// The parameters that a link repeats.
const REPEATED: [&str; 7] = ["start", "end", "_since", "_type", "_count", "_format", "_pretty"];

async fn everything(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let id = asked.id;
    let given = Given::asked(call, asked.method, asked.body).await?;
    known(&given, call.preference().strict)?;
    let range = range(&given)?;
    // What must be translated, or stands in another answer, is held as a whole meanwhile: it comes in pages.
    let is_plain = !call.is_inside && format::wanted(call.query, call.headers) == Some(Wanted::default());
    let count = given.count("_count", 1, i64::from(COUNT_MAX))?.or_else(|| (!is_plain).then_some(i64::from(COUNT_MAX)));
    let ledger = &call.door.flow.ledger;
    let persons = match id {
        Some(id) => {
            let patient = current(call, "Patient", id).await?;
            ledger.united(call.scope(), patient.person).await?
        }
        None => Vec::new(),
    };
    let own = id.map_or_else(|| String::from("/Patient/$everything"), |id| format!("/Patient/{id}/$everything"));
    let mut search = format!("{}{own}", call.base());
    for name in REPEATED {
        let values: Vec<&str> = given.all(name).collect();
        if !values.is_empty() {
            links::push_pair(&mut search, name, &values.join(","));
        }
    }
    let own = search.strip_prefix(call.base().as_str()).unwrap_or_default().to_owned();
    let page = given.one(links::PAGE);
    let after = page
        .map(|page| links::place_of(page, &own).and_then(|cursor| place(&cursor)))
        .map(|place| place.ok_or_else(|| Refusal::bad("invalid-page", "This page link belongs to another question.")));
    let (after, gathered) = after.transpose()?.unzip();
    let mut whole = Everything::new(ledger.clone(), call.scope().clone(), persons, range, after);
    whole.resume(&call.door.gathered, gathered.unwrap_or_default());
    let head = |next: Option<&str>| {
        let mut itself = search.clone();
        if let Some(page) = page {
            links::push_pair(&mut itself, links::PAGE, page);
        }
        head(ledger.horizon(), &itself, next)
    };
    match count.and_then(|count| usize::try_from(count).ok()) {
        Some(count) => {
            let (found, more) = gather(&mut whole, count).await?;
            let next = found.last().filter(|_| more).map(|last| {
                let mut next = search.clone();
                let place = cursor(&last.at, || whole.keep(&call.door.gathered));
                links::push_pair(&mut next, links::PAGE, &links::place(&place, &own));
                next
            });
            let mut text = head(next.as_deref());
            push(&mut text, &call.base(), &found, true);
            text.push_str(if found.is_empty() { "}" } else { "]}" });
            Ok(json(StatusCode::OK, text))
        }
        None => sent(whole, head(None), call.base()).await,
    }
}

/// What is not known is passed over, and refused to who is strict; what would show less of each resource is refused to all.
fn known(given: &Given, is_strict: bool) -> Result<(), Refusal> {
    const SHAPES: [&str; 2] = ["_summary", "_elements"];
    let refused: Vec<Issue> = given
        .names()
        .filter(|name| SHAPES.contains(name) || (is_strict && !REPEATED.contains(name) && *name != links::PAGE))
        .map(|name| unknown(name, true))
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(refused.into()) }
}

fn range(given: &Given) -> Result<Range, Refusal> {
    let mut kinds: Vec<String> = given.all("_type").map(str::to_owned).collect();
    if kinds.iter().any(|kind| !is_resource(kind)) {
        return Err(wrong("_type", "must be resource types of FHIR R4, separated by commas"));
    }
    kinds.sort();
    kinds.dedup();
    let (start, end) = (given.span("start")?, given.span("end")?);
    Ok(Range { start: start.map(|span| span.low), end: end.map(|span| span.high), since: given.instant("_since")?, kinds })
}

/// A page of it, and whether there is more.
async fn gather(whole: &mut Everything, count: usize) -> Result<(Vec<Found>, bool), ledger::Error> {
    let mut found: Vec<Found> = Vec::new();
    while found.len() <= count {
        let mut next = whole.next(count + 1 - found.len()).await?;
        if next.is_empty() {
            return Ok((found, false));
        }
        found.append(&mut next);
    }
    found.truncate(count);
    Ok((found, true))
}

/// The whole, sent piece by piece while it is read. What fails on the way breaks the answer off, so that nobody takes a part for it.
async fn sent(mut whole: Everything, mut text: String, base: String) -> Result<Response, Refusal> {
    let first = piece(&mut whole).await?;
    let is_empty = first.is_empty();
    push(&mut text, &base, &first, true);
    if is_empty {
        text.push('}');
    }
    let begun = (whole, text, is_empty);
    let pieces = stream::try_unfold(begun, move |(mut whole, text, is_over)| {
        let base = base.clone();
        async move {
            if is_over {
                return Ok::<_, ledger::Error>((!text.is_empty()).then(|| (text, (whole, String::new(), true))));
            }
            let found = piece(&mut whole).await.inspect_err(|error| tracing::error!(%error, "an answer broke off"))?;
            let mut next = String::new();
            push(&mut next, &base, &found, false);
            let is_over = found.is_empty();
            if is_over {
                next.push_str("]}");
            }
            Ok(Some((text, (whole, next, is_over))))
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok(response)
}

/// The next resources, once they are durable: the answer is already on its way.
async fn piece(whole: &mut Everything) -> Result<Vec<Found>, ledger::Error> {
    let found = whole.next(PIECE).await?;
    whole.settled().await?;
    Ok(found)
}

/// The Bundle up to its entries.
fn head(horizon: i64, itself: &str, next: Option<&str>) -> String {
    let mut text = format!(
        r#"{{"resourceType":"Bundle","meta":{{"lastUpdated":"{}"}},"type":"searchset","link":[{{"relation":"self","url":"{itself}"}}"#,
        instant(horizon)
    );
    if let Some(next) = next {
        text.push_str(r#",{"relation":"next","url":""#);
        text.push_str(next);
        text.push_str(r#""}"#);
    }
    text.push(']');
    text
}

/// Appends entries; `is_first` opens their list.
fn push(text: &mut String, base: &str, found: &[Found], is_first: bool) {
    let mut mark = if is_first { r#","entry":["# } else { "," };
    for one in found {
        text.push_str(mark);
        mark = ",";
        push_entry(text, base, &one.stored);
        let mode = if matches!(one.at, At::Own(_)) { "match" } else { "include" };
        text.push_str(r#","search":{"mode":""#);
        text.push_str(mode);
        text.push_str(r#""}}"#);
    }
}

/// A place as links hold it; among the references with the number under which they are kept.
fn cursor(at: &At, keep: impl FnOnce() -> u64) -> Cursor {
    match at {
        At::Own(place) => Cursor { key: format!("{}.{}", place.person.0, place.kind), number: place.number },
        At::Other(key) => Cursor { key: key.clone(), number: i64::try_from(keep()).unwrap_or(i64::MAX).saturating_neg() },
    }
}

fn place(cursor: &Cursor) -> Option<(At, u64)> {
    if cursor.number < 0 {
        return Some((At::Other(cursor.key.clone()), u64::try_from(cursor.number.checked_neg()?).ok()?));
    }
    let (person, kind) = cursor.key.split_once('.')?;
    Some((At::Own(Place { person: Person(person.parse().ok()?), kind: kind.to_owned(), number: cursor.number }), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_its_link() {
        for (at, kept) in [
            (At::Own(Place { person: Person(7), kind: String::from("Observation"), number: 42 }), 0),
            (At::Other(String::from("Practitioner/a.b")), 3),
        ] {
            let link = links::place(&cursor(&at, || kept), "x");
            assert_eq!(links::place_of(&link, "x").and_then(|cursor| place(&cursor)), Some((at, kept)));
            assert_eq!(links::place_of(&link, "y"), None);
        }
    }
}
