//! A page of rows, and where the next one begins.

use std::cmp::Ordering;

use serde_json::Value;

use super::options::Options;
use super::table::Row;

/// What is answered of a set.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page {
    pub rows: Vec<Row>,
    /// How many rows there are in all, where that was asked.
    pub count: Option<usize>,
    /// Where the rest begins.
    pub next: Option<Next>,
}

/// Where a page's successor begins, for the link to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub token: String,
    /// Rows still to be left out.
    pub skip: usize,
    /// Rows still wanted.
    pub top: Option<usize>,
}

/// Rows that come one after the other, as long as there is room for them.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    options: &'a Options,
    rows: Vec<Row>,
    skip: usize,
}

impl<'a> Filling<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self {
            options,
            rows: Vec::new(),
            skip: options.skip,
        }
    }

    /// Offers a row, which may be none of those wanted.
    pub(super) fn offer(&mut self, row: Row) {
        if !self.options.filter.as_ref().is_none_or(|filter| filter.holds(&row)) {
            return;
        }
        if self.skip > 0 {
            self.skip -= 1;
        } else {
            self.rows.push(row);
        }
    }

    /// Whether the client gets no more rows than these.
    pub(super) fn is_done(&self) -> bool {
        self.options.top.is_some_and(|top| self.rows.len() >= top)
    }

    /// Whether this answer takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.is_done() || self.rows.len() >= self.options.page
    }

    /// The page, which a token leads on from where there may be more.
    pub(super) fn page(mut self, rest: Option<String>) -> Page {
        if let Some(top) = self.options.top {
            self.rows.truncate(top);
        }
        let next = rest.filter(|_| !self.is_done()).map(|token| Next {
            token,
            skip: self.skip,
            top: self.options.top.map(|top| top - self.rows.len()),
        });
        Page {
            rows: self.rows,
            count: None,
            next,
        }
    }
}

/// The page of rows that are all in memory. Its token is how many rows came before.
pub(super) fn of_rows(mut rows: Vec<Row>, options: &Options) -> Page {
    if let Some(filter) = &options.filter {
        rows.retain(|row| filter.holds(row));
    }
    rows.sort_by(|one, other| sorted(one, other, &options.order));
    let count = options.count.then_some(rows.len());
    let before: usize = options.token.as_ref().and_then(|token| token.parse().ok()).unwrap_or(0);
    let first = before.saturating_add(options.skip).min(rows.len());
    let wanted = options.top.unwrap_or(usize::MAX).min(options.page);
    let end = first.saturating_add(wanted).min(rows.len());
    let left = options.top.map(|top| top - (end - first));
    let next = (end < rows.len() && left != Some(0)).then(|| Next {
        token: end.to_string(),
        skip: 0,
        top: left,
    });
    Page {
        rows: rows.drain(first..end).collect(),
        count,
        next,
    }
}

fn sorted(one: &Row, other: &Row, order: &[(usize, bool)]) -> Ordering {
    let compared = order.iter().map(|(column, descends)| {
        let compared = compare(&one[*column], &other[*column]);
        if *descends { compared.reverse() } else { compared }
    });
    compared.fold(Ordering::Equal, Ordering::then)
}

/// None comes first.
fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.to_lowercase().cmp(&other.to_lowercase()),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Number(one), Value::Number(other)) => one.as_i64().cmp(&other.as_i64()),
        (one, other) => other.is_null().cmp(&one.is_null()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(change: impl FnOnce(&mut Options)) -> Options {
        let mut options = Options {
            page: 2,
            ..Options::default()
        };
        change(&mut options);
        options
    }

    fn rows() -> Vec<Row> {
        ["c", "A", "b", "D", "e"].iter().map(|name| vec![json!(name)]).collect()
    }

    /// All pages, following their links.
    fn all(mut options: Options) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let page = of_rows(rows(), &options);
            assert!(page.rows.len() <= options.page);
            names.extend(
                page.rows
                    .iter()
                    .map(|row| row[0].as_str().unwrap_or_default().to_owned()),
            );
            let Some(next) = page.next else { return names };
            (options.token, options.skip, options.top) = (Some(next.token), next.skip, next.top);
        }
    }

    #[test]
    fn pages_together_are_what_was_asked_for() {
        let order = |options: &mut Options| options.order = vec![(0, false)];
        assert_eq!(all(options(|_| {})), ["c", "A", "b", "D", "e"]);
        assert_eq!(all(options(order)), ["A", "b", "c", "D", "e"]);
        assert_eq!(
            all(options(|options| options.order = vec![(0, true)])),
            ["e", "D", "c", "b", "A"]
        );
        let some = options(|options| {
            order(options);
            (options.skip, options.top) = (1, Some(3));
        });
        assert_eq!(all(some), ["b", "c", "D"]);
        assert_eq!(all(options(|options| options.skip = 9)), [""; 0]);
        assert_eq!(all(options(|options| options.top = Some(0))), [""; 0]);
        let counted = options(|options| (options.count, options.top) = (true, Some(1)));
        assert_eq!(of_rows(rows(), &counted).count, Some(5));
    }

    #[test]
    fn rows_that_come_one_by_one_are_skipped_and_taken_alike() {
        let wanted = options(|options| (options.skip, options.top) = (1, Some(3)));
        let mut filling = Filling::new(&wanted);
        let mut offered = rows().into_iter();
        while !filling.is_full() {
            filling.offer(offered.next().expect("enough"));
        }
        let page = filling.page(Some("b".to_owned()));
        assert_eq!(page.rows, [[json!("A")], [json!("b")]]);
        let next = page.next.expect("one more is wanted");
        assert_eq!((next.skip, next.top), (0, Some(1)));
    }
}
