//! Files, documents and chunks that land whole or not at all, and the threshold past which an import stops.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tranship::business::policy::Policy;
use tranship::business::staging::Load;
use tranship::domain::job::{Atomicity, ImportMode};
use tranship::domain::message::Fence;

use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_file_lands_as_a_whole_or_not_at_all,
    a_file_may_have_as_many_rejects_as_its_threshold_says,
    each_file_of_a_package_stands_for_itself,
    a_document_lands_as_a_whole_or_not_at_all,
    rejected_documents_come_back_whole_and_repair_their_parent,
    a_file_that_brings_no_document_key_is_refused,
    a_chunk_with_a_rejected_record_says_what_it_skipped,
    what_the_target_rejects_counts_for_the_threshold,
    a_job_that_changes_while_a_message_is_loaded_fails_it,
);

const ENTITY: &str = r#"
name = "OrderLines"
label = "Order lines"
table = "order_lines"
create_table = true
key = ["order_number", "line"]
[[fields]]
name = "order_number"
max_length = 10
[[fields]]
name = "line"
type = "int"
[[fields]]
name = "quantity"
type = "int"
"#;

/// A job that loads order lines; `import` and `entity` are further lines of its sections.
fn job(import: &str, entity: &str) -> String {
    format!(
        "id = \"00000000-0000-4000-8000-00000000a701\"\nname = \"Lines\"\ndirection = \"import\"\nclients = [\"tester\"]\n\
         [import]\nformat = \"csv\"\n{import}\n[[import.entities]]\nentity = \"Order lines\"\n{entity}\n"
    )
}

async fn app(backend: Backend, import: &str, entity: &str) -> TestApp {
    let job = job(import, entity);
    TestApp::with(backend, |setup| {
        setup.set("import.chunk_records", "2");
        setup.file("entities/order-lines.toml", ENTITY);
        setup.file("jobs/lines.toml", &job);
        // The same without any rule, to fill the table.
        let plain = job_without_rules();
        setup.file("jobs/plain.toml", &plain);
    })
    .await
}

fn job_without_rules() -> String {
    job("", "").replace("a701", "a702").replace("\"Lines\"", "\"Plain\"")
}

async fn load(app: &TestApp, job: &str, lines: &[&str]) -> Value {
    let file = format!("order_number,line,quantity\r\n{}\r\n", lines.join("\r\n"));
    app.import(job, "Order lines", file).await
}

/// What stands in the table, `order/line=quantity`.
async fn landed(app: &TestApp) -> Vec<String> {
    let sql = "select order_number || '/' || cast(line as text) || '=' || cast(quantity as text) from order_lines \
         order by order_number, line";
    app.rows(sql)
        .await
        .into_iter()
        .map(|mut row| row.remove(0).unwrap())
        .collect()
}

/// Status, failure code and (applied, rejected, skipped).
fn end(message: &Value) -> Value {
    let records = &message["records"];
    json!([
        message["status"],
        message["failure"]["code"],
        [records["applied"], records["rejected"], records["skipped"]]
    ])
}

async fn errors(app: &TestApp, message: &Value) -> Vec<Value> {
    let path = format!("/api/v1/messages/{}/errors", message["id"].as_str().unwrap());
    let answer: Value = app.get(&path).await.json().await.unwrap();
    answer["errors"].as_array().unwrap().clone()
}

async fn codes(app: &TestApp, message: &Value) -> Vec<Value> {
    let errors = errors(app, message).await;
    errors
        .iter()
        .map(|error| json!([error["record"], error["code"]]))
        .collect()
}

