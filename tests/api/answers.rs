//! What answers carry besides their bodies, and the odd forms in which clients ask (contract sections 1 and 3).

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};

crate::on_both_backends!(
    every_answer_is_stamped,
    an_unknown_route_names_the_address_the_client_used,
    actions_fail_with_their_lead_in_whatever_the_reason,
    names_come_in_every_encoding_clients_use,
    a_package_names_its_entities_itself,
    a_file_that_is_gone_is_said_to_be,
    a_receipt_goes_with_its_own_message_only,
);

const RELAY: &str = r#"
id = "00000000-0000-4000-8000-0000000000bb"
name = "Documents"
direction = "relay"
data_source = "file"
clients = ["tester"]
"#;

const PACKAGES: &str = r#"
id = "00000000-0000-4000-8000-0000000000dd"
name = "Inbound packages"
direction = "import"
data_source = "package"
clients = ["tester"]
[import]
format = "csv"
[[import.entities]]
entity = "Customers"
"#;

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        setup.file("jobs/documents.toml", RELAY);
        setup.file("jobs/packages.toml", PACKAGES);
        setup.set("queue.inline_max_bytes", "0");
        setup.set("server.trusted_proxies", "127.0.0.0/8");
    })
    .await
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .unwrap_or_else(|| panic!("{name} in {headers:?}"))
        .to_str()
        .unwrap()
}

async fn post(app: &TestApp, path: &str, body: &str) -> (StatusCode, HeaderMap, String) {
    let answer = app
        .request(Method::POST, path)
        .bearer_auth(&app.token)
        .body(body.to_owned());
    let answer = answer.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, answer.text().await.unwrap())
}

fn action(name: &str) -> String {
    format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name}")
}

/// GEN-11, RI-5
async fn every_answer_is_stamped(backend: Backend) {
    let app = app(backend).await;
    let enqueue = format!("/api/connector/enqueue/{}", app.job("Documents"));
    let (status, headers, body) = post(&app, &enqueue, "bytes").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(text(&headers, "content-type"), "application/json; charset=utf-8");
    let first: uuid::Uuid = text(&headers, "ms-dyn-aid").parse().unwrap();
    assert_eq!(text(&headers, "x-content-type-options"), "nosniff");
    assert_eq!(text(&headers, "x-frame-options"), "SAMEORIGIN");
    assert!(!headers.contains_key("strict-transport-security"));

    let (status, headers, _) = post(&app, &action("GetMessageStatus"), r#"{"messageId":"x"}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        text(&headers, "content-type"),
        "application/json; odata.metadata=minimal"
    );
    assert_eq!(text(&headers, "odata-version"), "4.0");
    let second: uuid::Uuid = text(&headers, "ms-dyn-aid").parse().unwrap();
    assert_ne!(first, second);

    // The blob host has its own name for the same id.
    let refused = app.request(Method::GET, "/dmf/packages/nothing").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        text(refused.headers(), "x-ms-request-id"),
        text(refused.headers(), "ms-dyn-aid")
    );
    assert_eq!(text(refused.headers(), "x-content-type-options"), "nosniff");

    // As a proxy says that its client came by TLS.
    let proxied = app
        .request(Method::GET, "/")
        .header("X-Forwarded-Proto", "https")
        .send()
        .await
        .unwrap();
    assert_eq!(text(proxied.headers(), "strict-transport-security"), "max-age=31536000");
}

/// GEN-14; RI-14 for the forwarded host
async fn an_unknown_route_names_the_address_the_client_used(backend: Backend) {
    let app = app(backend).await;
    for path in ["/data/Nothing", "/api/connector/nothing"] {
        let answer = app
            .request(Method::GET, path)
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Host", "erp.example.test:8443, inner")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        let body: Value = answer.json().await.unwrap();
        let said = body["Message"].as_str().unwrap();
        assert!(
            said.contains(&format!("'https://erp.example.test:8443{path}'")),
            "{said}"
        );
    }
    let plain = TestApp::spawn(backend).await;
    let answer = plain
        .request(Method::GET, "/data/Nothing")
        .header("X-Forwarded-Host", "liar")
        .send()
        .await
        .unwrap();
    let body: Value = answer.json().await.unwrap();
    assert!(
        body["Message"]
            .as_str()
            .unwrap()
            .contains(&format!("'{}/data/Nothing'", plain.url)),
        "{body}"
    );
    // Other methods of a route are told so in the surface's own form.
    let answer = app.get(&action("GetMessageStatus")).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.json::<Value>().await.unwrap()["error"]["innererror"]["message"].is_string());
}

