//! A row that was read.

/// One row: canonical text per field (see [`crate::domain::cell::Cell`]; truth values as `Yes` and `No`, FMT-13), or nothing.
///
/// All its text stands in one piece. An export reads millions of cells, and an allocation for each would cost more than writing it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    text: String,
    cells: Vec<Place>,
}

/// Where a cell's text ends; it begins where the one before ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    end: usize,
    is_there: bool,
}

impl Row {
    /// An empty one, with room for so many cells and bytes of text.
    pub(in crate::business) fn with_capacity(cells: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            cells: Vec::with_capacity(cells),
        }
    }

    /// Adds a cell behind the last.
    pub fn push(&mut self, cell: Option<&str>) {
        self.text.push_str(cell.unwrap_or_default());
        self.cells.push(Place {
            end: self.text.len(),
            is_there: cell.is_some(),
        });
    }

    /// Takes the last cell off; nothing when there is none, or it holds nothing.
    pub fn pop(&mut self) -> Option<String> {
        let place = self.cells.pop()?;
        let text = self.text.split_off(self.cells.last().map_or(0, |last| last.end));
        place.is_there.then_some(text)
    }

    /// Its cells, in order.
    pub fn cells(&self) -> impl Iterator<Item = Option<&str>> + Clone {
        let mut start = 0;
        self.cells.iter().map(move |place| {
            let text = &self.text[start..place.end];
            start = place.end;
            place.is_there.then_some(text)
        })
    }

    /// Bytes of its text.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    fn cells(row: &Row) -> Vec<Option<&str>> {
        row.cells().collect()
    }

    #[test]
    fn cells_come_back_as_they_were_put_in() {
        let mut row = Row::with_capacity(2, 0);
        let put = [Some("é"), None, Some(""), Some("b c"), None];
        for cell in put {
            row.push(cell);
        }
        assert_eq!(cells(&row), put);
        assert_eq!(row.bytes(), 5);
        assert_eq!(row.pop(), None);
        assert_eq!(row.pop().as_deref(), Some("b c"));
        assert_eq!(row.pop().as_deref(), Some(""));
        row.push(Some("x"));
        assert_eq!(cells(&row), [Some("é"), None, Some("x")]);
        assert_eq!(Row::default().pop(), None);
    }
}
