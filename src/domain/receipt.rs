//! Receipts: proof that this service handed out this lease of this message.
//!
//! A receipt is message, epoch and MAC, in base64 as the wire expects (`PopReceipt`). Nothing is stored for it: the
//! epoch in the message row decides whether it is current, the MAC whether it was ever ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use super::ids::MessageId;
use super::message::Fence;

const MAC_BYTES: usize = 16;
const PURPOSE: &[u8] = b"tranship receipt 1";

/// The secrets receipts are signed with: the first signs, all verify, so that keys can be rotated.
#[derive(Clone)]
pub struct ReceiptKeys(Vec<Vec<u8>>);

impl ReceiptKeys {
    /// Keys, newest first.
    #[must_use]
    pub fn new(keys: Vec<Vec<u8>>) -> Self {
        Self(keys)
    }

    /// The receipt of a lease.
    ///
    /// # Panics
    /// When made without a key, which no start of the service does.
    #[must_use]
    pub fn issue(&self, lease: Fence) -> String {
        let key = self
            .0
            .first()
            .expect("the store creates a receipt key before anything is handed out");
        let mut bytes = Vec::with_capacity(40);
        bytes.extend_from_slice(lease.message.as_bytes());
        bytes.extend_from_slice(&lease.epoch.to_be_bytes());
        let mac = mac(key, &bytes);
        bytes.extend_from_slice(&mac[..MAC_BYTES]);
        STANDARD.encode(bytes)
    }

    /// The lease a receipt was issued for, or nothing when we never issued it.
    #[must_use]
    pub fn verify(&self, receipt: &str) -> Option<Fence> {
        let bytes = STANDARD.decode(receipt.trim().trim_matches('"')).ok()?;
        let (head, tail) = bytes.split_at_checked(24)?;
        let genuine = self.0.iter().any(|key| {
            let mut hmac = signer(key, head);
            hmac.update(b"");
            tail.len() == MAC_BYTES && hmac.verify_truncated_left(tail).is_ok()
        });
        if !genuine {
            return None;
        }
        let message = MessageId(Uuid::from_slice(&head[..16]).ok()?);
        let epoch = i64::from_be_bytes(head[16..].try_into().ok()?);
        Some(Fence { message, epoch })
    }
}

impl std::fmt::Debug for ReceiptKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReceiptKeys({} secret)", self.0.len())
    }
}

fn signer(key: &[u8], head: &[u8]) -> Hmac<Sha256> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(PURPOSE);
    hmac.update(head);
    hmac
}

fn mac(key: &[u8], head: &[u8]) -> [u8; 32] {
    signer(key, head).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(epoch: i64) -> Fence {
        Fence {
            message: MessageId::generate(),
            epoch,
        }
    }

    #[test]
    fn a_receipt_names_its_lease() {
        let keys = ReceiptKeys::new(vec![b"k1".to_vec()]);
        let lease = lease(7);
        assert_eq!(keys.verify(&keys.issue(lease)), Some(lease));
    }

    #[test]
    fn a_receipt_survives_one_rotation() {
        let old = ReceiptKeys::new(vec![b"old".to_vec()]);
        let new = ReceiptKeys::new(vec![b"new".to_vec(), b"old".to_vec()]);
        let lease = lease(1);
        assert_eq!(new.verify(&old.issue(lease)), Some(lease));
        assert_eq!(old.verify(&new.issue(lease)), None);
    }

    #[test]
    fn an_altered_receipt_is_nobodys() {
        let keys = ReceiptKeys::new(vec![b"k1".to_vec()]);
        let good = STANDARD.decode(keys.issue(lease(3))).expect("base64");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(keys.verify(&STANDARD.encode(bad)), None, "byte {at}");
        }
        for text in ["", "AA==", "not base64", "é"] {
            assert_eq!(keys.verify(text), None, "{text}");
        }
    }
}
