//! What has come due: steps of persons, and the sweeps of what is nobody's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use futures_util::stream::{self, StreamExt};

use super::decide::Question;
use super::people::STORIES_AT_ONCE;
use super::waiting::Key;
use super::{Beat, DUES_MAX, LOOKED_MAX, SWEEPS_MAX};
use crate::ledger::{Due, Error, Person, Refusal, Scope};
use crate::react::Occasion;

/// What is due now of those who may be spoken to.
struct Page {
    dues: Vec<(Scope, Person, Due)>,
    /// The place of the last of them in the order of decisions, where more is due.
    last: Option<(i64, i64, String)>,
}

impl Page {
    /// The first of what is due; whether there is more is known.
    fn of(mut dues: Vec<(Scope, Person, Due)>, mut is_cut: bool) -> Self {
        let max = usize::try_from(DUES_MAX).unwrap_or(usize::MAX);
        is_cut |= dues.len() > max;
        dues.truncate(max);
        let last = dues.last().filter(|_| is_cut).map(|(.., due)| (due.due, due.priority, due.rule.clone()));
        Self { dues, last }
    }
}

impl Beat {
    /// What has come due; tells how much. Who has something unheard or undecided comes later: a STOP may be among it.
    ///
    /// Each round has a part for what is due of persons and a part for sweeps, and a failure in one does not keep the other from
    /// being looked at. What is due of persons comes first, and one sweep is walked to its end before the next: that is the order
    /// of decisions.
    pub(super) async fn look_at_dues(&self) -> Result<usize, Error> {
        if self.waiting(|waiting| waiting.behind) {
            return Ok(0);
        }
        let kept = self.keep_calendars().await;
        let now = self.clock().now();
        let Page { dues, last } = self.page_of_dues(now, &self.retelling(now).await?).await?;
        let (count, is_cut) = (dues.len(), last.is_some());
        let looked = self.look_again(dues).await;
        let swept = self.sweep_all(now, last).await;
        kept?;
        looked?;
        let done = count + swept?;
        if done == 0 && !is_cut {
            self.waiting(|waiting| waiting.looked = now);
        }
        Ok(done)
    }

    /// The first that is due of those who may be spoken to, but for tenants in which something is told again. Where most of what comes
    /// first is held back, it is looked behind it.
    async fn page_of_dues(&self, now: i64, retelling: &BTreeSet<Arc<str>>) -> Result<Page, Error> {
        let waits = self.who_waits(false).await?;
        let refusing = self.waiting(|waiting| waiting.refusing());
        let mut count = DUES_MAX;
        loop {
            let mut dues = self.ledger().due(now, count).await?;
            let is_cut = i64::try_from(dues.len()).is_ok_and(|read| read >= count);
            self.waiting(|waiting| {
                if !waiting.dues.is_empty() && !is_cut {
                    let due: BTreeSet<&str> = dues.iter().map(|(.., due)| due.output.as_str()).collect();
                    waiting.dues.retain(|(_, output), patience| !patience.is_over(now) || due.contains(output.as_str()));
                }
                dues.retain(|(scope, known_as, due)| {
                    let tenant = &scope.tenant;
                    let held = waiting.dues.get(&(Arc::clone(tenant), due.output.clone()));
                    !refusing.contains(tenant)
                        && !retelling.contains(tenant)
                        && !waits.contains(&(Arc::clone(tenant), *known_as))
                        && held.is_none_or(|patience| patience.is_over(now))
                });
            });
            if !is_cut || count >= LOOKED_MAX || i64::try_from(dues.len()).is_ok_and(|left| left * 2 >= DUES_MAX) {
                return Ok(Page::of(dues, is_cut));
            }
            count = count.saturating_mul(4);
        }
    }

