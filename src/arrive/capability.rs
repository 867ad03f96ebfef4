//! The CapabilityStatement: what is really served, from the registries that serve it.
//! Follows <https://hl7.org/fhir/R4/capabilitystatement.html>.

use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, empty, json as answer};
use super::operations::{Level, OPERATIONS, Operation};
use super::patch;
use crate::fhir::definitions::{is_resource, resource_names};
use crate::fhir::search::parse::is_served;
use crate::fhir::search::{COMPARTMENTS, Parameter, ParameterKind, parameters, unsupported};

/// Day of the last change of what is offered.
const DATE: &str = "2026-11-26";
/// Stands in the text where our address goes.
const HERE: &str = "urn:signa:here";
/// Types that are no records: they exist only inside requests and answers.
const NOT_KEPT: [&str; 2] = ["Parameters", "OperationOutcome"];

/// Whether resources of this type can be stored and asked for.
pub(super) fn is_kept(kind: &str) -> bool {
    is_resource(kind) && !NOT_KEPT.contains(&kind)
}

/// The statement, made once.
pub(super) struct Capability {
    before: String,
    after: String,
    tag: HeaderValue,
}

impl Capability {
    /// What this program serves.
    pub(super) fn of_this_house() -> Self {
        let text = statement().to_string();
        let sum =
            text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let tag = HeaderValue::try_from(format!("W/\"{sum:016x}\"")).unwrap_or(HeaderValue::from_static("W/\"0\""));
        let (before, after) = text.split_once(HERE).unwrap_or((text.as_str(), ""));
        Self { before: before.to_owned(), after: after.to_owned(), tag }
    }

    /// The text for a client that sees us at this address.
    pub(super) fn text(&self, base: &str) -> String {
        [&self.before, base, &self.after].concat()
    }
}

/// `GET /metadata`
pub(super) fn metadata(call: &Call<'_>) -> Response {
    let capability = &call.door.capability;
    let own = capability.tag.to_str().unwrap_or_default();
    let asked = call.headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let known =
        asked.split(',').map(str::trim).any(|tag| tag == "*" || (!tag.is_empty() && own.ends_with(tag.trim_start_matches("W/"))));
    let mut response =
        if known { empty(StatusCode::NOT_MODIFIED) } else { answer(StatusCode::OK, capability.text(&call.base())) };
    response.headers_mut().insert(ETAG, capability.tag.clone());
    response
}

fn statement() -> Value {
    let mut statement = json!({
        "resourceType": "CapabilityStatement",
        "url": "https://signa.example/fhir/CapabilityStatement/signa",
        "version": env!("CARGO_PKG_VERSION"),
        "name": "Signa",
        "title": "Signa, a FHIR gateway with one patient ledger",
        "status": "active",
        "date": DATE,
        "publisher": "Signa",
        "description": "Keeps one ledger for each patient and says, at the right time, what should happen next.",
        "kind": "instance",
        "software": {"name": "Signa", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "This gateway", "url": HERE},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": patch::FORMATS,
        "rest": [{
            "mode": "server",
            "documentation": documentation(),
            "resource": resource_names().filter(|kind| is_kept(kind)).map(resource).collect::<Vec<_>>(),
            "interaction": [{"code": "transaction"}, {"code": "batch"}, {"code": "history-system"}, {"code": "search-system"}],
            "searchParam": search_parameters("Basic").into_iter().filter(is_common).collect::<Vec<_>>(),
            "compartment": COMPARTMENTS.map(compartment),
        }],
    });
    let operations = offered(|operation| operation.methods(Level::System).is_some());
    if !operations.is_empty() {
        statement["rest"][0]["operation"] = operations.into();
    }
    statement
}

