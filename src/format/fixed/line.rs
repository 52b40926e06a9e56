//! One line, taken apart: the columns, what should not be behind them, our own part.

/// A line's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The columns' text, as far as it is there.
    pub columns: &'a str,
    /// What stands between them and our own part, without trailing blanks. Anything here is damage.
    pub beyond: &'a str,
    /// Our own part's reject id; empty when there is none.
    pub reject_id: &'a str,
    /// Our own part's error text.
    pub error: &'a str,
}

impl<'a> Line<'a> {
    /// Takes apart a line, without its line break, whose columns take `width` characters.
    pub fn of(text: &'a str, width: usize) -> Self {
        let (columns, rest) = split_characters(text, width);
        let (beyond, own) = rest.split_once('\t').unwrap_or((rest, ""));
        let (reject_id, error) = own.split_once('\t').unwrap_or((own, ""));
        Self {
            columns,
            beyond: beyond.trim_end_matches(' '),
            reject_id,
            error,
        }
    }
}

/// The first `count` characters, or as many as there are, and the rest.
pub(super) fn split_characters(text: &str, count: usize) -> (&str, &str) {
    let end = text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    text.split_at(end)
}
