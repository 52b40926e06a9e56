//! The wire's three status vocabularies, as total functions of where a message stands and what became of its records.
//!
//! Contract RI-26 (job status), RI-30 (`GetMessageStatus`) and PKG-12 (execution summary) name the same states in three
//! ways. This file is the only translator.

use super::counts::Counts;
use super::job::Direction;
use super::message::Message;
use super::status::Status;

/// What the three vocabularies are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which way it goes.
    pub direction: Direction,
    /// The message's status.
    pub status: Status,
    /// Its records by outcome.
    pub counts: Counts,
    /// Whether a worker ever began on it.
    pub started: bool,
    /// Whether it, or a part of it, failed as a whole.
    pub failed: bool,
}

impl From<&Message> for Standing {
    fn from(message: &Message) -> Self {
        Self {
            direction: message.direction,
            status: message.status,
            counts: message.counts,
            started: message.started_at.is_some(),
            failed: message.failure.is_some(),
        }
    }
}

fn has_errors(standing: Standing) -> bool {
    standing.failed || standing.counts.rejected > 0
}

/// `DataJobState` of job status (RI-26).
#[must_use]
pub fn job_state(standing: Standing) -> &'static str {
    match standing.status {
        Status::Enqueued => "Enqueued",
        Status::Dequeued => "Dequeued",
        Status::Downloaded => "Downloaded",
        Status::Acked => "Acked",
        Status::PreProcessing | Status::Processing => "InProcess",
        Status::Staged if has_errors(standing) => "ProcessedWithErrors",
        Status::Processed | Status::Staged => "Processed",
        Status::ProcessedWithErrors => "ProcessedWithErrors",
        Status::PostProcessingFailed | Status::DeadLettered => "PostProcessError",
        Status::Cancelled | Status::Expired if standing.started => "PostProcessError",
        Status::PreProcessingError | Status::Cancelled | Status::Expired => "PreProcessError",
    }
}

/// The value of `GetMessageStatus` (RI-30).
#[must_use]
pub fn message_status(standing: Standing) -> &'static str {
    match standing.status {
        Status::Enqueued => "Enqueued",
        Status::Dequeued => "Dequeued",
        Status::Downloaded => "Downloaded",
        Status::Acked => "Acked",
        Status::PreProcessing => "PreProcessing",
        Status::Processing => "Processing",
        Status::Staged if has_errors(standing) => "ProcessedWithErrors",
        Status::Processed | Status::Staged => "Processed",
        Status::ProcessedWithErrors => "ProcessedWithErrors",
        Status::PostProcessingFailed | Status::DeadLettered => "PostProcessingFailed",
        Status::Cancelled | Status::Expired if standing.started => "PostProcessingFailed",
        Status::PreProcessingError | Status::Cancelled | Status::Expired => "PreProcessingError",
    }
}

/// The value of `GetExecutionSummaryStatus` (PKG-12) for the execution over a message.
#[must_use]
pub fn execution_summary(standing: Standing) -> &'static str {
    let Counts {
        read,
        rejected,
        skipped,
        ..
    } = standing.counts;
    let applied = standing.counts.applied();
    match standing.status {
        // An outbound message exists only after its export succeeded (PKG-21).
        Status::Enqueued if standing.direction == Direction::Export => "Succeeded",
        Status::Enqueued => "NotRun",
        Status::PreProcessing | Status::Processing => "Executing",
        Status::Dequeued | Status::Downloaded | Status::Acked => "Succeeded",
        Status::Cancelled | Status::Expired => "Canceled",
        // As staging ended (PKG-11b): what it took was skipped by the target.
        Status::Staged if !has_errors(standing) => "Succeeded",
        Status::Staged if skipped > 0 => "PartiallySucceeded",
        Status::Staged | Status::PreProcessingError => "Failed",
        // Some of its entities failed as a whole, others landed.
        Status::ProcessedWithErrors if applied > 0 => "PartiallySucceeded",
        Status::Processed | Status::ProcessedWithErrors | Status::PostProcessingFailed | Status::DeadLettered => {
            if applied > 0 && rejected > 0 {
                "PartiallySucceeded"
            } else if standing.status == Status::Processed
                || (standing.status == Status::ProcessedWithErrors && read == 0)
            {
                "Succeeded"
            } else {
                "Failed"
            }
        }
    }
}

/// The value of `GetExecutionSummaryStatus` (PKG-12) for the execution of an export run, by the state of its occurrence.
#[must_use]
pub fn export_summary(state: &str) -> &'static str {
    match state {
        "due" => "NotRun",
        "running" => "Executing",
        "done" => "Succeeded",
        "failed" => "Failed",
        "skipped" | "cancelled" => "Canceled",
        _ => "Unknown",
    }
}

