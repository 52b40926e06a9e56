//! Schedules: every due time once, whoever evaluates it, and what is decided about it.

use std::collections::BTreeSet;

use super::occurrences::claim_one;
use super::*;
use tranship::domain::ids::ExecutionId;
use tranship::domain::schedule::SkipReason;
use tranship::storage::asked_runs::Asked;
use tranship::storage::housekeeping::Retention;
use tranship::storage::occurrences::{DueDecision, ExportOutcome, MissedRange, Skip};
use tranship::storage::schedules::Evaluated;

crate::on_both_databases!(
    a_new_schedule_and_a_changed_one_have_no_past,
    racing_processes_record_each_due_time_once,
    who_evaluated_under_another_schedule_or_pause_records_nothing,
    a_later_occurrence_stops_what_runs_and_leaves_out_what_waits,
    who_was_to_stop_and_died_is_not_run_again,
    what_waits_for_its_time_holds_up_those_behind_it,
    jobs_another_process_knows_hide_none_of_our_own,
    ended_occurrences_are_kept_for_a_time,
);

const DAILY: &str = "0 2 * * * UTC";

pub(super) fn due(seconds: i64) -> DueDecision {
    DueDecision {
        due_at: at(seconds),
        not_before: None,
        skip: None,
    }
}

pub(super) fn skipped(seconds: i64, reason: SkipReason) -> DueDecision {
    let note = "said why".to_owned();
    DueDecision {
        skip: Some(Skip { reason, note }),
        ..due(seconds)
    }
}

pub(super) fn evaluated(job: JobId, from: i64, to: i64, decisions: &[DueDecision]) -> Evaluated {
    Evaluated {
        job,
        pattern: DAILY.to_owned(),
        from: at(from),
        to: at(to),
        paused: false,
        decisions: decisions.to_vec(),
        missed: Vec::new(),
        cancels_previous: false,
    }
}

pub(super) async fn begin(store: &Store, jobs: &[JobId], pattern: &str, now: Timestamp) {
    let schedules: Vec<_> = jobs.iter().map(|job| (*job, pattern.to_owned())).collect();
    store.begin_schedules(&schedules, now).await.unwrap();
}

/// Where the mark of the job stands.
async fn mark(store: &Store, job: JobId) -> Option<(String, Timestamp)> {
    let mark = store.marks(&[job]).await.unwrap().remove(&job);
    mark.map(|mark| (mark.pattern, mark.evaluated_to))
}

/// Records for one job; whether it was the first to.
pub(super) async fn record(store: &Store, evaluated: Evaluated) -> bool {
    let (job, now) = (evaluated.job, evaluated.to);
    store.record_due(vec![evaluated], now).await.unwrap().contains(&job)
}

/// Due time, state and reason of the job's occurrences, newest first.
async fn seen(store: &Store, job: JobId) -> Vec<(Timestamp, String, Option<String>)> {
    let seen = store.occurrences(job, 1000).await.unwrap();
    seen.into_iter().map(|it| (it.due_at, it.state, it.reason)).collect()
}

async fn a_new_schedule_and_a_changed_one_have_no_past(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    assert_eq!(mark(&store, job).await, None);
    let daily = |seconds| Some((DAILY.to_owned(), at(seconds)));
    begin(&store, &[job], DAILY, START).await;
    begin(&store, &[job], DAILY, at(500)).await;
    assert_eq!(mark(&store, job).await, daily(0), "the first one's stands");
    assert!(record(&store, evaluated(job, 0, 60, &[])).await);
    assert_eq!(mark(&store, job).await, daily(60));
    begin(&store, &[job], "0 * * * * UTC", at(900)).await;
    assert_eq!(mark(&store, job).await, Some(("0 * * * * UTC".to_owned(), at(900))));
}

async fn racing_processes_record_each_due_time_once(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    // More than one portion of a statement.
    let jobs: Vec<JobId> = (0..700).map(|_| JobId::generate()).collect();
    begin(&store, &jobs, DAILY, START).await;
    let mut races = Vec::new();
    for n in 0..8 {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        let mut jobs = jobs.clone();
        // Nobody may rely on the others' order.
        jobs.rotate_left(n * 90);
        races.push(tokio::spawn(async move {
            let decisions = [due(10), skipped(20, SkipReason::Missed)];
            let all: Vec<_> = jobs.iter().map(|job| evaluated(*job, 0, 30, &decisions)).collect();
            let mut recorded = Vec::new();
            for few in all.chunks(100) {
                recorded.extend(store.record_due(few.to_vec(), at(30)).await.unwrap());
            }
            recorded
        }));
    }
    let mut recorded = Vec::new();
    for race in races {
        recorded.extend(race.await.unwrap());
    }
    let distinct: BTreeSet<JobId> = recorded.iter().copied().collect();
    assert_eq!(recorded.len(), distinct.len(), "somebody recorded what another had");
    // Who met another one at it passed over that job; whoever looks again finds the rest.
    let all: Vec<_> = jobs.iter().map(|job| evaluated(*job, 0, 30, &[due(10)])).collect();
    let rest = store.record_due(all, at(30)).await.unwrap();
    assert_eq!(distinct.len() + rest.len(), jobs.len());
    assert!(rest.is_empty(), "nobody was passed over by everybody: {}", rest.len());
    for job in &jobs {
        let wanted = [
            (at(20), "skipped".to_owned(), Some("missed".to_owned())),
            (at(10), "due".to_owned(), None),
        ];
        assert_eq!(seen(&store, *job).await, wanted);
    }
    let open = store.open_occurrences(&jobs).await.unwrap();
    assert_eq!((open.len(), open.get(&jobs[0])), (700, Some(&1)));
}

