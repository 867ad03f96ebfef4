//! Lists the codes of a value set.
//! Follows <https://hl7.org/fhir/R4/valueset-operation-expand.html>.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{Call, json as answer};
use super::inputs::Inputs;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::terms;
use crate::fhir::terms::{CODES_MAX, Code, Set, Unexpandable};
use crate::fhir::time::instant;

/// `ValueSet/$expand` and `ValueSet/[id]/$expand`
pub(super) const OPERATION: Operation = Operation {
    name: "expand",
    at: &[(Level::Type, Methods::Both), (Level::Instance, Methods::Both)],
    types: &["ValueSet"],
    definition: "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
    documentation: "The codes of a value set whose code systems are on board; filter, count and offset are understood.",
    changes: false,
    answer: |call, asked| Box::pin(expand(call, asked)),
};

async fn expand(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let id = asked.id;
    let inputs = Inputs::read(call, asked, Some("valueSet")).await?;
    let canon = terms::known(call).await?;
    let set = terms::set(call, id, &inputs, &canon).await?;
    let (count, offset) = (inputs.count("count")?, inputs.count("offset")?);
    let expansion = canon.terms.expand(&set).map_err(|why| refusal(&set, &why))?;
    let filter = inputs.text("filter").map(str::to_lowercase);
    let takes = |code: &&Code| {
        let Some(filter) = &filter else { return true };
        filter
            .split_whitespace()
            .all(|word| code.display.to_lowercase().contains(word) || code.code.to_lowercase().contains(word))
    };
    let found: Vec<&Code> = expansion.codes.iter().filter(takes).collect();
    let total = found.len();
    let page = found.into_iter().skip(offset.unwrap_or(0)).take(count.unwrap_or(usize::MAX));
    let mut parameter: Vec<Value> =
        expansion.used.iter().map(|system| terms::out("used-codesystem", "valueUri", system.as_str())).collect();
    parameter.extend(inputs.text("filter").map(|filter| terms::out("filter", "valueString", filter)));
    parameter.extend(count.map(|count| terms::out("count", "valueInteger", count)));
    let mut told = json!({
        "identifier": format!("urn:uuid:{}", Uuid::new_v4()),
        "timestamp": instant(call.door.flow.clock.now()),
        "total": total,
        "offset": offset.unwrap_or(0),
    });
    if !parameter.is_empty() {
        told["parameter"] = parameter.into();
    }
    let contains: Vec<Value> = page.map(shown).collect();
    if !contains.is_empty() {
        told["contains"] = contains.into();
    }
    Ok(answer(StatusCode::OK, described(&set, told).to_string()))
}

fn described(set: &Set, expansion: Value) -> Value {
    let mut told = json!({"resourceType": "ValueSet"});
    for (key, value) in [("url", &set.url), ("version", &set.version), ("name", &set.name)] {
        if !value.is_empty() {
            told[key] = value.as_str().into();
        }
    }
    told["status"] = if set.status.is_empty() { "active" } else { set.status.as_str() }.into();
    told["expansion"] = expansion;
    told
}

fn shown(code: &Code) -> Value {
    let mut told = json!({"system": code.system, "code": code.code});
    if code.is_abstract {
        told["abstract"] = true.into();
    }
    if !code.display.is_empty() {
        told["display"] = code.display.as_str().into();
    }
    told
}

/// Why the set cannot be listed, and what would help.
fn refusal(set: &Set, why: &Unexpandable) -> Refusal {
    let (code, key, words) = match why {
        Unexpandable::NoSet(url) => {
            ("not-found", "unknown-canonical", format!("The value set {url} is not known here; store it first."))
        }
        Unexpandable::NoSystem(url) => {
            ("not-found", "unknown-canonical", format!("The code system {url} is not on board, so its codes cannot be listed."))
        }
        Unexpandable::PartOnly(url) => ("too-costly", "part-only", format!("Of the code system {url} only a part is here.")),
        Unexpandable::Filter(url) => (
            "not-supported",
            "unknown-filter",
            format!("A filter over the code system {url} has an operator that is not understood."),
        ),
        Unexpandable::TooMany => ("too-costly", "too-many-codes", format!("The set has more than {CODES_MAX} codes; narrow it.")),
        Unexpandable::TooCostly => {
            let words = "Its sets, excludes and filters ask for more work than one expansion may do; make it simpler.";
            ("too-costly", "too-costly", String::from(words))
        }
        Unexpandable::TooDeep => {
            ("processing", "sets-too-deep", String::from("Its value sets name each other too deep or in a circle."))
        }
    };
    let code = if matches!(why, Unexpandable::NoSystem(_)) && is_huge(why) { "too-costly" } else { code };
    let name = if set.url.is_empty() { String::new() } else { format!(" It is part of {}.", set.url) };
    Refusal::one(StatusCode::UNPROCESSABLE_ENTITY, code, key, format!("{words}{name}"))
}

/// The terminologies that no gateway would list as wholes.
fn is_huge(why: &Unexpandable) -> bool {
    let huge = [
        "http://snomed.info/sct",
        "http://loinc.org",
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "http://unitsofmeasure.org",
    ];
    matches!(why, Unexpandable::NoSystem(url) if huge.contains(&url.as_str()))
}
