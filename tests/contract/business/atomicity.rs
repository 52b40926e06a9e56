//! Which records stand or fall together: those of a chunk, of a document, of the file.

use std::collections::BTreeSet;
use std::time::Duration;

use tranship::business::promote::LoadCounts;
use tranship::business::staging::StagingBatch;
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, FieldType};
use tranship::domain::job::{Atomicity, ErrorThreshold, ImportMode};

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    a_chunk_with_a_rejected_record_lands_nothing,
    a_file_with_a_rejected_record_lands_nothing_and_keeps_each_reject,
    a_file_within_its_threshold_leaves_the_rejected_records_out,
    more_rejects_than_one_pass_holds_are_all_kept,
    a_file_dropped_on_its_way_lands_nothing_and_then_lands_once,
    a_rejected_record_rejects_its_document,
    the_record_at_fault_is_named_to_all_of_a_wide_document,
    what_the_target_refuses_rejects_its_document,
    what_is_there_already_rejects_its_document,
    chunks_split_no_document,
    a_document_rejected_for_a_missing_parent_takes_its_children_along,
    documents_of_any_key_are_told_apart,
);

/// Orders whose freight may not be 13.
async fn picky_orders(test: &TestDatabase) -> Entity {
    Plain::open(test)
        .await
        .run(
            "create table orders (order_number bigint primary key, customer varchar(40), \
             freight decimal(18,2) check (freight <> 13))",
        )
        .await;
    let mut entity = orders();
    entity.create_table = false;
    entity
}

/// Orders 1 to `last`; those listed have the freight the target refuses.
fn orders_but(last: i64, refused: &[i64]) -> Vec<Vec<Cell>> {
    let freight = |number| if refused.contains(&number) { "13.00" } else { "1.00" };
    (1..=last).map(|number| order(number, "A", freight(number))).collect()
}

/// (applied, rejected in staging, by the target, skipped).
fn shares(counts: LoadCounts) -> (u64, u64, u64, u64) {
    let LoadCounts {
        counts,
        staging_errors,
        target_errors,
        ..
    } = counts;
    (counts.applied(), staging_errors, target_errors, counts.skipped)
}

async fn promote_file(loading: &Loading<'_>, allowed: Option<ErrorThreshold>) -> LoadCounts {
    let promoted = loading
        .database
        .promote_file(loading.load(), &loading.fields, allowed)
        .await;
    promoted.expect("promoted");
    loading.counts().await
}

const NONE: Option<ErrorThreshold> = Some(ErrorThreshold::Count(0));

async fn a_chunk_with_a_rejected_record_lands_nothing(test: TestDatabase) {
    let (entity, database) = (picky_orders(&test).await, open(&test));
    let mut loading = Loading::begin(&database, &entity).await;
    loading.policy.atomicity = Atomicity::Chunk;
    // Chunks of four: the first has a record that did not type-check, the second two that the target refuses.
    loading
        .stage(StagingBatch {
            rejected: vec![bad_record(1)],
            after: after(1),
            ..StagingBatch::default()
        })
        .await;
    loading.stage(batch(2, orders_but(12, &[5, 7]))).await;
    let counts = loading.finish().await;
    // Records 2-4 and 6, 8 are skipped; record n is order n - 1.
    assert_eq!(shares(counts), (5, 1, 2, 5));
    let landed: Vec<_> = read_all(&database, &entity)
        .await
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(landed, ["8", "9", "10", "11", "12"].map(|n| Some(n.to_owned())));
    let rejects = loading.rejects().await;
    let targets: Vec<_> = rejects
        .iter()
        .filter(|r| r.by_target)
        .map(|r| r.reject.record)
        .collect();
    assert_eq!(targets, [6, 8], "each is named although the chunk was rolled back");
    let skipped: Vec<_> = database
        .chunks(loading.load())
        .await
        .expect("chunks")
        .iter()
        .map(|c| c.skipped)
        .collect();
    assert_eq!(skipped, [3, 2, 0, 0]);
    loading.promote().await;
    assert_eq!(loading.counts().await, counts, "a rerun finds the markers");
}

