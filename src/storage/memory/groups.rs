//! Floors of groups: up to which number everything of a group is known to have ended.
//!
//! Numbers of one group are given under its lock, so a new message never comes below a floor. What is tried again does, and
//! is marked `returned`: it is looked for without the floor. What a store that went back in time (a restored copy, a standby
//! that was behind) has below it is found by a look at the whole group.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::looks::Looks;
use crate::storage::groups::Group;

/// Groups remembered; more, and the memory starts anew.
const GROUPS_MAX: usize = 20_000;

/// A store seldom goes back in time.
const LOOK_AFTER: Duration = Duration::from_mins(1);

/// The floors of the groups this process settled.
#[derive(Debug, Default)]
pub(super) struct GroupFloors(HashMap<Group, Floor>);

#[derive(Debug)]
struct Floor {
    at: i64,
    looks: Looks,
}

impl GroupFloors {
    /// The number of the oldest message of this group that may be alive.
    pub(super) fn floor(&self, group: &Group) -> i64 {
        let floor = self.0.get(group).filter(|floor| !floor.looks.is_due(Instant::now()));
        floor.map_or(i64::MIN, |floor| floor.at)
    }

    /// A look at the whole group that began then is over.
    pub(super) fn looked(&mut self, group: &Group, begun: Instant) {
        if let Some(floor) = self.0.get_mut(group) {
            floor.looks.looked(begun);
        }
    }

    /// After the commit that left this number the oldest one alive.
    pub(super) fn settled(&mut self, group: &Group, oldest: i64) {
        if self.0.len() >= GROUPS_MAX && !self.0.contains_key(group) {
            self.0.clear();
        }
        if let Some(floor) = self.0.get_mut(group) {
            floor.at = oldest;
            return;
        }
        // Who settled it just looked at all of it.
        let mut looks = Looks::seldom(LOOK_AFTER);
        looks.looked(Instant::now());
        self.0.insert(group.clone(), Floor { at: oldest, looks });
    }
}
