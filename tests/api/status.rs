//! One status that is always true, in all three of the wire's vocabularies.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_waiting_message_is_enqueued_on_every_surface,
    an_ended_message_tells_the_same_story_on_every_surface,
    a_message_remembers_every_status_it_had,
    unknown_ids_are_answered_as_clients_expect,
    errors_carry_the_numbers_clients_search_for,
    a_failure_before_staging_is_one_error,
    a_list_pages_by_key_and_filters,
);

async fn action(app: &TestApp, name: &str, body: Value) -> (StatusCode, Value) {
    let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name}");
    let answer = app.post(&path, body.to_string()).await;
    (answer.status(), answer.json().await.unwrap())
}

const TWO_CUSTOMERS: &str = "CustomerID,CompanyName\r\nAAAAA,One\r\n,Two\r\n";

async fn enqueue(app: &TestApp) -> String {
    app.enqueue("Inbound customers", "Customers", TWO_CUSTOMERS).await
}

async fn job_status(app: &TestApp, query: &str) -> Value {
    let path = format!("/api/connector/jobstatus/{}?{query}", app.job("Inbound customers"));
    app.get(&path).await.json().await.unwrap()
}

/// The value an action answers.
async fn value(app: &TestApp, name: &str, body: Value) -> String {
    let (status, body) = action(app, name, body).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(
        body["@odata.context"]
            .as_str()
            .unwrap()
            .ends_with("/data/$metadata#Edm.String")
    );
    body["value"].as_str().unwrap().to_owned()
}

async fn a_waiting_message_is_enqueued_on_every_surface(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let id = enqueue(&app).await;
    // RIS keeps the quotes of the enqueue answer; member names come in any case.
    let status = job_status(&app, &format!("jobid=%22{id}%22")).await;
    assert_eq!(status["DataJobStatus"]["DataJobState"], "Enqueued");
    assert_eq!(
        status["DataJobStatus"]["DataJobCompletedDateTime"], "1900-01-01T00:00:00Z",
        "RI-28"
    );
    assert_eq!(
        value(&app, "GetMessageStatus", json!({ "messageId": id })).await,
        "Enqueued"
    );
    let zero = "00000000-0000-0000-0000-000000000000";
    assert_eq!(
        value(&app, "GetExecutionIdByMessageId", json!({ "_messageId": id })).await,
        zero,
        "PKG-17"
    );
    assert_eq!(
        value(&app, "GetExecutionSummaryStatus", json!({ "executionId": id })).await,
        "NotRun"
    );
    app.run_until_idle().await;
}

async fn an_ended_message_tells_the_same_story_on_every_surface(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let id = enqueue(&app).await;
    app.run_until_idle().await;
    let status = job_status(&app, &format!("jobId={id}")).await;
    let of_job = &status["DataJobStatus"];
    assert_eq!(of_job["DataJobState"], "ProcessedWithErrors");
    assert_eq!(of_job["DataProject"], "Inbound customers");
    assert_eq!(of_job["DataJobCompletedDateTime"], "2026-01-05T08:00:00Z");
    let detail = &status["ExecutionDetail"][0];
    for (member, expected) in [
        ("EntityName", json!("Customers")),
        ("StagingStatus", json!("Error")),
        ("TargetStatus", json!("Finished")),
        ("StagingRecords", json!(2)),
        ("StagingErrorCount", json!(1)),
        ("TargetRecords", json!(1)),
        ("TargetErrorCount", json!(0)),
    ] {
        assert_eq!(detail[member], expected, "{member}");
    }
    let quoted = json!({ "MESSAGEID": format!("\"{id}\"") });
    assert_eq!(value(&app, "GetMessageStatus", quoted).await, "ProcessedWithErrors");
    let execution = value(&app, "GetExecutionIdByMessageId", json!({ "_messageId": id })).await;
    assert!(
        execution.starts_with("Inbound customers-2026-01-05T08:00:00-"),
        "PKG-11a: {execution}"
    );
    assert_eq!(of_job["ExecutionIdentifier"], execution);
    let by_execution = json!({ "executionId": execution });
    assert_eq!(
        value(&app, "GetExecutionSummaryStatus", by_execution.clone()).await,
        "PartiallySucceeded"
    );
    let errors = value(&app, "GetExecutionErrors", by_execution).await;
    let expected = "[{\"RecordId\":\"000002\",\"Field\":\"CUSTOMER_ACCOUNT\",\"ErrorMessage\":\"required_missing: ";
    assert!(errors.starts_with(expected), "PKG-14: {errors}");
    assert!(serde_json::from_str::<Value>(&errors).is_ok());
    let native = app.message(&id).await;
    assert_eq!(native["status"], "ProcessedWithErrors");
    assert_eq!(native["executions"][0]["id"], execution);
}

async fn a_message_remembers_every_status_it_had(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let id = enqueue(&app).await;
    app.run_until_idle().await;
    let history: Value = app
        .get(&format!("/api/v1/messages/{id}/history"))
        .await
        .json()
        .await
        .unwrap();
    let events = history["events"].as_array().unwrap();
    let statuses: Vec<&str> = events.iter().map(|e| e["status"].as_str().unwrap()).collect();
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

/// The errors of an import as `GetExecutionErrors` lists them.
async fn errors_of(app: &TestApp, body: &str) -> Vec<Value> {
    let message = app.import("Inbound customers", "Customers", body.to_owned()).await;
    let execution = message["executions"][0]["id"].as_str().unwrap();
    let errors = value(app, "GetExecutionErrors", json!({ "executionId": execution })).await;
    serde_json::from_str(&errors).unwrap()
}

/// FMT-14: behind our code and reason.
async fn errors_carry_the_numbers_clients_search_for(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let errors = errors_of(
        &app,
        "CustomerID,CompanyName\r\nAAAAA,One\r\nAAAAA,Two\r\n\u{7}B,Three\r\n",
    )
    .await;
    let texts: Vec<&str> = errors
        .iter()
        .map(|error| error["ErrorMessage"].as_str().unwrap())
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts
            .iter()
            .any(|text| text.starts_with("duplicate_key: ") && text.ends_with("(DMF1959)")),
        "{texts:?}"
    );
    assert!(
        texts
            .iter()
            .any(|text| text.starts_with("invalid_character: ") && text.ends_with("(DMF2055)")),
        "{texts:?}"
    );
    // A reason that has its number already does not get it twice.
    let errors = errors_of(&app, "\r\n\r\n").await;
    let text = errors[0]["ErrorMessage"].as_str().unwrap();
    assert_eq!(text.matches("FF004").count(), 1, "{text}");
}

/// PKG-14a: the product lists nothing then, and clients look for the reason in vain.
async fn a_failure_before_staging_is_one_error(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let errors = errors_of(&app, "Neither,Nor\r\n1,2\r\n").await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((&errors[0]["RecordId"], &errors[0]["Field"]), (&json!(""), &json!("")));
    let text = errors[0]["ErrorMessage"].as_str().unwrap();
    assert!(text.contains("Neither") || text.contains("customer_account"), "{text}");
}
