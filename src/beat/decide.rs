//! The rules are asked, and what they answer is recorded.

use std::collections::BTreeSet;

use super::events::Claimed;
use super::fault::guarded;
use super::{Beat, RETRIES_MAX, asked};
use crate::flow::{Derived, Output, Refused, Seen};
use crate::ledger::{Basis, Error, How, Mark, Person, Refusal, Scope};
use crate::react::{self, Concern, Heard, Occasion, Reaction, Story};

/// What the rules are asked, and what becomes true with their answer.
pub(super) struct Question {
    pub(super) occasion: Occasion,
    pub(super) depth: u8,
    pub(super) marks: Vec<Mark>,
    /// When the first and the last of what was heard were learned.
    pub(super) learned: (i64, i64),
    /// Whose events they are: all of them must be one person in the story.
    pub(super) persons: BTreeSet<Person>,
}

impl Default for Question {
    fn default() -> Self {
        Self { occasion: Occasion::Heard(Vec::new()), depth: 0, marks: Vec::new(), learned: (0, 0), persons: BTreeSet::new() }
    }
}

impl Beat {
    /// What the rules are asked about these events.
    pub(super) async fn question(&self, claimed: &mut [Claimed]) -> Result<Question, Error> {
        let marks: Vec<Mark> = claimed.iter().filter_map(|claimed| self.settled(claimed.event.number)).collect();
        let depth = claimed.iter().map(|claimed| claimed.event.depth).max().unwrap_or(0);
        let persons = claimed.iter().map(|claimed| claimed.event.person).collect();
        let mut heard = Vec::with_capacity(claimed.len());
        let mut learned: Option<(i64, i64)> = None;
        for Claimed { event, concern, resource, .. } in claimed {
            if *concern == Concern::Nothing {
                continue;
            }
            let resource = match resource.take() {
                Some(resource) => Some(resource),
                None => self.resource_of(event, None).await?,
            };
            if let Some(resource) = resource {
                learned = Some((learned.map_or(event.learned, |(first, _)| first), event.learned));
                heard.push(Heard { line: event.line, resource, react: event.how == How::Live, depth: event.depth });
            }
        }
        Ok(Question { occasion: Occasion::Heard(heard), depth, marks, learned: learned.unwrap_or_default(), persons })
    }

    /// Decides on a question, over the story that was read for it or one that is read now, and records what came of it; anew when
    /// the story has changed meanwhile. `false` says that a fault of ours kept it from being decided, and that nothing is recorded.
    pub(super) async fn decide(
        &self,
        scope: &Scope,
        person: Person,
        question: &Question,
        mut read: Option<(Story, Seen)>,
    ) -> Result<bool, Error> {
        let occasion = &question.occasion;
        let (mut halts, mut stopped, mut taken, mut tries) = (Vec::new(), BTreeSet::new(), BTreeSet::new(), 0);
        while tries < RETRIES_MAX {
            let (mut story, seen) = match read.take() {
                Some(told) => told,
                None => self.ledger().together(self.story(scope, person, occasion)).await?,
            };
            // Persons who were parted meanwhile are not decided on as one: all is heard again, each in their own story.
            if !self.is_of_all(scope, &story, &question.persons).await? {
                return Err(Error::Refused(Refusal::Stale));
            }
            story.halts.clone_from(&halts);
            story.taken.clone_from(&taken);
            let Some(mut reaction) = self.reaction(&story, occasion) else { return Ok(false) };
            reaction.marks.extend(asked::turn(question, &story, seen.clone(), &reaction));
            let made: Vec<(&'static str, String)> = reaction.made().map(|output| (output.kind, output.id.clone())).collect();
            let basis = Basis { seen, kinds: react::BINDING, heard: self.heard() };
            match self.flow.record_derived(derived(scope, person, question, basis, reaction)).await {
                Ok(recorded) => {
                    self.tell(scope, recorded);
                    return Ok(true);
                }
                Err(Refused::Busy) if tries + 1 >= RETRIES_MAX || self.is_deaf(&scope.tenant) => {
                    return Err(Error::Refused(Refusal::Stale));
                }
                Err(refused @ (Refused::Exists | Refused::VersionConflict { .. } | Refused::Busy)) => {
                    tries += 1;
                    if matches!(refused, Refused::Exists) {
                        taken.extend(self.standing(scope, made).await?);
                    }
                    // A person may have said meanwhile what becomes of a rule.
                    if !halts.is_empty() {
                        halts = self.ledger().halts(scope).await?;
                    }
                    tracing::debug!("a reaction is decided anew");
                }
                // However many rules an occasion sets off: each of them is stopped once, and the others are heard.
                Err(Refused::Beyond(beyond)) => {
                    halts = self.halt(scope, &beyond).await?;
                    tries += usize::from(!stopped.insert(beyond.rule));
                }
                Err(Refused::Broken(why)) => return Err(Error::Broken(why)),
                // What its issues say may speak of a patient: their keys must do.
                Err(Refused::Rule(issues)) => {
                    let keys: Vec<&str> = issues.iter().map(|issue| issue.key).collect();
                    tracing::error!(?keys, "what was decided is no valid resource");
                    return Ok(false);
                }
                Err(_) => {
                    tracing::error!("what was decided was refused");
                    return Ok(false);
                }
            }
        }
        tracing::error!("a story changed each time it was decided on");
        Ok(false)
    }

    /// The ids of these under which something stands already.
    async fn standing(&self, scope: &Scope, made: Vec<(&'static str, String)>) -> Result<Vec<String>, Error> {
        let mut standing = Vec::new();
        for (kind, id) in made {
            if self.ledger().read(scope, kind, &id).await?.is_some() {
                standing.push(id);
            }
        }
        Ok(standing)
    }

    /// Whether all of these are one person in the story. A story tells of so many who are one, and the others are asked after.
    async fn is_of_all(&self, scope: &Scope, story: &Story, persons: &BTreeSet<Person>) -> Result<bool, Error> {
        let others: Vec<Person> = persons.iter().filter(|one| !story.united.contains(one)).copied().collect();
        if others.is_empty() {
            return Ok(true);
        }
        let known = self.ledger().known_as(scope, &others).await?;
        Ok(others.iter().all(|one| known.get(one) == Some(&story.person)))
    }

    /// What the rules make of it; a rule that panics must not stop the house.
    fn reaction(&self, story: &react::Story, occasion: &Occasion) -> Option<Reaction> {
        let rules = self.flow.rules.of(&story.tenant);
        guarded(|| react::react(&rules, story, occasion))
    }
}

/// What a reaction came to, with what becomes true beside it.
fn derived(scope: &Scope, person: Person, question: &Question, basis: Basis, reaction: Reaction) -> Derived {
    let outputs = reaction.outputs.into_iter().map(|output| Output { resource: output.value, when: output.when });
    Derived {
        scope: scope.clone(),
        person,
        depth: question.depth + 1,
        outputs: outputs.collect(),
        marks: question.marks.iter().cloned().chain(reaction.marks).collect(),
        expects: Vec::new(),
        basis,
    }
}
