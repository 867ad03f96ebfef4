//! A reference to a Patient is meant for the person: what is filed under one of their records is found by the others, as long as
//! they are known as one, and after a parting no more. No row is moved for it. What a conditional interaction looks for is meant
//! as it is written.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;

use super::asker::Asker;
use super::clause::Sql;
use super::page::page;
use super::{Line, Page};
use crate::fhir::search::query::{Criterion, Query, Word};
use crate::fhir::search::{ParameterKind, numbered};
use crate::ledger::{Error, Ledger, Scope};

/// What the references to Patients begin with.
pub(super) const PATIENT: &str = "Patient/";
/// Parameters that ask for a record and not for the person of whom it is.
const OF_RECORDS: [(&str, &str); 3] = [("Patient", "link"), ("Linkage", "item"), ("Linkage", "source")];
/// References that are looked at by one statement.
const AT_ONCE_MAX: usize = 256;
/// Other references that it may find.
const OTHERS_MAX: usize = 4_096;

/// Whether a parameter asks for a person by any of their records.
pub(super) fn is_of_person(kind: &str, parameter: u32) -> bool {
    numbered(kind, parameter).is_some_and(|of| of.kind == ParameterKind::Reference && !OF_RECORDS.contains(&(kind, of.code)))
}

/// For each of these references to a Patient the others that lead to the same person now; nothing where there are none.
pub(super) async fn others(
    asker: &mut impl Asker,
    scope: &Scope,
    names: &BTreeSet<String>,
) -> Result<HashMap<String, Vec<String>>, Error> {
    let names: Vec<String> = names.iter().filter(|name| name.starts_with(PATIENT)).cloned().collect();
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for some in names.chunks(AT_ONCE_MAX) {
        let mut sql = Sql::default();
        // SQLite keeps the order of these joins: from the few names on, each by its own key.
        sql.push("SELECT i.value, o.value");
        sql.push(" FROM identifiers i CROSS JOIN people p CROSS JOIN people q CROSS JOIN identifiers o");
        sql.push(" WHERE i.tenant = ").text(&scope.tenant).push(" AND i.system = '' AND i.value IN (").texts(some);
        sql.push(") AND p.tenant = i.tenant AND p.person = i.person AND q.tenant = p.tenant AND q.survivor = p.survivor");
        sql.push(" AND o.tenant = q.tenant AND o.person = q.person AND o.system = '' AND o.value <> i.value LIMIT ");
        sql.int(i64::try_from(OTHERS_MAX).unwrap_or(i64::MAX));
        let rows = asker.rows(&sql.text, &sql.cells()?).await?;
        if rows.len() == OTHERS_MAX {
            return Err(Error::TooCostly("Too many records are of one person to be searched together: name fewer patients."));
        }
        for mut row in rows {
            let (name, other) = (row.text()?, row.text()?);
            if other.starts_with(PATIENT) {
                found.entry(name).or_default().push(other);
            }
        }
    }
    Ok(found)
}

/// Criteria on resources of a type, meant for persons.
pub(super) async fn widened(
    asker: &mut impl Asker,
    scope: &Scope,
    kind: &str,
    criteria: &[Criterion],
) -> Result<Vec<Criterion>, Error> {
    let (mut criteria, mut names) = (criteria.to_vec(), BTreeSet::new());
    for criterion in &mut criteria {
        each(kind, criterion, &mut |asked| {
            names.extend(asked.names());
            Vec::new()
        });
    }
    let others = others(asker, scope, &names).await?;
    for criterion in criteria.iter_mut().filter(|_| !others.is_empty()) {
        each(kind, criterion, &mut |asked| {
            let names = asked.names();
            let found: BTreeSet<&String> = names.iter().filter_map(|name| others.get(name)).flatten().collect();
            found.into_iter().filter(|name| !names.contains(*name)).cloned().collect()
        });
    }
    Ok(criteria)
}

/// What a criterion asks persons by.
enum Asked<'a> {
    /// References to records of theirs.
    References(&'a [Word]),
    /// The record in whose compartment its own patient lies.
    Records(&'a [String]),
}

impl Asked<'_> {
    /// The references that are named.
    fn names(&self) -> Vec<String> {
        match self {
            Self::References(any) => {
                any.iter().filter_map(|word| if let Word::Is(word) = word { Some(word.clone()) } else { None }).collect()
            }
            Self::Records(ids) => ids.iter().map(|id| format!("{PATIENT}{id}")).collect(),
        }
    }
}

