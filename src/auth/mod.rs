//! Who is calling: client secrets, access tokens and the token endpoint's rules (contract section 2).
//!
//! Owns the cryptography and the bodies. Refuses: to look anything up, to read the clock, to know what a client may do.
//! Clients come in as values, times as [`Timestamp`](crate::domain::time::Timestamp), keys from the store.

pub mod outside;
pub mod sas;
pub mod secrets;
pub mod sessions;
mod signing;
pub mod token_endpoint;
pub mod tokens;

/// Name of the client a first start makes, for the sample jobs and from this machine only (design, "First start and keys").
pub const DEV_CLIENT: &str = "dev";
