//! Web services.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{app, destinations, service, setup};
use crate::app::{Backend, TestApp};
use crate::webhooks::receiver::{Receiver, Reply};

crate::on_both_backends!(
    a_service_gets_the_file_its_digest_and_the_secret_that_nobody_else_sees,
    what_a_service_answers_says_how_it_goes_on,
    attempts_are_bounded,
    a_file_whose_arrival_nobody_noted_comes_again_under_the_same_key,
    a_token_is_asked_for_once_and_again_when_it_is_not_taken,
    a_client_that_the_token_endpoint_refuses_is_not_tried_again,
    where_may_not_be_sent_to_nothing_is_sent,
    a_large_file_is_sent_whole,
);

const BASIC: &str = "method = \"PUT\"\npath = \"stock/{due:%Y}/\"\nheaders = { \"Content-Type\" = \"text/csv\", X-Source = \"here\" }\n\
    auth = { kind = \"basic\", username = \"us\", secret_file = \"SECRET\" }";

/// Lines with `SECRET` in them name a file that holds one.
async fn app_with_secret(backend: Backend, receiver: &Receiver, lines: &str) -> TestApp {
    let app = TestApp::with(backend, |s| {
        let jobs = s.settings.iter().find(|(key, _)| key == "jobs_dir").unwrap().1.clone();
        s.file("jobs/secret", "hush hush\n");
        let lines = lines.replace("SECRET", &format!("{jobs}/secret"));
        setup(s, &destinations(&service("erp", receiver, &lines)));
    })
    .await;
    app.stock_up("insert into stock (item, quantity) values ('a', 1)").await;
    app
}

async fn a_service_gets_the_file_its_digest_and_the_secret_that_nobody_else_sees(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_with_secret(backend, &receiver, BASIC).await;
    let message = app.export().await;
    app.bring().await;
    let came = receiver.only();
    assert_eq!(
        (came.method.as_str(), came.path.as_str()),
        ("PUT", "/in/stock/2026/stock%2020260105-080000.csv?key=k")
    );
    assert_eq!(came.body, "item,quantity\r\na,1\r\n");
    let shown = app.message(&message).await;
    assert_eq!(came.headers["content-digest"], shown["digest"].as_str().unwrap());
    assert_eq!(came.headers["idempotency-key"], format!("{message}.erp"));
    assert_eq!(came.headers["content-type"], "text/csv");
    assert_eq!(came.headers["x-source"], "here");
    assert_eq!(came.headers["authorization"], "Basic dXM6aHVzaCBodXNo", "us:hush hush");
    let delivery = app.brought(&message, "erp").await;
    assert_eq!(
        (
            &delivery["state"],
            &delivery["last_answer"]["status"],
            &delivery["last_answer"]["detail"]
        ),
        (&json!("delivered"), &json!(200), &json!("thank you"))
    );
    let told = delivery.to_string();
    assert!(!told.contains("hush") && !told.contains("key=k"), "{told}");
}

/// What a delivery shows after this answer.
async fn after(backend: Backend, reply: Reply) -> (TestApp, Receiver, Value) {
    let receiver = Receiver::start().await;
    let app = app(backend, &destinations(&service("erp", &receiver, ""))).await;
    receiver.replies([reply]);
    let message = app.export().await;
    app.bring().await;
    let delivery = app.brought(&message, "erp").await;
    (app, receiver, delivery)
}

async fn what_a_service_answers_says_how_it_goes_on(backend: Backend) {
    for code in [400, 401, 404, 302] {
        let (app, receiver, delivery) = after(backend, Reply::Status(code, "location: /there\r\n", "no thanks")).await;
        assert_eq!(delivery["state"], "failed", "{code}");
        assert_eq!(delivery["last_answer"]["status"], code);
        app.clock.advance_seconds(20_000);
        app.bring().await;
        assert_eq!(receiver.received().len(), 1, "{code} is not tried again");
        let failed = app
            .body(&format!(
                "/api/v1/jobs/{}/deliveries?state=failed",
                app.job("Stock out")
            ))
            .await;
        assert_eq!(failed["deliveries"][0]["id"], delivery["id"]);
        assert_eq!(app.bring_again(&delivery).await, StatusCode::ACCEPTED);
        app.bring().await;
        assert_eq!(receiver.received().len(), 2, "a replay is");
    }
    let (app, receiver, delivery) = after(backend, Reply::Status(429, "retry-after: 500\r\n", "")).await;
    assert_eq!(
        (&delivery["state"], &delivery["next_attempt_at"]),
        (&json!("pending"), &json!("2026-01-05T08:08:20Z"))
    );
    app.clock.advance_seconds(499);
    app.bring().await;
    assert_eq!(receiver.received().len(), 1, "it asked for more time");
    app.clock.advance_seconds(1);
    app.bring().await;
    assert_eq!(receiver.received().len(), 2);
    for code in [408, 503] {
        let (.., delivery) = after(backend, Reply::Status(code, "", "")).await;
        assert_eq!(delivery["state"], "pending", "{code}");
    }
}

