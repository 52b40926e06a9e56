//! The kinds of work a bench does, each by so many clients at once.
//!
//! A cycle enqueues, leases and acknowledges in turns, so as many calls are under way as there are clients and the queue
//! stays short. Every client leases only after it enqueued, so there is always something to lease: a lease that finds nothing
//! is counted, and asked again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use super::http::{Connection, Target};
use super::tally::{Load, Tally, Window};
use super::wire::{Leases, MARK, Outcomes, Taken, Wire, read};
use crate::cli::Failure;

/// Longest pause after a 429, whatever the service asks for.
const PAUSE_SECONDS_MAX: u64 = 5;
/// Refusals in a row after which a client gives up.
const THROTTLES_MAX: u32 = 100;

/// What to do with a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Work {
    /// Enqueue, lease and acknowledge in turns
    Cycle,
    /// Enqueue only; the messages stay
    Fill,
    /// Lease only; nothing is acknowledged
    Hold,
    /// Poll the status of messages this run enqueued
    Status,
    /// Poll /health/live, to compare with
    Live,
}

impl Work {
    /// Its name in figures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cycle => "cycle",
            Self::Fill => "fill",
            Self::Hold => "hold",
            Self::Status => "status",
            Self::Live => "live",
        }
    }
}

/// What the clients of a run share.
pub(super) struct Plan {
    pub(super) target: Target,
    pub(super) wire: Wire,
    pub(super) load: Load,
    /// Messages whose status can be polled.
    pub(super) ids: Vec<String>,
}

/// Runs one kind of work to its end; returns what was seen and the seconds that counted.
///
/// # Errors
/// The first failure of any client: a service that fails is not measured.
pub(super) async fn run(work: Work, plan: &Arc<Plan>) -> Result<(Tally, f64), Failure> {
    let mut connections = Vec::new();
    for _ in 0..plan.load.clients {
        connections.push(plan.target.connect().await?);
    }
    let window = match (work, plan.load.messages) {
        (Work::Cycle | Work::Fill | Work::Hold, Some(messages)) => Window::counted(messages),
        _ => Window::timed(&plan.load),
    };
    let mut clients = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let client = Client {
            number,
            connection,
            plan: Arc::clone(plan),
            tally: Tally::new(&window),
            window: window.clone(),
        };
        clients.spawn(client.work(work));
    }
    let mut all = Tally::new(&window);
    let mut seconds = None;
    while let Some(client) = clients.join_next().await {
        let tally = client.map_err(|error| Failure::failed(format!("a client of the bench broke: {error}")))??;
        all.merge(tally);
        seconds = Some(window.seconds());
    }
    if work == Work::Cycle {
        settle(plan, &window, &mut all).await?;
    }
    Ok((all, seconds.unwrap_or_default()))
}

/// Acknowledges what the clients left when time was up, so that the queue is as long as before.
async fn settle(plan: &Arc<Plan>, window: &Window, all: &mut Tally) -> Result<(), Failure> {
    let mut client = Client {
        number: 0,
        connection: plan.target.connect().await?,
        plan: Arc::clone(plan),
        tally: Tally::new(window),
        window: window.clone(),
    };
    while all.owed > 0 {
        let wanted = u16::try_from(all.owed).unwrap_or(u16::MAX).min(1000);
        let receipts = client.lease(wanted, false).await?;
        if receipts.is_empty() {
            break;
        }
        client.ack(&receipts).await?;
        all.owed = all.owed.saturating_sub(receipts.len() as u64);
    }
    all.merge(client.tally);
    Ok(())
}

/// One client with a connection of its own.
struct Client {
    number: usize,
    connection: Connection,
    plan: Arc<Plan>,
    tally: Tally,
    window: Window,
}

impl Client {
    async fn work(mut self, work: Work) -> Result<Tally, Failure> {
        match work {
            Work::Cycle => self.cycle().await?,
            Work::Fill => self.fill().await?,
            Work::Hold => self.hold().await?,
            Work::Status | Work::Live => self.poll(work).await?,
        }
        Ok(self.tally)
    }

