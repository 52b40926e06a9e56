//! What signs and checks by the store's keys: tokens, receipts, links.

use crate::auth::sas::SasKeys;
use crate::auth::tokens::{TokenIssuer, WeakKeys};
use crate::domain::receipt::ReceiptKeys;
use crate::storage::keys::SigningKeys;

/// One set of keys, at work.
#[derive(Debug, Clone)]
pub struct Signers {
    /// Issues and verifies access tokens.
    pub issuer: TokenIssuer,
    /// Issues and verifies receipts.
    pub receipts: ReceiptKeys,
    /// Signs and checks links that need no token.
    pub links: SasKeys,
}

impl Signers {
    /// Those of these keys; access tokens live `token_seconds`.
    ///
    /// # Errors
    /// [`WeakKeys`] when there is no key for tokens, or one is too short.
    pub fn new(keys: &SigningKeys, token_seconds: u32) -> Result<Self, WeakKeys> {
        Ok(Self {
            issuer: TokenIssuer::new(&keys.token, token_seconds)?,
            receipts: ReceiptKeys::new(keys.receipt.clone()),
            links: SasKeys::new(keys.url.clone()),
        })
    }
}
