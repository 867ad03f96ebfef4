//! Tries a rule on the ledger before it is live: who would be contacted, when, and who was held back and why. Nothing is recorded.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use jiff::ToSpan;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::call::{Call, json as answer};
use super::given::{Given, wrong};
use super::operations::{Asked as Request, Level, Methods, Operation};
use super::outcome::Refusal;
use super::read::current;
use crate::fhir::outcome::Issue;
use crate::flow::{Order, Rehearser, Stage, Teller};
use crate::ledger::{self, Person, Scope};
use crate::react::rehearsal::{Asked, Tally, person};

/// `GET|POST PlanDefinition/[id]/$simulate?start=&end=`, and `POST PlanDefinition/$simulate` with a draft.
pub(super) const OPERATION: Operation = Operation {
    name: "simulate",
    at: &[(Level::Type, Methods::Post), (Level::Instance, Methods::Both)],
    types: &["PlanDefinition"],
    definition: "https://signa.example/fhir/OperationDefinition/simulate",
    documentation: "What a rule would have said in a time, over the real ledger on a simulated clock: to how many, when, and what held it back.",
    changes: false,
    answer: |call, asked| Box::pin(simulate(call, asked)),
};

/// Persons of one answer at most, and where nothing else is asked.
const PERSONS_MAX: i64 = 1_000;
const PERSONS: i64 = 200;
/// Days of a simulated time at most.
const DAYS_MAX: i32 = 3_660;

async fn simulate(call: &Call<'_>, request: Request<'_>) -> Result<Response, Refusal> {
    let given = Given::asked(call, request.method, request.body).await?;
    let drafts = drafts(call, &given, request.id).await?;
    let (from, to) = window(&given, &call.door.teller.zone)?;
    let (rules, issues) = call.door.teller.rules.trying(&call.scope().tenant, &drafts, from);
    let faults: Vec<Issue> = issues.into_iter().filter(Issue::refuses).collect();
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let url = drafts.iter().rev().find_map(|draft| draft["url"].as_str().filter(|_| draft["resourceType"] == "PlanDefinition"));
    let url = url.unwrap_or_default().to_owned();
    if !rules.running().iter().any(|rule| rule.split('|').next() == Some(url.as_str())) {
        let words = "It is no rule of ours: its meta.profile does not claim the profile signa-plan.";
        return Err(vec![Issue::error("business-rule", "no-rule", "PlanDefinition.meta.profile", words)].into());
    }
    let order = match given.only("order")? {
        None | Some("learned") => Order::Learned,
        Some("happened") => Order::Happened,
        Some(_) => return Err(wrong("order", "must be learned or happened")),
    };
    let steps_max = call.door.settings.simulation_steps_max;
    let stage = Stage { rules: Arc::new(rules), later: Vec::new(), order, from, until: to - 1, steps_max };
    let asked = Asked { from, to, rules: vec![url], zone: call.door.teller.zone.clone() };
    let trial = Trial {
        teller: call.door.teller.clone(),
        scope: call.scope().clone(),
        stage,
        asked,
        subject: match given.only("subject")? {
            Some(subject) => Some(subject_of(call, subject).await?),
            None => None,
        },
        after: Person(given.count("after", 0, i64::MAX)?.unwrap_or_default()),
        count: given.count("_count", 1, PERSONS_MAX)?.unwrap_or(PERSONS),
        is_named: given.flag("persons")?,
    };
    let told = aside(call, trial).await?;
    Ok(answer(StatusCode::OK, json!({"resourceType": "Parameters", "parameter": told}).to_string()))
}

/// Tries it on a thread of its own, so that whoever asks for little is answered beside it.
async fn aside(call: &Call<'_>, trial: Trial) -> Result<Vec<Value>, Refusal> {
    let Ok(place) = Arc::clone(&call.door.trials).try_acquire_owned() else {
        return Err(Refusal::no_place("As many rules are being tried as may be at a time; come again in some seconds."));
    };
    let runtime = Handle::current();
    let told = tokio::task::spawn_blocking(move || {
        // Kept until the end, also when nobody waits for the answer any more.
        let _place = place;
        runtime.block_on(trial.told())
    });
    Ok(told.await.map_err(|error| Refusal::ours(format!("a trial did not come to its end: {error}")))??)
}

