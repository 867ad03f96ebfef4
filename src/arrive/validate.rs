//! Says what would be wrong with a resource, and stores nothing.
//! Follows <https://hl7.org/fhir/R4/resource-operation-validate.html>.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::body;
use super::call::{Call, json};
use super::given::{ONCE, wrong};
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::read::current;
use crate::check::canon::Canon;
use crate::check::{self, profile, thorough};
use crate::fhir::outcome::{Issue, operation_outcome};
use crate::fhir::search::pairs;
use crate::identify::references::{Links, rewrite};

/// `POST [type]/$validate`, `POST [type]/[id]/$validate`, and `GET [type]/[id]/$validate` for what is stored.
pub(super) const OPERATION: Operation = Operation {
    name: "validate",
    at: &[(Level::Type, Methods::Post), (Level::Instance, Methods::Both)],
    types: &[],
    definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    documentation: "All faults of a resource, sent or stored, as if it were written now; nothing is stored.",
    changes: false,
    answer: |call, asked| Box::pin(validate(call, asked)),
};

/// What is to be looked at, and how.
#[derive(Debug, Default)]
struct Wish {
    mode: Option<String>,
    profile: Option<String>,
    resource: Option<Value>,
    issues: Vec<Issue>,
}

async fn validate(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let (kind, id) = (asked.kind.unwrap_or_default(), asked.id);
    let mut wish = sent(call, asked.method, kind, asked.body).await?;
    for (name, value) in pairs(call.query.unwrap_or_default()).map_err(|issue| vec![issue])? {
        let given = match name.as_str() {
            "mode" => wish.mode.replace(value),
            "profile" => wish.profile.replace(value),
            _ => None,
        };
        if given.is_some() {
            return Err(wrong(&name, ONCE));
        }
    }
    let mode = wish.mode.as_deref().unwrap_or("profile");
    if !["create", "update", "delete", "profile"].contains(&mode) {
        return Err(Refusal::bad("invalid-mode", "The mode is create, update, delete or profile."));
    }
    if mode == "delete" {
        let id = id.ok_or_else(|| Refusal::bad("missing-id", "A delete is tried out at [type]/[id]/$validate."))?;
        current(call, kind, id).await?;
        return Ok(told(&[]));
    }
    match (&wish.resource, id) {
        (None, Some(id)) if wish.issues.is_empty() => {
            let stored = current(call, kind, id).await?;
            let value: Value = serde_json::from_str(&stored.text()).map_err(|error| Refusal::ours(error.to_string()))?;
            wish.issues = check::value(&value, Some(kind), "");
            wish.resource = Some(value);
        }
        (None, None) if wish.issues.is_empty() => {
            return Err(Refusal::bad("missing-resource", "Send a resource, alone or as the parameter resource."));
        }
        _ => {}
    }
    if let Some(resource) = &wish.resource {
        wish.issues.extend(of_address(resource, kind, id.filter(|_| mode == "update"), mode));
        let mut found = misled(resource, call.base());
        found.retain(|issue| !wish.issues.contains(issue));
        wish.issues.extend(found);
    }
    if let Some(resource) = wish.resource.take() {
        let own = id.or_else(|| resource["id"].as_str()).unwrap_or_default();
        wish.issues.extend(call.door.flow.rule_faults(call.scope(), own, &resource).await?);
        let (canon, profile) = (call.door.flow.canon(call.scope()).await?, wish.profile.take());
        // Who tries a write hears as an error only what the write would be refused for.
        let is_trial = matches!(mode, "create" | "update");
        // Aside: what a profile asks may be much work, for which others are not to wait.
        let held = tokio::task::spawn_blocking(move || held(&canon, &resource, profile.as_deref(), is_trial)).await;
        let mut found = held.map_err(|error| Refusal::ours(error.to_string()))?;
        found.retain(|issue| !wish.issues.contains(issue));
        wish.issues.extend(found);
    }
    Ok(told(&wish.issues))
}

/// What is wrong with references that name what is here by our own address, as a write finds it.
fn misled(resource: &Value, base: String) -> Vec<Issue> {
    let (links, mut meant) = (Links { base, ..Links::default() }, resource.clone());
    let place = resource["resourceType"].as_str().unwrap_or_default();
    if rewrite(&mut meant, "", &links, place).changed { check::references(&meant, place) } else { Vec::new() }
}

