//! Taking messages, and fetching their bytes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

use super::wire::Reply;
use super::{Client, digest};
use crate::history::{Deed, Lease, Queue};

/// A message in somebody's hands.
#[derive(Clone)]
pub struct Held {
    /// What was handed out.
    pub lease: Lease,
    /// The path to its bytes.
    pub payload: String,
}

/// What a request for messages asks for.
#[derive(Clone, Copy)]
pub struct Wish {
    pub max: usize,
    pub lease_seconds: Option<u64>,
    pub wait_seconds: u64,
    /// The bytes, in the answer.
    pub inline: bool,
}

impl Client {
    /// `POST /api/v1/jobs/{job}/leases`
    pub async fn lease(&self, queue: &Queue, wish: Wish) -> Option<Vec<Held>> {
        let path = format!("/api/v1/jobs/{}/leases", queue.id);
        let seconds = wish.lease_seconds.unwrap_or(queue.lease_seconds);
        let request = self.request(Method::POST, &path).json(&json!({
            "max": wish.max,
            "wait_seconds": wish.wait_seconds,
            "lease_seconds": wish.lease_seconds,
            "payload": if wish.inline { "inline" } else { "none" },
        }));
        self.ask(request, |reply| match reply.filter(|reply| !reply.is_unclear()) {
            None => (Vec::new(), vec![Deed::LeasesLost { queue: queue.name }]),
            Some(reply) => handed_out(queue, seconds, reply),
        })
        .await
    }

    /// `GET /api/connector/dequeue/{activity}`
    pub async fn dequeue(&self, queue: &Queue) -> Option<Held> {
        let path = format!("/api/connector/dequeue/{}", queue.id);
        let request = self.request(Method::GET, &path);
        let asked = self.ask(request, |reply| match reply.filter(|reply| !reply.is_unclear()) {
            None => (None, vec![Deed::LeasesLost { queue: queue.name }]),
            Some(reply) if reply.status == 200 => {
                let held = delivered(queue, &reply.json());
                let deed = Deed::Lease(held.lease.clone());
                (Some(held), vec![deed])
            }
            Some(_) => (None, Vec::new()),
        });
        asked.await.flatten()
    }

    /// Fetches a message's bytes.
    pub async fn fetch(&self, held: &Held) {
        let request = self.request(Method::GET, &held.payload);
        let asked = self.ask(request, |reply| {
            let whole = reply.filter(|reply| reply.status == 200);
            let fetched = whole.map(|reply| Deed::Fetch {
                message: held.lease.message.clone(),
                digest: digest(&reply.body),
            });
            ((), fetched.into_iter().collect())
        });
        asked.await;
    }
}

fn handed_out(queue: &Queue, seconds: u64, reply: &Reply) -> (Vec<Held>, Vec<Deed>) {
    let body = reply.json();
    assert_eq!(reply.status, 200, "leases of {}: {body}", queue.name);
    let mut deeds = Vec::new();
    let leases = body["leases"].as_array().expect("a list of leases");
    let held = leases.iter().map(|item| {
        let lease = Lease {
            queue: queue.name,
            message: text(item, "id"),
            correlation: None,
            receipt: text(item, "receipt"),
            epoch: item["epoch"].as_u64().expect("an epoch"),
            seconds,
            digest: Some(text(item, "digest")),
        };
        deeds.push(Deed::Lease(lease.clone()));
        if let Some(inline) = item["payload"].as_str() {
            let bytes = STANDARD.decode(inline).expect("a payload in base64");
            deeds.push(Deed::Fetch {
                message: lease.message.clone(),
                digest: digest(&bytes),
            });
        }
        let payload = text(&item["links"], "payload");
        Held { lease, payload }
    });
    let held = held.collect();
    (held, deeds)
}

/// The connector names neither message nor epoch; its download location holds the one, its receipt both.
fn delivered(queue: &Queue, delivery: &Value) -> Held {
    let location = text(delivery, "DownloadLocation");
    let location = url::Url::parse(&location).unwrap_or_else(|error| panic!("{location}: {error}"));
    let blob = location.query_pairs().find(|(name, _)| name == "blob");
    let receipt = text(delivery, "PopReceipt");
    let lease = Lease {
        queue: queue.name,
        message: blob.expect("a blob in the location").1.into_owned(),
        correlation: Some(text(delivery, "CorrelationId")),
        epoch: epoch_in(&receipt),
        receipt,
        seconds: queue.lease_seconds,
        digest: None,
    };
    let payload = location[url::Position::BeforePath..].to_owned();
    Held { lease, payload }
}

/// A receipt is the message's sixteen bytes, the epoch's eight, and a MAC.
fn epoch_in(receipt: &str) -> u64 {
    let bytes = STANDARD.decode(receipt).or_else(|_| URL_SAFE_NO_PAD.decode(receipt));
    let bytes = bytes.unwrap_or_else(|error| panic!("receipt {receipt}: {error}"));
    let epoch = bytes.get(16..24).and_then(|epoch| epoch.try_into().ok());
    u64::from_be_bytes(epoch.unwrap_or_else(|| panic!("no epoch in receipt {receipt}")))
}

fn text(object: &Value, member: &str) -> String {
    let text = object[member].as_str();
    text.unwrap_or_else(|| panic!("{member} is a text in {object}"))
        .to_owned()
}
