//! Every TOML block in the documentation is a whole file that Tranship takes: an entity, a job, or settings. (The shell
//! blocks are run by the process tests.)

use std::path::{Path, PathBuf};

use tranship::config::{Config, Overrides};
use tranship::definitions::Definitions;

use crate::markdown::{Block, blocks};
use crate::{files, repository};

/// What a block is, told by the keys only one kind of file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Entity,
    Job,
    Settings,
}

fn kind(table: &toml::Table) -> Kind {
    if table.contains_key("direction") {
        Kind::Job
    } else if table.contains_key("table") {
        Kind::Entity
    } else {
        Kind::Settings
    }
}

#[test]
fn every_toml_snippet_is_taken() {
    let mut taken = Vec::new();
    for page in pages() {
        let snippets: Vec<(Block, toml::Table)> = blocks(&page)
            .into_iter()
            .filter(|block| block.info == "toml")
            .map(|block| {
                let table = block
                    .text
                    .parse()
                    .unwrap_or_else(|error| panic!("{}: {error}", place(&page, &block)));
                (block, table)
            })
            .collect();
        for (block, table) in &snippets {
            let kind = kind(table);
            let refused = match kind {
                Kind::Settings => settings_refused(&block.text),
                Kind::Entity | Kind::Job => definition_refused(block, kind, &snippets),
            };
            assert!(refused.is_empty(), "{}: {refused}", place(&page, block));
            taken.push(kind);
        }
    }
    for kind in [Kind::Entity, Kind::Job, Kind::Settings] {
        assert!(taken.contains(&kind), "no page shows one of {kind:?}");
    }
}

/// The pages a reader is sent to.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![repository("README.md"), repository("CONTRIBUTING.md")];
    for folder in ["docs", "jobs", "entities"] {
        if repository(folder).is_dir() {
            pages.extend(files(&repository(folder), ".md"));
        }
    }
    pages
}

fn settings_refused(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tranship.toml");
    std::fs::write(&file, text).expect("it is written");
    let overrides = Overrides {
        file: Some(file),
        values: Vec::new(),
    };
    let mistakes = Config::load(&overrides, &[]).err().unwrap_or_default();
    let lines: Vec<String> = mistakes.iter().map(|m| format!("{}: {}", m.place, m.message)).collect();
    lines.join("\n")
}

/// A job is tried alone, because a page may show the same one twice; with the entities it can name: those the page shows
/// and those the repository has.
fn definition_refused(block: &Block, kind: Kind, page: &[(Block, toml::Table)]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (jobs, entities) = (folder.path().join("jobs"), folder.path().join("entities"));
    for made in [&jobs, &entities] {
        std::fs::create_dir(made).expect("it is made");
    }
    let mut names = Vec::new();
    let mut add_entity = |name: String, text: &str| {
        if !names.contains(&name) {
            std::fs::write(entities.join(format!("{}.toml", names.len())), text).expect("it is written");
            names.push(name);
        }
    };
    if kind == Kind::Job {
        std::fs::write(jobs.join("snippet.toml"), &block.text).expect("it is written");
    } else {
        add_entity(entity_name(&block.text), &block.text);
    }
    for (other, table) in page {
        if self::kind(table) == Kind::Entity {
            add_entity(entity_name(&other.text), &other.text);
        }
    }
    if repository("entities").is_dir() {
        for file in files(&repository("entities"), ".toml") {
            let text = std::fs::read_to_string(file).expect("it reads");
            add_entity(entity_name(&text), &text);
        }
    }
    let mistakes = Definitions::load(&jobs, &entities, &["main".to_owned()])
        .err()
        .unwrap_or_default();
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn entity_name(text: &str) -> String {
    let table: toml::Table = text.parse().expect("it was read before");
    table["name"].as_str().expect("an entity has a name").to_owned()
}

fn place(page: &Path, block: &Block) -> String {
    format!("{}:{}", page.display(), block.line)
}
