//! Both databases are migrated to the same tables and columns.

use signa::clock::Clock;
use signa::ledger::{Ledger, Settings};

use crate::database::Database;

const SQLITE: &str = "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'";
const POSTGRES: &str = "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'";

async fn migrated(database: &Database) {
    let settings = Settings { database: database.url.clone(), key: database.key() };
    drop(Ledger::open(&settings, Clock::stopped(0)).await.unwrap());
}

// A ledger that opens an empty database makes the same tables and columns on both.
#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_same_tables_and_columns() {
    let (sqlite, postgres) = (Database::sqlite(), Database::postgres().await);
    migrated(&sqlite).await;
    migrated(&postgres).await;
    let mut ours: Vec<String> = sqlite.rows(SQLITE).concat();
    let mut theirs: Vec<String> = postgres.postgres_words(POSTGRES).await;
    ours.sort();
    theirs.sort();
    assert!(ours.len() > 60, "{ours:?}");
    assert_eq!(ours, theirs);
    postgres.drop().await;
}
