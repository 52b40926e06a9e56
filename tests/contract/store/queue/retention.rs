//! What is kept how long.

use super::*;
use sqlx::Connection as _;
use tranship::storage::housekeeping::Retention;

crate::on_both_databases!(payloads_go_by_how_their_messages_ended_and_ids_later,);

const DAY: i64 = 86_400;

async fn payloads_go_by_how_their_messages_ended_and_ids_later(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    store.turn_days(retention(START), START).await.unwrap();
    let put_at = |id_at: Timestamp| {
        let store = store.clone();
        async move {
            let new = NewMessage {
                id: MessageId::generate_at(id_at),
                ..inline(job, Direction::Relay)
            };
            store.insert_message(new, id_at).await.unwrap().id
        }
    };
    let (well, dead, open) = (put_at(START).await, put_at(START).await, put_at(START).await);
    let leased = lease(&store, job, 2, at(1)).await;
    assert_eq!(ids(&leased), [well, dead]);
    ack(&store, &leased[0], at(2)).await;
    store.cancel(dead, "operator", at(2)).await.unwrap();

    let has_payload = |id: MessageId| {
        let store = store.clone();
        async move { store.inline_payload(id).await.unwrap().is_some() }
    };
    let tidied = |now: Timestamp| {
        let store = store.clone();
        async move {
            store.turn_days(retention(now), now).await.unwrap();
            while store.tidy(retention(now), now).await.unwrap() != tranship::storage::housekeeping::Removed::default()
            {
            }
        }
    };
    tidied(at(6 * DAY)).await;
    assert!(has_payload(well).await && has_payload(dead).await);
    tidied(at(9 * DAY)).await;
    assert!(!has_payload(well).await, "a payload that was acknowledged");
    assert!(has_payload(dead).await && has_payload(open).await);
    tidied(at(33 * DAY)).await;
    assert!(
        !has_payload(dead).await,
        "a payload that may be tried again stays longer"
    );
    assert_eq!(
        message(&store, well).await.status,
        Status::Acked,
        "its status is still told"
    );
    tidied(at(93 * DAY)).await;
    assert!(store.message(well).await.unwrap().is_none() && store.message(dead).await.unwrap().is_none());
    assert!(has_payload(open).await, "what has not ended stays, however old");
    let late = lease(&store, job, 10, at(93 * DAY)).await;
    assert_eq!(ids(&late), [open]);
    ack(&store, &late[0], at(93 * DAY)).await;
}

fn retention(now: Timestamp) -> Retention {
    Retention {
        payloads: now.plus_seconds(-7 * DAY),
        failed_payloads: now.plus_seconds(-30 * DAY),
        messages: now.plus_seconds(-90 * DAY),
    }
}

/// The days `payloads` has partitions for.
async fn days(db: &mut sqlx::PgConnection) -> Vec<String> {
    let text = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid \
        where i.inhparent = 'payloads'::regclass order by 1";
    let rows: Vec<(String,)> = sqlx::query_as(text).fetch_all(db).await.unwrap();
    rows.into_iter().map(|(name,)| name).collect()
}

/// Days are made ahead, and dropped when everything in them may go; what may not is moved out first. Not while a message is
/// tried again: it could be one of that day.
#[tokio::test]
async fn on_postgres_days_are_partitions_that_are_dropped() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let store = open(&database).await;
    let job = JobId::generate();
    store.turn_days(retention(START), START).await.unwrap();
    let mut db = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let first = days(&mut db).await;
    assert!(
        first.contains(&"payloads_20231114".to_owned()) && first.len() == 5,
        "{first:?}"
    );
    let new = NewMessage {
        id: MessageId::generate_at(at(DAY)),
        ..inline(job, Direction::Relay)
    };
    let kept = store.insert_message(new, at(DAY)).await.unwrap().id;
    // As a redrive that is under way holds it.
    sqlx::raw_sql("begin; select pg_advisory_xact_lock_shared(x'7472726574727900'::bit(64)::bigint)")
        .execute(&mut db)
        .await
        .unwrap();
    store.turn_days(retention(at(40 * DAY)), at(40 * DAY)).await.unwrap();
    let meanwhile = days(&mut db).await;
    assert!(first.iter().all(|day| meanwhile.contains(day)), "{meanwhile:?}");
    sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
    store.turn_days(retention(at(40 * DAY)), at(40 * DAY)).await.unwrap();
    let later = days(&mut db).await;
    assert!(later.iter().all(|day| !day.starts_with("payloads_202311")), "{later:?}");
    assert!(store.inline_payload(kept).await.unwrap().is_some(), "it has not ended");
}