async fn attempts_are_bounded(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = TestApp::with(backend, |s| {
        setup(s, &destinations(&service("erp", &receiver, "")));
        s.set("destinations.max_attempts", "3");
    })
    .await;
    app.stock_up("insert into stock (item, quantity) values ('a', 1)").await;
    receiver.always(Reply::Status(500, "", "down"));
    let message = app.export().await;
    for _ in 0..6 {
        app.bring().await;
        app.clock.advance_seconds(4000);
    }
    assert_eq!(receiver.received().len(), 3);
    assert_eq!(app.brought(&message, "erp").await["state"], "failed");
}

async fn a_file_whose_arrival_nobody_noted_comes_again_under_the_same_key(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app(backend, &destinations(&service("erp", &receiver, ""))).await;
    let message = app.export().await;
    app.bring().await;
    app.forget_arrivals().await;
    app.clock.advance_seconds(61);
    app.bring().await;
    let came = receiver.received();
    assert_eq!(came.len(), 2);
    assert_eq!(came[0].headers["idempotency-key"], came[1].headers["idempotency-key"]);
    assert_eq!(came[0].body, came[1].body);
    assert_eq!(app.brought(&message, "erp").await["state"], "delivered");
}

fn oauth2(receiver: &Receiver) -> String {
    format!(
        "[export.destinations.auth]\nkind = \"oauth2\"\ntoken_url = \"{}\"\nclient_id = \"us\"\nscope = \"all of it\"\n\
         secret_file = \"SECRET\"",
        receiver.url("/token")
    )
}

async fn a_token_is_asked_for_once_and_again_when_it_is_not_taken(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_with_secret(backend, &receiver, &oauth2(&receiver)).await;
    receiver.replies([
        Reply::Status(200, "", r#"{"access_token":"one","expires_in":3600}"#),
        Reply::Status(200, "", ""),
        Reply::Status(200, "", ""),
        Reply::Status(401, "", ""),
        Reply::Status(200, "", r#"{"access_token":"two","expires_in":"3600"}"#),
        Reply::Status(200, "", ""),
    ]);
    for _ in 0..3 {
        app.export().await;
        app.bring().await;
    }
    let came: Vec<(String, String)> = receiver
        .received()
        .into_iter()
        .map(|came| {
            let authorization = came.headers.get("authorization").cloned().unwrap_or_default();
            (came.path, authorization)
        })
        .collect();
    let wanted = [
        ("/token", ""),
        ("/in?key=k", "Bearer one"),
        ("/in?key=k", "Bearer one"),
        ("/in?key=k", "Bearer one"),
        ("/token", ""),
        ("/in?key=k", "Bearer two"),
    ];
    assert_eq!(came, wanted.map(|(path, bearer)| (path.to_owned(), bearer.to_owned())));
    assert_eq!(
        receiver.received()[0].body,
        "grant_type=client_credentials&client_id=us&client_secret=hush+hush&scope=all+of+it"
    );
}

async fn a_client_that_the_token_endpoint_refuses_is_not_tried_again(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_with_secret(backend, &receiver, &oauth2(&receiver)).await;
    receiver.replies([Reply::Status(
        401,
        "",
        r#"{"error":"invalid_client","hush":"hush hush"}"#,
    )]);
    let message = app.export().await;
    app.bring().await;
    let delivery = app.brought(&message, "erp").await;
    assert_eq!(delivery["state"], "failed");
    assert_eq!(
        delivery["last_answer"]["detail"],
        "token endpoint: HTTP 401 invalid_client"
    );
}

async fn where_may_not_be_sent_to_nothing_is_sent(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = TestApp::with(backend, |s| {
        setup(s, &destinations(&service("erp", &receiver, "")));
        s.set("destinations.allow_private", "false");
    })
    .await;
    app.stock_up("insert into stock (item, quantity) values ('a', 1)").await;
    let message = app.export().await;
    app.bring().await;
    let delivery = app.brought(&message, "erp").await;
    assert_eq!(delivery["state"], "failed");
    let said = delivery["last_answer"]["detail"].as_str().unwrap();
    assert!(said.contains("destinations.allow_private"), "{said}");
    assert_eq!(receiver.connections(), 0);
}

async fn a_large_file_is_sent_whole(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app(backend, &destinations(&service("erp", &receiver, ""))).await;
    // More than is kept in the store's own rows: the payload is a blob, read as it is sent.
    app.stock_up(
        "insert into stock (item, quantity) with recursive n (i) as (select 1 union all select i + 1 from n where i < 50000) \
         select cast(i as text), i from n",
    )
    .await;
    let message = app.export().await;
    app.bring().await;
    let came = receiver.only();
    assert_eq!(
        came.body.len() as u64,
        app.message(&message).await["bytes"].as_u64().unwrap()
    );
    assert_eq!(came.body.lines().count(), 50_002);
}
