//! Promise 9: bounded memory. The worst files there are, one after the other to one service: each ends with its code, the
//! process stays small, and a good file lands afterwards.

use std::fmt::Write as _;

use crate::readings::{self, Readings};
use crate::site::{Credentials, Site};
use crate::support::raw_zip::{self, RawMember};
use crate::support::{damage, files, is_long};
use crate::wire::Caller;

/// The most memory the process may ever have. A debug build comes to about 225 MiB, 64 of them the index of a workbook's texts.
const PEAK_KIB_MAX: u64 = 320 * 1024;
/// The same as long as there were only long fields: less than a service would have that keeps one of them.
const PEAK_KIB_OF_FIELDS: u64 = 160 * 1024;
/// What `file.max_unpacked_bytes` is set to: a gigabyte takes a debug build too long.
const UNPACKED_BYTES_MAX: usize = 48 << 20;
/// A field nobody wants.
const FIELD_BYTES: usize = 64 << 20;

/// The long form alone has time for these: three are like the one before each of them, and shared strings take half a minute.
const LONG: [&str; 4] = [
    "a quoted cell",
    "a JSON array of arrays",
    "an attribute",
    "shared strings",
];

/// Files of one kind, and the most memory the process may have had behind them.
type Kind = (fn() -> Vec<Case>, u64);

/// A job of this format and a file for it; the code of its failure or of its only error, if any, and how many records land.
struct Case {
    format: &'static str,
    what: &'static str,
    file: Vec<u8>,
    code: &'static str,
    landed: u64,
}

