//! What clients sent and what they were answered, in the order requests came: bounded in number and in bytes, the oldest goes first.
//!
//! Bodies are noted as they pass and never held up for it. Nothing is kept over a restart.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fault::is_like;
use crate::domain::time::Timestamp;

/// Most requests kept.
pub const ENTRIES_MAX: usize = 1000;
/// Most bytes kept of one body.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Most bytes kept in all.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The journal of one process.
#[derive(Debug, Default)]
pub struct Journal {
    entries: Mutex<VecDeque<Arc<Entry>>>,
    next: AtomicU64,
    bytes: AtomicUsize,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When.
    pub at: Timestamp,
    /// The method.
    pub method: String,
    /// Scheme, host and port it was sent to.
    pub base: String,
    /// The path as it was sent.
    pub path: String,
    /// The query as it was sent, without its question mark.
    pub query: String,
    /// `HTTP/1.1`
    pub version: String,
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// Address it came from.
    pub peer: Option<String>,
}

/// One request and its answer.
#[derive(Debug)]
pub struct Entry {
    /// Counts requests since the process began.
    pub number: u64,
    /// The request.
    pub sent: Sent,
    began: Instant,
    rest: Mutex<Rest>,
}

/// What became of a request so far.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    /// Who sent it, once that is known.
    pub client: Option<String>,
    /// Its id in the log, on surfaces that have one.
    pub request_id: Option<String>,
    /// Names of the faults that struck.
    pub faults: Vec<String>,
    /// Its body.
    pub body: Body,
    /// Status of the answer; none as long as there is no answer, and for ever where it was lost.
    pub status: Option<u16>,
    /// Headers of the answer.
    pub headers: Vec<(String, String)>,
    /// Body of the answer.
    pub answer: Body,
    /// How long it took until the answer began.
    pub waited: Option<Duration>,
    /// How long it took until the answer was over.
    pub took: Option<Duration>,
    /// Bytes it counts for.
    weight: usize,
    /// It is no longer in the journal.
    gone: bool,
}

/// What was kept of a body.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// The first bytes.
    pub bytes: Vec<u8>,
    /// How many there were.
    pub total: u64,
}

impl Body {
    /// Whether there was more than was kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.total > self.bytes.len() as u64
    }
}

/// Whose body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The request's.
    Request,
    /// The answer's.
    Answer,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Paths like this; `*` stands for anything.
    pub path: Option<String>,
    /// Of this client.
    pub client: Option<String>,
    /// With this method.
    pub method: Option<String>,
    /// Answered with this status, or one that begins with this digit.
    pub status: Option<StatusFilter>,
    /// Not from before this.
    pub since: Option<Timestamp>,
}

/// A status, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// `503`
    Is(u16),
    /// `5xx`
    Class(u16),
}

