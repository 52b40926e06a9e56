//! Tokens, receipts and sessions used where they do not belong. What is wrong with a token itself is tried beside its verifier,
//! in `src/auth`.

use reqwest::header::{COOKIE, HOST};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tranship::auth::tokens::TENANT;

use super::world::{World, answered};
use crate::app::{Backend, TestApp};
use crate::client::{send, step_path};
use crate::console::browser::Browser;
use crate::webhooks::receiver::Receiver;

crate::on_both_backends!(
    a_token_for_another_service_is_not_made_ours_by_a_host_header,
    nor_is_one_that_this_service_gave,
    a_secret_that_was_rotated_gets_no_token,
    what_is_no_token_is_refused_whatever_its_length,
    an_id_of_another_job_opens_nothing_through_ones_own,
    a_receipt_tells_strangers_nothing,
    a_session_is_never_one_that_was_brought_along,
    another_role_counts_at_once_in_open_sessions,
    metrics_are_not_for_pages_of_other_sites,
);

async fn ask(app: &TestApp, client: &str, secret: &str, scope: &str) -> (StatusCode, Value) {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("client_secret", secret),
        ("scope", scope),
    ];
    let answer = app
        .request(Method::POST, "/common/oauth2/v2.0/token")
        .form(&form)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// AUTH-8: an issuer gives tokens to many services. One of them, with a client's token in its hands, is not that client here.
async fn a_token_for_another_service_is_not_made_ours_by_a_host_header(backend: Backend) {
    let issuer = TestApp::spawn(backend).await;
    let secret = issuer.add_client("carrier", "client").await;
    for public in [None, Some("https://tranship.test")] {
        let app = TestApp::with(backend, |setup| {
            setup.set("issuers.partner.issuer", format!("{}/{TENANT}/v2.0", issuer.url));
            setup.set("issuers.partner.audiences", "api://tranship");
            if let Some(public) = public {
                setup.set("server.public_url", public);
            }
        })
        .await;
        app.add_client("carrier", "operator").await;
        let call = async |scope: &str, host: Option<&str>| {
            let (_, answer) = ask(&issuer, "carrier", &secret, scope).await;
            let token = answer["access_token"].as_str().unwrap();
            let mut request = app.request(Method::GET, "/api/v1/jobs").bearer_auth(token);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            request.send().await.unwrap().status()
        };
        assert_eq!(
            call("http://other.test/.default", Some("other.test")).await,
            StatusCode::UNAUTHORIZED,
            "{public:?}"
        );
        assert_eq!(
            call("http://other.test:8080", Some("other.test:8080")).await,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(call("api://tranship", Some("other.test")).await, StatusCode::OK);
        let own = public.unwrap_or(&app.url);
        assert_eq!(call(own, None).await, StatusCode::OK, "{own}");
    }
}

/// AUTH-8: who takes in our tokens, as another service does whose issuer this one is, is not our client.
async fn nor_is_one_that_this_service_gave(backend: Backend) {
    for public in [None, Some("https://tranship.test")] {
        let app = TestApp::with(backend, |setup| {
            if let Some(public) = public {
                setup.set("server.public_url", public);
            }
        })
        .await;
        let secret = app.add_client("carrier", "operator").await;
        let call = async |asked_at: Option<&str>, scope: &str, called: Option<&str>| {
            let named = |request: RequestBuilder, host: Option<&str>| match host {
                Some(host) => request.header(HOST, host),
                None => request,
            };
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", "carrier"),
                ("client_secret", &secret),
                ("scope", scope),
            ];
            let asked = app.request(Method::POST, "/common/oauth2/v2.0/token").form(&form);
            let answer: Value = named(asked, asked_at).send().await.unwrap().json().await.unwrap();
            let token = answer["access_token"].as_str().unwrap();
            let request = app.request(Method::GET, "/api/v1/jobs").bearer_auth(token);
            named(request, called).send().await.unwrap().status()
        };
        let other = Some("other.test");
        assert_eq!(
            call(None, "http://other.test/.default", other).await,
            StatusCode::UNAUTHORIZED,
            "{public:?}"
        );
        // Its clients may call it by any name that leads to it.
        assert_eq!(call(other, "http://other.test/.default", other).await, StatusCode::OK);
        assert_eq!(call(None, &app.url, None).await, StatusCode::OK);
        assert_eq!(
            call(None, "http://other.test", None).await,
            StatusCode::UNAUTHORIZED,
            "{public:?}"
        );
        if let Some(public) = public {
            assert_eq!(call(None, public, None).await, StatusCode::OK);
            assert_eq!(call(other, public, None).await, StatusCode::OK);
        }
    }
}

