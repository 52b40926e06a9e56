//! Typed reading of gathered settings: every wrong value is a mistake with its place, and reading goes on with the default.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::Mistake;
use super::layers::{Origin, Raw, Values, Written};
use crate::hints::nearest;

/// Reads keys and remembers which there are.
pub(super) struct Reader<'a> {
    values: &'a Values,
    defaults: &'a Values,
    known: RefCell<BTreeSet<String>>,
    bad: RefCell<BTreeSet<String>>,
    mistakes: RefCell<Vec<(Origin, Mistake)>>,
}

impl<'a> Reader<'a> {
    /// Nothing read yet.
    pub fn new(values: &'a Values, defaults: &'a Values) -> Self {
        Self {
            values,
            defaults,
            known: RefCell::default(),
            bad: RefCell::default(),
            mistakes: RefCell::default(),
        }
    }

    /// Notes a mistake at the place this key was written.
    pub fn blame(&self, key: &str, message: impl Into<String>) {
        // A key that is missing is missed where its section stands.
        let section = key.rsplit_once('.').map_or(key, |(section, _)| section);
        let neighbour = || {
            self.values
                .iter()
                .find(|(other, _)| other.starts_with(section))
                .map(|(_, written)| written)
        };
        let written = self.values.get(key).or_else(neighbour);
        let (origin, place) = written.map_or((Origin::Default, "default"), |written| (written.origin, &written.place));
        let (place, message) = (place.to_owned(), message.into());
        self.bad.borrow_mut().insert(key.to_owned());
        self.mistakes.borrow_mut().push((origin, Mistake { place, message }));
    }

    /// Notes a mistake about two keys, at the one that was written last; silent when either is wrong by itself.
    pub fn blame_pair(&self, first: &str, second: &str, message: impl Into<String>) {
        let bad = |key| self.bad.borrow().contains(key);
        if bad(first) || bad(second) {
            return;
        }
        let origin = |key: &str| self.values.get(key).map(|written| written.origin);
        let key = if origin(first) == Some(Origin::Default) {
            second
        } else {
            first
        };
        self.blame(key, message);
    }

