//! Consistent reads: text and numbers come back as they went in, and nothing moves while a snapshot is open.

use tranship::business::BusinessError;
use tranship::business::snapshot::Selection;
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, FieldType};

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    text_comes_back_as_it_went_in,
    every_type_comes_back_canonical,
    a_snapshot_sees_nothing_of_a_later_commit,
    filter_order_and_company_choose_the_rows,
    a_filter_the_database_does_not_understand_is_a_definition_error,
    a_reader_that_goes_away_ends_the_reading,
    long_texts_come_in_small_batches,
);

fn notes() -> Entity {
    entity(
        "Notes",
        "notes",
        &["number"],
        vec![field("number", FieldType::Int), field("text", FieldType::String)],
    )
}

async fn text_comes_back_as_it_went_in(database: TestDatabase) {
    let database = open(&database);
    let texts = [
        "plain",
        "",
        " outer space ",
        "quote ' \" `",
        "line\nbreak",
        "line\r\nbreak",
        "tab\there",
        "back\\slash",
        "\\N",
        "\\.",
        "\\t",
        "é ü ß ø 日本 🚢",
        "Ana Trujillo Emparedados y helados",
        "; drop table notes; --",
        "$1 ? :x",
        "NULL",
    ];
    let mut rows: Vec<_> = (1..)
        .zip(texts)
        .map(|(n, note)| vec![Cell::Int(n), text(note)])
        .collect();
    let nothing = i64::try_from(rows.len()).expect("small") + 1;
    rows.push(vec![Cell::Int(nothing), Cell::Null]);
    assert_eq!(
        load_rows(&database, &notes(), rows.clone()).await.counts.inserted,
        rows.len() as u64
    );

    let read: Vec<_> = read_all(&database, &notes())
        .await
        .into_iter()
        .map(|row| row[1].clone())
        .collect();
    let mut sent: Vec<_> = texts.iter().map(|note| Some((*note).to_owned())).collect();
    sent.push(None);
    assert_eq!(read, sent);
    assert_eq!(
        load_rows(&database, &notes(), rows.clone()).await.counts.unchanged,
        rows.len() as u64
    );
}

async fn every_type_comes_back_canonical(database: TestDatabase) {
    let database = open(&database);
    let typed = entity(
        "Typed",
        "typed",
        &["id"],
        vec![
            field("id", FieldType::Guid),
            field("big", FieldType::Int),
            field(
                "amount",
                FieldType::Decimal {
                    precision: 30,
                    scale: Some(4),
                },
            ),
            field(
                "rate",
                FieldType::Decimal {
                    precision: 38,
                    scale: None,
                },
            ),
            field("flag", FieldType::Bool),
            field("day", FieldType::Date),
            field("moment", FieldType::Datetime),
            field("clock", FieldType::Time),
            field("mode", FieldType::Enum(names(&["Air", "Sea"]))),
        ],
    );
    let cells = |id: &str, rest: [&str; 8]| {
        let [big, amount, rate, flag, day, moment, clock, mode] = rest;
        let big = Cell::Int(big.parse().expect("a number"));
        vec![
            text(id),
            big,
            text(amount),
            text(rate),
            Cell::Bool(flag == "Yes"),
            text(day),
            text(moment),
            text(clock),
            text(mode),
        ]
    };
    let one = [
        "9223372036854775807",
        "0.1000",
        "1.50",
        "Yes",
        "1996-07-04",
        "1996-07-04 00:00:00",
        "13:05:00",
        "Air",
    ];
    let two = [
        "-9223372036854775808",
        "12345678901234567890123456.7890",
        "0.00000000000000000001",
        "No",
        "2024-02-29",
        "2024-02-29 23:59:59.123456",
        "00:00:00.5",
        "Sea",
    ];
    let ids = [
        "00000000-0000-4000-8000-000000000001",
        "6d31e09f-0249-459f-94f0-aad9c2c47b64",
    ];
    let mut rows = vec![cells(ids[0], one), cells(ids[1], two)];
    let mut empty = vec![Cell::Null; 9];
    empty[0] = text("ffffffff-0000-4000-8000-000000000001");
    rows.push(empty);
    load_rows(&database, &typed, rows.clone()).await;

    let read = read_all(&database, &typed).await;
    assert_eq!(read[0], row(&[&[ids[0]], one.as_slice()].concat()));
    assert_eq!(read[1], row(&[&[ids[1]], two.as_slice()].concat()));
    assert_eq!(read[2][1..], [const { None::<String> }; 8]);
    assert_eq!(outcome(load_rows(&database, &typed, rows).await), (0, 0, 3, 0));
}

async fn a_snapshot_sees_nothing_of_a_later_commit(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
    let mut snapshot = database.snapshot().await.expect("a snapshot");
    load_rows(&database, &entity, vec![order(1, "B", "1.00"), order(2, "C", "1.00")]).await;

    let fields = field_names(&entity);
    let selection = all_rows(&entity, &fields);
    for _ in 0..2 {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
        assert_eq!(snapshot.read(selection, sender).await.expect("rows"), 1);
        let batch = receiver.recv().await.expect("a batch");
        assert_eq!(batch.iter().map(cells).collect::<Vec<_>>(), [row(&["1", "A", "1.00"])]);
    }
    drop(snapshot);
    assert_eq!(read(&database, selection).await.len(), 2);
}

