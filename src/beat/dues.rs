//! What has come due: steps of persons, and the sweeps of what is nobody's.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use futures_util::stream::{self, StreamExt};

use super::events::{Question, STORIES_AT_ONCE};
use super::{Beat, DUES_MAX, SWEEPS_MAX};
use crate::ledger::{Due, Error, Person, Scope};
use crate::react::Occasion;

impl Beat {
    /// What has come due; tells how much. Who has something unheard or undecided comes later: a STOP may be among it.
    ///
    /// Each round has a part for what is due of persons and a part for sweeps, and a failure in one does not keep the other from
    /// being looked at. What is due of persons comes first, and one sweep is walked to its end before the next: that is the order
    /// of decisions.
    pub(super) async fn look_at_dues(&self) -> Result<usize, Error> {
        if self.waiting.lock().unwrap_or_else(PoisonError::into_inner).behind {
            return Ok(0);
        }
        self.keep_calendars().await?;
        let now = self.clock().now();
        let mut dues = self.ledger().due(now, DUES_MAX).await?;
        // Where more is due of persons than is looked at now, only those sweeps have their turn that come before the rest.
        let is_cut = i64::try_from(dues.len()).is_ok_and(|read| read >= DUES_MAX);
        let last = dues.last().filter(|_| is_cut).map(|(.., due)| (due.due, due.priority, due.rule.clone()));
        let is_idle = {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            dues.retain(|(scope, known_as, _)| !waiting.people.contains_key(&(Arc::clone(&scope.tenant), *known_as)));
            waiting.people.is_empty()
        };
        let count = dues.len();
        let looked = self.look_again(dues).await;
        // A sweep may concern anybody.
        let swept = if is_idle { self.sweep_all(now, last).await } else { Ok(0) };
        looked?;
        Ok(count + swept?)
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
        for (scope, due) in &sweeps {
            if let Err(error) = self.sweep(scope, due).await {
                self.put_off_sweep(scope, due, &error).await?;
            }
        }
        Ok(sweeps.len())
    }

    /// What has come due: one person's in their order, since caps count what was said before; persons do not wait for each other.
    async fn look_again(&self, dues: Vec<(Scope, Person, Due)>) -> Result<(), Error> {
        let mut people: BTreeMap<(Arc<str>, Person), Vec<Due>> = BTreeMap::new();
        for (scope, known_as, due) in dues {
            people.entry((scope.tenant, known_as)).or_default().push(due);
        }
        let looked: Vec<Result<(), Error>> = stream::iter(people)
            .map(|((tenant, _), dues)| async move {
                let scope = Scope { tenant };
                for due in dues {
                    let question = Question { occasion: Occasion::Due(due.clone().into()), ..Question::default() };
                    if !self.decide(&scope, due.person, &question, None).await? {
                        self.put_off(&scope, &due).await?;
                    }
                }
                Ok(())
            })
            .buffer_unordered(STORIES_AT_ONCE)
            .collect()
            .await;
        looked.into_iter().collect()
    }
}
