//! The OpenAPI document as it is served, the page made of it, and what methods a path says it has.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::app::{Backend, TestApp};
use crate::client::Answered;

crate::on_both_backends!(
    the_document_and_its_page_need_no_token,
    a_path_says_which_methods_it_has,
);

async fn the_document_and_its_page_need_no_token(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let answer = app.request(Method::GET, "/api/v1/openapi.json").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let document = Answered::read(answer).await.expect(StatusCode::OK);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));

    let answer = app.request(Method::GET, "/api/v1/docs").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = answer.text().await.unwrap();
    for operation in operations(&document) {
        let id = format!("id=\"{}\"", operation["operationId"].as_str().unwrap());
        assert!(page.contains(&id), "the page lacks {id}");
    }
    for foreign in ["http://", "https://", "style=", "onclick", "<script>"] {
        let found = page.split("<pre").next().unwrap().contains(foreign);
        assert!(!found, "{foreign} in the page");
    }
    for loaded in page
        .split("src=\"")
        .skip(1)
        .chain(page.split("<link rel=\"stylesheet\" href=\"").skip(1))
    {
        let path = loaded.split('"').next().unwrap();
        let asset = app.request(Method::GET, path).send().await.unwrap();
        assert_eq!(asset.status(), StatusCode::OK, "{path}");
    }
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().unwrap().values();
    paths.flat_map(|item| {
        item.as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "parameters")
            .map(|(_, operation)| operation)
    })
}

/// RFC 9110, 15.5.6: whoever is told that a method is not there is told which are.
async fn a_path_says_which_methods_it_has(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    for (path, allowed) in [
        ("/health/live", "GET, HEAD"),
        ("/api/v1/docs", "GET"),
        ("/api/v1/jobs", "GET"),
        ("/api/v1/jobs/Documents", "DELETE, GET"),
        ("/api/v1/jobs/Documents/run", "POST"),
        ("/api/v1/leases/some/ack", "POST"),
        ("/default/oauth2/token", "POST"),
        ("/api/connector/enqueue/some", "POST"),
        ("/api/connector/dequeue/some", "GET"),
    ] {
        let answer = app.request(Method::PATCH, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.headers()["allow"], allowed, "{path}");
    }
}
