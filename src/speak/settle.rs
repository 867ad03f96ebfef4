//! Tells the ledger what became of notices and subscriptions.
//!
//! That a notice arrived may be recorded a little later and together with others: if the house falls in between, the notice
//! goes once more under the same id, as was promised.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use super::office::Office;
use crate::ledger::{Change, Error, How, Mark, Precondition, Refusal, Scope, Subscription, Unit};

const KIND: &str = "Subscription";
/// Marks recorded together.
const GROUP_MAX: usize = 256;
/// Tries to record a group while the ledger is busy.
const TRIES_MAX: usize = 20;

/// Records marks in groups until the office has closed and nothing is left; then it lets go of the ledger.
pub(super) async fn run(office: Arc<Office>, mut marks: mpsc::Receiver<(Scope, Mark)>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    loop {
        tokio::select! {
            count = marks.recv_many(&mut group, GROUP_MAX) => if count == 0 {
                return;
            },
            () = office.closed.notified() => marks.close(),
        }
        let count = group.len();
        let mut tenants: HashMap<Arc<str>, Vec<Mark>> = HashMap::new();
        for (scope, mark) in group.drain(..) {
            tenants.entry(scope.tenant).or_default().push(mark);
        }
        for (tenant, marks) in tenants {
            record(&office, Scope { tenant }, marks).await;
        }
        office.settled(count);
    }
}

async fn record(office: &Office, scope: Scope, marks: Vec<Mark>) {
    for _ in 0..TRIES_MAX {
        match office.ledger.record(Unit::marks(scope.clone(), marks.clone())).await {
            Ok(_) => return,
            Err(Error::Busy) => tokio::task::yield_now().await,
            Err(fault) => {
                tracing::error!(%fault, count = marks.len(), "what became of notices was not recorded; they will go once more");
                return;
            }
        }
    }
    tracing::error!(count = marks.len(), "the ledger stays busy; what became of notices was not recorded");
}

/// Writes a new version of the Subscription with another status, and the row with it.
///
/// `None` when the ledger has another row by now: the client was quicker, and is right.
pub(super) async fn change_status(
    office: &Office,
    scope: &Scope,
    row: &Subscription,
    status: &str,
    error: Option<&str>,
) -> Result<Option<Subscription>, Error> {
    let Some(stored) = office.ledger.read(scope, KIND, &row.id).await?.filter(|stored| !stored.deleted) else {
        return Ok(None);
    };
    // The row is read after the resource: while it is still the same, the resource is the one it was read from.
    let known = office.ledger.subscription(scope, &row.id).await?;
    let Some(known) = known.filter(|known| says_the_same(known, row)) else { return Ok(None) };
    let changed = Subscription { status: status.to_owned(), version: stored.version + 1, begun: known.hears(), ..known };
    let change = Change {
        kind: String::from(KIND),
        id: row.id.clone(),
        when: Precondition::Version(stored.version),
        resource: Some((office.means.draft)(&with_status(stored.value(), status, error))),
    };
    let marks = vec![Mark::Subscribed(changed.clone())];
    let unit = Unit { marks, ..Unit::one(scope.clone(), How::Derived, "signa", change) };
    match office.ledger.record(unit).await {
        Ok(_) => Ok(Some(changed)),
        Err(Error::Refused(Refusal::Version { .. })) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Whether a row says the same as the client had it when the other was read: count and secrets are not its client's to say, and the
/// version is not known before it is written.
fn says_the_same(known: &Subscription, row: &Subscription) -> bool {
    let (secrets, begun) = (row.secrets.clone(), row.begun);
    let known = Subscription { notices: row.notices, version: row.version, secrets, begun, ..known.clone() };
    known == *row
}

fn with_status(mut resource: Value, status: &str, error: Option<&str>) -> Value {
    if let Some(members) = resource.as_object_mut() {
        members.insert(String::from("status"), Value::from(status));
        match error {
            Some(error) => {
                members.insert(String::from("error"), Value::from(error));
            }
            None => {
                members.shift_remove("error");
            }
        }
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_comes_and_takes_the_error_with_it() {
        let asked = json!({"resourceType": "Subscription", "status": "requested", "reason": "r"});
        let failed = with_status(asked, "error", Some("the endpoint answered 500"));
        assert_eq!(failed["status"], "error");
        assert_eq!(failed["error"], "the endpoint answered 500");
        assert_eq!(
            with_status(failed, "active", None),
            json!({"resourceType": "Subscription", "status": "active", "reason": "r"})
        );
    }
}
