//! Brings a database to the shape this program needs, under a lock, one file after the other. An applied file is never edited.

use sqlx::PgConnection;

use super::Error;
use super::dialect::{Cell, Transaction, postgres};

struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
        }
    };
}

/// All of them, in order. A new one is a file of the same name for each database and a line here.
const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_people"),
    migration!(2, "0002_resources"),
    migration!(3, "0003_search"),
    migration!(4, "0004_entries"),
    migration!(5, "0005_reaction"),
    migration!(6, "0006_subscriptions"),
    migration!(7, "0007_amounts"),
    migration!(8, "0008_changes"),
    migration!(9, "0009_how"),
    migration!(10, "0010_radius"),
    migration!(11, "0011_arms"),
    migration!(12, "0012_versions"),
    migration!(13, "0013_sweeps"),
    migration!(14, "0014_refusers"),
    migration!(15, "0015_moments"),
    migration!(16, "0016_turns"),
    migration!(17, "0017_unions"),
    migration!(18, "0018_spans"),
    migration!(19, "0019_first_sweeps"),
    migration!(20, "0020_literals"),
    migration!(21, "0021_indexed"),
    migration!(22, "0022_notices"),
    migration!(23, "0023_bonds"),
    migration!(24, "0024_hearing"),
    migration!(25, "0025_writers"),
    migration!(26, "0026_writer_rows"),
    migration!(27, "0027_letters"),
    migration!(28, "0028_marks"),
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)";
const APPLIED: &str = "SELECT number FROM migrations ORDER BY number";
const APPLY: &str = "INSERT INTO migrations (number, name) VALUES ($1, $2)";

/// Migrates a SQLite file.
pub(super) fn sqlite(connection: &rusqlite::Connection) -> Result<(), Error> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute_batch(TABLE)?;
    let applied: Vec<i64> = connection.prepare(APPLIED)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for migration in MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.number)) {
        connection.execute_batch(migration.sqlite)?;
        connection.execute(APPLY, (migration.number, migration.name))?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Migrates a PostgreSQL database, over the connection that holds the lock of its writer.
pub(super) async fn postgres(connection: &mut PgConnection) -> Result<(), Error> {
    postgres::begin(connection).await?;
    // What is brought to another shape may be much.
    postgres::script(connection, "SET LOCAL statement_timeout = 0").await?;
    postgres::script(connection, TABLE).await?;
    let mut applied = Vec::new();
    for mut row in Transaction::Postgres(connection).rows(APPLIED, &[]).await? {
        applied.push(row.int()?);
    }
    for migration in MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.number)) {
        postgres::script(connection, migration.postgres).await?;
        let cells = [Cell::Int(migration.number), Cell::Text(migration.name)];
        Transaction::Postgres(connection).run(APPLY, &cells).await?;
    }
    postgres::end(connection, true).await
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    /// Every file is applied, once, on both databases, in the order of its number.
    #[test]
    fn every_file_is_in_the_list() {
        let listed: Vec<String> = MIGRATIONS.iter().map(|migration| format!("{}.sql", migration.name)).collect();
        for database in ["sqlite", "postgres"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
            let mut files: Vec<String> =
                std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            files.sort();
            assert_eq!(files, listed, "{database}");
        }
        for (number, migration) in (1..).zip(MIGRATIONS) {
            assert_eq!((migration.number, &migration.name[..4]), (number, format!("{number:04}").as_str()));
        }
    }
}
