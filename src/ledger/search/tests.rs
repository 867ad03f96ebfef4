//! Every shape of a search goes by an index: the plans of all statements that are run are read and looked through.

use rusqlite::{Connection, StatementStatus};
use serde_json::{Value as Json, json};
use std::sync::Arc;

use super::asker::Asker;
use super::page::{EXAMINED_MAX, page};
use super::{add, beside, include, lines};
use crate::fhir::search::sample::sample;
use crate::fhir::search::{pairs, parameter, parameters, parse, within};
use crate::ledger::dialect::{Cell, Passed, Transaction};
use crate::ledger::resources::{self, Written};
use crate::ledger::{Error, How, Person, Scope, migrations};

/// A step of SQLite's plan: the number of what it is a part of, and its text.
type Planned = (i64, String);

/// Asks a file of its own and keeps how SQLite would run each statement.
pub(super) struct Watched {
    pub(super) connection: Connection,
    plans: Vec<(String, Vec<Planned>)>,
    /// How many rows were read in all.
    pub(super) rows: usize,
    /// How many steps the database's machine took in all, whoever of them reads a row of an index.
    pub(super) steps: i64,
}

impl Watched {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, plans: Vec::new(), rows: 0, steps: 0 }
    }
}

impl Asker for Watched {
    async fn each<T>(
        &mut self,
        sql: &str,
        cells: &[Cell<'_>],
        make: impl FnMut(&mut Passed<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        if !self.plans.iter().any(|(known, _)| known == sql) {
            let mut statement = self.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
            let planned = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, row.get(3)?));
            let steps = statement.query_map(rusqlite::params_from_iter(nulls), planned)?.collect::<Result<_, _>>()?;
            self.plans.push((sql.to_owned(), steps));
        }
        let rows = Transaction::Sqlite(&self.connection).each(sql, cells, make).await?;
        self.rows += rows.len();
        self.steps += i64::from(self.connection.prepare_cached(sql)?.reset_status(StatementStatus::VmStep));
        Ok(rows)
    }
}

pub(super) fn scope() -> Scope {
    Scope { tenant: Arc::from("t") }
}

pub(super) async fn keep(connection: &Connection, number: i64, resource: &Json) {
    put(&mut Transaction::Sqlite(connection), number, resource).await;
}

/// Keeps a resource under this number.
pub(super) async fn put(transaction: &mut Transaction<'_>, number: i64, resource: &Json) {
    let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    // As a draft has it: the type first, the id left out, the members of meta apart.
    let rest = resource.as_object().unwrap().iter().filter(|(key, _)| !matches!(key.as_str(), "resourceType" | "id" | "meta"));
    let mut whole = json!({"resourceType": kind});
    whole.as_object_mut().unwrap().extend(rest.map(|(key, value)| (key.clone(), value.clone())));
    let body = whole.to_string();
    let meta = resource.get("meta").map(Json::to_string).unwrap_or_default();
    let written = Written {
        number,
        version: 1,
        updated: 1_000 + number,
        deleted: false,
        person: Person::NOBODY,
        store: "",
        fact: number,
        source: "s",
        how: How::Live,
        salt: "",
        meta: meta.strip_prefix('{').and_then(|meta| meta.strip_suffix('}')).unwrap_or_default(),
        body: &body,
    };
    resources::add(transaction, "t", kind, id, &written).await.unwrap();
    add(transaction, "t", number, lines(kind, resource).iter()).await.unwrap();
}

/// A few hundred resources, with their numbers.
pub(super) fn furniture() -> impl Iterator<Item = (i64, Json)> {
    (0_usize..300).flat_map(|number| {
        let gender = if number % 2 == 0 { "male" } else { "female" };
        let patient = json!({"resourceType": "Patient", "id": format!("p{number}"), "gender": gender,
            "name": [{"family": format!("Berg{}", number % 40), "given": ["Ana"]}], "birthDate": format!("19{:02}-01-01", number % 90),
            "identifier": [{"system": "urn:m", "value": number.to_string()}]});
        let weight = json!({"resourceType": "Observation", "id": format!("o{number}"), "status": "final",
            "code": {"coding": [{"system": "urn:l", "code": format!("c{}", number % 30)}], "text": "Weight"},
            "subject": {"reference": format!("Patient/p{}", number % 50)}, "effectiveDateTime": format!("2026-01-{:02}", 1 + number % 28),
            "valueQuantity": {"value": number, "code": "kg", "system": "urn:u"}});
        let at = i64::try_from(number).unwrap() * 2;
        [(at + 1, patient), (at + 2, weight)]
    })
}

