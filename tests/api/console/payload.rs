//! The beginning of a payload is looked at, whatever it is, and looking changes nothing.

use std::fmt::Write as _;

use reqwest::StatusCode;

use super::browser::{Browser, Seen};
use crate::app::{Backend, TestApp, sample};
use crate::composites;
use crate::formats::{NAMES, cases, define, records};
use crate::packing::{HEADER, Listed, manifest, package};
use crate::support::files::{self, Data};
use crate::support::raw_zip::{RawMember, gzip_of_zeros, zip};

crate::on_both_backends!(
    every_format_shows_its_first_records,
    long_values_are_cut_and_records_that_cannot_be_read_say_so,
    the_page_of_the_message_shows_the_first_few,
    a_package_is_shown_file_by_file,
    a_composite_is_shown_entity_by_entity,
    what_was_exported_is_shown_and_stays_uncollected,
    what_is_relayed_is_shown_as_text_if_it_is,
    what_cannot_be_read_says_why_and_how_far_it_came,
    a_hostile_payload_hurts_nobody,
    a_payload_that_is_gone_says_so,
    a_payload_is_for_who_may_see_its_message,
);

const SECONDS_MAX: u64 = 30;

async fn look(browser: &Browser<'_>, id: &str) -> Seen {
    let began = std::time::Instant::now();
    let seen = browser.see(&format!("/console/messages/{id}/preview")).await;
    assert!(began.elapsed().as_secs() < SECONDS_MAX, "{:?}", began.elapsed());
    seen.says("Download payload");
    seen.says(&format!("GET /api/v1/messages/{id}/payload"));
    seen.says(&format!("tranship messages show {id}"));
    seen
}

/// The names of its columns.
fn heads(seen: &Seen) -> Vec<String> {
    let head = seen.page.split_once("<thead>").unwrap().1;
    let head = super::html::text(head.split_once("</thead>").unwrap().0);
    head.split(' ').map(str::to_owned).collect()
}

/// The rows of the page's table, each as its cells.
fn table(seen: &Seen) -> Vec<Vec<String>> {
    let body = seen.page.split_once("<tbody>").map_or("", |(_, rest)| rest);
    let body = body.split_once("</tbody>").map_or("", |(body, _)| body);
    let cell = |cell: &str| {
        let text = cell.split_once('>').unwrap().1.split("</t").next().unwrap();
        super::html::text(text)
    };
    let row = |row: &str| row.split("<t").skip(1).map(cell).collect();
    body.split("<tr>").skip(1).map(row).collect()
}

async fn every_format_shows_its_first_records(backend: Backend) {
    let records = records();
    let data = Data {
        names: &NAMES,
        rows: &records,
    };
    let cases = cases(&data);
    let app = TestApp::with(backend, |setup| {
        for (number, case) in cases.iter().enumerate() {
            define(setup, number, case);
        }
    })
    .await;
    let browser = Browser::of(&app, "op", "viewer").await;
    for (name, _, file) in cases {
        let id = app
            .enqueue(&format!("Inbound {name}"), &format!("Things {name}"), file)
            .await;
        let before = app.message(&id).await;
        let seen = look(&browser, &id).await;
        // JSON has its members in the order of their names.
        let heads = heads(&seen);
        let at = |name: &str| {
            heads
                .iter()
                .position(|head| head == name)
                .unwrap_or_else(|| panic!("{name}: {heads:?}"))
        };
        let rows = table(&seen);
        assert_eq!(rows.len(), records.len(), "{name}: {}", seen.text());
        for (at_row, (row, record)) in rows.iter().zip(&records).enumerate() {
            assert_eq!(row[at("Record")], (at_row + 1).to_string(), "{name}");
            for (column, head) in [(0, "Code"), (1, "Title")] {
                assert_eq!(row[at(head)].trim(), record[column], "{name}");
            }
        }
        seen.says("10 records, all there are.");
        assert_eq!(app.message(&id).await, before, "{name}: looking changes nothing");
    }
}

