//! Clients over HTTP: admins alone manage them, and never lock themselves all out.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::audit::somebody;
use crate::client::{Answered, relay, send};

crate::on_both_backends!(
    a_client_is_added_gets_a_new_secret_another_role_and_is_revoked,
    each_role_does_what_the_table_says,
    the_last_admin_cannot_be_taken_away,
    what_cannot_be_is_refused,
    when_a_client_was_last_used_is_told_to_the_minute,
);

async fn post(app: &TestApp, token: &str, path: &str, body: Value) -> Answered {
    send(app.request(Method::POST, path).json(&body), token).await
}

async fn listed(app: &TestApp, token: &str, name: &str) -> Value {
    let body = send(app.request(Method::GET, "/api/v1/clients"), token).await;
    let body = body.expect(StatusCode::OK);
    let clients = body["clients"].as_array().unwrap();
    clients.iter().find(|client| client["name"] == name).unwrap().clone()
}

async fn a_client_is_added_gets_a_new_secret_another_role_and_is_revoked(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Documents", "")).await;
    let boss = somebody(&app, "boss", "admin").await;
    let asked = json!({ "name": "archive", "role": "client" });
    let added = post(&app, &boss, "/api/v1/clients", asked.clone())
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(
        (&added["client_id"], &added["role"]),
        (&json!("archive"), &json!("client"))
    );
    let first = added["client_secret"].as_str().unwrap();
    let token = app.token_of("archive", first).await;
    let shown = listed(&app, &boss, "archive").await;
    assert_eq!(shown["jobs"], json!(["Documents"]));
    assert!(shown.get("secret_hash").is_none(), "{shown}");
    post(&app, &boss, "/api/v1/clients", asked)
        .await
        .expect(StatusCode::CONFLICT);

    let rotated = post(&app, &boss, "/api/v1/clients/ARCHIVE/rotate", json!({})).await;
    let rotated = rotated.expect(StatusCode::OK);
    let second = rotated["client_secret"].as_str().unwrap();
    assert_ne!(first, second);
    app.token_of("archive", second).await;

    let stop = "/api/v1/jobs/Nightly%20sales%20orders/pause";
    post(&app, &token, stop, json!({})).await.expect(StatusCode::FORBIDDEN);
    let role = post(
        &app,
        &boss,
        "/api/v1/clients/archive/role",
        json!({ "role": "operator" }),
    )
    .await;
    assert_eq!(role.expect(StatusCode::OK)["role"], "operator");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    post(&app, &token, stop, json!({})).await.expect(StatusCode::OK);

    post(&app, &boss, "/api/v1/clients/archive/revoke", json!({}))
        .await
        .expect(StatusCode::OK);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    post(&app, &token, stop, json!({})).await.expect(StatusCode::FORBIDDEN);
    assert!(listed(&app, &boss, "archive").await["revoked_at"].is_string());
    post(&app, &boss, "/api/v1/clients/archive/rotate", json!({}))
        .await
        .expect(StatusCode::NOT_FOUND);
}

