//! A destination over TLS: one service's export is another's inbound message, and certificates count.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::wire::Caller;

const RELAY: &str = "00000000-0000-4000-8000-0000000000bb";
const EXPORT: &str = "00000000-0000-4000-8000-0000000000cc";
const PATIENCE: Duration = Duration::from_mins(1);

const STOCK: &str = r#"
name = "Stock"
label = "Stock on hand"
table = "stock"
create_table = true
key = ["item"]
[[fields]]
name = "item"
max_length = 10
"#;

/// A service with a relay queue, on TLS with an authority of its own.
async fn receiver() -> (Site, Credentials, Service, String) {
    let mut site = Site::empty();
    site.set("TRANSHIP_DATA_DIR", &site.data_dir("data").display().to_string());
    std::fs::create_dir_all(site.path("entities")).expect("made");
    site.write(
        "jobs/documents.toml",
        &format!("id = \"{RELAY}\"\nname = \"Documents\"\ndirection = \"relay\"\ndata_source = \"file\"\nclients = [\"sender\"]\n"),
    );
    let client = site.add_client("sender", "client");
    let mut command = site.serve_command("data");
    command.args(["--dev-tls", "--set", "server.tls_listen=127.0.0.1:0"]);
    let service = Service::start(command, &site.data_dir("data")).await;
    let address = std::fs::read_to_string(site.data_dir("data").join("listening-tls")).expect("an address");
    let port = address.trim().rsplit(':').next().expect("a port").to_owned();
    (site, client, service, format!("https://localhost:{port}"))
}

/// A service that sends its stock to `base`.
fn sender(base: &str, client: &Credentials) -> (Site, Credentials) {
    let mut site = Site::empty();
    site.set("TRANSHIP_DATA_DIR", &site.data_dir("data").display().to_string());
    site.set("TRANSHIP_DESTINATIONS__ALLOW_PRIVATE", "true");
    site.set("TRANSHIP_DESTINATIONS__RETRY_FIRST_SECONDS", "1");
    site.set("RECEIVER_SECRET", &client.secret);
    site.write("entities/stock.toml", STOCK);
    site.write(
        "jobs/stock-out.toml",
        &format!(
            r#"id = "{EXPORT}"
name = "Stock out"
direction = "export"
data_source = "file"
clients = ["tester"]
[export]
format = "csv"
[[export.entities]]
entity = "Stock"
[[export.destinations]]
name = "headquarters"
kind = "http"
url = "{base}/api/connector/enqueue/{RELAY}"
[export.destinations.auth]
kind = "oauth2"
token_url = "{base}/default/oauth2/v2.0/token"
client_id = "{}"
scope = "{base}/.default"
secret_env = "RECEIVER_SECRET"
"#,
            client.id
        ),
    );
    let tester = site.add_client("tester", "operator");
    (site, tester)
}

/// The job's deliveries as the command line lists them.
fn deliveries(site: &Site, service: &Service, tester: &Credentials) -> Vec<Value> {
    let output = command(
        site,
        service,
        tester,
        &["deliveries", "list", "--job", "Stock out", "--json"],
    );
    let listed: Value = serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"));
    listed["deliveries"].as_array().expect("a list").clone()
}

fn command(site: &Site, service: &Service, tester: &Credentials, arguments: &[&str]) -> String {
    let mut command = site.command(arguments);
    command.args(["--url", &service.base, "--client-id", &tester.id]);
    command.env("TRANSHIP_CLIENT_SECRET", &tester.secret);
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

async fn delivery_that(site: &Site, service: &Service, tester: &Credentials, is_it: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let found = deliveries(site, service, tester);
        if let [delivery] = found.as_slice()
            && is_it(delivery)
        {
            return delivery.clone();
        }
        assert!(began.elapsed() < PATIENCE, "{found:#?}\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_over_tls_to_whom_a_known_authority_vouches_for() {
    let (receiving, client, receiver, base) = receiver().await;
    let (mut site, tester) = sender(&base, &client);

    // Nobody vouches for the receiver: nothing is sent, and the delivery says so and waits.
    let service = site.start("data").await;
    command(&site, &service, &tester, &["jobs", "run", "Stock out"]);
    let refused = delivery_that(&site, &service, &tester, |d| !d["last_answer"].is_null()).await;
    assert_eq!(refused["state"], "pending", "{refused:#}");
    let why = refused["last_answer"].to_string().to_lowercase();
    assert!(why.contains("certificate"), "{why}");
    let queue = Caller::new(&receiver, &client).await;
    let dequeue = format!("/api/connector/dequeue/{RELAY}");
    assert_eq!(queue.get(&dequeue).await.status(), 204);
    assert!(service.stop().await.success());

    let authority = receiving.data_dir("data").join("dev-tls/ca.pem");
    site.set("SSL_CERT_FILE", &authority.display().to_string());
    let service = site.start("data").await;
    let arrived = delivery_that(&site, &service, &tester, |d| d["state"] == "delivered").await;
    // Sent once more it is the same message there, by its key.
    let id = arrived["id"].as_str().expect("an id");
    command(
        &site,
        &service,
        &tester,
        &["deliveries", "replay", "--job", "Stock out", id],
    );
    delivery_that(&site, &service, &tester, |d| {
        d["state"] == "delivered" && d["finished_at"] != arrived["finished_at"]
    })
    .await;
    let delivery: Value = queue.get(&dequeue).await.json().await.expect("a delivery");
    let location = delivery["DownloadLocation"].as_str().expect("a location");
    let path = &location[location.find("/api").expect("a path")..];
    assert_eq!(queue.get(path).await.text().await.expect("a text"), "item\r\n");
    assert_eq!(queue.get(&dequeue).await.status(), 204, "one message");
    assert!(service.stop().await.success());
    assert!(receiver.stop().await.success());
}
