//! Identifiers. One newtype per noun, so that a job id cannot be passed where a message id belongs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::time::Timestamp;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The sixteen bytes, for hashing and for receipts.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidGuid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_guid(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// A recurring data job's activity id: the queue's name on the wire.
    JobId
}
uuid_id! {
    /// A message: one file or package in a job's queue.
    MessageId
}
uuid_id! {
    /// The id of a delivery chain on the wire (`CorrelationId`, contract 3.3): not the message id.
    CorrelationId
}

uuid_id! {
    /// One delivery to a webhook (the `webhook-id` its receiver knows it by) or a destination, through every attempt and replay.
    DeliveryId
}

uuid_id! {
    /// One HTTP request, in its answer and in the log (GEN-11).
    RequestId
}

uuid_id! {
    /// One file on its way through the agent: the server knows it by this when it is sent again.
    ParcelId
}

impl ParcelId {
    /// A new, time-ordered id.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place parcel ids are made")]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl RequestId {
    /// A new random id.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place request ids are made")]
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }
}

impl DeliveryId {
    /// A new, time-ordered id.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place delivery ids are made")]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl MessageId {
    /// A new, time-ordered id. Ordering is for index locality only: clocks step, so nothing sorts by it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place message ids are made")]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The same, as of `now`: its day is the partition the message is stored in.
    #[must_use]
    pub fn generate_at(now: Timestamp) -> Self {
        let micros = now.micros().max(0).unsigned_abs();
        let nanos = u32::try_from(micros % 1_000_000 * 1000).unwrap_or(0);
        let at = uuid::Timestamp::from_unix(&V7, micros / 1_000_000, nanos);
        Self(Uuid::new_v7(at))
    }

    /// When the message was enqueued, to the millisecond; later where the clock had gone back by then.
    #[must_use]
    pub fn made_at(self) -> Timestamp {
        let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or(i64::MAX);
        Timestamp(millis.saturating_mul(1000))
    }

    /// The smallest id a message enqueued at `at` can have: where one day's ids end and the next one's begin.
    #[must_use]
    pub fn first_at(at: Timestamp) -> Self {
        let millis = u128::from(at.micros().max(0).unsigned_abs() / 1000);
        Self(Uuid::from_u128(millis << 80))
    }
}

/// Ids of one millisecond stay in order.
static V7: std::sync::Mutex<uuid::ContextV7> = std::sync::Mutex::new(uuid::ContextV7::new());

/// What turns a message id into its correlation id and back: the random half, inverted.
const CORRELATION_MASK: u128 = 0x3fff_ffff_ffff_ffff;

impl CorrelationId {
    /// The correlation id of a message. Computed, not stored: one index less for every enqueue.
    #[must_use]
    pub fn of(message: MessageId) -> Self {
        Self(Uuid::from_u128(message.0.as_u128() ^ CORRELATION_MASK))
    }

    /// The message whose correlation id this would be.
    #[must_use]
    pub fn message(self) -> MessageId {
        MessageId(Uuid::from_u128(self.0.as_u128() ^ CORRELATION_MASK))
    }

    /// A new random id, for names that only have to be unique.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place such ids are made")]
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }
}

impl JobId {
    /// A new random activity id, for `tranship init`.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place activity ids are made")]
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }
}

/// The text is not a GUID in any of the forms clients send (GEN-6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a GUID")]
pub struct InvalidGuid(pub String);

/// Reads a GUID as clients write it: bare, braced, percent-braced, in one pair of double quotes, any case (GEN-6).
///
/// # Errors
/// [`InvalidGuid`] when nothing of that sort is left after peeling.
pub fn parse_guid(text: &str) -> Result<Uuid, InvalidGuid> {
    let bad = || InvalidGuid(text.chars().take(80).collect());
    let mut core = text.trim();
    core = core.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(core);
    for (open, close) in [("%7b", "%7d"), ("{", "}")] {
        let (head, tail) = (core.get(..open.len()), core.len().checked_sub(close.len()));
        if let (Some(head), Some(at)) = (head, tail)
            && head.eq_ignore_ascii_case(open)
            && core.get(at..).is_some_and(|t| t.eq_ignore_ascii_case(close))
        {
            core = core.get(open.len()..at).ok_or_else(bad)?;
        }
    }
    // `Uuid` reads urn and 32-digit forms too; the wire has only the hyphenated one.
    if core.len() != 36 {
        return Err(bad());
    }
    Uuid::try_parse(core).map_err(|_| bad())
}

/// An execution's id: made by us or chosen by the client, used verbatim (PKG-11a).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(pub String);

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A blob's key: unique per upload, never shared, never content-addressed (promise 1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobKey(pub String);

impl BlobKey {
    /// A new key. It holds nothing a client chose, so no file name can reach the blob store.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place blob keys are made")]
    pub fn generate() -> Self {
        let id = Uuid::new_v4().simple().to_string();
        Self(format!("payloads/{}/{}", &id[..2], id))
    }
}

/// A new text that no other folder of blobs is known by.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place such texts are made")]
pub fn new_folder_id() -> String {
    Uuid::new_v4().hyphenated().to_string()
}

/// A new text that no other service store is known by.
#[must_use]
pub fn new_store_id() -> String {
    new_folder_id()
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guid_form_clients_send_is_read() {
        let bare = "6d31e09f-0249-459f-94f0-aad9c2c47b64";
        let want = parse_guid(bare).expect("bare form");
        for form in [
            bare.to_uppercase(),
            format!("{{{bare}}}"),
            format!("%7B{bare}%7D"),
            format!("\"{bare}\""),
            format!("\"{{{bare}}}\""),
        ] {
            assert_eq!(parse_guid(&form), Ok(want), "{form}");
        }
    }

    #[test]
    fn what_is_no_guid_is_refused_without_panic() {
        for form in [
            "",
            "{",
            "}",
            "\"",
            "{}",
            "%7B",
            "é",
            "urn:uuid:x",
            "6d31e09f0249459f94f0aad9c2c47b64",
        ] {
            assert!(parse_guid(form).is_err(), "{form}");
        }
    }
}
