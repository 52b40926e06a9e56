//! `docs/d365.md` has a row for every rule of the wire contract's sections 1 to 5, and the tests it names are there.

use std::collections::BTreeMap;

use crate::repository;

const PAGE: &str = "docs/d365.md";
/// How many rules each part has, and those with a letter behind their number.
const RULES: [(&str, std::ops::RangeInclusive<u32>, &[&str]); 6] = [
    ("GEN", 1..=14, &[]),
    ("ERR", 1..=3, &[]),
    ("AUTH", 1..=15, &[]),
    ("RI", 0..=35, &["RI-6a"]),
    (
        "PKG",
        0..=28,
        &[
            "PKG-0a", "PKG-0b", "PKG-11a", "PKG-11b", "PKG-11c", "PKG-11d", "PKG-11e", "PKG-11f", "PKG-11g", "PKG-11h",
            "PKG-14a", "PKG-14b", "PKG-15a",
        ],
    ),
    ("FMT", 1..=15, &[]),
];
/// The one rule there is nothing to test of: that the product lacks the connector in some installations.
const UNTESTED: [&str; 1] = ["RI-35"];

/// Rule → what the page says of it and the tests it names.
fn rows() -> BTreeMap<String, (String, Vec<String>)> {
    let page = std::fs::read_to_string(repository(PAGE)).expect("the page");
    let mut rows = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [rule, _, state, tests] = cells.as_slice() else {
            continue;
        };
        let is_rule = RULES.iter().any(|(part, ..)| rule.starts_with(&format!("{part}-")));
        if is_rule {
            let tests = tests.split('`').filter(|test| test.contains("::")).map(str::to_owned);
            let before = rows.insert((*rule).to_owned(), ((*state).to_owned(), tests.collect()));
            assert!(before.is_none(), "{PAGE} has two rows for {rule}");
        }
    }
    rows
}

#[test]
fn every_rule_has_its_row_and_no_other_has() {
    let mut rules: Vec<String> = Vec::new();
    for (part, numbers, lettered) in RULES {
        rules.extend(numbers.map(|number| format!("{part}-{number}")));
        rules.extend(lettered.iter().map(|rule| (*rule).to_owned()));
    }
    rules.sort();
    let rows: Vec<String> = rows().into_keys().collect();
    let missing: Vec<_> = rules.iter().filter(|rule| !rows.contains(rule)).collect();
    let unknown: Vec<_> = rows.iter().filter(|rule| !rules.contains(rule)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing {missing:?}, unknown {unknown:?}"
    );
}

#[test]
fn every_row_says_how_it_is_and_names_tests_that_exist() {
    for (rule, (state, tests)) in rows() {
        let is_stated = state == "yes" || state.starts_with("yes: ") || state.starts_with("differs: ");
        assert!(is_stated, "{rule}: `{state}` is neither `yes` nor `differs: how`");
        assert!(
            !tests.is_empty() || UNTESTED.contains(&rule.as_str()),
            "{rule} names no test"
        );
        for test in tests {
            let (module, name) = test.rsplit_once("::").expect("file::function");
            let file = match module.strip_prefix("src/") {
                Some(source) => format!("src/{source}.rs"),
                None => format!("tests/{module}.rs"),
            };
            let text =
                std::fs::read_to_string(repository(&file)).unwrap_or_else(|error| panic!("{rule}: {file}: {error}"));
            assert!(
                text.contains(&format!("fn {name}(")),
                "{rule}: there is no test {name} in {file}"
            );
        }
    }
}