async fn long_values_are_cut_and_records_that_cannot_be_read_say_so(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let long = "ü".repeat(70);
    let huge = "y".repeat(5000);
    let mut file = format!("CustomerID,CompanyName,\nA,\"{long}\",\"two\nlines\"\nB,{huge},\nC,only\n");
    for number in 0..30 {
        let _ = writeln!(file, "D{number},x,");
    }
    let id = app.enqueue("Inbound customers", "Customers", file).await;
    let seen = look(&browser, &id).await;
    seen.says("Record CustomerID CompanyName (no name)");
    let rows = table(&seen);
    assert_eq!(rows.len(), 20);
    assert_eq!(rows[0], ["1", "A", &format!("{}…", "ü".repeat(60)), "two⏎lines"]);
    assert_eq!(rows[1][2], format!("{}…", "y".repeat(60)));
    assert!(rows[2][1].starts_with("It cannot be read:"), "{:?}", rows[2]);
    seen.says("The first 20 records.");
    let hints: Vec<String> = seen
        .elements()
        .iter()
        .filter(|element| element.name == "td")
        .filter_map(|element| element.get("title").map(str::to_owned))
        .collect();
    assert_eq!(hints, [long, format!("{}…", "y".repeat(2000))]);
}

async fn the_page_of_the_message_shows_the_first_few(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let file = "CustomerID,CompanyName\nA1,a\nA2,a\nA3,a\nA4,a\nA5,a\nA6,a\n";
    let small = app.enqueue("Inbound customers", "Customers", file).await;
    let page = browser.see(&format!("/console/messages/{small}")).await;
    page.says("The first 5 records. Look at more of the payload");
    page.does_not_say("A6");
    let large = app
        .enqueue(
            "Inbound customers",
            "Customers",
            file.to_owned() + &" ".repeat(20 << 10),
        )
        .await;
    let page = browser.see(&format!("/console/messages/{large}")).await;
    page.says("Look at the payload");
    page.does_not_say("A1");
    let leads = page.links();
    assert!(
        leads.contains(&format!("/console/messages/{large}/preview")),
        "{leads:?}"
    );
}

const PACKAGES: &str = r#"
id = "00000000-0000-4000-8000-00000000ac5a"
name = "Packed customers"
direction = "import"
data_source = "package"
clients = ["tester"]
[import]
format = "csv"
[[import.entities]]
entity = "Customers"
[[import.entities]]
entity = "Suppliers"
[[import.entities]]
entity = "Products"
"#;

fn listed<'a>(label: &'a str, file: &'a str, format: &'a str) -> Listed<'a> {
    Listed {
        label,
        file,
        format,
        place: (1, 1, 1),
        flags: "",
    }
}

async fn send_package(app: &TestApp, bytes: Vec<u8>) -> String {
    let path = format!("/api/connector/enqueue/{}", app.job("Packed customers"));
    app.post(&path, bytes).await.json().await.unwrap()
}

async fn a_package_is_shown_file_by_file(backend: Backend) {
    let app = TestApp::with(backend, |setup| setup.file("jobs/packed.toml", PACKAGES)).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let manifest = manifest(&[
        &listed("Customers", "c.csv", "CSV"),
        &listed("Suppliers", "s.xml", "XML-Element"),
        &listed("Products", "none.csv", "CSV"),
    ]);
    let bytes = package(&[
        HEADER,
        ("Manifest.xml", &manifest),
        ("c.csv", "CustomerID,CompanyName\nALFKI,Alfred\n"),
        ("s.xml", "<Document><S><Name>Exotic</Name></S></Document>"),
    ]);
    let id = send_package(&app, bytes).await;
    let first = look(&browser, &id).await;
    first.says("Customers Suppliers Products");
    assert_eq!(table(&first), [["1", "ALFKI", "Alfred"]]);
    let path = format!("/console/messages/{id}/preview?file=");
    let second = browser.see(&format!("{path}1")).await;
    assert_eq!(table(&second), [["1", "Exotic"]]);
    let third = browser.see(&format!("{path}2")).await;
    third.says("It cannot be shown: the package has no file none.csv");
    for none in ["3", "-1", "99999999999"] {
        let seen = browser.get(&format!("{path}{none}")).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{none}");
    }
    assert_eq!(browser.get(&format!("{path}x")).await.status, StatusCode::BAD_REQUEST);
}

