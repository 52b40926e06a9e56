//! Readers of what comes from outside, fed with damaged files: no input panics, none is read for ever, and what is read adds up.
//!
//! Each test damages its own seeds at random for `TRANSHIP_TEST_FUZZ_SECONDS` (one, if unset; thirty in CI). `TRANSHIP_TEST_SEED` is
//! printed and brings a run back; inputs that once failed stand in `tests/fuzz/corpus` and are read first.

#![allow(
    clippy::disallowed_methods,
    reason = "tests make their own ids and read the environment"
)]
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be read here fails the test where it is read"
)]

mod access;
mod composite;
mod definitions;
#[cfg(feature = "parquet")]
mod parquet;
mod requests;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use support::chance::Chance;
use support::damage::damaged;
use support::files::{self, Data};
use tranship::domain::job::FixedColumn;
use tranship::format::csv_read::{CsvOptions, CsvReader};
use tranship::format::decode::{DecodeOptions, Decoder};
use tranship::format::fixed::{FixedOptions, FixedReader};
use tranship::format::json::{self, JsonOptions};
use tranship::format::package::read_manifest;
use tranship::format::record::{RecordReader, Step};
use tranship::format::xlsx::{XlsxOptions, XlsxReader};
use tranship::format::xml::{XmlOptions, XmlStyle, xml_reader};

const FIELD_BYTES_MAX: usize = 512;
const RECORD_BYTES_MAX: usize = 2048;
const COLUMNS_MAX: usize = 64;

/// Whether places count bytes of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Places {
    Bytes,
    Rows,
}

/// Runs one target over its corpus, its seeds, and damaged seeds, until the time is up.
fn fuzz(name: &str, seeds: &[Vec<u8>], target: impl Fn(&[u8], &mut Chance)) {
    let seconds = std::env::var("TRANSHIP_TEST_FUZZ_SECONDS").map_or(1, |text| text.parse().unwrap());
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        target(&std::fs::read(entry.unwrap().path()).unwrap(), &mut chance);
    }
    for seed in seeds {
        target(seed, &mut chance);
    }
    let mut inputs = 0_u64;
    while Instant::now() < until || inputs < 100 {
        let seed = &seeds[chance.below(seeds.len())];
        target(&damaged(seed, &mut chance), &mut chance);
        inputs += 1;
    }
    eprintln!("{name}: {inputs} inputs in {seconds} s");
}

/// A folder that no target asks for would be read by nobody.
#[test]
fn each_corpus_is_that_of_a_target() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let mut sources = String::new();
    for entry in std::fs::read_dir(&here).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "rs") {
            sources.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let mut corpora = 0;
    for entry in std::fs::read_dir(here.join("corpus")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let called =
            sources.contains(&format!("fuzz(\"{name}\",")) || sources.contains(&format!("fuzz(\n        \"{name}\","));
        assert!(called, "no target is called {name}");
        assert!(std::fs::read_dir(&path).unwrap().count() > 0, "{name} is empty");
        corpora += 1;
    }
    assert!(corpora >= 6, "{corpora}");
}

/// Reads a file in random pieces and checks what every reader promises.
fn read(mut reader: Box<dyn RecordReader>, file: &[u8], places: Places, chance: &mut Chance) {
    let mut rest = file;
    let mut feed = |reader: &mut dyn RecordReader, chance: &mut Chance| {
        if rest.is_empty() {
            reader.finish();
            return;
        }
        let (piece, behind) = rest.split_at(1 + chance.below(rest.len()));
        reader.feed(piece);
        rest = behind;
    };
    let columns = loop {
        match reader.header() {
            Ok(Some(names)) => break names.len(),
            Ok(None) => feed(&mut *reader, chance),
            Err(error) => {
                assert!(!error.code.is_empty() && !error.reason.is_empty());
                return;
            }
        }
    };
    let (mut records, mut behind, mut steps) = (0, 0, 0);
    // Each step takes a byte at least, or asks for some.
    let steps_max = 4 * file.len() + 10_000;
    loop {
        steps += 1;
        assert!(steps < steps_max, "it reads for ever");
        let place = match reader.step() {
            Step::NeedInput => {
                feed(&mut *reader, chance);
                continue;
            }
            Step::Record(record) => {
                assert_eq!(record.cells.len(), columns);
                record.place
            }
            Step::Damaged(damage) => {
                assert!(!damage.reason.is_empty());
                damage.place
            }
            Step::End => break,
        };
        records += 1;
        assert_eq!(place.record, records, "records are counted one by one");
        assert!(
            place.byte_start >= behind && place.byte_end >= place.byte_start,
            "{place:?} after {behind}"
        );
        behind = place.byte_end;
        assert_eq!(reader.position().records, records);
    }
    if places == Places::Bytes {
        assert!(behind <= file.len() as u64);
    }
    assert_eq!(reader.position().records, records, "what was read adds up");
}

fn rows() -> Vec<Vec<String>> {
    let row = |number: u32| {
        let text = format!("Größe <{number}> & \"L\", too");
        vec![
            number.to_string(),
            text,
            "12.50".to_owned(),
            "two\r\nlines".to_owned(),
            String::new(),
        ]
    };
    (1..20).map(row).collect()
}

const NAMES: [&str; 5] = ["Id", "Title", "Amount", "Lines", "Empty"];

