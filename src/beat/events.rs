//! One turn of the loop: what was recorded is heard in order, and whoever listens is told at once; what the rules must look at
//! waits for its person's turn; then what has come due.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use futures_util::stream::{self, StreamExt};

use super::{Beat, EVENTS_MAX, RETRIES_MAX, WAITING_MAX, asked};
use crate::flow::{self, Derived, Output, Refused, Seen};
use crate::ledger::{self, Error, Event, Fresh, How, Line, Mark, Person, Recorded, Refusal, Scope};
use crate::react::{self, Concern, Heard, Occasion, Reaction, Story};

/// Persons whose stories are read in one state of the store and decided at the same time, so that their commits are gathered.
pub(super) const STORIES_AT_ONCE: usize = 32;
/// Events that are looked at in one state of the store.
const HEARD_AT_ONCE: usize = 256;
/// Events whose resource stays in memory until their turn; that of others is read again, so that a long queue stays small.
const KEPT_MAX: usize = 1_024;
/// Rows about heard events that are recorded together.
pub(super) const MARKS_MAX: usize = 256;

/// An event with what it sets off.
pub(super) struct Claimed {
    event: Event,
    concern: Concern,
    /// The resource as it is after the event, while few wait.
    resource: Option<react::Resource>,
    /// Subscriptions that must be told.
    told: Vec<String>,
    /// Whether somebody says STOP in it.
    is_stop: bool,
    /// What a person says in it of a rule that was stopped.
    answer: Option<Mark>,
    /// Sweeps that it calls for; they become true with its settling.
    called: Vec<Mark>,
}

impl Claimed {
    /// An event that sets nothing off.
    fn nothing(event: Event) -> Self {
        Self {
            event,
            concern: Concern::Nothing,
            resource: None,
            told: Vec::new(),
            is_stop: false,
            answer: None,
            called: Vec::new(),
        }
    }
}

/// Kinds by which somebody refuses to be spoken to.
const REFUSES: &[&str] = &["Communication", "Consent"];

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

/// The events of one person.
type OfPerson = ((Arc<str>, Person), Vec<Claimed>);

/// Events by tenant and person, in the order they were recorded.
pub(super) type ByPerson = BTreeMap<(Arc<str>, Person), Vec<Claimed>>;

/// What was heard and waits for the rules. The store has it too: after a restart it is heard again.
#[derive(Default)]
pub(super) struct Waiting {
    /// Number of the last event that was heard.
    cursor: i64,
    pub(super) people: ByPerson,
    events: usize,
    /// Whether more is recorded than was heard. Nothing that is due is said meanwhile: a STOP may be among it.
    pub(super) behind: bool,
}

impl Beat {
    /// Does what is there to be done now; tells how much it was. After 0 nothing is left until the clock moves or something arrives.
    pub async fn turn(&self) -> Result<usize, Error> {
        let heard = self.hear().await?;
        let decided = if heard == 0 { self.decide_waiting().await? } else { 0 };
        if heard + decided > 0 {
            return Ok(heard + decided);
        }
        self.look_at_dues().await
    }

    /// Forgets what was heard and not decided: all of it is in the store and is heard again.
    pub fn forget(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::default();
    }

