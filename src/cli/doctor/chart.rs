//! What the doctor found, how bad it is, and how that is shown.

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::screen::{Screen, Tone, counted, plain};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and somebody should look at it.
    Warn,
    /// It does not work, or loses data when the power goes.
    Bad,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// Checks whose mistakes are the operator's files, not the machine's state: the command ends with 2, as `check` does.
const FILES: [&str; 3] = ["settings", "definitions", "tables"];

/// One thing that was looked at. The names of the checks are a promise to scripts and stand in `docs/cli.md`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    /// What to do; nothing where all is well.
    #[serde(rename = "do")]
    cure: Option<String>,
    /// The numbers behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Value>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            found: found.into(),
            cure: None,
            measured: None,
        }
    }

    pub(super) fn warn(check: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::ok(check, found).judged(Verdict::Warn, cure)
    }

    pub(super) fn bad(check: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::ok(check, found).judged(Verdict::Bad, cure)
    }

    /// The same finding with another verdict; advice goes with anything but `Ok`.
    pub(super) fn judged(mut self, verdict: Verdict, cure: impl Into<String>) -> Self {
        self.verdict = verdict;
        self.cure = (verdict != Verdict::Ok).then(|| cure.into());
        self
    }

    /// The same finding with its numbers.
    pub(super) fn measured(mut self, numbers: Value) -> Self {
        self.measured = Some(numbers);
        self
    }

    #[cfg(test)]
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        format!("{} | {}", self.found, self.cure.as_deref().unwrap_or_default())
    }
}

/// Everything that was looked at, in order.
#[derive(Debug, Default)]
pub(super) struct Chart {
    findings: Vec<Finding>,
}

impl Chart {
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Prints it all and says how the command ends.
    pub(super) fn conclude(&self, screen: &Screen) -> Exit {
        if screen.is_json() {
            screen.json(&json!({"verdict": self.worst(), "checks": self.findings}));
        } else {
            for finding in &self.findings {
                print(screen, finding);
            }
            screen.line(self.summary());
        }
        self.exit()
    }

    fn worst(&self) -> Verdict {
        let verdicts = self.findings.iter().map(|finding| finding.verdict);
        verdicts.max().unwrap_or(Verdict::Ok)
    }

    fn exit(&self) -> Exit {
        let mut bad = self.findings.iter().filter(|finding| finding.verdict == Verdict::Bad);
        match bad.clone().next() {
            None => Exit::Ok,
            Some(_) if bad.any(|finding| FILES.contains(&finding.check)) => Exit::Usage,
            Some(_) => Exit::Failed,
        }
    }

    fn summary(&self) -> String {
        let count = |verdict| self.findings.iter().filter(|f| f.verdict == verdict).count() as u64;
        match (count(Verdict::Bad), count(Verdict::Warn)) {
            (0, 0) => "All is well.".to_owned(),
            (0, warnings) => format!("{}, nothing bad.", counted(warnings, "warning")),
            (bad, 0) => format!("{bad} bad."),
            (bad, warnings) => format!("{bad} bad, {}.", counted(warnings, "warning")),
        }
    }
}

fn print(screen: &Screen, finding: &Finding) {
    let tone = match finding.verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warn => Tone::Warning,
        Verdict::Bad => Tone::Bad,
    };
    // Padded before it is painted: colours have no width.
    let word = screen.paint(tone, &format!("{:<4}", finding.verdict.word()));
    let name = finding.check.replace('_', " ");
    screen.line(format!("{word}  {name:<16}{}", plain(&finding.found)));
    if let Some(cure) = &finding.cure {
        screen.line(format!("{:22}{}", "", plain(cure)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_files_from_the_machine_and_lets_warnings_pass() {
        let exit = |findings: &[Finding]| {
            let findings = findings.to_vec();
            Chart { findings }.exit()
        };
        let warning = Finding::warn("clock", "late", "wind it");
        let broken = Finding::bad("store", "away", "start it");
        let mistake = Finding::bad("settings", "odd", "write it anew");
        assert_eq!(exit(std::slice::from_ref(&warning)), Exit::Ok);
        assert_eq!(exit(&[warning, broken.clone()]), Exit::Failed);
        assert_eq!(exit(&[broken, mistake]), Exit::Usage);
    }

    #[test]
    fn advice_goes_with_what_needs_it_only() {
        let fine = Finding::ok("clock", "right").judged(Verdict::Ok, "wind it");
        assert_eq!(fine.cure, None);
        assert_eq!(fine.judged(Verdict::Warn, "wind it").cure.as_deref(), Some("wind it"));
    }
}
