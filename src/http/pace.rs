//! How fast one client may call (`limits.*`). Each has a bucket of requests that fills again as time passes; what is kept of it is
//! one moment, when it will be full.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::problem::{Kind, Problem, Surface};
use crate::config;

/// Clients remembered before those whose buckets are full are forgotten.
const CLIENTS_MAX: usize = 10_000;

/// Lets requests in as fast as the settings say. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pace {
    buckets: Option<Arc<Buckets>>,
}

#[derive(Debug)]
struct Buckets {
    /// Between two requests of one client that keeps at it.
    interval: Duration,
    /// What it may be ahead of that.
    ahead: Duration,
    /// Longest wait of who is not told to come back at once.
    patience: Duration,
    full_at: Mutex<HashMap<String, Instant>>,
}

impl Pace {
    /// As fast as the settings say; without a rate, as fast as anybody likes.
    #[must_use]
    pub fn new(limits: &config::Limits, queue: &config::Queue) -> Self {
        let buckets = (limits.requests_per_second > 0).then(|| {
            let interval = Duration::from_secs(1) / limits.requests_per_second;
            Arc::new(Buckets {
                interval,
                ahead: interval * limits.requests_burst.saturating_sub(1),
                patience: Duration::from_secs(queue.admit_wait_seconds.into()),
                full_at: Mutex::default(),
            })
        });
        Self { buckets }
    }

    /// Lets a client's request in: on `/api/v1` at once or not at all. Clients of the other surfaces take a 429 badly (RI-6a), so there
    /// the request waits, with its body unread, and is refused only where it would wait too long.
    ///
    /// # Errors
    /// 429 on `/api/v1`, 503 elsewhere; both say when to come back.
    pub async fn let_in(&self, client: &str, surface: Surface) -> Result<(), Problem> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        let (kind, patience) = match surface {
            Surface::Native => (Kind::RateLimited, Duration::ZERO),
            Surface::Connector | Surface::Data => (Kind::Unavailable, buckets.patience),
        };
        let wait = buckets.take(client, patience, Instant::now()).map_err(|wait| {
            let detail = format!(
                "the client `{client}` calls faster than `limits.requests_per_second` allows; nothing was done"
            );
            Problem::new(kind, detail).retry_after(wait)
        })?;
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl Buckets {
    /// How long the next request of a client has to wait; where that is too long, nothing is taken.
    fn take(&self, client: &str, patience: Duration, now: Instant) -> Result<Duration, Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.get(client).copied().map_or(now, |full| full.max(now));
        let wait = full.duration_since(now).saturating_sub(self.ahead);
        if wait > patience {
            return Err(wait);
        }
        if full_at.len() >= CLIENTS_MAX {
            full_at.retain(|_, full| *full > now);
        }
        full_at.insert(client.to_owned(), full + self.interval);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(per_second: u32, burst: u32) -> Arc<Buckets> {
        let mut config = config::Config::load(&config::Overrides::default(), &[]).expect("the defaults");
        (config.limits.requests_per_second, config.limits.requests_burst) = (per_second, burst);
        Pace::new(&config.limits, &config.queue).buckets.expect("a rate")
    }

    #[test]
    fn a_burst_is_let_in_and_then_so_many_a_second() {
        let (buckets, now) = (buckets(10, 5), Instant::now());
        let at = |millis: u64| now + Duration::from_millis(millis);
        let take = |millis| buckets.take("shop", Duration::ZERO, at(millis));
        for _ in 0..5 {
            assert_eq!(take(0), Ok(Duration::ZERO));
        }
        assert_eq!(take(0), Err(Duration::from_millis(100)));
        assert_eq!(take(99), Err(Duration::from_millis(1)), "what is refused takes nothing");
        assert_eq!(take(100), Ok(Duration::ZERO));
        assert!(take(100).is_err());
        assert_eq!(
            buckets.take("other", Duration::ZERO, at(100)),
            Ok(Duration::ZERO),
            "each has its own"
        );
        // After a long while there is a burst again, and no more.
        let later = (0..20).filter(|_| take(60_000).is_ok()).count();
        assert_eq!(later, 5);
    }

    #[test]
    fn who_waits_keeps_the_pace_and_waits_no_longer_than_it_may() {
        let (buckets, now) = (buckets(10, 1), Instant::now());
        let waits: Vec<_> = (0..4)
            .map(|_| buckets.take("shop", Duration::from_millis(250), now))
            .collect();
        let millis = Duration::from_millis;
        assert_eq!(
            waits,
            [Ok(millis(0)), Ok(millis(100)), Ok(millis(200)), Err(millis(300))]
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (buckets, now) = (buckets(10, 1), Instant::now());
        for number in 0..30_000_u64 {
            let at = now + Duration::from_millis(number);
            buckets
                .take(&number.to_string(), Duration::ZERO, at)
                .expect("a new client");
        }
        assert!(buckets.full_at.lock().expect("no panic").len() <= CLIENTS_MAX);
    }
}