/// ERR-1, ERR-2, ERR-3
async fn actions_fail_with_their_lead_in_whatever_the_reason(backend: Backend) {
    let app = app(backend).await;
    let lead_in =
        "Exception occurred while executing action GetMessageStatus on Entity DataManagementDefinitionGroup: ";
    let large = format!(r#"{{"messageId":"{}"}}"#, "x".repeat(1024 * 1024));
    for (body, status) in [
        ("{", StatusCode::BAD_REQUEST),
        (large.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        ("{}", StatusCode::BAD_REQUEST),
    ] {
        let (found, _, answer) = post(&app, &action("GetMessageStatus"), body).await;
        assert_eq!(found, status, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let error = &answer["error"];
        assert_eq!(error["message"], "An error has occurred.");
        assert_eq!(error["innererror"]["type"], "System.InvalidOperationException");
        assert!(
            error["innererror"]["message"].as_str().unwrap().starts_with(lead_in),
            "{answer}"
        );
    }
    let answer = app
        .request(Method::POST, &action("GetMessageStatus"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(
        answer["error"]["innererror"]["type"],
        "System.UnauthorizedAccessException"
    );
}

/// RI-3, GEN-5
async fn names_come_in_every_encoding_clients_use(backend: Backend) {
    let app = app(backend).await;
    let names: [(&[u8], &str); 3] = [
        ("Aufträge.csv".as_bytes(), "Aufträge.csv"),
        (b"Auftr\xe4ge.csv", "Aufträge.csv"),
        (b"Preis \x80.csv", "Preis €.csv"),
    ];
    for (sent, known) in names {
        let path = format!("/api/connector/enqueue/{}", app.job("Documents"));
        let answer = app
            .request(Method::POST, &path)
            .bearer_auth(&app.token)
            .header("x-ms-dyn-externalidentifier", HeaderValue::from_bytes(sent).unwrap())
            .body("bytes")
            .send()
            .await
            .unwrap();
        let id: String = answer.json().await.unwrap();
        assert_eq!(app.message(&id).await["external_id"], known);
    }
    // As the .NET Framework writes a query: `+` for a space, %u for what is not ASCII.
    let labelled = TestApp::with(backend, |setup| {
        let entity = "name = \"Orte\"\nlabel = \"Bestellörter \\U0001F600\"\ntable = \"orte\"\ncreate_table = true\nkey = [\"id\"]\n\
                      [[fields]]\nname = \"id\"\ntype = \"int\"\n";
        let job = "id = \"00000000-0000-4000-8000-0000000000cc\"\nname = \"Orte\"\ndirection = \"import\"\ndata_source = \"file\"\nclients = [\"tester\"]\n\
                   [[import.entities]]\nentity = \"Orte\"\n[import]\nformat = \"csv\"\n";
        setup.file("entities/orte.toml", entity);
        setup.file("jobs/orte.toml", job);
    })
    .await;
    let job = labelled.job("Orte");
    let path = format!("/api/connector/enqueue/{job}?entity=Bestell%u00f6rter+%uD83D%uDE00");
    let (status, _, body) = post(&labelled, &path, "id\r\n1\r\n").await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

/// RI-1: `entity=` is for files; what a package holds its manifest says.
async fn a_package_names_its_entities_itself(backend: Backend) {
    let app = app(backend).await;
    let job = app.job("Inbound packages");
    let path = format!("/api/connector/enqueue/{job}?entity=Nobody%20knows%20it");
    let (status, _, id) = post(&app, &path, "no package at all").await;
    assert_eq!(status, StatusCode::OK, "{id}");
    let message = app.message(id.trim_matches('"')).await;
    assert_eq!(message["entity"], Value::Null, "{message}");
}

async fn dequeue(app: &TestApp) -> Value {
    let path = format!("/api/connector/dequeue/{}", app.job("Documents"));
    let answer = app.get(&path).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

async fn enqueue(app: &TestApp) {
    let path = format!("/api/connector/enqueue/{}", app.job("Documents"));
    let (status, _, body) = post(app, &path, "bytes").await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

/// RI-12
async fn a_file_that_is_gone_is_said_to_be(backend: Backend) {
    let app = app(backend).await;
    enqueue(&app).await;
    std::fs::rename(app.folder.join("data/blobs"), app.folder.join("data/away")).unwrap();
    let delivery = dequeue(&app).await;
    assert_eq!(delivery["IsDownLoadFileExist"], false, "{delivery}");
    assert!(!delivery["FileDownLoadErrorMessage"].as_str().unwrap().is_empty());
    let location = delivery["DownloadLocation"].as_str().unwrap();
    let answer = app
        .request(Method::GET, location)
        .bearer_auth(&app.token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    std::fs::remove_dir_all(app.folder.join("data/blobs")).ok();
    std::fs::rename(app.folder.join("data/away"), app.folder.join("data/blobs")).unwrap();
    let answer = app
        .request(Method::GET, location)
        .bearer_auth(&app.token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), "bytes");
}

/// RI-20
async fn a_receipt_goes_with_its_own_message_only(backend: Backend) {
    let app = app(backend).await;
    enqueue(&app).await;
    enqueue(&app).await;
    let (one, other) = (dequeue(&app).await, dequeue(&app).await);
    let path = format!("/api/connector/ack/{}", app.job("Documents"));
    let mixed = json!({ "CorrelationId": one["CorrelationId"], "PopReceipt": other["PopReceipt"] });
    let (status, _, body) = post(&app, &path, &mixed.to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    for whole in [one, other] {
        let (status, _, body) = post(&app, &path, &whole.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}
