//! Offering messages: one by one, in batches, and through the connector.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::wire::{Reply, refusal};
use super::{Client, digest};
use crate::history::{Deed, Enqueue, Queue, Stored};

/// A message to be offered.
#[derive(Clone)]
pub struct Offer {
    /// Its bytes, which no other offer has.
    pub bytes: Vec<u8>,
    /// Its group, in an ordered queue.
    pub group: Option<String>,
    /// Its idempotency key.
    pub key: Option<String>,
}

impl Offer {
    fn deed(&self, queue: &Queue, place: usize, answer: Stored) -> Deed {
        Deed::Enqueue(Enqueue {
            queue: queue.name,
            group: self.group.clone(),
            key: self.key.clone(),
            digest: digest(&self.bytes),
            place,
            answer,
        })
    }

    fn query(&self) -> String {
        let company = self.group.as_ref().map(|group| format!("?company={group}"));
        company.unwrap_or_default()
    }
}

impl Client {
    /// `POST /api/v1/jobs/{job}/messages`
    pub async fn enqueue(&self, queue: &Queue, offer: &Offer, announced: bool) -> Option<Stored> {
        let path = format!("/api/v1/jobs/{}/messages{}", queue.id, offer.query());
        let mut request = self.request(Method::POST, &path).body(offer.bytes.clone());
        if let Some(key) = &offer.key {
            request = request.header("Idempotency-Key", key);
        }
        if announced {
            request = request.header("Content-Digest", digest(&offer.bytes));
        }
        self.ask(request, |reply| {
            let answer = stored(reply);
            (answer.clone(), vec![offer.deed(queue, 0, answer)])
        })
        .await
    }

    /// `POST /api/v1/jobs/{job}/messages/batch`
    pub async fn enqueue_batch(&self, queue: &Queue, offers: &[Offer]) -> Option<Vec<Stored>> {
        let path = format!("/api/v1/jobs/{}/messages/batch", queue.id);
        let items: Vec<Value> = offers.iter().map(item).collect();
        let request = self.request(Method::POST, &path).json(&json!({ "messages": items }));
        self.ask(request, |reply| {
            let answers = stored_each(reply, offers.len());
            let deeds = offers.iter().zip(&answers).enumerate();
            let deeds = deeds.map(|(place, (offer, answer))| offer.deed(queue, place, answer.clone()));
            (answers.clone(), deeds.collect())
        })
        .await
    }

    /// `POST /api/connector/enqueue/{activity}`, which knows no idempotency key.
    pub async fn connector_enqueue(&self, queue: &Queue, offer: &Offer) -> Option<Stored> {
        let path = format!("/api/connector/enqueue/{}{}", queue.id, offer.query());
        let request = self.request(Method::POST, &path).body(offer.bytes.clone());
        self.ask(request, |reply| {
            let answer = match reply {
                Some(reply) if reply.status == 200 => Stored::Accepted {
                    id: text(&reply.json()),
                    digest: None,
                    replay: false,
                },
                other => stored(other),
            };
            (answer.clone(), vec![offer.deed(queue, 0, answer)])
        })
        .await
    }
}

fn item(offer: &Offer) -> Value {
    let mut item = json!({ "payload": STANDARD.encode(&offer.bytes) });
    if let Some(group) = &offer.group {
        item["company"] = json!(group);
    }
    if let Some(key) = &offer.key {
        item["idempotency_key"] = json!(key);
    }
    item
}

fn stored(reply: Option<&Reply>) -> Stored {
    let Some(reply) = reply.filter(|reply| !reply.is_unclear()) else {
        return Stored::Unknown;
    };
    let body = reply.json();
    if reply.status == 201 {
        return Stored::Accepted {
            id: text(&body["id"]),
            digest: Some(text(&body["digest"])),
            replay: reply.headers.contains_key("Idempotent-Replay"),
        };
    }
    Stored::Refused(refusal(reply.status, &body))
}

/// An answer for each item of a batch.
fn stored_each(reply: Option<&Reply>, items: usize) -> Vec<Stored> {
    let Some(reply) = reply.filter(|reply| !reply.is_unclear()) else {
        return vec![Stored::Unknown; items];
    };
    let body = reply.json();
    let Some(results) = body["results"].as_array().filter(|_| reply.status == 200) else {
        return vec![Stored::Refused(refusal(reply.status, &body)); items];
    };
    assert_eq!(results.len(), items, "a batch has an answer per item: {body}");
    results.iter().map(stored_item).collect()
}

fn stored_item(result: &Value) -> Stored {
    match result["status"].as_u64().and_then(|status| u16::try_from(status).ok()) {
        Some(201) => Stored::Accepted {
            id: text(&result["id"]),
            digest: None,
            replay: result["replay"].as_bool().unwrap_or_default(),
        },
        Some(status @ 400..500) => Stored::Refused(refusal(status, &result["problem"])),
        _ => Stored::Unknown,
    }
}

fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}
