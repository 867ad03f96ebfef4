//! Rules that are called for everybody: their calendar is kept true, and a sweep looks at one page when its time has come. What names a
//! Medication that became known is swept, too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use futures_util::stream::{self, StreamExt};

use super::decide::Question;
use super::events::MARKS_MAX;
use super::fault::guarded;
use super::people::STORIES_AT_ONCE;
use super::{Beat, SWEEPS_MAX};
use crate::flow;
use crate::ledger::{self, Due, Error, Event, Line, Mark, Person, Scope, Stored};
use crate::react::{self, Alone, Call, Next, Occasion, Resource, Rules, Sweep};

/// A sweep that failed so often at one page goes on without those for whom it failed.
const SWEEPS_TRIED_MAX: u32 = 4;
/// So many rows of nobody's are read at once.
const ROWS_MAX: i64 = 1_000;

/// So many that name a Medication are looked at, to see whether all of them came with it.
const NAMING_MAX: u32 = 8;

/// For which rules the calendar of each tenant was made.
#[derive(Default)]
pub(super) struct Calendar {
    tenants: HashMap<Arc<str>, Option<Arc<Rules>>>,
    /// Whether the tenants that were there at the start are among them.
    complete: bool,
    /// Whether nothing that names a Medication waits to be told again.
    is_told: bool,
    /// Where a round of sweeps ended before all tenants had their turn.
    pub(super) swept: Arc<str>,
}

impl Beat {
    /// Notes that there is such a tenant.
    pub(super) fn meet(&self, tenant: &Arc<str>) {
        let mut calendar = self.calendar.lock().unwrap_or_else(PoisonError::into_inner);
        if !calendar.tenants.contains_key(tenant) {
            calendar.tenants.insert(Arc::clone(tenant), None);
        }
    }

    /// Keeps the calendar of every tenant as its rules are now; one that fails keeps no other from it. Where nothing changed,
    /// nothing is asked.
    pub(super) async fn keep_calendars(&self) -> Result<(), Error> {
        if !self.calendar.lock().unwrap_or_else(PoisonError::into_inner).complete {
            for scope in self.ledger().scopes().await? {
                self.meet(&scope.tenant);
            }
            self.calendar.lock().unwrap_or_else(PoisonError::into_inner).complete = true;
        }
        let changed: Vec<(Arc<str>, Arc<Rules>)> = {
            let calendar = self.calendar.lock().unwrap_or_else(PoisonError::into_inner);
            let rules = |(tenant, made): (&Arc<str>, &Option<Arc<Rules>>)| {
                let rules = self.flow.rules.of(tenant);
                let is_made = made.as_ref().is_some_and(|made| Arc::ptr_eq(made, &rules));
                (!is_made).then(|| (Arc::clone(tenant), rules))
            };
            calendar.tenants.iter().filter_map(rules).collect()
        };
        let mut failed = Ok(());
        for (tenant, rules) in changed {
            failed = failed.and(self.keep_calendar(tenant, rules).await);
        }
        failed
    }

    async fn keep_calendar(&self, tenant: Arc<str>, rules: Arc<Rules>) -> Result<(), Error> {
        let scope = Scope { tenant: Arc::clone(&tenant) };
        let kept = self.kept(&scope).await?;
        let marks = react::calendar(&rules, &tenant, &kept, (i64::MIN, self.clock().now()), &self.settings.zone);
        for marks in marks.chunks(MARKS_MAX) {
            self.keep(&scope, marks.to_vec()).await?;
        }
        self.calendar.lock().unwrap_or_else(PoisonError::into_inner).tenants.insert(tenant, Some(rules));
        Ok(())
    }

    /// All rows of a tenant's nobody.
    async fn kept(&self, scope: &Scope) -> Result<Vec<Due>, Error> {
        let mut kept: Vec<Due> = Vec::new();
        loop {
            let after = kept.last().map_or("", |due| due.output.as_str());
            let page = self.ledger().kept_sweeps(scope, after, ROWS_MAX).await?;
            if page.is_empty() {
                return Ok(kept);
            }
            kept.extend(page);
        }
    }

