//! Takes connections and hands their requests to the door. A client that does not come to the end of its request's head in
//! time is hung up on, and so is one that keeps a connection and says nothing.
//! Follows <https://www.rfc-editor.org/rfc/rfc9112>.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
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
                let request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
                Ok::<_, Infallible>(door.answer(Some(address.ip()), request).await)
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
