//! Bytes that are no text, and files that are none.

use super::{app, refused, rejects, send};
use crate::app::Backend;
use crate::support::files;

crate::on_both_backends!(
    a_file_of_nothing_says_which_nothing_it_is,
    what_is_no_character_costs_its_record,
    every_line_end_ends_a_line,
);

async fn a_file_of_nothing_says_which_nothing_it_is(backend: Backend) {
    let app = app(backend).await;
    let bom: &[u8] = b"\xEF\xBB\xBF";
    // Of 0 bytes a message cannot be, but what is packed can.
    for (format, _) in super::FORMATS {
        for empty in [files::gzip(b""), files::zstd(b"")] {
            let detail = refused(&app, format, "0 bytes", empty, "file_empty").await;
            assert!(detail.contains("DMF2053"), "{format}: {detail}");
        }
    }
    for blank in [b"  \r\n \t \n".as_slice(), bom, b"\xFF\xFE", b"\r\n\r\n\r\n"] {
        for format in ["csv", "unicode", "xlsx"] {
            let blank = if format == "unicode" && !blank.starts_with(b"\xFF\xFE") {
                files::utf16(std::str::from_utf8(blank).unwrap())
            } else {
                blank.to_vec()
            };
            // A mark of UTF-16 is gone once it has told.
            let (code, number) = match (format, blank.as_slice()) {
                ("xlsx", b"\xFF\xFE") => ("encoding_unsupported", "UTF-16"),
                (_, b"\xFF\xFE") => ("file_empty", "DMF2053"),
                _ => ("header_missing", "FF004"),
            };
            let detail = refused(&app, format, &format!("{blank:?}"), blank, code).await;
            assert!(detail.contains(number), "{format}: {detail}");
        }
        for format in ["json", "jsonl", "element", "attribute"] {
            refused(&app, format, &format!("{blank:?}"), blank, "file_empty").await;
        }
    }
    // It has no header to miss: nothing but blank lines is no records (DMF-20).
    for blank in [b"  \r\n   \n".as_slice(), bom] {
        let message = send(&app, "fixed", blank).await;
        assert_eq!(
            (&message["status"], &message["records"]["read"]),
            (&"Processed".into(), &0.into())
        );
    }
}

async fn what_is_no_character_costs_its_record(backend: Backend) {
    let app = app(backend).await;
    let csv = |bytes: &[u8]| [b"CustomerID,CompanyName\r\nA,", bytes, b"\r\nB,Good\r\n"].concat();
    let json = |bytes: &[u8]| {
        let good = b"{\"CustomerID\":\"B\",\"CompanyName\":\"Good\"}";
        [
            b"[{\"CustomerID\":\"A\",\"CompanyName\":\"",
            bytes,
            b"\"},\n",
            good,
            b"]",
        ]
        .concat()
    };
    let element = |bytes: &[u8]| {
        let record = |id: &[u8], name: &[u8]| {
            [
                b"<R><CustomerID>",
                id,
                b"</CustomerID><CompanyName>",
                name,
                b"</CompanyName></R>\n",
            ]
            .concat()
        };
        [
            b"<D>".to_vec(),
            record(b"A", bytes),
            record(b"B", b"Good"),
            b"</D>".to_vec(),
        ]
        .concat()
    };
    let cases: [(&str, Vec<u8>, &str); 14] = [
        ("csv", csv(b"a\0b"), "invalid_character"),
        ("csv", csv(b"a\x1b[2Jb"), "invalid_character"),
        ("csv", csv(b"M\xfcnster"), "invalid_utf8"),
        ("csv", csv(b"cut \xe2\x82"), "invalid_utf8"),
        ("csv", csv(b"surrogate \xed\xa0\x80"), "invalid_utf8"),
        ("csv", csv(b"overlong \xc0\xaf"), "invalid_utf8"),
        ("json", json(b"\\u0000"), "invalid_character"),
        ("json", json(b"\\ud800"), "invalid_json"),
        ("json", json(b"\\udc00\\ud800"), "invalid_json"),
        ("json", json(b"M\xfcnster"), "invalid_utf8"),
        ("json", json(b"a\0b"), "invalid_json"),
        ("element", element(b"&#0;"), "invalid_character"),
        ("element", element(b"&#xd800;"), "invalid_xml"),
        ("element", element(b"M\xfcnster"), "invalid_utf8"),
    ];
    for (format, file, code) in cases {
        let what = String::from_utf8_lossy(&file).into_owned();
        // The good one is new the first time and unchanged from then on: applied either way.
        rejects(&app, format, &what, file, 1, &[code]).await;
    }
    // Half a surrogate pair, and half a unit at the end of the file.
    let mut halves = files::utf16("CustomerID,CompanyName\r\nA,x\r\nB,Good\r\nC,y\r\n");
    let x = halves.windows(2).position(|unit| unit == b"x\0").unwrap();
    halves[x + 1] = 0xd8;
    rejects(&app, "unicode", "half a pair", halves.clone(), 2, &["invalid_utf8"]).await;
    halves.truncate(halves.len() - 5);
    rejects(
        &app,
        "unicode",
        "half a unit",
        halves,
        1,
        &["invalid_utf8", "invalid_utf8"],
    )
    .await;
}

async fn every_line_end_ends_a_line(backend: Backend) {
    let app = app(backend).await;
    let mixed = "CustomerID,CompanyName\rA,One\nB,Two\r\nC,\"Three\r\nlines\rof it\n\"\r\rD,Four";
    let message = send(&app, "csv", mixed).await;
    assert_eq!(
        (&message["status"], &message["records"]["inserted"]),
        (&"Processed".into(), &4.into())
    );
    let name = app
        .rows("select company_name from customers where customer_account = 'C'")
        .await;
    assert_eq!(
        name[0][0].as_deref(),
        Some("Three\r\nlines\rof it\n"),
        "a cell keeps its own"
    );
    let lines = "{\"CustomerID\":\"A\",\"CompanyName\":\"One\"}\r{\"CustomerID\":\"B\",\"CompanyName\":\"Two\"}\n\r\n\
        {\"CustomerID\":\"E\",\"CompanyName\":\"Five\"}";
    let message = send(&app, "jsonl", lines).await;
    let counts = ["read", "unchanged", "inserted"].map(|member| message["records"][member].clone());
    assert_eq!(counts, [3, 2, 1], "{message:#}");
}
