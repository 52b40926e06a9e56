//! What an export job writes in any format, an import job of the same format reads back as the same rows.

use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{Backend, Setup, TestApp};

crate::on_both_backends!(
    every_format_gives_back_the_same_rows,
    packages_give_back_the_same_rows_and_tell_what_is_in_them,
    a_value_a_format_cannot_hold_fails_the_run,
    an_export_without_rows_reads_back_as_none,
);

/// Fields of every type, some of them spelt in a way of their own.
const FIELDS: &str = r#"
create_table = true
key = ["code"]
[[fields]]
name = "code"
max_length = 6
[[fields]]
name = "title"
[[fields]]
name = "amount"
type = "decimal"
scale = 2
[[fields]]
name = "rate"
type = "decimal"
[[fields]]
name = "price"
type = "decimal"
scale = 2
decimal_separator = ","
group_separator = "."
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
name = "german_day"
type = "date"
formats = ["%d.%m.%Y"]
[[fields]]
name = "moment"
type = "datetime"
[[fields]]
name = "local"
type = "datetime"
time_zone = "Europe/Berlin"
[[fields]]
name = "clock"
type = "time"
[[fields]]
name = "uid"
type = "guid"
[[fields]]
name = "kind"
type = "enum"
values = ["Open", "Shut"]
[[fields]]
name = "note"
null_tokens = ["NA"]
"#;

pub const NAMES: [&str; 15] = [
    "code",
    "title",
    "amount",
    "rate",
    "price",
    "count",
    "active",
    "day",
    "german_day",
    "moment",
    "local",
    "clock",
    "uid",
    "kind",
    "note",
];

const GUID: &str = "6d31e09f-0249-459f-94f0-aad9c2c47b64";

/// As a sender has them; an empty cell is no value. `breaks` says whether line breaks and outer blanks are among them.
fn rows(breaks: bool) -> Vec<[&'static str; 15]> {
    let hard = if breaks {
        "  line\r\nbreak\n and\rblanks  "
    } else {
        "line break"
    };
    vec![
        [
            "A1",
            "Größe <M> & \"L\", 'x'; |",
            "12.50",
            "0.1000",
            "1.234,50",
            "9223372036854775807",
            "true",
            "2026-01-31",
            "31.01.2026",
            "2026-01-31 13:05:00",
            "2026-10-25 02:30:00+01:00",
            "13:05:07",
            GUID,
            "Open",
            "=1+2",
        ],
        [
            "A2",
            hard,
            "-0.05",
            "-7",
            "-0,50",
            "-12",
            "no",
            "1850-02-28",
            "01.01.1850",
            "0001-01-01 00:00:00",
            "2026-07-01 12:00:00",
            "00:00:00",
            "",
            "Shut",
            "na",
        ],
        [
            "A3",
            "\u{1f600} 日本語 \t _x0041_ %PATH%",
            "9999999999999999.99",
            "123456789012345678.000000001",
            "",
            "0",
            "",
            "9999-12-31",
            "",
            "2026-01-31 23:59:59.999999",
            "1800-01-01 00:00:00Z",
            "23:59:59.5",
            "",
            "",
            "@SUM(A1)",
        ],
        ["A4", "", "", "", "", "", "", "", "", "", "", "", "", "", ""],
        [
            "A5",
            "\\N null NULL",
            "0",
            "00012.0",
            "12",
            "007",
            "1",
            "1900-02-28",
            "29.02.2024",
            "2024-02-29T00:00:00+05:30",
            "",
            "12:00",
            "{6D31E09F-0249-459F-94F0-AAD9C2C47B64}",
            "open",
            "-1",
        ],
    ]
}

pub fn csv(rows: &[[&str; 15]]) -> String {
    let line = |cells: &[&str; 15]| {
        let quoted: Vec<_> = cells
            .iter()
            .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")))
            .collect();
        quoted.join(",") + "\r\n"
    };
    line(&NAMES) + &rows.iter().map(line).collect::<String>()
}

/// A format's name, what jobs of both directions say of it, and what the export's alone says.
struct Case {
    name: &'static str,
    both: String,
    export: &'static str,
    /// It can hold line breaks and outer blanks.
    breaks: bool,
    /// How the file begins.
    begins: &'static [u8],
}

fn case(name: &'static str, both: &str, begins: &'static [u8]) -> Case {
    Case {
        name,
        both: both.to_owned(),
        export: "",
        breaks: true,
        begins,
    }
}

