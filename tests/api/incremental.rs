//! Incremental exports (promise 7): what changed, once, whatever becomes of the messages that carry it.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_run_exports_what_changed_since_the_one_before,
    changes_of_a_message_that_is_never_acknowledged_are_exported_again,
    deliveries_do_not_run_out_unless_the_job_says_so,
    a_run_without_changes_moves_on,
    a_field_that_grows_finds_what_is_newer,
    a_field_that_had_no_value_yet_finds_the_first_ones,
    a_query_finds_what_lies_between_two_runs,
    positions_of_the_past_are_let_go,
    a_run_in_several_messages_is_delivered_when_all_of_them_are,
    an_export_is_set_back_to_an_earlier_position_or_the_beginning,
);

const STOCK: &str = r#"
name = "Stock"
label = "Stock on hand"
table = "stock"
create_table = true
key = ["item"]
[[fields]]
name = "item"
max_length = 10
[[fields]]
name = "quantity"
type = "int"
[[fields]]
name = "seen_at"
type = "datetime"
"#;

/// A job that exports the stock, with these lines for its entity.
fn job(entity: &str) -> String {
    format!(
        "id = \"00000000-0000-4000-8000-00000000aa01\"\nname = \"Stock out\"\ndirection = \"export\"\ndata_source = \"file\"\n\
         clients = [\"tester\"]\n[queue]\nexpires_after_seconds = 3600\n[export]\nformat = \"csv\"\n\
         prevent_upload_when_zero_records = true\n[[export.entities]]\nentity = \"Stock\"\nrefresh = \"incremental\"\n{entity}"
    )
}

const INBOUND: &str = r#"
id = "00000000-0000-4000-8000-00000000aa02"
name = "Stock in"
direction = "import"
clients = ["tester"]
[import]
format = "csv"
[[import.entities]]
entity = "Stock"
"#;

async fn app(backend: Backend, entity: &str) -> TestApp {
    with_job(backend, &job(entity)).await
}

async fn with_job(backend: Backend, job: &str) -> TestApp {
    keeping(backend, job, 100).await
}

async fn keeping(backend: Backend, job: &str, positions: u32) -> TestApp {
    TestApp::with(backend, |setup| {
        setup.set("export.positions_kept", positions.to_string());
        setup.file("entities/stock.toml", STOCK);
        setup.file("jobs/stock-out.toml", job);
        setup.file("jobs/stock-in.toml", INBOUND);
    })
    .await
}

/// Writes to the table as any application does.
async fn write(app: &TestApp, sql: &str) {
    app.rows(&format!("{sql} returning cast(1 as text)")).await;
}

async fn stock(app: &TestApp, lines: &str) {
    let file = format!("item,quantity,seen_at\r\n{lines}");
    let message = app.import("Stock in", "Stock on hand", file).await;
    assert_eq!(message["status"], "Processed", "{message:#}");
}

