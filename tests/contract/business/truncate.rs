//! A load that replaces the rows that are there: once, together with the first records that land, or not at all.

use std::time::Duration;

use tranship::business::BusinessError;
use tranship::business::policy::Truncate;
use tranship::business::staging::StagingBatch;
use tranship::domain::cell::Cell;
use tranship::domain::entity::FieldType;
use tranship::domain::job::{Atomicity, ErrorThreshold, ImportMode};

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    the_rows_make_way_for_the_first_records_once,
    only_the_rows_of_the_company_make_way,
    where_no_record_lands_no_row_goes,
    a_file_that_falls_keeps_the_rows,
    a_file_is_replaced_as_a_whole_or_not_at_all,
    a_foreign_key_that_keeps_a_row_lands_nothing,
    a_load_without_records_empties_the_table_where_it_is_asked_to,
    a_row_that_is_replaced_is_no_parent,
);

const ALL: Option<Truncate> = Some(Truncate::All);

async fn the_rows_make_way_for_the_first_records_once(test: TestDatabase) {
    let (database, entity) = (open(&test), orders());
    load_rows(&database, &entity, (1..=7).map(|n| order(n, "old", "1.00")).collect()).await;
    let mut loading = Loading::begin(&database, &entity).await;
    (loading.policy.truncate, loading.mode, loading.chunk_records) = (ALL, ImportMode::Insert, 2);
    loading
        .stage(batch(1, (5..=9).map(|n| order(n, "new", "2.00")).collect()))
        .await;
    loading.finish_staging().await.expect("validated");
    let chunks = database.chunks(loading.load()).await.expect("chunks");
    let fields = &loading.fields;
    database
        .promote_chunk(loading.load(), fields, chunks[0])
        .await
        .expect("promoted");
    // Somebody writes between two chunks, and the worker is replaced: nothing is deleted again.
    Plain::open(&test)
        .await
        .run("insert into orders values (100, 'other', 3)")
        .await;
    loading.fence.epoch = 2;
    database.raise_fence(loading.fence).await.expect("raised");
    loading.promote().await;
    let counts = loading.counts().await;
    assert_eq!((outcome(counts), counts.truncated), ((5, 0, 0, 0), 7));
    let customers: Vec<_> = read_all(&database, &entity)
        .await
        .into_iter()
        .map(|row| row[1].clone())
        .collect();
    let expected = ["new", "new", "new", "new", "new", "other"].map(|name| Some(name.to_owned()));
    assert_eq!(customers, expected);
}

async fn only_the_rows_of_the_company_make_way(test: TestDatabase) {
    let database = open(&test);
    let stock = entity(
        "Stock",
        "stock",
        &["company", "item"],
        vec![field("company", FieldType::String), field("item", FieldType::String)],
    );
    let item = |company: &str, item: &str| vec![text(company), text(item)];
    load_rows(
        &database,
        &stock,
        vec![item("usmf", "a"), item("demf", "a"), item("usmf", "b")],
    )
    .await;
    let mut loading = Loading::begin(&database, &stock).await;
    loading.policy.truncate = Some(Truncate::Company {
        field: "company".to_owned(),
        company: "usmf".to_owned(),
    });
    loading.stage(batch(1, vec![item("usmf", "c")])).await;
    assert_eq!(loading.finish().await.truncated, 2);
    assert_eq!(
        read_all(&database, &stock).await,
        [row(&["demf", "a"]), row(&["usmf", "c"])]
    );
}

