//! What is told, to whom, and signed with what.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::receiver::{Receiver, Reply};
use super::{CUSTOMERS, OLDER_SECRET, SECRET, app_telling, app_with, job};
use crate::app::Backend;

crate::on_both_backends!(
    an_outcome_is_told_signed_with_every_secret,
    only_the_ends_a_job_names_are_told,
    a_message_may_name_its_own_webhook_where_its_job_lets_it,
    a_ping_is_tried_once_and_only_those_who_may_use_the_job_send_one,
    a_secret_that_is_missing_is_named_and_waited_for,
);

async fn an_outcome_is_told_signed_with_every_secret(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_with(backend, &receiver, |setup| {
        setup.set("server.public_url", "https://tranship.example.com/");
    })
    .await;
    let id = app.end_a_message().await;
    app.send_webhooks().await;
    let request = receiver.only();
    assert_eq!(request.path, "/hook?key=k");
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["webhook-timestamp"], "1767600000");
    assert!(request.is_signed_with(SECRET) && request.is_signed_with(OLDER_SECRET));
    assert!(!request.is_signed_with("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    let mut forged = request.clone();
    forged.body = forged.body.replace("ProcessedWithErrors", "Processed");
    assert!(!forged.is_signed_with(SECRET), "another body");
    let mut forged = request.clone();
    forged
        .headers
        .insert("webhook-timestamp".to_owned(), "1767600001".to_owned());
    assert!(!forged.is_signed_with(SECRET), "another time");

    let body = request.json();
    assert_eq!(body["type"], "message.finished");
    assert_eq!(body["timestamp"], "2026-01-05T08:00:00Z");
    let (data, message) = (&body["data"], app.message(&id).await);
    assert_eq!(data["status"], "ProcessedWithErrors");
    assert_eq!(data["records"]["rejected"], 1);
    for member in [
        "id",
        "job",
        "job_id",
        "status",
        "external_id",
        "entity",
        "company",
        "failure",
        "records",
    ] {
        assert_eq!(data[member], message[member], "{member}");
    }
    assert_eq!(
        data["links"]["self"],
        format!("https://tranship.example.com/api/v1/messages/{id}")
    );
    let delivery = app.delivery().await;
    assert_eq!(delivery["state"], "delivered", "{delivery:#}");
    assert_eq!(delivery["id"], request.id());
    assert_eq!(delivery["message"], json!(id));
    assert_eq!(delivery["last_answer"]["status"], 200);
    assert_eq!(delivery["last_answer"]["detail"], "thank you");
    assert_eq!(
        delivery["url"],
        receiver.url("/hook"),
        "without the query, which holds the receiver's key"
    );
    app.clock.advance_seconds(3600);
    app.send_webhooks().await;
    receiver.only();
}

async fn only_the_ends_a_job_names_are_told(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_with(backend, &receiver, |setup| {
        let url = receiver.url("/acks");
        job(setup, &format!("url = \"{url}\"\non = [\"Processed\", \"PreProcessingError\"]"));
        let relay = format!(
            "id = \"00000000-0000-4000-8000-0000000000cd\"\nname = \"Told relay\"\ndirection = \"relay\"\nclients = [\"shop\"]\n\
             [webhook]\nurl = \"{url}\"\nsecret_env = \"NOBODY_SETS_THIS\"\n"
        );
        setup.file("jobs/told-relay.toml", &relay);
    })
    .await;
    app.end_a_message().await;
    assert!(app.deliveries("").await.is_empty(), "it ended with errors");
    let good = "CustomerID,CompanyName\r\nCCCCC,Three\r\n";
    let processed = app.import("Told customers", "Customers", good).await;
    let broken = app
        .import("Told customers", "Customers", "Nothing,Known\r\n1,2\r\n")
        .await;
    assert_eq!(broken["status"], "PreProcessingError");
    app.send_webhooks().await;
    let told: BTreeSet<String> = receiver
        .received()
        .iter()
        .map(|r| r.json()["data"]["id"].to_string())
        .collect();
    assert_eq!(
        told,
        [&processed, &broken].map(|message| message["id"].to_string()).into()
    );
    // An acknowledgement ends a message too; without `on` every end is told, and this one cannot be signed.
    app.enqueue("Told relay", "x", "bytes").await;
    let path = |verb: &str| format!("/api/connector/{verb}/{}", app.job("Told relay"));
    let delivery = app.get(&path("dequeue")).await.text().await.unwrap();
    for _ in 0..2 {
        assert_eq!(app.post(&path("ack"), delivery.clone()).await.status(), StatusCode::OK);
    }
    let told = app.deliveries("?job=told%20relay").await;
    assert_eq!(told.len(), 1, "acknowledged twice, ended once: {told:#?}");
    assert_eq!(told[0]["state"], "pending");
}

async fn a_message_may_name_its_own_webhook_where_its_job_lets_it(backend: Backend) {
    let (receiver, own) = (Receiver::start().await, Receiver::start().await);
    let app = app_with(backend, &receiver, |setup| {
        job(
            setup,
            &format!("url = \"{}\"\nper_message = true", receiver.url("/job")),
        );
        setup.set("webhooks.allow_http", "true");
    })
    .await;
    let enqueue = async |job: &str, url: &str| {
        let path = format!("/api/v1/jobs/{}/messages?entity=Customers", app.job(job));
        let request = app.request(Method::POST, &path).bearer_auth(&app.token);
        let answer = request
            .header("Tranship-Webhook", url)
            .body(CUSTOMERS)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (status, message) = enqueue("Told customers", &own.url("/mine")).await;
    assert_eq!(status, StatusCode::CREATED, "{message:#}");
    app.end_a_message().await;
    app.send_webhooks().await;
    assert_eq!(own.only().json()["data"]["id"], message["id"]);
    assert!(own.only().is_signed_with(SECRET));
    assert_ne!(
        receiver.only().json()["data"]["id"],
        message["id"],
        "the other message's"
    );

    let stored = app.messages().await;
    for (job, url, code) in [
        ("Inbound customers", own.url("/"), "webhook_not_allowed"),
        ("Told customers", "ftp://example.com/".to_owned(), "invalid_webhook"),
        (
            "Told customers",
            format!("https://example.com/{}", "x".repeat(2000)),
            "invalid_webhook",
        ),
    ] {
        let (status, problem) = enqueue(job, &url).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some(code)),
            "{problem}"
        );
    }
    assert_eq!(app.messages().await, stored, "nothing was stored");
}

