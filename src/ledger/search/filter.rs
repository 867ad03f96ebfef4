//! The conditions that a row led to by one criterion must meet for the others: each asked by its own key.

use super::clause::Sql;
use super::test::{Exact, Form, Test};
use crate::fhir::search::query::When;

/// What every condition needs to know.
pub(super) struct Filters<'a> {
    pub(super) tenant: &'a str,
    pub(super) now: i64,
}

impl Filters<'_> {
    /// Adds the conditions of all tests but one for the row `d` and its resource `r`; those that only the resource itself
    /// shows add none.
    pub(super) fn add(&self, sql: &mut Sql, tests: &[Test], but: Option<usize>) {
        for (index, test) in tests.iter().enumerate() {
            if but != Some(index) {
                self.one(sql, &test.form);
            }
        }
    }

    fn one(&self, sql: &mut Sql, form: &Form) {
        match form {
            Form::Id(ids) => {
                sql.push(" AND r.id IN (").texts(ids).push(")");
            }
            Form::Updated(any) => {
                sql.push(" AND (");
                self.any_of(sql, any, "r.updated", "(r.updated + 1)");
                sql.push(")");
            }
            Form::Words(exact) => {
                sql.push(" AND (");
                self.has(sql, exact);
                sql.push(")");
            }
            Form::NoWords(exact) => {
                sql.push(" AND NOT (");
                self.has(sql, exact);
                sql.push(")");
            }
            Form::Dates { parameter, any } => {
                sql.push(" AND EXISTS (SELECT 1 FROM spans s WHERE s.tenant = ").text(self.tenant);
                sql.push(" AND s.number = d.number AND s.parameter = ").int(i64::from(*parameter)).push(" AND (");
                self.any_of(sql, any, "s.low", "s.high");
                sql.push("))");
            }
            Form::Look | Form::Chains(_) => {}
        }
    }

    fn has(&self, sql: &mut Sql, exact: &Exact) {
        let mut lead = "";
        for (parameter, words) in exact.words.iter().filter(|(_, words)| !words.is_empty()) {
            sql.push(lead).push("EXISTS (SELECT 1 FROM words w WHERE w.tenant = ").text(self.tenant);
            sql.push(" AND w.parameter = ").int(i64::from(*parameter)).push(" AND w.word IN (").texts(words);
            sql.push(") AND w.number = d.number)");
            lead = " OR ";
        }
        if !exact.ids.is_empty() {
            sql.push(lead).push("r.id IN (").texts(&exact.ids).push(")");
            lead = " OR ";
        }
        if lead.is_empty() {
            // None of the words that were asked for occurs anywhere.
            sql.push("1 = 0");
        }
    }

    fn any_of(&self, sql: &mut Sql, any: &[When], low: &str, high: &str) {
        for (index, when) in any.iter().enumerate() {
            sql.push(if index > 0 { " OR " } else { "" }).compare(low, high, when, self.now);
        }
    }
}
