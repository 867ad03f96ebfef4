//! Loads what the rules need to know of one person to decide on an occasion.

use std::sync::Arc;

use super::Beat;
use crate::flow::{Seen, Teller};
use crate::ledger::{Error, Person, Scope};
use crate::react::{Occasion, Story};

impl Beat {
    /// Who tells stories to the rules of this loop.
    #[must_use]
    pub fn teller(&self) -> Teller {
        Teller {
            ledger: self.flow.ledger.clone(),
            clock: self.flow.clock.clone(),
            rules: Arc::clone(&self.flow.rules),
            settings: self.settings.react,
            zone: self.settings.zone.clone(),
        }
    }

    /// The story of a person, as far as the rules want it for this occasion.
    pub(super) async fn story(&self, scope: &Scope, person: Person, occasion: &Occasion) -> Result<(Story, Seen), Error> {
        let rules = self.flow.rules.of(&scope.tenant);
        // What is due is perhaps decided on, too.
        let (mut story, seen) = self.teller().told(scope, person, |dues| rules.wants(occasion, dues), occasion.heard()).await?;
        self.waiting(|waiting| story.stopped.extend(waiting.bound_in(&scope.tenant).cloned()));
        Ok((story, seen))
    }
}
