//! Shows the secret that a Subscription's notices are signed with: once, and made anew whenever it is asked for again.
//! Follows <https://www.standardwebhooks.com>.

use super::settle::broken;
use super::{Flow, Refused};
use crate::fhir::outcome::Issue;
use crate::ledger::{Mark, Scope, Secrets, Unit};
use crate::speak::signature;

impl Flow {
    /// The secrets of a Subscription that is there, the newest not shown before.
    ///
    /// Of two who ask at once both are told what holds after both.
    pub async fn secrets(&self, scope: &Scope, subscription: &str) -> Result<Secrets, Refused> {
        let fresh = signature::secret().ok_or_else(|| Refused::Broken(String::from("no secret can be made")))?;
        let until = self.clock.now() + signature::BOTH_MAX;
        let mark = Mark::SecretShown { subscription: subscription.to_owned(), fresh, until };
        self.ledger.record(Unit::marks(scope.clone(), vec![mark])).await.map_err(broken)?;
        let row = self.ledger.subscription(scope, subscription).await.map_err(broken)?;
        let unserved = || {
            let words = "The Subscription came with an import and could not be served here: nothing is signed for it.";
            Refused::Rule(vec![Issue::error("business-rule", "no-secret", "Subscription", words)])
        };
        row.map(|row| row.secrets).ok_or_else(unserved)
    }
}
