//! Tells how well a patient is covered by what was handed over, product by product.
//! Follows <https://hl7.org/fhir/R4/measurereport.html>.

use axum::http::StatusCode;
use axum::response::Response;

use super::call::{Call, json};
use super::drain::drained;
use super::given::{Given, wrong};
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::read::current;
use crate::flow;
use crate::ledger::Person;
use crate::react::{self, Question, Story, Wants};

/// `GET` or `POST Patient/[id]/$adherence?start=&end=`
pub(super) const OPERATION: Operation = Operation {
    name: "adherence",
    at: &[(Level::Instance, Methods::Both)],
    types: &["Patient"],
    definition: "https://signa.example/fhir/OperationDefinition/adherence",
    documentation: "Proportion of days covered and medication possession ratio in a window, a group for each product.",
    changes: false,
    answer: |call, asked| Box::pin(adherence(call, asked)),
};

/// Days of a window at most.
const WINDOW_DAYS_MAX: i32 = 36_525;
/// Resources of one type that are looked at, the latest.
const HELD: i64 = 1_000;

async fn adherence(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let id = asked.id.unwrap_or_default();
    let question = question(&Given::plain(call, asked).await?)?;
    let patient = current(call, "Patient", id).await?;
    drained(call, patient.person).await?;
    let story = story(call, patient.person).await?;
    let rules = call.door.teller.rules.of(&call.scope().tenant);
    let report = react::adherence(&rules, &story, &format!("Patient/{id}"), &question);
    Ok(json(StatusCode::OK, report.map_err(|issue| vec![issue])?.to_string()))
}

fn question(given: &Given) -> Result<Question, Refusal> {
    let (from, to) = given.window(WINDOW_DAYS_MAX)?;
    let treatment = match given.only("denominator")? {
        None | Some("window") => false,
        Some("treatment") => true,
        Some(_) => return Err(wrong("denominator", "must be window or treatment")),
    };
    let away = match given.only("stays")? {
        None | Some("counted") => false,
        Some("excluded") => true,
        Some(_) => return Err(wrong("stays", "must be counted or excluded")),
    };
    let code = |value: &str| match value.split_once('|') {
        Some((system, code)) => (Some(system.to_owned()), code.to_owned()),
        None => (None, value.to_owned()),
    };
    let codes = given.all("code").map(code).collect();
    Ok(Question { from, to, codes, class: given.only("class")?.map(str::to_owned), treatment, away })
}

/// What the person was handed over and ordered, with the medications that are only referred to, and stays in hospital.
async fn story(call: &Call<'_>, person: Person) -> Result<Story, Refusal> {
    let (ledger, scope) = (&call.door.flow.ledger, call.scope());
    let kinds = ["MedicationDispense", "MedicationRequest", "Encounter"];
    let held = ledger.held(scope, person, &kinds, HELD).await?;
    let resources = held.iter().map(|stored| flow::resource(stored, false));
    let mut resources: Vec<react::Resource> = resources.filter(react::Resource::is_about).collect();
    let referred = |resource: &react::Resource| {
        let reference = resource.value.get("medicationReference")?.get("reference")?.as_str()?;
        reference.starts_with("Medication/").then(|| reference.to_owned())
    };
    let mut references: Vec<String> = resources.iter().filter_map(referred).collect();
    references.sort();
    references.dedup();
    let wants = Wants { kinds: vec![String::from("Patient")], references, supplies: true };
    let mut story = call.door.teller.story(scope, person, &wants, &[]).await?;
    let known: Vec<String> = resources.iter().map(react::Resource::reference).collect();
    story.resources.retain(|resource| !known.contains(&resource.reference()));
    story.resources.append(&mut resources);
    Ok(story)
}
