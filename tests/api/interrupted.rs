//! An import that is dropped where it stands, as by a process that dies, and taken up again under another epoch.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tranship::domain::ids::JobId;
use tranship::domain::message::Claimed;
use tranship::domain::status::Status;
use tranship::pipeline::import;
use tranship::pipeline::stop::RunEnd;
use tranship::storage::leases::{ClaimImport, Lanes};
use tranship::storage::messages::MessageFilter;

use crate::app::TestApp;

/// Works on the job's next message until this has come about, drops that, and cancels the message.
pub async fn cancel_midway(app: &TestApp, job: &str, until: impl Future<Output = ()>) {
    let claimed = claim(app, job).await.unwrap();
    let never = CancellationToken::new();
    let work = import::import(&app.context, &app.definitions, &claimed, &never);
    tokio::select! {
        end = Box::pin(work) => panic!("it was through: {end:?}"),
        () = until => {}
    }
    let end = Box::pin(import::cancel(&app.context, &app.definitions, &claimed, "a test")).await;
    assert!(matches!(end, RunEnd::Ended), "{end:?}");
}

async fn claim(app: &TestApp, job: &str) -> Option<Claimed> {
    let id: JobId = app.job(job).parse().unwrap();
    let claim = ClaimImport {
        jobs: &[id],
        lanes: Lanes::All,
        owner: "a worker that dies",
        lease_seconds: 15,
        limit: 1,
    };
    let claimed = app.context.store.claim_imports(claim, app.clock.now()).await;
    claimed.unwrap().into_iter().next()
}

/// Longest wait for a message to be claimable again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Claims the job's next message, until all have ended. What was dropped may hold the row for a moment; a claim passes over it
/// then, and the process takes the lane for empty until it looks at the whole again, a second later.
async fn claim_patiently(app: &TestApp, job: &str) -> Option<Claimed> {
    let given_up = Instant::now() + PATIENCE;
    while is_waiting(app, job).await {
        if let Some(claimed) = claim(app, job).await {
            return Some(claimed);
        }
        assert!(Instant::now() < given_up, "a message waits and cannot be claimed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

async fn is_waiting(app: &TestApp, job: &str) -> bool {
    let filter = MessageFilter {
        jobs: vec![app.job(job).parse().unwrap()],
        status: Some(Status::Enqueued),
        limit: 1,
        ..MessageFilter::default()
    };
    !app.context.store.messages(&filter).await.unwrap().is_empty()
}

/// Works on the job's next message ever longer, drops it each time, and at last lets it end.
pub async fn work_with_interruptions(app: &TestApp, job: &str, times: u32) {
    let mut dropped = 0;
    for attempt in 0..times {
        let Some(claimed) = claim_patiently(app, job).await else {
            break;
        };
        let never = CancellationToken::new();
        let work = import::import(&app.context, &app.definitions, &claimed, &never);
        let moment = Duration::from_millis(u64::from(attempt) * 12);
        if tokio::time::timeout(moment, Box::pin(work)).await.is_err() {
            dropped += 1;
        }
        // As a lease that lapsed: the next claim has another epoch. What has ended is nobody's to hand back.
        let again = app
            .context
            .store
            .release_message(claimed.fence(), None, true, "dropped", app.clock.now());
        let _ = again.await;
    }
    assert!(dropped > 1, "interrupted {dropped} times");
    let given_up = Instant::now() + PATIENCE;
    app.run_until_idle().await;
    while is_waiting(app, job).await {
        assert!(Instant::now() < given_up, "a message waits and is not worked on");
        tokio::time::sleep(Duration::from_millis(50)).await;
        app.run_until_idle().await;
    }
}