async fn a_file_with_a_rejected_record_lands_nothing_and_keeps_each_reject(test: TestDatabase) {
    let (entity, database) = (picky_orders(&test).await, open(&test));
    load_rows(&database, &entity, vec![order(1, "old", "0.75")]).await;
    let mut loading = Loading::begin(&database, &entity).await;
    loading.policy.atomicity = Atomicity::File;
    loading.stage(batch(1, orders_but(20, &[3, 18, 19]))).await;
    loading.finish_staging().await.expect("validated");
    let counts = promote_file(&loading, NONE).await;
    assert_eq!(shares(counts), (0, 0, 3, 17));
    assert_eq!(read_all(&database, &entity).await, [row(&["1", "old", "0.75"])]);
    let rejects = loading.rejects().await;
    assert_eq!(rejects.iter().map(|r| r.reject.record).collect::<Vec<_>>(), [3, 18, 19]);
    assert!(
        rejects
            .iter()
            .all(|r| r.by_target && r.error.reason.contains("freight"))
    );
    assert_eq!(promote_file(&loading, NONE).await, counts, "a rerun finds the markers");

    // The next file is good as a whole, over all of its chunks.
    let mut good = Loading::begin(&database, &entity).await;
    good.policy.atomicity = Atomicity::File;
    good.stage(batch(1, orders_but(20, &[]))).await;
    good.finish_staging().await.expect("validated");
    let counts = promote_file(&good, NONE).await;
    assert_eq!((shares(counts), counts.counts.updated), ((20, 0, 0, 0), 1));
}

async fn a_file_within_its_threshold_leaves_the_rejected_records_out(test: TestDatabase) {
    let (entity, database) = (picky_orders(&test).await, open(&test));
    for (allowed, expected) in [
        (ErrorThreshold::Count(2), (0, 1, 2, 17)),
        (ErrorThreshold::Rate(0.1), (0, 1, 2, 17)),
        (ErrorThreshold::Rate(0.15), (17, 1, 2, 0)),
        (ErrorThreshold::Count(3), (17, 1, 2, 0)),
    ] {
        let mut loading = Loading::begin(&database, &entity).await;
        loading.policy.atomicity = Atomicity::File;
        loading.stage(batch(1, orders_but(19, &[3, 18]))).await;
        loading
            .stage(StagingBatch {
                rejected: vec![bad_record(20)],
                after: after(20),
                ..StagingBatch::default()
            })
            .await;
        loading.finish_staging().await.expect("validated");
        assert_eq!(
            shares(promote_file(&loading, Some(allowed)).await),
            expected,
            "{allowed:?}"
        );
    }
}

async fn more_rejects_than_one_pass_holds_are_all_kept(test: TestDatabase) {
    let (entity, database) = (orders(), open(&test));
    let known: Vec<_> = (1..=25_000).map(|number| order(number, "A", "1.00")).collect();
    let mut first = Loading::begin(&database, &entity).await;
    first.chunk_records = 5_000;
    first.stage(batch(1, known.clone())).await;
    first.finish().await;
    // Every record of the next file is there already but the last.
    let mut loading = Loading::begin(&database, &entity).await;
    (loading.policy.atomicity, loading.mode, loading.chunk_records) = (Atomicity::File, ImportMode::Insert, 5_000);
    loading.stage(batch(1, known)).await;
    loading.stage(batch(25_001, vec![order(25_001, "A", "1.00")])).await;
    loading.finish_staging().await.expect("validated");
    assert_eq!(shares(promote_file(&loading, NONE).await), (0, 0, 25_000, 1));
    let kept = Plain::open(&test)
        .await
        .number("select count(*) from tranship_rejects")
        .await;
    assert_eq!(kept, 25_000);
}

