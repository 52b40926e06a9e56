//! Staging that a crash of the database emptied. SQLite has no such staging: there the same is damage, and stops the load.

use tranship::business::BusinessError;
use tranship::business::staging::{Load, SourcePosition, StagingBatch};
use tranship::domain::entity::{Entity, FieldType};
use tranship::domain::message::Fence;

use super::fixture::{Loading, Plain, after, batch, field, open, order, orders, outcome, read_all};
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    a_load_whose_staging_is_lost_goes_back_to_its_source,
    a_loss_before_the_last_record_is_noticed_before_anything_is_judged,
    a_load_that_lost_its_staging_keeps_table_and_definition,
);

async fn a_load_whose_staging_is_lost_goes_back_to_its_source(test: TestDatabase) {
    if Plain::open(&test).await.is_sqlite() {
        return;
    }
    let (database, entity) = (open(&test), orders());
    let mut loading = Loading::begin(&database, &entity).await;
    loading.chunk_records = 2;
    let rows = || (1..=6).map(|n| order(if n == 5 { 1 } else { n }, "A", "1.00"));
    loading.stage(numbered(1, rows(), 0)).await;
    loading.finish_staging().await.expect("validated");
    let chunks = database.chunks(loading.load()).await.expect("chunks");
    database
        .promote_chunk(loading.load(), &loading.fields, chunks[0])
        .await
        .expect("the first chunk");

    lose_staging(&test, &entity).await;
    let lost = database.promote_chunk(loading.load(), &loading.fields, chunks[1]).await;
    assert!(matches!(lost, Err(BusinessError::StagingLost { .. })), "{lost:?}");

    // The next attempt reads the file again; what has landed is staged as such.
    loading.fence = Fence {
        epoch: 2,
        ..loading.fence
    };
    database.raise_fence(loading.fence).await.expect("the next epoch");
    let state = loading.state().await;
    assert_eq!(state.position, SourcePosition::default());
    assert_eq!(state.landed, [(1, 2)]);
    loading.stage(numbered(1, rows(), 2)).await;
    let counts = loading.finish().await;
    assert_eq!(
        (counts.counts.read, counts.counts.inserted, counts.counts.rejected),
        (6, 5, 1)
    );
    assert_eq!(
        loading.rejects().await.len(),
        1,
        "the repeated key, found again though its first record has landed"
    );
    assert_eq!(read_all(&database, &entity).await.len(), 5);
}

async fn a_loss_before_the_last_record_is_noticed_before_anything_is_judged(test: TestDatabase) {
    if Plain::open(&test).await.is_sqlite() {
        return;
    }
    let (database, entity) = (open(&test), orders());
    let loading = Loading::begin(&database, &entity).await;
    loading
        .stage(batch(1, vec![order(1, "A", "1.00"), order(2, "B", "1.00")]))
        .await;
    lose_staging(&test, &entity).await;
    loading.stage(batch(3, vec![order(3, "C", "1.00")])).await;
    let lost = loading.finish_staging().await;
    assert!(matches!(lost, Err(BusinessError::StagingLost { .. })), "{lost:?}");
    assert_eq!(loading.state().await.position, SourcePosition::default());

    // Given up where it stands, nothing counts twice and nothing is missing.
    database
        .stop_load(loading.load(), "cancelled: by a test")
        .await
        .expect("stopped");
    assert_eq!(loading.counts().await.counts.read, 0);
}

/// Staged anew, the records need the table they were in; and what has landed came from the definition it began with.
async fn a_load_that_lost_its_staging_keeps_table_and_definition(test: TestDatabase) {
    if Plain::open(&test).await.is_sqlite() {
        return;
    }
    let (database, entity) = (open(&test), orders());
    let mut loading = Loading::begin(&database, &entity).await;
    loading.chunk_records = 2;
    let rows = || (1..=4).map(|n| order(n, "A", "1.00"));
    loading.stage(numbered(1, rows(), 0)).await;
    loading.finish_staging().await.expect("validated");
    let chunks = database.chunks(loading.load()).await.expect("chunks");
    let promoted = database.promote_chunk(loading.load(), &loading.fields, chunks[0]).await;
    promoted.expect("the first chunk");
    lose_staging(&test, &entity).await;
    let lost = database.promote_chunk(loading.load(), &loading.fields, chunks[1]).await;
    assert!(matches!(lost, Err(BusinessError::StagingLost { .. })), "{lost:?}");

    // Three later definitions, each with a staging table of its own, would leave no room for the first.
    let mut later = entity.clone();
    for added in ["one", "two", "three"] {
        later.fields.push(field(added, FieldType::String));
        let found = database.diff_entity(&later).await.expect("compared");
        database.apply(&found).await.expect("applied");
        database.ensure_entity(&later).await.expect("made");
    }
    let under_another = Load {
        entity: &later,
        ..loading.load()
    };
    let told = database.begin_load(under_another, &loading.fields).await;
    assert!(matches!(told, Err(BusinessError::DefinitionChanged(_))), "{told:?}");

    // Whoever still has the definition it began with ends it.
    assert_eq!(loading.state().await.landed, [(1, 2)]);
    loading.stage(numbered(1, rows(), 2)).await;
    assert_eq!(outcome(loading.finish().await), (4, 0, 0, 0));
}

/// What PostgreSQL does to an unlogged table after a crash.
async fn lose_staging(test: &TestDatabase, entity: &Entity) {
    let sql = format!("truncate {}", entity.staging_table());
    Plain::open(test).await.run(&sql).await;
}

/// A batch whose first so many records have landed.
fn numbered(first: u64, rows: impl Iterator<Item = Vec<tranship::domain::cell::Cell>>, landed: u64) -> StagingBatch {
    let mut batch = batch(first, rows.collect());
    for record in &mut batch.records {
        record.landed = record.place.record <= landed;
    }
    let last = batch.records.len() as u64;
    batch.after = after(last);
    batch
}
