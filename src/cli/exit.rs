//! How a command ends: the exit codes scripts rely on, and failures that say what happened and what to do.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// How a command ended. The numbers are a promise to scripts and stand in `docs/cli.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All done.
    Ok,
    /// It failed for a reason of its own: a file, a database, an answer that makes no sense.
    Failed,
    /// The command line, the settings or the definitions are wrong; nothing was attempted.
    Usage,
    /// The message ended and some of its records were rejected.
    Rejected,
    /// The message failed as a whole, was cancelled, or expired.
    MessageFailed,
    /// The service does not know it, or this client may not.
    Refused,
    /// The service could not be reached or is not able to answer now.
    Unreachable,
}

impl Exit {
    /// Every ending, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Rejected,
        Self::MessageFailed,
        Self::Refused,
        Self::Unreachable,
    ];

    /// The number the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Rejected => 3,
            Self::MessageFailed => 4,
            Self::Refused => 5,
            Self::Unreachable => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What happened, in a sentence.
    pub what: String,
    /// What to do about it.
    pub cure: Option<String>,
}

impl Failure {
    /// A failure without advice.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            cure: None,
        }
    }

    /// A failure of [`Exit::Failed`].
    #[must_use]
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// A failure of [`Exit::Usage`].
    #[must_use]
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// A file that could not be read or written; `verb` completes "cannot ...".
    #[must_use]
    pub fn file(verb: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::failed(format!("cannot {verb} {}: {error}", path.display()))
    }

    /// The same failure with advice.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.cure {
            Some(cure) => write!(f, "\n{cure}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_has_the_number_of_the_documentation() {
        let numbers: Vec<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
        let page = include_str!("../../docs/cli.md");
        for exit in Exit::ALL {
            assert!(
                page.contains(&format!("| {} |", exit.code())),
                "{exit:?} is not in docs/cli.md"
            );
        }
    }

    #[test]
    fn a_failure_says_what_happened_and_then_what_to_do() {
        let failure = Failure::failed("it broke").cure("mend it");
        assert_eq!(failure.to_string(), "error: it broke\nmend it");
    }
}
