//! Recurring Integrations Scheduler, Processing monitor job: GEN-6, RI-26 to RI-29, RI-33, PKG-14.

use serde_json::Value;

use super::wire::{Answer, Body, Wire};
use super::{IMPORT_ID, LABEL, app};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(a_message_is_watched_to_its_end_as_the_scheduler_does,);

/// Its enum, by whose names it parses.
const STATES: [&str; 9] = [
    "Enqueued",
    "Dequeued",
    "Downloaded",
    "Acked",
    "InProcess",
    "Processed",
    "ProcessedWithErrors",
    "PostProcessError",
    "PreProcessError",
];
/// `DMFBatchJobStatus`.
const STEPS: [&str; 10] = [
    "NotStarted",
    "Waiting",
    "Executing",
    "Error",
    "Finished",
    "Ready",
    "NotRun",
    "Cancelling",
    "Canceled",
    "Hold",
];

async fn ask(app: &TestApp, id: &str) -> Answer {
    let first = format!("GET /api/connector/jobstatus/{IMPORT_ID}?jobId={id} HTTP/1.1");
    let authorization = format!("Authorization: Bearer {}", app.token);
    let head = [
        first.as_str(),
        authorization.as_str(),
        "Host: erp.example.test",
        "Accept-Encoding: gzip, deflate",
        "Connection: Keep-Alive",
    ];
    Wire::open(app).await.send(&head, Body::None).await
}

/// What its deserializer insists on: times and counts are no nullable types, a name it does not know throws.
fn parse(answer: &Answer) -> Option<(String, Value)> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let time = |value: &Value| {
        let text = value.as_str().unwrap_or_else(|| panic!("a time in {body}"));
        chrono::DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    };
    for entity in body["ExecutionDetail"].as_array().expect("a list") {
        for count in [
            "StagingRecords",
            "StagingErrorCount",
            "TargetRecords",
            "TargetErrorCount",
        ] {
            assert!(entity[count].is_i64(), "{count} in {entity}");
        }
        for step in ["StagingStatus", "TargetStatus"] {
            assert!(STEPS.contains(&entity[step].as_str().expect("a name")), "{entity}");
        }
        time(&entity["ExecutionStartedDateTime"]);
        time(&entity["ExecutionCompletedDateTime"]);
    }
    let job = body["DataJobStatus"].as_object()?;
    time(&job["DataJobStartedDateTime"]);
    time(&job["DataJobCompletedDateTime"]);
    let state = job["DataJobState"].as_str().expect("a name").to_owned();
    assert!(STATES.contains(&state.as_str()), "{state}");
    Some((state, body))
}

async fn a_message_is_watched_to_its_end_as_the_scheduler_does(backend: Backend) {
    let app = app(backend).await;
    let good = app.enqueue("Inbound prices", LABEL, "item,price\r\na,1\r\n").await;
    let bad = app
        .enqueue("Inbound prices", LABEL, "item,price\r\nb,2\r\nc,dear\r\n")
        .await;
    let broken = app.enqueue("Inbound prices", LABEL, "\u{0}\u{0}\u{0}").await;

    // Not begun: ask again later. Its id in quotes is taken off by it here, not everywhere.
    let (state, body) = parse(&ask(&app, &good).await).expect("it is known");
    assert_eq!(state, "Enqueued");
    assert_eq!(body["DataJobStatus"]["DataJobStartedDateTime"], "1900-01-01T00:00:00Z");
    app.run_until_idle().await;
    let (state, body) = parse(&ask(&app, &good).await).expect("it is known");
    assert_eq!(
        (state.as_str(), &body["ExecutionDetail"][0]["TargetRecords"]),
        ("Processed", &1.into())
    );
    let (state, _) = parse(&ask(&app, &bad).await).expect("it is known");
    assert_eq!(state, "ProcessedWithErrors");
    let (state, body) = parse(&ask(&app, &broken).await).expect("it is known");
    assert_eq!(state, "PreProcessError", "{body:#}");
    // A message nobody knows leaves the file where it is.
    assert!(parse(&ask(&app, "00000000-0000-0000-0000-000000000001").await).is_none());

    // GetExecutionErrors gets the message's id for the execution's, with the quotes of the enqueue's answer.
    for (id, told) in [(&bad, "dear"), (&broken, "")] {
        let body = format!("{{\"executionId\":\"\\\"{id}\\\"\"}}");
        let authorization = format!("Authorization: Bearer {}", app.token);
        let head = [
            "POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetExecutionErrors HTTP/1.1",
            authorization.as_str(),
            "Content-Type: application/json; charset=utf-8",
            "Host: erp.example.test",
            "Accept-Encoding: gzip, deflate",
        ];
        let answer = Wire::open(&app)
            .await
            .send(&head, Body::Expecting(body.as_bytes()))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // ToString on the value (PKG-0): a text that holds the list.
        let value = answer.json()["value"].as_str().expect("a text").to_owned();
        let list: Vec<Value> = serde_json::from_str(&value).expect("a list");
        let message = list[0]["ErrorMessage"].as_str().expect("a message");
        assert!(message.contains(told) && !message.is_empty(), "{value}");
    }
}
