//! Fenced blocks of a Markdown page.

use std::path::Path;

/// One fenced block.
pub struct Block {
    /// The info string: `toml`, `sh`, `mermaid`…
    pub info: String,
    /// Line of its first line of text, from 1.
    pub line: usize,
    /// What it holds.
    pub text: String,
}

/// All fenced blocks of a page.
pub fn blocks(page: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => {
                open = Some(Block {
                    info: info.trim().to_owned(),
                    line: index + 2,
                    text: String::new(),
                });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a fence is never closed", page.display());
    blocks
}
