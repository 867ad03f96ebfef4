//! Which place a path leads to. Paths are split by hand: it is the shortest way, and every answer is ours.
//! Follows <https://hl7.org/fhir/R4/http.html#2.21.0>.

use super::operations::{Level, Methods, Operation};
use crate::fhir::definitions::is_resource;
use crate::fhir::search::COMPARTMENTS;

/// A place that a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/health/live`
    Live,
    /// `/health/ready`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/openapi.json`
    OpenApi,
    /// `/fhir`
    Base,
    /// `/fhir/metadata`
    Metadata,
    /// `/fhir/[type]`
    Kind(&'a str),
    /// `/fhir/[type]/_search`
    Search(&'a str),
    /// `/fhir/_search`
    SystemSearch,
    /// `/fhir/[compartment]/[id]/[type]`, or `*` for all types
    Compartment(&'a str, &'a str, &'a str),
    /// `/fhir/[compartment]/[id]/[type]/_search`
    CompartmentSearch(&'a str, &'a str, &'a str),
    /// `/fhir/[type]/[id]`
    Instance(&'a str, &'a str),
    /// `/fhir/[type]/[id]/_history`
    History(&'a str, &'a str),
    /// `/fhir/_history` and `/fhir/[type]/_history`
    Changes(Option<&'a str>),
    /// `/fhir/[type]/[id]/_history/[version]`
    Version(&'a str, &'a str, &'a str),
    /// `/fhir/$name`, `/fhir/[type]/$name` or `/fhir/[type]/[id]/$name`
    Operation(&'static Operation, Methods, Option<&'a str>, Option<&'a str>),
    /// Nothing is here.
    Nowhere,
}

impl<'a> Route<'a> {
    /// Where the path leads; a slash at its end changes nothing.
    pub(super) fn of(path: &'a str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        match path {
            "/health/live" => return Self::Live,
            "/health/ready" => return Self::Ready,
            "/metrics" => return Self::Metrics,
            "/openapi.json" => return Self::OpenApi,
            _ => {}
        }
        let Some(rest) = path.strip_prefix("/fhir") else { return Self::Nowhere };
        let Some(rest) = rest.strip_prefix('/') else {
            return if rest.is_empty() { Self::Base } else { Self::Nowhere };
        };
        let mut segments = rest.split('/');
        let first = segments.next().unwrap_or_default();
        let whole = (first, segments.next(), segments.next(), segments.next(), segments.next());
        if let Some(operation) = Self::operation(whole) {
            return operation;
        }
        match whole {
            (name, None, ..) if name.starts_with('$') => Self::Nowhere,
            ("metadata", None, ..) => Self::Metadata,
            ("_history", None, ..) => Self::Changes(None),
            (kind, Some("_history"), None, ..) => Self::Changes(Some(kind)),
            ("_search", None, ..) => Self::SystemSearch,
            (kind, None, ..) => Self::Kind(kind),
            (kind, Some("_search"), None, ..) => Self::Search(kind),
            (_, Some(""), ..) | ("_history", ..) => Self::Nowhere,
            (kind, Some(id), None, ..) if !id.starts_with(['_', '$']) => Self::Instance(kind, id),
            (kind, Some(id), Some("_history"), None, _) => Self::History(kind, id),
            (kind, Some(id), Some("_history"), Some(version), None) => Self::Version(kind, id, version),
            (of, Some(id), Some(kind), None, _) if is_compartment(of, kind) => Self::Compartment(of, id, kind),
            (of, Some(id), Some(kind), Some("_search"), None) if is_compartment(of, kind) => {
                Self::CompartmentSearch(of, id, kind)
            }
            _ => Self::Nowhere,
        }
    }

    fn operation(segments: (&'a str, Option<&'a str>, Option<&'a str>, Option<&str>, Option<&str>)) -> Option<Self> {
        let (name, level, kind, id) = match segments {
            (name, None, ..) => (name, Level::System, None, None),
            (kind, Some(name), None, ..) => (name, Level::Type, Some(kind), None),
            (kind, Some(id), Some(name), None, _) => (name, Level::Instance, Some(kind), Some(id)),
            _ => return None,
        };
        let found = Operation::named(name.strip_prefix('$')?, level, kind.unwrap_or_default())?;
        Some(Self::Operation(found, found.methods(level)?, kind, id))
    }

    /// The type and the id that the path names.
    pub(super) fn subject(&self) -> (Option<&'a str>, Option<&'a str>) {
        match *self {
            Self::Kind(kind) | Self::Search(kind) => (Some(kind), None),
            Self::Instance(kind, id) | Self::History(kind, id) | Self::Version(kind, id, _) => (Some(kind), Some(id)),
            Self::Operation(_, _, kind, id) => (kind, id),
            Self::Changes(kind) => (kind, None),
            Self::Compartment(of, id, _) | Self::CompartmentSearch(of, id, _) => (Some(of), Some(id)),
            _ => (None, None),
        }
    }

    /// The methods that are offered there, with a query or without one, as `Allow` states them.
    pub(super) fn allow(&self, has_query: bool) -> &'static str {
        match self {
            Self::Search(_) | Self::SystemSearch | Self::CompartmentSearch(..) => "POST, OPTIONS",
            Self::Kind(_) if has_query => "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            Self::Base | Self::Kind(_) => "GET, HEAD, POST, OPTIONS",
            Self::Instance(..) => "GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
            Self::Operation(_, methods, ..) => methods.allow(),
            _ => "GET, HEAD, OPTIONS",
        }
    }
}

/// Whether this is a compartment, and that a type to be searched in it.
fn is_compartment(of: &str, kind: &str) -> bool {
    COMPARTMENTS.contains(&of) && (kind == "*" || is_resource(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrive::{ledger, validate};

    #[test]
    fn every_path_leads_somewhere() {
        for (path, expected) in [
            ("/", Route::Nowhere),
            ("", Route::Nowhere),
            ("/fhir", Route::Base),
            ("/fhir/", Route::Base),
            ("/fhirx", Route::Nowhere),
            ("/fhir/metadata", Route::Metadata),
            ("/fhir/Patient", Route::Kind("Patient")),
            ("/fhir/Patient/", Route::Kind("Patient")),
            ("/fhir/Patient/_search", Route::Search("Patient")),
            ("/fhir/Patient/1", Route::Instance("Patient", "1")),
            ("/fhir/Patient/_history", Route::Changes(Some("Patient"))),
            ("/fhir/_history", Route::Changes(None)),
            ("/fhir/_history/1", Route::Nowhere),
            ("/fhir/Patient/$x", Route::Nowhere),
            ("/fhir/Patient//", Route::Nowhere),
            ("/fhir/Patient/1/_history", Route::History("Patient", "1")),
            ("/fhir/Patient/1/_history/2", Route::Version("Patient", "1", "2")),
            ("/fhir/Patient/1/_history/2/3", Route::Nowhere),
            ("/fhir/Patient/1/$ledger", Route::Operation(&ledger::OPERATION, Methods::Both, Some("Patient"), Some("1"))),
            ("/fhir/Task/1/$ledger", Route::Nowhere),
            ("/fhir/Task/$validate/", Route::Operation(&validate::OPERATION, Methods::Post, Some("Task"), None)),
            ("/fhir/Task/1/$validate", Route::Operation(&validate::OPERATION, Methods::Both, Some("Task"), Some("1"))),
            ("/fhir/$ledger", Route::Nowhere),
            ("/fhir/_search", Route::SystemSearch),
            ("/fhir/Patient/1/Task", Route::Compartment("Patient", "1", "Task")),
            ("/fhir/Patient/1/*", Route::Compartment("Patient", "1", "*")),
            ("/fhir/Patient/1/Task/_search", Route::CompartmentSearch("Patient", "1", "Task")),
            ("/fhir/Patient/1/Banana", Route::Nowhere),
            ("/fhir/Task/1/Patient", Route::Nowhere),
            ("/health/live", Route::Live),
            ("/health/ready", Route::Ready),
            ("/metrics", Route::Metrics),
            ("/openapi.json", Route::OpenApi),
        ] {
            assert_eq!(Route::of(path), expected, "{path}");
        }
    }
}
