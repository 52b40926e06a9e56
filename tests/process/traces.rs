//! One message's trace: every step of it, imports and exports, whichever process took it; and what a collector that is not there costs.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::collector::{Collector, Span};
use crate::package_imports;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, http, json};

const IN: &str = "00000000-0000-4000-8000-0000000000a1";
const OUT: &str = "00000000-0000-4000-8000-0000000000a2";
const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

const STOCK: &str = r#"
name = "Stock"
label = "Stock on hand"
table = "stock"
create_table = true
key = ["item"]
[[fields]]
name = "item"
max_length = 10
[[fields]]
name = "pieces"
type = "int"
"#;

/// A site whose import tells a webhook and whose export goes to a destination, both at the collector.
async fn site(store: TestDatabase, collector: &Collector) -> (Site, Credentials) {
    let mut site = Site::on(store).await;
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.base.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_SERVICE_NAME", "stock-keeper"),
        ("TRANSHIP_WEBHOOKS__ALLOW_PRIVATE", "true"),
        ("TRANSHIP_WEBHOOKS__ALLOW_HTTP", "true"),
        ("TRANSHIP_DESTINATIONS__ALLOW_PRIVATE", "true"),
        ("TRANSHIP_DESTINATIONS__ALLOW_HTTP", "true"),
        ("HOOK_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
    ] {
        site.set(name, value);
    }
    let base = &collector.base;
    site.write("entities/stock.toml", STOCK);
    site.write(
        "jobs/stock-in.toml",
        &format!(
            "id = \"{IN}\"\nname = \"Stock in\"\ndirection = \"import\"\nclients = [\"shop\"]\n[import]\nformat = \"csv\"\n\
             [[import.entities]]\nentity = \"Stock\"\n[webhook]\nurl = \"{base}/hook\"\nsecret_env = \"HOOK_SECRET\"\n"
        ),
    );
    site.write(
        "jobs/stock-out.toml",
        &format!(
            "id = \"{OUT}\"\nname = \"Stock out\"\ndirection = \"export\"\nclients = [\"shop\"]\n[export]\nformat = \"csv\"\n\
             [[export.entities]]\nentity = \"Stock\"\n[[export.destinations]]\nname = \"mirror\"\nkind = \"http\"\nurl = \"{base}/mirror\"\n"
        ),
    );
    let client = site.add_client("shop", "operator");
    (site, client)
}

#[tokio::test]
async fn a_message_has_one_trace_across_a_restart_on_sqlite() {
    followed(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn a_message_has_one_trace_across_a_restart_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        followed(store).await;
    }
}

async fn followed(store: TestDatabase) {
    let collector = Collector::start().await;
    let (site, client) = site(store, &collector).await;
    let service = site.start("one").await;
    let caller = Caller::new(&service, &client).await;
    // Enqueued by one process, worked on by the next.
    json(caller.post("/api/v1/jobs/Stock%20in/pause", "").await, StatusCode::OK).await;
    let sent = http()
        .post(format!("{}/api/v1/jobs/Stock%20in/messages", service.base))
        .bearer_auth(caller.token())
        .header("traceparent", SENT)
        .body("item,pieces\nnail,500\nscrew,many\n")
        .send()
        .await
        .expect("an answer");
    let id = text(&json(sent, StatusCode::CREATED).await, "id");
    collector.trace(TRACE, &["enqueue"]).await;
    service.kill9();
    let service = site.start("one").await;
    let caller = Caller::new(&service, &client).await;
    json(caller.post("/api/v1/jobs/Stock%20in/resume", "").await, StatusCode::OK).await;
    caller.ended(&id).await;
    imported(&collector, &service, &id).await;
    let (service, trace) = exported(&collector, &site, service, &client).await;
    let log = service.log();
    for trace in [TRACE, &trace] {
        assert!(log.contains(&format!("\"trace_id\":\"{trace}\"")), "{trace} in {log}");
    }
    assert!(service.stop().await.success());
}

async fn imported(collector: &Collector, service: &Service, id: &str) {
    let steps = ["enqueue", "claim", "import", "stage", "land", "finish", "webhook"];
    let spans = collector.trace(TRACE, &steps).await;
    let enqueue = one(&spans, "enqueue");
    assert_eq!(enqueue.parent, "00f067aa0ba902b7", "the sender's span");
    assert_eq!(enqueue.service, "stock-keeper");
    for name in ["claim", "import", "webhook"] {
        assert_eq!(one(&spans, name).parent, enqueue.id, "{name}");
    }
    for name in ["stage", "land", "finish"] {
        assert_eq!(one(&spans, name).parent, one(&spans, "import").id, "{name}");
    }
    for span in &spans {
        assert_eq!(
            span.attributes.get("message.id").map(String::as_str),
            Some(id),
            "{span:?}"
        );
        assert_eq!(span.attributes.get("job.id").map(String::as_str), Some(IN), "{span:?}");
        assert_eq!(
            span.attributes.get("entity").map(String::as_str),
            Some("Stock on hand"),
            "{span:?}"
        );
        let attempt = if span.name == "enqueue" { "0" } else { "1" };
        if span.name != "webhook" {
            assert_eq!(
                span.attributes.get("attempt").map(String::as_str),
                Some(attempt),
                "{span:?}"
            );
        }
    }
    let land = &one(&spans, "land").attributes;
    assert_eq!(
        (land["records.applied"].as_str(), land["records.rejected"].as_str()),
        ("1", "1"),
        "{land:?}"
    );
    let hook = collector.call("/hook").await.traceparent;
    assert_eq!(hook, Some(format!("00-{TRACE}-{}-01", one(&spans, "webhook").id)));
    let log = service.log();
    let line = log
        .lines()
        .rfind(|line| line.contains("import ended"))
        .expect("a line about the end");
    for wanted in [id, TRACE, "Stock in"] {
        assert!(line.contains(wanted), "{wanted} in {line}");
    }
}