    /// The sweeps of what names a Medication that was not known before, or was another product; none where nothing names it but what
    /// has still to be decided on.
    pub(super) async fn renamed(&self, event: &Event, resource: &react::Resource, beside: &[Event]) -> Result<Vec<Mark>, Error> {
        let mut marks = Vec::new();
        if event.kind != react::MEDICATION {
            return Ok(marks);
        }
        let (scope, ledger) = (&event.scope, self.ledger());
        let before = if event.version > 1 {
            ledger.version(scope, &event.kind, &event.id, event.version - 1).await?.filter(|stored| !stored.deleted)
        } else {
            None
        };
        if react::is_renamed(event.line, resource, before.map(|stored| stored.value()).as_ref()) {
            for kind in react::NAMING {
                let page = ledger.search(scope, &react::naming(kind, &resource.reference(), NAMING_MAX)).await?;
                let comes = |known: &Stored| {
                    let is_it = |one: &&Event| one.scope == *scope && one.kind == known.kind && one.id == known.id;
                    beside.iter().find(is_it).is_some_and(|one| one.line == Line::Created)
                };
                if page.next.is_some() || !page.found.iter().all(comes) {
                    marks.push(react::renamed(&scope.tenant, kind, resource));
                }
            }
        }
        if !marks.is_empty() {
            self.calendar.lock().unwrap_or_else(PoisonError::into_inner).is_told = false;
        }
        Ok(marks)
    }

    /// The tenants in which what names a Medication is told again now.
    pub(super) async fn retelling(&self, now: i64) -> Result<BTreeSet<Arc<str>>, Error> {
        if self.calendar.lock().unwrap_or_else(PoisonError::into_inner).is_told {
            return Ok(BTreeSet::new());
        }
        let sweeps = self.ledger().sweeps("", now, SWEEPS_MAX).await?;
        let is_all = i64::try_from(sweeps.len()).is_ok_and(|read| read < SWEEPS_MAX);
        let retold = sweeps.into_iter().filter(|(_, due)| react::is_of_medication(due));
        let tenants: BTreeSet<Arc<str>> = retold.map(|(scope, _)| scope.tenant).collect();
        self.calendar.lock().unwrap_or_else(PoisonError::into_inner).is_told = tenants.is_empty() && is_all;
        Ok(tenants)
    }

    /// Looks at the next page of a sweep, and moves it on. A crash in between looks at the page again: what was decided of it is.
    pub(super) async fn sweep(&self, scope: &Scope, due: &Due) -> Result<(), Error> {
        let (rules, now, zone) = (self.flow.rules.of(&scope.tenant), self.clock().now(), &self.settings.zone);
        let event = match react::event_of(due) {
            Some((kind, id)) => self.ledger().read(scope, &kind, &id).await?.filter(|stored| !stored.deleted),
            None => None,
        };
        let event = event.map(|stored| flow::resource(&stored, false));
        let sweep = match react::sweep(&rules, due, now, zone, event) {
            Next::Look(sweep) => sweep,
            Next::Moved(mark) => return self.keep(scope, vec![mark]).await,
        };
        let Some(query) = sweep.query(&rules) else {
            return self.keep(scope, vec![react::swept(&rules, due, None, now, zone)]).await;
        };
        let next = match self.ledger().search(scope, &query).await {
            Ok(page) => {
                self.call_page(scope, due, &rules, &sweep, &page.found).await?;
                page.next
            }
            // A place that no way leads to any more: the walk begins again, and what was decided is decided.
            Err(Error::TooCostly(_)) if query.after.is_some() => {
                let mark = react::swept_from_start(due);
                return self.keep(scope, vec![mark]).await;
            }
            Err(error) => return Err(error),
        };
        // What was renamed again meanwhile begins anew.
        if react::is_of_medication(due) && self.ledger().sweep_of(scope, &due.output).await?.as_ref() != Some(due) {
            return Ok(());
        }
        self.keep(scope, vec![react::swept(&rules, due, next, now, zone)]).await
    }

