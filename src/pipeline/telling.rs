//! What messages and runs do, told to whoever watches: phases as metrics, steps as spans of their trace.
//!
//! A message's span is its enqueue; an export's run has one of its own, which the messages it queues are children of. Each attempt
//! at an import is a span too, with its phases in it.

use opentelemetry::Value;

use super::Context;
use super::stop::RunEnd;
use crate::domain::ids::MessageId;
use crate::domain::message::Message;
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;
use crate::storage::occurrences::Occurrence;
use crate::telemetry::exemplars;
use crate::telemetry::traces::Step;

/// What is told of a step beside its name.
type Attributes = Vec<(&'static str, Value)>;

/// What was done for a message, from its beginning on.
#[derive(Debug, Clone)]
pub struct Done {
    /// What it was, in a word.
    pub name: &'static str,
    /// When it began.
    pub began: Timestamp,
    /// Why it failed, where it did.
    pub failed: Option<String>,
}

impl Done {
    /// It went well.
    #[must_use]
    pub fn well(name: &'static str, began: Timestamp) -> Self {
        Self {
            name,
            began,
            failed: None,
        }
    }
}

/// An attempt at a message: the span its phases are in.
fn attempt(message: &Message) -> TraceContext {
    message.trace().child("attempt", message.epoch)
}

fn about(message: &Message, more: Attributes) -> Attributes {
    let mut all = vec![
        ("message.id", message.id.to_string().into()),
        ("job.id", message.job.to_string().into()),
        ("attempt", i64::from(message.attempt).into()),
    ];
    if let Some(entity) = &message.entity {
        all.push(("entity", entity.clone().into()));
    }
    all.retain(|(name, _)| !more.iter().any(|(said, _)| said == name));
    all.extend(more);
    all
}

fn about_run(run: &Occurrence, more: Attributes) -> Attributes {
    let mut all = vec![
        ("job.id", run.job.to_string().into()),
        ("due_at", run.due_at.to_string().into()),
        ("attempt", i64::from(run.attempt).into()),
    ];
    all.extend(more);
    all
}

impl Context {
    fn tell(&self, done: Done, place: (TraceContext, Option<TraceContext>), attributes: impl FnOnce() -> Attributes) {
        let step = Step {
            name: done.name,
            at: place.0,
            parent: place.1,
            began: done.began,
            ended: self.clock.now(),
            failed: done.failed,
            is_served: None,
        };
        self.traces.tell(step, attributes);
    }

    /// A message is enqueued: the span that all that happens to it is in.
    pub fn tell_enqueued(&self, message: &Message, job: &str, began: Timestamp) {
        let place = (message.trace(), message.traceparent);
        self.tell(Done::well("enqueue", began), place, || {
            let bytes = i64::try_from(message.bytes).unwrap_or(i64::MAX);
            about(
                message,
                vec![("job.name", job.to_owned().into()), ("bytes", bytes.into())],
            )
        });
    }

    /// The package API queued a message, which is read once more only where somebody wants to know of it.
    pub async fn tell_package_enqueued(&self, id: MessageId, job: &str, began: Timestamp) {
        if !self.traces.is_on() {
            return;
        }
        match self.store.message(id).await {
            Ok(Some(message)) => self.tell_enqueued(&message, job, began),
            Ok(None) => {}
            Err(error) => tracing::warn!(message.id = %id, %error, "its enqueue is missing in its trace"),
        }
    }

    /// A run has queued a message: the same for what goes out.
    pub fn tell_queued(&self, message: &Message, job: &str, began: Timestamp) {
        let place = (message.trace(), message.traceparent);
        self.tell(Done::well("queued", began), place, || {
            about(message, vec![("job.name", job.to_owned().into())])
        });
    }

    /// Something was done with a message.
    pub fn tell_step(&self, message: &Message, done: Done, more: impl FnOnce() -> Attributes) {
        if self.traces.is_on() {
            let parent = message.trace();
            self.tell(done, (parent.any_child(), Some(parent)), || about(message, more()));
        }
    }

    /// A worker's attempt at a message is over.
    pub fn tell_attempt(&self, message: &Message, began: Timestamp, end: &RunEnd, job: Option<&str>) {
        let done = Done {
            name: "import",
            began,
            failed: end.reason(),
        };
        let place = (attempt(message), Some(message.trace()));
        self.tell(done, place, || {
            let job = job.map(|job| ("job.name", job.to_owned().into()));
            about(message, job.into_iter().collect())
        });
    }

    /// A phase of an attempt at a message is over.
    pub fn tell_phase(&self, message: &Message, done: Done, more: impl FnOnce() -> Attributes) {
        self.time_phase(&done, message.trace());
        if self.traces.is_on() {
            let parent = attempt(message);
            self.tell(done, (parent.any_child(), Some(parent)), || about(message, more()));
        }
    }

    /// An attempt at an export's run is over: the span of the run, once it has ended.
    pub fn tell_run(&self, run: &Occurrence, began: Timestamp, end: &RunEnd, job: Option<&str>) {
        let whole = TraceContext::of_run(run.job, run.due_at);
        let (name, began, place) = match end {
            RunEnd::Ended => ("export", run.due_at, (whole, None)),
            _ => ("attempt", began, (whole.any_child(), Some(whole))),
        };
        let done = Done {
            name,
            began,
            failed: end.reason(),
        };
        self.tell(done, place, || {
            let job = job.map(|job| ("job.name", job.to_owned().into()));
            about_run(run, job.into_iter().collect())
        });
    }

    /// A phase of an export's run is over.
    pub fn tell_run_phase(&self, run: &Occurrence, done: Done, more: impl FnOnce() -> Attributes) {
        let parent = TraceContext::of_run(run.job, run.due_at);
        self.time_phase(&done, parent);
        if self.traces.is_on() {
            self.tell(done, (parent.any_child(), Some(parent)), || about_run(run, more()));
        }
    }

    fn time_phase(&self, done: &Done, trace: TraceContext) {
        let now = self.clock.now();
        let (labels, seconds) = ([("phase", done.name)], now.seconds_from(done.began));
        exemplars::record("tranship_work_seconds", &labels, seconds, Some((trace, now)));
    }

    /// The place in its trace of a call made for a message, and the `traceparent` it sends on: its own where it is recorded here, else
    /// the one the message came with.
    #[must_use]
    pub fn call_for(&self, message: &Message) -> (TraceContext, Option<String>) {
        let at = message.trace().any_child();
        let sent = if self.traces.is_on() {
            Some(at)
        } else {
            message.traceparent
        };
        (at, sent.map(|trace| trace.to_string()))
    }

    /// A call made for a message is over.
    pub fn tell_call(&self, message: &Message, at: TraceContext, done: Done, more: impl FnOnce() -> Attributes) {
        let step = Step {
            name: done.name,
            at,
            parent: Some(message.trace()),
            began: done.began,
            ended: self.clock.now(),
            failed: done.failed,
            is_served: Some(false),
        };
        self.traces.tell(step, || about(message, more()));
    }
}
