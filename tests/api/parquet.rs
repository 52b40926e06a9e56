//! Parquet over HTTP: what costs a record and what the file, what is split, and what programs that are not ours write and read.

use std::borrow::Cow;
use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tranship::domain::entity::FieldType;
use tranship::format::parquet::{ParquetColumn, ParquetWriter};
use tranship::format::record_writer::RecordWriter as _;
use tranship::format::typed::{FileCell, Nature};

use crate::app::{Backend, TestApp};
use crate::round_trip::{NAMES, app, csv, entity, exported, job, run, table};

crate::on_both_backends!(
    rejected_records_come_back_as_csv_and_land_corrected,
    a_damaged_file_ends_with_its_damage,
    a_run_is_split_into_whole_files,
    a_value_of_another_type_fails_the_run,
    files_of_other_programs_are_read,
    other_programs_read_what_is_written,
);

/// A file of text columns; an empty text is no value.
fn file(names: &[&str], rows: &[&[&str]]) -> Vec<u8> {
    let column = |name: &&str| ParquetColumn {
        name: (*name).to_owned(),
        kind: FieldType::String,
    };
    let (mut writer, mut out) = (ParquetWriter::new(names.iter().map(column).collect(), None), Vec::new());
    writer.begin(&mut out).unwrap();
    for row in rows {
        let cells: Vec<_> = row
            .iter()
            .map(|text| FileCell {
                text: (!text.is_empty()).then_some(Cow::Borrowed(*text)),
                nature: Nature::Text,
            })
            .collect();
        writer.record(0, &cells, &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    out
}

const BACK: &str = "format = \"parquet\"\n[[import.entities]]\nentity = \"Things\"\n";

async fn back(backend: Backend) -> TestApp {
    app(backend, |setup| {
        setup.file("jobs/back.toml", &job(1, "Back", "import", "file", BACK));
    })
    .await
}

async fn rejected_records_come_back_as_csv_and_land_corrected(backend: Backend) {
    let app = back(backend).await;
    let names = ["code", "price", "count", "german_day"];
    // Of a typed format: what the field says of its spelling does not count.
    let rows: [&[&str]; 3] = [
        &["P1", "1234.50", "seven", "2026-01-31"],
        &["P2", "1234.50", "7", "2026-01-31"],
        &["P3", "1.234,50", "7", "31.01.2026"],
    ];
    let parent = app.import("Back", "Things", file(&names, &rows)).await;
    assert_eq!(parent["status"], "ProcessedWithErrors", "{parent:#}");
    assert_eq!(
        (&parent["records"]["inserted"], &parent["records"]["rejected"]),
        (&json!(1), &json!(2))
    );
    let id = parent["id"].as_str().unwrap();
    let answer = app.get(&format!("/api/v1/messages/{id}/rejects")).await;
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let rejects = answer.text().await.unwrap();
    assert!(
        rejects.starts_with("_reject_id,_error,code,price,count,german_day\r\n"),
        "{rejects}"
    );
    assert!(rejects.contains(",P1,1234.50,seven,2026-01-31\r\n"), "{rejects}");
    let corrected = rejects
        .replace("seven", "7")
        .replace("\"1.234,50\"", "1234.50")
        .replace("31.01.2026", "2026-01-31");
    let answer = app.post(&format!("/api/v1/messages/{id}/resubmit"), corrected).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    let child = app.message(child["id"].as_str().unwrap()).await;
    assert_eq!(child["status"], "Processed", "{child:#}");
    assert_eq!(app.message(id).await["records"]["repaired"], 2);
    let select = "select distinct cast(price as text), cast(count as text), cast(german_day as text) from things where code like 'P%'";
    let row = ["1234.50", "7", "2026-01-31"]
        .map(|cell| Some(cell.to_owned()))
        .to_vec();
    assert_eq!(app.rows(select).await, [row]);
}

async fn a_damaged_file_ends_with_its_damage(backend: Backend) {
    let app = back(backend).await;
    let whole = file(&["code"], &[&["P1"], &["P2"]]);
    let cut = whole[..whole.len() - 9].to_vec();
    let mut long = whole.clone();
    let at = long.len() - 8;
    long[at..at + 4].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
    for (bytes, code) in [
        (cut, "parquet_damaged"),
        (long, "parquet_damaged"),
        (b"\x00\x01\x02\x03 something".to_vec(), "parquet_expected"),
        (b"{\"code\": \"P1\"}".to_vec(), "no_column_matches"),
    ] {
        let message = app.import("Back", "Things", bytes).await;
        assert_eq!(message["failure"]["code"], code, "{message:#}");
        assert_eq!(message["records"]["read"], 0);
    }
    // The page of the first row group is broken: the header was in order, so one record tells it.
    let mut broken = whole;
    broken[4..40].fill(0xee);
    let message = app.import("Back", "Things", broken).await;
    assert_eq!(message["final"], true, "{message:#}");
    assert_eq!(message["records"]["inserted"], 0);
}

async fn a_run_is_split_into_whole_files(backend: Backend) {
    let splits = [
        (1, "By records", "split_records = 60"),
        (2, "By bytes", "split_bytes = 4096"),
    ];
    let app = app(backend, |setup| {
        for (number, name, split) in splits {
            let rest = format!("format = \"parquet\"\n{split}\n[[export.entities]]\nentity = \"Things\"\n");
            setup.file(
                &format!("jobs/{number}.toml"),
                &job(number, name, "export", "file", &rest),
            );
        }
        setup.file("jobs/back.toml", &job(3, "Back", "import", "file", BACK));
    })
    .await;
    let rows: Vec<String> = (0..195)
        .map(|number| format!("B{number},{}\r\n", "long ".repeat(40)))
        .collect();
    app.import("Load Things", "Things", format!("code,title\r\n{}", rows.concat()))
        .await;
    let source = table(&app, "things").await;
    assert_eq!(source.len(), 200);
    for (_, name, _) in splits {
        let occurrence = run(&app, name).await;
        assert_eq!(occurrence["state"], "done", "{occurrence:#}");
        let path = format!("/api/v1/messages?job={}&limit=100", app.job(name));
        let listed: Value = app.get(&path).await.json().await.unwrap();
        let messages = listed["messages"].as_array().unwrap_or_else(|| panic!("{listed:#}"));
        // What waits in a row group counts: a file's size is looked at every 50 records.
        assert_eq!(messages.len(), 4, "{name}: {listed:#}");
        crate::support::databases::run(&app.business.url, "delete from things").await;
        for message in messages {
            let id = message["id"].as_str().unwrap();
            let payload = app.get(&format!("/api/v1/messages/{id}/payload")).await;
            let message = app.import("Back", "Things", payload.bytes().await.unwrap()).await;
            assert_eq!(message["status"], "Processed", "{message:#}");
        }
        assert_eq!(table(&app, "things").await, source, "{name}");
    }
}

async fn a_value_of_another_type_fails_the_run(backend: Backend) {
    let app = app(backend, |setup| {
        let rest = "format = \"parquet\"\n[[export.entities]]\nentity = \"Things\"\n";
        setup.file("jobs/out.toml", &job(1, "Out", "export", "file", rest));
    })
    .await;
    crate::support::databases::run(&app.business.url, "update things set amount = 'NaN' where code = 'A3'").await;
    let occurrence = run(&app, "Out").await;
    assert_eq!(occurrence["state"], "failed", "{occurrence:#}");
    let note = occurrence["note"].as_str().unwrap();
    let words = "its field `amount` holds `NaN`, which is no decimal of 38 digits, 2 of them behind the point";
    assert!(note.contains("value_not_writable") && note.contains(words), "{note}");
}

/// Runs the witness, where there is one.
fn witness(task: &str, path: &Path) -> Option<Vec<u8>> {
    let Some(python) = std::env::var_os("TRANSHIP_TEST_PARQUET_PYTHON") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "TRANSHIP_TEST_PARQUET_PYTHON is not set: in CI it is not optional"
        );
        eprintln!("skipped: TRANSHIP_TEST_PARQUET_PYTHON is not set (scripts/parquet-tests sets it)");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet_witness.py");
    let done = Command::new(python).arg(script).arg(task).arg(path).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(done.stdout)
}

/// The first four of the witness's records, as a CSV file of the same entity has them.
const WITNESSED: [[&str; 15]; 4] = [
    [
        "C00000",
        "Größe <M>\r\n\"L\", 'x'; |",
        "12.50",
        "0.1",
        "1234,50",
        "9223372036854775807",
        "true",
        "2026-01-31",
        "29.02.2024",
        "2026-01-31 13:05:07.25",
        "2026-01-31 12:05:07.25Z",
        "13:05:07",
        "6d31e09f-0249-459f-94f0-aad9c2c47b64",
        "Open",
        "=1+2",
    ],
    [
        "C00001",
        "",
        "-0.05",
        "-7",
        "-0,50",
        "-9223372036854775808",
        "false",
        "1850-02-28",
        "01.01.1900",
        "1850-02-28 23:59:59",
        "2026-01-31 13:05:07.25Z",
        "00:00",
        "00000000-0000-0000-0000-000000000000",
        "Shut",
        "",
    ],
    ["C00002", "", "", "", "", "", "", "", "", "", "", "", "", "", ""],
    [
        "C00003",
        "日本語 \u{1f600}",
        "9999999999999999.99",
        "0.0000001",
        "0",
        "0",
        "true",
        "9999-12-31",
        "01.01.1970",
        "1970-01-01 00:00:00",
        "1970-01-01 00:00:00Z",
        "23:59:59.5",
        "6d31e09f-0249-459f-94f0-aad9c2c47b64",
        "Open",
        "x",
    ],
];

async fn files_of_other_programs_are_read(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    if witness("write", folder.path()).is_none() {
        return;
    }
    let wider = |name: &str| entity(name).replace("max_length = 6", "max_length = 10");
    let app = app(backend, |setup| {
        setup.file("entities/Read.toml", &wider("Read"));
        setup.file("entities/Meant.toml", &wider("Meant"));
        let rest = "format = \"parquet\"\n[[import.entities]]\nentity = \"Read\"\ntruncate = true\n";
        setup.file("jobs/read.toml", &job(1, "Read", "import", "file", rest));
        let rest = "format = \"csv\"\n[[import.entities]]\nentity = \"Meant\"\n";
        setup.file("jobs/meant.toml", &job(2, "Meant", "import", "file", rest));
    })
    .await;
    let message = app.import("Meant", "Meant", csv(&WITNESSED)).await;
    assert_eq!(message["records"]["inserted"], 4, "{message:#}");
    let meant = table(&app, "meant").await;
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 9);
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let message = app.import("Read", "Read", std::fs::read(&path).unwrap()).await;
        assert_eq!(message["status"], "Processed", "{name}: {message:#}");
        assert_eq!(message["records"]["applied"], 4000, "{name}: {message:#}");
        assert_eq!(table(&app, "read").await[..4], meant, "{name}");
        // The others are the same four again.
        let others = app
            .rows(
                "select cast(count(distinct title) as text), cast(count(title) as text), cast(count(rate) as text), \
                 cast(count(local) as text) from read",
            )
            .await;
        let counts = ["2", "2000", "3000", "3000"]
            .map(|count| Some(count.to_owned()))
            .to_vec();
        assert_eq!(others, [counts], "{name}");
    }
}

