//! `docs/settings.md` has every setting: its tables are generated from `tranship.default.toml`, which is what the program goes by.

use std::fmt::Write as _;

use crate::repository;

#[test]
fn the_tables_are_what_the_defaults_say() {
    let tables = tables(&read("tranship.default.toml"));
    assert!(
        tables.contains("| `store.url` | `\"sqlite://{data_dir}/tranship.db\"` |"),
        "the defaults are read:\n{tables}"
    );
    assert!(
        read("docs/settings.md").ends_with(&tables),
        "docs/settings.md should end with this:\n{tables}"
    );
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A heading for each section, a row for each setting; what the comment lines above it say is what it means.
fn tables(defaults: &str) -> String {
    let (_, settings) = defaults
        .split_once("\n\n")
        .expect("an introduction, which a blank line ends");
    let mut page = Page::default();
    for line in settings.lines() {
        let comment = line.strip_prefix("# ");
        let text = comment.unwrap_or(line);
        if line.is_empty() {
            page.said.clear();
        } else if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            page.section(name);
        } else if let Some((key, value)) = setting(text) {
            page.row(key, value, comment.is_none());
        } else {
            let comment = comment.unwrap_or_else(|| panic!("neither a setting nor a comment: {line}"));
            page.said.push(comment.to_owned());
        }
    }
    page.text
}

/// Key and value of a line that sets something, commented out or not.
fn setting(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once(" = ")?;
    let is_key = |sign: char| sign.is_ascii_lowercase() || sign == '_' || sign == '-';
    (!key.is_empty() && key.chars().all(is_key)).then_some((key, value))
}

/// The page as far as it is written.
#[derive(Default)]
struct Page {
    text: String,
    /// What stands in front of a key, with its point.
    section: String,
    /// Comment lines that belong to what comes next.
    said: Vec<String>,
    in_table: bool,
}

impl Page {
    fn section(&mut self, name: &str) {
        writeln!(self.text, "\n## `[{name}]`").expect("a String takes all");
        if !self.said.is_empty() {
            writeln!(self.text, "\n{}", self.said.join(" ")).expect("a String takes all");
        }
        self.said.clear();
        self.section = format!("{name}.");
        self.in_table = false;
    }

    /// `set`: whether it is what holds, and no example.
    fn row(&mut self, key: &str, value: &str, set: bool) {
        if !self.in_table {
            self.text.push_str("\n| Setting | Default | Meaning |\n|---|---|---|\n");
            self.in_table = true;
        }
        let default = if set {
            format!("`{value}`")
        } else {
            format!("none; such as `{value}`")
        };
        writeln!(
            self.text,
            "| `{}{key}` | {default} | {} |",
            self.section,
            self.said.join(" ")
        )
        .expect("a String takes all");
        self.said.clear();
    }
}
