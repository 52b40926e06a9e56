//! The pages hang together: each is in the table of contents of the book, and no link leads nowhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{files, repository};

#[test]
fn every_page_is_in_the_table_of_contents() {
    let docs = repository("docs");
    let contents = docs.join("SUMMARY.md");
    let listed: BTreeSet<PathBuf> = links(&contents)
        .iter()
        .filter_map(|link| link.path.canonicalize().ok())
        .collect();
    for page in files(&docs, ".md").iter().filter(|page| **page != contents) {
        let page = page.canonicalize().expect("it is there");
        assert!(
            listed.contains(&page),
            "docs/SUMMARY.md does not lead to {}",
            page.display()
        );
    }
}

#[test]
fn no_link_leads_nowhere() {
    let mut pages = vec![
        repository("README.md"),
        repository("CONTRIBUTING.md"),
        repository("CHANGELOG.md"),
    ];
    for folder in ["docs", "jobs", "entities", "samples"] {
        pages.extend(files(&repository(folder), ".md"));
    }
    let mut followed = 0;
    for link in pages.iter().flat_map(|page| links(page)) {
        assert!(
            link.path.exists(),
            "{}: there is no {}",
            link.place,
            link.path.display()
        );
        if let Some(section) = &link.section {
            assert!(
                sections(&link.path).contains(section),
                "{}: {} has no section #{section}",
                link.place,
                link.path.display()
            );
        }
        followed += 1;
    }
    assert!(followed > 100, "links are found: {followed}");
}

/// A link to another file of the repository.
struct Link {
    /// Where it stands, page and line.
    place: String,
    /// The file it leads to.
    path: PathBuf,
    /// Which section of it.
    section: Option<String>,
}

/// The links of a page that stay in the repository.
fn links(page: &Path) -> Vec<Link> {
    let folder = page.parent().expect("a page lies in a folder");
    let mut found = Vec::new();
    for (number, line) in prose(page) {
        for rest in line.split("](").skip(1) {
            let Some((target, _)) = rest.split_once(')') else {
                continue;
            };
            if target.contains("://") {
                continue;
            }
            let (path, section) = match target.split_once('#') {
                Some((path, section)) => (path, Some(section.to_owned())),
                None => (target, None),
            };
            found.push(Link {
                place: format!("{}:{number}", page.display()),
                path: if path.is_empty() {
                    page.to_owned()
                } else {
                    folder.join(path)
                },
                section,
            });
        }
    }
    found
}

/// The sections of a page, by the names that links give them: lower case, hyphens for blanks, no other signs.
fn sections(page: &Path) -> Vec<String> {
    prose(page)
        .into_iter()
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            title
                .chars()
                .filter(|sign| sign.is_alphanumeric() || matches!(sign, '-' | '_'))
                .collect()
        })
        .collect()
}

/// The lines of a page outside its fenced blocks, with their numbers.
fn prose(page: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let mut fenced = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((index + 1, line.to_owned()));
        }
    }
    lines
}
