//! `tranship erase` beside a running service: what it withdraws, what it leaves, what a rerun after a crash does, and that the person's data
//! is out of every file afterwards.

use std::io::Write as _;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::on_both_databases;
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::{TestDatabase, rows};
use crate::support::files::Data;
use crate::wire::{Caller, in_path, json};

on_both_databases!(
    a_person_is_erased_from_payloads_of_every_format,
    an_erasure_that_was_killed_is_finished_by_the_next,
    what_has_no_payload_any_more_is_blanked_as_far_as_it_tells,
    a_file_that_never_loaded_is_said_to_be_one,
);

/// Nothing else says these.
const PERSON: &str = "P-4711-QXZVWK";
const EMAIL: &str = "qxzvwk.person@example.org";
/// Export jobs by what they write, with their activity ids.
const EXPORTS: [(&str, &str, &str); 2] = [
    ("package", "csv", "0b3c8c9e-3f5a-4a0c-8b1f-5d2b6f7a9e11"),
    ("file", "xml-element", "0b3c8c9e-3f5a-4a0c-8b1f-5d2b6f7a9e12"),
];
/// Past `queue.inline_max_bytes`.
const MANY: usize = 2000;

const ENTITY: &str = r#"
name = "People"
table = "people"
create_table = true
key = ["person"]
data_management = true
[[fields]]
name = "person"
type = "string"
max_length = 40
[[fields]]
name = "email"
type = "string"
max_length = 60
[[fields]]
name = "points"
type = "int"
"#;

/// Import jobs by their format, with their activity ids.
const IMPORTS: [(&str, &str); 5] = [
    ("csv", "11111111-1111-4111-8111-111111111101"),
    ("xml-element", "11111111-1111-4111-8111-111111111102"),
    ("json", "11111111-1111-4111-8111-111111111103"),
    ("xlsx", "11111111-1111-4111-8111-111111111104"),
    ("package", "11111111-1111-4111-8111-111111111105"),
];

async fn site_on(store: TestDatabase) -> Site {
    let site = Site::on(store).await;
    site.write("entities/people.toml", ENTITY);
    for (format, id) in IMPORTS {
        let (source, written) = if format == "package" {
            ("package", "csv")
        } else {
            ("file", format)
        };
        let job = format!(
            "id = \"{id}\"\nname = \"People by {format}\"\ndirection = \"import\"\ndata_source = \"{source}\"\nclients = [\"boss\"]\n\
             [import]\nformat = \"{written}\"\n[[import.entities]]\nentity = \"People\"\n"
        );
        site.write(&format!("jobs/{format}.toml"), &job);
    }
    for (source, format, id) in EXPORTS {
        let export = format!(
            "id = \"{id}\"\nname = \"People out by {source}\"\ndirection = \"export\"\ndata_source = \"{source}\"\nclients = [\"boss\"]\n\
             [export]\nformat = \"{format}\"\n[[export.entities]]\nentity = \"People\"\nmap = {{ person = \"Who\" }}\n"
        );
        site.write(&format!("jobs/export-{source}.toml"), &export);
    }
    site
}

fn job(format: &str) -> &'static str {
    IMPORTS
        .iter()
        .find(|(known, _)| *known == format)
        .map(|(_, id)| *id)
        .expect("a job")
}

/// People, the wanted one among them, whose points are no number when `is_bad`.
fn people(first: usize, count: usize, person: Option<bool>) -> Vec<Vec<String>> {
    let row = |person: String, email: String, points: &str| vec![person, email, points.to_owned()];
    let mut rows: Vec<_> = (first..first + count)
        .map(|n| row(format!("person {n}"), format!("{n}@example.org"), "1"))
        .collect();
    if let Some(is_bad) = person {
        // What is wrong with it is quoted by its record error.
        let points = if is_bad { EMAIL } else { "7" };
        rows.insert(count / 2, row(PERSON.to_owned(), EMAIL.to_owned(), points));
    }
    rows
}

fn file(format: &str, rows: &[Vec<String>]) -> Vec<u8> {
    let data = Data {
        names: &["person", "email", "points"],
        rows,
    };
    match format {
        "csv" => data.delimited(',').into_bytes(),
        "xml-element" => data.xml_element().into_bytes(),
        "json" => data.json().into_bytes(),
        "xlsx" => data.workbook(),
        _ => package(&data.delimited(',')),
    }
}