async fn a_secret_that_was_rotated_gets_no_token(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let chief = app.add_client("chief", "admin").await;
    let chief = app.token_of("chief", &chief).await;
    let old = app.add_client("shop", "client").await;
    let rotated = send(app.request(Method::POST, "/api/v1/clients/shop/rotate"), &chief)
        .await
        .expect(StatusCode::OK);
    let new = rotated["client_secret"].as_str().unwrap();
    let (refused, _) = ask(&app, "shop", &old, &app.url).await;
    let (taken, _) = ask(&app, "shop", new, &app.url).await;
    assert_eq!((refused, taken), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    let revoked = send(app.request(Method::POST, "/api/v1/clients/shop/revoke"), &chief).await;
    assert_eq!(revoked.status, StatusCode::OK);
    let (refused, _) = ask(&app, "shop", new, &app.url).await;
    assert_eq!(refused, StatusCode::UNAUTHORIZED);
}

async fn what_is_no_token_is_refused_whatever_its_length(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let good = app.token.clone();
    let (head, rest) = good.split_once('.').unwrap();
    for token in [
        "x".repeat(60_000),
        ".".repeat(10_000),
        format!("{good}{good}"),
        format!("{good}."),
        format!("{good}, {good}"),
        format!("{head}.{head}.{rest}"),
        format!("{head}.."),
        good[..good.len() - 1].to_owned(),
        good.to_uppercase(),
    ] {
        let request = app.request(Method::GET, "/api/v1/jobs").bearer_auth(&token);
        let (status, text) = answered(request).await;
        assert_eq!(status, 401, "{text}");
        assert!(text.len() < 2000, "{text}");
    }
    for (name, value) in [
        ("Authorization", format!("Basic {good}")),
        ("X-Authorization", format!("Bearer {good}")),
        ("Cookie", format!("token={good}")),
    ] {
        let request = app
            .request(Method::GET, &format!("/api/v1/jobs?access_token={good}"))
            .header(name, value);
        assert_eq!(answered(request).await.0, 401, "{name}");
    }
}

/// RI-15, RI-20, RI-26: a client is let in by its own job, and names what is in another.
async fn an_id_of_another_job_opens_nothing_through_ones_own(backend: Backend) {
    let receiver = Receiver::start().await;
    let world = World::new(backend, &receiver, false).await;
    let other = world.app.client("other").await;
    let own_job = world.app.job("Elsewhere");
    let before = world.kept().await;
    for route in [
        "GET /api/connector/download/{activity}",
        "POST /api/connector/ack/{activity}",
        "GET /api/connector/jobstatus/{activity}",
    ] {
        let mut answers = Vec::new();
        for mut target in [world.own(route), world.absent(route)] {
            target.job.clone_from(&own_job);
            let (status, text) = answered(world.request(route, &target, "other").bearer_auth(&other)).await;
            answers.push((status, target.unnamed(&text)));
        }
        assert_eq!(answers[0], answers[1], "{route}");
        assert!(!answers[0].1.contains("Customers"), "{route}: {answers:?}");
    }
    assert_eq!(before, world.kept().await);
}

async fn a_receipt_tells_strangers_nothing(backend: Backend) {
    let receiver = Receiver::start().await;
    let world = World::new(backend, &receiver, false).await;
    let app = &world.app;
    let other = app.client("other").await;
    let receipt = world.own("POST /api/v1/leases/{receipt}/{action}").receipt;
    for action in ["ack", "extend", "release", "reject", "nonsense"] {
        let path = step_path(&json!({ "receipt": receipt }), action);
        let refused = send(app.request(Method::POST, &path), &other).await;
        let problem = refused.expect(StatusCode::BAD_REQUEST);
        assert_eq!(problem["code"], "unknown_receipt", "{action}");
    }
    // One who may look is told that this is not enough.
    let secret = app.add_client("looker", "viewer").await;
    let looker = app.token_of("looker", &secret).await;
    let path = step_path(&json!({ "receipt": receipt }), "ack");
    send(app.request(Method::POST, &path), &looker)
        .await
        .expect(StatusCode::FORBIDDEN);
    send(app.request(Method::POST, &path), &app.token)
        .await
        .expect(StatusCode::OK);
}

async fn a_session_is_never_one_that_was_brought_along(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let secret = app.add_client("eve", "viewer").await;
    let planted = "a".repeat(43);
    let form = [("client", "eve"), ("secret", &secret)];
    let signed_in = app
        .request(Method::POST, "/console/sign-in")
        .header(COOKIE, format!("tranship_console={planted}"))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    let given = signed_in.headers()["set-cookie"].to_str().unwrap();
    assert!(!given.contains(&planted), "{given}");
    let request = app
        .request(Method::GET, "/console")
        .header(COOKIE, format!("tranship_console={planted}"));
    assert_eq!(answered(request).await.0, 401);
}

async fn another_role_counts_at_once_in_open_sessions(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let chief = app.add_client("chief", "admin").await;
    let chief = app.token_of("chief", &chief).await;
    let browser = Browser::of(&app, "eve", "operator").await;
    let pause = format!("/console/jobs/{}/pause", app.job("Inbound customers"));
    let token = browser.see(&pause).await.form_token();
    let asked = json!({ "role": "viewer" });
    send(
        app.request(Method::POST, "/api/v1/clients/eve/role").json(&asked),
        &chief,
    )
    .await
    .expect(StatusCode::OK);
    let refused = browser.send(&pause, &[("form_token", &token)], &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let id = app.definitions.find_job("Inbound customers").unwrap().id;
    assert_eq!(app.context.store.pause_of(id).await.unwrap(), None);
}

/// Whose name may come to resolve to this machine while the page is open.
async fn metrics_are_not_for_pages_of_other_sites(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let asked = |host: Option<&'static str>| {
        let request = app.request(Method::GET, "/metrics");
        answered(match host {
            Some(host) => request.header(HOST, host),
            None => request,
        })
    };
    assert_eq!(asked(None).await.0, 200, "on this machine");
    assert_eq!(asked(Some("rebound.test")).await.0, 401);
}
