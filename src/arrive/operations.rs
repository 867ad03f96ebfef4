//! What can be asked beside the plain interactions: routing, `Allow`, the CapabilityStatement and the descriptions come from here.
//! Follows <https://hl7.org/fhir/R4/operations.html>.

use std::pin::Pin;

use axum::body::Body;
use axum::http::Method;
use axum::response::Response;

use super::call::Call;
use super::outcome::Refusal;
use super::{
    adherence, effect, everything, expand, ledger, lookup, matching, meta, pix, secret, simulate, status, subsumes, translate,
    validate, validate_code, why,
};

/// All operations. A new one is a file here (`arrive/<name>.rs`) with an `OPERATION`, its `mod` line, and its line in this list;
/// nothing else has to be told about it.
pub(super) const OPERATIONS: &[&Operation] = &[
    &adherence::OPERATION,
    &effect::OPERATION,
    &everything::OPERATION,
    &expand::OPERATION,
    &ledger::OPERATION,
    &lookup::OPERATION,
    &matching::OPERATION,
    &meta::ADD,
    &meta::DELETE,
    &meta::READ,
    &pix::OPERATION,
    &secret::OPERATION,
    &simulate::OPERATION,
    &status::OPERATION,
    &subsumes::OPERATION,
    &translate::OPERATION,
    &validate::OPERATION,
    &validate_code::OPERATION,
    &why::WHY,
    &why::WHY_NOT,
];

/// An operation that is offered.
#[derive(Debug)]
pub(super) struct Operation {
    /// Its name without the dollar sign.
    pub(super) name: &'static str,
    /// Where it is asked, and how.
    pub(super) at: &'static [(Level, Methods)],
    /// The resource types it is offered for; empty means all. Of no meaning for [`Level::System`].
    pub(super) types: &'static [&'static str],
    /// The canonical address of its OperationDefinition.
    pub(super) definition: &'static str,
    /// One sentence on what it is good for.
    pub(super) documentation: &'static str,
    /// Whether what is stored is another thing after it.
    pub(super) changes: bool,
    /// Answers it. The address was looked at: level, type and method are offered.
    pub(super) answer: Handler,
}

/// Answers an operation.
pub(super) type Handler = for<'a> fn(&'a Call<'a>, Asked<'a>) -> Answering<'a>;

/// An answer in the making.
pub(super) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send + 'a>>;

/// What is asked of an operation.
pub(super) struct Asked<'a> {
    /// `GET`, `HEAD` or `POST`.
    pub(super) method: &'a Method,
    /// The resource type in the address.
    pub(super) kind: Option<&'a str>,
    /// The id in the address.
    pub(super) id: Option<&'a str>,
    /// The body, not yet read.
    pub(super) body: Body,
}

/// At which addresses an operation is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// `/fhir/$name`
    System,
    /// `/fhir/[type]/$name`
    Type,
    /// `/fhir/[type]/[id]/$name`
    Instance,
}

/// How an operation is asked: all by POST, and those that change nothing and need no resource by GET as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Methods {
    /// Only sent.
    Post,
    /// Either way.
    Both,
}

impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Operation {}

impl Operation {
    /// The operation of this name, if it is offered at this level for this type.
    pub(super) fn named(name: &str, level: Level, kind: &str) -> Option<&'static Self> {
        OPERATIONS.iter().copied().find(|operation| operation.name == name && operation.is_for(level, kind))
    }

    /// Whether it is offered at this level for this type.
    pub(super) fn is_for(&self, level: Level, kind: &str) -> bool {
        let is_typed = level != Level::System && !self.types.is_empty();
        self.methods(level).is_some() && (!is_typed || self.types.contains(&kind))
    }

    /// How it is asked at this level.
    pub(super) fn methods(&self, level: Level) -> Option<Methods> {
        self.at.iter().find(|(own, _)| *own == level).map(|(_, methods)| *methods)
    }
}

impl Methods {
    /// Whether it may be asked by this method.
    pub(super) fn allow_method(self, method: &Method) -> bool {
        match *method {
            Method::GET | Method::HEAD => self != Self::Post,
            Method::POST => true,
            _ => false,
        }
    }

    /// The methods as `Allow` states them.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Post => "POST, OPTIONS",
            Self::Both => "GET, HEAD, POST, OPTIONS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::definitions::is_resource;

    #[test]
    fn an_operation_is_found_where_it_is_offered() {
        assert_eq!(Operation::named("ledger", Level::Instance, "Patient").map(|found| found.name), Some("ledger"));
        assert!(Operation::named("ledger", Level::Instance, "Task").is_none());
        assert!(Operation::named("ledger", Level::Type, "Patient").is_none());
        assert!(Operation::named("validate", Level::Type, "Task").is_some());
        assert!(Operation::named("nothing", Level::Type, "Task").is_none());
    }

    #[test]
    fn every_operation_is_whole() {
        for operation in OPERATIONS {
            assert!(!operation.at.is_empty() && operation.documentation.ends_with('.'), "{}", operation.name);
            assert!(operation.definition.contains("/OperationDefinition/"), "{}", operation.name);
            assert!(operation.types.iter().all(|kind| is_resource(kind)), "{}", operation.name);
            assert_eq!(OPERATIONS.iter().filter(|other| **other == *operation).count(), 1, "{}", operation.name);
        }
    }
}
