//! Aims interactions at resources of the ledger: asks it for what their criteria find, and says what is to be written where.
//! Follows <https://hl7.org/fhir/R4/http.html#cond-update>.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::interaction::{Act, Condition, Interaction, refuse};
use super::{Flow, Refused, Sender};
use crate::check::moves;
use crate::fhir::outcome::Issue;
use crate::fhir::time;
use crate::identify;
use crate::identify::address::identity;
use crate::identify::references::Links;
use crate::ledger::{Expect, HaltState, How, Precondition};

/// What an interaction is aimed at.
#[derive(Debug)]
pub(super) enum Aim {
    /// This resource is written.
    Write {
        /// Its id.
        id: String,
        /// What must be true of the stored one.
        when: Precondition,
        /// Whether the precondition is ours: then it is built again when it fails, and the sender is not told.
        guarded: bool,
    },
    /// A conditional create found this one: nothing is written.
    Present {
        /// Its id.
        id: String,
    },
    /// A conditional delete found nothing.
    Nothing,
}

/// Everything that is settled before the drafts are made.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What each interaction is aimed at.
    pub(super) aims: Vec<Aim>,
    /// The searches it rests on.
    pub(super) expects: Vec<Expect>,
    /// What references lead to.
    pub(super) links: Links,
    /// Index in `expects` by the key of the criteria.
    asked: HashMap<String, usize>,
    /// What this unit makes because these criteria found nothing: the id, and which interaction it is.
    made: HashMap<String, (String, usize)>,
    /// Interactions that are one because their criteria are: the first of them, and another.
    twins: Vec<(usize, usize)>,
    /// What this unit deletes, by type and id.
    gone: HashSet<(String, String)>,
}

impl Flow {
    /// Aims every interaction, and finds what their references lead to.
    pub(super) async fn aim(&self, sender: &Sender, wishes: &mut [Interaction]) -> Result<Plan, Refused> {
        let mut plan = Plan::default();
        for wish in wishes.iter_mut() {
            let aim = self.aim_one(sender, wish, &mut plan).await.map_err(|cause| wish.refused(cause))?;
            if let (Act::Delete, Aim::Write { id, .. }) = (wish.act, &aim) {
                plan.gone.insert((wish.kind.clone(), id.clone()));
            }
            plan.aims.push(aim);
        }
        same_twins(wishes, &plan.twins)?;
        each_once(wishes, &plan.aims)?;
        plan.links = self.links(wishes, &plan.aims);
        self.resolve(sender, wishes, &mut plan).await?;
        Ok(plan)
    }

    async fn aim_one(&self, sender: &Sender, wish: &mut Interaction, plan: &mut Plan) -> Result<Aim, Refused> {
        let found = match &wish.condition {
            Some(condition) if wish.act == Act::Create => Some(self.left(sender, condition, plan).await?),
            Some(condition) => Some(self.found(sender, condition, plan).await?),
            None => None,
        };
        match (wish.act, found.as_deref()) {
            (_, Some([_, _, ..])) => Err(Refused::MultipleMatches),
            (Act::Create, Some([id])) => Ok(Aim::Present { id: id.clone() }),
            (Act::Create, Some([])) => Ok(self.make_once(wish, plan)),
            (Act::Create, None) => Ok(Aim::Write { id: self.fresh_id(), when: Precondition::Absent, guarded: false }),
            (Act::Update | Act::Delete, Some([])) if wish.if_match.is_some() => Err(Refused::VersionConflict { current: None }),
            (Act::Update, Some([])) => {
                let (id, when) = self.room_for(sender, wish).await?;
                let key = wish.condition.as_ref().map(|condition| condition.key.clone()).unwrap_or_default();
                if plan.made.insert(key, (id.clone(), plan.aims.len())).is_some() {
                    return Err(refuse(twice(wish)));
                }
                Ok(Aim::Write { id, when, guarded: when != Precondition::Absent })
            }
            (Act::Update, Some([id])) => {
                if wish.body_id().is_some_and(|body| body != id) {
                    let words = "The criteria find a resource with another id than the one in the resource.";
                    return Err(refuse(Issue::error("invalid", "wrong-id", format!("{}.id", wish.place()), words)));
                }
                self.replace(sender, wish, id).await
            }
            (Act::Update, None) => {
                let id = wish.id.clone().unwrap_or_default();
                self.replace(sender, wish, &id).await
            }
            (Act::Patch, Some([])) => Err(Refused::NotFound),
            (Act::Patch, Some([id])) => self.patched(sender, wish, id).await,
            (Act::Patch, None) => {
                let id = wish.id.clone().unwrap_or_default();
                self.patched(sender, wish, &id).await
            }
            (Act::Delete, Some([])) => Ok(Aim::Nothing),
            (Act::Delete, Some([id])) => self.remove(sender, wish, id.clone()).await,
            (Act::Delete, None) => self.remove(sender, wish, wish.id.clone().unwrap_or_default()).await,
        }
    }