/// Formats that not every build has.
fn cases_built_in() -> Vec<Case> {
    if !tranship::format::parquet::BUILT_IN {
        return Vec::new();
    }
    vec![
        case("parquet", "format = \"parquet\"", b"PAR1"),
        Case {
            export: "compression = \"zstd\"",
            ..case("tight", "format = \"parquet\"", b"PAR1")
        },
    ]
}

fn cases() -> Vec<Case> {
    let columns: Vec<_> = NAMES
        .iter()
        .map(|name| format!("{{ name = \"{name}\", width = 40 }}"))
        .collect();
    let mut cases = vec![
        case("csv", "format = \"csv\"", b"code,title,"),
        case("pipe", "format = \"csv\"\ndelimiter = \"|\"", b"code|title|"),
        case("tsv", "format = \"tsv\"", b"code\ttitle\t"),
        case("unicode", "format = \"csv-unicode\"", b"\xff\xfec\0o\0"),
        case("wide", "format = \"jsonl\"\nencoding = \"utf-16be\"", b"\xfe\xff\0{"),
        case(
            "element",
            "format = \"xml-element\"",
            b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<Document xmlns:xsi",
        ),
        case(
            "attribute",
            "format = \"xml-attribute\"",
            b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<Document>",
        ),
        case("json", "format = \"json\"", b"[\r\n{\"code\":\"A1\""),
        case("jsonl", "format = \"jsonl\"", b"{\"code\":\"A1\""),
        case("xlsx", "format = \"xlsx\"\nsheet = \"Things\"", b"PK"),
        Case {
            breaks: false,
            ..case(
                "fixed",
                &format!("format = \"fixed\"\ncolumns = [{}]", columns.join(", ")),
                b"A1    ",
            )
        },
        Case {
            export: "compression = \"gzip\"",
            ..case("gzip", "format = \"csv\"", b"\x1f\x8b")
        },
        Case {
            export: "compression = \"zstd\"",
            ..case("zstd", "format = \"xml-element\"", b"\x28\xb5\x2f\xfd")
        },
    ];
    cases.extend(cases_built_in());
    cases
}

pub fn entity(name: &str) -> String {
    format!(
        "name = \"{name}\"\nlabel = \"{name}\"\ntable = \"{}\"\n{FIELDS}",
        name.to_lowercase()
    )
}

pub fn job(number: usize, name: &str, direction: &str, source: &str, rest: &str) -> String {
    format!(
        "id = \"00000000-0000-4000-8000-0000000e{number:04}\"\nname = \"{name}\"\ndirection = \"{direction}\"\n\
         data_source = \"{source}\"\nclients = [\"tester\"]\n[{direction}]\n{rest}\n"
    )
}

fn define(setup: &mut Setup, number: usize, case: &Case) {
    let Case { name, both, export, .. } = case;
    setup.file(&format!("entities/{name}.toml"), &entity(&format!("Back_{name}")));
    let source = if case.breaks { "Things" } else { "Plain" };
    // Every format meets a translated value and a column of another name.
    let of_export = if both.contains("columns") {
        String::new()
    } else {
        "map = { kind = \"State\" }\n[export.entities.values.kind]\nOpen = \"1\"\nShut = \"2\"\n".to_owned()
    };
    let of_import = "map = { State = \"kind\" }\n[import.entities.values.kind]\n1 = \"Open\"\n2 = \"Shut\"\n";
    let out = format!("{both}\n{export}\n[[export.entities]]\nentity = \"{source}\"\n{of_export}");
    let back = format!("{both}\n[[import.entities]]\nentity = \"Back_{name}\"\n{of_import}");
    setup.file(
        &format!("jobs/out-{name}.toml"),
        &job(2 * number, &format!("Out {name}"), "export", "file", &out),
    );
    setup.file(
        &format!("jobs/back-{name}.toml"),
        &job(2 * number + 1, &format!("Back {name}"), "import", "file", &back),
    );
}

/// The entities that are exported, loaded.
pub async fn app(backend: Backend, change: impl FnOnce(&mut Setup)) -> TestApp {
    let app = TestApp::with(backend, |setup| {
        for (number, name) in ["Things", "Plain"].into_iter().enumerate() {
            setup.file(&format!("entities/{name}.toml"), &entity(name));
            let rest = format!("format = \"csv\"\n[[import.entities]]\nentity = \"{name}\"\n");
            setup.file(
                &format!("jobs/{name}.toml"),
                &job(900 + number, &format!("Load {name}"), "import", "file", &rest),
            );
        }
        change(setup);
    })
    .await;
    for (name, breaks) in [("Things", true), ("Plain", false)] {
        let rows = rows(breaks);
        let message = app.import(&format!("Load {name}"), name, csv(&rows)).await;
        assert_eq!(message["records"]["inserted"], rows.len(), "{message:#}");
    }
    app
}

