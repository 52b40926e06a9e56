//! Signing keys, created by unique insert so that many processes starting at once agree (design section 3).

use super::pool::{execute, fetch_all};
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

impl KeyPurpose {
    const ALL: [Self; 3] = [Self::Token, Self::Receipt, Self::Url];
}

impl Store {
    /// The valid keys of every purpose, newest first, at most two each; creates what is missing from `fresh` (32 random
    /// bytes per purpose, in the order token, receipt, url) in one transaction and returns what won.
    pub async fn signing_keys(&self, fresh: [[u8; 32]; 3], now: Timestamp) -> Result<SigningKeys, StoreError> {
        let present = self.read_keys().await?;
        if present.complete() {
            return Ok(present);
        }
        self.write(move |tx| Box::pin(async move {
            for (purpose, secret) in KeyPurpose::ALL.into_iter().zip(fresh) {
                // A purpose that has a key in either slot keeps it; of processes that start together one fills slot 0.
                let text = "insert into signing_keys (purpose, slot, secret, created_at) select $1, 0, $2, $3 \
                    where not exists (select 1 from signing_keys where purpose = $1) on conflict (purpose, slot) do nothing";
                execute!(tx.db(), text, purpose.as_str(), secret.to_vec(), now.micros())?;
            }
            Ok(())
        }))
        .await?;
        self.read_keys().await
    }

    async fn read_keys(&self) -> Result<SigningKeys, StoreError> {
        let text = "select purpose, secret from signing_keys order by created_at desc, slot desc";
        let rows: Vec<(String, Vec<u8>)> = fetch_all!(self.reader(), (String, Vec<u8>), text)?;
        let of = |purpose: KeyPurpose| {
            rows.iter()
                .filter(|(word, _)| word == purpose.as_str())
                .map(|(_, secret)| secret.clone())
                .collect()
        };
        Ok(SigningKeys {
            token: of(KeyPurpose::Token),
            receipt: of(KeyPurpose::Receipt),
            url: of(KeyPurpose::Url),
        })
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

impl SigningKeys {
    fn complete(&self) -> bool {
        [&self.token, &self.receipt, &self.url]
            .into_iter()
            .all(|keys| !keys.is_empty())
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKeys(secret)")
    }
}
