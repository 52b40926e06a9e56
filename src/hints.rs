//! What reports of mistakes in files have in common: line numbers, the nearest known word, lists of allowed words.

use std::fmt::Write as _;

/// Turns byte offsets of a text into line numbers.
#[derive(Debug, Clone)]
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Indexes a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            starts: std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect(),
        }
    }

    /// The line of this offset, from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).max(1)
    }
}

/// The known word that was probably meant: at most a third of its letters differ, case aside.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?` when a known word is near, else nothing.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// `a`, `b` or `c`, each in backticks.
#[must_use]
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words = words.into_iter().collect::<Vec<_>>();
    let mut text = String::new();
    for (at, word) in words.iter().enumerate() {
        let joint = match at {
            0 => "",
            _ if at + 1 == words.len() => " or ",
            _ => ", ",
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{joint}`{word}`");
    }
    text
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to) = (from.chars().collect::<Vec<_>>(), to.chars().collect::<Vec<_>>());
    let mut rows = vec![(0..=to.len()).collect::<Vec<_>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let substitution = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = substitution.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one_and_end_with_the_text() {
        let lines = Lines::of("a\nbc\n\nd");
        let found = [0, 1, 2, 4, 5, 6, 7, 99].map(|offset| lines.line(offset));
        assert_eq!(found, [1, 1, 2, 2, 3, 4, 4, 4]);
        assert_eq!(Lines::of("").line(0), 1);
    }

    #[test]
    fn only_words_that_were_probably_meant_are_suggested() {
        let known = ["clients", "company", "data_source", "id"];
        assert_eq!(nearest("client", known), Some("clients"));
        assert_eq!(nearest("Comapny", known), Some("company"));
        assert_eq!(nearest("datasource", known), Some("data_source"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(did_you_mean("client", known), "; did you mean `clients`?");
        assert_eq!(did_you_mean("zebra", known), "");
    }

    #[test]
    fn lists_read_as_a_person_would_write_them() {
        assert_eq!(one_of(["csv"]), "`csv`");
        assert_eq!(one_of(["csv", "tsv"]), "`csv` or `tsv`");
        assert_eq!(one_of(["skip", "once", "all"]), "`skip`, `once` or `all`");
    }
}
