//! The command line: what people and scripts type.
//!
//! Owns: arguments, what is printed, exit codes. Client commands speak HTTP and nothing else (`api`); `serve`, `check`,
//! `doctor`, `init`, `entities`, `client`, `keys` and `audit` work on settings, definitions and the store where they are. Refuses: rules of the service,
//! which live behind HTTP for every client alike.

mod actor;
mod agent;
mod answers;
mod api;
mod audit;
mod backup;
mod bench;
mod bulk;
mod check;
mod client;
mod completions;
mod connection;
mod console;
mod correction;
mod dead_letters;
mod deliveries;
mod demo;
mod doctor;
mod entities;
mod erase;
mod exit;
mod generate;
mod health;
mod init;
mod jobs;
mod keys;
mod manual;
mod messages;
mod mistyped;
mod positions;
mod processes;
mod progress;
mod pull;
mod push;
mod rates;
mod runs;
mod sandbox;
mod schedules;
mod screen;
mod sent;
mod serve;
mod settings;
mod shell;
mod show;
mod status;
mod store;
mod untrusted;
mod wait;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::{Exit, Failure};
use screen::Screen;

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong command line, settings or definitions
  3  the message ended with rejected records
  4  the message failed, was cancelled or expired
  5  what was named is not there, or not allowed for this client
  6  the service cannot be reached

Start here:
  tranship demo                                       see the whole journey on sample data
  tranship init orders.csv                            make a working set-up from a file of your own
  tranship serve                                      run the service
  tranship push orders.csv --job \"Inbound orders\" --wait

Every command has its own --help. The manual is docs/cli.md.";

/// Files in, records landed; data out, collected and acknowledged.
#[derive(Debug, Parser)]
#[command(name = "tranship", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until it is told to stop
    Serve(serve::Serve),
    /// See the whole journey on sample data, in a folder of its own
    Demo(demo::Demo),
    /// Write a working set-up from a sample file
    Init(init::Init),
    /// Check settings, definitions and tables without starting anything
    Check(check::Check),
    /// Write entities from tables, list and show them
    #[command(subcommand)]
    Entities(entities::Entities),
    /// Send a file to a job
    Push(push::Push),
    /// Collect what a job has queued
    Pull(pull::Pull),
    /// Show where a message stands
    Status(status::Status),
    /// Show how much comes in and ends
    Rates(rates::Rates),
    /// List, show and run jobs
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// List messages, try them again, cancel them, take their rejected records out and send them back corrected
    #[command(subcommand)]
    Messages(messages::Messages),
    /// List what ended without success, and try it again
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// List what export jobs brought to their destinations, and send it once more
    #[command(subcommand)]
    Deliveries(deliveries::Deliveries),
    /// List what webhooks were told, send it once more, send a ping
    #[command(subcommand)]
    Webhooks(webhooks::Webhooks),
    /// Play with a sandbox: faults, clock, reset, journal (`serve --sandbox`)
    #[command(subcommand)]
    Sandbox(sandbox::SandboxCommand),
    /// Say who may talk to the service
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// List and rotate what tokens, receipts and links are signed with
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// See who did what, and whether the log of it is whole
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show which processes serve the store, whether they live, and what they work on
    Processes(processes::Processes),
    /// Send what lies in folders, collect into folders
    Agent(agent::Agent),
    /// Print a link that signs in to the web console, once
    Console(console::Console),
    /// Copy the store and its blobs into a folder, as they are at one moment
    Backup(backup::Backup),
    /// Make the store from a backup
    Restore(backup::Restore),
    /// Remove a person's data from payloads, rejects and staging
    Erase(erase::Erase),
    /// Examine disks, databases and clocks, and say what to do
    Doctor(doctor::Doctor),
    /// Ask whether the service is ready; needs no client
    Health(health::Health),
    /// Print what a shell needs to complete commands and options
    Completions(completions::Completions),
    /// Write the manual pages
    Manual(manual::Manual),
    /// Make sample data of any size
    #[command(subcommand)]
    Generate(generate::Generate),
    /// Measure how fast the service is here
    #[command(subcommand)]
    Bench(bench::Bench),
}

