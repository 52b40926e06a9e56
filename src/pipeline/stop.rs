//! How a run (an import of a message, an export of an occurrence) comes to a stop, and which failures stop it how.

use tokio_util::sync::CancellationToken;

use super::payload::PayloadError;
use super::source::SourceError;
use crate::blob::BlobError;
use crate::business::BusinessError;
use crate::disk::{self, DiskFault};
use crate::domain::message::Failure;
use crate::storage::StoreError;

/// How working on something claimed came to a stop.
#[derive(Debug)]
pub enum RunEnd {
    /// It has come to its end, whichever that is.
    Ended,
    /// Another worker has it now, or it was cancelled: nothing more may be done.
    Lost,
    /// The service is stopping: hand it back at once.
    Stopped,
    /// Something it needs is out of reach, through no fault of its own: try again, as long as it takes.
    Unreachable(String),
    /// Somebody holds a lock in a business database. An import tries again for as long as it takes: what it was sent waits. An export
    /// does not, because the next one is due.
    Locked(String),
    /// The payload's blob is not where it was put: not mounted, or gone. Try again, but not for ever.
    BlobMissing(String),
    /// It failed in a way that may not be there next time: try again, but not for ever.
    Retry(String),
}

/// Why a run stops before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file, the job, the entity or the table is at fault: final.
    Fail(Failure),
    /// As [`RunEnd::Lost`].
    Lost,
    /// As [`RunEnd::Stopped`].
    Stopped,
    /// As [`RunEnd::Unreachable`].
    Unreachable(String),
    /// As [`RunEnd::Locked`].
    Locked(String),
    /// As [`RunEnd::BlobMissing`].
    BlobMissing(String),
    /// As [`RunEnd::Retry`].
    Retry(String),
}

/// Work that is dropped when the service stops: not for what others may see half of.
pub(super) async fn unless_stopped<T>(
    stopping: &CancellationToken,
    work: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    tokio::select! {
        biased;
        () = stopping.cancelled() => Err(Stop::Stopped),
        done = work => done,
    }
}

impl Stop {
    /// Why, for whoever watches.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Fail(failure) => failure.detail.clone(),
            Self::Lost => "the lease was lost".to_owned(),
            Self::Stopped => "the service is stopping".to_owned(),
            Self::Unreachable(reason) | Self::Locked(reason) | Self::BlobMissing(reason) | Self::Retry(reason) => {
                reason.clone()
            }
        }
    }

    pub(super) fn fail(code: &str, detail: impl Into<String>) -> Self {
        Self::Fail(Failure {
            code: code.to_owned(),
            detail: detail.into(),
        })
    }
}

impl RunEnd {
    /// Why it did not come to its end, for whoever watches.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Ended => None,
            Self::Lost => Some("the lease was lost".to_owned()),
            Self::Stopped => Some("the service is stopping".to_owned()),
            Self::Unreachable(reason) | Self::Locked(reason) | Self::BlobMissing(reason) | Self::Retry(reason) => {
                Some(reason.clone())
            }
        }
    }

    /// What became of an attempt to write the end down.
    pub(super) fn written<T>(result: Result<T, StoreError>) -> Self {
        match result {
            Ok(_) => Self::Ended,
            Err(error) => Stop::from(error).into(),
        }
    }
}

impl From<Stop> for RunEnd {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Lost => Self::Lost,
            Stop::Stopped => Self::Stopped,
            Stop::Unreachable(reason) => Self::Unreachable(reason),
            Stop::Locked(reason) => Self::Locked(reason),
            Stop::BlobMissing(reason) => Self::BlobMissing(reason),
            Stop::Retry(reason) => Self::Retry(reason),
            // Whoever can write a failure down does so before; what is left is tried again.
            Stop::Fail(failure) => Self::Retry(failure.detail),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::Lost,
            StoreError::Driver(_) | StoreError::Unreachable { .. } => Self::Unreachable(error.to_string()),
            other => Self::Retry(other.to_string()),
        }
    }
}

impl From<BusinessError> for Stop {
    fn from(error: BusinessError) -> Self {
        match error {
            BusinessError::Fenced(_) => Self::Lost,
            BusinessError::Definition(detail) | BusinessError::Settings(detail) => {
                Self::fail("definition_mismatch", detail)
            }
            BusinessError::TruncateRefused { .. } => Self::fail("truncate_refused", error.to_string()),
            BusinessError::Unreadable { .. } | BusinessError::ValueRefused(_) => {
                Self::fail("value_not_writable", error.to_string())
            }
            BusinessError::NoRoom { .. } => Self::fail("no_room_for_copy", error.to_string()),
            BusinessError::DefinitionChanged(detail) => Self::fail("definition_changed", detail),
            other if other.is_unreachable() => Self::Unreachable(other.to_string()),
            other if other.is_locked() => Self::Locked(other.to_string()),
            other => Self::Retry(other.to_string()),
        }
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Unreadable(detail) => Self::fail("payload_unreadable", detail),
            SourceError::Erased { .. } => Self::fail("payload_erased", error.to_string()),
            SourceError::Blob(BlobError::Missing(_)) => Self::BlobMissing(error.to_string()),
            SourceError::Blob(error) => Self::Unreachable(error.to_string()),
            SourceError::Store(error) => error.into(),
        }
    }
}

impl From<PayloadError> for Stop {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::TooLarge { .. } => Self::fail("export_too_large", error.to_string()),
            PayloadError::Blob(error) => Self::Unreachable(error.to_string()),
            PayloadError::Store(error) => error.into(),
            PayloadError::Lost => Self::Retry(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        let why = format!("writing the package failed: {}", disk::told(&error));
        match DiskFault::of_io(&error) {
            Some(_) => Self::Unreachable(why),
            None => Self::Retry(why),
        }
    }
}
