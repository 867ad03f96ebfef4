//! The wire between a gateway and its PostgreSQL, which a story can cut where it hurts most: at a COMMIT.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::database::Database;

/// By which the writer asks for its lock.
const LOCK: &[u8] = b"pg_advisory_lock";

/// What becomes of the next COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It takes effect, and its answer is lost with the connection.
    Answer,
    /// The connection is lost, and it takes effect only when the gateway asks over another one for the lock of the writer.
    Late,
    /// It takes effect, and then nothing is answered until the wire is mended.
    All,
}

struct State {
    server: String,
    next: Mutex<Option<Cut>>,
    /// How often the lock of the writer was asked for.
    asked: watch::Sender<u64>,
    /// Whether nothing passes.
    is_cut: watch::Sender<bool>,
}

/// The wire; it is gone with the story.
pub(crate) struct Wire {
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

impl Wire {
    /// Leads to this database from now on, which is reached over the wire.
    pub(crate) async fn lay(database: &mut Database) -> Self {
        let (front, name) = database.url.rsplit_once('/').unwrap();
        let (user, server) = front.rsplit_once('@').unwrap();
        let (asked, is_cut) = (watch::Sender::new(0), watch::Sender::new(false));
        let state = Arc::new(State { server: server.to_owned(), next: Mutex::default(), asked, is_cut });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        database.url = format!("{user}@{address}/{name}");
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(client, Arc::clone(&shared)));
            }
        });
        Self { state, task }
    }

    /// Cuts it at the next COMMIT.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.state.next.lock().unwrap() = Some(cut);
    }

    /// Whether it was.
    pub(crate) fn was_cut(&self) -> bool {
        self.state.next.lock().unwrap().is_none()
    }

    /// Lets everything pass again.
    pub(crate) fn mend(&self) {
        self.state.is_cut.send_replace(false);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection: an end of either side, or a fault of the network, ends it.
async fn pass(mut client: TcpStream, state: Arc<State>) {
    let mut is_cut = state.is_cut.subscribe();
    if *is_cut.borrow() {
        return;
    }
    let mut server = TcpStream::connect(&state.server).await.unwrap();
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            () = async { drop(is_cut.wait_for(|is_cut| *is_cut).await) } => return,
            read = client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                let said = &asked[..count];
                if said.windows(LOCK.len()).any(|word| word == LOCK) {
                    state.asked.send_modify(|asked| *asked += 1);
                }
                let is_commit = said.windows(6).any(|word| word == b"COMMIT");
                let cut = if is_commit { state.next.lock().unwrap().take() } else { None };
                if let Some(cut) = cut {
                    return commit(cut, client, server, said, &state).await;
                }
                if server.write_all(said).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn commit(cut: Cut, client: TcpStream, mut server: TcpStream, said: &[u8], state: &State) {
    let mut asked = state.asked.subscribe();
    let before = *asked.borrow();
    if cut == Cut::Late {
        drop(client);
        asked.wait_for(|asked| *asked > before).await.unwrap();
    }
    server.write_all(said).await.unwrap();
    let read = server.read(&mut [0; 1_024]).await.unwrap();
    assert!(read > 0, "the server did not answer");
    if cut == Cut::All {
        state.is_cut.send_replace(true);
    }
}