async fn where_no_record_lands_no_row_goes(test: TestDatabase) {
    let mut plain = Plain::open(&test).await;
    plain
        .run(
            "create table orders (order_number bigint primary key, customer varchar(40), \
             freight decimal(18,2) check (freight <> 13))",
        )
        .await;
    plain.run("insert into orders values (1, 'old', 1)").await;
    let mut entity = orders();
    entity.create_table = false;
    let database = open(&test);
    for atomicity in [Atomicity::Record, Atomicity::Chunk, Atomicity::Document] {
        let mut loading = Loading::begin(&database, &entity).await;
        (loading.policy.truncate, loading.policy.atomicity) = (ALL, atomicity);
        if atomicity == Atomicity::Document {
            loading.policy.document_key = names(&["order_number"]);
        }
        loading
            .stage(StagingBatch {
                rejected: (1..=4).map(bad_record).collect(),
                after: after(4),
                ..StagingBatch::default()
            })
            .await;
        // The first chunk has no good record, the second none the target takes.
        loading
            .stage(batch(5, (5..=8).map(|n| order(n, "new", "13.00")).collect()))
            .await;
        let counts = loading.finish().await;
        assert_eq!((counts.counts.rejected, counts.truncated), (8, 0), "{atomicity:?}");
        assert_eq!(plain.number("select count(*) from orders").await, 1, "{atomicity:?}");
    }
    // The first chunk from which something lands takes the rows away.
    let mut loading = Loading::begin(&database, &entity).await;
    loading.policy.truncate = ALL;
    let freight = |n| if n < 7 { "13.00" } else { "1.00" };
    loading
        .stage(batch(1, (1..=8).map(|n| order(n, "new", freight(n))).collect()))
        .await;
    let counts = loading.finish().await;
    assert_eq!((outcome(counts), counts.truncated), ((2, 0, 0, 6), 1));
    assert_eq!(plain.number("select count(*) from orders").await, 2);
}

async fn a_file_that_falls_keeps_the_rows(test: TestDatabase) {
    let (database, entity) = (open(&test), orders());
    load_rows(&database, &entity, vec![order(1, "old", "1.00")]).await;
    // The unique key on the customer is one the entity knows nothing of.
    Plain::open(&test)
        .await
        .run("create unique index one on orders (customer)")
        .await;
    let mut loading = Loading::begin(&database, &entity).await;
    (loading.policy.truncate, loading.policy.atomicity) = (ALL, Atomicity::File);
    loading
        .stage(batch(1, (2..=9).map(|n| order(n, "new", "1.00")).collect()))
        .await;
    loading.finish_staging().await.expect("validated");
    let none = Some(ErrorThreshold::Count(0));
    let fields = &loading.fields;
    database
        .promote_file(loading.load(), fields, none)
        .await
        .expect("promoted");
    let counts = loading.counts().await;
    assert_eq!(
        (counts.counts.rejected, counts.counts.skipped, counts.truncated),
        (7, 1, 0)
    );
    assert_eq!(read_all(&database, &entity).await, [row(&["1", "old", "1.00"])]);
}

async fn a_file_is_replaced_as_a_whole_or_not_at_all(test: TestDatabase) {
    let (database, entity) = (open(&test), orders());
    load_rows(&database, &entity, (1..=100).map(|n| order(n, "old", "1.00")).collect()).await;
    let mut loading = Loading::begin(&database, &entity).await;
    (loading.policy.truncate, loading.policy.atomicity, loading.chunk_records) = (ALL, Atomicity::File, 50);
    loading
        .stage(batch(1, (1..=4_000).map(|n| order(n, "new", "1.00")).collect()))
        .await;
    loading.finish_staging().await.expect("validated");
    for wait in [1, 2, 4, 8, 16] {
        let promotion = database.promote_file(loading.load(), &loading.fields, None);
        let is_done = tokio::time::timeout(Duration::from_millis(wait), promotion)
            .await
            .is_ok();
        let landed = read_all(&database, &entity).await.len();
        assert!(landed == 100 && !is_done || landed == 4_000, "{landed} rows");
    }
    database
        .promote_file(loading.load(), &loading.fields, None)
        .await
        .expect("promoted");
    let counts = loading.counts().await;
    assert_eq!((outcome(counts), counts.truncated), ((4_000, 0, 0, 0), 100));
}

