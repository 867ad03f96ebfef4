//! A searchset Bundle, put together as text: what is stored is not read again unless only a part of it is shown.
//! Follows <https://hl7.org/fhir/R4/bundle.html#searchset>.

use crate::fhir::outcome::{Issue, operation_outcome};
use crate::fhir::search::Shape;
use crate::fhir::search::parse::Parsed;
use crate::fhir::time::instant;
use crate::ledger::Stored;
use crate::ledger::search::Page;

/// What is answered.
pub(super) struct Answer<'a> {
    pub(super) base: &'a str,
    pub(super) parsed: &'a Parsed,
    pub(super) page: &'a Page,
    pub(super) beside: &'a [Stored],
    pub(super) itself: &'a str,
    pub(super) next: Option<String>,
    pub(super) remarks: Vec<Issue>,
}

/// The Bundle.
pub(super) fn searchset(answer: &Answer<'_>) -> String {
    let found = if answer.parsed.summary_count { &[][..] } else { &answer.page.found };
    let (base, itself) = (answer.base, answer.itself);
    let size: usize =
        found.iter().chain(answer.beside).map(|stored| stored.body.len() + stored.meta.len() + base.len() + 300).sum();
    let mut text = String::with_capacity(size + itself.len() * 2 + 512);
    text.push_str(r#"{"resourceType":"Bundle","meta":{"lastUpdated":""#);
    text.push_str(&instant(answer.page.horizon));
    text.push_str(r#""},"type":"searchset""#);
    if let Some(total) = total(answer.parsed, answer.page) {
        text.push_str(r#","total":"#);
        text.push_str(&total.to_string());
    }
    text.push_str(r#","link":[{"relation":"self","url":""#);
    text.push_str(itself);
    text.push_str(r#""}"#);
    if let Some(next) = &answer.next {
        text.push_str(r#",{"relation":"next","url":""#);
        text.push_str(next);
        text.push_str(r#""}"#);
    }
    text.push(']');
    let mut mark = r#","entry":["#;
    for (stored, mode) in
        found.iter().map(|stored| (stored, "match")).chain(answer.beside.iter().map(|stored| (stored, "include")))
    {
        text.push_str(mark);
        mark = ",";
        push_shaped(&mut text, base, stored, &answer.parsed.shape);
        text.push_str(r#","search":{"mode":""#);
        text.push_str(mode);
        text.push_str(r#""}}"#);
    }
    if !answer.remarks.is_empty() {
        text.push_str(mark);
        mark = ",";
        text.push_str(r#"{"resource":"#);
        text.push_str(&operation_outcome(&answer.remarks).to_string());
        text.push_str(r#","search":{"mode":"outcome"}}"#);
    }
    text.push_str(if mark == "," { "]}" } else { "}" });
    text
}

/// Opens an entry with its address and its resource.
pub(super) fn push_entry(text: &mut String, base: &str, stored: &Stored) {
    push_shaped(text, base, stored, &Shape::Whole);
}

fn push_shaped(text: &mut String, base: &str, stored: &Stored, shape: &Shape) {
    text.push_str(r#"{"fullUrl":""#);
    for part in [base, "/", &stored.kind, "/", &stored.id] {
        text.push_str(part);
    }
    text.push_str(r#"","resource":"#);
    match shape {
        Shape::Whole => stored.write(text),
        shape => text.push_str(&shape.of(stored.value()).to_string()),
    }
}

/// The number of matches, where it was asked for or costs nothing to know.
fn total(parsed: &Parsed, page: &Page) -> Option<i64> {
    if parsed.total_unwanted {
        return None;
    }
    let whole = parsed.query.after.is_none() && page.next.is_none() && !parsed.query.total;
    page.total.or_else(|| i64::try_from(page.found.len()).ok().filter(|_| whole))
}

/// What is said of a parameter that was passed over, or refused for.
pub(super) fn unknown(name: &str, refused: bool) -> Issue {
    let shown: String = name.chars().filter(|letter| !letter.is_control()).take(64).collect();
    if refused {
        let words = format!("The parameter {shown} is not known here.");
        return Issue::error("not-supported", "unknown-parameter", "", words);
    }
    let words = format!("The parameter {shown} is not known here and was passed over.");
    Issue::warning("not-supported", "unknown-parameter", "", words)
}
