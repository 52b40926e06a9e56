//! All five Northwind files land completely, and the target rows equal the files, field by field.

use std::collections::BTreeMap;

use crate::app::{Backend, TestApp, sample};

crate::on_both_backends!(all_five_files_land_completely, pushing_a_file_again_changes_nothing);

const FILES: [(&str, &str, &str, u64); 5] = [
    ("customers.csv", "Inbound customers", "Customers", 93),
    ("suppliers.csv", "Inbound suppliers", "Suppliers", 29),
    ("products.csv", "Inbound products", "Products", 77),
    ("orders.csv", "Inbound sales orders", "Sales order headers", 830),
    (
        "order_lines.csv",
        "Inbound sales order lines",
        "Sales order lines",
        2155,
    ),
];

async fn all_five_files_land_completely(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    for (file, job, entity, records) in FILES {
        let message = app.import(job, entity, sample(file)).await;
        assert_eq!(message["status"], "Processed", "{file}: {message:#}");
        let counts = &message["records"];
        assert_eq!(counts["read"], records, "{file}");
        assert_eq!(counts["applied"], records, "{file}");
        assert_eq!(counts["inserted"], records, "{file}");
        assert_equal_rows(&app, file, job, entity).await;
    }
}

async fn pushing_a_file_again_changes_nothing(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    for (file, job, entity, _) in [FILES[0], FILES[3]] {
        app.import(job, entity, sample(file)).await;
    }
    let again = app
        .import("Inbound sales orders", "Sales order headers", sample("orders.csv"))
        .await;
    assert_eq!(again["status"], "Processed");
    assert_eq!(again["records"]["unchanged"], 830);
    assert_eq!(again["records"]["inserted"], 0);
    assert_eq!(again["records"]["updated"], 0);
    assert_equal_rows(&app, "orders.csv", "Inbound sales orders", "Sales order headers").await;
}

/// Compares a target table with the file it came from, read by an independent reader.
async fn assert_equal_rows(app: &TestApp, file: &str, job: &str, label: &str) {
    let entity = app.definitions.find_entity(label).expect("the entity");
    let spec = app
        .definitions
        .find_job(job)
        .and_then(|j| j.import.as_ref())
        .expect("an import job");
    let (header, records) = read_csv(&String::from_utf8(sample(file)).expect("UTF-8"));
    let plain = |name: &str| {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase()
    };
    let field_of = |column: &String| {
        let mapped = spec.entities[0].map.get(column).cloned();
        mapped.unwrap_or_else(|| {
            let found = entity.fields.iter().find(|f| plain(&f.name) == plain(column));
            found
                .unwrap_or_else(|| panic!("{file}: no field for {column}"))
                .name
                .clone()
        })
    };
    let fields: Vec<String> = header.iter().map(field_of).collect();
    let columns: Vec<String> = fields.iter().map(|f| format!("cast(\"{f}\" as text)")).collect();
    let rows = app
        .rows(&format!("select {} from \"{}\"", columns.join(", "), entity.table))
        .await;
    let canonical = |row: Vec<Option<String>>| -> Vec<Option<String>> {
        row.into_iter().map(|c| c.and_then(|c| comparable(&c))).collect()
    };
    let mut found: BTreeMap<Vec<Option<String>>, u32> = BTreeMap::new();
    for row in rows {
        *found.entry(canonical(row)).or_default() += 1;
    }
    let mut expected: BTreeMap<Vec<Option<String>>, u32> = BTreeMap::new();
    for record in records {
        *expected
            .entry(canonical(record.into_iter().map(Some).collect()))
            .or_default() += 1;
    }
    for (row, count) in &expected {
        assert_eq!(
            found.get(row),
            Some(count),
            "{file}: not in the table as it is in the file: {row:?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{file}");
}

/// Brings two spellings of one value together: `18` and `18.0000`, midnight with and without a time, truth values.
fn comparable(cell: &str) -> Option<String> {
    let cell = match cell {
        "" => return None,
        "true" => "1",
        "false" => "0",
        other => other,
    };
    let cell = cell
        .strip_suffix(" 00:00:00")
        .or_else(|| cell.strip_suffix(" 00:00:00.000"))
        .unwrap_or(cell);
    let number = cell.bytes().all(|b| b.is_ascii_digit() || b == b'.') && cell.matches('.').count() == 1;
    if number && (!cell.starts_with('0') || cell.starts_with("0.")) {
        return Some(cell.trim_end_matches('0').trim_end_matches('.').to_owned());
    }
    Some(cell.to_owned())
}

/// A reader that shares nothing with the one under test: quotes, doubled quotes, line breaks in quotes.
fn read_csv(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let row = rows.last_mut().expect("one row");
        let cell = row.last_mut().expect("one cell");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\r' if !quoted => {}
            '\n' if !quoted => rows.push(vec![String::new()]),
            other => cell.push(other),
        }
    }
    rows.retain(|row| row.len() > 1);
    let header = rows.remove(0);
    (header, rows)
}
