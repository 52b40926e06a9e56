//! What becomes of a claim after its run: whether it goes back, until when, and what is told of it.

use crate::domain::message::Failure;
use crate::domain::time::Timestamp;
use crate::pipeline::stop::RunEnd;

/// First wait before a retry; doubles with every attempt.
const BACKOFF_FIRST_SECONDS: i64 = 2;
/// Wait before looking again whether a database or the blob store is back.
const UNREACHABLE_WAIT_SECONDS: i64 = 15;
/// Longest wait before a retry.
const BACKOFF_MAX_SECONDS: i64 = 300;

/// Which attempt of how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// From 1 on.
    pub number: i32,
    /// `queue.max_deliveries`.
    pub most: u32,
}

impl Attempt {
    /// Whether there may be none after it.
    pub fn is_last(self) -> bool {
        i64::from(self.number) >= i64::from(self.most)
    }

    /// Whether it may not be made itself.
    pub fn is_one_too_many(self) -> bool {
        i64::from(self.number) > i64::from(self.most)
    }

    /// Of a message, whose history has each of them.
    pub fn got_nowhere(self) -> String {
        format!(
            "given up after {} attempts in a row that got nowhere (queue.max_deliveries = {}); the history says what each of them met",
            self.number - 1,
            self.most
        )
    }

    /// Of a run, which is told of the last alone.
    pub fn exhausted(self, last: &str) -> Failure {
        Failure {
            code: "attempts_exhausted".to_owned(),
            detail: format!(
                "given up after {most} attempts (queue.max_deliveries = {most}); the last: {last}",
                most = self.most
            ),
        }
    }
}

/// What becomes of a claim after its run.
pub(super) enum Return {
    /// It has ended.
    No,
    /// It is somebody else's.
    Lost,
    /// It goes back to the queue.
    Back(Back),
}

/// How a claim goes back.
pub(super) struct Back {
    /// Not offered again before this; at once when there is none.
    pub wait_seconds: Option<i64>,
    /// Whether the attempt counts against `queue.max_deliveries`.
    pub counted: bool,
    /// For a message's history, which clients of other systems read: no driver's words. Those are logged here.
    pub note: &'static str,
    /// Why it failed, in the words a run that fails for good is told in, too.
    reason: Option<String>,
}

impl Back {
    /// The note of an export's run: what its attempt met, which one it was, and when the next is.
    pub fn told(&self, attempt: Attempt, not_before: Option<Timestamp>) -> String {
        let reason = self.reason.as_deref().unwrap_or(self.note);
        let next = not_before.map_or_else(String::new, |at| format!("; the next attempt is at {at}"));
        if self.counted {
            let Attempt { number, most } = attempt;
            format!("attempt {number} of {most} failed: {reason}{next}")
        } else {
            format!("{reason}{next}")
        }
    }
}

impl Return {
    pub fn after(end: RunEnd, attempts: i32) -> Self {
        let (wait_seconds, counted, note, reason) = match end {
            RunEnd::Ended => return Self::No,
            RunEnd::Lost => return Self::Lost,
            RunEnd::Stopped => (None, false, "the service is stopping", None),
            RunEnd::Unreachable(reason) => {
                let note = "a database, the blob store or a disk is out of reach; tried again until it is back";
                no_fault("something needed is out of reach", &reason, note)
            }
            RunEnd::Locked(reason) => {
                let note = "somebody holds a lock in a business database; tried again until it is let go";
                no_fault("somebody holds a lock", &reason, note)
            }
            RunEnd::BlobMissing(reason) => {
                let wait = backoff_seconds(attempts);
                tracing::error!(attempts, retry_in_seconds = wait, "a payload cannot be read: {reason}");
                let note =
                    "there is no blob where the payload was put: gone, or its folder is not mounted; tried again";
                (Some(wait), true, note, None)
            }
            RunEnd::Retry(reason) => {
                let wait = backoff_seconds(attempts);
                tracing::error!(attempts, retry_in_seconds = wait, "an attempt failed: {reason}");
                let note = "the attempt failed; the service's log says why";
                (Some(wait), true, note, Some(reason))
            }
        };
        Self::Back(Back {
            wait_seconds,
            counted,
            note,
            reason,
        })
    }
}

/// What waits for others for as long as it takes: an attempt that does not count.
fn no_fault(what: &str, reason: &str, note: &'static str) -> (Option<i64>, bool, &'static str, Option<String>) {
    tracing::warn!(retry_in_seconds = UNREACHABLE_WAIT_SECONDS, "{what}: {reason}");
    (Some(UNREACHABLE_WAIT_SECONDS), false, note, None)
}

/// 2 s, 4 s, 8 s, … up to five minutes.
fn backoff_seconds(attempt: i32) -> i64 {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(16);
    BACKOFF_FIRST_SECONDS
        .saturating_mul(1 << doublings)
        .min(BACKOFF_MAX_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIRD: Attempt = Attempt { number: 3, most: 10 };

    fn told(end: RunEnd) -> String {
        match Return::after(end, THIRD.number) {
            Return::Back(back) => back.told(
                THIRD,
                back.wait_seconds.map(|seconds| Timestamp(0).plus_seconds(seconds)),
            ),
            Return::No | Return::Lost => panic!("it goes back"),
        }
    }

    #[test]
    fn backoff_doubles_and_is_capped() {
        let waits: Vec<i64> = (1..=10).map(backoff_seconds).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff_seconds(i32::MAX), BACKOFF_MAX_SECONDS);
        assert_eq!(backoff_seconds(0), BACKOFF_FIRST_SECONDS);
    }

    #[test]
    fn a_run_that_tries_again_says_why_which_attempt_it_was_and_when_the_next_is() {
        let failed = RunEnd::Retry("business database `main` failed: deadlock detected".to_owned());
        assert_eq!(
            told(failed),
            "attempt 3 of 10 failed: business database `main` failed: deadlock detected; the next attempt is at \
             1970-01-01T00:00:08Z"
        );
        let away = told(RunEnd::Unreachable("10.0.0.7 says nothing".to_owned()));
        assert!(
            away.ends_with("is back; the next attempt is at 1970-01-01T00:00:15Z"),
            "not counted: {away}"
        );
        assert_eq!(told(RunEnd::Stopped), "the service is stopping");
    }

    #[test]
    fn the_last_attempt_ends_with_what_it_met() {
        let tenth = Attempt { number: 10, ..THIRD };
        assert!(tenth.is_last() && !tenth.is_one_too_many() && !THIRD.is_last());
        assert!(Attempt { number: 11, ..THIRD }.is_one_too_many());
        assert_eq!(
            tenth.exhausted("deadlock detected").detail,
            "given up after 10 attempts (queue.max_deliveries = 10); the last: deadlock detected"
        );
    }
}
