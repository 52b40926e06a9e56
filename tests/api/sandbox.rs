//! The sandbox as developers of clients meet it: what it does on purpose, and that nothing of it is there without the flag.

mod clock;
mod delivery;
mod journal;
mod requests;
mod reset;
mod statuses;
mod tokens;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};
use crate::client::{Answered, relay, send};

crate::on_both_backends!(
    without_the_flag_there_is_nothing_of_it,
    only_operators_play,
    a_fault_that_makes_no_sense_is_refused_with_what_would,
    faults_are_named_listed_and_removed_one_by_one_or_all,
);

/// A sandbox with a relay job `Letters` and clients `shop` and `archive` that may use it.
async fn sandbox(backend: Backend) -> TestApp {
    sandbox_with(backend, |_| {}).await
}

async fn sandbox_with(backend: Backend, change: impl FnOnce(&mut Setup)) -> TestApp {
    TestApp::with(backend, |setup| {
        setup.set("sandbox.enabled", "true");
        relay(setup, "Letters", "");
        change(setup);
    })
    .await
}

/// Asks the sandbox for something as `tester`.
async fn ask(app: &TestApp, method: Method, path: &str, body: Option<Value>) -> Answered {
    let mut request = app.request(method, &format!("/api/v1/sandbox{path}"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    send(request, &app.token).await
}

async fn add(app: &TestApp, fault: Value) -> Value {
    ask(app, Method::POST, "/faults", Some(fault))
        .await
        .expect(StatusCode::CREATED)
}

/// The fault of this name, as it is listed.
async fn fault(app: &TestApp, name: &str) -> Value {
    let listed = ask(app, Method::GET, "/faults", None).await.expect(StatusCode::OK);
    let faults = listed["faults"].as_array().unwrap();
    faults
        .iter()
        .find(|fault| fault["name"] == name)
        .unwrap_or_else(|| panic!("{name} in {listed}"))
        .clone()
}

async fn without_the_flag_there_is_nothing_of_it(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.set("sandbox.tokens.abc", "erp");
    })
    .await;
    let unknown = ask(&app, Method::GET, "x/../../nothing", None).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    for (method, path) in [
        (Method::GET, ""),
        (Method::GET, "/faults"),
        (Method::POST, "/faults"),
        (Method::POST, "/clock"),
        (Method::POST, "/reset"),
        (Method::GET, "/journal"),
        (Method::GET, "/journal.har"),
    ] {
        let answer = ask(&app, method.clone(), path, None).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(answer.body["code"], "not_found");
        let detail = answer.text("detail");
        assert!(detail.starts_with("No HTTP resource was found"), "{detail}");
        assert!(!answer.headers.contains_key("x-tranship-sandbox"));
    }
    let answer = send(app.request(Method::GET, "/api/v1/jobs"), "abc").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

async fn only_operators_play(backend: Backend) {
    let app = sandbox(backend).await;
    let shop = app.client("shop").await;
    let dev = app.client("dev").await;
    let path = "/api/v1/sandbox/faults";
    let fault = json!({ "kind": "fail_ack" });
    let nobody = app.request(Method::POST, path).json(&fault).send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(nobody.headers()["x-tranship-sandbox"], "1");
    let client = send(app.request(Method::POST, path).json(&fault), &shop).await;
    assert_eq!(client.status, StatusCode::FORBIDDEN);
    assert!(client.text("detail").contains("operator"), "{}", client.body);
    assert_eq!(ask(&app, Method::GET, "/faults", None).await.body["faults"], json!([]));
    // The client of a first start is there only where nobody else can reach the service.
    let first = send(app.request(Method::POST, path).json(&fault), &dev).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let overview = ask(&app, Method::GET, "", None).await.expect(StatusCode::OK);
    assert_eq!(overview["faults"], 1);
}

async fn a_fault_that_makes_no_sense_is_refused_with_what_would(backend: Backend) {
    let app = sandbox(backend).await;
    for (fault, said) in [
        (json!({ "kind": "answer", "status": 200 }), "400 to 599"),
        (
            json!({ "kind": "fail_ack", "job": "Leters" }),
            "there is no job `Leters`",
        ),
        (json!({ "kind": "slow_import" }), "needs `milliseconds`"),
    ] {
        let answer = ask(&app, Method::POST, "/faults", Some(fault)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.body["code"], "invalid_fault");
        assert!(answer.text("detail").contains(said), "{}", answer.body);
    }
    let unknown = ask(&app, Method::POST, "/faults", Some(json!({ "kind": "x" }))).await;
    assert_eq!(
        (unknown.status, &unknown.body["code"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_json"))
    );
    assert_eq!(ask(&app, Method::GET, "/faults", None).await.body["faults"], json!([]));
}

async fn faults_are_named_listed_and_removed_one_by_one_or_all(backend: Backend) {
    let app = sandbox(backend).await;
    let named = add(&app, json!({ "kind": "fail_ack", "name": "Mine", "times": 2 })).await;
    assert_eq!(
        (&named["name"], &named["struck"], &named["left"]),
        (&json!("Mine"), &json!(0), &json!(2))
    );
    assert_eq!(add(&app, json!({ "kind": "fail_ack" })).await["name"], "fail-ack-1");
    let again = ask(
        &app,
        Method::POST,
        "/faults",
        Some(json!({ "kind": "fail_ack", "name": "Mine" })),
    )
    .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let gone = ask(&app, Method::DELETE, "/faults/Mine", None).await;
    assert_eq!(gone.expect(StatusCode::OK)["removed"], 1);
    assert_eq!(
        ask(&app, Method::DELETE, "/faults/Mine", None).await.status,
        StatusCode::NOT_FOUND
    );
    add(&app, json!({ "kind": "deliver_again" })).await;
    assert_eq!(ask(&app, Method::DELETE, "/faults", None).await.body["removed"], 2);
    assert_eq!(ask(&app, Method::GET, "/faults", None).await.body["faults"], json!([]));
}
