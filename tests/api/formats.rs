//! The same data in every format lands as the same rows and leaves the same rejects, which come back in that format, are
//! corrected and land too.

use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{Backend, Setup, TestApp, sample};
use crate::support::files::{self, Data};

crate::on_both_backends!(every_format_lands_the_same_rows_and_rejects,);

pub const NAMES: [&str; 10] = [
    "Code", "Title", "Amount", "Count", "Active", "Day", "Moment", "Uid", "Kind", "Parent",
];
const WIDTHS: [usize; 10] = [6, 30, 10, 6, 6, 10, 20, 36, 6, 6];
const GUID: &str = "6d31e09f-0249-459f-94f0-aad9c2c47b64";

const ENTITY: &str = r#"
create_table = true
key = ["code"]
[[fields]]
name = "code"
max_length = 6
[[fields]]
name = "title"
max_length = 24
trim = true
[[fields]]
name = "amount"
type = "decimal"
scale = 2
[[fields]]
name = "count"
type = "int"
[[fields]]
name = "active"
type = "bool"
[[fields]]
name = "day"
type = "date"
[[fields]]
name = "moment"
type = "datetime"
[[fields]]
name = "uid"
type = "guid"
[[fields]]
name = "kind"
type = "enum"
values = ["Open", "Shut"]
required = true
null_tokens = ["NONE"]
[[fields]]
name = "parent"
references = { entity = "Customers", field = "customer_account" }
"#;

/// A good record, some cells replaced.
fn record(code: &str, replace: &[(&str, &str)]) -> Vec<String> {
    let good = [
        code,
        "Größe <M> & \"L\"",
        "12.50",
        "7",
        "true",
        "2026-01-31",
        "2026-01-31 13:05:00",
        GUID,
        "Open",
        "ALFKI",
    ];
    let mut cells = good.map(str::to_owned);
    for (name, text) in replace {
        let at = NAMES.iter().position(|known| known == name).unwrap();
        (*text).clone_into(&mut cells[at]);
    }
    cells.into()
}

const TOO_LONG: &str = "XXXXXXXXXXXXXXXXXXXXXXXXXXX";

pub fn records() -> Vec<Vec<String>> {
    vec![
        record("A1", &[]),
        record("A2", &[("Amount", "a lot")]),
        record("A3", &[("Title", TOO_LONG)]),
        record("A1", &[("Title", "the same again")]),
        record("A5", &[("Count", "7.5")]),
        record("A6", &[("Parent", "ZZZZZ")]),
        record("A7", &[("Kind", "NONE")]),
        record("A8", &[("Day", "2026-02-30"), ("Active", "maybe")]),
        record("A9", &[("Title", ""), ("Amount", ""), ("Uid", ""), ("Parent", "")]),
        record("B1", &[("Amount", "-0.05"), ("Active", "No"), ("Kind", "shut")]),
    ]
}

/// What is wrong, and what it is corrected to: as long as before, because columns of a fixed width stay where they are.
pub const CORRECTIONS: [(&str, &str); 8] = [
    ("a lot", "12.00"),
    (TOO_LONG, "not too long               "),
    ("A1", "A4"),
    ("7.5", "007"),
    ("ZZZZZ", "ANATR"),
    ("NONE", "Open"),
    ("2026-02-30", "2026-02-28"),
    ("maybe", "false"),
];

/// A job's own lines, and the file sent to it.
pub type Case = (&'static str, &'static str, Vec<u8>);

/// The same records in every format.
pub fn cases(data: &Data<'_>) -> Vec<Case> {
    let columns: Vec<String> = NAMES
        .iter()
        .zip(WIDTHS)
        .map(|(name, width)| format!("{{ name = \"{name}\", width = {width} }}"))
        .collect();
    let fixed = format!("format = \"fixed\"\ncolumns = [{}]", columns.join(", "));
    let csv = data.delimited(',');
    vec![
        ("csv", "format = \"csv\"", csv.clone().into()),
        ("tsv", "format = \"tsv\"", data.delimited('\t').into()),
        (
            "pipe",
            "format = \"csv\"\ndelimiter = \"|\"",
            data.delimited('|').into(),
        ),
        (
            "caret",
            "format = \"csv\"\ndelimiter = \"^\"",
            data.delimited('^').into(),
        ),
        ("unicode", "format = \"csv-unicode\"", files::utf16(&csv)),
        ("bare", "format = \"csv-unicode\"", files::utf16(&csv)[2..].to_vec()),
        (
            "latin",
            "format = \"csv\"\nencoding = \"windows-1252\"",
            files::latin(&csv),
        ),
        ("gzip", "format = \"csv\"", files::gzip(csv.as_bytes())),
        ("fixed", Box::leak(fixed.into_boxed_str()), data.fixed(&WIDTHS).into()),
        ("json", "format = \"json\"", data.json().into()),
        ("odata", "format = \"json\"", data.envelope().into()),
        ("jsonl", "format = \"jsonl\"", data.json_lines().into()),
        ("zstd", "format = \"jsonl\"", files::zstd(data.json_lines().as_bytes())),
        ("element", "format = \"xml-element\"", data.xml_element().into()),
        ("wide", "format = \"xml-element\"", files::utf16(&data.xml_element())),
        ("attribute", "format = \"xml-attribute\"", data.xml_attribute().into()),
        ("xlsx", "format = \"xlsx\"\nsheet = \"things$\"", data.workbook()),
    ]
}

