//! `tranship status`: where a message stands.

use super::bulk::message_id;
use super::connection::Connection;
use super::screen::{Screen, plain};
use super::shell::program;
use super::{Exit, Failure, show, wait};

/// Show where a message stands
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code follows the message: 0 under way or well, 3 ended with rejected records, 4 failed.

Examples:
  tranship status 0192f1c4-… --watch
  tranship status 0192f1c4-… --json | jq .records")]
pub struct Status {
    /// The message's id
    #[arg(value_name = "ID", value_parser = message_id)]
    message: String,
    /// Stay until nothing more happens to it
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Status {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let api = self.connection.open()?;
        let answer = if self.watch {
            let mut last = String::new();
            wait::message_end_or_interrupted(&api, screen, &self.message, |message| {
                // On a terminal the spinner shows every step; a log wants one line per change.
                let standing = super::progress::standing(message);
                if !screen.is_terminal() && !screen.is_json() && standing != last {
                    screen.note(&standing);
                    last = standing;
                }
            })
            .await?
        } else {
            api.message(&self.message).await?
        };
        if screen.is_json() {
            screen.json(&answer.raw);
        } else {
            show::message(screen, &answer.body);
        }
        Ok(answer.body.exit())
    }
}

/// Sends or shows the result of a message that was just enqueued: its id, and with `wait` how it ended.
///
/// # Errors
/// As [`wait::message_end`].
pub(super) async fn follow(
    api: &super::api::Api,
    screen: &Screen,
    enqueued: super::answers::Answer<super::answers::Message>,
    until_end: bool,
) -> Result<Exit, Failure> {
    if !until_end {
        if screen.is_json() {
            screen.json(&enqueued.raw);
        } else {
            screen.line(plain(&enqueued.body.id));
            screen.note(format!(
                "Follow it: {} status {} --watch",
                program(),
                plain(&enqueued.body.id)
            ));
        }
        return Ok(Exit::Ok);
    }
    if !screen.is_json() {
        screen.line(plain(&enqueued.body.id));
    }
    if enqueued.body.direction == "relay" {
        screen.note("Nobody works on a relayed file: this waits until somebody collects and acknowledges it.");
    }
    let ended = wait::message_end_or_interrupted(api, screen, &enqueued.body.id, |_| {}).await?;
    if screen.is_json() {
        screen.json(&ended.raw);
    } else {
        show::result(screen, &ended.body);
        if ended.body.records.rejected > 0 {
            screen.note(format!(
                "Take them out: {} messages rejects {} --out rejects.csv",
                program(),
                plain(&ended.body.id)
            ));
        }
    }
    Ok(ended.body.exit())
}
