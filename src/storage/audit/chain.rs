//! What is hashed, in which form. Documented, so that others can check the chain too.

use sha2::{Digest as _, Sha256};

use crate::domain::message::Digest;

/// What the first entry has instead of the hash of the one before.
pub(super) const BEGINNING: [u8; 32] = [0; 32];

/// An entry as it is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The hash of the entry before.
    pub previous: Vec<u8>,
    /// Its number.
    pub seq: i64,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// From where.
    pub surface: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// What became of it.
    pub outcome: String,
    /// Its details, as JSON text.
    pub detail: String,
}

impl Link {
    /// SHA-256 of the JSON array `[previous, seq, at, actor, surface, action, target, outcome, detail]`, written without white
    /// space; `previous` in hexadecimal digits, `detail` as the text it is stored as.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let canonical = serde_json::json!([
            hex(&self.previous),
            self.seq,
            self.at,
            self.actor,
            self.surface,
            self.action,
            self.target,
            self.outcome,
            self.detail,
        ]);
        Sha256::digest(canonical.to_string()).into()
    }
}

/// Where the chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The newest entry's number.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

impl Head {
    /// Its hash in hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.hash)
    }
}

/// Lower-case hexadecimal digits; of what is no hash, whatever its length.
pub(super) fn hex(bytes: &[u8]) -> String {
    match <[u8; 32]>::try_from(bytes) {
        Ok(hash) => Digest(hash).hex(),
        Err(_) => format!("{bytes:02x?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked with Python: `sha256(json.dumps([…], separators=(',',':'), ensure_ascii=False).encode())`.
    #[test]
    fn the_hash_is_the_documented_one() {
        let link = Link {
            previous: BEGINNING.to_vec(),
            seq: 1,
            at: 1_767_600_000_000_000,
            actor: "Ärger \"AG\"".to_owned(),
            surface: "api".to_owned(),
            action: "job.pause".to_owned(),
            target: "6d31e09f-0249-459f-94f0-aad9c2c47b64".to_owned(),
            outcome: "done".to_owned(),
            detail: "{\"note\":\"why\"}".to_owned(),
        };
        assert_eq!(
            Digest(link.hash()).hex(),
            "2da47568d082e92b249ff403d00dfa39e0f5da479551eef0b81a37dc167267d6"
        );
    }
}
