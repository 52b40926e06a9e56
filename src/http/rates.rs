//! `/api/v1/rates`: how much comes in and ends, now and in the last hour, day or week.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::Api;
use super::auth::{caller, listed_jobs, visible_job};
use super::problem::{Problem, Surface};
use super::query::Query;
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::domain::traffic::{Range, Traffic};
use crate::storage::{Store, StoreError};

/// Whole minutes that the current rates are taken of, beside the one that is not over.
const LATELY_MINUTES: i64 = 5;

/// What some jobs' queues took in and what ended, bucket by bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rates {
    /// How far back, and by which buckets.
    pub range: Range,
    /// When each bucket began, and what is in it; oldest first, none left out. The last one is not over.
    pub buckets: Vec<(Timestamp, Traffic)>,
    /// The last few minutes.
    pub lately: Lately,
}

/// The last few minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lately {
    pub traffic: Traffic,
    /// How long they were.
    pub micros: i64,
}

impl Rates {
    /// Those of these jobs, as [`listed_jobs`] says them.
    pub(crate) async fn read(
        store: &Store,
        jobs: Option<&[JobId]>,
        range: Range,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let starts: Vec<Timestamp> = range.starts(now).collect();
        let since = Range::Hour.bucket_of(now).plus_seconds(-60 * LATELY_MINUTES);
        let (counted, minutes) = match jobs {
            None => (std::collections::BTreeMap::new(), None),
            Some(jobs) => {
                let minutes = match range {
                    Range::Hour => None,
                    Range::Day | Range::Week => Some(store.traffic(jobs, Range::Hour, since).await?),
                };
                (store.traffic(jobs, range, starts[0]).await?, minutes)
            }
        };
        // What the future holds was counted by a clock that went back since.
        let latest = minutes.as_ref().unwrap_or(&counted).range(since..=now);
        let traffic = latest.fold(Traffic::default(), |sum, (_, traffic)| sum.plus(*traffic));
        Ok(Self {
            range,
            lately: Lately {
                traffic,
                micros: now.micros() - since.micros(),
            },
            buckets: starts
                .into_iter()
                .map(|start| (start, counted.get(&start).copied().unwrap_or_default()))
                .collect(),
        })
    }

    /// All buckets together.
    pub(crate) fn total(&self) -> Traffic {
        self.buckets
            .iter()
            .fold(Traffic::default(), |sum, (_, traffic)| sum.plus(*traffic))
    }
}

impl Lately {
    /// So many in a minute; with one decimal it is said to people.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub(crate) fn per_minute(&self, messages: u64) -> f64 {
        messages as f64 * 60_000_000.0 / self.micros as f64
    }
}

/// The range a query asks for; the last hour unless it does.
///
/// # Errors
/// 400 for one there is not.
pub(crate) fn asked_range(query: &Query) -> Result<Range, Problem> {
    let Some(text) = query.get("range") else {
        return Ok(Range::Hour);
    };
    Range::parse(&text).ok_or_else(|| {
        let detail = format!("range is `{text}`; write hour, day or week");
        Problem::bad("invalid_range", detail)
    })
}

/// `GET /api/v1/rates?range=&job=`: of the jobs the caller may see, or of one of them.
pub async fn show(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let shown = async {
        let caller = caller(&api, &request).await?;
        let query = Query::of(&request);
        let (range, name) = (asked_range(&query)?, query.get("job"));
        let definitions = api.definitions();
        let job = name
            .as_deref()
            .map(|name| visible_job(&definitions, &caller, name))
            .transpose()?;
        let jobs = listed_jobs(&definitions, &caller, name.as_deref())?;
        let now = api.context.clock.now();
        let rates = Rates::read(&api.context.store, jobs.as_deref(), range, now).await?;
        let mut body = body(&rates, now);
        body["job"] = json!(job.map(|job| &job.name));
        body["job_id"] = json!(job.map(|job| job.id));
        Ok(HttpResponse::Ok().json(body))
    };
    shown
        .await
        .unwrap_or_else(|problem: Problem| problem.respond(Surface::Native))
}

fn body(rates: &Rates, now: Timestamp) -> Value {
    let lately = &rates.lately;
    let rate = |messages| (lately.per_minute(messages) * 100.0).round() / 100.0;
    json!({
        "range": rates.range.as_str(),
        "from": rates.buckets.first().map(|(start, _)| start),
        "to": now,
        "bucket_seconds": rates.range.bucket_seconds(),
        "per_minute": {
            "over_seconds": lately.micros / 1_000_000,
            "enqueued": rate(lately.traffic.enqueued),
            "ended": rate(lately.traffic.ended()),
            "failed": rate(lately.traffic.failed),
        },
        "total": traffic(&rates.total()),
        "buckets": rates.buckets.iter().map(|(start, counted)| {
            let mut bucket = traffic(counted);
            bucket["from"] = json!(start);
            bucket
        }).collect::<Vec<_>>(),
    })
}

fn traffic(traffic: &Traffic) -> Value {
    json!({
        "enqueued": traffic.enqueued,
        "ended": traffic.ended(),
        "succeeded": traffic.succeeded,
        "with_errors": traffic.with_errors,
        "failed": traffic.failed,
        "stopped": traffic.stopped,
    })
}