impl Command {
    /// Whether answers are to be JSON.
    fn json(&self) -> bool {
        match self {
            Self::Serve(_) | Self::Completions(_) | Self::Manual(_) => false,
            Self::Demo(demo) => demo.json,
            Self::Init(init) => init.json,
            Self::Check(check) => check.json,
            Self::Entities(entities) => entities.json(),
            Self::Push(push) => push.connection.json,
            Self::Pull(pull) => pull.connection.json,
            Self::Status(status) => status.connection.json,
            Self::Rates(rates) => rates.connection.json,
            Self::Jobs(jobs) => jobs.connection().json,
            Self::Messages(messages) => messages.connection().json,
            Self::DeadLetters(dead_letters) => dead_letters.connection().json,
            Self::Deliveries(deliveries) => deliveries.connection().json,
            Self::Webhooks(webhooks) => webhooks.connection().json,
            Self::Sandbox(sandbox) => sandbox.connection().json,
            Self::Client(client) => client.json(),
            Self::Keys(keys) => keys.json(),
            Self::Audit(audit) => audit.json(),
            Self::Processes(processes) => processes.connection.json,
            Self::Agent(agent) => agent.json,
            Self::Console(console) => console.json,
            Self::Backup(backup) => backup.json,
            Self::Restore(restore) => restore.json,
            Self::Erase(erase) => erase.json,
            Self::Doctor(doctor) => doctor.json,
            Self::Health(health) => health.json,
            Self::Generate(generate) => generate.json(),
            Self::Bench(bench) => bench.json(),
        }
    }

    async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        // Boxed, because the larger commands hold whole conversations in their futures.
        match self {
            Self::Serve(serve) => Box::pin(serve.run(screen)).await,
            Self::Demo(demo) => Box::pin(demo.run(screen)).await,
            Self::Init(init) => Box::pin(init.run(screen)).await,
            Self::Check(check) => Box::pin(check.run(screen)).await,
            Self::Entities(entities) => Box::pin(entities.run(screen)).await,
            Self::Push(push) => Box::pin(push.run(screen)).await,
            Self::Pull(pull) => Box::pin(pull.run(screen)).await,
            Self::Status(status) => Box::pin(status.run(screen)).await,
            Self::Rates(rates) => Box::pin(rates.run(screen)).await,
            Self::Jobs(jobs) => Box::pin(jobs.run(screen)).await,
            Self::Messages(messages) => Box::pin(messages.run(screen)).await,
            Self::DeadLetters(dead_letters) => Box::pin(dead_letters.run(screen)).await,
            Self::Deliveries(deliveries) => Box::pin(deliveries.run(screen)).await,
            Self::Webhooks(webhooks) => Box::pin(webhooks.run(screen)).await,
            Self::Sandbox(sandbox) => Box::pin(sandbox.run(screen)).await,
            Self::Client(client) => Box::pin(client.run(screen)).await,
            Self::Keys(keys) => Box::pin(keys.run(screen)).await,
            Self::Audit(audit) => Box::pin(audit.run(screen)).await,
            Self::Processes(processes) => Box::pin(processes.run(screen)).await,
            Self::Agent(agent) => Box::pin(agent.run(screen)).await,
            Self::Console(console) => Box::pin(console.run(screen)).await,
            Self::Backup(backup) => Box::pin(backup.run(screen)).await,
            Self::Restore(restore) => Box::pin(restore.run(screen)).await,
            Self::Erase(erase) => Box::pin(erase.run(screen)).await,
            Self::Doctor(doctor) => Box::pin(doctor.run(screen)).await,
            Self::Health(health) => Box::pin(health.run(screen)).await,
            Self::Completions(completions) => completions.run(screen),
            Self::Manual(manual) => Box::pin(manual.run(screen)).await,
            Self::Generate(generate) => Box::pin(generate.run(screen)).await,
            Self::Bench(bench) => Box::pin(bench.run(screen)).await,
        }
    }
}

/// Runs the command and says how it ended.
pub async fn run(cli: Cli) -> ExitCode {
    let screen = Screen::detect(cli.command.json());
    let exit = match cli.command.run(&screen).await {
        Ok(_) if screen.is_broken() => report(&screen, &Failure::failed("standard output could not be written")),
        Ok(exit) => exit,
        Err(failure) => report(&screen, &failure),
    };
    exit.into()
}

/// Says on standard error why a command failed.
fn report(screen: &Screen, failure: &Failure) -> Exit {
    use std::io::Write as _;
    let text = if screen.is_json() {
        serde_json::json!({"error": failure.what, "cure": failure.cure, "exit": failure.exit.code()}).to_string()
    } else {
        failure.to_string()
    };
    let _ = writeln!(std::io::stderr().lock(), "{text}");
    failure.exit
}

#[cfg(test)]
mod tests;
