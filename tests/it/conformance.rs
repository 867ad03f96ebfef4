//! The black-box suites on our own gateway: every row of the checklist is kept, or stands below with the reason why not.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use signa::clock::Clock;
use signa::command::conformance::examine;
use signa::command::conformance::play::Verdict;
use signa::command::conformance::report::Report;

use crate::database::Database;
use crate::engine::Engine;

/// Rows that are not kept, or of which a part is not offered, with the reason.
const REASONS: &[(&str, &str)] = &[
    ("R08", "browsers are let in only from the origins that the operator names; `src/arrive/tests.rs` asks for them"),
    ("R17", "there are two ways, and the other one is offered: an update under an unknown id creates"),
    ("R22", "there are two ways, and the other one is offered: of several matches none is deleted"),
    ("B14", "Subscriptions by topic are not built yet"),
];

/// What every suite says of a gateway of ours.
async fn report(database: Database) -> Report {
    let engine = Engine::start(&database, &Clock::running()).await;
    let report = examine(&format!("http://{}/fhir", engine.address()), None, &[], &[]).await.unwrap();
    engine.stop().await;
    report
}

fn signa(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signa")).arg("conformance").args(arguments).output().unwrap()
}

// A row that fails is a fault, unless it stands above with its reason; a reason that is no longer true is one, too.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_kept_or_has_its_reason() {
    let report = report(Database::sqlite()).await;
    let mut faults = Vec::new();
    for row in report.rows() {
        let is_whole = row.tried.iter().all(|tried| tried.verdict == Verdict::Passed);
        let has_reason = REASONS.iter().any(|(id, _)| *id == row.id);
        if is_whole && has_reason {
            faults.push(format!("{} is kept now: take its reason away", row.id));
        } else if !is_whole && !has_reason {
            for tried in row.tried.iter().filter(|tried| tried.verdict != Verdict::Passed) {
                faults.push(format!("{}: {}: {:#?}", row.id, tried.sentence, tried.verdict));
            }
        }
    }
    let known: Vec<&str> = report.rows().iter().map(|row| row.id).collect();
    faults.extend(REASONS.iter().filter(|(id, _)| !known.contains(id)).map(|(id, _)| format!("no suite proves {id}")));
    assert!(faults.is_empty(), "{}\n{}", report.sum(), faults.join("\n"));
    assert!(known.len() > 60, "{known:?}");
    table(&report);
}

// On PostgreSQL the same tests come to the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_other_database_keeps_the_same_rows() {
    let report = report(Database::postgres().await).await;
    let failed = report.tried.iter().filter(|tried| matches!(tried.verdict, Verdict::Failed(_)));
    let failed: Vec<_> = failed.filter(|tried| !REASONS.iter().any(|(id, _)| tried.rows.iter().any(|row| row == id))).collect();
    assert!(failed.is_empty() && report.tried.len() > 200, "{}\n{failed:#?}", report.sum());
}

/// The table in `conformance/README.md` is the one of this run. With `SIGNA_GOLDEN=write` it is written.
fn table(report: &Report) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (open, close) = ("<!-- rows -->\n", "<!-- end of rows -->\n");
    let (before, rest) = text.split_once(open).unwrap();
    let (_, after) = rest.split_once(close).unwrap();
    let mut made = format!("{}\n\n{}", report.sum(), report.markdown());
    if !REASONS.is_empty() {
        made.push_str("\n| row | why a part of it is not offered, or fails |\n|---|---|\n");
        for (id, reason) in REASONS {
            made.extend(["| ", id, " | ", reason, " |\n"]);
        }
    }
    let fresh = format!("{before}{open}{made}{close}{after}");
    if std::env::var("SIGNA_GOLDEN").is_ok_and(|mode| mode == "write") {
        fs::write(&path, fresh).unwrap();
    } else {
        assert!(text == fresh, "the table in conformance/README.md is old: SIGNA_GOLDEN=write cargo test --test it conformance");
    }
}

// The command tries what it is told to, writes both kinds of report, and ends with 0 where nothing failed.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_and_reports() {
    let database = Database::sqlite();
    let engine = Engine::start(&database, &Clock::running()).await;
    let base = format!("http://{}/fhir", engine.address());
    let folder = tempfile::tempdir().unwrap();
    for (name, expected) in [("report.md", "| R10 | passed |"), ("report.json", "\"resourceType\": \"TestReport\"")] {
        let path = folder.path().join(name);
        let done = signa(&[&base, "--only", "R10,R36", "--report", path.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && said.contains("R10  passed") && said.contains("2 rows: 2 passed"), "{said}");
        assert!(fs::read_to_string(&path).unwrap().contains(expected), "{name}");
    }
    assert_eq!(signa(&[&base, "--only", "R99"]).status.code(), Some(1));
    let reports: Value = serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(reports["entry"].as_array().map(Vec::len), Some(2), "one for each script: {reports}");
    let house = crate::house::House::new().await;
    house.post(&reports["entry"][0]["resource"]).await.is(201);
    engine.stop().await;
}

// A suite of one's own is tried like ours; what fails in it ends the command with 1 and is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_suite_of_ones_own_is_tried() {
    let database = Database::sqlite();
    let engine = Engine::start(&database, &Clock::running()).await;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("fixtures")).unwrap();
    fs::write(folder.path().join("fixtures/p.json"), r#"{"resourceType": "Patient", "active": true}"#).unwrap();
    let script = serde_json::json!({
        "resourceType": "TestScript", "id": "own", "name": "Own", "url": "http://example.org/own", "status": "active",
        "fixture": [{"id": "p", "autocreate": true, "autodelete": true, "resource": {"reference": "fixtures/p.json"}}],
        "test": [
            {"name": "X01 It is active", "action": [
                {"operation": {"type": {"code": "read"}, "targetId": "p", "encodeRequestUrl": true}},
                {"assert": {"expression": "Patient.active", "warningOnly": false}}]},
            {"name": "X02 It is not", "action": [{"assert": {"sourceId": "p", "expression": "Patient.active.not()", "warningOnly": false}}]}
        ]
    });
    fs::write(folder.path().join("own.json"), script.to_string()).unwrap();
    let done = signa(&[&format!("http://{}/fhir", engine.address()), "--suites", folder.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("X01  passed") && said.contains("X02  failed") && said.contains("It is not (own)"), "{said}");
    // What it made is gone again.
    let count = format!("http://{}/fhir/Patient?_summary=count", engine.address());
    let left = reqwest::get(count).await.unwrap().text().await.unwrap();
    let left: Value = serde_json::from_str(&left).unwrap();
    assert_eq!(left["total"], 0);
    engine.stop().await;
}

// A server that is not there is told in a sentence, and a wrong address before anything is asked.
#[test]
fn what_cannot_be_tried_is_told() {
    for (base, told) in [("http://127.0.0.1:9/fhir", "cannot be asked"), ("127.0.0.1", "is no address such as")] {
        let done = signa(&[base]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(1) && said.contains(told), "{said}");
    }
}

// Every suite is itself a valid resource, so that other tools can read it.
#[tokio::test(flavor = "multi_thread")]
async fn every_suite_is_a_test_script() {
    let house = crate::house::House::new().await;
    let mut count = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let text = fs::read_to_string(&path).unwrap();
            house.ask("POST", "TestScript").body("application/fhir+json", text).await.is(201);
            count += 1;
        }
    }
    assert!(count >= 10);
}
