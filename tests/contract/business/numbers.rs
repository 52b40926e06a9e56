//! Number sequences: no number twice, none lost, none changed; and values that only new rows take.

use tranship::business::BusinessError;
use tranship::domain::auto_number::AutoNumber;
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, Field, FieldType};
use tranship::domain::job::ImportMode;

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    records_without_a_number_get_the_next_ones_in_their_order,
    a_rerun_changes_no_number,
    loads_at_once_never_share_a_number,
    a_row_that_is_there_keeps_its_number_and_takes_none,
    an_update_of_the_rest_keeps_the_number_too,
    a_sequence_begins_behind_what_the_table_has,
    a_number_may_be_the_key,
    a_sequence_without_room_says_so,
    what_only_new_rows_take_leaves_the_others_alone,
);

fn numbered(name: &str, kind: FieldType, format: &str, start: i64) -> Field {
    Field {
        auto_number: Some(AutoNumber {
            format: format.parse().expect("a format"),
            start,
        }),
        ..field(name, kind)
    }
}

/// Keyed by what the sender knows; the number is ours.
fn tickets() -> Entity {
    entity(
        "Tickets",
        "tickets",
        &["reference"],
        vec![
            field("reference", FieldType::Int),
            numbered("number", FieldType::String, "T-{:04}/x", 1),
        ],
    )
}

async fn begin<'a>(database: &'a tranship::business::Database, entity: &'a Entity, field: &str) -> Loading<'a> {
    let mut loading = Loading::begin(database, entity).await;
    loading.numbered = names(&[field]);
    loading
}

fn without(references: impl IntoIterator<Item = i64>) -> Vec<Vec<Cell>> {
    references.into_iter().map(|n| vec![Cell::Int(n), Cell::Null]).collect()
}

async fn records_without_a_number_get_the_next_ones_in_their_order(database: TestDatabase) {
    let (database, entity) = (open(&database), tickets());
    let loading = begin(&database, &entity, "number").await;
    let mut rows = without(1..=6);
    rows[2] = vec![Cell::Int(3), text("mine")];
    let mut first = batch(1, rows);
    // The fourth is rejected before it is numbered.
    first.records.remove(3);
    first.rejected.push(bad_record(4));
    loading.stage(first).await;
    assert_eq!(outcome(loading.finish().await), (5, 0, 0, 1));
    let numbers: Vec<_> = read_all(&database, &entity)
        .await
        .into_iter()
        .map(|mut row| row.remove(1))
        .collect();
    let numbers: Vec<_> = numbers
        .iter()
        .map(|number| number.as_deref().unwrap_or("none"))
        .collect();
    // Six records in ranges of four.
    assert_eq!(numbers, ["T-0001/x", "T-0002/x", "mine", "T-0003/x", "T-0004/x"]);
}

async fn a_rerun_changes_no_number(database: TestDatabase) {
    let test = database;
    let (database, entity) = (open(&test), tickets());
    let mut loading = begin(&database, &entity, "number").await;
    loading.stage(batch(1, without(1..=6))).await;
    loading.finish_staging().await.expect("numbered");
    loading.die_before_staging_is_complete(&test).await;
    let other = begin(&database, &entity, "number").await;
    other.stage(batch(1, without([100]))).await;
    other.finish().await;
    loading.fence.epoch = 2;
    database.raise_fence(loading.fence).await.expect("raised");
    assert_eq!(outcome(loading.finish().await), (6, 0, 0, 0));
    let landed = read_all(&database, &entity).await;
    assert_eq!(landed[0], row(&["1", "T-0001/x"]));
    assert_eq!(landed[5], row(&["6", "T-0006/x"]));
    assert_eq!(landed[6], row(&["100", "T-0007/x"]));
}

async fn loads_at_once_never_share_a_number(database: TestDatabase) {
    let (database, entity) = (open(&database), tickets());
    let load = async |from: i64| {
        let loading = begin(&database, &entity, "number").await;
        loading.stage(batch(1, without(from..from + 40))).await;
        loading.finish().await
    };
    let (a, b, c) = tokio::join!(load(1000), load(2000), load(3000));
    for counts in [a, b, c] {
        assert_eq!(outcome(counts), (40, 0, 0, 0));
    }
    let mut numbers: Vec<_> = read_all(&database, &entity)
        .await
        .into_iter()
        .map(|row| row[1].clone())
        .collect();
    numbers.sort();
    let expected: Vec<_> = (1..=120).map(|n| Some(format!("T-{n:04}/x"))).collect();
    assert_eq!(numbers, expected, "each once, without a gap");
}

async fn a_row_that_is_there_keeps_its_number_and_takes_none(database: TestDatabase) {
    let (database, entity) = (open(&database), tickets());
    let load = async |rows| {
        let loading = begin(&database, &entity, "number").await;
        loading.stage(batch(1, rows)).await;
        outcome(loading.finish().await)
    };
    assert_eq!(load(without([1, 2])).await, (2, 0, 0, 0));
    assert_eq!(load(without([1, 2, 3])).await, (1, 0, 2, 0));
    // Nor does a number in a file change it.
    assert_eq!(load(vec![vec![Cell::Int(1), text("other")]]).await, (0, 0, 1, 0));
    let landed = read_all(&database, &entity).await;
    assert_eq!(
        landed,
        [
            row(&["1", "T-0001/x"]),
            row(&["2", "T-0002/x"]),
            row(&["3", "T-0003/x"])
        ]
    );
}

