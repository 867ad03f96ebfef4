//! The conditions that a row led to by one criterion must meet for the others: each asked by its own key.

use super::clause::Sql;
use super::test::{Exact, Form};
use crate::fhir::search::query::When;

/// What every condition needs to know.
pub(super) struct Filters<'a> {
    pub(super) tenant: &'a str,
    pub(super) now: i64,
}

impl<'a> Filters<'a> {
    /// Joins the resource `r` of each row `d` of which all of this holds; what only the resource itself shows adds nothing.
    /// What an index tells of the row is asked first, and only who passes that is read.
    pub(super) fn join(&self, sql: &mut Sql<'a>, asked: &[&'a Form], narrow: impl FnOnce(&mut Sql<'a>)) {
        let (of_resource, of_row): (Vec<&'a Form>, Vec<&'a Form>) = asked.iter().copied().partition(|form| is_of_resource(form));
        sql.push(" LEFT JOIN resources r ON r.number = CASE WHEN d.number > 0");
        narrow(sql);
        self.add(sql, &of_row);
        sql.push(" THEN d.number END AND r.deleted = 0");
        self.add(sql, &of_resource);
    }

    /// Adds these conditions for the row `d` and its resource `r`.
    pub(super) fn add(&self, sql: &mut Sql<'a>, asked: &[&'a Form]) {
        for form in asked {
            self.one(sql, form);
        }
    }

    fn one(&self, sql: &mut Sql<'a>, form: &'a Form) {
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
            Form::Dated { parameter, is_missing } => {
                sql.push(if *is_missing { " AND NOT EXISTS (" } else { " AND EXISTS (" });
                sql.push("SELECT 1 FROM spans s WHERE s.tenant = ").text(self.tenant);
                sql.push(" AND s.number = d.number AND s.parameter = ").int(i64::from(*parameter)).push(")");
            }
            Form::Look | Form::Chains(_) => {}
        }
    }

    fn has(&self, sql: &mut Sql<'a>, exact: &'a Exact) {
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

    fn any_of(&self, sql: &mut Sql<'_>, any: &[When], low: &str, high: &str) {
        for (index, when) in any.iter().enumerate() {
            sql.push(if index > 0 { " OR " } else { "" }).compare(low, high, when, self.now);
        }
    }
}

/// Whether a condition is about the row of the resource itself.
fn is_of_resource(form: &Form) -> bool {
    match form {
        Form::Id(_) | Form::Updated(_) => true,
        Form::Words(exact) | Form::NoWords(exact) => !exact.ids.is_empty(),
        Form::Dates { .. } | Form::Dated { .. } | Form::Look | Form::Chains(_) => false,
    }
}
