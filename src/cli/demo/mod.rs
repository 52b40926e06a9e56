//! `tranship demo`: the whole journey on sample data, in a folder of its own.
//!
//! Starts the real service on a free port and then talks to it only over HTTP, as anybody would. Every claim it prints
//! is checked first; one that does not hold makes the command fail.

mod mistakes;
mod package;
mod promises;
mod scratch;
mod story;

use std::path::Path;

use super::screen::{Screen, Tone};
use super::shell::{program, quoted};
use super::{Exit, Failure};
use crate::app::{App, AppOptions, Background, FirstClient};
use crate::clock::Clock;
use promises::Promises;
use story::{Guide, Told};

/// See the whole journey on sample data, in a folder of its own
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts the real service on a free port with everything in a folder of its own, pushes customers and a sales-order file
with three bad records, takes the three out, corrects and resubmits them, runs the nightly export, collects, verifies and
acknowledges it. Everything it claims is checked; it ends with 1 when something does not hold.")]
pub struct Demo {
    /// End when the journey is over instead of staying up
    #[arg(long)]
    exit: bool,
    /// Print the result as JSON; implies --exit
    #[arg(long)]
    pub(super) json: bool,
}

impl Demo {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let ends = self.exit || self.json;
        let folder = scratch::create().await?;
        let config = scratch::config(&folder)?;
        let options = AppOptions {
            clock: Clock::system(),
            first_client: FirstClient::WhenLoopback,
            background: Background::On,
        };
        let app = App::build(config, options)
            .await
            .map_err(|error| Failure::failed(format!("{error:#}")))?;
        let (id, secret) = app
            .first_client()
            .ok_or_else(|| Failure::failed("the service made no first client in an empty store"))?;
        let address = format!("http://{}", app.address());
        let stop = app.stop_handle();
        let console = app
            .console_link()
            .await
            .map_err(|error| Failure::failed(format!("{error:#}")))?;
        let guide = Guide::new(screen, &folder, &address, &id, &secret)?;

        let mut running = Box::pin(app.run());
        let ended = tokio::select! {
            ended = &mut running => {
                ended.map_err(|error| Failure::failed(format!("{error:#}")))?;
                return Err(Failure::failed("stopped before the journey was over"));
            }
            told = Box::pin(guide.tell()) => told,
        };
        let exit = if let Ok(told) = &ended {
            summary(screen, &told.promises, &folder, &address, ends)
        } else {
            screen.note(format!("What was done so far is in {}", folder.display()));
            Exit::Failed
        };
        if let (Ok(told), false) = (&ended, ends) {
            stay(screen, told, &folder, &address, (&id, &secret));
            if let Some(link) = console {
                screen.line(format!("Console  {}", screen.paint(Tone::Strong, &link)));
            }
        } else {
            stop.cancel();
        }
        running.await.map_err(|error| Failure::failed(format!("{error:#}")))?;
        ended.map(|_| exit)
    }
}

/// One line per promise, and where everything is.
fn summary(screen: &Screen, promises: &Promises, folder: &Path, address: &str, ends: bool) -> Exit {
    let kept = promises.all_kept();
    if screen.is_json() {
        screen.json(&serde_json::json!({"ok": kept, "promises": promises, "folder": folder, "url": address}));
    } else {
        screen.line("");
        screen.line(screen.paint(Tone::Strong, "What was promised"));
        promises.print(screen);
        screen.line("");
        let fate = if ends { "  (it may be deleted)" } else { "" };
        screen.line(format!("Folder   {}{fate}", folder.display()));
    }
    if kept { Exit::Ok } else { Exit::Failed }
}

/// What to try while the service stays up.
fn stay(screen: &Screen, told: &Told, folder: &Path, address: &str, (id, secret): (&str, &str)) {
    let program = program();
    screen.line(format!("Service  {address}"));
    screen.line("");
    screen.line("It stays up until Ctrl-C. In another terminal:");
    screen.line("");
    let commands = [
        format!(
            "export TRANSHIP_URL={address} TRANSHIP_CLIENT_ID={} TRANSHIP_CLIENT_SECRET={}",
            quoted(id),
            quoted(secret)
        ),
        format!("{program} jobs list"),
        format!("{program} messages list"),
        format!("{program} status {}", told.orders),
        format!("{program} messages rejects {}", told.orders),
        format!("{program} jobs run {} --wait", quoted(&told.export_job)),
        format!(
            "{program} pull --job {} --out {} --ack",
            quoted(&told.export_job),
            quoted(&folder.join("collected").to_string_lossy())
        ),
        format!("curl -s {address}/health/ready"),
    ];
    for command in commands {
        screen.line(format!("  {}", screen.paint(Tone::Strong, &command)));
    }
    screen.line("");
}