async fn a_composite_is_shown_entity_by_entity(backend: Backend) {
    let app = composites::app(backend, |_| {}).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let lines = [composites::line("1", "5"), composites::line("2", "6")];
    let file = composites::document(&[composites::order("7", "AAAAA", &lines)]);
    let id = app.enqueue("Inbound composites", "Sales orders", file).await;
    let headers = look(&browser, &id).await;
    headers.says("Sales order headers Sales order lines");
    headers.says("7 AAAAA");
    let lines = browser.see(&format!("/console/messages/{id}/preview?file=1")).await;
    let rows = table(&lines);
    assert_eq!(rows.len(), 2, "{}", lines.text());
    assert!(
        rows[1].contains(&"2.50".to_owned()) && rows[1].contains(&"6".to_owned()),
        "{rows:?}"
    );
}

fn export(number: u32, name: &str, source: &str, lines: &str) -> String {
    format!(
        "id = \"00000000-0000-4000-8000-0000000d{number:04}\"\nname = \"{name}\"\ndirection = \"export\"\n\
         data_source = \"{source}\"\nclients = [\"tester\"]\n[export]\n{lines}\n[[export.entities]]\nentity = \"Customers\"\n\
         fields = [\"customer_account\", \"company_name\"]\norder_by = [\"customer_account\"]\n"
    )
}

async fn what_was_exported_is_shown_and_stays_uncollected(backend: Backend) {
    let jobs = [
        ("file", "Plain", "format = \"csv\""),
        ("file", "Headless", "format = \"csv\"\nheader = false"),
        ("file", "Gzipped", "format = \"jsonl\"\ncompression = \"gzip\""),
        ("file", "Workbook", "format = \"xlsx\""),
        ("package", "Packed", "format = \"xml-element\""),
    ];
    let app = TestApp::with(backend, |setup| {
        for (number, (source, name, lines)) in (0..).zip(jobs) {
            setup.file(&format!("jobs/out-{name}.toml"), &export(number, name, source, lines));
        }
    })
    .await;
    app.import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let browser = Browser::of(&app, "op", "operator").await;
    for (_, name, _) in jobs {
        app.post(&format!("/api/v1/jobs/{}/run", app.job(name)), "").await;
        app.run_until_idle().await;
        let leased = async |status: &str| {
            let found: serde_json::Value = app
                .get(&format!("/api/v1/messages?job={}", app.job(name)))
                .await
                .json()
                .await
                .unwrap();
            assert_eq!(found["messages"][0]["status"], status, "{name}: {found:#}");
            found["messages"][0]["id"].as_str().unwrap().to_owned()
        };
        leased("Enqueued").await;
        app.get(&format!("/api/connector/dequeue/{}", app.job(name))).await;
        let id = leased("Dequeued").await;
        let seen = look(&browser, &id).await;
        seen.says("Customers");
        seen.says("Record customer_account company_name");
        let rows = table(&seen);
        assert_eq!(rows.len(), 20, "{name}");
        assert_eq!(rows[0][1..], ["ALFKI", "Alfreds Futterkiste"], "{name}");
        leased("Dequeued").await;
    }
}