async fn a_file_dropped_on_its_way_lands_nothing_and_then_lands_once(test: TestDatabase) {
    let (entity, database) = (orders(), open(&test));
    let mut loading = Loading::begin(&database, &entity).await;
    (loading.policy.atomicity, loading.chunk_records) = (Atomicity::File, 50);
    loading.stage(batch(1, orders_but(5_000, &[]))).await;
    loading.finish_staging().await.expect("validated");
    for wait in [1, 2, 4, 8] {
        let promotion = database.promote_file(loading.load(), &loading.fields, NONE);
        let promoted = tokio::time::timeout(Duration::from_millis(wait), promotion).await;
        assert!(promoted.is_err(), "faster than {wait} ms");
    }
    // Longer than it takes: nobody goes on with what was dropped.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(read_all(&database, &entity).await.len(), 0);
    assert_eq!(shares(promote_file(&loading, NONE).await), (5_000, 0, 0, 0));
    assert_eq!(read_all(&database, &entity).await.len(), 5_000);
}

/// Lines of orders: `order_number, line, note`; a line of 99 is refused by the target.
async fn lines(test: &TestDatabase) -> Entity {
    Plain::open(test)
        .await
        .run(
            "create table lines (order_number bigint not null, line bigint not null check (line <> 99), note varchar(40), \
             primary key (order_number, line))",
        )
        .await;
    let mut entity = entity(
        "Lines",
        "lines",
        &["order_number", "line"],
        vec![
            field("order_number", FieldType::Int),
            field("line", FieldType::Int),
            field("note", FieldType::String),
        ],
    );
    entity.create_table = false;
    entity
}

fn line(order: i64, line: i64) -> Vec<Cell> {
    vec![Cell::Int(order), Cell::Int(line), text("x")]
}

async fn begin_lines<'a>(database: &'a tranship::business::Database, entity: &'a Entity) -> Loading<'a> {
    let mut loading = Loading::begin(database, entity).await;
    loading.policy.atomicity = Atomicity::Document;
    loading.policy.document_key = names(&["order_number"]);
    loading
}

async fn landed_orders(database: &tranship::business::Database, entity: &Entity) -> BTreeSet<String> {
    let rows = read_all(database, entity).await;
    rows.into_iter().filter_map(|row| row[0].clone()).collect()
}

async fn a_rejected_record_rejects_its_document(test: TestDatabase) {
    let (entity, database) = (lines(&test).await, open(&test));
    let loading = begin_lines(&database, &entity).await;
    loading.stage(batch(1, vec![line(1, 1), line(2, 1), line(1, 2)])).await;
    // A line that did not type-check but for its order's number, and one of which nothing is known.
    let mut of_order_1 = bad_record(4);
    of_order_1.document_key = vec![Cell::Int(1)];
    loading
        .stage(StagingBatch {
            rejected: vec![of_order_1, bad_record(5)],
            after: after(5),
            ..StagingBatch::default()
        })
        .await;
    // The second line 1 of order 3 is a duplicate.
    loading
        .stage(batch(6, vec![line(3, 1), line(3, 2), line(3, 1), line(4, 1)]))
        .await;
    let counts = loading.finish().await;
    assert_eq!(shares(counts), (2, 7, 0, 0));
    assert_eq!(
        landed_orders(&database, &entity).await,
        ["2", "4"].map(str::to_owned).into()
    );
    let rejects = loading.rejects().await;
    let siblings: Vec<_> = rejects
        .iter()
        .filter(|reject| reject.error.code.as_str() == "document_rejected")
        .map(|reject| (reject.reject.record, reject.error.reason.as_str()))
        .collect();
    let cause = |record, order| {
        format!(
            "record {record} (line {}) of the same document is rejected: order_number = {order}",
            record + 1
        )
    };
    assert_eq!(
        siblings,
        [
            (1, cause(4, 1).as_str()),
            (3, cause(4, 1).as_str()),
            (6, cause(8, 3).as_str()),
            (7, cause(8, 3).as_str())
        ]
    );
    assert_eq!(rejects[0].error.value.as_deref(), Some("1"));
    assert_eq!(rejects[0].error.field.as_deref(), Some("order_number"));
}