/// What profiles and terms say of a resource: those that it claims, and the one that is asked for by name.
fn held(canon: &Canon, resource: &Value, profile: Option<&str>, is_trial: bool) -> Vec<Issue> {
    let place = resource["resourceType"].as_str().unwrap_or_default();
    let mut found = if is_trial { profile::claimed(canon, resource, place, &[]) } else { thorough::all(canon, resource, place) };
    found.extend(profile.into_iter().flat_map(|address| profile::asked(canon, resource, address, place)));
    found
}

fn told(issues: &[Issue]) -> Response {
    json(StatusCode::OK, operation_outcome(issues).to_string())
}

/// What the body holds: Parameters, or a bare resource. No body at all asks for what is stored.
async fn sent(call: &Call<'_>, method: &Method, kind: &str, sent: Body) -> Result<Wish, Refusal> {
    let settings = &call.door.settings;
    let bytes_max = if kind == "Bundle" { settings.bundle_bytes_max } else { settings.resource_bytes_max };
    let Some(bytes) = body::asked(call, method, sent, bytes_max).await? else { return Ok(Wish::default()) };
    let (value, issues) = check::examined(&bytes, bytes_max);
    match value {
        Some(value) if value["resourceType"] == "Parameters" && is_asking(&value, kind) => of_parameters(value, issues),
        resource => Ok(Wish { resource, issues, ..Wish::default() }),
    }
}

/// Whether these Parameters ask for a validation, or are themselves what shall be looked at.
fn is_asking(parameters: &Value, kind: &str) -> bool {
    kind != "Parameters" || list(parameters).iter().any(|one| one["name"] == "resource")
}

fn list(parameters: &Value) -> &[Value] {
    parameters["parameter"].as_array().map_or(&[], Vec::as_slice)
}

/// Takes the parameters apart. Faults of the resource in them are placed in it; others are faults of the question.
fn of_parameters(mut parameters: Value, issues: Vec<Issue>) -> Result<Wish, Refusal> {
    let count = |name: &str| list(&parameters).iter().filter(|one| one["name"] == name).count();
    if let Some(name) = ["mode", "profile", "resource"].into_iter().find(|name| count(name) > 1) {
        return Err(wrong(name, ONCE));
    }
    let word = |name: &str| {
        let one = list(&parameters).iter().find(|one| one["name"] == name)?.as_object()?;
        one.iter().find(|(key, _)| key.starts_with("value")).and_then(|(_, value)| value.as_str()).map(ToOwned::to_owned)
    };
    let (mode, profile) = (word("mode"), word("profile"));
    let at = list(&parameters).iter().position(|one| one["name"] == "resource");
    let resource = at.map(|at| parameters["parameter"][at]["resource"].take()).filter(Value::is_object);
    let prefix = at.map(|at| format!("Parameters.parameter[{at}].resource"));
    let kind = resource.as_ref().and_then(|resource| resource["resourceType"].as_str()).unwrap_or("Resource");
    let mut wish = Wish { mode, profile, ..Wish::default() };
    let mut others = Vec::new();
    for mut issue in issues {
        match prefix.as_ref().and_then(|prefix| issue.expression.strip_prefix(prefix.as_str())) {
            Some(rest) => {
                issue.expression = format!("{kind}{rest}");
                wish.issues.push(issue);
            }
            None if issue.refuses() => others.push(issue),
            None => {}
        }
    }
    wish.resource = resource;
    if others.is_empty() { Ok(wish) } else { Err(others.into()) }
}

/// What the address wants of the resource.
fn of_address(resource: &Value, kind: &str, id: Option<&str>, mode: &str) -> Vec<Issue> {
    let mut issues = Vec::new();
    if let Some(own) = resource["resourceType"].as_str().filter(|own| *own != kind) {
        let words = format!("The address takes a {kind}; send this resource to the $validate of its own type.");
        issues.push(Issue::error("invalid", "wrong-resource-type", own, words));
    }
    if mode != "update" {
        return issues;
    }
    match (resource["id"].as_str(), id) {
        (None, _) => {
            let words = "An update needs the id in the resource, too.";
            issues.push(Issue::error("required", "missing-id", format!("{kind}.id"), words));
        }
        (Some(own), Some(id)) if own != id => {
            let words = "The id of the resource must be the id in the address.";
            issues.push(Issue::error("invalid", "wrong-id", format!("{kind}.id"), words));
        }
        _ => {}
    }
    issues
}
