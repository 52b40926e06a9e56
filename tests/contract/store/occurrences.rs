//! Occurrences: one run of a job at a time, one message per run.

use super::*;
use tranship::domain::ids::ExecutionId;
use tranship::domain::message::Failure;
use tranship::domain::status::Status;
use tranship::storage::asked_runs::Asked;
use tranship::storage::occurrences::{ExportOutcome, Occurrence};

crate::on_both_databases!(
    runs_somebody_asked_for_take_the_next_free_microsecond,
    an_occurrence_is_claimed_by_one_and_one_runs_per_job,
    an_occurrence_whose_worker_died_is_claimable_again_under_a_new_epoch,
    a_finished_occurrence_queues_exactly_one_message,
    an_occurrence_whose_upload_is_dead_ends_nothing,
    an_occurrence_can_end_without_a_message,
    a_released_occurrence_waits_for_its_time,
    an_attempt_cut_short_by_a_stop_is_not_counted,
);

pub(super) async fn claim_one(store: &Store, jobs: &[JobId], execution: &str, now: Timestamp) -> Option<Occurrence> {
    let execution = execution.to_owned();
    store
        .claim_occurrence(jobs, "worker", 15, move |_| ExecutionId(execution.clone()), now)
        .await
        .unwrap()
}

fn queued(message: NewMessage) -> ExportOutcome {
    let entities = vec![("Purchase order lines".to_owned(), 12)];
    ExportOutcome::Queued {
        messages: vec![(message, Vec::new())],
        records: 12,
        entities,
        positions: Vec::new(),
        note: None,
        acknowledged_by_deliveries: false,
    }
}

async fn runs_somebody_asked_for_take_the_next_free_microsecond(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let first = store.run_now(job, &Asked::by("operator"), START).await.unwrap();
    let second = store.run_now(job, &Asked::by("operator"), START).await.unwrap();
    assert_eq!(
        (first.due_at, first.state.as_str(), first.trigger.as_str()),
        (START, "due", "operator")
    );
    assert_eq!(second.due_at, Timestamp(START.micros() + 1));
}

async fn an_occurrence_is_claimed_by_one_and_one_runs_per_job(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let (a, b) = (JobId::generate(), JobId::generate());
    for job in [a, b] {
        for second in [1, 2, 3] {
            store.run_now(job, &Asked::by("operator"), at(second)).await.unwrap();
        }
    }
    let mut claims = Vec::new();
    for n in 0..12 {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        claims.push(tokio::spawn(async move {
            claim_one(&store, &[a, b], &format!("run {n}"), at(10)).await
        }));
    }
    let mut claimed = Vec::new();
    for claim in claims {
        claimed.extend(claim.await.unwrap());
    }
    // Somebody who met another one's job lock went home with nothing; whoever asks again gets what is left.
    claimed.extend(claim_one(&store, &[a, b], "run x", at(10)).await);
    claimed.extend(claim_one(&store, &[a, b], "run y", at(10)).await);
    assert_eq!(claimed.len(), 2);
    assert_ne!(claimed[0].job, claimed[1].job);
    for one in &claimed {
        assert_eq!(
            (one.due_at, one.state.as_str(), one.epoch, one.attempt),
            (at(1), "running", 1, 1)
        );
        let execution = store.execution(one.execution.as_ref().unwrap()).await.unwrap().unwrap();
        assert_eq!(
            (execution.job, execution.started_at, execution.message),
            (one.job, at(10), None)
        );
    }
    let nothing = ExportOutcome::Nothing {
        note: "no records".into(),
        positions: Vec::new(),
    };
    store.finish_occurrence(&claimed[0], nothing, at(11)).await.unwrap();
    let next = claim_one(&store, &[a, b], "next", at(12)).await.unwrap();
    assert_eq!((next.job, next.due_at), (claimed[0].job, at(2)));
    assert_eq!(claim_one(&store, &[], "none", at(12)).await, None);
}

async fn an_occurrence_whose_worker_died_is_claimable_again_under_a_new_epoch(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    store.run_now(job, &Asked::by("operator"), START).await.unwrap();
    let stale = claim_one(&store, &[job], "first", START).await.unwrap();
    assert_eq!(store.extend_occurrence(&stale, at(30)).await.unwrap(), Heartbeat::Held);
    assert_eq!(claim_one(&store, &[job], "second", at(29)).await, None);
    let fresh = claim_one(&store, &[job], "second", at(30)).await.unwrap();
    assert_eq!(
        (fresh.epoch, fresh.attempt, &fresh.execution),
        (2, 2, &Some(ExecutionId("first".into())))
    );
    assert_eq!(store.execution(&ExecutionId("second".into())).await.unwrap(), None);

    assert_eq!(store.extend_occurrence(&stale, at(99)).await.unwrap(), Heartbeat::Lost);
    assert_conflict(store.release_occurrence(&stale, None, true, "late").await);
    let late = inline(job, Direction::Export);
    let id = late.id;
    assert_conflict(store.finish_occurrence(&stale, queued(late), at(31)).await);
    assert_eq!(store.message(id).await.unwrap(), None);

    assert_eq!(store.release_worker_leases(at(32)).await.unwrap(), 1);
    assert_eq!(claim_one(&store, &[job], "third", at(32)).await.unwrap().epoch, 3);
}

