//! Signing keys, created by unique insert so that many processes starting at once agree (design section 3).

use super::{Store, StoreError};
use crate::domain::time::Timestamp;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Access tokens.
    Token,
    /// Receipts.
    Receipt,
    /// Blob and download URLs.
    Url,
}

impl KeyPurpose {
    /// The word in the column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Receipt => "receipt",
            Self::Url => "url",
        }
    }
}

impl Store {
    /// The valid keys of every purpose, newest first, at most two each; creates what is missing from `fresh` (32 random
    /// bytes per purpose, in the order token, receipt, url) in one transaction and returns what won.
    pub async fn signing_keys(&self, _fresh: [[u8; 32]; 3], _now: Timestamp) -> Result<SigningKeys, StoreError> {
        todo!()
    }
}

/// Keys by purpose, newest first.
#[derive(Clone, Default)]
pub struct SigningKeys {
    /// For access tokens.
    pub token: Vec<Vec<u8>>,
    /// For receipts.
    pub receipt: Vec<Vec<u8>>,
    /// For URLs.
    pub url: Vec<Vec<u8>>,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKeys(secret)")
    }
}
