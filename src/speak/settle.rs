//! Tells the ledger what became of notices and subscriptions.
//!
//! That a notice arrived may be recorded a little later and together with others: if the house falls in between, the notice
//! goes once more under the same id, as was promised. What the ledger refuses is kept and tried again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tokio::sync::mpsc;

use super::office::Office;
use crate::ledger::{Change, Error, How, Mark, Precondition, Refusal, Scope, Subscription, Unit};

const KIND: &str = "Subscription";
/// Marks recorded together.
const GROUP_MAX: usize = 256;
/// Tries to record a group while the ledger is busy.
const TRIES_MAX: usize = 20;
/// Marks kept that the ledger refuses; while there are more, no more are taken, and the lanes wait.
const KEPT_MAX: usize = 16_384;
/// The first pause before what is kept is tried again, in milliseconds; each further one is twice as long.
const PAUSE: i64 = 1_000;
/// The longest such pause.
const PAUSE_MAX: i64 = 60_000;

/// Records marks in groups until the office has closed and nothing is left; then it lets go of the ledger.
pub(super) async fn run(office: Arc<Office>, mut marks: mpsc::Receiver<(Scope, Mark)>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    let (mut kept, mut is_closed) = (Kept::default(), false);
    loop {
        let (now, again_at) = (office.clock.now(), kept.again_at);
        office.again_at.store(again_at.unwrap_or(i64::MAX), Ordering::SeqCst);
        office.turn();
        tokio::select! {
            count = marks.recv_many(&mut group, GROUP_MAX), if is_closed || kept.marks.len() < KEPT_MAX => if count == 0 {
                break;
            },
            () = office.closed.notified() => {
                is_closed = true;
                marks.close();
            }
            () = office.clock.leaves(now, again_at.unwrap_or(i64::MAX)), if again_at.is_some() => kept.try_again(&office).await,
        }
        let count = group.len();
        let mut tenants: HashMap<Arc<str>, Vec<Mark>> = HashMap::new();
        for (scope, mark) in group.drain(..) {
            tenants.entry(scope.tenant).or_default().push(mark);
        }
        for (tenant, marks) in tenants {
            kept.forget(&tenant, &marks);
            let refused = record(&office, &Scope { tenant: Arc::clone(&tenant) }, marks).await;
            kept.keep(&tenant, refused, office.clock.now());
        }
        office.settled(count);
    }
    if kept.again_at.is_some() {
        kept.try_again(&office).await;
        tracing::error!(count = kept.marks.len(), "what became of so many notices is not recorded; they go once more");
    }
}

/// What the ledger refused to record: of each notice and each lane the latest.
#[derive(Default)]
struct Kept {
    marks: BTreeMap<(Arc<str>, String, i64), Mark>,
    pause: i64,
    /// When it is tried again; `None` when nothing is kept.
    again_at: Option<i64>,
}

impl Kept {
    /// What is said anew of a notice or a lane counts.
    fn forget(&mut self, tenant: &Arc<str>, marks: &[Mark]) {
        for mark in marks {
            self.marks.remove(&of(tenant, mark));
        }
    }

    fn keep(&mut self, tenant: &Arc<str>, refused: Vec<Mark>, now: i64) {
        self.marks.extend(refused.into_iter().map(|mark| (of(tenant, &mark), mark)));
        if !self.marks.is_empty() && self.again_at.is_none() {
            self.pause = (self.pause * 2).clamp(PAUSE, PAUSE_MAX);
            self.again_at = Some(now.saturating_add(self.pause));
        }
    }

    async fn try_again(&mut self, office: &Office) {
        let mut tenants: BTreeMap<Arc<str>, Vec<Mark>> = BTreeMap::new();
        for ((tenant, _, _), mark) in std::mem::take(&mut self.marks) {
            tenants.entry(tenant).or_default().push(mark);
        }
        self.again_at = None;
        for (tenant, marks) in tenants {
            for some in marks.chunks(GROUP_MAX) {
                let refused = record(office, &Scope { tenant: Arc::clone(&tenant) }, some.to_vec()).await;
                self.keep(&tenant, refused, office.clock.now());
            }
        }
        if self.marks.is_empty() {
            self.pause = 0;
        }
    }
}

/// What a mark speaks of: a notice, or a lane.
fn of(tenant: &Arc<str>, mark: &Mark) -> (Arc<str>, String, i64) {
    let (name, number) = match mark {
        Mark::Delivered { subscription, number } | Mark::Refused { subscription, number, .. } => (subscription.clone(), *number),
        Mark::Lane(lane) => (lane.endpoint.clone(), 0),
        _ => (String::new(), 0),
    };
    (Arc::clone(tenant), name, number)
}

/// Records marks together; one by one, where the ledger refuses one of them. Those that it refuses.
async fn record(office: &Office, scope: &Scope, marks: Vec<Mark>) -> Vec<Mark> {
    let Err(fault) = record_together(office, scope, marks.clone()).await else { return Vec::new() };
    tracing::error!(%fault, count = marks.len(), "what became of notices could not be recorded; it is tried again");
    if marks.len() == 1 {
        return marks;
    }
    let mut refused = Vec::new();
    for mark in marks {
        // A ledger that fails altogether is not asked for each of them.
        if !office.ledger.ready().await || record_together(office, scope, vec![mark.clone()]).await.is_err() {
            refused.push(mark);
        }
    }
    refused
}

async fn record_together(office: &Office, scope: &Scope, marks: Vec<Mark>) -> Result<(), Error> {
    for _ in 0..TRIES_MAX {
        match office.ledger.record(Unit::marks(scope.clone(), marks.clone())).await {
            Err(Error::Busy) => tokio::task::yield_now().await,
            done => return done.map(drop),
        }
    }
    Err(Error::Busy)
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

    fn delivered(number: i64) -> Mark {
        Mark::Delivered { subscription: String::from("s"), number }
    }

    #[test]
    fn of_each_notice_the_latest_is_kept_and_pauses_grow_to_their_bound() {
        let (mut kept, tenant, mut pauses) = (Kept::default(), Arc::from("chain"), Vec::new());
        kept.keep(&tenant, vec![delivered(1), delivered(2), delivered(1)], 0);
        kept.forget(&tenant, &[delivered(2), delivered(3)]);
        assert_eq!(kept.marks.len(), 1);
        for _ in 0..10 {
            pauses.extend(kept.again_at.take());
            kept.keep(&tenant, Vec::new(), 0);
        }
        assert_eq!((&pauses[..3], pauses[9]), (&[1_000, 2_000, 4_000][..], PAUSE_MAX));
    }

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
