//! Who gets in, how long, and what a page elsewhere cannot do.

use reqwest::StatusCode;
use reqwest::header::SET_COOKIE;
use tranship::console::link::new_link;
use tranship::storage::sessions::Visitor;

use super::browser::Browser;
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_client_signs_in_and_out,
    wrong_secrets_and_unknown_clients_get_one_answer,
    a_session_ends_with_its_time_its_client_and_its_secret,
    a_link_signs_in_once,
    a_form_counts_only_from_a_page_of_the_session,
    a_link_elsewhere_finds_the_session_again,
    roles_see_what_they_see_on_the_api,
);

async fn a_client_signs_in_and_out(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let secret = app.add_client("Eve", "viewer").await;
    let browser = Browser::new(&app);
    let refused = browser.get("/console/messages?status=failed").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let kept = refused.elements();
    let to = kept.iter().find(|field| field.get("name") == Some("to")).unwrap();
    assert_eq!(to.get("value"), Some("/console/messages?status=failed"));

    let form = [
        ("client", "eve"),
        ("secret", &secret),
        ("to", "/console/messages?status=failed"),
    ];
    let seen = browser.send("/console/sign-in", &form, &[]).await;
    assert_eq!(seen.location(), "/console/messages?status=failed");
    let cookie = seen.headers[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("tranship_console="), "{cookie}");
    for flag in ["; Path=/console", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"] {
        assert!(cookie.contains(flag), "{flag} in {cookie}");
    }
    assert!(!cookie.contains("Secure"), "there is no TLS here");
    browser.see("/console").await.says("Eve");

    let secret = browser.cookies.lock().unwrap()["tranship_console"].clone();
    let token = browser.see("/console").await.form_token();
    let out = browser.send("/console/sign-out", &[("form_token", &token)], &[]).await;
    assert_eq!(out.location(), "/console/sign-in");
    // A cookie that was kept is worth nothing either.
    browser
        .cookies
        .lock()
        .unwrap()
        .insert("tranship_console".to_owned(), secret);
    assert_eq!(browser.get("/console").await.status, StatusCode::UNAUTHORIZED);
}

async fn wrong_secrets_and_unknown_clients_get_one_answer(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    app.add_client("eve", "viewer").await;
    let gone = app.add_client("gone", "operator").await;
    let now = app.clock.now();
    assert!(app.context.store.revoke_client("gone", now).await.unwrap());
    let browser = Browser::new(&app);
    let mut pages = Vec::new();
    for (name, secret) in [
        ("eve", "wrong"),
        ("nobody", "wrong"),
        ("gone", &*gone),
        ("", ""),
        ("eve\0", "x"),
    ] {
        let seen = browser.sign_in(name, secret).await;
        assert_eq!(seen.status, StatusCode::UNAUTHORIZED);
        assert!(!seen.headers.contains_key(SET_COOKIE));
        pages.push(seen.page);
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "{pages:?}");
    // Too long to be a form.
    let long = "x".repeat(100_000);
    let seen = browser.sign_in("eve", &long).await;
    assert_eq!(seen.status, StatusCode::PAYLOAD_TOO_LARGE);
    seen.elements();
}

async fn a_session_ends_with_its_time_its_client_and_its_secret(backend: Backend) {
    let app = TestApp::with(backend, |setup| setup.set("server.session_seconds", "600")).await;
    let (one, other, third) = (
        Browser::of(&app, "one", "viewer").await,
        Browser::of(&app, "other", "viewer").await,
        Browser::of(&app, "third", "viewer").await,
    );
    let is_in = async |browser: &Browser<'_>| browser.get("/console").await.status == StatusCode::OK;
    assert!(is_in(&one).await && is_in(&other).await && is_in(&third).await);
    let (store, now) = (&app.context.store, app.clock.now());
    assert!(store.revoke_client("ONE", now).await.unwrap());
    assert!(store.set_client_secret("Other", "$argon2id$another").await.unwrap());
    let over = one.get("/console").await;
    assert_eq!(over.status, StatusCode::UNAUTHORIZED);
    over.says("Your session is over");
    assert!(!is_in(&other).await && is_in(&third).await);
    app.clock.advance_seconds(599);
    assert!(is_in(&third).await);
    app.clock.advance_seconds(1);
    assert!(!is_in(&third).await);
    Browser::of(&app, "fourth", "viewer").await;
    let kept =
        crate::support::databases::rows(&app.store.url, "select cast(count(*) as text) from console_sessions").await;
    assert_eq!(kept[0][0].as_deref(), Some("1"), "those that are over are forgotten");
}

