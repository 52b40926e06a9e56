//! A nightly export: due once, staged as a package, collected by dequeue and acknowledge.

use std::io::Read as _;
use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use tranship::domain::ids::ExecutionId;
use tranship::domain::message::Failure;
use tranship::domain::schedule::Recurrence;
use tranship::domain::schedule::pattern::Pattern;
use tranship::domain::time::Timestamp;
use tranship::scheduler::Scheduler;
use tranship::storage::asked_runs::Asked;
use tranship::storage::occurrences::ExportOutcome;

use crate::app::{Backend, Setup, TestApp, sample};

crate::on_both_backends!(
    the_package_holds_exactly_the_filtered_rows_in_order,
    a_due_time_is_recorded_once_and_runs_in_the_jobs_own_zone,
    a_changed_schedule_does_not_fire_its_past,
    a_long_pause_is_made_up_for_by_one_run,
    an_execution_tells_how_its_export_stands_from_claim_to_end,
    an_export_has_succeeded_before_anyone_fetches_it,
    an_export_without_rows_queues_nothing_when_told_so,
    a_filter_the_database_refuses_fails_with_its_words,
    a_file_job_hands_out_the_data_file_itself,
);

const ORDERS: &str = r#"
id = "00000000-0000-4000-8000-0000000000dd"
name = "German orders"
direction = "export"
data_source = "package"
clients = ["warehouse"]
[schedule]
cron = "30 2 * * *"
time_zone = "Europe/Berlin"
[export]
format = "csv"
prevent_upload_when_zero_records = true
[[export.entities]]
entity = "Sales order headers"
filter = "ship_country = 'Germany'"
order_by = ["order_number"]
fields = ["order_number", "ship_name", "freight", "order_date", "shipped_date"]
"#;

fn orders(setup: &mut Setup) {
    // In the place of the shipped export, so that nothing else is due.
    setup.file("jobs/nightly-sales-orders.toml", ORDERS);
}

async fn load(app: &TestApp) {
    app.import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let message = app
        .import("Inbound sales orders", "Sales order headers", sample("orders.csv"))
        .await;
    assert_eq!(message["status"], "Processed", "{message:#}");
}

async fn run(app: &TestApp, job: &str) -> Value {
    let path = format!("/api/v1/jobs/{}", app.job(job));
    let answer = app.post(&format!("{path}/run"), "").await;
    assert_eq!(
        answer.status(),
        StatusCode::ACCEPTED,
        "{}",
        answer.text().await.unwrap()
    );
    app.run_until_idle().await;
    let shown: Value = app
        .get(&format!("{path}/occurrences?limit=1"))
        .await
        .json()
        .await
        .unwrap();
    shown["occurrences"][0].clone()
}

async fn dequeue(app: &TestApp, job: &str) -> Option<Value> {
    let answer = app.get(&format!("/api/connector/dequeue/{}", app.job(job))).await;
    match answer.status() {
        StatusCode::NO_CONTENT => None,
        StatusCode::OK => Some(answer.json().await.unwrap()),
        other => panic!("{other}"),
    }
}

async fn download(app: &TestApp, delivery: &Value) -> Vec<u8> {
    let answer = app.get(delivery["DownloadLocation"].as_str().unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.bytes().await.unwrap().to_vec()
}

fn member(package: &[u8], name: &str) -> String {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(package)).expect("a zip");
    let mut text = String::new();
    zip.by_name(name)
        .unwrap_or_else(|e| panic!("{name}: {e}"))
        .read_to_string(&mut text)
        .expect("UTF-8");
    text
}

