//! The timetable of the calendar: whom each of its calls may be about, and when it calls next. It is the same for all to whom the same
//! rules are told, and found out once for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ledger::Mark;
use crate::react::{Planned, Sweep};

/// What is known of calls already. Rehearsals that share one are of one tenant, in one zone, and under the same rules at the same times.
#[derive(Debug, Default)]
pub struct Timetable(Mutex<HashMap<Moment, Vec<Arc<Called>>>>);

/// Under how many rules before those of the moment calls come, and when.
type Moment = (usize, i64);

/// What a row of the calendar comes to when its time has come.
#[derive(Debug)]
pub(super) struct Called {
    row: Planned,
    /// Whom to look at.
    pub(super) sweep: Option<Sweep>,
    /// The row that takes its place, if it does not end.
    pub(super) then: Option<Planned>,
}

impl Called {
    pub(super) fn new(row: &Planned, sweep: Option<Sweep>, mark: Mark) -> Self {
        let then = if let Mark::Due(due) = mark { Some(due.into()) } else { None };
        Self { row: row.clone(), sweep, then }
    }
}

impl Timetable {
    /// What this row comes to, as far as it is known.
    pub(super) fn known(&self, rules: usize, row: &Planned) -> Option<Arc<Called>> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(&(rules, row.due))?.iter().find(|called| called.row.is_same(row) || *called.row == **row).cloned()
    }

    pub(super) fn learn(&self, rules: usize, row: &Planned, called: &Arc<Called>) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = calls.entry((rules, row.due)).or_default();
        calls.retain(|known| known.row.output != row.output);
        calls.push(Arc::clone(called));
    }
}