pub async fn run(app: &TestApp, job: &str) -> Value {
    let path = format!("/api/v1/jobs/{}", app.job(job));
    let answer = app.post(&format!("{path}/run"), "").await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    app.run_until_idle().await;
    let shown: Value = app
        .get(&format!("{path}/occurrences?limit=1"))
        .await
        .json()
        .await
        .unwrap();
    shown["occurrences"][0].clone()
}

/// Runs an export; what it is called, and its bytes.
pub async fn exported(app: &TestApp, job: &str) -> (String, Vec<u8>) {
    let occurrence = run(app, job).await;
    assert_eq!(occurrence["state"], "done", "{job}: {occurrence:#}");
    let id = occurrence["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{occurrence:#}"));
    let name = app.message(id).await["external_id"].as_str().unwrap().to_owned();
    let answer = app.get(&format!("/api/v1/messages/{id}/payload")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    (name, answer.bytes().await.unwrap().to_vec())
}

pub async fn table(app: &TestApp, name: &str) -> Vec<Vec<Option<String>>> {
    let cells = NAMES.map(|name| format!("cast({name} as text)"));
    app.rows(&format!("select {} from {name} order by code", cells.join(", ")))
        .await
}

async fn every_format_gives_back_the_same_rows(backend: Backend) {
    let cases = cases();
    let app = app(backend, |setup| {
        for (number, case) in cases.iter().enumerate() {
            define(setup, number, case);
        }
    })
    .await;
    for case in cases {
        let name = case.name;
        let (_, file) = exported(&app, &format!("Out {name}")).await;
        assert!(
            file.starts_with(case.begins),
            "{name}: {:?}",
            String::from_utf8_lossy(&file)
        );
        let message = app
            .import(&format!("Back {name}"), &format!("Back_{name}"), file.clone())
            .await;
        let text = String::from_utf8_lossy(&file);
        assert_eq!(message["status"], "Processed", "{name}: {message:#}\n{text}");
        let source = table(&app, if case.breaks { "things" } else { "plain" }).await;
        assert_eq!(source.len(), 5);
        assert_eq!(table(&app, &format!("back_{name}")).await, source, "{name}\n{text}");
    }
}

fn packaged() -> Vec<&'static str> {
    let mut formats = vec!["csv", "tsv", "csv-unicode", "xml-element", "xml-attribute", "xlsx"];
    if tranship::format::parquet::BUILT_IN {
        formats.push("parquet");
    }
    formats
}

async fn packages_give_back_the_same_rows_and_tell_what_is_in_them(backend: Backend) {
    let app = app(backend, |setup| {
        for (number, format) in packaged().into_iter().enumerate() {
            let out = format!(
                "format = \"{format}\"\nfile_name = \"{{job}} of {{due:%Y}}.zip\"\n[[export.entities]]\nentity = \"Things\"\n\
                 map = {{ count = \"Pieces\" }}\n[[export.entities]]\nentity = \"Plain\"\nfilter = \"code < 'A3'\"\n"
            );
            setup.file(&format!("jobs/out-{format}.toml"), &job(2 * number, &format!("Out {format}"), "export", "package", &out));
        }
        // The manifest says how files are written, and which column is of which field.
        let back = "format = \"csv\"\n[[import.entities]]\nentity = \"Things\"\n[[import.entities]]\nentity = \"Plain\"\n";
        setup.file("jobs/back.toml", &job(800, "Back", "import", "package", back));
    })
    .await;
    let source = table(&app, "things").await;
    for format in packaged() {
        let (name, package) = exported(&app, &format!("Out {format}")).await;
        assert_eq!(name, format!("Out {format} of 2026.zip"));
        check_sidecar(&package);
        crate::support::databases::run(&app.business.url, "delete from things").await;
        let path = format!("/api/connector/enqueue/{}", app.job("Back"));
        let answer = app.post(&path, package).await;
        let id: String = answer.json().await.unwrap();
        app.run_until_idle().await;
        let message = app.message(&id).await;
        assert_eq!(message["status"], "Processed", "{format}: {message:#}");
        assert_eq!(message["records"]["read"], 7);
        assert_eq!(message["records"]["inserted"], 5);
        assert_eq!(table(&app, "things").await, source, "{format}");
    }
}