async fn the_package_holds_exactly_the_filtered_rows_in_order(backend: Backend) {
    let app = TestApp::with(backend, orders).await;
    load(&app).await;
    let occurrence = run(&app, "German orders").await;
    assert_eq!(occurrence["state"], "done", "{occurrence:#}");
    assert_eq!(occurrence["records"], 122);
    assert_eq!(occurrence["trigger"], "tester");
    let delivery = dequeue(&app, "German orders").await.expect("a message");
    let package = download(&app, &delivery).await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&package)).unwrap();
    let mut names: Vec<String> = (0..zip.len())
        .map(|at| zip.by_index(at).unwrap().name().unwrap().into_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "Manifest.xml",
            "PackageHeader.xml",
            "Sales order headers.csv",
            "tranship.json"
        ],
        "all at the root (FMT-1)"
    );
    let manifest = member(&package, "Manifest.xml");
    for part in [
        "<DefinitionGroupName>German orders<",
        "<EntityName>Sales order headers<",
        "<InputFilePath>Sales order headers.csv<",
        "<EntityField>ORDER_NUMBER<",
    ] {
        assert!(manifest.contains(part), "{part} in {manifest}");
    }
    let data = member(&package, "Sales order headers.csv");
    assert!(data.ends_with("\r\n"));
    let mut lines = data.split_terminator("\r\n");
    assert_eq!(
        lines.next(),
        Some("order_number,ship_name,freight,order_date,shipped_date")
    );
    let lines: Vec<&str> = lines.collect();
    let expected: Vec<String> = String::from_utf8(sample("orders.csv"))
        .unwrap()
        .lines()
        .filter(|l| l.ends_with(",Germany"))
        .map(|l| l.split(',').next().unwrap().to_owned())
        .collect();
    let found: Vec<String> = lines.iter().map(|l| l.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(found, expected, "the filtered rows in the order asked for");
    assert!(
        lines[0].contains("1996-07-05 00:00:00") || lines[0].contains("1996-07"),
        "{}",
        lines[0]
    );
    let id = occurrence["message"].as_str().unwrap();
    assert_eq!(app.message(id).await["status"], "Downloaded", "RI-18");
    let ack = app
        .post(
            &format!("/api/connector/ack/{}", app.job("German orders")),
            delivery.to_string(),
        )
        .await;
    assert_eq!(ack.status(), StatusCode::OK);
    assert_eq!(ack.bytes().await.unwrap().len(), 0, "RI-21");
    assert!(dequeue(&app, "German orders").await.is_none(), "204 when empty (RI-9)");
    let enqueue = app
        .post(&format!("/api/connector/enqueue/{}", app.job("German orders")), "x")
        .await;
    assert_eq!(enqueue.status(), StatusCode::BAD_REQUEST, "RI-8");
}

async fn a_due_time_is_recorded_once_and_runs_in_the_jobs_own_zone(backend: Backend) {
    let mut app = TestApp::with(backend, orders).await;
    load(&app).await;
    app.scheduler.evaluate_due().await.unwrap();
    // 02:30 in Berlin is 01:30 UTC in winter. The clock stands at 08:00 UTC.
    app.clock.advance_seconds(17 * 3600 + 29 * 60);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 0, "one minute early");
    app.clock.advance_seconds(60);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 0, "once");
    app.run_until_idle().await;
    let shown: Value = app
        .get(&format!("/api/v1/jobs/{}", app.job("German orders")))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(shown["occurrences"][0]["due_at"], "2026-01-06T01:30:00Z", "{shown:#}");
    assert_eq!(shown["occurrences"][0]["state"], "done");
    assert_eq!(shown["occurrences"].as_array().unwrap().len(), 1);
    assert_eq!(shown["schedule"]["next"][0], "2026-01-07T01:30:00Z");
    assert!(dequeue(&app, "German orders").await.is_some());
    // The clock goes back an hour and on again: nothing fires twice.
    app.clock.set(Timestamp(app.clock.now().micros() - 3_600_000_000));
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 0);
    app.clock.advance_seconds(3660);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 0);
    // Three nights nothing ran: `missed = "once"` is the default, the others are visible.
    app.clock.advance_seconds(3 * 24 * 3600);
    app.renew_token().await;
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1);
    app.run_until_idle().await;
    let shown: Value = app
        .get(&format!("/api/v1/jobs/{}/occurrences", app.job("German orders")))
        .await
        .json()
        .await
        .unwrap();
    let states: Vec<&str> = shown["occurrences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["done", "skipped", "skipped", "done"]);
    assert!(shown["occurrences"][1]["note"].as_str().unwrap().contains("missed"));
}

