//! Takes connections and hands their requests to the door. A client that does not come to the end of its request's head in
//! time is hung up on, and so is one that keeps a connection and says nothing.
//! Follows <https://www.rfc-editor.org/rfc/rfc9112>.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::serve::Listener;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::Door;

/// Connections that are open at a time; who comes later waits to be taken in.
const CONNECTIONS_MAX: usize = 16_384;
/// How long a stop waits for the open requests; who takes longer to send or to read is hung up on.
const FAREWELL_MAX: Duration = Duration::from_secs(30);

/// A body of which it is known whether it was read to its end.
struct Watched {
    body: Incoming,
    is_left: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.is_left.store(false, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Answers what comes to this listener until `stop` is ready and the open requests are answered, or had the time for it.
pub async fn serve(mut listener: TcpListener, door: Arc<Door>, stop: impl Future<Output = ()>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(door.settings.head_ms_max));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = pin!(stop);
    loop {
        let come = async {
            // The places are never closed; without one nobody is taken in.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, Listener::accept(&mut listener).await)
        };
        let (place, (stream, address)) = tokio::select! {
            come = come => come,
            () = &mut stop => break,
        };
        // A connection that cannot be told so is only slower.
        let _ = stream.set_nodelay(true);
        let door = Arc::clone(&door);
        let answer = service_fn(move |request: Request<Incoming>| {
            let door = Arc::clone(&door);
            async move {
                let client = Some(address.ip());
                if request.body().is_end_stream() {
                    return Ok::<_, Infallible>(door.answer(client, request.map(|_| Body::empty())).await);
                }
                let is_left = Arc::new(AtomicBool::new(true));
                let left = Arc::clone(&is_left);
                let mut response = door.answer(client, request.map(|body| Body::new(Watched { body, is_left: left }))).await;
                if is_left.load(Ordering::Relaxed) {
                    // What was not read stands before the next request: the client is told that there will be none.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(response)
            }
        });
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), answer));
        tokio::spawn(async move {
            let _place = place;
            // How a client ends its connection is its own affair.
            let _ = connection.await;
        });
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were not answered to their end before the stop");
    }
}
