//! Staging to target: exact counts, what the target refuses, loads side by side.

use tranship::business::BusinessError;
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Field, FieldType};
use tranship::domain::job::ImportMode;

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    counts_are_exact_and_a_second_load_changes_nothing,
    only_the_fields_a_file_brings_are_updated,
    a_file_of_keys_alone_inserts_and_never_updates,
    a_job_may_only_insert_only_update_or_delete,
    an_update_need_not_bring_what_an_insert_needs,
    what_the_target_refuses_costs_one_record_each,
    what_breaks_the_targets_own_rules_is_found_without_trying_all_again,
    a_value_the_target_cannot_hold_costs_one_record,
    a_code_of_a_triggers_own_costs_one_record,
    a_key_too_long_for_an_index_costs_one_record,
    what_the_target_refuses_says_nothing_of_other_columns,
    two_loads_into_one_table_at_once_both_end,
    a_record_that_is_neither_good_nor_rejected_stops_its_chunk,
);

async fn counts_are_exact_and_a_second_load_changes_nothing(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let rows = |freight: &str| (1..=10).map(|n| order(n, "A", freight)).collect::<Vec<_>>();
    assert_eq!(
        outcome(load_rows(&database, &entity, rows("1.50")).await),
        (10, 0, 0, 0)
    );
    assert_eq!(
        outcome(load_rows(&database, &entity, rows("1.50")).await),
        (0, 0, 10, 0)
    );

    let mut mixed = rows("1.50");
    mixed[2] = order(3, "A", "1.51");
    mixed[7] = vec![Cell::Int(8), Cell::Null, text("1.50")];
    mixed.push(order(11, "A", "1.50"));
    assert_eq!(
        outcome(load_rows(&database, &entity, mixed.clone()).await),
        (1, 2, 8, 0)
    );
    // Null equals null.
    assert_eq!(outcome(load_rows(&database, &entity, mixed).await), (0, 0, 11, 0));
    let landed = read_all(&database, &entity).await;
    assert_eq!(landed.len(), 11);
    assert_eq!(
        (&landed[2], &landed[7]),
        (&row(&["3", "A", "1.51"]), &row(&["8", "NULL", "1.50"]))
    );
}

async fn only_the_fields_a_file_brings_are_updated(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    load_rows(&database, &entity, vec![order(1, "A", "1.00"), order(2, "B", "2.00")]).await;
    let loading = Loading::begin_with(&database, &entity, names(&["freight", "order_number"])).await;
    let rows = vec![
        vec![text("9.00"), Cell::Int(1)],
        vec![text("2.00"), Cell::Int(2)],
        vec![text("3.00"), Cell::Int(3)],
    ];
    loading.stage(batch(1, rows)).await;
    assert_eq!(outcome(loading.finish().await), (1, 1, 1, 0));
    let landed = read_all(&database, &entity).await;
    assert_eq!(
        landed,
        [
            row(&["1", "A", "9.00"]),
            row(&["2", "B", "2.00"]),
            row(&["3", "NULL", "3.00"])
        ]
    );
}

async fn a_job_may_only_insert_only_update_or_delete(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let load = async |mode, rows: Vec<Vec<Cell>>| {
        let mut loading = Loading::begin(&database, &entity).await;
        loading.mode = mode;
        loading.stage(batch(1, rows)).await;
        let counts = loading.finish().await;
        (outcome(counts), counts.counts.deleted, loading.reject_codes().await)
    };
    let both = || vec![order(1, "A", "1.00"), order(2, "B", "2.00"), order(1, "A", "3.00")];
    let (counts, _, codes) = load(ImportMode::Insert, both()).await;
    assert_eq!(counts, (2, 0, 0, 1));
    assert_eq!(codes, [(3, "duplicate_key", Some("order_number".to_owned()))]);
    let more = || (1..=9).map(|number| order(number, "C", "9.00")).collect::<Vec<_>>();
    let (counts, _, codes) = load(ImportMode::Insert, more()).await;
    assert_eq!(counts, (7, 0, 0, 2));
    assert_eq!(codes, [(1, "already_there", None), (2, "already_there", None)]);

    let (counts, _, codes) = load(ImportMode::Update, vec![order(1, "D", "1.00"), order(10, "D", "1.00")]).await;
    assert_eq!(counts, (0, 1, 0, 1));
    assert_eq!(codes, [(2, "not_there", None)]);

    let gone = (5..=10).map(|number| order(number, "E", "0.00")).collect();
    let (counts, deleted, codes) = load(ImportMode::Delete, gone).await;
    assert_eq!((counts, deleted), ((0, 0, 0, 1), 5));
    assert_eq!(codes, [(6, "not_there", None)]);
    let landed = read_all(&database, &entity).await;
    assert_eq!(
        landed,
        [
            row(&["1", "D", "1.00"]),
            row(&["2", "B", "2.00"]),
            row(&["3", "C", "9.00"]),
            row(&["4", "C", "9.00"])
        ]
    );
}

