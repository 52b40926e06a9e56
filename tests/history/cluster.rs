//! The processes under test, on one store: killed, stopped, continued and started again while clients use them, their connections cut
//! and their clocks set.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

use crate::history::Queue;
use crate::schedule::Ticking;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;
use crate::support::postgres_server::Server;
use crate::support::preloaded::clock::SteppedClock;
use crate::support::proxy::Proxy;
use crate::wire::{self, json};

/// What the processes are called as one: a token names it, and so is good at each, on whichever port that listens.
const PUBLIC_URL: &str = "http://queue.test";

/// How far the right time is ahead of the system's, and the most that a clock can be behind: what was made before the processes were
/// started (keys, a client) is of no clock's future.
pub const HOUR: Duration = Duration::from_hours(1);

/// What a cluster stands on.
pub struct Ground {
    pub store: TestDatabase,
    pub processes: usize,
    /// The store's, where it may crash.
    pub server: Option<Server>,
}

/// Processes on one store.
pub struct Cluster {
    site: Site,
    /// Where the store is, for who looks into it.
    store: String,
    token: String,
    processes: Vec<Process>,
    /// Of their own, where that may crash.
    server: Option<Arc<Server>>,
    /// A program of an earlier version, which takes turns with this one: a rolling upgrade, back and forth.
    earlier: Option<PathBuf>,
}

struct Process {
    name: String,
    starts: AtomicUsize,
    service: Mutex<Option<Service>>,
    /// Where it listens, or listened when it last ran.
    base: RwLock<String>,
    /// What every second client reaches it through, whichever port it listens on.
    front: Proxy,
    /// What it reaches its store through, where that is a server.
    back: Option<Proxy>,
    clock: Mutex<Clock>,
}

/// What a process takes for the time.
pub struct Clock(SteppedClock);

impl Clock {
    /// From now on it is this much behind the right time.
    pub fn set_behind(&self, behind: Duration) {
        let ahead = HOUR.checked_sub(behind).expect("an hour at most");
        self.0
            .set(i64::try_from(ahead.as_micros()).expect("an hour is few microseconds"));
    }
}

impl Cluster {
    /// So many processes on a store of their own, with these queues and a schedule.
    pub async fn start(ground: Ground, queues: &[Queue], ticking: &Ticking) -> Self {
        let Ground {
            store,
            processes,
            server,
        } = ground;
        let url = store.url.clone();
        let mut site = Site::on(store).await;
        site.set("RUST_LOG", "warn");
        site.set("TRANSHIP_SERVER__TOKEN_SECONDS", "86400");
        site.set("TRANSHIP_SERVER__PUBLIC_URL", PUBLIC_URL);
        for queue in queues {
            site.write(&format!("jobs/{}.toml", queue.name), &job(queue));
        }
        ticking.define(&site);
        let earlier = std::env::var_os("TRANSHIP_HISTORY_EARLIER").map(PathBuf::from);
        // Whoever comes first makes the schema.
        let tester = match &earlier {
            Some(earlier) => site.add_client_by(earlier, "tester", "client"),
            None => site.add_client("tester", "client"),
        };
        let mut cluster = Self {
            site,
            store: url.clone(),
            token: String::new(),
            processes: Vec::new(),
            server: server.map(Arc::new),
            earlier,
        };
        for number in 0..processes {
            let back = match url.strip_prefix("postgres") {
                Some(_) => Some(Proxy::to_server_of(&url).await),
                None => None,
            };
            cluster.processes.push(Process {
                name: format!("process-{number}"),
                starts: AtomicUsize::default(),
                service: Mutex::default(),
                base: RwLock::default(),
                front: Proxy::to(String::new()).await,
                back,
                clock: Mutex::new(Clock(SteppedClock::new())),
            });
        }
        cluster.heal().await;
        // By the clocks that are furthest behind, so that it is of no clock's future.
        cluster.token = cluster.new_token(&tester).await;
        for process in &cluster.processes {
            process.clock.lock().await.set_behind(Duration::ZERO);
        }
        cluster
    }

