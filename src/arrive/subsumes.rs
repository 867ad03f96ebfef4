//! How two codes of one system lie to each other.
//! Follows <https://hl7.org/fhir/R4/codesystem-operation-subsumes.html>.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use super::call::Call;
use super::inputs::Inputs;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::terms::{self, out, parameters};
use crate::fhir::terms::System;

/// `CodeSystem/$subsumes` and `CodeSystem/[id]/$subsumes`
pub(super) const OPERATION: Operation = Operation {
    name: "subsumes",
    at: &[(Level::Type, Methods::Both), (Level::Instance, Methods::Both)],
    types: &["CodeSystem"],
    definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
    documentation: "Whether one code lies above the other in a code system that is on board.",
    changes: false,
    answer: |call, asked| Box::pin(subsumes(call, asked)),
};

async fn subsumes(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let id = asked.id;
    let inputs = Inputs::read(call, asked, None).await?;
    let code = |plain: &str, coding: &str| {
        let word = |key: &str| inputs.object(coding)?[key].as_str();
        inputs.text(plain).or_else(|| word("code")).map(ToOwned::to_owned)
    };
    let (Some(one), Some(other)) = (code("codeA", "codingA"), code("codeB", "codingB")) else {
        return Err(Refusal::bad("missing-code", "Say codeA and codeB with their system, or codingA and codingB."));
    };
    let known = system(call, id, &inputs).await?;
    let named = ["codingA", "codingB"].into_iter().filter_map(|coding| inputs.object(coding)?["system"].as_str());
    if let Some(other) = named.chain(inputs.text("system")).find(|address| address.split('|').next() != Some(known.url.as_str()))
    {
        let words = format!("Only codes of one system are compared, {} here, and not of {other}.", known.url);
        return Err(Refusal::bad("two-systems", &words));
    }
    let concept = |code: &str| {
        let words = || format!("The code system {} has no code {code} here.", known.url);
        known.concept(code).ok_or_else(|| Refusal::one(StatusCode::NOT_FOUND, "not-found", "unknown-code", words()))
    };
    let (first, second) = (concept(&one)?, concept(&other)?);
    let outcome = match () {
        () if first.code == second.code => "equivalent",
        () if known.is_below(second, &one) => "subsumes",
        () if known.is_below(first, &other) => "subsumed-by",
        () => "not-subsumed",
    };
    Ok(parameters(&[out("outcome", "valueCode", outcome)]))
}

/// The code system that is meant: by its id, or by its address.
async fn system(call: &Call<'_>, id: Option<&str>, inputs: &Inputs) -> Result<Arc<System>, Refusal> {
    let canon = terms::known(call).await?;
    let named = match id {
        Some(id) => match terms::instance(call, "CodeSystem", id).await? {
            Ok(stored) => return Ok(Arc::new(System::read(&stored))),
            Err(url) => Some(url),
        },
        None => inputs.text("system").or_else(|| inputs.object("codingA")?["system"].as_str()),
    };
    let address = named.ok_or_else(|| Refusal::bad("missing-code", "Say of which system the codes are."))?;
    let version = inputs.text("version").filter(|_| !address.contains('|'));
    let address = version.map_or_else(|| address.to_owned(), |version| format!("{address}|{version}"));
    canon.terms.system(&address).ok_or_else(|| terms::unknown("code system", &address))
}
