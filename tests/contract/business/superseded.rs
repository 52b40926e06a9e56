//! Records older than what last wrote their key (promise 5).

use tranship::business::Database;
use tranship::business::promote::LoadCounts;
use tranship::business::staging::WriteOrder;
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, FieldType};
use tranship::domain::job::ImportMode;

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    a_record_older_than_what_wrote_its_key_is_rejected,
    what_is_forced_lands_and_makes_nothing_older_newer,
    a_deleted_row_does_not_come_back,
    what_was_written_before_anybody_took_note_is_older,
    a_load_that_is_not_kept_in_order_is_never_refused_but_noted,
    numbers_of_another_store_say_nothing,
    a_refused_record_writes_no_key,
    another_key_begins_anew,
);

fn order_of(sequence: i64) -> WriteOrder<'static> {
    WriteOrder {
        store: "this",
        sequence,
        refuses_older: true,
    }
}

async fn load(
    database: &Database,
    entity: &Entity,
    order: Option<WriteOrder<'static>>,
    rows: Vec<Vec<Cell>>,
) -> LoadCounts {
    load_as(database, entity, order, ImportMode::Upsert, rows).await.1
}

async fn load_as<'a>(
    database: &'a Database,
    entity: &'a Entity,
    order: Option<WriteOrder<'static>>,
    mode: ImportMode,
    rows: Vec<Vec<Cell>>,
) -> (Loading<'a>, LoadCounts) {
    let mut loading = Loading::begin(database, entity).await;
    if order.is_some() {
        database.ensure_last_writes(entity).await.expect("a table");
    }
    (loading.order, loading.mode) = (order, mode);
    loading.stage(batch(1, rows)).await;
    let counts = loading.finish().await;
    (loading, counts)
}

async fn customer_of(database: &Database, entity: &Entity, number: usize) -> Option<String> {
    let rows = read_all(database, entity).await;
    let row = rows.into_iter().find(|row| row[0] == Some(number.to_string()));
    row.and_then(|row| row[1].clone())
}

async fn a_record_older_than_what_wrote_its_key_is_rejected(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let rows = (1..=6).map(|n| order(n, "seven", "1.00")).collect();
    assert_eq!(
        outcome(load(&database, &entity, Some(order_of(7)), rows).await),
        (6, 0, 0, 0)
    );
    let rows = (5..=9).map(|n| order(n, "three", "1.00")).collect();
    let (loading, counts) = load_as(&database, &entity, Some(order_of(3)), ImportMode::Upsert, rows).await;
    assert_eq!(outcome(counts), (3, 0, 0, 2));
    assert_eq!((counts.staging_errors, counts.target_errors), (0, 2));
    assert_eq!(
        loading.reject_codes().await,
        [(1, "superseded", None), (2, "superseded", None)]
    );
    assert_eq!(loading.rejects().await[1].error.place, place(2));
    assert_eq!(customer_of(&database, &entity, 5).await.as_deref(), Some("seven"));
    // The same message again is not older than itself, and an unchanged record counts as written.
    assert_eq!(
        outcome(load(&database, &entity, Some(order_of(7)), vec![order(1, "again", "1.00")]).await),
        (0, 1, 0, 0)
    );
    let unchanged = load(&database, &entity, Some(order_of(9)), vec![order(1, "again", "1.00")]).await;
    assert_eq!(outcome(unchanged), (0, 0, 1, 0));
    let late = load(&database, &entity, Some(order_of(8)), vec![order(1, "late", "1.00")]).await;
    assert_eq!(outcome(late), (0, 0, 0, 1));
}

async fn what_is_forced_lands_and_makes_nothing_older_newer(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    load(&database, &entity, Some(order_of(7)), vec![order(1, "seven", "1.00")]).await;
    let forced = WriteOrder {
        refuses_older: false,
        ..order_of(3)
    };
    assert_eq!(
        outcome(load(&database, &entity, Some(forced), vec![order(1, "three", "1.00")]).await),
        (0, 1, 0, 0)
    );
    let between = load(&database, &entity, Some(order_of(5)), vec![order(1, "five", "1.00")]).await;
    assert_eq!(outcome(between), (0, 0, 0, 1));
    let newer = load(&database, &entity, Some(order_of(8)), vec![order(1, "eight", "1.00")]).await;
    assert_eq!(outcome(newer), (0, 1, 0, 0));
}

