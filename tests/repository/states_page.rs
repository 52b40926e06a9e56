//! `docs/states.md` shows the state machine as it is: its table is generated from `Status::next`, its drawings have the
//! same arrows.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tranship::domain::status::{Event, Status};

use crate::markdown::blocks;
use crate::repository;

#[test]
fn the_table_is_what_next_says() {
    let page = std::fs::read_to_string(repository("docs/states.md")).expect("the page");
    let table = table();
    assert!(
        page.contains(&table),
        "docs/states.md should hold this table:\n\n{table}"
    );
}

#[test]
fn the_drawings_have_every_arrow_and_no_other() {
    let mut drawn = BTreeSet::new();
    let mut ends = BTreeSet::new();
    for block in blocks(&repository("docs/states.md")) {
        if block.info != "mermaid" {
            continue;
        }
        for line in block.text.lines().filter(|line| line.contains("-->")) {
            let (from, rest) = line.split_once("-->").expect("an arrow");
            let (from, to, events) = match rest.split_once(':') {
                Some((to, events)) => (from.trim(), to.trim(), events.trim()),
                None => (from.trim(), rest.trim(), ""),
            };
            if to == "[*]" {
                ends.insert(from.to_owned());
            }
            for event in events.split(", ").filter(|event| !event.is_empty()) {
                drawn.insert((from.to_owned(), event.to_owned(), to.to_owned()));
            }
        }
    }
    let mut arrows = BTreeSet::new();
    for from in Status::ALL {
        for event in Event::ALL {
            if let Ok(to) = from.next(event) {
                arrows.insert((from.to_string(), format!("{event:?}"), to.to_string()));
            }
        }
    }
    let missing: Vec<_> = arrows.difference(&drawn).collect();
    let invented: Vec<_> = drawn.difference(&arrows).collect();
    assert!(missing.is_empty(), "not drawn: {missing:?}");
    assert!(invented.is_empty(), "drawn, but no such transition: {invented:?}");
    let finals: BTreeSet<String> = Status::ALL
        .iter()
        .filter(|s| s.is_final())
        .map(ToString::to_string)
        .collect();
    assert_eq!(ends, finals, "the ends of the drawings are the final statuses");
}

/// One row for each status, one column for each event; empty where the event is refused.
fn table() -> String {
    let mut out = String::from("| |");
    for event in Event::ALL {
        write!(out, " {event:?} |").expect("a String takes all");
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(Event::ALL.len()));
    for status in Status::ALL {
        write!(out, "\n| **{status}** |").expect("a String takes all");
        for event in Event::ALL {
            match status.next(event) {
                Ok(next) => write!(out, " {next} |").expect("a String takes all"),
                Err(_) => out.push_str(" |"),
            }
        }
    }
    out.push('\n');
    out
}
