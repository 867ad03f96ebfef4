//! Explains what was said, and what was not.
//! Follows <https://hl7.org/fhir/R4/operations.html>.

use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, json};
use super::drain::drained;
use super::given::Given;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::read::current;
use crate::fhir::search::is_id;
use crate::react;

/// `GET` or `POST Patient/[id]/$why?output=`
pub(super) const WHY: Operation = Operation {
    name: "why",
    at: &[(Level::Instance, Methods::Both)],
    types: &["Patient"],
    definition: "https://signa.example/fhir/OperationDefinition/why",
    documentation: "Why a Communication or Task was made, or is held: what was decided of it, by which rule, from which facts.",
    changes: false,
    answer: |call, asked| Box::pin(why(call, asked)),
};

/// `GET` or `POST Patient/[id]/$why-not[?plan=]`
pub(super) const WHY_NOT: Operation = Operation {
    name: "why-not",
    at: &[(Level::Instance, Methods::Both)],
    types: &["Patient"],
    definition: "https://signa.example/fhir/OperationDefinition/why-not",
    documentation: "Why rules did not speak: what stood against each, what would change it, and when it is looked at next.",
    changes: false,
    answer: |call, asked| Box::pin(why_not(call, asked)),
};

async fn why(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let (id, given) = (asked.id.unwrap_or_default(), Given::plain(call, asked).await?);
    let output = given.needed("output", "the id of a Communication, CommunicationRequest or Task that Signa made")?;
    let patient = current(call, "Patient", id).await?;
    drained(call, patient.person).await?;
    let ledger = &call.door.flow.ledger;
    let decisions = ledger.all_decisions(call.scope(), patient.person).await?;
    let dues = ledger.dues(call.scope(), patient.person).await?;
    let told = react::why(&decisions, &dues, output);
    let told = told.ok_or_else(|| Refusal::not_found("Nothing was decided of such an output for this patient."))?;
    Ok(json(StatusCode::OK, told.to_string()))
}

async fn why_not(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let (id, given) = (asked.id.unwrap_or_default(), Given::plain(call, asked).await?);
    let plan = given.only("plan")?;
    let patient = current(call, "Patient", id).await?;
    drained(call, patient.person).await?;
    let teller = &call.door.teller;
    // A plan may be named by the id under which it is kept here.
    let kept = match plan.map(|plan| plan.strip_prefix("PlanDefinition/").unwrap_or(plan)).filter(|id| is_id(id)) {
        Some(id) => call.door.flow.ledger.read(call.scope(), "PlanDefinition", id).await?,
        None => None,
    };
    let url = kept.and_then(|kept| kept.value().get("url").and_then(|url| url.as_str().map(str::to_owned)));
    let plan = url.as_deref().or(plan);
    let rules = teller.rules.of(&call.scope().tenant);
    let wants = react::wants(&rules, plan);
    let mut story = teller.story(call.scope(), patient.person, &wants, &[]).await?;
    story.halts = call.door.flow.ledger.halts(call.scope()).await?;
    let told = react::why_not(&rules, &story, plan);
    let told =
        told.ok_or_else(|| Refusal::not_found("No rule of this name runs here; it is named by its canonical or its id."))?;
    Ok(json(StatusCode::OK, told.to_string()))
}