async fn a_deleted_row_does_not_come_back(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    load(&database, &entity, Some(order_of(1)), vec![order(1, "one", "1.00")]).await;
    let gone = load_as(
        &database,
        &entity,
        Some(order_of(5)),
        ImportMode::Delete,
        vec![order(1, "x", "1.00")],
    )
    .await;
    assert_eq!(gone.1.counts.deleted, 1);
    let late = load(&database, &entity, Some(order_of(4)), vec![order(1, "four", "1.00")]).await;
    assert_eq!(outcome(late), (0, 0, 0, 1));
    // Nor does a late delete take what is newer.
    load(&database, &entity, Some(order_of(6)), vec![order(1, "six", "1.00")]).await;
    let late = load_as(
        &database,
        &entity,
        Some(order_of(5)),
        ImportMode::Delete,
        vec![order(1, "x", "1.00")],
    )
    .await;
    assert_eq!((late.1.counts.deleted, late.1.counts.rejected), (0, 1));
    assert_eq!(customer_of(&database, &entity, 1).await.as_deref(), Some("six"));
}

async fn what_was_written_before_anybody_took_note_is_older(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    load(&database, &entity, None, vec![order(1, "before", "1.00")]).await;
    let first = load(&database, &entity, Some(order_of(1)), vec![order(1, "one", "1.00")]).await;
    assert_eq!(outcome(first), (0, 1, 0, 0));
}

async fn a_load_that_is_not_kept_in_order_is_never_refused_but_noted(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let any = |sequence| {
        Some(WriteOrder {
            refuses_older: false,
            ..order_of(sequence)
        })
    };
    load(&database, &entity, any(7), vec![order(1, "seven", "1.00")]).await;
    assert_eq!(
        outcome(
            load(
                &database,
                &entity,
                any(6),
                vec![order(2, "six", "1.00"), order(1, "six", "1.00")]
            )
            .await
        ),
        (1, 1, 0, 0)
    );
    let late = load(
        &database,
        &entity,
        Some(order_of(5)),
        vec![order(1, "five", "1.00"), order(2, "five", "1.00")],
    )
    .await;
    assert_eq!(outcome(late), (0, 0, 0, 2));
}

async fn numbers_of_another_store_say_nothing(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    load(
        &database,
        &entity,
        Some(order_of(5000)),
        vec![order(1, "old store", "1.00")],
    )
    .await;
    let other = |sequence| {
        Some(WriteOrder {
            store: "that",
            ..order_of(sequence)
        })
    };
    assert_eq!(
        outcome(load(&database, &entity, other(2), vec![order(1, "new store", "1.00")]).await),
        (0, 1, 0, 0)
    );
    let late = load(&database, &entity, other(1), vec![order(1, "late", "1.00")]).await;
    assert_eq!(outcome(late), (0, 0, 0, 1));
}

async fn a_refused_record_writes_no_key(database: TestDatabase) {
    let test = database;
    let (database, entity) = (open(&test), orders());
    database.ensure_entity(&entity).await.expect("tables");
    let mut plain = Plain::open(&test).await;
    // Both databases have it from the start: a check the entity knows nothing of.
    plain.run("drop table orders").await;
    plain
        .run("create table orders (order_number bigint primary key, customer text check (customer <> 'bad'), freight text)")
        .await;
    if !plain.is_sqlite() {
        plain
            .run("alter table orders alter column freight type numeric(18,2) using null")
            .await;
    }
    let rows = vec![
        order(1, "good", "1.00"),
        order(2, "bad", "1.00"),
        order(3, "good", "1.00"),
    ];
    let refused = load(&database, &entity, Some(order_of(9)), rows).await;
    assert_eq!(outcome(refused), (2, 0, 0, 1));
    let late = load(
        &database,
        &entity,
        Some(order_of(8)),
        vec![order(2, "late", "1.00"), order(3, "late", "1.00")],
    )
    .await;
    assert_eq!(outcome(late), (1, 0, 0, 1), "nothing newer wrote order 2");
}

async fn another_key_begins_anew(database: TestDatabase) {
    let test = database;
    let (database, entity) = (open(&test), orders());
    load(&database, &entity, Some(order_of(9)), vec![order(1, "nine", "1.00")]).await;
    let mut plain = Plain::open(&test).await;
    let mut rekeyed = entity.clone();
    rekeyed.key = names(&["order_number", "customer"]);
    rekeyed.fields[1] = field("customer", FieldType::String);
    plain.run("drop table orders").await;
    let again = open(&test);
    let late = load(&again, &rekeyed, Some(order_of(3)), vec![order(1, "nine", "1.00")]).await;
    assert_eq!(outcome(late), (1, 0, 0, 0));
}
