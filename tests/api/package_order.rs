//! In which order the entities of a package are loaded, which at once, and what a failing one keeps from being begun (DMF-5).

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::app::{Backend, Setup, TestApp};
use crate::interrupted::work_with_interruptions;
use crate::packing::{HEADER, Listed, manifest, package};

crate::on_both_backends!(
    a_failing_entity_stops_what_its_flags_say,
    a_file_that_cannot_be_read_stops_its_level_too,
    two_files_for_one_table_are_loaded_one_after_the_other,
    units_do_not_wait_for_each_other,
    an_interrupted_package_comes_to_the_same_end,
);

const JOB: &str = r#"
id = "00000000-0000-4000-8000-00000000ac4a"
name = "Inbound packages"
direction = "import"
data_source = "package"
clients = ["tester"]
[import]
format = "csv"
[[import.entities]]
entity = "Customers"
map = { CustomerID = "customer_account" }
[[import.entities]]
entity = "Suppliers"
map = { SupplierID = "supplier_account" }
[[import.entities]]
entity = "Sales order headers"
map = { OrderID = "order_number", CustomerID = "customer_account", OrderDate = "order_date" }
"#;

async fn app(backend: Backend, parallel: u32) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        setup.file("jobs/inbound-packages.toml", JOB);
        setup.set("import.parallel_entities", parallel.to_string());
        setup.set("import.batch_records", "7");
        setup.set("import.chunk_records", "11");
    })
    .await
}

fn listed<'a>(label: &'a str, file: &'a str, place: (u32, u32, u32), flags: &'a str) -> Listed<'a> {
    Listed {
        label,
        file,
        format: "CSV",
        place,
        flags,
    }
}