async fn an_update_of_the_rest_keeps_the_number_too(database: TestDatabase) {
    let (database, mut entity) = (open(&database), tickets());
    entity.fields.push(field("title", FieldType::String));
    let load = async |mode, number, title| {
        let mut loading = begin(&database, &entity, "number").await;
        loading.mode = mode;
        loading
            .stage(batch(1, vec![vec![Cell::Int(1), number, text(title)]]))
            .await;
        outcome(loading.finish().await)
    };
    assert_eq!(load(ImportMode::Upsert, Cell::Null, "old").await, (1, 0, 0, 0));
    for (mode, title) in [(ImportMode::Upsert, "new"), (ImportMode::Update, "newer")] {
        assert_eq!(load(mode, text("other"), title).await, (0, 1, 0, 0));
        assert_eq!(read_all(&database, &entity).await, [row(&["1", "T-0001/x", title])]);
    }
}

async fn a_sequence_begins_behind_what_the_table_has(database: TestDatabase) {
    let test = database;
    let (database, entity) = (open(&test), tickets());
    database.ensure_entity(&entity).await.expect("tables");
    let mut plain = Plain::open(&test).await;
    // Neither of another form, nor with more than digits, nor beyond 64 bits.
    plain
        .run(
            "insert into tickets (reference, number) values (1, 'T-0099/x'), (2, 'T-00000000000000123/x'), (3, 'T-9999'), \
             (4, 'T-zzzzzzzz/x'), (5, 'X-5000/x'), (6, 'T-/x'), (7, null), (8, 'T-99999999999999999999/x')",
        )
        .await;
    let loading = begin(&database, &entity, "number").await;
    loading.stage(batch(1, without([10, 7]))).await;
    loading.finish().await;
    let landed = read_all(&database, &entity).await;
    assert_eq!(landed[8], row(&["10", "T-0124/x"]));
    assert_eq!(landed[6], row(&["7", "T-0125/x"]), "a row that had none");
}

async fn a_number_may_be_the_key(database: TestDatabase) {
    let test = database;
    let database = open(&test);
    let lines = entity(
        "Lines",
        "lines",
        &["id"],
        vec![
            numbered("id", FieldType::Int, "{}", 10),
            field("text", FieldType::String),
        ],
    );
    let loading = begin(&database, &lines, "id").await;
    let line = |id: Option<i64>| vec![id.map_or(Cell::Null, Cell::Int), text("a")];
    loading
        .stage(batch(1, vec![line(None), line(Some(11)), line(None)]))
        .await;
    // The file's own 11 comes first; the record that was given it is the one that falls.
    assert_eq!(outcome(loading.finish().await), (2, 0, 0, 1));
    assert_eq!(loading.reject_codes().await[0].1, "duplicate_key");
    let landed = read_all(&database, &lines).await;
    assert_eq!(landed, [row(&["10", "a"]), row(&["11", "a"])]);
    // Numbers that others brought into the table since are passed over: nobody's row is changed by a record without a number.
    load_rows(&database, &lines, vec![vec![Cell::Int(14), text("theirs")]]).await;
    let loading = begin(&database, &lines, "id").await;
    loading.stage(batch(1, vec![line(None), line(None), line(None)])).await;
    assert_eq!(outcome(loading.finish().await), (3, 0, 0, 0));
    let landed = read_all(&database, &lines).await;
    assert_eq!(
        landed[2..],
        ["14", "15", "16", "17"].map(|id| row(&[id, if id == "14" { "theirs" } else { "a" }]))
    );
    // A start that was raised counts; the sequence never goes back.
    let mut raised = lines.clone();
    for (start, id) in [(500, "500"), (20, "501")] {
        raised.fields[0] = numbered("id", FieldType::Int, "{}", start);
        let loading = begin(&database, &raised, "id").await;
        loading.stage(batch(1, vec![line(None)])).await;
        loading.finish().await;
        let landed = read_all(&database, &raised).await;
        assert_eq!(landed.last(), Some(&row(&[id, "a"])));
    }
}

async fn a_sequence_without_room_says_so(database: TestDatabase) {
    let (database, mut entity) = (open(&database), tickets());
    entity.fields[1] = Field {
        max_length: Some(2),
        ..numbered("number", FieldType::String, "{}", 98)
    };
    let loading = begin(&database, &entity, "number").await;
    loading.stage(batch(1, without(1..=3))).await;
    let refused = loading.finish_staging().await.expect_err("98, 99, and then?");
    assert!(
        matches!(&refused, BusinessError::Definition(detail) if detail.contains("have come to 100")),
        "{refused}"
    );
    let loading = begin(&database, &entity, "number").await;
    loading.stage(batch(1, without(1..=2))).await;
    assert_eq!(outcome(loading.finish().await), (2, 0, 0, 0), "none was lost");
}

async fn what_only_new_rows_take_leaves_the_others_alone(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
    for mode in [ImportMode::Upsert, ImportMode::Upsert] {
        let mut loading = Loading::begin(&database, &entity).await;
        loading.mode = mode;
        loading.only_new = names(&["customer"]);
        loading
            .stage(batch(1, vec![order(1, "new", "2.00"), order(2, "new", "2.00")]))
            .await;
        loading.finish().await;
    }
    let landed = read_all(&database, &entity).await;
    assert_eq!(landed, [row(&["1", "A", "2.00"]), row(&["2", "new", "2.00"])]);
}
