//! What an entity does to its records and demands of them: defaults, numbers, rules; and how a package leaves them out.

use std::io::Write as _;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};

crate::on_both_backends!(
    what_a_file_does_not_bring_is_filled_for_new_rows,
    a_record_that_fails_a_rule_comes_back_and_lands_when_corrected,
    a_job_may_leave_out_logic_and_validation_and_says_so,
    a_manifest_has_fields_generated_and_leaves_out_what_it_says,
    a_broken_rule_fails_the_message_before_anything_lands,
);

const TICKETS: &str = r#"
name = "Tickets"
create_table = true
key = ["reference"]
company_field = "company"
missing_columns = "ignore"
[[fields]]
name = "reference"
max_length = 20
[[fields]]
name = "company"
max_length = 4
[[fields]]
name = "quantity"
type = "decimal"
precision = 9
scale = 2
default = 1
[[fields]]
name = "status"
type = "enum"
values = ["New", "Done"]
default = "new"
[[fields]]
name = "code"
max_length = 40
compute = "{company}-{reference}"
[[fields]]
name = "came"
type = "datetime"
compute = "{enqueued_at()}"
[[fields]]
name = "number"
max_length = 8
auto_number = { format = "T-{:04}" }
[[fields]]
name = "line"
type = "int"
[[rules]]
name = "positive quantity"
check = "quantity > 0"
message = "write a quantity above 0"
field = "quantity"
[[rules]]
name = "usual quantity"
check = "quantity <= 100"
message = "more than 100 is unusual"
severity = "warn"
"#;

const JOB: &str = r#"
name = "Inbound tickets"
direction = "import"
clients = ["tester"]
company = "usmf"
[import]
format = "csv"
[[import.entities]]
entity = "Tickets"
"#;

fn job(id: u32, more: &str) -> String {
    format!("id = \"00000000-0000-4000-8000-0000000000{id:02}\"{JOB}{more}")
}

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        setup.file("entities/tickets.toml", TICKETS);
        setup.file("jobs/inbound-tickets.toml", &job(51, ""));
        let plain = job(52, "run_business_logic = false\nrun_business_validation = false\n");
        setup.file("jobs/plain-tickets.toml", &plain.replace("Inbound", "Plain"));
        let packages = job(53, "").replace("Inbound tickets", "Ticket packages");
        setup.file(
            "jobs/ticket-packages.toml",
            &packages.replace("[import]", "data_source = \"package\"\n[import]"),
        );
    })
    .await
}

async fn tickets(app: &TestApp, columns: &str) -> Vec<String> {
    let columns: Vec<String> = columns
        .split(", ")
        .map(|name| format!("cast({name} as text)"))
        .collect();
    let sql = format!("select {} from tickets order by reference", columns.join(", "));
    let rows = app.rows(&sql).await;
    let shown = |row: Vec<Option<String>>| {
        row.into_iter()
            .map(|cell| cell.unwrap_or_else(|| "-".to_owned()))
            .collect::<Vec<_>>()
    };
    rows.into_iter().map(|row| shown(row).join(" ")).collect()
}

fn warnings(message: &Value) -> &Value {
    &message["executions"][0]["entities"][0]["warnings"]
}

async fn what_a_file_does_not_bring_is_filled_for_new_rows(backend: Backend) {
    let app = app(backend).await;
    let file = "Reference,Quantity\r\nA,5\r\nB,\r\n";
    let message = app.import("Inbound tickets", "Tickets", file).await;
    assert_eq!(message["status"], "Processed", "{message:#}");
    assert_eq!(warnings(&message), &json!([]));
    let all = "reference, quantity, status, code, came, number";
    assert_eq!(
        tickets(&app, all).await,
        [
            "A 5.00 New usmf-A 2026-01-05 08:00:00 T-0001",
            "B 1.00 New usmf-B 2026-01-05 08:00:00 T-0002"
        ]
    );
    // Rows that are there keep what the file has no column for, and their numbers.
    app.clock.advance_seconds(60);
    let file = "Reference,Quantity,Status,Number\r\nA,6,Done,\r\nC,,,MINE\r\n";
    let message = app.import("Inbound tickets", "Tickets", file).await;
    assert_eq!(message["records"]["updated"], 1, "{message:#}");
    assert_eq!(
        tickets(&app, all).await,
        [
            "A 6.00 Done usmf-A 2026-01-05 08:00:00 T-0001",
            "B 1.00 New usmf-B 2026-01-05 08:00:00 T-0002",
            "C 1.00 New usmf-C 2026-01-05 08:01:00 MINE"
        ]
    );
    let again = app
        .import("Inbound tickets", "Tickets", "Reference\r\nA\r\nB\r\nD\r\n")
        .await;
    assert_eq!(
        (&again["records"]["unchanged"], &again["records"]["inserted"]),
        (&json!(2), &json!(1)),
        "{again:#}"
    );
    assert_eq!(tickets(&app, "number").await[3], "T-0003");
}