async fn an_update_need_not_bring_what_an_insert_needs(database: TestDatabase) {
    let database = open(&database);
    let name = Field {
        required: true,
        ..field("name", FieldType::String)
    };
    let fields = vec![field("id", FieldType::Int), name, field("note", FieldType::String)];
    let entity = entity("Named", "named", &["id"], fields);
    let rows = vec![
        vec![Cell::Int(1), text("A"), text("old")],
        vec![Cell::Int(2), text("B"), text("same")],
    ];
    load_rows(&database, &entity, rows).await;
    let mut loading = Loading::begin_with(&database, &entity, names(&["id", "note"])).await;
    loading.mode = ImportMode::Update;
    let rows = vec![vec![Cell::Int(1), text("new")], vec![Cell::Int(2), text("same")]];
    loading.stage(batch(1, rows)).await;
    assert_eq!(outcome(loading.finish().await), (0, 1, 1, 0));
    let landed = read_all(&database, &entity).await;
    assert_eq!(landed, [row(&["1", "A", "new"]), row(&["2", "B", "same"])]);

    let mut keys = Loading::begin_with(&database, &entity, names(&["id"])).await;
    keys.mode = ImportMode::Update;
    keys.stage(batch(1, vec![vec![Cell::Int(1)]])).await;
    assert_eq!(
        outcome(keys.finish().await),
        (0, 0, 1, 0),
        "nothing but keys changes nothing"
    );
}

async fn a_file_of_keys_alone_inserts_and_never_updates(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
    let loading = Loading::begin_with(&database, &entity, names(&["order_number"])).await;
    loading
        .stage(batch(1, vec![vec![Cell::Int(1)], vec![Cell::Int(2)]]))
        .await;
    assert_eq!(outcome(loading.finish().await), (1, 0, 1, 0));
    assert_eq!(read_all(&database, &entity).await[0], row(&["1", "A", "1.00"]));
}

async fn what_the_target_refuses_costs_one_record_each(database: TestDatabase) {
    let test = database;
    let mut plain = Plain::open(&test).await;
    plain.run("create table regions (name varchar(40) primary key)").await;
    plain.run("insert into regions values ('north')").await;
    plain
        .run(
            "create table orders (order_number bigint primary key, customer varchar(40) not null references regions, \
             freight decimal(18,2) check (freight <> 13), deposit integer default 0 check (deposit >= 0))",
        )
        .await;
    let mut entity = orders();
    entity.create_table = false;
    let database = open(&test);
    let mut loading = Loading::begin(&database, &entity).await;
    loading.chunk_records = 16;
    let mut rows: Vec<_> = (1..=20).map(|n| order(n, "north", "1.00")).collect();
    rows[2] = vec![Cell::Int(3), Cell::Null, text("1.00")];
    rows[3] = order(4, "south", "1.00");
    rows[9] = order(10, "north", "13.00");
    rows[18] = order(19, "north", "13.00");
    loading.stage(batch(1, rows)).await;
    let counts = loading.finish().await;
    assert_eq!(outcome(counts), (16, 0, 0, 4));
    assert_eq!((counts.staging_errors, counts.target_errors), (0, 4));

    let rejects = loading.rejects().await;
    assert_eq!(
        rejects.iter().map(|r| r.reject.record).collect::<Vec<_>>(),
        [3, 4, 10, 19]
    );
    assert!(
        rejects
            .iter()
            .all(|r| r.by_target && r.error.code.as_str() == "target_rejected")
    );
    assert!(
        rejects[0].error.reason.contains("customer"),
        "the database's own words: {}",
        rejects[0].error.reason
    );
    assert_eq!(rejects[2].error.place, place(10));
    assert_eq!(plain.number("select count(*) from orders").await, 16);
    loading.promote().await;
    assert_eq!(loading.counts().await, counts);
}

async fn a_value_the_target_cannot_hold_costs_one_record(database: TestDatabase) {
    let test = database;
    let mut plain = Plain::open(&test).await;
    let trigger = if plain.is_sqlite() {
        "create trigger no_x before insert on orders when new.customer = 'x' begin select raise(abort, 'x is closed'); end"
    } else {
        "create function no_x() returns trigger language plpgsql as $$ begin \
           if new.customer = 'x' then raise exception 'x is closed'; end if; return new; end $$; \
         create trigger no_x before insert on orders for each row execute function no_x()"
    };
    let mut entity = orders();
    entity.fields[1].max_length = Some(3);
    let database = open(&test);
    let loading = Loading::begin(&database, &entity).await;
    plain.run(trigger).await;
    loading
        .stage(batch(
            1,
            vec![order(1, "abc", "1.00"), order(2, "abcd", "1.00"), order(3, "x", "1.00")],
        ))
        .await;
    assert_eq!(outcome(loading.finish().await), (1, 0, 0, 2));
    let rejects = loading.rejects().await;
    assert!(
        rejects[1].error.reason.contains("x is closed"),
        "{}",
        rejects[1].error.reason
    );
}

