//! Proves each rule on a fault planted in memory, beside the twin that is in order.

use crate::rules::{File, RULES};

/// What one rule says of these files.
fn faults(rule: &str, files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
    let found = RULES.iter().find(|(name, _)| *name == rule);
    found.map(|(_, rule)| rule(&files)).unwrap()
}

/// The rule finds one fault in each of the first and none in any of the second.
fn proves(rule: &str, planted: &[(&str, &str)], in_order: &[(&str, &str)]) {
    for file in planted {
        let found = faults(rule, &[*file]);
        assert_eq!(found.len(), 1, "{rule} in {file:?}: {found:?}");
        assert!(found[0].starts_with(file.0), "{found:?}");
    }
    for file in in_order {
        let found = faults(rule, &[*file]);
        assert!(found.is_empty(), "{rule} in {file:?}: {found:?}");
    }
}

#[test]
fn a_room_that_names_a_higher_floor_is_found() {
    proves(
        "floors",
        &[
            ("src/check/mod.rs", "use crate::flow::Flow;"),
            ("src/check/mod.rs", "use crate::identify;"),
            ("src/check/mod.rs", "use super::flow::Flow;"),
            ("src/check/shape.rs", "fn f(x: super::super::flow::Flow) {}"),
            ("src/ledger/mod.rs", "use crate::{fhir::time, speak::Channel};"),
            ("src/ledger/dialect/sqlite.rs", "let x = crate::arrive::outcome::of(1);"),
            ("src/flow.rs", "use crate::beat::Beat;"),
            ("src/react/mod.rs", "use crate::*;"),
            ("src/cellar/mod.rs", ""),
        ],
        &[
            ("src/check/mod.rs", "use crate::fhir::time; // crate::flow is not named by a comment"),
            ("src/check/shape.rs", "use super::flow_of;\nlet x = \"crate::flow\";"),
            ("src/ledger/mod.rs", "use crate::clock::Clock;\nuse crate::ledger::mark::Due;"),
            ("src/beat.rs", "use crate::{flow::Flow, ledger, speak};"),
            ("src/lib.rs", "pub mod main;"),
        ],
    );
}

#[test]
fn an_outside_library_away_from_home_is_found() {
    proves(
        "homes",
        &[
            ("src/flow.rs", "use axum::Router;"),
            ("src/react/mod.rs", "fn f() { sqlx::query(x); }"),
            ("src/arrive/mod.rs", "use reqwest::{Client};"),
            ("src/check/mod.rs", "use fhirbolt::Element;"),
            ("src/speak/mod.rs", "fn f() -> anyhow::Result<u8> {}"),
        ],
        &[
            ("src/arrive/mod.rs", "use axum::Router;"),
            ("src/ledger/dialect/sqlite.rs", "use rusqlite::Connection;"),
            ("tests/it/house.rs", "use reqwest::Client;"),
        ],
    );
}

#[test]
fn a_file_without_a_head_is_found() {
    proves("heads", &[("src/flow.rs", "use std::fmt;"), ("tests/it/main.rs", "")], &[("src/flow.rs", "//! Joins the stations.")]);
}

#[test]
fn a_file_that_is_too_long_is_found() {
    proves("lengths", &[("src/flow.rs", &"x\n".repeat(501))], &[("src/flow.rs", &"x\n".repeat(500))]);
}

#[test]
fn a_folder_that_is_too_deep_is_found() {
    proves("depth", &[("src/fhir/path/parse/term.rs", "")], &[("src/fhir/path/term.rs", "")]);
}

#[test]
fn a_deciding_room_that_reaches_outside_is_found() {
    proves(
        "pure",
        &[
            ("src/react/mod.rs", "let x = ask().await;"),
            ("src/check/shape.rs", "use std::fs;\n"),
            ("src/identify/mod.rs", "use std::{fmt, net::IpAddr};"),
            ("src/react/gates/cap.rs", "use tokio::sync::watch;"),
            ("src/react/mod.rs", "async fn f() {}"),
        ],
        &[
            ("src/flow.rs", "let x = ask().await;"),
            ("src/check/shape.rs", "// tokio::spawn and .await are not for us\nuse std::fmt;"),
        ],
    );
}

