//! The program: parse, run, end.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    tranship::cli::run(tranship::cli::Cli::parse()).await
}
