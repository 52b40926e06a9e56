//! AUTH-14: tokens written in the settings.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::sandbox_with;
use crate::app::Backend;
use crate::client::send;

crate::on_both_backends!(a_token_of_the_settings_works_on_every_surface,);

async fn a_token_of_the_settings_works_on_every_surface(backend: Backend) {
    let app = sandbox_with(backend, |setup| {
        setup.set("sandbox.tokens.mock-token-for-localhost", "shop");
        setup.set("sandbox.tokens.a.b.c", "stranger");
    })
    .await;
    let token = "mock-token-for-localhost";
    let jobs = send(app.request(Method::GET, "/api/v1/jobs"), token)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        jobs["jobs"].as_array().unwrap().len(),
        1,
        "those that list `shop`: {jobs}"
    );
    let path = format!("/api/connector/enqueue/{}", app.job("Letters"));
    let sent = send(app.request(Method::POST, &path).body("a"), token).await;
    let id = sent.expect(StatusCode::OK);
    let action = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetMessageStatus";
    let asked = app.request(Method::POST, action).json(&json!({ "messageId": id }));
    assert_eq!(send(asked, token).await.expect(StatusCode::OK)["value"], "Enqueued");
    assert_eq!(app.message(id.as_str().unwrap()).await["enqueued_by"], "shop");
    // Its client has the rights of that client, and no others; neither is a token a secret to sign in with.
    let sandbox = send(app.request(Method::GET, "/api/v1/sandbox"), token).await;
    assert_eq!(sandbox.status, StatusCode::FORBIDDEN);
    let stranger = send(app.request(Method::POST, &path).body("a"), "a.b.c").await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
    let unknown = send(app.request(Method::GET, "/api/v1/jobs"), "a.b").await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
}
