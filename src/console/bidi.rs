//! Characters that turn text around, made visible: in the text of a page their code stands in their place. Fields keep them, because what is
//! in there is sent back.

use std::fmt::Write as _;

use crate::domain::bidi::turns;

/// A page with the characters to be seen.
pub(super) fn shown(page: String) -> String {
    if !page.contains(turns) {
        return page;
    }
    let mut out = String::with_capacity(page.len() + 64);
    let mut rest = page.as_str();
    while let Some(at) = rest.find('<') {
        text(&mut out, &rest[..at]);
        rest = &rest[at..];
        // What stands in a tag or a field is left alone. Pages have no `>` in attributes: it is escaped there.
        let field = rest
            .starts_with("<textarea")
            .then(|| rest.find("</textarea>"))
            .flatten();
        let end = field.or_else(|| rest.find('>')).unwrap_or(rest.len() - 1);
        out.push_str(&rest[..=end]);
        rest = &rest[end + 1..];
    }
    text(&mut out, rest);
    out
}

fn text(out: &mut String, text: &str) {
    for c in text.chars() {
        if turns(c) {
            let _ = write!(out, "⟨U+{:04X}⟩", u32::from(c));
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_turns_text_around_is_seen_and_fields_keep_it() {
        let turned = "a\u{202e}b";
        let page = format!(
            "<p title=\"{turned}\">{turned}</p><input value=\"{turned}\"><textarea name=\"x\">\n{turned} &lt;</textarea><i>{turned}</i>\u{2067}"
        );
        let wanted = format!(
            "<p title=\"{turned}\">a⟨U+202E⟩b</p><input value=\"{turned}\"><textarea name=\"x\">\n{turned} &lt;</textarea>\
             <i>a⟨U+202E⟩b</i>⟨U+2067⟩"
        );
        assert_eq!(shown(page), wanted);
        for whole in ["", "<p>plain</p>", "\u{200f}שלום"] {
            assert_eq!(shown(whole.to_owned()), whole);
        }
        assert_eq!(shown("\u{202e}<p".to_owned()), "⟨U+202E⟩<p");
    }
}
