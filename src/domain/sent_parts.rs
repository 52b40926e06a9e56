//! Which parts of a blob were sent: one is fetched once they make up the whole, in whatever order and from whichever process the
//! parts came.

use serde::{Deserialize, Serialize};

/// Most parts that are remembered. A client that asks for more of them with gaps between has not fetched the whole.
const PARTS_MAX: usize = 1_000;

/// Parts of a blob that were sent, as `[first byte, byte behind the last]`: in order, and with a gap between any two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentParts(Vec<(u64, u64)>);

impl SentParts {
    /// Adds what was sent of a blob, from `first` up to `end`.
    pub fn add(&mut self, first: u64, end: u64) {
        if first >= end {
            return;
        }
        let mut merged = (first, end);
        let touches = |part: &(u64, u64)| part.0 <= end && first <= part.1;
        for part in self.0.iter().filter(|part| touches(part)) {
            merged = (merged.0.min(part.0), merged.1.max(part.1));
        }
        self.0.retain(|part| !touches(part));
        let at = self.0.partition_point(|part| part.0 < merged.0);
        self.0.insert(at, merged);
        self.0.truncate(PARTS_MAX);
    }

    /// Whether they make up a blob of so many bytes.
    #[must_use]
    pub fn are_all_of(&self, bytes: u64) -> bool {
        matches!(self.0.as_slice(), [(0, end)] if *end >= bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[(u64, u64)]) -> SentParts {
        let mut sent = SentParts::default();
        for (first, end) in parts {
            sent.add(*first, *end);
        }
        sent
    }

    #[test]
    fn parts_in_any_order_make_up_the_whole() {
        assert!(of(&[(0, 10)]).are_all_of(10));
        assert!(of(&[(5, 10), (0, 5)]).are_all_of(10));
        assert!(of(&[(6, 10), (0, 3), (2, 7)]).are_all_of(10));
        assert!(of(&[(0, 3), (6, 10), (3, 6)]).are_all_of(10));
        for missing in [
            of(&[]),
            of(&[(0, 9)]),
            of(&[(1, 10)]),
            of(&[(0, 4), (5, 10)]),
            of(&[(9, 10), (9, 10), (3, 3)]),
        ] {
            assert!(!missing.are_all_of(10), "{missing:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let scattered: Vec<_> = (0..5_000).map(|at| (at * 2, at * 2 + 1)).collect();
        let mut sent = of(&scattered);
        assert_eq!(sent.0.len(), PARTS_MAX);
        sent.add(0, 10_000);
        assert!(sent.are_all_of(10_000));
    }

    #[test]
    fn they_are_kept_as_a_list_of_pairs() {
        let text = serde_json::to_string(&of(&[(4, 6), (0, 2)])).expect("JSON");
        assert_eq!(text, "[[0,2],[4,6]]");
        assert_eq!(
            serde_json::from_str::<SentParts>(&text).expect("JSON"),
            of(&[(0, 2), (4, 6)])
        );
    }
}
