//! Recurring Integrations Scheduler, Export job: PKG-0, PKG-12, PKG-13, PKG-19, PKG-20, AUTH-15.

use serde_json::{Value, json};
use url::Url;

use super::wire::{Body, Wire};
use super::{BASE, app};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(a_package_is_asked_for_polled_and_fetched_as_the_scheduler_does,);

/// An action's value, as it reads it: `ToString`. Anything but 2xx throws.
async fn act(app: &TestApp, action: &str, parameters: &Value) -> String {
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
    let answer = Wire::open(app)
        .await
        .send(&head, Body::Expecting(parameters.to_string().as_bytes()))
        .await;
    assert!((200..300).contains(&answer.status), "{action}: {}", answer.text());
    match &answer.json()["value"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

async fn a_package_is_asked_for_polled_and_fetched_as_the_scheduler_does(backend: Backend) {
    let app = app(backend).await;
    // Its own id, which it polls with whatever is answered.
    let execution = "Prices export-2026-01-05_08-00-00-6e0b1c0e-7d5f-4c51-8a53-1f3f5d5a0c11";
    let asked = json!({"definitionGroupId": "Prices export", "packageName": "prices", "executionId": execution,
                       "reExecute": false, "legalEntityId": "usmf"});
    act(&app, "ExportToPackage", &asked).await;
    let poll = json!({ "executionId": execution });
    let status = act(&app, "GetExecutionSummaryStatus", &poll).await;
    assert!(
        ["NotRun", "Executing"].contains(&status.as_str()),
        "{status}: it can be polled at once (PKG-13)"
    );
    app.run_until_idle().await;
    assert_eq!(act(&app, "GetExecutionSummaryStatus", &poll).await, "Succeeded");
    let url = act(&app, "GetExportedPackageUrl", &poll).await;
    assert!(url.starts_with(BASE), "{url}");

    // `new Uri(text)` normalises it, and no token goes along.
    let url = Url::parse(&url).expect("a URL");
    let first = format!("GET {}?{} HTTP/1.1", url.path(), url.query().expect("a signature"));
    let head = [first.as_str(), "Host: erp.example.test", "Connection: Keep-Alive"];
    let file = Wire::open(&app).await.send(&head, Body::None).await;
    assert_eq!(file.status, 200, "{}", String::from_utf8_lossy(&file.body));
    let members = crate::packing::members(&file.body);
    let data = members
        .iter()
        .find(|(name, _)| *name == "Preise & Größen 😀.csv")
        .expect("a data file");
    assert!(data.1.contains("old"), "{data:?}");
}
