//! Tells how Subscriptions stand: how much they were told, and of one what waits for it and what its receiver refused.
//! Follows <https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-status.html>.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::given::Given;
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::read::current;
use crate::ledger::{Subscription, Undelivered};

/// `GET Subscription/[id]/$status` and `GET Subscription/$status?id=…&status=…`
pub(super) const OPERATION: Operation = Operation {
    name: "status",
    at: &[(Level::Type, Methods::Both), (Level::Instance, Methods::Both)],
    types: &["Subscription"],
    definition: "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status",
    documentation: "How Subscriptions stand; of one, what waits for it, and its dead letters, which go again when it is asked for anew.",
    changes: false,
    answer: |call, asked| Box::pin(status(call, asked)),
};

/// The profile of what is told of each.
const PROFILE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4";
/// Subscriptions of which it is told at once; who wants more names them.
const TOLD_MAX: i64 = 1_000;
/// Of so many that are named.
const NAMED_MAX: usize = 100;

async fn status(call: &Call<'_>, asked: Asked<'_>) -> Result<Response, Refusal> {
    let ledger = &call.door.flow.ledger;
    let mut told = Vec::new();
    if let Some(id) = asked.id {
        current(call, "Subscription", id).await?;
        if let Some(row) = ledger.subscription(call.scope(), id).await? {
            let undelivered = ledger.undelivered(call.scope(), id).await?;
            told.push(entry(call, &row, Some(&undelivered)));
        }
    } else {
        let given = Given::asked(call, asked.method, asked.body).await?;
        let (ids, statuses): (Vec<&str>, Vec<&str>) = (given.all("id").take(NAMED_MAX).collect(), given.all("status").collect());
        let mut rows = Vec::new();
        if ids.is_empty() {
            rows = ledger.subscriptions_of(call.scope(), TOLD_MAX).await?;
        }
        for id in ids {
            rows.extend(ledger.subscription(call.scope(), id).await?);
        }
        rows.retain(|row| statuses.is_empty() || statuses.contains(&row.status.as_str()));
        told.extend(rows.iter().map(|row| entry(call, row, None)));
    }
    let mut bundle = json!({"resourceType": "Bundle", "type": "searchset", "total": told.len()});
    if !told.is_empty() {
        bundle["entry"] = Value::from(told);
    }
    Ok(answer(StatusCode::OK, bundle.to_string()))
}

fn entry(call: &Call<'_>, row: &Subscription, undelivered: Option<&Undelivered>) -> Value {
    let mut told = vec![
        json!({"name": "subscription", "valueReference": {"reference": format!("{}/Subscription/{}", call.base(), row.id)}}),
        json!({"name": "status", "valueCode": row.status}),
        json!({"name": "type", "valueCode": "query-status"}),
        json!({"name": "events-since-subscription-start", "valueString": row.notices.to_string()}),
    ];
    if let Some(undelivered) = undelivered {
        told.push(json!({"name": "waiting", "valueInteger": undelivered.waiting}));
        told.push(json!({"name": "dead", "valueInteger": undelivered.dead}));
        told.extend(undelivered.letters.iter().map(|letter| {
            let (notice, last) = (&letter.notice, &letter.last);
            let about = format!("{}/{}/_history/{}", notice.kind, notice.id, notice.version);
            json!({"name": "dead-letter", "part": [
                {"name": "event-number", "valueString": notice.number.to_string()},
                {"name": "focus", "valueReference": {"reference": about}},
                {"name": "attempts", "valueInteger": notice.attempts},
                {"name": "last", "valueString": last},
            ]})
        }));
    }
    let parameters = json!({"resourceType": "Parameters", "meta": {"profile": [PROFILE]}, "parameter": told});
    json!({"resource": parameters, "search": {"mode": "match"}})
}
