//! Webhooks: how a message ended is told to a real receiver, signed, as often as it takes.

pub mod receiver;
mod retries;
mod senders;
mod telling;

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tranship::webhook::Sender;

use crate::app::{Backend, Setup, TestApp};
use receiver::Receiver;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLDER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const CUSTOMERS: &str = "CustomerID,CompanyName\r\nAAAAA,One\r\nBBBBB,\r\n";

/// What a test says under `[webhook]` beside the secret.
pub fn job(setup: &mut Setup, webhook: &str) {
    let folder = setup
        .settings
        .iter()
        .find(|(key, _)| key == "jobs_dir")
        .map(|(_, folder)| folder.clone())
        .expect("set before");
    let text = format!(
        "id = \"00000000-0000-4000-8000-0000000000cc\"\nname = \"Told customers\"\ndirection = \"import\"\n\
         clients = [\"shop\"]\n[import]\nformat = \"csv\"\n[[import.entities]]\nentity = \"Customers\"\n\
         map = {{ CustomerID = \"customer_account\" }}\n[webhook]\nsecret_file = \"{folder}/secret\"\n{webhook}\n"
    );
    setup.file("jobs/told.toml", &text);
    setup.file("jobs/secret", &format!("{SECRET}\n{OLDER_SECRET}\n"));
    setup.set("webhooks.allow_private", "true");
    setup.set("webhooks.allow_http", "true");
}

async fn app_telling(backend: Backend, receiver: &Receiver) -> TestApp {
    app_with(backend, receiver, |_| {}).await
}

async fn app_with(backend: Backend, receiver: &Receiver, change: impl FnOnce(&mut Setup)) -> TestApp {
    let url = receiver.url("/hook?key=k");
    TestApp::with(backend, |setup| {
        job(setup, &format!("url = \"{url}\""));
        change(setup);
    })
    .await
}

impl TestApp {
    /// Imports a file with one good and one bad record; the message's id.
    async fn end_a_message(&self) -> String {
        let id = self.enqueue("Told customers", "Customers", CUSTOMERS).await;
        self.run_until_idle().await;
        id
    }

    async fn send_webhooks(&self) {
        self.webhooks.run_until_idle().await.expect("claiming works");
    }

    async fn deliveries(&self, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/webhooks{query}")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let body: Value = answer.json().await.unwrap();
        body["deliveries"].as_array().unwrap().clone()
    }

    /// The only delivery there is.
    async fn delivery(&self) -> Value {
        let deliveries = self.deliveries("").await;
        assert_eq!(deliveries.len(), 1, "{deliveries:#?}");
        deliveries[0].clone()
    }

    async fn replay(&self, delivery: &Value) -> StatusCode {
        let path = format!("/api/v1/webhooks/{}/replay", delivery["id"].as_str().unwrap());
        self.post(&path, "").await.status()
    }

    /// A sender as another process has one.
    fn another_sender(&self, stopping: &CancellationToken) -> Sender {
        let (_, definitions) = watch::channel(Arc::new(self.definitions.clone()));
        let settings = self.context.limits.webhooks.clone();
        let wake = Arc::new(Notify::new());
        Sender::new(self.context.clone(), definitions, settings, wake, stopping.clone())
    }
}
