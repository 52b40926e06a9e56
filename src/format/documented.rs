//! Holds `docs/errors.md` to the codes that exist.

use crate::domain::reject::RecordCode;

const PAGE: &str = include_str!("../../docs/errors.md");

/// Codes of the table under a heading, in the order of the page.
fn codes(page: &str) -> Vec<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .collect()
}

#[test]
fn every_record_code_is_documented_in_order_and_no_other() {
    let (records, files) = PAGE.split_once("\n## ").expect("two tables");
    let all: Vec<_> = RecordCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes(records), all);
    assert!(!codes(files).is_empty());
}

#[test]
fn every_row_has_a_cause_and_a_cure() {
    let rows: Vec<_> = PAGE.lines().filter(|line| line.starts_with("| `")).collect();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() >= 3 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
    }
}

#[test]
fn every_code_that_refuses_a_file_is_documented() {
    let sources = [
        include_str!("csv_read/reader.rs"),
        include_str!("decode.rs"),
        include_str!("decode/unpack.rs"),
        include_str!("named.rs"),
        include_str!("fixed/reader.rs"),
        include_str!("json/document.rs"),
        include_str!("json/element.rs"),
        include_str!("json/input.rs"),
        include_str!("json/lines.rs"),
        include_str!("parquet/absent.rs"),
        include_str!("parquet/refusal.rs"),
        include_str!("xlsx/refusal.rs"),
        include_str!("xml/composite/walk.rs"),
        include_str!("xml/prolog.rs"),
        include_str!("xml/source.rs"),
        include_str!("mapping.rs"),
        include_str!("mapping/columns.rs"),
    ];
    let (_, files) = PAGE.split_once("\n## ").expect("two tables");
    let documented = codes(files);
    let mut found = Vec::new();
    for line in sources.iter().flat_map(|source| source.lines()) {
        if let Some(code) = line
            .trim()
            .strip_prefix("code: \"")
            .and_then(|rest| rest.split_once('"'))
        {
            found.push(code.0);
        }
    }
    assert!(
        found.contains(&"file_empty") && found.contains(&"column_twice"),
        "{found:?}"
    );
    for code in found {
        assert!(documented.contains(&code), "{code}");
    }
}
