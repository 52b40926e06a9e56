//! What the journal still knows after a crash.

use std::io::Write as _;

use super::{FILE, Journal, JournalError};
use crate::agent::record::{Arrival, ArrivalStage, Ending, Mark, Parcel, Record, Run, RunStage, Stage};
use crate::clock::Clock;
use crate::domain::ids::ParcelId;
use crate::domain::time::Timestamp;

fn run(execution: &str, stage: RunStage) -> Record {
    Record::Run(Run {
        execution: execution.to_owned(),
        flow: "nightly".to_owned(),
        until: Timestamp(0),
        stage,
    })
}

fn delivery(id: &str, stage: ArrivalStage) -> Record {
    Record::Delivery(Arrival {
        id: id.to_owned(),
        flow: "in".to_owned(),
        staged: "a".into(),
        file: "b\nc".into(),
        digest: "00".to_owned(),
        receipt: String::new(),
        stage,
    })
}

#[test]
fn the_last_line_of_each_thing_counts_and_what_is_over_is_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::open(folder.path(), Clock::system()).expect("open");
    for record in [
        run("one", RunStage::Asked),
        run("two", RunStage::Asked),
        delivery("d", ArrivalStage::Storing),
        run("one", RunStage::Over),
        delivery("d", ArrivalStage::Acknowledged),
    ] {
        journal.note(record).expect("noted");
    }
    drop(journal);
    let journal = Journal::open(folder.path(), Clock::system()).expect("open");
    let left: Vec<Record> = journal.records().into_iter().cloned().collect();
    // Acknowledged deliveries may be offered again; runs are not.
    assert_eq!(
        left,
        [delivery("d", ArrivalStage::Acknowledged), run("two", RunStage::Asked)]
    );
    let text = std::fs::read_to_string(folder.path().join(FILE)).expect("text");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn a_line_cut_short_is_a_step_not_taken_and_damage_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::open(folder.path(), Clock::system()).expect("open");
    journal.note(run("one", RunStage::Asked)).expect("noted");
    drop(journal);
    let path = folder.path().join(FILE);
    let append = |text: &str| {
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("open");
        file.write_all(text.as_bytes()).expect("written");
    };
    append("{\"noted_at\":\"2026-");
    let mut journal = Journal::open(folder.path(), Clock::system()).expect("open");
    journal.note(run("two", RunStage::Asked)).expect("noted");
    assert_eq!(journal.records().len(), 2);
    drop(journal);
    append("nonsense\n");
    let damaged = Journal::open(folder.path(), Clock::system()).expect_err("damage");
    assert!(matches!(damaged, JournalError::Damaged { line: 3, .. }), "{damaged}");
}

#[test]
fn a_journal_has_one_agent() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Journal::open(folder.path(), Clock::system()).expect("open");
    let second = Journal::open(folder.path(), Clock::system()).expect_err("taken");
    assert!(matches!(second, JournalError::Taken(_)), "{second}");
    drop(first);
    Journal::open(folder.path(), Clock::system()).expect("free again");
}

#[test]
fn every_stage_is_read_as_it_was_written() {
    let ending = Ending {
        status: "Processed".to_owned(),
        message: Some("m".to_owned()),
        failure: Some("f".to_owned()),
    };
    let (digest, bytes, blob_url) = ("00".to_owned(), u64::MAX, "https://b".to_owned());
    let stages = [
        Stage::Picked,
        Stage::Sending {
            digest: digest.clone(),
            bytes,
        },
        Stage::Uploaded {
            digest,
            bytes,
            blob_url,
        },
        Stage::Sent {
            message: "m".to_owned(),
        },
        Stage::Ended(ending.clone()),
        Stage::Moving {
            to: "t".into(),
            ending: ending.clone(),
        },
        Stage::Stopped {
            place: "t".into(),
            ending,
        },
    ];
    for stage in stages {
        let folder = tempfile::tempdir().expect("a folder");
        let parcel = Record::Parcel(Parcel {
            id: ParcelId::generate(),
            flow: "f".to_owned(),
            name: "a\nb".to_owned(),
            source: "s".into(),
            mark: Mark {
                bytes: 1,
                modified: -1,
                inode: u64::MAX,
            },
            held: "h".into(),
            execution: None,
            stage,
        });
        let mut journal = Journal::open(folder.path(), Clock::system()).expect("open");
        journal.note(parcel.clone()).expect("noted");
        drop(journal);
        assert_eq!(Journal::peek(folder.path()).expect("it reads"), [parcel]);
    }
}
