//! Executions, record errors, the end of an import, repairs.

use super::*;
use tranship::domain::counts::Counts;
use tranship::domain::ids::ExecutionId;
use tranship::domain::message::Failure;
use tranship::domain::reject::{RecordCode, RecordError, RecordPlace, RejectId, RejectPhase};
use tranship::domain::status::{Event, Status};
use tranship::storage::executions::{EntityRun, ImportOutcome, StoredError};

crate::on_both_databases!(
    an_execution_keeps_its_id_across_crashes,
    an_execution_id_belongs_to_one_message,
    counts_that_are_not_conserved_end_nothing,
    what_an_import_ended_with_reads_back,
    a_failure_leads_where_the_state_machine_says,
    record_errors_are_stored_once_and_read_in_pages,
    record_errors_are_read_by_entity_and_phase,
    errors_are_grouped_by_code_and_field_most_frequent_first,
    repairs_count_distinct_rejects_through_every_generation,
    children_that_end_at_once_count_everything_they_repaired,
);

/// A load of four records of which all were applied.
pub fn outcome() -> ImportOutcome {
    ImportOutcome {
        event: Event::Finish,
        counts: Counts {
            read: 4,
            inserted: 1,
            updated: 1,
            unchanged: 1,
            deleted: 1,
            ..Counts::default()
        },
        entities: Vec::new(),
        failure: None,
        repaired: Vec::new(),
    }
}

fn run(entity_no: i32) -> EntityRun {
    EntityRun {
        entity_no,
        label: format!("Entity {entity_no}"),
        company: Some("usmf".into()),
        staging_status: "Finished".into(),
        staging_records: 10,
        staging_errors: 2,
        target_status: "Error".into(),
        counts: Counts {
            read: 10,
            inserted: 1,
            updated: 2,
            unchanged: 1,
            deleted: 1,
            rejected: 3,
            skipped: 2,
        },
        target_errors: 1,
        truncated: 7,
        started_at: Some(at(1)),
        finished_at: Some(at(2)),
        warnings: Vec::new(),
    }
}

fn error(message: MessageId, record: u64, ordinal: i32, origin: Option<RejectId>) -> StoredError {
    StoredError {
        reject: RejectId {
            message,
            entity_no: 0,
            record,
        },
        ordinal,
        origin,
        by_target: false,
        error: RecordError {
            place: RecordPlace {
                record,
                line: record + 1,
                byte_start: record * 10,
                byte_end: record * 10 + 9,
            },
            column: Some(3),
            field: Some("freight".into()),
            code: RecordCode::InvalidDecimal,
            value: Some("zwölf".into()),
            reason: "`zwölf` is not a decimal number".into(),
        },
    }
}

/// Enqueues a message, claims it and begins its processing.
async fn working(store: &Store, job: JobId, parent: Option<MessageId>) -> Message {
    let new = NewMessage {
        parent,
        ..inline(job, Direction::Import)
    };
    let id = store.insert_message(new, START).await.unwrap().id;
    let claimed = claim(store, &[job], 1, START).await.remove(0);
    assert_eq!(claimed.id, id);
    store.begin_processing(fence(&claimed), START).await.unwrap();
    claimed
}

async fn an_execution_keeps_its_id_across_crashes(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let first = working(&store, job, None).await;
    let begun = store
        .begin_execution(fence(&first), ExecutionId("run-1".into()), at(1))
        .await
        .unwrap();
    assert_eq!(
        (begun.id.0.as_str(), begun.job, begun.message),
        ("run-1", job, Some(first.id))
    );
    store.save_entity_run(fence(&first), &begun.id, &run(0)).await.unwrap();

    store.release_expired(at(100)).await.unwrap();
    let again = claim(&store, &[job], 1, at(101)).await.remove(0);
    assert_conflict(
        store
            .begin_execution(fence(&first), ExecutionId("run-2".into()), at(102))
            .await,
    );
    assert_conflict(store.save_entity_run(fence(&first), &begun.id, &run(1)).await);
    let same = store
        .begin_execution(fence(&again), ExecutionId("run-3".into()), at(102))
        .await
        .unwrap();
    assert_eq!(
        (same.id.0.as_str(), same.started_at, &same.entities),
        ("run-1", at(1), &vec![run(0)])
    );
    assert_eq!(store.execution(&ExecutionId("run-3".into())).await.unwrap(), None);
    assert_eq!(
        store.message_by_execution(&same.id).await.unwrap().map(|m| m.id),
        Some(first.id)
    );
}

