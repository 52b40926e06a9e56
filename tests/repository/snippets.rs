//! Every TOML block in the documentation is a whole file that Tranship takes: an entity, a job, a calendar, what an agent is to do, or settings. (The
//! shell blocks are run by the process tests.)

use std::path::{Path, PathBuf};

use tranship::agent::config::AgentConfig;
use tranship::config::{Config, Overrides};
use tranship::definitions::Definitions;
use tranship::definitions::from_table::Catalogue;
use tranship::domain::entity::{Field, FieldType};
use tranship::domain::table::{Column, Filled, Table};

use crate::markdown::blocks;
use crate::{files, repository};

/// What a block is, told by the keys only one kind of file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Entity,
    Job,
    Calendar,
    Agent,
    Settings,
}

fn kind(text: &str) -> Kind {
    let table = table(text);
    if table.contains_key("direction") {
        Kind::Job
    } else if ["upload", "download", "import", "export"]
        .iter()
        .any(|key| table.get(*key).is_some_and(toml::Value::is_array))
    {
        Kind::Agent
    } else if table.contains_key("days") {
        Kind::Calendar
    } else if ["fields", "key", "table", "composite"]
        .iter()
        .any(|key| table.contains_key(*key))
    {
        Kind::Entity
    } else {
        Kind::Settings
    }
}

#[test]
fn every_toml_snippet_is_taken() {
    let snippets: Vec<Snippet> = pages().iter().flat_map(|page| snippets(page)).collect();
    for snippet in &snippets {
        let refused = match snippet.kind {
            Kind::Settings => settings_refused(&snippet.text),
            Kind::Agent => agent_refused(&snippet.text),
            Kind::Entity | Kind::Job | Kind::Calendar => definition_refused(snippet, &snippets),
        };
        assert!(refused.is_empty(), "{}: {refused}", snippet.place());
    }
    let kinds = [Kind::Entity, Kind::Job, Kind::Calendar, Kind::Agent, Kind::Settings];
    for kind in kinds {
        assert!(snippets.iter().any(|s| s.kind == kind), "no page shows one of {kind:?}");
    }
}

/// A TOML block of a page.
struct Snippet {
    page: PathBuf,
    line: usize,
    text: String,
    kind: Kind,
}

impl Snippet {
    fn place(&self) -> String {
        format!("{}:{}", self.page.display(), self.line)
    }
}

fn snippets(page: &Path) -> Vec<Snippet> {
    let toml = blocks(page).into_iter().filter(|block| block.info == "toml");
    toml.map(|block| Snippet {
        page: page.to_owned(),
        line: block.line,
        kind: kind(&block.text),
        text: block.text,
    })
    .collect()
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

fn agent_refused(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, text).expect("it is written");
    let mistakes = AgentConfig::load(&file).err().unwrap_or_default();
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A job is tried alone, because pages may show the same one twice; with the entities it can name: those of its own page,
/// then those of other pages (not for a guide), then the repository's.
fn definition_refused(snippet: &Snippet, all: &[Snippet]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (jobs, entities) = (folder.path().join("jobs"), folder.path().join("entities"));
    for made in [&jobs, &entities] {
        std::fs::create_dir(made).expect("it is made");
    }
    if snippet.kind == Kind::Job {
        std::fs::write(jobs.join("snippet.toml"), &snippet.text).expect("it is written");
    }
    // A calendar goes by the name of its file, which its first line says.
    std::fs::create_dir(jobs.join("calendars")).expect("it is made");
    for calendar in all.iter().filter(|s| s.kind == Kind::Calendar) {
        let file = calendar
            .text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# jobs/"));
        let file = file.unwrap_or_else(|| panic!("{}: it begins with `# jobs/calendars/NAME.toml`", calendar.place()));
        std::fs::write(jobs.join(file), &calendar.text).expect("it is written");
    }
    let shown = |here: bool| {
        let wanted = move |s: &&Snippet| s.kind == Kind::Entity && (s.page == snippet.page) == here;
        all.iter().filter(wanted).map(|s| s.text.clone())
    };
    let own: Vec<String> = files(&repository("entities"), ".toml")
        .into_iter()
        .map(|file| std::fs::read_to_string(file).expect("it reads"))
        .collect();
    // Guides are followed in the repository's folder, and know no other page.
    let is_guide = snippet.page.starts_with(repository("docs/how-to"));
    let elsewhere = shown(false).filter(|_| !is_guide);
    let itself = (snippet.kind == Kind::Entity).then(|| snippet.text.clone());
    let mut names = Vec::new();
    for text in itself
        .into_iter()
        .chain(shown(true))
        .chain(elsewhere)
        .chain(own.iter().cloned())
    {
        let name = table(&text)["name"].as_str().expect("an entity has a name").to_owned();
        if !names.contains(&name) {
            std::fs::write(entities.join(format!("{}.toml", names.len())), text).expect("it is written");
            names.push(name);
        }
    }
    let mistakes = Definitions::load_with(&jobs, &entities, &["main".to_owned()], &AnyTable)
        .err()
        .unwrap_or_default();
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Every table is there, with a number for its key.
struct AnyTable;

impl Catalogue for AnyTable {
    fn table(&self, _: &str, table: &str) -> Result<Table, String> {
        let name = "number".to_owned();
        let field = Field {
            name: name.clone(),
            kind: FieldType::Int,
            ..Field::default()
        };
        Ok(Table {
            name: table.to_owned(),
            primary_key: vec![name.clone()],
            columns: vec![Column {
                name,
                declared: "bigint".to_owned(),
                filled: Filled::No,
                field: Ok(field),
                converted: false,
            }],
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
        })
    }
}

fn table(text: &str) -> toml::Table {
    text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
}