/// The number that Dynamics 365 has for what one of our error codes says (FMT-14), where it has one.
#[must_use]
pub fn error_number(code: &str) -> Option<&'static str> {
    Some(match code {
        "file_empty" => "DMF2053",
        "header_missing" | "header_damaged" => "FF004",
        "json_expected" | "xlsx_expected" | "parquet_expected" => "DMF1855",
        "xml_expected" | "xml_damaged" | "invalid_xml" => "DMF1830",
        "no_column_matches" | "column_unknown" | "column_missing" => "DMF2022",
        "required_column_missing" => "DMF2025",
        "column_twice" | "column_count" => "DMF2060",
        "invalid_int" | "invalid_decimal" | "decimal_overflow" | "invalid_bool" | "invalid_guid" | "invalid_enum" => {
            "DMF2018"
        }
        "invalid_date" | "invalid_datetime" | "invalid_time" => "DMF2016",
        "duplicate_key" => "DMF1959",
        "invalid_character" => "DMF2055",
        "composite_not_xml" => "DMF1963",
        "element_missing" => "MAP011",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(status: Status, started: bool, counts: Counts) -> Standing {
        Standing {
            direction: Direction::Import,
            status,
            counts,
            started,
            failed: false,
        }
    }

    #[test]
    fn every_word_is_one_the_contract_lists() {
        let job = [
            "Enqueued",
            "Dequeued",
            "Downloaded",
            "Acked",
            "InProcess",
            "Processed",
            "ProcessedWithErrors",
            "PostProcessError",
            "PreProcessError",
        ];
        let message = [
            "Enqueued",
            "Dequeued",
            "Downloaded",
            "Acked",
            "PreProcessing",
            "Processing",
            "Processed",
            "PreProcessingError",
            "ProcessedWithErrors",
            "PostProcessingFailed",
        ];
        let summary = [
            "Unknown",
            "NotRun",
            "Executing",
            "Succeeded",
            "PartiallySucceeded",
            "Failed",
            "Canceled",
        ];
        for status in Status::ALL {
            for started in [false, true] {
                for counts in [
                    Counts::default(),
                    Counts {
                        read: 2,
                        inserted: 1,
                        rejected: 1,
                        ..Counts::default()
                    },
                ] {
                    let at = standing(status, started, counts);
                    assert!(job.contains(&job_state(at)), "{status}");
                    assert!(message.contains(&message_status(at)), "{status}");
                    assert!(summary.contains(&execution_summary(at)), "{status}");
                }
            }
        }
    }

    #[test]
    fn a_message_cancelled_before_it_started_reads_as_a_preprocessing_error() {
        let before = standing(Status::Cancelled, false, Counts::default());
        let after = standing(Status::Cancelled, true, Counts::default());
        assert_eq!(
            (job_state(before), message_status(before)),
            ("PreProcessError", "PreProcessingError")
        );
        assert_eq!(
            (job_state(after), message_status(after)),
            ("PostProcessError", "PostProcessingFailed")
        );
        assert_eq!(execution_summary(before), "Canceled");
    }

    #[test]
    fn an_export_succeeded_before_anyone_fetches_its_message() {
        let waiting = |direction| Standing {
            direction,
            ..standing(Status::Enqueued, false, Counts::default())
        };
        assert_eq!(execution_summary(waiting(Direction::Export)), "Succeeded");
        assert_eq!(execution_summary(waiting(Direction::Import)), "NotRun");
    }

    /// PKG-11b.
    #[test]
    fn an_import_without_its_target_reads_as_its_staging_ended() {
        let staged = |rejected, skipped, failed| Standing {
            failed,
            ..standing(
                Status::Staged,
                true,
                Counts {
                    read: rejected + skipped,
                    rejected,
                    skipped,
                    ..Counts::default()
                },
            )
        };
        for (at, want) in [
            (staged(0, 2, false), "Succeeded"),
            (staged(0, 0, false), "Succeeded"),
            (staged(1, 1, false), "PartiallySucceeded"),
            (staged(0, 1, true), "PartiallySucceeded"),
            (staged(2, 0, false), "Failed"),
            (staged(0, 0, true), "Failed"),
        ] {
            assert_eq!(execution_summary(at), want, "{at:?}");
            let processed = if want == "Succeeded" {
                "Processed"
            } else {
                "ProcessedWithErrors"
            };
            assert_eq!((job_state(at), message_status(at)), (processed, processed), "{at:?}");
        }
    }

    #[test]
    fn a_package_some_of_whose_entities_failed_succeeded_partially() {
        let counts = Counts {
            read: 1,
            inserted: 1,
            ..Counts::default()
        };
        let at = standing(Status::ProcessedWithErrors, true, counts);
        assert_eq!(execution_summary(at), "PartiallySucceeded");
    }

    #[test]
    fn the_summary_follows_the_counts() {
        let counts = |read, inserted, rejected| Counts {
            read,
            inserted,
            rejected,
            ..Counts::default()
        };
        let summary = |status, counts| execution_summary(standing(status, true, counts));
        assert_eq!(summary(Status::Processed, counts(3, 3, 0)), "Succeeded");
        assert_eq!(summary(Status::Processed, counts(0, 0, 0)), "Succeeded");
        assert_eq!(
            summary(Status::ProcessedWithErrors, counts(3, 1, 2)),
            "PartiallySucceeded"
        );
        assert_eq!(summary(Status::ProcessedWithErrors, counts(3, 0, 3)), "Failed");
        assert_eq!(summary(Status::PostProcessingFailed, counts(3, 0, 3)), "Failed");
    }
}