#[test]
fn sql_outside_the_ledger_is_found() {
    proves(
        "sql",
        &[
            ("src/flow.rs", "let q = \"SELECT id FROM resources\";"),
            ("src/beat.rs", "let q = r#\"UPDATE dues\nSET due = 1\"#;"),
            ("src/arrive/mod.rs", "let q = \"INSERT INTO events\";"),
        ],
        &[
            ("src/ledger/mod.rs", "let q = \"SELECT id FROM resources\";"),
            ("src/arrive/mod.rs", "// SELECT id FROM resources\nlet q = \"UPDATE the patient\";"),
        ],
    );
}

#[test]
fn placeholders_out_of_order_are_found() {
    proves(
        "placeholders",
        &[("src/ledger/mod.rs", "const Q: &str = \"SELECT id FROM a WHERE b = $2 AND c = $1\";")],
        &[("src/ledger/mod.rs", "const Q: &str = \"SELECT id FROM a WHERE b = $1 AND c = $2 OR b = $1\";")],
    );
}

#[test]
fn sleeping_and_skipping_are_found() {
    proves(
        "waiting",
        &[
            ("tests/it/refill.rs", "#[ignore]"),
            ("tests/it/refill.rs", "#[should_panic(expected = \"x\")]"),
            ("src/beat.rs", "tokio::time::sleep(wait).await;"),
        ],
        &[("src/clock.rs", "tokio::time::sleep(wait)"), ("tests/it/refill.rs", "// nobody sleeps(here)\n#[test]")],
    );
}

#[test]
fn work_left_for_later_is_found() {
    let later = format!("// {}: later", concat!("TO", "DO"));
    proves("unfinished", &[("src/flow.rs", &later)], &[("src/flow.rs", "// todo lists are a feature")]);
}

#[test]
fn a_file_that_no_door_lists_is_found() {
    let lone =
        faults("orphans", &[("src/speak/sms.rs", ""), ("src/speak/mod.rs", "mod email;"), ("src/lib.rs", "pub mod speak;")]);
    assert_eq!(lone, ["src/speak/sms.rs:1: is listed nowhere: `src/speak/mod.rs` lacks `mod sms;`"]);
    let listed = [("src/speak/sms.rs", ""), ("src/speak/mod.rs", "mod sms;"), ("src/lib.rs", "pub mod speak;")];
    assert!(faults("orphans", &listed).is_empty());
    assert_eq!(faults("orphans", &[("tests/it/refill.rs", ""), ("tests/it/main.rs", "mod tasks;")]).len(), 1);
}

#[test]
fn a_document_that_names_what_is_not_there_is_found() {
    let house = ("src/arrive/mod.rs", "");
    let wrong = [house, ("README.md", "See `src/arrive/outcome.rs`, `arrive/mod.rs` and `src/*/mod.rs`.")];
    assert_eq!(faults("documents", &wrong), ["README.md:1: names `src/arrive/outcome.rs`, which does not exist"]);
    assert_eq!(faults("documents", &[house, ("ARCHITECTURE.md", "The door is [here](arrive.md).")]).len(), 1);
    let right = [house, ("README.md", "See `src/arrive/`, [the map](README.md), `Patient/123` and <https://hl7.org>.")];
    assert!(faults("documents", &right).is_empty());
}

#[test]
fn a_private_path_is_found() {
    let path = format!("cd {}me/signa", concat!("/ho", "me/so"));
    proves("private", &[("README.md", &path)], &[("README.md", "cd signa/home")]);
}

#[test]
fn a_migration_for_one_database_alone_is_found() {
    let one = [("migrations/sqlite/0001_people.sql", ""), ("migrations/postgres/0002_people.sql", "")];
    assert_eq!(faults("migrations", &one).len(), 2);
    let both = [("migrations/sqlite/0001_people.sql", ""), ("migrations/postgres/0001_people.sql", "")];
    assert!(faults("migrations", &both).is_empty());
}

#[test]
fn a_golden_file_that_nobody_reads_is_found() {
    let golden = ("tests/golden/call.json", "{}");
    assert_eq!(faults("golden", &[golden, ("tests/it/refill.rs", "house.golden(\"other.json\", x);")]).len(), 1);
    assert!(faults("golden", &[golden, ("tests/it/refill.rs", "house.golden(\"call.json\", x);")]).is_empty());
}
