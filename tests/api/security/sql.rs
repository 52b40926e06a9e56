//! Names from definitions and values from files that are SQL to whoever does not quote and bind them.

use std::fmt::Write as _;

use crate::app::{Backend, TestApp};

crate::on_both_backends!(names_and_values_are_never_sql);

/// 50 bytes, the longest there may be, and not all of them ASCII.
const LONG: &str = "größe größe größe größe größe größe x";
const TABLE: &str = "x'); drop table customers; --";
const FIELDS: [&str; 8] = [
    "id'; --",
    "select",
    "order",
    "$1 %s {0} ? :a",
    "`a` [b]",
    "a\\'b /* c",
    LONG,
    "group by 1;",
];
const VALUES: [&str; 6] = [
    "'; drop table customers; --",
    "\"\"; delete from customers; --",
    "$1 ? :a %s \\'",
    "' or '1'='1",
    "\u{2019}; \u{ff07}",
    "=cmd|' /C calc'!A0",
];

fn definitions() -> (String, String, String) {
    let mut entity = format!(
        "name = \"Hostile\"\nlabel = \"Hostile\"\ntable = {TABLE:?}\ncreate_table = true\nkey = [{:?}]\n",
        FIELDS[0]
    );
    for field in FIELDS {
        writeln!(entity, "[[fields]]\nname = {field:?}\nmax_length = 100").unwrap();
    }
    let import = "id = \"00000000-0000-4000-8000-0000000000f1\"\nname = \"Hostile in\"\ndirection = \"import\"\nclients = [\"tester\"]\n[import]\n\
                  format = \"csv\"\n[[import.entities]]\nentity = \"Hostile\"\n";
    let export = "id = \"00000000-0000-4000-8000-0000000000f2\"\nname = \"Hostile out\"\ndirection = \"export\"\ndata_source = \"file\"\n\
                  clients = [\"tester\"]\n[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Hostile\"\nrefresh = \"incremental\"\n";
    (entity, import.to_owned(), export.to_owned())
}

/// A row of a CSV file.
fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells
        .into_iter()
        .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")))
        .collect();
    format!("{}\r\n", cells.join(","))
}

async fn names_and_values_are_never_sql(backend: Backend) {
    let (entity, import, export) = definitions();
    let app = TestApp::with(backend, |setup| {
        setup.file("entities/hostile.toml", &entity);
        setup.file("jobs/hostile-in.toml", &import);
        setup.file("jobs/hostile-out.toml", &export);
    })
    .await;
    app.import(
        "Inbound customers",
        "Customers",
        "CustomerID,CompanyName\r\nAAAAA,One\r\n",
    )
    .await;
    // Twice: the first time they are inserted, the second compared and updated.
    for behind in ["?", "!"] {
        let mut file = row(FIELDS.map(str::to_owned));
        for (number, value) in VALUES.iter().enumerate() {
            file += &row((0..FIELDS.len()).map(|field| match field {
                0 => format!("{number}{value}"),
                _ => format!("{value}{behind}"),
            }));
        }
        let message = app.import("Hostile in", "Hostile", file).await;
        assert_eq!(message["records"]["applied"], VALUES.len(), "{message:#}");
    }
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = FIELDS.iter().map(|field| quoted(field)).collect();
    let kept = app
        .rows(&format!(
            "select {} from {} order by 1",
            columns.join(", "),
            quoted(TABLE)
        ))
        .await;
    assert_eq!(kept.len(), VALUES.len());
    for value in VALUES.map(|value| format!("{value}!")) {
        let found = kept.iter().find(|cells| cells[1].as_deref() == Some(value.as_str()));
        let cells = found.unwrap_or_else(|| panic!("{value} in {kept:?}"));
        assert!(
            cells[1..].iter().all(|cell| cell.as_deref() == Some(value.as_str())),
            "{cells:?}"
        );
    }
    let customers = app.rows("select cast(count(*) as text) from customers").await;
    assert_eq!(customers[0][0].as_deref(), Some("1"));
    // And out again, as they are: a file is data, and a formula in it is a text.
    let path = format!("/api/v1/jobs/{}", app.job("Hostile out"));
    app.post(&format!("{path}/run"), "").await;
    app.run_until_idle().await;
    let runs = app.body(&format!("{path}/occurrences?limit=1")).await;
    let message = runs["occurrences"][0]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{runs:#}"));
    let answer = app.get(&format!("/api/v1/messages/{message}/payload")).await;
    let shown = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(shown.starts_with("attachment"), "{shown}");
    let out = answer.text().await.unwrap();
    for value in VALUES.map(|value| format!("{value}!").replace('"', "\"\"")) {
        assert!(out.contains(&value), "{value} in {out}");
    }
}
