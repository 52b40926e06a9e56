//! One status that is always true, in all three of the wire's vocabularies.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    every_surface_tells_the_same_story,
    unknown_ids_are_answered_as_clients_expect,
    a_list_pages_by_key_and_filters,
);

async fn action(app: &TestApp, name: &str, body: Value) -> (StatusCode, Value) {
    let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name}");
    let answer = app.post(&path, body.to_string()).await;
    (answer.status(), answer.json().await.unwrap())
}

async fn every_surface_tells_the_same_story(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let job = app.job("Inbound customers");
    let id = app
        .enqueue(
            "Inbound customers",
            "Customers",
            "CustomerID,CompanyName\r\nAAAAA,One\r\n,Two\r\n",
        )
        .await;
    let status = |suffix: &str| {
        let path = format!("/api/connector/jobstatus/{job}?{suffix}");
        let app = &app;
        async move { app.get(&path).await.json::<Value>().await.unwrap() }
    };
    // RIS keeps the quotes of the enqueue answer; member names come in any case.
    let before = status(&format!("jobid=%22{id}%22")).await;
    assert_eq!(before["DataJobStatus"]["DataJobState"], "Enqueued");
    assert_eq!(
        before["DataJobStatus"]["DataJobCompletedDateTime"], "1900-01-01T00:00:00Z",
        "RI-28"
    );
    assert_eq!(
        action(&app, "GetMessageStatus", json!({ "messageId": id })).await.1["value"],
        "Enqueued"
    );
    let zero = "00000000-0000-0000-0000-000000000000";
    assert_eq!(
        action(&app, "GetExecutionIdByMessageId", json!({ "_messageId": id }))
            .await
            .1["value"],
        zero,
        "PKG-17"
    );
    assert_eq!(
        action(&app, "GetExecutionSummaryStatus", json!({ "executionId": id }))
            .await
            .1["value"],
        "NotRun"
    );
    app.run_until_idle().await;
    let after = status(&format!("jobId={id}")).await;
    assert_eq!(after["DataJobStatus"]["DataJobState"], "ProcessedWithErrors");
    assert_eq!(after["DataJobStatus"]["DataProject"], "Inbound customers");
    assert_eq!(
        after["DataJobStatus"]["DataJobCompletedDateTime"],
        "2026-01-05T08:00:00Z"
    );
    let detail = &after["ExecutionDetail"][0];
    assert_eq!(
        (&detail["EntityName"], &detail["StagingStatus"], &detail["TargetStatus"]),
        (&"Customers".into(), &"Error".into(), &"Finished".into())
    );
    assert_eq!(
        (
            &detail["StagingRecords"],
            &detail["StagingErrorCount"],
            &detail["TargetRecords"],
            &detail["TargetErrorCount"]
        ),
        (&2.into(), &1.into(), &1.into(), &0.into())
    );
    assert_eq!(
        action(&app, "GetMessageStatus", json!({ "MESSAGEID": format!("\"{id}\"") }))
            .await
            .1["value"],
        "ProcessedWithErrors"
    );
    let execution = action(&app, "GetExecutionIdByMessageId", json!({ "_messageId": id }))
        .await
        .1["value"]
        .clone();
    assert!(
        execution
            .as_str()
            .unwrap()
            .starts_with("Inbound customers-2026-01-05T08:00:00-"),
        "PKG-11a: {execution}"
    );
    assert_eq!(after["DataJobStatus"]["ExecutionIdentifier"], execution);
    let summary = action(&app, "GetExecutionSummaryStatus", json!({ "executionId": execution }))
        .await
        .1;
    assert_eq!(summary["value"], "PartiallySucceeded");
    assert!(
        summary["@odata.context"]
            .as_str()
            .unwrap()
            .ends_with("/data/$metadata#Edm.String")
    );
    let errors = action(&app, "GetExecutionErrors", json!({ "executionId": execution }))
        .await
        .1;
    let text = errors["value"].as_str().unwrap();
    assert!(
        text.starts_with(
            "[{\"RecordId\":\"000002\",\"Field\":\"CUSTOMER_ACCOUNT\",\"ErrorMessage\":\"required_missing: "
        ),
        "PKG-14: {text}"
    );
    assert!(serde_json::from_str::<Value>(text).is_ok());
    let native = app.message(&id).await;
    assert_eq!(native["status"], "ProcessedWithErrors");
    assert_eq!(native["executions"][0]["id"], execution);
    let history: Value = app
        .get(&format!("/api/v1/messages/{id}/history"))
        .await
        .json()
        .await
        .unwrap();
    let statuses: Vec<&str> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["Enqueued", "PreProcessing", "Processing", "ProcessedWithErrors"]
    );
}

async fn unknown_ids_are_answered_as_clients_expect(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let unknown = "00000000-0000-4000-8000-000000000001";
    let job = app.job("Inbound customers");
    for id in [unknown, "", "nonsense"] {
        let answer = app.get(&format!("/api/connector/jobstatus/{job}?jobId={id}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "RI-29");
        assert_eq!(answer.json::<Value>().await.unwrap()["DataJobStatus"], Value::Null);
    }
    let (status, body) = action(&app, "GetMessageStatus", json!({ "messageId": unknown })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "PKG-16");
    let text = body["error"]["innererror"]["message"].as_str().unwrap();
    assert!(
        text.starts_with(
            "Exception occurred while executing action GetMessageStatus on Entity DataManagementDefinitionGroup: "
        ),
        "ERR-2: {text}"
    );
    let (status, body) = action(&app, "GetExecutionSummaryStatus", json!({ "executionId": "none" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "PKG-13");
    assert!(
        body["error"]["innererror"]["message"]
            .as_str()
            .unwrap()
            .contains("Execution details were not found"),
        "{body}"
    );
    let (status, _) = action(&app, "NoSuchAction", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let problem: Value = app
        .get(&format!("/api/v1/messages/{unknown}"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(problem["code"], "not_found");
    assert_eq!(problem["status"], 404);
}

async fn a_list_pages_by_key_and_filters(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(
            app.enqueue(
                "Inbound customers",
                "Customers",
                "CustomerID,CompanyName\r\nAAAAA,One\r\n",
            )
            .await,
        );
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut path = "/api/v1/messages?limit=2".to_owned();
    loop {
        let page: Value = app.get(&path).await.json().await.unwrap();
        seen.extend(
            page["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/messages?limit=2&before={next}");
    }
    assert_eq!(seen, ids, "newest first, each once");
    app.run_until_idle().await;
    let none: Value = app.get("/api/v1/messages?status=enqueued").await.json().await.unwrap();
    assert!(none["messages"].as_array().unwrap().is_empty());
    let all: Value = app
        .get("/api/v1/messages?status=Processed&job=inbound+customers")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(all["messages"].as_array().unwrap().len(), 5);
    for path in ["?status=Nothing", "?limit=0", "?limit=x", "?before=x"] {
        assert_eq!(
            app.get(&format!("/api/v1/messages{path}")).await.status(),
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
}