async fn a_changed_schedule_does_not_fire_its_past(backend: Backend) {
    let app = TestApp::with(backend, orders).await;
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 0);
    app.clock.advance_seconds(17 * 3600 + 30 * 60);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1, "02:30 in Berlin");
    app.run_until_idle().await;
    app.clock.advance_seconds(10 * 3600 + 30 * 60);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 0, "noon in Greenwich");

    let mut changed = app.definitions.clone();
    let job = changed.jobs.iter_mut().find(|job| job.name == "German orders").unwrap();
    job.schedule.as_mut().unwrap().recurrence = Recurrence::Cron(Pattern::parse("0 * * * *").unwrap().into());
    let scheduler = Scheduler::new(app.context.clone(), watch::channel(changed.into()).1, Arc::default());
    assert_eq!(scheduler.evaluate_due().await.unwrap(), 0, "the morning is no due time");
    app.clock.advance_seconds(3599);
    assert_eq!(scheduler.evaluate_due().await.unwrap(), 0);
    app.clock.advance_seconds(1);
    assert_eq!(scheduler.evaluate_due().await.unwrap(), 1, "13:00");
    assert_eq!(scheduler.evaluate_due().await.unwrap(), 0, "once");
    let id = app.definitions.find_job("German orders").unwrap().id;
    assert_eq!(app.context.store.occurrences(id, 100).await.unwrap().len(), 2);
    app.run_until_idle().await;
}

async fn a_long_pause_is_made_up_for_by_one_run(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "jobs/nightly-sales-orders.toml",
            &ORDERS.replace("30 2 * * *", "*/2 * * * *"),
        );
    })
    .await;
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 0);
    // As many as one evaluation takes, and not one more.
    app.clock.advance_seconds(10_000 * 120);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1);
    app.run_until_idle().await;
    app.clock.advance_seconds(25_000 * 120);
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(app.scheduler.evaluate_due().await.unwrap());
        app.run_until_idle().await;
    }
    assert_eq!(runs, [0, 0, 1, 0]);
}

/// What an action answers about an execution, asked by the holder of `token`.
async fn ask(app: &TestApp, token: &str, action: &str, execution: &str) -> Result<String, StatusCode> {
    let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action}");
    let body = serde_json::json!({ "executionId": execution }).to_string();
    let request = app.request(Method::POST, &path).bearer_auth(token).body(body);
    let answer = request.send().await.unwrap();
    if answer.status() != StatusCode::OK {
        return Err(answer.status());
    }
    let body: Value = answer.json().await.unwrap();
    Ok(body["value"].as_str().unwrap().to_owned())
}

async fn summary(app: &TestApp, execution: &str) -> Result<String, StatusCode> {
    ask(app, &app.token, "GetExecutionSummaryStatus", execution).await
}