    /// Where the store is.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// A process's clock, for whoever sets it, alone.
    pub async fn clock(&self, process: usize) -> MutexGuard<'_, Clock> {
        self.processes[process].clock.lock().await
    }

    /// Breaks those connections of a process that are chosen: its clients', or those to its database, where it has such. How many.
    pub fn cut(&self, process: usize, database: bool, is_chosen: impl FnMut() -> bool) -> usize {
        let process = &self.processes[process];
        let back = process.back.as_ref().filter(|_| database);
        back.unwrap_or(&process.front).cut(is_chosen)
    }

    /// Whether there is a server to crash.
    pub fn may_crash(&self) -> bool {
        self.server.is_some()
    }

    /// The server dies, and is started again.
    pub async fn crash(&self) {
        if let Some(server) = self.server.clone() {
            let crashed = tokio::task::spawn_blocking(move || server.crash()).await;
            crashed.expect("it comes back");
        }
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.processes.len()
    }

    /// Where a process listens, if it ever did.
    pub fn base(&self, process: usize) -> String {
        let base = self.processes[process % self.processes.len()].base.read();
        base.expect("nobody fails while writing it").clone()
    }

    /// The same through what may break.
    pub fn base_through_proxy(&self, process: usize) -> String {
        format!(
            "http://{}",
            self.processes[process % self.processes.len()].front.address
        )
    }

    /// An access token, good at every process for a day.
    pub fn token(&self) -> &str {
        &self.token
    }

    async fn new_token(&self, tester: &Credentials) -> String {
        let scope = format!("{PUBLIC_URL}/.default");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &tester.id),
            ("client_secret", &tester.secret),
            ("scope", &scope),
        ];
        let request = wire::http().post(format!("{}/default/oauth2/v2.0/token", self.base(0)));
        let answer = request.form(&form).send().await.expect("the token endpoint answers");
        let body = json(answer, reqwest::StatusCode::OK).await;
        body["access_token"].as_str().expect("an access token").to_owned()
    }

    /// `kill -9`, and a new start that much later.
    pub async fn kill(&self, process: usize, absence: Duration) {
        let process = &self.processes[process];
        let mut service = process.service.lock().await;
        if let Some(running) = service.take() {
            running.kill9();
        }
        tokio::time::sleep(absence).await;
        *service = Some(self.run(process).await);
    }

    /// SIGSTOP, and SIGCONT that much later.
    pub async fn pause(&self, process: usize, absence: Duration) {
        let service = self.processes[process].service.lock().await;
        let Some(running) = service.as_ref() else { return };
        running.pause();
        tokio::time::sleep(absence).await;
        running.resume();
    }

    /// Starts what does not run.
    pub async fn heal(&self) {
        for process in &self.processes {
            let mut service = process.service.lock().await;
            if let Some(running) = service.as_mut()
                && !running.is_running()
            {
                panic!("{} ended by itself:\n{}", process.name, running.log());
            }
            if service.is_none() {
                *service = Some(self.run(process).await);
            }
        }
    }

    /// What processes answer shows that they go by the clocks they were given: else nothing was proved by setting them.
    pub async fn all_clocks_are_right(&self) {
        for process in 0..self.processes.len() {
            let url = format!("{}/health/live", self.base(process));
            let answer = wire::http().get(url).send().await.expect("it lives");
            let date = answer.headers()["date"].to_str().expect("a date").to_owned();
            let shown = chrono::DateTime::parse_from_rfc2822(&date).expect("a date");
            let off = (shown.to_utc() - (chrono::Utc::now() + HOUR)).num_seconds();
            assert!(off.abs() < 60, "process {process} shows {date}, {off} seconds off");
        }
    }

    /// Stops everything in peace.
    pub async fn stop(self) {
        for process in &self.processes {
            if let Some(running) = process.service.lock().await.take() {
                let ended = running.stop().await;
                assert!(ended.success(), "{} ended with {ended}", process.name);
            }
        }
    }

    /// All begin with the earlier version, where there is one; from then on each start is of the other one.
    async fn command(&self, process: &Process, start: usize) -> Command {
        let mut command = match &self.earlier {
            Some(earlier) if start.is_multiple_of(2) => self.site.serve_command_of(earlier, &process.name),
            _ => self.site.serve_command(&process.name),
        };
        if let Some(back) = &process.back {
            command.env("TRANSHIP_STORE__URL", back.through(&self.store));
        }
        process.clock.lock().await.0.give_to(&mut command);
        command
    }

    async fn run(&self, process: &Process) -> Service {
        let start = process.starts.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let service = loop {
            let command = self.command(process, start).await;
            match Service::try_start(command, &self.site.data_dir(&process.name)).await {
                Ok(service) => break service,
                // Without its database a process does not start, and whoever watches over it starts it again.
                Err(_) if process.back.is_some() && began.elapsed() < RESTARTS => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(failure) => panic!("{} did not start: {failure}", process.name),
            }
        };
        let mut base = process.base.write().expect("nobody fails while writing it");
        base.clone_from(&service.base);
        process.front.aim(service.base.replace("http://", ""));
        service
    }
}

/// How long a process is started again and again.
const RESTARTS: Duration = Duration::from_secs(30);

fn job(queue: &Queue) -> String {
    let Queue {
        name,
        id,
        ordered,
        max_deliveries,
        lease_seconds,
    } = queue;
    let order = if *ordered { "order_by = \"company\"\n" } else { "" };
    format!(
        r#"
id = "{id}"
name = "{name}"
direction = "relay"
data_source = "file"
clients = ["tester"]
[queue]
lease_seconds = {lease_seconds}
max_deliveries = {max_deliveries}
retry = {{ first_seconds = 1, cap_seconds = 2, jitter = 0.5 }}
{order}"#
    )
}
