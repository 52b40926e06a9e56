//! What a link to an error file opens, for how long, and what it says when it opens nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{GENERATE, KEYS_URL, STAGING_URL, act, app, follow, load, offered, set_up};
use crate::app::{Backend, TestApp};
use crate::client::send;

crate::on_both_backends!(
    a_link_opens_one_file_for_a_time_and_nothing_else,
    links_begin_as_the_client_or_its_proxy_came,
    what_can_no_longer_be_made_is_said_at_once,
);

async fn a_link_opens_one_file_for_a_time_and_nothing_else(backend: Backend) {
    let app = app(backend).await;
    let id = load(&app, &["2,heavy", "3,500"]).await;
    let other = load(&app, &["4,500"]).await;
    let (_, link, staging) = offered(&app, &id, "Parcels").await;
    let query: Vec<(String, String)> = url::Url::parse(&link).unwrap().query_pairs().into_owned().collect();
    let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["sv", "sr", "sp", "se", "sig"]);
    assert_eq!((query[1].1.as_str(), query[2].1.as_str()), ("b", "r"));
    // With a token that is not good, too: clients send theirs along.
    let with_token = app
        .request(Method::GET, &link)
        .bearer_auth("nonsense")
        .send()
        .await
        .unwrap();
    assert_eq!(with_token.status(), StatusCode::OK);
    let head = app.request(Method::HEAD, &link).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(head.text().await.unwrap(), "");
    let refused = async |link: String, status: StatusCode, code: &str| {
        let answer = follow(&app, &link).await;
        assert_eq!(answer.status(), status, "{link}");
        assert_eq!(answer.headers()["content-type"], "application/xml");
        assert_eq!(answer.headers()["x-ms-error-code"], code);
        let body = answer.text().await.unwrap();
        assert!(
            body.starts_with("<?xml") && body.contains(&format!("<Code>{code}</Code>")),
            "{body}"
        );
    };
    let (path, signed) = link.split_once('?').unwrap();
    let later = signed.replace("se=2026", "se=2027");
    assert_ne!(later, signed);
    for altered in [
        path.to_owned(),
        format!("{path}?{}", signed.replace("sp=r", "sp=rw")),
        format!("{path}?{later}"),
        format!("{path}?{}", &signed[..signed.len() - 8]),
        format!("{}?{signed}", path.replace(&id, &other)),
        format!("{}?{signed}", path.replace("error-keys", "staging-errors")),
        format!("{}?{signed}", path.replace("Parcels", "Pallets")),
        format!("{path}/more?{signed}"),
        format!("{}/dmf/anything?{signed}", app.url),
    ] {
        refused(altered, StatusCode::FORBIDDEN, "AuthenticationFailed").await;
    }
    // What it opens it opens for reading, and it is no token elsewhere.
    let deleted = app.request(Method::DELETE, &link).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(deleted.headers()["x-ms-error-code"], "UnsupportedHttpVerb");
    let native = follow(&app, &format!("{}/api/v1/messages/{id}/error-keys?{signed}", app.url)).await;
    assert_eq!(native.status(), StatusCode::UNAUTHORIZED);
    // Clients write the same address in other words.
    let rewritten = link.replace("Parcels", "%50arcels").replacen("/dmf/", "//DMF/", 1);
    assert_eq!(follow(&app, &rewritten).await.status(), StatusCode::OK);
    app.clock.advance_seconds(3_599);
    assert_eq!(follow(&app, &link).await.status(), StatusCode::OK);
    app.clock.advance_seconds(1);
    for link in [link, staging] {
        refused(link, StatusCode::FORBIDDEN, "AuthenticationFailed").await;
    }
}

async fn links_begin_as_the_client_or_its_proxy_came(backend: Backend) {
    let proxied = TestApp::with(backend, |setup| {
        set_up(setup);
        setup.set("server.trusted_proxies", "127.0.0.1");
        setup.set("server.link_seconds", "60");
    })
    .await;
    let plain = app(backend).await;
    for (app, scheme) in [(&plain, "http"), (&proxied, "https")] {
        let id = load(app, &["3,500"]).await;
        let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{KEYS_URL}");
        // The token is good for this address, too: it is the same one.
        let asked = app.request(Method::POST, &path).header("X-Forwarded-Proto", "https");
        let asked = asked.json(&json!({ "executionId": id, "entityName": "Parcels" }));
        let token = if scheme == "https" {
            proxied_token(app).await
        } else {
            app.token.clone()
        };
        let answer = send(asked, &token).await.expect(StatusCode::OK);
        let link = answer["value"].as_str().unwrap().to_owned();
        let host = app.url.strip_prefix("http://").unwrap();
        assert!(
            link.starts_with(&format!("{scheme}://{host}/dmf/errors/{id}/Parcels/error-keys?")),
            "{link}"
        );
    }
}

/// A token for the address that the proxy's clients know.
async fn proxied_token(app: &TestApp) -> String {
    let secret = app.add_client("behind", "operator").await;
    let scope = format!("{}/.default", app.url.replacen("http", "https", 1));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "behind"),
        ("client_secret", &secret),
        ("scope", &scope),
    ];
    let asked = app
        .request(Method::POST, "/test/oauth2/v2.0/token")
        .header("X-Forwarded-Proto", "https");
    let answer: Value = asked.form(&form).send().await.unwrap().json().await.unwrap();
    answer["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

async fn what_can_no_longer_be_made_is_said_at_once(backend: Backend) {
    let mut app = TestApp::with(backend, |setup| {
        set_up(setup);
        setup.set("server.link_seconds", "604800");
        setup.set("queue.retention_days", "1");
        setup.set("queue.failed_retention_days", "2");
    })
    .await;
    let id = load(&app, &["2,heavy", "3,500"]).await;
    let (_, keys, staging) = offered(&app, &id, "Parcels").await;
    app.clock.advance_seconds(3 * 86_400);
    tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
    app.renew_token().await;
    for action in [GENERATE, KEYS_URL, STAGING_URL] {
        let (status, body) = act(&app, action, &id, "Parcels").await;
        assert_eq!(
            status,
            StatusCode::BAD_REQUEST,
            "a text for ever empty would be polled for ever: {body}"
        );
        assert!(body.to_string().contains("no longer kept"), "{body}");
    }
    for link in [keys, staging] {
        let answer = follow(&app, &link).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.headers()["x-ms-error-code"], "BlobNotFound");
    }
    for path in ["rejects", "error-keys"] {
        let answer = app.get(&format!("/api/v1/messages/{id}/{path}")).await;
        assert_eq!(answer.status(), StatusCode::GONE, "{path}");
    }
}
