//! Characters that turn the direction of what follows: with one a file called `invoice_[U+202E]fdp.exe` shows as `invoice_exe.pdf`.

/// Embeddings, overrides and isolates. Marks that only say which way a sign belongs are part of how some languages are written.
#[must_use]
pub fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
