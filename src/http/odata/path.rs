//! What a path below `/data/` or `/metadata/` addresses (OD-2).

use super::key::key;

/// A set, or something of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// The set.
    pub set: String,
    /// The key, each value with its name where that is told.
    pub key: Option<Vec<(Option<String>, String)>>,
    /// What follows: a navigation property, an action, `$count`.
    pub rest: String,
}

impl Path {
    /// Reads a decoded path.
    ///
    /// # Errors
    /// What of it cannot be read, in a sentence.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let end = text.find(['(', '/']).unwrap_or(text.len());
        let (set, behind) = text.split_at(end);
        let (found, rest) = match behind.strip_prefix('(') {
            Some(behind) => {
                let end = closing(behind).ok_or_else(|| format!("the key in {text} is not closed by a )"))?;
                (Some(key(&behind[..end])?), &behind[end + 1..])
            }
            None => (None, behind),
        };
        Ok(Self {
            set: set.to_owned(),
            key: found,
            rest: rest.trim_start_matches('/').to_owned(),
        })
    }
}

/// Where the parenthesis is closed, outside quotes.
fn closing(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    text.char_indices().find_map(|(at, c)| {
        is_quoted ^= c == '\'';
        (c == ')' && !is_quoted).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_rows_and_what_they_lead_to_are_told_apart() {
        let read = |text: &str| Path::read(text).expect(text);
        assert_eq!(read("Things").key, None);
        assert_eq!(read("Things/$count").rest, "$count");
        let path = read("Things('a/b)''c')/Details");
        assert_eq!((path.set.as_str(), path.rest.as_str()), ("Things", "Details"));
        assert_eq!(path.key, Some(vec![(None, "a/b)'c".to_owned())]));
        for wrong in ["Things('a'", "Things('a)", "Things()"] {
            assert!(Path::read(wrong).is_err(), "{wrong}");
        }
    }
}
