//! The message state machine: the only place that knows what may follow what.

use std::fmt;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Stored and waiting: for a worker, a dequeuer, a schedule, or the end of a back-off.
    Enqueued,
    /// Handed out; a lease runs.
    Dequeued,
    /// Handed out and fetched; the lease still runs.
    Downloaded,
    /// Acknowledged by its dequeuer.
    Acked,
    /// A worker reads, checks and stages it.
    PreProcessing,
    /// A worker promotes it into the target.
    Processing,
    /// Every record landed.
    Processed,
    /// The load ended; some records were rejected.
    ProcessedWithErrors,
    /// It was staged and checked; the import was asked for without the target (PKG-11b).
    Staged,
    /// It could not be read or mapped; nothing was attempted.
    PreProcessingError,
    /// It failed after processing began, or the error threshold was passed.
    PostProcessingFailed,
    /// Stopped on request.
    Cancelled,
    /// Its time ran out before anyone took it.
    Expired,
    /// Handed out too often without an acknowledgement.
    DeadLettered,
}

/// What can happen to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// An outside client takes it under a lease.
    Dequeue,
    /// The file was fetched.
    Download,
    /// The client is done with it.
    Ack,
    /// A worker claims it.
    Claim,
    /// Staging is complete; promotion begins.
    Promote,
    /// The lease ran out, the worker handed it back, or a retry is due later.
    Release,
    /// The load ended with every record applied.
    Finish,
    /// The load ended with rejected records.
    FinishWithErrors,
    /// Staging is complete, and nothing more was asked for.
    Stage,
    /// The load failed for good.
    Fail,
    /// An operator stopped it.
    Cancel,
    /// Its time ran out.
    Expire,
    /// It was tried too often.
    DeadLetter,
}

/// The event makes no sense in this status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message that is {from} cannot take the event {event:?}")]
pub struct InvalidTransition {
    /// Status the message has.
    pub from: Status,
    /// What was asked of it.
    pub event: Event,
}