async fn a_finished_occurrence_queues_exactly_one_message(database: TestDatabase) {
    let store = open(&database).await;
    let (job, key) = (JobId::generate(), BlobKey::generate());
    store.run_now(job, &Asked::by("operator"), START).await.unwrap();
    let claimed = claim_one(&store, &[job], "run", at(1)).await.unwrap();
    store.begin_upload(&key, "process 1", at(1)).await.unwrap();
    let new = in_blob(job, Direction::Export, &key);
    let messages = store
        .finish_occurrence(&claimed, queued(new.clone()), at(2))
        .await
        .unwrap();
    let [message] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!(
        (message.id, message.status, &message.execution),
        (new.id, Status::Enqueued, &claimed.execution)
    );
    let done = store.occurrences(job, 1).await.unwrap().remove(0);
    assert_eq!(
        (done.state.as_str(), done.message, done.records),
        ("done", Some(new.id), Some(12))
    );
    assert_eq!(done.finished_at, Some(at(2)));
    let execution = store.execution(&ExecutionId("run".into())).await.unwrap().unwrap();
    assert_eq!((execution.message, execution.finished_at), (Some(new.id), Some(at(2))));
    let entity = &execution.entities[0];
    assert_eq!(
        (entity.label.as_str(), entity.staging_records, entity.counts.read),
        ("Purchase order lines", 12, 12)
    );
    assert_eq!(
        store
            .message_by_execution(&ExecutionId("run".into()))
            .await
            .unwrap()
            .map(|m| m.id),
        Some(new.id)
    );

    assert_conflict(
        store
            .finish_occurrence(&claimed, queued(inline(job, Direction::Export)), at(3))
            .await,
    );
    assert_eq!(store.dequeue(job, "client", 60, 10, at(4)).await.unwrap().len(), 1);
    assert!(store.dead_uploads(at(9999), at(9999), 10).await.unwrap().is_empty());
}

async fn an_occurrence_whose_upload_is_dead_ends_nothing(database: TestDatabase) {
    let store = open(&database).await;
    let (job, key) = (JobId::generate(), BlobKey::generate());
    store.run_now(job, &Asked::by("operator"), START).await.unwrap();
    let claimed = claim_one(&store, &[job], "run", at(1)).await.unwrap();
    store.begin_upload(&key, "process 1", at(1)).await.unwrap();
    store.abandon_upload(&key, at(2)).await.unwrap();
    let refused = store
        .finish_occurrence(&claimed, queued(in_blob(job, Direction::Export, &key)), at(3))
        .await;
    assert_conflict(refused);
    assert_eq!(store.occurrences(job, 1).await.unwrap().remove(0), claimed);
    assert_eq!(
        store.extend_occurrence(&claimed, at(60)).await.unwrap(),
        Heartbeat::Held
    );
}

async fn an_occurrence_can_end_without_a_message(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    for (outcome, state, records, note) in [
        (
            ExportOutcome::Nothing {
                note: "no records".into(),
                positions: Vec::new(),
            },
            "done",
            Some(0),
            "no records",
        ),
        (
            ExportOutcome::Failed(Failure {
                code: "no_table".into(),
                detail: "orders is missing".into(),
            }),
            "failed",
            None,
            "no_table: orders is missing",
        ),
    ] {
        store.run_now(job, &Asked::by("operator"), START).await.unwrap();
        let claimed = claim_one(&store, &[job], state, at(1)).await.unwrap();
        assert_eq!(store.finish_occurrence(&claimed, outcome, at(2)).await.unwrap(), []);
        let ended = store.occurrences(job, 1).await.unwrap().remove(0);
        assert_eq!(
            (ended.state.as_str(), ended.records, ended.note.as_deref()),
            (state, records, Some(note))
        );
    }
    assert!(store.open_occurrences(&[job]).await.unwrap().is_empty());
}

async fn a_released_occurrence_waits_for_its_time(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    store.run_now(job, &Asked::by("operator"), START).await.unwrap();
    let claimed = claim_one(&store, &[job], "run", START).await.unwrap();
    store
        .release_occurrence(&claimed, Some(at(30)), true, "the database is away")
        .await
        .unwrap();
    assert_eq!(claim_one(&store, &[job], "run 2", at(29)).await, None);
    let again = claim_one(&store, &[job], "run 2", at(30)).await.unwrap();
    assert_eq!((again.epoch, again.note.as_deref()), (2, Some("the database is away")));
    assert_eq!(again.attempt, 2);
}

async fn an_attempt_cut_short_by_a_stop_is_not_counted(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    store.run_now(job, &Asked::by("operator"), START).await.unwrap();
    for epoch in 1..=3 {
        let claimed = claim_one(&store, &[job], "run", START).await.unwrap();
        assert_eq!((claimed.epoch, claimed.attempt), (epoch, 1));
        store
            .release_occurrence(&claimed, None, false, "the service is stopping")
            .await
            .unwrap();
    }
}
