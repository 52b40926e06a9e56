//! How much comes in and ends: messages counted by stretches of time, for charts and rates.

use super::status::Status;
use super::time::Timestamp;

/// Messages of some jobs in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Came in.
    pub enqueued: u64,
    /// Ended well: `Acked`, `Processed`, `Staged`.
    pub succeeded: u64,
    /// Ended as `ProcessedWithErrors`: some records were rejected.
    pub with_errors: u64,
    /// Ended without success: `PreProcessingError`, `PostProcessingFailed`, `DeadLettered`.
    pub failed: u64,
    /// Were `Cancelled`, or `Expired`.
    pub stopped: u64,
}

impl Traffic {
    /// However they ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded + self.with_errors + self.failed + self.stopped
    }

    /// One more ended like this; a status that is no end counts nowhere.
    pub fn count_end(&mut self, status: Status) {
        match status {
            Status::Acked | Status::Processed | Status::Staged => self.succeeded += 1,
            Status::ProcessedWithErrors => self.with_errors += 1,
            Status::PreProcessingError | Status::PostProcessingFailed | Status::DeadLettered => self.failed += 1,
            Status::Cancelled | Status::Expired => self.stopped += 1,
            Status::Enqueued | Status::Dequeued | Status::Downloaded | Status::PreProcessing | Status::Processing => {}
        }
    }

    /// Field-wise sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            enqueued: self.enqueued + other.enqueued,
            succeeded: self.succeeded + other.succeeded,
            with_errors: self.with_errors + other.with_errors,
            failed: self.failed + other.failed,
            stopped: self.stopped + other.stopped,
        }
    }
}

/// How far a chart looks back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The last hour, by minutes.
    Hour,
    /// The last day, by quarters of an hour.
    Day,
    /// The last week, by three hours.
    Week,
}

impl Range {
    /// All, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The word in addresses, in `/api/v1` and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// The range with this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.as_str() == text)
    }

    /// How long each of its buckets is.
    #[must_use]
    pub fn bucket_seconds(self) -> i64 {
        match self {
            Self::Hour => 60,
            Self::Day => 15 * 60,
            Self::Week => 3 * 3600,
        }
    }

    /// How many buckets it has, the one that is not over included.
    #[must_use]
    pub fn buckets(self) -> usize {
        match self {
            Self::Hour => 60,
            Self::Day => 96,
            Self::Week => 56,
        }
    }

    /// How long its buckets are kept: a little longer than they are shown.
    #[must_use]
    pub fn kept_seconds(self) -> i64 {
        match self {
            Self::Hour => 2 * 3600,
            Self::Day => 26 * 3600,
            Self::Week => 8 * 86_400,
        }
    }

    /// When the bucket began that this time lies in. Buckets begin with hours and days of UTC.
    #[must_use]
    pub fn bucket_of(self, at: Timestamp) -> Timestamp {
        let length = self.bucket_seconds() * 1_000_000;
        Timestamp(at.micros().div_euclid(length) * length)
    }

    /// When each bucket began, oldest first; `now` lies in the last.
    #[must_use]
    pub fn starts(self, now: Timestamp) -> impl DoubleEndedIterator<Item = Timestamp> + ExactSizeIterator {
        let (last, length, count) = (self.bucket_of(now), self.bucket_seconds(), self.buckets());
        // At most 96.
        (0..count).map(move |at| last.plus_seconds(-length * i64::try_from(count - 1 - at).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_with_the_bucket_that_is_not_over() {
        // 2026-01-05 08:07:30 UTC.
        let now = Timestamp(1_767_600_450_000_000);
        for (range, first, last) in [
            (Range::Hour, "2026-01-05T07:08:00Z", "2026-01-05T08:07:00Z"),
            (Range::Day, "2026-01-04T08:15:00Z", "2026-01-05T08:00:00Z"),
            (Range::Week, "2025-12-29T09:00:00Z", "2026-01-05T06:00:00Z"),
        ] {
            let starts: Vec<Timestamp> = range.starts(now).collect();
            assert_eq!(starts.len(), range.buckets());
            assert_eq!(
                (starts[0].wire(), starts[starts.len() - 1].wire()),
                (first.into(), last.into())
            );
            assert!(now.seconds_since(starts[0]) < range.kept_seconds());
            assert_eq!(Range::parse(range.as_str()), Some(range));
        }
    }

    #[test]
    fn every_end_is_counted_once() {
        let mut traffic = Traffic::default();
        for status in Status::ALL {
            traffic.count_end(status);
        }
        let ends = Status::ALL.into_iter().filter(|status| status.is_final()).count();
        assert_eq!(traffic.ended(), ends as u64);
    }
}
