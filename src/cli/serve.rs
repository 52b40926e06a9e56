//! `tranship serve`: the service in the foreground, and what a person needs to know at its first start.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::screen::{Screen, Tone};
use super::settings::{Settings, environment};
use super::shell::{program, quoted};
use super::{Exit, Failure, check};
use crate::app::{App, AppOptions, Background, FirstClient};
use crate::clock::Clock;
use crate::definitions::Definitions;
use crate::domain::job::Direction;
use crate::telemetry;

/// A sample job and the file for it, where both are at hand.
const SAMPLE: (&str, &str) = ("Inbound customers", "samples/northwind/customers.csv");
/// Where client commands look unless told otherwise.
const DEFAULT_PORT: u16 = 8080;

/// Run the service until it is told to stop
#[derive(Debug, clap::Args)]
#[command(after_help = "\
SIGTERM and Ctrl-C end it after what it is doing; a second one ends it at once. Logs go to standard error, for people on
a terminal and as JSON otherwise; RUST_LOG filters them. Without settings it listens on 127.0.0.1:8080 and keeps
everything in ./data.")]
pub struct Serve {
    #[command(flatten)]
    settings: Settings,
    /// Listen for TLS too, on 127.0.0.1:8443, with a certificate of an authority made in the data folder
    #[arg(long, help_heading = "Settings")]
    dev_tls: bool,
    /// Let integration developers play: faults, a clock that jumps, reset, a journal of requests. Never for real data
    #[arg(long, help_heading = "Sandbox")]
    sandbox: bool,
    /// Let others than this machine reach the sandbox
    #[arg(long, requires = "sandbox", help_heading = "Sandbox")]
    sandbox_reachable: bool,
    /// An access token that stands for a client, which is added where it is missing; may be repeated
    #[arg(long, requires = "sandbox", value_name = "TOKEN=CLIENT", value_parser = token_client, help_heading = "Sandbox")]
    sandbox_token: Vec<(String, String)>,
    /// Files to push into an empty store and after each reset: a folder for each job, called as the job
    #[arg(long, requires = "sandbox", value_name = "DIR", help_heading = "Sandbox")]
    seed: Option<PathBuf>,
}

/// The settings that the flags of the sandbox stand for.
fn sandbox_settings(serve: &Serve) -> Vec<(String, String)> {
    let enabled = serve.sandbox.then(|| ("sandbox.enabled".to_owned(), "true".to_owned()));
    let reachable = serve
        .sandbox_reachable
        .then(|| ("sandbox.reachable".to_owned(), "true".to_owned()));
    let tokens = serve.sandbox_token.iter();
    let tokens = tokens.map(|(token, client)| (format!("sandbox.tokens.{token}"), client.clone()));
    let seed = serve.seed.as_ref();
    let seed = seed.map(|seed| ("sandbox.seed".to_owned(), seed.to_string_lossy().into_owned()));
    enabled.into_iter().chain(reachable).chain(tokens).chain(seed).collect()
}

fn token_client(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((token, client)) if !token.trim().is_empty() && !client.trim().is_empty() => {
            Ok((token.trim().to_owned(), client.trim().to_owned()))
        }
        _ => Err("write it as TOKEN=CLIENT, e.g. mock-token-for-localhost=erp".to_owned()),
    }
}

impl Serve {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let sandbox = sandbox_settings(&self);
        let mut settings = self.settings;
        settings.values.extend(sandbox);
        if self.dev_tls {
            settings.values.push(("server.dev_tls".to_owned(), "true".to_owned()));
        }
        let config = settings.load()?;
        let filter = environment()
            .into_iter()
            .find(|(name, _)| name == "RUST_LOG")
            .map(|(_, value)| value);
        telemetry::init(std::io::stderr().is_terminal(), filter.as_deref());
        // A secret shown once needs somebody to show it to.
        let first_client = if screen.is_terminal() {
            FirstClient::WhenLoopback
        } else {
            FirstClient::Never
        };
        let databases = check::open_databases(&config)?;
        let definitions = check::load_definitions(&config, &databases).await;
        databases.close().await;
        let definitions = definitions?;
        let options = AppOptions {
            clock: Clock::system(),
            first_client,
            background: Background::On,
        };
        let is_sandbox = config.sandbox.is_some();
        let app = App::build(config, options)
            .await
            .map_err(|error| Failure::failed(format!("{error:#}")))?;
        if is_sandbox {
            screen.line(screen.paint(Tone::Warning, &sandbox_line(&app)));
        }
        if let Some((address, Some(authority))) = app.tls() {
            screen.line(format!(
                "TLS on https://localhost:{}. Clients have to trust {}",
                address.port(),
                authority.display()
            ));
        }
        if let Some((id, secret)) = app.first_client() {
            for line in first_start(screen, &definitions, app.port(), (&id, &secret)) {
                screen.line(line);
            }
        }
        if screen.is_terminal()
            && let Some(link) = app
                .console_link()
                .await
                .map_err(|error| Failure::failed(format!("{error:#}")))?
        {
            screen.line(format!("Console  {}", screen.paint(Tone::Strong, &link)));
            screen.note(format!(
                "The link signs in once, soon; another one: {} console",
                program()
            ));
        }
        app.run().await.map_err(|error| Failure::failed(format!("{error:#}")))?;
        Ok(Exit::Ok)
    }
}

