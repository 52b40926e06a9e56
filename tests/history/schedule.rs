//! The schedule of a run: an export that is due again and again, whatever befalls the processes.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::cluster::{Cluster, HOUR};
use crate::history::{Run, Runs};
use crate::site::Site;
use crate::support::databases::rows;

const JOB: &str = "00000000-0000-4000-8000-0000000000a3";
/// How often it is due.
const EVERY_SECONDS: i64 = 2;
/// When it is due first: the processes have started by then.
const FIRST_AFTER: TimeDelta = TimeDelta::seconds(5);
/// Longest wait for what is due to have run.
const PATIENCE: Duration = Duration::from_mins(2);

const ENTITY: &str = r#"
name = "Ticks"
label = "Ticks"
collection = "Ticks"
public = true
data_management = true
database = "main"
table = "ticks"
create_table = true
key = ["tick"]
[[fields]]
name = "tick"
type = "int"
"#;

/// What is due when, by the right time.
pub struct Ticking {
    first: i64,
}

impl Ticking {
    /// It begins soon.
    pub fn soon() -> Self {
        Self {
            first: (right_time() + FIRST_AFTER).timestamp(),
        }
    }

    /// Writes entity and job.
    pub fn define(&self, site: &Site) {
        let start = DateTime::from_timestamp(self.first, 0).expect("a time").to_rfc3339();
        // On a server a run takes long enough for something to befall it.
        let slow = if site.business_url().starts_with("postgres") {
            "filter = \"(select count(*) from (select pg_sleep(0.5)) as slept) > 0\"\n"
        } else {
            ""
        };
        let job = format!(
            r#"
id = "{JOB}"
name = "Ticks"
direction = "export"
data_source = "file"
clients = ["tester"]
[schedule]
every = "{EVERY_SECONDS}s"
start = "{start}"
missed = "all"
overlap = "queue"
queue_max = 1000
[export]
format = "csv"
prevent_upload_when_zero_records = false
[[export.entities]]
entity = "Ticks"
{slow}"#
        );
        site.write("entities/ticks.toml", ENTITY);
        site.write("jobs/ticks.toml", &job);
    }

    /// What it has done, once everything that is due by now has run.
    pub async fn runs(&self, cluster: &Cluster) -> Runs {
        let until = right_time().timestamp();
        let began = Instant::now();
        loop {
            let runs = self.runs_so_far(cluster.store(), until).await;
            let is_over = runs
                .rows
                .iter()
                .all(|run| !matches!(run.state.as_str(), "due" | "running"));
            let has_come = runs.rows.iter().map(|run| run.due).max() > Some(until - EVERY_SECONDS);
            if (is_over && has_come) || began.elapsed() > PATIENCE {
                return runs;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn runs_so_far(&self, store: &str, until: i64) -> Runs {
        let made = "select count(*) from queue q where q.execution = o.execution";
        let text = format!(
            "select cast(due_at / 1000000 as text), state, cast(epoch as text), cast(({made}) as text) \
             from occurrences o where job = {}",
            job(store)
        );
        let run = |row: Vec<Option<String>>| {
            let [Some(due), Some(state), Some(taken), Some(messages)] = <[_; 4]>::try_from(row).expect("four columns")
            else {
                panic!("no column is empty");
            };
            Run {
                due: due.parse().expect("a number"),
                state,
                taken: taken.parse().expect("a number"),
                messages: messages.parse().expect("a number"),
            }
        };
        let all: Vec<Run> = rows(store, &text).await.into_iter().map(run).collect();
        let strays = format!(
            "select cast('1' as text) from queue where job = {} and (execution is null or execution not in \
             (select execution from occurrences where execution is not null))",
            job(store)
        );
        Runs {
            first: self.first,
            every: EVERY_SECONDS,
            until,
            rows: all,
            strays: rows(store, &strays).await.len(),
        }
    }
}

/// The job's id as the store writes it.
fn job(store: &str) -> String {
    if store.starts_with("sqlite") {
        format!("x'{}'", JOB.replace('-', ""))
    } else {
        format!("'{JOB}'")
    }
}

/// What every clock shows that is not behind.
fn right_time() -> DateTime<Utc> {
    Utc::now() + HOUR
}
