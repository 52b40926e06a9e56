//! Recurring Integrations Scheduler, Import and Execution monitor jobs: PKG-0, PKG-1, PKG-5, PKG-8, PKG-11, PKG-11a, PKG-12, PKG-14,
//! PKG-15, PKG-15a, AUTH-15.

use serde_json::{Value, json};
use url::Url;

use super::wire::{Answer, Body, Wire};
use super::{BASE, app, package, target};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(a_package_is_imported_and_watched_as_the_scheduler_does,);

const PROJECT: &str = "Inbound prices";

async fn call(app: &TestApp, action: &str, parameters: &Value) -> Answer {
    let first = format!("POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action} HTTP/1.1");
    let authorization = format!("Authorization: Bearer {}", app.token);
    let head = [
        first.as_str(),
        authorization.as_str(),
        "Content-Type: application/json; charset=utf-8",
        "Host: erp.example.test",
        "Accept-Encoding: gzip, deflate",
        "Connection: Keep-Alive",
    ];
    let mut wire = Wire::open(app).await;
    wire.send(&head, Body::Expecting(parameters.to_string().as_bytes()))
        .await
}

/// An action's value, as it reads it: `ToString`. Anything but 2xx is a failure.
async fn act(app: &TestApp, action: &str, parameters: &Value) -> String {
    let answer = call(app, action, parameters).await;
    assert!((200..300).contains(&answer.status), "{action}: {}", answer.text());
    match &answer.json()["value"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A link, opened without a token.
async fn open(app: &TestApp, link: &str) -> Answer {
    let first = format!("GET {} HTTP/1.1", target(link));
    let head = [first.as_str(), "Host: erp.example.test", "Connection: Keep-Alive"];
    Wire::open(app).await.send(&head, Body::None).await
}

/// Uploads and submits a package under an id of its own, which it polls from then on.
async fn import(app: &TestApp, bytes: &[u8], id: &str) -> Answer {
    let link = act(app, "GetAzureWriteUrl", &json!({ "uniqueFileName": id })).await;
    // The value is a text that holds JSON (PKG-1).
    let link: Value = serde_json::from_str(&link).expect("JSON in the text");
    let link = link["BlobUrl"].as_str().expect("a URL").to_owned();
    let first = format!("PUT {} HTTP/1.1", target(&link));
    let head = [
        first.as_str(),
        "x-ms-date: Mon, 05 Jan 2026 08:00:00 GMT",
        "x-ms-blob-type: BlockBlob",
        "Overwrite: T",
        "Host: erp.example.test",
        "Connection: Keep-Alive",
    ];
    let put = Wire::open(app).await.send(&head, Body::Expecting(bytes)).await;
    assert!((200..300).contains(&put.status), "{}: {}", put.status, put.text());
    // .NET's canonical form: what need not be escaped is not, hexadecimal digits in the other case (PKG-8).
    let canonical = Url::parse(&link)
        .expect("a URL")
        .as_str()
        .replace("%2f", "%2F")
        .replace("%3d", "=")
        .replace("%3D", "=");
    let asked = json!({"packageUrl": canonical, "definitionGroupId": PROJECT, "executionId": id, "execute": true,
                       "overwrite": true, "legalEntityId": "usmf"});
    call(app, "ImportFromPackage", &asked).await
}

async fn a_package_is_imported_and_watched_as_the_scheduler_does(backend: Backend) {
    let app = app(backend).await;
    let good = "Inbound prices-2026-01-05_08-00-00-6e0b1c0e-7d5f-4c51-8a53-1f3f5d5a0c11";
    let bad = "Inbound prices-2026-01-05_08-00-01-9a1e1c0e-7d5f-4c51-8a53-1f3f5d5a0c12";
    for (id, customers) in [
        (good, "CustomerID,CompanyName\r\nA,One\r\n"),
        (bad, "CustomerID,CompanyName\r\nB,Two\r\nC,\r\n"),
    ] {
        let answer = import(&app, &package(customers), id).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let poll = json!({ "executionId": id });
        let status = act(&app, "GetExecutionSummaryStatus", &poll).await;
        assert!(
            ["NotRun", "Executing"].contains(&status.as_str()),
            "{status}: it can be polled at once (PKG-13)"
        );
    }
    app.run_until_idle().await;
    for (id, status) in [(good, "Succeeded"), (bad, "PartiallySucceeded")] {
        assert_eq!(
            act(&app, "GetExecutionSummaryStatus", &json!({ "executionId": id })).await,
            status
        );
    }
    // The monitor, of what did not succeed: errors, the keys of each entity, and a page for a shortcut beside the file.
    let poll = json!({ "executionId": bad });
    let errors: Vec<Value> = serde_json::from_str(&act(&app, "GetExecutionErrors", &poll).await).expect("a list");
    assert_eq!(errors.len(), 1, "{errors:?}");
    let of = json!({ "executionId": bad, "entityName": "Customers" });
    let has_keys = act(&app, "GenerateImportTargetErrorKeysFile", &of).await;
    // `Convert.ToBoolean` on the text.
    if has_keys.parse::<bool>().expect("a boolean") {
        // It polls for ever while the text is empty: after a `true` it must not stay so.
        let link = act(&app, "GetImportTargetErrorKeysFileUrl", &of).await;
        assert_eq!(open(&app, &link).await.status, 200);
    }
    let link = act(&app, "GetImportStagingErrorFileUrl", &of).await;
    let file = open(&app, &link).await;
    assert_eq!(file.status, 200, "{}", file.text());
    assert!(file.text().contains('C'), "{}", file.text());
    let page = act(&app, "GetExecutionSummaryPageUrl", &poll).await;
    assert!(
        Url::parse(&page).is_ok_and(|url| url.as_str().starts_with(BASE)),
        "{page}"
    );

    // A zip that is no package is refused, and its reason is in the text.
    let refused = import(&app, b"PK no package", "Inbound prices-2026-01-05_08-00-02-x").await;
    assert_eq!(refused.status, 400, "{}", refused.text());
}
