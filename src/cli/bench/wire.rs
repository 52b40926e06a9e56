//! The requests of the queue as the load sends them, and what it reads of the answers.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use serde::Deserialize;

use crate::cli::Failure;

/// What every message of a bench carries as its external id, so that a bench never acknowledges somebody else's.
pub(super) const MARK: &str = "bench";

/// One message that was taken in.
#[derive(Deserialize)]
pub(super) struct Taken<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
}

/// The answer to a batch: an outcome per item, in order.
#[derive(Deserialize)]
pub(super) struct Outcomes<'a> {
    #[serde(borrow)]
    pub(super) results: Vec<Outcome<'a>>,
}

/// What became of one item.
#[derive(Deserialize)]
pub(super) struct Outcome<'a> {
    pub(super) status: u16,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
}

/// The answer to a lease request.
#[derive(Deserialize)]
pub(super) struct Leases<'a> {
    #[serde(borrow)]
    pub(super) leases: Vec<Lease<'a>>,
}

/// One leased message.
#[derive(Deserialize)]
pub(super) struct Lease<'a> {
    #[serde(borrow)]
    pub(super) receipt: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) external_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) payload: Option<Cow<'a, str>>,
}

/// Paths and bodies that are the same for every request of a run.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) enqueue_path: String,
    pub(super) enqueue_batch_path: String,
    pub(super) lease_path: String,
    pub(super) payload: Vec<u8>,
    pub(super) payload_base64: String,
}

impl Wire {
    /// For a job, by name or id, and payloads of so many bytes.
    pub(super) fn new(job: &str, payload_bytes: u32) -> Self {
        let job: String = url::form_urlencoded::byte_serialize(job.as_bytes()).collect();
        // In a path a space is %20; + stands for itself there.
        let job = job.replace('+', "%20");
        let payload: Vec<u8> = (b'0'..=b'z').cycle().take(payload_bytes as usize).collect();
        Self {
            enqueue_path: format!("/api/v1/jobs/{job}/messages?external_id={MARK}"),
            enqueue_batch_path: format!("/api/v1/jobs/{job}/messages/batch"),
            lease_path: format!("/api/v1/jobs/{job}/leases"),
            payload_base64: base64::engine::general_purpose::STANDARD.encode(&payload),
            payload,
        }
    }

    /// So many messages at once.
    pub(super) fn enqueue_batch(&self, messages: u16) -> Vec<u8> {
        let item = format!(r#"{{"external_id":"{MARK}","payload":"{}"}}"#, self.payload_base64);
        let items = vec![item; messages.into()];
        format!(r#"{{"messages":[{}]}}"#, items.join(",")).into_bytes()
    }

    /// As many leases as there are, up to `max`.
    pub(super) fn lease(max: u16, payload: bool) -> Vec<u8> {
        let payload = if payload { "inline" } else { "none" };
        format!(r#"{{"max":{max},"wait_seconds":0,"payload":"{payload}"}}"#).into_bytes()
    }

    /// The path that does `verb` with a lease.
    pub(super) fn on_lease(receipt: &str, verb: &str) -> String {
        let receipt: String = url::form_urlencoded::byte_serialize(receipt.as_bytes()).collect();
        format!("/api/v1/leases/{receipt}/{verb}")
    }

    /// Acknowledges all of these.
    pub(super) fn ack_batch(receipts: &[String]) -> Vec<u8> {
        let mut body = String::with_capacity(receipts.len() * 160);
        body.push_str(r#"{"items":["#);
        for (at, receipt) in receipts.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            // Receipts are the service's own letters, digits, dots and dashes: nothing to escape.
            let _ = write!(body, r#"{comma}{{"receipt":"{receipt}","action":"ack"}}"#);
        }
        body.push_str("]}");
        body.into_bytes()
    }
}

/// Reads an answer's JSON.
///
/// # Errors
/// With what was asked, when the answer is of another shape.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8], asked: &str) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::failed(format!("the answer to {asked} cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_name_stays_one_segment_of_the_path() {
        let wire = Wire::new("Relay documents/ü", 4);
        assert_eq!(wire.lease_path, "/api/v1/jobs/Relay%20documents%2F%C3%BC/leases");
    }

    #[test]
    fn the_bodies_are_json_of_the_contract() {
        let wire = Wire::new("x", 1000);
        let batch: serde_json::Value = serde_json::from_slice(&wire.enqueue_batch(3)).expect("JSON");
        let items = batch["messages"].as_array().expect("messages");
        assert_eq!(items.len(), 3);
        let payload = items[2]["payload"].as_str().expect("a payload");
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(payload)
            .expect("base64");
        assert_eq!(bytes, wire.payload);
        let acks: serde_json::Value =
            serde_json::from_slice(&Wire::ack_batch(&["a.b-c".to_owned(), "d".to_owned()])).expect("JSON");
        assert_eq!(acks["items"][1]["receipt"], "d");
        let lease: serde_json::Value = serde_json::from_slice(&Wire::lease(7, true)).expect("JSON");
        assert_eq!(
            (lease["max"].as_u64(), lease["payload"].as_str()),
            (Some(7), Some("inline"))
        );
    }
}
