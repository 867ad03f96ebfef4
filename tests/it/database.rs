//! Databases for stories: a SQLite file, or a database of its own on the PostgreSQL that `tests/run` starts.

use std::path::PathBuf;

use sqlx::Executor;
use tempfile::TempDir;

/// A new, empty database; gone when the story ends.
pub(crate) struct Database {
    pub(crate) url: String,
    /// Where the gateway may keep what lies beside the database.
    pub(crate) folder: TempDir,
    postgres: Option<(String, String)>,
}

impl Database {
    /// A file in a folder of its own.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("signa.db").display());
        Self { url, folder, postgres: None }
    }

    /// The file of the key that signs checkpoints.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("signa.key")
    }

    /// The file that a gateway locks while it writes to a SQLite file.
    pub(crate) fn lock(&self) -> Option<PathBuf> {
        self.postgres.is_none().then(|| self.folder.path().join("signa.db.lock"))
    }

    /// A database on the PostgreSQL of the run. Without one the story fails: the ledger is not proven without it.
    pub(crate) async fn postgres() -> Self {
        let Ok(server) = std::env::var("SIGNA_TEST_POSTGRES") else {
            panic!("SIGNA_TEST_POSTGRES names no PostgreSQL server: run `tests/run`, which starts one")
        };
        let name = format!("signa_{}", uuid::Uuid::now_v7().simple());
        execute(&server, &format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        let (front, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{front}/{name}"), folder: tempfile::tempdir().unwrap(), postgres: Some((server, name)) }
    }

    /// Runs a statement beside the gateway, as a hand on the disk would.
    pub(crate) async fn tamper(&self, statement: &str) -> u64 {
        if self.postgres.is_some() {
            return execute(&self.url, statement).await;
        }
        let connection = rusqlite::Connection::open(self.url.trim_start_matches("sqlite:")).unwrap();
        u64::try_from(connection.execute(statement, []).unwrap()).unwrap()
    }

    /// What a statement finds in the SQLite file, column by column as text.
    pub(crate) fn rows(&self, statement: &str) -> Vec<Vec<String>> {
        let connection = rusqlite::Connection::open(self.url.trim_start_matches("sqlite:")).unwrap();
        let mut prepared = connection.prepare(statement).unwrap();
        let columns = prepared.column_count();
        let text = |value: rusqlite::types::Value| match value {
            rusqlite::types::Value::Null => String::new(),
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Real(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Blob(bytes) => format!("{bytes:?}"),
        };
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column).map(text)).collect();
        prepared.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    /// How SQLite would run a statement; `Err` when it does not know it.
    pub(crate) fn explain(&self, statement: &str) -> Result<Vec<String>, rusqlite::Error> {
        let connection = rusqlite::Connection::open(self.url.trim_start_matches("sqlite:"))?;
        let mut prepared = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}"))?;
        let count = prepared.parameter_count();
        prepared.query_map(rusqlite::params_from_iter(vec![0; count]), |row| row.get(3))?.collect()
    }

    /// The first column, of words, of what a statement finds on PostgreSQL.
    pub(crate) async fn postgres_words(&self, statement: &str) -> Vec<String> {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(&self.url).await.unwrap();
        let found = sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&pool).await.unwrap();
        pool.close().await;
        found
    }

    /// Gives the database back to the server. A file goes with its folder.
    pub(crate) async fn drop(self) {
        if let Some((server, name)) = self.postgres {
            execute(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

async fn execute(url: &str, statement: &str) -> u64 {
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(url).await.unwrap();
    let done = pool.execute(sqlx::AssertSqlSafe(statement)).await.unwrap().rows_affected();
    pool.close().await;
    done
}