    /// Whether the rules have still to look at something that was heard.
    pub(super) fn someone_waits(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).people.is_empty()
    }

    /// Hears the next events: notices for those who listen are recorded at once, and what no rule asks for is settled with them.
    pub(super) async fn hear(&self) -> Result<usize, Error> {
        let (cursor, full) = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let full = waiting.events >= WAITING_MAX;
            waiting.behind |= full;
            (waiting.cursor, full)
        };
        if full {
            return Ok(0);
        }
        let mut events = self.ledger().events(cursor, EVENTS_MAX).await?;
        // Who listens must be true for every later event, and for none before: a changed Subscription ends what is taken together.
        let cut = events.iter().position(|event| event.kind == "Subscription").map_or(events.len(), |at| at + 1);
        let behind = cut < events.len() || i64::try_from(events.len()).is_ok_and(|read| read >= EVENTS_MAX);
        events.truncate(cut);
        let Some(last) = events.last().map(|event| event.number) else {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).behind = false;
            return Ok(0);
        };
        let count = events.len();
        self.learn_rules(&events).await?;
        let mut people: ByPerson = BTreeMap::new();
        let mut kept = KEPT_MAX.saturating_sub(self.waiting.lock().unwrap_or_else(PoisonError::into_inner).events);
        for events in events.chunks(HEARD_AT_ONCE) {
            for claimed in self.ledger().together(self.claim_all(events, &mut kept)).await? {
                people.entry((Arc::clone(&claimed.event.scope.tenant), claimed.event.person)).or_default().push(claimed);
            }
        }
        let mut marks: BTreeMap<Arc<str>, Vec<Vec<Mark>>> = BTreeMap::new();
        let mut stories: ByPerson = BTreeMap::new();
        for ((tenant, person), claimed) in people {
            // What is heard of somebody who waits already is decided on with what waits.
            let story = self.waits(&tenant, person) || self.needs_story(&tenant, person, &claimed).await?;
            self.meet(&tenant);
            let sheets = marks.entry(Arc::clone(&tenant)).or_default();
            for claimed in &claimed {
                // What is said of one event stands in one unit; too many events in one would make every writer wait.
                let mut told = told_marks(claimed, story);
                told.extend(claimed.called.iter().cloned());
                match sheets.last_mut() {
                    Some(sheet) if sheet.len() < MARKS_MAX => sheet.extend(told),
                    _ => sheets.push(told),
                }
            }
            if story {
                stories.insert((tenant, person), claimed);
            }
        }
        for (tenant, sheets) in marks {
            let scope = Scope { tenant };
            for marks in sheets.into_iter().filter(|marks| !marks.is_empty()) {
                let recorded = self.ledger().record_all(ledger::Unit::marks(scope.clone(), marks)).await?;
                self.tell(&scope, recorded);
            }
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        (waiting.cursor, waiting.behind) = (last, behind);
        for (key, mut claimed) in stories {
            waiting.events += claimed.len();
            waiting.people.entry(key).or_default().append(&mut claimed);
        }
        Ok(count)
    }

    /// Lets the rules look at all that waits; tells how many events it was. All of one person become true in one unit; persons do
    /// not wait for each other. If the ledger fails, everything is heard again from the store.
    pub(super) async fn decide_waiting(&self) -> Result<usize, Error> {
        let (people, count) = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            (std::mem::take(&mut waiting.people), std::mem::take(&mut waiting.events))
        };
        // All are brought to their end: a person whose story fails holds up nobody else.
        let decided = match self.as_known(people).await {
            Ok(people) => self.decide_people(people).await,
            Err(error) => vec![Err(error)],
        };
        if let Some(error) = decided.into_iter().find_map(Result::err) {
            *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::default();
            return Err(error);
        }
        Ok(count)
    }

    /// Who may have refused comes first: a STOP binds others too, and none of them may be spoken to beside it. Who said STOP is
    /// decided alone: the story of the next, who may share the address, is read after it.
    async fn decide_people(&self, people: ByPerson) -> Vec<Result<(), Error>> {
        let refuses = |claimed: &Claimed| REFUSES.contains(&claimed.event.kind.as_str());
        let (first, rest): (Vec<OfPerson>, Vec<OfPerson>) =
            people.into_iter().partition(|(_, claimed)| claimed.iter().any(refuses));
        let (stops, first): (Vec<OfPerson>, Vec<OfPerson>) =
            first.into_iter().partition(|(_, claimed)| claimed.iter().any(|claimed| claimed.is_stop));
        let mut decided = Vec::new();
        for (mut people, at_once) in [(stops, 1), (first, STORIES_AT_ONCE), (rest, STORIES_AT_ONCE)] {
            while !people.is_empty() {
                let together = people.split_off(people.len().saturating_sub(at_once));
                decided.extend(self.decide_together(together).await);
            }
        }
        decided
    }

    /// The stories of these persons are read in one state of the store; what came of them is recorded together.
    async fn decide_together(&self, people: Vec<OfPerson>) -> Vec<Result<(), Error>> {
        let mut read = Vec::with_capacity(people.len());
        let reading = async {
            for ((tenant, person), mut claimed) in people {
                let scope = Scope { tenant };
                let question = self.question(&mut claimed).await?;
                let told = self.story(&scope, person, &question.occasion).await?;
                read.push((scope, person, claimed, question, told));
            }
            Ok(())
        };
        if let Err(error) = self.ledger().together(reading).await {
            return vec![Err(error)];
        }
        stream::iter(read)
            .map(|(scope, person, claimed, question, told)| async move {
                self.decide_heard(&scope, person, claimed, question, told).await
            })
            .buffer_unordered(STORIES_AT_ONCE)
            .collect()
            .await
    }

    /// Events of persons who are one by now are decided in one story: two at once would each say the same.
    async fn as_known(&self, people: ByPerson) -> Result<ByPerson, Error> {
        self.ledger().together(self.known(people)).await
    }

    async fn known(&self, people: ByPerson) -> Result<ByPerson, Error> {
        let mut survivors: BTreeMap<Arc<str>, BTreeMap<Person, Person>> = BTreeMap::new();
        for of_tenant in people.keys().collect::<Vec<_>>().chunk_by(|one, other| one.0 == other.0) {
            let Some((tenant, _)) = of_tenant.first() else { continue };
            let scope = Scope { tenant: Arc::clone(tenant) };
            let persons: Vec<Person> = of_tenant.iter().map(|(_, person)| *person).collect();
            survivors.insert(scope.tenant.clone(), self.ledger().known_as(&scope, &persons).await?);
        }
        let mut known = ByPerson::new();
        for ((tenant, person), mut claimed) in people {
            let survivor = survivors.get(&tenant).and_then(|known| known.get(&person)).copied().unwrap_or(person);
            known.entry((tenant, survivor)).or_default().append(&mut claimed);
        }
        for claimed in known.values_mut() {
            claimed.sort_by_key(|claimed| claimed.event.number);
        }
        Ok(known)
    }

    async fn claim_all(&self, events: &[Event], kept: &mut usize) -> Result<Vec<Claimed>, Error> {
        let mut claimed = Vec::with_capacity(events.len());
        for event in events {
            let mut one = self.claim(event.clone()).await?;
            if one.concern == Concern::Nothing || *kept == 0 {
                one.resource = None;
            }
            *kept -= usize::from(one.resource.is_some());
            claimed.push(one);
        }
        Ok(claimed)
    }

    async fn claim(&self, event: Event) -> Result<Claimed, Error> {
        let scope = event.scope.clone();
        // Taken also where nobody hears of it: what is never taken would stay.
        let fresh = self.ledger().fresh(event.number);
        if event.kind == "Subscription" {
            self.subscribe(&scope, &event).await?;
        }
        // An import contacts nobody, also not those who listen; that persons were united is told beside the change that did it.
        let is_news = !event.told && event.line != Line::Deleted && !event.line.is_of_persons() && event.how != How::Import;
        let listened = is_news && self.deliverer.listeners().heard(&scope, &event.kind);
        let rules = self.flow.rules.of(&scope.tenant);
        if !listened && !rules.hears(&event.kind) {
            return Ok(Claimed::nothing(event));
        }
        let Some(resource) = self.resource_of(&event, fresh).await? else {
            return Ok(Claimed::nothing(event));
        };
        let told = if listened {
            let lines = self.ledger().lines(&scope, &event.kind, &resource.value).await?;
            self.deliverer.listeners().matching(&scope, &event.kind, &event.id, &resource.value, &lines, resource.learned)
        } else {
            Vec::new()
        };
        let concern = rules.concerns(&event.kind, event.line, &resource.value);
        let is_stop = event.kind == "Communication" && react::wish(&resource.value) == Some(react::Wish::Stop);
        let answer = react::answer(&resource.value).filter(|_| event.how == How::Live);
        let called = react::arrived(&rules, &scope.tenant, event.line, &resource);
        Ok(Claimed { event, concern, resource: Some(resource), told, is_stop, answer, called })
    }

    /// The resource as it is after the event; its last value when it was deleted.
    async fn resource_of(&self, event: &Event, fresh: Option<Fresh>) -> Result<Option<react::Resource>, Error> {
        if let Some(fresh) = fresh {
            return Ok(Some(flow::fresh(fresh)));
        }
        let deleted = event.line == Line::Deleted;
        let version = if deleted { event.version - 1 } else { event.version };
        let stored = self.ledger().version(&event.scope, &event.kind, &event.id, version).await?;
        Ok(stored.map(|stored| flow::resource(&stored, deleted)))
    }

    /// A Subscription changed: who listens is kept true before any later event is looked at.
    async fn subscribe(&self, scope: &Scope, event: &Event) -> Result<(), Error> {
        let row = self.ledger().subscription(scope, &event.id).await?;
        match row {
            Some(row) if event.line != Line::Deleted => self.deliverer.subscribed(scope, row),
            _ => self.deliverer.unsubscribed(scope, &event.id),
        }
        Ok(())
    }

    fn waits(&self, tenant: &Arc<str>, person: Person) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.people.contains_key(&(Arc::clone(tenant), person))
    }

    async fn needs_story(&self, tenant: &Arc<str>, person: Person, claimed: &[Claimed]) -> Result<bool, Error> {
        if person == Person::NOBODY || claimed.iter().all(|claimed| claimed.concern == Concern::Nothing) {
            return Ok(false);
        }
        if claimed.iter().any(|claimed| claimed.concern == Concern::Rules) {
            return Ok(true);
        }
        let scope = Scope { tenant: Arc::clone(tenant) };
        if !self.ledger().dues(&scope, person).await?.is_empty() {
            return Ok(true);
        }
        let now = self.clock().now();
        Ok(self.ledger().decisions(&scope, person).await?.iter().any(|decision| react::may_be_open(decision, now)))
    }

    async fn decide_heard(
        &self,
        scope: &Scope,
        person: Person,
        claimed: Vec<Claimed>,
        question: Question,
        told: (Story, Seen),
    ) -> Result<(), Error> {
        if self.decide(scope, person, &question, Some(told)).await? {
            return Ok(());
        }
        // One of them may be at fault: alone, it cannot take the others with it.
        let alone = claimed.len() == 1;
        for mut one in claimed {
            let event = one.event.clone();
            if alone || !self.decide(scope, person, &self.question(std::slice::from_mut(&mut one)).await?, None).await? {
                self.give_up(scope, &event).await?;
            }
        }
        Ok(())
    }

    /// What the rules are asked about these events.
    async fn question(&self, claimed: &mut [Claimed]) -> Result<Question, Error> {
        let marks: Vec<Mark> = claimed.iter().map(|claimed| Mark::Settled { event: claimed.event.number }).collect();
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
        let (mut halts, mut stopped, mut tries) = (Vec::new(), BTreeSet::new(), 0);
        while tries < RETRIES_MAX {
            let (mut story, seen) = match read.take() {
                Some(told) => told,
                None => self.ledger().together(self.story(scope, person, occasion)).await?,
            };
            // Persons who were parted meanwhile are not decided on as one: all is heard again, each in their own story.
            if question.persons.iter().any(|one| !story.united.contains(one)) {
                return Err(Error::Refused(Refusal::Stale));
            }
            story.halts.clone_from(&halts);
            let Some(mut reaction) = self.reaction(&story, occasion) else { return Ok(false) };
            reaction.marks.extend(asked::turn(question, &story, seen, &reaction));
            match self.flow.record_derived(derived(scope, person, question, &story, reaction)).await {
                Ok(recorded) => {
                    self.tell(scope, recorded);
                    return Ok(true);
                }
                Err(Refused::Exists | Refused::VersionConflict { .. } | Refused::Busy) => {
                    tries += 1;
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

    fn tell(&self, scope: &Scope, recorded: Recorded) {
        self.deliverer.offer(scope, recorded.notices, None);
    }

    /// What the rules make of it; a rule that panics must not stop the house.
    fn reaction(&self, story: &react::Story, occasion: &Occasion) -> Option<Reaction> {
        let rules = self.flow.rules.of(&story.tenant);
        catch_unwind(AssertUnwindSafe(|| react::react(&rules, story, occasion))).ok()
    }
}

/// What a reaction came to, with what becomes true beside it.
fn derived(scope: &Scope, person: Person, question: &Question, story: &Story, reaction: Reaction) -> Derived {
    let outputs = reaction.outputs.into_iter().map(|output| Output { resource: output.value, when: output.when });
    Derived {
        scope: scope.clone(),
        person,
        depth: question.depth + 1,
        outputs: outputs.collect(),
        marks: question.marks.iter().cloned().chain(reaction.marks).collect(),
        expects: Vec::new(),
        united: story.united.clone(),
    }
}

/// The notices of an event, and what they say of it: settled, unless a story must still be decided.
fn told_marks(claimed: &Claimed, story: bool) -> Vec<Mark> {
    let event = &claimed.event;
    let mut marks: Vec<Mark> = claimed
        .told
        .iter()
        .map(|subscription| Mark::Notice {
            subscription: subscription.clone(),
            person: event.person,
            kind: event.kind.clone(),
            id: event.id.clone(),
            version: event.version,
        })
        .collect();
    marks.extend(claimed.answer.clone());
    match story {
        false => marks.push(Mark::Settled { event: event.number }),
        true if !marks.is_empty() => marks.push(Mark::Told { event: event.number }),
        true => {}
    }
    marks
}