fn resource(kind: &str) -> Value {
    let interactions =
        ["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"];
    let mut resource = json!({
        "type": kind,
        "profile": format!("http://hl7.org/fhir/StructureDefinition/{kind}"),
        "interaction": interactions.map(|code| json!({"code": code})),
        "versioning": "versioned-update",
        "readHistory": true,
        "updateCreate": true,
        "conditionalCreate": true,
        "conditionalRead": "full-support",
        "conditionalUpdate": true,
        "conditionalDelete": "single",
        // Not "enforced": a reference may lead to what is not there yet, or not there any more.
        "referencePolicy": ["literal", "logical", "local"],
        "searchParam": search_parameters(kind),
    });
    // FHIR knows no empty lists.
    for (name, all) in [("searchInclude", includes(kind)), ("searchRevInclude", reverse_includes(kind))] {
        if !all.is_empty() {
            resource[name] = all.into();
        }
    }
    let operations = offered(|operation| operation.is_for(Level::Type, kind) || operation.is_for(Level::Instance, kind));
    if !operations.is_empty() {
        resource["operation"] = operations.into();
    }
    resource
}

/// The address of a compartment's definition.
fn compartment(kind: &str) -> String {
    format!("http://hl7.org/fhir/CompartmentDefinition/{}", kind.to_lowercase())
}

/// The operations that are offered there.
fn offered(here: impl Fn(&Operation) -> bool) -> Vec<Value> {
    let shown = |operation: &&Operation| {
        let Operation { name, definition, documentation, .. } = operation;
        json!({"name": name, "definition": definition, "documentation": documentation})
    };
    OPERATIONS.iter().copied().filter(|operation| here(operation)).map(|operation| shown(&operation)).collect()
}

fn search_parameters(kind: &str) -> Vec<Value> {
    let common = [("_id", "token"), ("_lastUpdated", "date")];
    let common = common.map(|(name, sort)| json!({"name": name, "type": sort}));
    let own = parameters(kind).iter().filter(|parameter| is_served(parameter));
    common.into_iter().chain(own.map(|parameter| json!({"name": parameter.code, "type": word(parameter.kind)}))).collect()
}

/// What is said in words, the parameters that are not offered among it.
fn documentation() -> String {
    let missing: Vec<String> = unsupported().iter().map(|(kind, code)| format!("{kind}.{code}")).collect();
    format!(
        "Answers are JSON or XML; without Prefer, creates and updates answer with the resource. An update that changes nothing makes \
         no new version. A resource is deleted also while others refer to it. All search parameters of R4 are offered but those that have no expression or need a terminology or a full text: {}, and _list.",
        missing.join(", ")
    )
}

/// Whether a search of several types may name it.
fn is_common(parameter: &Value) -> bool {
    parameter["name"].as_str().is_some_and(|name| name.starts_with('_'))
}

/// What of it may lead to the resources beside its matches.
fn includes(kind: &str) -> Vec<String> {
    references(kind).map(|parameter| format!("{kind}:{}", parameter.code)).collect()
}

/// What of other types leads to it by name. Of what may lead to any type only where things came from is named: all of it would
/// make the statement several times as long.
fn reverse_includes(kind: &str) -> Vec<String> {
    let leads = |parameter: &&Parameter| parameter.targets.contains(&kind) && parameter.targets.len() < ANY_TARGET_MIN;
    let of = |other: &'static str| references(other).filter(leads).map(move |parameter| format!("{other}:{}", parameter.code));
    resource_names().flat_map(of).chain([String::from("Provenance:target")]).collect()
}

/// A parameter of so many targets means any type.
const ANY_TARGET_MIN: usize = 100;

fn references(kind: &str) -> impl Iterator<Item = &'static Parameter> {
    parameters(kind).iter().filter(|parameter| parameter.kind == ParameterKind::Reference && is_served(parameter))
}

fn word(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Token => "token",
        ParameterKind::String => "string",
        ParameterKind::Date => "date",
        ParameterKind::Reference => "reference",
        ParameterKind::Uri => "uri",
        ParameterKind::Number => "number",
        ParameterKind::Quantity => "quantity",
        ParameterKind::Composite => "composite",
        ParameterKind::Special => "special",
    }
}
