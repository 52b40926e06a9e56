//! Hostile input through the real service (promise 9): whatever is sent ends with a documented code and a sentence a person
//! understands, what was read adds up, and the service goes on.
//!
//! What takes gigabytes or a hundred MiB stands in `tests/process/hostile.rs`, where memory is watched.

mod packages;
mod structure;
mod text;

use serde_json::Value;

use crate::app::{Backend, Setup, TestApp};

const ERRORS_PAGE: &str = include_str!("../../docs/errors.md");
/// Jobs of single files: name, and the lines of the format.
const FORMATS: [(&str, &str); 8] = [
    ("csv", "format = \"csv\""),
    ("unicode", "format = \"csv-unicode\""),
    (
        "fixed",
        "format = \"fixed\"\ncolumns = [{ name = \"CustomerID\", width = 8 }, { name = \"CompanyName\", width = 30 }]",
    ),
    ("json", "format = \"json\""),
    ("jsonl", "format = \"jsonl\""),
    ("element", "format = \"xml-element\""),
    ("attribute", "format = \"xml-attribute\""),
    ("xlsx", "format = \"xlsx\""),
];

/// The application with a job for each format, each loading customers, and one for packages.
async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        for (number, (name, lines)) in FORMATS.iter().enumerate() {
            let id = format!("00000000-0000-4000-8000-00000005711{number}");
            setup.file(&format!("jobs/hostile-{name}.toml"), &job(&id, name, lines));
        }
        let package = job("00000000-0000-4000-8000-000000057120", "package", "format = \"csv\"");
        let package = package.replace("direction", "data_source = \"package\"\ndirection");
        setup.file("jobs/hostile-package.toml", &package);
    })
    .await
}

fn job(id: &str, name: &str, lines: &str) -> String {
    format!(
        "id = \"{id}\"\nname = \"Hostile {name}\"\ndirection = \"import\"\nclients = [\"tester\"]\n[import]\n{lines}\n\
         [[import.entities]]\nentity = \"Customers\"\nmap = {{ CustomerID = \"customer_account\" }}\n"
    )
}

/// Sends a file to the job of this format and returns how it ended; whatever it is, it ends well.
async fn send(app: &TestApp, format: &str, file: impl Into<Vec<u8>>) -> Value {
    let message = app.import(&format!("Hostile {format}"), "Customers", file.into()).await;
    assert_eq!(message["final"], true, "{message:#}");
    let count = |member: &str| message["records"][member].as_u64().unwrap();
    let sum = count("applied") + count("rejected") + count("skipped");
    assert_eq!(count("read"), sum, "{message:#}");
    if let Some(code) = message["failure"]["code"].as_str() {
        assert_told(code, &message["failure"]["detail"]);
    }
    message
}

/// The file is refused as a whole, with this code, and nothing of it was read.
async fn refused(app: &TestApp, format: &str, what: &str, file: impl Into<Vec<u8>>, code: &str) -> String {
    let message = send(app, format, file).await;
    assert_eq!(message["failure"]["code"], code, "{what}: {message:#}");
    assert_eq!(message["status"], "PreProcessingError", "{what}: {message:#}");
    assert_eq!(message["records"]["read"], 0, "{what}: {message:#}");
    message["failure"]["detail"].as_str().unwrap().to_owned()
}

/// Some records land, the others are rejected with these codes, in the order of the file.
async fn rejects(app: &TestApp, format: &str, what: &str, file: impl Into<Vec<u8>>, landed: u64, codes: &[&str]) {
    let message = send(app, format, file).await;
    let id = message["id"].as_str().unwrap();
    let answer = app.get(&format!("/api/v1/messages/{id}/errors")).await;
    let errors: Value = answer.json().await.unwrap();
    let errors = errors["errors"].as_array().unwrap();
    let found: Vec<&str> = errors.iter().map(|error| error["code"].as_str().unwrap()).collect();
    assert_eq!(found, codes, "{what}: {message:#}\n{errors:#?}");
    assert_eq!(message["records"]["applied"], landed, "{what}: {message:#}");
    for error in errors {
        assert_told(error["code"].as_str().unwrap(), &error["reason"]);
    }
}

/// The code is one of the page's, and the sentence is one: short enough to read, nothing in it that a terminal obeys.
fn assert_told(code: &str, sentence: &Value) {
    assert!(ERRORS_PAGE.contains(&format!("`{code}`")), "{code} is not documented");
    let sentence = sentence.as_str().unwrap();
    assert!((20..2000).contains(&sentence.len()), "{code}: {sentence:?}");
    assert!(!sentence.chars().any(char::is_control), "{code}: {sentence:?}");
    for word in ["panicked", "Error {", "os error", "Some(", "sqlx"] {
        assert!(!sentence.contains(word), "{code}: {sentence}");
    }
}

/// A customer as a CSV file.
const GOOD_CSV: &str = "CustomerID,CompanyName\r\nGOOD,Good\r\n";