async fn a_code_of_a_triggers_own_costs_one_record(database: TestDatabase) {
    let (test, entity) = (database, orders());
    let mut plain = Plain::open(&test).await;
    let trigger = if plain.is_sqlite() {
        "create trigger no_x before insert on orders when new.customer = 'x' begin select raise(abort, 'x is closed'); end"
    } else {
        "create function no_x() returns trigger language plpgsql as $$ begin \
           if new.customer = 'x' then raise exception 'x is closed' using errcode = 'BR001'; end if; return new; end $$; \
         create trigger no_x before insert on orders for each row execute function no_x()"
    };
    let database = open(&test);
    let loading = Loading::begin(&database, &entity).await;
    plain.run(trigger).await;
    loading
        .stage(batch(1, vec![order(1, "a", "1.00"), order(2, "x", "1.00")]))
        .await;
    assert_eq!(outcome(loading.finish().await), (1, 0, 0, 1));
    let rejects = loading.rejects().await;
    assert!(rejects[0].by_target && rejects[0].error.reason.contains("x is closed"));
}

/// Text that does not compress: PostgreSQL would fit what does into an index after all.
fn noise(characters: usize) -> String {
    let mut state = 7_u64;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((state >> 33) % 90).expect("less than 90"))
    };
    (0..characters).map(next).collect()
}

async fn a_key_too_long_for_an_index_costs_one_record(database: TestDatabase) {
    let test = database;
    let mut plain = Plain::open(&test).await;
    let (name, size) = (field("name", FieldType::String), field("size", FieldType::Int));
    let mut files = entity("Files", "files", &["name"], vec![name, size]);
    files.create_table = false;
    // SQLite's index takes keys of any length, so there a rule of the table refuses it.
    let rule = if plain.is_sqlite() {
        "check (length(name) < 2704)"
    } else {
        ""
    };
    let table = format!("create table files (name text primary key {rule}, size bigint)");
    plain.run(&table).await;
    let database = open(&test);
    let loading = Loading::begin(&database, &files).await;
    let file = |name: &str, size| vec![text(name), Cell::Int(size)];
    let long = noise(20_000);
    let rows = vec![file("a", 1), file(&long, 2), file("b", 3), file(&long, 4), file("a", 5)];
    loading.stage(batch(1, rows)).await;
    assert_eq!(outcome(loading.finish().await), (2, 0, 0, 3));
    let codes: Vec<_> = loading
        .reject_codes()
        .await
        .into_iter()
        .map(|(record, code, _)| (record, code))
        .collect();
    assert_eq!(
        codes,
        [(2, "target_rejected"), (4, "duplicate_key"), (5, "duplicate_key")]
    );
    let reason = &loading.rejects().await[1].error.reason;
    assert!(reason.len() < 400, "the long key is cut: {} bytes", reason.len());
}

async fn what_the_target_refuses_says_nothing_of_other_columns(database: TestDatabase) {
    let test = database;
    let mut plain = Plain::open(&test).await;
    plain
        .run(
            "create table orders (order_number bigint primary key, customer varchar(40) not null, \
             freight decimal(18,2) check (freight <> 13), margin varchar(20) default 'secret')",
        )
        .await;
    let mut entity = orders();
    entity.create_table = false;
    let database = open(&test);
    let loading = Loading::begin(&database, &entity).await;
    let nobody = vec![Cell::Int(1), Cell::Null, text("1.00")];
    loading.stage(batch(1, vec![nobody, order(2, "A", "13.00")])).await;
    assert_eq!(outcome(loading.finish().await), (0, 0, 0, 2));
    for reject in loading.rejects().await {
        assert!(!reject.error.reason.contains("secret"), "{}", reject.error.reason);
    }
}

async fn two_loads_into_one_table_at_once_both_end(database: TestDatabase) {
    let (test, entity) = (database, orders());
    for round in 0..10 {
        // Two databases as two processes have them, and keys in opposite order.
        let (one, other) = (open(&test), open(&test));
        let (mut up, mut down) = tokio::join!(Loading::begin(&one, &entity), Loading::begin(&other, &entity));
        // One chunk each, so that without the lock on the table each would hold rows the other waits for.
        (up.chunk_records, down.chunk_records) = (1_000, 1_000);
        let freight = format!("{round}.00");
        let rows: Vec<_> = (1..=1_000).map(|n| order(n, "A", &freight)).collect();
        let reversed = rows.iter().rev().cloned().collect();
        tokio::join!(up.stage(batch(1, rows)), down.stage(batch(1, reversed)));
        let (first, second) = tokio::join!(up.finish_staging(), down.finish_staging());
        first.and(second).expect("validated");
        let both = async { tokio::join!(up.promote(), down.promote()) };
        tokio::time::timeout(std::time::Duration::from_mins(1), both)
            .await
            .expect("no deadlock");
        let (up, down) = (up.counts().await, down.counts().await);
        let changed = up.counts.inserted + up.counts.updated + down.counts.inserted + down.counts.updated;
        assert_eq!(changed, 1_000, "each row is written once: {up:?} {down:?}");
        assert_eq!(up.counts.unchanged + down.counts.unchanged, 1_000);
    }
}

