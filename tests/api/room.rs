//! A queue with a bound on its messages (`max_messages`): `/api/v1` is told to come back, the connector and the package API wait with the
//! body unread; nothing is stored, and whoever comes back when there is room is let in.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};
use crate::client::{Answered, relay, send};

crate::on_both_backends!(
    a_full_queue_takes_no_more_until_something_is_done,
    what_is_handed_out_counts_too,
    a_batch_is_taken_as_a_whole_or_not_at_all,
    many_at_once_do_not_go_past_the_bound,
    the_connector_waits_for_room_and_is_then_told_to_come_back,
    a_package_waits_for_room_and_its_id_is_free_again,
    a_correction_finds_no_room_either,
);

const NATIVE: &str = "/api/v1/jobs/Documents/messages";

async fn app(backend: Backend, wait_seconds: u32) -> TestApp {
    TestApp::with(backend, |setup| {
        relay(setup, "Documents", "max_messages = 3");
        relay(setup, "Others", "");
        relay(setup, "Unbounded", "max_messages = 0");
        setup.set("queue.max_messages", "2");
        setup.set("queue.admit_wait_seconds", wait_seconds.to_string());
    })
    .await
}

async fn enqueue(app: &TestApp, job: &str) -> Answered {
    send(app.enqueuing(job, "", "one"), &app.token).await
}

/// Enqueues again as long as the queue is said to be full: a moment, once there is room.
async fn until_there_is_room(app: &TestApp, job: &str) -> Value {
    for _ in 0..600 {
        let answer = enqueue(app, job).await;
        if answer.status != StatusCode::TOO_MANY_REQUESTS {
            return answer.expect(StatusCode::CREATED);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there is room in {job}, and nobody is let in");
}

/// Whether an answer says that the queue is full, and when to come back.
fn is_full(answer: Answered, job: &str, there: u32) -> Value {
    let seconds: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(seconds > 0);
    let problem = answer.expect(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(problem["code"], "too_many_messages");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains(job) && detail.contains(&format!("{there} messages")),
        "{detail}"
    );
    problem
}

async fn a_full_queue_takes_no_more_until_something_is_done(backend: Backend) {
    let app = app(backend, 1).await;
    for _ in 0..3 {
        app.put("Documents", "", "one").await;
    }
    for _ in 0..2 {
        is_full(enqueue(&app, "Documents").await, "Documents", 3);
    }
    // Each queue by itself, the settings' bound where the job has none, and none where it says so.
    for _ in 0..2 {
        app.put("Others", "", "one").await;
    }
    is_full(enqueue(&app, "Others").await, "Others", 2);
    for _ in 0..5 {
        app.put("Unbounded", "", "one").await;
    }
    assert_eq!(app.messages().await, 10, "nothing of what was refused is stored");

    let shown = Answered::read(app.get("/api/v1/jobs/Documents").await).await;
    let shown = shown.expect(StatusCode::OK);
    assert_eq!(
        (&shown["queue"]["waiting"], &shown["queue"]["max_messages"]),
        (&json!(3), &json!(3))
    );
    let shown = Answered::read(app.get("/api/v1/jobs/Unbounded").await).await;
    assert_eq!(shown.expect(StatusCode::OK)["queue"]["max_messages"], Value::Null);
    let metrics = app.get("/metrics").await.text().await.unwrap();
    for line in [
        "tranship_queue_max_messages{job=\"Documents\"} 3",
        "tranship_queue_max_messages{job=\"Unbounded\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}");
    }

    let lease = app.lease("Documents", json!({ "max": 1 })).await.remove(0);
    app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
    until_there_is_room(&app, "Documents").await;
    is_full(enqueue(&app, "Documents").await, "Documents", 3);
}

/// Otherwise whoever takes messages and keeps them could enqueue without end.
async fn what_is_handed_out_counts_too(backend: Backend) {
    let app = app(backend, 1).await;
    for _ in 0..3 {
        app.put("Documents", "", "one").await;
    }
    assert_eq!(app.lease("Documents", json!({ "max": 3 })).await.len(), 3);
    is_full(enqueue(&app, "Documents").await, "Documents", 3);
}

async fn a_batch_is_taken_as_a_whole_or_not_at_all(backend: Backend) {
    let app = app(backend, 1).await;
    let path = format!("{NATIVE}/batch");
    let batch = |count: usize| json!({ "messages": vec![json!({ "text": "one" }); count] });
    app.post_json(&path, &batch(2)).await.expect(StatusCode::OK);
    is_full(app.post_json(&path, &batch(2)).await, "Documents", 2);
    assert_eq!(app.messages().await, 2);
    app.post_json(&path, &batch(1)).await.expect(StatusCode::OK);
    // More than there is ever room for: to come back would not help.
    let never = app.post_json(&path, &batch(4)).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(never["code"], "invalid_batch");
    assert!(never["detail"].as_str().unwrap().contains("no more than 3"), "{never}");
    assert_eq!(app.messages().await, 3);
}

async fn many_at_once_do_not_go_past_the_bound(backend: Backend) {
    let app = app(backend, 1).await;
    let answers = join_all((0..40).map(|_| enqueue(&app, "Documents"))).await;
    let taken = answers.iter().filter(|answer| answer.status == StatusCode::CREATED);
    let taken = taken.count();
    assert_eq!(app.messages().await, taken);
    assert!((1..=3).contains(&taken), "{taken} were taken");
    assert!(
        answers
            .iter()
            .all(|answer| { answer.status == StatusCode::CREATED || answer.body["code"] == "too_many_messages" })
    );
    // Who gave up keeps no room.
    for _ in taken..3 {
        until_there_is_room(&app, "Documents").await;
    }
}

fn connector(app: &TestApp) -> tokio::task::JoinHandle<Answered> {
    let path = format!("/api/connector/enqueue/{}", app.job("Documents"));
    let request = app.request(Method::POST, &path).bearer_auth(&app.token).body("one");
    tokio::spawn(async move { Answered::read(request.send().await.unwrap()).await })
}

/// Never a 429 (RI-6a).
async fn the_connector_waits_for_room_and_is_then_told_to_come_back(backend: Backend) {
    let app = app(backend, 2).await;
    for _ in 0..3 {
        app.put("Documents", "", "one").await;
    }
    let began = Instant::now();
    let refused = connector(&app).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "it waits");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u32>().is_ok());
    let body = refused.expect(StatusCode::SERVICE_UNAVAILABLE);
    let message = body["Message"].as_str().unwrap();
    assert!(
        message.contains("3 messages") && message.contains("nothing was stored"),
        "{message}"
    );
    assert_eq!(app.messages().await, 3);

    // Whoever waits holds nobody up, and gets in when something is done.
    for _ in 0..10 {
        let waiting = connector(&app);
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.put("Unbounded", "", "one").await;
        if let Some(lease) = app.lease("Documents", json!({ "max": 1 })).await.pop() {
            app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
        }
        let answer = waiting.await.unwrap();
        if answer.status == StatusCode::OK {
            return;
        }
        answer.expect(StatusCode::SERVICE_UNAVAILABLE);
    }
    panic!("there was room, and nobody who waited was let in");
}

