//! What was done to the queue and what it answered: the only thing the checker knows.
//!
//! Owns the words of a recorded run. Refuses to judge, and knows neither HTTP nor clocks.

use std::fmt;
use std::time::Duration;

/// A moment of a run: time since it began, by the one monotonic clock all clients share.
pub type Moment = Duration;

/// A whole run: everything that was done, and what the queues held afterwards.
#[derive(Debug, Default)]
pub struct History {
    /// In the order in which they were recorded, which says nothing.
    pub records: Vec<Record>,
    /// Every message of every queue after the drain.
    pub rows: Vec<Row>,
    /// The queues there were.
    pub queues: Vec<Queue>,
    /// When processes' clocks were set, in any order. All begin right.
    pub clocks: Vec<ClockSet>,
    /// What the schedule did.
    pub runs: Runs,
}

/// The wall clock of one process was set.
#[derive(Debug, Clone)]
pub struct ClockSet {
    /// Whose.
    pub process: usize,
    /// Just before.
    pub began: Moment,
    /// Just after.
    pub ended: Moment,
    /// How far it is behind the right time from then on.
    pub behind: Duration,
}

/// What a schedule did that is due again and again at even distances.
#[derive(Debug, Default)]
pub struct Runs {
    /// When it is due first, in seconds since 1970.
    pub first: i64,
    /// How many seconds later it is due again.
    pub every: i64,
    /// It was over by the right time, so everything due up to then has run.
    pub until: i64,
    /// Every due time that is written down.
    pub rows: Vec<Run>,
    /// Messages that no run there is has made.
    pub strays: usize,
}

/// What became of one due time.
#[derive(Debug, Clone)]
pub struct Run {
    /// In seconds since 1970.
    pub due: i64,
    /// Its state.
    pub state: String,
    /// How often a worker took it.
    pub taken: u64,
    /// How many messages it made.
    pub messages: usize,
}

/// A queue under test.
#[derive(Debug, Clone)]
pub struct Queue {
    /// The job's name.
    pub name: &'static str,
    /// Its activity id.
    pub id: &'static str,
    /// Whether messages of one group are handed out in the order they came, one at a time.
    pub ordered: bool,
    /// How often a message is handed out before it is set aside.
    pub max_deliveries: usize,
    /// How long a lease lasts that asks for nothing else.
    pub lease_seconds: u64,
}

/// One thing a client did.
#[derive(Debug, Clone)]
pub struct Record {
    /// Which client.
    pub client: usize,
    /// Which of all requests: the items of a batch share it.
    pub call: usize,
    /// Just before the request was sent.
    pub began: Moment,
    /// Just after its answer came. Without one: what was asked may have been done, and may still be done.
    pub ended: Option<Moment>,
    /// What was asked and answered.
    pub deed: Deed,
}

impl Record {
    /// Whether this was over before `other` began.
    pub fn surely_before(&self, other: &Self) -> bool {
        self.ended.is_some_and(|ended| ended < other.began)
    }

    /// Whether this may have taken effect before `other` did.
    pub fn maybe_before(&self, other: &Self) -> bool {
        other.ended.is_none_or(|ended| self.began < ended)
    }
}

/// What was asked and answered.
#[derive(Debug, Clone)]
pub enum Deed {
    /// A message offered.
    Enqueue(Enqueue),
    /// A message handed out.
    Lease(Lease),
    /// A request for messages without an answer: nobody knows what it handed out.
    LeasesLost {
        /// The queue asked.
        queue: &'static str,
    },
    /// Something done with a receipt on `/api/v1`.
    Act(Act),
    /// An acknowledgement on the connector.
    ConnectorAck(ConnectorAck),
    /// A payload fetched.
    Fetch {
        /// Whose.
        message: String,
        /// Of the bytes that came.
        digest: String,
    },
}

/// One message offered to a queue.
#[derive(Debug, Clone)]
pub struct Enqueue {
    /// The queue.
    pub queue: &'static str,
    /// The group it belongs to.
    pub group: Option<String>,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Digest of its bytes. No two requests send the same bytes, unless they carry the same key.
    pub digest: String,
    /// Its place in a batch.
    pub place: usize,
    /// What came back.
    pub answer: Stored,
}

/// What an enqueue was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// It is stored.
    Accepted {
        /// The message's id.
        id: String,
        /// The digest the service says it has, where it says.
        digest: Option<String>,
        /// Whether an earlier answer was repeated.
        replay: bool,
    },
    /// It is not stored.
    Refused(Refusal),
    /// No answer, or one that says nothing.
    Unknown,
}

/// What anything else was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Accepted,
    /// It is not done.
    Refused(Refusal),
    /// No answer, or one that says nothing.
    Unknown,
}

impl Answer {
    /// Whether it may have been done.
    pub fn maybe(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// A clear no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The problem's code.
    pub code: String,
}

/// A message handed out under a lease.
#[derive(Debug, Clone)]
pub struct Lease {
    /// From this queue.
    pub queue: &'static str,
    /// The message.
    pub message: String,
    /// Its id on the connector, where that handed it out.
    pub correlation: Option<String>,
    /// The receipt.
    pub receipt: String,
    /// The lease's epoch.
    pub epoch: u64,
    /// How long it lasts from the moment it began.
    pub seconds: u64,
    /// The digest the service says the message has, where it says.
    pub digest: Option<String>,
}

/// Something done with a receipt on `/api/v1`.
#[derive(Debug, Clone)]
pub struct Act {
    /// The receipt shown.
    pub receipt: String,
    /// What was asked.
    pub verb: Verb,
    /// What came back.
    pub answer: Answer,
}

/// What can be done with a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Done with the message.
    Ack,
    /// Lease it that long from now.
    Extend {
        /// How long.
        seconds: u64,
    },
    /// Give it back.
    Release,
    /// It could not be worked on.
    Reject {
        /// And nobody shall try again.
        dead_letter: bool,
    },
}

impl Verb {
    /// Whether it ends the lease.
    pub fn ends_lease(self) -> bool {
        !matches!(self, Self::Extend { .. })
    }

    /// Whether it ends the message.
    pub fn ends_message(self) -> bool {
        matches!(self, Self::Ack | Self::Reject { dead_letter: true })
    }
}

/// An acknowledgement on the connector.
#[derive(Debug, Clone)]
pub struct ConnectorAck {
    /// The receipt shown, if one was.
    pub receipt: Option<String>,
    /// The correlation id shown, if one was.
    pub correlation: Option<String>,
    /// What came back.
    pub answer: Answer,
}

/// A message as it stood after the drain.
#[derive(Debug, Clone)]
pub struct Row {
    /// The queue.
    pub queue: &'static str,
    /// Its id.
    pub id: String,
    /// Its id on the connector.
    pub correlation: String,
    /// The digest of its bytes.
    pub digest: String,
    /// Its status.
    pub status: String,
    /// Whether nothing more happens to it.
    pub ended: bool,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |moment: Moment| format!("{:.6}", moment.as_secs_f64());
        let ended = self.ended.map_or_else(|| "…".to_owned(), seconds);
        let began = seconds(self.began);
        write!(f, "[{began} – {ended}] client {} call {}: ", self.client, self.call)?;
        write!(f, "{:?}", self.deed)
    }
}
