//! What was recorded is heard in order, and whoever listens is told at once; what the rules must look at waits for its person's turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fault::guarded;
use super::waiting::{Ahead, ByPerson, Patience, Untold};
use super::{Beat, EVENTS_MAX};
use crate::flow;
use crate::ledger::{self, Error, Event, Fresh, How, Line, Mark, Person, Recorded, Scope, search};
use crate::react::{self, Concern, Rules};

/// Events that are looked at in one state of the store.
const HEARD_AT_ONCE: usize = 256;
/// Events whose resource stays in memory until their turn; that of others is read again, so that a long queue stays small.
const KEPT_MAX: usize = 1_024;
/// Rows about heard events that are recorded together.
pub(super) const MARKS_MAX: usize = 256;
/// What could not be recorded is tried again so often in a look at what is new.
const AGAIN_MAX: usize = 32;

/// An event with what it sets off.
pub(super) struct Claimed {
    pub(super) event: Event,
    pub(super) concern: Concern,
    /// The resource as it is after the event, while few wait.
    pub(super) resource: Option<react::Resource>,
    /// How often the rules' answer could not be recorded.
    pub(super) tries: u32,
    /// Subscriptions that must be told.
    told: Vec<String>,
    /// Whether somebody says STOP in it.
    pub(super) is_stop: bool,
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
            tries: 0,
            told: Vec::new(),
            is_stop: false,
            answer: None,
            called: Vec::new(),
        }
    }

    /// Whether somebody may refuse in it to be spoken to.
    pub(super) fn may_refuse(&self) -> bool {
        may_refuse(&self.event)
    }

    /// The notices of an event, and what they say of it: settled, unless a story must still be decided.
    fn saying(&self, needs_story: bool) -> Saying {
        let event = &self.event;
        let notice = |subscription: &String| Mark::Notice {
            event: event.number,
            subscription: subscription.clone(),
            person: event.person,
            kind: event.kind.clone(),
            id: event.id.clone(),
            version: event.version,
        };
        let mut marks: Vec<Mark> = self.told.iter().map(notice).collect();
        marks.extend(self.answer.clone());
        let is_told = !marks.is_empty();
        marks.extend(self.called.iter().cloned());
        Saying { event: event.number, marks, is_told, is_settled: !needs_story }
    }
}

/// Who is told by a mark.
fn listener(mark: &Mark) -> Option<&String> {
    match mark {
        Mark::Notice { subscription, .. } => Some(subscription),
        _ => None,
    }
}

/// Kinds by which somebody refuses to be spoken to.
const REFUSES: &[&str] = &["Communication", "Consent"];

/// Whether somebody may refuse in an event to be spoken to.
pub(super) fn may_refuse(event: &Event) -> bool {
    REFUSES.contains(&event.kind.as_str())
}

/// Whether somebody may say STOP in an event that cannot be read.
pub(super) fn may_stop(event: &Event) -> bool {
    event.kind == "Communication"
}

/// What becomes true of one event as soon as it is heard. It stands in one unit.
#[derive(Debug)]
pub(super) struct Saying {
    event: i64,
    marks: Vec<Mark>,
    /// Whether anybody is told.
    is_told: bool,
    /// Whether the event is settled with it: no rule has still to look at it.
    pub(super) is_settled: bool,
}

impl Saying {
    fn all(&self) -> impl Iterator<Item = Mark> + '_ {
        self.marks.iter().cloned().chain(self.last())
    }

    /// What it says of the event itself.
    fn last(&self) -> Option<Mark> {
        if self.is_settled {
            Some(Mark::Settled { event: self.event })
        } else {
            self.is_told.then_some(Mark::Told { event: self.event })
        }
    }
}

