//! How many requests are answered at a time. What comes above waits a little, in a line that has an end, and is then asked to
//! come again: a gateway that takes everything answers nobody.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use futures_util::{StreamExt, stream};
use tokio::sync::{Semaphore, SemaphorePermit};

/// For each request that is answered so many may wait.
const WAITING_FOR_EACH: usize = 4;

/// The places at the door.
#[derive(Debug)]
pub(super) struct Crowd {
    places: Semaphore,
    line: Semaphore,
    wait_max: Duration,
}

impl Crowd {
    /// So many places, and so long a wait for one.
    pub(super) fn new(requests_max: usize, wait_max: Duration) -> Self {
        let bounded = requests_max.clamp(1, Semaphore::MAX_PERMITS / WAITING_FOR_EACH);
        Self { places: Semaphore::new(bounded), line: Semaphore::new(bounded * WAITING_FOR_EACH), wait_max }
    }

    /// A place, kept until it is dropped; `None` if there was none in time.
    pub(super) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        match self.places.try_acquire() {
            Ok(place) => Some(place),
            Err(_) => Box::pin(self.wait()).await,
        }
    }

    async fn wait(&self) -> Option<SemaphorePermit<'_>> {
        let _stands_in_line = self.line.try_acquire().ok()?;
        tokio::time::timeout(self.wait_max, self.places.acquire()).await.ok()?.ok()
    }

    /// A body that is made while it is sent takes a place for each piece, and waits for one as long as it must: who reads slowly
    /// keeps nobody from being answered, and who is answered in part already is not sent away.
    pub(super) fn by_turns(self: &Arc<Self>, body: Body) -> Body {
        if body.size_hint().exact().is_some() {
            return body;
        }
        let begun = (Arc::clone(self), body.into_data_stream());
        Body::from_stream(stream::unfold(begun, |(crowd, mut pieces)| async move {
            let place = crowd.places.acquire().await;
            let piece = pieces.next().await?;
            drop(place);
            Some((piece, (crowd, pieces)))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_no_place_waits_and_is_sent_away() {
        let crowd = Crowd::new(1, Duration::from_millis(30));
        let first = crowd.enter().await.unwrap();
        assert!(crowd.enter().await.is_none());
        let (second, ()) = tokio::join!(crowd.enter(), async { drop(first) });
        assert!(second.is_some());
        // The line has an end: who comes after it is sent away at once.
        let waiting: Vec<_> = (0..=WAITING_FOR_EACH).map(|_| crowd.enter()).collect();
        let answers = futures_util::future::join_all(waiting).await;
        assert!(answers.iter().all(Option::is_none));
    }
    #[tokio::test]
    async fn a_body_takes_its_place_piece_by_piece() {
        let crowd = Arc::new(Crowd::new(1, Duration::from_millis(30)));
        let pieces = stream::iter(["one", "two"]).map(Ok::<_, std::io::Error>);
        let mut body = crowd.by_turns(Body::from_stream(pieces)).into_data_stream();
        let next = async |body: &mut axum::body::BodyDataStream| body.next().await.map(|piece| piece.unwrap());
        assert_eq!(next(&mut body).await.unwrap(), "one");
        // Between two pieces the place is free; while it is taken, the next piece waits for it.
        let place = crowd.enter().await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(30), next(&mut body)).await.is_err());
        drop(place);
        assert_eq!(next(&mut body).await.unwrap(), "two");
        assert_eq!(next(&mut body).await, None);
        assert!(crowd.enter().await.is_some());
    }
}