    fn written(&self, key: &str) -> Option<&'a Written> {
        self.known.borrow_mut().insert(key.to_owned());
        self.values.get(key)
    }

    /// A whole number within limits.
    pub fn number<T: TryFrom<u64>>(&self, key: &str, fallback: &str, limits: RangeInclusive<u64>) -> T {
        let default = || match &self.defaults[fallback].raw {
            Raw::Number(text) => text.parse().expect("a test reads the embedded defaults"),
            other => unreachable!("the default of {fallback} is {other:?}"),
        };
        let number = self.written(key).map(|written| whole_number(&written.raw, &limits));
        let number = number.unwrap_or_else(|| Ok(default())).unwrap_or_else(|flaw| {
            self.blame(key, format!("`{key}` {flaw}"));
            default()
        });
        let number = T::try_from(number).ok();
        number.expect("the limits of every setting fit its type")
    }

    /// True or false; the default stands under the same key.
    pub fn truth(&self, key: &str) -> bool {
        let read = |raw: &Raw| match raw {
            Raw::Truth(truth) => Some(*truth),
            Raw::Words(text) => text.trim().parse().ok(),
            _ => None,
        };
        let default = || read(&self.defaults[key].raw).expect("a test reads the embedded defaults");
        self.written(key).map_or_else(default, |written| {
            read(&written.raw).unwrap_or_else(|| {
                self.blame(
                    key,
                    format!("`{key}` must be true or false, not {}", describe(&written.raw)),
                );
                default()
            })
        })
    }

    /// A text; `None` when nothing is written or it is wrong.
    pub fn text(&self, key: &str) -> Option<String> {
        match &self.written(key)?.raw {
            Raw::Text(text) | Raw::Words(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Raw::Text(_) | Raw::Words(_) => {
                self.blame(key, format!("`{key}` is empty; leave it out"));
                None
            }
            other => {
                self.blame(
                    key,
                    format!("`{key}` must be a text in quotes, not {}", describe(other)),
                );
                None
            }
        }
    }

    /// A text that must be written somewhere.
    pub fn required_text(&self, key: &str) -> Option<String> {
        if !self.values.contains_key(key) {
            self.blame(key, format!("`{key}` is missing"));
        }
        self.text(key)
    }

    /// A text that has a default.
    pub fn text_or_default(&self, key: &str) -> String {
        self.text(key).unwrap_or_else(|| match &self.defaults[key].raw {
            Raw::Text(text) => text.clone(),
            other => unreachable!("the default of {key} is {other:?}"),
        })
    }

    /// A list of texts; from a variable, separated by commas.
    pub fn list(&self, key: &str) -> Vec<String> {
        match self.written(key).map(|written| &written.raw) {
            None => Vec::new(),
            Some(Raw::List(items)) => items.clone(),
            Some(Raw::Words(text)) => text
                .split(',')
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect(),
            Some(other) => {
                self.blame(key, format!("`{key}` must be a list of texts, not {}", describe(other)));
                Vec::new()
            }
        }
    }

    /// The names of sections below a section.
    pub fn names_below(&self, section: &str) -> BTreeSet<String> {
        let below = |key: &'a String| key.strip_prefix(section)?.strip_prefix('.')?.split_once('.');
        let names = self.values.keys().filter_map(below);
        names.map(|(name, _)| name.to_owned()).collect()
    }

    /// What is written below a section, dots included.
    pub fn keys_below(&self, section: &str) -> Vec<String> {
        let below = |key: &'a String| key.strip_prefix(section)?.strip_prefix('.');
        self.values.keys().filter_map(below).map(str::to_owned).collect()
    }

    /// Every key that was asked for.
    #[cfg(test)]
    pub fn known_keys(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }

    /// Every mistake, unknown keys included, in the order of layers and lines.
    pub fn finish(self) -> Vec<Mistake> {
        for (key, written) in self.values {
            if !self.known.borrow().contains(key) {
                let message = self.unknown(key, written);
                self.blame(key, message);
            }
        }
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_cached_key(|(origin, mistake)| {
            let (file, line) = mistake.place.rsplit_once(':').unwrap_or((&mistake.place, "0"));
            (
                *origin,
                file.to_owned(),
                line.parse::<usize>().unwrap_or(0),
                mistake.message.clone(),
            )
        });
        mistakes.into_iter().map(|(_, mistake)| mistake).collect()
    }

    fn unknown(&self, key: &str, written: &Written) -> String {
        let known = self.known.borrow();
        if known
            .iter()
            .any(|other| other.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
        {
            return format!("`{key}` is a section, not a value; write its keys below [{key}]");
        }
        // The right word in the wrong section is as likely as a slip of the pen.
        let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
        let meant = nearest(key, known.iter().map(String::as_str))
            .or_else(|| known.iter().find(|other| last(other) == last(key)).map(String::as_str));
        let hint = meant.map_or_else(String::new, |meant| {
            format!("; did you mean `{}`?", written.origin.spell(meant))
        });
        format!("unknown key `{key}`{hint}")
    }
}

/// The number, or how the sentence about its key goes on.
fn whole_number(raw: &Raw, limits: &RangeInclusive<u64>) -> Result<u64, String> {
    let (Raw::Number(text) | Raw::Words(text)) = raw else {
        return Err(format!("must be a whole number, not {}", describe(raw)));
    };
    let Ok(number) = text.trim().parse::<i128>() else {
        return Err(format!("must be a whole number, not `{text}`"));
    };
    let within = u64::try_from(number).ok().filter(|number| limits.contains(number));
    within.ok_or_else(|| format!("is {number}, allowed is {} to {}", limits.start(), limits.end()))
}

fn describe(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) | Raw::Words(text) => format!("the text `{text}`"),
        Raw::Number(number) => format!("the number {number}"),
        Raw::Truth(truth) => format!("`{truth}`"),
        Raw::List(_) => "a list".to_owned(),
        Raw::Other("integer") => "a number as large as that".to_owned(),
        Raw::Other(kind) => format!("a value of type {kind}"),
    }
}
