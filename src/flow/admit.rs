//! Resources that are more than facts are held here, once and only here, against the room that will act on them.
//! Follows <https://hl7.org/fhir/R4/subscription.html>.

use super::interaction::{Act, Interaction};
use super::{Flow, Refused, Sender, broken, criteria};
use crate::fhir::outcome::Issue;
use crate::fhir::search::is_subsetted;
use crate::ledger::{How, Mark};
use crate::speak::subscription;

impl Flow {
    /// The rows that become true with this interaction on the resource with this id, or why it is refused.
    ///
    /// What was shown in part is not taken for the whole: it would wipe out what was left out.
    /// A Subscription learned by import is stored `off`: what a backup says shall not begin to call out. What is off may
    /// also be one that we could not serve. One that is known stays as it is: what a backup says shall not end it, either.
    pub(super) async fn admit(&self, sender: &Sender, wish: &mut Interaction, id: &str) -> Result<Option<Mark>, Refused> {
        if wish.act != Act::Delete && wish.resource.as_ref().is_some_and(is_subsetted) {
            let words = "The resource says that it is only a part of itself (SUBSETTED): read it whole, and send it whole.";
            let place = format!("{}.meta.tag", wish.place());
            return Err(Refused::Rule(vec![Issue::error("business-rule", "subsetted", place, words)]));
        }
        if wish.kind != "Subscription" {
            return Ok(None);
        }
        if wish.act == Act::Delete {
            return Ok(Some(Mark::Unsubscribed { subscription: id.to_owned() }));
        }
        let Some(resource) = &mut wish.resource else { return Ok(None) };
        let before = self.ledger.subscription(&sender.scope, id).await.map_err(broken)?;
        if sender.how == How::Import {
            if before.is_some()
                && let Some(kept) = self.ledger.read(&sender.scope, &wish.kind, id).await.map_err(broken)?
            {
                *resource = kept.value();
                return Ok(None);
            }
            resource["status"] = "off".into();
        }
        let now = self.clock.now();
        let accepted = subscription::read(resource, before.as_ref(), now, &self.speak, criteria::listened);
        match accepted {
            Ok(mut accepted) => {
                id.clone_into(&mut accepted.row.id);
                accepted.row.criteria = criteria::without_own(&accepted.row.criteria, &self.base);
                Ok(Some(Mark::Subscribed(accepted.row)))
            }
            Err(_) if sender.how == How::Import => Ok(None),
            Err(issues) => Err(Refused::Rule(issues)),
        }
    }
}