    /// A deletion of this resource. A Task that a stopped rule waits for is answered, not deleted: nobody else would be asked.
    /// What a backup says to have been deleted does not end a Subscription that is served.
    async fn remove(&self, sender: &Sender, wish: &Interaction, id: String) -> Result<Aim, Refused> {
        if wish.kind == "Subscription"
            && sender.how == How::Import
            && self.ledger.subscription(&sender.scope, &id).await.map_err(super::broken)?.is_some()
        {
            return Ok(Aim::Nothing);
        }
        if wish.kind == "Task" {
            let halts = self.ledger.halts(&sender.scope).await.map_err(super::broken)?;
            if halts.iter().any(|halt| halt.task == id && halt.state == HaltState::Stopped) {
                let words = "A rule waits for what this Task comes to: complete it with its output, or cancel it.";
                return Err(Refused::Rule(vec![Issue::error("business-rule", "task-awaited", wish.place(), words)]));
            }
        }
        Ok(Aim::Write { id, when: precondition(wish), guarded: false })
    }

    /// The id under which an update whose criteria found nothing creates: the sender's own, unless another resource has it.
    async fn room_for(&self, sender: &Sender, wish: &Interaction) -> Result<(String, Precondition), Refused> {
        let Some(id) = wish.body_id() else { return Ok((self.fresh_id(), Precondition::Absent)) };
        let when = match self.ledger.read(&sender.scope, &wish.kind, id).await.map_err(super::broken)? {
            None => Precondition::Absent,
            Some(gone) if gone.deleted => Precondition::Version(gone.version),
            Some(_) => return Err(Refused::Exists),
        };
        Ok((id.to_owned(), when))
    }

    /// A conditional create that found nothing; the same criteria a second time in one unit mean the same resource.
    fn make_once(&self, wish: &Interaction, plan: &mut Plan) -> Aim {
        let key = wish.condition.as_ref().map(|condition| condition.key.clone()).unwrap_or_default();
        if let Some((id, first)) = plan.made.get(&key) {
            plan.twins.push((*first, plan.aims.len()));
            return Aim::Present { id: id.clone() };
        }
        let id = self.fresh_id();
        plan.made.insert(key, (id.clone(), plan.aims.len()));
        Aim::Write { id, when: Precondition::Absent, guarded: false }
    }

    /// An update of this resource. What is our own moves only as such things move, from the version that was looked at.
    async fn replace(&self, sender: &Sender, wish: &mut Interaction, id: &str) -> Result<Aim, Refused> {
        let plain = Aim::Write { id: id.to_owned(), when: precondition(wish), guarded: false };
        if !moves::binds(&wish.kind) {
            return Ok(plain);
        }
        let current = self.ledger.read(&sender.scope, &wish.kind, id).await.map_err(super::broken)?;
        let Some(current) = current.filter(|current| !current.deleted) else { return Ok(plain) };
        let was = current.value();
        if !moves::is_ours(&was) {
            return Ok(plain);
        }
        if wish.if_match.is_some_and(|version| version != current.version) {
            return Err(Refused::VersionConflict { current: Some(current.version) });
        }
        self.step(sender, &was, wish).await?;
        let guarded = wish.if_match.is_none();
        Ok(Aim::Write { id: id.to_owned(), when: Precondition::Version(current.version), guarded })
    }

