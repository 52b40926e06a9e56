//! `tranship agent`: folders to the service and back.

mod plan;
mod status;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::screen::{Screen, counted};
use super::settings::environment;
use super::{Exit, Failure};
use crate::agent::config::AgentConfig;
use crate::agent::trouble::Kind;
use crate::agent::{self, StartError, Summary, Until};
use crate::app;
use crate::clock::Clock;
use crate::telemetry;

/// Send what lies in folders, collect into folders
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works until SIGTERM or Ctrl-C, which end it after what it is doing; a second one ends it at once. What a crash cuts short goes
on at the next start. Logs go to standard error, for people on a terminal and as JSON otherwise; RUST_LOG filters them.
docs/agent.md describes the file.

Examples:
  tranship agent --config agent.toml --check
  tranship agent --config agent.toml
  tranship agent --config agent.toml --status")]
pub struct Agent {
    /// What it is to do
    #[arg(long, value_name = "FILE", default_value = "agent.toml")]
    config: PathBuf,
    #[command(flatten)]
    mode: Mode,
    /// With --once: leave what has not ended after so long to the next time
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "once")]
    wait: u64,
    /// Print the result of --check or --status as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What to do instead of working until told to stop.
#[derive(Debug, clap::Args)]
struct Mode {
    /// Check the file and say what would be done; nothing is sent, moved or made
    #[arg(long, conflicts_with_all = ["once", "status"])]
    check: bool,
    /// Work through what is there, then end; exports are started whatever their schedules say
    #[arg(long, conflicts_with = "status")]
    once: bool,
    /// Say how each folder stands, and what went wrong last
    #[arg(long)]
    status: bool,
}

impl Agent {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let config = load(&self.config)?;
        if self.mode.check {
            return plan::print(screen, &config);
        }
        if self.mode.status {
            return status::print(screen, &config);
        }
        let filter = environment().into_iter().find(|(name, _)| name == "RUST_LOG");
        telemetry::init(
            std::io::stderr().is_terminal(),
            filter.as_ref().map(|(_, value)| value.as_str()),
        );
        let until = if self.mode.once {
            Until::Idle(Duration::from_secs(self.wait))
        } else {
            Until::Stopped
        };
        let stopping = CancellationToken::new();
        let folders = config.sends.len() + config.collects.len();
        tracing::info!(config = %self.config.display(), server = %config.server.url, folders, "agent started");
        let working = agent::run(&config, Clock::system(), until, stopping.clone());
        tokio::pin!(working);
        let summary = tokio::select! {
            summary = &mut working => summary,
            () = app::signal() => {
                tracing::info!("stopping after what is being done");
                stopping.cancel();
                tokio::select! {
                    summary = &mut working => summary,
                    () = app::signal() => return Err(Failure::failed("stopped at once; the next start goes on from here")),
                }
            }
        };
        let summary = summary.map_err(|error| refusal(&error))?;
        tracing::info!("agent ended");
        if self.mode.once { ending(summary) } else { Ok(Exit::Ok) }
    }
}

/// Every mistake of the file is told at once.
fn load(path: &Path) -> Result<AgentConfig, Failure> {
    AgentConfig::load(path).map_err(|mistakes| {
        let list: Vec<_> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
        let count = counted(mistakes.len() as u64, "mistake");
        Failure::usage(format!("{} has {count}", path.display())).cure(list.join("\n"))
    })
}

fn refusal(error: &StartError) -> Failure {
    let failure = Failure::failed(error.to_string());
    match error {
        StartError::Journal(agent::journal::JournalError::Taken(_)) => failure.cure(
            "One agent works with a `state_dir`; end the other, or give this one its own folder and its own files.",
        ),
        StartError::Journal(agent::journal::JournalError::Damaged { .. }) => {
            failure.cure("Take the line out only if you know what it was about: what it began is forgotten then.")
        }
        StartError::Client(_) => Failure::usage(error.to_string()),
        StartError::Journal(_) | StartError::Folder { .. } => failure,
    }
}

/// How `--once` ends: with what is still in the way, else with what failed.
fn ending(summary: Summary) -> Result<Exit, Failure> {
    let exit = match summary.trouble {
        Some(Kind::Away) => Exit::Unreachable,
        Some(Kind::NotAllowed) => Exit::Refused,
        Some(Kind::Failed | Kind::Refused | Kind::Local) => Exit::Failed,
        None if summary.failed > 0 => Exit::Rejected,
        None => return Ok(Exit::Ok),
    };
    let what = match summary.failed {
        0 => "not everything could be done".to_owned(),
        failed => format!("{} failed", counted(failed, "file")),
    };
    Err(Failure::new(exit, what).cure("`tranship agent --status` says where and why."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_decides_before_what_failed() {
        let exit = |trouble, failed| match ending(Summary { failed, trouble }) {
            Ok(exit) => exit,
            Err(failure) => failure.exit,
        };
        assert_eq!(exit(None, 0), Exit::Ok);
        assert_eq!(exit(None, 2), Exit::Rejected);
        assert_eq!(exit(Some(Kind::Away), 2), Exit::Unreachable);
        assert_eq!(exit(Some(Kind::NotAllowed), 0), Exit::Refused);
        assert_eq!(exit(Some(Kind::Local), 0), Exit::Failed);
    }
}
