//! Rejects are downloaded in the source's format, corrected and sent back as a child; the parent's numbers stay (promise 5).

use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    corrected_rejects_repair_their_parent,
    a_second_correction_repairs_parent_and_grandparent
);

const FILE: &str = "CustomerID,CompanyName,City\r\nAAAAA,\"Quotes \"\"and\"\" commas, too\",Köln\r\n,No key,Paris\r\nCCCCC,Fine,\r\n,No key either,\"Two\r\nlines\"\r\n";

async fn rejects(app: &TestApp, id: &Value) -> String {
    let answer = app
        .get(&format!("/api/v1/messages/{}/rejects", id.as_str().unwrap()))
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.unwrap()
}

async fn resubmit(app: &TestApp, id: &Value, body: String) -> Value {
    let answer = app
        .post(&format!("/api/v1/messages/{}/resubmit", id.as_str().unwrap()), body)
        .await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    app.message(child["id"].as_str().unwrap()).await
}

async fn corrected_rejects_repair_their_parent(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let parent = app.import("Inbound customers", "Customers", FILE).await;
    assert_eq!(parent["status"], "ProcessedWithErrors", "{parent:#}");
    assert_eq!(parent["records"]["rejected"], 2);
    let file = rejects(&app, &parent["id"]).await;
    assert!(
        file.starts_with("_reject_id,_error,CustomerID,CompanyName,City\r\n"),
        "{file}"
    );
    assert!(file.contains("\"Two\r\nlines\""), "the record's own text: {file}");
    assert!(file.contains("required_missing: "), "{file}");
    let corrected = fix_keys(&file);
    let child = resubmit(&app, &parent["id"], corrected.clone()).await;
    assert_eq!(child["status"], "Processed", "{child:#}");
    assert_eq!(child["records"]["inserted"], 2);
    assert_eq!(child["links"]["parent"], parent["links"]["self"]);
    let after = app.message(parent["id"].as_str().unwrap()).await;
    assert_eq!(after["records"]["repaired"], 2);
    assert_eq!(after["records"]["rejected"], 2, "the parent's own numbers never change");
    assert_eq!(after["status"], "ProcessedWithErrors");
    assert_eq!(after["links"]["children"][0], child["links"]["self"]);
    // The same correction again repairs nothing more.
    let again = resubmit(&app, &parent["id"], corrected).await;
    assert_eq!(again["records"]["unchanged"], 2);
    assert_eq!(
        app.message(parent["id"].as_str().unwrap()).await["records"]["repaired"],
        2
    );
}

/// Fills the empty key of each record of a rejects file.
fn fix_keys(file: &str) -> String {
    let mut fixed = String::new();
    for (number, line) in file.split_inclusive("\r\n").enumerate() {
        let line = line.to_owned();
        let starts_record = line.contains("required_missing");
        let line = if starts_record {
            line.replacen(",,No key", &format!(",K{number:04},No key"), 1)
        } else {
            line
        };
        fixed.push_str(&line);
    }
    fixed
}

async fn a_second_correction_repairs_parent_and_grandparent(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let parent = app.import("Inbound customers", "Customers", FILE).await;
    let file = rejects(&app, &parent["id"]).await;
    // Sent back unchanged: rejected again.
    let child = resubmit(&app, &parent["id"], file).await;
    assert_eq!(child["records"]["rejected"], 2, "{child:#}");
    assert_eq!(
        app.message(parent["id"].as_str().unwrap()).await["records"]["repaired"],
        0
    );
    let file = rejects(&app, &child["id"]).await;
    assert_eq!(file.matches("_reject_id").count(), 1, "one id column: {file}");
    let grandchild = resubmit(&app, &child["id"], fix_keys(&file)).await;
    assert_eq!(grandchild["status"], "Processed", "{grandchild:#}");
    for id in [&parent["id"], &child["id"]] {
        let message = app.message(id.as_str().unwrap()).await;
        assert_eq!(message["records"]["repaired"], 2, "{message:#}");
        assert_eq!(message["records"]["rejected"], 2);
    }
}