    /// A page of the first sweep of each tenant; tells how many there were.
    async fn sweep_all(&self, now: i64, before: Option<(i64, i64, String)>) -> Result<usize, Error> {
        let after = std::mem::take(&mut self.calendar.lock().unwrap_or_else(PoisonError::into_inner).swept);
        let mut sweeps = self.ledger().sweeps(&after, now, SWEEPS_MAX).await?;
        if sweeps.is_empty() && !after.is_empty() {
            sweeps = self.ledger().sweeps("", now, SWEEPS_MAX).await?;
        }
        if let Some((scope, _)) = sweeps.last().filter(|_| i64::try_from(sweeps.len()).is_ok_and(|read| read >= SWEEPS_MAX)) {
            self.calendar.lock().unwrap_or_else(PoisonError::into_inner).swept = Arc::clone(&scope.tenant);
        }
        sweeps
            .retain(|(_, due)| before.as_ref().is_none_or(|last| (due.due, due.priority, &due.rule) < (last.0, last.1, &last.2)));
        let (mut count, mut failed) = (0, Ok(()));
        for (scope, due) in &sweeps {
            // The sweeps of many tenants take their time, and a sweep may concern anybody.
            self.hear_again().await?;
            if self.waiting(|waiting| waiting.behind || waiting.refusing().contains(&scope.tenant)) {
                continue;
            }
            count += 1;
            match self.sweep(scope, due).await {
                Ok(()) => {}
                // The next round hears it, and looks at the same page again.
                Err(error) if self.waits_for_stop(&scope.tenant, &error) => {
                    tracing::debug!(rule = due.rule, step = due.step, "somebody said STOP during a sweep");
                }
                Err(error) => {
                    let put_off = self.put_off_sweep(scope, due, &error).await;
                    failed = failed.and(put_off);
                }
            }
        }
        failed.map(|()| count)
    }

    /// What has come due: one person's in their order, since caps count what was said before; persons do not wait for each other.
    async fn look_again(&self, dues: Vec<(Scope, Person, Due)>) -> Result<(), Error> {
        let mut people: BTreeMap<Key, Vec<Due>> = BTreeMap::new();
        for (scope, known_as, due) in dues {
            people.entry((scope.tenant, known_as)).or_default().push(due);
        }
        let mut people = people.into_iter().peekable();
        while people.peek().is_some() {
            let together: Vec<(Key, Vec<Due>)> = people.by_ref().take(STORIES_AT_ONCE).collect();
            let looked: Vec<Result<(), Error>> = stream::iter(together)
                .map(|((tenant, _), dues)| async move {
                    let scope = Scope { tenant };
                    for due in dues {
                        self.look_at(&scope, &due).await?;
                    }
                    Ok(())
                })
                .buffer_unordered(STORIES_AT_ONCE)
                .collect()
                .await;
            looked.into_iter().collect::<Result<(), Error>>()?;
            // What was said meanwhile binds those who come next; the next look begins with who may refuse.
            if people.peek().is_some() {
                self.hear_again().await?;
                if self.waiting(|waiting| waiting.behind || !waiting.refusing().is_empty()) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Looks at a due; what the database refuses of it waits for its next try.
    async fn look_at(&self, scope: &Scope, due: &Due) -> Result<(), Error> {
        let question = Question { occasion: Occasion::Due(due.clone().into()), ..Question::default() };
        let looked = match self.decide(scope, due.person, &question, None).await {
            Ok(false) => self.put_off(scope, due).await,
            looked => looked.map(|_| ()),
        };
        let key = (Arc::clone(&scope.tenant), due.output.clone());
        let Err(error) = looked else {
            self.waiting(|waiting| waiting.dues.remove(&key));
            return Ok(());
        };
        let (error, now) = (self.alone(error).await?, self.clock().now());
        let is_stale = matches!(error, Error::Refused(Refusal::Stale));
        let tries = self.waiting(|waiting| {
            let patience = waiting.dues.entry(key).or_default();
            *patience = if is_stale { patience.after_change(now) } else { patience.after(now) };
            patience.tries
        });
        if is_stale {
            tracing::debug!(tries, "a story changed while it was decided on what is due");
        } else {
            tracing::error!(%error, rule = due.rule, step = due.step, tries, "what is due could not be recorded; it is tried again");
        }
        Ok(())
    }
}
