//! Promises 1, 2, 4, 5 and 8: imports of every kind, killed at each of their steps.

use reqwest::StatusCode;

use super::place::{Payloads, Place};
use crate::in_every_place;
use crate::readings::{self, Readings};
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, json};

in_every_place!(an_import_killed_at_each_of_its_steps_lands_once,);

/// Each file is of so many batches and chunks of [`IN_A_BATCH`], and one of its records is bad.
const RECORDS: u64 = 60;
const IN_A_BATCH: &str = "20";

/// How a job loads its files, and where it is killed.
pub struct Lane {
    /// The job's id.
    pub job: &'static str,
    /// Of its `[import]` section.
    settings: &'static str,
    pub failpoints: &'static [&'static str],
    /// Whether its files land.
    lands: bool,
}

pub const LANES: [Lane; 4] = [
    Lane {
        job: "00000000-0000-4000-8000-0000000000d1",
        settings: "",
        failpoints: &[
            "import.batch_staged:2",
            "import.batch_staged:3",
            "import.chunk_promoted:2",
            "import.chunk_promoted:3",
        ],
        lands: true,
    },
    Lane {
        job: "00000000-0000-4000-8000-0000000000d2",
        settings: "skip_staging = true\n",
        failpoints: &[
            "import.batch_landed",
            "import.batch_landed:2",
            "import.landing_ended",
            "import.rejects_copied",
            "import.finished",
        ],
        lands: true,
    },
    Lane {
        job: "00000000-0000-4000-8000-0000000000d3",
        settings: "atomicity = \"file\"\nmax_errors = 5\n",
        failpoints: &["import.file_promoted", "import.rejects_copied", "import.finished"],
        lands: true,
    },
    // More is bad than allowed.
    Lane {
        job: "00000000-0000-4000-8000-0000000000d4",
        settings: "max_errors = 0\n",
        failpoints: &["import.load_stopped", "import.rejects_copied", "import.finished"],
        lands: false,
    },
];

/// A file sent again and again until its enqueue is answered.
pub struct Sent {
    pub lane: &'static Lane,
    pub file: Readings,
    key: String,
    /// The message, once an answer said it.
    id: Option<String>,
}

impl Sent {
    /// The `number`th of all files.
    pub fn new(number: usize, lane: &'static Lane, failpoint: &str) -> Self {
        Self {
            lane,
            file: Readings {
                // Number 499 of each thousand is bad.
                first: number as u64 * 1000 + 470,
                count: RECORDS,
            },
            key: format!("{number} {failpoint}"),
            id: None,
        }
    }

    /// Enqueues it unless that is answered already; there may be no answer.
    pub async fn offer(&mut self, caller: &Caller) {
        if self.id.is_none() {
            self.id = self.ask(caller).await;
        }
    }

    async fn ask(&self, caller: &Caller) -> Option<String> {
        let path = format!("/api/v1/jobs/{}/messages", self.lane.job);
        let answer = caller.try_post_once(&path, &self.key, self.file.file()).await.ok()?;
        assert!(
            [StatusCode::CREATED, StatusCode::OK].contains(&answer.status()),
            "{} says {}",
            self.key,
            answer.status()
        );
        let body: serde_json::Value = answer.json().await.ok()?;
        Some(body["id"].as_str().expect("an id").to_owned())
    }

    /// It is one message, which ended as it must.
    async fn assert_ended(&self, caller: &Caller) -> u64 {
        let id = self.ask(caller).await.expect("an answer");
        if let Some(before) = &self.id {
            assert_eq!(*before, id, "{}: what was acknowledged is that message", self.key);
        }
        let ended = caller.ended(&id).await;
        if self.lane.lands {
            self.file.assert_counted(&ended);
        } else {
            assert_eq!(ended.0["status"], "PostProcessingFailed", "{}: {}", self.key, ended.0);
            let counts = ["read", "applied", "rejected", "skipped"].map(|outcome| ended.records(outcome));
            assert_eq!(counts, [RECORDS, 0, 1, RECORDS - 1], "{}: {}", self.key, ended.0);
        }
        let listed = json(
            caller.get(&format!("/api/v1/messages/{id}/errors")).await,
            StatusCode::OK,
        )
        .await;
        assert_eq!(
            listed["errors"].as_array().map(Vec::len),
            Some(1),
            "{}: {listed:#}",
            self.key
        );
        let payload = caller
            .get(&format!("/api/v1/messages/{id}/payload"))
            .await
            .bytes()
            .await;
        assert_eq!(payload.expect("all of it"), self.file.file(), "{}", self.key);
        ended.attempt()
    }
}