async fn a_file_lands_as_a_whole_or_not_at_all(backend: Backend) {
    let app = app(backend, "atomicity = \"file\"", "mode = \"insert\"").await;
    let message = load(&app, "Lines", &["A,1,5", "A,2,6", "B,1,7"]).await;
    assert_eq!(end(&message), json!(["Processed", null, [3, 0, 0]]), "{message:#}");

    // Two lines that the target refuses, in different chunks.
    let message = load(&app, "Lines", &["C,1,5", "A,2,6", "C,2,6", "B,1,7", "C,3,1"]).await;
    assert_eq!(
        end(&message),
        json!(["PostProcessingFailed", "file_rejected", [0, 2, 3]]),
        "{message:#}"
    );
    let detail = message["failure"]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("2 of 5 records were rejected") && detail.ends_with("nothing was applied"),
        "{detail}"
    );
    assert_eq!(
        codes(&app, &message).await,
        [json!([2, "already_there"]), json!([4, "already_there"])]
    );
    let entity = &message["executions"][0]["entities"][0];
    assert_eq!(
        json!([
            entity["staging"]["status"],
            entity["target"]["status"],
            entity["target"]["errors"]
        ]),
        json!(["Finished", "Error", 2])
    );

    // A line that does not even type-check: the target is not tried.
    let message = load(&app, "Lines", &["C,1,5", "C,2,many", "A,1,5"]).await;
    assert_eq!(
        end(&message),
        json!(["PostProcessingFailed", "file_rejected", [0, 1, 2]]),
        "{message:#}"
    );
    assert_eq!(landed(&app).await, ["A/1=5", "A/2=6", "B/1=7"]);
}

async fn a_file_may_have_as_many_rejects_as_its_threshold_says(backend: Backend) {
    let app = app(
        backend,
        "atomicity = \"file\"\nmax_errors = \"50%\"",
        "mode = \"insert\"",
    )
    .await;
    let message = load(&app, "Lines", &["A,1,5", "A,2,few", "A,1,6", "B,1,7"]).await;
    assert_eq!(
        end(&message),
        json!(["ProcessedWithErrors", null, [2, 2, 0]]),
        "{message:#}"
    );
    // One more by the target, together with the two before it promotes, is past the half.
    let message = load(&app, "Lines", &["C,1,5", "C,2,few", "C,1,6", "B,1,7", "C,4,1"]).await;
    assert_eq!(
        end(&message),
        json!(["PostProcessingFailed", "too_many_errors", [0, 3, 2]]),
        "{message:#}"
    );
    assert_eq!(landed(&app).await, ["A/1=5", "B/1=7"]);
}

async fn each_file_of_a_package_stands_for_itself(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file("entities/order-lines.toml", ENTITY);
        let job = job("atomicity = \"file\"", "[[import.entities]]\nentity = \"Customers\"");
        setup.file(
            "jobs/lines.toml",
            &job.replace("direction", "data_source = \"package\"\ndirection"),
        );
    })
    .await;
    let entity = |label: &str, file: &str| {
        format!(
            "<DataManagementPackageEntityData><EntityName>{label}</EntityName><InputFilePath>{file}</InputFilePath>\
             <SourceFormat>CSV</SourceFormat></DataManagementPackageEntityData>"
        )
    };
    let manifest = format!(
        "<DataManagementPackageManifest><PackageEntityList>{}{}</PackageEntityList></DataManagementPackageManifest>",
        entity("Customers", "c.csv"),
        entity("Order lines", "l.csv")
    );
    let members = [
        ("Manifest.xml", manifest.as_str()),
        ("PackageHeader.xml", "<DataManagementPackageHeader/>"),
        ("c.csv", "customer_account,company_name\r\nAAAAA,One\r\n,Two\r\n"),
        ("l.csv", "order_number,line,quantity\r\nA,1,5\r\n"),
    ];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in members {
        use std::io::Write as _;
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    let answer = app
        .post(&format!("/api/connector/enqueue/{}", app.job("Lines")), bytes)
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    let id: String = answer.json().await.unwrap();
    app.run_until_idle().await;
    let message = app.message(&id).await;
    assert_eq!(
        end(&message),
        json!(["ProcessedWithErrors", "file_rejected", [1, 1, 1]]),
        "{message:#}"
    );
    assert_eq!(landed(&app).await, ["A/1=5"]);
    assert!(app.rows("select customer_account from customers").await.is_empty());
}

