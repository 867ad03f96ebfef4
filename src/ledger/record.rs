//! The one door into memory: decides a unit against what is stored, then writes resource, search rows, entry and event.
//!
//! A unit is first decided as a whole without writing, then written; a refused unit has touched nothing.
//! The same code runs on both databases; on SQLite none of its awaits ever waits.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::arms;
use super::basis::Stops;
use super::chain::{self, Statement};
use super::dialect::Transaction;
use super::numbers::Numbers;
use super::people::{self, Head};
use super::radius::{self, Reach, Reaches, Withheld};
use super::resources::{self, Written};
use super::search::{self, late::Late};
use super::subscriptions::{self, Refused};
use super::{
    Change, Draft, Error, Event, Firing, Fresh, Line, Mark, Notice, Noticed, Person, Precondition, Receipt, Recorded, Refusal,
    Scope,
};
use super::{How, Stored, Subject, Unit, entries, events, fresh, reaction, turns};
use crate::fhir::kinds::ARTEFACTS;

/// A batch of units in one transaction.
pub(super) struct Batch<'b, 'c> {
    pub(super) transaction: Transaction<'c>,
    pub(super) numbers: &'b mut Numbers,
    /// `meta.lastUpdated` of everything in it, UTC milliseconds.
    pub(super) stamp: i64,
    pub(super) heads: HashMap<(Arc<str>, Person), Head>,
    reaches: Reaches,
    /// Search rows that are not written yet.
    late: &'b mut Late,
    /// What the Patient that is being written says of who is one with whom: events for whom it changes.
    pub(super) joints: Vec<(Line, Person)>,
    withheld: Withheld,
    /// Whether an event was added.
    pub(super) stirred: bool,
    /// Whether persons were united in it.
    pub(super) united: bool,
    /// The STOPs that are committed.
    pub(super) stops: &'b Stops,
    /// Those of this batch: tenant and event.
    pub(super) said: Vec<(Arc<str>, i64)>,
    /// What was recorded, by number of its event; to be kept once the batch is committed.
    pub(super) fresh: Vec<(i64, Fresh)>,
}

impl<'b, 'c> Batch<'b, 'c> {
    /// An empty batch in an open transaction.
    pub(super) fn new(
        transaction: Transaction<'c>,
        (numbers, late): (&'b mut Numbers, &'b mut Late),
        stops: &'b Stops,
        stamp: i64,
    ) -> Self {
        Self {
            transaction,
            numbers,
            stamp,
            heads: HashMap::new(),
            reaches: Reaches::new(),
            late,
            joints: Vec::new(),
            withheld: Withheld::new(),
            stirred: false,
            united: false,
            stops,
            said: Vec::new(),
            fresh: Vec::new(),
        }
    }

    /// Decides and writes one unit.
    pub(super) async fn record(&mut self, unit: &Unit) -> Result<Recorded, Error> {
        if let Some(change) = named_twice(&unit.changes) {
            return Err(Error::Refused(Refusal::Twice { change }));
        }
        if !unit.expects.is_empty() {
            self.late.write(&mut self.transaction).await?;
        }
        for expect in &unit.expects {
            if !search::still(&mut self.transaction, &unit.scope, expect, self.stamp).await? {
                return Err(Error::Refused(Refusal::Stale));
            }
        }
        self.still_stands(unit).await?;
        self.admit_firings(unit).await?;
        let mut known = Vec::with_capacity(unit.changes.len());
        for (index, change) in unit.changes.iter().enumerate() {
            let current = resources::current(&mut self.transaction, &unit.scope.tenant, &change.kind, &change.id).await?;
            decide(index, change, current.as_ref())?;
            known.push(current);
        }
        let mut receipts = Vec::with_capacity(unit.changes.len());
        for (change, current) in unit.changes.iter().zip(known) {
            receipts.push(self.write(unit, change, current).await?);
        }
        let mut notices = Vec::new();
        for mark in &unit.marks {
            notices.extend(self.mark(&unit.scope, mark).await?);
        }
        Ok(Recorded { receipts, notices })
    }

    /// Writes what was gathered for the whole batch. Nothing may be recorded in it afterwards.
    pub(super) async fn finish(&mut self) -> Result<(), Error> {
        for ((tenant, person), head) in std::mem::take(&mut self.heads) {
            people::set_head(&mut self.transaction, &tenant, person, &head).await?;
        }
        for (key, reach) in std::mem::take(&mut self.reaches) {
            reach.write(&mut self.transaction, &key, self.stamp).await?;
        }
        self.late.relieve(&mut self.transaction).await
    }

