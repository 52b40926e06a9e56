//! Promise 6 under clocks that run apart and step, evaluations that break off, and many schedules: each occurrence once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono_tz::{America, Australia, Europe, Tz};
use tokio::sync::watch;
use tranship::clock::Clock;
use tranship::definitions::Definitions;
use tranship::domain::ids::{ExecutionId, JobId};
use tranship::domain::job::Job;
use tranship::domain::schedule::elapsed::Elapsed;
use tranship::domain::schedule::pattern::Pattern;
use tranship::domain::schedule::{Missed, Overlap, Recurrence, Schedule};
use tranship::domain::time::Timestamp;
use tranship::pipeline::Context;
use tranship::scheduler::Scheduler;

use crate::app::{Backend, TestApp};
use crate::support::chance::Chance;

crate::on_both_backends!(
    the_shipped_nightly_export_runs_once_on_the_days_the_clocks_change,
    clocks_that_step_and_evaluations_that_break_off_lose_and_double_nothing,
    an_evaluation_that_breaks_off_has_forgotten_nothing,
    ten_thousand_schedules_are_evaluated_by_portions,
    who_has_another_schedule_for_a_job_does_not_take_turns_with_who_read_it_later,
);

fn moment(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
}

fn schedule(text: &str, zone: Tz) -> Schedule {
    let recurrence = match text.strip_prefix("@every ") {
        Some(every) => Recurrence::Every(Elapsed::parse(every).unwrap()),
        None => Recurrence::Cron(Pattern::parse(text).unwrap().into()),
    };
    Schedule {
        overlap: Overlap::Queue,
        queue_max: 1000,
        ..Schedule::new(recurrence, zone)
    }
}

/// Exports with these schedules, and nothing else.
fn definitions(app: &TestApp, schedules: impl IntoIterator<Item = Schedule>) -> Arc<Definitions> {
    let template = app.definitions.jobs.iter().find(|job| job.export.is_some()).unwrap();
    let job = |(n, schedule)| Job {
        id: JobId::generate(),
        name: format!("Job {n}"),
        schedule: Some(schedule),
        ..template.clone()
    };
    Arc::new(Definitions {
        jobs: schedules.into_iter().enumerate().map(job).collect(),
        ..app.definitions.clone()
    })
}

/// A scheduler as another process has it: with a clock of its own, and nothing remembered.
fn process(app: &TestApp, definitions: &Arc<Definitions>, clock: &Clock) -> Scheduler {
    let context = Context {
        clock: clock.clone(),
        ..app.context.clone()
    };
    Scheduler::new(context, watch::channel(Arc::clone(definitions)).1, Arc::default())
}

async fn the_shipped_nightly_export_runs_once_on_the_days_the_clocks_change(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let nightly = app.definitions.find_job("Nightly sales orders").unwrap();
    let schedule = nightly.schedule.as_ref().unwrap();
    assert_eq!(schedule.identity(), "0 2 * * * Europe/Berlin");
    for (noon_before, due) in [
        ("2026-03-28T11:00:00Z", "2026-03-29T01:00:00Z"),
        ("2026-10-24T10:00:00Z", "2026-10-25T00:00:00Z"),
    ] {
        let definitions = definitions(&app, [schedule.clone()]);
        let clock = Clock::settable(moment(noon_before));
        let scheduler = process(&app, &definitions, &clock);
        let mut fired = Vec::new();
        for _ in 0..24 * 6 {
            if scheduler.evaluate_due().await.unwrap() > 0 {
                fired.push(clock.now().to_string());
            }
            clock.advance_seconds(600);
        }
        assert_eq!(fired, [due]);
        let seen = app.context.store.occurrences(definitions.jobs[0].id, 10).await.unwrap();
        let seen: Vec<String> = seen.iter().map(|it| it.due_at.to_string()).collect();
        assert_eq!(seen, [due]);
    }
}