fn package(file: &str) -> Vec<u8> {
    let manifest = "<DataManagementPackageManifest><PackageEntityList><DataManagementPackageEntityData><EntityName>People</EntityName>\
                    <InputFilePath>People.csv</InputFilePath><SourceFormat>CSV</SourceFormat></DataManagementPackageEntityData>\
                    </PackageEntityList></DataManagementPackageManifest>";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("Manifest.xml", manifest),
        ("PackageHeader.xml", "<DataManagementPackageHeader/>"),
        ("People.csv", file),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .expect("a member");
        zip.write_all(text.as_bytes()).expect("in memory");
    }
    zip.finish().expect("a zip").into_inner()
}

async fn push(caller: &Caller, format: &str, rows: &[Vec<String>]) -> String {
    if format == "package" {
        let path = format!("/api/v1/jobs/{}/messages", job(format));
        let sent = json(caller.post(&path, file(format, rows)).await, StatusCode::CREATED).await;
        return sent["id"].as_str().expect("an id").to_owned();
    }
    caller.push(job(format), "People", file(format, rows)).await
}

/// Runs the export, collects and acknowledges what it made; its message.
async fn exported(caller: &Caller, job: &str) -> String {
    json(
        caller.post(&format!("/api/v1/jobs/{job}/run"), "").await,
        StatusCode::ACCEPTED,
    )
    .await;
    let began = Instant::now();
    let lease = loop {
        let leased = caller
            .post(&format!("/api/v1/jobs/{job}/leases"), "{\"wait_seconds\":5}")
            .await;
        let leased = json(leased, StatusCode::OK).await;
        if let Some(lease) = leased["leases"].get(0) {
            break lease.clone();
        }
        assert!(began.elapsed() < Duration::from_mins(1), "nothing was exported");
    };
    let receipt = in_path(lease["receipt"].as_str().expect("a receipt"));
    json(
        caller.post(&format!("/api/v1/leases/{receipt}/ack"), "{}").await,
        StatusCode::OK,
    )
    .await;
    lease["id"].as_str().expect("an id").to_owned()
}

