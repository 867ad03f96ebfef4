//! Tells what a rule does for those it contacts, against those it leaves out by lot.
//! Follows <https://hl7.org/fhir/R4/measurereport.html>.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::tz::TimeZone;

use super::call::{Call, json};
use super::given::Given;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use crate::ledger::Person;
use crate::react::{Effect, Trial, day};

/// `GET` or `POST PlanDefinition/[id]/$effect?start=&end=`
pub(super) const OPERATION: Operation = Operation {
    name: "effect",
    at: &[(Level::Type, Methods::Both), (Level::Instance, Methods::Both)],
    types: &["PlanDefinition"],
    definition: "https://signa.example/fhir/OperationDefinition/effect",
    documentation: "Refill rate and days covered of those whom a rule contacted, against those it held out by lot.",
    changes: false,
    answer: |call, asked| Box::pin(effect(call, asked)),
};

/// Days of a window at most.
const WINDOW_DAYS_MAX: i32 = 3_653;
/// Days for which somebody is followed, unless told otherwise, and at most.
const FOLLOWED_DAYS: i64 = 30;
const FOLLOWED_DAYS_MAX: i64 = 365;
/// Persons that one report is made of at most.
const PEOPLE_MAX: usize = 1_000_000;

async fn effect(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let (id, given) = (asked.id, Given::plain(call, asked).await?);
    let (ledger, scope) = (&call.door.flow.ledger, call.scope());
    let named = match id {
        Some(id) => id,
        None => given.needed("plan", "the canonical of the rule")?,
    };
    let rule = rule(call, named).await?;
    let (from, to) = given.window(WINDOW_DAYS_MAX)?;
    let days = given.count("days", 1, FOLLOWED_DAYS_MAX)?.unwrap_or(FOLLOWED_DAYS);
    let now = call.door.flow.clock.now();
    let mut effect = Effect::new(Trial { rule: rule.clone(), from, to, days, today: day(now, &TimeZone::UTC) });
    let (mut after, mut count) = (Person::NOBODY, 0);
    loop {
        let page = ledger.arms(scope, &rule, after, effect.range()).await?;
        let Some((last, _)) = page.last() else { break };
        after = last.person;
        count += page.len();
        if count > PEOPLE_MAX {
            let words = format!("The window holds more than {PEOPLE_MAX} persons; ask for less of it.");
            return Err(Refusal::one(StatusCode::BAD_REQUEST, "too-costly", "too-costly", words));
        }
        for (arm, supplies) in &page {
            effect.take(arm, supplies);
        }
    }
    Ok(json(StatusCode::OK, effect.report(now).to_string()))
}

/// The url of a rule that is kept under this id, or runs under this name.
async fn rule(call: &Call<'_>, named: &str) -> Result<String, Refusal> {
    let kept = call.door.flow.ledger.read(call.scope(), "PlanDefinition", named).await?.filter(|kept| !kept.deleted);
    let url = kept.and_then(|kept| kept.value().get("url").and_then(|url| url.as_str().map(str::to_owned)));
    let running = || call.door.teller.rules.of(&call.scope().tenant).named(named);
    url.or_else(running).ok_or_else(|| Refusal::not_found("No rule of this name is kept or runs here."))
}
