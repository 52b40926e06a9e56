//! Where tokens come from: what clients read first, users with passwords, and other issuers (contract section 2).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tranship::auth::tokens::TENANT;

use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    discovery_leads_to_endpoints_and_keys_on_the_address_asked,
    a_user_gets_a_token_by_password,
    another_issuers_tokens_are_those_of_clients_known_by_that_name,
    an_issuer_out_of_reach_keeps_only_its_own_clients_out,
    a_refusal_says_what_is_wrong_with_the_token,
);

async fn json(app: &TestApp, path: &str) -> Value {
    let answer = app.request(Method::GET, path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

async fn form(app: &TestApp, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let answer = app.request(Method::POST, path).form(form).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn status(app: &TestApp, token: &str) -> StatusCode {
    app.request(Method::GET, "/api/v1/jobs")
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
        .status()
}

/// AUTH-6
async fn discovery_leads_to_endpoints_and_keys_on_the_address_asked(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let secret = app.add_client("erp", "operator").await;
    for (tenant, version, resource) in [("contoso.test", "/v2.0", "scope"), (TENANT, "", "resource")] {
        let found = json(&app, &format!("/{tenant}{version}/.well-known/openid-configuration")).await;
        let endpoint = found["token_endpoint"].as_str().unwrap();
        assert!(endpoint.starts_with(&format!("{}/{tenant}/oauth2", app.url)), "{found}");
        let asked = [
            ("grant_type", "client_credentials"),
            ("client_id", "erp"),
            ("client_secret", &secret),
            (resource, &app.url),
        ];
        let (_, answer) = form(&app, endpoint, &asked).await;
        let token = answer["access_token"].as_str().unwrap();
        assert_eq!(status(&app, token).await, StatusCode::OK);
        // The keys it leads to check the token, and its issuer is the one announced.
        let keys = json(&app, found["jwks_uri"].as_str().unwrap()).await;
        let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(header.alg);
        validation.set_issuer(&[found["issuer"].as_str().unwrap()]);
        validation.set_audience(&[&app.url]);
        validation.validate_exp = false;
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
        let by_hand = app.request(Method::GET, found["authorization_endpoint"].as_str().unwrap());
        assert_eq!(by_hand.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    }
    let instance = json(&app, "/common/discovery/instance?api-version=1.1").await;
    assert_eq!(
        instance["metadata"][0]["aliases"][0],
        app.url.strip_prefix("http://").unwrap()
    );
    assert_eq!(
        json(&app, "/Common/UserRealm/erp@contoso.test").await["account_type"],
        "Managed"
    );
}

/// AUTH-4, AUTH-5
async fn a_user_gets_a_token_by_password(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let secret = app.add_client("erp", "operator").await;
    let asked = |password: String| {
        let (app, resource) = (&app, app.url.clone());
        async move {
            let fields = [
                ("grant_type", "password"),
                ("client_id", "a native program"),
                ("username", "ERP@contoso.test"),
                ("password", &password),
                ("resource", &resource),
            ];
            form(app, "/contoso.test/oauth2/token", &fields).await
        }
    };
    let (_, answer) = asked(secret).await;
    assert_eq!(
        status(&app, answer["access_token"].as_str().unwrap()).await,
        StatusCode::OK
    );
    let (refused, answer) = asked("wrong".to_owned()).await;
    assert_eq!(
        (refused, &answer["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );
}

/// AUTH-8, AUTH-10
async fn another_issuers_tokens_are_those_of_clients_known_by_that_name(backend: Backend) {
    let partner = TestApp::spawn(backend).await;
    let app = TestApp::with(backend, |setup| {
        setup.set("issuers.partner.issuer", format!("{}/{TENANT}/v2.0", partner.url));
        setup.set("issuers.partner.tenant", TENANT);
        setup.set("issuers.partner.audiences", "api://tranship");
    })
    .await;
    app.add_client("carrier", "viewer").await;
    let secret = partner.add_client("carrier", "client").await;
    let stranger = partner.add_client("stranger", "client").await;
    let token = async |client: &str, secret: &str, scope: &str| {
        let asked = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", secret),
            ("scope", scope),
        ];
        let (_, answer) = form(&partner, "/common/oauth2/v2.0/token", &asked).await;
        answer["access_token"].as_str().unwrap().to_owned()
    };
    for scope in [app.url.as_str(), "api://tranship/.default"] {
        assert_eq!(
            status(&app, &token("carrier", &secret, scope).await).await,
            StatusCode::OK,
            "{scope}"
        );
    }
    assert_eq!(
        status(&app, &token("stranger", &stranger, &app.url).await).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status(&app, &token("carrier", &secret, &partner.url).await).await,
        StatusCode::UNAUTHORIZED
    );
    // Its right ends with its life, by the clock of this service.
    let short = token("carrier", &secret, &app.url).await;
    app.clock.advance_seconds(2 * 86_400);
    assert_eq!(status(&app, &short).await, StatusCode::UNAUTHORIZED);
}

async fn an_issuer_out_of_reach_keeps_only_its_own_clients_out(backend: Backend) {
    let partner = TestApp::spawn(backend).await;
    let issuer = format!("{}/{TENANT}/v2.0", partner.url);
    let app = TestApp::with(backend, |setup| {
        setup.set("issuers.partner.issuer", issuer);
        setup.set("issuers.partner.jwks_url", "http://127.0.0.1:9/keys");
    })
    .await;
    let secret = partner.add_client("carrier", "client").await;
    let asked = [
        ("grant_type", "client_credentials"),
        ("client_id", "carrier"),
        ("client_secret", &secret),
        ("scope", &app.url),
    ];
    let (_, answer) = form(&partner, "/common/oauth2/v2.0/token", &asked).await;
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(status(&app, token).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(&app, &app.token).await, StatusCode::OK);
}

/// AUTH-9
async fn a_refusal_says_what_is_wrong_with_the_token(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let challenge = async |token: &str| {
        let answer = app.request(Method::GET, "/api/v1/jobs").header("Authorization", token);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        answer.headers()["www-authenticate"].to_str().unwrap().to_owned()
    };
    assert_eq!(challenge("").await, "Bearer");
    let said = challenge("Bearer nonsense").await;
    assert_eq!(said, r#"Bearer error="invalid_token", error_description="malformed""#);
    app.clock.advance_seconds(2 * 86_400);
    let said = challenge(&format!("Bearer {}", app.token)).await;
    assert_eq!(said, r#"Bearer error="invalid_token", error_description="expired""#);
}