/// An export is one trace from its due time to the acknowledgement, which another process takes.
async fn exported(collector: &Collector, site: &Site, service: Service, client: &Credentials) -> (Service, String) {
    let caller = Caller::new(&service, client).await;
    let run = json(
        caller.post("/api/v1/jobs/Stock%20out/run", "").await,
        StatusCode::ACCEPTED,
    )
    .await;
    assert_eq!(run["state"], "due", "{run}");
    collector.call("/mirror").await;
    let trace = collector.named("due").await.trace;
    collector.trace(&trace, &["export", "queued", "destination"]).await;
    service.kill9();
    let service = site.start("one").await;
    let caller = Caller::new(&service, client).await;
    let leased = caller
        .post("/api/v1/jobs/Stock%20out/leases", json!({ "max": 1 }).to_string())
        .await;
    let leased = json(leased, StatusCode::OK).await;
    let lease = &leased["leases"][0];
    let payload = caller.get(lease["links"]["payload"].as_str().expect("a link")).await;
    assert_eq!(payload.status(), StatusCode::OK);
    payload.bytes().await.expect("the payload");
    let receipt: String = url::form_urlencoded::byte_serialize(text(lease, "receipt").as_bytes()).collect();
    json(
        caller.post(&format!("/api/v1/leases/{receipt}/ack"), "").await,
        StatusCode::OK,
    )
    .await;
    let steps = [
        "due",
        "snapshot",
        "file",
        "blob",
        "queued",
        "export",
        "destination",
        "lease",
        "download",
        "ack",
    ];
    let spans = collector.trace(&trace, &steps).await;
    let export = one(&spans, "export");
    assert_eq!(export.parent, "", "the run begins the trace");
    for name in ["due", "snapshot", "file", "blob", "queued"] {
        assert_eq!(one(&spans, name).parent, export.id, "{name}");
    }
    for name in ["destination", "lease", "download", "ack"] {
        let span = one(&spans, name);
        assert_eq!(span.parent, one(&spans, "queued").id, "{name}");
        assert_eq!(span.attributes.get("message.id"), Some(&text(lease, "id")), "{name}");
    }
    let mirror = collector.call("/mirror").await.traceparent;
    assert_eq!(mirror, Some(format!("00-{trace}-{}-01", one(&spans, "destination").id)));
    (service, trace)
}

/// The package API's clients get ids of their own choice; the trace is their sender's all the same.
#[tokio::test]
async fn a_package_that_is_imported_has_one_trace() {
    let collector = Collector::start().await;
    let (mut site, client) = package_imports::site_on(TestDatabase::sqlite()).await;
    site.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base);
    site.set("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &client).await;
    let asked = package_imports::uploaded(&caller, package_imports::package(0, 10), "traced").await;
    let submitted = http()
        .post(format!("{}{}ImportFromPackage", service.base, package_imports::ACTIONS))
        .bearer_auth(caller.token())
        .header("traceparent", SENT)
        .body(asked.to_string());
    json(submitted.send().await.expect("an answer"), StatusCode::OK).await;
    assert_eq!(package_imports::ended(&caller, "traced").await, "Succeeded");
    let spans = collector
        .trace(TRACE, &["enqueue", "claim", "import", "stage", "land", "finish"])
        .await;
    let enqueue = one(&spans, "enqueue");
    assert_eq!(enqueue.parent, "00f067aa0ba902b7", "the sender's span");
    assert_eq!(one(&spans, "import").parent, enqueue.id);
    assert!(service.stop().await.success());
}

/// A collector that is out of reach: work goes on, one line says so, and a stop does not wait for it.
#[tokio::test]
async fn a_collector_that_is_gone_costs_one_warning() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|taken| taken.local_addr())
        .expect("a port");
    let collector = Collector::start().await;
    let (mut site, client) = site(TestDatabase::sqlite(), &collector).await;
    site.set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{gone}"));
    let service = site.start("one").await;
    let caller = Caller::new(&service, &client).await;
    for round in 0..4 {
        let id = caller
            .push(
                "Stock%20in",
                "Stock on hand",
                format!("item,pieces\nnail,{round}\n").into(),
            )
            .await;
        assert_eq!(caller.ended(&id).await.status(), "Processed");
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
    let metrics = caller.get("/metrics").await.text().await.expect("metrics");
    let lost = metrics
        .lines()
        .find(|line| line.starts_with("tranship_trace_spans_total{outcome=\"lost\"}"));
    assert!(lost.is_some_and(|line| !line.ends_with(" 0")), "{lost:?}");
    let warnings = service
        .log()
        .lines()
        .filter(|line| line.contains("spans cannot be sent"))
        .count();
    assert_eq!(warnings, 1, "{}", service.log());
    let began = std::time::Instant::now();
    assert!(service.stop().await.success());
    assert!(
        began.elapsed() < std::time::Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
}

fn one<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let mut named = spans.iter().filter(|span| span.name == name);
    let found = named.next().unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(named.next().is_none(), "{name} twice in {spans:#?}");
    found
}

fn text(value: &Value, member: &str) -> String {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} in {value}"))
        .to_owned()
}