/// The rule that is tried: the one that is kept under this id, or the one that was sent, with what was sent beside it.
async fn drafts(call: &Call<'_>, given: &Given, id: Option<&str>) -> Result<Vec<Value>, Refusal> {
    let mut drafts: Vec<Value> = given.wholes("artefact").cloned().collect();
    let (named, bare) = (given.whole("plan")?, given.whole("resource")?);
    let plan = match id {
        Some(id) => current(call, "PlanDefinition", id).await?.value(),
        None => named.or(bare).cloned().ok_or_else(|| {
            let words = "The parameter plan is needed: the PlanDefinition that is tried.";
            Refusal {
                status: StatusCode::BAD_REQUEST,
                ..Refusal::from(vec![Issue::error("required", "missing-parameter", "Parameters.parameter", words)])
            }
        })?,
    };
    if plan["resourceType"] != "PlanDefinition" || plan["url"].as_str().is_none_or(str::is_empty) {
        return Err(wrong("plan", "must be a PlanDefinition with a url"));
    }
    drafts.push(plan);
    Ok(drafts)
}

/// From the begin of the first day to the end of the last one.
fn window(given: &Given, zone: &TimeZone) -> Result<(i64, i64), Refusal> {
    given.needed("start", "the first day, for example 2026-01-01")?;
    given.needed("end", "the last day, for example 2026-12-31")?;
    let (Some((first, _)), Some((_, last))) = (given.days("start")?, given.days("end")?) else {
        return Err(wrong("start", "must be a date"));
    };
    let midnight = |day: Date| zone.to_timestamp(day.to_datetime(Time::midnight())).map(jiff::Timestamp::as_millisecond);
    let days = first.until((jiff::Unit::Day, last)).map_or(-1, |span| span.get_days());
    let after = last.checked_add(1.day()).ok().and_then(|after| midnight(after).ok());
    let times = midnight(first).ok().zip(after).filter(|_| (0..DAYS_MAX).contains(&days));
    times.ok_or_else(|| wrong("end", &format!("must not lie before start, nor more than {DAYS_MAX} days after it")))
}

/// What is tried, and on whom: one person, or a page of all of them.
struct Trial {
    teller: Teller,
    scope: Scope,
    stage: Stage,
    asked: Asked,
    subject: Option<Person>,
    after: Person,
    count: i64,
    /// Whether each person is told of.
    is_named: bool,
}

impl Trial {
    async fn told(self) -> Result<Vec<Value>, ledger::Error> {
        let (after, asked) = (self.after, &self.asked);
        let mut rehearser = Rehearser::new(&self.teller, &self.scope, self.stage);
        let page = match self.subject {
            Some(subject) => vec![rehearser.told_under(subject).await?],
            None => rehearser.persons(after, self.count + 1).await?,
        };
        let is_named = self.is_named || self.subject.is_some();
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let is_cut = page.len() > count;
        let (mut tally, mut passed_over, mut persons, mut last) = (Tally::default(), 0_u64, Vec::new(), after);
        for known_as in page.into_iter().take(count) {
            last = known_as;
            let Some(trial) = rehearser.trial(known_as).await? else {
                passed_over += 1;
                continue;
            };
            tally.add(asked, &trial);
            if is_named {
                persons.extend(person(asked, &trial));
            }
        }
        let mut parameters = tally.parameters(asked);
        parameters.push(json!({"name": "passed-over", "valueUnsignedInt": passed_over}));
        parameters.push(json!({"name": "cut", "valueBoolean": is_cut}));
        if is_cut {
            parameters.push(json!({"name": "next", "valueString": last.0.to_string()}));
        }
        parameters.extend(persons);
        Ok(parameters)
    }
}

/// The person of `Patient/id`, as they are known.
async fn subject_of(call: &Call<'_>, subject: &str) -> Result<Person, Refusal> {
    let id = subject.strip_prefix("Patient/").unwrap_or(subject);
    let patient = current(call, "Patient", id).await?;
    let united = call.door.flow.ledger.united(call.scope(), patient.person).await?;
    Ok(united.first().copied().unwrap_or(patient.person))
}
