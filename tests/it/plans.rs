//! Every query of the ledger goes by an index: read from the source, explained by the database.

use std::fs;
use std::path::Path;

use signa::clock::Clock;
use signa::ledger::{Ledger, Settings};

use crate::database::Database;

/// Tables that stay small: one row per tenant, subscription or endpoint. To read one of these whole is the plan.
const SMALL: [&str; 7] = ["subscriptions", "lanes", "migrations", "checkpoints", "events", "halts", "indexed"];

/// Beginnings of statements that read everything on purpose (once at opening, for a checkpoint, to verify), or that are only the
/// beginning: the search adds its conditions.
const WHOLE: [&str; 9] = [
    "SELECT person FROM people WHERE survivor <> person",
    "SELECT DISTINCT tenant FROM people",
    "SELECT person, ordinal, head FROM people",
    "UPDATE people SET sealed_ordinal",
    "SELECT tenant FROM people UNION",
    "SELECT e.person FROM entries e WHERE e.tenant = $1 AND NOT EXISTS",
    "SELECT person FROM withheld WHERE tenant = $1 LIMIT 1",
    "SELECT m.number FROM spans m",
    "SELECT m.number FROM words m",
];

/// The texts between quotes in a source file that are whole statements.
fn statements(source: &str) -> Vec<String> {
    let quoted = source.split('"').skip(1).step_by(2).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let whole =
        |text: &String| ["SELECT ", "UPDATE ", "DELETE "].iter().any(|word| text.starts_with(word)) && !text.contains('{');
    quoted.filter(whole).map(|text| text.replace(" FOR UPDATE SKIP LOCKED", "").replace(" FOR UPDATE", "")).collect()
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if !path.ends_with("postgres.rs") {
            found.extend(statements(&fs::read_to_string(path).unwrap()));
        }
    }
}

// SQLite says of each statement how it would run it: none reads a table that grows from end to end.
#[tokio::test(flavor = "multi_thread")]
async fn no_query_reads_a_growing_table_from_end_to_end() {
    let database = Database::sqlite();
    let settings = Settings { database: database.url.clone(), ..Settings::default() };
    let _ledger = Ledger::open(&settings, Clock::stopped(0)).await.unwrap();
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ledger"), &mut found);
    assert!(found.len() > 20, "{found:?}");

    let mut slow = Vec::new();
    for statement in found.iter().filter(|text| !WHOLE.iter().any(|whole| text.starts_with(whole))) {
        let Ok(plan) = database.explain(statement) else { continue };
        // The first few of an index in its own order are no walk from end to end.
        let first = |step: &str| step.contains("USING") && statement.contains("ORDER BY") && statement.contains("LIMIT");
        // A part of the statement is no table: what it reads stands in its own steps.
        let part = |step: &str| {
            let of = |other: &String| other.strip_prefix("CO-ROUTINE ").or(other.strip_prefix("MATERIALIZE ")).map(str::to_owned);
            plan.iter().filter_map(of).any(|name| step == format!("SCAN {name}"))
        };
        let is_scan = |step: &str| step.starts_with("SCAN") && !step.contains("CONSTANT ROW") && !first(step) && !part(step);
        // Most stores have one tenant: all that is a tenant's is everything.
        let scans = plan.iter().filter(|step| is_scan(step) || step.ends_with("(tenant=?)"));
        let growing = scans.filter(|step| !SMALL.iter().any(|table| step.split(' ').nth(1) == Some(table)));
        slow.extend(growing.map(|step| format!("{step}: {statement}")));
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}
