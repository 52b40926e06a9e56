//! The vendor's templates for Logic Apps: PKG-1, PKG-2, PKG-5, PKG-12, PKG-19, PKG-20, and section 11.

use serde_json::{Value, json};

use super::wire::{Answer, Body, Wire};
use super::{app, package, target};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(packages_travel_both_ways_as_in_the_templates,);

const ZERO: &str = "00000000-0000-0000-0000-000000000000";

/// An HTTP action: a correlation id and an agent of its own, a body with its length.
async fn call(app: &TestApp, line: &str, more: &[&str], body: Body<'_>) -> Answer {
    let mut head = vec![
        line,
        "Connection: Keep-Alive",
        "Accept-Encoding: gzip, deflate",
        "Accept-Language: en",
        "Host: erp.example.test",
        "User-Agent: azure-logic-apps/1.0 (workflow 0a1b2c3d; version 08586)",
        "x-ms-workflow-run-id: 08585999",
        "x-ms-client-request-id: 1d2c3b4a-5f6e-4a7b-8c9d-0e1f2a3b4c5d",
    ];
    head.extend_from_slice(more);
    Wire::open(app).await.send(&head, body).await
}

/// `body('HTTP')?['value']`
async fn act(app: &TestApp, action: &str, parameters: &Value) -> Value {
    let line = format!("POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action} HTTP/1.1");
    let authorization = format!("Authorization: Bearer {}", app.token);
    let more = [authorization.as_str(), "Content-Type: application/json"];
    let answer = call(app, &line, &more, Body::Length(parameters.to_string().as_bytes())).await;
    assert_eq!(answer.status, 200, "{action}: {}", answer.text());
    answer.json()["value"].clone()
}

/// The loop's body until the status is one of those that end it.
async fn until_terminal(app: &TestApp, id: &Value) -> Value {
    for _ in 0..10 {
        let status = act(app, "GetExecutionSummaryStatus", &json!({ "executionId": id })).await;
        if !["NotRun", "Executing"].contains(&status.as_str().expect("a text")) {
            return status;
        }
        app.run_until_idle().await;
    }
    panic!("{id} does not end");
}

async fn packages_travel_both_ways_as_in_the_templates(backend: Backend) {
    let app = app(backend).await;
    // The same name each time (PKG-2).
    let mut links = Vec::new();
    for account in ["A", "B"] {
        let value = act(&app, "GetAzureWriteUrl", &json!({ "uniqueFileName": ZERO })).await;
        // json(body.value).BlobUrl
        let url: Value = serde_json::from_str(value.as_str().expect("a text")).expect("JSON");
        let url = url["BlobUrl"].as_str().expect("a URL").to_owned();
        let line = format!("PUT {} HTTP/1.1", target(&url));
        let more = [
            "x-ms-blob-type: BlockBlob",
            "x-ms-version: 2015-02-21",
            "Content-Type: application/octet-stream",
        ];
        let bytes = package(&format!("CustomerID,CompanyName\r\n{account},Company\r\n"));
        assert_eq!(call(&app, &line, &more, Body::Length(&bytes)).await.status, 201);
        links.push(url);
    }
    for link in links {
        // No id of its own: the server makes one.
        let asked = json!({"packageUrl": link, "definitionGroupId": "Inbound prices", "executionId": "", "execute": true,
                           "overwrite": true, "legalEntityId": "usmf"});
        let id = act(&app, "ImportFromPackage", &asked).await;
        assert!(
            id.as_str()
                .is_some_and(|id| id.starts_with("Inbound prices-2026-01-05T08:00")),
            "{id}"
        );
        assert_eq!(until_terminal(&app, &id).await, "Succeeded");
    }
    let rows = app.rows("select customer_account from customers order by 1").await;
    assert_eq!(rows, [[Some("A".to_owned())], [Some("B".to_owned())]]);

    let asked = json!({"definitionGroupId": "Prices export", "packageName": "prices", "executionId": "", "reExecute": true,
                       "legalEntityId": "usmf"});
    let id = act(&app, "ExportToPackage", &asked).await;
    assert_ne!(id, ZERO, "it takes that for a failed start");
    assert_eq!(until_terminal(&app, &id).await, "Succeeded");
    let link = act(&app, "GetExportedPackageUrl", &json!({ "executionId": id })).await;
    let link = link.as_str().expect("a text");
    assert!(link.starts_with("https"), "{link}");
    let file = call(&app, &format!("GET {} HTTP/1.1", target(link)), &[], Body::None).await;
    assert_eq!(file.status, 200);
    assert!(file.body.starts_with(b"PK"));
}