const DOCUMENTS: (&str, &str) = ("atomicity = \"document\"", "document_key = [\"order_number\"]");

async fn a_document_lands_as_a_whole_or_not_at_all(backend: Backend) {
    let app = app(backend, DOCUMENTS.0, &format!("{}\nmode = \"insert\"", DOCUMENTS.1)).await;
    load(&app, "Plain", &["D,2,1"]).await;
    let lines = [
        "A,1,5", "B,1,1", "A,2,many", // A falls for line 2 (record 3)
        "B,2,2", "C,1,1", "C,2,1", "C,1,1", // C for a line that comes twice
        "D,1,1", "D,2,1", // D for one the target has
        "E,x,1", "E,2,1",   // E for a key that did not type-check, although its order did
        "F,1,1,,", // and of this one nothing is known
    ];
    let message = load(&app, "Lines", &lines).await;
    assert_eq!(
        end(&message),
        json!(["ProcessedWithErrors", null, [2, 10, 0]]),
        "{message:#}"
    );
    assert_eq!(landed(&app).await, ["B/1=1", "B/2=2", "D/2=1"]);
    let sibling = "document_rejected";
    assert_eq!(
        codes(&app, &message).await,
        [
            json!([1, sibling]),
            json!([3, "invalid_int"]),
            json!([5, sibling]),
            json!([6, sibling]),
            json!([7, "duplicate_key"]),
            json!([8, sibling]),
            json!([9, "already_there"]),
            json!([10, "invalid_int"]),
            json!([11, sibling]),
            json!([12, "column_count"]),
        ]
    );
    let first = &errors(&app, &message).await[0];
    assert_eq!(
        json!([
            first["line"],
            first["column"],
            first["field"],
            first["value"],
            first["reason"]
        ]),
        json!([
            2,
            1,
            "order_number",
            "A",
            "record 3 (line 4) of the same document is rejected: order_number = A"
        ])
    );
}

async fn rejected_documents_come_back_whole_and_repair_their_parent(backend: Backend) {
    let app = app(backend, DOCUMENTS.0, DOCUMENTS.1).await;
    let parent = load(&app, "Lines", &["A,1,5", "A,2,many", "B,1,1"]).await;
    assert_eq!(
        end(&parent),
        json!(["ProcessedWithErrors", null, [1, 2, 0]]),
        "{parent:#}"
    );
    let id = parent["id"].as_str().unwrap();
    let file = app
        .get(&format!("/api/v1/messages/{id}/rejects"))
        .await
        .text()
        .await
        .unwrap();
    let corrected = file.replace("many", "6");
    // A record under an id that is none of the parent's rejects takes its document along.
    let strange = corrected.replace(".0.1,", ".0.99,");
    let child = resubmit(&app, id, strange).await;
    assert_eq!(
        end(&child),
        json!(["ProcessedWithErrors", null, [0, 2, 0]]),
        "{child:#}"
    );
    assert_eq!(
        codes(&app, &child).await,
        [json!([1, "reference_missing"]), json!([2, "document_rejected"])]
    );

    let child = resubmit(&app, id, corrected).await;
    assert_eq!(end(&child), json!(["Processed", null, [2, 0, 0]]), "{child:#}");
    assert_eq!(app.message(id).await["records"]["repaired"], 2);
    assert_eq!(landed(&app).await, ["A/1=5", "A/2=6", "B/1=1"]);
}

async fn resubmit(app: &TestApp, id: &str, file: String) -> Value {
    let answer = app.post(&format!("/api/v1/messages/{id}/resubmit"), file).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    app.message(child["id"].as_str().unwrap()).await
}

