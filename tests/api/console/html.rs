//! As much of HTML as tells whether a page is sound: every element closed, every id once, every label of something, nothing inline.

use std::collections::BTreeSet;

/// Elements that have no end.
const VOID: [&str; 6] = ["br", "hr", "img", "input", "link", "meta"];

/// An element's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Element {
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(attribute, _)| attribute == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The elements of a page, in their order.
///
/// # Panics
/// When the page is not sound.
pub fn elements(page: &str) -> Vec<Element> {
    let (mut open, mut found, mut rest) = (Vec::<String>::new(), Vec::new(), page);
    rest = rest.strip_prefix("<!DOCTYPE html>").expect("it begins as HTML");
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "a stray > in {:?}", &rest[..at]);
        let tag = &rest[at + 1..];
        let end = end_of(tag);
        let (tag, after) = (&tag[..end], &tag[end + 1..]);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop().as_deref(),
                Some(name),
                "closed in the wrong order, before {rest:.80}"
            );
            continue;
        }
        let element = element(tag);
        assert_ne!(element.name, "style", "styles stand in their own file");
        if element.name == "script" {
            assert!(
                element.get("src").is_some() && rest.starts_with("</script>"),
                "an inline script"
            );
        }
        if !VOID.contains(&element.name.as_str()) {
            open.push(element.name.clone());
        }
        found.push(element);
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    check(&found);
    found
}

/// Where a tag ends: at the first `>` outside quotes.
fn end_of(tag: &str) -> usize {
    let mut quoted = false;
    let end = tag.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '>' && !quoted
    });
    end.map_or_else(|| panic!("no end of {tag:.80}"), |(at, _)| at)
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut attributes = Vec::new();
    while !rest.trim().is_empty() {
        rest = rest.trim_start();
        let ends = rest.find([' ', '=']).unwrap_or(rest.len());
        let name = rest[..ends].to_owned();
        rest = &rest[ends..];
        let value = match rest.strip_prefix("=\"") {
            None => String::new(),
            Some(quoted) => {
                let end = quoted.find('"').expect("the quotes are closed");
                rest = &quoted[end + 1..];
                unescaped(&quoted[..end])
            }
        };
        attributes.push((name, value));
    }
    Element {
        name: name.to_owned(),
        attributes,
    }
}

pub fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

fn check(elements: &[Element]) {
    let mut ids = BTreeSet::new();
    for element in elements {
        let mut names = BTreeSet::new();
        for (name, _) in &element.attributes {
            assert!(names.insert(name), "{name} twice in {element:?}");
            assert!(name != "style" && !name.starts_with("on"), "inline in {element:?}");
        }
        if let Some(id) = element.get("id") {
            assert!(ids.insert(id.to_owned()), "the id {id} is there twice");
        }
    }
    for element in elements {
        for reference in ["for", "aria-labelledby"] {
            let named = element.get(reference);
            assert!(named.is_none_or(|id| ids.contains(id)), "{element:?} refers to nothing");
        }
        let is_field = ["input", "select", "textarea"].contains(&element.name.as_str());
        let needs_label = is_field && !matches!(element.get("type"), Some("hidden" | "checkbox"));
        let labelled = elements
            .iter()
            .any(|label| label.name == "label" && label.get("for") == element.get("id"));
        assert!(!needs_label || labelled, "{element:?} has no label");
    }
}

/// What a reader sees: the text between the tags, spaces folded.
pub fn text(page: &str) -> String {
    let (mut out, mut inside) = (String::new(), false);
    for c in page.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    unescaped(&out.split_whitespace().collect::<Vec<_>>().join(" "))
}