async fn other_programs_read_what_is_written(backend: Backend) {
    let app = app(backend, |setup| {
        for (number, name, more) in [
            (1, "Out", ""),
            (2, "Tight", "compression = \"zstd\"\n"),
            (3, "Zipped", "compression = \"gzip\"\n"),
        ] {
            let rest = format!("format = \"parquet\"\n{more}[[export.entities]]\nentity = \"Things\"\n");
            setup.file(
                &format!("jobs/{number}.toml"),
                &job(number, name, "export", "file", &rest),
            );
        }
    })
    .await;
    for name in ["Out", "Tight", "Zipped"] {
        let (file_name, bytes) = exported(&app, name).await;
        assert!(
            Path::new(&file_name)
                .extension()
                .is_some_and(|extension| extension == "parquet"),
            "{file_name}"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, bytes).unwrap();
        let Some(read) = witness("read", &path) else { return };
        let read: Value = serde_json::from_slice(&read).unwrap();
        let types = NAMES.map(|name| read["types"][name].as_str().unwrap().to_owned());
        let expected = [
            "string",
            "string",
            "decimal128(38, 2)",
            "string",
            "decimal128(38, 2)",
            "int64",
            "bool",
            "date32[day]",
            "date32[day]",
            "timestamp[us, tz=UTC]",
            "timestamp[us, tz=UTC]",
            "time64[us]",
            "string",
            "string",
            "string",
        ];
        assert_eq!(types, expected);
        assert_eq!(
            read["rows"][0],
            json!([
                "A1",
                "Größe <M> & \"L\", 'x'; |",
                "12.50",
                "0.1000",
                "1234.50",
                9_223_372_036_854_775_807_i64,
                true,
                "2026-01-31",
                "2026-01-31",
                "2026-01-31 13:05:00",
                "2026-10-25 01:30:00",
                "13:05:07",
                "6d31e09f-0249-459f-94f0-aad9c2c47b64",
                "Open",
                "=1+2"
            ])
        );
        assert_eq!(read["rows"][1][9], "0001-01-01 00:00:00");
        assert_eq!(read["rows"][2][9], "2026-01-31 23:59:59.999999");
        let nothing: Vec<Value> = std::iter::once(json!("A4"))
            .chain(std::iter::repeat_n(Value::Null, 14))
            .collect();
        assert_eq!(read["rows"][3], Value::from(nothing));
    }
}