async fn a_file_that_brings_no_document_key_is_refused(backend: Backend) {
    let entity = "document_key = [\"quantity\"]\nmode = \"update\"";
    let job = job(DOCUMENTS.0, entity);
    let app = TestApp::with(backend, |setup| {
        setup.file("entities/order-lines.toml", &format!("{ENTITY}required = true\n"));
        setup.file("jobs/lines.toml", &job);
    })
    .await;
    let message = app.import("Lines", "Order lines", "order_number,line\r\nA,1\r\n").await;
    assert_eq!(
        end(&message),
        json!(["PreProcessingError", "required_column_missing", [0, 0, 0]]),
        "{message:#}"
    );
    let detail = message["failure"]["detail"].as_str().unwrap();
    assert!(detail.contains("quantity"), "{detail}");
}

async fn a_chunk_with_a_rejected_record_says_what_it_skipped(backend: Backend) {
    let app = app(backend, "atomicity = \"chunk\"", "").await;
    let message = load(&app, "Lines", &["A,1,5", "A,2,6", "B,1,few", "B,2,1", "C,1,1"]).await;
    assert_eq!(
        end(&message),
        json!(["ProcessedWithErrors", null, [3, 1, 1]]),
        "{message:#}"
    );
    assert_eq!(landed(&app).await, ["A/1=5", "A/2=6", "C/1=1"]);
    let warnings = &message["executions"][0]["entities"][0]["warnings"];
    assert_eq!(
        warnings,
        &json!(["a rejected record keeps its chunk from landing; records skipped for it are among 3 to 4"])
    );
}

async fn what_the_target_rejects_counts_for_the_threshold(backend: Backend) {
    let app = app(backend, "max_errors = 2", "mode = \"insert\"").await;
    load(&app, "Plain", &["A,1,1", "A,2,1", "A,3,1"]).await;
    // Two rejects are within the threshold, whoever found them.
    let message = load(&app, "Lines", &["A,1,1", "B,1,1", "B,2,few"]).await;
    assert_eq!(
        end(&message),
        json!(["ProcessedWithErrors", null, [1, 2, 0]]),
        "{message:#}"
    );
    // The third one is found in the third chunk of four: what landed stays, and the rest is not tried.
    let lines = ["A,1,1", "C,1,few", "C,2,1", "C,3,1", "A,2,1", "C,4,1", "C,5,1", "C,6,1"];
    let message = load(&app, "Lines", &lines).await;
    assert_eq!(
        end(&message),
        json!(["PostProcessingFailed", "too_many_errors", [3, 3, 2]]),
        "{message:#}"
    );
    let detail = message["failure"]["detail"].as_str().unwrap();
    assert!(detail.ends_with("3 were applied before, 2 are skipped"), "{detail}");
    let there: Vec<_> = landed(&app)
        .await
        .into_iter()
        .filter(|line| line.starts_with('C'))
        .collect();
    assert_eq!(there, ["C/2=1", "C/3=1", "C/4=1"]);
}

async fn a_job_that_changes_while_a_message_is_loaded_fails_it(backend: Backend) {
    let app = app(backend, "atomicity = \"file\"", "").await;
    let id = app
        .enqueue("Lines", "Order lines", "order_number,line,quantity\r\nA,1,5\r\n")
        .await;
    // An earlier attempt, when records of the job still landed each for itself.
    let entity = app.definitions.find_entity("Order lines").unwrap();
    let database = app.context.databases.get("main").unwrap();
    let fence = Fence {
        message: id.parse().unwrap(),
        epoch: 0,
    };
    let policy = Policy {
        atomicity: Atomicity::Record,
        ..Policy::default()
    };
    let earlier = Load {
        policy: &policy,
        ..Load::new(fence, 0, entity, ImportMode::Upsert)
    };
    let fields: Vec<String> = entity.fields.iter().map(|field| field.name.clone()).collect();
    database.raise_fence(fence).await.unwrap();
    database.ensure_entity(entity).await.unwrap();
    database.begin_load(earlier, &fields).await.unwrap();
    app.run_until_idle().await;
    let message = app.message(&id).await;
    assert_eq!(
        end(&message),
        json!(["PreProcessingError", "definition_changed", [0, 0, 0]]),
        "{message:#}"
    );
}
