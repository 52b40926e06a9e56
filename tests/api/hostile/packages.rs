//! Packages that lead out, lie, break off or unpack without end.

use std::io::Write as _;

use super::{GOOD_CSV, app, refused, send};
use crate::app::Backend;
use crate::support::files;
use crate::support::raw_zip::{self, RawMember};

crate::on_both_backends!(
    names_that_lead_out_or_stand_twice_are_refused,
    a_broken_zip_says_that_it_is_one,
    a_manifest_that_is_none_says_why,
    a_package_of_unusual_make_is_loaded,
);

const FILE: &str = "Customers.csv";
/// What a bomb unpacks to: more than the 64 MiB that anything may.
const MEBIBYTES: usize = 66;

fn manifest(entities: &str) -> String {
    format!(
        "<DataManagementPackageManifest><DefinitionGroupName>D</DefinitionGroupName><PackageEntityList>{entities}\
         </PackageEntityList></DataManagementPackageManifest>"
    )
}

fn listed(file: &str) -> String {
    format!(
        "<DataManagementPackageEntityData><EntityName>Customers</EntityName><InputFilePath>{file}</InputFilePath>\
         <SourceFormat>CSV</SourceFormat></DataManagementPackageEntityData>"
    )
}

fn header() -> RawMember {
    RawMember::stored("PackageHeader.xml", b"<DataManagementPackageHeader/>")
}

fn manifest_member(text: impl AsRef<[u8]>) -> RawMember {
    RawMember::stored("Manifest.xml", text.as_ref())
}

/// A good manifest and header, and these members.
fn package(members: impl IntoIterator<Item = RawMember>) -> Vec<u8> {
    let documents = [manifest_member(manifest(&listed(FILE))), header()];
    raw_zip::zip(&documents.into_iter().chain(members).collect::<Vec<_>>())
}

fn good() -> RawMember {
    RawMember::stored(FILE, GOOD_CSV.as_bytes())
}

async fn names_that_lead_out_or_stand_twice_are_refused(backend: Backend) {
    let app = app(backend).await;
    let names = [
        "../x",
        "a/../../x",
        "..",
        "..\\x",
        "a\\..\\..\\x",
        "/etc/passwd",
        "\\\\host\\share",
        "C:\\x",
        "c:x",
        "x\0.csv",
    ];
    for name in names {
        let file = package([good(), RawMember::stored(name, b"x")]);
        refused(&app, "package", name, file, "package_unsafe_name").await;
    }
    for name in [FILE, "CUSTOMERS.CSV", "manifest.XML"] {
        let file = package([
            good(),
            RawMember::stored(name, b"CustomerID,CompanyName\r\nOTHER,Other\r\n"),
        ]);
        let detail = refused(&app, "package", name, file, "package_damaged").await;
        assert!(detail.contains("two members"), "{name}: {detail}");
    }
    // What is not at the root is not the file, whatever else it is called.
    let file = package([RawMember::stored("folder/Customers.csv", GOOD_CSV.as_bytes())]);
    refused(&app, "package", "in a folder", file, "package_file_missing").await;
}

async fn a_broken_zip_says_that_it_is_one(backend: Backend) {
    let app = app(backend).await;
    let whole = package([good()]);
    for length in [10, whole.len() / 2, whole.len() - 1] {
        refused(&app, "package", "cut", &whole[..length], "package_damaged").await;
    }
    let with = |change: fn(&mut RawMember)| {
        let mut member = good();
        change(&mut member);
        package([member])
    };
    let cases = [
        ("wrong checksum", with(|member| member.crc ^= 1)),
        ("encrypted", with(|member| member.flags |= 1)),
        ("no deflate", with(|member| member.method = 8)),
        ("unknown method", with(|member| member.method = 14)),
    ];
    for (what, file) in cases {
        refused(&app, "package", what, file, "package_damaged").await;
    }
    for change in [
        |member: &mut RawMember| member.flags |= 1,
        |member: &mut RawMember| member.crc ^= 1,
    ] {
        let mut document = manifest_member(manifest(&listed(FILE)));
        change(&mut document);
        let file = raw_zip::zip(&[document, header(), good()]);
        refused(&app, "package", "a manifest nobody can read", file, "package_damaged").await;
    }
}

