//! Waiting for a message or a run to end, by polling: every status is true at any moment, so nothing can be missed.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::answers::{Answer, Message, RunHistory, RunList};
use super::api::Api;
use super::progress::{Cleared, spinner, standing};
use super::screen::Screen;
use super::shell::program;
use super::{Exit, Failure};

/// First pause between two looks; it doubles up to [`PAUSE_MILLISECONDS_MAX`].
const PAUSE_MILLISECONDS_MIN: u64 = 50;
/// Longest pause between two looks.
const PAUSE_MILLISECONDS_MAX: u64 = 1000;
/// A service that restarts is waited for this long before waiting is given up.
const OUTAGE_SECONDS_MAX: u64 = 60;

/// Pauses that grow, and patience with a service that is away for a moment.
struct Patience {
    pause: Duration,
    away_since: Option<Instant>,
}

impl Patience {
    fn new() -> Self {
        Self {
            pause: Duration::from_millis(PAUSE_MILLISECONDS_MIN),
            away_since: None,
        }
    }

    /// Keeps an answer, swallows a short outage, gives back every other failure.
    fn judge<T>(&mut self, looked: Result<T, Failure>, bar: &Cleared) -> Result<Option<T>, Failure> {
        match looked {
            Ok(answer) => {
                self.away_since = None;
                Ok(Some(answer))
            }
            Err(failure) if failure.exit == Exit::Unreachable => {
                let since = *self.away_since.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_secs(OUTAGE_SECONDS_MAX) {
                    return Err(failure);
                }
                bar.set_message("the service is away, trying again");
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn pause(&mut self) {
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(PAUSE_MILLISECONDS_MAX));
    }
}

/// Waits for the work, or for Ctrl-C: then only the waiting ends. `goes_on` says what does not, and how to see it again.
///
/// # Errors
/// The work's own, and [`Exit::Failed`] when it was interrupted.
pub async fn or_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
    goes_on: impl FnOnce() -> (String, String),
) -> Result<T, Failure> {
    tokio::select! {
        ended = work => ended,
        Ok(()) = tokio::signal::ctrl_c() => {
            let (what, cure) = goes_on();
            Err(Failure::failed(format!("not waiting any more; {what}")).cure(cure))
        }
    }
}

/// [`message_end`], where Ctrl-C ends only the waiting.
///
/// # Errors
/// As [`message_end`] and [`or_interrupted`].
pub async fn message_end_or_interrupted(
    api: &Api,
    screen: &Screen,
    id: &str,
    seen: impl FnMut(&Message),
) -> Result<Answer<Message>, Failure> {
    or_interrupted(message_end(api, screen, id, seen), || {
        (
            "the message goes on by itself".to_owned(),
            format!("Watch it: {} status {} --watch", program(), super::screen::plain(id)),
        )
    })
    .await
}

/// Waits until nothing more happens to the message. `seen` is called with every new standing.
///
/// # Errors
/// Whatever the service answers but 2xx, and an outage past [`OUTAGE_SECONDS_MAX`].
pub async fn message_end(
    api: &Api,
    screen: &Screen,
    id: &str,
    mut seen: impl FnMut(&Message),
) -> Result<Answer<Message>, Failure> {
    let bar = Cleared::from(spinner(screen));
    let mut patience = Patience::new();
    loop {
        if let Some(answer) = patience.judge(api.message(id).await, &bar)? {
            bar.set_message(standing(&answer.body));
            seen(&answer.body);
            if answer.body.ended() {
                return Ok(answer);
            }
        }
        patience.pause().await;
    }
}

/// Waits until the job's run of this due time is over.
///
/// # Errors
/// As [`message_end`]; [`Exit::Failed`] when the run is not among the job's latest occurrences.
pub async fn run_end(api: &Api, screen: &Screen, job: &str, due_at: &str) -> Result<Answer<RunHistory>, Failure> {
    let bar = Cleared::from(spinner(screen));
    let mut patience = Patience::new();
    loop {
        let path = ["api", "v1", "jobs", job, "occurrences"];
        let looked = api.get::<RunList>(&path, &[("limit", "100")]).await;
        if let Some(mut listed) = patience.judge(looked, &bar)? {
            let runs = &listed.body.occurrences;
            let Some(at) = runs.iter().position(|run| run.occurrence.due_at == due_at) else {
                return Err(Failure::failed(format!(
                    "the run of {due_at} is not among the latest of this job"
                )));
            };
            let run = listed.body.occurrences.swap_remove(at);
            if run.occurrence.ended() {
                let raw = listed.raw["occurrences"][at].take();
                return Ok(Answer { raw, body: run });
            }
            bar.set_message(super::screen::plain(&run.occurrence.state));
        }
        patience.pause().await;
    }
}
