//! The faults there are: whether one strikes here and now, how often each has, and how often it still does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fault::{About, Fault, Kind};
use crate::clock::Clock;
use crate::domain::time::Timestamp;

/// Most faults at once.
pub const FAULTS_MAX: usize = 100;

/// All faults of one process.
#[derive(Debug)]
pub struct Faults {
    clock: Clock,
    standing: Mutex<Vec<Standing>>,
    /// Told when one is removed.
    removed: Notify,
}

/// A fault, and what it has done.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// What it is.
    #[serde(flatten)]
    pub fault: Fault,
    /// How often it struck.
    pub struck: u64,
    /// How often it still strikes; `null`: until it is removed.
    pub left: Option<u64>,
    /// Since when it stands.
    pub since: Timestamp,
    #[serde(skip)]
    dice: u64,
}

/// Why a fault was not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is one of its name.
    #[error("there is a fault `{0}` already; remove it, or take another name")]
    Named(String),
    /// There are as many as may be.
    #[error("there are {FAULTS_MAX} faults already; remove some")]
    TooMany,
}

/// An answer that a fault gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injected {
    /// HTTP status.
    pub status: u16,
    /// For `Retry-After`.
    pub retry_after_seconds: Option<u32>,
}

/// A request, as far as faults ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// In upper case.
    pub method: &'a str,
    /// As the routes know it.
    pub path: &'a str,
    /// Who sends it, where that is known.
    pub client: Option<&'a str>,
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            standing: Mutex::default(),
            removed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Standing>> {
        // Nothing in here is left half-changed by a panic.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a checked fault; it strikes from here on.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn add(&self, mut fault: Fault) -> Result<Standing, Refused> {
        let mut standing = self.lock();
        if standing.len() >= FAULTS_MAX {
            return Err(Refused::TooMany);
        }
        let is_taken = |name: &str| standing.iter().any(|one| one.fault.name == name);
        if fault.name.is_empty() {
            let names = (1..).map(|number| format!("{}-{number}", fault.kind.word().replace('_', "-")));
            fault.name = names.into_iter().find(|name| !is_taken(name)).unwrap_or_default();
        } else if is_taken(&fault.name) {
            return Err(Refused::Named(fault.name));
        }
        let since = self.clock.now();
        if fault.probability.is_some() {
            // Shown, so that the same row of strikes can be asked for again.
            fault.seed.get_or_insert(since.micros().unsigned_abs());
        }
        let added = Standing {
            struck: 0,
            left: fault.times,
            since,
            dice: fault.seed.unwrap_or(0),
            fault,
        };
        standing.push(added.clone());
        Ok(added)
    }

    /// All of them, in the order they were added; those that strike no more stay until they are removed.
    #[must_use]
    pub fn list(&self) -> Vec<Standing> {
        self.lock().clone()
    }

    /// Removes the one of this name, or all. How many there were.
    pub fn remove(&self, name: Option<&str>) -> usize {
        let mut standing = self.lock();
        let before = standing.len();
        standing.retain(|one| name.is_some_and(|name| one.fault.name != name));
        let removed = before - standing.len();
        drop(standing);
        self.removed.notify_waiters();
        removed
    }

    /// Whether a fault asks which client sends a request.
    #[must_use]
    pub fn ask_for_clients(&self) -> bool {
        let asks = |one: &Standing| one.is_alive() && one.fault.client.is_some();
        self.lock().iter().any(asks)
    }

    /// How long the answer to a request is delayed; counted.
    pub fn delay_of(&self, request: Request<'_>) -> Option<(String, Duration)> {
        self.strike_request(Kind::DelayAnswer, request)
            .map(|fault| (fault.name.clone(), fault.pause()))
    }

    /// What a request is answered instead of being carried out; counted.
    pub fn answer_of(&self, request: Request<'_>) -> Option<(String, Injected)> {
        self.strike_request(Kind::Answer, request).map(|fault| {
            let injected = Injected {
                status: fault.status.unwrap_or(500),
                retry_after_seconds: fault.retry_after_seconds,
            };
            (fault.name, injected)
        })
    }

    /// Whether the answer to a request that was carried out is lost; counted.
    pub fn loses_answer(&self, request: Request<'_>) -> Option<String> {
        self.strike_request(Kind::LoseAnswer, request).map(|fault| fault.name)
    }

    /// Whether an acknowledgement fails; counted.
    pub fn fails_ack(&self, about: About<'_>) -> Option<String> {
        self.strike(Kind::FailAck, |fault| fault.is_about(about))
            .map(|fault| fault.name)
    }

    /// Whether a leased message is to be handed out once more. Counted by [`Faults::count`], if there is one.
    #[must_use]
    pub fn delivers_again(&self, about: About<'_>) -> Option<String> {
        self.find(Kind::DeliverAgain, about).map(|one| one.fault.name)
    }

    /// As of when callers see how messages stand: a while ago, but never before the fault stood, so that nobody sees a status go
    /// back. Counted by [`Faults::count`], if that is another status.
    #[must_use]
    pub fn status_as_of(&self, about: About<'_>) -> Option<(String, Timestamp)> {
        let one = self.find(Kind::DelayStatus, about)?;
        let delay = i64::try_from(one.fault.seconds.unwrap_or(0)).unwrap_or(i64::MAX);
        let as_of = self.clock.now().plus_seconds(delay.saturating_neg()).max(one.since);
        Some((one.fault.name, as_of))
    }

    /// Pauses an import before a chunk, if a fault says so: until its time is over, it is removed, or the work is to stop.
    pub async fn pause_chunk(&self, about: About<'_>, stopping: &CancellationToken) {
        let Some(fault) = self.strike(Kind::SlowImport, |fault| fault.is_about(about)) else {
            return;
        };
        let until = Instant::now() + fault.pause();
        loop {
            let removed = self.removed.notified();
            tokio::pin!(removed);
            removed.as_mut().enable();
            if !self.lock().iter().any(|one| one.fault.name == fault.name) {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                () = stopping.cancelled() => return,
                () = removed => {}
            }
        }
    }

    /// A fault of this name struck.
    pub fn count(&self, name: &str) {
        if let Some(one) = self.lock().iter_mut().find(|one| one.fault.name == name) {
            one.count();
        }
    }

    fn strike_request(&self, kind: Kind, request: Request<'_>) -> Option<Fault> {
        let Request { method, path, client } = request;
        self.strike(kind, |fault| fault.is_of_request(method, path, client))
    }

    /// The first fault of a kind that strikes, counted.
    fn strike(&self, kind: Kind, is_meant: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut standing = self.lock();
        let mut meant = standing
            .iter_mut()
            .filter(|one| one.fault.kind == kind && one.is_alive() && is_meant(&one.fault));
        let one = meant.find_map(|one| one.falls().then_some(one))?;
        one.count();
        Some(one.fault.clone())
    }

    /// The first fault of a kind that would strike.
    fn find(&self, kind: Kind, about: About<'_>) -> Option<Standing> {
        let mut standing = self.lock();
        let mut meant = standing
            .iter_mut()
            .filter(|one| one.fault.kind == kind && one.is_alive() && one.fault.is_about(about));
        meant.find_map(|one| one.falls().then(|| one.clone()))
    }
}

