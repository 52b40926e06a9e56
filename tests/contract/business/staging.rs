//! Source to staging: the position, duplicates, references, reruns.

use std::time::{Duration, Instant};

use tranship::business::BusinessError;
use tranship::business::staging::{Chunk, StagedRecord, StagingBatch};
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, FieldType};
use tranship::domain::reject::RejectId;

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    a_rerun_goes_on_after_the_last_staged_record,
    of_records_with_the_same_key_the_first_stands,
    a_record_without_its_parent_is_rejected_and_the_others_land,
    a_parent_may_stand_in_the_same_file_unless_it_is_rejected_itself,
    a_long_chain_of_parents_falls_with_its_head,
    parents_that_share_a_value_fall_when_none_is_left,
    a_record_with_two_faults_is_counted_once,
    finishing_twice_changes_nothing,
    a_stopped_load_counts_the_rest_as_skipped,
    a_load_stopped_while_it_is_staged_is_conserved,
    an_empty_file_has_no_chunks,
    a_load_stopped_before_its_first_record_begins_again,
    a_complete_load_takes_no_more_records,
    clearing_staging_keeps_counts_and_rejects,
    a_load_without_its_key_field_is_refused,
);

async fn a_rerun_goes_on_after_the_last_staged_record(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let mut loading = Loading::begin(&database, &entity).await;
    loading
        .stage(batch(1, vec![order(1, "A", "1.00"), order(2, "B", "2.00")]))
        .await;
    loading
        .stage(StagingBatch {
            rejected: vec![bad_record(3)],
            after: after(3),
            ..StagingBatch::default()
        })
        .await;

    // The worker dies; the next one comes with a newer lease.
    loading.fence.epoch = 2;
    database.raise_fence(loading.fence).await.expect("raised");
    let state = loading.state().await;
    assert_eq!(state.position, after(3));
    assert_eq!(
        (state.fields, state.staged, state.stopped),
        (field_names(&entity), false, None)
    );

    loading.stage(batch(4, vec![order(4, "D", "4.00")])).await;
    let counts = loading.finish().await;
    assert_eq!(outcome(counts), (3, 0, 0, 1));
    assert_eq!(
        (counts.counts.read, counts.staging_errors, counts.target_errors),
        (4, 1, 0)
    );
    let rejects = loading.rejects().await;
    assert_eq!(rejects.iter().map(|r| r.ordinal).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(rejects[0].error, bad_record(3).errors[0]);
    assert_eq!(rejects[1].error, bad_record(3).errors[1]);
    assert_eq!(rejects[0].reject, loading.reject_id(3));
    let later = database
        .kept_rejects(loading.load(), Some((3, 0)), 10)
        .await
        .expect("the rest");
    assert_eq!(later, rejects[1..]);
}

async fn of_records_with_the_same_key_the_first_stands(database: TestDatabase) {
    let database = open(&database);
    let lines = entity(
        "Lines",
        "lines",
        &["order_number", "product"],
        vec![
            field("order_number", FieldType::Int),
            field("product", FieldType::String),
            field("line", FieldType::Int),
        ],
    );
    let line = |order, product, line| vec![Cell::Int(order), text(product), Cell::Int(line)];
    let loading = Loading::begin(&database, &lines).await;
    // Six records in chunks of four: the last two duplicates lie in another range than the first of their key.
    let rows = [
        line(1, "x", 1),
        line(1, "y", 2),
        line(1, "x", 3),
        line(2, "x", 4),
        line(1, "x", 5),
        line(1, "y", 6),
    ];
    loading.stage(batch(1, rows.into())).await;
    assert_eq!(outcome(loading.finish().await), (3, 0, 0, 3));

    let rejects = loading.rejects().await;
    assert_eq!(rejects.iter().map(|r| r.reject.record).collect::<Vec<_>>(), [3, 5, 6]);
    assert_eq!(rejects[1].error.code.as_str(), "duplicate_key");
    assert_eq!(rejects[1].error.place, place(5));
    assert_eq!(
        rejects[1].error.reason,
        "record 1 (line 2) of this file has the same key: order_number = 1, product = x"
    );
    let landed = read_all(&database, &lines).await;
    assert_eq!(
        landed,
        [row(&["1", "x", "1"]), row(&["1", "y", "2"]), row(&["2", "x", "4"])]
    );
}

async fn a_record_without_its_parent_is_rejected_and_the_others_land(database: TestDatabase) {
    let database = open(&database);
    let customers = entity(
        "Customers",
        "customers",
        &["account"],
        vec![field("account", FieldType::String)],
    );
    let mut orders = orders();
    orders.fields[1] = referring_to(orders.fields[1].clone(), "Customers", "account");
    let mut loading = Loading::begin(&database, &orders).await;
    // The parent's table does not exist yet: it is made, and everybody is missing.
    loading.parents = vec![&customers];
    loading.stage(batch(1, vec![order(1, "VINET", "1.00")])).await;
    assert_eq!(outcome(loading.finish().await), (0, 0, 0, 1));

    load_rows(&database, &customers, vec![vec![text("VINET")], vec![text("TOMSP")]]).await;
    let mut loading = Loading::begin(&database, &orders).await;
    loading.parents = vec![&customers];
    let no_customer = vec![Cell::Int(3), Cell::Null, text("3.00")];
    loading
        .stage(batch(
            1,
            vec![order(1, "VINET", "1.00"), order(2, "ZZZZZ", "2.00"), no_customer],
        ))
        .await;
    assert_eq!(outcome(loading.finish().await), (2, 0, 0, 1));
    let rejects = loading.rejects().await;
    assert_eq!(
        (rejects[0].reject.record, rejects[0].error.code.as_str()),
        (2, "reference_missing")
    );
    assert_eq!(rejects[0].error.field.as_deref(), Some("customer"));
    assert_eq!(rejects[0].error.value.as_deref(), Some("ZZZZZ"));
    assert_eq!(
        rejects[0].error.reason,
        "no record of Customers label has account = ZZZZZ"
    );
    assert!(!rejects[0].by_target);

    let loading = Loading::begin(&database, &orders).await;
    loading.stage(batch(1, vec![order(1, "VINET", "1.00")])).await;
    let refused = loading.finish_staging().await;
    assert!(
        matches!(refused, Err(BusinessError::Definition(_))),
        "a parent nobody knows: {refused:?}"
    );
}

async fn a_parent_may_stand_in_the_same_file_unless_it_is_rejected_itself(database: TestDatabase) {
    let database = open(&database);
    let manager = referring_to(field("manager", FieldType::Int), "People", "number");
    let people = entity(
        "People",
        "people",
        &["number"],
        vec![field("number", FieldType::Int), manager],
    );
    let person = |number, manager: Option<i64>| vec![Cell::Int(number), manager.map_or(Cell::Null, Cell::Int)];
    load_rows(&database, &people, vec![person(100, None)]).await;

    let loading = Loading::begin(&database, &people).await;
    // 5 → 4 → 3 → 9, who is nowhere; 1 → 2 → 100, who is in the table; 6 is his own manager.
    let mut rows = vec![
        person(1, Some(2)),
        person(5, Some(4)),
        person(4, Some(3)),
        person(2, Some(100)),
    ];
    rows.extend([person(6, Some(6)), person(3, Some(9))]);
    loading.stage(batch(1, rows)).await;
    assert_eq!(outcome(loading.finish().await), (3, 0, 0, 3));
    let rejected: Vec<_> = loading.rejects().await.into_iter().map(|r| r.reject.record).collect();
    assert_eq!(rejected, [2, 3, 6]);
}

/// Numbered people with managers, and a name their deputies know them by.
fn people() -> Entity {
    entity(
        "People",
        "people",
        &["number"],
        vec![
            field("number", FieldType::String),
            referring_to(field("manager", FieldType::String), "People", "number"),
            field("name", FieldType::String),
            referring_to(field("deputy_of", FieldType::String), "People", "name"),
        ],
    )
}

async fn a_long_chain_of_parents_falls_with_its_head(database: TestDatabase) {
    const LINKS: usize = 2_000;
    let (database, people) = (open(&database), people());
    let mut loading = Loading::begin(&database, &people).await;
    loading.chunk_records = 100;
    let person = |number: String, manager: String| vec![text(&number), text(&manager), Cell::Null, Cell::Null];
    // p0 → nobody, p1 → p0, … with the children before their parents, and a second chain whose head is his own manager.
    let lost = (0..LINKS).map(|n| {
        let manager = n.checked_sub(1).map_or("nobody".to_owned(), |n| format!("p{n}"));
        person(format!("p{n}"), manager)
    });
    let kept = (0..LINKS).map(|n| person(format!("q{n}"), format!("q{}", n.saturating_sub(1))));
    let rows: Vec<_> = lost.chain(kept).rev().collect();
    loading.stage(batch(1, rows)).await;
    let begun = Instant::now();
    loading.finish_staging().await.expect("validated");
    let took = begun.elapsed();
    loading.promote().await;
    assert_eq!(outcome(loading.counts().await), (2_000, 0, 0, 2_000));
    assert!(took < Duration::from_secs(20), "a chain of {LINKS} took {took:?}");
    let rejects = loading.rejects().await;
    assert_eq!(
        rejects[0].error.reason, "no record of People label has number = p1998",
        "the end of the chain, for want of its parent"
    );
}

async fn parents_that_share_a_value_fall_when_none_is_left(database: TestDatabase) {
    let (database, people) = (open(&database), people());
    let loading = Loading::begin(&database, &people).await;
    let person = |number: &str, manager: &str, name: &str, deputy_of: &str| {
        let cell = |value: &str| if value.is_empty() { Cell::Null } else { text(value) };
        vec![text(number), cell(manager), cell(name), cell(deputy_of)]
    };
    let rows = vec![
        // Both called Ann are rejected, one after the other: their deputy has nobody left, nor has his.
        person("1", "", "Dan", "Bob"),
        person("2", "", "Bob", "Ann"),
        person("3", "nobody", "Ann", ""),
        person("4", "3", "Ann", ""),
        // One of the two called Eve is rejected: her deputy has the other.
        person("5", "", "", "Eve"),
        person("6", "nobody", "Eve", ""),
        person("7", "", "Eve", ""),
    ];
    loading.stage(batch(1, rows)).await;
    assert_eq!(outcome(loading.finish().await), (2, 0, 0, 5));
    let rejected: Vec<_> = loading.rejects().await.into_iter().map(|r| r.reject.record).collect();
    assert_eq!(rejected, [1, 2, 3, 4, 6]);
}

async fn a_record_with_two_faults_is_counted_once(database: TestDatabase) {
    let database = open(&database);
    let customers = entity(
        "Customers",
        "customers",
        &["account"],
        vec![field("account", FieldType::String)],
    );
    let mut orders = orders();
    orders.fields[1] = referring_to(orders.fields[1].clone(), "Customers", "account");
    load_rows(&database, &customers, vec![vec![text("A")]]).await;
    let mut loading = Loading::begin(&database, &orders).await;
    loading.parents = vec![&customers];
    loading
        .stage(batch(1, vec![order(1, "A", "1.00"), order(1, "Z", "2.00")]))
        .await;
    assert_eq!(outcome(loading.finish().await), (1, 0, 0, 1));
    let codes: Vec<_> = loading
        .reject_codes()
        .await
        .into_iter()
        .map(|(record, code, _)| (record, code))
        .collect();
    assert_eq!(codes, [(2, "duplicate_key"), (2, "reference_missing")]);
}

async fn finishing_twice_changes_nothing(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let mut loading = Loading::begin(&database, &entity).await;
    let rows = vec![order(1, "A", "1.00"), order(1, "B", "2.00"), order(2, "C", "3.00")];
    loading.stage(batch(1, rows)).await;
    loading.chunk_records = 2;
    loading.finish_staging().await.expect("validated");
    let (chunks, rejects) = (
        database.chunks(loading.load()).await.expect("chunks"),
        loading.rejects().await,
    );
    let chunk = |chunk_no, first_record, last_record| Chunk {
        chunk_no,
        first_record,
        last_record,
        done: false,
        skipped: 0,
    };
    assert_eq!(chunks, [chunk(0, 1, 2), chunk(1, 3, 3)]);

    // Another size on the rerun: the ranges are read back, never recomputed.
    loading.chunk_records = 100;
    loading.finish_staging().await.expect("again");
    assert_eq!(database.chunks(loading.load()).await.expect("chunks"), chunks);
    assert_eq!(loading.rejects().await, rejects);

    loading.promote().await;
    let counts = loading.counts().await;
    for chunk in chunks {
        database
            .promote_chunk(loading.load(), &loading.fields, chunk)
            .await
            .expect("left alone");
    }
    assert_eq!(loading.counts().await, counts);
    assert_eq!(outcome(counts), (2, 0, 0, 1));
}

async fn a_stopped_load_counts_the_rest_as_skipped(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let mut loading = Loading::begin(&database, &entity).await;
    loading.chunk_records = 2;
    let rows = vec![
        order(1, "A", "1.00"),
        order(2, "B", "2.00"),
        order(3, "C", "3.00"),
        order(3, "D", "4.00"),
    ];
    loading.stage(batch(1, rows)).await;
    loading.finish_staging().await.expect("validated");
    let chunks = database.chunks(loading.load()).await.expect("chunks");
    database
        .promote_chunk(loading.load(), &loading.fields, chunks[0])
        .await
        .expect("promoted");
    database
        .stop_load(loading.load(), "too many errors")
        .await
        .expect("stopped");
    database
        .stop_load(loading.load(), "another reason")
        .await
        .expect("stopped again");
    loading.promote().await;

    let counts = loading.counts().await;
    assert_eq!(outcome(counts), (2, 0, 0, 1));
    assert_eq!(counts.counts.skipped, 1);
    assert_eq!(loading.state().await.stopped.as_deref(), Some("too many errors"));
    assert_eq!(read_all(&database, &entity).await.len(), 2);
}

async fn a_load_stopped_while_it_is_staged_is_conserved(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let loading = Loading::begin(&database, &entity).await;
    let mut first = batch(1, vec![order(1, "A", "1.00"), order(2, "B", "2.00")]);
    (first.rejected, first.after) = (vec![bad_record(3)], after(3));
    loading.stage(first).await;
    database
        .stop_load(loading.load(), "the file breaks off")
        .await
        .expect("stopped");
    let counts = loading.counts().await;
    assert_eq!(
        (counts.counts.read, counts.counts.rejected, counts.counts.skipped),
        (3, 1, 2)
    );
    assert!(loading.state().await.staged);
    loading.promote().await;
    assert_eq!(read_all(&database, &entity).await, Vec::<Vec<_>>::new());
}

async fn an_empty_file_has_no_chunks(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let loading = Loading::begin(&database, &entity).await;
    assert_eq!(loading.finish().await.counts.read, 0);
    assert_eq!(database.chunks(loading.load()).await.expect("chunks"), []);
    assert!(loading.state().await.staged);

    let stopped = Loading::begin(&database, &entity).await;
    database.stop_load(stopped.load(), "cancelled").await.expect("stopped");
    assert_eq!(stopped.counts().await.counts.read, 0);
}

/// The message was tried again after what stopped it had passed.
async fn a_load_stopped_before_its_first_record_begins_again(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let mut loading = Loading::begin(&database, &entity).await;
    let stop = database.stop_load(loading.load(), "cancelled: by a test").await;
    stop.expect("stopped");
    assert_eq!(loading.counts().await.counts.read, 0);
    assert!(loading.state().await.staged, "not before its message has ended");
    database.forget_stopped(loading.fence).await.expect("forgotten");
    loading.fence.epoch += 1;
    database.raise_fence(loading.fence).await.expect("claimed again");
    let state = loading.state().await;
    assert_eq!((state.staged, state.stopped), (false, None));
    loading
        .stage(batch(1, vec![order(1, "A", "1.00"), order(2, "B", "1.00")]))
        .await;
    assert_eq!(outcome(loading.finish().await), (2, 0, 0, 0));
    assert_eq!(loading.state().await.stopped, None);
}

async fn a_complete_load_takes_no_more_records(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let loading = Loading::begin(&database, &entity).await;
    loading
        .stage(batch(1, vec![order(1, "A", "1.00"), order(2, "B", "1.00")]))
        .await;
    let behind = database
        .stage(loading.load(), &loading.fields, &batch(1, vec![order(9, "A", "1.00")]))
        .await;
    assert!(matches!(behind, Err(BusinessError::Corrupt { .. })), "{behind:?}");
    loading.finish().await;
    let late = database
        .stage(loading.load(), &loading.fields, &batch(3, vec![order(3, "A", "1.00")]))
        .await;
    assert!(matches!(late, Err(BusinessError::Corrupt { .. })), "{late:?}");
    assert_eq!(loading.counts().await.counts.read, 2);
}

async fn clearing_staging_keeps_counts_and_rejects(database: TestDatabase) {
    let (test, entity) = (database, orders());
    let database = open(&test);
    let loading = Loading::begin(&database, &entity).await;
    let rows = (1..=6_000).map(|n| order(n % 5_999, "A", "1.00")).collect();
    loading.stage(batch(1, rows)).await;
    let mut loading = loading;
    loading.chunk_records = 1_000;
    let counts = loading.finish().await;
    assert_eq!(outcome(counts), (5_999, 0, 0, 1));

    let mut plain = Plain::open(&test).await;
    let count = format!("select count(*) from {}", entity.staging_table());
    assert_eq!(plain.number(&count).await, 6_000);
    database.clear_staging(loading.load()).await.expect("cleared");
    assert_eq!(plain.number(&count).await, 0);
    assert_eq!(loading.rejects().await.len(), 1);
    database.forget_rejects(loading.fence).await.expect("forgotten");
    assert_eq!(loading.rejects().await, []);
    assert_eq!(loading.counts().await, counts);
}

async fn a_load_without_its_key_field_is_refused(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let loading = Loading::begin(&database, &entity).await;
    for fields in [names(&["customer"]), names(&["order_number", "colour"])] {
        let refused = database.begin_load(loading.load(), &fields).await;
        assert!(matches!(refused, Err(BusinessError::Definition(_))), "{refused:?}");
    }
}

on_both_databases!(an_applied_correction_is_a_repair_and_a_rejected_one_is_not);

async fn an_applied_correction_is_a_repair_and_a_rejected_one_is_not(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let parent = Loading::begin(&database, &entity).await;
    let origins: Vec<RejectId> = (1..=3).map(|record| parent.reject_id(record)).collect();
    let child = Loading::begin(&database, &entity).await;
    let rows = [order(1, "A", "1.00"), order(1, "B", "1.00"), order(2, "C", "1.00")];
    let records = (1..)
        .zip(rows)
        .zip(&origins)
        .map(|((record, cells), origin)| StagedRecord {
            landed: false,
            place: place(record),
            origin: Some(*origin),
            cells,
        });
    child
        .stage(StagingBatch {
            records: records.collect(),
            rejected: Vec::new(),
            after: after(3),
        })
        .await;
    child.finish().await;
    assert_eq!(
        database.repaired(child.load()).await.expect("repaired"),
        [origins[0], origins[2]]
    );
    assert_eq!(child.rejects().await[0].origin, Some(origins[1]));
}
