//! What has come due: steps of persons, and the sweeps of what is nobody's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use futures_util::stream::{self, StreamExt};

use super::events::{Question, STORIES_AT_ONCE};
use super::{Beat, DUES_MAX};
use crate::ledger::{Due, Error, Person, Scope};
use crate::react::Occasion;

impl Beat {
    /// What has come due; tells how much. Who has something unheard or undecided comes later: a STOP may be among it.
    pub(super) async fn look_at_dues(&self) -> Result<usize, Error> {
        if self.waiting.lock().unwrap_or_else(PoisonError::into_inner).behind {
            return Ok(0);
        }
        self.keep_calendars().await?;
        let dues = self.ledger().due(self.clock().now(), DUES_MAX).await?;
        let dues: Vec<_> = {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // A sweep may concern anybody.
            let is_clear = |(scope, known_as, due): &(Scope, Person, Due)| match due.person {
                Person::NOBODY => waiting.people.is_empty(),
                _ => !waiting.people.contains_key(&(Arc::clone(&scope.tenant), *known_as)),
            };
            dues.into_iter().filter(is_clear).collect()
        };
        let (sweeps, dues): (Vec<_>, Vec<_>) = dues.into_iter().partition(|(.., due)| due.person == Person::NOBODY);
        // What is due of persons comes first, and one sweep is walked to its end before the next: that is the order of decisions.
        if !dues.is_empty() {
            let count = dues.len();
            self.look_again(dues).await?;
            return Ok(count);
        }
        let mut tenants = BTreeSet::new();
        let first = sweeps.iter().filter(|(scope, ..)| tenants.insert(Arc::clone(&scope.tenant)));
        let first: Vec<&(Scope, Person, Due)> = first.collect();
        for (scope, _, due) in &first {
            self.sweep(scope, due).await?;
        }
        Ok(first.len())
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
                    let question = Question { occasion: Occasion::Due(due.clone()), depth: 0, marks: Vec::new() };
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
