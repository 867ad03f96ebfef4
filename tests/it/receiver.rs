//! A recording receiver: a real HTTP server that notes what it is sent, and fails or is slow when the story wants it to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::Value;
use tokio::sync::watch;

/// One request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
    /// What it was answered.
    pub(crate) status: u16,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

struct Memory {
    received: Mutex<Vec<Received>>,
    status: Mutex<u16>,
    /// What is answered to bodies that hold this text.
    special: Mutex<Option<(String, u16)>>,
    /// How many have arrived.
    count: watch::Sender<usize>,
    /// Whether answers are kept back.
    holds: watch::Sender<bool>,
}

/// A receiver on a port of its own; it stops with the story.
pub(crate) struct Receiver {
    address: std::net::SocketAddr,
    memory: Arc<Memory>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Answers 200 until told otherwise.
    pub(crate) async fn start() -> Self {
        let (count, holds) = (watch::Sender::new(0), watch::Sender::new(false));
        let memory =
            Arc::new(Memory { received: Mutex::default(), status: Mutex::new(200), special: Mutex::default(), count, holds });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(note).with_state(Arc::clone(&memory));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, memory, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers what arrives from now on with this status.
    pub(crate) fn answers(&self, status: u16) {
        *self.memory.status.lock().unwrap() = status;
    }

    /// Answers requests whose body holds this text with a status of their own.
    pub(crate) fn answers_to(&self, text: &str, status: u16) {
        *self.memory.special.lock().unwrap() = Some((text.to_owned(), status));
    }

    /// Keeps all answers back, or lets them go.
    pub(crate) fn holds(&self, holds: bool) {
        self.memory.holds.send_replace(holds);
    }

    /// Returns when so many requests have arrived in all, answered or not.
    pub(crate) async fn has(&self, count: usize) {
        self.memory.count.subscribe().wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    /// Everything that arrived, also what was refused.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.memory.received.lock().unwrap().clone()
    }

    /// What was accepted and had a body: the notices, without the probe.
    pub(crate) fn notices(&self) -> Vec<Received> {
        let taken = |one: &Received| one.status == 200 && !one.body.is_empty();
        self.received().into_iter().filter(taken).collect()
    }

    /// The ids of the resources in them, in order.
    pub(crate) fn arrived(&self) -> Vec<String> {
        self.notices().iter().map(|notice| notice.json()["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Their numbers.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let number = |notice: &Received| notice.header("webhook-id").rsplit_once('.').unwrap().1.parse().unwrap();
        self.notices().iter().map(number).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn note(State(memory): State<Arc<Memory>>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let special = memory.special.lock().unwrap().clone().filter(|(text, _)| body.contains(text));
    let status = special.map_or(*memory.status.lock().unwrap(), |(_, status)| status);
    let (method, headers) = (parts.method.to_string(), parts.headers);
    memory.received.lock().unwrap().push(Received { method, headers, body, status });
    memory.count.send_modify(|count| *count += 1);
    memory.holds.subscribe().wait_for(|holds| !holds).await.unwrap();
    StatusCode::from_u16(status).unwrap()
}
