//! Composite entities: one XML file with the records of several entities inside one another (FMT-11).

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};
use crate::interrupted::{cancel_midway, work_with_interruptions};
use crate::packing::{HEADER, Listed, manifest, members, package};

crate::on_both_backends!(
    headers_land_before_the_lines_they_hold,
    rejects_come_back_inside_what_they_stood_in,
    a_header_without_lines_is_told_or_refused,
    a_file_that_cannot_be_read_says_so_once,
    an_interrupted_composite_comes_to_the_same_end,
    a_cancelled_composite_counts_every_entity,
    a_package_may_hold_a_composite,
    a_package_with_what_cannot_be_a_composite_is_refused,
);

const COMPOSITE: &str = r#"
name = "SalesOrders"
label = "Sales orders"
[[composite]]
entity = "Sales order headers"
element = "SALESORDERHEADERENTITY"
[[composite]]
entity = "Sales order lines"
element = "SALESORDERLINEENTITY"
parent = "Sales order headers"
"#;

const JOB: &str = r#"
id = "00000000-0000-4000-8000-00000000ac4b"
name = "Inbound composites"
direction = "import"
clients = ["tester"]
[import]
format = "xml-element"
[[import.entities]]
entity = "Sales orders"
[[import.entities]]
entity = "Sales order headers"
map = { OrderID = "order_number", Customer = "customer_account" }
defaults = { order_date = "2026-01-05" }
"#;

/// Orders with their lines, as one entity; customers and products are there.
pub async fn app(backend: Backend, change: impl FnOnce(&mut Setup)) -> TestApp {
    let app = TestApp::with(backend, |setup: &mut Setup| {
        setup.file("entities/sales-orders.toml", COMPOSITE);
        setup.file("jobs/inbound-composites.toml", JOB);
        change(setup);
    })
    .await;
    app.import(
        "Inbound customers",
        "Customers",
        "CustomerID,CompanyName\r\nAAAAA,One\r\nBBBBB,Two\r\n",
    )
    .await;
    let suppliers = crate::app::sample("suppliers.csv");
    app.import("Inbound suppliers", "Suppliers", suppliers).await;
    let products = app
        .import("Inbound products", "Products", crate::app::sample("products.csv"))
        .await;
    assert_eq!(products["status"], "Processed", "{products:#}");
    app
}

/// A line of an order.
pub fn line(number: &str, quantity: &str) -> String {
    format!(
        "<SALESORDERLINEENTITY><line_number>{number}</line_number><product_number>1</product_number>\
         <unit_price>2.50</unit_price><quantity>{quantity}</quantity></SALESORDERLINEENTITY>"
    )
}

/// An order and what it holds.
pub fn order(id: &str, customer: &str, lines: &[String]) -> String {
    format!(
        "<SALESORDERHEADERENTITY><OrderID>{id}</OrderID><Customer>{customer}</Customer>\n  {}\n</SALESORDERHEADERENTITY>\n",
        lines.join("\n  ")
    )
}

/// A file of orders.
pub fn document(orders: &[String]) -> String {
    format!("<?xml version=\"1.0\"?>\n<Document>\n{}</Document>\n", orders.concat())
}

async fn lines_landed(app: &TestApp) -> Vec<String> {
    let rows = app
        .rows(
            "select order_number, cast(line_number as text) from sales_order_lines order by order_number, line_number",
        )
        .await;
    let joined = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join("/");
    rows.into_iter().map(joined).collect()
}

fn counts(message: &Value) -> [u64; 4] {
    ["read", "applied", "rejected", "repaired"].map(|member| message["records"][member].as_u64().unwrap())
}

fn runs(message: &Value) -> Vec<Value> {
    let entities = message["executions"][0]["entities"].as_array().unwrap();
    let run = |run: &Value| {
        json!([
            run["entity"],
            run["staging"]["records"],
            run["target"]["inserted"],
            run["warnings"]
        ])
    };
    entities.iter().map(run).collect()
}

async fn headers_land_before_the_lines_they_hold(backend: Backend) {
    let app = app(backend, |_| {}).await;
    let file = document(&[
        order("1", "AAAAA", &[line("1", "5"), line("2", "5")]),
        order("2", "BBBBB", &[line("1", "5")]),
    ]);
    let message = app.import("Inbound composites", "Sales orders", file).await;
    assert_eq!(message["status"], "Processed", "{message:#}");
    assert_eq!(message["entity"], "Sales orders");
    assert_eq!(counts(&message), [5, 5, 0, 0]);
    let runs = runs(&message);
    assert_eq!(
        runs[0].as_array().unwrap()[..3],
        [json!("Sales order headers"), json!(2), json!(2)]
    );
    assert_eq!(
        runs[1].as_array().unwrap()[..3],
        [json!("Sales order lines"), json!(3), json!(3)]
    );
    assert_eq!(lines_landed(&app).await, ["1/1", "1/2", "2/1"]);
}

