//! The places where a test may have the process killed: each of a list is in the sources, and each in the sources is on one list.

use std::collections::BTreeMap;

use crate::{files, repository};

#[test]
fn every_failpoint_is_on_one_list_and_in_the_sources() {
    let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
    for name in tranship::failpoint::LISTS.into_iter().flatten() {
        *listed.entry(*name).or_default() += 1;
    }
    let mut sources = String::new();
    for path in files(&repository("src"), ".rs") {
        if !path.ends_with("src/failpoint.rs") {
            sources += &std::fs::read_to_string(&path).expect("a source");
        }
    }
    for name in listed.keys() {
        assert!(sources.contains(&format!("\"{name}\"")), "nothing comes to {name}");
    }
    let reached: Vec<&str> = sources
        .split("failpoint::reached(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(reached.len() > 20, "{reached:?}");
    for name in reached {
        assert!(listed.contains_key(name), "{name} is on no list");
    }
    // An export's uploads are as any other.
    let shared = ["upload.begun", "upload.stored"];
    for (name, times) in listed {
        assert_eq!(times, 1 + usize::from(shared.contains(&name)), "{name}");
    }
}
