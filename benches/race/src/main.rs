//! One contender per call: puts a load on a queue for some seconds and prints one JSON line about it.
//!
//! `scripts/bench` starts the servers, calls this and `tranship bench queue` in turns, and counts what the servers did. All
//! contenders get the same: so many clients at once, so many messages per call, payloads of the same size, the same warm-up
//! and the same window, and the same ruler (`latency` and `fsync` are the product's own files).

mod apalis_sqlite;
#[path = "../../../src/cli/bench/fsync.rs"]
#[allow(dead_code, reason = "the product's own file, of which the race needs a part")]
mod fsync;
#[path = "../../../src/cli/bench/latency.rs"]
#[allow(dead_code, reason = "the product's own file, of which the race needs a part")]
mod latency;
mod pgmq;
mod rabbitmq;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;

use apalis_sqlite::Statistics;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use tally::Load;

#[derive(Parser)]
#[command(about = "Puts a load on a queue and prints one JSON line about it")]
struct Arguments {
    #[command(flatten)]
    load: Load,
    #[command(subcommand)]
    contender: Contender,
}

#[derive(Subcommand)]
enum Contender {
    /// pgmq's SQL functions: send, read, archive
    Pgmq {
        /// The database; pgmq's SQL is installed where it is missing
        #[arg(long)]
        url: String,
    },
    /// apalis-sqlite in this process: push, fetch, ack
    Apalis {
        /// Where its database file goes
        #[arg(long)]
        folder: PathBuf,
        /// Connections of its pool
        #[arg(long, default_value_t = 1)]
        connections: u32,
        /// Without the statistics that keep its acknowledgement from slowing down
        #[arg(long)]
        as_shipped: bool,
    },
    /// A RabbitMQ quorum queue: publish with confirm, deliver, ack
    Rabbitmq {
        /// amqp://user:password@host:port/%2f
        #[arg(long)]
        url: String,
        /// Connections the clients share
        #[arg(long, default_value_t = 4)]
        connections: usize,
    },
    /// No queue at all: what an fsync costs in a folder
    Fsync {
        /// The folder
        #[arg(long)]
        folder: PathBuf,
        /// How many
        #[arg(long, default_value_t = 200)]
        times: u32,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { load, contender } = Arguments::parse();
    match race(load, contender).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("race: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn race(load: Load, contender: Contender) -> anyhow::Result<Value> {
    Ok(match contender {
        Contender::Pgmq { url } => pgmq::run(&load, &url).await?,
        Contender::Apalis {
            folder,
            connections,
            as_shipped,
        } => {
            let statistics = if as_shipped {
                Statistics::AsShipped
            } else {
                Statistics::OfAFullTable
            };
            apalis_sqlite::run(&load, &folder, connections, statistics).await?
        }
        Contender::Rabbitmq { url, connections } => rabbitmq::run(&load, &url, connections).await?,
        Contender::Fsync { folder, times } => {
            let latency = fsync::calibrate(&folder, times)?;
            json!({"contender": "fsync", "count": latency.count(), "p50_us": latency.quantile_us(50),
                "p99_us": latency.quantile_us(99), "max_us": latency.max_us()})
        }
    })
}
