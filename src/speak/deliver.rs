//! The door of delivery: who starts it, tells it of subscriptions and hands it notices. The carrying is done by one task per
//! endpoint, so a slow endpoint harms nobody else. What waits is in the ledger; memory only holds what goes next.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use std::sync::Arc;

use bytes::Bytes;

use super::inbox::{Offer, Order};
use super::listeners::Listeners;
use super::office::{Means, Office};
use super::{Error, Settings, settle};
use crate::clock::Clock;
use crate::ledger::{Ledger, Noticed, Scope, Subscription};

/// Carries notices to those who subscribed. Clones share the work.
///
/// No call of it waits for the network; all of them are cheap enough for the way of a request.
#[derive(Clone)]
pub struct Deliverer {
    office: Arc<Office>,
}

impl Deliverer {
    /// Takes up what the ledger says: listens for the subscriptions that hear, probes the requested ones, carries what waits.
    pub async fn start(ledger: Ledger, clock: Clock, settings: Settings, means: Means) -> Result<Self, Error> {
        let later = |fault: crate::ledger::Error| Error::Later(fault.to_string());
        let subscriptions = ledger.subscriptions().await.map_err(later)?;
        let lanes = ledger.lanes().await.map_err(later)?;
        let (office, marks) = Office::open(ledger, clock, settings, means, &lanes)?;
        let office = Arc::new(office);
        tokio::spawn(settle::run(Arc::clone(&office), marks));
        for (scope, row) in &subscriptions {
            office.listen(scope, row);
        }
        office.place(subscriptions);
        Ok(Self { office })
    }

    /// Who listens: ask it what a written resource concerns.
    #[must_use]
    pub fn listeners(&self) -> &Listeners {
        &self.office.listeners
    }

    /// A subscription is (again) as this row says; call it when the row is in the ledger.
    ///
    /// `requested` is probed and becomes `active` or `error`; `active` is carried; anything else rests. What is heard for one that
    /// is not active waits in the ledger until it is.
    pub fn subscribed(&self, scope: &Scope, row: Subscription) {
        self.office.listen(scope, &row);
        self.office.place(vec![(scope.clone(), row)]);
    }

    /// A subscription is gone: nothing more is sent for it.
    pub fn unsubscribed(&self, scope: &Scope, subscription: &str) {
        self.office.listeners.remove(scope, subscription);
        self.office.tell(scope, subscription, |mail| mail.orders.push(Order::Leave(subscription.to_owned())));
    }

    /// Something waits in the ledger for the subscription.
    pub fn wake(&self, scope: &Scope, subscription: &str) {
        self.office.tell(scope, subscription, |mail| {
            mail.woken.insert(subscription.to_owned());
        });
    }

    /// Something may wait in the ledger for any of them.
    pub fn wake_all(&self) {
        self.office.wake_all();
    }

    /// Notices that were just recorded, so that they need not be read again. `body` is the text of the resource they are
    /// about, as [`crate::ledger::Stored::text`] gives it, where it is at hand.
    pub fn offer(&self, scope: &Scope, notices: Vec<Noticed>, body: Option<&Bytes>) {
        for noticed in notices {
            let Noticed { subscription, notice } = noticed;
            let offer = Offer { subscription: subscription.clone(), notice, body: body.cloned() };
            self.office.tell(scope, &subscription, |mail| mail.offer(offer));
        }
    }

    /// Returns when nothing is under way, nothing is left to be settled, and nothing goes before the clock moves on.
    pub async fn rest(&self) {
        self.office.rest().await;
    }

    /// Stops carrying. Attempts under way have two seconds to be answered; those that are not are made again after the next start.
    pub async fn stop(&self) {
        self.office.stop().await;
    }
}
