//! Practitioners' scripts that watch executions: ERR-2, PKG-13, PKG-14, PKG-14a, PKG-17, RI-33, GEN-6, GEN-9.

use regex::Regex;
use serde_json::Value;

use super::wire::{Answer, Body, Wire};
use super::{LABEL, app};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(an_execution_is_found_and_its_errors_are_read_by_scripts,);

/// Invoke-RestMethod of PowerShell 7, or `requests` of Python: ids of its own in headers.
async fn act(app: &TestApp, action: &str, body: &str) -> Answer {
    let first = format!("POST //data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action} HTTP/1.1");
    let authorization = format!("authorization: Bearer {}", app.token);
    let head = [
        first.as_str(),
        "host: erp.example.test",
        "accept: */*",
        "user-agent: python-requests/2.31.0",
        "x-ms-client-request-id: 0e2f6f0a-5f0b-4e7d-8f8a-3a1c2d3e4f50",
        "x-ms-client-session-id: 6a5b4c3d-2e1f-4a0b-9c8d-7e6f5a4b3c2d",
        authorization.as_str(),
        "content-type: application/json",
    ];
    Wire::open(app).await.send(&head, Body::Length(body.as_bytes())).await
}

async fn value(app: &TestApp, action: &str, body: &str) -> String {
    let answer = act(app, action, body).await;
    assert_eq!(answer.status, 200, "{action}: {}", answer.text());
    answer.json()["value"].as_str().expect("a text").to_owned()
}

async fn an_execution_is_found_and_its_errors_are_read_by_scripts(backend: Backend) {
    let app = app(backend).await;
    let id = app
        .enqueue(
            "Inbound prices",
            LABEL,
            "item,price\r\na,1\r\nb,\"dear\"\"ly\r\nbought\"\r\n",
        )
        .await;
    let by_message = format!("{{\"_messageId\":\"{{{id}}}\"}}");
    // A script waits until this is no longer all zeros (PKG-17).
    let waiting = value(&app, "GetExecutionIdByMessageId", &by_message).await;
    assert_eq!(waiting, "00000000-0000-0000-0000-000000000000");
    app.run_until_idle().await;
    let execution = value(&app, "GetExecutionIdByMessageId", &by_message).await;
    let by_execution = serde_json::json!({ "executionId": execution }).to_string();
    assert_eq!(
        value(&app, "GetExecutionSummaryStatus", &by_execution).await,
        "PartiallySucceeded"
    );

    // Fo.Api.psm1 reads the three names in this order with an expression, because the real server does not escape quotes.
    let told = value(&app, "GetExecutionErrors", &by_execution).await;
    let expression = r#"(?s)"RecordId":"(.*?)","Field":"(.*?)","ErrorMessage":"(.*?)"\}"#;
    let found = Regex::new(expression)
        .unwrap()
        .captures(&told)
        .unwrap_or_else(|| panic!("{told}"));
    assert!(!found[1].is_empty() && found[3].contains("dear"), "{told}");
    let list: Vec<Value> = serde_json::from_str(&told).expect("and it is JSON all the same");
    assert!(list[0]["ErrorMessage"].as_str().unwrap().contains("dear\"ly"), "{told}");

    // A failure before staging has its cause in the list (PKG-14a); the message's id stands for an execution's (RI-33).
    let broken = app.enqueue("Inbound prices", LABEL, "\u{0}\u{0}").await;
    app.run_until_idle().await;
    let told = value(
        &app,
        "GetExecutionErrors",
        &serde_json::json!({ "executionId": broken }).to_string(),
    )
    .await;
    let list: Vec<Value> = serde_json::from_str(&told).expect("a list");
    assert_eq!(
        (&list[0]["RecordId"], &list[0]["Field"]),
        (&"".into(), &"".into()),
        "{told}"
    );
    assert!(!list[0]["ErrorMessage"].as_str().unwrap().is_empty(), "{told}");

    // Scripts ask again while the text says that the execution was not found (PKG-13).
    let unknown = act(&app, "GetExecutionSummaryStatus", r#"{"executionId":"nobody's"}"#).await;
    assert_eq!(unknown.status, 400);
    let error = &unknown.json()["error"];
    assert_eq!(error["message"], "An error has occurred.");
    assert_eq!(error["innererror"]["type"], "System.InvalidOperationException");
    let text = error["innererror"]["message"].as_str().unwrap();
    let lead_in =
        "Exception occurred while executing action GetExecutionSummaryStatus on Entity DataManagementDefinitionGroup: ";
    assert!(text.starts_with(lead_in) && text.contains("not found"), "{text}");
}