async fn an_execution_id_belongs_to_one_message(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let (one, two) = (working(&store, job, None).await, working(&store, job, None).await);
    let id = ExecutionId("chosen by a client".into());
    store.begin_execution(fence(&one), id.clone(), at(1)).await.unwrap();
    let taken = store.begin_execution(fence(&two), id, at(1)).await;
    assert!(matches!(taken, Err(StoreError::Exists { .. })), "{taken:?}");
    store
        .begin_execution(fence(&two), ExecutionId("another".into()), at(1))
        .await
        .unwrap();
}

async fn counts_that_are_not_conserved_end_nothing(database: TestDatabase) {
    let store = open(&database).await;
    let claimed = working(&store, JobId::generate(), None).await;
    for event in [Event::Finish, Event::FinishWithErrors, Event::Fail, Event::Cancel] {
        let counts = Counts {
            read: 5,
            inserted: 3,
            rejected: 1,
            ..Counts::default()
        };
        assert_conflict(
            store
                .finish_import(
                    fence(&claimed),
                    ImportOutcome {
                        event,
                        counts,
                        ..outcome()
                    },
                    at(1),
                )
                .await,
        );
    }
    assert_eq!(message(&store, claimed.id).await.status, Status::Processing);
}

async fn what_an_import_ended_with_reads_back(database: TestDatabase) {
    let store = open(&database).await;
    let claimed = working(&store, JobId::generate(), None).await;
    let execution = store
        .begin_execution(fence(&claimed), ExecutionId("run".into()), at(1))
        .await
        .unwrap()
        .id;
    let counts = Counts {
        read: 28,
        inserted: 1,
        updated: 2,
        unchanged: 3,
        deleted: 4,
        rejected: 8,
        skipped: 10,
    };
    let entities = vec![run(0), run(1)];
    let ended = ImportOutcome {
        event: Event::FinishWithErrors,
        counts,
        entities: entities.clone(),
        ..outcome()
    };
    store
        .finish_import(fence(&claimed), ended.clone(), at(9))
        .await
        .unwrap();

    let read = message(&store, claimed.id).await;
    assert_eq!(
        (read.status, read.counts, read.finished_at),
        (Status::ProcessedWithErrors, counts, Some(at(9)))
    );
    assert_eq!((read.lease_until, read.failure, read.repaired), (None, None, 0));
    let execution = store.execution(&execution).await.unwrap().unwrap();
    assert_eq!((execution.finished_at, execution.entities), (Some(at(9)), entities));
    assert_conflict(store.finish_import(fence(&claimed), ended, at(10)).await);
    assert_eq!(
        store.extend_lease(fence(&claimed), at(99)).await.unwrap(),
        Heartbeat::Lost
    );
}

async fn a_failure_leads_where_the_state_machine_says(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let failure = Failure {
        code: "file_empty".into(),
        detail: "orders.csv has no header".into(),
    };
    let failed = ImportOutcome {
        event: Event::Fail,
        counts: Counts::default(),
        failure: Some(failure.clone()),
        ..outcome()
    };
    enqueue(&store, job, Direction::Import, 1).await;
    let early = claim(&store, &[job], 1, START).await.remove(0);
    assert_conflict(store.finish_import(fence(&early), outcome(), at(1)).await);
    store.finish_import(fence(&early), failed.clone(), at(1)).await.unwrap();
    let read = message(&store, early.id).await;
    assert_eq!((read.status, read.failure), (Status::PreProcessingError, Some(failure)));

    let late = working(&store, job, None).await;
    store.finish_import(fence(&late), failed, at(1)).await.unwrap();
    assert_eq!(message(&store, late.id).await.status, Status::PostProcessingFailed);
    let last = store.message_events(late.id).await.unwrap().pop().unwrap();
    assert_eq!(
        (last.status, last.note.as_deref()),
        (Status::PostProcessingFailed, Some("file_empty"))
    );
}

