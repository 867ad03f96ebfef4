//! Signa: a FHIR gateway that keeps one patient ledger and says, at the right time, what should happen next.
//!
//! The way of the data is the order of the rooms: arrive → check → identify → ledger → react → speak.

pub mod fhir;

pub mod clock;
pub mod ledger;

pub mod check;
pub mod identify;
pub mod react;
pub mod speak;

pub mod flow;

pub mod arrive;
pub mod beat;

pub mod command;
pub mod config;