/// Runs the job and returns its occurrence. Where changes are held back: again, and what is returned is what all runs did together.
async fn run(app: &TestApp) -> Value {
    let (mut notes, mut records, mut message) = (String::new(), 0, Value::Null);
    loop {
        let path = format!("/api/v1/jobs/{}", app.job("Stock out"));
        let answer = app.post(&format!("{path}/run"), "").await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        app.run_until_idle().await;
        let shown: Value = app
            .get(&format!("{path}/occurrences?limit=1"))
            .await
            .json()
            .await
            .unwrap();
        let mut occurrence = shown["occurrences"][0].clone();
        assert_eq!(occurrence["state"], "done", "{occurrence:#}");
        let note = occurrence["note"].as_str().unwrap_or_default().to_owned();
        records += occurrence["records"].as_u64().unwrap();
        if occurrence["message"].is_string() {
            message = occurrence["message"].clone();
        }
        notes += &note;
        if !note.contains("held back") {
            occurrence["note"] = notes.into();
            occurrence["records"] = records.into();
            occurrence["message"] = message;
            return occurrence;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Collects and acknowledges all messages; their rows by key, later ones on top.
async fn collect(app: &TestApp) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    loop {
        let answer = app
            .get(&format!("/api/connector/dequeue/{}", app.job("Stock out")))
            .await;
        if answer.status() == StatusCode::NO_CONTENT {
            return rows;
        }
        let delivery: Value = answer.json().await.unwrap();
        let file = app
            .get(delivery["DownloadLocation"].as_str().unwrap())
            .await
            .text()
            .await
            .unwrap();
        for line in file.lines().skip(1) {
            let (key, rest) = line.split_once(',').unwrap();
            rows.insert(key.to_owned(), rest.to_owned());
        }
        let ack = app
            .post(
                &format!("/api/connector/ack/{}", app.job("Stock out")),
                delivery.to_string(),
            )
            .await;
        assert_eq!(ack.status(), StatusCode::OK);
    }
}

fn rows(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter()
        .map(|(key, rest)| ((*key).to_owned(), (*rest).to_owned()))
        .collect()
}

async fn a_run_exports_what_changed_since_the_one_before(backend: Backend) {
    let app = app(backend, "").await;
    stock(&app, "a,1,\r\nb,2,\r\nc,3,\r\n").await;
    assert_eq!(run(&app).await["records"], 3);
    assert_eq!(
        collect(&app).await,
        rows(&[("a", "1,,No"), ("b", "2,,No"), ("c", "3,,No")])
    );
    write(&app, "update stock set quantity = 20 where item = 'b'").await;
    write(&app, "delete from stock where item = 'c'").await;
    stock(&app, "a,1,\r\nd,4,\r\n").await;
    run(&app).await;
    assert_eq!(
        collect(&app).await,
        rows(&[("b", "20,,No"), ("c", ",,Yes"), ("d", "4,,No")])
    );
    // A run that nobody collects before the next one stays in the queue.
    write(&app, "update stock set quantity = 30 where item = 'b'").await;
    run(&app).await;
    write(&app, "update stock set quantity = 40 where item = 'a'").await;
    run(&app).await;
    assert_eq!(collect(&app).await, rows(&[("a", "40,,No"), ("b", "30,,No")]));
}

async fn changes_of_a_message_that_is_never_acknowledged_are_exported_again(backend: Backend) {
    let app = app(backend, "deletes = \"leave_out\"\n").await;
    stock(&app, "a,1,\r\nb,2,\r\n").await;
    run(&app).await;
    assert_eq!(collect(&app).await, rows(&[("a", "1,"), ("b", "2,")]));

    write(&app, "update stock set quantity = 5 where item = 'a'").await;
    write(&app, "delete from stock where item = 'b'").await;
    let lost = run(&app).await;
    app.clock.advance_seconds(4000);
    app.run_until_idle().await;
    let message = app.message(lost["message"].as_str().unwrap()).await;
    assert_eq!(message["status"], "Expired");
    write(&app, "insert into stock (item, quantity) values ('c', 7)").await;
    let again = run(&app).await;
    let note = again["note"].as_str().unwrap();
    assert!(note.contains("exported again"), "{note}");
    assert_eq!(collect(&app).await, rows(&[("a", "5,"), ("c", "7,")]));

    // A message cancelled by somebody is lost like one that expired; one acknowledged in between does not hide it.
    write(&app, "update stock set quantity = 6 where item = 'a'").await;
    let cancelled = run(&app).await;
    let id = cancelled["message"].as_str().unwrap();
    let answer = app.post(&format!("/api/v1/messages/{id}/cancel"), "").await;
    assert!(answer.status().is_success());
    write(&app, "update stock set quantity = 8 where item = 'c'").await;
    run(&app).await;
    assert_eq!(collect(&app).await, rows(&[("a", "6,"), ("c", "8,")]));
    let quiet = run(&app).await;
    assert_eq!((&quiet["records"], &quiet["message"]), (&json!(0), &Value::Null));
}

async fn deliveries_do_not_run_out_unless_the_job_says_so(backend: Backend) {
    let app = with_job(backend, &job("").replace("expires_after_seconds = 3600\n", "")).await;
    stock(&app, "a,1,\r\n").await;
    let occurrence = run(&app).await;
    let id = occurrence["message"].as_str().unwrap();
    for _ in 0..12 {
        let dequeued = app
            .get(&format!("/api/connector/dequeue/{}", app.job("Stock out")))
            .await;
        assert_eq!(dequeued.status(), StatusCode::OK);
        app.clock.advance_seconds(1801);
        app.run_until_idle().await;
    }
    // Ten is what other messages get.
    assert_eq!(app.message(id).await["final"], false);
}

async fn a_run_without_changes_moves_on(backend: Backend) {
    let app = app(backend, "").await;
    stock(&app, "a,1,\r\n").await;
    run(&app).await;
    collect(&app).await;
    let nothing = run(&app).await;
    assert!(nothing["note"].as_str().unwrap().contains("not uploaded"));
    write(&app, "update stock set quantity = 2").await;
    assert_eq!(run(&app).await["records"], 1);
    assert_eq!(collect(&app).await, rows(&[("a", "2,,No")]));
}

async fn a_field_that_grows_finds_what_is_newer(backend: Backend) {
    let app = app(backend, "method = \"column\"\ncolumn = \"seen_at\"\nlag = 60\n").await;
    stock(&app, "a,1,2026-01-01 10:00:00\r\nb,2,2026-01-01 11:00:00\r\nc,3,\r\n").await;
    run(&app).await;
    assert_eq!(collect(&app).await.len(), 3);
    stock(
        &app,
        "a,5,2026-01-01 11:30:00\r\nd,6,2026-01-01 10:59:30\r\ne,7,2026-01-01 10:58:00\r\n",
    )
    .await;
    run(&app).await;
    // Within the lag come rows that were there before, and that is its price; what came later with an older value is missed.
    assert_eq!(
        collect(&app).await,
        rows(&[
            ("a", "5,2026-01-01 11:30:00"),
            ("b", "2,2026-01-01 11:00:00"),
            ("d", "6,2026-01-01 10:59:30")
        ])
    );
}

async fn a_field_that_had_no_value_yet_finds_the_first_ones(backend: Backend) {
    let app = app(backend, "method = \"column\"\ncolumn = \"seen_at\"\nlag = 60\n").await;
    run(&app).await;
    stock(&app, "a,1,\r\n").await;
    run(&app).await;
    stock(&app, "b,2,2026-01-01 11:00:00\r\nc,3,0001-01-01 00:00:00\r\n").await;
    run(&app).await;
    assert_eq!(
        collect(&app).await,
        rows(&[("b", "2,2026-01-01 11:00:00"), ("c", "3,0001-01-01 00:00:00")])
    );
}

async fn a_query_finds_what_lies_between_two_runs(backend: Backend) {
    let query = "method = \"query\"\nquery = \"select * from stock where seen_at > :since and seen_at <= :until -- all there is\"\n";
    let app = app(backend, query).await;
    stock(&app, "a,1,2026-01-05 07:00:00\r\nb,2,2026-01-05 08:20:00\r\n").await;
    run(&app).await;
    assert_eq!(collect(&app).await, rows(&[("a", "1,2026-01-05 07:00:00")]));
    app.clock.advance_seconds(1800);
    run(&app).await;
    assert_eq!(collect(&app).await, rows(&[("b", "2,2026-01-05 08:20:00")]));
    assert_eq!(run(&app).await["records"], 0);
}

async fn positions_of_the_past_are_let_go(backend: Backend) {
    let app = keeping(backend, &job(""), 3).await;
    stock(&app, "a,1,\r\n").await;
    for quantity in 0..8 {
        write(&app, &format!("update stock set quantity = {}", 100 + quantity)).await;
        run(&app).await;
        collect(&app).await;
    }
    let tables = app.rows("select item from stock").await;
    assert_eq!(tables.len(), 1);
    let changes = app
        .rows(&format!("select cast(count(*) as text) from \"{}\"", change_table()))
        .await[0][0]
        .clone();
    let left: u32 = changes.unwrap().parse().unwrap();
    assert!(left <= 5, "{left} changes are kept for 3 positions");
}

fn change_table() -> String {
    let mut entity = tranship::domain::entity::Entity::named("Stock", "Stock on hand", "stock");
    entity.key = vec!["item".to_owned()];
    entity.change_table()
}

async fn positions(app: &TestApp) -> Vec<Value> {
    let path = format!("/api/v1/jobs/{}/positions", app.job("Stock out"));
    let listed: Value = app.get(&path).await.json().await.unwrap();
    listed["positions"]
        .as_array()
        .unwrap_or_else(|| panic!("{listed:#}"))
        .clone()
}

async fn rewind(app: &TestApp, body: Value) -> (StatusCode, Value) {
    let path = format!("/api/v1/jobs/{}/rewind", app.job("Stock out"));
    let answer = app.post(&path, body.to_string()).await;
    (answer.status(), answer.json().await.unwrap())
}

async fn an_export_is_set_back_to_an_earlier_position_or_the_beginning(backend: Backend) {
    let app = app(backend, "").await;
    stock(&app, "a,1,\r\nb,1,\r\nc,1,\r\n").await;
    run(&app).await;
    collect(&app).await;
    let first = positions(&app).await[0]["number"].clone();
    for item in ["b", "c"] {
        write(&app, &format!("update stock set quantity = 2 where item = '{item}'")).await;
        run(&app).await;
    }
    let listed = positions(&app).await;
    assert_eq!(
        (&listed[0]["state"], &listed[0]["entity"]),
        (&json!("queued"), &json!("Stock on hand"))
    );
    assert_eq!(listed[0]["messages"].as_array().unwrap().len(), 1);
    collect(&app).await;
    assert_eq!(positions(&app).await[0]["state"], "delivered");

    let (status, answer) = rewind(&app, json!({ "to": first, "note": "the warehouse lost it" })).await;
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    let newest = positions(&app).await[0].clone();
    assert_eq!(
        newest["note"],
        format!("set back to position {first} by tester: the warehouse lost it")
    );
    run(&app).await;
    assert_eq!(collect(&app).await, rows(&[("b", "2,,No"), ("c", "2,,No")]));
    assert_eq!(run(&app).await["records"], 0);

    let path = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.ResetVersionToken";
    let body = json!({ "definitionGroupId": "Stock out", "entityName": "Stock on hand", "sourceName": "csv" });
    let answer: Value = app.post(path, body.to_string()).await.json().await.unwrap();
    assert_eq!(answer["value"], true);
    run(&app).await;
    assert_eq!(collect(&app).await.len(), 3);

    for (body, code) in [
        (json!({}), "invalid_position"),
        (json!({ "to": 1, "full": true }), "invalid_position"),
        (json!({ "entity": "Customers", "full": true }), "not_incremental"),
    ] {
        let (status, answer) = rewind(&app, body).await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some(code)),
            "{answer:#}"
        );
    }
    assert_eq!(rewind(&app, json!({ "to": 4711 })).await.0, StatusCode::NOT_FOUND);
}

