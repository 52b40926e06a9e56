//! pgmq as its SQL: every client has a connection of its own and sends, reads and archives in turn.
//!
//! The SQL is the extension's, carried and installed by the `pgmq` crate; the load goes through `tokio-postgres` with prepared
//! statements, because that costs this process less than a pool does.

use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls, Statement};

use crate::tally::{Load, Tally, Window, gather};

const QUEUE: &str = "race";
/// Longer than any run: no message comes back.
const VISIBILITY_SECONDS: i32 = 600;

pub async fn run(load: &Load, url: &str) -> anyhow::Result<Value> {
    let version = install(url).await?;
    let window = load.window();
    let mut workers = JoinSet::new();
    for _ in 0..load.clients {
        let (load, url) = (load.clone(), url.to_owned());
        workers.spawn(async move { Worker::connect(&url, &load, window).await?.work().await });
    }
    let tally = gather(workers, window).await?;
    let left = drain(url).await?;
    Ok(tally.report("pgmq", load, json!({"pgmq": version, "left_in_queue": left})))
}

/// Installs the SQL once and makes an empty queue.
async fn install(url: &str) -> anyhow::Result<String> {
    let pool = sqlx::PgPool::connect(url).await.context("PostgreSQL")?;
    ::pgmq::install::install_sql_from_embedded(&pool)
        .await
        .context("pgmq's SQL cannot be installed")?;
    let version = ::pgmq::install::installed_version(&pool).await?;
    pool.close().await;
    let client = connect(url).await?;
    client.execute("select pgmq.create($1)", &[&QUEUE]).await?;
    client.batch_execute("vacuum pgmq.q_race").await?;
    Ok(version.map_or_else(String::new, |version| version.to_string()))
}

/// Empties both tables, so that every round begins alike.
async fn drain(url: &str) -> anyhow::Result<i64> {
    let client = connect(url).await?;
    let left = client.query_one("select count(*) from pgmq.q_race", &[]).await?.get(0);
    client
        .batch_execute("truncate pgmq.q_race; truncate pgmq.a_race")
        .await?;
    Ok(left)
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}

struct Statements {
    send: Statement,
    read: Statement,
    archive: Statement,
}

struct Worker {
    client: Client,
    statements: Statements,
    payloads: Vec<Value>,
    tally: Tally,
    window: Window,
}

impl Worker {
    async fn connect(url: &str, load: &Load, window: Window) -> anyhow::Result<Self> {
        let client = connect(url).await?;
        let batch = load.batch > 1;
        let statements = Statements {
            send: client
                .prepare(if batch {
                    "select pgmq.send_batch($1, $2::jsonb[])"
                } else {
                    "select pgmq.send($1, $2::jsonb)"
                })
                .await?,
            read: client
                .prepare("select msg_id, message from pgmq.read($1, $2, $3)")
                .await?,
            archive: client
                .prepare(if batch {
                    "select pgmq.archive($1, $2::bigint[])"
                } else {
                    "select pgmq.archive($1, $2::bigint)"
                })
                .await?,
        };
        Ok(Self {
            client,
            statements,
            payloads: vec![json!({ "payload": load.payload() }); load.batch],
            tally: Tally::new(window),
            window,
        })
    }

    async fn work(mut self) -> anyhow::Result<Tally> {
        while !self.window.is_over() {
            self.send().await?;
            let mut missing = self.payloads.len();
            while missing > 0 && !self.window.is_over() {
                let ids = self.read(missing).await?;
                missing -= ids.len();
                self.archive(&ids).await?;
            }
        }
        Ok(self.tally)
    }

    async fn send(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let send = &self.statements.send;
        let rows = if self.payloads.len() == 1 {
            self.client.query(send, &[&QUEUE, &self.payloads[0]]).await?
        } else {
            self.client.query(send, &[&QUEUE, &self.payloads]).await?
        };
        anyhow::ensure!(
            rows.len() == self.payloads.len(),
            "pgmq took {} of {}",
            rows.len(),
            self.payloads.len()
        );
        self.tally.operation("enqueue", started);
        Ok(())
    }

    async fn read(&mut self, most: usize) -> anyhow::Result<Vec<i64>> {
        let started = Instant::now();
        let most = i32::try_from(most)?;
        let rows = self
            .client
            .query(&self.statements.read, &[&QUEUE, &VISIBILITY_SECONDS, &most])
            .await?;
        self.tally.operation("lease", started);
        if rows.is_empty() {
            self.tally.empty_read();
        }
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn archive(&mut self, ids: &[i64]) -> anyhow::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let archive = &self.statements.archive;
        let done = if self.payloads.len() == 1 {
            let row = self.client.query_one(archive, &[&QUEUE, &ids[0]]).await?;
            usize::from(row.get::<_, bool>(0))
        } else {
            self.client.query(archive, &[&QUEUE, &ids]).await?.len()
        };
        anyhow::ensure!(done == ids.len(), "pgmq archived {done} of {}", ids.len());
        self.tally.operation("ack", started);
        self.tally.acknowledged(ids.len());
        Ok(())
    }
}
