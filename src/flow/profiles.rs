//! Holds what is written against the profiles it claims, and learns the definitions that were written.
//! Follows <https://hl7.org/fhir/R4/profiling.html>.

use std::borrow::Cow;

use serde_json::Value;

use super::interaction::Interaction;
use super::library::Lesson;
use super::{Flow, Refused, Sender};
use crate::check::canon::{Canon, KINDS};
use crate::check::profile;
use crate::fhir::outcome::Issue;
use crate::ledger::Receipt;

/// Whether resources of this type say what others must look like.
pub(super) fn teaches(kind: &str) -> bool {
    KINDS.contains(&kind)
}

/// What the profiles that each of these claims find in it.
fn against_claims(canon: &Canon, wishes: &[Interaction]) -> Vec<Vec<Issue>> {
    let beside: Vec<profile::Neighbour<'_>> = wishes
        .iter()
        .filter_map(|wish| {
            let address = wish.entry.as_ref().and_then(|(_, address)| address.as_deref());
            wish.resource.as_ref().map(|resource| (address, resource))
        })
        .collect();
    let held = |wish: &Interaction| match wish.resource.as_ref().filter(|resource| profile::claims(resource)) {
        Some(resource) => profile::claimed(canon, resource, &wish.place(), &beside),
        None => Vec::new(),
    };
    wishes.iter().map(held).collect()
}

impl Flow {
    /// Refuses what breaks a profile that it claims; remarks go to the warnings. Who claims nothing is asked nothing.
    pub(super) async fn hold_profiles(&self, sender: &Sender, wishes: &mut Vec<Interaction>) -> Result<(), Refused> {
        if !wishes.iter().filter_map(|wish| wish.resource.as_ref()).any(profile::claims) {
            return Ok(());
        }
        let canon = self.canon(&sender.scope).await?;
        // What a profile asks may be much work, for which others are not to wait.
        let asked = std::mem::take(wishes);
        let held = tokio::task::spawn_blocking(move || {
            let found = against_claims(&canon, &asked);
            (asked, found)
        });
        let (asked, found) = held.await.map_err(|error| Refused::Broken(error.to_string()))?;
        *wishes = asked;
        if found.iter().flatten().any(Issue::refuses) {
            let whole = wishes.len() > 1;
            let refusing = found.into_iter().flatten().filter(|issue| !whole || issue.refuses()).collect();
            return Err(Refused::Issues(refusing));
        }
        for (wish, issues) in wishes.iter_mut().zip(found) {
            wish.warnings.extend(issues);
        }
        Ok(())
    }

    /// What was written of definitions holds from now on.
    pub(super) fn learn_written<'r>(&self, sender: &Sender, written: impl Iterator<Item = (&'r Receipt, Option<&'r Value>)>) {
        let mut lessons = written.filter(|(receipt, _)| teaches(&receipt.kind)).peekable();
        if lessons.peek().is_none() {
            return;
        }
        let lesson = |(receipt, resource): (&'r Receipt, Option<&'r Value>)| Lesson {
            kind: &receipt.kind,
            id: &receipt.id,
            version: receipt.version,
            resource: resource.map(Cow::Borrowed),
        };
        self.learn(&sender.scope, lessons.map(lesson));
    }
}
