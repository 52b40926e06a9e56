//! What every folder's task works with.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::config::{AgentConfig, Retry};
use super::files::blocking;
use super::journal::Journal;
use super::record::Record;
use super::standing::{Event, Standing, Standings, Wait};
use super::trouble::{Kind, Trouble};
use crate::clock::Clock;
use crate::domain::time::Timestamp;

/// Shared by all folders of one agent.
#[derive(Debug)]
pub struct Shared {
    /// The server.
    pub client: Client,
    /// What time it is.
    pub clock: Clock,
    /// How failures are waited out.
    pub retry: Retry,
    /// Cancelled when the agent is to stop after what it is doing.
    pub stopping: CancellationToken,
    /// Whether it works through what is there and ends: schedules do not count then.
    pub once: bool,
    /// Where the server's own pages of a message are; only Tranship has them.
    pub message_pages: Option<url::Url>,
    journal: Mutex<Journal>,
    standings: Mutex<Standings>,
}

impl Shared {
    /// Of these parts.
    #[must_use]
    pub fn new(
        client: Client,
        config: &AgentConfig,
        journal: Journal,
        clock: Clock,
        once: bool,
        stopping: CancellationToken,
    ) -> Self {
        let is_tranship = config.server.product == super::config::Product::Tranship;
        Self {
            client,
            clock,
            retry: config.retry,
            stopping,
            once,
            message_pages: is_tranship.then(|| config.server.url.clone()),
            journal: Mutex::new(journal),
            standings: Mutex::new(Standings::open(&config.state_dir)),
        }
    }

    /// Writes a state down before the next step is taken.
    ///
    /// # Errors
    /// The disk's.
    pub async fn note(self: &std::sync::Arc<Self>, record: Record) -> Result<(), Trouble> {
        let shared = std::sync::Arc::clone(self);
        blocking(move || {
            let mut journal = shared.journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal
                .note(record)
                .map_err(|error| Trouble::new(Kind::Local, error.to_string()))
        })
        .await
    }

    /// The state of one thing.
    #[must_use]
    pub fn known(&self, key: &str) -> Option<Record> {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.get(key).cloned()
    }

    /// The states of one folder's things that are not over, oldest first.
    #[must_use]
    pub fn live(&self, flow: &str) -> Vec<Record> {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let live = journal
            .records()
            .into_iter()
            .filter(|record| record.flow() == flow && !record.is_over());
        live.cloned().collect()
    }

    /// How many things are not over, by folder.
    #[must_use]
    pub fn live_flows(&self) -> std::collections::BTreeMap<String, usize> {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = std::collections::BTreeMap::new();
        for record in journal.records() {
            let is_thing = !record.is_over() && !matches!(record, Record::Due { .. });
            *counts.entry(record.flow().to_owned()).or_default() += usize::from(is_thing);
        }
        counts.retain(|_, count| *count > 0);
        counts
    }

    /// Says in log and standing that something ended well.
    pub fn done(&self, flow: &str, what: String) {
        tracing::info!(folder = flow, "{what}");
        let event = self.event(what);
        self.change(flow, |standing| {
            standing.done += 1;
            standing.last_done = Some(event);
        });
    }

    /// Says in log and standing that a file ended badly.
    pub fn failed(&self, flow: &str, what: String) {
        tracing::error!(folder = flow, "{what}");
        let event = self.event(what);
        self.change(flow, |standing| {
            standing.failed += 1;
            standing.last_failure = Some(event);
        });
    }

    /// Says in log and standing what is in the way of one file only.
    pub fn told_aside(&self, flow: &str, trouble: &Trouble) {
        tracing::warn!(folder = flow, kind = ?trouble.kind, "{trouble}");
        let event = self.event(trouble.what.clone());
        self.change(flow, |standing| standing.last_failure = Some(event));
    }

    /// Says in log and standing that a step did not succeed, and how long it waits.
    pub fn troubled(&self, flow: &str, trouble: &Trouble, wait: Duration) {
        tracing::warn!(folder = flow, kind = ?trouble.kind, wait_seconds = wait.as_secs_f64(), "{trouble}");
        let event = self.event(trouble.what.clone());
        let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        let pause = Wait {
            until: Some(event.at.plus_seconds(seconds)),
            why: trouble.what.clone(),
        };
        self.change(flow, |standing| {
            standing.last_failure = Some(event);
            standing.waits = Some(pause);
        });
    }

    /// Says in the standing what a folder waits for that somebody has to do; nothing: it does not wait.
    pub fn waits(&self, flow: &str, why: Option<String>) {
        let wait = why.map(|why| Wait { until: None, why });
        self.change(flow, |standing| standing.waits = wait);
    }

    fn event(&self, what: String) -> Event {
        Event {
            at: self.clock.now(),
            what,
        }
    }

    fn change(&self, flow: &str, change: impl FnOnce(&mut Standing)) {
        let mut standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = standings.change(flow, change) {
            tracing::warn!(folder = flow, %error, "cannot write how the folders stand");
        }
    }

    /// Whether a schedule has something due that nobody saw to; it is asked for the first time when the folder is new.
    ///
    /// # Errors
    /// The disk's.
    pub async fn is_due(
        self: &std::sync::Arc<Self>,
        flow: &str,
        schedule: Option<&crate::domain::schedule::Schedule>,
        seen_to: Option<Timestamp>,
    ) -> Result<bool, Trouble> {
        let Some(schedule) = schedule else { return Ok(false) };
        let now = self.clock.now();
        let noted = match self.known(&format!("due {flow}")) {
            Some(Record::Due { until, .. }) => Some(until),
            _ => None,
        };
        let Some(until) = noted.max(seen_to) else {
            self.see_to(flow, now).await?;
            return Ok(false);
        };
        Ok(!schedule.due_between(until, now, 1).is_empty())
    }

    /// Everything due until then was seen to.
    ///
    /// # Errors
    /// The disk's.
    pub async fn see_to(self: &std::sync::Arc<Self>, flow: &str, until: Timestamp) -> Result<(), Trouble> {
        let flow = flow.to_owned();
        self.note(Record::Due { flow, until }).await
    }
}
