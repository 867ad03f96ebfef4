//! The database as its one writer holds it, and how it is taken in hand: nobody else writes to it until it is let go.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::dialect::{Reader, postgres, sqlite};
use super::durable::{Durable, Syncer};
use super::{Error, migrations, search};

/// The database as the writer holds it.
pub(super) enum Pen {
    Sqlite { connection: rusqlite::Connection, syncer: Syncer, folder: sqlite::Folder, _lock: std::fs::File },
    Postgres { hand: postgres::Hand, runtime: tokio::runtime::Handle },
}

impl Pen {
    /// Takes a file in hand and brings it to the shape this program needs.
    pub(super) fn of_file(path: &Path, durable: Arc<Durable>) -> Result<(Reader, Self), Error> {
        let lock = sqlite::lock(path)?;
        let connection = sqlite::open_writer(path)?;
        migrations::sqlite(&connection)?;
        search::rebuild::sqlite(&connection)?;
        sqlite::opened(&connection)?;
        let (log, folder) = (sqlite::log(&connection)?, sqlite::Folder::start(path)?);
        let syncer = Syncer::start(durable, move || log.sync_data())?;
        Ok((Reader::Sqlite(sqlite::Reader::new(path)), Self::Sqlite { connection, syncer, folder, _lock: lock }))
    }

    /// Takes the database of a server in hand and brings it to the shape this program needs.
    pub(super) async fn of_server(url: &str, is_overtaken: Arc<AtomicBool>) -> Result<(Reader, Self), Error> {
        let mut hand = postgres::Hand::open(url, is_overtaken).await?;
        let mut connection = hand.take().await?;
        migrations::postgres(&mut connection).await?;
        search::rebuild::postgres(&mut connection).await?;
        hand.keep(connection);
        hand.enter().await?;
        let reader = Reader::Postgres(postgres::open(url).await?);
        Ok((reader, Self::Postgres { hand, runtime: tokio::runtime::Handle::current() }))
    }
}
