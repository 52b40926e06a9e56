//! Conservation over damaged files (promise 4): whatever is sent, every record read is applied, rejected or skipped, the message
//! ends, and the table holds what the counts say.

use serde_json::Value;

use crate::app::{Backend, TestApp};
use crate::support::chance::Chance;
use crate::support::damage::damaged;
use crate::support::files::{self, Data};

crate::on_both_backends!(whatever_is_sent_adds_up,);

/// Damaged files; ten thousand by `TRANSHIP_TEST_LONG`, and as many as `TRANSHIP_DAMAGED_FILES` says.
const FILES: (usize, usize) = (120, 10_000);
const NAMES: [&str; 3] = ["CustomerID", "CompanyName", "City"];

/// A job's own lines, and its files before they are damaged: through staging, and past it.
fn formats(data: &Data<'_>) -> Vec<(String, Vec<u8>)> {
    let fixed = "format = \"fixed\"\ncolumns = [{ name = \"CustomerID\", width = 8 }, { name = \"CompanyName\", width = 30 }, \
        { name = \"City\", width = 20 }]";
    let formats = [
        ("format = \"csv\"", data.delimited(',').into()),
        ("format = \"tsv\"", data.delimited('\t').into()),
        ("format = \"csv-unicode\"", files::utf16(&data.delimited(','))),
        (fixed, data.fixed(&[8, 30, 20]).into()),
        ("format = \"json\"", data.json().into()),
        ("format = \"jsonl\"", data.json_lines().into()),
        ("format = \"xml-element\"", data.xml_element().into()),
        ("format = \"xml-attribute\"", data.xml_attribute().into()),
        ("format = \"xlsx\"", data.stored_workbook()),
    ];
    #[cfg(feature = "parquet")]
    let formats = formats.into_iter().chain([("format = \"parquet\"", data.parquet())]);
    let ways = ["", "\nskip_staging = true"];
    let both = |(lines, seed): (&str, Vec<u8>)| ways.map(|way| (format!("{lines}{way}"), seed.clone()));
    formats.into_iter().flat_map(both).collect()
}

async fn whatever_is_sent_adds_up(backend: Backend) {
    let rows: Vec<Vec<String>> = (0..30)
        .map(|number| {
            vec![
                format!("C{number}"),
                format!("Größe & <{number}>, Söhne"),
                "Köln".to_owned(),
            ]
        })
        .collect();
    let data = Data {
        names: &NAMES,
        rows: &rows,
    };
    let formats = formats(&data);
    let app = TestApp::with(backend, |setup| {
        for (number, (lines, _)) in formats.iter().enumerate() {
            let job = format!(
                "id = \"00000000-0000-4000-8000-0000000dab{number:02}\"\nname = \"Damaged {number}\"\ndirection = \"import\"\n\
                 clients = [\"tester\"]\n[import]\n{lines}\n[[import.entities]]\nentity = \"Customers\"\n\
                 map = {{ CustomerID = \"customer_account\" }}\n"
            );
            setup.file(&format!("jobs/damaged-{number}.toml"), &job);
        }
    })
    .await;
    let long = crate::support::is_long();
    let asked = std::env::var("TRANSHIP_DAMAGED_FILES").ok();
    let asked = asked.map(|text| text.parse().expect("a number of files"));
    let count = asked.unwrap_or(if long { FILES.1 } else { FILES.0 });
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let mut inserted = 0;
    for file in 0..count {
        let (number, (_, seed)) = formats.iter().enumerate().nth(file % formats.len()).unwrap();
        let bytes = damaged(seed, &mut chance);
        if bytes.is_empty() {
            continue;
        }
        let message = app.import(&format!("Damaged {number}"), "Customers", bytes).await;
        assert_eq!(message["final"], true, "{message:#}");
        assert_ne!(message["failure"]["code"], "counts_mismatch", "{message:#}");
        let count = |member: &str| message["records"][member].as_u64().unwrap();
        assert_eq!(
            count("read"),
            count("applied") + count("rejected") + count("skipped"),
            "{message:#}"
        );
        inserted += count("inserted");
        if count("rejected") > 0 {
            let answer = app
                .get(&format!("/api/v1/messages/{}/rejects", message["id"].as_str().unwrap()))
                .await;
            let file = answer.bytes().await.expect("the rejects file comes to its end");
            assert!(!file.is_empty());
        }
    }
    let rows: Value = app.rows("select cast(count(*) as text) from customers").await[0][0]
        .as_deref()
        .unwrap()
        .into();
    assert_eq!(rows, inserted.to_string(), "rows in the table, and what was counted");
}
