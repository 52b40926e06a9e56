//! A store that an earlier version left behind opens, and everything in it goes on: what waited lands, what was leased is offered again,
//! what ended says what it said, what failed can be corrected and tried again.
//!
//! `tests/data/stores` keeps such stores, one folder for each release and kind of database: a dump of the store as `kill -9` left it, the
//! blob folder's id where it has one, and what was known of it; and `business.sql`, the control tables of its business databases as `src/business/control.rs` makes them, for
//! `contract/business/opening`. `TRANSHIP_KEEP_STORES=tests/data/stores/NAME cargo nextest run --test process upgrade`
//! makes one by the version that is built; a release adds its own, and old ones are never made anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::{TestDatabase, rows, run};
use crate::wire::{Caller, in_path, json};

on_both_databases!(a_store_of_each_earlier_version_goes_on, a_store_can_be_kept,);

const PARTS: &str = "Parts%20in";
const PARCELS: &str = "Parcels";
const FIRST: &str = "part,pieces\nnail,500\nscrew,many\nbolt,7\n";
const WAITING: &str = "part,pieces\nnut,40\n";

fn define(site: &mut Site) {
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    // The stores get older than any retention.
    site.set("TRANSHIP_QUEUE__RETENTION_DAYS", "3650");
    site.set("TRANSHIP_QUEUE__IDEMPOTENCY_DAYS", "3650");
    site.write(
        "entities/parts.toml",
        "name = \"Parts\"\ntable = \"parts\"\ncreate_table = true\nkey = [\"part\"]\n\
         [[fields]]\nname = \"part\"\nmax_length = 10\n[[fields]]\nname = \"pieces\"\ntype = \"int\"\n",
    );
    site.write(
        "jobs/parts-in.toml",
        "id = \"00000000-0000-4000-8000-0000000000e1\"\nname = \"Parts in\"\ndirection = \"import\"\nclients = [\"keeper\"]\n\
         [import]\nformat = \"csv\"\n[[import.entities]]\nentity = \"Parts\"\n",
    );
    site.write(
        "jobs/parts-out.toml",
        "id = \"00000000-0000-4000-8000-0000000000e2\"\nname = \"Parts out\"\ndirection = \"export\"\nclients = [\"keeper\"]\n\
         [export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Parts\"\n",
    );
    site.write(
        "jobs/parcels.toml",
        "id = \"00000000-0000-4000-8000-0000000000e3\"\nname = \"Parcels\"\ndirection = \"relay\"\nclients = [\"keeper\"]\n",
    );
}

/// What was known of a store when it was kept.
struct Known(Value);

impl Known {
    fn text(&self, member: &str) -> &str {
        self.0[member]
            .as_str()
            .unwrap_or_else(|| panic!("{member} in {}", self.0))
    }
}

async fn put(caller: &Caller, job: &str, body: &str) -> String {
    let sent = caller
        .post(&format!("/api/v1/jobs/{job}/messages"), body.to_owned())
        .await;
    let sent = json(sent, StatusCode::CREATED).await;
    sent["id"].as_str().expect("an id").to_owned()
}

async fn lease(caller: &Caller, job: &str, max: usize) -> Vec<Value> {
    let asked = json!({ "max": max, "lease_seconds": 60 }).to_string();
    let leased = json(
        caller.post(&format!("/api/v1/jobs/{job}/leases"), asked).await,
        StatusCode::OK,
    )
    .await;
    leased["leases"].as_array().expect("leases").clone()
}

async fn settle(caller: &Caller, lease: &Value, how: &str, body: &str) {
    let receipt = in_path(lease["receipt"].as_str().expect("a receipt"));
    let settled = caller
        .post(&format!("/api/v1/leases/{receipt}/{how}"), body.to_owned())
        .await;
    json(settled, StatusCode::OK).await;
}

