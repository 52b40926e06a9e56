use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn seen(in_memory_max: usize) -> KeysSeen {
    KeysSeen {
        key: vec![(0, true)],
        hasher: RandomState::new(),
        recent: Vec::new(),
        runs: None,
        in_memory_max,
    }
}

fn found(mut seen: KeysSeen, keys: &[u64], batch: usize) -> Vec<(u64, u64)> {
    for (&key, record) in keys.iter().zip(1..) {
        seen.add(key, record).expect("a temporary file");
    }
    let mut suspects = seen.suspects().expect("a temporary file");
    let mut found = Vec::new();
    loop {
        let next = suspects.batch(batch).expect("a temporary file");
        if next.is_empty() {
            break;
        }
        assert!(next.len() <= batch);
        found.extend(next.iter().map(|suspect| (suspect.record, suspect.first_record)));
    }
    found.sort_unstable();
    found
}

proptest! {
    #[test]
    fn every_repeat_is_suspected_with_the_first_of_its_key(keys in prop::collection::vec(0_u64..40, 0..200), in_memory in 1_usize..50, batch in 1_usize..9) {
        let mut first = BTreeMap::new();
        let mut expected = Vec::new();
        for (&key, record) in keys.iter().zip(1_u64..) {
            match first.get(&key) {
                Some(&first) => expected.push((record, first)),
                None => { first.insert(key, record); }
            }
        }
        prop_assert_eq!(&found(seen(usize::MAX), &keys, batch), &expected);
        prop_assert_eq!(&found(seen(in_memory), &keys, batch), &expected);
    }
}

#[test]
fn a_decimal_is_the_same_however_many_zeros_it_ends_with() {
    assert_eq!(shortest("12.50"), "12.5");
    assert_eq!(shortest("12.00"), "12");
    assert_eq!(shortest("1200"), "1200");
}
