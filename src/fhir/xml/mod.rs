//! Resources in XML: read into JSON, and written from JSON. The work between them is the library's, behind a guard of ours.
//! Follows <https://hl7.org/fhir/R4/xml.html>.
//!
//! fhirbolt can panic, loop for ever and overflow the stack on short hostile input, and it trims the white space of a
//! narrative. So it only ever sees what the guard has written anew: one whole document of known elements, of bounded depth,
//! with a number in the place of each narrative. It stands in two functions that are not generic, where a panic is caught.

mod guard;
mod narrative;
mod read;
mod tidy;
mod write;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fhirbolt::FhirReleases;
use serde_json::Value;

use super::outcome::Issue;

pub use guard::{ATTRIBUTES_MAX, DEPTH_MAX};

/// A generic element of R4, as the library holds it.
type Element = fhirbolt::element::Element<{ FhirReleases::R4 }>;

/// What was read from XML.
#[derive(Debug)]
pub struct Read {
    /// The resource; where a fault was found, something harmless stands in its place.
    pub value: Value,
    /// Faults that can be seen in XML alone. With any of them the resource must not be taken.
    pub faults: Vec<Issue>,
}

/// Reads one resource. The error is what kept it from being read to its end; everything else is for the usual check.
pub fn read(bytes: &[u8]) -> Result<Read, Vec<Issue>> {
    let guarded = guard::read(bytes)?;
    let element = parse(&guarded.text).ok_or_else(|| {
        let words = "The XML could not be understood as a resource of R4; compare it with the schema.";
        vec![Issue::error("structure", "not-xml", "", words)]
    })?;
    Ok(Read { value: read::resource(&element, &guarded.narratives), faults: guarded.faults })
}

/// Writes one resource, given as the text of its JSON; `None` if it cannot be said in XML.
#[must_use]
pub fn write(json: &str, pretty: bool) -> Option<String> {
    let value: Value = serde_json::from_str(json).ok()?;
    let (element, narratives) = write::resource(&value)?;
    Some(tidy::tidy(&print(&element)?, &narratives, pretty))
}

/// The library reads; a panic of it is an answer like any other.
fn parse(text: &str) -> Option<Element> {
    catch_unwind(AssertUnwindSafe(|| fhirbolt::xml::from_str::<Element>(text, None).ok())).ok().flatten()
}

/// The library writes; a panic of it is an answer like any other.
fn print(element: &Element) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| fhirbolt::xml::to_string(element, None).ok())).ok().flatten()
}
