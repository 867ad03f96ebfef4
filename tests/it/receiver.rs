//! A recording receiver: a real HTTP server that notes what it is sent, and fails when the story wants it to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::Value;

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

#[derive(Default)]
struct Memory {
    received: Vec<Received>,
    status: u16,
}

/// A receiver on a port of its own; it stops with the story.
pub(crate) struct Receiver {
    address: std::net::SocketAddr,
    memory: Arc<Mutex<Memory>>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Answers 200 until told otherwise.
    pub(crate) async fn start() -> Self {
        let memory = Arc::new(Mutex::new(Memory { received: Vec::new(), status: 200 }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(note).with_state(Arc::clone(&memory));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, memory, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers with this status from now on.
    pub(crate) fn answers(&self, status: u16) {
        self.memory.lock().unwrap().status = status;
    }

    /// Everything that arrived, also what was refused.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.memory.lock().unwrap().received.clone()
    }

    /// What was accepted and had a body: the notices, without the probe.
    pub(crate) fn notices(&self) -> Vec<Received> {
        let taken = |one: &Received| one.status == 200 && !one.body.is_empty();
        self.received().into_iter().filter(taken).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn note(State(memory): State<Arc<Mutex<Memory>>>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut memory = memory.lock().unwrap();
    let status = memory.status;
    memory.received.push(Received {
        method: parts.method.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        status,
    });
    StatusCode::from_u16(status).unwrap()
}
