//! The alarm clock: rings every second.
//!
//! `tokio-cron-scheduler` goes by the machine's clock. Set back by an hour, that would make it silent for an hour, and whoever died
//! meanwhile would keep what it had. So somebody listens who sleeps by the clock that is never set, and sets a silent alarm clock
//! anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it rings.
const EVERY: Duration = Duration::from_secs(1);
/// One that did not ring for this long is set anew.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// An alarm clock that rings until it is shut down.
pub struct Alarm {
    listener: JoinHandle<()>,
    stopping: CancellationToken,
}

/// What rings, and whether it did lately.
#[derive(Clone)]
struct Bell<R> {
    ring: R,
    rang: Arc<AtomicBool>,
}

impl Alarm {
    /// Sets an alarm clock that calls `ring`, which must not take long.
    ///
    /// # Errors
    /// [`JobSchedulerError`] when it cannot be set.
    pub(super) async fn set<R>(ring: R) -> Result<Self, JobSchedulerError>
    where
        R: Fn() + Clone + Send + Sync + 'static,
    {
        let bell = Bell {
            ring,
            rang: Arc::default(),
        };
        let stopping = CancellationToken::new();
        let clock = JobScheduler::new().await?;
        let job = wind_up(&clock, bell.clone()).await?;
        clock.start().await?;
        let listener = tokio::spawn(listen(clock, job, bell, stopping.clone()));
        Ok(Self { listener, stopping })
    }

    /// It rings no more.
    pub async fn shutdown(self) {
        self.stopping.cancel();
        let _ = self.listener.await;
    }
}

/// Has it ring every second from now on; what that is removed by.
async fn wind_up<R>(clock: &JobScheduler, bell: Bell<R>) -> Result<Uuid, JobSchedulerError>
where
    R: Fn() + Clone + Send + Sync + 'static,
{
    let job = Job::new_repeated_async(EVERY, move |_, _| {
        let bell = bell.clone();
        Box::pin(async move {
            bell.rang.store(true, Ordering::Relaxed);
            (bell.ring)();
        })
    })?;
    clock.add(job).await
}

async fn listen<R>(mut clock: JobScheduler, mut job: Uuid, bell: Bell<R>, stopping: CancellationToken)
where
    R: Fn() + Clone + Send + Sync + 'static,
{
    loop {
        tokio::select! {
            () = tokio::time::sleep(SILENT_MAX) => {}
            () = stopping.cancelled() => break,
        }
        if bell.rang.swap(false, Ordering::Relaxed) {
            continue;
        }
        tracing::warn!(
            seconds = SILENT_MAX.as_secs(),
            "the alarm clock did not ring: the machine's clock was set back, or the machine is very busy; setting it anew"
        );
        match wind_up(&clock, bell.clone()).await {
            Ok(another) => {
                // One that cannot be removed rings beside the other, which does no harm.
                let _ = clock.remove(&job).await;
                job = another;
            }
            Err(error) => tracing::warn!(%error, "the alarm clock could not be set anew; trying again"),
        }
    }
    let _ = clock.shutdown().await;
}