    /// Calls for everybody on a page. Where it fails for somebody it fails, and is looked at again; and at last goes on without them.
    async fn call_page(&self, scope: &Scope, due: &Due, rules: &Rules, sweep: &Sweep, found: &[Stored]) -> Result<(), Error> {
        let key = (Arc::clone(&scope.tenant), due.output.clone());
        let tries = self.waiting(|waiting| waiting.sweeps.remove(&key)).unwrap_or_default();
        let called = self.call_all(scope, rules, sweep, found, tries >= SWEEPS_TRIED_MAX).await;
        if let Err(error) = &called {
            let is_fault = !self.waits_for_stop(&scope.tenant, error);
            self.waiting(|waiting| waiting.sweeps.insert(key, tries + u32::from(is_fault)));
        }
        called
    }

    /// Calls for everybody on a page whom it may be about; of persons who are one, once.
    async fn call_all(&self, scope: &Scope, rules: &Rules, sweep: &Sweep, found: &[Stored], is_last: bool) -> Result<(), Error> {
        let mut meant: BTreeMap<Person, Vec<Resource>> = BTreeMap::new();
        let mut alone = Alone::new(&scope.tenant, &self.settings.zone);
        for stored in found.iter().filter(|stored| stored.person != Person::NOBODY) {
            let resource = flow::resource(stored, false);
            let may_call = || sweep.may_call(rules, &resource, &mut alone);
            // A condition that panics must not stop the house, nor keep the sweep from those behind: whom it panics for is decided
            // on alone, and given up alone.
            if guarded(may_call).unwrap_or(true) {
                meant.entry(stored.person).or_default().push(resource);
            }
        }
        let survivors = self.ledger().known_as(scope, &meant.keys().copied().collect::<Vec<_>>()).await?;
        let mut people: BTreeMap<Person, Vec<Resource>> = BTreeMap::new();
        for (person, mut subjects) in meant {
            people.entry(survivors.get(&person).copied().unwrap_or(person)).or_default().append(&mut subjects);
        }
        let held = self.who_waits(true).await?;
        let is_held = |person: &Person| held.contains(&(Arc::clone(&scope.tenant), *person));
        let called: Vec<Result<(), Error>> = stream::iter(people)
            .map(|(person, subjects)| {
                let is_held = is_held(&person);
                async move { self.call(scope, person, &sweep.call_for(subjects), is_held, is_last).await }
            })
            .buffer_unordered(STORIES_AT_ONCE)
            .collect()
            .await;
        called.into_iter().collect()
    }

    /// Calls for one person. Of whom something is held that could not be decided on, they may have said STOP in it.
    async fn call(&self, scope: &Scope, person: Person, call: &Call, is_held: bool, is_last: bool) -> Result<(), Error> {
        let question = Question { occasion: Occasion::Called(call.clone().into()), ..Question::default() };
        let decided = if is_held { Err(Error::Busy) } else { self.decide(scope, person, &question, None).await };
        match decided {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if !is_last || self.waits_for_stop(&scope.tenant, &error) => return Err(error),
            Err(Error::Busy) if is_held => {}
            Err(error) => drop(self.alone(error).await?),
        }
        match self.give_up_call(scope, person, call).await {
            Err(error) if is_last => self.alone(error).await.map(|_| ()),
            given_up => given_up,
        }
    }

    async fn keep(&self, scope: &Scope, marks: Vec<Mark>) -> Result<(), Error> {
        if marks.is_empty() {
            return Ok(());
        }
        self.ledger().record_all(ledger::Unit::marks(scope.clone(), marks)).await.map(|_| ())
    }
}
