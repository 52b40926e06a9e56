//! A schedule: each of its due times is there once, ran, and made one message.

use std::collections::BTreeMap;

use super::{Rule, Violation};
use crate::history::{Run, Runs};

pub fn check(runs: &Runs, found: &mut Vec<Violation>) {
    let mut broken = |what: String| found.push(Violation::new(Rule::EachDueTimeRunsOnce, what, &[]));
    if runs.strays > 0 {
        broken(format!("{} messages are of no run there is", runs.strays));
    }
    let mut written: BTreeMap<i64, Vec<&Run>> = BTreeMap::new();
    for run in &runs.rows {
        written.entry(run.due).or_default().push(run);
    }
    let last = written.keys().next_back().copied().unwrap_or_default().max(runs.until);
    let mut due = runs.first;
    while runs.every > 0 && due <= last {
        match written.remove(&due).unwrap_or_default().as_slice() {
            [] => broken(format!("what was due at {due} is not there")),
            [run] if run.state != "done" => broken(format!("what was due at {due} is {}", run.state)),
            [run] if run.messages != 1 => broken(format!("what was due at {due} made {} messages", run.messages)),
            [_] => {}
            more => broken(format!("what was due at {due} is there {} times", more.len())),
        }
        due += runs.every;
    }
    for due in written.keys() {
        broken(format!("something ran as due at {due}, when nothing was"));
    }
}