impl std::str::FromStr for StatusFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is no status; write one such as 503, or 5xx for all of them");
        let class = text.to_ascii_lowercase().strip_suffix("xx").map(str::to_owned);
        let number: u16 = class.as_deref().unwrap_or(text).parse().map_err(|_| wrong())?;
        match class {
            Some(_) if (1..=5).contains(&number) => Ok(Self::Class(number)),
            None if (100..=599).contains(&number) => Ok(Self::Is(number)),
            _ => Err(wrong()),
        }
    }
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of it so far.
    #[must_use]
    pub fn rest(&self) -> Rest {
        self.lock().clone()
    }

    /// Notes something about it.
    pub fn note(&self, change: impl FnOnce(&mut Rest, Duration)) {
        change(&mut self.lock(), self.began.elapsed());
    }

    /// Takes in the next bytes of a body. How many it weighs more for it.
    fn take(&self, side: Side, chunk: &[u8]) -> usize {
        let mut rest = self.lock();
        let gone = rest.gone;
        let body = match side {
            Side::Request => &mut rest.body,
            Side::Answer => &mut rest.answer,
        };
        body.total += chunk.len() as u64;
        let room = if gone { 0 } else { BODY_BYTES_MAX - body.bytes.len() };
        let taken = chunk.len().min(room);
        body.bytes.extend_from_slice(&chunk[..taken]);
        rest.weight += taken;
        taken
    }

    /// It leaves the journal. How many bytes it weighed.
    fn leave(&self) -> usize {
        let mut rest = self.lock();
        rest.gone = true;
        rest.body.bytes = Vec::new();
        rest.answer.bytes = Vec::new();
        std::mem::take(&mut rest.weight)
    }

    fn is_wanted(&self, filter: &Filter) -> bool {
        let rest = self.lock();
        let status = |wanted: StatusFilter| match wanted {
            StatusFilter::Is(wanted) => rest.status == Some(wanted),
            StatusFilter::Class(class) => rest.status.is_some_and(|status| status / 100 == class),
        };
        let same = |wanted: &String, is: &str| wanted.eq_ignore_ascii_case(is);
        filter
            .path
            .as_ref()
            .is_none_or(|pattern| is_like(&self.sent.path, pattern))
            && filter
                .method
                .as_ref()
                .is_none_or(|method| same(method, &self.sent.method))
            && filter
                .client
                .as_ref()
                .is_none_or(|client| rest.client.as_ref().is_some_and(|is| same(client, is)))
            && filter.status.is_none_or(status)
            && filter.since.is_none_or(|since| self.sent.at >= since)
    }
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        // Nothing in here is left half-changed by a panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came.
    pub fn begin(&self, sent: Sent) -> Arc<Entry> {
        let texts = sent.headers.iter().map(|(name, value)| name.len() + value.len());
        let weight = texts.sum::<usize>() + sent.path.len() + sent.query.len();
        let mut entries = self.lock();
        let entry = Arc::new(Entry {
            number: self.next.fetch_add(1, Ordering::Relaxed) + 1,
            sent,
            began: Instant::now(),
            rest: Mutex::new(Rest {
                weight,
                ..Rest::default()
            }),
        });
        entries.push_back(Arc::clone(&entry));
        self.bytes.fetch_add(weight, Ordering::Relaxed);
        self.bound(&mut entries);
        drop(entries);
        entry
    }

    /// The next bytes of a body passed.
    pub fn pass(&self, entry: &Entry, side: Side, chunk: &[u8]) {
        let taken = entry.take(side, chunk);
        if taken > 0 && self.bytes.fetch_add(taken, Ordering::Relaxed) + taken > BYTES_MAX {
            self.bound(&mut self.lock());
        }
    }

    fn bound(&self, entries: &mut VecDeque<Arc<Entry>>) {
        while entries.len() > ENTRIES_MAX || self.bytes.load(Ordering::Relaxed) > BYTES_MAX {
            let Some(oldest) = entries.pop_front() else { return };
            self.bytes.fetch_sub(oldest.leave(), Ordering::Relaxed);
        }
    }

    /// The newest entries that are wanted, newest first.
    #[must_use]
    pub fn list(&self, filter: &Filter, limit: usize) -> Vec<Arc<Entry>> {
        let entries: Vec<Arc<Entry>> = self.lock().iter().rev().cloned().collect();
        let wanted = entries.into_iter().filter(|entry| entry.is_wanted(filter));
        wanted.take(limit).collect()
    }

    /// One entry.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<Entry>> {
        self.lock().iter().find(|entry| entry.number == number).cloned()
    }

    /// Forgets everything. How many requests there were.
    pub fn clear(&self) -> usize {
        let gone = std::mem::take(&mut *self.lock());
        for entry in &gone {
            self.bytes.fetch_sub(entry.leave(), Ordering::Relaxed);
        }
        gone.len()
    }

    /// Bytes kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(path: &str) -> Sent {
        Sent {
            at: Timestamp(0),
            method: "POST".to_owned(),
            base: String::new(),
            path: path.to_owned(),
            query: String::new(),
            version: "HTTP/1.1".to_owned(),
            headers: Vec::new(),
            peer: None,
        }
    }

    #[test]
    fn it_is_bounded_in_number_and_bytes_and_the_oldest_goes_first() {
        let journal = Journal::default();
        let first = journal.begin(sent("/first"));
        for _ in 0..ENTRIES_MAX {
            journal.begin(sent("/x"));
        }
        assert_eq!(journal.list(&Filter::default(), usize::MAX).len(), ENTRIES_MAX);
        assert!(journal.get(first.number).is_none());
        let chunk = vec![7; BODY_BYTES_MAX];
        // What left takes in no more.
        journal.pass(&first, Side::Request, &chunk);
        assert_eq!(first.rest().body.bytes.len(), 0);
        for _ in 0..1200 {
            let entry = journal.begin(sent("/x"));
            journal.pass(&entry, Side::Request, &chunk);
            journal.pass(&entry, Side::Request, b"more");
            journal.pass(&entry, Side::Answer, &chunk);
            let body = entry.rest().body;
            assert!(body.is_cut() && body.bytes.len() == BODY_BYTES_MAX);
        }
        assert!(journal.bytes() <= BYTES_MAX, "{}", journal.bytes());
        assert!(journal.bytes() > BYTES_MAX - 3 * BODY_BYTES_MAX, "{}", journal.bytes());
        let kept = journal.list(&Filter::default(), usize::MAX).len();
        assert_eq!(kept, BYTES_MAX / (2 * BODY_BYTES_MAX) - 1);
        assert_eq!(journal.clear(), kept);
        assert_eq!(journal.bytes(), 0);
    }

    #[test]
    fn entries_are_found_by_what_they_are() {
        let journal = Journal::default();
        for (path, client, status) in [
            ("/a/1", Some("erp"), 200),
            ("/a/2", None, 401),
            ("/b", Some("shop"), 503),
        ] {
            let entry = journal.begin(sent(path));
            entry.note(|rest, waited| {
                rest.client = client.map(str::to_owned);
                (rest.status, rest.waited) = (Some(status), Some(waited));
            });
        }
        let found = |filter: Filter| -> Vec<String> {
            let found = journal.list(&filter, 10).into_iter();
            found.map(|entry| entry.sent.path.clone()).collect()
        };
        let status = |text: &str| Filter {
            status: Some(text.parse().expect("a status")),
            ..Filter::default()
        };
        assert_eq!(found(Filter::default()), ["/b", "/a/2", "/a/1"]);
        assert_eq!(found(status("4xx")), ["/a/2"]);
        assert_eq!(found(status("503")), ["/b"]);
        let path = Some("/a/*".to_owned());
        assert_eq!(
            found(Filter {
                path,
                ..Filter::default()
            }),
            ["/a/2", "/a/1"]
        );
        let client = Some("ERP".to_owned());
        assert_eq!(
            found(Filter {
                client,
                ..Filter::default()
            }),
            ["/a/1"]
        );
        let since = Some(Timestamp(1));
        assert!(
            found(Filter {
                since,
                ..Filter::default()
            })
            .is_empty()
        );
        for bad in ["", "xx", "9xx", "ok", "99"] {
            assert!(bad.parse::<StatusFilter>().is_err(), "{bad}");
        }
    }
}
