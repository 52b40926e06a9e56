//! Clients: what they may be called, and what they may do beyond the jobs that list them.

/// Longest name, in characters.
pub const NAME_CHARS_MAX: usize = 100;

/// What is wrong with a client's name; `None`: nothing.
#[must_use]
pub fn name_flaw(name: &str) -> Option<String> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    let is_odd = !fits || name.trim() != name || name.chars().any(char::is_control);
    is_odd.then(|| format!("1 to {NAME_CHARS_MAX} characters, no space at the ends"))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_name_has_no_space_at_its_ends() {
        assert_eq!(name_flaw("shop middleware"), None);
        for bad in ["", " a", "a ", "a\nb", &"x".repeat(101)] {
            assert!(name_flaw(bad).is_some(), "{bad:?}");
        }
    }
}
