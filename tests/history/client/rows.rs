//! What a queue holds, to the last message.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::Client;
use crate::history::{Queue, Row};

impl Client {
    /// Every message of a queue, by `GET /api/v1/messages`.
    pub async fn rows(&self, queue: &Queue) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut before = String::new();
        loop {
            let path = format!("/api/v1/messages?job={}&limit=200{before}", queue.id);
            let answer = self.request(Method::GET, &path).send().await.expect("a list");
            let page = crate::wire::json(answer, StatusCode::OK).await;
            let messages = page["messages"].as_array().expect("a list of messages");
            rows.extend(messages.iter().map(|message| row(queue, message)));
            match page["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => return rows,
            }
        }
    }
}

fn row(queue: &Queue, message: &Value) -> Row {
    let text = |member: &str| {
        let text = message[member].as_str();
        text.unwrap_or_else(|| panic!("{member} in {message}")).to_owned()
    };
    Row {
        queue: queue.name,
        id: text("id"),
        correlation: text("correlation_id"),
        digest: text("digest"),
        status: text("status"),
        ended: message["final"].as_bool().expect("final is true or false"),
    }
}