/// What is said of a sandbox at its start, whoever looks.
fn sandbox_line(app: &App) -> String {
    let ahead = app.context().clock.ahead_micros() / 1_000_000;
    let clock = if ahead == 0 {
        String::new()
    } else {
        format!(" Its clock is {ahead} s ahead, as it was left: `tranship sandbox clock real` takes it back.")
    };
    format!(
        "SANDBOX on http://{}: faults, a clock that jumps, reset and a journal of requests (docs/sandbox.md). Not for real data: whoever \
         may use it can remove everything.{clock}",
        app.address()
    )
}

/// The lines of a first start: three commands that work when pasted into a second terminal.
fn first_start(screen: &Screen, definitions: &Definitions, port: u16, (id, secret): (&str, &str)) -> Vec<String> {
    let program = program();
    let mut sign_in = format!(
        "export TRANSHIP_CLIENT_ID={} TRANSHIP_CLIENT_SECRET={}",
        quoted(id),
        quoted(secret)
    );
    if port != DEFAULT_PORT {
        let _ = write!(sign_in, " TRANSHIP_URL=http://127.0.0.1:{port}");
    }
    let import = definitions
        .jobs
        .iter()
        .find(|job| job.sample && job.direction == Direction::Import);
    let (job, file) = SAMPLE;
    let third = if definitions.find_job(job).is_some_and(|job| job.sample) && std::path::Path::new(file).is_file() {
        format!("{program} push {file} --job {} --wait", quoted(job))
    } else if let Some(job) = import {
        format!("{program} jobs show {}", quoted(&job.name))
    } else {
        format!("{program} messages list")
    };
    let note = "This is a first start: the client `dev` was made, for this machine and for sample jobs only.";
    let mut lines = vec![
        String::new(),
        note.to_owned(),
        "Its secret is shown this once. In another terminal:".to_owned(),
        String::new(),
    ];
    let mut commands = vec![sign_in];
    if !definitions.jobs.is_empty() {
        commands.extend([format!("{program} jobs list"), third]);
    }
    for command in commands {
        lines.push(format!("  {}", screen.paint(Tone::Strong, &command)));
    }
    if definitions.jobs.is_empty() {
        lines.push(String::new());
        lines.push(format!("There are {}.", check::NO_JOBS_YET));
    }
    lines.push(String::new());
    lines.push(format!("Clients of your own: {program} client add NAME"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_start_prints_three_commands_and_the_address_only_where_it_is_needed() {
        let screen = Screen::detect(true);
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = Definitions::load(&folder.join("jobs"), &folder.join("entities"), &["main".to_owned()])
            .expect("the sample definitions");
        let commands = |port| -> Vec<String> {
            first_start(&screen, &shipped, port, ("dev", "s3cret"))
                .into_iter()
                .filter(|line| line.starts_with("  "))
                .collect()
        };
        let usual = commands(DEFAULT_PORT);
        assert_eq!(usual.len(), 3);
        assert_eq!(
            usual[0],
            "  export TRANSHIP_CLIENT_ID=dev TRANSHIP_CLIENT_SECRET=s3cret"
        );
        assert!(commands(9)[0].ends_with("TRANSHIP_URL=http://127.0.0.1:9"));
    }
    #[test]
    fn a_first_start_without_jobs_names_the_way_to_some() {
        let screen = Screen::detect(true);
        let lines = first_start(&screen, &Definitions::default(), DEFAULT_PORT, ("dev", "s3cret")).join("\n");
        assert!(lines.contains("tranship init FILE"), "{lines}");
        assert!(!lines.contains("jobs list"), "{lines}");
    }
}
