//! Progress on a terminal: bars for bytes, a spinner for waiting. Drawn on standard error, hidden when that is a pipe.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::answers::Message;
use super::screen::{Screen, count, plain};

const SPINNER_MILLISECONDS: u64 = 90;

/// A bar over a known number of bytes, or a counter where the number is not known.
#[must_use]
pub fn bytes(screen: &Screen, what: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{msg} {bar:32.cyan/dim} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
        ),
        None => (
            ProgressBar::no_length(),
            "{spinner:.cyan} {msg} {bytes}  {bytes_per_sec}",
        ),
    };
    dressed(screen, &bar, template);
    bar.set_message(plain(what));
    bar
}

/// A bar over a number of messages, which may turn out to be more.
#[must_use]
pub fn messages(screen: &Screen, what: &str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    dressed(
        screen,
        &bar,
        "{msg} {bar:32.cyan/dim} {human_pos} of {human_len}  {per_sec}  {eta} left",
    );
    bar.set_message(plain(what));
    bar
}

/// A spinner with a text that changes.
#[must_use]
pub fn spinner(screen: &Screen) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    dressed(screen, &bar, "{spinner:.cyan} {msg}");
    bar.enable_steady_tick(Duration::from_millis(SPINNER_MILLISECONDS));
    bar
}

/// A message's standing in one line, for a spinner.
#[must_use]
pub fn standing(message: &Message) -> String {
    let records = message.records;
    let mut text = plain(&message.status);
    for (number, word) in [
        (records.read, "read"),
        (records.applied, "applied"),
        (records.rejected, "rejected"),
        (records.skipped, "skipped"),
    ] {
        if number > 0 {
            let _ = write!(text, " · {} {word}", count(number));
        }
    }
    text
}

/// Takes the bar away at the end of a scope, however that is left.
#[derive(Debug, Clone)]
pub struct Cleared(Arc<Guard>);

#[derive(Debug)]
struct Guard(ProgressBar);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl From<ProgressBar> for Cleared {
    fn from(bar: ProgressBar) -> Self {
        Self(Arc::new(Guard(bar)))
    }
}

impl std::ops::Deref for Cleared {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.0.0
    }
}

fn dressed(screen: &Screen, bar: &ProgressBar, template: &str) {
    // The draw target hides itself when standard error is no terminal; JSON output wants no company either.
    if screen.is_json() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸─"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_names_only_what_there_is() {
        let message: Message = serde_json::from_value(serde_json::json!({
            "id": "m", "status": "Processing", "records": {"read": 8300, "rejected": 3}
        }))
        .expect("a status body");
        assert_eq!(standing(&message), "Processing · 8,300 read · 3 rejected");
    }
}
