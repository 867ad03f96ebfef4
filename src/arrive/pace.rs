//! How often one client may ask: a minute's worth at once, then evenly. Off unless the operator wants it.
//!
//! A client is the address that a connection comes from, of IPv6 the network that one house gets. Behind a proxy all clients
//! are one: there the proxy is the place for this.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Clients that are remembered. When there are more, and all of them busy, all begin anew.
const CLIENTS_MAX: usize = 16_384;
const MINUTE: Duration = Duration::from_mins(1);

/// The pace of all clients.
#[derive(Debug)]
pub(super) struct Pace {
    /// The time that one request takes up; none when there is no bound.
    gap: Option<Duration>,
    /// Until when the requests of each client have taken up its time.
    taken: Mutex<HashMap<IpAddr, Duration>>,
}

impl Pace {
    /// So many requests a minute for each client; 0 sets no bound.
    pub(super) fn new(requests_per_minute: u32) -> Self {
        Self { gap: MINUTE.checked_div(requests_per_minute), taken: Mutex::default() }
    }

    /// Whether a client may ask now, in real time since the start; else for how long it must wait.
    pub(super) fn allows(&self, client: IpAddr, now: Duration) -> Result<(), Duration> {
        let Some(gap) = self.gap else { return Ok(()) };
        let client = house(client);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let until = taken.get(&client).copied().unwrap_or(now).max(now) + gap;
        let wait = until.saturating_sub(now + MINUTE);
        if !wait.is_zero() {
            return Err(wait);
        }
        if taken.len() >= CLIENTS_MAX && !taken.contains_key(&client) {
            taken.retain(|_, until| *until > now);
            if taken.len() >= CLIENTS_MAX {
                taken.clear();
            }
        }
        taken.insert(client, until);
        Ok(())
    }
}

/// The addresses that one client has.
fn house(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_a_minutes_worth_at_once_and_then_one_at_a_time() {
        let (pace, seconds) = (Pace::new(6), Duration::from_secs);
        let (one, other): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        for _ in 0..6 {
            assert_eq!(pace.allows(one, seconds(100)), Ok(()));
        }
        assert_eq!(pace.allows(one, seconds(100)), Err(seconds(10)));
        assert_eq!(pace.allows(other, seconds(100)), Ok(()));
        assert_eq!(pace.allows(one, seconds(107)), Err(seconds(3)));
        assert_eq!(pace.allows(one, seconds(110)), Ok(()));
        assert_eq!(pace.allows(one, seconds(110)), Err(seconds(10)));
        assert!((0..6).all(|_| pace.allows(one, seconds(500)).is_ok()));
        let open = Pace::new(0);
        assert!((0..1_000).all(|_| open.allows(one, seconds(1)).is_ok()));
    }

    #[test]
    fn a_house_is_one_client_and_there_are_so_many() {
        let pace = Pace::new(1);
        let now = Duration::from_secs(1);
        for (address, expected) in [
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::2", false),
            ("2001:db8:0:2::1", true),
            ("10.0.0.1", true),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(pace.allows(address.parse().unwrap(), now).is_ok(), expected, "{address}");
        }
        for client in 0..u32::try_from(CLIENTS_MAX).unwrap() + 10 {
            assert_eq!(pace.allows(IpAddr::from(client.to_be_bytes()), now), Ok(()));
        }
        assert!(pace.taken.lock().unwrap().len() <= CLIENTS_MAX);
    }
}
