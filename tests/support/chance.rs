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
        Self(seed)
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
}
