//! Backfills: due times of the past get the one occurrence they lack, and run when nothing else does.

use super::occurrences::claim_one;
use super::schedules::{begin, due, evaluated, record, skipped};
use super::*;
use tranship::domain::schedule::SkipReason;
use tranship::storage::asked_runs::{Asked, Known};
use tranship::storage::occurrences::ExportOutcome;

crate::on_both_databases!(
    a_backfill_gives_each_due_time_one_occurrence,
    backfills_run_in_order_and_behind_everything_else,
);

const DAILY: &str = "0 2 * * * UTC";

async fn a_backfill_gives_each_due_time_one_occurrence(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let job = JobId::generate();
    begin(&store, &[job], DAILY, START).await;
    let decided = [
        due(10),
        skipped(20, SkipReason::Missed),
        skipped(30, SkipReason::Calendar),
        skipped(40, SkipReason::Overlap),
    ];
    assert!(record(&store, evaluated(job, 0, 45, &decided)).await);
    let wanted: Vec<Timestamp> = (1..=5).map(|n| at(n * 10)).collect();
    let known = store.known_occurrences(job, &wanted).await.unwrap();
    let known: Vec<_> = wanted.iter().map(|due| known.get(due).copied()).collect();
    let (skipped, recorded) = (Some(Known::Skipped), Some(Known::Recorded));
    assert_eq!(known, [recorded, skipped, recorded, skipped, None]);

    let asked = Asked {
        by: "operator".to_owned(),
        comment: Some("the outage of May".to_owned()),
        forced: true,
    };
    let mut races = Vec::new();
    for n in 0..6 {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        let (wanted, asked) = (wanted.clone(), asked.clone());
        races.push(tokio::spawn(async move {
            store.backfill(job, &wanted, n > 3, &asked, at(0)).await.unwrap()
        }));
    }
    let mut made = Vec::new();
    for race in races {
        made.extend(race.await.unwrap());
    }
    made.sort_unstable();
    assert_eq!(made, [at(20), at(40), at(50)], "each by one of them");
    let seen = store.occurrences(job, 10).await.unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|it| (it.due_at, it.state.as_str(), it.origin.as_str(), it.trigger.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (at(50), "due", "backfill", "operator"),
            (at(40), "due", "backfill", "operator"),
            (at(30), "skipped", "schedule", "schedule"),
            (at(20), "due", "backfill", "operator"),
            (at(10), "due", "schedule", "schedule"),
        ]
    );
    // The schedule comes to a time that was made up for ahead of it.
    assert!(record(&store, evaluated(job, 45, 60, &[due(50)])).await);
    let again = store.occurrences(job, 1).await.unwrap().remove(0);
    assert_eq!((again.due_at, again.origin.as_str()), (at(50), "backfill"));
    assert_eq!(
        (again.comment.as_deref(), again.forced),
        (Some("the outage of May"), true)
    );
}

async fn backfills_run_in_order_and_behind_everything_else(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    begin(&store, &[job], DAILY, START).await;
    store
        .backfill(job, &[at(1), at(2)], false, &Asked::by("operator"), at(0))
        .await
        .unwrap();
    assert!(record(&store, evaluated(job, 0, 30, &[due(10)])).await);
    store.run_now(job, &Asked::by("operator"), at(31)).await.unwrap();
    assert_eq!(
        store.open_occurrences(&[job]).await.unwrap().get(&job),
        Some(&2),
        "backfills left out"
    );
    let mut order = Vec::new();
    while let Some(claimed) = claim_one(&store, &[job], &format!("run {}", order.len()), at(40)).await {
        let nothing = ExportOutcome::Nothing {
            note: "none".into(),
            positions: Vec::new(),
        };
        store.finish_occurrence(&claimed, nothing, at(40)).await.unwrap();
        order.push(claimed.due_at);
    }
    assert_eq!(order, [at(10), at(31), at(1), at(2)]);
}