async fn clocks_that_step_and_evaluations_that_break_off_lose_and_double_nothing(backend: Backend) {
    // Through New York's and Berlin's skipped hours and Lord Howe's doubled half hour.
    let (start, end) = (moment("2026-03-07T00:00:00Z"), moment("2026-04-06T00:00:00Z"));
    let app = TestApp::spawn(backend).await;
    let policies = [Missed::Skip, Missed::Once, Missed::All];
    let schedules = [
        ("0 2 * * *", Europe::Berlin),
        ("30 2 * * *", America::New_York),
        ("45 1 * * *", Australia::Lord_Howe),
        ("*/30 * * * *", Europe::Berlin),
        ("*/15 2 * * *", Australia::Lord_Howe),
        ("@every 37m", Tz::UTC),
        ("0 12 31 * *", Europe::Berlin),
        ("30 2 29 3 *", Europe::Berlin),
        ("15 1-3 * * *", America::New_York),
    ];
    let schedules = schedules
        .iter()
        .zip(policies.iter().cycle())
        .map(|((text, zone), missed)| Schedule {
            missed: *missed,
            ..schedule(text, *zone)
        });
    let definitions = definitions(&app, schedules);
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let clocks: Vec<Clock> = (0..3).map(|_| Clock::settable(start)).collect();
    let mut processes: Vec<Scheduler> = clocks.iter().map(|clock| process(&app, &definitions, clock)).collect();
    processes[0].evaluate_due().await.unwrap();
    while clocks.iter().any(|clock| clock.now() < end) {
        let n = chance.below(3);
        // Ahead by up to eight hours; now and then back, by up to one.
        let (most, sign) = if chance.one_in(4) { (3600, -1) } else { (8 * 3600, 1) };
        let seconds = i64::try_from(chance.below(most)).unwrap() * sign;
        let to = clocks[n].now().plus_seconds(seconds).max(start).min(end);
        clocks[n].set(to);
        match chance.below(4) {
            // Broken off anywhere, as by a kill; another process takes the place of the one that was killed.
            0 => {
                let soon = chance.up_to(Duration::from_millis(5));
                let _ = tokio::time::timeout(soon, processes[n].evaluate_due()).await;
                if chance.one_in(2) {
                    processes[n] = process(&app, &definitions, &clocks[n]);
                }
            }
            // All at once.
            1 => {
                let all = processes.iter().map(Scheduler::evaluate_due);
                futures_util::future::try_join_all(all).await.unwrap();
            }
            _ => {
                processes[n].evaluate_due().await.unwrap();
            }
        }
    }
    // What was passed over because another process was at it is found now.
    for process in &processes {
        process.evaluate_due().await.unwrap();
    }
    for job in &definitions.jobs {
        assert_accounted(&app, job, start, end).await;
    }
}

/// Every due time of the job has one row, or is counted in one stretch; nothing else is there.
async fn assert_accounted(app: &TestApp, job: &Job, start: Timestamp, end: Timestamp) {
    let schedule = job.schedule.as_ref().unwrap();
    let mut due: BTreeSet<Timestamp> = schedule.due_between(start, end, usize::MAX).into_iter().collect();
    let all = due.len();
    let store = &app.context.store;
    let seen = store.occurrences(job.id, 100_000).await.unwrap();
    for occurrence in &seen {
        assert!(
            due.remove(&occurrence.due_at),
            "{} at {}",
            schedule.identity(),
            occurrence.due_at
        );
    }
    for range in store.missed_ranges(job.id, 1000).await.unwrap() {
        let counted: Vec<Timestamp> = due.range(range.first_due..=range.last_due).copied().collect();
        assert_eq!(
            counted.len() as u64,
            range.occurrences,
            "{}: {range:?}",
            schedule.identity()
        );
        due.retain(|at| !counted.contains(at));
    }
    assert!(
        due.is_empty(),
        "{}: {} of {all} are lost: {due:?}",
        schedule.identity(),
        due.len()
    );
    let runs = seen.iter().filter(|it| it.state == "due").count();
    let may_all_be_missed = schedule.missed == Missed::Skip;
    assert!(
        runs > 0 || may_all_be_missed,
        "{}: nothing ran of {all}",
        schedule.identity()
    );
}