async fn enqueue(app: &TestApp, entities: &[&Listed<'_>], files: &[(&str, &str)]) -> String {
    let manifest = manifest(entities);
    let packed = package(&[&[("Manifest.xml", manifest.as_str()), HEADER], files].concat());
    let answer = app
        .post(
            &format!("/api/connector/enqueue/{}", app.job("Inbound packages")),
            packed,
        )
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

async fn import(app: &TestApp, entities: &[&Listed<'_>], files: &[(&str, &str)]) -> Value {
    let id = enqueue(app, entities, files).await;
    app.run_until_idle().await;
    app.message(&id).await
}

/// What became of each entity: its label, records read, and the status of either phase.
fn runs(message: &Value) -> Vec<String> {
    let entities = message["executions"][0]["entities"].as_array();
    let run = |run: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (staging, target) = (&run["staging"], &run["target"]);
        format!(
            "{} {} {}/{}",
            text(&run["entity"]),
            staging["records"],
            text(&staging["status"]),
            text(&target["status"])
        )
    };
    entities.into_iter().flatten().map(run).collect()
}

const CUSTOMERS: &str = "CustomerID,CompanyName\r\nAAAAA,One\r\n,Nobody\r\n";
const SUPPLIERS: &str = "SupplierID,CompanyName\r\n1,Exotic\r\n";
const ORDERS: &str = "OrderID,CustomerID,OrderDate\r\n1,AAAAA,2026-01-05\r\n";

async fn a_failing_entity_stops_what_its_flags_say(backend: Backend) {
    let ran = [
        "Customers 2 Error/Finished",
        "Suppliers 1 Finished/Finished",
        "Sales order headers 1 Finished/Finished",
    ];
    let (no_suppliers, no_orders) = ("Suppliers 0 NotRun/NotRun", "Sales order headers 0 NotRun/NotRun");
    let cases = [
        ("", ran, None),
        (
            "<FailLevelOnError>Yes</FailLevelOnError>",
            [ran[0], no_suppliers, ran[2]],
            Some("level_stopped"),
        ),
        (
            "<FailExecutionUnitOnError>Yes</FailExecutionUnitOnError>",
            [ran[0], no_suppliers, no_orders],
            Some("unit_stopped"),
        ),
    ];
    for (flags, expected, code) in cases {
        let app = app(backend, 4).await;
        let message = import(
            &app,
            &[
                &listed("Customers", "C.csv", (1, 1, 1), flags),
                &listed("Suppliers", "S.csv", (1, 1, 2), ""),
                &listed("Sales order headers", "O.csv", (1, 2, 1), ""),
            ],
            &[("C.csv", CUSTOMERS), ("S.csv", SUPPLIERS), ("O.csv", ORDERS)],
        )
        .await;
        assert_eq!(runs(&message), expected, "{message:#}");
        assert_eq!(message["status"], "ProcessedWithErrors");
        let read = expected.iter().filter(|run| !run.contains("NotRun")).count() as u64 + 1;
        assert_eq!(message["records"]["read"], read);
        assert_eq!(
            (&message["records"]["rejected"], &message["records"]["skipped"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(message["failure"]["code"].as_str(), code, "{message:#}");
        if code.is_some() {
            let detail = message["failure"]["detail"].as_str().unwrap();
            assert!(
                detail.starts_with("Suppliers: not run, because `Customers` had errors"),
                "{detail}"
            );
        }
    }
}

/// Another unit goes on.
async fn a_file_that_cannot_be_read_stops_its_level_too(backend: Backend) {
    let app = app(backend, 1).await;
    let flags = "<FailLevelOnError>Yes</FailLevelOnError>";
    let message = import(
        &app,
        &[
            &listed("Customers", "missing.csv", (2, 1, 1), flags),
            &listed("Sales order headers", "O.csv", (2, 1, 1), ""),
            &listed("Suppliers", "S.csv", (3, 1, 1), ""),
        ],
        &[("S.csv", SUPPLIERS), ("O.csv", ORDERS)],
    )
    .await;
    assert_eq!(
        runs(&message),
        [
            "Customers 0 Error/NotRun",
            "Sales order headers 0 NotRun/NotRun",
            "Suppliers 1 Finished/Finished"
        ],
        "{message:#}"
    );
    assert_eq!(message["failure"]["code"], "package_file_missing");
    let detail = message["failure"]["detail"].as_str().unwrap();
    assert!(
        detail.contains("; Sales order headers: not run, because `Customers` had errors"),
        "{detail}"
    );
}

fn customers(count: u32, name: &str) -> String {
    let mut file = "CustomerID,CompanyName\r\n".to_owned();
    for number in 0..count {
        write!(file, "C{number:04},{name}\r\n").unwrap();
    }
    file
}

async fn two_files_for_one_table_are_loaded_one_after_the_other(backend: Backend) {
    let app = app(backend, 4).await;
    let (first, second) = (customers(200, "first"), customers(200, "second"));
    let message = import(
        &app,
        &[
            &listed("Customers", "A.csv", (1, 1, 1), ""),
            &listed("Customers", "B.csv", (2, 1, 1), ""),
        ],
        &[("A.csv", &first), ("B.csv", &second)],
    )
    .await;
    assert_eq!(message["status"], "Processed", "{message:#}");
    let entities = message["executions"][0]["entities"].as_array().unwrap();
    let landed = |run: &Value| {
        (
            run["target"]["inserted"].as_u64().unwrap(),
            run["target"]["updated"].as_u64().unwrap(),
        )
    };
    let landed: Vec<_> = entities.iter().map(landed).collect();
    assert_eq!(landed, [(200, 0), (0, 200)], "had they run at once, both had inserted");
}

/// While somebody holds one unit's table, another unit comes to its end. Only PostgreSQL lets hold one.
async fn units_do_not_wait_for_each_other(backend: Backend) {
    let app = app(backend, 2).await;
    if backend == Backend::Sqlite {
        return;
    }
    // So many that they are not through before the other unit meets the lock.
    let mut many = SUPPLIERS.to_owned();
    for number in 2..=200 {
        write!(many, "{number},Firm\r\n").unwrap();
    }
    let files = [("C.csv", CUSTOMERS), ("S.csv", many.as_str())];
    let customers = listed("Customers", "C.csv", (1, 1, 1), "");
    let suppliers = listed("Suppliers", "S.csv", (2, 1, 1), "");
    // Makes the tables.
    import(
        &app,
        &[&customers, &suppliers],
        &[("C.csv", "CustomerID\r\n"), ("S.csv", "SupplierID\r\n")],
    )
    .await;
    let mut holder = sqlx::PgConnection::connect(&app.business.url).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("select name from tranship_tables where name = 'customers' for update")
        .fetch_one(&mut *held)
        .await
        .unwrap();
    let id = enqueue(&app, &[&customers, &suppliers], &files).await;
    let work = app.run_until_idle();
    let watch = async {
        // Its counts are told before the message ends.
        while !runs(&app.message(&id).await).contains(&"Suppliers 200 Finished/Finished".to_owned()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(app.rows("select supplier_account from suppliers").await.len(), 200);
        let landed = app.rows("select customer_account from customers").await;
        held.rollback().await.unwrap();
        landed.len()
    };
    let both = async { tokio::join!(work, watch) };
    let ((), landed) = tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .expect("the other unit's end");
    assert_eq!(landed, 0, "held all the time");
    assert_eq!(app.message(&id).await["records"]["applied"], 201);
}

async fn an_interrupted_package_comes_to_the_same_end(backend: Backend) {
    let app = app(backend, 4).await;
    let (first, second) = (customers(150, "first"), customers(300, "second"));
    let mut suppliers = "SupplierID,CompanyName\r\n".to_owned();
    let mut orders = "OrderID,CustomerID,OrderDate\r\n".to_owned();
    for number in 0..150 {
        // Every tenth is without a name for its key.
        let key = if number % 10 == 0 {
            String::new()
        } else {
            number.to_string()
        };
        write!(suppliers, "{key},Firm\r\n").unwrap();
        write!(orders, "{number},C{number:04},2026-01-05\r\n").unwrap();
    }
    let flags = "<FailExecutionUnitOnError>Yes</FailExecutionUnitOnError>";
    let entities = [
        &listed("Customers", "A.csv", (1, 1, 1), ""),
        &listed("Customers", "B.csv", (1, 1, 1), ""),
        &listed("Sales order headers", "O.csv", (1, 2, 1), ""),
        &listed("Suppliers", "S.csv", (2, 1, 1), flags),
        &listed("Sales order headers", "never.csv", (2, 2, 1), ""),
    ];
    let files = [
        ("A.csv", first.as_str()),
        ("B.csv", &second),
        ("O.csv", &orders),
        ("S.csv", &suppliers),
        ("never.csv", &orders),
    ];
    let id = enqueue(&app, &entities, &files).await;
    work_with_interruptions(&app, "Inbound packages", 25).await;
    let message = app.message(&id).await;
    assert_eq!(
        runs(&message),
        [
            "Customers 150 Finished/Finished",
            "Customers 300 Finished/Finished",
            "Sales order headers 150 Finished/Finished",
            "Suppliers 150 Error/Finished",
            "Sales order headers 0 NotRun/NotRun"
        ],
        "{message:#}"
    );
    let records = ["read", "applied", "rejected", "skipped"].map(|member| message["records"][member].as_u64().unwrap());
    assert_eq!(records, [750, 735, 15, 0]);
    assert_eq!(
        app.rows("select order_number from sales_order_headers").await.len(),
        150
    );
}