impl Standing {
    fn is_alive(&self) -> bool {
        self.left != Some(0)
    }

    fn count(&mut self) {
        self.struck += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// Throws the dice, where there are some.
    fn falls(&mut self) -> bool {
        let Some(probability) = self.fault.probability else {
            return true;
        };
        // splitmix64
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let upper = u32::try_from(z >> 32).unwrap_or(u32::MAX);
        f64::from(upper) / (f64::from(u32::MAX) + 1.0) < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::JobId;

    const NOON: Timestamp = Timestamp(1_700_000_000_000_000);

    fn faults() -> (Faults, Clock) {
        let clock = Clock::settable(NOON);
        (Faults::new(clock.clone()), clock)
    }

    fn add(faults: &Faults, json: &str) -> Standing {
        let fault: Fault = serde_json::from_str(json).expect("JSON");
        faults.add(fault.checked().expect("it makes sense")).expect("added")
    }

    fn request(path: &str) -> Request<'_> {
        Request {
            method: "POST",
            path,
            client: Some("erp"),
        }
    }

    fn about(job: &str) -> About<'_> {
        About {
            job,
            job_id: JobId::generate(),
            client: None,
        }
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_says_and_stays_to_be_looked_at() {
        let (faults, _) = faults();
        let added = add(
            &faults,
            r#"{"kind":"answer","status":503,"path":"/a/*","client":"ERP","times":2}"#,
        );
        assert_eq!(added.fault.name, "answer-1");
        assert!(faults.answer_of(request("/b/1")).is_none());
        let injected = Injected {
            status: 503,
            retry_after_seconds: Some(1),
        };
        for _ in 0..2 {
            assert_eq!(
                faults.answer_of(request("/a/1")),
                Some(("answer-1".to_owned(), injected))
            );
        }
        assert!(faults.answer_of(request("/a/1")).is_none());
        let one = &faults.list()[0];
        assert_eq!((one.struck, one.left), (2, Some(0)));
        let again = faults.add(one.fault.clone());
        assert_eq!(again.expect_err("taken"), Refused::Named("answer-1".to_owned()));
        assert_eq!(
            (faults.remove(Some("answer-2")), faults.remove(Some("answer-1"))),
            (0, 1)
        );
        assert!(faults.list().is_empty());
    }

    #[test]
    fn the_same_seed_is_the_same_row_of_strikes() {
        let row = |seed: u64| -> Vec<bool> {
            let (faults, _) = faults();
            add(
                &faults,
                &format!(r#"{{"kind":"lose_answer","probability":0.3,"seed":{seed}}}"#),
            );
            (0..200).map(|_| faults.loses_answer(request("/")).is_some()).collect()
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
        let struck = row(7).into_iter().filter(|struck| *struck).count();
        assert!((30..90).contains(&struck), "{struck} of 200");
    }

    #[test]
    fn a_delayed_status_is_never_from_before_its_fault() {
        let (faults, clock) = faults();
        add(&faults, r#"{"kind":"delay_status","seconds":60,"job":"Orders"}"#);
        let as_of = |job| faults.status_as_of(about(job)).map(|(_, as_of)| as_of);
        assert_eq!(as_of("orders"), Some(NOON));
        assert_eq!(as_of("others"), None);
        clock.advance_seconds(61);
        assert_eq!(as_of("Orders"), Some(NOON.plus_seconds(1)));
    }

    #[tokio::test]
    async fn a_pause_ends_with_its_fault() {
        let (faults, _) = faults();
        add(&faults, r#"{"kind":"slow_import","milliseconds":500000}"#);
        let (stopping, began) = (CancellationToken::new(), Instant::now());
        tokio::join!(faults.pause_chunk(about("x"), &stopping), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            faults.remove(None);
        });
        assert!(began.elapsed() < Duration::from_mins(1));
    }
}
