//! Randomness that can be had again: every run says its seed.

use std::time::Duration;

/// A small generator (`SplitMix64`): enough to choose moments and orders, not for secrets.
pub struct Chance(u64);

impl Chance {
    /// Seeded from the environment variable `name`, or anew; either way the seed is printed, to be had again.
    pub fn announced(name: &str) -> Self {
        let seed = std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| u64::from(std::process::id()) ^ uuid::Uuid::new_v4().as_u64_pair().0);
        eprintln!("{name}={seed}");
        Self::of(seed)
    }

    /// With this seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// What its next number comes from: the seed of one that goes on like this one.
    pub fn seed(&self) -> u64 {
        self.0
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A duration from nothing to `longest`.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).expect("less than centuries");
        Duration::from_nanos(self.number() % nanos.max(1))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("a small number");
        usize::try_from(self.number() % end).expect("below a small number")
    }

    /// Whether one of so many times it happens now.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