impl Beat {
    /// Hears the next events: notices for those who listen are recorded at once, and what no rule asks for is settled with them.
    /// What the database refuses of one event is tried again later, and keeps nothing else from being heard.
    pub(super) async fn hear(&self) -> Result<usize, Error> {
        let retold = self.make_sure().await? + self.tell_again().await?;
        let full = self.waiting(|waiting| {
            let full = waiting.is_full(self.settings.waiting_max);
            waiting.behind |= full;
            full
        });
        if full {
            return Ok(retold);
        }
        let (cursor, mut ahead) = self.read_ahead().await?;
        // Who listens must be true for every later event, and for none before: a changed Subscription ends what is taken together.
        let cut = ahead.events.iter().position(|event| event.kind == "Subscription").map_or(ahead.events.len(), |at| at + 1);
        let events: Vec<Event> = ahead.events.drain(..cut).collect();
        let behind = ahead.has_more();
        let last = events.last().map_or(cursor, |event| event.number);
        let again = self.unread();
        let count = events.len();
        let events: Vec<Event> = again.into_iter().chain(events).collect();
        self.learn_rules(&events).await?;
        let heard = if behind { last } else { last.max(ahead.stops) };
        if events.is_empty() {
            self.waiting(|waiting| (waiting.heard, waiting.behind) = (heard, false));
            return Ok(retold);
        }
        let (people, unread) = self.claim_events(&events).await?;
        let (stories, untold) = self.say_all(people).await?;
        for event in events.iter().filter(|event| unread.contains(&event.number) && may_stop(event)) {
            self.bind(event).await;
        }
        let now = self.clock().now();
        self.waiting(|waiting| {
            (waiting.cursor, waiting.heard, waiting.behind, waiting.ahead) = (last, heard, behind, Some(ahead));
            for event in &events {
                let patience = waiting.unread.remove(&event.number).map(|(_, patience)| patience).unwrap_or_default();
                if unread.contains(&event.number) {
                    waiting.unread.insert(event.number, (event.clone(), patience.after(now)));
                }
            }
            waiting.untold.extend(untold.into_iter().map(|untold| (untold.saying.event, untold)));
            for ((tenant, _), claimed) in stories {
                waiting.put_back(&tenant, claimed);
            }
        });
        Ok(retold + count)
    }

    /// The last event that was heard, and what comes after it: read before, or now. After a failure it is read again.
    async fn read_ahead(&self) -> Result<(i64, Ahead), Error> {
        let (cursor, ahead) = self.waiting(|waiting| (waiting.cursor, waiting.ahead.take()));
        if let Some(ahead) = ahead.filter(|ahead| !ahead.events.is_empty()) {
            return Ok((cursor, ahead));
        }
        let stops = self.ledger().last_of_stops();
        let events = self.ledger().events(cursor, EVENTS_MAX).await?;
        let is_cut = i64::try_from(events.len()).is_ok_and(|read| read >= EVENTS_MAX);
        Ok((cursor, Ahead { events: events.into(), is_cut, stops }))
    }

    /// Events that could not be read, and whose time has come again.
    fn unread(&self) -> Vec<Event> {
        let now = self.clock().now();
        self.waiting(|waiting| {
            let over = waiting.unread.values().filter(|(_, patience)| patience.is_over(now));
            over.map(|(event, _)| event.clone()).take(AGAIN_MAX).collect()
        })
    }

