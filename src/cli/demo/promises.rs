//! What the demo claims, each with whether it held.

use serde::Serialize;

use crate::cli::screen::{Screen, Tone};

/// The claims, in the order they were checked.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Promises(Vec<Promise>);

#[derive(Debug, Serialize)]
struct Promise {
    #[serde(rename = "promise")]
    claim: &'static str,
    kept: bool,
    found: String,
}

impl Promises {
    /// Adds a claim: whether it held, and what was found.
    pub(super) fn add(&mut self, claim: &'static str, kept: bool, found: impl Into<String>) {
        self.0.push(Promise {
            claim,
            kept,
            found: found.into(),
        });
    }

    /// Whether every claim held. No claim at all is nothing to be proud of.
    pub(super) fn all_kept(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|promise| promise.kept)
    }

    /// One line per claim.
    pub(super) fn print(&self, screen: &Screen) {
        let width = self
            .0
            .iter()
            .map(|promise| promise.claim.chars().count())
            .max()
            .unwrap_or(0);
        for promise in &self.0 {
            let mark = if promise.kept {
                screen.paint(Tone::Good, "✓")
            } else {
                screen.paint(Tone::Bad, "✗")
            };
            let claim = promise.claim;
            let found = screen.paint(if promise.kept { Tone::Faint } else { Tone::Bad }, &promise.found);
            screen.line(format!("  {mark} {claim:<width$}  {found}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_promise_is_enough() {
        let mut promises = Promises::default();
        assert!(!promises.all_kept());
        promises.add("a", true, "1");
        assert!(promises.all_kept());
        promises.add("b", false, "2");
        assert!(!promises.all_kept());
    }
}
