//! Tells the story of a person: every entry of the ledger in the order of happening, as a searchset.
//! Follows <https://hl7.org/fhir/R4/operations.html>.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, json};
use super::drain::drained;
use super::given::Given;
use super::links;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::searchset::push_entry;
use crate::fhir::search::parse::COUNT_MAX;
use crate::fhir::time::instant;
use crate::ledger::{Entry, Line, Stored};

/// The extension that holds what the ledger says of an entry.
const LEDGER_ENTRY: &str = "https://signa.example/fhir/StructureDefinition/ledger-entry";
/// Entries on a page when nothing was asked.
const COUNT_DEFAULT: i64 = 100;

/// `GET` or `POST Patient/[id]/$ledger`
pub(super) const OPERATION: Operation = Operation {
    name: "ledger",
    at: &[(Level::Instance, Methods::Both)],
    types: &["Patient"],
    definition: "https://signa.example/fhir/OperationDefinition/ledger",
    documentation: "All entries of the patient's ledger in the order of happening.",
    changes: false,
    answer: |call, asked| Box::pin(ledger(call, asked)),
};

async fn ledger(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let id = asked.id.unwrap_or_default();
    let (count, skip) = wanted(&Given::plain(call, asked).await?)?;
    let ledger = &call.door.flow.ledger;
    let patient = ledger.read(call.scope(), "Patient", id).await?;
    let patient = patient.ok_or_else(|| Refusal::not_found("There is no such patient."))?;
    drained(call, patient.person).await?;
    let horizon = ledger.horizon();
    let mut story = ledger.story(call.scope(), patient.person, count + 1, skip).await?;
    let wide = usize::try_from(count).unwrap_or(usize::MAX);
    let more = story.len() > wide;
    story.truncate(wide);
    let base = call.base();
    let address = format!("{base}/Patient/{id}/$ledger?_count={count}");
    let mut text = String::with_capacity(story.len() * 2_048 + 512);
    text.push_str(r#"{"resourceType":"Bundle","meta":{"lastUpdated":""#);
    text.push_str(&instant(horizon));
    text.push_str(r#""},"type":"searchset","link":[{"relation":"self","url":""#);
    text.push_str(&address);
    if skip > 0 {
        let _ = write!(text, "&{}={skip}", links::PAGE);
    }
    text.push_str(r#""}"#);
    if more {
        let _ = write!(text, r#",{{"relation":"next","url":"{address}&{}={}"}}"#, links::PAGE, skip + count);
    }
    text.push(']');
    let mut mark = r#","entry":["#;
    for (entry, stored) in &story {
        text.push_str(mark);
        mark = ",";
        push(&mut text, &base, entry, stored.as_ref());
    }
    text.push_str(if story.is_empty() { "}" } else { "]}" });
    Ok(json(StatusCode::OK, text))
}

fn wanted(given: &Given) -> Result<(i64, i64), Refusal> {
    let number =
        |name: &str| Ok::<_, Refusal>(given.only(name)?.map(|text| text.parse::<i64>().ok().filter(|number| *number >= 0)));
    let count = match number("_count")? {
        None => COUNT_DEFAULT,
        Some(count) => count.ok_or_else(|| Refusal::bad("invalid-count", "_count must be a whole number."))?,
    };
    let skip = number(links::PAGE)?.unwrap_or(Some(0));
    let skip = skip.ok_or_else(|| Refusal::bad("invalid-page", "This page link is not one of ours."))?;
    Ok((count.clamp(1, i64::from(COUNT_MAX)), skip))
}

/// An entry with its resource as it was then; where none is left to show, a sentence says why.
fn push(text: &mut String, base: &str, entry: &Entry, stored: Option<&Stored>) {
    let mode = match stored.filter(|stored| !stored.deleted && entry.line != Line::Left) {
        Some(stored) => {
            push_entry(text, base, stored);
            "match"
        }
        None => {
            let words = if entry.line == Line::Linked {
                "Two records were united here."
            } else if entry.line == Line::Parted {
                "Two records that were united were parted here."
            } else if entry.line == Line::Left {
                "The resource was corrected here: it is not about this patient any more."
            } else if stored.is_some() {
                "The resource was deleted here."
            } else {
                "The resource is not kept any more."
            };
            text.push_str(r#"{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","diagnostics":""#);
            text.push_str(words);
            text.push_str(r#""}]}"#);
            "outcome"
        }
    };
    let _ = write!(text, r#","search":{{"mode":"{mode}"}},"extension":[{{"url":"{LEDGER_ENTRY}","extension":["#);
    let source = serde_json::Value::from(entry.source.as_str());
    let _ = write!(
        text,
        r#"{{"url":"source","valueString":{source}}},{{"url":"line","valueCode":"{}"}},{{"url":"how","valueCode":"{}"}},"#,
        entry.line.word(),
        entry.how.word()
    );
    let _ = write!(
        text,
        r#"{{"url":"happened","valueInstant":"{}"}},{{"url":"learned","valueInstant":"{}"}},"#,
        instant(entry.happened),
        instant(entry.learned)
    );
    let _ = write!(
        text,
        r#"{{"url":"version","valueString":"{}/{}/_history/{}"}},{{"url":"hash","valueString":"{}"}}]}}]}}"#,
        entry.kind, entry.id, entry.version, entry.hash
    );
}