    /// What is our own takes a step only as such things move; when a Task did, we say.
    pub(super) async fn step(&self, sender: &Sender, was: &Value, wish: &mut Interaction) -> Result<(), Refused> {
        let place = wish.place();
        let Some(resource) = wish.resource.as_mut().filter(|_| moves::binds(&wish.kind) && moves::is_ours(was)) else {
            return Ok(());
        };
        // Who writes our own address before a reference names what stands here.
        let links = Links { base: self.base.to_string(), ..Links::default() };
        let mut meant = resource.clone();
        identify::references::rewrite(&mut meant, "", &links, &place);
        let mut faults = moves::faults(was, &meant, &place);
        if let Some((role, store)) = moves::claim(was, &meant) {
            let kept = self.ledger.read(&sender.scope, "PractitionerRole", &role).await.map_err(super::broken)?;
            // A role that is not kept here is taken at its word.
            let kept = kept.filter(|kept| !kept.deleted).map(|kept| kept.value());
            faults.extend(kept.and_then(|role| moves::wrong_store(&role, &store, &place)));
        }
        if !faults.is_empty() {
            return Err(Refused::Rule(faults));
        }
        moves::give_reason(resource);
        if wish.kind == "Task" {
            resource["lastModified"] = time::instant(self.clock.now()).into();
        }
        Ok(())
    }

    /// What a condition finds; each is asked once in a unit.
    async fn found(&self, sender: &Sender, condition: &Condition, plan: &mut Plan) -> Result<Vec<String>, Refused> {
        if let Some(&index) = plan.asked.get(&condition.key) {
            return Ok(plan.expects[index].found.clone());
        }
        let since = self.ledger.horizon();
        let found = self.ledger.find(&sender.scope, &condition.query).await.map_err(super::broken)?;
        plan.asked.insert(condition.key.clone(), plan.expects.len());
        plan.expects.push(Expect { query: condition.query.clone(), most: 2, found: found.clone(), since });
        Ok(found)
    }

    /// What a condition finds when the unit has deleted what it deletes.
    async fn left(&self, sender: &Sender, condition: &Condition, plan: &mut Plan) -> Result<Vec<String>, Refused> {
        let found = self.found(sender, condition, plan).await?;
        let (kind, Plan { gone, expects, .. }) = (&condition.query.kind, plan);
        self.without(sender, found, condition, gone.len(), expects, |id| gone.contains(&(kind.clone(), id.to_owned()))).await
    }