    async fn cycle(&mut self) -> Result<(), Failure> {
        loop {
            let batch = self.window.take(self.plan.load.batch);
            if batch == 0 {
                return Ok(());
            }
            self.enqueue(batch).await?;
            self.tally.owed += u64::from(batch);
            let mut missing = batch;
            while missing > 0 && !self.window.is_over() {
                let receipts = self.lease(missing, true).await?;
                if receipts.is_empty() {
                    self.tally.empty_lease();
                    continue;
                }
                self.ack(&receipts).await?;
                self.tally.done(receipts.len());
                self.tally.owed = self.tally.owed.saturating_sub(receipts.len() as u64);
                missing = missing.saturating_sub(u16::try_from(receipts.len()).unwrap_or(u16::MAX));
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        loop {
            let batch = self.window.take(self.plan.load.batch);
            if batch == 0 {
                return Ok(());
            }
            self.enqueue(batch).await?;
            self.tally.done(batch.into());
        }
    }

    async fn hold(&mut self) -> Result<(), Failure> {
        loop {
            let batch = self.window.take(self.plan.load.batch);
            if batch == 0 {
                return Ok(());
            }
            let receipts = self.lease(batch, true).await?;
            if receipts.is_empty() {
                return Ok(());
            }
            self.tally.done(receipts.len());
        }
    }

    async fn poll(&mut self, work: Work) -> Result<(), Failure> {
        let plan = Arc::clone(&self.plan);
        // Every client walks over all ids in an order of its own: a stride with no factor in common with their number.
        let mut at = self.number * 7919;
        while self.window.take(1) > 0 {
            let path = match work {
                Work::Live => "/health/live".to_owned(),
                _ if plan.ids.is_empty() => {
                    return Err(Failure::usage("there are no messages to poll")
                        .cure("Let `cycle` or `fill` come before `status`."));
                }
                _ => format!("/api/v1/messages/{}", plan.ids[at % plan.ids.len()]),
            };
            at += 104_729;
            let started = Instant::now();
            let answer = self.connection.ask("GET", &path, "", &[]).await?;
            if answer.status != 200 {
                return Err(answer.refusal(&path));
            }
            self.tally.operation(work.name(), started);
            self.tally.done(1);
        }
        Ok(())
    }

    /// Enqueues so many messages and remembers some of their ids.
    async fn enqueue(&mut self, messages: u16) -> Result<(), Failure> {
        let plan = Arc::clone(&self.plan);
        let room = Tally::room_for(plan.load.clients);
        let started = Instant::now();
        if plan.load.batch == 1 {
            let body = self
                .post(
                    &plan.wire.enqueue_path,
                    "application/octet-stream",
                    &plan.wire.payload,
                    201,
                )
                .await?;
            let id = read::<Taken<'_>>(&body, "an enqueue")?.id.into_owned();
            self.tally.operation("enqueue", started);
            self.tally.remember(&id, room);
            return Ok(());
        }
        let path = &plan.wire.enqueue_batch_path;
        let body = self
            .post(path, "application/json", &plan.wire.enqueue_batch(messages), 200)
            .await?;
        self.tally.operation("enqueue", started);
        let outcomes: Outcomes<'_> = read(&body, "a batch of messages")?;
        all_done(&outcomes, messages.into(), 201, "messages enqueued")?;
        if let Some(id) = outcomes.results.first().and_then(|first| first.id.as_ref()) {
            self.tally.remember(id, room);
        }
        Ok(())
    }

    /// Leases up to `max` messages; their receipts.
    async fn lease(&mut self, max: u16, payload: bool) -> Result<Vec<String>, Failure> {
        let plan = Arc::clone(&self.plan);
        let started = Instant::now();
        let body = self
            .post(
                &plan.wire.lease_path,
                "application/json",
                &Wire::lease(max, payload),
                200,
            )
            .await?;
        self.tally.operation("lease", started);
        let leases: Leases<'_> = read(&body, "a lease")?;
        for lease in &leases.leases {
            if lease.external_id.as_deref() != Some(MARK) {
                return Err(self.give_back(&lease.receipt, &lease.id).await);
            }
            if payload
                && lease
                    .payload
                    .as_deref()
                    .is_some_and(|got| got != plan.wire.payload_base64)
            {
                return Err(Failure::failed(format!(
                    "message {} came with other bytes than it was sent with",
                    lease.id
                )));
            }
        }
        Ok(leases
            .leases
            .into_iter()
            .map(|lease| lease.receipt.into_owned())
            .collect())
    }

    /// A message that is no bench's: it goes back uncounted and the bench ends.
    async fn give_back(&mut self, receipt: &str, id: &str) -> Failure {
        let path = Wire::on_lease(receipt, "release");
        let given = self.connection.ask("POST", &path, "", &[]).await;
        let fate = match given {
            Ok(answer) if answer.status == 200 => "it was given back",
            _ => "its lease lapses by itself",
        };
        Failure::usage(format!("message {id} of this job was not sent by a bench; {fate}"))
            .cure("Give the bench a relay job of its own: it takes every message it finds.")
    }

    async fn ack(&mut self, receipts: &[String]) -> Result<(), Failure> {
        let started = Instant::now();
        if let [receipt] = receipts
            && self.plan.load.batch == 1
        {
            self.post(&Wire::on_lease(receipt, "ack"), "", &[], 200).await?;
        } else {
            let body = Wire::ack_batch(receipts);
            let answer = self
                .post("/api/v1/leases/batch", "application/json", &body, 200)
                .await?;
            all_done(
                &read(&answer, "a batch of acks")?,
                receipts.len(),
                200,
                "leases acknowledged",
            )?;
        }
        self.tally.operation("ack", started);
        Ok(())
    }

    /// Posts until it is not refused for a full queue any more.
    async fn post(&mut self, path: &str, content_type: &str, body: &[u8], expected: u16) -> Result<Vec<u8>, Failure> {
        for _ in 0..THROTTLES_MAX {
            let answer = self.connection.ask("POST", path, content_type, body).await?;
            if answer.status == expected {
                return Ok(answer.body.to_vec());
            }
            let Some(seconds) = answer.retry_after.filter(|_| answer.status == 429) else {
                return Err(answer.refusal(path));
            };
            self.tally.throttle();
            tokio::time::sleep(Duration::from_secs(seconds.min(PAUSE_SECONDS_MAX))).await;
        }
        Err(Failure::failed(format!(
            "{path} was refused {THROTTLES_MAX} times in a row with 429"
        )))
    }
}

/// Checks the outcomes of a batch: as many as were sent, and all as expected.
fn all_done(outcomes: &Outcomes<'_>, sent: usize, expected: u16, what: &str) -> Result<(), Failure> {
    let done = outcomes
        .results
        .iter()
        .filter(|outcome| outcome.status == expected)
        .count();
    if done == sent && outcomes.results.len() == sent {
        return Ok(());
    }
    let odd = outcomes.results.iter().find(|outcome| outcome.status != expected);
    let status = odd.map_or_else(String::new, |outcome| format!("; one was answered {}", outcome.status));
    Err(Failure::failed(format!("of {sent} only {done} {what}{status}")))
}
