//! A service that is away, and one that asks to be left alone.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::product::{Answer, Product};
use super::{STOCK, Scene, documents, external_ids, messages, stock};
use crate::on_both_databases;
use crate::service::Service;
use crate::support::databases::TestDatabase;
use crate::wire::Caller;

on_both_databases!(files_wait_for_a_service_that_is_away,);

const PATIENCE: Duration = Duration::from_mins(1);

/// A started agent, killed with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn files_wait_for_a_service_that_is_away(store: TestDatabase) {
    let scene = Scene::on(store).await;
    let first = scene.site.start("data").await;
    let address = first.base.strip_prefix("http://").expect("an address").to_owned();
    scene.configure(&first.base, &format!("retry_cap_seconds = 1\n{}", stock("")));
    scene.site.write("stock/in/1.csv", "item,quantity\n1,1\n");
    first.kill9();

    let log = std::fs::File::create(scene.path("agent.log")).expect("a log");
    let mut command = scene.command(&[]);
    command.stdin(Stdio::null()).stderr(log);
    let mut agent = Running(command.spawn().expect("it starts"));
    scene.site.write("stock/in/2.csv", "item,quantity\n2,1\n");
    let began = Instant::now();
    while scene.status("stock")["last_failure"].is_null() {
        assert!(began.elapsed() < PATIENCE, "it notices");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // No second agent works with its journal.
    let second = scene.once();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        super::said(&second).contains("another agent"),
        "{}",
        super::said(&second)
    );

    let mut again = scene.site.command(&["serve", "--listen", &address]);
    again.env("TRANSHIP_DATA_DIR", scene.site.data_dir("data"));
    let service = Service::start(again, &scene.site.data_dir("data")).await;
    let began = Instant::now();
    while scene.names("stock/success") != ["1.csv", "2.csv"] {
        let log = std::fs::read_to_string(scene.path("agent.log")).unwrap_or_default();
        assert!(began.elapsed() < PATIENCE, "{:?}\n{log}", scene.names("stock/success"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let caller = Caller::new(&service, &scene.tester).await;
    assert_eq!(external_ids(&messages(&caller, STOCK).await), ["1.csv", "2.csv"]);
    let pid = agent.0.id().to_string();
    let told = std::process::Command::new("kill").args(["-TERM", &pid]).status();
    assert!(told.expect("kill runs").success());
    assert_eq!(agent.0.wait().expect("it ends").code(), Some(0));
    let log = std::fs::read_to_string(scene.path("agent.log")).expect("a log");
    assert!(
        log.contains("agent ended") && log.contains("\"folder\":\"stock\""),
        "{log}"
    );
    assert!(service.stop().await.success());
}

/// OD-22 the right way round, RI-6, AUTH-1, AUTH-4: refusals for the time being are waited out as long as they ask, each
/// attempt with the same key; and a token of the first version for a user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_to_be_left_alone_is() {
    let product = Product::start().await;
    product.script(
        "/api/connector/enqueue/",
        vec![Answer::later(429, "2"), Answer::later(503, "1"), Answer::of(500, "{}")],
    );
    let scene = Scene::on(TestDatabase::sqlite()).await;
    product.configure(&scene, &stock(""));
    scene.site.write("stock/in/1.csv", "item,quantity\n1,1\n");
    scene.once_well();
    assert_eq!(scene.names("stock/success"), ["1.csv"]);

    let sent = product.requests("/api/connector/enqueue/");
    assert_eq!(sent.len(), 4);
    let waited = |one: usize| sent[one].at.duration_since(sent[one - 1].at);
    assert!(waited(1) >= Duration::from_secs(2), "{:?}", waited(1));
    assert!(waited(2) >= Duration::from_secs(1), "{:?}", waited(2));
    for request in &sent {
        assert_eq!(request.header("idempotency-key"), sent[0].header("idempotency-key"));
        assert_eq!(request.header("x-ms-dyn-externalidentifier"), Some("1.csv"));
        assert_eq!(request.body, b"item,quantity\n1,1\n");
        assert_eq!(request.header("authorization"), Some("Bearer the-token"));
        assert!(request.target.ends_with("?entity=Stock"), "{}", request.target);
    }
    let signed_in = product.requests("/contoso.example/oauth2/token");
    assert_eq!(signed_in.len(), 1);
    let form = String::from_utf8_lossy(&signed_in[0].body).into_owned();
    for part in [
        "grant_type=password",
        "username=robot",
        "client_id=app",
        "resource=http",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
}

/// A file that makes the server fail each time is given up, and the next one has its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_the_server_fails_at_again_and_again_is_given_up() {
    let product = Product::start().await;
    product.script(
        "/api/connector/enqueue/",
        vec![Answer::of(500, "{\"Message\":\"out of cheese\"}"); 2],
    );
    let scene = Scene::on(TestDatabase::sqlite()).await;
    product.configure(
        &scene,
        &format!("attempts_max = 2\nretry_cap_seconds = 1\n{}", stock("in_flight = 1\n")),
    );
    scene.site.write("stock/in/1.csv", "1");
    scene.site.write("stock/in/2.csv", "2");
    assert_eq!(scene.once().status.code(), Some(3));
    assert_eq!(scene.names("stock/success"), ["2.csv"]);
    let reasons = scene.reasons("stock/error/1.csv.errors.json");
    let reason = reasons["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("2 attempts") && reason.contains("out of cheese"),
        "{reason}"
    );
}

/// RI-10, RI-14, RI-20, RI-24: a message whose acknowledgement failed comes again, and is the same file. Whoever took the file away
/// meanwhile does not get it twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_offered_again_is_no_second_file() {
    let product = Product::start().await;
    let scene = Scene::on(TestDatabase::sqlite()).await;
    product.configure(&scene, &documents(""));
    product.script("/api/connector/ack/", vec![Answer::of(500, "")]);
    product.offer(1);
    assert_eq!(scene.once().status.code(), Some(3), "not acknowledged");
    assert_eq!(scene.names("documents"), ["0f7d5f53-51e8-4a0c-9b0b-2a4ad0a4a1b2.zip"]);
    product.offer(2);
    scene.once_well();
    assert_eq!(scene.names("documents").len(), 1, "{:?}", scene.names("documents"));
    std::fs::remove_file(scene.path("documents").join(&scene.names("documents")[0])).expect("taken");
    product.offer(1);
    scene.once_well();
    assert!(scene.names("documents").is_empty());
    let acknowledged = product.requests("/api/connector/ack/");
    let receipts: Vec<_> = acknowledged
        .iter()
        .map(|request| request.json()["PopReceipt"].clone())
        .collect();
    assert_eq!(receipts, ["r0", "r1", "r0", "r0"]);
    // The whole answer goes back, and the token to nobody but the server.
    assert_eq!(
        acknowledged[0].json()["FileDownLoadErrorMessage"],
        serde_json::Value::Null
    );
    assert!(acknowledged[0].json()["DownloadLocation"].is_string());
    assert_eq!(product.requests("/api/connector/download/").len(), 4);
}
