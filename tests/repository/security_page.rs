//! `docs/security.md` names a test for each threat, and the tests are there.

use crate::{files, repository};

#[test]
fn every_threat_names_tests_that_exist() {
    let page = std::fs::read_to_string(repository("docs/security.md")).expect("the page");
    let all: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| files(&repository(folder), ".rs"))
        .map(|file| std::fs::read_to_string(file).expect("a source"))
        .collect();
    let threats = page
        .split("## Threats, defences, tests")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next());
    let mut rows = 0;
    for line in threats
        .expect("a section")
        .lines()
        .filter(|line| line.starts_with("| "))
    {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [threat, _, tests] = cells.as_slice() else {
            panic!("{line}")
        };
        if *threat == "Threat" {
            continue;
        }
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{threat}: no test");
        for test in named {
            let is_there = repository(test).is_dir() || all.contains(&format!("fn {test}("));
            assert!(is_there, "{threat}: there is no test {test}");
        }
        rows += 1;
    }
    assert!(rows > 30, "the page is written in another way now: {rows}");
}
