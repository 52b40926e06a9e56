//! A bounded memory of what was used lately.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Remembers at least the last `capacity` entries put in, at most twice as many.
#[derive(Debug)]
pub struct Recent<K, V> {
    capacity: usize,
    entries: Mutex<Entries<K, V>>,
}

/// When the young ones are too many they become the old ones, and the old ones are forgotten.
#[derive(Debug)]
struct Entries<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// An empty memory.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let entries = Entries {
            young: HashMap::new(),
            old: HashMap::new(),
        };
        Self {
            capacity,
            entries: Mutex::new(entries),
        }
    }

    /// What was put in under this key, if it is still remembered.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // Nothing in here is left half-changed by a panic.
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.young.get(key).or_else(|| entries.old.get(key)).cloned()
    }

    /// Remembers a value.
    pub fn put(&self, key: K, value: V) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.young.len() >= self.capacity {
            entries.old = std::mem::take(&mut entries.young);
        }
        entries.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered_and_the_memory_is_bounded() {
        let recent = Recent::new(10);
        for number in 0..1000 {
            recent.put(number, number * 2);
        }
        for number in 990..1000 {
            assert_eq!(recent.get(&number), Some(number * 2));
        }
        let kept = (0..1000).filter(|number| recent.get(number).is_some()).count();
        assert!(kept <= 20, "{kept}");
        recent.put(999, 0);
        assert_eq!(recent.get(&999), Some(0), "the latest counts");
    }
}