async fn a_ping_is_tried_once_and_only_those_who_may_use_the_job_send_one(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_telling(backend, &receiver).await;
    let ping = async |token: &str, job: &str| {
        let path = format!("/api/v1/jobs/{}/webhook/test", app.job(job));
        app.request(Method::POST, &path)
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
    };
    let answer = ping(&app.token, "Told customers").await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    app.send_webhooks().await;
    let body = receiver.only().json();
    assert_eq!(
        (&body["type"], &body["data"]["job"]),
        (&json!("ping"), &json!("Told customers"))
    );
    let delivery: Value = app.get(&location).await.json().await.unwrap();
    assert_eq!((&delivery["state"], &delivery["body"]), (&json!("delivered"), &body));

    receiver.replies([Reply::Status(500, "", "")]);
    ping(&app.token, "Told customers").await;
    app.send_webhooks().await;
    assert_eq!(app.deliveries("?state=dead").await.len(), 1);

    let problem: Value = ping(&app.token, "Inbound customers").await.json().await.unwrap();
    assert_eq!(problem["code"], "no_webhook");
    let (listed, stranger) = (app.client("shop").await, app.client("stranger").await);
    assert_eq!(ping(&listed, "Told customers").await.status(), StatusCode::ACCEPTED);
    assert_eq!(ping(&stranger, "Told customers").await.status(), StatusCode::FORBIDDEN);
    let seen = async |token: &str| {
        let answer = app
            .request(Method::GET, "/api/v1/webhooks?limit=2")
            .bearer_auth(token)
            .send()
            .await;
        answer.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(seen(&stranger).await["deliveries"], json!([]));
    let hidden = app
        .request(Method::GET, &location)
        .bearer_auth(&stranger)
        .send()
        .await
        .unwrap();
    assert_eq!(hidden.status(), StatusCode::NOT_FOUND);
    let page = seen(&listed).await;
    assert_eq!(page["deliveries"].as_array().unwrap().len(), 2);
    let rest = app
        .deliveries(&format!("?before={}", page["next"].as_str().unwrap()))
        .await;
    assert_eq!(rest.len(), 1, "{rest:#?}");
    for query in ["state=gone", "before=x", "limit=0"] {
        let answer = app.get(&format!("/api/v1/webhooks?{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
    }
}

async fn a_secret_that_is_missing_is_named_and_waited_for(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_telling(backend, &receiver).await;
    let file = app.folder.join("jobs/secret");
    std::fs::remove_file(&file).unwrap();
    app.end_a_message().await;
    app.send_webhooks().await;
    let delivery = app.delivery().await;
    assert_eq!(delivery["state"], "pending");
    let detail = delivery["last_answer"]["detail"].as_str().unwrap();
    assert!(detail.contains(&file.display().to_string()), "{detail}");
    assert_eq!(receiver.connections(), 0, "nothing is sent unsigned");
    std::fs::write(&file, OLDER_SECRET).unwrap();
    app.clock.advance_seconds(10);
    app.send_webhooks().await;
    assert!(receiver.only().is_signed_with(OLDER_SECRET) && !receiver.only().is_signed_with(SECRET));
}
