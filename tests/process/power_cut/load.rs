//! What a recorded service is asked, and what it answers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::readings::{self, Readings};
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::wire::{Caller, in_path, json};

pub const RELAY: &str = "00000000-0000-4000-8000-0000000000f1";
pub const RELAXED: &str = "00000000-0000-4000-8000-0000000000f2";
pub const EXPORT: &str = "00000000-0000-4000-8000-0000000000f3";
/// Records of each imported file, in batches and chunks of [`IN_A_BATCH`]; one is bad.
const RECORDS: u64 = 120;
const IN_A_BATCH: &str = "50";
/// Every so many payloads one is a blob.
const LARGE_EVERY: u64 = 3;
const LARGE_BYTES: usize = 20_000;

/// What an answer promised.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A relay message is stored, with the bytes of its number.
    Kept { id: String },
    /// The same where the job's durability is relaxed: a power cut may take it.
    Perhaps,
    /// A message is acknowledged.
    Acked { id: String },
    /// An exported message was handed out with these lines.
    Fetched { id: String, lines: Vec<String> },
    /// A file to import is stored.
    Sent { id: String },
    /// Its import has ended, and said this.
    Ended { id: String, status: String, records: Value },
}

/// A fact, and how long the journal was when its answer was there.
#[derive(Debug, Clone)]
pub struct Told {
    pub at: u64,
    pub fact: Fact,
}

/// The settings of every site, before and after the cut.
pub fn furnished(mut site: Site) -> Site {
    let data = site.data_dir("data");
    for (name, value) in [
        ("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1"),
        ("TRANSHIP_QUEUE__INLINE_MAX_BYTES", "4096"),
        ("TRANSHIP_QUEUE__UPLOAD_STALE_SECONDS", "1"),
        ("TRANSHIP_QUEUE__MAX_DELIVERIES", "1000"),
        ("TRANSHIP_IMPORT__BATCH_RECORDS", IN_A_BATCH),
        ("TRANSHIP_IMPORT__CHUNK_RECORDS", IN_A_BATCH),
        ("TRANSHIP_BLOBS__URL", &format!("file://{}/blobs", data.display())),
    ] {
        site.set(name, value);
    }
    readings::define(&site);
    for (id, name, durability) in [(RELAY, "Documents", "full"), (RELAXED, "Telemetry", "relaxed")] {
        let job = format!(
            "id = \"{id}\"\nname = \"{name}\"\ndirection = \"relay\"\nclients = [\"tester\"]\n[queue]\ndurability = \"{durability}\"\n"
        );
        site.write(&format!("jobs/{name}.toml"), &job);
    }
    let export = format!(
        "id = \"{EXPORT}\"\nname = \"Readings out\"\ndirection = \"export\"\ndata_source = \"file\"\nclients = [\"tester\"]\n[export]\nformat = \"csv\"\n\
         prevent_upload_when_zero_records = true\n[[export.entities]]\nentity = \"Meter readings\"\nrefresh = \"incremental\"\n\
         deletes = \"leave_out\"\n[queue]\nlease_seconds = 2\n"
    );
    site.write("jobs/out.toml", &export);
    site
}

/// A site whose tables are made and watched.
pub async fn site(site: Site) -> (Site, Credentials) {
    let site = furnished(site);
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let id = caller.push(readings::JOB, readings::ENTITY, file(0).file()).await;
    file(0).assert_counted(&caller.ended(&id).await);
    readings::watch_target(&site).await;
    export(&caller, |_| ()).await;
    assert!(service.stop().await.success());
    (site, tester)
}

/// The file of a number.
pub fn file(number: u64) -> Readings {
    Readings {
        first: number * 1000 + 400,
        count: RECORDS,
    }
}

/// The bytes of a number.
pub fn body(number: u64) -> Vec<u8> {
    let length = if number.is_multiple_of(LARGE_EVERY) {
        LARGE_BYTES
    } else {
        200
    };
    let mut chance = crate::support::chance::Chance::of(number);
    (0..length)
        .map(|_| u8::try_from(chance.number() % 256).expect("a byte"))
        .collect()
}

/// Clients that share their numbers and what they were told.
#[derive(Clone)]
struct Crowd {
    caller: Caller,
    journal: PathBuf,
    told: Arc<Mutex<Vec<Told>>>,
    over: Instant,
}

/// Numbers of payloads and files are not used twice, whichever round.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Has clients ask all sorts of things at once, for a while. With what they were told.
pub async fn run(service: &Service, tester: &Credentials, journal: &Path, time: Duration) -> Vec<Told> {
    let crowd = Crowd {
        caller: Caller::new(service, tester).await,
        journal: journal.to_owned(),
        told: Arc::default(),
        over: Instant::now() + time,
    };
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..2 {
        clients.spawn(crowd.clone().relay());
        clients.spawn(crowd.clone().import());
    }
    clients.spawn(crowd.clone().relaxed());
    clients.spawn(crowd.clone().collect());
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client panics");
    }
    crowd.told.lock().expect("nobody panicked").clone()
}