/// A site with the entity and a job for each lane, whose target table is watched.
pub async fn site_of_imports(store: TestDatabase, payloads: Payloads) -> Place {
    let (entity, job) = readings::definitions();
    let jobs = LANES.map(|lane| {
        let named = job
            .replace(readings::JOB, lane.job)
            .replace("Inbound meter readings", &format!("Readings {}", lane.job))
            .replace("format = \"csv\"\n", &format!("format = \"csv\"\n{}", lane.settings));
        (format!("jobs/{}.toml", lane.job), named)
    });
    let mut files: Vec<(&str, &str)> = jobs.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("entities/meter-readings.toml", entity));
    let mut place = Place::new(store, payloads, &files).await;
    place.site.set("TRANSHIP_IMPORT__BATCH_RECORDS", IN_A_BATCH);
    place.site.set("TRANSHIP_IMPORT__CHUNK_RECORDS", IN_A_BATCH);
    // The first import makes the table.
    let (service, caller) = place.live().await;
    let mut first = Sent::new(0, &LANES[0], "none");
    first.offer(&caller).await;
    first.assert_ended(&caller).await;
    assert!(service.stop().await.success());
    readings::watch_target(&place.site).await;
    place
}

/// The last life: everything sent comes to its end, once. How often messages were taken in all.
pub async fn assert_all_ended(place: &Place, sent: &[Sent]) -> u64 {
    let (service, caller) = place.live().await;
    let mut attempts = 0;
    for one in sent {
        attempts += one.assert_ended(&caller).await;
    }
    let first = Sent::new(0, &LANES[0], "none");
    let landed: Vec<_> = [&first]
        .into_iter()
        .chain(sent)
        .filter(|one| one.lane.lands)
        .map(|one| one.file)
        .collect();
    readings::assert_landed(&place.site, &landed).await;
    let messages = sent.len() as u64 + 1;
    assert_eq!(place.number("select count(*) from messages").await, messages);
    assert_eq!(
        place.number("select count(*) from record_errors").await,
        messages,
        "rejects"
    );
    assert_eq!(place.number("select count(*) from outcomes").await, messages);
    place.is_swept(messages).await;
    assert!(service.stop().await.success());
    attempts
}

async fn an_import_killed_at_each_of_its_steps_lands_once(store: TestDatabase, payloads: Payloads) {
    let place = site_of_imports(store, payloads).await;
    let staged = tranship::failpoint::ENQUEUE.iter().chain(&tranship::failpoint::IMPORT);
    let staged = staged.map(|failpoint| (&LANES[0], failpoint));
    let own = LANES
        .iter()
        .flat_map(|lane| lane.failpoints.iter().map(move |failpoint| (lane, failpoint)));
    let steps = staged.chain(own);
    let mut sent = Vec::new();
    for (lane, failpoint) in steps.filter(|(_, failpoint)| place.has_blobs() || !failpoint.starts_with("upload.")) {
        sent.push(Sent::new(sent.len() + 1, lane, failpoint));
        place
            .die_at(failpoint, async |caller| {
                for one in &mut sent {
                    one.offer(caller).await;
                }
            })
            .await;
    }
    let attempts = assert_all_ended(&place, &sent).await;
    eprintln!(
        "crash matrix: {} imports, killed at each step, {attempts} attempts, each record landed once",
        sent.len()
    );
    assert!(
        attempts > sent.len() as u64,
        "{attempts} attempts at {} messages",
        sent.len()
    );
}
