//! Carries things out of the house: notices to those who subscribed, signed, in order, none lost.
//!
//! The parts in the order a notice meets them: [`subscription`] reads who listens, [`listeners`] finds who listens to a
//! resource, [`deliver`] carries the notice, [`address`] says where it may go and [`signature`] proves who sent it.

pub mod address;
mod attempt;
mod behind;
mod carrier;
pub mod deliver;
mod inbox;
mod intake;
mod lane;
pub mod listeners;
mod matching;
mod office;
pub mod post;
mod queue;
mod schedule;
mod send;
mod settle;
pub mod signature;
pub mod subscription;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use address::Network;
pub use deliver::Deliverer;
pub use listeners::Listeners;
pub use office::Means;

/// How long one attempt may take when nothing else is set.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(10);

/// What can be set about speaking.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Networks that may be called although they are private, as `10.1.0.0/16`.
    pub allow: Vec<Network>,
    /// Whether this machine itself may be called, also without TLS; goes with `--auth off`.
    pub loopback: bool,
    /// How a notice with the resource is sent.
    pub verb: Verb,
    /// How long one attempt may take, in real time.
    pub attempt_max: Duration,
}

/// How a notice that carries the resource is sent. R4 describes both; receivers mostly expect `POST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verb {
    /// `POST` to the endpoint as it stands in the Subscription.
    #[default]
    Post,
    /// `PUT` to the endpoint followed by `/Type/id`.
    Put,
}

impl Default for Settings {
    fn default() -> Self {
        Self { allow: Vec::new(), loopback: false, verb: Verb::Post, attempt_max: ATTEMPT_MAX }
    }
}

/// What a caller can do about speech that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It may be tried again later.
    #[error("{0}")]
    Later(String),
    /// It will never succeed as it is.
    #[error("{0}")]
    Never(String),
}
