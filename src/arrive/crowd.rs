//! How many requests are answered at a time. What comes above waits a little, in a line that has an end, and is then asked to
//! come again: a gateway that takes everything answers nobody.

use std::time::Duration;

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
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let _stands_in_line = self.line.try_acquire().ok()?;
        tokio::time::timeout(self.wait_max, self.places.acquire()).await.ok()?.ok()
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
}
