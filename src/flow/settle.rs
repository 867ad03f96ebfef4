//! Interactions become one unit of the ledger: aimed at resources, their references turned, drafted, recorded.
//! Follows <https://hl7.org/fhir/R4/http.html#transaction>.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use uuid::{NoContext, Timestamp, Uuid};

use super::aim::{Aim, Plan};
use super::interaction::{Act, Interaction};
use super::profiles::teaches;
use super::{Done, Flow, REBUILDS_MAX, Refused, Sender};
use crate::check;
use crate::fhir::outcome::Issue;
use crate::identify;
use crate::ledger::{self, Basis, Change, Draft, How, Mark, Person, Receipt, Refusal, Stored, Unit};
use crate::react;

/// What a unit is made of, and what its receipts must be given back to.
struct Built {
    unit: Unit,
    /// For each change, the index of its interaction.
    origins: Vec<usize>,
    /// Meta and body of a single resource, for its answer.
    kept: Option<(String, String)>,
}

impl Flow {
    /// Carries out interactions, all or none. `build` makes them from the sender's text; it runs again when somebody else
    /// was faster and the answer to a search has changed.
    pub(super) async fn settle(
        &self,
        sender: &Sender,
        mut build: impl FnMut() -> Result<Vec<Interaction>, Refused> + Send,
    ) -> Result<Vec<Done>, Refused> {
        for _ in 0..REBUILDS_MAX {
            if let Some(done) = self.attempt(sender, build()?).await? {
                return Ok(done);
            }
        }
        Err(Refused::Busy)
    }

    /// One attempt; `None` if what it was built on is no longer so.
    async fn attempt(&self, sender: &Sender, mut wishes: Vec<Interaction>) -> Result<Option<Vec<Done>>, Refused> {
        let plan = self.aim(sender, &mut wishes).await?;
        // Only now it is known what a patch makes; references are still as they were written.
        self.hold_profiles(sender, &mut wishes).await?;
        turn_references(&mut wishes, &plan)?;
        self.admit_rules(sender, &wishes, &plan).await?;
        let marks = self.marks(sender, &mut wishes, &plan).await?;
        let Built { unit, origins, kept } = build(sender, &mut wishes, &plan, marks);
        if unit.changes.is_empty() {
            let done = self.answer(sender, wishes, &plan, HashMap::new(), None).await;
            return self.ledger.settled().await.map_err(broken).and(done).map(Some);
        }
        match self.ledger.record(unit).await {
            Ok(receipts) => {
                let resource = |at: &usize| wishes[*at].resource.as_ref();
                self.learn_written(sender, receipts.iter().zip(&origins).map(|(receipt, at)| (receipt, resource(at))));
                let has_read = origins.len() < wishes.len();
                let receipts = origins.into_iter().zip(receipts).collect();
                let done = self.answer(sender, wishes, &plan, receipts, kept).await;
                // What was recorded is on the disk; what was only read beside it may be newer.
                let settled = if has_read { self.ledger.settled().await.map_err(broken) } else { Ok(()) };
                settled.and(done).map(Some)
            }
            Err(error) => failed(error, &wishes, &plan, &origins),
        }
    }

    /// Rows that become true with the resources, where a resource is more than a fact.
    async fn marks(&self, sender: &Sender, wishes: &mut [Interaction], plan: &Plan) -> Result<Vec<Mark>, Refused> {
        let mut marks = Vec::new();
        for (wish, aim) in wishes.iter_mut().zip(&plan.aims) {
            let Aim::Write { id, .. } = aim else { continue };
            let mark = self.admit(sender, wish, id).await;
            marks.extend(mark.map_err(|cause| wish.refused(cause))?);
        }
        Ok(marks)
    }

    /// What is told the sender, in the order of the interactions. Once something is recorded it is no refusal: the sender would
    /// send all of it again. What cannot be read then is told by its id alone.
    async fn answer(
        &self,
        sender: &Sender,
        wishes: Vec<Interaction>,
        plan: &Plan,
        mut receipts: HashMap<usize, Receipt>,
        mut kept: Option<(String, String)>,
    ) -> Result<Vec<Done>, Refused> {
        let is_recorded = !receipts.is_empty();
        let mut done = Vec::with_capacity(wishes.len());
        for (index, (wish, aim)) in wishes.into_iter().zip(&plan.aims).enumerate() {
            let issues = wish.warnings;
            match (aim, receipts.remove(&index)) {
                (_, Some(receipt)) => {
                    let stored = kept.take().map(|(meta, body)| stored(sender, &receipt, meta, body));
                    done.push(Done { receipt, stored, issues });
                }
                (Aim::Write { id, .. } | Aim::Present { id }, None) => {
                    let found = self.ledger.read(&sender.scope, &wish.kind, id).await.map_err(broken);
                    let found = found.and_then(|found| found.filter(|found| !found.deleted).ok_or(Refused::Busy));
                    let (receipt, stored) = match found {
                        Ok(found) => (receipt_of(&found), Some(found)),
                        Err(_) if is_recorded => (Receipt { id: id.clone(), ..nothing(&wish.kind) }, None),
                        Err(refused) => return Err(refused),
                    };
                    done.push(Done { receipt, stored, issues });
                }
                (Aim::Nothing, None) => done.push(Done { receipt: nothing(&wish.kind), stored: None, issues }),
            }
        }
        Ok(done)
    }

    /// A new id: in the order of time, so that neighbours in time are neighbours in the store.
    pub(super) fn fresh_id(&self) -> String {
        let now = u64::try_from(self.clock.now()).unwrap_or_default();
        let nanoseconds = u32::try_from(now % 1_000).unwrap_or_default() * 1_000_000;
        Uuid::new_v7(Timestamp::from_unix(NoContext, now / 1_000, nanoseconds)).to_string()
    }
}

