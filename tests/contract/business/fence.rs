//! Promise 2: a worker whose lease is over can do nothing.

use tranship::business::BusinessError;
use tranship::business::staging::Load;
use tranship::domain::job::ImportMode;
use tranship::domain::message::Fence;

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    a_stale_epoch_can_do_nothing_in_any_method,
    the_same_epoch_may_raise_the_fence_again,
    a_message_nobody_raised_a_fence_for_is_refused,
    a_dropped_caller_leaves_a_working_connection,
);

async fn a_stale_epoch_can_do_nothing_in_any_method(database: TestDatabase) {
    let (test, entity) = (database, orders());
    let database = open(&test);
    let loading = Loading::begin(&database, &entity).await;
    loading
        .stage(batch(
            1,
            vec![order(1, "A", "1.00"), order(1, "B", "1.00"), order(2, "C", "1.00")],
        ))
        .await;
    let stale = loading.load();
    let newer = Fence {
        epoch: 2,
        ..loading.fence
    };

    // Taken over between every two steps, so that each step meets the state it would act on.
    database.raise_fence(newer).await.expect("taken over");
    let current = Load { fence: newer, ..stale };
    let fields = &loading.fields;
    fenced(database.raise_fence(stale.fence).await);
    fenced(database.begin_load(stale, fields).await);
    fenced(
        database
            .stage(stale, fields, &batch(4, vec![order(3, "D", "1.00")]))
            .await,
    );
    let asked = database.batch_checks_of(current, fields, &[]).await.expect("checks");
    let later = batch(4, vec![order(3, "D", "1.00")]);
    fenced(database.land(stale, fields, &asked, &later).await);
    fenced(database.end_landing(stale).await);
    fenced(database.finish_staging(stale, &[], 10, None).await);
    fenced(database.stop_load(stale, "stale").await);
    let now = database.begin_load(current, fields).await.expect("the state");
    assert_eq!((now.position, now.staged, now.stopped), (after(3), false, None));

    database
        .finish_staging(current, &[], 10, None)
        .await
        .expect("validated");
    let chunk = database.chunks(current).await.expect("chunks")[0];
    fenced(database.finish_staging(stale, &[], 10, None).await);
    fenced(database.promote_chunk(stale, fields, chunk).await);
    fenced(database.promote_file(stale, fields, None).await);
    fenced(database.truncate(stale).await);
    fenced(database.stop_load(stale, "stale").await);
    fenced(database.clear_staging(stale).await);
    fenced(database.forget_rejects(stale.fence).await);
    fenced(database.chunks(stale).await);
    fenced(database.load_counts(stale).await);
    fenced(database.kept_rejects(stale, None, 10).await);
    fenced(database.repaired(stale).await);

    let mut plain = Plain::open(&test).await;
    assert_eq!(plain.number("select count(*) from orders").await, 0);
    assert_eq!(
        plain
            .number(&format!("select count(*) from {}", entity.staging_table()))
            .await,
        3
    );
    assert_eq!(plain.number("select count(*) from tranship_rejects").await, 1);
    assert_eq!(plain.number("select count(*) from tranship_chunks where done").await, 0);
    database.promote_chunk(current, fields, chunk).await.expect("promoted");
    fenced(database.promote_chunk(stale, fields, chunk).await);
    assert_eq!(plain.number("select count(*) from orders").await, 2);
}

#[track_caller]
fn fenced<T: std::fmt::Debug>(outcome: Result<T, BusinessError>) {
    let refused = outcome.expect_err("a stale epoch is refused");
    assert!(matches!(refused, BusinessError::Fenced(_)), "{refused:?}");
}

async fn the_same_epoch_may_raise_the_fence_again(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let loading = Loading::begin(&database, &entity).await;
    database.raise_fence(loading.fence).await.expect("the same lease");
    assert_eq!(loading.finish().await.counts.read, 0);
}

async fn a_message_nobody_raised_a_fence_for_is_refused(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    database.ensure_entity(&entity).await.expect("tables");
    let fence = Fence {
        message: tranship::domain::ids::MessageId::generate(),
        epoch: 1,
    };
    let load = Load::new(fence, 0, &entity, ImportMode::Upsert);
    fenced(database.begin_load(load, &field_names(&entity)).await);
}

async fn a_dropped_caller_leaves_a_working_connection(database: TestDatabase) {
    let (database, entity) = (open(&database), orders());
    let loading = Loading::begin(&database, &entity).await;
    for first in 1..=40 {
        let one = batch(first, vec![order(i64::try_from(first).expect("small"), "A", "1.00")]);
        // Dropped at ever later points; the step itself goes on, and the next one waits its turn.
        let wait = std::time::Duration::from_micros(first * 100);
        let _ = tokio::time::timeout(wait, database.stage(loading.load(), &loading.fields, &one)).await;
        while loading.state().await.position.records < first {
            tokio::task::yield_now().await;
            let _ = tokio::time::timeout(wait, database.stage(loading.load(), &loading.fields, &one)).await;
        }
    }
    assert_eq!(outcome(loading.finish().await), (40, 0, 0, 0));
}
