//! `docs/security.md` names a test for each threat, and the tests are there.

use std::path::Path;

use crate::repository;

fn sources(folder: &Path, out: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push_str(&std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn every_threat_names_tests_that_exist() {
    let page = std::fs::read_to_string(repository("docs/security.md")).expect("the page");
    let mut all = String::new();
    sources(&repository("src"), &mut all);
    sources(&repository("tests"), &mut all);
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
    assert!(rows > 35, "the page is written in another way now: {rows}");
}