async fn an_execution_tells_how_its_export_stands_from_claim_to_end(backend: Backend) {
    let app = TestApp::with(backend, orders).await;
    let (store, now) = (&app.context.store, app.clock.now());
    let job = app.definitions.find_job("German orders").unwrap().id;
    store.run_now(job, &Asked::by("tester"), now).await.unwrap();
    let jobs = [job];
    let claim = || store.claim_occurrence(&jobs, "worker", 60, |_| ExecutionId("the run".to_owned()), now);
    assert_eq!(summary(&app, "the run").await, Err(StatusCode::BAD_REQUEST));
    let claimed = claim().await.unwrap().unwrap();
    assert_eq!(summary(&app, "the run").await.unwrap(), "Executing");
    store
        .release_occurrence(&claimed, None, true, "the database is away")
        .await
        .unwrap();
    assert_eq!(summary(&app, "the run").await.unwrap(), "NotRun");
    assert_eq!(
        ask(&app, &app.token, "GetExecutionErrors", "the run").await.unwrap(),
        "[]"
    );
    let claimed = claim().await.unwrap().unwrap();
    let failure = Failure {
        code: "no_table".to_owned(),
        detail: "orders is missing".to_owned(),
    };
    store
        .finish_occurrence(&claimed, ExportOutcome::Failed(failure), now)
        .await
        .unwrap();
    assert_eq!(summary(&app, "the run").await.unwrap(), "Failed");
    assert_eq!(
        ask(&app, &app.token, "GetExecutionErrors", "the run").await.unwrap(),
        r#"[{"RecordId":"","Field":"","ErrorMessage":"no_table: orders is missing"}]"#
    );
    let stranger = app.client("stranger").await;
    assert_eq!(
        ask(&app, &stranger, "GetExecutionSummaryStatus", "the run").await,
        Err(StatusCode::BAD_REQUEST),
        "not this client's job"
    );
}

async fn an_export_has_succeeded_before_anyone_fetches_it(backend: Backend) {
    let app = TestApp::with(backend, orders).await;
    let nothing = run(&app, "German orders").await;
    assert_eq!(nothing["message"], Value::Null);
    assert_eq!(
        summary(&app, nothing["execution"].as_str().unwrap()).await.unwrap(),
        "Succeeded"
    );
    load(&app).await;
    let occurrence = run(&app, "German orders").await;
    let execution = occurrence["execution"].as_str().unwrap();
    let id = occurrence["message"].as_str().unwrap();
    assert_eq!(app.message(id).await["status"], "Enqueued");
    assert_eq!(summary(&app, execution).await.unwrap(), "Succeeded");
    assert_eq!(
        summary(&app, id).await.unwrap(),
        "Succeeded",
        "by message id too (RI-33)"
    );
    let status: Value = app
        .get(&format!(
            "/api/connector/jobstatus/{}?jobId={id}",
            app.job("German orders")
        ))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(status["DataJobStatus"]["DataJobState"], "Enqueued", "RI-26");
}

async fn an_export_without_rows_queues_nothing_when_told_so(backend: Backend) {
    let app = TestApp::with(backend, orders).await;
    let occurrence = run(&app, "German orders").await;
    assert_eq!(occurrence["state"], "done", "{occurrence:#}");
    assert_eq!(occurrence["message"], Value::Null);
    assert_eq!(occurrence["note"], "0 records, not uploaded");
    assert!(dequeue(&app, "German orders").await.is_none());
    assert_eq!(app.messages().await, 0);
}

async fn a_filter_the_database_refuses_fails_with_its_words(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "jobs/broken.toml",
            &ORDERS
                .replace("ship_country = 'Germany'", "no_such_column = 1")
                .replace("German orders", "Broken")
                .replace("00dd", "00de"),
        );
    })
    .await;
    let occurrence = run(&app, "Broken").await;
    assert_eq!(occurrence["state"], "failed", "{occurrence:#}");
    assert!(
        occurrence["note"].as_str().unwrap().contains("no_such_column"),
        "{occurrence:#}"
    );
}

async fn a_file_job_hands_out_the_data_file_itself(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "jobs/file.toml",
            &ORDERS.replace("data_source = \"package\"", "data_source = \"file\""),
        );
    })
    .await;
    load(&app).await;
    run(&app, "German orders").await;
    let delivery = dequeue(&app, "German orders").await.expect("a message");
    let answer = app.get(delivery["DownloadLocation"].as_str().unwrap()).await;
    let name = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(
        name.contains("filename=\"German orders 2026-01-05T08-00-00Z.csv\""),
        "{name}"
    );
    let data = answer.bytes().await.unwrap();
    assert!(data.starts_with(b"order_number,ship_name"), "RI-17");
    let unauthorised = app
        .request(Method::GET, delivery["DownloadLocation"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(unauthorised.status(), StatusCode::UNAUTHORIZED, "AUTH-15");
}
