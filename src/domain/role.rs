//! What a client may do beyond the jobs that list it.

/// A client's role; `docs/operating.md` has the table of what each may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Uses the jobs that list it.
    Client,
    /// The same, and the data projects it creates by importing packages.
    Integrator,
    /// Looks at everything.
    Viewer,
    /// Looks at everything, runs and repairs.
    Operator,
    /// All of it, clients and the whole audit log included.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 5] = [
        Self::Client,
        Self::Integrator,
        Self::Viewer,
        Self::Operator,
        Self::Admin,
    ];

    /// The word in columns, JSON and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Integrator => "integrator",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub fn means(self) -> &'static str {
        match self {
            Self::Client => "uses the jobs that list it",
            Self::Integrator => "uses the jobs that list it, and creates data projects by importing packages",
            Self::Viewer => "looks at everything",
            Self::Operator => "looks at everything, runs and repairs",
            Self::Admin => "all of it, clients and the audit log included",
        }
    }

    /// The role of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether it runs and repairs what belongs to others.
    #[must_use]
    pub fn operates(self) -> bool {
        matches!(self, Self::Operator | Self::Admin)
    }
}
