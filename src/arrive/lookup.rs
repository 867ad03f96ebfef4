//! What a code means.
//! Follows <https://hl7.org/fhir/R4/codesystem-operation-lookup.html>.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::Call;
use super::inputs::Inputs;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::terms::{self, out, parameters};

/// `CodeSystem/$lookup`, and `ValueSet/$lookup` as it was called before R4, whose own examples still ask there.
pub(super) const OPERATION: Operation = Operation {
    name: "lookup",
    at: &[(Level::Type, Methods::Both)],
    types: &["CodeSystem", "ValueSet"],
    definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
    documentation: "The display, definition, properties and parents of a code whose system is on board.",
    changes: false,
    answer: |call, asked| Box::pin(lookup(call, asked)),
};

async fn lookup(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let inputs = Inputs::read(call, asked, None).await?;
    let Some(coded) = inputs.coded("code").into_iter().next().filter(|coded| !coded.system.is_empty()) else {
        return Err(Refusal::bad("missing-code", "Say which code is meant: code with system, or coding."));
    };
    let canon = terms::known(call).await?;
    let version = inputs.text("version").filter(|_| !coded.system.contains('|'));
    let address = version.map_or_else(|| coded.system.clone(), |version| format!("{}|{version}", coded.system));
    let system = canon.terms.system(&address).ok_or_else(|| terms::unknown("code system", &address))?;
    let Some(concept) = system.concept(&coded.code) else {
        let words = format!("The code system {address} has no code {} here.", coded.code);
        return Err(Refusal::one(StatusCode::NOT_FOUND, "not-found", "unknown-code", words));
    };
    // The answer needs a name, and a system may have none.
    let name = if system.name.is_empty() { &address } else { &system.name };
    let mut told = vec![out("name", "valueString", name.as_str())];
    told.extend((!system.version.is_empty()).then(|| out("version", "valueString", system.version.as_str())));
    let display = if concept.display.is_empty() { &concept.code } else { &concept.display };
    told.push(out("display", "valueString", display.as_str()));
    let asked: Vec<&str> = inputs.texts("property").collect();
    let wants = |name: &str| asked.is_empty() || asked.contains(&name);
    told.extend(
        (!concept.definition.is_empty() && wants("definition"))
            .then(|| out("definition", "valueString", concept.definition.as_str())),
    );
    for (language, value) in &concept.designations {
        let mut part = vec![out("value", "valueString", value.as_str())];
        part.extend((!language.is_empty()).then(|| out("language", "valueCode", language.as_str())));
        told.push(json!({"name": "designation", "part": part}));
    }
    let parents = concept.parents.iter().map(|&number| &system.concepts[number].code).filter(|_| wants("parent"));
    told.extend(parents.map(|code| property("parent", "valueCode", code)));
    let own = concept.properties.iter().filter(|(name, _)| name != "parent" && wants(name));
    told.extend(own.map(|(name, value)| property(name, "valueString", value)));
    told.extend((concept.is_abstract && wants("abstract")).then(|| out("abstract", "valueBoolean", true)));
    Ok(parameters(&told))
}

fn property(name: &str, key: &str, value: &str) -> Value {
    json!({"name": "property", "part": [out("code", "valueCode", name), out("value", key, value)]})
}