/// Whether `tranship.json` says of every file what is in it.
fn check_sidecar(package: &[u8]) {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(package)).unwrap();
    let sidecar: Value = serde_json::from_reader(zip.by_name("tranship.json").unwrap()).unwrap();
    let files = sidecar["files"].as_array().unwrap();
    let records: Vec<_> = files
        .iter()
        .map(|file| file["entities"][0]["records"].clone())
        .collect();
    assert_eq!(records, [5, 2]);
    assert_eq!(
        zip.len(),
        5,
        "a file for each entity, the manifest, the header and the sidecar"
    );
    for file in files {
        let mut bytes = Vec::new();
        let mut member = zip.by_name(file["file"].as_str().unwrap()).unwrap();
        std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
        assert_eq!(file["bytes"], bytes.len());
        let digest = tranship::blob::PayloadHasher::digest(&bytes).content_digest();
        assert_eq!(file["digest"], digest);
    }
}

async fn a_value_a_format_cannot_hold_fails_the_run(backend: Backend) {
    let cases = [
        (
            "latin",
            "format = \"csv\"\nencoding = \"windows-1252\"",
            "fields = [\"code\", \"title\"]\n",
            "holds `😀`, which windows-1252 does not have",
        ),
        (
            "narrow",
            "format = \"fixed\"\ncolumns = [{ name = \"code\", width = 2 }, { name = \"title\", width = 9 }]",
            "",
            "make it wider",
        ),
        (
            "broken",
            "format = \"fixed\"\ncolumns = [{ name = \"code\", width = 2 }, { name = \"title\", width = 99 }]",
            "",
            "has a line break",
        ),
        (
            "short",
            "format = \"csv\"",
            "fields = [\"code\", \"short\"]\n",
            "add a format to the field",
        ),
    ];
    let app = app(backend, |setup| {
        let short = "[[fields]]\nname = \"short\"\ntype = \"datetime\"\nformats = [\"%Y-%m-%d %H:%M\"]\n";
        setup.file("entities/Things.toml", &format!("{}{short}", entity("Things")));
        for (number, (name, format, rest, _)) in cases.iter().enumerate() {
            let out = format!("{format}\n[[export.entities]]\nentity = \"Things\"\n{rest}");
            setup.file(
                &format!("jobs/out-{name}.toml"),
                &job(number, &format!("Out {name}"), "export", "file", &out),
            );
        }
    })
    .await;
    crate::support::databases::run(
        &app.business.url,
        "update things set short = '2026-01-31 13:05:07' where code = 'A3'",
    )
    .await;
    for (name, _, _, words) in cases {
        let occurrence = run(&app, &format!("Out {name}")).await;
        assert_eq!(occurrence["state"], "failed", "{name}: {occurrence:#}");
        let note = occurrence["note"].as_str().unwrap();
        assert!(
            note.contains("value_not_writable") && note.contains(words),
            "{name}: {note}"
        );
        assert!(
            note.contains("of `Things` (code = `A"),
            "the record can be found: {note}"
        );
        assert_eq!(occurrence["message"], Value::Null);
    }
}

async fn an_export_without_rows_reads_back_as_none(backend: Backend) {
    let cases = cases();
    let app = app(backend, |setup| {
        for (number, case) in cases.iter().enumerate() {
            define(setup, number, case);
        }
    })
    .await;
    for table in ["things", "plain"] {
        crate::support::databases::run(&app.business.url, &format!("delete from {table}")).await;
    }
    for case in &cases {
        let name = case.name;
        let (_, file) = exported(&app, &format!("Out {name}")).await;
        if case.both.contains("jsonl") || case.both.contains("fixed") {
            // Where every line is a record, no record is no line; a mark of UTF-16 may be there.
            assert!(file.len() <= 2, "{name}: {:?}", String::from_utf8_lossy(&file));
            continue;
        }
        let message = app
            .import(&format!("Back {name}"), &format!("Back_{name}"), file.clone())
            .await;
        assert_eq!(
            message["status"],
            "Processed",
            "{name}: {message:#}\n{}",
            String::from_utf8_lossy(&file)
        );
        assert_eq!(message["records"]["read"], 0, "{name}");
    }
    // A file of no bytes is collected like any other.
    let job = app.job("Out jsonl");
    let delivery: Value = app
        .get(&format!("/api/connector/dequeue/{job}"))
        .await
        .json()
        .await
        .unwrap();
    let answer = app.get(delivery["DownloadLocation"].as_str().unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
    let shown: Value = app
        .get(&format!("/api/v1/jobs/{job}/occurrences?limit=1"))
        .await
        .json()
        .await
        .unwrap();
    let id = shown["occurrences"][0]["message"].as_str().unwrap();
    assert_eq!(app.message(id).await["status"], "Downloaded", "RI-18");
    let ack = app
        .post(&format!("/api/connector/ack/{job}"), delivery.to_string())
        .await;
    assert_eq!(ack.status(), StatusCode::OK);
}