    /// Refuses a unit in which a rule would fire more often than it may, or which waits for an answer that was given meanwhile.
    async fn admit_firings(&mut self, unit: &Unit) -> Result<(), Error> {
        let mut counts: HashMap<&str, i64> = HashMap::new();
        for mark in &unit.marks {
            let (Mark::Fired(Firing { rule, .. }) | Mark::Withheld { rule, .. }) = mark else { continue };
            let key = (Arc::clone(&unit.scope.tenant), rule.clone());
            if !self.reaches.contains_key(&key) {
                let reach = Reach::read(&mut self.transaction, &key.0, rule, self.stamp).await?;
                self.reaches.insert(key.clone(), reach);
            }
            let Some(reach) = self.reaches.get(&key) else { continue };
            if let Mark::Fired(firing) = mark {
                let count = counts.entry(rule).or_default();
                *count += 1;
                reach.admit(firing, *count, self.stamp)?;
            } else if !reach.is_held(rule) {
                return Err(Error::Refused(Refusal::Stale));
            }
        }
        Ok(())
    }

    async fn write(&mut self, unit: &Unit, change: &Change, current: Option<Stored>) -> Result<Receipt, Error> {
        match (&change.resource, current) {
            (Some(draft), None) => self.create(unit, change, draft).await,
            (Some(draft), Some(current)) => self.update(unit, change, draft, &current).await,
            (None, Some(current)) if !current.deleted => self.delete(unit, change, &current).await,
            (None, current) => Ok(Receipt {
                kind: change.kind.clone(),
                id: change.id.clone(),
                version: current.as_ref().map_or(0, |current| current.version),
                updated: current.as_ref().map_or(self.stamp, |current| current.updated),
                created: false,
                unchanged: true,
                person: current.map_or(Person::NOBODY, |current| current.person),
            }),
        }
    }

    async fn create(&mut self, unit: &Unit, change: &Change, draft: &Draft) -> Result<Receipt, Error> {
        let person = self.person(unit, change, draft, true).await?;
        let number = self.numbers.resource(&mut self.transaction).await?;
        let fact = self.fact(&unit.scope, change, draft, person).await?.unwrap_or(number);
        let salt = chain::salt()?;
        let written = written(unit, draft, number, self.stamp, person, fact, &salt);
        resources::add(&mut self.transaction, &unit.scope.tenant, &change.kind, &change.id, &written).await?;
        self.late.keep(&mut self.transaction, &unit.scope.tenant, number, &draft.rows).await?;
        self.enter(unit, change, &written, Line::Created, Some(draft)).await?;
        Ok(self.receipt(change, 1, person, true))
    }

    async fn update(&mut self, unit: &Unit, change: &Change, draft: &Draft, current: &Stored) -> Result<Receipt, Error> {
        // An imported rule rests until it is sent: then the same words are news.
        let is_awoken = current.how == How::Import && unit.how == How::Live && ARTEFACTS.contains(&current.kind.as_str());
        if !current.deleted && current.says_the_same(draft) && !is_awoken {
            return Ok(Receipt {
                updated: current.updated,
                unchanged: true,
                ..self.receipt(change, current.version, current.person, false)
            });
        }
        let person = self.person(unit, change, draft, false).await?;
        let fact = self.fact(&unit.scope, change, draft, person).await?.map_or(current.number, |fact| fact.min(current.number));
        let (version, stamp) = (current.version + 1, self.stamp_after(current));
        let salt = chain::salt()?;
        let written = Written { version, ..written(unit, draft, current.number, stamp, person, fact, &salt) };
        resources::change(&mut self.transaction, &written).await?;
        self.change_rows(unit, current, &draft.rows).await?;
        let has_left = self.leave(unit, current, person, draft.is_only_named).await?;
        // To whom it goes over it is new.
        let line = if current.deleted || has_left { Line::Created } else { Line::Updated };
        self.enter(unit, change, &written, line, Some(draft)).await?;
        Ok(Receipt { updated: stamp, ..self.receipt(change, version, person, current.deleted) })
    }

    async fn delete(&mut self, unit: &Unit, change: &Change, current: &Stored) -> Result<Receipt, Error> {
        let (version, stamp) = (current.version + 1, self.stamp_after(current));
        let salt = chain::salt()?;
        let gone = Written {
            salt: &salt,
            number: current.number,
            version,
            updated: stamp,
            deleted: true,
            person: current.person,
            store: "",
            fact: current.fact,
            source: &unit.source,
            how: unit.how,
            meta: "",
            body: "",
        };
        resources::change(&mut self.transaction, &gone).await?;
        self.change_rows(unit, current, &[]).await?;
        self.enter(unit, change, &gone, Line::Deleted, None).await?;
        Ok(Receipt { updated: stamp, ..self.receipt(change, version, current.person, false) })
    }

