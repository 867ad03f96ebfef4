//! Whether a resource that is not stored yet answers a search: for references to what the same Bundle creates.
//! Follows <https://hl7.org/fhir/R4/search.html>.

use serde_json::Value;

use crate::fhir::search::Subject;
use crate::fhir::search::query::{Criterion, Query};

/// Whether the resource answers the query. It has no id and no stamp yet, so criteria that ask for them are not answered,
/// and neither are chains, which lead out of it.
#[must_use]
pub fn matches(resource: &Value, query: &Query, now: i64) -> bool {
    let subject = Subject { kind: &query.kind, id: "", updated: None, value: resource, now };
    query.criteria.iter().all(|criterion| !is_unanswered(criterion) && subject.meets(criterion))
}

fn is_unanswered(criterion: &Criterion) -> bool {
    matches!(criterion, Criterion::Id(_) | Criterion::Updated(_))
}