fn erase(site: &Site, more: &[&str]) -> Output {
    let key = format!("person={PERSON}");
    let line = [&["erase", "--entity", "people", "--key", &key, "--json"], more].concat();
    site.command(&line).output().expect("it runs")
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

async fn payload(caller: &Caller, id: &str) -> (StatusCode, String) {
    let answer = caller.get(&format!("/api/v1/messages/{id}/payload")).await;
    let status = answer.status();
    (
        status,
        String::from_utf8_lossy(&answer.bytes().await.expect("a body")).into_owned(),
    )
}

async fn a_person_is_erased_from_payloads_of_every_format(store: TestDatabase) {
    let url = store.url.clone();
    let site = site_on(store).await;
    let boss = site.add_client("boss", "admin");
    let service = site.start("one").await;
    let caller = Caller::new(&service, &boss).await;
    let mut holding = Vec::new();
    for (at, (format, _)) in IMPORTS.into_iter().enumerate() {
        holding.push(push(&caller, format, &people(at * 10_000, 3, Some(false))).await);
    }
    holding.push(push(&caller, "csv", &people(100_000, MANY, Some(true))).await);
    let other = push(&caller, "csv", &people(200_000, MANY, None)).await;
    for id in holding.iter().chain([&other]) {
        let ended = caller.ended(id).await;
        assert!(ended.records("read") > 0, "{}", ended.0);
    }
    for (_, _, job) in EXPORTS {
        holding.push(exported(&caller, job).await);
    }
    json(
        caller.post(&format!("/api/v1/jobs/{}/pause", job("json")), "{}").await,
        StatusCode::OK,
    )
    .await;
    let waiting = push(&caller, "json", &people(300_000, 3, Some(false))).await;
    let before = caller.message(&holding[5]).await.0;
    assert!(
        before.to_string().contains(EMAIL),
        "the record error quotes it: {before}"
    );

    let dry = erase(&site, &["--dry-run", "--target"]);
    let (dry_exit, dry) = (dry.status.code(), report(&dry));
    assert_eq!(
        (dry_exit, &dry["withdrawn"]["count"], &dry["waiting"]["count"]),
        (Some(0), &8.into(), &1.into()),
        "{dry}"
    );
    assert_eq!(payload(&caller, &holding[0]).await.0, StatusCode::OK);
    let unasked = erase(&site, &[]);
    assert_eq!(unasked.status.code(), Some(2), "nobody is there to be asked");

    let erased = erase(&site, &["--yes", "--target"]);
    let (exit, erased) = (erased.status.code(), report(&erased));
    assert_eq!(
        (exit, &erased["withdrawn"]["count"], &erased["target_rows"]),
        (Some(1), &8.into(), &1.into()),
        "{erased}"
    );
    assert_eq!(erased["waiting"]["messages"][0]["id"], waiting.as_str());
    for id in &holding {
        let (status, body) = payload(&caller, id).await;
        assert_eq!(status, StatusCode::GONE, "{body}");
        assert!(body.contains("payload_erased") && body.contains("os user"), "{body}");
    }
    assert_eq!(payload(&caller, &other).await.0, StatusCode::OK);
    let after = caller.message(&holding[5]).await.0;
    for member in ["status", "records", "digest"] {
        assert_eq!(before[member], after[member], "{member} stays");
    }
    assert_eq!(after["errors"][0]["code"], before["errors"][0]["code"]);
    assert!(!after.to_string().contains(EMAIL), "{after}");

    // What the service noted of a run.
    let quoting = format!("update occurrences set note = 'record 5 (person={PERSON}) cannot be written'");
    crate::support::databases::run(&url, &quoting).await;

    // What had not ended is cancelled, and is erased then; it cannot be tried again.
    json(
        caller.post(&format!("/api/v1/messages/{waiting}/cancel"), "{}").await,
        StatusCode::OK,
    )
    .await;
    let rest = erase(&site, &["--yes", "--target", "--vacuum"]);
    let (exit, rest) = (rest.status.code(), report(&rest));
    assert_eq!(rest["notes"], 2, "{rest}");
    assert_eq!(
        (exit, &rest["withdrawn"]["count"], &rest["logs_emptied"]),
        (Some(0), &1.into(), &true.into()),
        "{rest}"
    );
    let again = caller.post(&format!("/api/v1/messages/{waiting}/retry"), "{}").await;
    let again = json(again, StatusCode::GONE).await;
    assert_eq!(again["code"], "payload_erased", "{again}");
    let none = report(&erase(&site, &["--yes"]));
    assert_eq!(
        (&none["withdrawn"]["count"], &none["target_rows"]),
        (&0.into(), &0.into()),
        "{none}"
    );

    let told = String::from_utf8(site.run(&["audit", "list", "--action", "erase", "--json"]).stdout).expect("text");
    assert!(!told.contains(PERSON) && told.contains("\"sha256\""), "{told}");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let outcomes: Vec<&Value> = told["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| &entry["outcome"])
        .collect();
    assert_eq!(outcomes, ["done", "asked", "done", "asked", "done", "asked"]);
    nowhere(&site, &url, service).await;
}

/// The person stands in no file of store, blobs and business database, and in no row of a server.
async fn nowhere(site: &Site, url: &str, service: Service) {
    for needle in [PERSON, EMAIL] {
        for url in [url, site.business_url()] {
            match url.strip_prefix("sqlite://") {
                Some(file) => {
                    for file in [file.to_owned(), format!("{file}-wal")] {
                        assert!(!holds(Path::new(&file), needle), "{needle} in {file}");
                    }
                }
                None => no_row_holds(url, needle).await,
            }
        }
        let blobs = walk(&site.path("blobs"));
        assert!(!blobs.is_empty(), "the blob of the other message is there");
        for file in blobs {
            assert!(!holds(&file, needle), "{needle} in {}", file.display());
        }
    }
    assert!(service.stop().await.success());
}

fn holds(file: &Path, needle: &str) -> bool {
    let bytes = std::fs::read(file).unwrap_or_default();
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            if entry.path().is_dir() {
                walk(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}

async fn no_row_holds(url: &str, needle: &str) {
    let tables = rows(
        url,
        "select quote_ident(relname) from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace",
    )
    .await;
    assert!(tables.len() > 2);
    for table in tables {
        let table = table[0].clone().expect("a name");
        // Bytes are shown in hexadecimal digits.
        let hex = format!("encode(convert_to('{needle}', 'UTF8'), 'hex')");
        let text = format!(
            "select count(*)::text from {table} t where t::text like '%{needle}%' or t::text like '%' || {hex} || '%'"
        );
        assert_eq!(rows(url, &text).await, [[Some("0".to_owned())]], "{needle} in {table}");
    }
}

async fn an_erasure_that_was_killed_is_finished_by_the_next(store: TestDatabase) {
    let site = site_on(store).await;
    let boss = site.add_client("boss", "admin");
    let service = site.start("one").await;
    let caller = Caller::new(&service, &boss).await;
    let first = push(&caller, "csv", &people(0, MANY, Some(true))).await;
    let second = push(&caller, "csv", &people(10_000, 3, Some(true))).await;
    caller.ended(&first).await;
    caller.ended(&second).await;
    for (place, gone) in [("erase.blanked", [false, false]), ("erase.withdrawn", [true, false])] {
        let key = format!("person={PERSON}");
        let killed = site
            .command(&["erase", "--entity", "People", "--key", &key, "--yes"])
            .env("FAILPOINT", place)
            .output()
            .expect("it runs");
        assert_eq!(killed.status.code(), None, "it is killed at {place}");
        for (id, is_gone) in [&first, &second].into_iter().zip(gone) {
            let expected = if is_gone { StatusCode::GONE } else { StatusCode::OK };
            assert_eq!(payload(&caller, id).await.0, expected, "at {place}");
        }
    }
    let rest = report(&erase(&site, &["--yes"]));
    assert_eq!(rest["withdrawn"]["count"], 1, "{rest}");
    for id in [&first, &second] {
        assert_eq!(payload(&caller, id).await.0, StatusCode::GONE);
        let status = caller.message(id).await.0;
        assert!(!status.to_string().contains(EMAIL), "{status}");
    }
    for file in walk(&site.path("blobs")) {
        assert!(!holds(&file, PERSON), "the blob of before is swept: {}", file.display());
    }
    assert!(service.stop().await.success());
}

async fn what_has_no_payload_any_more_is_blanked_as_far_as_it_tells(store: TestDatabase) {
    let url = store.url.clone();
    let site = site_on(store).await;
    let boss = site.add_client("boss", "admin");
    let service = site.start("one").await;
    let caller = Caller::new(&service, &boss).await;
    let id = push(&caller, "csv", &people(0, 3, Some(true))).await;
    caller.ended(&id).await;
    // As retention does.
    crate::support::databases::run(&url, "delete from payloads").await;
    let left = erase(&site, &["--yes"]);
    let (exit, left) = (left.status.code(), report(&left));
    assert_eq!(
        (exit, &left["unmatched"]["count"]),
        (Some(1), &1.into()),
        "the error quotes an address, not the key: {left}"
    );
    let blanked = report(&erase(&site, &["--yes", "--unmatched"]));
    assert_eq!(blanked["record_errors"], 1, "{blanked}");
    let status = caller.message(&id).await.0;
    assert!(!status.to_string().contains(EMAIL), "{status}");
    assert_eq!(status["records"]["rejected"], 1);
    assert!(service.stop().await.success());
}

/// Nobody changed anything since: the file never fitted its entity.
async fn a_file_that_never_loaded_is_said_to_be_one(store: TestDatabase) {
    let site = site_on(store).await;
    let boss = site.add_client("boss", "admin");
    let service = site.start("one").await;
    let caller = Caller::new(&service, &boss).await;
    let keyless = "email,points\na@example.org,1\n";
    let unfit = caller.push(job("csv"), "People", keyless.into()).await;
    assert_eq!(caller.ended(&unfit).await.records("read"), 0);
    let loaded = push(&caller, "csv", &people(0, 3, None)).await;
    caller.ended(&loaded).await;
    let why_of = |report: &Value, id: &str| {
        let unclear = report["unclear"]["messages"].as_array().expect("a list");
        let told = unclear.iter().find(|told| told["id"] == id).map(|told| &told["why"]);
        told.map(|why| why.as_str().expect("a reason").to_owned())
    };
    let dry = report(&erase(&site, &["--dry-run"]));
    let why = why_of(&dry, &unfit).unwrap_or_else(|| panic!("{dry}"));
    assert!(why.contains("never loaded") && !why.contains("changed since"), "{why}");
    assert_eq!(why_of(&dry, &loaded), None, "{dry}");
    // What was loaded, and fits no more because the entity became another, is said to be that.
    for (source, _, _) in EXPORTS {
        std::fs::remove_file(site.path(&format!("jobs/export-{source}.toml"))).expect("removed");
    }
    let another = ENTITY.replace("\"person\"", "\"who\"");
    site.write("entities/people.toml", &another);
    let line = ["erase", "--entity", "people", "--key", "who=x", "--dry-run", "--json"];
    let dry = report(&site.command(&line).output().expect("it runs"));
    let why = why_of(&dry, &loaded).unwrap_or_else(|| panic!("{dry}"));
    assert!(why.contains("changed since the file was loaded"), "{why}");
    assert!(service.stop().await.success());
}
