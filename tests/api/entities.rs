//! Entities that leave their fields to their tables, and loads that meet another definition than they began with.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tranship::business::staging::{Load, SourcePosition, StagedRecord, StagingBatch};
use tranship::domain::cell::Cell;
use tranship::domain::entity::FieldType;
use tranship::domain::job::ImportMode;
use tranship::domain::message::Fence;
use tranship::domain::reject::RecordPlace;

use crate::app::{Backend, Setup, TestApp};

crate::on_both_backends!(
    an_entity_of_its_table_is_loaded_and_taken_out,
    what_its_table_says_goes_with_defaults_numbers_and_rules,
    a_load_that_began_under_another_definition_ends_with_a_clear_answer,
);

const PARTS: &str = "name = \"Parts\"\nlabel = \"Spare parts\"\n";
const INBOUND: &str = r#"
id = "00000000-0000-4000-8000-0000000000e1"
name = "Inbound parts"
direction = "import"
clients = ["tester"]
[import]
format = "csv"
[[import.entities]]
entity = "Spare parts"
map = { Nr = "number" }
defaults = { weight = "0.5" }
"#;
const OUTBOUND: &str = r#"
id = "00000000-0000-4000-8000-0000000000e2"
name = "Outbound parts"
direction = "export"
data_source = "file"
clients = ["tester"]
[schedule]
cron = "0 2 * * *"
time_zone = "UTC"
[export]
format = "csv"
[[export.entities]]
entity = "Spare parts"
filter = "weight > 1"
order_by = ["title"]
fields = ["number", "title", "weight"]
"#;

fn parts(setup: &mut Setup) {
    setup.before("create table parts (number int primary key, title varchar(10) not null, weight decimal(8,2))");
    setup.file("entities/parts.toml", PARTS);
    setup.file("jobs/inbound-parts.toml", INBOUND);
    setup.file("jobs/outbound-parts.toml", OUTBOUND);
}

async fn an_entity_of_its_table_is_loaded_and_taken_out(backend: Backend) {
    let app = TestApp::with(backend, parts).await;
    let file = "Nr,title,weight\n1,screw,\n2,a very long title,1\n3,bolt,2.25\n4,,1\n5,anvil,99.5\n99999999999,big,1\n";
    let message = app.import("Inbound parts", "Spare parts", file).await;
    let answer = app
        .get(&format!("/api/v1/messages/{}/errors", message["id"].as_str().unwrap()))
        .await;
    let errors: Value = answer.json().await.unwrap();
    let shown = |error: &Value| {
        format!(
            "{} {}",
            error["code"].as_str().unwrap(),
            error["field"].as_str().unwrap()
        )
    };
    let found: Vec<String> = errors["errors"].as_array().unwrap().iter().map(shown).collect();
    // An INT of SQLite holds 64 bits.
    let expected: &[&str] = match backend {
        Backend::Sqlite => &["too_long title", "required_missing title"],
        Backend::Postgres => &["too_long title", "required_missing title", "out_of_range number"],
    };
    assert_eq!(found, expected, "{errors:#}");
    let inserted = message["records"]["inserted"].as_u64().unwrap();
    assert_eq!(inserted, 6 - expected.len() as u64, "{message:#}");

    let path = format!("/api/v1/jobs/{}/run", app.job("Outbound parts"));
    assert_eq!(app.post(&path, "").await.status(), StatusCode::ACCEPTED);
    app.run_until_idle().await;
    let delivery = app
        .get(&format!("/api/connector/dequeue/{}", app.job("Outbound parts")))
        .await;
    let delivery: Value = delivery.json().await.unwrap();
    let file = app
        .get(delivery["DownloadLocation"].as_str().unwrap())
        .await
        .text()
        .await
        .unwrap();
    let lines: Vec<_> = file.lines().skip(1).collect();
    let expected = match backend {
        Backend::Sqlite => ["5,anvil,99.5", "3,bolt,2.25"],
        Backend::Postgres => ["5,anvil,99.50", "3,bolt,2.25"],
    };
    assert_eq!(lines, expected, "filtered and in order");
}

const GOODS: &str = r#"
name = "Goods"
fields_from_table = true
missing_columns = "ignore"
[[fields]]
name = "title"
default = "untitled"
[[fields]]
name = "code"
auto_number = { format = "G-{:04}" }
[[fields]]
name = "label"
compute = "{number}: {title}"
[[fields]]
name = "more"
type = "string"
default = '{"made": 1}'
[[fields]]
name = "tags"
type = "string"
default = "{}"
[[rules]]
name = "weight"
check = "weight < 100"
message = "too heavy"
field = "weight"
"#;