async fn rejects_come_back_inside_what_they_stood_in(backend: Backend) {
    let app = app(backend, |_| {}).await;
    let file = document(&[
        order("1", "AAAAA", &[line("1", "5"), line("2", "many"), line("3", "<")]),
        order("2", "ZZZZZ", &[line("1", "5"), line("2", "5")]),
        order("3", "BBBBB", &[line("1", "5")]),
    ]);
    let message = app.import("Inbound composites", "Sales orders", file.clone()).await;
    assert_eq!(message["status"], "ProcessedWithErrors", "{message:#}");
    // Order 2 and its two lines, and two lines of order 1.
    assert_eq!(counts(&message), [9, 4, 5, 0]);
    assert_eq!(lines_landed(&app).await, ["1/1", "3/1"]);
    let id = message["id"].as_str().unwrap();
    let errors: Value = app
        .get(&format!("/api/v1/messages/{id}/errors"))
        .await
        .json()
        .await
        .unwrap();
    let bad = errors["errors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|error| error["code"] == "invalid_int")
        .unwrap();
    let start = usize::try_from(bad["byte_start"].as_u64().unwrap()).unwrap();
    let end = usize::try_from(bad["byte_end"].as_u64().unwrap()).unwrap();
    assert_eq!(
        (&file[start..end], &bad["line"]),
        (line("2", "many").as_str(), &json!(5))
    );

    let rejects = download(&app, id).await;
    let before = rejects.split_once("<OrderID>2").unwrap().0;
    assert!(
        before.contains("<SALESORDERHEADERENTITY _context=\"true\"><OrderID>1</OrderID>"),
        "{rejects}"
    );
    assert!(!rejects.contains("<OrderID>3"), "{rejects}");
    // The customer and one line are set right, the other line not yet.
    let raw_from = rejects.find("<_raw>").unwrap();
    let raw_to = rejects.find("</_raw>").unwrap() + "</_raw>".len();
    let inner = line("3", "4");
    let inner = inner
        .strip_prefix("<SALESORDERLINEENTITY>")
        .unwrap()
        .strip_suffix("</SALESORDERLINEENTITY>")
        .unwrap();
    let corrected = format!("{}{inner}{}", &rejects[..raw_from], &rejects[raw_to..]).replace("ZZZZZ", "AAAAA");
    let child = resubmit(&app, id, corrected).await;
    assert_eq!(child["status"], "ProcessedWithErrors", "{child:#}");
    assert_eq!(counts(&child), [5, 4, 1, 0]);
    assert_eq!(counts(&app.message(id).await), [9, 4, 5, 4]);
    assert_eq!(lines_landed(&app).await, ["1/1", "1/3", "2/1", "2/2", "3/1"]);

    let again = download(&app, child["id"].as_str().unwrap()).await;
    assert_eq!(again.matches("<_reject_id>").count(), 1, "{again}");
    assert_eq!(again.matches("_context").count(), 1, "{again}");
    let grandchild = resubmit(&app, child["id"].as_str().unwrap(), again.replace("many", "7")).await;
    assert_eq!(grandchild["status"], "Processed", "{grandchild:#}");
    assert_eq!(counts(&grandchild), [1, 1, 0, 0]);
    assert_eq!(counts(&app.message(id).await), [9, 4, 5, 5]);
}

async fn download(app: &TestApp, id: &str) -> String {
    let answer = app.get(&format!("/api/v1/messages/{id}/rejects")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.unwrap()
}

async fn resubmit(app: &TestApp, id: &str, body: impl Into<reqwest::Body>) -> Value {
    let answer = app.post(&format!("/api/v1/messages/{id}/resubmit"), body).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    app.message(child["id"].as_str().unwrap()).await
}

async fn a_header_without_lines_is_told_or_refused(backend: Backend) {
    let file = document(&[order("1", "AAAAA", &[]), order("2", "AAAAA", &[line("1", "5")])]);
    let app_that_warns = app(backend, |_| {}).await;
    let message = app_that_warns
        .import("Inbound composites", "Sales orders", file.clone())
        .await;
    assert_eq!(counts(&message), [3, 3, 0, 0]);
    let warnings = runs(&message)[0][3].to_string();
    assert!(
        warnings.contains("1 records hold no element `SALESORDERLINEENTITY` (MAP011)"),
        "{warnings}"
    );
    let app = app(backend, |setup| {
        setup.file(
            "entities/sales-orders.toml",
            &format!("missing_elements = \"reject\"\n{COMPOSITE}"),
        );
    })
    .await;
    let message = app.import("Inbound composites", "Sales orders", file).await;
    assert_eq!(message["errors"][0]["code"], "element_missing", "{message:#}");
    assert_eq!(counts(&message), [3, 2, 1, 0]);
    // Its lines may well be there by now.
    let rejects = download(&app, message["id"].as_str().unwrap()).await;
    let child = resubmit(&app, message["id"].as_str().unwrap(), rejects).await;
    assert_eq!(counts(&child), [1, 1, 0, 0]);
}

async fn a_file_that_cannot_be_read_says_so_once(backend: Backend) {
    let app = app(backend, |_| {}).await;
    for (file, code) in [("no XML", "xml_expected"), ("<D><X/></D>", "composite_element_unknown")] {
        let message = app.import("Inbound composites", "Sales orders", file).await;
        assert_eq!(message["status"], "PreProcessingError", "{message:#}");
        assert_eq!(message["failure"]["code"], code);
        let detail = message["failure"]["detail"].as_str().unwrap();
        assert!(!detail.contains("; Sales order lines: "), "{detail}");
        assert_eq!(counts(&message), [0, 0, 0, 0]);
    }
}

async fn an_interrupted_composite_comes_to_the_same_end(backend: Backend) {
    let app = app(backend, |setup| {
        setup.set("import.batch_records", "7");
        setup.set("import.chunk_records", "11");
    })
    .await;
    let orders: Vec<String> = (0..30)
        .map(|number: u32| {
            let lines: Vec<String> = (1..=5)
                .map(|line_number| {
                    line(
                        &line_number.to_string(),
                        if number % 10 == line_number { "x" } else { "5" },
                    )
                })
                .collect();
            let customer = if number % 9 == 8 { "ZZZZZ" } else { "AAAAA" };
            order(&number.to_string(), customer, &lines)
        })
        .collect();
    let id = app
        .enqueue("Inbound composites", "Sales orders", document(&orders))
        .await;
    work_with_interruptions(&app, "Inbound composites", 25).await;
    let message = app.message(&id).await;
    assert_eq!(message["status"], "ProcessedWithErrors", "{message:#}");
    // 3 of 30 orders lack their customer, and with them 15 lines land nowhere; of the other 135, those with a bad quantity do not.
    let bad = (0..30)
        .filter(|number| number % 9 != 8 && (1..=5).contains(&(number % 10)))
        .count() as u64;
    assert_eq!(counts(&message), [180, 27 + 135 - bad, 3 + 15 + bad, 0]);
    assert_eq!(lines_landed(&app).await.len() as u64, 135 - bad);
}

async fn a_cancelled_composite_counts_every_entity(backend: Backend) {
    let app = app(backend, |setup| {
        setup.set("import.batch_records", "3");
        setup.set("import.chunk_records", "2");
    })
    .await;
    let lines: Vec<String> = (1..=2_000).map(|number: u32| line(&number.to_string(), "5")).collect();
    let id = app
        .enqueue(
            "Inbound composites",
            "Sales orders",
            document(&[order("1", "AAAAA", &lines)]),
        )
        .await;
    let lines_begun = async {
        // The control tables are there once the headers are through.
        while app.message(&id).await["executions"][0]["entities"][0]["target"]["inserted"] != 1 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let begun = "select cast(records as text) from tranship_loads where entity_no = 1 and records > 0";
        while app.rows(begun).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    cancel_midway(&app, "Inbound composites", lines_begun).await;
    let message = app.message(&id).await;
    assert_eq!(message["failure"]["code"], "cancelled", "{message:#}");
    let count = |member: &str| message["records"][member].as_u64().unwrap();
    assert_eq!(count("applied"), 1, "the header was through: {message:#}");
    assert!(count("skipped") > 0, "{message:#}");
    assert_eq!(count("read"), count("applied") + count("rejected") + count("skipped"));
    let labels: Vec<Value> = runs(&message).iter().map(|run| run[0].clone()).collect();
    assert_eq!(labels, ["Sales order headers", "Sales order lines"]);
}

const PACKAGES: &str = r#"
id = "00000000-0000-4000-8000-00000000ac4c"
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
entity = "Sales orders"
[[import.entities]]
entity = "Sales order headers"
map = { OrderID = "order_number", Customer = "customer_account" }
defaults = { order_date = "2026-01-05" }
"#;

const ORDERS: Listed<'_> = Listed {
    label: "Sales orders",
    file: "Sales orders.xml",
    format: "XML-Element",
    place: (1, 2, 1),
    flags: "<FailLevelOnError>Yes</FailLevelOnError>",
};
const CUSTOMERS: Listed<'_> = Listed {
    label: "Customers",
    file: "Customers.csv",
    format: "CSV",
    place: (1, 1, 1),
    flags: "",
};

async fn import_package(app: &TestApp, bytes: Vec<u8>) -> Value {
    let answer = app
        .post(
            &format!("/api/connector/enqueue/{}", app.job("Inbound packages")),
            bytes,
        )
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    let id: String = answer.json().await.unwrap();
    app.run_until_idle().await;
    app.message(&id).await
}

async fn a_package_may_hold_a_composite(backend: Backend) {
    let app = app(backend, |setup| setup.file("jobs/inbound-packages.toml", PACKAGES)).await;
    let manifest = manifest(&[&ORDERS, &CUSTOMERS]);
    let orders = document(&[
        order("1", "CCCCC", &[line("1", "5"), line("2", "x")]),
        order("2", "ZZZZZ", &[line("1", "5")]),
    ]);
    let packed = package(&[
        ("Manifest.xml", &manifest),
        HEADER,
        (ORDERS.file, &orders),
        (CUSTOMERS.file, "CustomerID,CompanyName\r\nCCCCC,Three\r\n,Nobody\r\n"),
    ]);
    let message = import_package(&app, packed).await;
    // A header that fails does not keep its own lines from being read, whatever the level is to do.
    assert_eq!(counts(&message), [7, 3, 4, 0], "{message:#}");
    let labels: Vec<Value> = runs(&message).iter().map(|run| run[0].clone()).collect();
    assert_eq!(labels, ["Sales order headers", "Sales order lines", "Customers"]);

    let id = message["id"].as_str().unwrap();
    let bytes = app
        .get(&format!("/api/v1/messages/{id}/rejects"))
        .await
        .bytes()
        .await
        .unwrap();
    let corrected: Vec<(String, String)> = members(&bytes)
        .into_iter()
        .map(|(name, text)| {
            let text = text.replace("ZZZZZ", "AAAAA").replace("<quantity>x", "<quantity>5");
            (name, text.replace(",,Nobody", ",DDDDD,Nobody"))
        })
        .collect();
    let names: Vec<&str> = corrected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["Manifest.xml", "PackageHeader.xml", ORDERS.file, CUSTOMERS.file]
    );
    let corrected: Vec<(&str, &str)> = corrected.iter().map(|(name, text)| (&**name, &**text)).collect();
    let child = resubmit(&app, id, package(&corrected)).await;
    assert_eq!(counts(&child), [4, 4, 0, 0], "{child:#}");
    assert_eq!(counts(&app.message(id).await), [7, 3, 4, 4]);
    assert_eq!(lines_landed(&app).await, ["1/1", "1/2", "2/1"]);
}

