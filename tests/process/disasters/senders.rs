//! Middleware that goes on sending while things break, as it should: each file under a key of its own, again until it is acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::readings::{self, Readings};
use crate::service::Service;
use crate::site::Site;
use crate::wire::{Caller, http};

/// Records of a file.
const RECORDS: u64 = 20;
/// Rest between two files of a sender.
const REST: Duration = Duration::from_millis(150);
const SENDERS: usize = 6;
/// Longest anybody waits for an answer, whatever is broken.
const PATIENCE: Duration = Duration::from_secs(45);

/// What was sent and what was answered.
pub struct Senders {
    base: String,
    token: String,
    next: AtomicU64,
    is_over: AtomicBool,
    acknowledged: Mutex<BTreeMap<u64, String>>,
    /// Files that were answered 503 at least once.
    refused: AtomicU64,
    slowest_micros: AtomicU64,
}

/// At work.
pub struct Sending {
    senders: Arc<Senders>,
    tasks: tokio::task::JoinSet<()>,
}

impl Senders {
    pub fn start(service: &Service, caller: &Caller) -> Sending {
        let senders = Arc::new(Self {
            base: service.base.clone(),
            token: caller.token().to_owned(),
            next: AtomicU64::new(1),
            is_over: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            refused: AtomicU64::new(0),
            slowest_micros: AtomicU64::new(0),
        });
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..SENDERS {
            tasks.spawn(Arc::clone(&senders).live());
        }
        Sending { senders, tasks }
    }

    async fn live(self: Arc<Self>) {
        let http = http();
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let mut was_refused = false;
            // Once begun, a file is brought to its acknowledgement: what is over is the outage, not the middleware.
            loop {
                if let Some(id) = self.send(&http, number).await {
                    self.acknowledged.lock().await.insert(number, id);
                    break;
                }
                was_refused = true;
                tokio::time::sleep(REST).await;
            }
            self.refused.fetch_add(u64::from(was_refused), Ordering::Relaxed);
            tokio::time::sleep(REST).await;
        }
    }

    /// The message's id; none where the sender is told to come again.
    async fn send(&self, http: &reqwest::Client, number: u64) -> Option<String> {
        let url = format!(
            "{}/api/v1/jobs/{}/messages?entity=Meter%20readings",
            self.base,
            readings::JOB
        );
        let request = http
            .post(url)
            .bearer_auth(&self.token)
            .header("Idempotency-Key", format!("file-{number}"))
            .body(file(number).file());
        let began = Instant::now();
        let answer = request.send().await.expect("whatever is broken, there is an answer");
        let micros = u64::try_from(began.elapsed().as_micros()).expect("small");
        self.slowest_micros.fetch_max(micros, Ordering::Relaxed);
        let (status, again) = (answer.status(), answer.headers().get("retry-after").cloned());
        let body: Value = answer.json().await.expect("JSON, whatever happened");
        if matches!(status, StatusCode::CREATED | StatusCode::OK) {
            return Some(body["id"].as_str().expect("an id").to_owned());
        }
        assert!(
            matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS),
            "{status}: {body}"
        );
        let again = again.unwrap_or_else(|| panic!("Retry-After with {body}"));
        assert!(
            again.to_str().is_ok_and(|text| text.parse::<u32>().is_ok()),
            "{again:?}"
        );
        assert!(body["code"].is_string() && body["detail"].is_string(), "{body}");
        None
    }
}

impl Sending {
    /// Everything that was begun is acknowledged; nothing new is begun.
    pub async fn stop(self) -> Sent {
        self.senders.is_over.store(true, Ordering::Relaxed);
        let all = self.tasks.join_all();
        tokio::time::timeout(PATIENCE, all)
            .await
            .expect("the service is back, and takes what waits");
        let slowest = Duration::from_micros(self.senders.slowest_micros.load(Ordering::Relaxed));
        assert!(slowest < PATIENCE, "an answer took {slowest:?}");
        Sent {
            refused: self.senders.refused.load(Ordering::Relaxed),
            acknowledged: std::mem::take(&mut *self.senders.acknowledged.lock().await),
        }
    }
}

/// What was acknowledged, once all was sent.
pub struct Sent {
    pub refused: u64,
    acknowledged: BTreeMap<u64, String>,
}

impl Sent {
    /// Every file has ended with true counts, landed once, and there is no message beside them.
    pub async fn all_landed(&self, site: &Site, caller: &Caller) {
        let mut files = Vec::new();
        for (number, id) in &self.acknowledged {
            file(*number).assert_counted(&caller.ended(id).await);
            files.push(file(*number));
        }
        readings::assert_landed(site, &files).await;
        let mut ids: Vec<&String> = self.acknowledged.values().collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), self.acknowledged.len(), "a message for each file");
        assert_eq!(
            self.listed(caller).await,
            ids.len() + 1,
            "and the one that made the table"
        );
    }

    /// How many messages the job has.
    async fn listed(&self, caller: &Caller) -> usize {
        let (mut count, mut before) = (0, String::new());
        loop {
            let path = format!("/api/v1/messages?job={}&limit=100{before}", readings::JOB);
            let page: Value = caller.get(&path).await.json().await.expect("a page");
            count += page["messages"].as_array().unwrap_or_else(|| panic!("{page}")).len();
            match page["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => return count,
            }
        }
    }
}

/// A file of its own numbers.
fn file(number: u64) -> Readings {
    Readings {
        first: number * RECORDS,
        count: RECORDS,
    }
}

/// A file that is there before anything breaks: its target is watched from then on.
pub async fn first_file(site: &Site, caller: &Caller) {
    let id = caller
        .push(
            readings::JOB,
            readings::ENTITY,
            b"reading,meter,consumption,note\n".to_vec(),
        )
        .await;
    assert!(caller.ended(&id).await.is_final());
    readings::watch_target(site).await;
}
