//! What a search costs follows its page and not the store: the steps of the database are counted in two stores, one ten times
//! as large as the other.

use rusqlite::Connection;
use serde_json::json;

use super::page::page;
use super::tests::{Watched, keep, scope};
use crate::fhir::search::{pairs, parse};
use crate::ledger::migrations;

/// Steps that a search may take more in the larger store, beside twice as many: what the first words and counts differ by.
const SLACK: i64 = 500;

/// So many patients, each with a diagnosis and a dispense.
async fn ward(patients: usize) -> Watched {
    let connection = Connection::open_in_memory().unwrap();
    migrations::sqlite(&connection).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for number in 0..patients {
        let (place, of) = (i64::try_from(number).unwrap() * 3, json!({"reference": format!("Patient/p{number:06}")}));
        let gender = if number % 2 == 0 { "female" } else { "male" };
        let family = ["Okafor", "Tanaka", "Rossi", "Silva", "Chen"][number % 5];
        let patient = json!({"resourceType": "Patient", "id": format!("p{number:06}"), "gender": gender,
            "name": [{"family": family}],
            "birthDate": format!("19{:02}-03-01", 40 + number % 50)});
        keep(&connection, place + 1, &patient).await;
        let person = "INSERT INTO people VALUES ('t', ?1, ?1, 0, 0, '', 0, '')";
        connection.execute(person, [place]).unwrap();
        let literal = "INSERT INTO identifiers VALUES ('t', '', ?1, ?2)";
        connection.execute(literal, (format!("Patient/p{number:06}"), place)).unwrap();
        let diagnosis = json!({"resourceType": "Condition", "id": format!("c{number:06}"), "subject": of,
            "code": {"coding": [{"system": "urn:s", "code": format!("k{}", number / 2 % 2)}]}});
        keep(&connection, place + 2, &diagnosis).await;
        // What is handed over in a minute does not grow, but the day does.
        let at = format!("2026-02-{:02}T{:02}:{:02}:00Z", 1 + number % 2, 8 + number / 120 % 12, number / 2 % 60);
        let dispense = json!({"resourceType": "MedicationDispense", "id": format!("d{number:06}"), "status": "completed",
            "medicationCodeableConcept": {"text": "m"}, "subject": of, "whenHandedOver": at});
        keep(&connection, place + 3, &dispense).await;
    }
    connection.execute_batch("COMMIT").unwrap();
    Watched::new(connection)
}

/// The steps and the rows of a page, and how many resources it found.
async fn cost(watched: &mut Watched, kind: &str, text: &str) -> (i64, usize, usize) {
    let parsed = parse::parse(kind, &pairs(text).unwrap(), 0);
    assert!(parsed.issues.is_empty() && parsed.unknown.is_empty(), "{kind}?{text}: {parsed:?}");
    (watched.steps, watched.rows) = (0, 0);
    let found = page(watched, &scope(), &parsed.query, (0, 0), true).await.unwrap().found.len();
    (watched.steps, watched.rows, found)
}

const SEARCHES: &[(&str, &str)] = &[
    ("Patient", "_id=p000007"),
    ("Condition", "patient=p000007"),
    ("Condition", "code=urn:s|k1&_count=10"),
    ("Condition", "code=k1&_count=10"),
    ("Condition", "code=urn:s|k1&patient=p000007"),
    ("Condition", "code=urn:s|k0,urn:s|k1&_count=10"),
    ("Condition", "code:not=urn:s|k1&_count=10"),
    ("Condition", "code=urn:s|k1&encounter:missing=true&_count=10"),
    ("Condition", "patient.gender=female&code=urn:s|k1&_count=10"),
    ("Condition", "_sort=-_lastUpdated&_count=10"),
    ("Condition", "_lastUpdated=ge1970-01-01T00:00:01.300Z&_count=10"),
    ("Patient", "family=okaf&_count=10"),
    ("Patient", "name:contains=anak&_count=10"),
    ("Patient", "birthdate=1950-03-01&_count=5"),
    ("Patient", "birthdate:missing=false&_count=10"),
    ("Patient", "death-date:missing=true&_count=10"),
    ("MedicationDispense", "status:missing=true&_count=10"),
    ("Patient", "_sort=family&_count=10"),
    ("Patient", "_has:Condition:patient:code=urn:s|k1&_count=10"),
    ("MedicationDispense", "status:not=completed&_count=10"),
    ("MedicationDispense", "whenhandedover=ge2026-02-02&whenhandedover=lt2026-02-03&_sort=whenhandedover&_count=10"),
    ("MedicationDispense", "whenhandedover=ge2026-02-02T08:00:00Z&_sort=whenhandedover&_count=10"),
    ("MedicationDispense", "patient=p000007&_sort=-whenhandedover"),
];

#[tokio::test]
async fn a_search_costs_as_much_in_a_store_ten_times_as_large() {
    let (mut small, mut large) = (ward(300).await, ward(3_000).await);
    let mut wrong = Vec::new();
    for (kind, text) in SEARCHES {
        let (few, many) = (cost(&mut small, kind, text).await, cost(&mut large, kind, text).await);
        println!("{few:?} {many:?} {kind}?{text}");
        assert_eq!(few.2, many.2, "{kind}?{text}");
        if many.0 > 2 * few.0 + SLACK || many.1 > 2 * few.1 + 50 {
            wrong.push(format!("{kind}?{text}: {few:?} steps, rows and matches, then {many:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