async fn a_record_that_fails_a_rule_comes_back_and_lands_when_corrected(backend: Backend) {
    let app = app(backend).await;
    let file = "Reference,Quantity\r\nA,5\r\nB,-0.01\r\nC,1000\r\nD,200\r\n";
    let message = app.import("Inbound tickets", "Tickets", file).await;
    assert_eq!(message["status"], "ProcessedWithErrors", "{message:#}");
    let error = &message["errors"][0];
    assert_eq!(
        (&error["code"], &error["field"]),
        (&json!("rule_failed"), &json!("quantity"))
    );
    assert_eq!(
        (&error["sample"]["value"], &error["sample"]["column"]),
        (&json!("-0.01"), &json!(2))
    );
    assert_eq!(
        error["sample"]["reason"],
        "rule `positive quantity`: write a quantity above 0"
    );
    assert_eq!(
        warnings(&message),
        &json!(["rule `usual quantity`: more than 100 is unusual (2 records)"])
    );
    let id = message["id"].as_str().unwrap();
    let rejects = app
        .get(&format!("/api/v1/messages/{id}/rejects"))
        .await
        .text()
        .await
        .unwrap();
    let corrected = rejects.replace("B,-0.01", "B,0.01");
    let answer = app.post(&format!("/api/v1/messages/{id}/resubmit"), corrected).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    let child = app.message(child["id"].as_str().unwrap()).await;
    assert_eq!(child["status"], "Processed", "{child:#}");
    assert_eq!(app.message(id).await["records"]["repaired"], 1);
    // The rejected record took no number with it but the one it had.
    assert_eq!(
        tickets(&app, "reference, number").await,
        ["A T-0001", "B T-0005", "C T-0003", "D T-0004"]
    );
}

async fn a_job_may_leave_out_logic_and_validation_and_says_so(backend: Backend) {
    let app = app(backend).await;
    let message = app
        .import("Plain tickets", "Tickets", "Reference,Quantity\r\nA,-5\r\nB,\r\n")
        .await;
    assert_eq!(message["status"], "Processed", "{message:#}");
    assert_eq!(
        warnings(&message),
        &json!([
            "`run_business_logic` is off: the entity's defaults and numbers were not used for `quantity`, `status`, `code`, `came`, `number`",
            "`run_business_validation` is off: these rules were not checked: `positive quantity`, `usual quantity`"
        ])
    );
    assert_eq!(
        tickets(&app, "reference, company, quantity, status, code, number").await,
        ["A usmf -5.00 - - -", "B usmf - - - -"]
    );
    // Types, keys and required fields are checked all the same.
    let message = app
        .import(
            "Plain tickets",
            "Tickets",
            "Reference,Quantity\r\n,1\r\nC,many\r\nD,1\r\nD,1\r\n",
        )
        .await;
    assert_eq!(message["records"]["rejected"], 3, "{message:#}");
}

fn package(entity: &str, map: &str, file: &str) -> Vec<u8> {
    let manifest = format!(
        "<DataManagementPackageManifest><PackageEntityList><DataManagementPackageEntityData>\
         <EntityName>Tickets</EntityName><InputFilePath>t.csv</InputFilePath>{entity}\
         <EntityMapList>{map}</EntityMapList></DataManagementPackageEntityData></PackageEntityList>\
         </DataManagementPackageManifest>"
    );
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let members = [
        ("Manifest.xml", manifest.as_str()),
        ("PackageHeader.xml", "<a/>"),
        ("t.csv", file),
    ];
    for (name, text) in members {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn generated(field: &str) -> String {
    format!("<EntityMap><EntityField>{field}</EntityField><IsAutoGenerated>Yes</IsAutoGenerated></EntityMap>")
}

async fn a_manifest_has_fields_generated_and_leaves_out_what_it_says(backend: Backend) {
    let app = app(backend).await;
    let import = async |bytes: Vec<u8>| {
        let path = format!("/api/connector/enqueue/{}", app.job("Ticket packages"));
        let id: String = app.post(&path, bytes).await.json().await.unwrap();
        app.run_until_idle().await;
        app.message(&id).await
    };
    let off = "<RunBusinessLogic>No</RunBusinessLogic><RunBusinessValidation>No</RunBusinessValidation>";
    let map = generated("LINE") + &generated("NUMBER");
    let message = import(package(off, &map, "REFERENCE,QUANTITY\r\nA,0\r\nB,\r\n")).await;
    assert_eq!(message["status"], "Processed", "{message:#}");
    assert_eq!(warnings(&message).as_array().unwrap().len(), 2, "{message:#}");
    assert_eq!(
        tickets(&app, "reference, quantity, status, number, line").await,
        ["A 0.00 - T-0001 1", "B - - T-0002 2"]
    );
    let on = "<RunBusinessLogic>Yes</RunBusinessLogic><RunBusinessValidation>Yes</RunBusinessValidation>";
    let message = import(package(on, "", "REFERENCE,QUANTITY\r\nC,0\r\nD,\r\n")).await;
    assert_eq!(message["records"]["rejected"], 1, "{message:#}");
    assert_eq!(
        tickets(&app, "reference, quantity, status, number").await[2],
        "D 1.00 New T-0004"
    );
    for field in ["CAME", "NOWHERE"] {
        let message = import(package("", &generated(field), "REFERENCE\r\nE\r\n")).await;
        assert_eq!(message["failure"]["code"], "manifest_unsupported", "{message:#}");
    }
}

async fn a_broken_rule_fails_the_message_before_anything_lands(backend: Backend) {
    let app = TestApp::with(backend, |setup: &mut Setup| {
        setup.file("entities/tickets.toml", &TICKETS.replace("quantity > 0", "quantty > 0"));
        setup.file("jobs/inbound-tickets.toml", &job(51, ""));
    })
    .await;
    let message = app.import("Inbound tickets", "Tickets", "Reference\r\nA\r\n").await;
    assert_eq!(message["failure"]["code"], "definition_mismatch", "{message:#}");
    let detail = message["failure"]["detail"].as_str().unwrap();
    assert!(
        detail.contains("rule `positive quantity`") && detail.contains("quantty"),
        "{detail}"
    );
    assert_eq!(message["records"]["applied"], 0);
    assert_eq!(tickets(&app, "reference").await, Vec::<String>::new());
}