impl Status {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 14] = [
        Self::Enqueued,
        Self::Dequeued,
        Self::Downloaded,
        Self::Acked,
        Self::PreProcessing,
        Self::Processing,
        Self::Processed,
        Self::ProcessedWithErrors,
        Self::Staged,
        Self::PreProcessingError,
        Self::PostProcessingFailed,
        Self::Cancelled,
        Self::Expired,
        Self::DeadLettered,
    ];

    /// The word in the database, in `/api/v1` and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "Enqueued",
            Self::Dequeued => "Dequeued",
            Self::Downloaded => "Downloaded",
            Self::Acked => "Acked",
            Self::PreProcessing => "PreProcessing",
            Self::Processing => "Processing",
            Self::Processed => "Processed",
            Self::ProcessedWithErrors => "ProcessedWithErrors",
            Self::Staged => "Staged",
            Self::PreProcessingError => "PreProcessingError",
            Self::PostProcessingFailed => "PostProcessingFailed",
            Self::Cancelled => "Cancelled",
            Self::Expired => "Expired",
            Self::DeadLettered => "DeadLettered",
        }
    }

    /// The status with this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether nothing more happens to the message by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Enqueued | Self::Dequeued | Self::Downloaded | Self::PreProcessing | Self::Processing => false,
            Self::Acked
            | Self::Processed
            | Self::ProcessedWithErrors
            | Self::Staged
            | Self::PreProcessingError
            | Self::PostProcessingFailed
            | Self::Cancelled
            | Self::Expired
            | Self::DeadLettered => true,
        }
    }

    /// The status after `event`.
    ///
    /// # Errors
    /// [`InvalidTransition`] where the drawing in `docs/states.md` has no arrow.
    pub fn next(self, event: Event) -> Result<Self, InvalidTransition> {
        use Event as E;
        use Status as S;
        let refuse = Err(InvalidTransition { from: self, event });
        match (self, event) {
            (S::Enqueued, E::Dequeue) => Ok(S::Dequeued),
            (S::Enqueued, E::Claim) => Ok(S::PreProcessing),
            (S::Dequeued | S::Downloaded, E::Download) => Ok(S::Downloaded),
            // Acked repeats (RI-22), and a lapsed lease does not make a receipt worthless.
            (S::Enqueued | S::Dequeued | S::Downloaded | S::Acked, E::Ack) => Ok(S::Acked),
            (S::PreProcessing, E::Promote) => Ok(S::Processing),
            (S::Dequeued | S::Downloaded | S::PreProcessing | S::Processing, E::Release) => Ok(S::Enqueued),
            (S::Processing, E::Finish) => Ok(S::Processed),
            (S::Processing, E::FinishWithErrors) => Ok(S::ProcessedWithErrors),
            (S::PreProcessing, E::Stage) => Ok(S::Staged),
            (S::PreProcessing, E::Fail) => Ok(S::PreProcessingError),
            (S::Processing, E::Fail) => Ok(S::PostProcessingFailed),
            (S::Enqueued | S::Dequeued | S::Downloaded | S::PreProcessing | S::Processing, E::Cancel) => {
                Ok(S::Cancelled)
            }
            (S::Enqueued | S::Dequeued | S::Downloaded, E::Expire) => Ok(S::Expired),
            (S::Enqueued | S::Dequeued | S::Downloaded | S::PreProcessing | S::Processing, E::DeadLetter) => {
                Ok(S::DeadLettered)
            }
            (
                S::Enqueued,
                E::Download | E::Promote | E::Release | E::Finish | E::FinishWithErrors | E::Stage | E::Fail,
            )
            | (
                S::Dequeued | S::Downloaded,
                E::Dequeue | E::Claim | E::Promote | E::Finish | E::FinishWithErrors | E::Stage | E::Fail,
            )
            | (
                S::PreProcessing,
                E::Dequeue | E::Download | E::Ack | E::Claim | E::Finish | E::FinishWithErrors | E::Expire,
            )
            | (S::Processing, E::Dequeue | E::Download | E::Ack | E::Claim | E::Promote | E::Stage | E::Expire)
            | (
                S::Acked,
                E::Dequeue
                | E::Download
                | E::Claim
                | E::Promote
                | E::Release
                | E::Finish
                | E::FinishWithErrors
                | E::Stage
                | E::Fail
                | E::Cancel
                | E::Expire
                | E::DeadLetter,
            )
            | (
                S::Processed
                | S::ProcessedWithErrors
                | S::Staged
                | S::PreProcessingError
                | S::PostProcessingFailed
                | S::Cancelled
                | S::Expired
                | S::DeadLettered,
                E::Dequeue
                | E::Download
                | E::Ack
                | E::Claim
                | E::Promote
                | E::Release
                | E::Finish
                | E::FinishWithErrors
                | E::Stage
                | E::Fail
                | E::Cancel
                | E::Expire
                | E::DeadLetter,
            ) => refuse,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Event {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::Dequeue,
        Self::Download,
        Self::Ack,
        Self::Claim,
        Self::Promote,
        Self::Release,
        Self::Finish,
        Self::FinishWithErrors,
        Self::Stage,
        Self::Fail,
        Self::Cancel,
        Self::Expire,
        Self::DeadLetter,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
    }

    #[test]
    fn a_final_status_takes_no_event_but_a_repeated_ack() {
        for status in Status::ALL.into_iter().filter(|s| s.is_final()) {
            for event in Event::ALL {
                let repeat = status == Status::Acked && event == Event::Ack;
                assert_eq!(status.next(event).is_ok(), repeat, "{status} {event:?}");
            }
        }
    }

    #[test]
    fn every_status_that_is_not_final_can_still_end() {
        for status in Status::ALL.into_iter().filter(|s| !s.is_final()) {
            assert!(
                Event::ALL
                    .into_iter()
                    .any(|e| status.next(e).is_ok_and(Status::is_final)),
                "{status}"
            );
        }
    }
}
