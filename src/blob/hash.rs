//! SHA-256 over bytes that stream past, and MD5 beside it where clients of Azure storage compare that.

use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::domain::message::Digest;

/// Digest and length of a payload, computed while it is written or read.
#[derive(Debug, Clone, Default)]
pub struct PayloadHasher {
    hash: Sha256,
    count: u64,
}

impl PayloadHasher {
    /// Of no bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Digest of bytes that are all there.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> Digest {
        let mut hasher = Self::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.count += bytes.len() as u64;
    }

    /// How many bytes were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.hash.finalize().into())
    }
}

/// The same with MD5, which costs as much again.
#[derive(Debug, Clone, Default)]
pub struct ContentHasher {
    payload: PayloadHasher,
    md5: Md5,
}

impl ContentHasher {
    /// Of no bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.payload.update(bytes);
        self.md5.update(bytes);
    }

    /// How many bytes were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.payload.count()
    }

    /// SHA-256 and MD5 of everything added.
    #[must_use]
    pub fn finish(self) -> (Digest, [u8; 16]) {
        (self.payload.finish(), self.md5.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hash_like_the_whole_and_as_the_standard_says() {
        let mut hasher = PayloadHasher::new();
        hasher.update(b"a");
        hasher.update(b"");
        hasher.update(b"bc");
        assert_eq!(hasher.count(), 3);
        let digest = hasher.finish();
        assert_eq!(digest, PayloadHasher::digest(b"abc"));
        // FIPS 180-4, example B.1.
        assert_eq!(
            digest.hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn both_hashes_are_what_their_standards_say() {
        let mut hasher = ContentHasher::new();
        hasher.update(b"message ");
        hasher.update(b"digest");
        assert_eq!(hasher.count(), 14);
        let (digest, md5) = hasher.finish();
        assert_eq!(digest, PayloadHasher::digest(b"message digest"));
        // RFC 1321, A.5.
        assert_eq!(u128::from_be_bytes(md5), 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0);
    }
}
