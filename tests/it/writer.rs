//! One process writes to a database: a second one is turned away, and one that was cut off goes on only if nobody wrote meanwhile.

use std::process::Command;

use crate::builders::patient;
use crate::database::Database;
use crate::house::House;

/// The sessions that hold the lock of the writer of this database.
const WRITERS: &str = "pid FROM pg_locks WHERE locktype = 'advisory'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

// A second gateway does not start, and says why; the first goes on.
async fn a_second_is_refused(database: Database) {
    let mut house = House::over(database).await;
    let mut second = Command::new(env!("CARGO_BIN_EXE_signa"));
    second.args(["serve", "--auth", "off", "--listen", "127.0.0.1:0", "--database", &house.database.url]);
    let done = second.current_dir(house.database.folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && said.contains("another process writes to this database"), "{said}");
    house.put(&patient("eva")).await.is(201);
    house.restart().await;
    house.get("Patient/eva").await.is(200);
    house.stop().await;
    house.database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_refused_on_sqlite() {
    a_second_is_refused(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_refused_on_postgresql() {
    a_second_is_refused(Database::postgres().await).await;
}

// The server ends the session: the next write goes over another one, and nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_cut_off_comes_back() {
    let mut house = House::over(Database::postgres().await).await;
    for id in ["eva", "ida", "uma"] {
        house.put(&patient(id)).await.is(201);
        let ended =
            house.database.postgres_words(&format!("SELECT pg_terminate_backend(pid)::text FROM (SELECT {WRITERS}) w")).await;
        assert_eq!(ended, ["true"]);
    }
    assert_eq!(house.count("Patient").await, 3);
    house.stop().await;
    house.database.drop().await;
}

/// Whether the gateway says that it can work.
async fn is_ready(house: &House) -> bool {
    let address = house.engine().address();
    house.get(&format!("http://{address}/health/ready")).await.status == 200
}

// The server fell and recovered: all sequences stand further on then, as they do on a standby that takes over. Nobody else wrote.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_server_fell_comes_back() {
    let mut house = House::over(Database::postgres().await).await;
    house.put(&patient("eva")).await.is(201);
    let jump = "SELECT setval(oid::regclass, 35)::text FROM pg_class WHERE relkind = 'S'";
    house.database.postgres_words(jump).await;
    house.database.postgres_words(&format!("SELECT pg_terminate_backend(pid)::text FROM (SELECT {WRITERS}) w")).await;
    house.put(&patient("ida")).await.is(201);
    assert!(is_ready(&house).await);
    house.stop().await;
    house.database.drop().await;
}

// Another process wrote while it was cut off: what it remembers is not true any more, so it writes nothing until it is started again,
// and says that it cannot work.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_was_overtaken_writes_nothing() {
    let mut house = House::over(Database::postgres().await).await;
    house.put(&patient("eva")).await.is(201);
    assert!(is_ready(&house).await);
    house.database.tamper("UPDATE writers SET number = number + 1").await;
    let cut = format!("SELECT pg_terminate_backend(pid)::text FROM (SELECT {WRITERS}) w");
    assert_eq!(house.database.postgres_words(&cut).await, ["true"]);
    for _ in 0..2 {
        house.put(&patient("ida")).await.is(500);
        assert!(!is_ready(&house).await);
    }
    house.get("Patient/ida").await.is(404);
    house.restart().await;
    house.put(&patient("ida")).await.is(201);
    assert!(is_ready(&house).await);
    house.stop().await;
    house.database.drop().await;
}
