//! What a search wants beside what it finds: `_include` and `_revinclude`.
//! Follows <https://hl7.org/fhir/R4/search.html#include>.

use serde_json::Value as Json;

use super::distinct::Distinct;
use super::extract::Value;
use super::parse::is_served;
use super::value::{Fault, invalid, target_of};
use super::{Parameter, ParameterKind, parameter, parameters};
use crate::fhir::definitions::{is_resource, node};

/// One wish for resources beside the matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Whether what refers to the matches is wanted, not what they refer to.
    pub reverse: bool,
    /// Whether what was included is looked at again.
    pub iterate: bool,
    /// The type that holds the references; `None` for every type.
    pub kind: Option<&'static str>,
    /// The code of its parameter; `None` for all of them.
    pub code: Option<&'static str>,
    /// The only type that is wanted of what is referred to.
    pub target: Option<&'static str>,
}

/// Reads `Type:parameter[:target]`, `Type:*` or `*`; `None` if the type has no such parameter.
pub(super) fn read(searched: &str, reverse: bool, iterate: bool, text: &str) -> Result<Option<Include>, Fault> {
    let wrong = || invalid("invalid-include", "it is written Type:parameter or Type:parameter:TargetType");
    if text == "*" && !reverse {
        return Ok(Some(Include { reverse, iterate, kind: None, code: None, target: None }));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (kind, code, target) = match parts.as_slice() {
        [kind, code] => (*kind, *code, None),
        [kind, code, target] => (*kind, *code, Some(*target).filter(|target| !target.is_empty())),
        _ => return Err(wrong()),
    };
    let Some(kind) = node(kind).map(|node| node.name).filter(|kind| is_resource(kind)) else {
        return Err(invalid("invalid-include", "its first part must be a resource type"));
    };
    if code == "*" {
        let target = target.map(|target| node(target).map(|node| node.name).filter(|kind| is_resource(kind)).ok_or_else(wrong));
        return Ok(Some(Include { reverse, iterate, kind: Some(kind), code: None, target: target.transpose()? }));
    }
    let Some(parameter) = parameter(kind, code).filter(|parameter| is_served(parameter)) else { return Ok(None) };
    if parameter.kind != ParameterKind::Reference {
        return Err(invalid("invalid-include", "its second part must be a reference parameter of that type"));
    }
    let target = target.map(|target| target_of(parameter, target)).transpose()?;
    // What can never lead from or to the searched type is a slip, unless something included leads there.
    if reverse && target.is_some_and(|target| target != searched) && !iterate {
        return Err(invalid("invalid-include", "its third part must be the type that is searched"));
    }
    Ok(Some(Include { reverse, iterate, kind: Some(kind), code: Some(parameter.code), target }))
}

impl Include {
    /// The reference parameters of a type that are looked at.
    pub fn parameters(&self, kind: &str) -> impl Iterator<Item = &'static Parameter> {
        let mine = self.kind.is_none_or(|of| of == kind);
        let code = self.code;
        let all = if mine { parameters(kind) } else { &[] };
        let wanted = move |parameter: &&Parameter| match code {
            Some(code) => parameter.code == code,
            // What only narrows another parameter leads nowhere else.
            None => parameter.kind == ParameterKind::Reference && parameter.alias_of.is_none() && is_served(parameter),
        };
        all.iter().filter(wanted)
    }

    /// What a resource refers to by it: `Type/id`, or the canonical address of an artefact.
    #[must_use]
    pub fn references(&self, kind: &str, resource: &Json) -> Vec<String> {
        if self.reverse {
            return Vec::new();
        }
        let mut found = Distinct::new();
        for parameter in self.parameters(kind) {
            for value in parameter.values(resource) {
                let Value::Word(word) = value else { continue };
                let of = word.split_once('/').map(|(kind, _)| kind);
                let fits = self.target.is_none_or(|target| of == Some(target) || word.contains(':'));
                if fits && !word.starts_with('#') {
                    found.add(word);
                }
            }
        }
        found.into_values()
    }
}