async fn a_run_in_several_messages_is_delivered_when_all_of_them_are(backend: Backend) {
    let split = job("").replace("format = \"csv\"\n", "format = \"csv\"\nsplit_records = 2\n");
    let app = with_job(backend, &split).await;
    stock(&app, "a,1,\r\nb,1,\r\nc,1,\r\nd,1,\r\ne,1,\r\n").await;
    assert_eq!(run(&app).await["records"], 5);
    let listed = positions(&app).await;
    let messages: Vec<_> = listed[0]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(messages.len(), 3);
    for (at, id) in messages.iter().enumerate() {
        let name = app.message(id).await["external_id"].as_str().unwrap().to_owned();
        assert!(name.ends_with(&format!("-{}of3.csv", at + 1)), "{name}");
        let payload = app
            .get(&format!("/api/v1/messages/{id}/payload"))
            .await
            .text()
            .await
            .unwrap();
        let (header, lines) = payload.split_once("\r\n").unwrap();
        assert_eq!(header, "item,quantity,seen_at,_deleted");
        assert_eq!(lines.lines().count(), if at == 2 { 1 } else { 2 });
    }
    // One is collected, the others expire: the whole run is exported again.
    let delivery: Value = app
        .get(&format!("/api/connector/dequeue/{}", app.job("Stock out")))
        .await
        .json()
        .await
        .unwrap();
    app.post(
        &format!("/api/connector/ack/{}", app.job("Stock out")),
        delivery.to_string(),
    )
    .await;
    assert_eq!(positions(&app).await[0]["state"], "queued");
    app.clock.advance_seconds(4000);
    app.run_until_idle().await;
    assert_eq!(positions(&app).await[0]["state"], "lost");
    assert_eq!(run(&app).await["records"], 5);
    assert_eq!(collect(&app).await.len(), 5);
    let states: Vec<_> = positions(&app)
        .await
        .iter()
        .map(|position| position["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        (states[0].as_str(), states.last().map(String::as_str)),
        ("delivered", Some("recovered"))
    );
}
