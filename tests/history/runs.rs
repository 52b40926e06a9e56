//! The runs: clients, trouble, a drain, a verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::checker::{Rule, Violation, check};
use crate::client::Client;
use crate::cluster::{Cluster, Ground};
use crate::coverage::Coverage;
use crate::crowd::{Busy, Person};
use crate::drain::drain;
use crate::history::{History, Queue};
use crate::recorder::Recorder;
use crate::schedule::Ticking;
use crate::support::chance::Chance;
use crate::support::databases::TestDatabase;
use crate::support::postgres_server::Server;
use crate::trouble::Trouble;

/// Clients at once.
const CLIENTS: usize = 64;
/// How long they go on in one round: short enough to keep all of it in memory.
const ROUND: Duration = Duration::from_secs(20);
/// The same in the long forms, for which a store gets older.
const LONG_ROUND: Duration = Duration::from_mins(2);
/// How many times longer a round may take, on a machine so busy that not all of the trouble has come.
const LONGER_MAX: u32 = 4;
/// How many rounds together must meet everything: what is rare may miss one on a busy machine.
const TAME_MAX: usize = 3;
/// How long the form behind `--long` takes.
const LONG: Duration = Duration::from_mins(8);
/// Most violations told of each rule.
const TOLD_MAX: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_on_sqlite_killed_at_random_keeps_every_promise() {
    rounds(async || {
        Some(Ground {
            store: TestDatabase::sqlite(),
            processes: 1,
            server: None,
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_on_postgres_killed_and_stopped_at_random_keep_every_promise() {
    rounds(async || {
        Some(Ground {
            store: TestDatabase::postgres().await?,
            processes: 3,
            server: None,
        })
    })
    .await;
}

/// Every connection breaks at once, whatever was under way is undone, and for a moment nobody answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_whose_server_crashes_keep_every_promise() {
    rounds(async || {
        let server = Server::start()?;
        Some(Ground {
            store: TestDatabase::in_cluster_of_its_own(&server.url).await,
            processes: 3,
            server: Some(server),
        })
    })
    .await;
}

/// Rounds on new stores, until the time is over: one, if nobody asked for more and it met everything.
async fn rounds(ground: impl AsyncFn() -> Option<Ground>) {
    let began = Instant::now();
    let asked = std::env::var("TRANSHIP_HISTORY_SECONDS").ok();
    let asked = asked.map(|text| Duration::from_secs(text.parse().expect("a number of seconds")));
    let long = crate::support::is_long().then_some(LONG);
    let wanted = asked.or(long);
    let mut seeds = Chance::announced("TRANSHIP_HISTORY_SEED");
    let (mut met, mut tame) = (Coverage::default(), 0);
    loop {
        let Some(ground) = ground().await else {
            return;
        };
        let seed = seeds.seed();
        seeds.number();
        let left = wanted.map_or(ROUND, |wanted| wanted.saturating_sub(began.elapsed()).min(LONG_ROUND));
        // While the server comes back nobody gets anything done.
        let least = if ground.server.is_some() { ROUND * 2 } else { ROUND };
        round(ground, seed, left.max(least), &mut met).await;
        let missing = met.missing();
        if !missing.is_empty() {
            tame += 1;
            assert!(
                tame < TAME_MAX,
                "{tame} rounds were too tame, they lack {missing:?}: {met:?}"
            );
            continue;
        }
        if wanted.is_none_or(|wanted| began.elapsed() >= wanted) {
            return;
        }
        (met, tame) = (Coverage::default(), 0);
    }
}

async fn round(ground: Ground, seed: u64, length: Duration, met: &mut Coverage) {
    let queues = queues();
    let processes = ground.processes;
    let may_crash = ground.server.is_some();
    eprintln!("a round of TRANSHIP_HISTORY_SEED={seed}");
    let ticking = Ticking::soon();
    let cluster = Arc::new(Cluster::start(ground, &queues, &ticking).await);
    let recorder = Arc::new(Recorder::new());
    let token: Arc<str> = cluster.token().into();
    let trouble = Arc::new(Trouble::default());
    let client = |number| Client::new(number, &cluster, &recorder, &token);

    let began = Instant::now();
    let over = Arc::<AtomicBool>::default();
    let mut chance = Chance::of(seed);
    let busy: Arc<[Busy]> = queues.iter().map(Busy::new).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let dice = Chance::of(chance.number());
        tasks.spawn(Person::new(client(number), processes, dice, &busy).live(Arc::clone(&over)));
    }
    for _ in 0..processes.min(2) {
        let (trouble, cluster, recorder) = (Arc::clone(&trouble), Arc::clone(&cluster), Arc::clone(&recorder));
        let (dice, over) = (Chance::of(chance.number()), Arc::clone(&over));
        tasks.spawn(async move { trouble.make(&cluster, &recorder, dice, &over).await });
    }
    tokio::time::sleep(length).await;
    while !trouble.was_enough(may_crash) && began.elapsed() < length * LONGER_MAX {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("clients go on until the run is over");
    }
    cluster.heal().await;
    cluster.all_clocks_are_right().await;

    let clocks = std::mem::take(&mut *trouble.clocks.lock().expect("nobody fails while holding it"));
    let runs = ticking.runs(&cluster).await;
    let rows = drain(&client(CLIENTS), &queues).await;
    let history = History {
        records: recorder.take(),
        rows,
        queues,
        clocks,
        runs,
    };
    judge(&history, &trouble, may_crash, seed);
    met.add(&history);
    eprintln!("{met:?}");
    Arc::into_inner(cluster).expect("nobody uses it any more").stop().await;
}

/// A queue where anything goes, whose messages are soon given up; and one in order, where only a client gives up.
fn queues() -> Vec<Queue> {
    vec![
        Queue {
            name: "loose",
            id: "00000000-0000-4000-8000-0000000000a1",
            ordered: false,
            max_deliveries: 8,
            lease_seconds: 2,
        },
        Queue {
            name: "ordered",
            id: "00000000-0000-4000-8000-0000000000a2",
            ordered: true,
            max_deliveries: 1000,
            lease_seconds: 2,
        },
    ]
}

fn judge(history: &History, trouble: &Trouble, may_crash: bool, seed: u64) {
    let violations = check(history);
    let kills = trouble.kills.load(Ordering::Relaxed);
    let sleeps = trouble.sleeps.load(Ordering::Relaxed);
    let crashes = trouble.crashes.load(Ordering::Relaxed);
    let cuts = trouble.cuts.load(Ordering::Relaxed);
    let clocks = history.clocks.len();
    eprintln!(
        "TRANSHIP_HISTORY_SEED={seed}: {kills} kills, {sleeps} sleeps, {cuts} cuts of connections, {clocks} clocks set, {crashes} crashes \
         of the server"
    );
    if !violations.is_empty() {
        let page = write_down(history, &violations, seed);
        let mut rules: BTreeMap<Rule, Vec<&Violation>> = BTreeMap::new();
        for violation in &violations {
            rules.entry(violation.rule).or_default().push(violation);
        }
        let told: String = rules
            .values()
            .flat_map(|broken| broken.iter().take(TOLD_MAX))
            .map(|violation| violation.told(history).to_string())
            .collect();
        let counts: Vec<(Rule, usize)> = rules.iter().map(|(rule, broken)| (*rule, broken.len())).collect();
        panic!("{counts:?} broken under TRANSHIP_HISTORY_SEED={seed}; all of it is in {page}\n{told}");
    }
    assert!(kills > 0, "no process was killed");
    assert!(cuts > 0, "no connection was cut");
    assert!(clocks > 0, "no clock was set");
    assert!(sleeps > 0, "no process slept");
    assert!(!may_crash || crashes > 0, "the server did not crash");
}

/// The violations and the whole history, a record a line, for whoever looks for the cause.
fn write_down(history: &History, violations: &[Violation], seed: u64) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("history-{seed}.txt"));
    let mut text: String = violations
        .iter()
        .map(|violation| violation.told(history).to_string())
        .collect();
    let mut records: Vec<_> = history.records.iter().collect();
    records.sort_by_key(|record| record.began);
    for record in records {
        let _ = writeln!(text, "{record}");
    }
    for row in &history.rows {
        let _ = writeln!(text, "{row:?}");
    }
    for set in &history.clocks {
        let _ = writeln!(text, "{set:?}");
    }
    for run in &history.runs.rows {
        let _ = writeln!(text, "{run:?}");
    }
    std::fs::write(&path, text).expect("the history is written down");
    path.display().to_string()
}