async fn who_evaluated_under_another_schedule_or_pause_records_nothing(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    begin(&store, &[job], DAILY, START).await;
    let stale = Evaluated {
        pattern: "0 * * * * UTC".to_owned(),
        ..evaluated(job, 0, 30, &[due(10)])
    };
    assert!(!record(&store, stale).await, "another schedule");
    assert!(!record(&store, evaluated(job, 5, 30, &[due(10)])).await, "another mark");
    store.pause(job, "operator", None, at(20)).await.unwrap();
    assert!(
        !record(&store, evaluated(job, 0, 30, &[due(10)])).await,
        "paused meanwhile"
    );
    let aware = Evaluated {
        paused: true,
        ..evaluated(job, 0, 20, &[due(10)])
    };
    assert!(record(&store, aware.clone()).await);
    assert!(!record(&store, aware).await, "once");
    store.resume(job, "operator", None, at(40)).await.unwrap();
    let late = Evaluated {
        paused: true,
        ..evaluated(job, 20, 30, &[due(25)])
    };
    assert!(!record(&store, late).await, "resumed meanwhile");
    assert_eq!(seen(&store, job).await, [(at(10), "due".to_owned(), None)]);

    let counted = MissedRange {
        first_due: at(41),
        last_due: at(4000),
        occurrences: 3960,
        reason: "paused".to_owned(),
        note: "paused by operator".to_owned(),
        recorded_at: at(5000),
    };
    let with_range = Evaluated {
        missed: vec![counted.clone()],
        ..evaluated(job, 20, 5000, &[])
    };
    assert!(record(&store, with_range).await);
    assert_eq!(store.missed_ranges(job, 10).await.unwrap(), [counted]);
}

async fn a_later_occurrence_stops_what_runs_and_leaves_out_what_waits(database: TestDatabase) {
    let store = open(&database).await;
    let (job, other) = (JobId::generate(), JobId::generate());
    begin(&store, &[job, other], DAILY, START).await;
    assert!(record(&store, evaluated(job, 0, 30, &[due(10), due(20)])).await);
    assert!(record(&store, evaluated(other, 0, 30, &[due(10)])).await);
    store
        .backfill(job, &[at(5)], false, &Asked::by("operator"), at(0))
        .await
        .unwrap();
    let running = claim_one(&store, &[job], "run", at(30)).await.unwrap();
    let elsewhere = claim_one(&store, &[other], "other", at(30)).await.unwrap();
    assert_eq!(running.due_at, at(10));
    let later = Evaluated {
        cancels_previous: true,
        ..evaluated(job, 30, 40, &[due(40)])
    };
    assert!(record(&store, later).await);
    let Heartbeat::CancelAsked(why) = store.extend_occurrence(&running, at(60)).await.unwrap() else {
        panic!("it was to be asked to stop");
    };
    assert!(why.contains("cancel_previous"), "{why}");
    assert_eq!(
        store.extend_occurrence(&elsewhere, at(60)).await.unwrap(),
        Heartbeat::Held
    );
    assert_eq!(claim_one(&store, &[job], "early", at(41)).await, None, "one at a time");
    let outcome = ExportOutcome::Cancelled { note: why };
    store.finish_occurrence(&running, outcome, at(42)).await.unwrap();
    let overlap = || Some("overlap".to_owned());
    assert_eq!(
        seen(&store, job).await,
        [
            (at(40), "due".to_owned(), None),
            (at(20), "skipped".to_owned(), overlap()),
            (at(10), "cancelled".to_owned(), overlap()),
            (at(5), "due".to_owned(), None),
        ],
        "a backfill is in nobody's way"
    );
    let execution = store.execution(&ExecutionId("run".into())).await.unwrap().unwrap();
    assert_eq!(execution.finished_at, Some(at(42)));
    let next = claim_one(&store, &[job], "next", at(43)).await.unwrap();
    assert_eq!(next.due_at, at(40));
}

