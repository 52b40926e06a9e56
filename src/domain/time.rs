//! Points in time, in microseconds since 1970 UTC: the one form in both databases, so that they sort alike.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time in whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Seconds since then, with their fractions; never less than none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a duration")]
    pub fn seconds_from(self, then: Self) -> f64 {
        self.0.saturating_sub(then.0).max(0) as f64 / 1_000_000.0
    }

    /// What the wire shows for "not yet" (RI-28).
    pub const WIRE_NEVER: &'static str = "1900-01-01T00:00:00Z";

    /// Microseconds since 1970 UTC.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// This many seconds later; saturates instead of wrapping.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Whole seconds from `earlier` to here; negative when the clock went back.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }

    /// As a calendar time in UTC.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// Whole seconds with a `Z`, as the connector writes times.
    #[must_use]
    pub fn wire(self) -> String {
        self.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text)
            .map(|at| Self(at.timestamp_micros()))
            .map_err(serde::de::Error::custom)
    }
}
