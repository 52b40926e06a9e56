//! The program: parse, run, end.

use std::process::ExitCode;

/// Requests are many small pieces of memory on many threads, which the system's allocator hands out slowly. Debug builds keep
/// that one, whose heap tools can look into.
#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match tranship::cli::Cli::read() {
        Ok(cli) => tranship::cli::run(cli).await,
        Err(exit) => exit,
    }
}