fn with_data<T>(work: impl FnOnce(&Data<'_>) -> T) -> T {
    let rows = rows();
    work(&Data {
        names: &NAMES,
        rows: &rows,
    })
}

#[test]
fn csv() {
    let seeds = with_data(|data| [',', '\t', ';'].map(|delimiter| data.delimited(delimiter).into_bytes()));
    fuzz("csv", &seeds, |file, chance| {
        let options = CsvOptions {
            delimiter: [b',', b'\t', b';'][chance.below(3)],
            max_field_bytes: FIELD_BYTES_MAX,
            max_record_bytes: RECORD_BYTES_MAX,
            max_columns: COLUMNS_MAX,
        };
        read(Box::new(CsvReader::new(options)), file, Places::Bytes, chance);
    });
}

#[test]
fn fixed() {
    const WIDTHS: [u32; 3] = [6, 10, 20];
    let line = |number: u32| format!("{number:<6}{:<10}{:<20}\r\n", "Größe", "x");
    let seeds = [(1..20).map(line).collect::<String>().into_bytes()];
    let columns: Vec<FixedColumn> = WIDTHS
        .iter()
        .map(|&width| FixedColumn {
            name: format!("c{width}"),
            width,
        })
        .collect();
    fuzz("fixed", &seeds, |file, chance| {
        let options = FixedOptions {
            columns: columns.clone(),
            max_record_bytes: RECORD_BYTES_MAX,
        };
        read(Box::new(FixedReader::new(options)), file, Places::Bytes, chance);
    });
}

const JSON: JsonOptions = JsonOptions {
    max_record_bytes: RECORD_BYTES_MAX,
    max_columns: COLUMNS_MAX,
};

#[test]
fn json_documents() {
    let seeds = with_data(|data| [data.json().into_bytes(), data.envelope().into_bytes()]);
    fuzz("json", &seeds, |file, chance| {
        read(Box::new(json::json(JSON)), file, Places::Bytes, chance);
    });
}

#[test]
fn json_lines() {
    let seeds = with_data(|data| [data.json_lines().into_bytes()]);
    fuzz("jsonl", &seeds, |file, chance| {
        read(Box::new(json::jsonl(JSON)), file, Places::Bytes, chance);
    });
}

fn xml(name: &str, style: XmlStyle, seed: String) {
    fuzz(name, &[seed.into_bytes()], |file, chance| {
        let options = XmlOptions {
            style,
            max_record_bytes: RECORD_BYTES_MAX,
            max_columns: COLUMNS_MAX,
        };
        read(Box::new(xml_reader(options)), file, Places::Bytes, chance);
    });
}

#[test]
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method is not general enough"
)]
fn xml_elements() {
    xml("xml-element", XmlStyle::Element, with_data(|data| data.xml_element()));
}

#[test]
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method is not general enough"
)]
fn xml_attributes() {
    xml(
        "xml-attribute",
        XmlStyle::Attribute,
        with_data(|data| data.xml_attribute()),
    );
}

#[test]
fn workbooks() {
    let seeds = with_data(|data| [data.workbook(), data.stored_workbook()]);
    fuzz("xlsx", &seeds, |file, chance| {
        let options = XlsxOptions {
            sheet: None,
            max_columns: COLUMNS_MAX,
            max_field_bytes: FIELD_BYTES_MAX,
            max_record_bytes: RECORD_BYTES_MAX,
            max_unpacked_bytes: 1 << 20,
            spill_dir: std::env::temp_dir(),
            shared_strings_in_memory: 64,
        };
        read(Box::new(XlsxReader::new(options)), file, Places::Rows, chance);
    });
}

#[test]
fn packed_and_encoded_files() {
    let text = with_data(|data| data.delimited(','));
    let seeds = [
        files::gzip(text.as_bytes()),
        files::zstd(text.as_bytes()),
        files::utf16(&text),
        files::latin(&text),
        text.into_bytes(),
    ];
    fuzz("decode", &seeds, |file, chance| {
        let mut decoder = Decoder::new(DecodeOptions {
            encoding: [None, Some(encoding_rs::WINDOWS_1252), Some(encoding_rs::SHIFT_JIS)][chance.below(3)],
            is_xml: chance.one_in(2),
            is_text: !chance.one_in(4),
            max_unpacked_bytes: 1 << 20,
        });
        let mut rest = file;
        loop {
            match decoder.piece() {
                Ok(Some(piece)) => assert!(!piece.is_empty()),
                Ok(None) if rest.is_empty() => {
                    decoder.finish();
                    while let Ok(Some(_)) = decoder.piece() {}
                    return;
                }
                Ok(None) => {
                    let (piece, behind) = rest.split_at(1 + chance.below(rest.len()));
                    decoder.feed(Bytes::copy_from_slice(piece));
                    rest = behind;
                }
                Err(error) => {
                    assert!(!error.reason.is_empty());
                    return;
                }
            }
        }
    });
}

#[test]
fn manifests() {
    let seed = "<?xml version=\"1.0\"?><DataManagementPackageManifest><DefinitionGroupName>D</DefinitionGroupName>\
        <PackageEntityList><DataManagementPackageEntityData><EntityName>Customers</EntityName><Disable>No</Disable>\
        <ExecutionUnit>1</ExecutionUnit><EntityMapList><EntityMap><EntityField>A</EntityField><XMLField>B</XMLField>\
        </EntityMap></EntityMapList></DataManagementPackageEntityData></PackageEntityList></DataManagementPackageManifest>";
    let seeds = [seed.as_bytes().to_vec(), files::utf16(seed)];
    fuzz("manifest", &seeds, |file, _| {
        if let Err(error) = read_manifest(file) {
            assert!(!error.reason.is_empty());
        }
    });
}
