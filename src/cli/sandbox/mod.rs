//! `tranship sandbox`: what developers of clients do to a service that was started with `serve --sandbox`.

mod clock;
mod faults;
mod journal;
mod reset;

use clap::Subcommand;

use super::api::Api;
use super::connection::Connection;
use super::screen::Screen;
use super::{Exit, Failure};

/// Play with a sandbox: faults, clock, reset, journal (`serve --sandbox`)
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Have things go wrong on purpose
    #[command(subcommand)]
    Faults(faults::Faults),
    /// Show and move the service's clock
    #[command(subcommand)]
    Clock(clock::Clock),
    /// Remove everything but clients, keys and definitions, and push the seed files anew
    Reset(reset::Reset),
    /// What clients sent, and what they were answered
    #[command(subcommand)]
    Journal(journal::Journal),
}

impl SandboxCommand {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::Faults(faults) => faults.connection(),
            Self::Clock(clock) => clock.connection(),
            Self::Reset(reset) => &reset.connection,
            Self::Journal(journal) => journal.connection(),
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let api = self.connection().open()?.spared();
        let done = match self {
            Self::Faults(faults) => faults.run(screen, &api).await,
            Self::Clock(clock) => clock.run(screen, &api).await,
            Self::Reset(reset) => reset.run(screen, &api).await,
            Self::Journal(journal) => journal.run(screen, &api).await,
        };
        done.map_err(|failure| no_sandbox(failure, &api))
    }
}

/// Without the flag the service does not know these paths, as it knows no others that are not there.
fn no_sandbox(failure: Failure, api: &Api) -> Failure {
    if !failure.what.starts_with("No HTTP resource was found") {
        return failure;
    }
    Failure::new(failure.exit, format!("the service at {} is no sandbox", api.base()))
        .cure("Start it with `tranship serve --sandbox`.")
}

/// A path below that of the sandbox.
fn at<'a>(path: &[&'a str]) -> Vec<&'a str> {
    ["api", "v1", "sandbox"]
        .into_iter()
        .chain(path.iter().copied())
        .collect()
}