/// References to entries, conditional ones and our own absolute ones become `Type/id`. What they lead to is known only then, and held
/// to what may stand there, as that of any other was when it came in.
fn turn_references(wishes: &mut [Interaction], plan: &Plan) -> Result<(), Refused> {
    let mut issues = Vec::new();
    for wish in wishes {
        let place = wish.place();
        if let Some(resource) = &mut wish.resource {
            // What a patch made is ours already: relative references in it mean what is here.
            let full_url = wish.entry.as_ref().and_then(|(_, full_url)| full_url.as_deref()).filter(|_| wish.act != Act::Patch);
            let rewritten = identify::references::rewrite(resource, full_url.unwrap_or_default(), &plan.links, &place);
            issues.extend(rewritten.issues);
            let misled = if rewritten.changed { check::references(resource, &place) } else { Vec::new() };
            // The patch itself was understood, as with all that is wrong with what it makes.
            if wish.act == Act::Patch && !misled.is_empty() {
                return Err(wish.refused(Refused::Rule(misled)));
            }
            issues.extend(misled);
        }
    }
    if issues.is_empty() { Ok(()) } else { Err(Refused::Issues(issues)) }
}

/// Drafts every resource and puts the unit together.
fn build(sender: &Sender, wishes: &mut [Interaction], plan: &Plan, marks: Vec<Mark>) -> Built {
    let single = wishes.len() == 1 && wishes[0].entry.is_none();
    let mut changes = Vec::with_capacity(wishes.len());
    let mut origins = Vec::with_capacity(wishes.len());
    let mut kept = None;
    for (index, (wish, aim)) in wishes.iter_mut().zip(&plan.aims).enumerate() {
        let Aim::Write { id, when, .. } = aim else { continue };
        let resource = if teaches(&wish.kind) {
            // What it says is learned after the commit.
            wish.resource.as_ref().map(identify::draft)
        } else {
            wish.resource.take().map(|accepted| drafted(sender, accepted))
        };
        if single {
            kept = resource.as_ref().map(|draft: &Draft| (draft.meta.clone(), draft.body.clone()));
        }
        changes.push(Change { kind: wish.kind.clone(), id: id.clone(), when: *when, resource });
        origins.push(index);
    }
    let unit = Unit {
        scope: sender.scope.clone(),
        how: sender.how,
        source: sender.source.clone(),
        depth: 0,
        expects: plan.expects.clone(),
        basis: Basis::default(),
        changes,
        marks,
    };
    Built { unit, origins, kept }
}

/// The draft of a resource. What rules will act on goes with it as it was parsed.
fn drafted(sender: &Sender, accepted: Value) -> Draft {
    let draft = identify::draft(&accepted);
    let is_stop = react::is_stop(&accepted);
    let accepted = (sender.how == How::Live).then(|| Arc::new(accepted));
    Draft { is_stop, accepted, ..draft }
}

/// What a failed unit means for its sender; `None` if it is to be built again.
fn failed(error: ledger::Error, wishes: &[Interaction], plan: &Plan, origins: &[usize]) -> Result<Option<Vec<Done>>, Refused> {
    let ledger::Error::Refused(refusal) = error else { return Err(broken(error)) };
    let (change, cause) = match refusal {
        Refusal::Stale => return Ok(None),
        Refusal::Version { change, current } => (change, Refused::VersionConflict { current }),
        Refusal::Exists { change } => (change, Refused::Exists),
        // Nothing fires in what senders write, and what names a resource twice was refused when it was aimed.
        Refusal::Beyond(_) | Refusal::Twice { .. } => return Err(broken(ledger::Error::Refused(refusal))),
    };
    let Some(&index) = origins.get(change) else { return Err(cause) };
    match plan.aims.get(index) {
        Some(Aim::Write { guarded: true, .. }) => Ok(None),
        _ => Err(wishes.get(index).map_or(cause.clone(), |wish| wish.refused(cause))),
    }
}

/// The words of the ledger for what the sender can do nothing about.
pub(super) fn broken(error: ledger::Error) -> Refused {
    match error {
        ledger::Error::Busy => Refused::Busy,
        ledger::Error::Refused(refusal) => Refused::Broken(format!("the ledger refused {refusal:?}")),
        ledger::Error::TooCostly(words) => Refused::Issues(vec![Issue::error("too-costly", "too-costly", "", words)]),
        ledger::Error::Broken(why) => Refused::Broken(why),
    }
}

fn stored(sender: &Sender, receipt: &Receipt, meta: String, body: String) -> Stored {
    Stored {
        number: 0,
        kind: receipt.kind.clone(),
        id: receipt.id.clone(),
        version: receipt.version,
        updated: receipt.updated,
        deleted: false,
        person: receipt.person,
        fact: 0,
        source: sender.source.clone(),
        how: sender.how,
        meta,
        body,
    }
}

fn receipt_of(found: &Stored) -> Receipt {
    Receipt {
        kind: found.kind.clone(),
        id: found.id.clone(),
        version: found.version,
        updated: found.updated,
        created: false,
        unchanged: true,
        person: found.person,
    }
}

/// The receipt of what wrote nothing, of which nothing is known.
fn nothing(kind: &str) -> Receipt {
    Receipt {
        kind: kind.to_owned(),
        id: String::new(),
        version: 0,
        updated: 0,
        created: false,
        unchanged: true,
        person: Person::NOBODY,
    }
}