async fn the_record_at_fault_is_named_to_all_of_a_wide_document(test: TestDatabase) {
    let (entity, database) = (lines(&test).await, open(&test));
    let mut loading = begin_lines(&database, &entity).await;
    loading.chunk_records = 2;
    // The last of ten records, looked through two by two, is the first one again.
    loading
        .stage(batch(
            1,
            (1..=9).map(|number| line(1, number % 9)).chain([line(1, 1)]).collect(),
        ))
        .await;
    assert_eq!(shares(loading.finish().await), (0, 10, 0, 0));
    let rejects = loading.rejects().await;
    for reject in &rejects[..9] {
        let reason = &reject.error.reason;
        assert!(reason.starts_with("record 10 (line 11) "), "{reason}");
    }
    assert_eq!(rejects[9].error.code.as_str(), "duplicate_key");
}

async fn what_the_target_refuses_rejects_its_document(test: TestDatabase) {
    let (entity, database) = (lines(&test).await, open(&test));
    let mut loading = begin_lines(&database, &entity).await;
    loading.chunk_records = 4;
    let mut rows: Vec<_> = (1..=6)
        .flat_map(|order| (1..=3).map(move |number| line(order, number)))
        .collect();
    rows[4] = line(2, 99);
    rows[15] = line(6, 99);
    rows[17] = line(6, 99 + 1);
    loading.stage(batch(1, rows)).await;
    let counts = loading.finish().await;
    assert_eq!(shares(counts), (12, 0, 6, 0));
    assert_eq!(
        landed_orders(&database, &entity).await,
        ["1", "3", "4", "5"].map(str::to_owned).into()
    );
    let codes: Vec<_> = loading
        .reject_codes()
        .await
        .into_iter()
        .map(|(record, code, _)| (record, code))
        .collect();
    let (sibling, culprit) = ("document_rejected", "target_rejected");
    assert_eq!(
        codes,
        [
            (4, sibling),
            (5, culprit),
            (6, sibling),
            (16, culprit),
            (17, sibling),
            (18, sibling)
        ]
    );
    loading.promote().await;
    assert_eq!(loading.counts().await, counts);
}

async fn what_is_there_already_rejects_its_document(test: TestDatabase) {
    let (entity, database) = (lines(&test).await, open(&test));
    load_rows(&database, &entity, vec![line(1, 2)]).await;
    let mut loading = begin_lines(&database, &entity).await;
    loading.mode = ImportMode::Insert;
    loading
        .stage(batch(1, vec![line(1, 1), line(2, 1), line(1, 2), line(1, 3)]))
        .await;
    assert_eq!(shares(loading.finish().await), (1, 0, 3, 0));
    let codes: Vec<_> = loading
        .reject_codes()
        .await
        .into_iter()
        .map(|(record, code, _)| (record, code))
        .collect();
    assert_eq!(
        codes,
        [(1, "document_rejected"), (3, "already_there"), (4, "document_rejected")]
    );
    assert_eq!(
        read_all(&database, &entity).await,
        [row(&["1", "2", "x"]), row(&["2", "1", "x"])]
    );
}