/// The table of docs/operating.md: what each role gets for a request that would do.
async fn each_role_does_what_the_table_says(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let id = app
        .enqueue("Inbound customers", "Customers", "CustomerID,CompanyName\r\nA,B\r\n")
        .await;
    app.run_until_idle().await;
    let get = |path: &str| (Method::GET, path.to_owned());
    let act = |path: &str| (Method::POST, path.to_owned());
    // Requests, and the answers to admin, operator, viewer, integrator, client: both of the latter are listed by no job.
    let table = [
        (get("/api/v1/jobs/Inbound%20customers"), [200, 200, 200, 404, 404]),
        (get(&format!("/api/v1/messages/{id}")), [200, 200, 200, 404, 404]),
        (get("/api/v1/entities/Customers"), [200, 200, 200, 404, 404]),
        (act(&format!("/api/v1/messages/{id}/cancel")), [409, 409, 403, 404, 404]),
        (act(&format!("/api/v1/messages/{id}/retry")), [409, 409, 403, 404, 404]),
        (
            act("/api/v1/jobs/Inbound%20customers/resume"),
            [409, 409, 403, 403, 403],
        ),
        (act("/api/v1/jobs/Inbound%20customers/run"), [400, 400, 403, 403, 403]),
        (get("/api/v1/audit"), [200, 200, 200, 403, 403]),
        (get("/api/v1/audit/verify"), [200, 403, 403, 403, 403]),
        (get("/api/v1/clients"), [200, 403, 403, 403, 403]),
        (act("/api/v1/clients"), [400, 403, 403, 403, 403]),
        (act("/api/v1/clients/nobody/rotate"), [404, 403, 403, 403, 403]),
        (act("/api/v1/clients/nobody/role"), [400, 403, 403, 403, 403]),
        (act("/api/v1/clients/nobody/revoke"), [404, 403, 403, 403, 403]),
        (act("/data/DataManagementDefinitionGroups"), [400, 400, 403, 400, 403]),
    ];
    for (at, role) in ["admin", "operator", "viewer", "integrator", "client"]
        .into_iter()
        .enumerate()
    {
        let token = somebody(&app, &format!("a-{role}"), role).await;
        for ((method, path), answers) in &table {
            let mut request = app.request(method.clone(), path);
            if path.starts_with("/data") {
                request = request.json(&json!({}));
            }
            let answer = send(request, &token).await;
            assert_eq!(
                answer.status.as_u16(),
                answers[at],
                "{role} {method} {path}: {}",
                answer.body
            );
        }
    }
}

async fn the_last_admin_cannot_be_taken_away(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let boss = somebody(&app, "boss", "admin").await;
    for (action, body) in [("role", json!({ "role": "viewer" })), ("revoke", json!({}))] {
        let refused = post(&app, &boss, &format!("/api/v1/clients/boss/{action}"), body).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(
            refused.text("detail").contains("`boss` is the only admin"),
            "{}",
            refused.body
        );
    }
    somebody(&app, "deputy", "admin").await;
    let role = json!({ "role": "viewer" });
    post(&app, &boss, "/api/v1/clients/boss/role", role)
        .await
        .expect(StatusCode::OK);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let list = send(app.request(Method::GET, "/api/v1/clients"), &boss).await;
    assert_eq!(list.status, StatusCode::FORBIDDEN, "it is a viewer now");
}

async fn what_cannot_be_is_refused(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let boss = somebody(&app, "boss", "admin").await;
    for (path, body, code) in [
        ("", json!({ "name": " x" }), "invalid_name"),
        ("", json!({ "name": "x", "role": "king" }), "invalid_role"),
        ("", json!({ "name": "x", "sudo": true }), "invalid_json"),
        ("/boss/role", json!({ "role": "king" }), "invalid_role"),
        ("/nobody/revoke", json!({}), "not_found"),
    ] {
        let answer = post(&app, &boss, &format!("/api/v1/clients{path}"), body).await;
        assert_eq!(answer.text("code"), code, "{path}");
    }
}

/// Written beside the requests, once a minute at most.
async fn when_a_client_was_last_used_is_told_to_the_minute(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let boss = somebody(&app, "boss", "admin").await;
    let shop = somebody(&app, "shop", "client").await;
    assert_eq!(listed(&app, &boss, "shop").await["last_used_at"], Value::Null);
    let use_it = async || {
        send(app.request(Method::GET, "/api/v1/jobs"), &shop)
            .await
            .expect(StatusCode::OK)
    };
    let written = async || {
        app.api.last_uses.write(&app.context.store).await.unwrap();
        listed(&app, &boss, "shop").await["last_used_at"].clone()
    };
    use_it().await;
    let first = written().await;
    let now = app.clock.now();
    let minute = tranship::domain::time::Timestamp(now.micros().div_euclid(60_000_000) * 60_000_000);
    assert_eq!(first, minute.wire());

    // Nothing new within the minute: what somebody else wrote meanwhile stays.
    crate::support::databases::run(&app.store.url, "update clients set last_used_at = null").await;
    app.api.last_uses.note("shop", now);
    assert_eq!(written().await, Value::Null);
    app.api.last_uses.note("shop", now.plus_seconds(60));
    assert_eq!(written().await, minute.plus_seconds(60).wire());
    // Another process that is behind takes nothing back.
    let late = vec![("SHOP".to_owned(), minute)];
    app.context.store.note_client_uses(late).await.unwrap();
    assert_eq!(written().await, minute.plus_seconds(60).wire());
}