async fn a_link_signs_in_once(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = async |visitor: Visitor| {
        new_link(&app.context.store, &app.url, &visitor, app.clock.now())
            .await
            .unwrap()
    };
    let first = link(Visitor::Local).await;
    let browser = Browser::new(&app);
    for _ in 0..2 {
        browser.see(&first).await.says("once");
    }
    assert_eq!(browser.send(&first, &[], &[]).await.location(), "/console");
    browser.see("/console").await.says("local operator");
    let again = Browser::new(&app);
    let refused = again.send(&first, &[], &[]).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    refused.says("This link was used");

    app.add_client("eve", "viewer").await;
    let named = link(Visitor::Client("EVE".to_owned())).await;
    assert_eq!(again.send(&named, &[], &[]).await.location(), "/console");
    again.see("/console").await.says("eve");

    let late = link(Visitor::Local).await;
    app.clock.advance_seconds(900);
    assert_eq!(again.send(&late, &[], &[]).await.status, StatusCode::UNAUTHORIZED);
    let elsewhere = link(Visitor::Local).await;
    let sent = again.send(&elsewhere, &[], &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(sent.status, StatusCode::FORBIDDEN);
}

async fn a_form_counts_only_from_a_page_of_the_session(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let (browser, other) = (
        Browser::of(&app, "one", "operator").await,
        Browser::of(&app, "other", "operator").await,
    );
    let pause = format!("/console/jobs/{}/pause", app.job("Inbound customers"));
    let token = browser.see(&pause).await.form_token();
    let foreign = other.see(&pause).await.form_token();
    let own = app.url.clone();
    let refused: [(&str, &[(&str, &str)]); 7] = [
        ("", &[]),
        ("x", &[]),
        (&foreign, &[]),
        (&token, &[("sec-fetch-site", "cross-site")]),
        (&token, &[("sec-fetch-site", "same-site"), ("origin", &own)]),
        (&token, &[("origin", "https://evil.test")]),
        (&token, &[("origin", "null")]),
    ];
    for (token, headers) in refused {
        let headers: Vec<(&'static str, &str)> = headers
            .iter()
            .map(|(name, value)| (if *name == "origin" { "origin" } else { "sec-fetch-site" }, *value))
            .collect();
        let seen = browser.send(&pause, &[("form_token", token)], &headers).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{token} {headers:?}");
        seen.elements();
    }
    let job = "Inbound customers";
    let id = app.definitions.find_job(job).unwrap().id;
    assert_eq!(app.context.store.pause_of(id).await.unwrap(), None);
    let sign_in = browser
        .send(
            "/console/sign-in",
            &[("client", "x")],
            &[("origin", "https://evil.test")],
        )
        .await;
    assert_eq!(sign_in.status, StatusCode::FORBIDDEN);
    let done = browser
        .send(&pause, &[("form_token", &token)], &[("origin", &own)])
        .await;
    assert!(done.location().ends_with("?done=paused"));
    assert!(app.context.store.pause_of(id).await.unwrap().is_some());
}

async fn a_link_elsewhere_finds_the_session_again(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    // A browser keeps a strict cookie back when another site's page leads here.
    let answer = app
        .request(reqwest::Method::GET, "/console/jobs")
        .header("sec-fetch-site", "cross-site")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["refresh"], "0;url=/console/jobs");
}

async fn roles_see_what_they_see_on_the_api(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        crate::client::relay(setup, "Shop", "");
        crate::client::relay(setup, "Quay", "");
    })
    .await;
    let hidden = app
        .put(&app.job("Inbound customers"), "entity=Customers", "a,b\n")
        .await;
    let shown = app.put(&app.job("Shop"), "", "bytes").await;
    let (client, viewer, stranger) = (
        Browser::of(&app, "shop", "client").await,
        Browser::of(&app, "viewer", "viewer").await,
        Browser::of(&app, "stranger", "client").await,
    );
    let jobs = client.see("/console/jobs").await;
    jobs.says("Shop");
    jobs.does_not_say("Inbound customers");
    client.see("/console/messages").await.does_not_say("Inbound customers");
    client.see(&format!("/console/messages/{shown}")).await.says("Cancel…");
    for path in [
        format!("/console/messages/{hidden}"),
        format!("/console/messages/{hidden}/payload"),
        format!("/console/messages/{hidden}/cancel"),
        format!("/console/jobs/{}", app.job("Inbound customers")),
        "/console/messages?job=Inbound+customers".to_owned(),
    ] {
        let seen = client.get(&path).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{path}");
        seen.elements();
    }
    let page = viewer.see(&format!("/console/messages/{shown}")).await;
    page.does_not_say("Cancel…");
    page.says("Download payload");
    for path in [
        format!("/console/messages/{shown}/cancel"),
        format!("/console/jobs/{}/pause", app.job("Inbound customers")),
    ] {
        let seen = viewer.get(&path).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{path}");
        seen.says("role operator");
    }
    stranger.see("/console").await.says("No job lists you as a client.");
    stranger
        .see("/console/messages")
        .await
        .says("There are no messages yet.");
}
