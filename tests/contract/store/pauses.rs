//! Pauses: one at a time, with who and why; nothing begins meanwhile but what is forced.

use super::occurrences::claim_one;
use super::*;
use tranship::domain::schedule::Missed;
use tranship::storage::asked_runs::Asked;
use tranship::storage::occurrences::ExportOutcome;

crate::on_both_databases!(
    a_pause_holds_until_it_is_resumed,
    a_paused_job_runs_nothing_but_what_is_forced,
    a_run_that_began_before_the_pause_is_taken_over_all_the_same,
);

async fn a_pause_holds_until_it_is_resumed(database: TestDatabase) {
    let store = open(&database).await;
    let (job, other) = (JobId::generate(), JobId::generate());
    assert!(
        !store.resume(job, "operator", None, START).await.unwrap(),
        "it is not paused"
    );
    assert!(store.pause(job, "operator", Some("stocktaking"), at(10)).await.unwrap());
    assert!(
        !store.pause(job, "somebody", Some("too"), at(20)).await.unwrap(),
        "it is already"
    );
    let pause = store.pause_of(job).await.unwrap().unwrap();
    assert_eq!(
        (pause.at, pause.by.as_str(), pause.note.as_deref()),
        (at(10), "operator", Some("stocktaking"))
    );
    assert!(pause.is_on());
    assert_eq!(store.pause_of(other).await.unwrap(), None);
    let paused = store.pauses().await.unwrap();
    assert_eq!((paused.len(), paused.get(&job)), (1, Some(&pause)));

    // Its schedule begins while it is paused, and another one later: the pause outlives both.
    for pattern in ["0 2 * * * UTC", "0 3 * * * UTC"] {
        store
            .begin_schedules(&[(job, pattern.to_owned())], at(30))
            .await
            .unwrap();
        assert_eq!(store.pause_of(job).await.unwrap().as_ref(), Some(&pause));
    }
    assert!(store.resume(job, "boss", Some(Missed::All), at(40)).await.unwrap());
    assert!(!store.resume(job, "boss", None, at(41)).await.unwrap());
    assert_eq!(store.pause_of(job).await.unwrap(), None);
    assert!(store.pauses().await.unwrap().is_empty());
    let last = store.marks(&[job]).await.unwrap().remove(&job).unwrap().pause.unwrap();
    assert_eq!(
        (last.at, last.resumed_at, last.missed),
        (at(10), Some(at(40)), Some(Missed::All))
    );
    assert_eq!(last.resumed_by.as_deref(), Some("boss"));
    assert!(store.pause(job, "operator", None, at(50)).await.unwrap());
    assert!(
        store.resume(job, "operator", None, at(45)).await.unwrap(),
        "by a clock that is behind"
    );
    let last = store.marks(&[job]).await.unwrap().remove(&job).unwrap().pause.unwrap();
    assert_eq!((last.at, last.resumed_at, last.missed), (at(50), Some(at(50)), None));
}

async fn a_paused_job_runs_nothing_but_what_is_forced(database: TestDatabase) {
    let store = open(&database).await;
    let (job, other) = (JobId::generate(), JobId::generate());
    let jobs = [job, other];
    store.run_now(job, &Asked::by("operator"), at(1)).await.unwrap();
    store.pause(job, "operator", None, at(10)).await.unwrap();
    assert_eq!(claim_one(&store, &jobs, "held", at(11)).await, None);
    store.run_now(other, &Asked::by("operator"), at(12)).await.unwrap();
    assert_eq!(claim_one(&store, &jobs, "other", at(13)).await.unwrap().job, other);
    let forced = Asked {
        forced: true,
        ..Asked::by("operator")
    };
    store.run_now(job, &forced, at(14)).await.unwrap();
    let claimed = claim_one(&store, &jobs, "forced", at(15)).await.unwrap();
    assert_eq!((claimed.due_at, claimed.forced), (at(14), true));
    store
        .finish_occurrence(
            &claimed,
            ExportOutcome::Nothing {
                note: "none".into(),
                positions: Vec::new(),
            },
            at(16),
        )
        .await
        .unwrap();
    assert_eq!(claim_one(&store, &jobs, "held", at(17)).await, None);
    store.resume(job, "operator", None, at(18)).await.unwrap();
    assert_eq!(claim_one(&store, &jobs, "resumed", at(19)).await.unwrap().due_at, at(1));
}

async fn a_run_that_began_before_the_pause_is_taken_over_all_the_same(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    store.run_now(job, &Asked::by("operator"), at(1)).await.unwrap();
    let claimed = claim_one(&store, &[job], "run", at(2)).await.unwrap();
    store.pause(job, "operator", None, at(3)).await.unwrap();
    assert_eq!(
        store.extend_occurrence(&claimed, at(20)).await.unwrap(),
        Heartbeat::Held
    );
    // Its worker dies: the run is over only when somebody has carried it to its end.
    let taken = claim_one(&store, &[job], "run", at(20)).await.unwrap();
    assert_eq!((taken.due_at, taken.epoch), (at(1), 2));
}