/// Something of everything, and a process that dies with it.
async fn furnish(site: &Site, keeper: &Credentials) -> Known {
    let service = site.start("data").await;
    let caller = Caller::new(&service, keeper).await;
    let ended = put(&caller, PARTS, FIRST).await;
    let before = caller.ended(&ended).await;
    assert_eq!(before.status(), "ProcessedWithErrors");
    json(
        caller
            .post(
                &format!("/api/v1/jobs/{PARTS}/pause"),
                r#"{"note":"until the new version"}"#,
            )
            .await,
        StatusCode::OK,
    )
    .await;
    let waiting = put(&caller, PARTS, WAITING).await;
    json(
        caller.post("/api/v1/jobs/Parts%20out/run", "").await,
        StatusCode::ACCEPTED,
    )
    .await;
    for parcel in ["acknowledged", "refused", "leased", "waits"] {
        put(&caller, PARCELS, parcel).await;
    }
    let parcels = lease(&caller, PARCELS, 3).await;
    settle(&caller, &parcels[0], "ack", "").await;
    settle(
        &caller,
        &parcels[1],
        "reject",
        r#"{"reason":"torn","dead_letter":true}"#,
    )
    .await;
    let exported = loop {
        if let Some(exported) = lease(&caller, "Parts%20out", 1).await.pop() {
            break exported;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    settle(&caller, &exported, "release", "").await;
    service.kill9();
    Known(json!({
        "client": keeper.id, "secret": keeper.secret, "ended": ended, "records": before.0["records"], "waiting": waiting,
        "receipt": parcels[2]["receipt"], "exported": exported["id"], "exported_digest": exported["digest"],
    }))
}

/// What `furnish` left is there, and goes on.
async fn goes_on(service: &Service, site: &Site, known: &Known) {
    let keeper = Credentials {
        id: known.text("client").to_owned(),
        secret: known.text("secret").to_owned(),
    };
    let caller = Caller::new(service, &keeper).await;
    let ended = known.text("ended");
    let before = caller.message(ended).await;
    assert_eq!(
        (before.status(), &before.0["records"]),
        ("ProcessedWithErrors", &known.0["records"])
    );
    imports_go_on(&caller, ended, known.text("waiting")).await;
    let landed = rows(
        site.business_url(),
        "select part, cast(pieces as text) from parts order by part",
    )
    .await;
    let row = |part: &str, pieces: &str| vec![Some(part.to_owned()), Some(pieces.to_owned())];
    assert_eq!(
        landed.iter().filter(|found| **found == row("nut", "40")).count(),
        1,
        "{landed:?}"
    );
    assert!(landed.contains(&row("screw", "12")), "{landed:?}");
    queues_go_on(&caller, known).await;
    let audit = json(caller.get("/api/v1/audit/verify").await, StatusCode::OK).await;
    assert_eq!(audit["whole"], json!(true), "{audit}");
}

async fn imports_go_on(caller: &Caller, ended: &str, waiting: &str) {
    let rejects = caller.get(&format!("/api/v1/messages/{ended}/rejects")).await;
    assert_eq!(rejects.status(), StatusCode::OK);
    let corrected = rejects.text().await.expect("a text").replace("many", "12");
    let child = caller
        .post(&format!("/api/v1/messages/{ended}/resubmit"), corrected)
        .await;
    let child = json(child, StatusCode::CREATED).await;
    assert_eq!(caller.message(waiting).await.status(), "Enqueued", "its job is paused");
    json(
        caller.post(&format!("/api/v1/jobs/{PARTS}/resume"), "").await,
        StatusCode::OK,
    )
    .await;
    assert_eq!(caller.ended(waiting).await.status(), "Processed");
    let child = caller.ended(child["id"].as_str().expect("an id")).await;
    assert_eq!(child.status(), "Processed", "{}", child.0);
    assert_eq!(caller.message(ended).await.records("repaired"), 1);
}

async fn queues_go_on(caller: &Caller, known: &Known) {
    // Its lease ran out long ago, or still runs where the store was only just kept.
    let held = in_path(known.text("receipt"));
    let extended = caller.post(&format!("/api/v1/leases/{held}/release"), "").await;
    assert!(
        [StatusCode::OK, StatusCode::CONFLICT].contains(&extended.status()),
        "a receipt of before is known: {}",
        extended.text().await.expect("a text")
    );
    let dead = json(caller.get("/api/v1/dead-letters?job=Parcels").await, StatusCode::OK).await;
    assert_eq!(dead["messages"].as_array().map(Vec::len), Some(1), "{dead}");
    let redrive = json!({ "action": "retry", "filter": { "job": "Parcels", "status": "DeadLettered" } });
    let redriven = json(
        caller.post("/api/v1/messages/bulk", redrive.to_string()).await,
        StatusCode::OK,
    )
    .await;
    assert_eq!(redriven["done"], json!(1), "{redriven}");
    let mut parcels = Vec::new();
    for lease in lease(caller, PARCELS, 10).await {
        let link = lease["links"]["payload"].as_str().expect("a link");
        parcels.push(caller.get(link).await.text().await.expect("a text"));
        settle(caller, &lease, "ack", "").await;
    }
    parcels.sort();
    assert_eq!(parcels, ["leased", "refused", "waits"]);
    let exported = lease(caller, "Parts%20out", 1)
        .await
        .pop()
        .expect("it waits for its collector");
    assert_eq!(exported["id"], known.0["exported"]);
    assert_eq!(exported["digest"], known.0["exported_digest"]);
    settle(caller, &exported, "ack", "").await;
}

async fn a_store_of_each_earlier_version_goes_on(store: TestDatabase) {
    let kind = kind(&store.url);
    let mut kept: Vec<PathBuf> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stores"))
        .expect("the kept stores")
        .map(|entry| entry.expect("an entry").path().join(kind))
        .collect();
    kept.sort();
    assert!(!kept.is_empty());
    drop(store);
    for kept in kept {
        let database = if kind == "sqlite" {
            TestDatabase::sqlite()
        } else {
            TestDatabase::postgres()
                .await
                .expect("the cluster that gave one database")
        };
        let dump = std::fs::read_to_string(kept.join("store.sql")).expect("a dump");
        run(&database.url, &dump).await;
        let mut site = Site::on(database).await;
        define(&mut site);
        if let Ok(id) = std::fs::read_to_string(kept.join("blobs.id")) {
            site.write("blobs/blobs.id", &id);
        }
        let known = std::fs::read_to_string(kept.join("known.json")).expect("what was known");
        let known = Known(serde_json::from_str(&known).expect("JSON"));
        let service = site.start("data").await;
        goes_on(&service, &site, &known).await;
        assert!(service.stop().await.success(), "{}", kept.display());
    }
}

/// How a store is kept; without being asked to, it is taken up by the same version.
async fn a_store_can_be_kept(store: TestDatabase) {
    let url = store.url.clone();
    let mut site = Site::on(store).await;
    define(&mut site);
    let keeper = site.add_client("keeper", "admin");
    let known = furnish(&site, &keeper).await;
    if let Ok(folder) = std::env::var("TRANSHIP_KEEP_STORES") {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(kind(&url));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("store.sql"), dump(&url)).expect("the dump is written");
        if let Ok(id) = std::fs::read_to_string(site.path("blobs/blobs.id")) {
            std::fs::write(folder.join("blobs.id"), id).expect("the id is written");
        }
        let known = serde_json::to_string_pretty(&known.0).expect("JSON") + "\n";
        std::fs::write(folder.join("known.json"), known).expect("it is written");
    }
    let service = site.start("data").await;
    goes_on(&service, &site, &known).await;
    assert!(service.stop().await.success());
}

fn kind(url: &str) -> &'static str {
    if url.starts_with("sqlite") {
        "sqlite"
    } else {
        "postgres"
    }
}

/// The database as text, by its own tool.
fn dump(url: &str) -> String {
    let mut command;
    if let Some(file) = url.strip_prefix("sqlite://") {
        command = Command::new("sqlite3");
        command.args([file, ".dump"]);
    } else {
        command = Command::new("pg_dump");
        command.args(["--inserts", "--no-owner", "--no-privileges", url]);
    }
    let output = command.output().expect("sqlite3 or pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    // What only psql understands, and what makes the connection forget its schema.
    let wanted = |line: &&str| !line.starts_with('\\') && !line.contains("search_path");
    text.lines().filter(wanted).flat_map(|line| [line, "\n"]).collect()
}