async fn a_foreign_key_that_keeps_a_row_lands_nothing(test: TestDatabase) {
    let (database, entity) = (open(&test), orders());
    load_rows(
        &database,
        &entity,
        vec![order(1, "old", "1.00"), order(2, "old", "1.00")],
    )
    .await;
    let mut plain = Plain::open(&test).await;
    plain
        .run("create table notes (order_number bigint references orders)")
        .await;
    plain.run("insert into notes values (2)").await;
    for atomicity in [Atomicity::Record, Atomicity::Chunk, Atomicity::File] {
        let mut loading = Loading::begin(&database, &entity).await;
        (loading.policy.truncate, loading.policy.atomicity) = (ALL, atomicity);
        loading
            .stage(batch(1, vec![order(1, "new", "1.00"), order(2, "new", "1.00")]))
            .await;
        loading.finish_staging().await.expect("validated");
        let promoted = if atomicity == Atomicity::File {
            database.promote_file(loading.load(), &loading.fields, None).await
        } else {
            let chunk = database.chunks(loading.load()).await.expect("chunks")[0];
            database.promote_chunk(loading.load(), &loading.fields, chunk).await
        };
        let refused = promoted.expect_err("a note keeps its order");
        assert!(matches!(refused, BusinessError::TruncateRefused { .. }), "{refused:?}");
        let said = refused.to_string().to_lowercase();
        assert!(said.contains("`orders`") && said.contains("foreign key"), "{said}");
        database.stop_load(loading.load(), "refused").await.expect("stopped");
        let counts = loading.counts().await;
        assert_eq!((counts.counts.skipped, counts.truncated), (2, 0));
        assert_eq!(read_all(&database, &entity).await[0], row(&["1", "old", "1.00"]));
    }
}

async fn a_load_without_records_empties_the_table_where_it_is_asked_to(test: TestDatabase) {
    let (database, entity) = (open(&test), orders());
    load_rows(
        &database,
        &entity,
        vec![order(1, "old", "1.00"), order(2, "old", "1.00")],
    )
    .await;
    let mut loading = Loading::begin(&database, &entity).await;
    database.truncate(loading.load()).await.expect("nothing to do");
    loading.policy.truncate = ALL;
    assert_eq!(loading.finish().await.truncated, 0);
    assert_eq!(read_all(&database, &entity).await.len(), 2, "not by itself");
    database.truncate(loading.load()).await.expect("emptied");
    assert_eq!(
        (
            loading.counts().await.truncated,
            read_all(&database, &entity).await.len()
        ),
        (2, 0)
    );
    load_rows(&database, &entity, vec![order(3, "later", "1.00")]).await;
    database.truncate(loading.load()).await.expect("done before");
    assert_eq!(
        (
            loading.counts().await.truncated,
            read_all(&database, &entity).await.len()
        ),
        (2, 1)
    );
}

async fn a_row_that_is_replaced_is_no_parent(test: TestDatabase) {
    let database = open(&test);
    let people = entity(
        "People",
        "people",
        &["company", "id"],
        vec![
            field("company", FieldType::String),
            field("id", FieldType::Int),
            referring_to(field("manager", FieldType::Int), "People", "id"),
        ],
    );
    let person = |company: &str, id, manager: Option<i64>| {
        vec![text(company), Cell::Int(id), manager.map_or(Cell::Null, Cell::Int)]
    };
    let company = Truncate::Company {
        field: "company".to_owned(),
        company: "usmf".to_owned(),
    };
    for (truncate, applied) in [(None, 5), (Some(company), 4), (ALL, 1)] {
        Plain::open(&test).await.run("drop table if exists people").await;
        let database = open(&test);
        load_rows(
            &database,
            &people,
            vec![person("usmf", 1, None), person("demf", 2, None)],
        )
        .await;
        let mut loading = Loading::begin(&database, &people).await;
        loading.policy.truncate.clone_from(&truncate);
        // 12 follows 11, and 14 follows 13.
        let rows = vec![
            person("usmf", 10, None),
            person("usmf", 11, Some(2)),
            person("usmf", 12, Some(11)),
            person("usmf", 13, Some(2)),
            person("usmf", 14, Some(1)),
        ];
        loading.stage(batch(1, rows)).await;
        assert_eq!(loading.finish().await.counts.applied(), applied, "{truncate:?}");
    }
    drop(database);
}
