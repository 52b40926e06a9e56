//! Exports of a SQLite database that others write much to: read from a copy, and of one state all the same.
//!
//! The ledger's writer counts its transactions, and each writes its number into one class of rows, `id % CLASSES`. So any state is
//! told from all others, and what is not of one state shows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;
use serde_json::Value;
use sqlx::Connection as _;

use crate::app::{Backend, Setup, TestApp};

const ROWS: usize = 30_000;
const CLASSES: usize = 50;

const LEDGER: &str = r#"
name = "Ledger"
table = "ledger"
key = ["id"]
[[fields]]
name = "id"
type = "int"
[[fields]]
name = "written_by"
type = "int"
"#;

fn setup(setup: &mut Setup, max_wal_bytes: u64, entity: &str) {
    setup.before("create table ledger (id integer primary key, written_by integer not null)");
    setup.before(&format!(
        "insert into ledger with recursive n(i) as (select 0 union all select i + 1 from n where i < {ROWS} - 1) select i, 0 from n"
    ));
    setup.set("export.max_wal_bytes", max_wal_bytes.to_string());
    setup.file("entities/ledger.toml", LEDGER);
    let job = "id = \"00000000-0000-4000-8000-00000000ac01\"\nname = \"Ledger out\"\ndirection = \"export\"\n\
         data_source = \"file\"\nclients = [\"tester\"]\n[export]\nformat = \"csv\"\n\
         [[export.entities]]\nentity = \"Ledger\"\n";
    setup.file("jobs/ledger-out.toml", &format!("{job}{SLOW}{entity}"));
}

/// Lets everything through, after a second or two.
const SLOW: &str = "filter = \"(with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000000) select count(*) from n) > 0\"\n";

/// Writes one transaction after the other until told to stop.
async fn write_on(url: String, is_over: Arc<AtomicBool>) {
    let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("the database opens");
    for number in 1.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let sql = format!(
            "update ledger set written_by = {number} where id % {CLASSES} = {}",
            number % CLASSES
        );
        let written = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
        written.expect("it waits for its turn");
    }
}

/// Runs the job while others write; its occurrence.
async fn run_beside_writer(app: &TestApp) -> Value {
    let is_over = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write_on(app.business.url.clone(), Arc::clone(&is_over)));
    let occurrence = run(app).await;
    is_over.store(true, Ordering::Relaxed);
    writing.await.expect("the writer ends");
    occurrence
}

async fn run(app: &TestApp) -> Value {
    let path = format!("/api/v1/jobs/{}", app.job("Ledger out"));
    assert_eq!(
        app.post(&format!("{path}/run"), "").await.status(),
        StatusCode::ACCEPTED
    );
    app.run_until_idle().await;
    let answer = app.get(&format!("{path}/occurrences?limit=1")).await;
    let occurrence = answer.json::<Value>().await.unwrap()["occurrences"][0].clone();
    assert_eq!(occurrence["state"], "done", "{occurrence:#}");
    occurrence
}

/// Collects the one message there is and acknowledges it: who wrote which row.
async fn collect(app: &TestApp) -> BTreeMap<usize, usize> {
    let job = app.job("Ledger out");
    let delivery: Value = app
        .get(&format!("/api/connector/dequeue/{job}"))
        .await
        .json()
        .await
        .unwrap();
    let location = delivery["DownloadLocation"].as_str().unwrap();
    let file = app.get(location).await.text().await.unwrap();
    let acked = app
        .post(&format!("/api/connector/ack/{job}"), delivery.to_string())
        .await;
    assert_eq!(acked.status(), StatusCode::OK);
    let cells = |line: &str| {
        let mut cells = line.split(',').map(|cell| cell.parse().unwrap_or(usize::MAX));
        (cells.next().unwrap(), cells.next().unwrap())
    };
    file.lines().skip(1).map(cells).collect()
}

/// Every row is as it was after the last transaction that any of them shows.
fn assert_one_state(rows: &BTreeMap<usize, usize>) {
    assert_eq!(rows.len(), ROWS);
    let last = *rows.values().max().unwrap();
    for (&id, &written_by) in rows {
        let behind = (last + CLASSES - id % CLASSES) % CLASSES;
        assert_eq!(
            written_by,
            last.saturating_sub(behind),
            "row {id} after transaction {last}"
        );
    }
}

fn copies_of(app: &TestApp) -> usize {
    std::fs::read_dir(app.folder.join("data/copies")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_beside_a_busy_writer_goes_on_from_a_copy() {
    let app = TestApp::with(Backend::Sqlite, |s| setup(s, 1 << 20, "")).await;
    let occurrence = run_beside_writer(&app).await;
    let note = occurrence["note"].as_str().unwrap_or_default();
    assert!(
        note.starts_with("read from a copy of database `main`"),
        "{occurrence:#}"
    );
    assert_eq!(occurrence["records"], ROWS);
    assert_one_state(&collect(&app).await);
    assert_eq!(copies_of(&app), 0);
    let metrics = app.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("tranship_export_copies_total{database=\"main\"} 1"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_within_the_limit_needs_no_copy() {
    let app = TestApp::with(Backend::Sqlite, |s| setup(s, 1 << 30, "")).await;
    let occurrence = run_beside_writer(&app).await;
    assert!(occurrence["note"].is_null(), "{occurrence:#}");
    assert_one_state(&collect(&app).await);
    assert!(!app.folder.join("data/copies").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_after_the_copy_are_in_the_next_run() {
    let tracked = "refresh = \"incremental\"\n";
    let app = TestApp::with(Backend::Sqlite, |s| setup(s, 1 << 20, tracked)).await;
    let occurrence = run_beside_writer(&app).await;
    let note = occurrence["note"].as_str().unwrap_or_default();
    assert!(note.contains("read from a copy"), "{occurrence:#}");
    let mut told = collect(&app).await;
    assert_one_state(&told);

    let table = "select cast(id as text), cast(written_by as text) from ledger";
    let number = |cell: &Option<String>| cell.as_deref().unwrap().parse::<usize>().unwrap();
    let table: BTreeMap<_, _> = app
        .rows(table)
        .await
        .iter()
        .map(|row| (number(&row[0]), number(&row[1])))
        .collect();
    let changed = table.iter().filter(|(id, by)| told[id] != **by).count();
    assert!(changed > 0, "the writer wrote on while the copy was read");
    let occurrence = run(&app).await;
    assert_eq!(occurrence["note"], Value::Null, "{occurrence:#}");
    assert_eq!(occurrence["records"], changed, "these, and none that was told");
    told.extend(collect(&app).await);
    assert_eq!(told, table);
}