/// A store with them.
async fn furnished() -> Watched {
    let connection = Connection::open_in_memory().unwrap();
    migrations::sqlite(&connection).unwrap();
    for (number, resource) in furniture() {
        keep(&connection, number, &resource).await;
    }
    Watched::new(connection)
}

/// Shapes of searches: a type, its query, and how many it must find in all.
pub(super) const SHAPES: &[(&str, &str, usize)] = &[
    ("Patient", "", 300),
    ("Patient", "_id=p1,p2", 2),
    ("Patient", "_lastUpdated=gt1970-01-01T00:00:01.500Z", 50),
    ("Patient", "identifier=urn:m|7", 1),
    ("Patient", "identifier=7", 1),
    ("Patient", "identifier=urn:m|", 300),
    ("Patient", "gender=male&birthdate=ge1950", 60),
    ("Patient", "gender:not=male", 150),
    ("Patient", "gender:missing=true", 0),
    ("Patient", "family=berg", 300),
    ("Patient", "family=berg1", 88),
    ("Patient", "family:exact=Berg1", 8),
    ("Patient", "family:contains=rg3", 78),
    ("Patient", "family:contains=erg", 300),
    ("Patient", "birthdate=ge1970&birthdate=lt1980", 30),
    ("Patient", "birthdate=eb1980&gender=male&family=berg", 135),
    ("Patient", "birthdate=ge1970&birthdate=lt1980&_sort=birthdate", 30),
    ("Patient", "_sort=family", 300),
    ("Patient", "_sort=-birthdate", 300),
    ("Patient", "_sort=birthdate,family", 300),
    ("Patient", "_sort=_lastUpdated&gender=male", 150),
    ("Observation", "patient=p1", 6),
    ("Observation", "patient=p1&_sort=-date", 6),
    ("Observation", "patient=p1&_sort=-_lastUpdated", 6),
    ("Observation", "patient=p1&_sort=value-quantity,-date", 6),
    ("Observation", "patient=p1&date=ge2026-01-05", 5),
    ("Observation", "status=final&code=c1", 10),
    ("Observation", "code=c1,c2,c3", 30),
    ("Observation", "code:not=c1,c2", 280),
    ("Observation", "status:not=final", 0),
    ("Observation", "status:missing=true", 0),
    ("Observation", "status:missing=false", 300),
    ("Observation", "date:missing=true", 0),
    ("Patient", "birthdate:missing=false&gender=male", 150),
    ("Patient", "death-date:missing=true&family=berg1", 88),
    ("Observation", "status:not=final&_sort=date", 0),
    ("Observation", "code:not=c1&_sort=-date", 290),
    ("Observation", "date=2026-01-02", 11),
    ("Observation", "date=ge2026-01-10&date=lt2026-01-12&_sort=date", 22),
    ("Observation", "value-quantity=gt290", 9),
    ("Observation", "value-quantity=lt10||kg&status=final", 10),
    ("Observation", "_sort=-value-quantity", 300),
    ("Observation", "_sort=code", 300),
    ("Observation", "code-value-quantity=c1$gt200", 3),
    ("Observation", "code:text=weig", 300),
    ("Observation", "patient.family=berg1", 72),
    ("Observation", "patient.gender=male", 150),
    ("Observation", "subject:Patient.birthdate=ge1930&code=c1", 4),
    ("Patient", "_has:Observation:patient:code=c1", 5),
    ("Patient", "_has:Observation:patient:value-quantity=gt250", 49),
];

