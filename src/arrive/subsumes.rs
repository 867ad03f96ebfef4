//! How two codes of one system lie to each other.
//! Follows <https://hl7.org/fhir/R4/codesystem-operation-subsumes.html>.

use axum::http::StatusCode;
use axum::response::Response;

use super::call::Call;
use super::inputs::Inputs;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::terms::{self, out, parameters};

/// `CodeSystem/$subsumes`
pub(super) const OPERATION: Operation = Operation {
    name: "subsumes",
    at: &[(Level::Type, Methods::Both)],
    types: &["CodeSystem"],
    definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
    documentation: "Whether one code lies above the other in a code system that is on board.",
    changes: false,
    answer: |call, asked| Box::pin(subsumes(call, asked)),
};

async fn subsumes(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let inputs = Inputs::read(call, asked, None).await?;
    let code = |plain: &str, coding: &str| {
        let word = |key: &str| inputs.object(coding)?[key].as_str();
        inputs.text(plain).or_else(|| word("code")).map(ToOwned::to_owned)
    };
    let of_coding = || inputs.object("codingA")?["system"].as_str();
    let (Some(system), Some(one), Some(other)) =
        (inputs.text("system").or_else(of_coding), code("codeA", "codingA"), code("codeB", "codingB"))
    else {
        return Err(Refusal::bad("missing-code", "Say system, codeA and codeB, or codingA and codingB."));
    };
    let canon = terms::known(call).await?;
    let known = canon.terms.system(system).ok_or_else(|| terms::unknown("code system", system))?;
    let concept = |code: &str| {
        let words = || format!("The code system {system} has no code {code} here.");
        known.concept(code).ok_or_else(|| Refusal::one(StatusCode::NOT_FOUND, "not-found", "unknown-code", words()))
    };
    let (first, second) = (concept(&one)?, concept(&other)?);
    let outcome = match () {
        () if one == other => "equivalent",
        () if known.is_below(second, &one) => "subsumes",
        () if known.is_below(first, &other) => "subsumed-by",
        () => "not-subsumed",
    };
    Ok(parameters(&[out("outcome", "valueCode", outcome)]))
}