async fn record_errors_are_stored_once_and_read_in_pages(database: TestDatabase) {
    let store = open(&database).await;
    let claimed = working(&store, JobId::generate(), None).await;
    let origin = RejectId {
        message: MessageId::generate(),
        entity_no: 2,
        record: 77,
    };
    let mut errors: Vec<StoredError> = (1..=1200).map(|n| error(claimed.id, n, 0, None)).collect();
    errors[4].origin = Some(origin);
    errors[4].by_target = true;
    errors[5].error.column = None;
    errors[5].error.field = None;
    errors[5].error.value = None;
    errors.insert(5, error(claimed.id, 5, 1, Some(origin)));
    errors[5].by_target = true;
    store.save_record_errors(fence(&claimed), &errors).await.unwrap();

    // A rerun finds other words for the same record: the first ones stand.
    let mut rerun = errors.clone();
    rerun[0].error.reason = "something else".into();
    store.save_record_errors(fence(&claimed), &rerun).await.unwrap();

    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = store.record_errors(claimed.id, after, 500).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.reject.entity_no, last.reject.record, last.ordinal));
        read.extend(page);
    }
    assert_eq!(read, errors);
    assert!(
        store
            .record_errors(MessageId::generate(), None, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn record_errors_are_read_by_entity_and_phase(database: TestDatabase) {
    let store = open(&database).await;
    let claimed = working(&store, JobId::generate(), None).await;
    // Two entities; of each the even records were refused by the target, and record 4 for two reasons.
    let mut errors = Vec::new();
    for (entity_no, record, ordinal) in [
        (0, 1, 0),
        (0, 2, 0),
        (0, 4, 0),
        (0, 4, 1),
        (0, 5, 0),
        (1, 2, 0),
        (1, 3, 0),
    ] {
        let mut error = error(claimed.id, record, ordinal, None);
        error.reject.entity_no = entity_no;
        error.by_target = record % 2 == 0;
        errors.push(error);
    }
    store.save_record_errors(fence(&claimed), &errors).await.unwrap();
    let read = async |entity_no, phase, after, limit| {
        let of_entity = (claimed.id, entity_no);
        let found = store.record_errors_of(of_entity, phase, after, limit).await.unwrap();
        found.iter().map(|e| (e.reject.record, e.ordinal)).collect::<Vec<_>>()
    };
    let (start, staging, target) = ((0, i32::MAX), Some(RejectPhase::Staging), Some(RejectPhase::Target));
    assert_eq!(read(0, None, start, 10).await, [(1, 0), (2, 0), (4, 0), (4, 1), (5, 0)]);
    assert_eq!(read(0, staging, start, 10).await, [(1, 0), (5, 0)]);
    assert_eq!(read(0, target, start, 2).await, [(2, 0), (4, 0)]);
    assert_eq!(read(0, target, (4, 0), 2).await, [(4, 1)]);
    assert_eq!(read(1, target, start, 10).await, [(2, 0)]);
    assert_eq!(read(2, None, start, 10).await, []);
}

async fn errors_are_grouped_by_code_and_field_most_frequent_first(database: TestDatabase) {
    let store = open(&database).await;
    let claimed = working(&store, JobId::generate(), None).await;
    let mut errors: Vec<StoredError> = (1..=6).map(|n| error(claimed.id, n, 0, None)).collect();
    for n in [0, 2] {
        errors[n].error.code = RecordCode::ColumnCount;
        errors[n].error.field = None;
    }
    errors[1].error.field = Some("order_date".into());
    errors[4].error.value = Some("another".into());
    errors[2].error.value = None;
    errors[0].error.value = None;
    // A second entity, whose records have lower numbers and a second error each.
    for n in 1..=2 {
        let mut later = error(claimed.id, n, 0, None);
        later.reject.entity_no = 1;
        errors.push(later.clone());
        later.ordinal = 1;
        later.error.code = RecordCode::RequiredMissing;
        errors.push(later);
    }
    let other = working(&store, JobId::generate(), None).await;
    end(&store, &other, &[error(other.id, 1, 0, None)], Vec::new()).await;
    end(&store, &claimed, &errors, Vec::new()).await;
    let groups = store.error_groups(claimed.id, 10).await.unwrap();
    let seen: Vec<_> = groups
        .iter()
        .map(|g| {
            let reject = g.sample.reject;
            (g.code, g.field.as_deref(), g.count, reject.entity_no, reject.record)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (RecordCode::InvalidDecimal, Some("freight"), 5, 0, 4),
            (RecordCode::ColumnCount, None, 2, 0, 1),
            (RecordCode::RequiredMissing, Some("freight"), 2, 1, 1),
            (RecordCode::InvalidDecimal, Some("order_date"), 1, 0, 2),
        ]
    );
    let values: Vec<_> = groups.iter().map(|group| group.distinct_values).collect();
    assert_eq!(values, [2, 0, 1, 1]);
    assert_eq!(groups[0].sample, errors[3]);
    assert_eq!(groups[2].sample, errors[7]);
    assert_eq!(store.error_groups(claimed.id, 1).await.unwrap().len(), 1);
}

/// Ends a load that applied `repaired` and rejected `errors`.
async fn end(store: &Store, claimed: &Message, errors: &[StoredError], repaired: Vec<RejectId>) {
    store.save_record_errors(fence(claimed), errors).await.unwrap();
    store
        .finish_import(fence(claimed), ImportOutcome { repaired, ..outcome() }, at(5))
        .await
        .unwrap();
}

async fn repairs_count_distinct_rejects_through_every_generation(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let reject = |message: &Message, record| RejectId {
        message: message.id,
        entity_no: 0,
        record,
    };
    let parent = working(&store, job, None).await;
    let rejects: Vec<_> = (1..=4).map(|n| error(parent.id, n, 0, None)).collect();
    end(&store, &parent, &rejects, Vec::new()).await;

    // The child repairs one of four and rejects two of them again; ids of strangers and of nothing repair nothing.
    let child = working(&store, job, Some(parent.id)).await;
    let again: Vec<_> = (2..=3)
        .map(|n| error(child.id, n, 0, Some(reject(&parent, n))))
        .collect();
    let stranger = RejectId {
        message: MessageId::generate(),
        entity_no: 0,
        record: 1,
    };
    let applied = vec![reject(&parent, 1), reject(&parent, 1), reject(&parent, 999), stranger];
    end(&store, &child, &again, applied).await;
    assert_eq!(message(&store, parent.id).await.repaired, 1);
    assert_eq!(message(&store, child.id).await.repaired, 0);

    // The grandchild repairs a reject of the child: that counts for the parent too.
    let grandchild = working(&store, job, Some(child.id)).await;
    end(&store, &grandchild, &[], vec![reject(&child, 2)]).await;
    assert_eq!(message(&store, child.id).await.repaired, 1);
    assert_eq!(message(&store, parent.id).await.repaired, 2);

    // A second child applies one anew that the grandchild repaired already, and one more: one more counts.
    let sibling = working(&store, job, Some(parent.id)).await;
    end(&store, &sibling, &[], vec![reject(&parent, 2), reject(&parent, 4)]).await;
    assert_eq!(message(&store, parent.id).await.repaired, 3);
    assert_eq!(
        message(&store, parent.id).await.counts,
        outcome().counts,
        "the parent's own numbers never change"
    );
}

async fn children_that_end_at_once_count_everything_they_repaired(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let parent = working(&store, job, None).await;
    let rejects: Vec<_> = (1..=16).map(|n| error(parent.id, n, 0, None)).collect();
    end(&store, &parent, &rejects, Vec::new()).await;
    let mut loads = Vec::new();
    for record in 1..=8 {
        let child = working(&store, job, Some(parent.id)).await;
        let store = store.clone();
        let repaired = [record, record + 8]
            .map(|record| RejectId {
                message: parent.id,
                entity_no: 0,
                record,
            })
            .to_vec();
        loads.push(tokio::spawn(async move { end(&store, &child, &[], repaired).await }));
    }
    for load in loads {
        load.await.unwrap();
    }
    assert_eq!(message(&store, parent.id).await.repaired, 16);
}
