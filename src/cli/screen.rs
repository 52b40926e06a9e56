//! What people see: lines on standard output, notes on standard error, JSON where it was asked for.
//!
//! Answers go to standard output and nothing else does, so that a pipe gets only what it asked for. Text that came
//! from outside (a rejected value, a file name) is printed through [`plain`], because it may hold terminal escapes.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::domain::bidi::turns;

/// Standard output and standard error of one command.
#[derive(Debug)]
pub struct Screen {
    terminal: bool,
    colour: bool,
    json: bool,
    broken: AtomicBool,
}

/// A way to set off a piece of text on a terminal that shows colours.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    /// Headings and ids.
    Strong,
    /// What is of less interest.
    Faint,
    /// What went well.
    Good,
    /// What went wrong.
    Bad,
    /// What needs a look.
    Warning,
}

impl Screen {
    /// Looks at where standard output goes.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "NO_COLOR and TERM describe the terminal, they are no settings"
    )]
    pub fn detect(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            terminal,
            colour: terminal && !unwanted,
            json,
            broken: AtomicBool::new(false),
        }
    }

    /// Whether a person is watching.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether answers are to be JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether an answer could not be written, other than to a reader that had enough.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Prints a line.
    pub fn line(&self, text: impl AsRef<str>) {
        let mut text = text.as_ref().to_owned();
        text.push('\n');
        self.write(text.as_bytes());
    }

    /// Prints bytes as they are.
    pub fn write(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush())
            // `tranship messages list | head` is no failure.
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            self.broken.store(true, Ordering::Relaxed);
        }
    }

    /// Prints an answer as JSON: indented for a person, one line for a pipe.
    pub fn json(&self, answer: &impl Serialize) {
        let text = if self.terminal {
            serde_json::to_string_pretty(answer)
        } else {
            serde_json::to_string(answer)
        };
        match text {
            Ok(text) => self.line(text),
            Err(_) => self.broken.store(true, Ordering::Relaxed),
        }
    }

    /// Says something beside the answer, on standard error; nothing in JSON mode.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
        }
    }

    /// Sets off a piece of text.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warning => "33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Prints rows in columns as wide as their widest cell; the first row is the heading.
    pub fn table(&self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let wide = |cell: &String| cell.chars().count();
        let widths: Vec<usize> = (0..columns)
            .map(|at| rows.iter().filter_map(|row| row.get(at)).map(wide).max().unwrap_or(0))
            .collect();
        for (number, row) in rows.iter().enumerate() {
            let mut text = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', width - wide(cell) + 2));
            }
            let text = text.trim_end();
            self.line(if number == 0 {
                self.paint(Tone::Faint, text)
            } else {
                text.to_owned()
            });
        }
    }
}

/// Text from outside with its control characters made visible, so that it cannot drive the terminal nor turn itself around.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || turns(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// A count as people write it: `131,412`.
#[must_use]
pub fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// A noun with its count: `1 record`, `2,155 records`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_drive_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\r\nc"), "a\\u{1b}[2Jb\\r\\nc");
        assert_eq!(plain("invoice\u{202e}fdp.exe"), "invoice\\u{202e}fdp.exe");
        assert_eq!(plain("Folk och fä HB"), "Folk och fä HB");
    }

    #[test]
    fn counts_are_written_as_people_write_them() {
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!(counted(131_412, "byte"), "131,412 bytes");
    }
}
