//! Lanes: each a range of one index in the order of its way, with the place and the depth of a step in it.

use std::borrow::Cow;

use super::WIDTHS;
use super::clause::{STAMP, Sql, low_range};
use super::walk::{Ground, Mark, Spot};
use crate::fhir::search::query::When;

/// Adds the condition that a span of alias `name` lies where a test on dates looks for it.
pub(super) fn in_ranges(sql: &mut Sql<'_>, name: &str, whens: &[When], now: i64) {
    if whens.is_empty() {
        return;
    }
    sql.push(" AND (");
    for (index, (wide, slack)) in WIDTHS.into_iter().enumerate() {
        let (low, high) = low_ranges(whens, slack, now);
        sql.push(if index > 0 { " OR (" } else { "(" }).push(name).push(".wide = ").int(wide);
        sql.push(" AND ").push(name).push(".low >= ").int(low).push(" AND ").push(name).push(".low < ").int(high).push(")");
    }
    sql.push(")");
    for when in whens {
        sql.push(" AND ").compare(&format!("{name}.low"), &format!("{name}.high"), when, now);
    }
}

/// Writes the lanes of a way into its statement.
pub(super) struct Lanes<'l, 's> {
    pub(super) sql: &'l mut Sql<'s>,
    pub(super) ground: &'s Ground<'s>,
    pub(super) after: Option<&'s Spot>,
    pub(super) depth: usize,
    pub(super) count: usize,
}

impl<'s> Lanes<'_, 's> {
    fn open(&mut self, key: &str, table: &str) {
        self.count += 1;
        self.sql.push(if self.count > 1 { " UNION ALL " } else { "" }).push("SELECT * FROM (SELECT i.number AS number, ");
        self.sql.push(key).push(if table == "spans" { " AS key, i.high AS high FROM " } else { " AS key FROM " }).push(table);
        self.sql.push(" i WHERE i.tenant = ").text(&self.ground.scope.tenant);
    }

    fn close(&mut self, order: &str) {
        self.sql.push(" ORDER BY ").push(order).push(" LIMIT ").int(i64::try_from(self.depth).unwrap_or(i64::MAX)).push(") l");
        self.sql.number(self.count - 1);
    }

    /// One word, latest resource first.
    pub(super) fn word(&mut self, parameter: u32, word: &'s str, key: &str, follows: bool) {
        self.open(key, "words");
        self.sql.push(" AND i.parameter = ").int(i64::from(parameter)).push(" AND i.word = ").text(word);
        if let Some(after) = self.after.filter(|_| follows) {
            self.sql.push(" AND i.number < ").int(after.number);
        }
        self.close("i.number DESC");
    }

    /// The resource of one id, among words.
    pub(super) fn id(&mut self, id: &'s str) {
        self.open("0", "resources");
        self.sql.push(" AND i.kind = ").text(self.ground.kind).push(" AND i.id = ").text(id);
        if let Some(after) = self.after {
            self.sql.push(" AND i.number < ").int(after.number);
        }
        self.close("i.number DESC");
    }

    /// A range of words, or all of a parameter.
    pub(super) fn words(&mut self, parameter: u32, range: Option<(&'s str, Cow<'s, str>)>, descending: bool) {
        self.open("i.word", "words");
        self.sql.push(" AND i.parameter = ").int(i64::from(parameter));
        if let Some((low, high)) = range {
            self.sql.push(" AND i.word >= ").text(low).push(" AND i.word < ").made(high);
        }
        self.behind("i.word", descending);
        self.close(if descending { "i.word DESC, i.number DESC" } else { "i.word, i.number" });
    }

    /// One width of spans or amounts, by their lower ends. The range lets in some that begin too early: they are looked at and
    /// fail, so that a page knows how many they were.
    pub(super) fn lows(&mut self, table: &str, (parameter, wide): (u32, i64), range: Option<(i64, i64)>, descending: bool) {
        self.open("i.low", table);
        self.sql.push(" AND i.parameter = ").int(i64::from(parameter)).push(" AND i.wide = ").int(wide);
        if let Some((low, high)) = range {
            // The ends of all numbers are no ends.
            if low != i64::MIN {
                self.sql.push(" AND i.low >= ").int(low);
            }
            if high != i64::MAX {
                self.sql.push(" AND i.low < ").int(high);
            }
        }
        self.behind("i.low", descending);
        self.close(if descending { "i.low DESC, i.number DESC" } else { "i.low, i.number" });
    }

    pub(super) fn updated(&mut self, whens: &[When], descending: bool) {
        self.open("i.updated", "resources");
        self.sql.push(" AND i.kind = ").text(self.ground.kind);
        if !whens.is_empty() {
            let (low, high) = low_ranges(whens, STAMP, self.ground.now);
            self.sql.push(" AND i.updated >= ").int(low).push(" AND i.updated < ").int(high);
        }
        self.behind("i.updated", descending);
        self.close(if descending { "i.updated DESC, i.number DESC" } else { "i.updated, i.number" });
    }

    pub(super) fn ids(&mut self, ids: &'s [String], descending: bool) {
        self.open("i.id", "resources");
        self.sql.push(" AND i.kind = ").text(self.ground.kind);
        if !ids.is_empty() {
            self.sql.push(" AND i.id IN (").texts(ids).push(")");
        }
        if let Some(Spot { key: Mark::Text(id), .. }) = self.after {
            self.sql.push(if descending { " AND i.id < " } else { " AND i.id > " }).text(id);
        }
        self.close(if descending { "i.id DESC" } else { "i.id" });
    }

    fn behind(&mut self, key: &str, descending: bool) {
        let Some(after) = self.after else { return };
        self.sql.push(" AND (").push(key).push(", i.number) ").push(if descending { "<" } else { ">" }).push(" (");
        match &after.key {
            Mark::Int(key) => self.sql.int(*key),
            Mark::Text(key) => self.sql.text(key),
        };
        self.sql.push(", ").int(after.number).push(")");
    }
}

/// The same for all of these.
pub(super) fn low_ranges(whens: &[When], slack: i64, now: i64) -> (i64, i64) {
    whens.iter().fold((i64::MIN, i64::MAX), |(low, high), when| {
        let (from, to) = low_range(when, slack, now);
        (low.max(from), high.min(to))
    })
}
