//! A reference to a Patient is meant for the person: what is filed under one of their records is found by the others, as long as
//! they are known as one, and after a parting no more. No row is moved for it. What a conditional interaction looks for is meant
//! as it is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
/// Records that a search may find for them.
const RECORDS_MAX: usize = 4_096;
/// The same where something is told to whoever listens. It can refuse nobody, so what is beyond is left out.
const HEARD_MAX: usize = 16_384;

/// Whether a parameter asks for a person by any of their records.
pub(super) fn is_of_person(kind: &str, parameter: u32) -> bool {
    numbered(kind, parameter).is_some_and(|of| of.kind == ParameterKind::Reference && !OF_RECORDS.contains(&(kind, of.code)))
}

/// A person of whom there are several records.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kin {
    /// Those of these that were named.
    named: Vec<String>,
    /// All references that lead to the person now, those that were named among them.
    pub(super) records: Vec<String>,
}

impl Kin {
    /// Those that were named, without what references begin with.
    pub(super) fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.named.iter().filter_map(move |name| name.strip_prefix(prefix))
    }

    /// Those of their records which are not among these, if one of these is theirs.
    fn beside<'a>(&'a self, names: &'a BTreeSet<String>) -> impl Iterator<Item = &'a String> {
        let is_meant = self.named.iter().any(|name| names.contains(name));
        self.records.iter().filter(move |record| is_meant && !names.contains(*record))
    }
}

/// The persons to whom these references to Patients lead and to whom others lead, too.
pub(super) async fn kin(asker: &mut impl Asker, scope: &Scope, names: &BTreeSet<String>) -> Result<Vec<Kin>, Error> {
    let (kin, is_cut) = within(asker, scope, names, RECORDS_MAX).await?;
    if is_cut {
        return Err(Error::TooCostly("Too many records are of one person to be searched together: name fewer patients."));
    }
    Ok(kin)
}

/// The same within so many records for each of these many references, and whether there are more.
async fn within(asker: &mut impl Asker, scope: &Scope, names: &BTreeSet<String>, max: usize) -> Result<(Vec<Kin>, bool), Error> {
    let patients: Vec<String> = names.iter().filter(|name| name.starts_with(PATIENT)).cloned().collect();
    let (mut kin, mut is_cut) = (Vec::new(), false);
    for some in patients.chunks(AT_ONCE_MAX) {
        let mut sql = Sql::default();
        // SQLite keeps the order of these joins: from the few names on, each by its own key. A person is walked once, by the first
        // of their names, however many of them are asked for.
        sql.push("SELECT f.name, o.value FROM (SELECT p.survivor, MIN(i.value) AS name FROM identifiers i CROSS JOIN people p");
        sql.push(" WHERE i.tenant = ").text(&scope.tenant).push(" AND i.system = '' AND i.value IN (").texts(some);
        sql.push(") AND p.tenant = i.tenant AND p.person = i.person GROUP BY p.survivor) f");
        sql.push(" CROSS JOIN people q CROSS JOIN identifiers o WHERE q.tenant = ").text(&scope.tenant);
        sql.push(" AND q.survivor = f.survivor AND o.tenant = q.tenant AND o.person = q.person AND o.system = '' LIMIT ");
        sql.int(i64::try_from(max).unwrap_or(i64::MAX));
        let rows = asker.rows(&sql.text, &sql.cells()?).await?;
        is_cut |= rows.len() == max;
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        for mut row in rows {
            let (name, record) = (row.text()?, row.text()?);
            if record.starts_with(PATIENT) {
                found.entry(name).or_default().push(record);
            }
        }
        for (first, records) in found.into_iter().filter(|(_, records)| records.len() > 1) {
            let others = records.iter().filter(|record| **record != first && names.contains(*record)).cloned();
            kin.push(Kin { named: std::iter::once(first.clone()).chain(others).collect(), records });
        }
    }
    Ok((kin, is_cut))
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
    let kin = kin(asker, scope, &names).await?;
    for criterion in criteria.iter_mut().filter(|_| !kin.is_empty()) {
        each(kind, criterion, &mut |asked| {
            let names: BTreeSet<String> = asked.names().into_iter().collect();
            let found: BTreeSet<&String> = kin.iter().flat_map(|one| one.beside(&names)).collect();
            found.into_iter().cloned().collect()
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

    /// The search rows of a resource, with those that it would have if it referred to the other records of its persons. Of a person
    /// of whom there are more than can be told, some are left out: nobody who listens may be left without all.
    pub async fn lines(&self, scope: &Scope, kind: &str, resource: &serde_json::Value) -> Result<Vec<Line>, Error> {
        let mut lines = super::lines(kind, resource);
        if !self.shared.united.load(Ordering::SeqCst) {
            return Ok(lines);
        }
        let mut named: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        for line in &lines {
            if let Line::Word { parameter, word } = line
                && is_of_person(kind, *parameter)
            {
                named.entry(*parameter).or_default().insert(word.clone());
            }
        }
        let every = named.values().flatten().cloned().collect();
        let (kin, is_cut) = within(&mut &self.reader, scope, &every, HEARD_MAX).await?;
        if is_cut {
            tracing::error!(kind, "a person has more records than can be told; who listens to one of the others hears nothing");
        }
        for (parameter, names) in &named {
            let words: BTreeSet<&String> = kin.iter().flat_map(|one| one.beside(names)).collect();
            lines.extend(words.into_iter().map(|word| Line::Word { parameter: *parameter, word: word.clone() }));
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{kin, within};
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

    // All records are found by each, in one walk over them: more of them are named than may be found of each other in pairs. A bound
    // cuts, and says so; who was named is told in any case.
    #[tokio::test]
    async fn records_of_a_person_are_found_within_a_bound() {
        const RECORDS: usize = 90;
        let mut watched = store((0..RECORDS).map(|number| patient(&format!("p{number}"), "Berg"))).await;
        let people = "INSERT INTO people SELECT 't', number, 1, 0, 0, '', 0, '' FROM resources WHERE kind = 'Patient';
            INSERT INTO identifiers SELECT 't', '', 'Patient/' || id, number FROM resources WHERE kind = 'Patient'";
        watched.connection.execute_batch(people).unwrap();
        let names: BTreeSet<String> = (0..RECORDS).map(|number| format!("Patient/p{number}")).collect();
        let found = kin(&mut watched, &scope(), &names).await.unwrap();
        assert!(found.len() == 1 && found[0].named.len() == RECORDS && found[0].records.len() == RECORDS, "{found:?}");
        assert_eq!(found[0].beside(&BTreeSet::from([String::from("Patient/p7")])).count(), RECORDS - 1);
        assert_eq!(found[0].beside(&BTreeSet::from([String::from("Patient/z")])).count(), 0);
        let one = BTreeSet::from([String::from("Patient/p7")]);
        for (max, is_cut) in [(RECORDS, true), (RECORDS + 1, false)] {
            let (found, cut) = within(&mut watched, &scope(), &one, max).await.unwrap();
            assert_eq!((found[0].named.as_slice(), cut), (&[String::from("Patient/p7")][..], is_cut), "{max}");
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