const PROJECT: &str = r#"
id = "00000000-0000-4000-8000-00000000d1d1"
name = "Orders and customers"
direction = "import"
clients = ["shop", "tester"]
[queue]
max_messages = 1
[import]
format = "csv"
[[import.entities]]
entity = "Customers"
map = { CustomerID = "customer_account" }
"#;

async fn importing(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        setup.file("jobs/orders-and-customers.toml", PROJECT);
        setup.set("queue.admit_wait_seconds", "1");
    })
    .await
}

async fn a_package_waits_for_room_and_its_id_is_free_again(backend: Backend) {
    use crate::package_imports::{act_as, asked, one_customer, summary, upload};
    let app = importing(backend).await;
    let url = upload(&app, one_customer("AAAAA")).await;
    let import = |id: &'static str| {
        let asked = asked(&url, "Orders and customers", id);
        let app = &app;
        async move { act_as(app, &app.token, "ImportFromPackage", &asked).await }
    };
    import("first").await.expect(StatusCode::OK);
    let refused = import("second").await;
    assert!(refused.headers.contains_key("retry-after"));
    let body = refused.expect(StatusCode::SERVICE_UNAVAILABLE).to_string();
    assert!(
        body.contains("1 messages are in the queue of `Orders and customers`"),
        "{body}"
    );
    assert_eq!(app.messages().await, 1);
    // The same again is no message more.
    import("first").await.expect(StatusCode::OK);
    app.run_until_idle().await;
    import("second").await.expect(StatusCode::OK);
    app.run_until_idle().await;
    assert_eq!(summary(&app, "second").await, "Succeeded");
}

async fn a_correction_finds_no_room_either(backend: Backend) {
    let app = importing(backend).await;
    let job = "Orders and customers";
    let bad = app.import(job, "Customers", "CustomerID,CompanyName\r\n,One\r\n").await;
    assert_eq!(bad["records"]["rejected"], 1, "{bad}");
    app.enqueue(job, "Customers", "CustomerID,CompanyName\r\nAAAAA,One\r\n")
        .await;
    let path = format!("/api/v1/messages/{}/resubmit", bad["id"].as_str().unwrap());
    let corrected = app
        .request(Method::POST, &path)
        .body("CustomerID,CompanyName\r\nBBBBB,One\r\n");
    is_full(send(corrected, &app.token).await, job, 1);
    assert_eq!(app.messages().await, 2);
}