/// Columns read and fields declared, some of types that PostgreSQL makes of texts, filled, numbered and judged together.
async fn what_its_table_says_goes_with_defaults_numbers_and_rules(backend: Backend) {
    let (json, array) = match backend {
        Backend::Sqlite => ("text", "text"),
        Backend::Postgres => ("jsonb", "text[]"),
    };
    let app = TestApp::with(backend, |setup: &mut Setup| {
        setup.before(&format!(
            "create table goods (number int primary key, weight decimal(8,2), title varchar(10) not null, code varchar(8), \
             label varchar(40), more {json}, tags {array})"
        ));
        setup.file("entities/goods.toml", GOODS);
        setup.file(
            "jobs/inbound-goods.toml",
            "id = \"00000000-0000-4000-8000-0000000000e3\"\nname = \"Inbound goods\"\ndirection = \"import\"\n\
             clients = [\"tester\"]\n[import]\nformat = \"csv\"\n[[import.entities]]\nentity = \"Goods\"\n",
        );
    })
    .await;
    let goods =
        "select cast(number as text), title, code, label, cast(more as text), cast(tags as text) from goods order by 1";
    let message = app
        .import("Inbound goods", "Goods", "number,weight\n1,5\n2,100\n")
        .await;
    assert_eq!(message["records"]["inserted"], 1, "{message:#}");
    assert_eq!(message["errors"][0]["code"], "rule_failed", "{message:#}");
    let filled = ["1", "untitled", "G-0001", "1: untitled", "{\"made\": 1}", "{}"];
    let row = |cells: [&str; 6]| cells.map(|cell| Some(cell.to_owned())).to_vec();
    assert_eq!(app.rows(goods).await, [row(filled)]);

    // A row that is there keeps what the file has no column for, and its number.
    let file = "number,weight,title,code,more\n1,6,screw,MINE,\"{\"\"made\"\": 2}\"\n3,7,,,\n";
    let message = app.import("Inbound goods", "Goods", file).await;
    let records = &message["records"];
    assert_eq!(
        (&records["updated"], &records["inserted"]),
        (&json!(1), &json!(1)),
        "{message:#}"
    );
    let updated = ["1", "screw", "G-0001", "1: untitled", "{\"made\": 2}", "{}"];
    // The second number went to the record that the rule rejected.
    let inserted = ["3", "untitled", "G-0003", "3: untitled", "{\"made\": 1}", "{}"];
    assert_eq!(app.rows(goods).await, [row(updated), row(inserted)]);
    let again = app.import("Inbound goods", "Goods", file).await;
    assert_eq!(again["records"]["unchanged"], 2, "{again:#}");
}

async fn a_load_that_began_under_another_definition_ends_with_a_clear_answer(backend: Backend) {
    let app = TestApp::with(backend, parts).await;
    let file = "Nr,title,weight\n1,screw,1\n2,bolt,2\n3,nut,3\n";
    let id = app.enqueue("Inbound parts", "Spare parts", file).await;

    // An attempt that died staged two records when the title was a number.
    let mut earlier = app.definitions.entity("Parts").expect("read from its table").clone();
    earlier.fields[1].kind = FieldType::Int;
    let fields: Vec<String> = earlier.fields.iter().map(|field| field.name.clone()).collect();
    let fence = Fence {
        message: id.parse().expect("an id"),
        epoch: 0,
    };
    let load = Load::new(fence, 0, &earlier, ImportMode::Upsert);
    let database = app.context.databases.get("main").expect("the database");
    database.raise_fence(fence).await.expect("the first epoch");
    database.ensure_entity(&earlier).await.expect("the tables");
    database.begin_load(load, &fields).await.expect("a load");
    let record = |record: u64| StagedRecord {
        landed: false,
        place: RecordPlace {
            record,
            line: record + 1,
            byte_start: 0,
            byte_end: 0,
        },
        origin: None,
        cells: vec![Cell::Int(1), Cell::Int(2), Cell::Text("1.00".to_owned())],
    };
    let batch = StagingBatch {
        records: vec![record(1), record(2)],
        rejected: Vec::new(),
        after: SourcePosition {
            records: 2,
            line: 4,
            byte: 30,
        },
    };
    database.stage(load, &fields, &batch).await.expect("staged");

    app.run_until_idle().await;
    let message = app.message(&id).await;
    assert_eq!(message["final"], true, "{message:#}");
    assert_eq!(message["failure"]["code"], "definition_changed", "{message:#}");
    let detail = message["failure"]["detail"].as_str().unwrap();
    assert!(
        detail.contains("`Parts` changed") && detail.contains("enqueue it again"),
        "{detail}"
    );
    let records = &message["records"];
    assert_eq!(
        (records["read"].as_u64(), records["skipped"].as_u64()),
        (Some(2), Some(2)),
        "{message:#}"
    );

    let again = app.import("Inbound parts", "Spare parts", file).await;
    assert_eq!(again["records"]["inserted"], 3, "{again:#}");
}
