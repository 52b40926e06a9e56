//! What a client does with a receipt.

use reqwest::Method;
use serde_json::{Value, json};

use super::Client;
use super::wire::{answer, escaped};
use crate::history::{Act, Answer, ConnectorAck, Deed, Queue, Verb};

impl Client {
    /// `POST /api/v1/leases/{receipt}/{verb}`
    pub async fn act(&self, receipt: &str, verb: Verb) -> Option<Answer> {
        let path = format!("/api/v1/leases/{}/{}", escaped(receipt), word(verb));
        let request = self.request(Method::POST, &path).json(&parameters(verb));
        let asked = self.ask(request, |reply| {
            let answer = reply.map_or(Answer::Unknown, |reply| answer(reply.status, &reply.json()));
            (answer.clone(), vec![deed(receipt, verb, answer)])
        });
        asked.await
    }

    /// `POST /api/v1/leases/batch`
    pub async fn act_on_each(&self, acts: &[(String, Verb)]) -> Option<Vec<Answer>> {
        let items: Vec<Value> = acts.iter().map(|(receipt, verb)| item(receipt, *verb)).collect();
        let request = self.request(Method::POST, "/api/v1/leases/batch");
        let request = request.json(&json!({ "items": items }));
        let asked = self.ask(request, |reply| {
            let answers = reply.map_or_else(
                || vec![Answer::Unknown; acts.len()],
                |reply| answer_each(reply.status, &reply.json(), acts.len()),
            );
            let deeds = acts.iter().zip(&answers);
            let deeds = deeds.map(|((receipt, verb), answer)| deed(receipt, *verb, answer.clone()));
            (answers.clone(), deeds.collect())
        });
        asked.await
    }

    /// `POST /api/connector/ack/{activity}`
    pub async fn connector_ack(
        &self,
        queue: &Queue,
        receipt: Option<String>,
        correlation: Option<String>,
    ) -> Option<Answer> {
        let path = format!("/api/connector/ack/{}", queue.id);
        let mut body = json!({ "DownloadLocation": "https://elsewhere.example/" });
        if let Some(receipt) = &receipt {
            body["PopReceipt"] = json!(receipt);
        }
        if let Some(correlation) = &correlation {
            body["CorrelationId"] = json!(correlation);
        }
        let request = self.request(Method::POST, &path).json(&body);
        let asked = self.ask(request, |reply| {
            let answer = reply.map_or(Answer::Unknown, |reply| answer(reply.status, &reply.json()));
            let deed = Deed::ConnectorAck(ConnectorAck {
                receipt,
                correlation,
                answer: answer.clone(),
            });
            (answer, vec![deed])
        });
        asked.await
    }
}

fn deed(receipt: &str, verb: Verb, answer: Answer) -> Deed {
    Deed::Act(Act {
        receipt: receipt.to_owned(),
        verb,
        answer,
    })
}

fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Ack => "ack",
        Verb::Extend { .. } => "extend",
        Verb::Release => "release",
        Verb::Reject { .. } => "reject",
    }
}

fn parameters(verb: Verb) -> Value {
    match verb {
        Verb::Ack => json!({}),
        Verb::Extend { seconds } => json!({ "lease_seconds": seconds }),
        Verb::Release => json!({ "delay_seconds": 0 }),
        Verb::Reject { dead_letter } => json!({ "reason": "a client tries this", "dead_letter": dead_letter }),
    }
}

fn item(receipt: &str, verb: Verb) -> Value {
    let mut item = parameters(verb);
    item["receipt"] = json!(receipt);
    item["action"] = json!(word(verb));
    item
}

fn answer_each(status: u16, body: &Value, items: usize) -> Vec<Answer> {
    let Some(results) = body["results"].as_array().filter(|_| status == 200) else {
        return vec![answer(status, body); items];
    };
    assert_eq!(results.len(), items, "a batch has an answer per item: {body}");
    let item = |result: &Value| {
        let status = result["status"].as_u64();
        let status = status.and_then(|status| u16::try_from(status).ok());
        answer(status.expect("a status per item"), &result["problem"])
    };
    results.iter().map(item).collect()
}
