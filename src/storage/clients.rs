//! Clients: who may talk to the service. Secrets are kept as hashes only.

use super::{Store, StoreError};
use crate::domain::time::Timestamp;

/// A client as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name: what jobs list and what it signs in with.
    pub name: String,
    /// Hash of its secret, in PHC form.
    pub secret_hash: String,
    /// `client`, `viewer`, `operator` or `admin`.
    pub role: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Store {
    /// Adds a client.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the name is taken, in any case.
    pub async fn add_client(&self, _client: &Client) -> Result<(), StoreError> {
        todo!()
    }

    /// Adds the `dev` client unless any client was ever added: `false` when there was one.
    pub async fn add_first_client(&self, _client: &Client) -> Result<bool, StoreError> {
        todo!()
    }

    /// The client of this name, any case.
    pub async fn client(&self, _name: &str) -> Result<Option<Client>, StoreError> {
        todo!()
    }

    /// All clients, by name.
    pub async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        todo!()
    }

    /// Gives a client a new secret. `false` when there is no such client, or it is revoked.
    pub async fn set_client_secret(&self, _name: &str, _secret_hash: &str) -> Result<bool, StoreError> {
        todo!()
    }

    /// Revokes a client. `false` when there is no such client, or it was revoked before.
    pub async fn revoke_client(&self, _name: &str, _now: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }
}