    /// What events set off, by person; and the numbers of those that could not be read.
    async fn claim_events(&self, events: &[Event]) -> Result<(ByPerson, Vec<i64>), Error> {
        let (mut people, mut unread) = (ByPerson::new(), Vec::new());
        let mut kept = KEPT_MAX.saturating_sub(self.waiting(|waiting| waiting.events));
        for events in events.chunks(HEARD_AT_ONCE) {
            let claimed = match self.ledger().together(self.claim_all(events, &mut kept)).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    self.alone(error).await?;
                    self.claim_each(events, &mut kept, &mut unread).await?
                }
            };
            for claimed in claimed {
                people.entry((Arc::clone(&claimed.event.scope.tenant), claimed.event.person)).or_default().push(claimed);
            }
        }
        Ok((people, unread))
    }

    /// One after the other, where one of them cannot be read.
    async fn claim_each(&self, events: &[Event], kept: &mut usize, unread: &mut Vec<i64>) -> Result<Vec<Claimed>, Error> {
        let mut all = Vec::with_capacity(events.len());
        for event in events {
            match self.claim_all(std::slice::from_ref(event), kept).await {
                Ok(claimed) => all.extend(claimed),
                Err(error) => {
                    let error = self.alone(error).await?;
                    tracing::error!(%error, event = event.number, kind = event.kind, "an event could not be read; it is tried again");
                    unread.push(event.number);
                }
            }
        }
        Ok(all)
    }

    /// Says what is to be said of events; what has still to be decided on, and what could not be recorded.
    async fn say_all(&self, people: ByPerson) -> Result<(ByPerson, Vec<Untold>), Error> {
        let mut sheets: BTreeMap<Arc<str>, Vec<Vec<Saying>>> = BTreeMap::new();
        let mut stories = ByPerson::new();
        for ((tenant, person), claimed) in people {
            // What is heard of somebody who waits already is decided on with what waits.
            let story = self.waits(&tenant, person) || self.needs_story(&tenant, person, &claimed).await?;
            self.meet(&tenant);
            let sheets = sheets.entry(Arc::clone(&tenant)).or_default();
            let sayings = claimed.iter().map(|claimed| claimed.saying(story)).filter(|saying| saying.all().next().is_some());
            for saying in sayings {
                // Too many events in one unit would make every writer wait.
                match sheets.last_mut() {
                    Some(sheet) if sheet.iter().map(|saying| saying.marks.len() + 1).sum::<usize>() < MARKS_MAX => {
                        sheet.push(saying);
                    }
                    _ => sheets.push(vec![saying]),
                }
            }
            if story {
                stories.insert((tenant, person), claimed);
            }
        }
        let mut untold = Vec::new();
        for (tenant, sheets) in sheets {
            let scope = Scope { tenant };
            for sheet in sheets {
                untold.extend(self.say(&scope, sheet).await?);
            }
        }
        Ok((stories, untold))
    }

    /// Says what stands on a sheet; one event after the other, where the database refuses one of them. What it refuses.
    async fn say(&self, scope: &Scope, sheet: Vec<Saying>) -> Result<Vec<Untold>, Error> {
        let mut untold = Vec::new();
        if self.record_told(scope, sheet.iter().flat_map(Saying::all).collect()).await? {
            return Ok(untold);
        }
        for saying in sheet {
            let one = Untold { scope: scope.clone(), saying, patience: Patience::default() };
            untold.extend(self.say_one(one).await?);
        }
        Ok(untold)
    }

    /// Says what is to be said of one event; gives it back where the database refuses it.
    async fn say_one(&self, mut untold: Untold) -> Result<Option<Untold>, Error> {
        let Untold { scope, saying, patience } = &mut untold;
        let stored = self.ledger().events(saying.event - 1, 1).await?.pop().filter(|event| event.number == saying.event);
        // Whether a commit that was not answered took place is seen in the store.
        let marks: Vec<Mark> = match stored {
            None => return Ok(None),
            Some(event) if event.told => saying.last().into_iter().collect(),
            Some(_) => saying.all().collect(),
        };
        if self.record_told(scope, marks).await? {
            return Ok(None);
        }
        *patience = patience.after(self.clock().now());
        let (event, tries) = (saying.event, patience.tries);
        tracing::error!(event, tries, "what is said of an event could not be recorded; it is tried again");
        Ok(Some(untold))
    }

    /// Whether the database takes these rows.
    async fn record_told(&self, scope: &Scope, marks: Vec<Mark>) -> Result<bool, Error> {
        let told: Vec<String> = marks.iter().filter_map(listener).cloned().collect();
        match self.ledger().record_all(ledger::Unit::marks(scope.clone(), marks)).await {
            Ok(recorded) => {
                self.tell(scope, recorded);
                Ok(true)
            }
            Err(error) => {
                self.waiting(|waiting| waiting.unsure.extend(told.into_iter().map(|one| (Arc::clone(&scope.tenant), one))));
                self.alone(error).await.map(|_| false)
            }
        }
    }

    /// Has carried what a commit recorded whose answer was lost; tells for how many subscriptions. Another commit stands in line behind
    /// it, so that after this one it has taken effect or never will.
    async fn make_sure(&self) -> Result<usize, Error> {
        let unsure = self.waiting(|waiting| waiting.unsure.clone());
        let Some((tenant, _)) = unsure.first() else { return Ok(0) };
        self.ledger().record(ledger::Unit::marks(Scope { tenant: Arc::clone(tenant) }, Vec::new())).await?;
        for (tenant, subscription) in &unsure {
            self.deliverer.wake(&Scope { tenant: Arc::clone(tenant) }, subscription);
        }
        self.waiting(|waiting| waiting.unsure.retain(|one| !unsure.contains(one)));
        Ok(unsure.len())
    }

    /// Tries again what could not be recorded, where its time has come; tells how much of it is recorded now.
    async fn tell_again(&self) -> Result<usize, Error> {
        let now = self.clock().now();
        let over: Vec<i64> = self.waiting(|waiting| {
            let over = waiting.untold.iter().filter(|(_, untold)| untold.patience.is_over(now));
            over.map(|(event, _)| *event).take(AGAIN_MAX).collect()
        });
        let mut told = 0;
        for event in over {
            let Some(untold) = self.waiting(|waiting| waiting.untold.remove(&event)) else { continue };
            match self.say_one(untold).await {
                Ok(Some(untold)) => drop(self.waiting(|waiting| waiting.untold.insert(event, untold))),
                Ok(None) => told += 1,
                Err(error) => {
                    self.forget();
                    return Err(error);
                }
            }
        }
        Ok(told)
    }

    /// That an event was reacted to; `None` while something has still to be said of it, with which it is settled.
    pub(super) fn settled(&self, event: i64) -> Option<Mark> {
        self.waiting(|waiting| (!waiting.untold.contains_key(&event)).then_some(Mark::Settled { event }))
    }

    /// No rule has still to look at these events.
    pub(super) fn were_decided(&self, events: impl IntoIterator<Item = i64>) {
        self.waiting(|waiting| {
            for event in events {
                if let Some(untold) = waiting.untold.get_mut(&event) {
                    untold.saying.is_settled = true;
                }
            }
        });
    }

    async fn claim_all(&self, events: &[Event], kept: &mut usize) -> Result<Vec<Claimed>, Error> {
        let mut claimed = Vec::with_capacity(events.len());
        for event in events {
            let mut one = self.claim(event.clone(), events).await?;
            if one.concern == Concern::Nothing || *kept == 0 {
                one.resource = None;
            }
            *kept -= usize::from(one.resource.is_some());
            claimed.push(one);
        }
        Ok(claimed)
    }

    /// What an event sets off; `beside` are those that are claimed with it.
    async fn claim(&self, event: Event, beside: &[Event]) -> Result<Claimed, Error> {
        let scope = event.scope.clone();
        // Taken also where nobody hears of it: what is never taken would stay.
        let fresh = self.ledger().fresh(event.number);
        if event.kind == "Subscription" {
            self.subscribe(&scope, &event).await?;
        }
        // An import contacts nobody, also not those who listen; that persons were united is told beside the change that did it.
        let is_news = !event.told && !event.line.is_gone() && !event.line.is_of_persons() && event.how != How::Import;
        let listened = is_news && self.deliverer.listeners().heard(&scope, &event.kind);
        let rules = self.flow.rules.of(&scope.tenant);
        if !listened && !rules.hears(&event.kind) {
            return Ok(Claimed::nothing(event));
        }
        let Some(resource) = self.resource_of(&event, fresh).await? else {
            return Ok(Claimed::nothing(event));
        };
        let renamed = self.renamed(&event, &resource, beside).await?;
        let lines = if listened { Some(self.ledger().lines(&scope, &event.kind, &resource.value).await?) } else { None };
        let found = guarded(|| self.sets_off(&event, &resource, lines.as_deref(), &rules));
        let mut claimed = found.unwrap_or_else(|| {
            tracing::error!(
                event = event.number,
                kind = event.kind,
                "what an event sets off could not be found out; nobody is told"
            );
            // The rules look at it in its person's turn, and where it breaks again a decision says so.
            Claimed { concern: Concern::Rules, ..Claimed::nothing(event.clone()) }
        });
        claimed.called.extend(renamed);
        Ok(Claimed { resource: Some(resource), ..claimed })
    }

    /// What an event sets off; `lines` are the search rows of the resource where somebody listens to its type.
    fn sets_off(&self, event: &Event, resource: &react::Resource, lines: Option<&[search::Line]>, rules: &Rules) -> Claimed {
        let (scope, value) = (&event.scope, &resource.value);
        let told =
            lines.map(|lines| self.deliverer.listeners().matching(scope, &event.kind, &event.id, value, lines, resource.learned));
        Claimed {
            concern: rules.concerns(&event.kind, event.line, value),
            told: told.unwrap_or_default(),
            is_stop: react::is_stop(value) && resource.is_about(),
            answer: react::answer(value).filter(|_| event.how == How::Live && event.line != Line::Left),
            called: react::arrived(rules, &scope.tenant, event.line, resource),
            ..Claimed::nothing(event.clone())
        }
    }

    /// The resource as it is after the event; its last value when it was deleted, or went over to somebody else.
    pub(super) async fn resource_of(&self, event: &Event, fresh: Option<Fresh>) -> Result<Option<react::Resource>, Error> {
        if let Some(fresh) = fresh {
            return Ok(Some(flow::fresh(fresh)));
        }
        let version = if event.line == Line::Deleted { event.version - 1 } else { event.version };
        let Some(mut stored) = self.ledger().version(&event.scope, &event.kind, &event.id, version).await? else {
            return Ok(None);
        };
        // It may be somebody else's by now.
        if !event.line.is_of_persons() {
            stored.person = event.person;
        }
        // That it left was learned with the version that follows.
        if event.line == Line::Left {
            (stored.updated, stored.how) = (event.learned, event.how);
        }
        Ok(Some(flow::resource(&stored, event.line.is_gone())))
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
        self.waiting(|waiting| waiting.people.contains_key(&(Arc::clone(tenant), person)))
    }

    async fn needs_story(&self, tenant: &Arc<str>, person: Person, claimed: &[Claimed]) -> Result<bool, Error> {
        if person == Person::NOBODY || claimed.iter().all(|claimed| claimed.concern == Concern::Nothing) {
            return Ok(false);
        }
        if claimed.iter().any(|claimed| claimed.concern == Concern::Rules) {
            return Ok(true);
        }
        match self.is_pending(&Scope { tenant: Arc::clone(tenant) }, person).await {
            Ok(is_pending) => Ok(is_pending),
            // What cannot be read is seen at the person's own turn.
            Err(error) => self.alone(error).await.map(|_| true),
        }
    }

    /// Whether something is due of a person, or was decided that may be taken back or come back.
    async fn is_pending(&self, scope: &Scope, person: Person) -> Result<bool, Error> {
        if !self.ledger().dues(scope, person).await?.is_empty() {
            return Ok(true);
        }
        let now = self.clock().now();
        Ok(self.ledger().decisions(scope, person).await?.iter().any(|decision| react::is_pending(decision, now)))
    }

    pub(super) fn tell(&self, scope: &Scope, recorded: Recorded) {
        self.deliverer.offer(scope, recorded.notices, None);
    }
}
