//! Staging tables follow the definition: loads that begin after a change use a table of their own, those in the middle end in
//! theirs or with a clear answer, and what nobody needs any more goes.

use tranship::business::BusinessError;
use tranship::business::staging::Load;
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, FieldType};
use tranship::domain::job::ImportMode;
use tranship::domain::message::Fence;

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    a_load_after_the_change_does_not_meet_one_before_it,
    a_load_in_the_middle_is_told_and_keeps_its_counts,
    a_load_of_no_records_yet_begins_again_under_the_new_definition,
    what_earlier_definitions_left_behind_goes,
);

/// Orders whose customer became a number.
fn changed() -> Entity {
    let mut entity = orders();
    entity.fields[1].kind = FieldType::Int;
    entity
}

/// The target takes both definitions: SQLite keeps any value, PostgreSQL turns numbers into text.
async fn loose_target(test: &TestDatabase) {
    let mut plain = Plain::open(test).await;
    let freight = if plain.is_sqlite() { "text" } else { "numeric(18,2)" };
    plain
        .run(&format!(
            "create table orders (order_number bigint primary key, customer text, freight {freight})"
        ))
        .await;
}

async fn a_load_after_the_change_does_not_meet_one_before_it(test: TestDatabase) {
    loose_target(&test).await;
    let (database, before, after_change) = (open(&test), orders(), changed());
    let old = Loading::begin(&database, &before).await;
    old.stage(batch(1, vec![order(1, "A", "1.00")])).await;

    let cells = vec![Cell::Int(2), Cell::Int(7), text("2.00")];
    assert_eq!(
        outcome(load_rows(&database, &after_change, vec![cells]).await),
        (1, 0, 0, 0)
    );

    old.stage(batch(2, vec![order(3, "B", "3.00")])).await;
    assert_eq!(outcome(old.finish().await), (2, 0, 0, 0));
    assert_eq!(
        read_all(&database, &before).await,
        [
            row(&["1", "A", "1.00"]),
            row(&["2", "7", "2.00"]),
            row(&["3", "B", "3.00"])
        ]
    );
}

/// The same load, claimed again by a worker that has read the new definition.
fn again<'a>(old: &Loading<'_>, entity: &'a Entity) -> Load<'a> {
    let fence = Fence {
        epoch: old.fence.epoch + 1,
        ..old.fence
    };
    Load::new(fence, 0, entity, ImportMode::Upsert)
}

async fn a_load_in_the_middle_is_told_and_keeps_its_counts(test: TestDatabase) {
    loose_target(&test).await;
    let (database, before, after_change) = (open(&test), orders(), changed());
    let mut old = Loading::begin(&database, &before).await;
    old.stage(batch(1, (1..=6).map(|n| order(n, "A", "1.00")).collect()))
        .await;
    old.chunk_records = 4;
    old.finish_staging().await.expect("validated");
    let first = database.chunks(old.load()).await.expect("chunks")[0];
    database
        .promote_chunk(old.load(), &old.fields, first)
        .await
        .expect("promoted");

    let load = again(&old, &after_change);
    database.raise_fence(load.fence).await.expect("a new epoch");
    database.ensure_entity(&after_change).await.expect("tables of its own");
    let told = database.begin_load(load, &old.fields).await.expect_err("it changed");
    assert!(
        matches!(&told, BusinessError::DefinitionChanged(detail) if detail.contains("`Orders` changed")),
        "{told}"
    );
    database
        .stop_load(load, "definition_changed: it changed")
        .await
        .expect("stopped");
    let counts = database.load_counts(load).await.expect("counted").counts;
    assert!(counts.conserved());
    assert_eq!((counts.read, counts.inserted, counts.skipped), (6, 4, 2));
    database.clear_staging(load).await.expect("cleared");
    let mut plain = Plain::open(&test).await;
    let left = format!("select count(*) from {}", before.staging_table());
    assert_eq!(
        plain.number(&left).await,
        0,
        "its records are gone from where they were"
    );

    // So it is with another table.
    let mut moved = before.clone();
    "others".clone_into(&mut moved.table);
    let loading = Loading::begin(&database, &before).await;
    loading.stage(batch(1, vec![order(1, "A", "1.00")])).await;
    database.ensure_entity(&moved).await.expect("made");
    let told = database
        .begin_load(
            Load {
                entity: &moved,
                ..loading.load()
            },
            &loading.fields,
        )
        .await;
    assert!(matches!(told, Err(BusinessError::DefinitionChanged(_))), "{told:?}");
}

async fn a_load_of_no_records_yet_begins_again_under_the_new_definition(test: TestDatabase) {
    loose_target(&test).await;
    let (database, before, after_change) = (open(&test), orders(), changed());
    let old = Loading::begin(&database, &before).await;
    database.ensure_entity(&after_change).await.expect("tables of its own");
    let load = again(&old, &after_change);
    database.raise_fence(load.fence).await.expect("a new epoch");
    let fields = names(&["order_number", "customer"]);
    let state = database.begin_load(load, &fields).await.expect("it begins");
    assert_eq!(
        (state.fields, state.staging),
        (fields.clone(), after_change.staging_table())
    );
    let cells = vec![Cell::Int(1), Cell::Int(2)];
    database
        .stage(load, &fields, &batch(1, vec![cells]))
        .await
        .expect("staged");
}

async fn what_earlier_definitions_left_behind_goes(test: TestDatabase) {
    let database = open(&test);
    let mut plain = Plain::open(&test).await;
    let first = orders();
    let mut entity = first.clone();
    let busy = Loading::begin(&database, &first).await;
    busy.stage(batch(1, vec![order(1, "A", "1.00")])).await;
    let mut names = Vec::new();
    for added in ["one", "two", "three"] {
        entity.fields.push(field(added, FieldType::String));
        let found = database.diff_entity(&entity).await.expect("compared");
        database.apply(&found).await.expect("applied");
        database.ensure_entity(&entity).await.expect("made");
        names.push(entity.staging_table());
    }
    let is_there = |name: &str| {
        let catalogue = if plain.is_sqlite() {
            "sqlite_schema where name"
        } else {
            "pg_tables where tablename"
        };
        format!("select count(*) from {catalogue} = '{name}'")
    };
    let asked = [&busy.entity.staging_table(), &names[0], &names[1], &names[2]].map(|name| is_there(name));
    let mut there = Vec::new();
    for sql in &asked {
        there.push(plain.number(sql).await);
    }
    assert_eq!(there, [1, 0, 1, 1], "one is busy, the last two may be needed");

    assert_eq!(outcome(busy.finish().await), (1, 0, 0, 0));
    entity.fields.push(field("four", FieldType::String));
    let found = database.diff_entity(&entity).await.expect("compared");
    database.apply(&found).await.expect("applied");
    database.ensure_entity(&entity).await.expect("made");
    assert_eq!(plain.number(&asked[0]).await, 0, "not busy any more");
    // Its message goes on for longer, and clears up at its end.
    database.clear_staging(busy.load()).await.expect("nothing is left");
    assert_eq!(busy.counts().await.counts.inserted, 1);
}