/// Whether a step of a plan reads something that grows from end to end, or sorts what an index leads to.
fn is_slow(sql: &str, plan: &[Planned], (part, step): &Planned) -> bool {
    // What is read here is the result of an inner question, which has a bound of its own.
    let is_inner = |step: &str| {
        ["SCAN d", "SCAN f", "SCAN l", "SCAN u", "SCAN x", "SCAN CONSTANT ROW"].iter().any(|name| step.starts_with(name))
    };
    let scans = step.starts_with("SCAN") && !is_inner(step);
    // Sorted may be the results of inner questions, and the few ids or names that were asked for.
    let mut beside = plan.iter().filter(|(of, _)| of == part).map(|(_, step)| step.as_str());
    let is_bounded = beside.any(is_inner) || sql.contains("i.id IN") || sql.contains("i.value IN");
    scans || (step.contains("TEMP B-TREE") && !is_bounded)
}

async fn all_pages(watched: &mut Watched, kind: &str, text: &str) -> Vec<String> {
    let mut parsed = parse::parse(kind, &pairs(text).unwrap(), 0);
    assert!(parsed.issues.is_empty() && parsed.unknown.is_empty(), "{kind}?{text}: {parsed:?}");
    parsed.query.count = 40;
    parsed.query.total = true;
    let mut ids = Vec::new();
    loop {
        let found = page(watched, &scope(), &parsed.query, (0, 0), true).await.unwrap();
        assert!(found.found.len() <= 40);
        if parsed.query.after.is_none() {
            parsed.query.total = false;
            ids.reserve(usize::try_from(found.total.unwrap()).unwrap());
            assert!(
                found.next.is_some() || found.total == i64::try_from(found.found.len()).ok(),
                "{kind}?{text}: {:?}",
                found.total
            );
        }
        ids.extend(found.found.into_iter().map(|stored| stored.id));
        match found.next {
            Some(next) => parsed.query.after = Some(next),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn every_search_goes_by_an_index_and_finds_each_once() {
    let mut watched = furnished().await;
    let mut wrong = Vec::new();
    for (kind, text, expected) in SHAPES {
        let mut ids = all_pages(&mut watched, kind, text).await;
        let found = ids.len();
        ids.sort_unstable();
        ids.dedup();
        if (found, ids.len()) != (*expected, *expected) {
            wrong.push(format!("{kind}?{text}: {found} found, {} different", ids.len()));
        }
    }
    let includes =
        parse::parse("Observation", &pairs("_include=Observation:subject&_revinclude=Observation:has-member").unwrap(), 0);
    let query = parse::parse("Observation", &pairs("patient=p1").unwrap(), 0).query;
    let found = page(&mut watched, &scope(), &query, (0, 0), true).await.unwrap().found;
    let brought = beside::beside(&mut watched, &scope(), &found, &includes.includes).await.unwrap();
    assert_eq!(brought.found.len(), 1);
    let mut inside = query.clone();
    inside.criteria = within("Patient", "p1", "Observation").into_iter().collect();
    assert_eq!(page(&mut watched, &scope(), &inside, (0, 0), true).await.unwrap().found.len(), 6);
    let slow = watched.plans.iter().flat_map(|(sql, plan)| {
        plan.iter().filter(|step| is_slow(sql, plan, step)).map(move |(_, step)| format!("{step}: {sql}"))
    });
    wrong.extend(slow);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(watched.plans.len() > 60, "{}", watched.plans.len());
}

/// One resource with several of the words takes the place of no other: the limit counts resources, not rows.
#[tokio::test]
async fn what_refers_to_several_is_brought_along_once_and_hides_no_other() {
    let connection = Connection::open_in_memory().unwrap();
    migrations::sqlite(&connection).unwrap();
    for (number, names) in [(1, &["a", "b", "c"][..]), (2, &["d"]), (3, &["x"])] {
        let performers: Vec<Json> = names.iter().map(|name| json!({"reference": format!("Practitioner/{name}")})).collect();
        let seen = json!({"resourceType": "Observation", "id": format!("o{number}"), "status": "final", "performer": performers});
        keep(&connection, number, &seen).await;
    }
    let mut watched = Watched::new(connection);
    let names: Vec<String> = ["a", "b", "c", "d"].iter().map(|name| format!("Practitioner/{name}")).collect();
    let performer = parameter("Observation", "performer").unwrap().number;
    for (limit, expected) in [(1, 1), (2, 2), (10, 2)] {
        let found = include::having(&mut watched, &scope(), performer, &names, limit).await.unwrap();
        assert_eq!(found.len(), expected, "{limit}");
    }
}

/// A search that finds little among much looks at a bounded number of rows for a page, and goes on from there.
#[tokio::test]
async fn a_page_looks_at_a_bounded_number_of_rows() {
    let connection = Connection::open_in_memory().unwrap();
    migrations::sqlite(&connection).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    let last = i64::try_from(EXAMINED_MAX).unwrap() + 5_000;
    for number in 1..=last {
        let status = if number == 1 { "draft" } else { "active" };
        keep(&connection, number, &json!({"resourceType": "Basic", "id": format!("b{number}"), "implicitRules": status})).await;
    }
    connection.execute_batch("COMMIT").unwrap();
    let mut watched = Watched::new(connection);
    let mut query = parse::parse("Basic", &pairs("author:missing=false").unwrap(), 0).query;
    let first = page(&mut watched, &scope(), &query, (0, 0), true).await.unwrap();
    assert!(first.found.is_empty() && first.next.is_some());
    query.after = first.next;
    let second = page(&mut watched, &scope(), &query, (0, 0), true).await.unwrap();
    assert!(second.found.is_empty() && second.next.is_none());
}

/// The types that a pharmacy, a hospital and a telehealth service live by.
const KINDS: [&str; 25] = [
    "Patient",
    "MedicationDispense",
    "MedicationRequest",
    "Medication",
    "Condition",
    "DiagnosticReport",
    "Observation",
    "AllergyIntolerance",
    "Coverage",
    "Consent",
    "Encounter",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "RelatedPerson",
    "Communication",
    "CommunicationRequest",
    "Task",
    "Subscription",
    "PlanDefinition",
    "ActivityDefinition",
    "ValueSet",
    "Provenance",
    "AuditEvent",
];

/// Each parameter that is offered finds a resource made from its own definition, and does not find it by another value.
#[tokio::test]
async fn every_parameter_has_a_hit_and_a_miss() {
    let (mut wrong, mut tried, mut unsampled) = (Vec::new(), 0, Vec::new());
    for kind in KINDS {
        for of in parameters(kind).iter().filter(|of| parse::is_served(of)) {
            let Some(sample) = sample(kind, of) else {
                unsampled.push(format!("{kind}.{}", of.code));
                continue;
            };
            tried += 1;
            let connection = Connection::open_in_memory().unwrap();
            migrations::sqlite(&connection).unwrap();
            keep(&connection, 1, &sample.resource).await;
            keep(&connection, 2, &json!({"resourceType": kind, "id": "bare"})).await;
            let mut watched = Watched::new(connection);
            let mut asked = vec![(of.code.to_owned(), &sample.hit, true), (of.code.to_owned(), &sample.miss, false)];
            let (yes, no) = (String::from("true"), String::from("false"));
            if of.components.is_empty() && of.code != "deceased" {
                asked.push((format!("{}:missing", of.code), &no, true));
                asked.push((format!("{}:missing", of.code), &yes, false));
            }
            for (name, value, is_hit) in asked {
                let parsed = parse::parse(kind, &[(name.clone(), value.clone())], 0);
                assert!(parsed.issues.is_empty() && parsed.unknown.is_empty(), "{kind}?{name}={value}: {parsed:?}");
                let found = page(&mut watched, &scope(), &parsed.query, (0, 0), true).await.unwrap().found;
                if found.iter().any(|stored| stored.id == "hit") != is_hit {
                    wrong.push(format!("{kind}?{name}={value} of {}", sample.resource));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(unsampled, Vec::<String>::new());
    assert!(tried > 500, "{tried}");
}
