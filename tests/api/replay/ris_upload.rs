//! Recurring Integrations Scheduler, Upload job: GEN-5, GEN-8, AUTH-1, AUTH-3, RI-1 to RI-5, RI-7.

use super::wire::{Answer, Body, Wire};
use super::{IMPORT_ID, app};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    files_are_enqueued_as_the_scheduler_does,
    what_is_refused_is_no_success_to_the_scheduler,
);

/// The .NET Framework writes what the program set first, then what it knows itself; a file has no content type.
async fn enqueue(app: &TestApp, target: &str, name: &[u8], body: Body<'_>) -> Answer {
    let first = format!("POST {target} HTTP/1.1");
    let authorization = format!("Authorization: Bearer {}", app.token);
    // A Latin-1 byte is no text of Rust's: every char here is a byte there.
    let name: String = name.iter().map(|byte| char::from(*byte)).collect();
    let external = format!("x-ms-dyn-externalidentifier: {name}");
    let head = [
        first.as_str(),
        external.as_str(),
        authorization.as_str(),
        "Host: erp.example.test",
        "Accept-Encoding: gzip, deflate",
        "Connection: Keep-Alive",
    ];
    Wire::open(app).await.send(&head, body).await
}

async fn files_are_enqueued_as_the_scheduler_does(backend: Backend) {
    let app = app(backend).await;
    let csv = b"item,price\r\na,1\r\n";
    // HttpUtility's collection: `+` for a space, `%uXXXX` for what is no ASCII, two of them for what is beyond the BMP.
    let entity = "Preise+%26+Gr%u00f6%u00dfen+%ud83d%ude00";
    let braced = format!("%7B{}%7D", IMPORT_ID.to_uppercase());
    let targets = [
        (
            format!("/api/connector/enqueue/{IMPORT_ID}?entity={entity}"),
            Body::Expecting(csv),
        ),
        (
            format!("/api/connector/enqueue/{braced}?entity={entity}&company=usmf"),
            Body::Length(csv),
        ),
        // A configured address that ends with a slash (GEN-8), and one of an on-premises deployment (GEN-1).
        (
            format!("//api/connector/enqueue/{IMPORT_ID}?entity={entity}"),
            Body::Chunked(csv),
        ),
        (
            format!("/namespaces/AXSF//api/connector/enqueue/{IMPORT_ID}?entity={entity}"),
            Body::Expecting(csv),
        ),
        (
            format!("/en-us/api/connector/enqueue/{IMPORT_ID}?Entity={entity}"),
            Body::Chunked(csv),
        ),
    ];
    let mut ids = Vec::new();
    for (target, body) in targets {
        let answer = enqueue(&app, &target, "Größe 1.csv".as_bytes(), body).await;
        // It takes any 2xx, and keeps the body's text as it is (RI-5).
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        let text = answer.text();
        let id = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .expect("quotes")
            .to_owned();
        assert_eq!(id.len(), 36, "{id}");
        ids.push(id);
    }
    app.run_until_idle().await;
    for id in ids {
        let message = app.message(&id).await;
        assert_eq!(message["status"], "Processed", "{message:#}");
    }
    let rows = app
        .rows("select item, cast(price as text) from prices where item = 'a'")
        .await;
    assert_eq!(rows, [[Some("a".to_owned()), Some("1".to_owned())]]);

    // RI-3: a name as the .NET Framework writes it, byte by byte in Latin-1.
    let target = format!("/api/connector/enqueue/{IMPORT_ID}?entity={entity}");
    let answer = enqueue(&app, &target, b"Gr\xf6\xdfe.csv", Body::Length(csv)).await;
    assert_eq!(answer.status, 200);
    let id: String = serde_json::from_slice(&answer.body).expect("a text");
    assert_eq!(app.message(&id).await["external_id"], "Größe.csv");
}

/// Its rule is `IsSuccessStatusCode`, and it writes the reason into its log.
async fn what_is_refused_is_no_success_to_the_scheduler(backend: Backend) {
    let app = app(backend).await;
    let unknown = "00000000-0000-4000-8000-00000000ffff";
    let before = app.messages().await;
    for (target, body, status) in [
        (
            format!("/api/connector/enqueue/{IMPORT_ID}?entity=No+such+entity"),
            &b"x"[..],
            400,
        ),
        (format!("/api/connector/enqueue/{IMPORT_ID}?entity=Customers"), b"", 400),
        (format!("/api/connector/enqueue/{unknown}?entity=Customers"), b"x", 500),
    ] {
        let answer = enqueue(&app, &target, b"a.csv", Body::Length(body)).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert!(
            answer.json()["Message"].as_str().is_some_and(|text| !text.is_empty()),
            "{}",
            answer.text()
        );
    }
    assert_eq!(app.messages().await, before, "nothing was stored (RI-6)");
}