    /// Puts the search rows of a new version in the place of the old one's.
    async fn change_rows(&mut self, unit: &Unit, current: &Stored, rows: &[search::Line]) -> Result<(), Error> {
        if self.late.is_late(current.number) {
            self.late.write(&mut self.transaction).await?;
        }
        let old = search::lines_of(current);
        search::change(&mut self.transaction, &unit.scope.tenant, current.number, &old, rows).await
    }

    /// The stamp of the version that follows this one. Stamps of one resource never fall, also when the machine's clock was set
    /// back: histories are searched by halving.
    fn stamp_after(&self, current: &Stored) -> i64 {
        self.stamp.max(current.updated)
    }

    fn receipt(&self, change: &Change, version: i64, person: Person, created: bool) -> Receipt {
        Receipt {
            kind: change.kind.clone(),
            id: change.id.clone(),
            version,
            updated: self.stamp,
            created,
            unchanged: false,
            person,
        }
    }

    /// Adds the entry and the event of a change.
    async fn enter(
        &mut self,
        unit: &Unit,
        change: &Change,
        written: &Written<'_>,
        line: Line,
        draft: Option<&Draft>,
    ) -> Result<(), Error> {
        let (person, version) = (written.person, written.version);
        let statement = Statement {
            tenant: &unit.scope.tenant,
            person,
            ordinal: 0,
            line: line.word(),
            happened: draft.and_then(|draft| draft.happened).unwrap_or(self.stamp),
            learned: self.stamp,
            how: unit.how,
            source: &unit.source,
            store: draft.map_or("", |draft| draft.store.as_str()),
            kind: &change.kind,
            id: &change.id,
            version,
        };
        let digest = chain::body_digest(written.salt, written.meta, written.body);
        self.chain(&unit.scope, statement, &digest).await?;
        let event = Event {
            number: self.numbers.event(&mut self.transaction).await?,
            scope: unit.scope.clone(),
            person,
            kind: change.kind.clone(),
            id: change.id.clone(),
            version,
            line,
            how: unit.how,
            depth: unit.depth,
            told: false,
            learned: self.stamp,
        };
        events::add(&mut self.transaction, &event).await?;
        if draft.is_some_and(|draft| draft.is_stop) && unit.how != How::Derived {
            self.said.push((Arc::clone(&unit.scope.tenant), event.number));
        }
        for (line, person) in std::mem::take(&mut self.joints) {
            let number = self.numbers.event(&mut self.transaction).await?;
            events::add(&mut self.transaction, &Event { number, person, line, ..event.clone() }).await?;
        }
        self.stirred = true;
        let accepted = draft.and_then(|draft| draft.accepted.as_ref());
        if let Some(accepted) = accepted.filter(|_| fresh::is_kept(written.meta.len() + written.body.len())) {
            self.fresh.push((event.number, Fresh { stored: told_of(&event, written), accepted: Arc::clone(accepted) }));
        }
        Ok(())
    }

    pub(super) async fn chain(&mut self, scope: &Scope, statement: Statement<'_>, digest: &str) -> Result<(), Error> {
        let key = (scope.tenant.clone(), statement.person);
        let mut head = match self.heads.remove(&key) {
            Some(head) => head,
            None => self.head(scope, statement.person).await?,
        };
        let statement = Statement { ordinal: head.ordinal + 1, ..statement };
        entries::add(&mut self.transaction, &mut head, &statement, digest).await?;
        self.heads.insert(key, head);
        Ok(())
    }

    async fn head(&mut self, scope: &Scope, person: Person) -> Result<Head, Error> {
        if let Some(head) = people::head(&mut self.transaction, &scope.tenant, person).await? {
            return Ok(head);
        }
        people::add(&mut self.transaction, &scope.tenant, person, self.stamp).await?;
        Ok(Head::default())
    }

    /// The first resource that states the same fact: same type, same person, one identifier in common.
    async fn fact(&mut self, scope: &Scope, change: &Change, draft: &Draft, person: Person) -> Result<Option<i64>, Error> {
        if draft.identifiers.is_empty() || person == Person::NOBODY || draft.subject == Subject::Itself {
            return Ok(None);
        }
        search::same_fact(&mut self.transaction, self.late, scope, &change.kind, draft, person).await
    }