async fn a_package_with_what_cannot_be_a_composite_is_refused(backend: Backend) {
    let app = app(backend, |setup| setup.file("jobs/inbound-packages.toml", PACKAGES)).await;
    let orders = document(&[order("1", "AAAAA", &[line("1", "5")])]);
    let second = Listed {
        file: "Again.xml",
        ..ORDERS
    };
    let csv = Listed {
        format: "CSV",
        ..ORDERS
    };
    let mapped = Listed {
        flags: "<EntityMapList><EntityMap><EntityField>A</EntityField><XMLField>B</XMLField></EntityMap></EntityMapList>",
        ..ORDERS
    };
    let cases = [
        (vec![&ORDERS, &second], "composite_twice"),
        (vec![&csv], "composite_not_xml"),
        (vec![&mapped], "manifest_unsupported"),
    ];
    for (listed, code) in cases {
        let mut manifest = manifest(&listed);
        write!(manifest, "<!-- {code} -->").unwrap();
        let packed = package(&[
            ("Manifest.xml", &manifest),
            HEADER,
            (ORDERS.file, &orders),
            ("Again.xml", &orders),
        ]);
        let message = import_package(&app, packed).await;
        assert_eq!(message["failure"]["code"], code, "{message:#}");
        assert_eq!(message["status"], "PreProcessingError");
    }
    let orders = app.import("Inbound composites", "Sales orders", orders).await;
    assert_eq!(orders["records"]["inserted"], 2, "nothing of it was there");
}