async fn what_is_relayed_is_shown_as_text_if_it_is(backend: Backend) {
    let app = TestApp::with(backend, |setup| crate::client::relay(setup, "Letters", "")).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let send = async |body: Vec<u8>| {
        let path = format!("/api/v1/jobs/{}/messages", app.job("Letters"));
        let answer: serde_json::Value = app.post(&path, body).await.json().await.unwrap();
        answer["id"].as_str().unwrap().to_owned()
    };
    let id = send(b"Dear <b>Sir</b>,\nwe are \xc3\xbcberfroh".to_vec()).await;
    let seen = look(&browser, &id).await;
    seen.says("Dear <b>Sir</b>, we are überfroh");
    seen.does_not_say("Its first");
    let id = send(("x".repeat(2047) + "ü" + &"x".repeat(3 << 20)).into_bytes()).await;
    let seen = look(&browser, &id).await;
    seen.says("Its first 1.9 KiB .");
    assert!(!seen.text().contains(&"x".repeat(2048)) && seen.text().contains(&"x".repeat(2047)));
    let id = send(vec![0x89, b'P', b'N', b'G', 0, 1, 2]).await;
    let seen = look(&browser, &id).await;
    seen.says("7 B , sha-256=:");
    seen.says("It is no text.");
    let id = send(files::gzip(b"")).await;
    look(&browser, &id).await.says("It is empty.");
}

/// Text that does not become much shorter when it is packed.
fn noise(seed: u64, length: usize) -> String {
    let mut chance = crate::support::chance::Chance::of(seed);
    let letter = |_| char::from(b'a' + u8::try_from(chance.below(26)).unwrap());
    (0..length).map(letter).collect()
}

async fn what_cannot_be_read_says_why_and_how_far_it_came(backend: Backend) {
    let json = r#"
id = "00000000-0000-4000-8000-00000000ac5b"
name = "Json"
direction = "import"
clients = ["tester"]
[import]
format = "json"
[[import.entities]]
entity = "Customers"
"#;
    let app = TestApp::with(backend, |setup| {
        setup.file("jobs/json.toml", json);
        setup.file("jobs/packed.toml", PACKAGES);
    })
    .await;
    let browser = Browser::of(&app, "op", "operator").await;
    let id = app.enqueue("Json", "Customers", "this is <b>no</b> JSON").await;
    let seen = look(&browser, &id).await;
    seen.says("It cannot be read to its first record:");
    seen.says("this is <b>no</b> JSON");
    let mut packed = files::gzip("CustomerID,CompanyName\nA1,a\nA2,a\n".repeat(2000).as_bytes());
    packed.truncate(packed.len() / 2);
    let id = app.enqueue("Inbound customers", "Customers", packed).await;
    look(&browser, &id).await.says("The first 20 records.");
    let mut file = "CustomerID,CompanyName\n".to_owned();
    for number in 1..=10 {
        let _ = writeln!(file, "A{number},{}", noise(number, 20_000));
    }
    let mut short = files::gzip(file.as_bytes());
    short.truncate(short.len() / 2);
    let id = app.enqueue("Inbound customers", "Customers", short).await;
    let seen = look(&browser, &id).await;
    let rows = table(&seen).len();
    assert!((2..=5).contains(&rows), "{rows}: {}", seen.text());
    seen.says(&format!("It cannot be read beyond record {rows}: "));
    let id = app
        .enqueue("Inbound customers", "Customers", "CustomerID,CompanyName\n")
        .await;
    look(&browser, &id)
        .await
        .says("It has no records. Its columns: CustomerID, CompanyName.");
    let id = send_package(&app, b"no zip at all".to_vec()).await;
    look(&browser, &id)
        .await
        .says("It cannot be shown: the package cannot be read as a zip");
}