    async fn mark(&mut self, scope: &Scope, mark: &Mark) -> Result<Option<Noticed>, Error> {
        let (transaction, tenant) = (&mut self.transaction, scope.tenant.as_ref());
        match mark {
            Mark::Decided(decision) => reaction::decide(transaction, tenant, decision).await?,
            Mark::Due(due) => {
                // What is due of nobody, too, is found by its person.
                if due.person == Person::NOBODY {
                    people::add(transaction, tenant, due.person, self.stamp).await?;
                }
                reaction::set_due(transaction, tenant, due).await?;
                radius::let_go(transaction, &mut self.withheld, &scope.tenant, due.person, &due.output).await?;
            }
            Mark::DueGone { person, output } => {
                reaction::drop_due(transaction, tenant, *person, output).await?;
                radius::let_go(transaction, &mut self.withheld, &scope.tenant, *person, output).await?;
            }
            Mark::Supplied(supply) => reaction::set_supply(transaction, tenant, supply).await?,
            Mark::SupplyGone { person, dispense } => reaction::drop_supply(transaction, tenant, *person, dispense).await?,
            Mark::Told { event } => events::tell(transaction, *event).await?,
            Mark::Settled { event } => events::settle(transaction, *event).await?,
            Mark::Turn(turn) => turns::add(transaction, tenant, turn, self.stamp).await?,
            Mark::Fired(firing) => {
                if let Some(reach) = self.reaches.get_mut(&(Arc::clone(&scope.tenant), firing.rule.clone())) {
                    reach.count();
                }
            }
            Mark::Assigned(arm) => arms::assign(transaction, tenant, arm).await?,
            Mark::Halted(halt) => {
                radius::halt(transaction, tenant, halt).await?;
                radius::halted(&mut self.reaches, tenant, halt);
            }
            Mark::Answered { task, state } => {
                radius::answer(transaction, tenant, task, *state, self.stamp).await?;
                radius::answered(&mut self.reaches, tenant, task, *state, self.stamp);
            }
            Mark::Withheld { person, rule, output } => {
                radius::withhold(transaction, tenant, rule, *person, output).await?;
                self.withheld.insert(Arc::clone(&scope.tenant), true);
            }
            Mark::Stopped { address, person } => reaction::stop(transaction, tenant, address, *person, self.stamp).await?,
            Mark::Started { address, person, since } => reaction::start(transaction, tenant, address, *person, *since).await?,
            Mark::Subscribed(subscription) => subscriptions::set(transaction, tenant, subscription).await?,
            Mark::SecretShown { subscription, fresh, until } => {
                subscriptions::show(transaction, tenant, subscription, fresh, *until).await?;
            }
            Mark::Unsubscribed { subscription } => subscriptions::drop(transaction, tenant, subscription).await?,
            Mark::Notice { event, subscription, person, kind, id, version } => {
                let (kind, id) = (kind.clone(), id.clone());
                let notice = Notice { number: 0, person: *person, kind, id, version: *version, at: self.stamp, attempts: 0 };
                return subscriptions::note(transaction, tenant, (subscription, *event), &notice).await;
            }
            Mark::Delivered { subscription, number } => {
                subscriptions::delivered(transaction, tenant, subscription, *number).await?;
            }
            Mark::Refused { subscription, number, attempts, dead, last } => {
                let refused = Refused { subscription, number: *number, attempts: *attempts, dead: *dead, last };
                subscriptions::refused(transaction, tenant, &refused).await?;
            }
            Mark::Lane(lane) => subscriptions::set_lane(transaction, tenant, lane).await?,
        }
        Ok(None)
    }
}

/// The first change of a resource that an earlier one changes too.
fn named_twice(changes: &[Change]) -> Option<usize> {
    let mut named = HashSet::with_capacity(changes.len());
    changes.iter().position(|change| !named.insert((&change.kind, &change.id)))
}

/// The version that an event tells of, without its body.
fn told_of(event: &Event, written: &Written<'_>) -> Stored {
    Stored {
        number: written.number,
        kind: event.kind.clone(),
        id: event.id.clone(),
        version: event.version,
        updated: written.updated,
        deleted: false,
        person: event.person,
        fact: written.fact,
        source: written.source.to_owned(),
        how: event.how,
        meta: String::new(),
        body: String::new(),
    }
}

fn decide(index: usize, change: &Change, current: Option<&Stored>) -> Result<(), Error> {
    let refusal = match (change.when, current) {
        (Precondition::Absent, Some(_)) => Refusal::Exists { change: index },
        (Precondition::Version(asked), current) if current.is_none_or(|current| current.version != asked) => {
            Refusal::Version { change: index, current: current.map(|current| current.version) }
        }
        _ => return Ok(()),
    };
    Err(Error::Refused(refusal))
}

fn written<'a>(
    unit: &'a Unit,
    draft: &'a Draft,
    number: i64,
    updated: i64,
    person: Person,
    fact: i64,
    salt: &'a str,
) -> Written<'a> {
    Written {
        number,
        version: 1,
        updated,
        deleted: false,
        person,
        store: &draft.store,
        fact,
        source: &unit.source,
        how: unit.how,
        salt,
        meta: &draft.meta,
        body: &draft.body,
    }
}