async fn filter_order_and_company_choose_the_rows(database: TestDatabase) {
    let database = open(&database);
    let mut entity = orders();
    entity.fields.push(field("company", FieldType::String));
    entity.company_field = Some("company".to_owned());
    let rows = (1..=6).map(|n| {
        let mut cells = order(n, if n % 2 == 0 { "even" } else { "odd" }, "1.00");
        cells.push(text(if n <= 4 { "usmf" } else { "demf" }));
        cells
    });
    load_rows(&database, &entity, rows.collect()).await;
    let (fields, order_by) = (names(&["order_number"]), names(&["customer", "order_number"]));
    let (usmf, both) = (names(&["usmf"]), names(&["usmf", "demf"]));
    let mut selection = Selection {
        order_by: &order_by,
        ..all_rows(&entity, &fields)
    };
    let numbers = |rows: Vec<Vec<Option<String>>>| {
        rows.into_iter()
            .map(|row| row[0].clone().expect("a key"))
            .collect::<String>()
    };
    assert_eq!(numbers(read(&database, selection).await), "246135");
    selection.companies = &usmf;
    assert_eq!(numbers(read(&database, selection).await), "2413");
    // `or` stays inside its parentheses, and a comment at the end ends there.
    selection.filter = Some("customer = 'odd' or order_number > 5 -- the odd ones");
    assert_eq!(numbers(read(&database, selection).await), "13");
    selection.companies = &both;
    assert_eq!(numbers(read(&database, selection).await), "6135");
    selection.companies = &[];
    assert_eq!(numbers(read(&database, selection).await), "6135");
    selection.limit = Some(2);
    assert_eq!(numbers(read(&database, selection).await), "61", "the first ones");
    selection.limit = Some(u64::MAX);
    assert_eq!(numbers(read(&database, selection).await), "6135");
    selection.limit = Some(0);
    assert_eq!(numbers(read(&database, selection).await), "");
}

async fn a_filter_the_database_does_not_understand_is_a_definition_error(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
    let fields = field_names(&entity);
    let select = |filter| Selection {
        filter,
        ..all_rows(&entity, &fields)
    };
    database
        .check_selection(select(Some("freight is not null")))
        .await
        .expect("a good filter");
    for filter in ["statsu = 'Confirmed'", "order_number >"] {
        let refused = database.check_selection(select(Some(filter))).await;
        assert!(
            matches!(&refused, Err(BusinessError::Definition(d)) if d.contains("Orders")),
            "{refused:?}"
        );
        let mut snapshot = database.snapshot().await.expect("a snapshot");
        let (sender, _receiver) = tokio::sync::mpsc::channel(4);
        let refused = snapshot.read(select(Some(filter)), sender).await;
        assert!(matches!(&refused, Err(BusinessError::Definition(_))), "{refused:?}");
    }
    assert_eq!(read(&database, select(None)).await.len(), 1);
}

async fn a_reader_that_goes_away_ends_the_reading(database: TestDatabase) {
    let (database, entity) = (open(&database), notes());
    let rows = (1..=3_000)
        .map(|n| vec![Cell::Int(n), text(&"x".repeat(200))])
        .collect();
    let mut loading = Loading::begin(&database, &entity).await;
    loading.chunk_records = 3_000;
    loading.stage(batch(1, rows)).await;
    loading.finish().await;
    let fields = field_names(&entity);
    let selection = all_rows(&entity, &fields);
    for _ in 0..6 {
        let mut snapshot = database.snapshot().await.expect("a snapshot");
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let reading = async { snapshot.read(selection, sender).await.expect("ended, not failed") };
        let leaving = async {
            assert_eq!(receiver.recv().await.expect("a batch").len(), 500);
            drop(receiver);
        };
        let (sent, ()) = tokio::join!(reading, leaving);
        assert!(sent < 3_000);
    }
    assert_eq!(read(&database, selection).await.len(), 3_000);
}

async fn long_texts_come_in_small_batches(database: TestDatabase) {
    let database = open(&database);
    let long = "n".repeat(300_000);
    let rows = (1..=20).map(|n| vec![Cell::Int(n), text(&long)]).collect();
    load_rows(&database, &notes(), rows).await;
    let (entity, fields) = (notes(), names(&["text"]));
    let mut snapshot = database.snapshot().await.expect("a snapshot");
    let (sender, mut receiver) = tokio::sync::mpsc::channel(20);
    let selection = all_rows(&entity, &fields);
    assert_eq!(snapshot.read(selection, sender).await.expect("rows"), 20);
    let mut sizes = Vec::new();
    while let Some(batch) = receiver.recv().await {
        sizes.push(batch.len());
    }
    assert_eq!(sizes, [4, 4, 4, 4, 4], "about a MiB each");
}
