//! What a lane sends: a letter with its resource, and the secrets of its subscription as they are when it goes.

use std::sync::Arc;

use bytes::Bytes;

use super::lane::Outcome;
use super::office::Office;
use super::queue::{Letter, Silence};
use super::send::{Channel, Parcel};
use super::signature;
use crate::ledger::{Notice, Scope};

/// Sends a letter.
pub(super) async fn attempt(office: &Office, scope: &Scope, channel: &Channel, letter: Letter) -> Outcome {
    let mut parcel = Parcel {
        id: signature::notice_id(&letter.subscription, letter.number),
        now: office.clock.now(),
        body: Bytes::new(),
        resource: String::new(),
    };
    if !channel.payload.is_empty() {
        parcel.body = match letter.body {
            Some(body) => body,
            None => match office.ledger.version(scope, &letter.kind, &letter.id, letter.version).await {
                Ok(Some(stored)) if !stored.deleted => Bytes::from(stored.text()),
                Ok(_) => return Outcome::Gone(String::from("the version of the resource is not kept any more")),
                Err(fault) => return Outcome::Failed(format!("the resource could not be read: {fault}")),
            },
        };
        parcel.resource = format!("{}/{}", letter.kind, letter.id);
    }
    send(office, scope, &letter.subscription, channel, parcel).await
}

/// Sends when it is certain: nobody outside is told of what a power cut could still take back. The secrets are read for each attempt:
/// one that was just made anew holds from then on, whoever made it.
pub(super) async fn send(office: &Office, scope: &Scope, subscription: &str, channel: &Channel, parcel: Parcel) -> Outcome {
    let secrets = match office.ledger.subscription(scope, subscription).await {
        Ok(Some(row)) => row.secrets,
        Ok(None) => return Outcome::Gone(String::from("the subscription is gone")),
        Err(fault) => return Outcome::Failed(format!("the secret could not be read: {fault}")),
    };
    match office.ledger.settled().await {
        Ok(()) => office.sender.send(channel, &secrets, parcel).await,
        Err(fault) => Outcome::Failed(format!("what is to be told is not certain: {fault}")),
    }
}

/// A notice on its way.
pub(super) fn letter(subscription: &Arc<str>, notice: Notice, body: Option<Bytes>) -> Letter {
    Letter {
        subscription: Arc::clone(subscription),
        number: notice.number,
        person: notice.person,
        kind: notice.kind,
        id: notice.id,
        version: notice.version,
        at: notice.at,
        attempts: notice.attempts,
        is_known: notice.attempts > 0,
        body,
        silence: Silence::default(),
    }
}