async fn a_record_that_is_neither_good_nor_rejected_stops_its_chunk(database: TestDatabase) {
    let (test, entity) = (database, orders());
    let database = open(&test);
    let loading = Loading::begin(&database, &entity).await;
    loading
        .stage(batch(1, vec![order(1, "A", "1.00"), order(2, "B", "2.00")]))
        .await;
    loading.finish_staging().await.expect("validated");
    Plain::open(&test)
        .await
        .run(&format!(
            "delete from {} where tranship_record = 2",
            entity.staging_table()
        ))
        .await;
    let chunk = database.chunks(loading.load()).await.expect("chunks")[0];
    let stopped = database.promote_chunk(loading.load(), &loading.fields, chunk).await;
    // On PostgreSQL a crash of the server may have taken it (see `lost`); SQLite loses nothing.
    match (stopped, Plain::open(&test).await.is_sqlite()) {
        (Err(BusinessError::StagingLost { .. }), false) => {}
        (Err(error), true) => assert!(error.to_string().contains("1 good and 0 rejected"), "{error}"),
        (other, _) => panic!("{other:?}"),
    }
    assert_eq!(read_all(&database, &entity).await, Vec::<Vec<_>>::new());
}

on_both_databases!(a_second_unique_column_and_a_big_chunk_of_faults_are_isolated);

async fn a_second_unique_column_and_a_big_chunk_of_faults_are_isolated(database: TestDatabase) {
    let test = database;
    let database = open(&test);
    let items = entity(
        "Items",
        "items",
        &["number"],
        vec![field("number", FieldType::Int), field("barcode", FieldType::String)],
    );
    database.ensure_entity(&items).await.expect("tables");
    Plain::open(&test)
        .await
        .run("create unique index one_barcode on items (barcode)")
        .await;
    let mut loading = Loading::begin(&database, &items).await;
    loading.chunk_records = 100;
    // Every second record repeats the barcode before it.
    let rows = (1..=100)
        .map(|n| vec![Cell::Int(n), text(&format!("b{}", (n + 1) / 2))])
        .collect();
    loading.stage(batch(1, rows)).await;
    assert_eq!(outcome(loading.finish().await), (50, 0, 0, 50));
    assert!(
        loading
            .rejects()
            .await
            .iter()
            .all(|r| r.reject.record % 2 == 0 && r.by_target)
    );
}

/// Counted by a sequence, which no rollback takes back; SQLite has none.
async fn what_breaks_the_targets_own_rules_is_found_without_trying_all_again(database: TestDatabase) {
    let test = database;
    let mut plain = Plain::open(&test).await;
    if plain.is_sqlite() {
        return;
    }
    plain
        .run(
            "create table orders (order_number bigint primary key, customer varchar(3) not null, \
               freight numeric(6,2) check (freight <> 13)); \
             create sequence tried; \
             create function counted() returns trigger language plpgsql as $$ begin \
               perform nextval('tried'); return new; end $$; \
             create trigger counted before insert on orders for each row execute function counted()",
        )
        .await;
    let mut entity = orders();
    entity.create_table = false;
    let database = open(&test);
    let mut loading = Loading::begin(&database, &entity).await;
    loading.chunk_records = 500;
    let record = |number: i64| match number {
        100 | 600 => order(number, "A", "13"),
        200 => order(number, "ABCD", "1"),
        400 => order(number, "A", "12345"),
        700 => vec![Cell::Int(number), Cell::Null, text("1")],
        _ => order(number, "A", "1"),
    };
    loading.stage(batch(1, (1..=1000).map(record).collect())).await;
    assert_eq!(outcome(loading.finish().await), (995, 0, 0, 5));
    let records: Vec<_> = loading.rejects().await.iter().map(|kept| kept.reject.record).collect();
    assert_eq!(records, [100, 200, 400, 600, 700]);
    // The first chunk as far as its first refusal and once more; the second one, asked beforehand, once.
    let tried = plain.number("select last_value from tried").await;
    assert!(
        (1000..=1105).contains(&tried),
        "{tried} rows were tried for 1000 records"
    );
}