/// No database has a part in it, and it takes a build without optimisation half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_unpacks_without_end_is_given_up() {
    let app = app(Backend::Sqlite).await;
    // Zeros deflate to less than a thousandth, and zstd says them in next to nothing.
    let bomb = package([RawMember::zeros(FILE, MEBIBYTES)]);
    let detail = refused(&app, "package", "a bomb", bomb, "unpacked_too_large").await;
    assert!(detail.contains("1,000 bytes"), "{detail}");
    let behind = |bomb: Vec<u8>, good: &[u8]| [good, &bomb].concat();
    for (format, bomb) in [
        (
            "csv",
            behind(raw_zip::gzip_of_zeros(MEBIBYTES), &files::gzip(GOOD_CSV.as_bytes())),
        ),
        (
            "jsonl",
            behind(
                raw_zip::zstd_of_zeros(MEBIBYTES, 20),
                &files::zstd(b"{\"CustomerID\":\"A\"}\n"),
            ),
        ),
        (
            "xlsx",
            behind(raw_zip::zstd_of_zeros(MEBIBYTES, 20), &files::zstd(b"PK\x03\x04")),
        ),
    ] {
        let message = send(&app, format, bomb).await;
        assert_eq!(
            message["failure"]["code"], "unpacked_too_large",
            "{format}: {message:#}"
        );
        assert_eq!(message["records"]["applied"], 0, "{format}: {message:#}");
    }
    let gzip = raw_zip::gzip_of_zeros(MEBIBYTES);
    let packed = package([RawMember::stored(
        FILE,
        &[&files::gzip(GOOD_CSV.as_bytes())[..], &gzip].concat(),
    )]);
    refused(&app, "package", "a bomb in a file", packed, "unpacked_too_large").await;
    // A window that a decoder would have to hold in memory.
    refused(&app, "csv", "window", raw_zip::zstd_of_zeros(1, 27), "packing_damaged").await;
    // A package in a package is a file of no entity.
    let nested = package([RawMember::stored("inner.zip", &package([good()]))]);
    refused(&app, "package", "nested", nested, "package_file_missing").await;
    let nested = raw_zip::zip(&[RawMember::stored("inner.zip", &package([good()]))]);
    refused(&app, "package", "nested alone", nested, "package_header_missing").await;
    let many = (0..10_001).map(|number| RawMember::stored(&format!("m{number}"), b""));
    refused(&app, "package", "members", package(many), "package_damaged").await;
    let many = (0..60_000).map(|number| RawMember::stored(&format!("{number:0100}"), b""));
    refused(&app, "package", "a long list", package(many), "package_damaged").await;
}

async fn a_manifest_that_is_none_says_why(backend: Backend) {
    let app = app(backend).await;
    let with = |document: Vec<u8>| raw_zip::zip(&[manifest_member(document), header(), good()]);
    let text = manifest(&listed(FILE));
    let mut utf16 = files::utf16(&text);
    utf16.pop();
    let doctype = format!(
        "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>{}",
        manifest(&listed("&a;"))
    );
    let cases = [
        ("manifest_damaged", b"<Data".to_vec()),
        ("manifest_damaged", Vec::new()),
        ("manifest_damaged", text.replace("</PackageEntityList>", "").into()),
        ("manifest_unexpected", manifest(&"<x>".repeat(100_000)).into()),
        ("manifest_unexpected", doctype.into()),
        ("manifest_unexpected", manifest(&listed("&a;")).into()),
        (
            "manifest_unexpected",
            manifest(&"<DataManagementPackageEntityData/>".repeat(100_000)).into(),
        ),
        ("manifest_encoding", utf16),
        (
            "manifest_encoding",
            text.replace('D', "\u{fc}").chars().map(|c| c as u8).collect(),
        ),
        ("manifest_damaged", manifest(&" ".repeat(17 << 20)).into()),
    ];
    for (code, document) in cases {
        let what = String::from_utf8_lossy(&document[..document.len().min(100)]).into_owned();
        refused(&app, "package", &what, with(document), code).await;
    }
    let zeros = raw_zip::zip(&[RawMember::zeros("Manifest.xml", MEBIBYTES), header(), good()]);
    refused(&app, "package", "a bomb", zeros, "manifest_damaged").await;
    let empty = package([RawMember::stored(FILE, b"")]);
    let detail = refused(&app, "package", "0 bytes", empty, "file_empty").await;
    assert!(detail.contains("DMF2053"), "{detail}");
}

async fn a_package_of_unusual_make_is_loaded(backend: Backend) {
    let app = app(backend).await;
    let text = manifest(&listed(FILE));
    let mut zip64 = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [
        ("Manifest.xml", text.as_bytes()),
        ("PackageHeader.xml", b"<x/>"),
        (FILE, GOOD_CSV.as_bytes()),
    ] {
        let options = zip::write::SimpleFileOptions::default().large_file(true);
        zip64.start_file(name, options).unwrap();
        zip64.write_all(bytes).unwrap();
    }
    let zip64 = zip64.finish().unwrap().into_inner();
    let utf16 = raw_zip::zip(&[manifest_member(files::utf16(&text)), header(), good()]);
    let packed = package([RawMember::stored(FILE, &files::gzip(GOOD_CSV.as_bytes()))]);
    for file in [zip64, utf16, packed] {
        let message = send(&app, "package", file).await;
        assert_eq!(
            (&message["status"], &message["records"]["applied"]),
            (&"Processed".into(), &1.into()),
            "{message:#}"
        );
    }
}
