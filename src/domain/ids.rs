//! Identifiers. One newtype per noun, so that a job id cannot be passed where a message id belongs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

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

impl MessageId {
    /// A new, time-ordered id. Ordering is for index locality only: clocks step, so nothing sorts by it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place message ids are made")]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl CorrelationId {
    /// A new random correlation id.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place correlation ids are made")]
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