async fn who_was_to_stop_and_died_is_not_run_again(database: TestDatabase) {
    let store = open(&database).await;
    let (killed, stopped) = (JobId::generate(), JobId::generate());
    let jobs = [killed, stopped];
    begin(&store, &jobs, DAILY, START).await;
    let mut claimed = Vec::new();
    for job in jobs {
        assert!(record(&store, evaluated(job, 0, 30, &[due(10)])).await);
        claimed.push(claim_one(&store, &[job], &format!("{job}"), at(30)).await.unwrap());
        let later = Evaluated {
            cancels_previous: true,
            ..evaluated(job, 30, 40, &[due(40)])
        };
        assert!(record(&store, later).await);
    }
    let stale = claimed[0].clone();
    store
        .release_occurrence(&claimed[1], None, false, "the service is stopping")
        .await
        .unwrap();
    // The lease of the one that was killed lasts until 45.
    let next = claim_one(&store, &jobs, "next", at(44)).await.unwrap();
    assert_eq!((next.job, next.due_at), (stopped, at(40)));
    let next = claim_one(&store, &jobs, "after", at(45)).await.unwrap();
    assert_eq!((next.job, next.due_at), (killed, at(40)));
    for job in jobs {
        assert_eq!(
            seen(&store, job).await[1],
            (at(10), "cancelled".to_owned(), Some("overlap".to_owned()))
        );
        let execution = store.execution(&ExecutionId(job.to_string())).await.unwrap().unwrap();
        assert!(execution.finished_at.is_some(), "nothing runs for ever");
    }
    let nothing = ExportOutcome::Nothing {
        note: "late".into(),
        positions: Vec::new(),
    };
    assert_conflict(store.finish_occurrence(&stale, nothing, at(46)).await);
}

async fn what_waits_for_its_time_holds_up_those_behind_it(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    begin(&store, &[job], DAILY, START).await;
    let later = DueDecision {
        not_before: Some(at(60)),
        ..due(10)
    };
    assert!(record(&store, evaluated(job, 0, 30, &[later, due(20)])).await);
    assert_eq!(claim_one(&store, &[job], "early", at(59)).await, None);
    // Who asks for a run now does not wait for it.
    let asked = store.run_now(job, &Asked::by("operator"), at(59)).await.unwrap();
    let claimed = claim_one(&store, &[job], "asked", at(59)).await.unwrap();
    assert_eq!(claimed.due_at, asked.due_at);
    store
        .finish_occurrence(
            &claimed,
            ExportOutcome::Nothing {
                note: "none".into(),
                positions: Vec::new(),
            },
            at(60),
        )
        .await
        .unwrap();
    assert_eq!(claim_one(&store, &[job], "first", at(60)).await.unwrap().due_at, at(10));
}

async fn jobs_another_process_knows_hide_none_of_our_own(database: TestDatabase) {
    let store = open(&database).await;
    let ours = JobId::generate();
    for second in 0..250 {
        store
            .run_now(JobId::generate(), &Asked::by("operator"), at(second))
            .await
            .unwrap();
    }
    store.run_now(ours, &Asked::by("operator"), at(300)).await.unwrap();
    assert_eq!(claim_one(&store, &[ours], "run", at(301)).await.unwrap().job, ours);
    assert_eq!(claim_one(&store, &[ours], "run 2", at(301)).await, None);
}

async fn ended_occurrences_are_kept_for_a_time(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    begin(&store, &[job], DAILY, START).await;
    let range = MissedRange {
        first_due: at(1),
        last_due: at(9),
        occurrences: 200,
        reason: "missed".to_owned(),
        note: "said why".to_owned(),
        recorded_at: at(30),
    };
    let first = Evaluated {
        missed: vec![range],
        ..evaluated(job, 0, 30, &[due(10), skipped(20, SkipReason::Missed)])
    };
    assert!(record(&store, first).await);
    assert!(record(&store, evaluated(job, 30, 60, &[due(50)])).await);
    let claimed = claim_one(&store, &[job], "run", at(60)).await.unwrap();
    store
        .finish_occurrence(
            &claimed,
            ExportOutcome::Nothing {
                note: "none".into(),
                positions: Vec::new(),
            },
            at(61),
        )
        .await
        .unwrap();
    let tidy = |before: Timestamp| {
        let store = store.clone();
        async move {
            let keep = Retention {
                payloads: before,
                failed_payloads: before,
                messages: before,
            };
            while store.tidy(keep, at(9999)).await.unwrap().rows > 0 {}
        }
    };
    tidy(at(30)).await;
    assert_eq!(seen(&store, job).await.len(), 3);
    assert_eq!(store.missed_ranges(job, 10).await.unwrap().len(), 1);
    tidy(at(61)).await;
    assert_eq!(seen(&store, job).await.len(), 2, "the skipped one is over its time");
    tidy(at(9999)).await;
    assert_eq!(
        seen(&store, job).await,
        [(at(50), "due".to_owned(), None)],
        "what is not over stays"
    );
    assert!(store.missed_ranges(job, 10).await.unwrap().is_empty());
    assert_eq!(store.execution(&ExecutionId("run".into())).await.unwrap(), None);
}
