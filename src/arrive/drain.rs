//! Lets what a person's resources caused become true before it is told of, so that a question never races the reactions.

use std::time::Duration;

use super::call::Call;
use super::outcome::Refusal;
use crate::ledger::{Ledger, Person, Scope};

/// How often the queue is looked at when no commit of ours says that something changed: another gateway may have reacted (real time).
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Waits until nothing of this person is left to be reacted to, up to the bound that is set. What takes longer is told without: the
/// answer is true, only not the latest.
pub(super) async fn drained(call: &Call<'_>, person: Person) -> Result<(), Refusal> {
    let limit = Duration::from_millis(call.door.settings.drain_ms_max);
    let waiting = settled(&call.door.flow.ledger, call.scope(), person);
    tokio::time::timeout(limit, waiting).await.unwrap_or(Ok(()))
}

async fn settled(ledger: &Ledger, scope: &Scope, person: Person) -> Result<(), Refusal> {
    let mut written = ledger.written();
    // What was reacted to may have led to more: the queue is asked again until it holds nothing.
    while let Some(event) = ledger.unsettled(scope, person).await? {
        loop {
            written.borrow_and_update();
            if !ledger.is_unsettled(event).await? {
                break;
            }
            // Either way it is looked at again.
            let _ = tokio::time::timeout(LOOK_EVERY, written.changed()).await;
        }
    }
    Ok(())
}