async fn chunks_split_no_document(test: TestDatabase) {
    let (entity, database) = (lines(&test).await, open(&test));
    let ranges = async |orders: &[i64]| {
        let mut loading = begin_lines(&database, &entity).await;
        loading.chunk_records = 2;
        loading
            .stage(batch(
                1,
                (1..).zip(orders).map(|(number, order)| line(*order, number)).collect(),
            ))
            .await;
        loading.finish_staging().await.expect("validated");
        let chunks = database.chunks(loading.load()).await.expect("chunks");
        let ranges: Vec<_> = chunks
            .iter()
            .map(|chunk| (chunk.first_record, chunk.last_record))
            .collect();
        loading.promote().await;
        assert_eq!(loading.counts().await.counts.applied(), orders.len() as u64);
        ranges
    };
    assert_eq!(ranges(&[1, 2, 3, 4, 5]).await, [(1, 2), (3, 4), (5, 5)]);
    assert_eq!(ranges(&[1, 1, 1, 2, 3, 3, 4]).await, [(1, 3), (4, 4), (5, 6), (7, 7)]);
    // Order 1 comes again: all between belongs to its chunk.
    assert_eq!(ranges(&[1, 2, 3, 1, 4, 5]).await, [(1, 4), (5, 6)]);
    // Two that overlap make one.
    assert_eq!(ranges(&[1, 2, 1, 3, 2, 4, 4]).await, [(1, 5), (6, 7)]);
    assert_eq!(ranges(&[1]).await, [(1, 1)]);
    assert_eq!(ranges(&[]).await, []);
}

async fn a_document_rejected_for_a_missing_parent_takes_its_children_along(test: TestDatabase) {
    let database = open(&test);
    // People and their managers; a team is a document.
    let people = entity(
        "People",
        "people",
        &["id"],
        vec![
            field("id", FieldType::Int),
            referring_to(field("manager", FieldType::Int), "People", "id"),
            field("team", FieldType::Int),
        ],
    );
    let person =
        |id, manager: Option<i64>, team| vec![Cell::Int(id), manager.map_or(Cell::Null, Cell::Int), Cell::Int(team)];
    let mut loading = Loading::begin(&database, &people).await;
    loading.policy.atomicity = Atomicity::Document;
    loading.policy.document_key = names(&["team"]);
    loading.chunk_records = 2;
    // 2 has no manager, so team 1 falls; 3 is led by 1 of that team, so team 2 falls; team 3 stands.
    let rows = vec![
        person(1, None, 1),
        person(2, Some(99), 1),
        person(3, Some(1), 2),
        person(4, None, 2),
        person(5, None, 3),
    ];
    loading.stage(batch(1, rows)).await;
    assert_eq!(shares(loading.finish().await), (1, 4, 0, 0));
    let codes: Vec<_> = loading
        .reject_codes()
        .await
        .into_iter()
        .map(|(record, code, _)| (record, code))
        .collect();
    let (sibling, orphan) = ("document_rejected", "reference_missing");
    assert_eq!(codes, [(1, sibling), (2, orphan), (3, orphan), (4, sibling)]);
}

async fn documents_of_any_key_are_told_apart(test: TestDatabase) {
    let database = open(&test);
    let notes = entity(
        "Notes",
        "notes",
        &["id"],
        vec![
            field("id", FieldType::Int),
            field("one", FieldType::String),
            field("other", FieldType::String),
        ],
    );
    let note = |id, one: &str, other: &str| vec![Cell::Int(id), text(one), text(other)];
    let mut loading = Loading::begin(&database, &notes).await;
    loading.policy.atomicity = Atomicity::Document;
    loading.policy.document_key = names(&["one", "other"]);
    let mut bad = bad_record(1);
    bad.document_key = vec![text("ab"), text("c")];
    loading
        .stage(StagingBatch {
            rejected: vec![bad],
            after: after(1),
            ..StagingBatch::default()
        })
        .await;
    loading
        .stage(batch(
            2,
            vec![note(2, "a", "bc"), note(3, "ab", "c"), note(4, "c", "ab")],
        ))
        .await;
    assert_eq!(shares(loading.finish().await), (2, 2, 0, 0));
    let rejects = loading.rejects().await;
    let error = &rejects.last().expect("two rejects").error;
    assert_eq!(
        (error.place.record, error.field.as_deref(), error.value.as_deref()),
        (3, None, Some("ab, c"))
    );
}