async fn a_hostile_payload_hurts_nobody(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file("jobs/packed.toml", PACKAGES);
        let workbook = PACKAGES
            .replace("ac5a", "ac5c")
            .replace("Packed customers", "Workbooks")
            .replace("data_source = \"package\"\n", "")
            .replace("csv", "xlsx");
        setup.file("jobs/workbooks.toml", &workbook);
    })
    .await;
    let browser = Browser::of(&app, "op", "operator").await;
    let endless = "x".repeat(6 << 20);
    let id = app.enqueue("Inbound customers", "Customers", endless.clone()).await;
    let seen = look(&browser, &id).await;
    seen.says("It cannot be read to its first record: of a text no more than the first 2 MiB are read");
    assert!(seen.page.len() < 64 << 10, "{}", seen.page.len());
    let file = format!("CustomerID,CompanyName\nA1,a\nA2,\"{endless}");
    let id = app.enqueue("Inbound customers", "Customers", file).await;
    let seen = look(&browser, &id).await;
    assert_eq!(table(&seen)[0], ["1", "A1", "a"]);
    seen.says("It cannot be read beyond record");

    let wide: Vec<String> = (0..900).map(|number| format!("c{number}")).collect();
    let row = vec!["y".repeat(1500); 900].join(",");
    let file = format!("{}\n{row}\n{row}\n", wide.join(","));
    let id = app.enqueue("Inbound customers", "Customers", file).await;
    let seen = look(&browser, &id).await;
    seen.says("700 columns more than stand here.");
    assert_eq!(table(&seen).len(), 1, "300 KB are enough");

    let id = app.enqueue("Inbound customers", "Customers", gzip_of_zeros(200)).await;
    look(&browser, &id).await.says("It cannot be read to its first record:");
    let bomb = zip(&[
        RawMember::stored(HEADER.0, HEADER.1.as_bytes()),
        RawMember::stored(
            "Manifest.xml",
            manifest(&[
                &listed("Customers", "c.csv", "CSV"),
                &listed("Suppliers", "s.xlsx", "EXCEL"),
            ])
            .as_bytes(),
        ),
        RawMember::zeros("c.csv", 300),
        RawMember::zeros("s.xlsx", 300),
    ]);
    let id = send_package(&app, bomb).await;
    look(&browser, &id).await.says("It cannot be read to its first record:");
    let second = browser.see(&format!("/console/messages/{id}/preview?file=1")).await;
    second.says("it unpacks to more than the 64 MiB that are unpacked to be looked at here");
    let id = app.enqueue("Workbooks", "Customers", vec![7; 33 << 20]).await;
    look(&browser, &id)
        .await
        .says("It cannot be shown: a workbook or Parquet file can only be read when all of it was fetched");
    assert_eq!(browser.see("/console").await.status, StatusCode::OK);
}

async fn a_payload_that_is_gone_says_so(backend: Backend) {
    let app = TestApp::with(backend, |setup| setup.set("queue.inline_max_bytes", "64")).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let blob = app
        .enqueue("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let inline = app.enqueue("Inbound customers", "Customers", "CustomerID\nA1\n").await;
    std::fs::rename(app.folder.join("data/blobs"), app.folder.join("data/away")).unwrap();
    crate::support::databases::run(&app.store.url, "delete from payloads").await;
    look(&browser, &blob)
        .await
        .says("It cannot be shown: the payload is no longer kept");
    look(&browser, &inline).await.says("is no longer kept");
    browser
        .see(&format!("/console/messages/{inline}"))
        .await
        .does_not_say("The first");
}

async fn a_payload_is_for_who_may_see_its_message(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let id = app.enqueue("Inbound customers", "Customers", "CustomerID\nA1\n").await;
    let path = format!("/console/messages/{id}/preview");
    let stranger = Browser::of(&app, "somebody", "client").await;
    let seen = stranger.get(&path).await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
    seen.does_not_say("A1");
    assert_eq!(Browser::new(&app).get(&path).await.status, StatusCode::UNAUTHORIZED);
    let unknown = "/console/messages/0192f1c4-0000-7000-8000-000000000000/preview";
    let viewer = Browser::of(&app, "looks", "viewer").await;
    assert_eq!(viewer.get(unknown).await.status, StatusCode::NOT_FOUND);
    viewer.see(&path).await.says("A1");
}
