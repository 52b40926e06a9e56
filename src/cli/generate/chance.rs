//! Chance that is the same for the same seed: every record has its own, so that any of them can be made again alone.

/// A stream of numbers that look random (splitmix64).
pub(super) struct Chance(u64);

impl Chance {
    /// The stream of one record.
    pub(super) fn of(seed: u64, record: u64) -> Self {
        let mut chance = Self(seed ^ record.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Neighbouring records must not begin alike.
        chance.0 = chance.next();
        chance
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0, below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let at = self.below(words.len() as u64);
        words[usize::try_from(at).unwrap_or(0)]
    }
}