async fn an_evaluation_that_breaks_off_has_forgotten_nothing(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let definitions = definitions(&app, [schedule("@every 1m", Tz::UTC)]);
    let clock = Clock::settable(moment("2026-01-05T08:00:30Z"));
    let scheduler = process(&app, &definitions, &clock);
    scheduler.evaluate_due().await.unwrap();
    for millis in 0..10 {
        clock.advance_seconds(60);
        let soon = Duration::from_millis(millis);
        let _ = tokio::time::timeout(soon, scheduler.evaluate_due()).await;
        // What was being written goes on by itself, and the next evaluation may pass over it.
        let mut seen = 0;
        for _ in 0..100 {
            scheduler.evaluate_due().await.unwrap();
            let occurrences = app.context.store.occurrences(definitions.jobs[0].id, 100).await;
            seen = occurrences.unwrap().len() as u64;
            if seen > millis {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(seen, millis + 1, "after {millis} ms");
    }
}

async fn ten_thousand_schedules_are_evaluated_by_portions(backend: Backend) {
    const SCHEDULES: usize = 10_000;
    let app = TestApp::spawn(backend).await;
    let hourly = (0..SCHEDULES).map(|n| schedule(&format!("{} * * * *", n % 60), Europe::Berlin));
    let definitions = definitions(&app, hourly);
    let clock = Clock::settable(moment("2026-01-05T08:59:30Z"));
    let scheduler = process(&app, &definitions, &clock);
    let timed = async |what: &str| {
        let began = Instant::now();
        let recorded = scheduler.evaluate_due().await.unwrap();
        eprintln!("{what}: {recorded} recorded in {:?}", began.elapsed());
        recorded
    };
    assert_eq!(timed("first look").await, 0);
    clock.advance_seconds(30);
    assert_eq!(timed("a minute's").await, 167);
    clock.advance_seconds(3600);
    assert_eq!(timed("an hour's, all due").await, SCHEDULES);
    let other = process(&app, &definitions, &clock);
    assert_eq!(
        other.evaluate_due().await.unwrap(),
        0,
        "another process finds nothing left"
    );

    // Claims look at what is due, not at the jobs.
    let jobs: Vec<JobId> = definitions.jobs.iter().map(|job| job.id).collect();
    let began = Instant::now();
    for n in 0..50 {
        let execution = move |_| ExecutionId(format!("run {n}"));
        let now = clock.now();
        assert!(
            app.context
                .store
                .claim_occurrence(&jobs, "worker", 60, execution, now)
                .await
                .unwrap()
                .is_some()
        );
    }
    eprintln!("50 claims in {:?}", began.elapsed());

    // A second in which nothing is due asks the store for nothing: it may as well be closed.
    app.context.store.close().await;
    clock.advance_seconds(20);
    assert_eq!(timed("nothing due").await, 0);
    clock.advance_seconds(60);
    assert!(scheduler.evaluate_due().await.is_err(), "it is closed");
}

async fn who_has_another_schedule_for_a_job_does_not_take_turns_with_who_read_it_later(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let clock = Clock::settable(moment("2026-01-05T08:30:00Z"));
    let old = definitions(&app, [schedule("0 * * * *", Tz::UTC)]);
    let mut new = Definitions::clone(&old);
    new.jobs[0].schedule = Some(schedule("0 * * * *", Europe::Berlin));
    let stale = process(&app, &old, &clock);
    stale.evaluate_due().await.unwrap();
    clock.advance_seconds(60);
    let fresh = process(&app, &Arc::new(new), &clock);
    fresh.evaluate_due().await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..3 {
        clock.advance_seconds(3600);
        runs.push((stale.evaluate_due().await.unwrap(), fresh.evaluate_due().await.unwrap()));
    }
    assert_eq!(runs, [(0, 1); 3]);
}