impl Crowd {
    fn is_over(&self) -> bool {
        Instant::now() >= self.over
    }

    /// The answer is here: everything it needs is in the journal, and was synced if it ever will be.
    fn note(&self, fact: Fact) {
        let at = std::fs::metadata(&self.journal).expect("a journal").len();
        self.told.lock().expect("nobody panicked").push(Told { at, fact });
    }

    async fn relay(self) {
        while !self.is_over() {
            let (id, number) = self.enqueue(RELAY).await;
            self.note(Fact::Kept { id });
            if number.is_multiple_of(2) {
                self.acknowledge_one().await;
            }
        }
    }

    async fn relaxed(self) {
        while !self.is_over() {
            self.enqueue(RELAXED).await;
            self.note(Fact::Perhaps);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn enqueue(&self, job: &str) -> (String, u64) {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let path = format!("/api/v1/jobs/{job}/messages?external_id={number}");
        let answer = self.caller.post(&path, body(number)).await;
        let body = json(answer, StatusCode::CREATED).await;
        (body["id"].as_str().expect("an id").to_owned(), number)
    }

    async fn acknowledge_one(&self) {
        let answer = self.caller.post(&format!("/api/v1/jobs/{RELAY}/leases"), "{}").await;
        let leases = json(answer, StatusCode::OK).await;
        let Some(receipt) = leases["leases"][0]["receipt"].as_str() else {
            return;
        };
        let path = format!("/api/v1/leases/{}/ack", in_path(receipt));
        let acked = json(self.caller.post(&path, "").await, StatusCode::OK).await;
        let id = acked["id"].as_str().expect("an id").to_owned();
        self.note(Fact::Acked { id });
    }

    async fn import(self) {
        while !self.is_over() {
            let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
            let path = format!("/api/v1/jobs/{}/messages?external_id={number}", readings::JOB);
            let answer = self.caller.post(&path, file(number).file()).await;
            let body = json(answer, StatusCode::CREATED).await;
            let id = body["id"].as_str().expect("an id").to_owned();
            self.note(Fact::Sent { id: id.clone() });
            let ended = self.caller.ended(&id).await;
            self.note(Fact::Ended {
                id,
                status: ended.status().to_owned(),
                records: ended.0["records"].clone(),
            });
        }
    }

    async fn collect(self) {
        while !self.is_over() {
            export(&self.caller, |fact| self.note(fact)).await;
        }
    }
}

/// Runs the export, and collects and acknowledges everything there is.
pub async fn export(caller: &Caller, mut note: impl FnMut(Fact)) {
    let asked = caller.post(&format!("/api/v1/jobs/{EXPORT}/run"), "").await;
    // One may be waiting already.
    assert!(
        asked.status().is_success() || asked.status() == StatusCode::CONFLICT,
        "{}",
        asked.status()
    );
    for _ in 0..600 {
        let answer = caller.get(&format!("/api/v1/jobs/{EXPORT}/occurrences?limit=20")).await;
        let listed = json(answer, StatusCode::OK).await;
        let runs = listed["occurrences"].as_array().expect("a list");
        assert!(runs.iter().all(|run| run["state"] != "failed"), "{listed:#}");
        if runs
            .iter()
            .all(|run| run["state"] != "due" && run["state"] != "running")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    loop {
        let answer = caller.post(&format!("/api/v1/jobs/{EXPORT}/leases"), "{}").await;
        let leases = json(answer, StatusCode::OK).await;
        let lease = &leases["leases"][0];
        let Some(receipt) = lease["receipt"].as_str() else {
            return;
        };
        let payload = caller.get(lease["links"]["payload"].as_str().expect("a link")).await;
        assert_eq!(payload.status(), StatusCode::OK, "{lease:#}");
        let text = payload.text().await.expect("all of it");
        // The first cell of a line is the reading's number; notes have line breaks of their own.
        let is_reading = |line: &&str| line.split(',').nth(1).is_some_and(|meter| meter.starts_with("M-"));
        let lines = text.lines().filter(is_reading).map(str::to_owned).collect();
        let id = lease["id"].as_str().expect("an id").to_owned();
        note(Fact::Fetched { id: id.clone(), lines });
        let path = format!("/api/v1/leases/{}/ack", in_path(receipt));
        // Where the lease lapsed meanwhile, it is handed out again.
        if caller.post(&path, "").await.status() == StatusCode::OK {
            note(Fact::Acked { id });
        }
    }
}
