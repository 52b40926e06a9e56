//! Histories written by hand: whole seconds, messages by one letter.

use std::time::Duration;

use crate::checker::{Rule, check};
use crate::history::{
    Act, Answer, ClockSet, ConnectorAck, Deed, Enqueue, History, Lease, Moment, Queue, Record, Refusal, Row, Stored,
    Verb,
};

/// How long a lease of a story lasts.
pub const LEASE_SECONDS: u64 = 10;
/// How often a message of a story is handed out.
pub const MAX_DELIVERIES: usize = 3;
pub const LOOSE: &str = "loose";
pub const ORDERED: &str = "ordered";

/// When something began and was answered.
#[derive(Clone, Copy)]
pub struct When(Moment, Option<Moment>);

/// Asked for and answered at these seconds.
pub fn between(began: u64, ended: u64) -> When {
    When(Duration::from_secs(began), Some(Duration::from_secs(ended)))
}

/// Asked for at this second, and never answered.
pub fn after(began: u64) -> When {
    When(Duration::from_secs(began), None)
}

/// A history under way.
pub struct Story {
    history: History,
    calls: usize,
}

pub fn digest(bytes: &str) -> String {
    format!("digest of {bytes}")
}

pub fn receipt(message: &str, epoch: u64) -> String {
    format!("receipt {message} {epoch}")
}

pub fn refused(status: u16, code: &str) -> Refusal {
    Refusal {
        status,
        code: code.to_owned(),
    }
}

pub fn accepted(id: &str) -> Stored {
    Stored::Accepted {
        id: id.to_owned(),
        digest: None,
        replay: false,
    }
}

pub fn replayed(id: &str) -> Stored {
    Stored::Accepted {
        id: id.to_owned(),
        digest: None,
        replay: true,
    }
}

impl Story {
    pub fn new() -> Self {
        let queue = |name, ordered| Queue {
            name,
            id: name,
            ordered,
            max_deliveries: MAX_DELIVERIES,
            lease_seconds: LEASE_SECONDS,
        };
        let history = History {
            queues: vec![queue(LOOSE, false), queue(ORDERED, true)],
            ..History::default()
        };
        Self { history, calls: 0 }
    }

    /// A request of its own.
    pub fn did(&mut self, when: When, deed: Deed) {
        self.calls += 1;
        self.also(when, deed);
    }

    /// A further item of the request before.
    pub fn also(&mut self, When(began, ended): When, deed: Deed) {
        let (client, call) = (self.calls, self.calls);
        self.history.records.push(Record {
            client,
            call,
            began,
            ended,
            deed,
        });
    }

    /// A process's clock was set so many seconds behind the right time.
    pub fn clock_set(&mut self, process: usize, When(began, ended): When, behind: u64) {
        self.history.clocks.push(ClockSet {
            process,
            began,
            ended: ended.unwrap_or(began),
            behind: Duration::from_secs(behind),
        });
    }

    pub fn row(&mut self, queue: &'static str, message: &str, status: &str) {
        self.history.rows.retain(|row| row.id != message);
        self.history.rows.push(Row {
            queue,
            id: message.to_owned(),
            correlation: format!("correlation of {message}"),
            digest: digest(message),
            status: status.to_owned(),
            ended: !matches!(status, "Enqueued" | "Dequeued"),
        });
    }

    /// An offer of bytes called like the message, answered so; no row.
    pub fn offered(&mut self, bytes: &str, key: Option<&str>, when: When, answer: Stored) {
        let deed = Deed::Enqueue(Enqueue {
            queue: LOOSE,
            group: None,
            key: key.map(str::to_owned),
            digest: digest(bytes),
            place: 0,
            answer,
        });
        self.did(when, deed);
    }

    /// A message that is stored, in the loose queue.
    pub fn enqueued(&mut self, message: &str, when: When) {
        self.offered(message, None, when, accepted(message));
        self.row(LOOSE, message, "Enqueued");
    }

    /// A message of group `g` that is stored, in the ordered queue.
    pub fn enqueued_in_order(&mut self, message: &str, when: When) {
        self.did(when, Self::in_order(message, 0));
        self.row(ORDERED, message, "Enqueued");
    }

    pub fn in_order(message: &str, place: usize) -> Deed {
        Deed::Enqueue(Enqueue {
            queue: ORDERED,
            group: Some("g".to_owned()),
            key: None,
            digest: digest(message),
            place,
            answer: accepted(message),
        })
    }

    pub fn lease(message: &str, epoch: u64) -> Deed {
        Deed::Lease(Lease {
            queue: LOOSE,
            message: message.to_owned(),
            correlation: None,
            receipt: receipt(message, epoch),
            epoch,
            seconds: LEASE_SECONDS,
            digest: Some(digest(message)),
        })
    }

    pub fn leased(&mut self, message: &str, epoch: u64, when: When) {
        self.did(when, Self::lease(message, epoch));
    }

    pub fn acted(&mut self, receipt: String, verb: Verb, when: When, answer: Answer) {
        self.did(when, Deed::Act(Act { receipt, verb, answer }));
    }

    /// An act that was accepted, or that never was answered.
    pub fn act(&mut self, message: &str, epoch: u64, verb: Verb, when: When) {
        let answer = match when {
            When(_, Some(_)) => Answer::Accepted,
            When(_, None) => Answer::Unknown,
        };
        self.acted(receipt(message, epoch), verb, when, answer);
    }

    /// Acknowledged, so that the message ended.
    pub fn acked(&mut self, message: &str, epoch: u64, when: When) {
        self.act(message, epoch, Verb::Ack, when);
        self.becomes(message, "Acked");
    }

    pub fn connector_acked(&mut self, receipt: Option<String>, correlation: Option<&str>, when: When, answer: Answer) {
        let deed = Deed::ConnectorAck(ConnectorAck {
            receipt,
            correlation: correlation.map(str::to_owned),
            answer,
        });
        self.did(when, deed);
    }

    pub fn becomes(&mut self, message: &str, status: &str) {
        let queue = self
            .history
            .rows
            .iter()
            .find(|row| row.id == message)
            .map(|row| row.queue);
        self.row(queue.expect("it is stored"), message, status);
    }

    pub fn lose(&mut self, message: &str) {
        self.history.rows.retain(|row| row.id != message);
    }

    pub fn end(self) -> History {
        self.history
    }

    /// The rules it breaks, each once.
    pub fn broken(self) -> Vec<Rule> {
        let mut rules: Vec<Rule> = check(&self.history)
            .into_iter()
            .map(|violation| violation.rule)
            .collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}
