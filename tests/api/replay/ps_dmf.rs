//! The DMF cmdlets of the PowerShell module d365fo.integrations: GEN-7, RI-4, RI-5, RI-9, RI-14, RI-16, RI-20, RI-21, RI-30, PKG-16, ERR-1.

use serde_json::Value;

use super::wire::{Answer, Body, Wire};
use super::{IMPORT_ID, app};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_package_is_enqueued_and_watched_by_cmdlets,
    a_package_is_dequeued_fetched_and_acknowledged_by_cmdlets,
);

/// Invoke-RestMethod and Invoke-WebRequest of Windows PowerShell.
async fn invoke(app: &TestApp, line: &str, more: &[&str], body: Body<'_>) -> Answer {
    let authorization = format!("Authorization: Bearer {}", app.token);
    let mut head = vec![line, authorization.as_str()];
    head.extend([
        "User-Agent: Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1.19041.1",
        "Host: erp.example.test",
    ]);
    head.extend_from_slice(more);
    Wire::open(app).await.send(&head, body).await
}

async fn status(app: &TestApp, id: &str) -> Answer {
    let line = "POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetMessageStatus HTTP/1.1";
    // Single quotes: no JSON, and what it sends.
    let body = format!("{{'messageId':'{id}'}}");
    let content = ["Content-Type: application/json"];
    invoke(app, line, &content, Body::Expecting(body.as_bytes())).await
}

async fn a_package_is_enqueued_and_watched_by_cmdlets(backend: Backend) {
    let app = app(backend).await;
    let line = format!("POST /api/connector/enqueue/{IMPORT_ID}?entity=Customers HTTP/1.1");
    let mut ids = Vec::new();
    for csv in [
        "CustomerID,CompanyName\nA,One\n",
        "CustomerID,CompanyName\nB,Two\nC,\n",
        "CustomerID\n\"never closed\n",
    ] {
        let content = ["Content-Type: application/zip"];
        let answer = invoke(&app, &line, &content, Body::Expecting(csv.as_bytes())).await;
        assert_eq!(answer.status, 200, "it compares to 200: {}", answer.text());
        // -replace '"',''
        ids.push(answer.text().replace('"', ""));
    }
    assert_eq!(status(&app, &ids[0]).await.json()["value"], "Enqueued");
    app.run_until_idle().await;
    // -WaitForCompletion ends on these four and on nothing else.
    let ends = [
        "Processed",
        "PreProcessingError",
        "ProcessedWithErrors",
        "PostProcessingFailed",
    ];
    let mut seen = Vec::new();
    for id in &ids {
        let answer = status(&app, id).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        assert!(
            body["@odata.context"]
                .as_str()
                .is_some_and(|text| text.ends_with("/$metadata#Edm.String")),
            "{body}"
        );
        let value = body["value"].as_str().expect("a text").to_owned();
        assert!(ends.contains(&value.as_str()), "{value}: it would wait for ever");
        seen.push(value);
    }
    assert_eq!(seen[..2], ["Processed", "ProcessedWithErrors"]);

    // It prints error.innererror of what is refused.
    let refused = status(&app, "00000000-0000-0000-0000-000000000001").await;
    assert_eq!(refused.status, 400);
    let inner = refused.json()["error"]["innererror"]["message"].clone();
    assert!(
        inner.as_str().is_some_and(|text| text.contains("GetMessageStatus")),
        "{inner}"
    );
}

async fn a_package_is_dequeued_fetched_and_acknowledged_by_cmdlets(backend: Backend) {
    let app = app(backend).await;
    let job = app.job("Documents");
    let dequeue = format!("GET /api/connector/dequeue/{job} HTTP/1.1");
    let empty = invoke(&app, &dequeue, &[], Body::None).await;
    assert!(
        empty.body.is_empty() && empty.status == 204,
        "an empty body is none (RI-9)"
    );
    app.post(&format!("/api/v1/jobs/{job}/messages"), "cargo").await;
    let offered = invoke(&app, &dequeue, &[], Body::None).await;
    assert_eq!(offered.status, 200);
    let details: Value = offered.json();
    assert_eq!(details["IsDownLoadFileExist"], true);
    assert!(details["LastDequeueDateTime"].is_null(), "{details}");

    // -replace 'http://','https://' -replace ':80',''
    let location = details["DownloadLocation"]
        .as_str()
        .expect("a text")
        .replace("http://", "https://")
        .replace(":80", "");
    let target = location.strip_prefix(super::BASE).expect("the environment's own");
    let file = invoke(&app, &format!("GET {target} HTTP/1.1"), &[], Body::None).await;
    assert_eq!((file.status, file.text().as_str()), (200, "cargo"));

    // The dequeue's text as it came; twice, as after a lost answer (RI-22).
    let line = format!("POST /api/connector/ack/{job} HTTP/1.1");
    for _ in 0..2 {
        let content = ["Content-Type: application/json"];
        let done = invoke(&app, &line, &content, Body::Expecting(&offered.body)).await;
        assert_eq!(
            (done.status, done.body.len()),
            (200, 0),
            "it compares to 200: {}",
            done.text()
        );
    }
}
