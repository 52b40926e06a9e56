//! How far an incremental export has come.

use serde::{Deserialize, Serialize};

/// A place in the changes of one table: all before it are exported, none from it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Whose changes are counted: another database, or change tables made anew, have another history.
    pub history: String,
    /// The first change that is not exported: a transaction's number on PostgreSQL, a row's on SQLite.
    pub at: i64,
    /// The number of the attempt that took it, which the database keeps too: a database that knows only earlier ones was restored.
    pub mark: i64,
    /// What the export selects, as a digest: of another selection other records are told, changed or not.
    #[serde(default)]
    pub selection: String,
}

impl Position {
    /// Whether changes can be told that came after it, in a database at `now` that knows the mark `known_mark` and changes from
    /// `oldest` on.
    ///
    /// # Errors
    /// Why not; everything is exported then.
    pub fn continues_to(&self, now: &Self, known_mark: i64, oldest: i64) -> Result<(), &'static str> {
        if self.history != now.history {
            return Err("the changes are counted anew: the table, the database or the server is another one");
        }
        if self.at > now.at || known_mark < self.mark {
            return Err("the database was restored to a time before the last export");
        }
        if self.at < oldest {
            return Err("changes that came after the last export are not kept any more");
        }
        if self.selection != now.selection {
            return Err("the job selects other records or fields than before");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    fn position(history: &str, at: i64, mark: i64) -> Position {
        Position {
            history: history.to_owned(),
            at,
            mark,
            selection: String::new(),
        }
    }

    #[test]
    fn a_position_means_something_only_in_its_own_history() {
        let then = position("a", 10, 3);
        assert_eq!(then.continues_to(&position("a", 10, 4), 3, 0), Ok(()));
        assert_eq!(then.continues_to(&position("a", 99, 9), 8, 10), Ok(()));
        assert!(then.continues_to(&position("b", 99, 4), 3, 0).is_err());
        assert!(then.continues_to(&position("a", 9, 4), 3, 0).is_err());
        assert!(then.continues_to(&position("a", 99, 3), 2, 0).is_err());
        assert!(then.continues_to(&position("a", 99, 4), 3, 11).is_err());
        let other = Position {
            selection: "another".to_owned(),
            ..position("a", 99, 4)
        };
        assert!(then.continues_to(&other, 3, 0).is_err());
    }
}