const fn case(format: &'static str, what: &'static str, file: Vec<u8>, code: &'static str, landed: u64) -> Case {
    Case {
        format,
        what,
        file,
        code,
        landed,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worst_files_there_are_take_bounded_memory() {
    let mut site = Site::empty();
    site.set("TRANSHIP_FILE__MAX_UNPACKED_BYTES", &UNPACKED_BYTES_MAX.to_string());
    let tester = define(&site);
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let kinds: [Kind; 5] = [
        (long_fields, PEAK_KIB_OF_FIELDS),
        (bombs, PEAK_KIB_MAX),
        (many_names, PEAK_KIB_MAX),
        (packages, PEAK_KIB_MAX),
        (workbooks, PEAK_KIB_MAX),
    ];
    for (cases, peak_max) in kinds {
        for case in cases()
            .into_iter()
            .filter(|case| is_long() || !LONG.contains(&case.what))
        {
            let (what, began) = (case.what, std::time::Instant::now());
            check(&caller, case).await;
            let peak = service.peak_kib();
            eprintln!("{what}: {:?}, peak {} MiB", began.elapsed(), peak / 1024);
            assert!(peak < peak_max, "{what}: {peak} KiB");
        }
    }
    let good = Readings {
        first: 1_000_000,
        count: 10,
    };
    let id = caller.push("Hostile csv", readings::ENTITY, good.file()).await;
    good.assert_counted(&caller.ended(&id).await);
    assert!(service.stop().await.success());
}

/// A job for each format.
fn define(site: &Site) -> Credentials {
    readings::define(site);
    let fixed = "fixed\"\ncolumns = [{ name = \"reading\", width = 8 }, { name = \"meter\", width = 8 }]\n#\"";
    let formats = ["csv", fixed, "json", "jsonl", "xml-element", "xml-attribute", "xlsx"];
    for (number, format) in formats.into_iter().enumerate() {
        let name = format.split('"').next().expect("a name");
        let source = ("file", name);
        site.write(&format!("jobs/{name}.toml"), &job(number, source, format));
    }
    site.write("jobs/package.toml", &job(9, ("package", "package"), "csv"));
    site.add_client("tester", "client")
}

fn job(number: usize, (source, name): (&str, &str), format: &str) -> String {
    format!(
        "id = \"00000000-0000-4000-8000-0000000057a{number}\"\nname = \"Hostile {name}\"\ndirection = \"import\"\n\
         data_source = \"{source}\"\nclients = [\"tester\"]\n[import]\nformat = \"{format}\"\n[[import.entities]]\n\
         entity = \"Meter readings\"\n"
    )
}

async fn check(caller: &Caller, case: Case) {
    let Case {
        format,
        what,
        file,
        code,
        landed,
    } = case;
    let id = caller.push(&format!("Hostile {format}"), readings::ENTITY, file).await;
    let ended = caller.ended(&id).await;
    let failure = ended.0["failure"]["code"].as_str();
    let found = failure.or_else(|| ended.0["errors"][0]["code"].as_str());
    assert_eq!(found.unwrap_or_default(), code, "{what}: {:#}", ended.0);
    assert_eq!(ended.records("applied"), landed, "{what}: {:#}", ended.0);
    let sum = ended.records("applied") + ended.records("rejected") + ended.records("skipped");
    assert_eq!(ended.records("read"), sum, "{what}: {:#}", ended.0);
}

/// A record with a long field, and a good one.
fn long_fields() -> Vec<Case> {
    let around = |before: &str, piece: &str, behind: &str| {
        let mut file = Vec::with_capacity(FIELD_BYTES + 1024);
        file.extend_from_slice(before.as_bytes());
        file.extend(piece.as_bytes().repeat(FIELD_BYTES / piece.len()));
        file.extend_from_slice(behind.as_bytes());
        file
    };
    let too_large = "record_too_large";
    vec![
        case(
            "csv",
            "a cell",
            around("reading,meter\n1,", "x", "\n2,M\n"),
            too_large,
            1,
        ),
        case(
            "csv",
            "a quoted cell",
            around("reading,meter\n1,\"", "x", "\"\n3,M\n"),
            "broken_quote",
            1,
        ),
        case("fixed", "a line", around("", "x", "\n4       M\n"), too_large, 1),
        case(
            "jsonl",
            "a JSON text",
            around(
                "{\"reading\":1,\"meter\":\"",
                "x",
                "\"}\n{\"reading\":5,\"meter\":\"M\"}\n",
            ),
            too_large,
            1,
        ),
        case(
            "json",
            "a JSON array of arrays",
            around(
                "[{\"reading\":1,\"meter\":",
                "[[[[[[[[",
                "}\n{\"reading\":6,\"meter\":\"M\"}\n]",
            ),
            "invalid_json",
            1,
        ),
        case(
            "xml-element",
            "an element",
            around(
                "<D><R><reading>1</reading><meter>",
                "x",
                "</meter></R><R><reading>7</reading><meter>M</meter></R></D>",
            ),
            too_large,
            1,
        ),
        case(
            "xml-attribute",
            "an attribute",
            around(
                "<D><R reading=\"1\" meter=\"",
                "x",
                "\"/>\n<R reading=\"8\" meter=\"M\"/></D>",
            ),
            too_large,
            1,
        ),
    ]
}

/// Few bytes that become many.
fn bombs() -> Vec<Case> {
    const GIGABYTES: usize = 3 << 10;
    let head = b"reading,meter\n";
    let laughs = format!("{}<D><R><meter>&l9;</meter></R></D>", damage::laughing_doctype());
    let too_large = "unpacked_too_large";
    vec![
        case(
            "csv",
            "gzip",
            [files::gzip(head), raw_zip::gzip_of_zeros(GIGABYTES)].concat(),
            too_large,
            0,
        ),
        case(
            "csv",
            "zstd",
            [files::zstd(head), raw_zip::zstd_of_zeros(GIGABYTES, 23)].concat(),
            too_large,
            0,
        ),
        case(
            "csv",
            "a window of 128 MiB",
            raw_zip::zstd_of_zeros(GIGABYTES, 27),
            "packing_damaged",
            0,
        ),
        case("xml-element", "laughs", laughs.into_bytes(), "doctype_refused", 0),
    ]
}

/// Columns, members and attributes by the million.
fn many_names() -> Vec<Case> {
    let (mut csv, mut json, mut attributes) = (String::new(), String::new(), String::new());
    for number in 0..1_000_000 {
        write!(csv, "c{number},").expect("it goes into memory");
        write!(json, ",\"c{number}\":1").expect("it goes into memory");
        write!(attributes, " c{number}=\"\"").expect("it goes into memory");
    }
    let json = format!("[{{\"reading\":9,\"meter\":\"M\"}},{{\"reading\":1{json}}}]");
    let attributes = format!("<D><R reading=\"10\" meter=\"M\"/>\n<R{attributes}/></D>");
    vec![
        case("csv", "columns", csv.into_bytes(), "too_many_columns", 0),
        case("json", "members", json.into_bytes(), "record_too_large", 1),
        case(
            "xml-attribute",
            "attributes",
            attributes.into_bytes(),
            "record_too_large",
            1,
        ),
    ]
}

fn packages() -> Vec<Case> {
    let package = |entities: &str, members: &[RawMember]| {
        let manifest = format!(
            "<DataManagementPackageManifest><PackageEntityList>{entities}</PackageEntityList></DataManagementPackageManifest>"
        );
        let documents = [
            RawMember::stored("Manifest.xml", manifest.as_bytes()),
            RawMember::stored("PackageHeader.xml", b"<x/>"),
        ];
        raw_zip::zip(&[&documents, members].concat())
    };
    let listed = |more: &str| {
        format!(
            "<DataManagementPackageEntityData><EntityName>Meter readings</EntityName><InputFilePath>r.csv</InputFilePath>\
             <SourceFormat>CSV</SourceFormat>{more}</DataManagementPackageEntityData>"
        )
    };
    let line = "<EntityMap><EntityField>A</EntityField><XMLField>B</XMLField></EntityMap>";
    let map = |lines| listed(&format!("<EntityMapList>{}</EntityMapList>", line.repeat(lines)));
    let members: Vec<RawMember> = (0..60_000)
        .map(|n| RawMember::stored(&format!("{n:0200}"), b""))
        .collect();
    vec![
        case(
            "package",
            "a member",
            package(&listed(""), &[RawMember::zeros("r.csv", 3 << 10)]),
            "unpacked_too_large",
            0,
        ),
        case(
            "package",
            "members",
            package(&listed(""), &members),
            "package_damaged",
            0,
        ),
        case(
            "package",
            "entities",
            package(&listed("").repeat(80_000), &[]),
            "manifest_unexpected",
            0,
        ),
        case(
            "package",
            "map lines",
            package(&map(190_000), &[]),
            "package_file_missing",
            0,
        ),
        case(
            "package",
            "a manifest",
            package(&"<x/>".repeat(5 << 20), &[]),
            "manifest_damaged",
            0,
        ),
    ]
}

fn workbooks() -> Vec<Case> {
    let millions = if is_long() { 3_000_000 } else { 500_000 };
    let text = |text: &str| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let row = |cells: &[&str]| format!("<row>{}</row>", cells.iter().map(|cell| text(cell)).collect::<String>());
    let head = row(&["reading", "meter"]);
    let packed = |rows: &str| files::workbook_of(rows, None, zip::CompressionMethod::Deflated);
    // Packed, they would be bombs first.
    let stored = |rows: &str, strings| files::workbook_of(rows, strings, zip::CompressionMethod::Stored);
    let wide = format!("{head}<row>{}</row>{}", "<c/>".repeat(millions), row(&["11", "M"]));
    let blank = format!("{head}{}{}", "<row><c/></row>".repeat(millions), row(&["12", "M"]));
    let strings = "<si/>".repeat(9_000_000);
    let cell = format!(
        "{head}{}{}",
        row(&["1", &"x".repeat(UNPACKED_BYTES_MAX / 2)]),
        row(&["13", "M"])
    );
    vec![
        case("xlsx", "cells", packed(&wide), "", 1),
        case("xlsx", "rows", packed(&blank), "", 1),
        case("xlsx", "a bomb", packed(&cell), "unpacked_too_large", 0),
        case("xlsx", "a long cell", stored(&cell, None), "record_too_large", 1),
        case(
            "xlsx",
            "shared strings",
            stored(&head, Some(&strings)),
            "unpacked_too_large",
            0,
        ),
    ]
}