/// An entity and a job for one of them.
pub fn define(setup: &mut Setup, number: usize, (name, lines, _): &Case) {
    let entity = format!("name = \"Things_{name}\"\nlabel = \"Things {name}\"\ntable = \"things_{name}\"\n{ENTITY}");
    setup.file(&format!("entities/things-{name}.toml"), &entity);
    let job = format!(
        "id = \"00000000-0000-4000-8000-0000000f00{number:02}\"\nname = \"Inbound {name}\"\ndirection = \"import\"\n\
         clients = [\"tester\"]\n[import]\n{lines}\n[[import.entities]]\nentity = \"Things {name}\"\n"
    );
    setup.file(&format!("jobs/things-{name}.toml"), &job);
}

/// Rejects as `(record, field, code, value)`.
async fn rejects(app: &TestApp, id: &str) -> Vec<[Value; 4]> {
    let answer = app.get(&format!("/api/v1/messages/{id}/errors")).await;
    let body: Value = answer.json().await.unwrap();
    let errors = body["errors"].as_array().unwrap_or_else(|| panic!("{body}")).iter();
    errors
        .map(|error| ["record", "field", "code", "value"].map(|member| error[member].clone()))
        .collect()
}

/// What has landed.
pub async fn rows(app: &TestApp, name: &str) -> Vec<Vec<Option<String>>> {
    let cells = NAMES.map(|name| format!("cast({} as text)", name.to_lowercase()));
    let text = format!("select {} from things_{name} order by code", cells.join(", "));
    app.rows(&text).await
}

async fn every_format_lands_the_same_rows_and_rejects(backend: Backend) {
    let records = records();
    let data = Data {
        names: &NAMES,
        rows: &records,
    };
    let cases = cases(&data);
    let app = TestApp::with(backend, |setup| {
        for (number, case) in cases.iter().enumerate() {
            define(setup, number, case);
        }
    })
    .await;
    app.import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let mut first = None;
    for (name, _, file) in cases {
        let message = app
            .import(&format!("Inbound {name}"), &format!("Things {name}"), file)
            .await;
        assert_eq!(message["status"], "ProcessedWithErrors", "{name}: {message:#}");
        let id = message["id"].as_str().unwrap();
        let counts = ["read", "inserted", "rejected", "skipped"].map(|member| message["records"][member].clone());
        assert_eq!(counts, [10, 3, 7, 0].map(Value::from), "{name}");
        let landed = (rejects(&app, id).await, rows(&app, name).await);
        let corrected = correct(&app, name, id).await;
        let (before, after) = first.get_or_insert_with(|| (landed.clone(), corrected.clone()));
        assert_eq!(&landed, before, "{name}");
        assert_eq!(&corrected, after, "{name}, corrected");
    }
    let ((rejects, landed), corrected) = first.unwrap();
    assert_eq!(rejects.len(), 8, "{rejects:?}");
    assert_eq!((landed.len(), corrected.len()), (3, 10));
    assert_eq!(landed[0][1].as_deref(), Some("Größe <M> & \"L\""));
}

/// Corrects what was rejected in the file that is offered for it, and sends it back.
async fn correct(app: &TestApp, name: &str, id: &str) -> Vec<Vec<Option<String>>> {
    let answer = app.get(&format!("/api/v1/messages/{id}/rejects")).await;
    assert_eq!(answer.status(), StatusCode::OK, "{name}");
    // Its byte order mark counts.
    let mut file = String::from_utf8(answer.bytes().await.unwrap().into()).unwrap();
    for (wrong, right) in CORRECTIONS {
        assert!(file.contains(wrong), "{name}: {wrong} in {file}");
        file = file.replace(wrong, right);
    }
    let answer = app.post(&format!("/api/v1/messages/{id}/resubmit"), file.clone()).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{name}");
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    let child = app.message(child["id"].as_str().unwrap()).await;
    assert_eq!(child["status"], "Processed", "{name}: {child:#}\n{file}");
    assert_eq!(child["records"]["inserted"], 7, "{name}: {child:#}");
    assert_eq!(app.message(id).await["records"]["repaired"], 7, "{name}");
    rows(app, name).await
}
