//! What a code is called in another system.
//! Follows <https://hl7.org/fhir/R4/conceptmap-operation-translate.html>.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::call::Call;
use super::inputs::Inputs;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::terms::{self, out, parameters};
use crate::check::canon::Canon;
use crate::fhir::terms::{Equivalent, Map, is_match};

/// `ConceptMap/$translate` and `ConceptMap/[id]/$translate`
pub(super) const OPERATION: Operation = Operation {
    name: "translate",
    at: &[(Level::Type, Methods::Both), (Level::Instance, Methods::Both)],
    types: &["ConceptMap"],
    definition: "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
    documentation: "What a code is called in another system, by the concept maps on board; reverse goes the other way.",
    changes: false,
    answer: |call, asked| Box::pin(translate(call, asked)),
};

async fn translate(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let id = asked.id;
    let inputs = Inputs::read(call, asked, None).await?;
    let canon = terms::known(call).await?;
    let coded = inputs.coded("code");
    if coded.is_empty() {
        return Err(Refusal::bad("missing-code", "Say which code is meant: code with system, coding, or codeableConcept."));
    }
    let maps = maps(call, id, &inputs, &canon).await?;
    if coded.iter().all(|one| one.system.is_empty()) {
        // The same code means something else in another system.
        return Err(Refusal::bad("missing-system", "Say of which system the code is: system, or coding with its system."));
    }
    let is_reverse = inputs.flag("reverse").unwrap_or(false);
    let system = inputs.text("targetsystem");
    let mut found: Vec<Equivalent> = Vec::new();
    for one in &coded {
        for map in &maps {
            found.extend(map.translate(&one.system, &one.code, system, is_reverse));
        }
    }
    let is_found = found.iter().any(|one| is_match(&one.equivalence));
    let mut told = vec![out("result", "valueBoolean", is_found)];
    if !is_found {
        let words = "No concept map on board translates this code there.";
        told.push(out("message", "valueString", words));
    }
    told.extend(found.iter().map(shown));
    Ok(parameters(&told))
}

/// The maps that are asked: the one that is named, or all between the sets that are named.
async fn maps(call: &Call<'_>, id: Option<&str>, inputs: &Inputs, canon: &Canon) -> Result<Vec<Arc<Map>>, Refusal> {
    if let Some(id) = id {
        return match terms::instance(call, "ConceptMap", id).await? {
            Ok(value) => Ok(vec![Arc::new(Map::read(&value))]),
            Err(url) => Ok(canon.terms.map(url).into_iter().collect()),
        };
    }
    if let Some(sent) = inputs.object("conceptMap") {
        return Ok(vec![Arc::new(Map::read(sent))]);
    }
    if let Some(url) = inputs.text("url") {
        return canon.terms.map(url).map(|map| vec![map]).ok_or_else(|| terms::unknown("concept map", url));
    }
    let is_asked = |asked: Option<&str>, own: &str| asked.is_none_or(|asked| asked == own);
    let (source, target) = (inputs.text("source"), inputs.text("target"));
    let all = canon.terms.maps().into_iter();
    Ok(all.filter(|map| is_asked(source, &map.source) && is_asked(target, &map.target)).collect())
}

fn shown(one: &Equivalent) -> Value {
    let mut part = vec![out("equivalence", "valueCode", one.equivalence.as_str())];
    if !one.code.is_empty() {
        let mut coding = json!({"system": one.system, "code": one.code});
        if !one.display.is_empty() {
            coding["display"] = one.display.as_str().into();
        }
        part.push(out("concept", "valueCoding", coding));
    }
    if !one.map.is_empty() {
        part.push(out("source", "valueUri", one.map.as_str()));
    }
    json!({"name": "match", "part": part})
}