/// Asks for more references beside those of each criterion that asks for persons, also at the end of a chain. Who is asked for by id
/// is meant as a record, but not in a compartment: of two records of a person each lies in the other's.
fn each(kind: &str, criterion: &mut Criterion, more: &mut dyn FnMut(Asked<'_>) -> Vec<String>) {
    match criterion {
        Criterion::Word { parameter, any } if is_of_person(kind, *parameter) => {
            let found = more(Asked::References(any));
            any.extend(found.into_iter().map(Word::Is));
        }
        Criterion::Not(inner) => each(kind, inner, more),
        Criterion::Either(any) => {
            for one in any {
                match one {
                    Criterion::Id(ids) if kind == "Patient" => {
                        let found = more(Asked::Records(ids));
                        ids.extend(found.iter().filter_map(|name| name.strip_prefix(PATIENT)).map(str::to_owned));
                    }
                    one => each(kind, one, more),
                }
            }
        }
        Criterion::Chain(chain) => {
            let end = chain.hops.last().map_or(kind, |hop| hop.kind());
            chain.last.iter_mut().for_each(|one| each(end, one, more));
        }
        _ => {}
    }
}

impl Ledger {
    /// One page of a search.
    pub async fn search(&self, scope: &Scope, query: &Query) -> Result<Page, Error> {
        // Read first: who is united later than the page is begun is not in it.
        let is_united = self.shared.united.load(Ordering::SeqCst);
        let now = self.shared.clock.now();
        let horizon = self.horizon();
        // After the horizon is read: what was stamped before it must be found.
        self.indexed().await?;
        page(&mut &self.reader, scope, query, (now, horizon), is_united).await
    }

    /// The criteria of a search as they are meant: for persons, by all of their records.
    pub async fn meant(&self, scope: &Scope, kind: &str, criteria: Vec<Criterion>) -> Result<Vec<Criterion>, Error> {
        if !self.shared.united.load(Ordering::SeqCst) {
            return Ok(criteria);
        }
        widened(&mut &self.reader, scope, kind, &criteria).await
    }

    /// The search rows of a resource, with those that it would have if it referred to the other records of its persons.
    pub async fn lines(&self, scope: &Scope, kind: &str, resource: &serde_json::Value) -> Result<Vec<Line>, Error> {
        let mut lines = super::lines(kind, resource);
        if !self.shared.united.load(Ordering::SeqCst) {
            return Ok(lines);
        }
        let reference = |line: &Line| match line {
            Line::Word { parameter, word } if is_of_person(kind, *parameter) => Some((*parameter, word.clone())),
            _ => None,
        };
        let named: Vec<(u32, String)> = lines.iter().filter_map(reference).collect();
        let others = others(&mut &self.reader, scope, &named.iter().map(|(_, word)| word.clone()).collect()).await?;
        for (parameter, word) in &named {
            let words = others.get(word).into_iter().flatten().cloned();
            lines.extend(words.map(|word| Line::Word { parameter: *parameter, word }));
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use crate::fhir::search::{pairs, parse};
    use crate::ledger::search::bounds::{again, patient, seen, store};
    use crate::ledger::search::page::{find, page};
    use crate::ledger::search::tests::{Watched, scope};

    async fn ids(watched: &mut Watched, kind: &str, text: &str) -> Vec<String> {
        let query = parse::parse(kind, &pairs(text).unwrap(), 0).query;
        let found = page(watched, &scope(), &query, (0, 0), true).await.unwrap().found;
        let mut ids: Vec<String> = found.into_iter().map(|stored| stored.id).collect();
        ids.sort();
        ids
    }

    /// Two records of one person, a Berg and an Other, and what was seen of the latter; so many more of everything, of others.
    async fn of_one(more: usize) -> Watched {
        let people = [patient("p", "Berg"), patient("q", "Other"), patient("z", "Berg")];
        let watched = store(people.into_iter().chain([seen("of-q", "q", "c"), seen("of-z", "z", "c")])).await;
        again(&watched, "Patient", more);
        let people = "INSERT INTO people SELECT 't', number, number, 0, 0, '', 0, '' FROM resources WHERE kind = 'Patient';
            INSERT INTO identifiers SELECT 't', '', 'Patient/' || id, number FROM resources WHERE kind = 'Patient';
            UPDATE people SET survivor = 1 WHERE person = 2";
        watched.connection.execute_batch(people).unwrap();
        watched
    }

    // Whether a chain is followed from its end, as over few, or from the candidates, as over many: both records lead to it.
    #[tokio::test]
    async fn chains_lead_over_all_records_of_a_person() {
        for more in [0, 1_100] {
            let mut watched = of_one(more).await;
            if more > 0 {
                // So many are seen of each that they are not followed from their end.
                again(&watched, "Observation", more);
            }
            let found = ids(&mut watched, "Patient", "_has:Observation:patient:code=c&_count=1000").await;
            assert_eq!(found, ["p", "q", "z"], "{more}");
            for (family, expected) in [("berg", &["of-q", "of-z"][..]), ("other", &["of-q"]), ("nobody", &[])] {
                let found = ids(&mut watched, "Observation", &format!("patient.family={family}&_id=of-q,of-z")).await;
                assert_eq!(found, expected, "{more} {family}");
            }
            let found = ids(&mut watched, "Observation", "patient=Patient/p&_count=3").await;
            assert!(!found.is_empty() && found.iter().all(|id| id.starts_with("of-q")), "{more}: {found:?}");
            assert_eq!(ids(&mut watched, "Patient", "link=Patient/q").await, Vec::<String>::new());
        }
    }

    // A conditional interaction means the record that it names.
    #[tokio::test]
    async fn what_is_looked_for_to_be_changed_is_meant_as_it_is_written() {
        let mut watched = of_one(0).await;
        for (text, expected) in [("patient=Patient/p", 0), ("patient=Patient/q", 1), ("patient.family=berg", 1)] {
            let query = parse::parse("Observation", &pairs(text).unwrap(), 0).query;
            assert_eq!(find(&mut watched, &scope(), &query, 9, 0).await.unwrap().len(), expected, "{text}");
        }
        assert_eq!(ids(&mut watched, "Observation", "patient.family=berg").await, ["of-q", "of-z"]);
    }
}
