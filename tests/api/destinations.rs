//! Destinations: what an export job queues is brought to folders and web services too, as often as it takes.

mod blobs;
mod services;
mod waiting;

use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{Backend, Setup, TestApp};
use crate::webhooks::receiver::Receiver;

pub const STOCK: &str = r#"
name = "Stock"
label = "Stock on hand"
table = "stock"
create_table = true
key = ["item"]
[[fields]]
name = "item"
max_length = 10
[[fields]]
name = "quantity"
type = "int"
"#;

/// A job that exports the stock as a file, with this in its `[export]` and below it.
pub fn setup(setup: &mut Setup, export: &str) {
    setup.file("entities/stock.toml", STOCK);
    setup.file(
        "jobs/stock-out.toml",
        &format!(
            "id = \"00000000-0000-4000-8000-00000000dd01\"\nname = \"Stock out\"\ndirection = \"export\"\n\
             data_source = \"file\"\nclients = [\"tester\"]\n[export]\nformat = \"csv\"\n\
             file_name = \"stock {{due:%Y%m%d-%H%M%S}}.csv\"\n{export}\n"
        ),
    );
    setup.set("destinations.allow_private", "true");
    setup.set("destinations.allow_http", "true");
}

/// `[[export.entities]]`, then the destinations.
pub fn destinations(text: &str) -> String {
    format!("[[export.entities]]\nentity = \"Stock\"\n{text}")
}

/// A destination that is a web service, with these lines.
pub fn service(name: &str, receiver: &Receiver, lines: &str) -> String {
    let url = receiver.url("/in?key=k");
    format!("[[export.destinations]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{url}\"\n{lines}\n")
}

pub async fn app(backend: Backend, export: &str) -> TestApp {
    let app = TestApp::with(backend, |setup| self::setup(setup, export)).await;
    app.stock_up("insert into stock (item, quantity) values ('a', 1)").await;
    app
}

impl TestApp {
    /// Changes the stock, as any application does; the job's table is made by its first run.
    pub async fn stock_up(&self, sql: &str) {
        let database = self.context.databases.get("main").unwrap();
        let stock = self.definitions.entities.iter().find(|entity| entity.name == "Stock");
        database.ensure_entity(stock.unwrap()).await.unwrap();
        self.rows(&format!("{sql} returning cast(1 as text)")).await;
    }

    /// Runs the job; the message it queued.
    pub async fn export(&self) -> String {
        let path = format!("/api/v1/jobs/{}", self.job("Stock out"));
        let answer = self.post(&format!("{path}/run"), "").await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        self.run_until_idle().await;
        let shown = self.body(&format!("{path}/occurrences?limit=1")).await;
        let run = &shown["occurrences"][0];
        assert_eq!(run["state"], "done", "{run:#}");
        run["message"].as_str().unwrap_or_default().to_owned()
    }

    pub async fn bring(&self) {
        self.destinations.run_until_idle().await.expect("claiming works");
    }

    /// The JSON at a path.
    pub async fn body(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body:#}");
        body
    }

    /// The delivery of a message to a destination.
    pub async fn brought(&self, message: &str, destination: &str) -> Value {
        let listed = self.body(&format!("/api/v1/messages/{message}/deliveries")).await;
        let rows = listed["deliveries"].as_array().unwrap();
        let found = rows.iter().find(|row| row["destination"] == destination);
        found.unwrap_or_else(|| panic!("{destination}: {listed:#}")).clone()
    }

    pub async fn bring_again(&self, delivery: &Value) -> StatusCode {
        self.post(delivery["links"]["replay"].as_str().unwrap(), "")
            .await
            .status()
    }

    /// As if the process that sent these deliveries had died before it wrote down what came of it.
    pub async fn forget_arrivals(&self) {
        let now = self.clock.now().micros();
        let sql = format!(
            "update export_deliveries set state = 'pending', owner = 'a dead process', finished_at = null, last_at = null, \
             last_status = null, last_detail = null, due_at = {} returning cast(1 as text)",
            now + 60_000_000
        );
        crate::support::databases::rows(&self.store.url, &sql).await;
    }
}