    /// What is found without these, at most `count` of them. Where two were found there may be more: then it is asked again,
    /// so that none is taken for the only one, and what is found then must still be so when it is recorded.
    async fn without(
        &self,
        sender: &Sender,
        mut found: Vec<String>,
        condition: &Condition,
        count: usize,
        expects: &mut Vec<Expect>,
        not: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Refused> {
        if found.len() > 1 && found.iter().any(|id| not(id)) {
            let count = u32::try_from(count.saturating_add(2)).unwrap_or(u32::MAX);
            let since = self.ledger.horizon();
            found = self.ledger.find_many(&sender.scope, &condition.query, count).await.map_err(super::broken)?;
            expects.push(Expect { query: condition.query.clone(), most: count, found: found.clone(), since });
        }
        found.retain(|id| !not(id));
        Ok(found)
    }

    /// What the entries of the unit are called from now on.
    fn links(&self, wishes: &[Interaction], aims: &[Aim]) -> Links {
        let mut links = Links { base: self.base.to_string(), ..Links::default() };
        for (wish, aim) in wishes.iter().zip(aims) {
            links.closed |= wish.entry.is_some();
            let (Some((_, Some(full_url))), Aim::Write { id, .. } | Aim::Present { id }) = (&wish.entry, aim) else { continue };
            let ours = format!("{}/{id}", wish.kind);
            if matches!(aim, Aim::Write { when: Precondition::Absent, .. }) {
                links.new.insert(ours.clone());
            }
            links.entries.insert(identity(full_url).to_owned(), ours);
        }
        links
    }

    /// Conditional references must lead to exactly one resource, of the ledger or of this unit.
    async fn resolve(&self, sender: &Sender, wishes: &[Interaction], plan: &mut Plan) -> Result<(), Refused> {
        let mut issues = Vec::new();
        for wish in wishes {
            let Some(resource) = &wish.resource else { continue };
            for (place, text) in identify::references::conditional(resource, &self.base) {
                if plan.links.conditional.contains_key(&text) {
                    continue;
                }
                let Some((kind, criteria)) = identify::references::criteria(&text) else { continue };
                let place = format!("{}{place}", wish.place());
                let condition = self.condition(kind, criteria).map_err(|refused| at(refused, &place))?;
                let found = self.found(sender, &condition, plan).await?;
                let own = written(wishes, &plan.aims, kind);
                let found = self.without(sender, found, &condition, own.len(), &mut plan.expects, |id| own.contains(id)).await?;
                let found = self.with_own(found, &condition, wishes, &plan.aims);
                match found.as_slice() {
                    [id] => {
                        let target = format!("{kind}/{id}");
                        plan.links.conditional.insert(text, target);
                    }
                    found => issues.push(unresolved(&place, found.is_empty())),
                }
            }
        }
        if issues.is_empty() { Ok(()) } else { Err(Refused::Unresolved(issues)) }
    }

    /// What a condition finds after this unit: without what the unit writes or deletes, and with what of it matches.
    fn with_own(&self, found: Vec<String>, condition: &Condition, wishes: &[Interaction], aims: &[Aim]) -> Vec<String> {
        let mut found: Vec<String> = found;
        for (wish, aim) in wishes.iter().zip(aims) {
            let Aim::Write { id, .. } = aim else { continue };
            if wish.kind != condition.query.kind {
                continue;
            }
            found.retain(|other| other != id);
            let Some(resource) = &wish.resource else { continue };
            if identify::matches(resource, &condition.query, self.clock.now()) {
                found.push(id.clone());
            }
        }
        found
    }
}

fn precondition(wish: &Interaction) -> Precondition {
    wish.if_match.map_or(Precondition::None, Precondition::Version)
}

/// The ids of this type that the unit writes or deletes.
fn written<'a>(wishes: &[Interaction], aims: &'a [Aim], kind: &str) -> HashSet<&'a str> {
    let own = |(wish, aim): (&Interaction, &'a Aim)| match aim {
        Aim::Write { id, .. } if wish.kind == kind => Some(id.as_str()),
        _ => None,
    };
    wishes.iter().zip(aims).filter_map(own).collect()
}

/// Interactions with the same criteria are one only if they want the same: else the order of entries would decide.
fn same_twins(wishes: &[Interaction], twins: &[(usize, usize)]) -> Result<(), Refused> {
    let data = |wish: &Interaction| {
        let mut resource = wish.resource.clone().unwrap_or_default();
        resource.as_object_mut().map(|members| members.shift_remove("id"));
        resource
    };
    match twins.iter().find(|(first, other)| wishes[*first].act != Act::Create || data(&wishes[*first]) != data(&wishes[*other]))
    {
        Some((_, other)) => Err(refuse(twice(&wishes[*other]))),
        None => Ok(()),
    }
}

fn twice(wish: &Interaction) -> Issue {
    let place = wish.entry.as_ref().map(|(index, _)| format!("Bundle.entry[{index}]")).unwrap_or_default();
    let words = "Another entry of this transaction is about the same resource; each may be named once.";
    Issue::error("invalid", "same-resource-twice", place, words)
}

/// One unit may write a resource only once: the order of entries must not decide what becomes of it.
fn each_once(wishes: &[Interaction], aims: &[Aim]) -> Result<(), Refused> {
    let mut seen = HashSet::with_capacity(aims.len());
    for (wish, aim) in wishes.iter().zip(aims) {
        let Aim::Write { id, .. } = aim else { continue };
        if !seen.insert((wish.kind.as_str(), id.as_str())) {
            return Err(refuse(twice(wish)));
        }
    }
    Ok(())
}

fn unresolved(place: &str, none: bool) -> Issue {
    if none {
        Issue::error(
            "not-found",
            "conditional-reference",
            place,
            "The conditional reference finds nothing; it must find exactly one resource.",
        )
    } else {
        let words = "The conditional reference finds several resources; it must find exactly one.";
        Issue::error("multiple-matches", "conditional-reference", place, words)
    }
}

/// The same refusal, said of this place.
fn at(refused: Refused, place: &str) -> Refused {
    match refused {
        Refused::Issues(issues) => {
            Refused::Issues(issues.into_iter().map(|issue| Issue { expression: place.to_owned(), ..issue }).collect())
        }
        other => other,
    }
}
