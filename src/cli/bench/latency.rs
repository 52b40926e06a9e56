//! How long operations took: a histogram of fixed size, whatever the number of samples.
//!
//! `benches/race` includes this file by its path, so that every contender is measured with the same ruler; it uses the
//! standard library only.

use std::time::Duration;

/// Each doubling of the time is cut into this many steps, so a quantile is at most 1/32 too high.
const STEPS: u64 = 32;
/// log2 of [`STEPS`].
const STEP_BITS: u32 = 5;
/// Steps for 32 doublings of a microsecond: more than an hour.
const BUCKETS: usize = 32 * 32;

/// Times in microseconds, counted in buckets that grow with the time.
#[derive(Debug, Clone)]
pub struct Latency {
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            max_us: 0,
        }
    }
}

impl Latency {
    /// Counts one operation.
    pub fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(micros);
    }

    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Operations counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time that `per_cent` of 100 operations stayed within, in microseconds; 0 without any.
    #[must_use]
    pub fn quantile_us(&self, per_cent: u64) -> u64 {
        let wanted = (self.count * per_cent).div_ceil(100).max(1);
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_bound(at as u64).min(self.max_us);
            }
        }
        self.max_us
    }

    /// The longest, in microseconds.
    #[must_use]
    pub fn max_us(&self) -> u64 {
        self.max_us
    }
}

/// Below [`STEPS`] every microsecond has a bucket; above, each doubling has [`STEPS`] of them.
fn bucket(micros: u64) -> usize {
    let index = if micros < STEPS {
        micros
    } else {
        let doublings = u64::from(micros.ilog2() - STEP_BITS);
        (doublings + 1) * STEPS + ((micros >> doublings) - STEPS)
    };
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The longest time a bucket holds.
fn upper_bound(bucket: u64) -> u64 {
    if bucket < STEPS {
        return bucket;
    }
    let doublings = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        for time in micros {
            latency.record(Duration::from_micros(time));
        }
        latency
    }

    #[test]
    fn every_time_lies_in_a_bucket_at_most_one_step_wide() {
        for micros in (0..5000).chain([65_535, 65_536, 1_000_003, 59_999_999]) {
            let bound = upper_bound(bucket(micros) as u64);
            assert!(bound >= micros && bound - micros <= micros / STEPS, "{micros}: {bound}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_samples() {
        let latency = of(1..=1000);
        let near = |per_cent, expected: u64| {
            let got = latency.quantile_us(per_cent);
            assert!(got >= expected && got <= expected + expected / 16, "{per_cent}: {got}");
        };
        near(50, 500);
        near(99, 990);
        assert_eq!(latency.quantile_us(100), 1000);
        assert_eq!(Latency::default().quantile_us(99), 0);
    }

    #[test]
    fn merged_workers_count_as_one() {
        let mut all = of(1..=500);
        all.merge(&of(501..=1000));
        let at_once = of(1..=1000);
        assert_eq!(all.count(), 1000);
        assert_eq!(all.quantile_us(99), at_once.quantile_us(99));
    }

    #[test]
    fn a_time_beyond_all_buckets_is_kept_as_the_longest() {
        let hours = of([u64::from(u32::MAX) * 4]);
        assert_eq!(hours.quantile_us(50), hours.max_us());
    }
}
