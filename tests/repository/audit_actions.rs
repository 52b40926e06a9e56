//! The table of docs/operating.md has every action of the audit log.

use std::collections::BTreeSet;

use tranship::domain::audit::Action;

use crate::repository;

#[test]
fn the_page_names_every_action_and_no_other() {
    let page = std::fs::read_to_string(repository("docs/operating.md")).expect("the page");
    let table = page.split("| Action | Target |").nth(1).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let named = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let named: BTreeSet<&str> = named.collect();
    assert_eq!(named, Action::ALL.iter().map(|action| action.as_str()).collect());
}
